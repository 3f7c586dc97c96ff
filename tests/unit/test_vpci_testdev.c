/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vpci*.c lib/record.c tests/host/vdev_host.c */
/* vdev/vpci_testdev: the tests of both BARs, which writes count, saved form. */
#include "tests/host/vdev_test.h"

#include "vdev/vpci.h"
#include "vdev/vpci_testdev.h"

static struct vdev *bus, *d;

static void make(struct vdev **root, struct vdev **dev)
{
	assert_int_equal(vpci_create(NULL, root) | vpci_testdev_create(dev), 0);
	vdev_host_attach(*root);
	vdev_host_attach(*dev);
	assert_int_equal(vpci_attach(*root, 0, 4, 0, vpci_testdev_function(*dev)), 0);
}

static int setup(void **state)
{
	(void)state;
	make(&bus, &d);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vdev_host_detach(d->host);
	vdev_host_detach(bus->host);
	return 0;
}

static uint32_t get(unsigned bar, unsigned at, unsigned size)
{
	return (uint32_t)vdev_host_read(d, bar, at, size);
}

/* As a test kernel goes about it: until a test is not there. */
static void test_all(void **state)
{
	unsigned n;

	(void)state;
	assert_int_equal(vdev_host_read(bus, VPCI_ECAM, 4 << 15, 4), 0x00051b36);
	for (unsigned bar = 0; bar < 2; bar++) {
		assert_int_equal(get(bar, 1, 1), 0);		/* none is chosen */
		for (n = 0;; n++) {
			unsigned width, offset, data;

			out8(d, bar, 0, (uint8_t)n);
			assert_int_equal(get(bar, 12, 4), 0);
			width = get(bar, 1, 1);
			offset = get(bar, 4, 4);
			data = get(bar, 8, 4);
			if (width != 1 && width != 2 && width != 4)
				break;
			assert_true(offset >= 0x40 && offset % 4 == 0 && offset + 4 <= 256);
			assert_true(get(bar, 16, 1) != 0);
			for (unsigned i = 0; i < 16; i++)
				vdev_host_write(d, bar, offset, width, data);
			assert_int_equal(get(bar, 12, 4), 16);
			vdev_host_write(d, bar, offset, width, data ^ 1);
			vdev_host_write(d, bar, offset, width == 4 ? 2 : 4, data);
			vdev_host_write(d, bar, offset + 4, width, data);
			vdev_host_write(d, bar, 12, 4, 99);
			assert_int_equal(get(bar, 12, 4), 16);
			assert_int_equal(get(!bar, 12, 4), 0);
		}
		assert_int_equal(n, 3);
		assert_int_equal(get(bar, 16, 4), 0);
	}
	out8(d, 0, 0, 1);
	assert_memory_equal("m", &(char){ (char)get(0, 16, 1) }, 1);
	assert_int_equal(get(0, 36, 4), 0);
	assert_int_equal(get(0, 0xff8, 8), 0);
}

static void test_saved(void **state)
{
	struct vdev *root, *other;

	(void)state;
	make(&root, &other);
	out8(d, 1, 0, 0);
	vdev_host_write(d, 1, get(1, 4, 4), 1, get(1, 8, 4));
	check_save_load(d, other);
	assert_int_equal(vdev_host_read(other, 1, 12, 4), 1);
	check_refused(d, 5, 3);				/* counts for a test that is not there */
	d->ops->reset(d);
	assert_int_equal(get(1, 1, 1), 0);
	vdev_host_detach(other->host);
	vdev_host_detach(root->host);
}

int main(void)
{
#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = { CASE(test_all), CASE(test_saved) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
