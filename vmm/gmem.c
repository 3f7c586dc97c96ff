/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory.
 *
 * Design. The truth is a two-level table per slot: one entry per 2 MiB of guest addresses, which is absent, a whole 2 MiB page,
 * or a leaf table of 512 entries, one per 4K frame. Absent frames are filled when first written, mapped or faulted: with a
 * scrubbed GiB where guest and slot allow, else with 2 MiB, else with 4K. A GiB is kept as 512 pages of 2 MiB that happen to be
 * adjacent; the fault path finds that and gives it one leaf. The entry's state is the seam for swapping and sharing: whoever
 * needs a frame goes through resident() and fill().
 *
 * Locking. g->lock guards entries, tables and counters; it is not held while pages are allocated or cleared, so a fill looks
 * again before it commits. gmem_peek reads entries without it: they go from absent to present in one store, and on
 * the way back the flush callback waits for the vCPU threads, the only ones that peek.
 */
#include "vmm/gmem.h"

#include "include/bits.h"
#include "include/errno.h"
#include "kernel/panic.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "mm/kmap.h"

#define ENTRIES		512u
#define CHUNK_SHIFT	21

#define ENTRY_STATE	BITS(1, 0)	/* enum gmem_state */
#define ENTRY_LARGE	BIT(2)		/* of a chunk: 2 MiB in one page */
#define ENTRY_TABLE	BIT(3)		/* of a chunk: a leaf table; no state of its own */
#define ENTRY_DIRTY	BIT(4)		/* written by Keel, or a write faulted */
#define ENTRY_ADDRESS	BITS(51, 12)

struct gmem_slot {
	uint64_t base, size;
	uint64_t *chunk;		/* by (address >> 21) - (base >> 21) */
	uint64_t chunk_count;
};

/* Atomic. */
static uint64_t promised;

uint64_t gmem_promised(void)
{
	return __atomic_load_n(&promised, __ATOMIC_RELAXED);
}

/* ---- finding ------------------------------------------------------------------------------------------------------ */

static always_inline struct gmem_slot *slot_of(const struct gmem *g, uint64_t a)
{
	for (unsigned i = 0; i < g->slot_count; i++)
		if (a - g->slot[i]->base < g->slot[i]->size)
			return g->slot[i];
	return NULL;
}

static always_inline uint64_t *chunk_of(const struct gmem_slot *s, uint64_t a)
{
	return &s->chunk[(a >> CHUNK_SHIFT) - (s->base >> CHUNK_SHIFT)];
}

static always_inline uint64_t *leaf_of(uint64_t chunk, uint64_t a)
{
	return (uint64_t *)(LAYOUT_DIRECT + (chunk & ENTRY_ADDRESS)) + (a >> PAGE_SHIFT) % ENTRIES;
}

/* The entry that decides about `a`: a chunk's or a leaf's. */
static always_inline uint64_t *entry_of(const struct gmem_slot *s, uint64_t a)
{
	uint64_t *c = chunk_of(s, a), e = READ_ONCE(*c);

	return e & ENTRY_TABLE ? leaf_of(e, a) : c;
}

static always_inline bool allows(uint64_t e, unsigned access)
{
	unsigned state = e & ENTRY_STATE;

	return state == GMEM_PRESENT || (state == GMEM_SHARED_COW && !(access & GMEM_WRITE));
}

static always_inline void *pointer_of(uint64_t e, uint64_t a)
{
	uint64_t offset = e & ENTRY_LARGE ? a % PAGE_2M : a % PAGE_SIZE;

	return (void *)(LAYOUT_DIRECT + (e & ENTRY_ADDRESS) + offset);
}

bool gmem_is_ram(struct gmem *g, gpa_t a)
{
	return slot_of(g, a.v);
}

void *gmem_peek(struct gmem *g, gpa_t a, unsigned access)
{
	const struct gmem_slot *s = slot_of(g, a.v);
	uint64_t e;

	if (!s)
		return NULL;
	e = READ_ONCE(*entry_of(s, a.v));
	return likely(allows(e, access)) ? pointer_of(e, a.v) : NULL;
}

/* Under the lock: the byte at `a` if it is there; a write marks it dirty. */
static void *resident(struct gmem_slot *s, uint64_t a, unsigned access)
{
	uint64_t *e = entry_of(s, a);

	if (!allows(*e, access))
		return NULL;
	if ((access & GMEM_WRITE) && !(*e & ENTRY_DIRTY))
		WRITE_ONCE(*e, *e | ENTRY_DIRTY);
	return pointer_of(*e, a);
}

/* ---- filling ------------------------------------------------------------------------------------------------------ */

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
	return page_hpa(p).v | GMEM_PRESENT | flags;
}

/* 2^order frames become entry `e`, unless somebody was faster. */
static void commit(struct gmem *g, uint64_t *e, struct page *p, uint64_t flags)
{
	bool lost;

	spin_lock(&g->lock);
	lost = *e;
	if (!lost) {
		g->present_pages += 1ul << p->order;
		WRITE_ONCE(*e, present(p, flags));
	}
	spin_unlock(&g->lock);
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
static bool fill_1g(struct gmem *g, struct gmem_slot *s, uint64_t a)
{
	uint64_t *c;
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
	spin_lock(&g->lock);
	won = chunks_absent(c);
	if (won) {
		page_split_to(p, PAGE_ORDER_2M);
		for (unsigned i = 0; i < ENTRIES; i++)
			WRITE_ONCE(c[i], present(p + i * ENTRIES, ENTRY_LARGE));
		g->present_pages += 1ul << PAGE_ORDER_1G;
	}
	spin_unlock(&g->lock);
	if (!won)
		page_put(p);
	return true;
}

/* Entries of a leaf table follow those of its chunk, which is absent so far. */
static int make_leaf_table(struct gmem *g, uint64_t *c)
{
	struct page *t = page_alloc(0, PAGE_ZEROED, g->config.node, g->config.charge);
	bool lost;

	if (!t)
		return -ENOMEM;
	spin_lock(&g->lock);
	lost = *c;
	if (!lost)
		WRITE_ONCE(*c, page_hpa(t).v | ENTRY_TABLE);
	spin_unlock(&g->lock);
	if (lost)
		page_put(t);
	return 0;
}

static int fill_4k(struct gmem *g, struct gmem_slot *s, uint64_t a)
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
static int fill(struct gmem *g, struct gmem_slot *s, uint64_t a)
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
	commit(g, c, p, ENTRY_LARGE);
	return 0;
}

/* Under the lock on success: the byte at `a`. NULL without it: *err says why. */
static void *acquire(struct gmem *g, uint64_t a, unsigned access, int *err)
{
	struct gmem_slot *s = slot_of(g, a);
	void *p;

	*err = -EFAULT;
	if (!s)
		return NULL;
	for (;;) {
		spin_lock(&g->lock);
		p = resident(s, a, access);
		if (p)
			return p;
		spin_unlock(&g->lock);
		*err = fill(g, s, a);
		if (*err)
			return NULL;
	}
}

/* ---- copying ------------------------------------------------------------------------------------------------------ */

static size_t piece(uint64_t a, size_t n)
{
	return MIN(n, PAGE_SIZE - a % PAGE_SIZE);
}

static bool is_absent(struct gmem *g, uint64_t a)
{
	struct gmem_slot *s = slot_of(g, a);

	return s && !READ_ONCE(*entry_of(s, a));
}

int gmem_read(struct gmem *g, gpa_t a, void *dst, size_t n)
{
	size_t len;
	int err;

	for (uint8_t *to = dst; n; n -= len, to += len, a.v += len) {
		const void *p;

		len = piece(a.v, n);
		if (is_absent(g, a.v)) {
			memset(to, 0, len);
			continue;
		}
		p = acquire(g, a.v, GMEM_READ, &err);
		if (!p)
			return err;
		memcpy(to, p, len);
		spin_unlock(&g->lock);
	}
	return 0;
}

/* A chunk that is absent and overwritten as a whole needs no clearing before. Loading images and initrds does this. */
static bool write_whole(struct gmem *g, uint64_t a, const void *src, size_t n)
{
	struct gmem_slot *s = slot_of(g, a);
	struct page *p;

	if (n < PAGE_2M || a % PAGE_2M || !s || !covers(g, s, a, PAGE_2M) || READ_ONCE(*chunk_of(s, a)))
		return false;
	p = guest_page(g, PAGE_ORDER_2M, 0);
	if (!p)
		return false;
	memcpy(page_virt(p), src, PAGE_2M);
	commit(g, chunk_of(s, a), p, ENTRY_LARGE | ENTRY_DIRTY);
	return true;
}

int gmem_write(struct gmem *g, gpa_t a, const void *src, size_t n)
{
	size_t len;
	int err;

	for (const uint8_t *from = src; n; n -= len, from += len, a.v += len) {
		void *p;

		len = PAGE_2M;
		if (write_whole(g, a.v, from, n))
			continue;
		len = piece(a.v, n);
		p = acquire(g, a.v, GMEM_WRITE, &err);
		if (!p)
			return err;
		memcpy(p, from, len);
		spin_unlock(&g->lock);
	}
	return 0;
}

int gmem_fill(struct gmem *g, gpa_t a, uint8_t byte, size_t n)
{
	size_t len;
	int err;

	for (; n; n -= len, a.v += len) {
		void *p;

		len = piece(a.v, n);
		if (!byte && is_absent(g, a.v))
			continue;
		p = acquire(g, a.v, GMEM_WRITE, &err);
		if (!p)
			return err;
		memset(p, byte, len);
		spin_unlock(&g->lock);
	}
	return 0;
}

int gmem_map(struct gmem *g, gpa_t a, size_t len, unsigned access, struct gmem_mapping *out)
{
	uint64_t e;
	int err;
	void *p = acquire(g, a.v, access, &err);

	if (!p)
		return err;
	e = *entry_of(slot_of(g, a.v), a.v);
	*out = (struct gmem_mapping){
		.ptr = p,
		.len = piece(a.v, len),
		.page = page_at(HPA(e & ENTRY_ADDRESS)),
		.gpa = a,
		.access = access,
	};
	page_get(out->page);
	spin_unlock(&g->lock);
	return 0;
}

void gmem_unmap(struct gmem *g, struct gmem_mapping *m)
{
	if (m->access & GMEM_WRITE) {
		/* Again: what collects dirty marks may have cleared it meanwhile. */
		spin_lock(&g->lock);
		(void)resident(slot_of(g, m->gpa.v), m->gpa.v, GMEM_WRITE);
		spin_unlock(&g->lock);
	}
	page_put(m->page);
	m->ptr = NULL;
	m->page = NULL;
}

/* ---- the second-level tables -------------------------------------------------------------------------------------- */

/* Are the 512 chunks around `a` one GiB of adjacent host memory? */
static bool is_1g(const struct gmem *g, const struct gmem_slot *s, uint64_t a)
{
	const uint64_t *c;
	uint64_t first;

	if (!covers(g, s, a, PAGE_1G))
		return false;
	c = chunk_of(s, ALIGN_DOWN(a, PAGE_1G));
	first = c[0] & ENTRY_ADDRESS;
	if (first % PAGE_1G)
		return false;
	for (unsigned i = 0; i < ENTRIES; i++)
		if (!(c[i] & ENTRY_LARGE) || (c[i] & ENTRY_STATE) != GMEM_PRESENT ||
		    (c[i] & ENTRY_ADDRESS) != first + i * PAGE_2M)
			return false;
	return true;
}

/* Under the lock: the leaf for `a`, as large as the truth allows. */
static int map_leaf(struct gmem *g, struct gmem_slot *s, uint64_t a)
{
	uint64_t e = *entry_of(s, a), size = e & ENTRY_LARGE ? PAGE_2M : PAGE_SIZE;
	unsigned prot = PROT_READ | PROT_EXEC | PROT_USER;
	uint64_t host = e & ENTRY_ADDRESS;

	if ((e & ENTRY_STATE) == GMEM_PRESENT)
		prot |= PROT_WRITE;
	if ((e & ENTRY_LARGE) && is_1g(g, s, a)) {
		size = PAGE_1G;
		host = ALIGN_DOWN(host, PAGE_1G);
	}
	/* What it may replace is the same frames in smaller leaves: no TLB needs to know. */
	return MIN(paging_map(&g->tables, ALIGN_DOWN(a, size), HPA(host), size, prot, CACHE_WB), 0);
}

int gmem_fault(struct gmem *g, gpa_t a, unsigned access)
{
	int err;
	void *p = acquire(g, a.v, access, &err);

	if (!p)
		return err == -EFAULT ? -ENOENT : err;
	err = map_leaf(g, slot_of(g, a.v), a.v);
	g->faults++;
	spin_unlock(&g->lock);
	return err;
}

int gmem_drop_tables(struct gmem *g)
{
	struct list tables;
	int r;

	spin_lock(&g->lock);
	r = paging_unmap(&g->tables, 0, 1ul << g->config.gpa_bits);
	paging_retired(&g->tables, &tables);
	g->generation++;
	spin_unlock(&g->lock);
	if (g->config.flush)
		g->config.flush(g->config.arg);
	paging_free_retired(&tables);
	return MIN(r, 0);
}

hpa_t gmem_root(const struct gmem *g)
{
	return page_hpa(g->tables.root);
}

/* ---- slots -------------------------------------------------------------------------------------------------------- */

int gmem_init(struct gmem *g, const struct gmem_config *c)
{
	if (c->gpa_bits < 32 || c->gpa_bits > 12 + 9 * c->format->levels)
		return -EINVAL;
	*g = (struct gmem){ .config = *c };
	spin_init(&g->lock, "gmem", LOCK_GMEM);
	return paging_init(&g->tables, c->format, c->max_leaf_level, c->charge);
}

/* Every guest can have all that it was promised, with Keel's reserve untouched. */
static int promise(uint64_t frames)
{
	struct page_stats s;
	uint64_t now = __atomic_add_fetch(&promised, frames, __ATOMIC_RELAXED);

	if (page_stats_get(NODE_ANY, &s) || now + s.kernel + page_reserve > s.total || now < frames) {
		__atomic_sub_fetch(&promised, frames, __ATOMIC_RELAXED);
		return -ENOMEM;
	}
	return 0;
}

static struct gmem_slot *slot_new(uint64_t base, uint64_t size)
{
	struct gmem_slot *s = heap_alloc(sizeof(*s));

	if (!s)
		return NULL;
	s->base = base;
	s->size = size;
	s->chunk_count = ((base + size - 1) >> CHUNK_SHIFT) - (base >> CHUNK_SHIFT) + 1;
	s->chunk = heap_alloc(s->chunk_count * sizeof(*s->chunk));
	if (s->chunk)
		return s;
	heap_free(s);
	return NULL;
}

/* Where it belongs among the sorted slots, or -EEXIST. */
static int slot_place(const struct gmem *g, uint64_t base, uint64_t size)
{
	unsigned i = 0;

	while (i < g->slot_count && g->slot[i]->base < base)
		i++;
	if (i > 0 && base - g->slot[i - 1]->base < g->slot[i - 1]->size)
		return -EEXIST;
	if (i < g->slot_count && g->slot[i]->base - base < size)
		return -EEXIST;
	return (int)i;
}

int gmem_add_ram(struct gmem *g, gpa_t base, uint64_t size)
{
	struct gmem_slot *s;
	int at;

	if (!size || !IS_ALIGNED(base.v | size, PAGE_SIZE) || !range_within(base.v, size, 0, 1ul << g->config.gpa_bits))
		return -EINVAL;
	at = slot_place(g, base.v, size);
	if (at < 0)
		return at;
	if (g->slot_count == GMEM_SLOT_MAX)
		return -ENOSPC;
	if (promise(size / PAGE_SIZE))
		return -ENOMEM;
	s = slot_new(base.v, size);
	if (!s) {
		__atomic_sub_fetch(&promised, size / PAGE_SIZE, __ATOMIC_RELAXED);
		return -ENOMEM;
	}
	for (unsigned i = g->slot_count++; i > (unsigned)at; i--)
		g->slot[i] = g->slot[i - 1];
	g->slot[at] = s;
	g->ram_pages += size / PAGE_SIZE;
	return 0;
}

static void leaf_table_free(uint64_t e)
{
	uint64_t *leaf = kmap_direct(HPA(e & ENTRY_ADDRESS));

	for (unsigned i = 0; i < ENTRIES; i++)
		if (leaf[i])
			page_put(page_at(HPA(leaf[i] & ENTRY_ADDRESS)));
}

static void slot_free(struct gmem_slot *s)
{
	for (uint64_t i = 0; i < s->chunk_count; i++) {
		uint64_t e = s->chunk[i];

		if (e & ENTRY_TABLE)
			leaf_table_free(e);
		if (e)
			page_put(page_at(HPA(e & ENTRY_ADDRESS)));
	}
	heap_free(s->chunk);
	heap_free(s);
}

void gmem_destroy(struct gmem *g)
{
	paging_destroy(&g->tables);
	for (unsigned i = 0; i < g->slot_count; i++)
		slot_free(g->slot[i]);
	__atomic_sub_fetch(&promised, g->ram_pages, __ATOMIC_RELAXED);
	*g = (struct gmem){ .config = g->config };
}
