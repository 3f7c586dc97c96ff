/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The second-level tables (EPT, NPT) of a guest: a cache of what the slots' entries say, filled by
 * faults. See vmm/gmem.h and the head of vmm/gmem.c.
 */
#include "vmm/gmem_entry.h"

/* Are the 512 chunks around `a` one GiB of adjacent host memory? */
static bool is_1g(const struct gmem *g, const struct gmem_slot *s, uint64_t a)
{
	const uint64_t *c;
	uint64_t first;

	if (!gmem_covers(g, s, a, PAGE_1G))
		return false;
	c = gmem_chunk_of(s, ALIGN_DOWN(a, PAGE_1G));
	first = (c[0] & PAGE_MASK) - LAYOUT_DIRECT;
	if (first % PAGE_1G)
		return false;
	for (unsigned i = 0; i < ENTRIES; i++)
		if ((c[i] & ENTRY_TABLE) || (c[i] ^ c[0]) & ENTRY_ACCESS ||
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
	uint64_t size, e = *gmem_entry_of(s, a, &size), host = (e & PAGE_MASK) - LAYOUT_DIRECT;
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
	const struct gmem_slot *s = gmem_slot_of(g, a.v);
	struct gmem_held h;
	int err;

	if (!s)
		return -ENOENT;
	h = gmem_acquire(g, s, a.v, access);
	if (!h.p)
		return h.err;
	err = map_leaf(g, s, a.v, access);
	g->faults++;
	spin_unlock_irq(&g->lock, h.irq);
	return err;
}

/* `fn` changed the tables under the lock: no TLB, no cached walk and no peek is left of before. */
static int change(struct gmem *g, uint64_t a, uint64_t size,
		  int (*fn)(struct gmem *g, uint64_t a, uint64_t size))
{
	struct list tables;
	uint64_t irq;
	int r;

	irq = spin_lock_irq(&g->lock);
	r = fn(g, a, size);
	paging_retired(&g->tables, &tables);
	g->generation++;
	spin_unlock_irq(&g->lock, irq);
	if (g->config.flush)
		g->config.flush(g->config.arg);
	paging_free_retired(&tables);
	return MIN(r, 0);
}

static int drop(struct gmem *g, uint64_t a, uint64_t size)
{
	return paging_unmap(&g->tables, a, size);
}

int gmem_drop_tables(struct gmem *g)
{
	return change(g, 0, 1ul << g->config.gpa_bits, drop);
}

/* Where there is no memory to split a leaf at the range's borders, all leaves go. */
static int protect(struct gmem *g, uint64_t a, uint64_t size)
{
	int r = paging_restrict(&g->tables, a, size, PROT_WRITE);

	return r == -ENOMEM ? drop(g, 0, 1ul << g->config.gpa_bits) : r;
}

void gmem_tables_protect(struct gmem *g, uint64_t a, uint64_t size)
{
	(void)change(g, a, size, protect);
}

hpa_t gmem_root(const struct gmem *g)
{
	return page_hpa(g->tables.root);
}
