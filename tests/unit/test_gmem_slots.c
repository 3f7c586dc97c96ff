/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/gmem/gmem*.c mm/paging.c mm/paging_host.c mm/paging_npt.c mm/paging_ept.c
 * mm/page.c mm/page_intake.c tests/host/heap.c tests/host/memory.c tests/host/percpu.c
 * tests/host/spinlock.c tests/host/panic.c tests/host/log.c tests/host/one_thread.c */
/*
 * Slots that come, move, hide and go, while frames are pinned and tables are full: contents stay
 * with their object, and nothing of before is left in the tables.
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
#define ALL	(GMEM_READ | GMEM_WRITE | GMEM_EXEC)

extern unsigned host_heap_left;
extern void (*spin_unlocked)(const struct spinlock *l);

static struct charge charge = { .name = "guest" };
static struct gmem g;
static unsigned flushes, barriers;
static uint64_t bitmap[8 * MIB / PAGE_SIZE / 64];

void ipi_call_others(void (*fn)(void *arg), void *arg)
{
	barriers++;
	fn(arg);
}

static void (*at_flush)(void);		/* once: what others do while the vCPUs are waited for */

static void flushed(void *arg)
{
	void (*fn)(void) = at_flush;

	(void)arg;
	flushes++;
	at_flush = NULL;
	if (fn)
		fn();
}

static const struct gmem_config config = {
	.format = &paging_npt, .max_leaf_level = 2, .gpa_bits = 40, .node = NODE_ANY,
	.charge = &charge, .flush = flushed,
};

static void start(void)
{
	assert_int_equal(gmem_init(&g, &config), 0);
	assert_int_equal(gmem_add_ram(&g, GPA(0), 8 * MIB), 0);
}

static void finish(void)
{
	gmem_destroy(&g);
	assert_int_equal(charge.pages, 0);
	assert_int_equal(gmem_promised(), 0);
}

static struct gmem_object *object(uint64_t size)
{
	struct gmem_object *o = NULL;

	assert_int_equal(gmem_object_create(0, size, 2, NODE_ANY, &charge, &o), 0);
	return o;
}

static int add(uint64_t base, uint64_t size, struct gmem_object *o, uint64_t offset,
	       unsigned denied)
{
	struct gmem_slot s = { .base = base, .size = size, .object = o, .offset = offset,
			       .denied = (uint8_t)denied };

	return gmem_slot_add(&g, &s);
}

static uint64_t read_8(uint64_t a)
{
	uint64_t value = ~0ul;

	assert_int_equal(gmem_read(&g, GPA(a), &value, 8), 0);
	return value;
}

static int write_8(uint64_t a, uint64_t value)
{
	return gmem_write(&g, GPA(a), &value, 8);
}

static unsigned prot_at(uint64_t a)
{
	struct paging_leaf leaf;

	return paging_lookup(&g.view.tables, a, &leaf) ? 0 : leaf.prot;
}

static uint64_t size_at(uint64_t a)
{
	struct paging_leaf leaf;

	assert_int_equal(paging_lookup(&g.view.tables, a, &leaf), 0);
	return leaf.size;
}

static void requests_are_checked(void **state)
{
	struct gmem_object *o = object(4 * MIB);

	(void)state;
	start();
	assert_int_equal(add(16 * MIB, 0, o, 0, 0), -EINVAL);
	assert_int_equal(add(16 * MIB + 1, MIB, o, 0, 0), -EINVAL);
	assert_int_equal(add(16 * MIB, MIB, o, 1, 0), -EINVAL);
	assert_int_equal(add(16 * MIB, 4 * MIB, o, PAGE_SIZE, 0), -EINVAL);
	assert_int_equal(add(16 * MIB, MIB, o, ~0ul << 12, 0), -EINVAL);
	assert_int_equal(add((1ul << 40) - PAGE_SIZE, MIB, o, 0, 0), -EINVAL);
	assert_int_equal(add(7 * MIB, 4 * MIB, o, 0, 0), -EEXIST);
	assert_int_equal(gmem_slot_remove(&g, GPA(MIB)), -ENOENT);
	assert_int_equal(gmem_slot_move(&g, GPA(MIB), GPA(32 * MIB)), -ENOENT);
	assert_int_equal(gmem_slot_deny(&g, GPA(8 * MIB), ALL), -ENOENT);
	assert_int_equal(add(16 * MIB, 4 * MIB, o, 0, 0), 0);
	assert_int_equal(gmem_slot_move(&g, GPA(16 * MIB), GPA(4 * MIB)), -EEXIST);
	assert_int_equal(gmem_slot_move(&g, GPA(16 * MIB), GPA(1ul << 40)), -EINVAL);
	assert_int_equal(gmem_slot_move(&g, GPA(16 * MIB), GPA(16 * MIB + 1)), -EINVAL);
	for (unsigned i = 2; i < GMEM_SLOT_MAX; i++)
		assert_int_equal(add((32 + i) * MIB, PAGE_SIZE, o, 0, 0), 0);
	assert_int_equal(add(16 * GIB, PAGE_SIZE, o, 0, 0), -ENOSPC);
	for (unsigned i = 2; i < GMEM_SLOT_MAX; i++)
		assert_int_equal(gmem_slot_remove(&g, GPA((32 + i) * MIB)), 0);
	/* No memory for a new array: all is as it was. */
	host_heap_left = 0;
	assert_int_equal(add(32 * MIB, MIB, o, 0, 0), -ENOMEM);
	assert_int_equal(gmem_slot_remove(&g, GPA(16 * MIB)), -ENOMEM);
	assert_int_equal(gmem_slot_move(&g, GPA(16 * MIB), GPA(32 * MIB)), -ENOMEM);
	host_heap_left = ~0u;
	assert_int_equal(write_8(16 * MIB, 3), 0);
	assert_int_equal(gmem_stats(&g).ram_pages, 12 * MIB / PAGE_SIZE);
	gmem_object_put(o);
	finish();
}

static void rom_and_flash(void **state)
{
	struct gmem_object *o = object(256 * KIB);
	const uint64_t at = 4 * GIB - 256 * KIB;

	(void)state;
	start();
	assert_int_equal(add(at, 256 * KIB, o, 0, 0), 0);
	assert_int_equal(write_8(at + 8, 77), 0);
	assert_int_equal(gmem_fault(&g, GPA(at), GMEM_WRITE), 0);
	assert_true(prot_at(at) & PROT_WRITE);
	/* Read and run, but a write is a device's. */
	flushes = barriers = 0;
	assert_int_equal(gmem_slot_deny(&g, GPA(at), GMEM_WRITE), 0);
	assert_true(flushes && barriers == 1);
	assert_int_equal(prot_at(at), 0);
	assert_false(gmem_is_ram(&g, GPA(at), GMEM_WRITE));
	assert_true(gmem_is_ram(&g, GPA(at), GMEM_EXEC));
	assert_int_equal(gmem_fault(&g, GPA(at), GMEM_WRITE), -ENOENT);
	assert_int_equal(gmem_fault(&g, GPA(at), GMEM_EXEC), 0);
	assert_true(prot_at(at) & PROT_EXEC && !(prot_at(at) & PROT_WRITE));
	assert_null(gmem_peek(&g, GPA(at), GMEM_WRITE));
	assert_non_null(gmem_peek(&g, GPA(at), GMEM_READ));
	assert_int_equal(write_8(at + 8, 1), -EFAULT);
	assert_int_equal(gmem_fill(&g, GPA(at), 0, 8), -EFAULT);
	assert_int_equal(read_8(at + 8), 77);
	/* Flash in command mode: all is the device's. */
	assert_int_equal(gmem_slot_deny(&g, GPA(at), ALL), 0);
	assert_int_equal(prot_at(at), 0);
	assert_int_equal(gmem_fault(&g, GPA(at), GMEM_READ), -ENOENT);
	assert_null(gmem_peek(&g, GPA(at), GMEM_READ));
	assert_int_equal(gmem_slot_deny(&g, GPA(at), GMEM_WRITE), 0);
	assert_int_equal(read_8(at + 8), 77);
	gmem_object_put(o);
	finish();
}

/* What a PC's shadow registers do: one address, now the ROM's, now the RAM's below it. */
static void one_object_in_the_place_of_another(void **state)
{
	struct gmem_object *rom = object(128 * KIB), *ram = object(MIB);
	const uint64_t at = 16 * MIB;
	struct gmem_slot s = { .base = at, .size = 64 * KIB, .object = rom, .offset = 64 * KIB,
			       .denied = GMEM_WRITE };
	uint64_t word = 0x1234;

	(void)state;
	start();
	assert_int_equal(add(at, 64 * KIB, ram, 512 * KIB, 0), 0);
	assert_int_equal(write_8(at + 8, 55), 0);
	assert_int_equal(gmem_object_write(&g, rom, 64 * KIB + 8, &word, 8), 0);
	assert_int_equal(gmem_fault(&g, GPA(at), GMEM_WRITE), 0);
	flushes = barriers = 0;
	assert_int_equal(gmem_slot_replace(&g, &s), 0);
	assert_true(flushes && barriers == 1);
	assert_int_equal(prot_at(at), 0);
	assert_int_equal(read_8(at + 8), 0x1234);
	assert_int_equal(write_8(at + 8, 1), -EFAULT);
	/* Of another size, out of its object, where no slot begins; without memory: as it was. */
	s.size = 32 * KIB;
	assert_int_equal(gmem_slot_replace(&g, &s), -EINVAL);
	s.size = 64 * KIB;
	s.offset = 68 * KIB;
	assert_int_equal(gmem_slot_replace(&g, &s), -EINVAL);
	s.offset = 1;
	assert_int_equal(gmem_slot_replace(&g, &s), -EINVAL);
	s.base += PAGE_SIZE;
	assert_int_equal(gmem_slot_replace(&g, &s), -ENOENT);
	s = (struct gmem_slot){ .base = at, .size = 64 * KIB, .object = ram, .offset = 512 * KIB };
	host_heap_left = 0;
	assert_int_equal(gmem_slot_replace(&g, &s), -ENOMEM);
	host_heap_left = ~0u;
	assert_int_equal(read_8(at + 8), 0x1234);
	/* RAM is written while the ROM is shown, over the end of a page. */
	assert_int_equal(gmem_object_write(&g, ram, 512 * KIB + PAGE_SIZE - 4, &word, 8), 0);
	assert_int_equal(gmem_slot_replace(&g, &s), 0);
	assert_int_equal(read_8(at + 8), 55);
	assert_int_equal(read_8(at + PAGE_SIZE - 4), 0x1234);
	gmem_object_put(rom);
	gmem_object_put(ram);
	finish();
}

/* A window of an object: at two places, and large pages only where they lie alike. */
static void an_object_is_shown_twice(void **state)
{
	struct gmem_object *o = object(8 * MIB);

	(void)state;
	start();
	assert_int_equal(add(16 * MIB, 8 * MIB, o, 0, 0), 0);
	assert_int_equal(add(0xe0000 + 32 * MIB, 128 * KIB, o, 8 * MIB - 128 * KIB, 0), 0);
	assert_int_equal(write_8(24 * MIB - 128 * KIB + 16, 5), 0);
	assert_int_equal(read_8(0xe0000 + 32 * MIB + 16), 5);
	assert_int_equal(write_8(0xe0000 + 32 * MIB + 16, 6), 0);
	assert_int_equal(read_8(24 * MIB - 128 * KIB + 16), 6);
	assert_int_equal(gmem_fault(&g, GPA(24 * MIB - 8), GMEM_WRITE), 0);
	assert_int_equal(gmem_fault(&g, GPA(0xe0000 + 32 * MIB), GMEM_WRITE), 0);
	assert_int_equal(size_at(24 * MIB - 8), PAGE_2M);
	assert_int_equal(size_at(0xe0000 + 32 * MIB), PAGE_SIZE);
	assert_int_equal(gmem_stats(&g).ram_pages, 16 * MIB / PAGE_SIZE);
	assert_int_equal(gmem_stats(&g).present_pages, 512);
	/* A mark that is taken goes from both. */
	gmem_track_begin(&g);
	assert_int_equal(gmem_dirty_fetch(&g, o, 0, 8 * MIB, bitmap), 1);
	assert_false(prot_at(24 * MIB - 8) & PROT_WRITE);
	assert_false(prot_at(0xe0000 + 32 * MIB) & PROT_WRITE);
	gmem_track_end(&g);
	gmem_object_put(o);
	finish();
}

static void contents_move_with_their_slot(void **state)
{
	struct gmem_object *o = object(4 * MIB);
	struct gmem_mapping m;

	(void)state;
	start();
	assert_int_equal(add(16 * MIB, 4 * MIB, o, 0, 0), 0);
	gmem_object_put(o);
	assert_int_equal(write_8(18 * MIB, 9), 0);
	assert_int_equal(gmem_fault(&g, GPA(18 * MIB), GMEM_WRITE), 0);
	assert_int_equal(gmem_map(&g, GPA(18 * MIB), 8, GMEM_WRITE, &m), 0);
	assert_int_equal(gmem_slot_move(&g, GPA(16 * MIB), GPA(33 * MIB)), 0);
	assert_int_equal(prot_at(18 * MIB), 0);
	assert_null(gmem_peek(&g, GPA(18 * MIB), GMEM_READ));
	assert_int_equal(gmem_fault(&g, GPA(18 * MIB), GMEM_READ), -ENOENT);
	assert_int_equal(read_8(35 * MIB), 9);
	/* Over itself. */
	assert_int_equal(gmem_slot_move(&g, GPA(33 * MIB), GPA(34 * MIB)), 0);
	assert_int_equal(read_8(36 * MIB), 9);
	assert_int_equal(gmem_fault(&g, GPA(36 * MIB), GMEM_WRITE), 0);
	/* What is pinned is written still, wherever it went, and after it went. */
	*(uint64_t *)m.ptr = 10;
	assert_int_equal(read_8(36 * MIB), 10);
	assert_int_equal(gmem_slot_remove(&g, GPA(34 * MIB)), 0);
	assert_int_equal(prot_at(36 * MIB), 0);
	*(uint64_t *)m.ptr = 11;
	assert_true(charge.pages > 512);
	gmem_unmap(&m);
	assert_int_equal(gmem_stats(&g).present_pages, 0);
	finish();
}

static bool tracked, large;

/* Pins of both kinds, of one frame and its neighbour; the last of them has all there is of it. */
static void pins_outlive_slot_and_object_so(void)
{
	struct gmem_object *o = NULL;
	struct gmem_mapping m[3];
	uint64_t before;

	start();
	before = charge.pages;
	assert_int_equal(gmem_object_create(0, 4 * MIB, large ? 2 : 1, NODE_ANY, &charge, &o), 0);
	assert_int_equal(add(16 * MIB, 4 * MIB, o, 0, 0), 0);
	assert_int_equal(write_8(18 * MIB, 9), 0);
	if (tracked) {
		gmem_track_begin(&g);
		assert_int_equal(gmem_dirty_fetch(&g, o, 0, 4 * MIB, bitmap), 1);
	}
	assert_int_equal(gmem_map(&g, GPA(18 * MIB), 8, GMEM_WRITE, &m[0]), 0);
	assert_int_equal(gmem_map(&g, GPA(18 * MIB), 8, GMEM_READ, &m[1]), 0);
	assert_int_equal(gmem_map(&g, GPA(18 * MIB + PAGE_SIZE), 8, GMEM_WRITE, &m[2]), 0);
	gmem_object_put(o);
	assert_int_equal(gmem_slot_remove(&g, GPA(16 * MIB)), 0);
	/* What comes in its place has other frames. */
	assert_int_equal(gmem_add_ram(&g, GPA(16 * MIB), 4 * MIB), 0);
	assert_int_equal(write_8(18 * MIB, 1), 0);
	*(uint64_t *)m[0].ptr = 10;
	*(uint64_t *)m[2].ptr = 11;
	assert_int_equal(*(uint64_t *)m[1].ptr, 10);
	assert_int_equal(read_8(18 * MIB), 1);
	assert_int_equal(read_8(18 * MIB + PAGE_SIZE), 0);
	gmem_unmap(&m[0]);
	gmem_unmap(&m[2]);
	assert_int_equal(*(uint64_t *)m[1].ptr, 10);
	if (tracked)
		gmem_track_end(&g);
	assert_int_equal(gmem_slot_remove(&g, GPA(16 * MIB)), 0);
	assert_true(charge.pages > before);
	gmem_unmap(&m[1]);
	gmem_drop_tables(&g);
	assert_int_equal(charge.pages, before);
	finish();
}

static void pins_outlive_slot_and_object(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		tracked = i & 1;
		large = i & 2;
		pins_outlive_slot_and_object_so();
	}
}

static void all_goes(void)
{
	assert_int_equal(gmem_slot_remove(&g, GPA(16 * MIB)), 0);
}

/* While a pin waits for its frame to be no other's, too; then it looks for the frame again. */
static void a_slot_goes_under_a_pin_that_waits(void **state)
{
	struct gmem_object *o = object(4 * MIB), *to = object(4 * MIB);
	struct gmem_mapping m;

	(void)state;
	start();
	assert_int_equal(add(16 * MIB, 4 * MIB, o, 0, 0), 0);
	assert_int_equal(write_8(16 * MIB, 1), 0);
	assert_int_equal(gmem_share(&g, o, 0, PAGE_SIZE, to), 0);
	gmem_object_put(o);
	at_flush = all_goes;
	assert_int_equal(gmem_map(&g, GPA(16 * MIB), 8, GMEM_WRITE, &m), -EFAULT);
	gmem_object_put(to);
	assert_int_equal(gmem_stats(&g).present_pages, 0);
	finish();
}

/* ---- taking ---------------------------------------------------------------------------------- */

static void owners_are_known(void **state)
{
	struct gmem_object *o = object(4 * MIB);
	struct gmem_mapping m;

	(void)state;
	start();
	assert_int_equal(add(16 * MIB, 4 * MIB, o, 0, 0), 0);
	assert_int_equal(gmem_map(&g, GPA(18 * MIB + 5 * PAGE_SIZE), 8, GMEM_WRITE, &m), 0);
	assert_ptr_equal(m.page->owner, o);
	assert_int_equal(m.page->index, 512);
	gmem_unmap(&m);
	/* A part goes: the others are pages of their own. */
	assert_int_equal(gmem_take(&g, o, 2 * MIB + PAGE_SIZE, PAGE_SIZE, false), 1);
	assert_int_equal(gmem_map(&g, GPA(18 * MIB + 5 * PAGE_SIZE), 8, GMEM_WRITE, &m), 0);
	assert_ptr_equal(m.page->owner, o);
	assert_int_equal(m.page->index, 512 + 5);
	gmem_unmap(&m);
	gmem_object_put(o);
	finish();
}

static void what_is_pinned_stays(void **state)
{
	struct gmem_object *o = object(4 * MIB);
	struct gmem_mapping m;

	(void)state;
	start();
	assert_int_equal(add(16 * MIB, 4 * MIB, o, 0, 0), 0);
	assert_int_equal(write_8(16 * MIB, 1), 0);
	assert_int_equal(write_8(18 * MIB, 2), 0);
	assert_int_equal(gmem_map(&g, GPA(16 * MIB + PAGE_SIZE), 8, GMEM_READ, &m), 0);
	assert_int_equal(gmem_take(&g, o, 0, 4 * MIB, true), 0);
	assert_int_equal(gmem_take(&g, o, 0, 4 * MIB, false), 512);
	assert_int_equal(read_8(16 * MIB), 1);
	assert_int_equal(read_8(18 * MIB), 0);
	assert_int_equal(gmem_take(&g, o, 0, PAGE_SIZE, false), 0);
	gmem_unmap(&m);
	/* No memory to split it: it stays. */
	charge.limit = charge.pages;
	assert_int_equal(gmem_take(&g, o, 0, PAGE_SIZE, false), 0);
	charge.limit = 0;
	assert_int_equal(gmem_fault(&g, GPA(16 * MIB), GMEM_WRITE), 0);
	assert_int_equal(gmem_take(&g, o, 0, PAGE_SIZE, false), 1);
	assert_int_equal(prot_at(16 * MIB), 0);
	assert_int_equal(read_8(16 * MIB), 0);
	assert_int_equal(gmem_stats(&g).present_pages, 511);
	assert_int_equal(gmem_take(&g, o, 0, 4 * MIB, false), 511);
	assert_int_equal(gmem_stats(&g).present_pages, 0);
	gmem_object_put(o);
	finish();
}

static void only_clean_frames_are_taken(void **state)
{
	struct gmem_object *o = object(4 * MIB);

	(void)state;
	start();
	assert_int_equal(add(16 * MIB, 4 * MIB, o, 0, 0), 0);
	gmem_track_begin(&g);
	assert_int_equal(gmem_fault(&g, GPA(16 * MIB), GMEM_READ), 0);
	assert_int_equal(write_8(16 * MIB + 7 * PAGE_SIZE, 7), 0);
	assert_int_equal(gmem_fault(&g, GPA(18 * MIB), GMEM_READ), 0);
	assert_int_equal(gmem_take(&g, o, 0, 4 * MIB, true), 1023);
	assert_int_equal(read_8(16 * MIB + 7 * PAGE_SIZE), 7);
	gmem_track_end(&g);
	assert_int_equal(gmem_stats(&g).present_pages, 1);
	gmem_object_put(o);
	finish();
}

static const struct spinlock *watched;

static void slot_goes(const struct spinlock *l)
{
	if (l != watched)
		return;
	spin_unlocked = NULL;
	assert_int_equal(gmem_slot_remove(&g, GPA(16 * MIB)), 0);
}

/* A fault that is under way has looked its slot up: it leaves nothing of it in the tables. */
static void a_slot_goes_during_a_fault(void **state)
{
	struct gmem_object *o = object(2 * MIB);

	(void)state;
	start();
	assert_int_equal(add(16 * MIB, 2 * MIB, o, 0, 0), 0);
	watched = &o->lock[0];
	spin_unlocked = slot_goes;
	assert_int_equal(gmem_fault(&g, GPA(16 * MIB), GMEM_WRITE), -ENOENT);
	assert_null(spin_unlocked);
	assert_int_equal(prot_at(16 * MIB), 0);
	gmem_object_put(o);
	finish();
}

/* ---- what was used --------------------------------------------------------------------------- */

static uint64_t used[2];

static int harvest(struct gmem_object *o, uint64_t at, uint64_t size)
{
	used[0] = used[1] = 0;
	return gmem_harvest(&g, o, at, size, used);
}

/* A fault stands for the chip, which sets the bit as well. */
static void uses_are_harvested(const struct paging_format *format)
{
	struct gmem_config c = config;
	struct gmem_object *o = object(4 * MIB);
	bool bits = format == &paging_npt;

	c.format = format;
	assert_int_equal(gmem_init(&g, &c), 0);
	/* Not where large leaves would fit. */
	assert_int_equal(add(16 * MIB + 0x1000, 2 * MIB, o, 0x2000, 0), 0);
	assert_int_equal(harvest(o, 1, PAGE_SIZE), -EINVAL);
	assert_int_equal(harvest(o, 4 * MIB, PAGE_SIZE), -EINVAL);
	assert_int_equal(harvest(o, 0, 128 * PAGE_SIZE), 0);
	assert_int_equal(gmem_fault(&g, GPA(16 * MIB + 0x1000), GMEM_READ), 0);
	assert_int_equal(gmem_fault(&g, GPA(16 * MIB + 0x5000), GMEM_WRITE), 0);
	flushes = 0;
	assert_int_equal(harvest(o, 0, 128 * PAGE_SIZE), 1);
	assert_int_equal(flushes, 1);
	assert_int_equal(used[0], BIT(2) | BIT(6));
	assert_int_equal(used[1], 0);
	assert_int_equal(!prot_at(16 * MIB + 0x5000), !bits);
	assert_int_equal(harvest(o, 0, 128 * PAGE_SIZE), 0);
	assert_int_equal(flushes, 1);
	/* From the middle on, and only what is asked for. */
	assert_int_equal(gmem_fault(&g, GPA(16 * MIB + 0x1000), GMEM_READ), 0);
	assert_int_equal(gmem_fault(&g, GPA(16 * MIB + 0x5000), GMEM_READ), 0);
	assert_int_equal(harvest(o, 4 * PAGE_SIZE, 8 * PAGE_SIZE), 1);
	assert_int_equal(used[0], BIT(2));
	assert_int_equal(harvest(o, 0, 4 * PAGE_SIZE), 1);
	assert_int_equal(used[0], BIT(2));
	/* A large leaf is used as a whole. */
	assert_int_equal(gmem_slot_remove(&g, GPA(16 * MIB + 0x1000)), 0);
	assert_int_equal(add(32 * MIB, 4 * MIB, o, 0, 0), 0);
	assert_int_equal(gmem_fault(&g, GPA(32 * MIB), GMEM_READ), 0);
	assert_int_equal(size_at(32 * MIB), PAGE_2M);
	assert_int_equal(harvest(o, 0, 70 * PAGE_SIZE), 1);
	assert_true(used[0] == ~0ul && used[1] == BITS(5, 0));
	gmem_object_put(o);
	finish();
}

static void uses_by_bits(void **state)
{
	(void)state;
	uses_are_harvested(&paging_npt);
}

static void uses_by_faults(void **state)
{
	(void)state;
	uses_are_harvested(&paging_ept);
}

/* ---- sharing --------------------------------------------------------------------------------- */

/* The frame is on its way to a copy. */
static void another_writes_too(void)
{
	assert_null(gmem_peek(&g, GPA(16 * MIB), GMEM_READ));
	assert_int_equal(read_8(16 * MIB), 1);
	assert_int_equal(write_8(16 * MIB + 8, 2), 0);
}

static void two_write_what_is_shared(void **state)
{
	struct gmem_object *o = object(2 * MIB), *to = object(2 * MIB);
	struct page *page;
	void *p;

	(void)state;
	start();
	assert_int_equal(add(16 * MIB, 2 * MIB, o, 0, 0), 0);
	assert_int_equal(write_8(16 * MIB, 1), 0);
	assert_int_equal(gmem_fault(&g, GPA(16 * MIB), GMEM_WRITE), 0);
	flushes = 0;
	assert_int_equal(gmem_share(&g, o, 0, 2 * MIB, to), 0);
	assert_int_equal(flushes, 1);
	assert_false(prot_at(16 * MIB) & PROT_WRITE);
	assert_null(gmem_peek(&g, GPA(16 * MIB), GMEM_WRITE));
	assert_non_null(gmem_peek(&g, GPA(16 * MIB), GMEM_READ));
	/* The fault waits for the vCPUs, so what was peeked before is void: once more. */
	at_flush = another_writes_too;
	assert_int_equal(gmem_fault(&g, GPA(16 * MIB), GMEM_WRITE), -EINTR);
	assert_null(at_flush);
	assert_int_equal(prot_at(16 * MIB), 0);
	assert_int_equal(gmem_fault(&g, GPA(16 * MIB), GMEM_WRITE), 0);
	assert_true(prot_at(16 * MIB) & PROT_WRITE);
	assert_int_equal(read_8(16 * MIB), 1);
	assert_int_equal(read_8(16 * MIB + 8), 2);
	assert_true(gmem_object_pin_now(to, 0, GMEM_READ, &p, &page));
	assert_int_equal(((uint64_t *)p)[1], 0);
	page_put(page);
	gmem_object_put(to);
	gmem_object_put(o);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_checked),
		cmocka_unit_test(a_slot_goes_during_a_fault),
		cmocka_unit_test(rom_and_flash),
		cmocka_unit_test(one_object_in_the_place_of_another),
		cmocka_unit_test(an_object_is_shown_twice),
		cmocka_unit_test(contents_move_with_their_slot),
		cmocka_unit_test(pins_outlive_slot_and_object),
		cmocka_unit_test(a_slot_goes_under_a_pin_that_waits),
		cmocka_unit_test(owners_are_known),
		cmocka_unit_test(what_is_pinned_stays),
		cmocka_unit_test(only_clean_frames_are_taken),
		cmocka_unit_test(two_write_what_is_shared),
		cmocka_unit_test(uses_by_bits),
		cmocka_unit_test(uses_by_faults),
	};

	memory_init(TOP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
