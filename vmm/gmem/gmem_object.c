/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Objects: their birth and end, what of the machine's memory they promise, and how absent frames
 * are filled; see vmm/gmem/gmem_object.h. Frames come when they are touched, but all that was
 * promised must fit into the machine, so that no fill fails for want of memory that was sold twice.
 *
 * Filling. With a scrubbed GiB where that fits, else with 2 MiB, else with 4K. A GiB is kept as 512
 * pages of 2 MiB that happen to be adjacent; a view finds that and gives it one leaf. Each page is
 * committed under its chunk's lock, unless somebody was faster.
 */
#include "vmm/gmem/gmem_object.h"

#include "cpu/cpu.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "lib/string.h"
#include "mm/heap.h"

/* ---- promises -------------------------------------------------------------------------------- */

/* Atomic. */
static uint64_t promised;

uint64_t gmem_promised(void)
{
	return __atomic_load_n(&promised, __ATOMIC_RELAXED);
}

/* All that guests may be promised: what Keel neither uses nor keeps for itself. */
static uint64_t promise_limit(void)
{
	uint64_t total = page_total_count(), own = page_kernel_count() + page_reserve;

	return total > own ? total - own : 0;
}

uint64_t gmem_available(void)
{
	uint64_t limit = promise_limit(), now = gmem_promised();

	return limit > now ? limit - now : 0;
}

void gmem_promise_take_back(uint64_t frames)
{
	ASSERT(promised >= frames);
	__atomic_sub_fetch(&promised, frames, __ATOMIC_RELAXED);
}

int gmem_promise(uint64_t frames)
{
	uint64_t now = __atomic_add_fetch(&promised, frames, __ATOMIC_RELAXED);

	if (now >= frames && now <= promise_limit())
		return 0;
	gmem_promise_take_back(frames);
	return -ENOMEM;
}

/* ---- birth and end --------------------------------------------------------------------------- */

static uint64_t chunk_count(const struct gmem_object *o)
{
	return DIV_UP(o->size, PAGE_2M);
}

int gmem_object_create(uint64_t start, uint64_t size, unsigned page_level, int node,
		       struct charge *charge, struct gmem_object **out)
{
	struct gmem_object *o;

	ASSERT(start < size && IS_ALIGNED(start | size, PAGE_SIZE));
	ASSERT(page_level >= 1 && page_level <= 3);
	if (gmem_promise((size - start) / PAGE_SIZE))
		return -ENOMEM;
	o = heap_alloc(sizeof(*o));
	if (o) {
		o->start = start;
		o->size = size;
		o->chunk = heap_alloc(chunk_count(o) * sizeof(*o->chunk));
	}
	if (!o || !o->chunk) {
		heap_free(o);
		gmem_promise_take_back((size - start) / PAGE_SIZE);
		return -ENOMEM;
	}
	o->refs = 1;
	o->page_level = page_level;
	o->node = node;
	o->charge = charge;
	for (unsigned i = 0; i < GMEM_LOCKS; i++)
		spin_init(&o->lock[i], "gmem", LOCK_GMEM);
	*out = o;
	return 0;
}

static void leaf_table_free(uint64_t e)
{
	uint64_t *leaf = (uint64_t *)(e & PAGE_MASK);
	struct page *whole = gmem_entry_page(e)->owner;

	if (whole)
		page_put(whole);
	for (unsigned i = 0; !whole && i < ENTRIES; i++)
		if (leaf[i])
			page_put(gmem_entry_page(leaf[i]));
}

/* Gives way at each 2 MiB: a large guest's end must not hold up its neighbours. */
void gmem_object_put(struct gmem_object *o)
{
	ASSERT(o->refs);
	if (__atomic_sub_fetch(&o->refs, 1, __ATOMIC_ACQ_REL))
		return;
	for (uint64_t i = 0; i < chunk_count(o); i++) {
		uint64_t e = o->chunk[i];

		if (e & ENTRY_TABLE)
			leaf_table_free(e);
		if (e)
			page_put(gmem_entry_page(e));
		sched_point();
	}
	gmem_promise_take_back((o->size - o->start) / PAGE_SIZE - o->out_pages);
	heap_free(o->out);
	heap_free(o->chunk);
	heap_free(o);
}

/* ---- filling --------------------------------------------------------------------------------- */

/* Does the object have the aligned `size` around `at`, and may its pages be that large? */
static bool covers(const struct gmem_object *o, uint64_t at, uint64_t size)
{
	return o->page_level >= (size == PAGE_1G ? 3u : 2u) &&
	       range_within(ALIGN_DOWN(at, size), size, o->start, o->size - o->start);
}

static struct page *guest_page(struct gmem_object *o, unsigned order, unsigned flags)
{
	return page_alloc(order, flags | PAGE_GUEST, o->node, o->charge);
}

/* What is filled counts as written at once, unless somebody asks whether it was. */
static uint64_t at_first(const struct gmem_object *o)
{
	return READ_ONCE(o->trackers) ? 0 : ENTRY_WRITTEN;
}

bool gmem_object_commit(struct gmem_object *o, uint64_t at, struct page *p, uint64_t written)
{
	struct spinlock *l = gmem_lock_of(o, at);
	uint64_t irq = spin_lock_irq(l), size, *e = gmem_entry_of(o, at, &size);
	bool won = !*e && size == PAGE_SIZE << p->order;

	/* It may have gone out after it was looked at. */
	if (unlikely(READ_ONCE(o->out)))
		won &= p->order ? !gmem_any_out(o, at) : !gmem_is_out(o, at);

	ASSERT(range_within(ALIGN_DOWN(at, PAGE_SIZE << p->order),
	       PAGE_SIZE << p->order, o->start, o->size - o->start));
	/* The way back, for whoever looks for memory to take. */
	p->owner = o;
	p->index = ALIGN_DOWN(at, PAGE_SIZE << p->order) >> PAGE_SHIFT;
	if (won)
		WRITE_ONCE(*e, gmem_entry_present(p, written));
	spin_unlock_irq(l, irq);
	if (won)
		__atomic_add_fetch(&o->present_pages, 1ul << p->order, __ATOMIC_RELAXED);
	else
		page_put(p);
	return won;
}

static bool gib_is_absent(const struct gmem_object *o, uint64_t at)
{
	const uint64_t *c = gmem_chunk_of(o, at);

	for (unsigned i = 0; i < ENTRIES; i++)
		if (READ_ONCE(c[i]))
			return false;
	return true;
}

/* Only what is scrubbed already: clearing a GiB would stop the vCPU for long. */
static bool fill_1g(struct gmem_object *o, uint64_t at)
{
	struct page *p;

	if (!covers(o, at, PAGE_1G) || READ_ONCE(o->out_pages))
		return false;
	at = ALIGN_DOWN(at, PAGE_1G);
	if (!gib_is_absent(o, at))
		return false;
	p = guest_page(o, PAGE_ORDER_1G, PAGE_ZEROED | PAGE_READY);
	if (!p)
		return false;
	page_split_to(p, PAGE_ORDER_2M);
	for (unsigned i = 0; i < ENTRIES; i++)
		(void)gmem_object_commit(o, at + i * PAGE_2M, p + i * ENTRIES, at_first(o));
	return true;
}

int gmem_object_table(struct gmem_object *o, uint64_t at)
{
	struct spinlock *l = gmem_lock_of(o, at);
	uint64_t *c = gmem_chunk_of(o, at), irq;
	struct page *t;
	bool lost;

	ASSERT(at < ALIGN_UP(o->size, PAGE_2M));
	if (READ_ONCE(*c))
		return 0;
	t = page_alloc(0, PAGE_ZEROED, o->node, o->charge);
	if (!t)
		return -ENOMEM;
	t->owner = NULL;
	irq = spin_lock_irq(l);
	lost = *c;
	if (!lost)
		WRITE_ONCE(*c, (uint64_t)page_virt(t) | ENTRY_TABLE);
	spin_unlock_irq(l, irq);
	if (lost)
		page_put(t);
	return 0;
}

static int fill_4k(struct gmem_object *o, uint64_t at)
{
	struct page *p;

	if ((gmem_is_out(o, at) && gmem_object_recall(o, at)) || gmem_object_table(o, at))
		return -ENOMEM;
	p = guest_page(o, PAGE_ORDER_4K, PAGE_ZEROED);
	if (!p)
		return -ENOMEM;
	(void)gmem_object_commit(o, at, p, at_first(o));
	return 0;
}

/* The frame at `at` becomes present, with its neighbours where a larger page is to be had. */
static int fill(struct gmem_object *o, uint64_t at)
{
	struct page *p;

	ASSERT(thread_may_wait());
	if (READ_ONCE(*gmem_chunk_of(o, at)) || !covers(o, at, PAGE_2M) || gmem_any_out(o, at))
		return fill_4k(o, at);
	if (fill_1g(o, at))
		return 0;
	p = guest_page(o, PAGE_ORDER_2M, PAGE_ZEROED);
	if (!p)
		return fill_4k(o, at);
	(void)gmem_object_commit(o, at, p, at_first(o));
	return 0;
}

/* ---- reaching -------------------------------------------------------------------------------- */

static uint64_t entry_at(struct gmem_object *o, uint64_t at)
{
	struct spinlock *l = gmem_lock_of(o, at);
	uint64_t irq = spin_lock_irq(l), size, e = *gmem_entry_of(o, at, &size);

	spin_unlock_irq(l, irq);
	return e;
}

bool gmem_object_is_absent(struct gmem_object *o, uint64_t at)
{
	return !entry_at(o, at);
}

int gmem_object_provide(struct gmem_object *o, uint64_t at, unsigned access)
{
	uint64_t e = READ_ONCE(*gmem_chunk_of(o, at)) ? entry_at(o, at) : 0;

	ASSERT(at - o->start < o->size - o->start);
	if (!e)
		return fill(o, at);
	if (gmem_entry_is_shared(e))
		return !gmem_entry_allows(e, access);
	if (access & GMEM_WRITE)
		gmem_object_mark(o, at);
	return 0;
}

bool gmem_object_pin_now(struct gmem_object *o, uint64_t at, unsigned access, void **ptr,
			 struct page **page)
{
	uint64_t irq = cpu_irq_save();
	bool there = gmem_object_pin_quick(o, at, access, ptr, page);

	ASSERT(at < o->size);
	cpu_irq_restore(irq);
	return there;
}

bool gmem_object_write_whole(struct gmem_object *o, uint64_t at, const void *src)
{
	struct page *p;

	if (at % PAGE_2M || !covers(o, at, PAGE_2M) || READ_ONCE(*gmem_chunk_of(o, at)))
		return false;
	p = guest_page(o, PAGE_ORDER_2M, 0);
	if (!p)
		return false;
	memcpy(page_virt(p), src, PAGE_2M);
	return gmem_object_commit(o, at, p, ENTRY_WRITTEN);
}
