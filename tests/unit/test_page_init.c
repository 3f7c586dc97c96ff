/* SPDX-License-Identifier: BSD-2-Clause */
/* links: mm/page_init.c mm/page.c mm/page_intake.c tests/host/memory.c tests/host/percpu.c
 * tests/host/spinlock.c tests/host/panic.c tests/host/log.c */
/*
 * A machine's memory map becomes free pages: nothing below 1 MiB, nothing reserved, nothing twice;
 * RAM above 4 GiB comes second; the page array is backed for all of it, out of the right memory.
 */
#include "mm/page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "boot/bootinfo.h"
#include "cpu/percpu.h"
#include "mm/kmap.h"
#include "tests/host/memory.h"

#define TOP		(7 * GIB)
#define GRANULE		(256 * MIB)

struct bootinfo bootinfo;
static bool backed[TOP / GRANULE];
static bool array_frame[TOP / PAGE_2M];
static bool low_only = true;

void kmap_array_map(uint64_t va, hpa_t a)
{
	uint64_t granule = (va - LAYOUT_PAGES) / PAGE_2M;

	assert_true(va % PAGE_2M == 0 && a.v % PAGE_2M == 0 && granule < TOP / GRANULE);
	assert_false(backed[granule]);
	assert_false(array_frame[a.v / PAGE_2M]);
	assert_true(!low_only || a.v < 4 * GIB);
	assert_true(a.v >= MIB && a.v < TOP);
	backed[granule] = true;
	array_frame[a.v / PAGE_2M] = true;
}

static void region(uint64_t start, uint64_t end, enum boot_mem type)
{
	bootinfo.region[bootinfo.region_count++] = (struct boot_region){
		HPA(start), end - start, type,
	};
}

static enum boot_mem type_of(uint64_t a)
{
	for (unsigned i = 0; i < bootinfo.region_count; i++)
		if (a - bootinfo.region[i].start.v < bootinfo.region[i].size)
			return bootinfo.region[i].type;
	return BOOT_MEM_RESERVED;
}

static void take_all(bool high, hpa_t early)
{
	static uint8_t seen[TOP / PAGE_SIZE];
	struct list held;
	struct page *p;
	uint64_t n = 0, before = memory_free();

	list_init(&held);
	memset(seen, 0, sizeof(seen));
	while ((p = page_alloc(0, 0, NODE_ANY, &page_charge_kernel))) {
		uint64_t a = page_hpa(p).v;

		assert_int_equal(type_of(a), BOOT_MEM_USABLE);
		assert_true(a >= MIB && (high || a < 4 * GIB));
		assert_true(backed[a / GRANULE] && !array_frame[a / PAGE_2M]);
		assert_true(a != early.v && !seen[a / PAGE_SIZE]++);
		list_push_back(&held, &p->link);
		n++;
	}
	assert_int_equal(n, before);
	while (!list_empty(&held)) {
		p = list_first(&held, struct page, link);
		list_remove(&p->link);
		page_put(p);
	}
}

static void a_pc_with_6_gib(void **state)
{
	struct page_stats s;
	hpa_t early;

	(void)state;
	region(0, 0x9f000, BOOT_MEM_USABLE);
	region(0xf0000, MIB, BOOT_MEM_RESERVED);
	region(MIB, 2 * MIB, BOOT_MEM_USABLE);
	region(2 * MIB, 3 * MIB, BOOT_MEM_KEEL);
	region(3 * MIB, 2 * GIB - 5 * MIB - 8192, BOOT_MEM_USABLE);
	region(2 * GIB - 5 * MIB - 8192, 2 * GIB - 5 * MIB, BOOT_MEM_MODULES);
	region(2 * GIB - 5 * MIB, 2 * GIB - MIB, BOOT_MEM_USABLE);
	region(2 * GIB - MIB, 2 * GIB, BOOT_MEM_RESERVED);
	region(4 * GIB, 7 * GIB - 3 * PAGE_SIZE, BOOT_MEM_USABLE);
	region(7 * GIB - 3 * PAGE_SIZE, 7 * GIB - 2 * PAGE_SIZE, BOOT_MEM_RESERVED);
	region(7 * GIB - 2 * PAGE_SIZE, 7 * GIB, BOOT_MEM_USABLE);

	page_init();
	early = HPA(0);
	take_all(false, early);
	assert_int_equal(page_stats_get(NODE_ANY, &s), 0);
	assert_int_equal(s.total - page_early_count, s.free);
	assert_int_equal(s.total, (2 * GIB - 3 * MIB - 8192) / PAGE_SIZE);
	low_only = false;
	page_init_high();
	take_all(true, early);
	assert_int_equal(page_stats_get(NODE_ANY, &s), 0);
	assert_int_equal(s.total, (5 * GIB - 3 * MIB - 8192) / PAGE_SIZE - 1);
	assert_int_equal(s.total - page_early_count, s.free);
	assert_true(page_reserve >= 1024);
	assert_int_equal(page_early_count, (8 + 12) * 512);
	assert_null(page_of(HPA(2 * MIB)));
	assert_null(page_of(HPA(3 * GIB)));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_pc_with_6_gib) };

	host_percpu_init(1);
	memory_reserve(TOP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
