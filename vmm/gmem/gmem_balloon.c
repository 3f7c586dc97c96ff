/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest gives back by its own will: pages that it does not use, or that are in its balloon.
 *
 * Design. Both leave as gmem_take() has it, any number of ranges with one wait for the vCPUs. What
 * is in a balloon is out, besides: a bit for each frame, so that it is given back once however
 * often the guest says so, and its promise goes to whoever asks next. A frame that is touched while
 * it is out wants its promise back first. A frame that does not leave, since a device or another
 * guest has it, does not go out either: nothing was won, and it stays promised.
 *
 * Locking. A frame's bit is under its chunk's lock, as its entry is, and a fill looks at it there
 * again. The bits themselves are made once, by who needs them first.
 */
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "mm/heap.h"
#include "vmm/gmem/gmem_slots.h"

/* ---- the bits -------------------------------------------------------------------------------- */

static bool make_bits(struct gmem_object *o)
{
	uint64_t *none = NULL, *bits;

	if (READ_ONCE(o->out))
		return true;
	bits = heap_alloc(DIV_UP(o->size, PAGE_2M) * (ENTRIES / 8));
	if (!bits)
		return false;
	if (!__atomic_compare_exchange_n(&o->out, &none, bits, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		heap_free(bits);
	return true;
}

static void flip(struct gmem_object *o, uint64_t at)
{
	ASSERT(spin_held(gmem_lock_of(o, at)));
	gmem_out_of(o, at)[(at >> PAGE_SHIFT) % ENTRIES / 64] ^= BIT((at >> PAGE_SHIFT) % 64);
}

/* Those of [from, to), in one chunk, that are absent and not out go out; their number. */
static uint64_t go_out(struct gmem_object *o, uint64_t from, uint64_t to)
{
	struct spinlock *l = gmem_lock_of(o, from);
	uint64_t irq = spin_lock_irq(l), size, frames = 0;

	for (uint64_t at = from; at < to; at += PAGE_SIZE) {
		if (*gmem_entry_of(o, at, &size) || gmem_is_out(o, at))
			continue;
		flip(o, at);
		frames++;
	}
	__atomic_add_fetch(&o->out_pages, frames, __ATOMIC_RELAXED);
	spin_unlock_irq(l, irq);
	return frames;
}

/* Of those that are out `max` come back, whose promise the caller has; their number. */
static uint64_t come_back(struct gmem_object *o, uint64_t from, uint64_t to, uint64_t max)
{
	struct spinlock *l = gmem_lock_of(o, from);
	uint64_t irq = spin_lock_irq(l), frames = 0;

	for (uint64_t at = from; at < to && frames < max; at += PAGE_SIZE) {
		if (!gmem_is_out(o, at))
			continue;
		flip(o, at);
		frames++;
	}
	__atomic_sub_fetch(&o->out_pages, frames, __ATOMIC_RELAXED);
	spin_unlock_irq(l, irq);
	return frames;
}

int gmem_object_recall(struct gmem_object *o, uint64_t at)
{
	at = ALIGN_DOWN(at, PAGE_SIZE);
	if (gmem_promise(1))
		return -ENOMEM;
	if (!come_back(o, at, at + PAGE_SIZE, 1))
		gmem_promise_take_back(1);
	return 0;
}

static uint64_t count_out(const struct gmem_object *o, uint64_t from, uint64_t to)
{
	uint64_t n = 0;

	for (uint64_t at = from; at < to; at += PAGE_SIZE)
		n += gmem_is_out(o, at);
	return n;
}

/* ---- ranges ---------------------------------------------------------------------------------- */

/* One that lies in one slot, as offsets in its object. */
struct piece {
	struct gmem_object *object;
	uint64_t from, to;
};

/* The next piece of a range behind *slot; false: there is none. */
static bool next_piece(struct gmem *g, const struct gmem_range *r, unsigned *slot,
		       struct piece *out)
{
	uint64_t end = r->at + MIN(r->size, ~0ul - r->at);
	struct gmem_slot s;

	while (gmem_slot_get(g, (*slot)++, &s)) {
		uint64_t from = MAX(ALIGN_UP(r->at, PAGE_SIZE), s.base),
			 to = MIN(ALIGN_DOWN(end, PAGE_SIZE), s.base + s.size);

		if (s.denied || from >= to || from < r->at)
			continue;
		*out = (struct piece){ s.object, from - s.base + s.offset,
				       to - s.base + s.offset };
		return true;
	}
	return false;
}

/* Calls fn for each part of the piece in one chunk; the sum of what it returns. */
static uint64_t by_chunk(const struct piece *p,
			 uint64_t (*fn)(struct gmem_object *o, uint64_t from, uint64_t to))
{
	uint64_t sum = 0, next;

	for (uint64_t at = p->from; at < p->to; at = next) {
		next = MIN(ALIGN_DOWN(at, PAGE_2M) + PAGE_2M, p->to);
		sum += fn(p->object, at, next);
	}
	return sum;
}

/* ---- giving back ----------------------------------------------------------------------------- */

static void take_piece(struct gmem *g, struct gmem_taking *t, const struct piece *p)
{
	uint64_t before = t->frames;
	bool none = list_empty(&t->pages);

	t->object = p->object;
	t->from = p->from;
	t->to = p->to;
	gmem_take_range(t);
	if (t->frames == before && none == list_empty(&t->pages))
		return;
	gmem_views_lose(g, p->object, p->from, p->to - p->from, GMEM_LOSE_ALL);
	__atomic_sub_fetch(&p->object->present_pages, t->frames - before, __ATOMIC_RELAXED);
}

static void take_end(struct gmem *g, struct gmem_taking *t)
{
	if (list_empty(&t->pages))
		return;
	gmem_views_wait(g);
	paging_free_retired(&t->pages);
}

uint64_t gmem_discard(struct gmem *g, const struct gmem_range *r, unsigned n)
{
	struct gmem_taking t = { .frames = 0 };
	struct piece p;

	list_init(&t.pages);
	for (unsigned i = 0; i < n; i++)
		for (unsigned slot = 0; next_piece(g, &r[i], &slot, &p);)
			take_piece(g, &t, &p);
	take_end(g, &t);
	return t.frames;
}

/* Their memory is free before it is promised to others. */
uint64_t gmem_inflate(struct gmem *g, const struct gmem_range *r, unsigned n)
{
	struct gmem_taking t = { .frames = 0 };
	uint64_t out = 0;
	struct piece p;

	list_init(&t.pages);
	for (unsigned i = 0; i < n; i++)
		for (unsigned slot = 0; next_piece(g, &r[i], &slot, &p);) {
			if (!make_bits(p.object))
				continue;
			take_piece(g, &t, &p);
			out += by_chunk(&p, go_out);
		}
	take_end(g, &t);
	gmem_promise_take_back(out);
	return out;
}

/* Where not all can be promised, none of this chunk's comes back: it does when it is touched. */
static uint64_t promise_chunk(struct gmem_object *o, uint64_t from, uint64_t to)
{
	uint64_t want = count_out(o, from, to), got;

	if (!want || gmem_promise(want))
		return 0;
	got = come_back(o, from, to, want);
	gmem_promise_take_back(want - got);
	return got;
}

uint64_t gmem_deflate(struct gmem *g, const struct gmem_range *r, unsigned n)
{
	uint64_t back = 0;
	struct piece p;

	for (unsigned i = 0; i < n; i++)
		for (unsigned slot = 0; next_piece(g, &r[i], &slot, &p);)
			if (READ_ONCE(p.object->out))
				back += by_chunk(&p, promise_chunk);
	return back;
}
