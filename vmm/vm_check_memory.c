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

/* Indexed by frame number, holes included. */
struct check {
	struct vm *vm;
	uint64_t frames;
	uint64_t *marks, *sums;		/* of zeros: 0 */
	void *buf;			/* a frame */
};

static uint64_t top_of(const struct gmem *g)
{
	const struct gmem_slot *last = &g->slot[g->slot_count - 1];

	return ALIGN_UP(last->base + last->size, PAGE_2M);
}

static uint64_t sum_of(const uint64_t *words)
{
	uint64_t h = 0;

	for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
		h = ((h << 5 | h >> 59) ^ words[i]) * 0x9e3779b97f4a7c15ul;
	return h;
}

static int fetch(struct check *c)
{
	int r = gmem_dirty_fetch(&c->vm->gmem, GPA(0), c->frames * PAGE_SIZE, c->marks);

	return MIN(r, 0);
}

/* The guest works meanwhile, and finds its tables gone now and then. */
static int fetch_while_it_runs(struct check *c)
{
	int err = 0;

	for (unsigned i = 0; !err && i < FETCHES; i++) {
		thread_sleep_ns(GAP_NS);
		err = fetch(c);
		if (!err && i % 3 == 2)
			err = gmem_drop_tables(&c->vm->gmem);
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

/* The vm is paused. */
static int look(struct check *c, struct vm_memory_check *out)
{
	int err = fetch(c);

	for (uint64_t i = 0; !err && i < c->frames; i++) {
		gpa_t a = GPA(i * PAGE_SIZE);
		uint64_t sum;
		bool marked;

		if (!gmem_is_ram(&c->vm->gmem, a))
			continue;
		err = gmem_read(&c->vm->gmem, a, c->buf, PAGE_SIZE);
		sum = sum_of(c->buf);
		marked = take_mark(c, i);
		out->marked += marked;
		out->changed += sum != c->sums[i];
		if (sum != c->sums[i] && !marked) {
			log_error("%s: frame %#lx was written and not marked", c->vm->config.name,
				  a.v);
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
	int err = look_paused(c, out) ?: fetch_while_it_runs(c);

	*out = (struct vm_memory_check){ 0 };
	return err ?: look_paused(c, out);
}

int vm_check_memory(struct vm *vm, struct vm_memory_check *out)
{
	struct check c = { .vm = vm, .frames = top_of(&vm->gmem) / PAGE_SIZE };
	int err = -ENOMEM;

	*out = (struct vm_memory_check){ 0 };
	c.marks = heap_alloc(c.frames / 8);
	c.sums = heap_alloc(c.frames * sizeof(*c.sums));
	c.buf = heap_alloc(PAGE_SIZE);
	if (c.marks && c.sums && c.buf) {
		gmem_track_begin(&vm->gmem);
		err = check(&c, out);
		gmem_track_end(&vm->gmem);
	}
	heap_free(c.marks);
	heap_free(c.sums);
	heap_free(c.buf);
	return err;
}
