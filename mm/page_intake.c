/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the buddy allocator comes by its frames: all go to node 0 first, as the largest aligned
 * blocks that fit; when the SRAT is known, those of other nodes are moved there, free ones from
 * list to list, used ones by renaming. The boot CPU, once, but other code may already allocate:
 * each node's lock is taken in turn, never two.
 */
#include "kernel/panic.h"
#include "mm/page.h"

#include "include/bits.h"
#include "include/errno.h"
#include "mm/page_node.h"

static void node_init(struct page_node *n)
{
	spin_init(&n->lock, "page", LOCK_PAGE);
	for (unsigned zone = 0; zone < ZONES; zone++)
		for (unsigned c = 0; c < CONTENTS; c++)
			for (unsigned o = 0; o < ORDERS; o++)
				list_init(&n->store[zone][c].list[o]);
}

/* Nodes up to this one exist from now on. */
static void nodes_need(unsigned node)
{
	while (page_node_used <= node)
		node_init(&page_nodes[page_node_used++]);
}

/* The largest aligned block that begins at `frame` and ends by `end`. */
static unsigned order_fitting(uint64_t frame, uint64_t end)
{
	unsigned order = MIN(bit_highest(end - frame), (unsigned)PAGE_ORDER_MAX);

	return frame ? MIN(order, bit_lowest(frame)) : order;
}

void page_add(hpa_t start, hpa_t end)
{
	uint64_t frame = start.v / PAGE_SIZE, last = end.v / PAGE_SIZE, irq;

	ASSERT(IS_ALIGNED(start.v | end.v, PAGE_SIZE) && start.v <= end.v);
	if (frame >= last || page_range_count == ARRAY_COUNT(page_ranges))
		return;
	nodes_need(0);
	page_ranges[page_range_count].start = frame;
	page_ranges[page_range_count++].end = last;
	irq = spin_lock_irq(&page_nodes[0].lock);
	page_nodes[0].total += last - frame;
	while (frame < last) {
		unsigned order = order_fitting(frame, last);

		page_block_free(&page_nodes[0], page_at_frame(frame), order, DIRTY);
		frame += 1ul << order;
	}
	spin_unlock_irq(&page_nodes[0].lock, irq);
}

/*
 * Takes the block that begins at `frame` off node `from` if it is free, onto `out`, and renames
 * it if it is in use; returns the frames to step over: 0 when the block reached beyond `end`
 * and was halved.
 */
static uint64_t move_block(struct page_node *from, uint16_t to, uint64_t frame, uint64_t end,
			   struct list *out)
{
	struct page *p = page_at_frame(frame);
	enum page_contents c = p->state == PAGE_FREE_ZEROED ? ZEROED : DIRTY;
	unsigned half = p->order - 1u;

	if (p->state == PAGE_NONE)
		return 1;
	if (p->state == PAGE_USED || p->state == PAGE_CACHED) {
		p->node = to;
		return 1ul << p->order;
	}
	page_block_remove(from, p, c);
	if (order_fitting(frame, end) < p->order) {
		page_block_insert(from, p, half, c);
		page_block_insert(from, p + (1ul << half), half, c);
		return 0;
	}
	list_push_back(&out[c], &p->link);
	return 1ul << p->order;
}

/* A free block that began before `frame` is cut so that one begins there. */
static void cut_at(struct page_node *n, uint64_t frame)
{
	for (unsigned order = 1; order <= PAGE_ORDER_MAX; order++) {
		uint64_t head = ALIGN_DOWN(frame, 1ul << order);
		struct page *p = page_at_frame(head);
		enum page_contents c;

		if (head == frame || !page_frame_is_ram(head) || p->order < order)
			continue;
		if (p->state != PAGE_FREE_DIRTY && p->state != PAGE_FREE_ZEROED)
			continue;
		c = p->state == PAGE_FREE_ZEROED ? ZEROED : DIRTY;
		order = p->order;
		if (head + (1ul << order) <= frame)
			return;
		page_block_remove(n, p, c);
		for (uint64_t f = head, end = head + (1ul << order); f < end;) {
			unsigned o = order_fitting(f, f < frame ? frame : end);

			page_block_insert(n, page_at_frame(f), o, c);
			f += 1ul << o;
		}
		return;
	}
}

/* Node 0's part of [frame, end) into the two lists. */
static void node_cede(uint64_t frame, uint64_t end, uint16_t to, struct list *out)
{
	uint64_t irq = spin_lock_irq(&page_nodes[0].lock);

	page_nodes[0].total -= end - frame;
	cut_at(&page_nodes[0], frame);
	while (frame < end)
		frame += move_block(&page_nodes[0], to, frame, end, out);
	spin_unlock_irq(&page_nodes[0].lock, irq);
}

static void node_receive(struct page_node *n, uint64_t frames, struct list *in)
{
	uint64_t irq = spin_lock_irq(&n->lock);

	ASSERT(spin_held(&n->lock));
	n->total += frames;
	for (unsigned c = 0; c < CONTENTS; c++)
		while (!list_empty(&in[c])) {
			struct page *p = list_first(&in[c], struct page, link);

			list_remove(&p->link);
			page_block_free(n, p, p->order, c);
		}
	spin_unlock_irq(&n->lock, irq);
}

int page_add_node(hpa_t start, uint64_t size, int node)
{
	uint64_t first = start.v / PAGE_SIZE, last = (start.v + size) / PAGE_SIZE;
	struct list moved[CONTENTS];

	if (start.v + size < start.v)
		return -EINVAL;
	if (node < 0 || node >= PAGE_NODE_MAX)
		return -ENOSPC;
	nodes_need((unsigned)node);
	list_init(&moved[DIRTY]);
	list_init(&moved[ZEROED]);
	for (unsigned i = 0; node && i < page_range_count; i++) {
		uint64_t frame = MAX(first, page_ranges[i].start),
			 end = MIN(last, page_ranges[i].end);

		if (frame >= end)
			continue;
		node_cede(frame, end, (uint16_t)node, moved);
		node_receive(&page_nodes[node], end - frame, moved);
	}
	return 0;
}
