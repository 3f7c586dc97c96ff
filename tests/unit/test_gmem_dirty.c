/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/gmem/gmem*.c mm/paging.c mm/paging_host.c mm/paging_npt.c mm/paging_ept.c
 * mm/page.c mm/page_intake.c tests/host/heap.c tests/host/memory.c tests/host/percpu.c
 * tests/host/spinlock.c tests/host/panic.c tests/host/log.c tests/host/one_thread.c */
/*
 * The dirty log against a flat array: nothing is written unmarked, whatever way it takes; nothing
 * is marked that was not written; pages that were split are whole again in the end.
 */
#include "vmm/gmem/gmem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "include/bits.h"
#include "include/errno.h"
#include "mm/kmap.h"
#include "tests/host/memory.h"

#define TOP	(256 * MIB)
#define MODEL	(10 * MIB)
#define FRAMES	(MODEL / PAGE_SIZE)

void ipi_call_others(void (*fn)(void *arg), void *arg)
{
	fn(arg);
}

static struct charge charge = { .name = "guest" };
static struct gmem g;
static struct gmem_config config = {
	.format = &paging_npt, .max_leaf_level = 2, .gpa_bits = 40, .node = NODE_ANY,
	.charge = &charge,
};

static uint64_t bitmap[FRAMES / 64 + 8];

static void start(const struct paging_format *format, bool exec_4k)
{
	config.format = format;
	config.exec_4k = exec_4k;
	assert_int_equal(gmem_init(&g, &config), 0);
}

static void finish(void)
{
	gmem_destroy(&g);
	assert_int_equal(charge.pages, 0);
}

static void ram(uint64_t base, uint64_t size)
{
	assert_int_equal(gmem_add_ram(&g, GPA(base), size), 0);
}

static bool bit(uint64_t a)
{
	return bitmap[a / PAGE_SIZE / 64] >> (a / PAGE_SIZE % 64) & 1;
}

/* Of all slots, by guest address: each object begins as far into a GiB as its slot. */
static unsigned fetch(void)
{
	struct gmem_slot s;
	unsigned count = 0;
	bool any = false;

	memset(bitmap, 0, sizeof(bitmap));
	for (unsigned i = 0; gmem_slot_get(&g, i, &s); i++) {
		uint64_t from = ALIGN_DOWN(s.offset, PAGE_2M);
		int r = gmem_dirty_fetch(&g, s.object, from, s.object->size - from,
					 bitmap + from / PAGE_SIZE / 64);

		assert_true(r >= 0);
		any |= r;
	}
	for (uint64_t a = 0; a < MODEL; a += PAGE_SIZE)
		count += bit(a);
	assert_int_equal(any, count > 0);
	return count;
}

static struct paging_leaf leaf_in(const struct gmem_view *v, uint64_t a)
{
	struct paging_leaf leaf;

	if (paging_lookup(&v->tables, a, &leaf))
		return (struct paging_leaf){ .prot = 0 };
	return leaf;
}

static struct paging_leaf leaf_at(uint64_t a)
{
	return leaf_in(&g.view, a);
}

static void write_8(uint64_t a, uint64_t value)
{
	assert_int_equal(gmem_write(&g, GPA(a), &value, 8), 0);
}

static void ranges_are_checked(void **state)
{
	struct gmem_slot s;

	(void)state;
	start(&paging_npt, false);
	ram(0, 4 * MIB + 3 * PAGE_SIZE);
	assert_true(gmem_slot_get(&g, 0, &s));
	assert_false(gmem_slot_get(&g, 1, &s));
	assert_true(gmem_slot_get(&g, 0, &s));
	assert_int_equal(gmem_dirty_fetch(&g, s.object, 0, 0, bitmap), -EINVAL);
	assert_int_equal(gmem_dirty_fetch(&g, s.object, MIB, 2 * MIB, bitmap), -EINVAL);
	assert_int_equal(gmem_dirty_fetch(&g, s.object, 0, MIB, bitmap), -EINVAL);
	assert_int_equal(gmem_dirty_fetch(&g, s.object, 0, 6 * MIB, bitmap), -EINVAL);
	assert_int_equal(gmem_dirty_fetch(&g, s.object, 2 * MIB, ~0ul << 21, bitmap), -EINVAL);
	assert_int_equal(gmem_dirty_fetch(&g, s.object, 4 * MIB, 3 * PAGE_SIZE, bitmap), 0);
	finish();
}

static void untracked_costs_nothing(void **state)
{
	(void)state;
	start(&paging_npt, false);
	ram(0, 4 * MIB);
	assert_int_equal(gmem_fault(&g, GPA(0), GMEM_READ), 0);
	assert_int_equal(leaf_at(0).size, PAGE_2M);
	assert_true(leaf_at(0).prot & PROT_WRITE);
	assert_non_null(gmem_peek(&g, GPA(5), GMEM_WRITE));
	finish();
}

static void a_page_is_split_and_whole_again(void **state)
{
	struct paging_leaf leaf;
	uint64_t pages;

	(void)state;
	start(&paging_npt, false);
	ram(0, 4 * MIB);
	assert_int_equal(gmem_fault(&g, GPA(0), GMEM_READ), 0);
	pages = charge.pages;
	gmem_track_begin(&g);
	assert_int_equal(fetch(), 512);
	assert_int_equal(fetch(), 0);
	/* The leaf stays large until it is written, and then one frame of it may be. */
	assert_int_equal(leaf_at(0x3000).size, PAGE_2M);
	assert_false(leaf_at(0x3000).prot & PROT_WRITE);
	assert_null(gmem_peek(&g, GPA(0x3000), GMEM_WRITE));
	assert_int_equal(gmem_fault(&g, GPA(0x3008), GMEM_WRITE), 0);
	leaf = leaf_at(0x3000);
	assert_int_equal(leaf.size, PAGE_SIZE);
	assert_true(leaf.prot & PROT_WRITE);
	assert_false(leaf_at(0x4000).prot & PROT_WRITE);
	assert_non_null(gmem_peek(&g, GPA(0x3000), GMEM_WRITE));
	assert_null(gmem_peek(&g, GPA(0x4000), GMEM_WRITE));
	assert_int_equal(fetch(), 1);
	assert_true(bit(0x3000));
	assert_false(leaf_at(0x3000).prot & PROT_WRITE);
	/* What is new is not written until it is. */
	assert_int_equal(gmem_fault(&g, GPA(2 * MIB), GMEM_READ), 0);
	assert_int_equal(fetch(), 0);
	write_8(2 * MIB + 0x5000, 1);
	assert_int_equal(fetch(), 1);
	assert_true(bit(2 * MIB + 0x5000));
	gmem_track_end(&g);
	assert_int_equal(gmem_fault(&g, GPA(0x4000), GMEM_READ), 0);
	assert_int_equal(leaf_at(0x3000).size, PAGE_2M);
	assert_true(leaf_at(0x3000).prot & PROT_WRITE);
	assert_true(leaf_at(0x3000).address.v == leaf.address.v);
	assert_int_equal(charge.pages, pages + 512);
	finish();
}

/* A mark that is taken while a frame is pinned comes again, for what was written last. */
static void pins_are_marked_at_their_end(void **state)
{
	struct gmem_mapping m, n;

	(void)state;
	start(&paging_npt, false);
	ram(0, 4 * MIB);
	write_8(0x1000, 1);
	gmem_track_begin(&g);
	assert_int_equal(gmem_map(&g, GPA(0x1000), 8, GMEM_WRITE, &m), 0);
	assert_int_equal(gmem_map(&g, GPA(0x2000), 8, GMEM_READ, &n), 0);
	assert_int_equal(fetch(), 512);
	assert_int_equal(fetch(), 0);
	*(uint64_t *)m.ptr = 5;
	gmem_unmap(&m);
	gmem_unmap(&n);
	assert_int_equal(fetch(), 1);
	assert_true(bit(0x1000));
	/* Likewise when the page was split under it, and is whole again before the pin goes. */
	assert_int_equal(gmem_map(&g, GPA(0x1000), 8, GMEM_WRITE, &m), 0);
	gmem_track_end(&g);
	assert_true(*(uint64_t *)m.ptr == 5);
	gmem_unmap(&m);
	finish();
}

/* No memory for a table: the whole page counts as written. */
static void without_memory_all_is_marked(void **state)
{
	(void)state;
	start(&paging_npt, false);
	ram(0, 4 * MIB);
	write_8(0, 1);
	gmem_track_begin(&g);
	assert_int_equal(fetch(), 512);
	charge.limit = charge.pages;
	write_8(0x1000, 2);
	assert_int_equal(fetch(), 512);
	charge.limit = 0;
	write_8(0x1000, 3);
	assert_int_equal(fetch(), 1);
	gmem_track_end(&g);
	finish();
}

/* ---- sharing --------------------------------------------------------------------------------- */

static struct gmem_object *object(void)
{
	struct gmem_object *o = NULL;

	assert_int_equal(gmem_object_create(0, 4 * MIB, 2, NODE_ANY, &charge, &o), 0);
	return o;
}

static uint64_t word_of(struct gmem_object *o, uint64_t at)
{
	struct page *page;
	void *p;
	uint64_t word;

	if (!gmem_object_pin_now(o, at, GMEM_READ, &p, &page))
		return 0;
	word = *(uint64_t *)p;
	page_put(page);
	return word;
}

static void requests_to_share_are_checked(void **state)
{
	struct gmem_object *to = object();
	struct gmem_slot s;

	(void)state;
	start(&paging_npt, false);
	ram(0, 8 * MIB);
	assert_true(gmem_slot_get(&g, 0, &s));
	assert_int_equal(gmem_share(&g, s.object, 0, 8 * MIB, to), -EINVAL);
	assert_int_equal(gmem_share(&g, to, 2 * MIB, 4 * MIB, s.object), -EINVAL);
	assert_int_equal(gmem_share(&g, s.object, 1, MIB, to), -EINVAL);
	assert_int_equal(gmem_share(&g, s.object, 0, MIB, s.object), -EINVAL);
	assert_int_equal(gmem_share(&g, s.object, ~0ul << 12, 2 * MIB, to), -EINVAL);
	gmem_object_put(to);
	finish();
}

/* What a device writes to, or reads, is its guest's alone, before and after. */
static void pins_are_alone(void **state)
{
	struct gmem_object *to = object(), *later = object();
	struct gmem_mapping m;
	struct gmem_slot s;

	(void)state;
	start(&paging_npt, false);
	ram(0, 4 * MIB);
	assert_true(gmem_slot_get(&g, 0, &s));
	write_8(0x1000, 1);
	assert_int_equal(gmem_map(&g, GPA(0x1000), 8, GMEM_WRITE, &m), 0);
	assert_int_equal(gmem_share(&g, s.object, 0, 4 * MIB, to), 0);
	*(uint64_t *)m.ptr = 5;
	gmem_unmap(&m);
	assert_int_equal(word_of(to, 0x1000), 1);
	assert_int_equal(word_of(s.object, 0x1000), 5);
	assert_int_equal(gmem_share(&g, s.object, 0, 4 * MIB, later), 0);
	assert_int_equal(gmem_map(&g, GPA(0x1000), 8, GMEM_READ, &m), 0);
	write_8(0x1000, 7);
	assert_int_equal(*(uint64_t *)m.ptr, 7);
	assert_int_equal(word_of(later, 0x1000), 5);
	gmem_unmap(&m);
	gmem_object_put(to);
	gmem_object_put(later);
	finish();
}

/* A copy needs memory; who has a page last needs none. Until then nothing is lost. */
static void shared_without_memory(void **state)
{
	struct gmem_object *to = object();
	struct gmem_slot s;
	uint64_t word = 9;

	(void)state;
	start(&paging_ept, false);
	ram(0, 4 * MIB);
	assert_true(gmem_slot_get(&g, 0, &s));
	write_8(0x1000, 1);
	assert_int_equal(gmem_share(&g, s.object, 0, 2 * MIB, to), 0);
	assert_int_equal(gmem_stats(&g).present_pages, 512);
	assert_int_equal(gmem_fault(&g, GPA(0x1000), GMEM_READ), 0);
	charge.limit = charge.pages;
	assert_int_equal(gmem_write(&g, GPA(0x1000), &word, 8), -ENOMEM);
	assert_int_equal(gmem_fault(&g, GPA(0x1000), GMEM_WRITE), -ENOMEM);
	assert_int_equal(gmem_fault(&g, GPA(0x1000), GMEM_READ), 0);
	assert_false(leaf_at(0x1000).prot & PROT_WRITE);
	assert_int_equal(word_of(s.object, 0x1000), 1);
	/* Nor would it give anything back to take one. */
	assert_int_equal(gmem_take(&g, s.object, 0, 2 * MIB, false), 0);
	gmem_object_put(to);
	assert_int_equal(gmem_fault(&g, GPA(0x1000), GMEM_WRITE), 0);
	assert_true(leaf_at(0x1000).prot & PROT_WRITE);
	charge.limit = 0;
	finish();
}

/* ---- against a model ------------------------------------------------------------------------- */

static const struct { uint64_t base, size; } layout[] = {
	{ 0x1000, 0x9f000 }, { MIB, 3 * MIB + 0x3000 }, { 4 * MIB + 0x3000, 2 * MIB },
	{ 7 * MIB, 3 * MIB },
};

static uint8_t model[MODEL], fetched[MODEL];
static bool asked_to_write[FRAMES];
static unsigned trackers;
static uint64_t taken;
static int forked_slot = -1;	/* a second guest has what is there, too */
static bool first;		/* the next fetch gives what was written before, too */

static bool model_ram(uint64_t a)
{
	for (unsigned i = 0; i < ARRAY_COUNT(layout); i++)
		if (a - layout[i].base < layout[i].size)
			return true;
	return false;
}

/* Views of other chips' kinds beside it, which come and go. */
static struct gmem_view others[2];
static bool has_other[2];
static unsigned flushes, leaves_of_others;

static void flush_other(void *arg)
{
	assert_ptr_equal(arg, others);
	flushes++;
}

static void other_comes_or_goes(unsigned i)
{
	struct gmem_view_config c = {
		.format = i ? &paging_ept : &paging_npt, .max_leaf_level = 1 + i,
		.exec_4k = i, .flush = flush_other, .arg = others,
	};

	if (has_other[i])
		gmem_view_remove(&g, &others[i]);
	else
		assert_int_equal(gmem_view_add(&g, &others[i], &c), 0);
	has_other[i] = !has_other[i];
}

/* A store of the guest's or the emulator's: through a pointer that only a marked frame has. */
static void store(uint64_t a, uint8_t value)
{
	uint8_t *p = gmem_peek(&g, GPA(a), GMEM_WRITE);

	if (!p) {
		int err = gmem_fault(&g, GPA(a), GMEM_WRITE);

		if (err == -EINTR)		/* it was shared */
			err = gmem_fault(&g, GPA(a), GMEM_WRITE);
		assert_int_equal(err, 0);
		p = gmem_peek(&g, GPA(a), GMEM_WRITE);
		assert_true(leaf_at(a).prot & PROT_WRITE);
	}
	*p = model[a] = value;
	asked_to_write[a / PAGE_SIZE] = true;
}

static void copy_in(uint64_t a, uint64_t n, uint8_t value)
{
	static uint8_t buf[4 * MIB];
	uint64_t end = a;

	while (end < a + n && model_ram(end))
		end = MIN(ALIGN_DOWN(end, PAGE_SIZE) + PAGE_SIZE, a + n);
	memset(buf, value, n);
	assert_int_equal(gmem_write(&g, GPA(a), buf, n), end == a + n ? 0 : -EFAULT);
	memset(model + a, value, end - a);
	for (uint64_t at = a; at < end; at++)
		asked_to_write[at / PAGE_SIZE] = true;
}

static void compare(void)
{
	fetch();
	for (uint64_t a = 0; a < MODEL; a += PAGE_SIZE) {
		bool changed = memcmp(model + a, fetched + a, PAGE_SIZE);

		assert_true(bit(a) || !changed);
		if (!first)
			assert_true(!bit(a) || asked_to_write[a / PAGE_SIZE]);
		assert_false(leaf_at(a).prot & PROT_WRITE);
		for (unsigned i = 0; i < 2; i++)
			if (has_other[i])
				assert_false(leaf_in(&others[i], a).prot & PROT_WRITE);
		assert_null(gmem_peek(&g, GPA(a), GMEM_WRITE));
	}
	memcpy(fetched, model, MODEL);
	memset(asked_to_write, 0, sizeof(asked_to_write));
	first = false;
}

/* Tables say no more than the entries do, and lead to the same bytes. */
static unsigned look_at_view(const struct gmem_view *v)
{
	unsigned leaves = 0;

	for (uint64_t a = 0; a < MODEL; a += PAGE_SIZE) {
		struct paging_leaf leaf = leaf_in(v, a);

		if (!leaf.prot)
			continue;
		leaves++;
		assert_ptr_equal(kmap_direct(leaf.address), gmem_peek(&g, GPA(a), GMEM_READ));
		if (leaf.prot & PROT_WRITE)
			assert_non_null(gmem_peek(&g, GPA(a), GMEM_WRITE));
	}
	return leaves;
}

static void look_at_tables(void)
{
	static uint8_t back[MODEL];

	look_at_view(&g.view);
	for (unsigned i = 0; i < 2; i++)
		if (has_other[i])
			leaves_of_others += look_at_view(&others[i]);
	for (unsigned i = 0; i < ARRAY_COUNT(layout); i++) {
		assert_int_equal(gmem_read(&g, GPA(layout[i].base), back, layout[i].size), 0);
		assert_memory_equal(back, model + layout[i].base, layout[i].size);
	}
}

/* Clean frames leave unnoticed; others take what they held with them. */
static void take(uint64_t a, uint64_t n)
{
	uint64_t before = gmem_stats(&g).present_pages, gone = 0;
	bool clean = rand() % 4;
	struct gmem_slot s;

	a = ALIGN_DOWN(a, PAGE_SIZE);
	n = MIN(ALIGN_UP(n, PAGE_SIZE), MODEL - a);
	for (unsigned i = 0; gmem_slot_get(&g, i, &s); i++) {
		uint64_t from = MAX(a, s.base), to = MIN(a + n, s.base + s.size);

		if (from >= to)
			continue;
		gone += gmem_take(&g, s.object, from - s.base + s.offset, to - from, clean);
		if (clean)
			continue;
		for (uint64_t at = from; at < to; at += PAGE_SIZE) {
			if (gmem_peek(&g, GPA(at), GMEM_READ)) {
				assert_int_equal(forked_slot, i);	/* shared: it stays */
				continue;
			}
			memset(model + at, 0, PAGE_SIZE);
			memset(fetched + at, 0, PAGE_SIZE);
		}
	}
	assert_int_equal(gmem_stats(&g).present_pages, before - gone);
	taken += gone;
}

/* A second guest, which begins with what is in one slot now. */
static struct gmem fork;
static uint8_t forked[MODEL];
static uint64_t forks;

static void fork_end(void)
{
	if (forked_slot >= 0)
		gmem_destroy(&fork);
	forked_slot = -1;
}

static void fork_begin(void)
{
	struct gmem_object *to = NULL;
	struct gmem_slot s;
	uint64_t before;

	fork_end();
	before = charge.pages;
	forked_slot = rand() % (int)ARRAY_COUNT(layout);
	assert_true(gmem_slot_get(&g, (unsigned)forked_slot, &s));
	assert_int_equal(gmem_object_create(s.object->start, s.object->size, 2, NODE_ANY, &charge,
					    &to), 0);
	assert_int_equal(gmem_share(&g, s.object, s.offset, s.size, to), 0);
	/* Tables only: nothing was pinned. */
	assert_true(charge.pages - before <= 2 * (DIV_UP(s.size, PAGE_2M) + 1));
	assert_int_equal(gmem_init(&fork, &config), 0);
	s.object = to;
	assert_int_equal(gmem_slot_add(&fork, &s), 0);
	gmem_object_put(to);
	memcpy(forked, model, MODEL);
	forks++;
}

/* Each has its own bytes, wherever they are. */
static void fork_write(uint64_t n)
{
	static uint8_t back[MODEL];
	uint64_t base, size, a;

	if (forked_slot < 0)
		return;
	base = layout[forked_slot].base;
	size = layout[forked_slot].size;
	a = base + (unsigned)rand() % size;
	n = MIN(n, base + size - a);
	memset(forked + a, rand(), n);
	assert_int_equal(gmem_write(&fork, GPA(a), forked + a, n), 0);
	if (rand() % 4)
		return;
	assert_int_equal(gmem_read(&fork, GPA(base), back, size), 0);
	assert_memory_equal(back, forked + base, size);
}

static void one_round(void)
{
	uint64_t a = (unsigned)rand() % MODEL, n = 1 + (unsigned)rand() % 9000;

	n = MIN(n, MODEL - a);
	switch (rand() % 22) {
	case 19:
		if (!(rand() % 4))
			other_comes_or_goes((unsigned)rand() % 2);
		break;
	case 20:
	case 21:
		for (unsigned i = 0; i < 2; i++)
			if (has_other[i] && model_ram(a))
				assert_int_equal(gmem_view_fault(&g, &others[i], GPA(a),
						 rand() % 2 ? GMEM_READ : GMEM_EXEC), 0);
		break;
	case 16:
		if (rand() % 3)
			break;
		if (rand() % 4)
			fork_begin();
		else
			fork_end();
		break;
	case 17:
	case 18:
		fork_write(n);
		break;
	case 0:
		if (rand() % 2 && trackers < 2) {
			gmem_track_begin(&g);
			first |= !trackers++;
		} else if (trackers) {
			gmem_track_end(&g);
			trackers--;
		}
		break;
	case 1:
		if (trackers)
			compare();
		break;
	case 2:
		if (rand() % 4 == 0)
			gmem_drop_tables(&g);
		break;
	case 3:
		a = ALIGN_DOWN(a, PAGE_2M);
		copy_in(a, MIN(4 * MIB, MODEL - a), (uint8_t)rand());
		break;
	case 4:
	case 5:
		copy_in(a, n, (uint8_t)rand());
		break;
	case 6:
		look_at_tables();
		break;
	case 9:
		take(a, n * (unsigned)(rand() % 300));
		break;
	case 7:
	case 8:
		if (model_ram(a))
			assert_int_equal(gmem_fault(&g, GPA(a), rand() % 2 ? GMEM_READ : GMEM_EXEC),
					 0);
		break;
	default:
		if (model_ram(a))
			store(a, (uint8_t)rand());
	}
}

static void random_against_a_model(void **state)
{
	(void)state;
	srand(7);
	for (unsigned life = 0; life < 8; life++) {
		memset(model, 0, sizeof(model));
		memset(fetched, 0, sizeof(fetched));
		trackers = 0;
		start(life & 1 ? &paging_ept : &paging_npt, life & 2);
		for (unsigned i = 0; i < ARRAY_COUNT(layout); i++)
			ram(layout[i].base, layout[i].size);
		for (unsigned round = 0; round < 300; round++)
			one_round();
		for (; trackers; trackers--)
			gmem_track_end(&g);
		look_at_tables();
		for (unsigned i = 0; i < 2; i++)
			if (has_other[i])
				other_comes_or_goes(i);
		fork_end();
		finish();
	}
	assert_true(taken > 1000 && forks > 20);
	assert_true(flushes > 100 && leaves_of_others > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_are_checked),
		cmocka_unit_test(untracked_costs_nothing),
		cmocka_unit_test(a_page_is_split_and_whole_again),
		cmocka_unit_test(pins_are_marked_at_their_end),
		cmocka_unit_test(without_memory_all_is_marked),
		cmocka_unit_test(requests_to_share_are_checked),
		cmocka_unit_test(pins_are_alone),
		cmocka_unit_test(shared_without_memory),
		cmocka_unit_test(random_against_a_model),
	};

	memory_init(TOP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
