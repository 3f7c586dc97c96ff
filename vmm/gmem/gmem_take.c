/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames leave their object: those that a guest gives back, or that hold nothing which a new one
 * would not. What was there reads as zeros afterwards, and is filled again when it is touched.
 *
 * Design. Entries first, under their chunk's lock; views second; the pages are free when no TLB and
 * no pointer has them any more. A page that somebody has pinned stays: pins come under the same
 * lock. So does one that another object has, too: nothing would be won. Who takes only what was
 * never written loses nothing, not even what is written meanwhile: nobody can write to such a frame
 * without marking it, which is under that lock too.
 */
#include "include/errno.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "vmm/gmem/gmem_slots.h"


static bool may_go(const struct gmem_taking *t, uint64_t e, const struct page *p)
{
	return e && !(t->clean && e & ENTRY_DIRTY) &&
	       __atomic_load_n(&p->refs, __ATOMIC_RELAXED) == 1;
}

static void take_entry(struct gmem_taking *t, uint64_t *e, struct page *p)
{
	WRITE_ONCE(*e, 0);
	list_push_back(&t->pages, &p->link);
	t->frames += 1ul << p->order;
}

/* Are the parts of a whole page all such that it may go? */
static bool parts_may_go(const struct gmem_taking *t, const uint64_t *leaf,
			 const struct page *whole)
{
	for (unsigned i = 0; i < ENTRIES; i++)
		if (!may_go(t, leaf[i], whole))
			return false;
	return true;
}

void gmem_fall_apart(struct gmem_object *o, struct page *table)
{
	struct page *whole = table->owner;
	uint64_t index = whole->index;

	ASSERT(whole->order == PAGE_ORDER_2M && spin_held(gmem_lock_of(o, index << PAGE_SHIFT)));
	page_split(whole);
	for (unsigned i = 0; i < ENTRIES; i++) {
		whole[i].owner = o;
		whole[i].index = index + i;
	}
	table->owner = NULL;
}

static bool is_empty(const uint64_t *leaf)
{
	for (unsigned i = 0; i < ENTRIES; i++)
		if (leaf[i])
			return false;
	return true;
}

/*
 * Under the lock: of the chunk at `at`, which is a table. One without frames goes, so that a large
 * page may come there again.
 */
static void take_leaves(struct gmem_taking *t, uint64_t at, uint64_t *c)
{
	struct page *table = gmem_entry_page(*c), *whole = table->owner;
	bool all = t->from <= at && at + PAGE_2M <= t->to, any = false;

	ASSERT(spin_held(gmem_lock_of(t->object, at)));
	if (all && whole && parts_may_go(t, gmem_leaf_of(*c, 0), whole)) {
		WRITE_ONCE(*c, 0);
		list_push_back(&t->pages, &table->link);
		list_push_back(&t->pages, &whole->link);
		t->frames += ENTRIES;
		return;
	}
	for (uint64_t a = MAX(at, t->from); a < MIN(at + PAGE_2M, t->to); a += PAGE_SIZE) {
		uint64_t *e = gmem_leaf_of(*c, a);

		if (!*e || !may_go(t, *e, table->owner ?: gmem_entry_page(*e)))
			continue;
		if (table->owner)
			gmem_fall_apart(t->object, table);
		take_entry(t, e, gmem_entry_page(*e));
		any = true;
	}
	if (any && is_empty(gmem_leaf_of(*c, 0))) {
		WRITE_ONCE(*c, 0);
		list_push_back(&t->pages, &table->link);
	}
}

/* Under the lock; false: a page is to be split first. */
static bool take_chunk(struct gmem_taking *t, uint64_t at)
{
	uint64_t *c = gmem_chunk_of(t->object, at);
	bool all = t->from <= at && at + PAGE_2M <= t->to;
	struct page *p = gmem_entry_page(*c);

	ASSERT(spin_held(gmem_lock_of(t->object, at)));
	if (!*c)
		return true;
	if (*c & ENTRY_TABLE) {
		take_leaves(t, at, c);
		return true;
	}
	if (!may_go(t, *c, p))
		return true;
	if (all)
		take_entry(t, c, p);
	return all;
}

/* Without memory to split a page it stays. */
static void take_from(struct gmem_taking *t, uint64_t at)
{
	struct spinlock *l = gmem_lock_of(t->object, at);
	bool done;

	do {
		uint64_t irq = spin_lock_irq(l);

		done = take_chunk(t, at);
		spin_unlock_irq(l, irq);
	} while (!done && gmem_object_split(t->object, at));
}

void gmem_take_range(struct gmem_taking *t)
{
	ASSERT(IS_ALIGNED(t->from | t->to, PAGE_SIZE) && thread_may_wait());
	for (uint64_t a = ALIGN_DOWN(t->from, PAGE_2M); a < t->to; a += PAGE_2M) {
		take_from(t, a);
		if (!(a % PAGE_1G))
			sched_point();
	}
}

uint64_t gmem_take(struct gmem *g, struct gmem_object *o, uint64_t at, uint64_t size, bool clean)
{
	struct gmem_taking t = {
		.object = o, .from = MAX(at, o->start), .to = MIN(at + size, o->size),
		.clean = clean,
	};

	list_init(&t.pages);
	gmem_take_range(&t);
	if (list_empty(&t.pages))
		return 0;
	gmem_views_of(g, o, t.from, t.to - t.from, GMEM_LOSE_ALL);
	__atomic_sub_fetch(&o->present_pages, t.frames, __ATOMIC_RELAXED);
	paging_free_retired(&t.pages);
	return t.frames;
}
