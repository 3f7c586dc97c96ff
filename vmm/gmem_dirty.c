/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The dirty log: which frames were written since it was asked last. For migration and snapshots.
 *
 * Design. An entry allows writing only while its frame counts as written: the second-level tables,
 * gmem_peek and pins all ask the entry, so nothing is written unmarked. While nobody tracks, a
 * frame counts as written from the moment it is filled, and no fault is spent on the question.
 * Asking takes the right to write away again, in entries first and tables second, and returns when
 * no TLB and no pointer has it any more: what is read of a frame after that holds all that its mark
 * stood for, and what is written later leaves a new one.
 *
 * A 2 MiB page that is tracked is split when it is written: its chunk gets a table whose entries
 * are the parts of one page, which the table's struct page names as its owner. When tracking ends
 * such tables go, and the pages are whole again, in the second-level tables too.
 *
 * Locking. Entries as everywhere under g->lock, a chunk at a time. A table that goes is freed after
 * the vCPUs were quiet; other threads follow entries under the lock only.
 */
#include "include/errno.h"
#include "kernel/sched.h"
#include "vmm/gmem_entry.h"

/* ---- marking --------------------------------------------------------------------------------- */

/* The parts of chunk entry `c` as a table that nobody sees yet; NULL: no memory. */
static struct page *parts_of(struct gmem *g, uint64_t c)
{
	struct page *t = page_alloc(0, 0, g->config.node, g->config.charge);
	uint64_t *e;

	if (!t)
		return NULL;
	t->owner = gmem_entry_page(c);
	e = page_virt(t);
	for (unsigned i = 0; i < ENTRIES; i++)
		e[i] = c + i * PAGE_SIZE;
	return t;
}

/*
 * Is `a` worth a table of its own? A whole page's 512 marks are as good when there is no memory.
 */
static bool splits(const struct gmem *g, uint64_t c)
{
	return READ_ONCE(g->trackers) && c && !(c & (ENTRY_TABLE | GMEM_WRITE));
}

void gmem_mark(struct gmem *g, const struct gmem_slot *s, uint64_t a)
{
	uint64_t *c = gmem_chunk_of(s, a), old = READ_ONCE(*c), size, *e, irq;
	struct page *t = splits(g, old) ? parts_of(g, old) : NULL;

	irq = spin_lock_irq(&g->lock);
	if (t && *c == old && splits(g, old)) {
		WRITE_ONCE(*c, (uint64_t)page_virt(t) | ENTRY_TABLE);
		t = NULL;
	}
	e = gmem_entry_of(s, a, &size);
	if (*e)
		WRITE_ONCE(*e, *e | ENTRY_WRITTEN);
	spin_unlock_irq(&g->lock, irq);
	if (t)
		page_put(t);
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
		if (!(e[i] & GMEM_WRITE))
			continue;
		WRITE_ONCE(e[i], e[i] & ~(uint64_t)GMEM_WRITE);
		bits_set(bitmap, first + i * frames, frames);
		any = true;
	}
	return any;
}

/* Of a slot's chunks that touch [a, end). */
static bool slot_marks(struct gmem *g, const struct gmem_slot *s, uint64_t a, uint64_t end,
		       uint64_t *bitmap)
{
	uint64_t from = MAX(a, ALIGN_DOWN(s->base, PAGE_2M)), to = MIN(end, s->base + s->size);
	bool any = false;

	for (uint64_t at = from; at < to; at += PAGE_2M) {
		uint64_t *c = gmem_chunk_of(s, at), irq;

		if (READ_ONCE(*c)) {
			irq = spin_lock_irq(&g->lock);
			any |= take_marks(c, bitmap, (at - a) / PAGE_SIZE);
			spin_unlock_irq(&g->lock, irq);
		}
		if (!(at % PAGE_1G))
			sched_point();
	}
	return any;
}

int gmem_dirty_fetch(struct gmem *g, gpa_t a, uint64_t size, uint64_t *bitmap)
{
	bool any = false;

	if (!size || !IS_ALIGNED(a.v | size, PAGE_2M) ||
	    !range_within(a.v, size, 0, 1ul << g->config.gpa_bits))
		return -EINVAL;
	for (unsigned i = 0; i < g->slot_count; i++)
		any |= slot_marks(g, &g->slot[i], a.v, a.v + size, bitmap);
	if (any)
		gmem_tables_protect(g, a.v, size);
	return any;
}

/* ---- on and off ------------------------------------------------------------------------------ */

static void track(struct gmem *g, int by)
{
	uint64_t irq = spin_lock_irq(&g->lock);

	g->trackers += (unsigned)by;
	spin_unlock_irq(&g->lock, irq);
}

void gmem_track_begin(struct gmem *g)
{
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
			WRITE_ONCE(e[i], e[i] | ENTRY_WRITTEN);
}

static void merge_slot(struct gmem *g, const struct gmem_slot *s, struct list *tables)
{
	uint64_t end = s->base + s->size;

	for (uint64_t at = ALIGN_DOWN(s->base, PAGE_2M); at < end; at += PAGE_2M) {
		uint64_t irq = spin_lock_irq(&g->lock);

		merge(gmem_chunk_of(s, at), tables);
		spin_unlock_irq(&g->lock, irq);
		if (!(at % PAGE_1G))
			sched_point();
	}
}

void gmem_track_end(struct gmem *g)
{
	struct list tables;

	track(g, -1);
	if (READ_ONCE(g->trackers))
		return;
	list_init(&tables);
	for (unsigned i = 0; i < g->slot_count; i++)
		merge_slot(g, &g->slot[i], &tables);
	(void)!gmem_drop_tables(g);
	paging_free_retired(&tables);
}
