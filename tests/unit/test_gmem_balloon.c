/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/gmem/gmem*.c mm/paging.c mm/paging_host.c mm/paging_npt.c mm/paging_ept.c
 * mm/page.c mm/page_intake.c tests/host/heap.c tests/host/memory.c tests/host/percpu.c
 * tests/host/spinlock.c tests/host/panic.c tests/host/log.c */
/*
 * Memory that a guest gives back: what it had there and what was promised, twice the same, large
 * pages and their tables, what others have, what is no RAM; a promise that cannot be had again;
 * and any order of all that against a model.
 */
#include "vmm/gmem/gmem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/percpu.h"
#include "include/bits.h"
#include "include/errno.h"
#include "mm/kmap.h"
#include "tests/host/memory.h"

#define TOP	(256 * MIB)
#define RAM	(8 * MIB)
#define FRAMES	(RAM / PAGE_SIZE)

void sched_point(void);

void sched_point(void)
{
}

void ipi_call_others(void (*fn)(void *arg), void *arg)
{
	fn(arg);
}

static unsigned flushes;

static void flush(void *arg)
{
	(void)arg;
	flushes++;
}

static struct charge charge = { .name = "guest" };
static struct gmem g;
static const struct gmem_config config = {
	.format = &paging_npt, .max_leaf_level = 2, .gpa_bits = 48, .node = NODE_ANY,
	.charge = &charge, .flush = flush,
};

static void start(void)
{
	assert_int_equal(gmem_init(&g, &config), 0);
	assert_int_equal(gmem_add_ram(&g, GPA(0), RAM), 0);
	assert_int_equal(gmem_promised(), FRAMES);
}

static void finish(void)
{
	gmem_destroy(&g);
	assert_int_equal(charge.pages, 0);
	assert_int_equal(gmem_promised(), 0);
}

static uint64_t inflate(uint64_t at, uint64_t size)
{
	return gmem_inflate(&g, &(struct gmem_range){ at, size }, 1);
}

static uint64_t deflate(uint64_t at, uint64_t size)
{
	return gmem_deflate(&g, &(struct gmem_range){ at, size }, 1);
}

static uint64_t discard(uint64_t at, uint64_t size)
{
	return gmem_discard(&g, &(struct gmem_range){ at, size }, 1);
}

static void write_8(uint64_t a, uint64_t v)
{
	assert_int_equal(gmem_write(&g, GPA(a), &v, 8), 0);
}

static uint64_t read_8(uint64_t a)
{
	uint64_t v = 1;

	assert_int_equal(gmem_read(&g, GPA(a), &v, 8), 0);
	return v;
}

static uint64_t leaf_size(uint64_t a)
{
	struct paging_leaf leaf;

	return paging_lookup(&g.view.tables, a, &leaf) ? 0 : leaf.size;
}

static uint64_t present(void)
{
	return gmem_stats(&g).present_pages;
}

static void promise_follows(void **state)
{
	(void)state;
	start();
	write_8(0x1000, 5);
	write_8(0x5000, 6);
	assert_int_equal(present(), 512);
	flushes = 0;
	assert_int_equal(inflate(0x1000, 3 * PAGE_SIZE), 3);
	assert_int_equal(flushes, 1);
	assert_int_equal(present(), 509);
	assert_int_equal(gmem_promised(), FRAMES - 3);
	assert_int_equal(gmem_stats(&g).out_pages, 3);
	assert_int_equal(inflate(0, 5 * PAGE_SIZE), 2);		/* each once */
	assert_int_equal(inflate(0, 5 * PAGE_SIZE), 0);
	assert_int_equal(gmem_promised(), FRAMES - 5);
	assert_int_equal(read_8(0x1000), 0);			/* a look costs nothing */
	assert_int_equal(gmem_promised(), FRAMES - 5);
	assert_int_equal(read_8(0x5000), 6);
	assert_int_equal(gmem_fault(&g, GPA(0x1008), GMEM_WRITE), 0);
	assert_int_equal(gmem_promised(), FRAMES - 4);
	assert_int_equal(*(uint64_t *)gmem_peek(&g, GPA(0x1000), GMEM_READ), 0);
	assert_int_equal(deflate(0, RAM), 4);
	assert_int_equal(deflate(0, RAM), 0);
	assert_int_equal(gmem_promised(), FRAMES);
	/* What was never there, too. */
	assert_int_equal(inflate(4 * MIB, 4 * MIB), 1024);
	assert_int_equal(gmem_promised(), FRAMES - 1024);
	finish();
}

/* Their tables go with the last frame, and the large page may come back when none is out. */
static void large_pages(void **state)
{
	uint64_t before;

	(void)state;
	start();
	assert_int_equal(gmem_fault(&g, GPA(0), GMEM_WRITE), 0);
	assert_int_equal(gmem_fault(&g, GPA(2 * MIB), GMEM_WRITE), 0);
	assert_int_equal(leaf_size(0), PAGE_2M);
	before = charge.pages;
	for (uint64_t a = 0; a < 2 * MIB; a += 2 * PAGE_SIZE)
		assert_int_equal(inflate(a, PAGE_SIZE), 1);
	assert_int_equal(present(), 768);
	assert_int_equal(gmem_fault(&g, GPA(PAGE_SIZE), GMEM_WRITE), 0);
	assert_int_equal(leaf_size(PAGE_SIZE), PAGE_SIZE);
	assert_int_equal(leaf_size(2 * MIB), PAGE_2M);
	for (uint64_t a = PAGE_SIZE; a < 2 * MIB; a += 2 * PAGE_SIZE)
		assert_int_equal(inflate(a, PAGE_SIZE), 1);
	assert_int_equal(present(), 512);
	assert_int_equal(inflate(2 * MIB, 2 * MIB), 512);
	assert_int_equal(present(), 0);
	gmem_drop_tables(&g);
	assert_true(charge.pages < before - 1024 + 4);
	/* One of them is used: the others stay out. */
	assert_int_equal(deflate(0x3000, PAGE_SIZE), 1);
	assert_int_equal(gmem_fault(&g, GPA(0x3000), GMEM_WRITE), 0);
	assert_int_equal(leaf_size(0x3000), PAGE_SIZE);
	assert_int_equal(present(), 1);
	assert_int_equal(gmem_stats(&g).out_pages, 1023);
	assert_int_equal(deflate(2 * MIB, 2 * MIB), 512);
	assert_int_equal(gmem_fault(&g, GPA(2 * MIB), GMEM_WRITE), 0);
	assert_int_equal(leaf_size(2 * MIB), PAGE_2M);
	finish();
}

static void promised_to_others(void **state)
{
	uint64_t others;
	uint64_t v = 7;

	(void)state;
	start();
	assert_int_equal(inflate(0, 2 * MIB), 512);
	others = gmem_available();
	assert_int_equal(gmem_promise(others), 0);
	assert_int_equal(gmem_available(), 0);
	assert_int_equal(deflate(0, 2 * MIB), 0);
	assert_int_equal(gmem_fault(&g, GPA(0x1000), GMEM_READ), -ENOMEM);
	assert_int_equal(gmem_write(&g, GPA(0x1000), &v, 8), -ENOMEM);
	assert_int_equal(gmem_fault(&g, GPA(2 * MIB), GMEM_READ), 0);	/* the rest is its own */
	gmem_promise_take_back(1);
	assert_int_equal(deflate(0, 2 * MIB), 0);		/* not all of them */
	assert_int_equal(deflate(0x1000, PAGE_SIZE), 1);
	assert_int_equal(gmem_fault(&g, GPA(0x1000), GMEM_READ), 0);
	assert_int_equal(gmem_fault(&g, GPA(0x2000), GMEM_READ), -ENOMEM);
	gmem_promise_take_back(1);
	assert_int_equal(gmem_fault(&g, GPA(0x2000), GMEM_READ), 0);
	assert_int_equal(gmem_stats(&g).out_pages, 510);
	gmem_promise_take_back(others - 2);
	finish();
}

/* What a device or another guest has stays, and is promised as before. */
static void used_elsewhere(void **state)
{
	struct gmem_object *to = NULL;
	struct gmem_mapping m;
	struct gmem_slot s;

	(void)state;
	start();
	write_8(0, 1);
	write_8(2 * MIB, 2);
	assert_int_equal(gmem_map(&g, GPA(0x3000), 8, GMEM_WRITE, &m), 0);
	assert_int_equal(inflate(0, 2 * MIB), 0);		/* parts of a large page */
	*(uint64_t *)m.ptr = 9;
	gmem_unmap(&m);
	assert_int_equal(read_8(0x3000), 9);
	assert_int_equal(inflate(0x4000, PAGE_SIZE), 1);
	assert_int_equal(gmem_map(&g, GPA(0x3000), 8, GMEM_WRITE, &m), 0);
	assert_int_equal(inflate(0, 2 * MIB), 510);
	assert_int_equal(read_8(0x3000), 9);
	gmem_unmap(&m);
	assert_true(gmem_slot_get(&g, 0, &s));
	assert_int_equal(gmem_object_create(0, RAM, 2, NODE_ANY, &charge, &to), 0);
	assert_int_equal(gmem_share(&g, s.object, 2 * MIB, 2 * PAGE_SIZE, to), 0);
	assert_int_equal(inflate(2 * MIB, 4 * PAGE_SIZE), 2);
	assert_int_equal(read_8(2 * MIB), 2);
	gmem_object_put(to);
	finish();
}

static void not_ram(void **state)
{
	const struct gmem_range odd[] = {
		{ 0x1001, PAGE_SIZE }, { 0x1fff, PAGE_SIZE }, { 0x1000, PAGE_SIZE - 1 }, { 0x1000, 0 },
		{ RAM, GIB }, { ~0ul, 1 }, { ~0ul - PAGE_SIZE, ~0ul }, { 1ul << 52, 1ul << 40 },
		{ 16 * MIB, PAGE_SIZE }, { 16 * MIB - PAGE_SIZE, 2 * PAGE_SIZE },
	};
	struct gmem_slot rom = { .base = 16 * MIB, .size = PAGE_SIZE, .denied = GMEM_WRITE };

	(void)state;
	start();
	assert_int_equal(gmem_object_create(0, PAGE_SIZE, 1, NODE_ANY, &charge, &rom.object), 0);
	assert_int_equal(gmem_slot_add(&g, &rom), 0);
	write_8(0x1000, 1);
	assert_int_equal(gmem_inflate(&g, odd, ARRAY_COUNT(odd)), 0);
	assert_int_equal(gmem_deflate(&g, odd, ARRAY_COUNT(odd)), 0);
	assert_int_equal(gmem_discard(&g, odd, ARRAY_COUNT(odd)), 0);
	assert_int_equal(read_8(0x1000), 1);
	assert_int_equal(inflate(0xfff, 2 * PAGE_SIZE), 1);
	assert_int_equal(inflate(0, ~0ul), FRAMES - 1);
	assert_int_equal(gmem_promised(), 1);
	assert_int_equal(deflate(0, ~0ul), FRAMES);
	gmem_object_put(rom.object);
	finish();
}

static void unused_pages(void **state)
{
	struct gmem_range r[3] = { { 0, 2 * MIB }, { 0x201000, PAGE_SIZE }, { 4 * MIB, 2 * MIB } };

	(void)state;
	start();
	write_8(0x10, 1);
	write_8(0x201000, 2);
	write_8(0x203000, 3);
	flushes = 0;
	assert_int_equal(gmem_discard(&g, r, 3), 513);
	assert_int_equal(flushes, 1);
	assert_int_equal(gmem_discard(&g, r, 3), 0);
	assert_int_equal(flushes, 1);
	assert_int_equal(gmem_promised(), FRAMES);
	assert_int_equal(read_8(0x201000), 0);
	assert_int_equal(read_8(0x203000), 3);
	assert_int_equal(gmem_fault(&g, GPA(0), GMEM_WRITE), 0);
	assert_int_equal(leaf_size(0), PAGE_2M);		/* as large as it was */
	assert_int_equal(read_8(0x10), 0);
	finish();
}

/* Without memory for its bits or to split a page nothing goes out. */
static void without_memory(void **state)
{
	(void)state;
	start();
	write_8(0, 1);
	charge.limit = charge.pages;
	assert_int_equal(inflate(0x1000, PAGE_SIZE), 0);
	assert_int_equal(gmem_promised(), FRAMES);
	assert_int_equal(read_8(0), 1);
	charge.limit = 0;
	assert_int_equal(inflate(0x1000, PAGE_SIZE), 1);
	finish();
}

/* ---- against a model ------------------------------------------------------------------------- */

static uint64_t model[FRAMES];
static bool out[FRAMES];

static void touch(uint64_t frame, uint64_t v)
{
	write_8(frame * PAGE_SIZE, v);
	model[frame] = v;
	out[frame] = false;
}

static void check_model(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < FRAMES; i++) {
		assert_int_equal(read_8(i * PAGE_SIZE), model[i]);
		assert_true(!out[i] || !gmem_peek(&g, GPA(i * PAGE_SIZE), GMEM_READ));
		n += out[i];
	}
	assert_int_equal(gmem_stats(&g).out_pages, n);
	assert_int_equal(gmem_promised(), FRAMES - n);
}

static void random_change(void)
{
	uint64_t first = (uint64_t)rand() % FRAMES, size = 1 + (uint64_t)rand() % 4, n = 0;
	unsigned what = (unsigned)rand() % 8;

	if (rand() % 8 == 0) {
		first = ALIGN_DOWN(first, 512);
		size = 512;
	}
	size = MIN(size, FRAMES - first);
	for (uint64_t i = first; i < first + size; i++) {
		if (what < 2)
			n += !out[i];
		if (what == 2)
			n += out[i];
		if (what < 2)
			out[i] = true;
		if (what == 2)
			out[i] = false;
		if (what < 2 || what == 3)
			model[i] = 0;
		if (what > 3)
			touch(i, (uint64_t)rand());
	}
	if (what < 2)
		assert_int_equal(inflate(first * PAGE_SIZE, size * PAGE_SIZE), n);
	if (what == 2)
		assert_int_equal(deflate(first * PAGE_SIZE, size * PAGE_SIZE), n);
	if (what == 3)
		(void)discard(first * PAGE_SIZE, size * PAGE_SIZE);
}

static void any_order(void **state)
{
	(void)state;
	srand(1);
	start();
	memset(model, 0, sizeof(model));
	memset(out, 0, sizeof(out));
	for (unsigned i = 0; i < 20000; i++) {
		random_change();
		if (!(i % 1000))
			check_model();
		if (i % 4000 == 3999)
			gmem_drop_tables(&g);
	}
	check_model();
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(promise_follows), cmocka_unit_test(large_pages),
		cmocka_unit_test(promised_to_others), cmocka_unit_test(used_elsewhere),
		cmocka_unit_test(not_ram), cmocka_unit_test(unused_pages),
		cmocka_unit_test(without_memory), cmocka_unit_test(any_order),
	};

	memory_init(TOP);
	host_percpu_init(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
