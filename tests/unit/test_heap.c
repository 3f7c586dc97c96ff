/* SPDX-License-Identifier: BSD-2-Clause */
/* links: mm/heap.c mm/page.c mm/page_intake.c tests/host/memory.c tests/host/percpu.c
 * tests/host/spinlock.c tests/host/panic.c tests/host/log.c */
/*
 * Objects of every size: zeroed, aligned, apart from each other; random allocations against a
 * model; out of memory; nothing left.
 */
#include "mm/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/percpu.h"
#include "include/bits.h"
#include "tests/host/memory.h"

#define HELD	2000

static bool all_bytes(const uint8_t *p, size_t n, uint8_t byte)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != byte)
			return false;
	return true;
}

static void objects_are_zeroed_and_aligned(void **state)
{
	(void)state;
	for (size_t n = 0; n < 70000; n = n * 5 / 4 + 1) {
		uint8_t *a = heap_alloc(n), *b = heap_alloc(n);

		assert_true(a && b && a != b);
		assert_true(IS_ALIGNED((uintptr_t)a, 16));
		assert_true(n < 4096 || IS_ALIGNED((uintptr_t)a, 4096));
		assert_true(all_bytes(a, n, 0) && all_bytes(b, n, 0));
		memset(a, 0xff, n);
		assert_true(all_bytes(b, n, 0));
		heap_free(a);
		heap_free(b);
		a = heap_alloc(n);
		assert_true(all_bytes(a, n, 0));
		heap_free(a);
	}
	heap_free(NULL);
	assert_null(heap_alloc(~0ul));
	assert_null(heap_alloc(8 * GIB));
}

static void random_against_a_model(void **state)
{
	static struct { uint8_t *p; size_t n; uint8_t byte; } held[HELD];
	struct heap_stats s;

	(void)state;
	srand(3);
	for (unsigned round = 0; round < 100000; round++) {
		unsigned i = (unsigned)rand() % HELD;

		if (held[i].p) {
			assert_true(all_bytes(held[i].p, held[i].n, held[i].byte));
			heap_free(held[i].p);
			held[i].p = NULL;
			continue;
		}
		held[i].n = (size_t)rand() % (rand() % 50 ? 600 : 20000);
		held[i].byte = (uint8_t)round;
		held[i].p = heap_alloc(held[i].n);
		if (held[i].p) {
			assert_true(all_bytes(held[i].p, held[i].n, 0));
			memset(held[i].p, held[i].byte, held[i].n);
		}
	}
	for (unsigned i = 0; i < HELD; i++) {
		heap_free(held[i].p);
		held[i].p = NULL;
	}
	heap_stats_get(&s);
	assert_int_equal(s.objects, 0);
	assert_int_equal(s.bytes, 0);
	/* One empty slab per pool may stay. */
	assert_true(s.pages <= 9 + 4 * 4);
	assert_int_equal(page_charge_kernel.pages, s.pages);
}

static void out_of_memory_is_null(void **state)
{
	static void *held[100000];
	uint64_t before = page_charge_kernel.pages;
	unsigned n = 0;

	(void)state;
	page_charge_kernel.limit = before + 10;
	while ((held[n] = heap_alloc(300)))
		n++;
	assert_true(n >= 100);
	assert_null(heap_alloc(5000));
	page_charge_kernel.limit = 0;
	while (n)
		heap_free(held[--n]);
	assert_true(page_charge_kernel.pages <= before + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_are_zeroed_and_aligned),
		cmocka_unit_test(random_against_a_model),
		cmocka_unit_test(out_of_memory_is_null),
	};

	host_percpu_init(1);
	memory_init(64 * MIB);
	heap_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
