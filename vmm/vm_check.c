/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proof, on a guest that is at work, that its saved form is whole: the state of a paused vm is
 * saved, put back to power-up, loaded and saved again. Both forms must be equal, and the guest goes
 * on from what was loaded. Memory is not part of it. Called by mgmt, in thread context; the vm is
 * paused and its caller keeps it so.
 */
#include "vmm/vm_check.h"

#include "include/errno.h"
#include "kernel/log.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "vmm/machine.h"

/* A guest's state while it is checked: as saved, and as it is after the way there and back. */
struct copies {
	uint8_t *before, *after;
	size_t size;
};

static int copies_alloc(struct vm *vm, struct copies *c)
{
	struct record_writer w;
	int err;

	record_writer_init(&w, NULL, 0);
	err = vm_save_state(vm, &w);
	if (err)
		return err;
	c->size = w.used;
	c->before = heap_alloc(c->size);
	c->after = heap_alloc(c->size);
	return c->before && c->after ? 0 : -ENOMEM;
}

static int save(struct vm *vm, uint8_t *buf, size_t size)
{
	struct record_writer w;
	int err;

	record_writer_init(&w, buf, size);
	err = vm_save_state(vm, &w);
	return err ?: w.used == size ? 0 : -EIO;
}

static void power_up(struct vm *vm)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		vcpu_reset(vm->vcpu[i]);
	machine_reset(vm);
}

/* Names the first record that came back otherwise. */
static void say_difference(const struct vm *vm, const struct copies *c)
{
	struct record_reader r, body;
	struct record_head head;
	size_t at = 0;

	while (at < c->size && c->before[at] == c->after[at])
		at++;
	record_reader_init(&r, c->before, c->size);
	while (!record_next(&r, &head, &body)) {
		if (r.at <= at)
			continue;
		log_error("%s: record '%s' %u changed at byte %lu of %u: %#x was saved, %#x came back",
			  vm->config.name, head.name, head.instance, at - (r.at - head.length),
			  head.length, c->before[at], c->after[at]);
		return;
	}
}

static int there_and_back(struct vm *vm, struct copies *c)
{
	struct record_reader r;
	int err = save(vm, c->before, c->size);

	if (err)
		return err;
	power_up(vm);
	record_reader_init(&r, c->before, c->size);
	err = vm_load_state(vm, &r);
	if (err) {
		vm_crash(vm, "its saved state cannot be loaded");
		return err;
	}
	err = save(vm, c->after, c->size);
	if (!err && memcmp(c->before, c->after, c->size))
		err = -EIO;
	if (err)
		say_difference(vm, c);
	return err;
}

int vm_check_state(struct vm *vm, size_t *size)
{
	struct copies c = { 0 };
	int err = copies_alloc(vm, &c);

	if (!err)
		err = there_and_back(vm, &c);
	*size = c.size;
	heap_free(c.before);
	heap_free(c.after);
	return err;
}
