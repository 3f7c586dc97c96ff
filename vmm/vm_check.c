/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proof, on a guest that is at work, that its saved form is whole: the state of a paused vm is
 * saved, put back to power-up, loaded and saved again. Both forms must be equal, record by record,
 * and the guest goes on from what was loaded. Memory is not part of it. Called by mgmt, in thread
 * context; the vm is paused and its caller keeps it so.
 */
#include "vmm/vm_check.h"

#include "include/errno.h"
#include "kernel/log.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "vmm/machine.h"

/* A guest's state as it was saved, and how far its way back has been compared. */
struct check {
	const struct vm *vm;
	uint8_t *before, *record;	/* whole; one record of the state that came back */
	size_t size, largest, at;
};

static int sizes(struct vm *vm, struct check *c)
{
	struct record_writer w;
	int err;

	record_writer_init(&w, NULL, 0);
	err = vm_save_state(vm, &w);
	c->size = w.used;
	c->largest = w.largest;
	return err;
}

static int save(struct vm *vm, struct check *c)
{
	struct record_writer w;
	int err;

	record_writer_init(&w, c->before, c->size);
	err = vm_save_state(vm, &w);
	return err ?: w.used == c->size ? 0 : -EIO;
}

static void power_up(struct vm *vm)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		vcpu_reset(vm->vcpu[i]);
	machine_reset(vm);
}

static int say_difference(const struct check *c, const uint8_t *was, const uint8_t *is, size_t n)
{
	struct record_reader r, body;
	struct record_head head;
	size_t at = 0;

	while (at < n && was[at] == is[at])
		at++;
	record_reader_init(&r, was, c->size - c->at);
	if (!record_next(&r, &head, &body) && at < n)
		log_error("%s: record '%s' %u changed at byte %ld of %u: %#x was saved, %#x came back",
			  c->vm->config.name, head.name, head.instance,
			  (long)at - (long)(r.at - head.length), head.length, was[at], is[at]);
	return -EIO;
}

/* A record of the state that came back: the next of those that were saved? */
static int compare(void *arg, const void *record, size_t n)
{
	struct check *c = arg;
	const uint8_t *was = c->before + c->at;

	if (n > c->size - c->at)
		return -EIO;
	if (memcmp(was, record, n))
		return say_difference(c, was, record, n);
	c->at += n;
	return 0;
}

static int there_and_back(struct vm *vm, struct check *c)
{
	struct record_writer w;
	struct record_reader r;
	char why[128];
	int err = save(vm, c);

	if (err)
		return err;
	power_up(vm);
	record_reader_init(&r, c->before, c->size);
	err = vm_load_state(vm, &r, why, sizeof(why));
	if (err) {
		vm_crash(vm, "its saved state cannot be loaded: %s", why);
		return err;
	}
	record_writer_stream(&w, c->record, c->largest, compare, c);
	err = vm_save_state(vm, &w);
	return err ?: c->at == c->size ? 0 : -EIO;
}

int vm_check_state(struct vm *vm, size_t *size)
{
	struct check c = { .vm = vm };
	int err = sizes(vm, &c);

	if (!err) {
		c.before = heap_alloc(c.size);
		c.record = heap_alloc(c.largest);
		err = c.before && c.record ? there_and_back(vm, &c) : -ENOMEM;
	}
	*size = c.size;
	heap_free(c.before);
	heap_free(c.record);
	return err;
}
