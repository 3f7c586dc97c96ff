/* SPDX-License-Identifier: BSD-2-Clause */
/* links: drivers/hpet.c */
/*
 * drivers/hpet.c over 1 KiB of memory: what is no HPET is refused and left as it was, physical
 * page 0 is not even mapped, one that counts is used; its tick.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/cpu.h"
#include "drivers/hpet.h"
#include "drivers/wire.h"
#include "include/errno.h"
#include "mm/kmap.h"

static uint64_t chip[128];
static unsigned mapped, unmapped, called;

static void tick(void *arg)
{
	assert_null(arg);
	called++;
}

void *kmap_io(hpa_t a, uint64_t size, enum paging_cache c)
{
	(void)a;
	assert_int_equal(size, sizeof(chip));
	assert_int_equal(c, CACHE_UC);
	mapped++;
	return chip;
}

void kmap_io_unmap(void *va, uint64_t size)
{
	(void)size;
	assert_ptr_equal(va, chip);
	unmapped++;
}

static struct wire_user *user;
static unsigned routed;			/* wires that an I/O APIC has been asked for */
static uint32_t pins, unmasked;		/* wires that it has, and lets through */

int wire_open(struct wire_user *u, uint32_t gsi, bool low, bool level)
{
	assert_string_equal(u->name, "hpet");
	assert_false(low || level);
	routed |= 1u << gsi;
	if (!(pins & 1u << gsi))
		return -ENODEV;
	unmasked |= 1u << gsi;
	user = u;
	return 0;
}

static void count(void)
{
	if (chip[2] & 1)
		chip[0xf0 / 8]++;
}

static int setup(void **state)
{
	(void)state;
	memset(chip, 0, sizeof(chip));
	mapped = unmapped = called = 0;
	routed = pins = unmasked = 0;
	user = NULL;
	host_pause = count;
	return 0;
}

static void none(void **state)
{
	(void)state;
	chip[0] = 69841279ul << 32 | 0x2001;
	assert_int_equal(hpet_init(HPA(0)), -ENODEV);
	assert_int_equal(mapped, 0);
}

static void refuse(uint64_t capabilities)
{
	chip[0] = capabilities;
	assert_int_equal(hpet_init(HPA(0xfed00000)), -ENODEV);
	assert_int_equal(mapped, unmapped);
	assert_int_equal(chip[2], 0x100);
}

static void no_hpet(void **state)
{
	(void)state;
	chip[2] = 0x100;
	refuse(0);
	refuse(~0ul);
	refuse(69841279ul << 32 | 0x2000);		/* revision 0 */
	refuse(100000001ul << 32 | 0x2001);
	host_pause = NULL;				/* stands still */
	refuse(69841279ul << 32 | 0x2001);
}

static void counts(void **state)
{
	(void)state;
	chip[0] = 69841279ul << 32 | 0x2001;
	assert_int_equal(hpet_init(HPA(0xfed00000)), 0);
	assert_int_equal(hpet_hz(), 14318179);
	assert_true(hpet_mask() == ~0ul);
	assert_int_equal(chip[2], 1);
	chip[0xf0 / 8] = 0x123456789;
	assert_true(hpet_read() == 0x123456789);
	chip[0] &= ~0x2000ul;
	assert_int_equal(hpet_init(HPA(0xfed00000)), 0);
	assert_true(hpet_mask() == 0xffffffff);
	assert_true(hpet_read() < 0x100000000);
}

/*
 * Comparator 2 of 0 to 2 is periodic; wires of ISA devices are not taken, nor one that is not
 * there.
 */
static void ticks(void **state)
{
	(void)state;
	chip[0] = 69841279ul << 32 | 0x2201;
	chip[2] = 2;
	assert_int_equal(hpet_init(HPA(0xfed00000)), 0);
	assert_int_equal(hpet_tick_start(250000000, tick), -ENODEV);
	chip[0x140 / 8] = 0x00800977ul << 32 | 0x10;
	assert_int_equal(hpet_tick_start(250000000, tick), -ENODEV);
	assert_int_equal(routed, 0x00800100);
	pins = 1 << 4 | 1 << 23;
	assert_int_equal(unmasked, 0);
	assert_int_equal(hpet_tick_start(250000000, tick), 0);
	assert_int_equal(unmasked, 1 << 23);
	assert_true(user->fn(NULL));
	assert_int_equal(called, 1);
	assert_int_equal(chip[2], 1);
	/* Enabled, periodic, its value to be set, 32 bits, by an edge on wire 23. */
	assert_int_equal((uint32_t)chip[0x140 / 8], 0x4 | 0x8 | 0x40 | 0x100 | 23 << 9);
	assert_int_equal((uint32_t)chip[0x148 / 8], 14318 * 250);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(none, setup),
		cmocka_unit_test_setup(no_hpet, setup),
		cmocka_unit_test_setup(counts, setup),
		cmocka_unit_test_setup(ticks, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
