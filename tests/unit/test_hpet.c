/* SPDX-License-Identifier: BSD-2-Clause */
/* links: drivers/hpet.c */
/*
 * drivers/hpet.c over 1 KiB of memory: what is no HPET is refused and left as it was, physical
 * page 0 is not even mapped, and one that counts is used.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/cpu.h"
#include "drivers/hpet.h"
#include "include/errno.h"
#include "mm/kmap.h"

static uint64_t chip[128];
static unsigned mapped, unmapped;

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

static void count(void)
{
	if (chip[2] & 1)
		chip[0xf0 / 8]++;
}

static int setup(void **state)
{
	(void)state;
	memset(chip, 0, sizeof(chip));
	mapped = unmapped = 0;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(none, setup),
		cmocka_unit_test_setup(no_hpet, setup),
		cmocka_unit_test_setup(counts, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
