/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which guest addresses are RAM, and what of the machine's memory that promises. A slot's table is
 * made empty, since frames come when they are touched; but all that guests were promised must fit
 * into the machine, so that no fill fails for want of memory that was sold twice. Slots are placed
 * before vCPUs run and taken down after; no locks: the sum of promises is atomic.
 */
#include "vmm/gmem.h"

#include "include/errno.h"
#include "kernel/sched.h"
#include "mm/heap.h"
#include "vmm/gmem_entry.h"

/* Atomic. */
static uint64_t promised;

uint64_t gmem_promised(void)
{
	return __atomic_load_n(&promised, __ATOMIC_RELAXED);
}

int gmem_init(struct gmem *g, const struct gmem_config *c)
{
	if (c->gpa_bits < 32 || c->gpa_bits > 12 + 9 * c->format->levels)
		return -EINVAL;
	*g = (struct gmem){ .config = *c };
	g->main = g->slot;
	spin_init(&g->lock, "gmem", LOCK_GMEM);
	return paging_init(&g->tables, c->format, c->max_leaf_level, c->charge);
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

static int promise(uint64_t frames)
{
	uint64_t now = __atomic_add_fetch(&promised, frames, __ATOMIC_RELAXED);

	if (now >= frames && now <= promise_limit())
		return 0;
	__atomic_sub_fetch(&promised, frames, __ATOMIC_RELAXED);
	return -ENOMEM;
}

static uint64_t chunk_count(uint64_t base, uint64_t size)
{
	return ((base + size - 1) >> CHUNK_SHIFT) - (base >> CHUNK_SHIFT) + 1;
}

/* Where it belongs among the sorted slots, or -EEXIST. */
static int slot_place(const struct gmem *g, uint64_t base, uint64_t size)
{
	unsigned i = 0;

	while (i < g->slot_count && g->slot[i].base < base)
		i++;
	if (i > 0 && base - g->slot[i - 1].base < g->slot[i - 1].size)
		return -EEXIST;
	if (i < g->slot_count && g->slot[i].base - base < size)
		return -EEXIST;
	return (int)i;
}

int gmem_add_ram(struct gmem *g, gpa_t base, uint64_t size)
{
	uint64_t *chunk;
	int at;

	if (!size || !IS_ALIGNED(base.v | size, PAGE_SIZE) ||
	    !range_within(base.v, size, 0, 1ul << g->config.gpa_bits))
		return -EINVAL;
	at = slot_place(g, base.v, size);
	if (at < 0)
		return at;
	if (g->slot_count == GMEM_SLOT_MAX)
		return -ENOSPC;
	if (promise(size / PAGE_SIZE))
		return -ENOMEM;
	chunk = heap_alloc(chunk_count(base.v, size) * sizeof(*chunk));
	if (!chunk) {
		__atomic_sub_fetch(&promised, size / PAGE_SIZE, __ATOMIC_RELAXED);
		return -ENOMEM;
	}
	for (unsigned i = g->slot_count++; i > (unsigned)at; i--)
		g->slot[i] = g->slot[i - 1];
	g->slot[at] = (struct gmem_slot){
		.base = base.v,
		.size = size,
		.entries = (uintptr_t)chunk - (base.v >> CHUNK_SHIFT) * sizeof(*chunk),
		.chunk = chunk,
	};
	g->ram_pages += size / PAGE_SIZE;
	for (unsigned i = 0; i < g->slot_count; i++)
		if (!i || g->slot[i].size > g->main->size)
			g->main = &g->slot[i];
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
static void slot_free(const struct gmem_slot *s)
{
	for (uint64_t i = 0, count = chunk_count(s->base, s->size); i < count; i++) {
		uint64_t e = s->chunk[i];

		if (e & ENTRY_TABLE)
			leaf_table_free(e);
		if (e)
			page_put(gmem_entry_page(e));
		sched_point();
	}
	heap_free(s->chunk);
}

void gmem_destroy(struct gmem *g)
{
	paging_destroy(&g->tables);
	for (unsigned i = 0; i < g->slot_count; i++)
		slot_free(&g->slot[i]);
	__atomic_sub_fetch(&promised, g->ram_pages, __ATOMIC_RELAXED);
	*g = (struct gmem){ .config = g->config };
	g->main = g->slot;
}
