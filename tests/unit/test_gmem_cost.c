/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/gmem/gmem*.c mm/paging.c mm/paging_host.c mm/paging_npt.c mm/paging_ept.c
 * mm/page.c mm/page_intake.c cpu/spinlock.c lib/string.c tests/host/heap.c tests/host/memory.c
 * tests/host/percpu.c tests/host/panic.c tests/host/log.c tests/host/one_thread.c
 * tests/host/steps.c */
/*
 * What guest memory costs, in instructions of the product's code: the processor traps after each,
 * and those of the files named above but tests/ are counted. docs/SPEC.md has the promises.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "include/bits.h"
#include "mm/kmap.h"
#include "tests/host/memory.h"
#include "tests/host/steps.h"
#include "vmm/gmem/gmem.h"

#define TOP	(GIB + 128 * MIB)
#define MARKED	(256 * MIB)		/* a quarter of what the promise is about */
#define SCRUBS	1024u			/* 64 KiB each */

/* The section of what is counted: see the Makefile. */
extern char __start_counted[], __stop_counted[];

static uint64_t steps;

void ipi_call_others(void (*fn)(void *arg), void *arg)
{
	fn(arg);
}

static void count_step(uintptr_t rip)
{
	steps += steps_within(rip, __start_counted, __stop_counted);
}

/* What `call` executes. */
#define COST(call)		\
({				\
	steps = 0;		\
	steps_trap(true);	\
	call;			\
	steps_trap(false);		\
	steps;			\
})

static struct charge charge = { .name = "guest" };
static struct gmem g;
static const struct gmem_config config = {
	.format = &paging_npt, .max_leaf_level = 3, .gpa_bits = 48, .node = NODE_ANY,
	.charge = &charge,
};

static void check(const char *what, uint64_t cost, uint64_t promise)
{
	print_message("%s: %lu instructions\n", what, cost);
	assert_in_range(cost, promise / 8, promise);
}

static void start(void)
{
	assert_int_equal(gmem_init(&g, &config), 0);
	assert_int_equal(gmem_add_ram(&g, GPA(0), GIB), 0);
}

static void finish(void)
{
	gmem_destroy(&g);
	assert_int_equal(charge.pages, 0);
}

static void pins(void **state)
{
	struct gmem_mapping m;
	uint64_t word = 5;
	int err = 0;

	(void)state;
	start();
	assert_int_equal(gmem_write(&g, GPA(MIB), &word, 8), 0);
	check("pin and unpin, for writing", COST({
		err = gmem_map(&g, GPA(MIB), PAGE_SIZE, GMEM_WRITE, &m);
		gmem_unmap(&m);
	}), 150);
	assert_int_equal(err, 0);
	check("pin and unpin, for reading", COST({
		err = gmem_map(&g, GPA(MIB), PAGE_SIZE, GMEM_READ, &m);
		gmem_unmap(&m);
	}), 150);
	assert_int_equal(err, 0);
	check("a byte written", COST(err = gmem_write(&g, GPA(MIB), &word, 1)), 220);
	assert_int_equal(err, 0);
	check("eight bytes read", COST(err = gmem_read(&g, GPA(MIB), &word, 8)), 150);
	assert_int_equal(err, 0);
	finish();
}

/* As a guest does that touches its memory upwards; the pages are scrubbed. */
static void fills(void **state)
{
	int err = 0;

	(void)state;
	start();
	assert_int_equal(gmem_fault(&g, GPA(0), GMEM_WRITE), 0);
	for (unsigned i = 1; i < 4; i++) {
		check("a fault that fills 2 MiB",
		      COST(err = gmem_fault(&g, GPA(i * PAGE_2M), GMEM_WRITE)), 1200);
		assert_int_equal(err, 0);
	}
	assert_int_equal(gmem_add_ram(&g, GPA(4 * GIB), PAGE_2M - PAGE_SIZE), 0);
	for (unsigned i = 0; i < 4; i++) {
		gpa_t a = GPA(4 * GIB + i * PAGE_SIZE);
		uint64_t cost = COST(err = gmem_fault(&g, a, GMEM_WRITE));

		assert_int_equal(err, 0);
		/* The first has tables to make. */
		check("a fault that fills 4 KiB", cost, i ? 1100 : 1300);
	}
	finish();
}

/* All there, though nobody has had to clear it. */
static struct gmem_object *whole_object(void)
{
	struct gmem_object *o = NULL;

	assert_int_equal(gmem_object_create(0, MARKED, 2, NODE_ANY, &charge, &o), 0);
	for (unsigned i = 0; i < MARKED / PAGE_2M; i++) {
		struct page *p = page_alloc(PAGE_ORDER_2M, PAGE_GUEST, NODE_ANY, &charge);

		assert_non_null(p);
		p->owner = o;
		p->index = i * ENTRIES;
		o->chunk[i] = gmem_entry_present(p, ENTRY_WRITTEN);
	}
	o->present_pages = MARKED / PAGE_SIZE;
	return o;
}

static void marks(void **state)
{
	static uint64_t bitmap[MARKED / PAGE_SIZE / 64];
	struct gmem_slot s = { .base = 4 * GIB, .size = MARKED };
	int r = 0;

	(void)state;
	assert_int_equal(gmem_init(&g, &config), 0);
	s.object = whole_object();
	assert_int_equal(gmem_slot_add(&g, &s), 0);
	for (uint64_t a = 0; a < MARKED; a += PAGE_2M)
		assert_int_equal(gmem_fault(&g, GPA(4 * GIB + a), GMEM_WRITE), 0);
	gmem_track_begin(&g);
	assert_int_equal(gmem_dirty_fetch(&g, s.object, 0, MARKED, bitmap), 1);
	check("asking 256 MiB that were not written",
	      COST(r = gmem_dirty_fetch(&g, s.object, 0, MARKED, bitmap)), 25000);
	assert_int_equal(r, 0);
	gmem_track_end(&g);
	gmem_object_put(s.object);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pins),
		cmocka_unit_test(fills),
		cmocka_unit_test(marks),
	};

	steps_begin(count_step);
	memory_init(TOP);
	for (unsigned i = 0; i < SCRUBS; i++)
		assert_true(page_scrub_some());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
