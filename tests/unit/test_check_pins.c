/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/vm_check_pins.c vmm/gmem/gmem*.c mm/paging.c mm/paging_host.c mm/paging_npt.c
 * mm/paging_ept.c mm/page.c mm/page_intake.c kernel/sched.c kernel/runqueue.c kernel/placement.c
 * kernel/cpu_map.c kernel/cpu_set.c cpu/place.c cpu/features.c kernel/sched_group.c
 * kernel/thread.c kernel/timer.c
 * kernel/mutex.c kernel/work.c cpu/irq.c lib/tree.c
 * lib/format.c kernel/trace.c tests/host/sim.c tests/host/memory.c tests/host/percpu.c
 * tests/host/tsc.c tests/host/panic.c tests/host/log.c */
/*
 * The check of pins on the simulated machine: it passes, whatever its threads do beside each other;
 * it finds a byte that was written elsewhere; without memory it says so and leaves nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "cpu/percpu.h"
#include "include/errno.h"
#include "kernel/thread.h"
#include "tests/host/memory.h"
#include "tests/host/sim.h"
#include "vmm/vm_check.h"

#define TOP		(64 * MIB)
#define FIRST_PLACE	((1ul << 45) + 64 * MIB)

static struct charge charge = { .name = "guest" };
static struct gmem g;
static const struct gmem_config config = {
	.format = &paging_npt, .max_leaf_level = 2, .gpa_bits = 48, .node = NODE_ANY,
	.charge = &charge,
};

static int result;
static uint64_t pins;
static bool tracked, stop;

static void check(void)
{
	if (tracked)
		gmem_track_begin(&g);
	result = vm_check_pins(&g, &pins);
	if (tracked)
		gmem_track_end(&g);
}

static void start(void)
{
	assert_int_equal(gmem_init(&g, &config), 0);
	assert_int_equal(gmem_add_ram(&g, GPA(0), MIB), 0);
	stop = false;
}

/* Nothing is left of it: no slot, no promise, no page. */
static void finish(void)
{
	struct gmem_slot s;

	assert_false(gmem_slot_get(&g, 1, &s));
	assert_int_equal(gmem_promised(), MIB / PAGE_SIZE);
	gmem_destroy(&g);
	assert_int_equal(charge.pages, 0);
}

static void passes(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 60; seed++) {
		start();
		tracked = seed & 1;
		sim_run(1 + seed % 4, seed, check);
		assert_int_equal(result, 0);
		assert_in_range(pins, 50, 1u << 20);
		finish();
	}
}

/* As a pin that went astray would: into what answers there now. */
static void stray(void *arg)
{
	uint64_t word = 0x5157;

	(void)arg;
	while (!stop) {
		(void)!gmem_write(&g, GPA(FIRST_PLACE + 5 * PAGE_SIZE + 800), &word, 8);
		thread_sleep_ns(1000);
	}
}

static void check_beside_a_stray(void)
{
	struct thread_attr attr = { .name = "stray", .entry = stray, .cpu = -1 };
	struct thread *t = thread_create(&attr);

	thread_start(t);
	check();
	stop = true;
	thread_join(t);
}

static void finds_a_stray_byte(void **state)
{
	(void)state;
	tracked = false;
	for (unsigned seed = 0; seed < 4; seed++) {
		start();
		sim_run(2, seed, check_beside_a_stray);
		assert_int_equal(result, -EIO);
		finish();
	}
}

static struct page *hoard;

/* All but `leave` pages are gone: some other guest has them. */
static void hoard_begin(unsigned leave)
{
	struct page *p;
	unsigned n = 0;

	while ((p = page_alloc(0, 0, NODE_ANY, &charge))) {
		p->owner = hoard;
		hoard = p;
		n++;
	}
	assert_true(n > leave);
	for (; leave; leave--) {
		p = hoard;
		hoard = p->owner;
		page_put(p);
	}
}

static void hoard_end(void)
{
	while (hoard) {
		struct page *p = hoard;

		hoard = p->owner;
		page_put(p);
	}
}

static void without_memory(void **state)
{
	(void)state;
	for (unsigned left = 0; left < 40; left += 3) {
		start();
		hoard_begin(left);
		sim_run(2, left, check);
		hoard_end();
		assert_int_equal(result, -ENOMEM);
		finish();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes),
		cmocka_unit_test(finds_a_stray_byte),
		cmocka_unit_test(without_memory),
	};

	host_percpu_init(1);
	memory_init(TOP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
