/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory.
 *
 * Design. The truth is a two-level table per slot: one entry per 2 MiB of guest addresses, which is
 * absent, a whole 2 MiB page, or a leaf table of 512 entries, one per 4K frame. Absent frames are
 * filled when first written, mapped or faulted: with a scrubbed GiB where guest and slot allow,
 * else with 2 MiB, else with 4K. A GiB is kept as 512 pages of 2 MiB that happen to be adjacent;
 * the fault path finds that and gives it one leaf. The entry's state is the seam for swapping and
 * sharing: whoever needs a frame goes through gmem_resident() and fill(). It also says whether the
 * frame counts as written: vmm/gmem_dirty.c.
 *
 * Locking. g->lock (LOCK_GMEM; irq-safe, so that no interrupt handler finds it held below its own
 * locks) guards entries, tables and counters. It is not held while pages are allocated, cleared or
 * copied: a fill looks again before it commits, a copy pins its page. gmem_peek reads entries
 * without it: they go from absent to present in one store, and on the way back the flush callback
 * waits for the vCPU threads, the only ones that peek.
 */
#include "vmm/gmem.h"

#include "include/bits.h"
#include "include/errno.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "lib/string.h"
#include "vmm/gmem_entry.h"

/* ---- finding --------------------------------------------------------------------------------- */

const struct gmem_slot *gmem_slot_search(const struct gmem *g, uint64_t a)
{
	for (unsigned i = 0; i < g->slot_count; i++)
		if (a - g->slot[i].base < g->slot[i].size)
			return &g->slot[i];
	return NULL;
}

bool gmem_is_ram(struct gmem *g, gpa_t a)
{
	return gmem_slot_of(g, a.v);
}

void *gmem_peek(struct gmem *g, gpa_t a, unsigned access)
{
	const struct gmem_slot *s = gmem_slot_of(g, a.v);
	uint64_t e;

	if (unlikely(!s))
		return NULL;
	e = READ_ONCE(*gmem_chunk_of(s, a.v));
	if (e & ENTRY_TABLE) {
		e = READ_ONCE(*gmem_leaf_of(e, a.v));
		return likely(gmem_allows(e, access)) ? gmem_pointer_of(e, a.v, PAGE_SIZE) : NULL;
	}
	return likely(gmem_allows(e, access)) ? gmem_pointer_of(e, a.v, PAGE_2M) : NULL;
}

/* ---- filling --------------------------------------------------------------------------------- */

static struct page *guest_page(struct gmem *g, unsigned order, unsigned flags)
{
	return page_alloc(order, flags | PAGE_GUEST, g->config.node, g->config.charge);
}

/* What is filled counts as written at once, unless somebody asks whether it was. */
static uint64_t at_first(const struct gmem *g)
{
	return READ_ONCE(g->trackers) ? 0 : ENTRY_WRITTEN;
}

/* 2^order frames become entry `e`, unless somebody was faster. */
static void commit(struct gmem *g, uint64_t *e, struct page *p, uint64_t written)
{
	uint64_t irq;
	bool lost;

	irq = spin_lock_irq(&g->lock);
	lost = *e;
	if (!lost) {
		g->present_pages += 1ul << p->order;
		WRITE_ONCE(*e, gmem_entry_present(p, written));
	}
	spin_unlock_irq(&g->lock, irq);
	if (lost)
		page_put(p);
}

static bool chunks_absent(const uint64_t *c)
{
	for (unsigned i = 0; i < ENTRIES; i++)
		if (READ_ONCE(c[i]))
			return false;
	return true;
}

/* Only what is scrubbed already: clearing a GiB would stop the vCPU for long. */
static bool fill_1g(struct gmem *g, const struct gmem_slot *s, uint64_t a)
{
	uint64_t *c, irq;
	struct page *p;
	bool won;

	if (!gmem_covers(g, s, a, PAGE_1G))
		return false;
	c = gmem_chunk_of(s, ALIGN_DOWN(a, PAGE_1G));
	if (!chunks_absent(c))
		return false;
	p = guest_page(g, PAGE_ORDER_1G, PAGE_ZEROED | PAGE_READY);
	if (!p)
		return false;
	irq = spin_lock_irq(&g->lock);
	won = chunks_absent(c);
	if (won) {
		page_split_to(p, PAGE_ORDER_2M);
		for (unsigned i = 0; i < ENTRIES; i++)
			WRITE_ONCE(c[i], gmem_entry_present(p + i * ENTRIES, at_first(g)));
		g->present_pages += 1ul << PAGE_ORDER_1G;
	}
	spin_unlock_irq(&g->lock, irq);
	if (!won)
		page_put(p);
	return true;
}

/* Entries of a leaf table follow those of its chunk, which is absent so far. */
static int make_leaf_table(struct gmem *g, uint64_t *c)
{
	struct page *t = page_alloc(0, PAGE_ZEROED, g->config.node, g->config.charge);
	uint64_t irq;
	bool lost;

	if (!t)
		return -ENOMEM;
	t->owner = NULL;
	irq = spin_lock_irq(&g->lock);
	lost = *c;
	if (!lost)
		WRITE_ONCE(*c, (uint64_t)page_virt(t) | ENTRY_TABLE);
	spin_unlock_irq(&g->lock, irq);
	if (lost)
		page_put(t);
	return 0;
}

static int fill_4k(struct gmem *g, const struct gmem_slot *s, uint64_t a)
{
	uint64_t *c = gmem_chunk_of(s, a), e;
	struct page *p;

	if (!READ_ONCE(*c) && make_leaf_table(g, c))
		return -ENOMEM;
	e = READ_ONCE(*c);
	if (!(e & ENTRY_TABLE))
		return 0;
	p = guest_page(g, PAGE_ORDER_4K, PAGE_ZEROED);
	if (!p)
		return -ENOMEM;
	commit(g, gmem_leaf_of(e, a), p, at_first(g));
	return 0;
}

/* Makes the frame at `a` present, with its neighbours where a larger page is to be had. */
static int fill(struct gmem *g, const struct gmem_slot *s, uint64_t a)
{
	uint64_t *c = gmem_chunk_of(s, a);
	struct page *p;

	if (READ_ONCE(*c) || !gmem_covers(g, s, a, PAGE_2M))
		return fill_4k(g, s, a);
	if (fill_1g(g, s, a))
		return 0;
	p = guest_page(g, PAGE_ORDER_2M, PAGE_ZEROED);
	if (!p)
		return fill_4k(g, s, a);
	commit(g, c, p, at_first(g));
	return 0;
}

struct gmem_held gmem_acquire_slow(struct gmem *g, const struct gmem_slot *s, uint64_t a,
				   unsigned access)
{
	struct gmem_held h = { 0 };

	for (;;) {
		if (gmem_is_absent(s, a))
			h.err = fill(g, s, a);
		else if (access & GMEM_WRITE)
			gmem_mark(g, s, a);
		if (h.err)
			return h;
		h.irq = spin_lock_irq(&g->lock);
		h.p = gmem_resident(s, a, access);
		if (h.p)
			return h;
		spin_unlock_irq(&g->lock, h.irq);
	}
}

/* ---- copying --------------------------------------------------------------------------------- */

static size_t piece(uint64_t a, size_t n)
{
	return MIN(n, PAGE_SIZE - a % PAGE_SIZE);
}

/* Most copies are a word or two: a ring's index, a descriptor, a page-table entry. */
static always_inline void copy(void *dst, const void *src, size_t n)
{
	if (n == 8)
		memcpy(dst, src, 8);
	else if (n == 4)
		memcpy(dst, src, 4);
	else
		memcpy(dst, src, n);
}

/* One page's part; absent frames read as zeros. */
static always_inline int read_piece(struct gmem *g, uint64_t a, void *dst, size_t n)
{
	const struct gmem_slot *s = gmem_slot_of(g, a);
	struct gmem_mapping m;
	int err;

	if (likely(s) && unlikely(gmem_is_absent(s, a))) {
		memset(dst, 0, n);
		return 0;
	}
	err = gmem_map(g, GPA(a), n, GMEM_READ, &m);
	if (unlikely(err))
		return err;
	copy(dst, m.ptr, n);
	gmem_unmap(g, &m);
	return 0;
}

int gmem_read(struct gmem *g, gpa_t a, void *dst, size_t n)
{
	uint8_t *to = dst;

	while (n) {
		size_t len = piece(a.v, n);
		int err = read_piece(g, a.v, to, len);

		if (err)
			return err;
		n -= len;
		to += len;
		a.v += len;
	}
	return 0;
}

/*
 * A chunk that is absent and overwritten as a whole needs no clearing before. Loading images and
 * initrds does this.
 */
static bool write_whole(struct gmem *g, uint64_t a, const void *src)
{
	const struct gmem_slot *s = gmem_slot_of(g, a);
	struct page *p;

	if (a % PAGE_2M || !s || !gmem_covers(g, s, a, PAGE_2M) || READ_ONCE(*gmem_chunk_of(s, a)))
		return false;
	p = guest_page(g, PAGE_ORDER_2M, 0);
	if (!p)
		return false;
	memcpy(page_virt(p), src, PAGE_2M);
	commit(g, gmem_chunk_of(s, a), p, ENTRY_WRITTEN);
	return true;
}

/* At each 2 MiB of a long copy, an image say, whoever else wants the CPU has it. */
static void give_way(uint64_t a)
{
	if (!(a % PAGE_2M))
		sched_point();
}

int gmem_write(struct gmem *g, gpa_t a, const void *src, size_t n)
{
	size_t len;

	for (const uint8_t *from = src; n; n -= len, from += len, a.v += len) {
		struct gmem_mapping m;
		int err;

		len = PAGE_2M;
		if (unlikely(n >= PAGE_2M)) {
			give_way(a.v);
			if (write_whole(g, a.v, from))
				continue;
		}
		len = piece(a.v, n);
		err = gmem_map(g, a, len, GMEM_WRITE, &m);
		if (err)
			return err;
		copy(m.ptr, from, len);
		gmem_unmap(g, &m);
	}
	return 0;
}

int gmem_fill(struct gmem *g, gpa_t a, uint8_t byte, size_t n)
{
	size_t len;

	for (; n; n -= len, a.v += len) {
		const struct gmem_slot *s = gmem_slot_of(g, a.v);
		struct gmem_mapping m;
		int err;

		if (unlikely(n >= PAGE_2M))
			give_way(a.v);
		len = piece(a.v, n);
		if (s && !byte && gmem_is_absent(s, a.v))
			continue;
		err = gmem_map(g, a, len, GMEM_WRITE, &m);
		if (err)
			return err;
		memset(m.ptr, byte, len);
		gmem_unmap(g, &m);
	}
	return 0;
}

int gmem_map(struct gmem *g, gpa_t a, size_t len, unsigned access, struct gmem_mapping *out)
{
	const struct gmem_slot *s = gmem_slot_of(g, a.v);
	struct gmem_held h = gmem_acquire(g, s, a.v, access);

	if (unlikely(!h.p))
		return h.err;
	*out = (struct gmem_mapping){
		.ptr = h.p,
		.len = piece(a.v, len),
		.page = gmem_page_of(s, a.v),
		.gpa = a,
		.access = access,
	};
	page_get(out->page);
	spin_unlock_irq(&g->lock, h.irq);
	return 0;
}

void gmem_unmap(struct gmem *g, struct gmem_mapping *m)
{
	const struct gmem_slot *s = gmem_slot_of(g, m->gpa.v);

	/* The mark may have been taken meanwhile, before the last byte was written. */
	if (m->access & GMEM_WRITE && s) {
		uint64_t irq = spin_lock_irq(&g->lock);
		bool marked = gmem_resident(s, m->gpa.v, GMEM_WRITE);

		spin_unlock_irq(&g->lock, irq);
		if (unlikely(!marked))
			gmem_mark(g, s, m->gpa.v);
	}
	page_put(m->page);
	m->ptr = NULL;
	m->page = NULL;
}
