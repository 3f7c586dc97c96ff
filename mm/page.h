/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Physical pages. A buddy allocator per node with per-CPU caches of single pages; one struct page
 * per frame. A page carries a reference count and the charge (usually a VM) it is accounted to.
 * Freed pages are dirty until scrubbed (in idle time, or by the allocation that hands them out):
 * nobody sees what another left there. Frames below 1 MiB are never given out. Any context with
 * interrupts on or off; never sleeps; locks LOCK_PAGE.
 */
#pragma once

#include "include/addr.h"
#include "include/list.h"
#include "mm/layout.h"

#define PAGE_ORDER_4K	0
#define PAGE_ORDER_2M	9
#define PAGE_ORDER_1G	18
#define PAGE_ORDER_MAX	18

#define NODE_ANY	(-1)
#define PAGE_NODE_MAX	8
#define PAGE_RANGE_MAX	640	/* calls of page_add */

enum page_flags {
	PAGE_ZEROED = 1,	/* contents are zeros (from the scrubbed store, or cleared now) */
	PAGE_GUEST = 2,		/* for a guest: respects the reserve kept for Keel itself */
	PAGE_LOW = 4,		/* below 4 GiB */
	PAGE_READY = 8,		/* with PAGE_ZEROED: only from the scrubbed store, no clearing
				 * now */
};

/* Whom pages are accounted to; embedded in struct vm; the kernel's own is page_charge_kernel. */
struct charge {
	const char *name;
	uint64_t pages;		/* atomic: frames charged now */
	uint64_t limit;		/* frames at most; 0 = none */
};

struct page {
	union {			/* one at a time */
		struct list link;	/* free lists, or the owner's use while allocated */
		struct {		/* the owner's use while allocated */
			void *owner;
			uint64_t index;
		};
		uint64_t used;		/* of a page table: entries that are present */
	};
	uint32_t refs;		/* atomic */
	uint8_t order;
	uint8_t state;		/* private to mm/page_node.h */
	uint16_t node;
	struct charge *charge;
};

_Static_assert(sizeof(struct page) == 32, "the struct pages of 64 TiB fill LAYOUT_PAGES exactly");

extern struct charge page_charge_kernel;
/* PERCPU: the node that this CPU is on, and NODE_ANY begins with. */
extern int page_home;

/*
 * 2^order contiguous frames with one reference, NULL when there are none (or the charge's
 * limit is reached).
 */
struct page *page_alloc(unsigned order, unsigned flags, int node, struct charge *charge) must_check;
void page_get(struct page *p);
/* The last reference frees, into the dirty store. */
void page_put(struct page *p);
/*
 * Divides what was allocated as one, and is referenced once, into blocks of 2^order frames with a
 * reference each.
 */
void page_split_to(struct page *p, unsigned order);

static inline void page_split(struct page *p)
{
	page_split_to(p, 0);
}

static inline hpa_t page_hpa(const struct page *p)
{
	return HPA(((uintptr_t)p - LAYOUT_PAGES) / sizeof(*p) * PAGE_SIZE);
}

/* For an address that is known to be a page's; page_of() checks. */
static inline struct page *page_at(hpa_t a)
{
	return (struct page *)LAYOUT_PAGES + a.v / PAGE_SIZE;
}

/* In the direct map. */
static inline void *page_virt(const struct page *p)
{
	return (void *)(LAYOUT_DIRECT + page_hpa(p).v);
}

/* NULL for an address that is no RAM of the allocator. */
struct page *page_of(hpa_t a);

static inline unsigned page_order_for(uint64_t size)
{
	unsigned order = 0;

	while ((PAGE_SIZE << order) < size)
		order++;
	return order;
}

/* Writes zeros to `size` bytes, a multiple of 8. */
static inline void page_clear(void *p, uint64_t size)
{
	size /= 8;
	__asm__ volatile("rep stosq" : "+D"(p), "+c"(size) : "a"(0ul) : "memory");
}

struct page_stats {
	uint64_t total, free, dirty, zeroed;	/* frames; free = dirty + zeroed */
	uint64_t kernel;			/* Keel's own, on all nodes */
	/* Blocks, those in per-CPU caches left out. */
	uint64_t free_by_order[PAGE_ORDER_MAX + 1];
};

/* Keel's own frames, and all there are, as page_stats_get has them, without a look at all CPUs. */
uint64_t page_kernel_count(void);
uint64_t page_total_count(void);
/* NODE_ANY: all together; -ENOENT for a node that is not there. */
int page_stats_get(int node, struct page_stats *out);
unsigned page_node_count(void);
/* Guests are refused frames when fewer than this many are free. */
extern uint64_t page_reserve;
/* Frames that early allocations took for ever; part of total and kernel. */
extern uint64_t page_early_count;
/*
 * Clears some dirty frames (64 KiB at most: some 9,000 instructions), this CPU's node first; false
 * if there are none, or enough others at it. Called by the idle loop.
 */
bool page_scrub_some(void);

/*
 * Once, by the boot CPU: RAM below 4 GiB becomes available. kmap_init() calls page_init_high() when
 * the rest is mapped. Until page_init returns only page_early_alloc works: frames below 4 GiB that
 * are never freed; cleared.
 */
void page_init(void);
void page_init_high(void);
hpa_t page_early_alloc(uint64_t size, uint64_t align);
/*
 * Frames of [start, start+size) belong to `node`: from the SRAT, any time after page_init_high().
 * Unknown nodes: -ENOSPC.
 */
int page_add_node(hpa_t start, uint64_t size, int node) must_check;
/*
 * The allocator's intake: [start, end), page-aligned, of RAM that nobody uses; the struct pages are
 * there and zeroed.
 */
void page_add(hpa_t start, hpa_t end);
