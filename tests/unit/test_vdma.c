/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vdma.c lib/record.c tests/host/vdev_host.c */
/*
 * vdev/vdma: what a BIOS tests of DMA controllers: addresses and counts by their bytes, masks, what
 * clears them; saved form.
 */
#include "tests/host/vdev_test.h"

#include "vdev/vdma.h"

static struct vdev *d;
static struct vdev_host *h;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(vdma_create(&d), 0);
	h = vdev_host_attach(d);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vdev_host_detach(h);
	return 0;
}

/* Registers are one port apart, or two. */
static uint8_t get(unsigned which, unsigned reg)
{
	return in8(d, which, reg << which);
}

static void put(unsigned which, unsigned reg, uint8_t v)
{
	out8(d, which, reg << which, v);
}

static void test_values(void **state)
{
	(void)state;
	for (unsigned which = 0; which < 2; which++) {
		put(which, 13, 0);
		for (unsigned reg = 0; reg < 8; reg++) {
			put(which, reg, (uint8_t)(0x10 + reg));
			put(which, reg, (uint8_t)(0xa0 + reg + which));
		}
		for (unsigned reg = 0; reg < 8; reg++) {
			assert_int_equal(get(which, reg), 0x10 + reg);
			assert_int_equal(get(which, reg), 0xa0 + reg + which);
		}
		/* One byte, and from the first again. */
		put(which, 2, 0x77);
		put(which, 12, 0);
		assert_int_equal(get(which, 2), 0x77);
		put(which, 12, 0);
		put(which, 2, 0x78);
		assert_int_equal(get(which, 2), 0xa2 + which);
		assert_int_equal(get(which, 2), 0x78);
	}
	assert_int_equal(get(0, 1), 0xa1);		/* the other one is another */
	/* Wide accesses are a byte's. */
	put(0, 12, 0);
	vdev_host_write(d, VDMA_BYTES, 0, 4, 0x44332211);
	put(0, 12, 0);
	assert_int_equal(vdev_host_read(d, VDMA_BYTES, 0, 4), 0x11);
}

static void test_masks(void **state)
{
	(void)state;
	for (unsigned which = 0; which < 2; which++) {
		assert_int_equal(get(which, 15), 0x0f);
		put(which, 10, 2);
		assert_int_equal(get(which, 15), 0x0b);
		put(which, 10, 0xf8 | 6);
		assert_int_equal(get(which, 15), 0x0f);
		put(which, 14, 0xff);
		assert_int_equal(get(which, 15), 0);
		put(which, 15, 0xf5);
		assert_int_equal(get(which, 15), 5);
		put(which, 9, 4);			/* a request: nobody has anything to send */
		put(which, 8, 0xff);
		put(which, 11, 0xff);
		assert_int_equal(get(which, 8), 0);
		put(which, 13, 0);
		assert_int_equal(get(which, 15), 0x0f);
	}
}

static void test_saved(void **state)
{
	struct vdev *fresh;

	(void)state;
	assert_int_equal(vdma_create(&fresh), 0);
	vdev_host_attach(fresh);
	put(0, 3, 0x12);
	put(1, 15, 6);
	check_save_load(d, fresh);
	assert_int_equal(in8(fresh, 1, 30), 6);
	check_refused(d, 16, 2);
	check_refused(d, 17, 0x10);
	check_refused(d, 18 + 17, 0x1f);
	d->ops->reset(d);
	assert_int_equal(get(1, 15), 0x0f);
	vdev_host_detach(fresh->host);
}

int main(void)
{
#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_values), CASE(test_masks), CASE(test_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
