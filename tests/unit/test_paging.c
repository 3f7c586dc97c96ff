/* SPDX-License-Identifier: BSD-2-Clause */
/* links: mm/paging_host.c mm/paging_npt.c mm/paging_ept.c mm/page.c mm/page_intake.c
 * tests/host/memory.c tests/host/percpu.c tests/host/spinlock.c tests/host/panic.c tests/host/log.c
 * */
/*
 * The page-table walker on all three formats. The real mm/paging.c is compiled here with its store
 * observed: after each store every probed address must translate as before the operation or as
 * after it, never to anything else, since a chip may walk the tables at that moment. Random
 * operations are compared with an array of pages.
 */
#include "include/compiler.h"

static void observe(void);

#undef WRITE_ONCE
#define WRITE_ONCE(x, v) do { *(volatile __typeof__(x) *)&(x) = (v); observe(); } while (0)

#include "mm/paging.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/percpu.h"
#include "tests/host/memory.h"

#define PAGES	4096u			/* 16 MiB, half of them below a border of 1 GiB */
#define BASE	(5 * PAGE_1G - PAGES / 2 * PAGE_SIZE)
#define PA	HPA(0x2340000000)

struct state {
	uint64_t pa;		/* 0: nothing there */
	unsigned prot;
};

static const struct paging_format *const formats[] = { &paging_host, &paging_npt, &paging_ept };
static struct charge charge = { .name = "tables" };
static struct paging p;
static struct state before[PAGES], after[PAGES];
static uint64_t probe[64];
static unsigned probe_count;

static unsigned visible(unsigned prot)
{
	if (p.format == &paging_npt)
		return (prot | PROT_USER) & ~(unsigned)PROT_GLOBAL;
	return p.format == &paging_ept ? prot & (PROT_READ | PROT_WRITE | PROT_EXEC) : prot;
}

static struct state look(uint64_t va)
{
	struct paging_leaf leaf;

	if (paging_lookup(&p, va, &leaf))
		return (struct state){ 0, 0 };
	return (struct state){ leaf.address.v, leaf.prot };
}

static bool equal(struct state a, struct state b)
{
	return a.pa == b.pa && a.prot == b.prot;
}

static void observe(void)
{
	for (unsigned i = 0; i < probe_count; i++) {
		struct state s = look(BASE + probe[i] * PAGE_SIZE);

		assert_true(equal(s, before[probe[i]]) || equal(s, after[probe[i]]));
	}
}

static void reap(void)
{
	struct list tables;

	paging_retired(&p, &tables);
	paging_free_retired(&tables);
	assert_int_equal(charge.pages, p.table_pages);
}

static void start(const struct paging_format *f, unsigned level)
{
	memset(before, 0, sizeof(before));
	memset(after, 0, sizeof(after));
	probe_count = 0;
	assert_int_equal(paging_init(&p, f, level, &charge), 0);
}

static void finish(void)
{
	paging_destroy(&p);
	assert_int_equal(charge.pages, 0);
}

static void choose_probes(unsigned first, unsigned count)
{
	unsigned edges[] = {
		first, first + count - 1, first ? first - 1 : 0, MIN(first + count, PAGES - 1),
	};

	probe_count = 0;
	for (unsigned i = 0; i < ARRAY_COUNT(edges); i++)
		probe[probe_count++] = edges[i];
	while (probe_count < 24)
		probe[probe_count++] = (unsigned)rand() % PAGES;
	while (probe_count < 32)
		probe[probe_count++] = first + (unsigned)rand() % count;
}

static void compare_all(void)
{
	for (unsigned i = 0; i < PAGES; i++)
		assert_true(equal(look(BASE + i * PAGE_SIZE), after[i]));
}

static unsigned random_prot(void)
{
	static const unsigned prots[] = { 1, 3, 5, 7, 1 | PROT_GLOBAL, 3 | PROT_USER };

	return prots[(unsigned)rand() % ARRAY_COUNT(prots)];
}

/* Ranges like 2 MiB ones, to make and break large leaves. */
static void random_range(unsigned *first, unsigned *count)
{
	*first = (unsigned)rand() % PAGES;
	*count = 1 + (unsigned)rand() % (rand() % 2 ? 8 : 1200);
	if (rand() % 3 == 0) {
		*first = ALIGN_DOWN(*first, 512u);
		*count = 512u * (1 + (unsigned)rand() % 3);
	}
	*count = MIN(*count, PAGES - *first);
}

static void random_operation(void)
{
	unsigned first, count, prot = random_prot(), kind = (unsigned)rand() % 4;
	bool changes = false;
	uint64_t shift = rand() % 2 ? 0 : (uint64_t)((unsigned)rand() % 7) * PAGE_SIZE;
	int r;

	random_range(&first, &count);
	for (unsigned i = first; i < first + count; i++) {
		struct state to = { 0, 0 };

		if (kind < 2)
			to = (struct state){ PA.v + i * PAGE_SIZE + shift, visible(prot) };
		else if (kind == 2 && before[i].pa)
			to = (struct state){ before[i].pa, visible(prot) };
		changes |= before[i].pa && !equal(before[i], to);
		after[i] = to;
	}
	choose_probes(first, count);
	if (kind < 2)
		r = paging_map(&p, BASE + first * PAGE_SIZE, HPA(PA.v + first * PAGE_SIZE + shift),
			       count * PAGE_SIZE, prot, CACHE_WB);
	else if (kind == 2)
		r = paging_protect(&p, BASE + first * PAGE_SIZE, count * PAGE_SIZE, prot);
	else
		r = paging_unmap(&p, BASE + first * PAGE_SIZE, count * PAGE_SIZE);
	if (r == -ENOMEM)
		memcpy(after, before, sizeof(after));
	else
		assert_true(r == 1 || (r == 0 && !changes));
	probe_count = 0;
	memcpy(before, after, sizeof(before));
}

static void random_against_a_model(void **state)
{
	(void)state;
	srand(2);
	for (unsigned f = 0; f < 3; f++)
		for (unsigned level = 1; level <= 3; level++) {
			start(formats[f], level);
			for (unsigned i = 0; i < 150; i++) {
				/* Now and then the tables' memory runs out in the middle. */
				charge.limit = rand() % 3 ? 0 : charge.pages + (unsigned)rand() % 3;
				random_operation();
				charge.limit = 0;
				reap();
				if (i % 10 == 0)
					compare_all();
			}
			compare_all();
			memset(after, 0, sizeof(after));
			probe_count = 0;
			assert_true(paging_unmap(&p, BASE, PAGES * PAGE_SIZE) >= 0);
			compare_all();
			reap();
			assert_int_equal(p.table_pages, 1);
			finish();
		}
}

static void leaves_are_as_large_as_can_be(void **state)
{
	struct paging_leaf leaf;

	(void)state;
	for (unsigned f = 0; f < 3; f++) {
		start(formats[f], 3);
		assert_int_equal(paging_map(&p, PAGE_1G - PAGE_2M - PAGE_SIZE,
					    HPA(3 * PAGE_1G - PAGE_2M - PAGE_SIZE),
					    PAGE_1G + 2 * PAGE_2M + 2 * PAGE_SIZE,
					    PROT_READ, CACHE_WB), 0);
		assert_int_equal(paging_lookup(&p, PAGE_1G - PAGE_2M - 1, &leaf), 0);
		assert_int_equal(leaf.size, PAGE_SIZE);
		assert_int_equal(paging_lookup(&p, PAGE_1G - 5, &leaf), 0);
		assert_int_equal(leaf.size, PAGE_2M);
		assert_int_equal(leaf.address.v, 3 * PAGE_1G - 5);
		assert_int_equal(paging_lookup(&p, PAGE_1G + 12345, &leaf), 0);
		assert_int_equal(leaf.size, PAGE_1G);
		assert_int_equal(leaf.address.v, 3 * PAGE_1G + 12345);
		/* A hole of one page in the 1 GiB leaf. */
		assert_int_equal(paging_unmap(&p, PAGE_1G + 700 * PAGE_SIZE, PAGE_SIZE), 1);
		assert_int_equal(paging_lookup(&p, PAGE_1G + 700 * PAGE_SIZE, &leaf), -ENOENT);
		assert_int_equal(paging_lookup(&p, PAGE_1G + 699 * PAGE_SIZE, &leaf), 0);
		assert_int_equal(leaf.size, PAGE_SIZE);
		assert_int_equal(paging_lookup(&p, PAGE_1G + 5 * PAGE_2M, &leaf), 0);
		assert_int_equal(leaf.size, PAGE_2M);
		/* And whole again: the small tables go. */
		assert_int_equal(paging_map(&p, PAGE_1G, HPA(3 * PAGE_1G), PAGE_1G,
					    PROT_READ, CACHE_WB), 1);
		reap();
		assert_int_equal(paging_lookup(&p, PAGE_1G + 700 * PAGE_SIZE, &leaf), 0);
		assert_int_equal(leaf.size, PAGE_1G);
		finish();
	}
}

static void bad_arguments_are_refused(void **state)
{
	(void)state;
	start(&paging_host, 3);
	assert_int_equal(paging_map(&p, 1, PA, PAGE_SIZE, 1, CACHE_WB), -EINVAL);
	assert_int_equal(paging_map(&p, 0, HPA(1), PAGE_SIZE, 1, CACHE_WB), -EINVAL);
	assert_int_equal(paging_map(&p, 0, PA, 0, 1, CACHE_WB), -EINVAL);
	assert_int_equal(paging_map(&p, 0, PA, PAGE_SIZE, PROT_WRITE, CACHE_WB), -EINVAL);
	assert_int_equal(paging_map(&p, 1ul << 47, PA, 1ul << 48, 1, CACHE_WB), -EINVAL);
	assert_int_equal(paging_map(&p, 1ul << 48, PA, PAGE_SIZE, 1, CACHE_WB), -EINVAL);
	assert_int_equal(paging_unmap(&p, ~0ul << 12, 2 * PAGE_SIZE), -EINVAL);
	assert_int_equal(paging_protect(&p, 0, PAGE_SIZE, 0), -EINVAL);
	/* The two ends of the address space. */
	assert_int_equal(paging_map(&p, ~0ul << 12, PA, PAGE_SIZE, 1, CACHE_WB), 0);
	assert_int_equal(paging_map(&p, 0, PA, PAGE_SIZE, 1, CACHE_WB), 0);
	assert_int_equal(paging_unmap(&p, ~0ul << 47, 1ul << 47), 1);
	assert_int_equal(paging_unmap(&p, 0, 1ul << 47), 1);
	reap();
	assert_int_equal(p.table_pages, 1);
	finish();
}

/* Splitting keeps what a leaf says about caching, whose bits lie elsewhere in a small leaf. */
static void formats_hold_their_bits(void **state)
{
	(void)state;
	for (unsigned f = 0; f < 3; f++)
		for (unsigned level = 3; level > 1; level--)
			for (unsigned c = CACHE_WB; c <= CACHE_WP; c++)
				for (unsigned prot = 1; prot < 32; prot += 2) {
					const struct paging_format *fmt = formats[f];
					uint64_t small = PAGE_SIZE << (9 * (level - 2));
					uint64_t e = fmt->leaf(HPA(7 * PAGE_1G), prot, c, level);
					uint64_t want = fmt->leaf(HPA(7 * PAGE_1G + 3 * small),
								  prot, c, level - 1);

					assert_true((e & fmt->present) && (e & fmt->large));
					assert_int_equal(fmt->address(e, level).v, 7 * PAGE_1G);
					assert_int_equal(fmt->child(e, level, 3), want);
					assert_int_equal(fmt->with_prot(fmt->leaf(PA, 1, c, 1),
									prot),
							 fmt->leaf(PA, prot, c, 1));
				}
	assert_int_equal(paging_host.leaf(HPA(0x200000), 3, CACHE_WC, 2), 0x80000000002010e3ul);
	assert_int_equal(paging_host.leaf(HPA(0x201000), 5 | PROT_GLOBAL, CACHE_UC, 1), 0x201179ul);
	assert_int_equal(paging_npt.leaf(HPA(0x200000), 7, CACHE_WB, 2), 0x2000e7ul);
	assert_int_equal(paging_ept.leaf(HPA(0x200000), 7, CACHE_WB, 2), 0x2003f7ul);
	assert_int_equal(paging_ept.leaf(HPA(0x200000), 3, CACHE_UC, 1), 0x200343ul);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_hold_their_bits),
		cmocka_unit_test(leaves_are_as_large_as_can_be),
		cmocka_unit_test(bad_arguments_are_refused),
		cmocka_unit_test(random_against_a_model),
	};

	host_percpu_init(1);
	memory_init(64 * MIB);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
