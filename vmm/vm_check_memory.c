/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proof, on a guest that is at work, that the dirty log tells the truth: while it runs, marks are
 * fetched and its second-level tables dropped, at odd moments; then it is paused for a look at all
 * of its memory, whose sums say which frames have changed since the last look. Each of those must
 * have been marked. Called by mgmt, in thread context; the vm runs and goes on.
 */
#include "include/bits.h"
#include "include/errno.h"
#include "kernel/log.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "mm/heap.h"
#include "vmm/vm_check.h"

#define FETCHES		8		/* between two looks */
#define GAP_NS		7000000

/* One object: by number of frame in it. */
struct check {
	struct vm *vm;
	struct gmem_object *object;
	uint64_t *marks, *sums;		/* of zeros: 0 */
};

static uint64_t sum_of(const uint64_t *words)
{
	uint64_t h = 0;

	for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
		h = ((h << 5 | h >> 59) ^ words[i]) * 0x9e3779b97f4a7c15ul;
	return h;
}

static int fetch(struct check *c)
{
	int r = gmem_dirty_fetch(&c->vm->gmem, c->object, 0, c->object->size, c->marks);

	return MIN(r, 0);
}

/* The guest works meanwhile, and finds its tables gone now and then. */
static int fetch_while_it_runs(struct check *c)
{
	int err = 0;

	for (unsigned i = 0; !err && i < FETCHES; i++) {
		thread_sleep_ns(GAP_NS);
		err = fetch(c);
		if (i % 3 == 2)
			gmem_drop_tables(&c->vm->gmem);
	}
	return err;
}

static bool take_mark(struct check *c, uint64_t frame)
{
	uint64_t *word = &c->marks[frame / 64], bit = BIT(frame % 64);
	bool marked = *word & bit;

	*word &= ~bit;
	return marked;
}

static int sum_at(struct gmem_object *o, uint64_t at, uint64_t *sum)
{
	struct page *page;
	void *words;
	int err;

	*sum = 0;
	if (gmem_object_is_absent(o, at))
		return 0;
	err = gmem_object_pin(o, at, GMEM_READ, &words, &page);
	if (err)
		return err;
	*sum = sum_of(words);
	page_put(page);
	return 0;
}

/* The vm is paused. */
static int look(struct check *c, struct vm_memory_check *out)
{
	uint64_t i = c->object->start / PAGE_SIZE, end = c->object->size / PAGE_SIZE;
	int err = fetch(c);

	for (; !err && i < end; i++) {
		uint64_t sum;
		bool marked;

		err = sum_at(c->object, i * PAGE_SIZE, &sum);
		marked = take_mark(c, i);
		out->marked += marked;
		out->changed += sum != c->sums[i];
		if (sum != c->sums[i] && !marked) {
			log_error("%s: frame %#lx of its memory was written and not marked",
				  c->vm->config.name, i);
			err = -EIO;
		}
		c->sums[i] = sum;
		sched_point();
	}
	return err;
}

static int look_paused(struct check *c, struct vm_memory_check *out)
{
	int err = vm_pause(c->vm);

	if (err)
		return err;
	err = look(c, out);
	(void)!vm_resume(c->vm);
	return err;
}

/* The first look has nothing to compare with but zeros, as all memory begins. */
static int check(struct check *c, struct vm_memory_check *out)
{
	struct vm_memory_check first = { 0 };

	return look_paused(c, &first) ?: fetch_while_it_runs(c) ?: look_paused(c, out);
}

static int check_object(struct vm *vm, struct gmem_object *o, struct vm_memory_check *out)
{
	uint64_t frames = o->size / PAGE_SIZE;
	struct check c = {
		.vm = vm, .object = o, .marks = heap_alloc(DIV_UP(frames, 64) * 8),
		.sums = heap_alloc(frames * sizeof(*c.sums)),
	};
	int err = c.marks && c.sums ? check(&c, out) : -ENOMEM;

	heap_free(c.marks);
	heap_free(c.sums);
	return err;
}

int vm_check_memory(struct vm *vm, struct vm_memory_check *out)
{
	struct gmem_slot s;
	int err = 0;

	*out = (struct vm_memory_check){ 0 };
	gmem_track_begin(&vm->gmem);
	for (unsigned i = 0; !err && gmem_slot_get(&vm->gmem, i, &s); i++)
		err = check_object(vm, s.object, out);
	gmem_track_end(&vm->gmem);
	return err;
}
