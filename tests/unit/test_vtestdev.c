/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vtestdev.c vdev/vpvpanic.c lib/record.c tests/host/vdev_host.c */
/*
 * vdev/vtestdev: scratch ports, memory, lines and flush, saved form; and vdev/vpvpanic.
 */
#include "tests/host/vdev_test.h"

#include "include/bits.h"
#include "vdev/vpvpanic.h"
#include "vdev/vtestdev.h"

static struct vdev *d;
static struct vdev_host *h;
static bool level[2][VTESTDEV_LINE_COUNT];
static unsigned changes, flushes;
static uint64_t flushed;

static void on_line(void *context, unsigned line, bool on)
{
	bool *lines = context;

	assert_true(line < VTESTDEV_LINE_COUNT);
	assert_true(lines[line] != on);
	lines[line] = on;
	changes++;
}

static void on_flush(void *context, gpa_t a)
{
	(void)context;
	flushes++;
	flushed = a.v;
}

static struct vdev *make(unsigned i)
{
	struct vtestdev_config c = { .line = on_line, .flush = on_flush, .context = level[i] };
	struct vdev *fresh;

	memset(level[i], 0, sizeof(level[i]));
	assert_int_equal(vtestdev_create(&c, &fresh), 0);
	return fresh;
}

static int setup(void **state)
{
	(void)state;
	changes = flushes = 0;
	d = make(0);
	h = vdev_host_attach(d);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vdev_host_detach(h);
	return 0;
}

static void test_scratch(void **state)
{
	(void)state;
	vdev_host_write(d, VTESTDEV_PORTS, 0, 4, 0x12345678);
	assert_int_equal(vdev_host_read(d, VTESTDEV_PORTS, 0, 4), 0x12345678);
	assert_int_equal(vdev_host_read(d, VTESTDEV_PORTS, 1, 2), 0x3456);
	assert_int_equal(vdev_host_read(d, VTESTDEV_BYTES, 0, 4), 0x12345678);
	out8(d, VTESTDEV_BYTES, 2, 0x99);
	assert_int_equal(vdev_host_read(d, VTESTDEV_PORTS, 0, 4), 0x12995678);
	out8(d, VTESTDEV_BYTES, 4, 0x11);
	assert_int_equal(in8(d, VTESTDEV_PORTS, 0), 0x11);
	assert_int_equal(in8(d, VTESTDEV_LINES, 0), 0);
	assert_int_equal(vdev_host_read(d, VTESTDEV_FLUSH, 0, 4), 0);
}

static void test_memory(void **state)
{
	(void)state;
	assert_int_equal(vdev_host_read(d, VTESTDEV_MEMORY, 0xfff8, 8), 0);
	vdev_host_write(d, VTESTDEV_MEMORY, 0xfff8, 8, 0x1122334455667788);
	assert_int_equal(vdev_host_read(d, VTESTDEV_MEMORY, 0xfff8, 8), 0x1122334455667788);
	assert_int_equal(vdev_host_read(d, VTESTDEV_MEMORY, 0xfffb, 2), 0x4455);
	out8(d, VTESTDEV_MEMORY, 0, 1);
	d->ops->reset(d);
	assert_int_equal(in8(d, VTESTDEV_MEMORY, 0), 0);
	assert_int_equal(vdev_host_read(d, VTESTDEV_MEMORY, 0xfff8, 8), 0);
}

static void test_lines_and_flush(void **state)
{
	(void)state;
	out8(d, VTESTDEV_LINES, 23, 1);
	out8(d, VTESTDEV_LINES, 23, 0x80);
	out8(d, VTESTDEV_LINES, 0, 1);
	assert_true(level[0][23] && level[0][0]);
	assert_int_equal(changes, 2);
	out8(d, VTESTDEV_LINES, 23, 0);
	assert_false(level[0][23]);
	vdev_host_write(d, VTESTDEV_LINES, 4, 2, 0xffff);
	assert_int_equal(changes, 3);
	d->ops->reset(d);
	assert_false(level[0][0]);
	vdev_host_write(d, VTESTDEV_FLUSH, 0, 4, 0x12345678);
	assert_int_equal(flushed, 0x12345000);
	out8(d, VTESTDEV_FLUSH, 0, 1);
	assert_int_equal(flushes, 1);
}

/* Too long for check_save_load: with its memory it is 64 KiB. */
static void test_saved(void **state)
{
	static uint8_t one[80000], two[80000];
	struct vdev *fresh = make(1);
	struct vdev_host *f = vdev_host_attach(fresh);
	size_t n;

	(void)state;
	vdev_host_write(d, VTESTDEV_PORTS, 0, 4, 0xcafe1234);
	out8(d, VTESTDEV_LINES, 5, 1);
	out8(fresh, VTESTDEV_LINES, 6, 1);
	check_save_load(d, fresh);
	assert_memory_equal(level[1], level[0], sizeof(level[0]));
	check_refused(d, 7, 1);			/* line 24 */
	check_refused(d, 8, 2);
	out8(d, VTESTDEV_MEMORY, 0x1234, 0x42);
	n = vdev_host_save(d, one, sizeof(one));
	assert_true(n > VTESTDEV_MEMORY_SIZE);
	assert_int_equal(vdev_host_load(fresh, one, n - 1, 1), -EINVAL);
	assert_int_equal(vdev_host_load(fresh, one, n + 1, 1), -EINVAL);
	assert_int_equal(vdev_host_load(fresh, one, n, 2), -EINVAL);
	assert_int_equal(in8(fresh, VTESTDEV_MEMORY, 0x1234), 0);
	assert_int_equal(vdev_host_load(fresh, one, n, 1), 0);
	assert_int_equal(in8(fresh, VTESTDEV_MEMORY, 0x1234), 0x42);
	assert_int_equal(vdev_host_save(fresh, two, sizeof(two)), n);
	assert_memory_equal(one, two, n);
	vdev_host_detach(f);
}

static void test_pvpanic(void **state)
{
	struct vdev *p, *fresh;
	struct vdev_host *a, *f;

	(void)state;
	assert_int_equal(vpvpanic_create(&p) | vpvpanic_create(&fresh), 0);
	a = vdev_host_attach(p);
	f = vdev_host_attach(fresh);
	assert_int_equal(in8(p, VPVPANIC_EVENTS, 0), 3);
	out8(p, VPVPANIC_EVENTS, 0, 0);
	out8(p, VPVPANIC_EVENTS, 0, 0xfc);	/* events of other devices */
	assert_int_equal(a->requests[HOST_REQUEST_PANIC], 0);
	out8(p, VPVPANIC_EVENTS, 0, 2);
	assert_int_equal(a->requests[HOST_REQUEST_CRASH_LOADED], 1);
	assert_int_equal(a->requests[HOST_REQUEST_PANIC], 0);
	out8(p, VPVPANIC_EVENTS, 0, 3);
	assert_int_equal(a->requests[HOST_REQUEST_CRASH_LOADED], 1);
	assert_int_equal(a->requests[HOST_REQUEST_PANIC], 1);
	check_save_load(p, fresh);
	vdev_host_detach(a);
	vdev_host_detach(f);
}

int main(void)
{
#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_scratch), CASE(test_memory), CASE(test_lines_and_flush),
		CASE(test_saved), cmocka_unit_test(test_pvpanic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
