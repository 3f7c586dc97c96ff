/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/gmem/gmem*.c mm/paging.c mm/paging_host.c mm/paging_npt.c mm/paging_ept.c
 * mm/page.c mm/page_intake.c tests/host/heap.c tests/host/memory.c tests/host/percpu.c
 * tests/host/spinlock.c tests/host/panic.c tests/host/log.c */
/*
 * Who waits for whom at a view; what small changes leave of the tables goes with its slot; vCPUs
 * that fault while frames, marks, slots and the tables go under them find nothing that is stale.
 */
#include "vmm/gmem/gmem.h"

#include <pthread.h>
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

#define TOP	(6 * GIB)		/* a GiB in one piece for each life */
#define BASE	(4 * GIB)
#define VCPUS	3

extern void (*spin_waits)(const struct spinlock *l);

int sched_yield(void);		/* kernel/sched.h and the host's do not go together */
void sched_point(void);

void sched_point(void)
{
}

void ipi_call_others(void (*fn)(void *arg), void *arg)
{
	fn(arg);
}

static struct charge charge = { .name = "guest" };
static struct gmem g;
static struct gmem_config config = {
	.format = &paging_npt, .max_leaf_level = 2, .gpa_bits = 48, .node = NODE_ANY,
	.charge = &charge,
};

static void start(void)
{
	assert_int_equal(gmem_init(&g, &config), 0);
}

static void finish(void)
{
	gmem_destroy(&g);
	assert_int_equal(charge.pages, 0);
	assert_int_equal(gmem_promised(), 0);
}

/* ---- who waits ------------------------------------------------------------------------------- */

static struct spinlock *is_held[2];
static unsigned waits;

/* CPU 0 has done what it held them for. */
static void another_waits(const struct spinlock *l)
{
	waits++;
	assert_true(l == is_held[0] || l == is_held[1]);
	host_cpu_become(0);
	spin_unlock((struct spinlock *)l);
	host_cpu_become(1);
}

/* CPU 0 is in the 2 MiB at `held`, and CPU 1 has a fault at `a`: how often does it wait? */
static unsigned waits_of(struct gmem_object *o, uint64_t held, uint64_t a, unsigned access)
{
	is_held[0] = gmem_lock_of(o, held);
	is_held[1] = &g.view.part[(held >> CHUNK_SHIFT) % GMEM_LOCKS].lock;
	for (unsigned i = 0; i < 2; i++)
		spin_lock(is_held[i]);
	waits = 0;
	spin_waits = another_waits;
	host_cpu_become(1);
	assert_int_equal(gmem_fault(&g, GPA(a), access), 0);
	host_cpu_become(0);
	spin_waits = NULL;
	for (unsigned i = 0; i < 2; i++)
		if (spin_held(is_held[i]))
			spin_unlock(is_held[i]);
	return waits;
}

/* Of the first faults, which make the tables and the pages, and of those that find them. */
static void faults_of_other_chunks_do_not_wait(void **state)
{
	struct gmem_slot s;

	(void)state;
	config.flush = NULL;
	for (unsigned level = 1; level <= 2; level++) {
		config.max_leaf_level = level;
		start();
		assert_int_equal(gmem_add_ram(&g, GPA(0), 64 * MIB), 0);
		assert_true(gmem_slot_get(&g, 0, &s));
		for (unsigned again = 0; again < 2; again++)
			for (unsigned i = 0; i < 32; i++)
				for (unsigned k = 0; k < 32; k++) {
					uint64_t a = i * PAGE_2M + k * PAGE_SIZE;
					unsigned w = waits_of(s.object, k * PAGE_2M, a, GMEM_WRITE);

					if (i % GMEM_LOCKS == k % GMEM_LOCKS)
						assert_in_range(w, 1, 2);
					else
						assert_int_equal(w, 0);
				}
		finish();
	}
	config.max_leaf_level = 2;
}

/* ---- tables ---------------------------------------------------------------------------------- */

/* Every table's count is right, and there are no more than are counted. */
static uint64_t tables_below(const struct page *table, unsigned level)
{
	const struct paging_format *f = config.format;
	const uint64_t *e = page_virt(table);
	uint64_t sum = 1, used = 0;

	for (unsigned i = 0; i < ENTRIES; i++) {
		used += !!(e[i] & f->present);
		if (level > 1 && e[i] & f->present && !(e[i] & f->large))
			sum += tables_below(page_at(HPA(e[i] & BITS(51, 12))), level - 1);
	}
	assert_int_equal(used, table->used);
	return sum;
}

static void tables_are_right(void)
{
	assert_int_equal(tables_below(g.view.tables.root, config.format->levels),
			 g.view.tables.table_pages);
}

/* A guest that moves a small window all over its address space would else fill memory with them. */
static void a_moved_slot_leaves_no_tables(void **state)
{
	uint64_t at = 0;

	(void)state;
	config.flush = NULL;
	start();
	assert_int_equal(gmem_add_ram(&g, GPA(0), 4 * PAGE_SIZE), 0);
	for (unsigned i = 1; i < 300; i++) {
		uint64_t to = i * 7 * GIB + i * 3 * PAGE_SIZE;

		assert_int_equal(gmem_fault(&g, GPA(at + PAGE_SIZE), GMEM_WRITE), 0);
		assert_int_equal(gmem_slot_move(&g, GPA(at), GPA(to)), 0);
		at = to;
		assert_int_equal(g.view.tables.table_pages, 1);
		tables_are_right();
	}
	/* Nor is anything left when only frames went, in between. */
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(gmem_fault(&g, GPA(at + i * PAGE_SIZE), GMEM_WRITE), 0);
	for (unsigned i = 0; i < 4; i++) {
		struct gmem_slot s;

		assert_true(gmem_slot_get(&g, 0, &s));
		assert_int_equal(gmem_take(&g, s.object, s.offset + i * PAGE_SIZE, PAGE_SIZE,
					   false), 1);
		tables_are_right();
	}
	assert_int_equal(g.view.tables.table_pages, 3);
	assert_int_equal(gmem_slot_remove(&g, GPA(at)), 0);
	assert_int_equal(g.view.tables.table_pages, 1);
	finish();
}

/* No page is clear: tables are made all the same, as long as there is memory. */
static void tables_without_clear_pages(void **state)
{
	struct page *clear[64];
	unsigned n = 0, held;
	struct gmem_slot s;

	(void)state;
	config.flush = NULL;
	for (unsigned order = 0; order <= PAGE_ORDER_MAX; order += PAGE_ORDER_2M) {
		do {
			assert_true(n < ARRAY_COUNT(clear));
			clear[n] = page_alloc(order, PAGE_ZEROED | PAGE_READY, NODE_ANY, &charge);
		} while (clear[n] && ++n);
	}
	held = n;
	start();
	assert_int_equal(gmem_add_ram(&g, GPA(0), 64 * MIB), 0);
	assert_true(gmem_slot_get(&g, 0, &s));
	for (unsigned i = 0; i < 32; i += 3) {
		assert_int_equal(gmem_fault(&g, GPA(i * PAGE_2M), GMEM_WRITE), 0);
		/* A large leaf is split for what is taken from it, and the others stay. */
		assert_int_equal(gmem_take(&g, s.object, s.offset + i * PAGE_2M, PAGE_SIZE, false),
				 1);
		assert_int_equal(gmem_fault(&g, GPA(i * PAGE_2M + PAGE_SIZE), GMEM_WRITE), 0);
		tables_are_right();
	}
	/* None at all: what is there goes on, and nothing is left half made. */
	charge.limit = charge.pages;
	assert_int_equal(gmem_fault(&g, GPA(PAGE_2M), GMEM_WRITE), -ENOMEM);
	gmem_drop_tables(&g);
	tables_are_right();
	charge.limit = 0;
	assert_int_equal(gmem_fault(&g, GPA(PAGE_2M), GMEM_WRITE), 0);
	while (held)
		page_put(clear[--held]);
	finish();
}

/* ---- vCPUs at work --------------------------------------------------------------------------- */

/* Quiescence as vmm/vm_quiesce.c has it; the last is who changes. */
static uint64_t epoch, seen[VCPUS + 1];
static bool quiet[VCPUS + 1], stop, pause_all;
static __thread unsigned me;

/* A slot of three frames that moves about here. */
#define SMALL	(BASE + 2 * GIB)
#define AREA	(24 * MIB)
static uint64_t small;

static void be_quiet(bool yes)
{
	if (!yes)
		__atomic_store_n(&seen[me], __atomic_load_n(&epoch, __ATOMIC_SEQ_CST),
				 __ATOMIC_SEQ_CST);
	__atomic_store_n(&quiet[me], yes, __ATOMIC_SEQ_CST);
}

static bool has_been_quiet(unsigned i, uint64_t e)
{
	return __atomic_load_n(&quiet[i], __ATOMIC_SEQ_CST) ||
	       __atomic_load_n(&seen[i], __ATOMIC_SEQ_CST) >= e;
}

static void wait_for_quiet(void *arg)
{
	uint64_t e = __atomic_add_fetch(&epoch, 1, __ATOMIC_SEQ_CST);

	(void)arg;
	be_quiet(true);
	for (unsigned i = 0; i < VCPUS; i++)
		while (i != me && !has_been_quiet(i, e))
			sched_yield();
	be_quiet(false);
}

static uint64_t random_of(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ul + 1442695040888963407ul;
	return *seed >> 33;
}

static void between_exits(void)
{
	do {
		be_quiet(true);
		while (__atomic_load_n(&pause_all, __ATOMIC_SEQ_CST))
			sched_yield();
		be_quiet(false);
	} while (__atomic_load_n(&pause_all, __ATOMIC_SEQ_CST));
}

/* NULL: nothing was wrong. */
static void *vcpu(void *arg)
{
	static const unsigned access[] = { GMEM_READ, GMEM_READ, GMEM_WRITE, GMEM_EXEC };
	uint64_t seed = (uintptr_t)arg + 1;

	me = (unsigned)(uintptr_t)arg;
	host_cpu_become(me);
	while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
		uint64_t r = random_of(&seed);
		/* Most in a few MiB, so that they meet. */
		uint64_t a = BASE + (r % 4 ? r % AREA : r % GIB);
		int err;

		between_exits();
		if (r % 8 == 1)
			a = __atomic_load_n(&small, __ATOMIC_RELAXED);
		err = gmem_fault(&g, GPA(a), access[r / 32 % 4]);
		if (err && err != -EINTR && (err != -ENOENT || a < SMALL))
			return (void *)"a fault failed";
	}
	be_quiet(true);
	return NULL;
}

static void leaves_are_true_in(uint64_t a, uint64_t size)
{
	for (uint64_t end = a + size; a < end; a += PAGE_SIZE) {
		struct paging_leaf leaf;

		if (paging_lookup(&g.view.tables, a, &leaf))
			continue;
		assert_ptr_equal((void *)(LAYOUT_DIRECT + leaf.address.v),
				 gmem_peek(&g, GPA(a), GMEM_READ));
		if (leaf.prot & PROT_WRITE)
			assert_non_null(gmem_peek(&g, GPA(a), GMEM_WRITE));
	}
}

static void tables_are_true(void)
{
	leaves_are_true_in(BASE, GIB);
	leaves_are_true_in(SMALL, AREA + PAGE_2M);
	tables_are_right();
}

static uint64_t bitmap[GIB / PAGE_SIZE / 64];

static void one_change(struct gmem_object *o, uint64_t *seed)
{
	uint64_t r = random_of(seed), at = ALIGN_DOWN(r % AREA, PAGE_SIZE);
	struct gmem_range range = { BASE + at, (1 + r % 3) * PAGE_SIZE };

	if (r / 8 % 4 == 3)
		range = (struct gmem_range){ BASE + ALIGN_DOWN(at, PAGE_2M), PAGE_2M };
	switch (random_of(seed) % 11) {
	case 0:
		gmem_drop_tables(&g);
		break;
	case 1:
		(void)gmem_take(&g, o, at, (1 + r % 3) * PAGE_SIZE, false);
		break;
	case 2:
		(void)gmem_take(&g, o, ALIGN_DOWN(at, PAGE_2M), PAGE_2M, r % 2);
		break;
	case 3:
		gmem_track_begin(&g);
		for (unsigned i = 0; i < 4; i++)
			assert_true(gmem_dirty_fetch(&g, o, 0, i % 2 ? GIB : PAGE_2M, bitmap) >= 0);
		gmem_track_end(&g);
		break;
	case 4:
	case 5:
		assert_true(gmem_harvest(&g, o, at, 4 * MIB, bitmap) >= 0);
		break;
	case 8:
		(void)gmem_inflate(&g, &range, 1);
		break;
	case 9:
		(void)gmem_deflate(&g, &range, 1);
		break;
	case 10:
		(void)gmem_discard(&g, &range, 1);
		break;
	case 6:
		assert_int_equal(gmem_slot_move(&g, GPA(small), GPA(SMALL + at)), 0);
		__atomic_store_n(&small, SMALL + at, __ATOMIC_RELAXED);
		break;
	default: {
		struct gmem_object *to = NULL;

		assert_int_equal(gmem_object_create(0, GIB / 2, 2, NODE_ANY, &charge, &to), 0);
		assert_int_equal(gmem_share(&g, o, at, 16 * PAGE_SIZE, to), 0);
		gmem_object_put(to);
	}
	}
}

/* A GiB in one piece, though nobody has had to clear it. */
static struct gmem_object *gib_object(void)
{
	struct gmem_object *o = NULL;
	struct page *p;

	assert_int_equal(gmem_object_create(0, GIB, 2, NODE_ANY, &charge, &o), 0);
	p = page_alloc(PAGE_ORDER_1G, PAGE_GUEST, NODE_ANY, &charge);
	assert_non_null(p);
	page_split_to(p, PAGE_ORDER_2M);
	for (unsigned i = 0; i < ENTRIES; i++)
		assert_true(gmem_object_commit(o, i * PAGE_2M, p + i * ENTRIES, ENTRY_WRITTEN));
	return o;
}

static void pause_begin(void)
{
	__atomic_store_n(&pause_all, true, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < VCPUS; i++)
		while (!__atomic_load_n(&quiet[i], __ATOMIC_SEQ_CST))
			sched_yield();
}

static void life(uint64_t seed)
{
	struct gmem_slot s = { .base = BASE, .size = GIB, .object = gib_object() };
	pthread_t thread[VCPUS];
	void *bad;

	memset(quiet, true, sizeof(quiet));
	small = SMALL;
	start();
	assert_int_equal(gmem_slot_add(&g, &s), 0);
	gmem_object_put(s.object);
	assert_int_equal(gmem_add_ram(&g, GPA(small), 3 * PAGE_SIZE), 0);
	stop = false;
	for (uintptr_t i = 0; i < VCPUS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, vcpu, (void *)i), 0);
	for (unsigned round = 0; round < 100; round++) {
		one_change(s.object, &seed);
		if (round % 20)
			continue;
		pause_begin();
		tables_are_true();
		__atomic_store_n(&pause_all, false, __ATOMIC_SEQ_CST);
	}
	__atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < VCPUS; i++) {
		pthread_join(thread[i], &bad);
		assert_null(bad);
	}
	tables_are_true();
	finish();
}

static void vcpus_find_nothing_stale(void **state)
{
	(void)state;
	me = VCPUS;
	host_cpu_become(VCPUS);
	config.flush = wait_for_quiet;
	config.max_leaf_level = 3;
	for (unsigned i = 0; i < 4; i++) {
		config.format = i & 1 ? &paging_ept : &paging_npt;
		config.exec_4k = i & 2;
		life(i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(faults_of_other_chunks_do_not_wait),
		cmocka_unit_test(a_moved_slot_leaves_no_tables),
		cmocka_unit_test(tables_without_clear_pages),
		cmocka_unit_test(vcpus_find_nothing_stale),
	};

	memory_init(TOP);
	host_percpu_init(VCPUS + 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
