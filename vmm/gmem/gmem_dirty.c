/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The dirty log: which frames were written since it was asked last. For migration and snapshots.
 *
 * Design. An entry allows writing only while its frame counts as written: views, gmem_peek and pins
 * all ask the entry, so nothing is written unmarked. While nobody tracks, a frame counts as written
 * from the moment it is filled, and no fault is spent on the question. Asking takes the right to
 * write away again, in entries first and views second, and returns when no TLB and no pointer has
 * it any more: what is read of a frame after that holds all that its mark stood for, and what is
 * written later leaves a new one.
 *
 * A 2 MiB page that is tracked is split when it is written: its chunk gets a table whose entries
 * are the parts of one page, which the table's struct page names as its owner. When tracking ends
 * such tables go, and the pages are whole again, in the views too.
 *
 * Locking. Entries as everywhere under their chunk's lock. A table that goes is freed after the
 * vCPUs were quiet; other threads follow entries under the lock only.
 */
#include "cpu/cpu.h"
#include "include/errno.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "vmm/gmem/gmem_slots.h"

/* ---- marking --------------------------------------------------------------------------------- */

/* The parts of chunk entry `c`, a whole page, as a table that nobody sees yet; NULL: no memory. */
static struct page *parts_of(struct gmem_object *o, uint64_t c)
{
	struct page *t = page_alloc(0, 0, o->node, o->charge);
	uint64_t *e;

	ASSERT(c && !(c & ENTRY_TABLE));
	if (!t)
		return NULL;
	t->owner = gmem_entry_page(c);
	e = page_virt(t);
	for (unsigned i = 0; i < ENTRIES; i++)
		e[i] = c + i * PAGE_SIZE;
	return t;
}

bool gmem_object_split(struct gmem_object *o, uint64_t at)
{
	uint64_t *chunk = gmem_chunk_of(o, at), c = READ_ONCE(*chunk), irq;
	struct spinlock *l = gmem_lock_of(o, at);
	struct page *t;

	ASSERT(!spin_held_count());
	if (!c || c & ENTRY_TABLE)
		return true;
	t = parts_of(o, c);
	if (!t)
		return false;
	irq = spin_lock_irq(l);
	if (*chunk == c) {
		WRITE_ONCE(*chunk, (uint64_t)page_virt(t) | ENTRY_TABLE);
		t = NULL;
	}
	spin_unlock_irq(l, irq);
	if (t)
		page_put(t);
	return true;
}

/* A whole page whose 512 frames are not marked yet: it is worth a table. */
static bool splits(const struct gmem_object *o, uint64_t c)
{
	return READ_ONCE(o->trackers) && c && !(c & (ENTRY_TABLE | GMEM_WRITE));
}

/* Without memory for a table the whole page counts as written: that is as true. */
void gmem_object_mark(struct gmem_object *o, uint64_t at)
{
	struct spinlock *l = gmem_lock_of(o, at);
	bool done, whole = false;

	ASSERT(at < o->size);
	do {
		uint64_t irq = spin_lock_irq(l), size, *e;

		done = whole || !splits(o, *gmem_chunk_of(o, at));
		e = gmem_entry_of(o, at, &size);
		if (done && *e)
			WRITE_ONCE(*e, gmem_entry_marked(*e));
		spin_unlock_irq(l, irq);
		whole = !done && !gmem_object_split(o, at);
	} while (unlikely(!done));
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void bits_set(uint64_t *bitmap, uint64_t first, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		bitmap[(first + i) / 64] |= BIT((first + i) % 64);
}

/* Under the lock: the marks of one chunk, whose first frame's bit is `first`. True if any was. */
static bool take_marks(uint64_t *c, uint64_t *bitmap, uint64_t first)
{
	uint64_t *e = *c & ENTRY_TABLE ? gmem_leaf_of(*c, 0) : c;
	unsigned count = *c & ENTRY_TABLE ? ENTRIES : 1, frames = ENTRIES / count;
	bool any = false;

	for (unsigned i = 0; i < count; i++) {
		if (!(e[i] & (GMEM_WRITE | ENTRY_UNSEEN)))
			continue;
		WRITE_ONCE(e[i], e[i] & ~(uint64_t)(GMEM_WRITE | ENTRY_UNSEEN));
		bits_set(bitmap, first + i * frames, frames);
		any = true;
	}
	return any;
}

static bool object_marks(struct gmem_object *o, uint64_t at, uint64_t size, uint64_t *bitmap)
{
	bool any = false;

	for (uint64_t done = 0; done < size; done += PAGE_2M) {
		uint64_t *c = gmem_chunk_of(o, at + done);
		struct spinlock *l = gmem_lock_of(o, at + done);

		if (READ_ONCE(*c)) {
			uint64_t irq = spin_lock_irq(l);

			any |= take_marks(c, bitmap, done / PAGE_SIZE);
			spin_unlock_irq(l, irq);
		}
		if (!(done % PAGE_1G))
			sched_point();
	}
	return any;
}

int gmem_dirty_fetch(struct gmem *g, struct gmem_object *o, uint64_t at, uint64_t size,
		     uint64_t *bitmap)
{
	bool any;

	ASSERT(thread_may_wait());
	if (!size || !IS_ALIGNED(at, PAGE_2M) || !range_within(at, size, 0, o->size) ||
	    (!IS_ALIGNED(size, PAGE_2M) && at + size != o->size))
		return -EINVAL;
	any = object_marks(o, at, size, bitmap);
	if (any)
		gmem_views_of(g, o, at, size, GMEM_LOSE_WRITE);
	return any;
}

/* ---- on and off ------------------------------------------------------------------------------ */

void gmem_object_track(struct gmem_object *o, int by)
{
	__atomic_add_fetch(&o->trackers, (unsigned)by, __ATOMIC_SEQ_CST);
}

static void track(struct gmem *g, int by)
{
	struct gmem_slot s;

	g->trackers += (unsigned)by;
	for (unsigned i = 0; gmem_slot_get(g, i, &s); i++)
		gmem_object_track(s.object, by);
}

void gmem_track_begin(struct gmem *g)
{
	ASSERT(thread_may_wait());
	track(g, 1);
}

/*
 * Under the lock: what is there counts as written again. A split page is whole; its table goes to
 * `tables`.
 */
static void merge(uint64_t *c, struct list *tables)
{
	struct page *t = *c & ENTRY_TABLE ? gmem_entry_page(*c) : NULL;
	uint64_t *e = t ? page_virt(t) : c;

	if (t && t->owner) {
		WRITE_ONCE(*c, gmem_entry_present(t->owner, ENTRY_WRITTEN));
		list_push_back(tables, &t->link);
		return;
	}
	for (unsigned i = 0; i < (t ? ENTRIES : 1); i++)
		if (e[i])
			WRITE_ONCE(e[i], gmem_entry_marked(e[i]));
}

static void merge_object(struct gmem_object *o, struct list *tables)
{
	for (uint64_t at = 0; at < o->size; at += PAGE_2M) {
		struct spinlock *l = gmem_lock_of(o, at);
		uint64_t irq = spin_lock_irq(l);

		merge(gmem_chunk_of(o, at), tables);
		spin_unlock_irq(l, irq);
		if (!(at % PAGE_1G))
			sched_point();
	}
}

void gmem_track_end(struct gmem *g)
{
	struct list tables;
	struct gmem_slot s;

	ASSERT(g->trackers && thread_may_wait());
	track(g, -1);
	if (g->trackers)
		return;
	list_init(&tables);
	for (unsigned i = 0; gmem_slot_get(g, i, &s); i++)
		if (!READ_ONCE(s.object->trackers))
			merge_object(s.object, &tables);
	gmem_drop_tables(g);
	paging_free_retired(&tables);
}
