/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory.
 *
 * Design. The truth is a two-level table per slot: one entry per 2 MiB of guest addresses, which is
 * absent, a whole 2 MiB page, or a leaf table of 512 entries, one per 4K frame. Absent frames are
 * filled when first written, mapped or faulted: with a scrubbed GiB where guest and slot allow,
 * else with 2 MiB, else with 4K. A GiB is kept as 512 pages of 2 MiB that happen to be adjacent;
 * the fault path finds that and gives it one leaf. The entry's state is the seam for swapping and
 * sharing: whoever needs a frame goes through resident() and fill().
 *
 * Locking. g->lock (LOCK_GMEM; irq-safe, so that no interrupt handler finds it held below its own
 * locks) guards entries, tables and counters. It is not held while pages are allocated or cleared,
 * so a fill looks again before it commits. gmem_peek reads entries without it: they go from absent
 * to present in one store, and on the way back the flush callback waits for the vCPU threads, the
 * only ones that peek.
 */
#include "vmm/gmem.h"

#include "include/bits.h"
#include "include/errno.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "lib/string.h"
#include "vmm/gmem_entry.h"

/* ---- finding --------------------------------------------------------------------------------- */

static noinline const struct gmem_slot *slot_search(const struct gmem *g, uint64_t a)
{
	for (unsigned i = 0; i < g->slot_count; i++)
		if (a - g->slot[i].base < g->slot[i].size)
			return &g->slot[i];
	return NULL;
}

static always_inline const struct gmem_slot *slot_of(const struct gmem *g, uint64_t a)
{
	const struct gmem_slot *s = g->main;

	return likely(a - s->base < s->size) ? s : slot_search(g, a);
}

static always_inline uint64_t *chunk_of(const struct gmem_slot *s, uint64_t a)
{
	return (uint64_t *)(s->entries + (a >> CHUNK_SHIFT) * sizeof(uint64_t));
}

static always_inline uint64_t *leaf_of(uint64_t chunk, uint64_t a)
{
	return (uint64_t *)(chunk & PAGE_MASK) + (a >> PAGE_SHIFT) % ENTRIES;
}

/* The entry that decides about `a`, a chunk's or a leaf's, and the size of its page. */
static always_inline uint64_t *entry_of(const struct gmem_slot *s, uint64_t a, uint64_t *size)
{
	uint64_t *c = chunk_of(s, a), e = READ_ONCE(*c);

	*size = e & ENTRY_TABLE ? PAGE_SIZE : PAGE_2M;
	return e & ENTRY_TABLE ? leaf_of(e, a) : c;
}

static always_inline bool is_absent(const struct gmem_slot *s, uint64_t a)
{
	uint64_t size;

	return !READ_ONCE(*entry_of(s, a, &size));
}

static always_inline bool allows(uint64_t e, unsigned access)
{
	return !(access & ~e);
}

static always_inline void *pointer_of(uint64_t e, uint64_t a, uint64_t size)
{
	return (void *)((e & PAGE_MASK) + a % size);
}

bool gmem_is_ram(struct gmem *g, gpa_t a)
{
	return slot_of(g, a.v);
}

void *gmem_peek(struct gmem *g, gpa_t a, unsigned access)
{
	const struct gmem_slot *s = slot_of(g, a.v);
	uint64_t e;

	if (unlikely(!s))
		return NULL;
	e = READ_ONCE(*chunk_of(s, a.v));
	if (e & ENTRY_TABLE) {
		e = READ_ONCE(*leaf_of(e, a.v));
		return likely(allows(e, access)) ? pointer_of(e, a.v, PAGE_SIZE) : NULL;
	}
	return likely(allows(e, access)) ? pointer_of(e, a.v, PAGE_2M) : NULL;
}

/* Under the lock: the byte at `a` if it is there; a write marks it dirty. */
static always_inline void *resident(const struct gmem_slot *s, uint64_t a, unsigned access)
{
	uint64_t size, *entry = entry_of(s, a, &size), e = *entry;

	if (!allows(e, access))
		return NULL;
	if ((access & GMEM_WRITE) && !(e & ENTRY_DIRTY))
		WRITE_ONCE(*entry, e | ENTRY_DIRTY);
	return pointer_of(e, a, size);
}

/* ---- filling --------------------------------------------------------------------------------- */

/* Does the slot cover the aligned `size` around `a`, and may leaves be that large? */
static bool covers(const struct gmem *g, const struct gmem_slot *s, uint64_t a, uint64_t size)
{
	return g->config.max_leaf_level >= (size == PAGE_1G ? 3u : 2u) &&
	       range_within(ALIGN_DOWN(a, size), size, s->base, s->size);
}

static struct page *guest_page(struct gmem *g, unsigned order, unsigned flags)
{
	return page_alloc(order, flags | PAGE_GUEST, g->config.node, g->config.charge);
}

static uint64_t present(const struct page *p, uint64_t flags)
{
	return (uint64_t)page_virt(p) | ENTRY_ACCESS | flags;
}

/* 2^order frames become entry `e`, unless somebody was faster. */
static void commit(struct gmem *g, uint64_t *e, struct page *p, uint64_t flags)
{
	uint64_t irq;
	bool lost;

	irq = spin_lock_irq(&g->lock);
	lost = *e;
	if (!lost) {
		g->present_pages += 1ul << p->order;
		WRITE_ONCE(*e, present(p, flags));
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

	if (!covers(g, s, a, PAGE_1G))
		return false;
	c = chunk_of(s, ALIGN_DOWN(a, PAGE_1G));
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
			WRITE_ONCE(c[i], present(p + i * ENTRIES, 0));
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
	uint64_t *c = chunk_of(s, a);
	struct page *p;

	if (!READ_ONCE(*c) && make_leaf_table(g, c))
		return -ENOMEM;
	if (!(READ_ONCE(*c) & ENTRY_TABLE))
		return 0;
	p = guest_page(g, PAGE_ORDER_4K, PAGE_ZEROED);
	if (!p)
		return -ENOMEM;
	commit(g, leaf_of(*c, a), p, 0);
	return 0;
}

/* Makes the frame at `a` present, with its neighbours where a larger page is to be had. */
static int fill(struct gmem *g, const struct gmem_slot *s, uint64_t a)
{
	uint64_t *c = chunk_of(s, a);
	struct page *p;

	if (READ_ONCE(*c) || !covers(g, s, a, PAGE_2M))
		return fill_4k(g, s, a);
	if (fill_1g(g, s, a))
		return 0;
	p = guest_page(g, PAGE_ORDER_2M, PAGE_ZEROED);
	if (!p)
		return fill_4k(g, s, a);
	commit(g, c, p, 0);
	return 0;
}

/*
 * Under the lock on success: the byte at `a`, `irq` for the unlock. NULL without the lock:
 * `err` says why.
 */
struct held {
	void *p;
	uint64_t irq;
	int err;
};

/* What fills when resident() finds nothing; the lock is not held on entry. */
static noinline struct held acquire_slow(struct gmem *g, const struct gmem_slot *s, uint64_t a,
					 unsigned access)
{
	struct held h = { 0 };

	for (;;) {
		h.err = fill(g, s, a);
		if (h.err)
			return h;
		h.irq = spin_lock_irq(&g->lock);
		h.p = resident(s, a, access);
		if (h.p)
			return h;
		spin_unlock_irq(&g->lock, h.irq);
	}
}

static always_inline struct held acquire(struct gmem *g, const struct gmem_slot *s, uint64_t a,
					 unsigned access)
{
	struct held h = { .err = -EFAULT };

	if (unlikely(!s))
		return h;
	h.irq = spin_lock_irq(&g->lock);
	h.p = resident(s, a, access);
	if (likely(h.p))
		return h;
	spin_unlock_irq(&g->lock, h.irq);
	return acquire_slow(g, s, a, access);
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
	const struct gmem_slot *s = slot_of(g, a);
	struct held h = { 0 };

	if (unlikely(!s))
		return -EFAULT;
	h.irq = spin_lock_irq(&g->lock);
	h.p = resident(s, a, GMEM_READ);
	if (unlikely(!h.p)) {
		spin_unlock_irq(&g->lock, h.irq);
		if (is_absent(s, a)) {
			memset(dst, 0, n);
			return 0;
		}
		h = acquire_slow(g, s, a, GMEM_READ);
		if (!h.p)
			return h.err;
	}
	copy(dst, h.p, n);
	spin_unlock_irq(&g->lock, h.irq);
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
	const struct gmem_slot *s = slot_of(g, a);
	struct page *p;

	if (a % PAGE_2M || !s || !covers(g, s, a, PAGE_2M) || READ_ONCE(*chunk_of(s, a)))
		return false;
	p = guest_page(g, PAGE_ORDER_2M, 0);
	if (!p)
		return false;
	memcpy(page_virt(p), src, PAGE_2M);
	commit(g, chunk_of(s, a), p, ENTRY_DIRTY);
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
		struct held h;

		len = PAGE_2M;
		if (unlikely(n >= PAGE_2M)) {
			give_way(a.v);
			if (write_whole(g, a.v, from))
				continue;
		}
		len = piece(a.v, n);
		h = acquire(g, slot_of(g, a.v), a.v, GMEM_WRITE);
		if (!h.p)
			return h.err;
		copy(h.p, from, len);
		spin_unlock_irq(&g->lock, h.irq);
	}
	return 0;
}

int gmem_fill(struct gmem *g, gpa_t a, uint8_t byte, size_t n)
{
	size_t len;

	for (; n; n -= len, a.v += len) {
		struct held h;

		const struct gmem_slot *s = slot_of(g, a.v);

		if (unlikely(n >= PAGE_2M))
			give_way(a.v);
		len = piece(a.v, n);
		if (s && !byte && is_absent(s, a.v))
			continue;
		h = acquire(g, s, a.v, GMEM_WRITE);
		if (!h.p)
			return h.err;
		memset(h.p, byte, len);
		spin_unlock_irq(&g->lock, h.irq);
	}
	return 0;
}

int gmem_map(struct gmem *g, gpa_t a, size_t len, unsigned access, struct gmem_mapping *out)
{
	const struct gmem_slot *s = slot_of(g, a.v);
	struct held h = acquire(g, s, a.v, access);
	uint64_t size;

	if (!h.p)
		return h.err;
	*out = (struct gmem_mapping){
		.ptr = h.p,
		.len = piece(a.v, len),
		.page = gmem_entry_page(*entry_of(s, a.v, &size)),
		.gpa = a,
		.access = access,
	};
	page_get(out->page);
	spin_unlock_irq(&g->lock, h.irq);
	return 0;
}

void gmem_unmap(struct gmem *g, struct gmem_mapping *m)
{
	if (m->access & GMEM_WRITE) {
		/* Again: what collects dirty marks may have cleared it meanwhile. */
		uint64_t irq = spin_lock_irq(&g->lock);

		(void)resident(slot_of(g, m->gpa.v), m->gpa.v, GMEM_WRITE);
		spin_unlock_irq(&g->lock, irq);
	}
	page_put(m->page);
	m->ptr = NULL;
	m->page = NULL;
}

/* ---- the second-level tables ----------------------------------------------------------------- */

/* Are the 512 chunks around `a` one GiB of adjacent host memory? */
static bool is_1g(const struct gmem *g, const struct gmem_slot *s, uint64_t a)
{
	const uint64_t *c;
	uint64_t first;

	if (!covers(g, s, a, PAGE_1G))
		return false;
	c = chunk_of(s, ALIGN_DOWN(a, PAGE_1G));
	first = (c[0] & PAGE_MASK) - LAYOUT_DIRECT;
	if (first % PAGE_1G)
		return false;
	for (unsigned i = 0; i < ENTRIES; i++)
		if ((c[i] & ENTRY_TABLE) || (c[i] & ENTRY_ACCESS) != ENTRY_ACCESS ||
		    (c[i] & PAGE_MASK) != LAYOUT_DIRECT + first + i * PAGE_2M)
			return false;
	return true;
}

/*
 * Under the lock, where large leaves may not be executable: one that is not, and in its place a
 * small one for each page that is executed. It stays split: a TLB that has the large one takes the
 * fault of a fetch for its end, and by then has had no executable entry of two sizes.
 */
static int map_split(struct gmem *g, uint64_t a, uint64_t host, uint64_t size, unsigned prot,
		     unsigned access)
{
	unsigned data = prot & ~(unsigned)PROT_EXEC;
	struct paging_leaf old;
	int r = 0;

	if (paging_lookup(&g->tables, a, &old))
		old = (struct paging_leaf){ .size = size };
	if (old.size != PAGE_SIZE)
		r = paging_map(&g->tables, ALIGN_DOWN(a, size), HPA(host), size, data, CACHE_WB);
	if (r < 0 || !(access & GMEM_EXEC || old.size == PAGE_SIZE))
		return r;
	return paging_map(&g->tables, ALIGN_DOWN(a, PAGE_SIZE),
			  HPA(host + ALIGN_DOWN(a % size, PAGE_SIZE)), PAGE_SIZE,
			  access & GMEM_EXEC ? prot : data | (old.prot & PROT_EXEC), CACHE_WB);
}

/* Under the lock: the leaf for `a`, as large as the truth allows. */
static int map_leaf(struct gmem *g, const struct gmem_slot *s, uint64_t a, unsigned access)
{
	uint64_t size, e = *entry_of(s, a, &size), host = (e & PAGE_MASK) - LAYOUT_DIRECT;
	unsigned prot = PROT_READ | PROT_EXEC | PROT_USER | (e & GMEM_WRITE ? PROT_WRITE : 0);

	if (size == PAGE_2M && is_1g(g, s, a)) {
		size = PAGE_1G;
		host = ALIGN_DOWN(host, PAGE_1G);
	}
	if (unlikely(g->config.exec_4k && size != PAGE_SIZE))
		return MIN(map_split(g, a, host, size, prot, access), 0);
	/* What it may replace is the same frames in smaller leaves: no TLB needs to know. */
	return MIN(paging_map(&g->tables, ALIGN_DOWN(a, size), HPA(host), size, prot, CACHE_WB), 0);
}

int gmem_fault(struct gmem *g, gpa_t a, unsigned access)
{
	const struct gmem_slot *s = slot_of(g, a.v);
	struct held h;
	int err;

	if (!s)
		return -ENOENT;
	h = acquire(g, s, a.v, access);
	if (!h.p)
		return h.err;
	err = map_leaf(g, s, a.v, access);
	g->faults++;
	spin_unlock_irq(&g->lock, h.irq);
	return err;
}

int gmem_drop_tables(struct gmem *g)
{
	struct list tables;
	uint64_t irq;
	int r;

	irq = spin_lock_irq(&g->lock);
	r = paging_unmap(&g->tables, 0, 1ul << g->config.gpa_bits);
	paging_retired(&g->tables, &tables);
	g->generation++;
	spin_unlock_irq(&g->lock, irq);
	if (g->config.flush)
		g->config.flush(g->config.arg);
	paging_free_retired(&tables);
	return MIN(r, 0);
}

hpa_t gmem_root(const struct gmem *g)
{
	return page_hpa(g->tables.root);
}
