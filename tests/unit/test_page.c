/* SPDX-License-Identifier: BSD-2-Clause */
/* links: mm/page.c mm/page_intake.c tests/host/memory.c tests/host/percpu.c tests/host/spinlock.c
 * tests/host/panic.c tests/host/log.c */
/*
 * The page allocator against a simple model: no frame is handed out twice, what is zeroed is zero,
 * everything comes back and merges, charges and the reserve hold.
 */
#include "mm/page.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/percpu.h"
#include "include/errno.h"
#include "tests/host/memory.h"

#define TOP	(96 * MIB)
#define FRAMES	(TOP / PAGE_SIZE)

static struct charge guest = { .name = "guest" };

static struct page *get(unsigned order, unsigned flags)
{
	return page_alloc(order, flags, NODE_ANY, &guest);
}

static void fill(struct page *p, int byte)
{
	memset(page_virt(p), byte, PAGE_SIZE << p->order);
}

static bool is_zero(const struct page *p)
{
	const uint64_t *w = page_virt(p);

	for (uint64_t i = 0; i < (PAGE_SIZE << p->order) / 8; i++)
		if (w[i])
			return false;
	return true;
}

static void everything_is_there_once(void **state)
{
	static struct page *all[FRAMES];
	static uint8_t seen[FRAMES];
	uint64_t before = memory_free(), n = 0;
	struct page *p;

	(void)state;
	assert_int_equal(before, (TOP - MIB) / PAGE_SIZE);
	while ((p = get(0, 0))) {
		uint64_t frame = page_hpa(p).v / PAGE_SIZE;

		assert_true(frame >= MIB / PAGE_SIZE && frame < FRAMES && !seen[frame]);
		assert_ptr_equal(page_of(page_hpa(p)), p);
		seen[frame] = 1;
		fill(p, 0xa5);
		all[n++] = p;
	}
	assert_int_equal(n, before);
	assert_int_equal(guest.pages, n);
	assert_int_equal(memory_free(), 0);
	while (n)
		page_put(all[--n]);
	assert_int_equal(memory_free(), before);
	assert_int_equal(guest.pages, 0);
}

static void freed_pages_merge(void **state)
{
	struct page *p = get(PAGE_ORDER_2M + 3, 0);

	(void)state;
	assert_non_null(p);
	assert_true(page_hpa(p).v % (16 * MIB) == 0);
	page_put(p);
}

static void all_is_clean_and_whole(void)
{
	struct page_stats s;

	assert_int_equal(page_stats_get(NODE_ANY, &s), 0);
	assert_int_equal(page_kernel_count(), s.kernel);
	assert_int_equal(page_total_count(), s.total);
	assert_int_equal(s.dirty, 0);
	assert_int_equal(s.zeroed, (TOP - MIB) / PAGE_SIZE);
	/* 32 MiB + 32 MiB + 16 + ... : 1..2, 2..4, ..., 32..64, 64..96 */
	assert_int_equal(s.free_by_order[13], 2);
}

static void scrubbing_cleans_all(void **state)
{
	struct page *p;
	unsigned rounds = 0;

	(void)state;
	while (page_scrub_some())
		rounds++;
	assert_true(rounds >= (TOP - MIB) / (64 * KIB));
	all_is_clean_and_whole();
	p = get(PAGE_ORDER_2M, PAGE_ZEROED);
	assert_true(is_zero(p));
	fill(p, 1);
	page_put(p);
	p = get(PAGE_ORDER_2M, PAGE_ZEROED);
	assert_true(is_zero(p));
	page_put(p);
}

static void charges_limit(void **state)
{
	struct charge c = { .name = "c", .limit = 5 };
	struct page *a, *b;

	(void)state;
	a = page_alloc(2, 0, NODE_ANY, &c);
	assert_non_null(a);
	assert_null(page_alloc(1, 0, NODE_ANY, &c));
	assert_int_equal(c.pages, 4);
	b = page_alloc(0, 0, NODE_ANY, &c);
	assert_non_null(b);
	assert_null(page_alloc(0, 0, NODE_ANY, &c));
	page_put(a);
	page_put(b);
	assert_int_equal(c.pages, 0);
	assert_null(page_alloc(PAGE_ORDER_MAX + 1, 0, NODE_ANY, &c));
	assert_null(page_alloc(PAGE_ORDER_MAX, 0, NODE_ANY, &guest));
	assert_int_equal(guest.pages, 0);
}

static void guests_leave_the_reserve(void **state)
{
	struct list held;
	struct page *p;
	uint64_t before = memory_free();

	(void)state;
	list_init(&held);
	page_reserve = 1024;
	while ((p = get(4, PAGE_GUEST)))
		list_push_back(&held, &p->link);
	assert_true(memory_free() >= 1024 && memory_free() < 1024 + 64);
	p = get(4, 0);
	assert_non_null(p);
	page_put(p);
	while (!list_empty(&held)) {
		p = list_first(&held, struct page, link);
		list_remove(&p->link);
		page_put(p);
	}
	page_reserve = 0;
	assert_int_equal(memory_free(), before);
}

static void references_keep_and_split_divides(void **state)
{
	uint64_t before = memory_free();
	struct page *p = get(3, 0);

	(void)state;
	page_get(p);
	page_put(p);
	assert_int_equal(memory_free(), before - 8);
	page_split(p);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(guest.pages, 8 - i);
		page_put(&p[i]);
	}
	assert_int_equal(memory_free(), before);
}

static void not_ram_is_null(void **state)
{
	(void)state;
	assert_null(page_of(HPA(0)));
	assert_null(page_of(HPA(MIB - 1)));
	assert_non_null(page_of(HPA(MIB)));
	assert_non_null(page_of(HPA(TOP - 1)));
	assert_null(page_of(HPA(TOP)));
	assert_null(page_of(HPA(~0ul)));
}

/* Random allocations of all sizes on several CPUs; each frame's holder is written into it. */
static void random_against_a_model(void **state)
{
	static struct { struct page *p; uint64_t mark; } held[400];
	uint64_t before = memory_free();

	(void)state;
	srand(1);
	for (unsigned round = 0; round < 60000; round++) {
		unsigned i = (unsigned)rand() % 400;

		host_cpu_become((unsigned)rand() % 4);
		if (round % 64 == 0)
			(void)page_scrub_some();
		if (held[i].p) {
			uint64_t *w = page_virt(held[i].p);
			uint64_t words = (PAGE_SIZE << held[i].p->order) / 8;

			assert_int_equal(w[0], held[i].mark);
			assert_int_equal(w[words - 1], held[i].mark);
			page_put(held[i].p);
			held[i].p = NULL;
		} else {
			unsigned order = rand() % 3 ? 0 : (unsigned)rand() % 8;
			bool zeroed = rand() % 2;
			uint64_t *w, words = (PAGE_SIZE << order) / 8;

			held[i].p = get(order, zeroed ? PAGE_ZEROED : 0);
			if (!held[i].p)
				continue;
			w = page_virt(held[i].p);
			if (zeroed)
				assert_true(!w[0] && !w[words / 2] && !w[words - 1]);
			held[i].mark = round + 1;
			w[0] = w[words - 1] = w[words / 2] = round + 1;
		}
	}
	for (unsigned i = 0; i < 400; i++)
		if (held[i].p)
			page_put(held[i].p);
	assert_int_equal(memory_free(), before);
	assert_int_equal(guest.pages, 0);
	for (unsigned cpu = 0; cpu < 4; cpu++) {
		host_cpu_become(cpu);
		while (page_scrub_some())
			;
	}
	host_cpu_become(0);
	all_is_clean_and_whole();
}

/* Marks what it holds, and finds the mark again: nobody else was given the same frames. */
static void *churn(void *arg)
{
	unsigned cpu = (unsigned)(uintptr_t)arg, seed = cpu;
	struct page *held[64] = { 0 };

	host_cpu_become(cpu);
	for (unsigned round = 0; round < 30000; round++) {
		struct page **h = &held[(unsigned)rand_r(&seed) % 64];

		if (round % 16 == 0)
			(void)page_scrub_some();
		if (*h) {
			if (*(uint64_t *)page_virt(*h) != (uintptr_t)h)
				return arg;
			page_put(*h);
			*h = NULL;
			continue;
		}
		*h = get((unsigned)rand_r(&seed) % 4, PAGE_ZEROED);
		if (!*h || *(uint64_t *)page_virt(*h))
			return arg;
		*(uint64_t *)page_virt(*h) = (uintptr_t)h;
	}
	for (unsigned i = 0; i < 64; i++)
		if (held[i])
			page_put(held[i]);
	return NULL;
}

static void cpus_do_not_share(void **state)
{
	uint64_t before = memory_free();
	pthread_t thread[4];

	(void)state;
	for (uintptr_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, churn, (void *)i), 0);
	for (unsigned i = 0; i < 4; i++) {
		void *bad;

		pthread_join(thread[i], &bad);
		assert_null(bad);
	}
	assert_int_equal(memory_free(), before);
	assert_int_equal(guest.pages, 0);
}

static uint64_t dirty_on(int node)
{
	struct page_stats s;

	assert_int_equal(page_stats_get(node, &s), 0);
	return s.dirty;
}

/* A CPU cleans its own node's memory before another's. */
static void scrubbing_begins_at_home(void **state)
{
	uint64_t dirty[2];

	(void)state;
	for (int node = 0; node < 2; node++) {
		struct page *p = page_alloc(PAGE_ORDER_2M, 0, node, &page_charge_kernel);

		assert_int_equal(p->node, node);
		page_put(p);
	}
	dirty[0] = dirty_on(0);
	dirty[1] = dirty_on(1);
	assert_true(dirty[0] && dirty[1]);
	this_cpu(page_home) = 1;
	assert_true(page_scrub_some());
	assert_int_equal(dirty_on(0), dirty[0]);
	assert_true(dirty_on(1) < dirty[1]);
	while (dirty_on(1) && page_scrub_some())
		;
	assert_int_equal(dirty_on(0), dirty[0]);
	while (page_scrub_some())
		;
	assert_int_equal(dirty_on(0), 0);
	this_cpu(page_home) = 0;
}

/* Last but for the next: the machine gets a second node in its middle, while pages are in use. */
static void nodes_split_the_memory(void **state)
{
	struct page_stats a, b;
	struct page *early = get(PAGE_ORDER_2M, 0), *p;
	uint64_t before = memory_free(), total = (TOP - MIB) / PAGE_SIZE;

	(void)state;
	assert_int_equal(page_add_node(HPA(0), 40 * MIB + 5 * PAGE_SIZE, 0), 0);
	assert_int_equal(page_add_node(HPA(40 * MIB + 5 * PAGE_SIZE), 30 * MIB, 1), 0);
	assert_int_equal(page_add_node(HPA(0), MIB, PAGE_NODE_MAX), -ENOSPC);
	assert_int_equal(page_add_node(HPA(~0ul - 5), 4096, 1), -EINVAL);
	assert_int_equal(page_node_count(), 2);
	assert_int_equal(page_stats_get(0, &a), 0);
	assert_int_equal(page_stats_get(1, &b), 0);
	assert_int_equal(page_stats_get(2, &b), -ENOENT);
	assert_int_equal(a.total + b.total, total);
	assert_int_equal(b.total, 30 * MIB / PAGE_SIZE);
	assert_int_equal(a.free + b.free, before);
	p = page_alloc(PAGE_ORDER_2M, 0, 1, &guest);
	assert_int_equal(p->node, 1);
	assert_true(page_hpa(p).v >= 40 * MIB && page_hpa(p).v < 72 * MIB);
	page_put(p);
	page_put(early);
	/* When the node is empty the others help. */
	early = page_alloc(12, 0, 1, &guest);
	p = page_alloc(12, 0, 1, &guest);
	assert_true(early && p);
	assert_int_equal(early->node, 1);
	assert_int_equal(p->node, 0);
	page_put(p);
	page_put(early);
	assert_int_equal(memory_free(), before + 512);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_is_there_once),
		cmocka_unit_test(freed_pages_merge),
		cmocka_unit_test(scrubbing_cleans_all),
		cmocka_unit_test(charges_limit),
		cmocka_unit_test(guests_leave_the_reserve),
		cmocka_unit_test(references_keep_and_split_divides),
		cmocka_unit_test(not_ram_is_null),
		cmocka_unit_test(cpus_do_not_share),
		cmocka_unit_test(random_against_a_model),
		cmocka_unit_test(nodes_split_the_memory),
		cmocka_unit_test(scrubbing_begins_at_home),
	};

	host_percpu_init(4);
	memory_init(TOP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
