/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/gmem/gmem*.c mm/paging.c mm/paging_host.c mm/paging_npt.c mm/paging_ept.c
 * mm/page.c mm/page_intake.c tests/host/heap.c tests/host/memory.c tests/host/percpu.c
 * tests/host/spinlock.c tests/host/panic.c tests/host/log.c */
/*
 * Guest memory against a flat array; hostile ranges; memory that runs out at every step; pins while
 * tables are dropped; large leaves; nothing left behind.
 */
#include "vmm/gmem/gmem.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/percpu.h"
#include "include/bits.h"
#include "include/errno.h"
#include "mm/kmap.h"
#include "tests/host/memory.h"

#include <sys/mman.h>

#define TOP	(2 * GIB + 256 * MIB)

extern unsigned host_heap_left;

static struct charge charge = { .name = "guest" };
static struct gmem g;
static unsigned flushes;

static unsigned gave_way;

void sched_point(void);		/* kernel/sched.h and pthread.h do not go together */

void sched_point(void)
{
	gave_way++;
}

void ipi_call_others(void (*fn)(void *arg), void *arg)
{
	fn(arg);
}

static void flushed(void *arg)
{
	(void)arg;
	flushes++;
}

static struct gmem_config config = {
	.format = &paging_npt, .max_leaf_level = 2, .gpa_bits = 40, .node = NODE_ANY,
	.charge = &charge, .flush = flushed,
};

static void start(void)
{
	charge.limit = 0;
	assert_int_equal(gmem_init(&g, &config), 0);
}

static void finish(void)
{
	gmem_destroy(&g);
	assert_int_equal(charge.pages, 0);
	assert_int_equal(gmem_promised(), 0);
}

static void ram(uint64_t base, uint64_t size)
{
	assert_int_equal(gmem_add_ram(&g, GPA(base), size), 0);
}

static void slots_are_checked(void **state)
{
	(void)state;
	start();
	assert_int_equal(gmem_add_ram(&g, GPA(0), 0), -EINVAL);
	assert_int_equal(gmem_add_ram(&g, GPA(1), PAGE_SIZE), -EINVAL);
	assert_int_equal(gmem_add_ram(&g, GPA(0), PAGE_SIZE + 1), -EINVAL);
	assert_int_equal(gmem_add_ram(&g, GPA(1ul << 40), PAGE_SIZE), -EINVAL);
	assert_int_equal(gmem_add_ram(&g, GPA((1ul << 40) - PAGE_SIZE), 2 * PAGE_SIZE), -EINVAL);
	assert_int_equal(gmem_add_ram(&g, GPA(~0ul << 12), 2 * PAGE_SIZE), -EINVAL);
	assert_int_equal(gmem_add_ram(&g, GPA(0), ~0ul << 12), -EINVAL);
	assert_int_equal(gmem_add_ram(&g, GPA(0), 3 * GIB), -ENOMEM);
	assert_int_equal(gmem_promised(), 0);
	ram(4 * MIB, MIB);
	assert_int_equal(gmem_add_ram(&g, GPA(4 * MIB), MIB), -EEXIST);
	assert_int_equal(gmem_add_ram(&g, GPA(5 * MIB - PAGE_SIZE), PAGE_SIZE), -EEXIST);
	assert_int_equal(gmem_add_ram(&g, GPA(0), 10 * MIB), -EEXIST);
	assert_int_equal(gmem_add_ram(&g, GPA(3 * MIB), MIB + PAGE_SIZE), -EEXIST);
	ram(5 * MIB, PAGE_SIZE);
	ram((1ul << 40) - PAGE_SIZE, PAGE_SIZE);
	for (unsigned i = 3; i < GMEM_SLOT_MAX; i++)
		ram(100 * MIB - i * MIB, PAGE_SIZE);
	assert_int_equal(gmem_add_ram(&g, GPA(0), PAGE_SIZE), -ENOSPC);
	assert_true(gmem_is_ram(&g, GPA(4 * MIB), GMEM_WRITE));
	assert_false(gmem_is_ram(&g, GPA(4 * MIB - 1), GMEM_READ));
	assert_int_equal(gmem_stats(&g).ram_pages, MIB / PAGE_SIZE + GMEM_SLOT_MAX - 1);
	finish();
	config.gpa_bits = 49;
	assert_int_equal(gmem_init(&g, &config), -EINVAL);
	config.gpa_bits = 40;
}

static void hostile_ranges_fault(void **state)
{
	static uint8_t buf[4 * MIB];
	struct gmem_mapping m;

	(void)state;
	start();
	ram(4 * MIB, 2 * MIB);
	ram((1ul << 40) - PAGE_SIZE, PAGE_SIZE);
	assert_int_equal(gmem_read(&g, GPA(4 * MIB - 1), buf, 1), -EFAULT);
	assert_int_equal(gmem_read(&g, GPA(4 * MIB - 1), buf, 2), -EFAULT);
	assert_int_equal(gmem_read(&g, GPA(6 * MIB - 4), buf, 8), -EFAULT);
	assert_int_equal(gmem_write(&g, GPA(6 * MIB - 4), buf, 8), -EFAULT);
	assert_int_equal(gmem_write(&g, GPA(4 * MIB), buf, 4 * MIB), -EFAULT);
	assert_int_equal(gmem_fill(&g, GPA(4 * MIB), 1, 4 * MIB), -EFAULT);
	assert_int_equal(gmem_fill(&g, GPA(4 * MIB), 0, ~0ul), -EFAULT);
	assert_int_equal(gmem_read(&g, GPA(~0ul), buf, 2), -EFAULT);
	assert_int_equal(gmem_write(&g, GPA(~0ul - 3), buf, 64), -EFAULT);
	assert_int_equal(gmem_read(&g, GPA((1ul << 40) - 4), buf, 8), -EFAULT);
	assert_int_equal(gmem_map(&g, GPA(6 * MIB), 1, GMEM_READ, &m), -EFAULT);
	assert_int_equal(gmem_map(&g, GPA(~0ul), 8, GMEM_WRITE, &m), -EFAULT);
	assert_int_equal(gmem_fault(&g, GPA(0xfee00000), GMEM_WRITE), -ENOENT);
	assert_int_equal(gmem_fault(&g, GPA(~0ul), GMEM_WRITE), -ENOENT);
	assert_null(gmem_peek(&g, GPA(6 * MIB), GMEM_READ));
	assert_null(gmem_peek(&g, GPA(~0ul), GMEM_READ));
	assert_int_equal(gmem_read(&g, GPA(~0ul), buf, 0), 0);
	finish();
}

static void reading_fills_nothing(void **state)
{
	uint8_t buf[64];

	(void)state;
	start();
	ram(0, 8 * MIB);
	memset(buf, 1, sizeof(buf));
	assert_int_equal(gmem_read(&g, GPA(PAGE_SIZE - 32), buf, 64), 0);
	assert_true(!buf[0] && !memcmp(buf, buf + 1, 63));
	assert_int_equal(gmem_fill(&g, GPA(0), 0, 8 * MIB), 0);
	assert_int_equal(gmem_stats(&g).present_pages, 0);
	assert_null(gmem_peek(&g, GPA(0), GMEM_READ));
	buf[0] = 7;
	assert_int_equal(gmem_write(&g, GPA(PAGE_SIZE), buf, 1), 0);
	assert_int_equal(gmem_stats(&g).present_pages, 512);
	assert_int_equal(*(uint8_t *)gmem_peek(&g, GPA(PAGE_SIZE), GMEM_WRITE), 7);
	finish();
}

/* A frame handed out shows nothing of who had it before. */
static void frames_are_clean(void **state)
{
	static uint8_t buf[6 * MIB], zero[PAGE_SIZE];

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		start();
		ram(MIB, 5 * MIB + 3 * PAGE_SIZE);
		for (uint64_t a = MIB; a < 6 * MIB; a += PAGE_SIZE) {
			assert_int_equal(gmem_fault(&g, GPA(a), GMEM_READ), 0);
			assert_memory_equal(gmem_peek(&g, GPA(a), GMEM_READ), zero, PAGE_SIZE);
		}
		memset(buf, 0xa5, sizeof(buf));
		assert_int_equal(gmem_write(&g, GPA(MIB), buf, 5 * MIB), 0);
		finish();
	}
}

static struct paging_leaf leaf_at(uint64_t a)
{
	struct paging_leaf leaf;

	assert_int_equal(paging_lookup(&g.view.tables, a, &leaf), 0);
	return leaf;
}

static void leaves_fit_the_slot(void **state)
{
	(void)state;
	start();
	/* Odd edges: 4K there, 2M inside. */
	ram(2 * MIB - 2 * PAGE_SIZE, 6 * MIB + 3 * PAGE_SIZE);
	for (uint64_t a = 2 * MIB - 2 * PAGE_SIZE; a < 8 * MIB + PAGE_SIZE; a += PAGE_SIZE / 2)
		assert_int_equal(gmem_fault(&g, GPA(a), GMEM_WRITE), 0);
	assert_int_equal(leaf_at(2 * MIB - 1).size, PAGE_SIZE);
	assert_int_equal(leaf_at(2 * MIB).size, PAGE_2M);
	assert_int_equal(leaf_at(8 * MIB - 1).size, PAGE_2M);
	assert_int_equal(leaf_at(8 * MIB).size, PAGE_SIZE);
	assert_int_equal(gmem_stats(&g).present_pages, 3 * 512 + 3);
	assert_int_equal(gmem_stats(&g).present_pages, gmem_stats(&g).ram_pages);
	for (uint64_t a = 2 * MIB - 2 * PAGE_SIZE; a < 8 * MIB + PAGE_SIZE; a += 777)
		assert_ptr_equal(gmem_peek(&g, GPA(a), GMEM_WRITE),
				 kmap_direct(leaf_at(a).address));
	finish();
}

static void tables_are_a_cache(void **state)
{
	struct gmem_mapping m;
	struct paging_leaf leaf;
	uint64_t generation, root, pages;
	void *p;

	(void)state;
	start();
	ram(0, 8 * MIB);
	assert_int_equal(gmem_map(&g, GPA(0x3ffe), 100, GMEM_WRITE, &m), 0);
	assert_int_equal(m.len, 2);
	memcpy(m.ptr, "ok", 2);
	assert_int_equal(gmem_fault(&g, GPA(0x3000), GMEM_READ), 0);
	p = gmem_peek(&g, GPA(0x3ffe), GMEM_READ);
	generation = g.generation;
	root = gmem_root(&g).v;
	flushes = 0;
	pages = charge.pages;
	gmem_drop_tables(&g);
	assert_int_equal(flushes, 1);
	assert_int_equal(g.generation, generation + 1);
	assert_int_equal(gmem_root(&g).v, root);
	assert_int_equal(charge.pages, pages - 2);
	assert_int_equal(paging_lookup(&g.view.tables, 0x3000, &leaf), -ENOENT);
	gmem_drop_tables(&g);
	/* The pinned frame is the same one. */
	assert_memory_equal(m.ptr, "ok", 2);
	assert_int_equal(gmem_fault(&g, GPA(0x3000), GMEM_READ), 0);
	assert_ptr_equal(gmem_peek(&g, GPA(0x3ffe), GMEM_READ), p);
	assert_ptr_equal(m.ptr, p);
	gmem_unmap(&m);
	assert_null(m.ptr);
	finish();
}

/* A pin outlives even the guest, and holds its object: a frame and the table above it. */
static void pins_hold_frames(void **state)
{
	struct gmem_mapping m;

	(void)state;
	start();
	ram(0, MIB);
	assert_int_equal(gmem_map(&g, GPA(0), 8, GMEM_WRITE, &m), 0);
	gmem_destroy(&g);
	assert_int_equal(charge.pages, 2);
	assert_int_equal(gmem_promised(), MIB / PAGE_SIZE);
	*(volatile uint8_t *)m.ptr = 1;
	gmem_unmap(&m);
	assert_int_equal(charge.pages, 0);
}

#define MODEL	(10 * MIB)

/* Slots that touch, straddle chunks and leave holes. */
static const struct { uint64_t base, size; } layout[] = {
	{ 0x1000, 0x9f000 }, { MIB, 3 * MIB + 0x3000 }, { 4 * MIB + 0x3000, 2 * MIB },
	{ 7 * MIB, 3 * MIB },
};

static bool model_ram(uint64_t a)
{
	for (unsigned i = 0; i < ARRAY_COUNT(layout); i++)
		if (a - layout[i].base < layout[i].size)
			return true;
	return false;
}

/* Bytes from `a` that are RAM. */
static uint64_t model_run(uint64_t a, uint64_t n)
{
	uint64_t run = 0;

	while (run < n && model_ram(a + run))
		run += MIN(PAGE_SIZE - (a + run) % PAGE_SIZE, n - run);
	return run;
}

static void random_against_a_model(void **state)
{
	static uint8_t model[MODEL + 4 * MIB], buf[4 * MIB];

	(void)state;
	srand(4);
	start();
	for (unsigned i = 0; i < ARRAY_COUNT(layout); i++)
		ram(layout[(i + 2) % 4].base, layout[(i + 2) % 4].size);
	for (unsigned round = 0; round < 3000; round++) {
		uint64_t a = (unsigned)rand() % MODEL;
		uint64_t n = (unsigned)rand() % (rand() % 8 ? 9000 : 4 * MIB), run;
		int r;

		if (rand() % 10 == 0)
			a = ALIGN_DOWN(a, PAGE_2M);
		run = model_run(a, n);
		switch (rand() % 5) {
		case 0:
			memset(buf, 0xee, n);
			r = gmem_read(&g, GPA(a), buf, n);
			assert_memory_equal(buf, model + a, run);
			break;
		case 1:
			memset(buf, rand(), n);
			r = gmem_write(&g, GPA(a), buf, n);
			memcpy(model + a, buf, run);
			break;
		case 2:
			r = gmem_fill(&g, GPA(a), (uint8_t)round, n);
			memset(model + a, (uint8_t)round, run);
			break;
		case 3:
			n = run = 1;
			r = gmem_fault(&g, GPA(a), GMEM_WRITE);
			assert_int_equal(r, model_ram(a) ? 0 : -ENOENT);
			r = run = n = 0;
			break;
		default:
			if (rand() % 50 == 0)
				gmem_drop_tables(&g);
			r = run = n = 0;
			if (gmem_peek(&g, GPA(a), GMEM_READ))
				assert_int_equal(*(uint8_t *)gmem_peek(&g, GPA(a), GMEM_READ),
						 model[a]);
		}
		assert_int_equal(r, run == n ? 0 : -EFAULT);
	}
	finish();
}

/* One life of a guest; the first failure ends it. */
static int life(void)
{
	static uint8_t buf[3 * MIB];
	struct gmem_mapping m;
	int err = gmem_init(&g, &config);

	if (err)
		return err;
	if (!(err = gmem_add_ram(&g, GPA(MIB), 4 * MIB + 0x3000)) &&
	    !(err = gmem_add_ram(&g, GPA(8 * MIB), 4 * MIB)) &&
	    !(err = gmem_write(&g, GPA(MIB + 5), buf, 3 * MIB)) &&
	    !(err = gmem_fault(&g, GPA(5 * MIB), GMEM_WRITE)) &&
	    !(err = gmem_fault(&g, GPA(9 * MIB), GMEM_READ)) &&
	    !(err = gmem_map(&g, GPA(10 * MIB), 8, GMEM_WRITE, &m))) {
		gmem_unmap(&m);
		gmem_drop_tables(&g);
	}
	gmem_destroy(&g);
	return err;
}

static void memory_runs_out_at_every_step(void **state)
{
	unsigned failed = 0;
	int err;

	(void)state;
	for (uint64_t limit = 1;; limit++) {
		charge.limit = limit;
		err = life();
		assert_int_equal(charge.pages, 0);
		assert_int_equal(gmem_promised(), 0);
		if (!err)
			break;
		assert_int_equal(err, -ENOMEM);
		failed++;
	}
	assert_true(failed > 500);
	charge.limit = 0;
	for (unsigned left = 0;; left++) {
		host_heap_left = left;
		err = life();
		host_heap_left = ~0u;
		assert_int_equal(charge.pages, 0);
		assert_int_equal(gmem_promised(), 0);
		if (!err)
			break;
		assert_int_equal(err, -ENOMEM);
	}
}

/* Where 2 MiB do not fit the limit, single frames still do. */
/* A long copy is no reason for others to wait; a short one has no time to lose. */
static void long_copies_give_way(void **state)
{
	static uint8_t image[16 * MIB + 4096];

	(void)state;
	start();
	ram(0, 64 * MIB);
	gave_way = 0;
	assert_int_equal(gmem_write(&g, GPA(MIB), image, PAGE_2M - 1), 0);
	assert_int_equal(gave_way, 0);
	assert_int_equal(gmem_write(&g, GPA(4 * MIB), image, 16 * MIB), 0);
	assert_in_range(gave_way, 7, 8);
	gave_way = 0;
	assert_int_equal(gmem_write(&g, GPA(4 * MIB + 5), image, 16 * MIB), 0);
	assert_in_range(gave_way, 7, 8);
	gave_way = 0;
	assert_int_equal(gmem_fill(&g, GPA(4096), 0x55, 32 * MIB), 0);
	assert_in_range(gave_way, 15, 16);
	finish();
}

static void small_pages_when_large_ones_are_out(void **state)
{
	(void)state;
	start();
	ram(0, 4 * MIB);
	charge.limit = charge.pages + 100;
	assert_int_equal(gmem_fault(&g, GPA(0), GMEM_WRITE), 0);
	assert_int_equal(leaf_at(0).size, PAGE_SIZE);
	charge.limit = 0;
	assert_int_equal(gmem_fault(&g, GPA(PAGE_SIZE), GMEM_WRITE), 0);
	assert_int_equal(leaf_at(PAGE_SIZE).size, PAGE_SIZE);
	assert_int_equal(gmem_fault(&g, GPA(2 * MIB), GMEM_WRITE), 0);
	assert_int_equal(leaf_at(2 * MIB).size, PAGE_2M);
	finish();
}

static void promises_are_kept(void **state)
{
	struct gmem other;

	(void)state;
	start();
	ram(0, GIB + 512 * MIB);
	assert_int_equal(gmem_init(&other, &config), 0);
	assert_int_equal(gmem_add_ram(&other, GPA(0), (gmem_available() + 1) * PAGE_SIZE), -ENOMEM);
	assert_int_equal(gmem_add_ram(&other, GPA(0), GIB), -ENOMEM);
	assert_int_equal(gmem_add_ram(&other, GPA(0), 512 * MIB), 0);
	gmem_destroy(&g);
	assert_int_equal(gmem_add_ram(&other, GPA(GIB), GIB), 0);
	gmem_destroy(&other);
	assert_int_equal(gmem_promised(), 0);
}

#define VCPUS	4u

/*
 * Each adds its bit to every word, through whatever way; all run over the same frames
 * in the same order.
 */
static void *vcpu(void *arg)
{
	unsigned n = (unsigned)(uintptr_t)arg;

	host_cpu_become(n);
	for (uint64_t a = 0; a < 16 * MIB; a += PAGE_SIZE) {
		uint64_t at = a + n * 8, value = a + n, back;
		struct gmem_mapping m;

		if (gmem_fault(&g, GPA(a), GMEM_WRITE) || gmem_write(&g, GPA(at), &value, 8) ||
		    gmem_read(&g, GPA(at), &back, 8) || back != value)
			return arg ?: &g;
		if (*(uint64_t *)gmem_peek(&g, GPA(at), GMEM_READ) != value)
			return arg ?: &g;
		if (gmem_map(&g, GPA(at), 8, GMEM_READ, &m) || *(uint64_t *)m.ptr != value)
			return arg ?: &g;
		gmem_unmap(&m);
		if (a % (3 * MIB) == 0)
			gmem_drop_tables(&g);
	}
	return NULL;
}

static void vcpus_fault_together(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 4; round++) {
		pthread_t thread[VCPUS];

		config.max_leaf_level = 1 + round % 2;
		start();
		ram(0, 15 * MIB);
		ram(15 * MIB, MIB);
		for (uintptr_t i = 0; i < VCPUS; i++)
			assert_int_equal(pthread_create(&thread[i], NULL, vcpu, (void *)i), 0);
		for (unsigned i = 0; i < VCPUS; i++) {
			void *bad;

			pthread_join(thread[i], &bad);
			assert_null(bad);
		}
		assert_int_equal(gmem_stats(&g).present_pages, 16 * MIB / PAGE_SIZE);
		finish();
	}
	config.max_leaf_level = 2;
}

/* Scrubs all memory without letting the host pay for it. */
static void scrub_all(void)
{
	for (unsigned i = 0; page_scrub_some(); i++)
		if (i % 512 == 0)
			madvise((void *)LAYOUT_DIRECT, TOP, MADV_DONTNEED);
	madvise((void *)LAYOUT_DIRECT, TOP, MADV_DONTNEED);
}

static uint64_t gib_bitmap[PAGE_1G / PAGE_SIZE / 64];

static int fetch_gib(void)
{
	struct gmem_slot s;

	assert_true(gmem_slot_get(&g, 0, &s));
	return gmem_dirty_fetch(&g, s.object, ALIGN_UP(s.offset, PAGE_1G), GIB, gib_bitmap);
}

/* One GiB in one leaf is tracked: it falls apart where it is written, and is one again. */
static void the_gib_is_tracked(void)
{
	uint64_t at = GIB + 123 * PAGE_SIZE, count = 0;

	gmem_track_begin(&g);
	assert_int_equal(fetch_gib(), 1);
	assert_true(gib_bitmap[0] == ~0ul && gib_bitmap[ARRAY_COUNT(gib_bitmap) - 1] == ~0ul);
	assert_int_equal(leaf_at(GIB).size, PAGE_1G);
	assert_false(leaf_at(GIB).prot & PROT_WRITE);
	assert_int_equal(gmem_fault(&g, GPA(at), GMEM_WRITE), 0);
	assert_true(leaf_at(at).size == PAGE_SIZE && leaf_at(at).prot & PROT_WRITE);
	assert_false(leaf_at(at + PAGE_SIZE).prot & PROT_WRITE);
	assert_true(leaf_at(GIB + 2 * MIB).size == PAGE_2M);
	memset(gib_bitmap, 0, sizeof(gib_bitmap));
	assert_int_equal(fetch_gib(), 1);
	for (unsigned i = 0; i < ARRAY_COUNT(gib_bitmap); i++)
		count += (unsigned)__builtin_popcountl(gib_bitmap[i]);
	assert_int_equal(count, 1);
	assert_true(gib_bitmap[1] & BIT(123 - 64));
	assert_int_equal(fetch_gib(), 0);
	gmem_track_end(&g);
	assert_int_equal(gmem_fault(&g, GPA(at), GMEM_READ), 0);
	assert_true(leaf_at(GIB).size == PAGE_1G && leaf_at(GIB).prot & PROT_WRITE);
}

static void a_scrubbed_gib_becomes_one_leaf(void **state)
{
	uint64_t pages;

	(void)state;
	scrub_all();
	config.max_leaf_level = 3;
	start();
	ram(GIB - 4 * MIB, GIB + 8 * MIB);
	assert_int_equal(gmem_fault(&g, GPA(GIB + 123 * PAGE_SIZE), GMEM_WRITE), 0);
	assert_int_equal(leaf_at(GIB).size, PAGE_1G);
	assert_int_equal(leaf_at(GIB).address.v % PAGE_1G, 0);
	assert_int_equal(gmem_stats(&g).present_pages, PAGE_1G / PAGE_SIZE);
	assert_int_equal(gmem_fault(&g, GPA(GIB - 1), GMEM_WRITE), 0);
	assert_int_equal(leaf_at(GIB - 1).size, PAGE_2M);
	assert_ptr_equal(gmem_peek(&g, GPA(2 * GIB - 1), GMEM_READ),
			 kmap_direct(leaf_at(2 * GIB - 1).address));
	/* Again after a drop, also from the middle. */
	pages = gmem_stats(&g).present_pages;
	gmem_drop_tables(&g);
	assert_int_equal(gmem_fault(&g, GPA(2 * GIB - 1), GMEM_WRITE), 0);
	assert_int_equal(leaf_at(GIB).size, PAGE_1G);
	assert_int_equal(gmem_stats(&g).present_pages, pages);
	the_gib_is_tracked();
	finish();
	config.max_leaf_level = 2;
}

/* Code never runs from a large leaf, data stays in one until code shares it. */
static void executable_leaves_are_small(void **state)
{
	struct gmem_config c = config;

	(void)state;
	c.format = &paging_ept;
	c.exec_4k = true;
	assert_int_equal(gmem_init(&g, &c), 0);
	ram(0, 8 * MIB + 2 * PAGE_SIZE);
	assert_int_equal(gmem_fault(&g, GPA(0x5000), GMEM_WRITE), 0);
	assert_int_equal(leaf_at(0x5000).size, PAGE_2M);
	assert_int_equal(leaf_at(0x5000).prot, PROT_READ | PROT_WRITE);
	assert_int_equal(gmem_fault(&g, GPA(0x3123), GMEM_EXEC), 0);
	assert_int_equal(leaf_at(0x3000).size, PAGE_SIZE);
	assert_int_equal(leaf_at(0x3000).prot, PROT_READ | PROT_WRITE | PROT_EXEC);
	assert_ptr_equal(kmap_direct(leaf_at(0x3000).address),
			 gmem_peek(&g, GPA(0x3000), GMEM_READ));
	assert_int_equal(leaf_at(0x5000).size, PAGE_SIZE);
	assert_int_equal(leaf_at(0x5000).prot, PROT_READ | PROT_WRITE);
	/* What is split stays so, and what is executable too, whatever faults again. */
	assert_int_equal(gmem_fault(&g, GPA(0x3000), GMEM_WRITE), 0);
	assert_int_equal(gmem_fault(&g, GPA(0x5000), GMEM_READ), 0);
	assert_true(leaf_at(0x3000).size == PAGE_SIZE && leaf_at(0x3000).prot & PROT_EXEC);
	assert_true(leaf_at(0x5000).size == PAGE_SIZE && !(leaf_at(0x5000).prot & PROT_EXEC));
	/* Code first: its neighbours come with it. */
	assert_int_equal(gmem_fault(&g, GPA(4 * MIB), GMEM_EXEC), 0);
	assert_true(leaf_at(4 * MIB).size == PAGE_SIZE && leaf_at(4 * MIB).prot & PROT_EXEC);
	assert_true(leaf_at(6 * MIB - 1).size == PAGE_SIZE &&
		    !(leaf_at(6 * MIB - 1).prot & PROT_EXEC));
	assert_ptr_equal(kmap_direct(leaf_at(6 * MIB - 1).address),
			 gmem_peek(&g, GPA(6 * MIB - 1), GMEM_READ));
	/* What is small anyway is as ever. */
	assert_int_equal(gmem_fault(&g, GPA(8 * MIB), GMEM_READ), 0);
	assert_true(leaf_at(8 * MIB).size == PAGE_SIZE && leaf_at(8 * MIB).prot & PROT_EXEC);
	finish();
}

/* Where large leaves are not executable, code in one place leaves that in another alone. */
static void code_in_a_gib(void **state)
{
	struct gmem_slot s = { .base = 0, .size = GIB };
	struct gmem_config c = config;
	uint64_t pages;

	(void)state;
	scrub_all();
	c.format = &paging_ept;
	c.exec_4k = true;
	c.max_leaf_level = 3;
	assert_int_equal(gmem_init(&g, &c), 0);
	assert_int_equal(gmem_object_create(0, GIB, 3, NODE_ANY, &charge, &s.object), 0);
	assert_int_equal(gmem_slot_add(&g, &s), 0);
	gmem_object_put(s.object);
	assert_int_equal(gmem_fault(&g, GPA(0), GMEM_WRITE), 0);
	assert_int_equal(gmem_stats(&g).present_pages, PAGE_1G / PAGE_SIZE);
	assert_int_equal(gmem_fault(&g, GPA(MIB), GMEM_EXEC), 0);
	assert_int_equal(gmem_fault(&g, GPA(9 * MIB), GMEM_EXEC), 0);
	pages = charge.pages;
	for (unsigned i = 0; i < 20; i++) {
		assert_true(leaf_at(MIB).prot & PROT_EXEC);
		assert_true(leaf_at(9 * MIB).prot & PROT_EXEC);
		assert_int_equal(gmem_fault(&g, GPA(i % 2 ? MIB : 9 * MIB), GMEM_EXEC), 0);
		assert_int_equal(gmem_fault(&g, GPA(100 * MIB), GMEM_READ), 0);
	}
	assert_int_equal(charge.pages, pages);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_scrubbed_gib_becomes_one_leaf),
		cmocka_unit_test(code_in_a_gib),
		cmocka_unit_test(slots_are_checked),
		cmocka_unit_test(hostile_ranges_fault),
		cmocka_unit_test(reading_fills_nothing),
		cmocka_unit_test(frames_are_clean),
		cmocka_unit_test(leaves_fit_the_slot),
		cmocka_unit_test(executable_leaves_are_small),
		cmocka_unit_test(tables_are_a_cache),
		cmocka_unit_test(pins_hold_frames),
		cmocka_unit_test(random_against_a_model),
		cmocka_unit_test(memory_runs_out_at_every_step),
		cmocka_unit_test(long_copies_give_way),
		cmocka_unit_test(small_pages_when_large_ones_are_out),
		cmocka_unit_test(promises_are_kept),
		cmocka_unit_test(vcpus_fault_together),
	};

	host_percpu_init(VCPUS);
	memory_init(TOP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
