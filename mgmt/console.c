/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Consoles; see mgmt/console.h. The lock is a leaf: callbacks and the vm are called without it,
 * from copies.
 */
#include "mgmt/console.h"

#include "include/errno.h"
#include "mm/heap.h"
#include "vmm/vm.h"

#define OUTPUT_LEAST	64u

void console_init(struct console *c)
{
	*c = (struct console){ .dropped = 0 };
	mutex_init(&c->bound, "console");
	spin_init(&c->lock, "console", LOCK_LEAF);
}

void console_fini(struct console *c)
{
	heap_free(c->output.data);
	heap_free(c->input.data);
}

/* Into a buffer of `size` bytes, a power of two that holds what is in it, or 0 for none. */
static int resize(struct console *c, struct ring *r, uint32_t size)
{
	uint8_t *data = size ? heap_alloc(size) : NULL, *old;
	uint64_t flags;
	uint32_t n;

	if (size && !data)
		return -ENOMEM;
	flags = spin_lock_irq(&c->lock);
	old = r->data;
	n = ring_read(r, data, size);
	ring_init(r, data, size);
	r->head = n;
	spin_unlock_irq(&c->lock, flags);
	heap_free(old);
	return 0;
}

int console_prepare(struct console *c)
{
	int err = 0;

	if (c->output.size != CONSOLE_OUTPUT_SIZE)
		err = resize(c, &c->output, CONSOLE_OUTPUT_SIZE);
	if (!err && c->input.size != CONSOLE_INPUT_SIZE)
		err = resize(c, &c->input, CONSOLE_INPUT_SIZE);
	return err;
}

void console_shrink(struct console *c)
{
	uint32_t count = ring_count(&c->output), size = count ? OUTPUT_LEAST : 0;

	while (size < count)
		size *= 2;
	(void)!resize(c, &c->input, 0);
	if (size < c->output.size)
		(void)!resize(c, &c->output, size);	/* without memory it stays as it is */
}

static void notify(struct console *c)
{
	uint64_t flags = spin_lock_irq(&c->lock);
	void (*fn)(void *) = c->attached ? c->notify : NULL;
	void *arg = c->notify_arg;

	spin_unlock_irq(&c->lock, flags);
	if (fn)
		fn(arg);
}

void console_bind(struct console *c, struct vm *vm)
{
	struct vm *old;
	uint64_t flags;

	if (vm)
		vm_get(vm);
	mutex_lock(&c->bound);
	old = c->vm;
	c->vm = vm;
	flags = spin_lock_irq(&c->lock);
	c->input.tail = c->input.head;	/* what was typed at another guest */
	spin_unlock_irq(&c->lock, flags);
	mutex_unlock(&c->bound);
	if (old)
		vm_put(old);
	notify(c);
}

/* Once per byte that a guest prints: one lock, and nobody told when nobody looks. */
size_t console_put(void *arg, const void *data, size_t n)
{
	struct console *c = arg;
	const uint8_t *p = data;
	uint64_t flags = spin_lock_irq(&c->lock);
	void (*fn)(void *) = c->attached ? c->notify : NULL;
	void *fn_arg = c->notify_arg;

	if (ring_space(&c->output) < n)
		c->dropped += n - ring_space(&c->output);
	for (size_t i = 0; i < n; i++)
		ring_put_over(&c->output, p[i]);
	spin_unlock_irq(&c->lock, flags);
	if (fn)
		fn(fn_arg);
	return n;
}

size_t console_get(void *arg, void *data, size_t n)
{
	struct console *c = arg;
	uint64_t flags = spin_lock_irq(&c->lock);
	uint32_t done = ring_read(&c->input, data, (uint32_t)MIN(n, (size_t)CONSOLE_INPUT_SIZE));

	spin_unlock_irq(&c->lock, flags);
	return done;
}

int console_attach(struct console *c, void (*fn)(void *arg), void *arg)
{
	uint64_t flags = spin_lock_irq(&c->lock);
	int err = c->attached ? -EBUSY : 0;

	if (!err) {
		c->attached = true;
		c->notify = fn;
		c->notify_arg = arg;
	}
	spin_unlock_irq(&c->lock, flags);
	return err;
}

void console_detach(struct console *c)
{
	uint64_t flags = spin_lock_irq(&c->lock);

	c->attached = false;
	spin_unlock_irq(&c->lock, flags);
}

size_t console_read(struct console *c, void *buf, size_t n, uint64_t *dropped)
{
	uint64_t flags = spin_lock_irq(&c->lock);
	size_t done = ring_read(&c->output, buf, (uint32_t)MIN(n, (size_t)CONSOLE_OUTPUT_SIZE));

	*dropped = c->dropped;
	c->dropped = 0;
	spin_unlock_irq(&c->lock, flags);
	return done;
}

size_t console_write(struct console *c, const void *data, size_t n)
{
	uint64_t flags;
	size_t done;

	mutex_lock(&c->bound);
	flags = spin_lock_irq(&c->lock);
	done = ring_write(&c->input, data, (uint32_t)MIN(n, (size_t)CONSOLE_INPUT_SIZE));
	spin_unlock_irq(&c->lock, flags);
	if (c->vm && done && c->channel)
		vm_channel_input(c->vm, c->channel - 1);
	else if (c->vm && done)
		vm_console_input(c->vm);
	mutex_unlock(&c->bound);
	return done;
}
