/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the two files of the buddy allocator share: mm/page.c, which gives and takes, and
 * mm/page_intake.c, which gives it its frames. Everyone else sees mm/page.h. Design and locking at
 * the head of mm/page.c; node->lock is held wherever a struct page_node goes in.
 */
#pragma once

#include "cpu/spinlock.h"
#include "mm/page.h"

#define ORDERS		(PAGE_ORDER_MAX + 1)
#define LOW_FRAMES	(1ul << 20)

enum page_state { PAGE_NONE, PAGE_FREE_DIRTY, PAGE_FREE_ZEROED, PAGE_CACHED, PAGE_USED };
enum page_contents { DIRTY, ZEROED, CONTENTS };
enum page_zone { ZONE_LOW, ZONE_HIGH, ZONES };

struct page_store {
	uint32_t orders;		/* bit n: list[n] is not empty */
	struct list list[ORDERS];
	uint64_t blocks[ORDERS];
};

struct page_node {
	struct spinlock lock;
	struct page_store store[ZONES][CONTENTS];
	uint64_t frames[CONTENTS];	/* free ones, those in caches left out */
	uint64_t total;
	unsigned scrubbers;		/* atomic */
};

struct page_range {
	uint64_t start, end;		/* frames */
};

extern struct page_node page_nodes[PAGE_NODE_MAX];
extern unsigned page_node_used;
/* RAM given to the allocator, to know a frame that is none from one that is. */
extern struct page_range page_ranges[PAGE_RANGE_MAX];
extern unsigned page_range_count;

static inline uint64_t page_frame(const struct page *p)
{
	return page_hpa(p).v / PAGE_SIZE;
}

static inline struct page *page_at_frame(uint64_t frame)
{
	return page_at(HPA(frame * PAGE_SIZE));
}

bool page_frame_is_ram(uint64_t frame);

void page_block_insert(struct page_node *n, struct page *p, unsigned order, enum page_contents c);
void page_block_remove(struct page_node *n, struct page *p, enum page_contents c);
/* Likewise, and merges with the free buddies. */
void page_block_free(struct page_node *n, struct page *p, unsigned order, enum page_contents c);
