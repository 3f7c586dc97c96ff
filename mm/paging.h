/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: the one page-table walker. A struct paging_format describes a kind of table (host
 * 4-level, EPT, NPT); map, unmap, lookup and the like are written once over it. Tables come from
 * page_alloc and are freed with the last mapping. Callers serialise (kernel map: LOCK_KMAP; a VM's
 * second-level tables: LOCK_VIEW and LOCK_VIEW_PART) and flush TLBs themselves: the walker tells by
 * its return value whether a present entry was changed.
 *
 * Where `parallel` is set, calls for what lies within one 2 MiB, split borders and all, may run
 * beside such calls for other ones; tables of levels above 1 that become empty by them stay until
 * paging_prune(). All other calls have the tables for themselves. As they hold locks, none clears a
 * page for a table: -ENOMEM may mean that there is no clear one at hand, see paging_spare().
 * Sources: AMD64 APM 2, "Page Translation and Protection", "Nested Paging"; Intel SDM 3, "Paging",
 * "EPT Translation Mechanism".
 */
#pragma once

#include "include/addr.h"
#include "mm/page.h"

enum paging_prot {
	PROT_READ = 1,
	PROT_WRITE = 2,
	PROT_EXEC = 4,
	PROT_USER = 8,		/* NPT sets it on every guest mapping; the kernel never */
	PROT_GLOBAL = 16,
};

enum paging_cache { CACHE_WB, CACHE_WT, CACHE_UC_MINUS, CACHE_UC, CACHE_WC, CACHE_WP };

/* One per kind of table: pure bit-shuffling, no state. `level` is 1 (4K) to 5. */
struct paging_format {
	const char *name;
	unsigned levels;
	unsigned max_leaf_level;	/* 1: 4K only, 2: up to 2M, 3: up to 1G */
	uint64_t (*leaf)(hpa_t a, unsigned prot, enum paging_cache c, unsigned level);
	uint64_t (*table)(hpa_t a);
	uint64_t present;			/* an entry with any of these bits is present */
	uint64_t large;				/* above level 1: a leaf */
	uint64_t accessed;			/* of a leaf: the chip sets it; 0: none does */
	/* Of a leaf; a table's is in bits 51:12 everywhere. */
	hpa_t (*address)(uint64_t e, unsigned level);
	unsigned (*prot)(uint64_t e);
	uint64_t (*with_prot)(uint64_t e, unsigned prot);	/* of a leaf */
	/* The i-th of 512 leaves that a large one splits into. */
	uint64_t (*child)(uint64_t e, unsigned level, unsigned i);
};

extern const struct paging_format paging_host, paging_npt, paging_ept;

struct paging {
	const struct paging_format *format;
	unsigned max_leaf_level;	/* may be below the format's */
	struct charge *charge;		/* for table pages */
	struct page *root;
	bool parallel;			/* see above; set once, behind paging_init() */
	struct page *spare;		/* (a) a table to be */
	struct list *retired;		/* (a) tables that are linked no more, until the TLBs are
					 * flushed; chained by `next` */
	uint64_t table_pages;		/* (a) */
};

struct paging_leaf {
	hpa_t address;		/* of the byte asked for */
	uint64_t size;		/* of the leaf: 4K, 2M or 1G */
	unsigned prot;
};

int paging_init(struct paging *p, const struct paging_format *f, unsigned max_leaf_level,
		struct charge *charge) must_check;
/* Frees all tables (not what they map). */
void paging_destroy(struct paging *p);
/*
 * Maps [va, va+size) to [pa, ...), with the largest leaves that alignment and max_leaf_level allow;
 * replaces what was there. 4K-aligned. All or nothing: -ENOMEM leaves the old state. Returns 1 if a
 * present entry was replaced (flush), else 0.
 */
int paging_map(struct paging *p, uint64_t va, hpa_t pa, uint64_t size, unsigned prot,
	       enum paging_cache c) must_check;
/*
 * For `parallel`, without a lock: a clear page is there for a table, if nobody takes it first.
 * Whoever was told -ENOMEM tries again then: what it has made so far stays.
 */
int paging_spare(struct paging *p) must_check;
/*
 * Tables that map or unmap unlinked may still be in another CPU's paging-structure caches: a caller
 * that flushes takes them off under its lock, flushes without it, then frees them. Callers that
 * never flush (nobody uses the tables yet) reap at once.
 */
void paging_retired(struct paging *p, struct list *out);
void paging_free_retired(struct list *tables);
/*
 * Removes; splits a large leaf that is only partly covered (-ENOMEM then, and nothing is removed).
 * 1 if anything was present, 0 if not.
 */
int paging_unmap(struct paging *p, uint64_t va, uint64_t size) must_check;
/* Empty tables that have to do with [va, va+size) go. */
void paging_prune(struct paging *p, uint64_t va, uint64_t size);
int paging_protect(struct paging *p, uint64_t va, uint64_t size, unsigned prot) must_check;
/* Takes the rights in `prot` from each leaf, which keeps its others; never PROT_READ. */
int paging_restrict(struct paging *p, uint64_t va, uint64_t size, unsigned prot) must_check;
/* -ENOENT when nothing is mapped there. */
int paging_lookup(const struct paging *p, uint64_t va, struct paging_leaf *out) must_check;
/*
 * Calls `used` for each leaf in the range that the chip may have used since it was asked last, as a
 * whole; where the format has no bit for that, for each that is there. Flush, or what TLBs keep is
 * not asked for again.
 */
void paging_harvest(struct paging *p, uint64_t va, uint64_t size,
		    void (*used)(void *arg, uint64_t va, uint64_t size), void *arg);
