/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: physical pages. A buddy allocator per node with per-CPU caches of single pages; one struct page per frame. A page
 * carries a reference count and the charge (usually a VM) it is accounted to. Freed guest pages are dirty until scrubbed (in
 * idle time, or by the allocation that hands them out): nobody sees what another left there.
 * Any context with interrupts on or off; never sleeps; locks LOCK_PAGE.
 */
#pragma once

#include "include/addr.h"
#include "include/list.h"

#define PAGE_ORDER_4K	0
#define PAGE_ORDER_2M	9
#define PAGE_ORDER_1G	18
#define PAGE_ORDER_MAX	18

#define NODE_ANY	(-1)

enum page_flags {
	PAGE_ZEROED = 1,	/* contents are zeros (from the scrubbed store, or cleared now) */
	PAGE_GUEST = 2,		/* for a guest: respects the reserve kept for Keel itself */
	PAGE_LOW = 4,		/* below 4 GiB (AP trampoline asks for an address itself) */
};

/* Whom pages are accounted to; embedded in struct vm; the kernel's own is page_charge_kernel. */
struct charge {
	const char *name;
	uint64_t pages;		/* atomic: frames charged now */
	uint64_t limit;		/* frames at most; 0 = none */
};

struct page {
	struct list link;	/* free lists, or the owner's use while allocated */
	uint32_t refs;
	uint8_t order;
	uint8_t state;		/* private to mm/page.c */
	uint16_t node;
	struct charge *charge;
	void *owner;		/* free for the owner's use */
};

extern struct charge page_charge_kernel;

/* 2^order contiguous frames with one reference, NULL when there are none (or the charge's limit is reached). */
struct page *page_alloc(unsigned order, unsigned flags, int node, struct charge *charge) must_check;
void page_get(struct page *p);
/* The last reference frees; pages charged to a guest go to the dirty store. */
void page_put(struct page *p);
/* Makes 2^order frames that were allocated as one into single pages, each with its own reference. */
void page_split(struct page *p);

hpa_t page_hpa(const struct page *p);
/* NULL for an address that is no RAM. */
struct page *page_of(hpa_t a);
void *page_virt(const struct page *p);		/* in the direct map */

static inline unsigned page_order_for(uint64_t size)
{
	unsigned order = 0;

	while ((PAGE_SIZE << order) < size)
		order++;
	return order;
}

struct page_stats {
	uint64_t total, free, dirty, zeroed, kernel;	/* frames */
	uint64_t free_by_order[PAGE_ORDER_MAX + 1];
};

int page_stats_get(int node, struct page_stats *out);	/* -ENOENT for a node that is not there */
unsigned page_node_count(void);
/* Clears some dirty pages (a bounded amount); true if there is more to do. Called by the idle loop. */
bool page_scrub_some(void);

/* Once, by the boot CPU: takes every usable region of bootinfo; before that only page_early_alloc works. */
void page_init(void);
