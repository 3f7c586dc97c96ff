/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How physical memory gets into the page allocator. The boot loader's usable regions, without the
 * first MiB, are a list of ranges. Early allocations are cut out of it; then each range's part of
 * the page array is backed (itself an early allocation) and the range is added. First RAM below
 * 4 GiB, which the boot code has mapped, then, when the kernel's own map stands, the rest. Boot CPU
 * only, once; no locks.
 */
#include "mm/page.h"

#include "boot/bootinfo.h"
#include "include/bits.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "mm/kmap.h"

#define LOW_END		(4 * GIB)
/* 2 MiB of page array describe this much RAM: the granule in which it is backed. */
#define GRANULE		(PAGE_2M / sizeof(struct page) * PAGE_SIZE)
#define RESERVE_MIN	(4 * MIB / PAGE_SIZE)
#define RESERVE_MAX	(64 * MIB / PAGE_SIZE)

struct range {
	uint64_t start, end;
};

/* Some regions cross 4 GiB, some are cut by early allocations. */
static struct range ranges[PAGE_RANGE_MAX];
_Static_assert(BOOT_REGION_MAX < PAGE_RANGE_MAX, "room for all regions and the cuts");
static unsigned range_count;
static uint64_t limit;			/* early allocations end here */
static uint64_t backed_end;		/* the page array is backed up to this address, where there
					 * is RAM */

static void range_push(uint64_t start, uint64_t end)
{
	if (start >= end)
		return;
	if (range_count == ARRAY_COUNT(ranges)) {
		log_warn("page: memory map too long, %lx-%lx is not used", start, end);
		return;
	}
	ranges[range_count++] = (struct range){ start, end };
}

/* From the end of the highest range that has room below the limit; 0 when there is none. */
static uint64_t early_take(uint64_t size, uint64_t align)
{
	struct range *best = NULL;
	uint64_t best_at = 0, end;

	for (unsigned i = 0; i < range_count; i++) {
		uint64_t top = MIN(ranges[i].end, limit);
		uint64_t at;

		if (top < size)
			continue;
		at = ALIGN_DOWN(top - size, align);
		if (top > ranges[i].start && at >= ranges[i].start && at >= best_at) {
			best = &ranges[i];
			best_at = at;
		}
	}
	if (!best)
		return 0;
	end = best->end;
	best->end = best_at;
	range_push(best_at + size, end);
	page_early_count += size / PAGE_SIZE;
	return best_at;
}

hpa_t page_early_alloc(uint64_t size, uint64_t align)
{
	uint64_t at = early_take(ALIGN_UP(size, PAGE_SIZE), MAX(align, PAGE_SIZE));

	if (!at)
		fatal_boot("not enough memory: %lu KiB are missing; give the machine more",
			   size / KIB);
	page_clear(kmap_direct(HPA(at)), ALIGN_UP(size, PAGE_SIZE));
	return HPA(at);
}

static void regions_collect(void)
{
	for (unsigned i = 0; i < bootinfo.region_count; i++) {
		const struct boot_region *r = &bootinfo.region[i];
		uint64_t start = MAX(ALIGN_UP(r->start.v, PAGE_SIZE), MIB);
		uint64_t end = MIN(ALIGN_DOWN(r->start.v + r->size, PAGE_SIZE), LAYOUT_DIRECT_SIZE);

		if (r->type != BOOT_MEM_USABLE)
			continue;
		/* No range crosses 4 GiB. */
		range_push(start, MIN(end, LOW_END));
		range_push(MAX(start, LOW_END), end);
	}
}

/* High ranges too small to hold their own struct pages have them in low memory. */
static hpa_t array_piece(void)
{
	uint64_t at = early_take(PAGE_2M, PAGE_2M);
	struct page *p;

	if (!at) {
		p = page_node_count() ? page_alloc(PAGE_ORDER_2M, 0, NODE_ANY, &page_charge_kernel)
				      : NULL;
		if (!p)
			fatal_boot("not enough memory for the page array: give the machine more");
		at = page_hpa(p).v;
	}
	page_clear(kmap_direct(HPA(at)), PAGE_2M);
	return HPA(at);
}

/* Struct pages for [start, end); called with rising addresses. */
static void array_back(uint64_t start, uint64_t end)
{
	uint64_t at = MAX(ALIGN_DOWN(start, GRANULE), backed_end);

	for (; at < end; at += GRANULE) {
		kmap_array_map((uint64_t)page_at(HPA(at)), array_piece());
		backed_end = at + GRANULE;
	}
}

static void ranges_sort(void)
{
	for (unsigned i = 1; i < range_count; i++)
		for (unsigned k = i; k && ranges[k - 1].start > ranges[k].start; k--) {
			struct range t = ranges[k];

			ranges[k] = ranges[k - 1];
			ranges[k - 1] = t;
		}
}

/* Backs everything first: what is left of the ranges then is free. */
static void ranges_add(uint64_t from, uint64_t to)
{
	limit = to;
	ranges_sort();
	for (unsigned i = 0; i < bootinfo.region_count; i++) {
		const struct boot_region *r = &bootinfo.region[i];
		uint64_t start = MAX(r->start.v, MAX(from, MIB)),
			 end = MIN(r->start.v + r->size, to);

		if (r->type == BOOT_MEM_USABLE && start < end)
			array_back(start, end);
	}
	ranges_sort();
	for (unsigned i = 0; i < range_count; i++)
		if (ranges[i].start >= from && ranges[i].start < to) {
			page_add(HPA(ranges[i].start), HPA(ranges[i].end));
			ranges[i].end = ranges[i].start;
		}
}

void page_init(void)
{
	limit = LOW_END;
	regions_collect();
	ranges_add(0, LOW_END);
}

static void reserve_set(void)
{
	struct page_stats s;

	if (page_stats_get(NODE_ANY, &s))
		return;
	page_reserve = MAX(MIN(s.total / 32, RESERVE_MAX), RESERVE_MIN);
	log_info("page: %lu MiB of RAM, %lu MiB free, %lu KiB kept for Keel",
		 (s.total * PAGE_SIZE) / MIB, (s.free * PAGE_SIZE) / MIB,
		 (page_reserve * PAGE_SIZE) / KIB);
}

void page_init_high(void)
{
	ranges_add(LOW_END, LAYOUT_DIRECT_SIZE);
	reserve_set();
}
