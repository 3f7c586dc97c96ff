/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vflash.c lib/record.c tests/host/vdev_host.c */
/*
 * vdev/vflash: found as OVMF looks for it, programmed and erased, queried; commands that do not
 * belong together; a host without memory; two vCPUs at once; saved form in each mode.
 */
#include "tests/host/vdev_test.h"

#include "include/bits.h"
#include "vdev/vflash.h"

#define BASE	0xffc00000ul

static struct vdev *d;
static struct vdev_host *h;

static const struct vflash_config config = { .base = BASE, .size = VDEV_HOST_NVRAM };

static int setup(void **state)
{
	(void)state;
	assert_int_equal(vflash_create(&config, &d), 0);
	h = vdev_host_attach(d);
	memset(h->nvram, 0xff, sizeof(h->nvram));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vdev_host_detach(h);
	return 0;
}

static void put(uint64_t at, uint8_t v)
{
	out8(d, VFLASH_CHIP, at, v);
}

static uint8_t get(uint64_t at)
{
	return in8(d, VFLASH_CHIP, at);
}

static void test_probe(void **state)
{
	(void)state;
	assert_true(h->region[VFLASH_CHIP].enabled);
	assert_int_equal(h->region[VFLASH_CHIP].base, BASE);
	assert_int_equal(h->region[VFLASH_CHIP].size, VDEV_HOST_NVRAM);
	assert_int_equal(h->nvram_calls, 0);
	h->nvram[0x10] = 0xaa;
	put(0x10, 0x50);
	assert_false(h->nvram_hidden);
	assert_int_equal(get(0x10), 0xaa);
	put(0x10, 0x70);
	assert_true(h->nvram_hidden);
	assert_int_equal(get(0x10), 0x00);		/* no RAM, no ROM: flash */
	put(0x10, 0xff);
	assert_false(h->nvram_hidden);
	assert_int_equal(vdev_host_read(d, VFLASH_CHIP, 0x10, 4), 0xffffffaa);
}

static void test_program(void **state)
{
	(void)state;
	put(0x123, 0x10);
	assert_true(h->nvram_hidden);
	put(0x123, 0x5a);
	assert_int_equal(h->nvram[0x123], 0x5a);
	assert_int_equal(get(0), 0x80);
	put(0x123, 0x40);
	put(0x123, 0xf0);				/* bits are cleared alone */
	assert_int_equal(h->nvram[0x123], 0x50);
	put(0, 0x10);
	vdev_host_write(d, VFLASH_CHIP, 0x1000, 4, 0x11223344);
	assert_memory_equal(h->nvram + 0x1000, "\x44\x33\x22\x11", 4);
	put(0, 0xff);
	assert_false(h->nvram_hidden);
	assert_int_equal(get(0x123), 0x50);
}

static void test_erase(void **state)
{
	(void)state;
	memset(h->nvram, 0, sizeof(h->nvram));
	put(0x1fff, 0x20);
	put(0x1fff, 0xd0);
	assert_int_equal(get(0), 0x80);
	for (unsigned i = 0; i < VDEV_HOST_NVRAM; i++)
		assert_int_equal(h->nvram[i], i >= 0x1000 && i < 0x2000 ? 0xff : 0);
	put(0x5000, 0x20);
	put(0x5000, 0xff);				/* not confirmed */
	assert_int_equal(get(0) & 0xb0, 0xb0);
	assert_int_equal(h->nvram[0x5000], 0);
	put(0, 0x50);
	put(0, 0x70);
	assert_int_equal(get(0), 0);
	put(0x5000, 0x60);				/* a block's lock: taken */
	put(0x5000, 0xd0);
	assert_int_equal(get(0), 0x80);
	put(0, 0xe8);					/* no buffered writes */
	assert_false(h->nvram_hidden);
}

static void test_query(void **state)
{
	(void)state;
	put(0x55, 0x98);
	assert_int_equal(vdev_host_read(d, VFLASH_CHIP, 0x10, 4),
			 'Q' | 'R' << 8 | 'Y' << 16 | 1 << 24);
	assert_int_equal(get(0x27), 15);		/* 32 KiB */
	assert_int_equal(get(0x2a) | get(0x2b), 0);
	assert_int_equal(get(0x2c), 1);
	assert_int_equal(get(0x2d) | get(0x2e) << 8, VDEV_HOST_NVRAM / 4096 - 1);
	assert_int_equal((get(0x2f) | get(0x30) << 8) * 256, 4096);
	assert_int_equal(get(0x31) | get(0x32) << 8 | get(0x33) << 16, 'P' | 'R' << 8 | 'I' << 16);
	assert_int_equal(get(0xff), 0);
	put(0, 0x90);
	assert_int_equal(get(0), 0x89);
	assert_int_equal(get(1), 0x18);
	assert_int_equal(get(2), 0);
	d->ops->reset(d);
	assert_false(h->nvram_hidden);
	put(0, 0x70);
	assert_int_equal(get(0), 0x80);
}

static unsigned hooks;

static void array_meanwhile(void)
{
	if (!hooks++)
		put(0, 0xff);
}

static void test_two_at_once(void **state)
{
	(void)state;
	hooks = 0;
	h->region_hook = array_meanwhile;
	put(0, 0x70);
	h->region_hook = NULL;
	assert_int_equal(hooks, 2);
	assert_false(h->nvram_hidden);
}

static void test_no_memory(void **state)
{
	(void)state;
	h->nvram_error = -ENOMEM;
	put(0x10, 0x10);
	put(0x10, 0);
	assert_true(h->logged);
	assert_int_equal(h->nvram[0x10], 0xff);
	assert_int_equal(get(0), 0x80);
	h->nvram_error = 0;
	put(0, 0xff);
	assert_int_equal(get(0x10), 0xff);
}

static void test_saved(void **state)
{
	static const uint8_t modes[] = { 0xff, 0x70, 0x90, 0x98, 0x10, 0x20, 0x40, 0x60 };

	(void)state;
	for (unsigned i = 0; i < sizeof(modes); i++) {
		struct vdev *fresh;
		struct vdev_host *f;

		assert_int_equal(vflash_create(&config, &fresh), 0);
		f = vdev_host_attach(fresh);
		put(0, modes[i]);
		check_save_load(d, fresh);
		assert_int_equal(f->nvram_hidden, modes[i] != 0xff);
		put(0, 0);
		put(0, 0xff);
		vdev_host_detach(f);
	}
	check_refused(d, 0, 0x10);
	check_refused(d, 1, 0xd0);
	check_refused(d, 1, 0x10);			/* not in array mode */
	check_refused(d, 2, 0x81);
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_probe), CASE(test_program), CASE(test_erase), CASE(test_query),
		CASE(test_two_at_once), CASE(test_no_memory), CASE(test_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
