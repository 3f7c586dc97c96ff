/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vpit.c lib/record.c tests/host/vdev_host.c */
/*
 * vdev/vpit: every mode's count and output, latches and read-back, BCD, gate and port 0x61, edges
 * of channel 0 and those that are owed, saved form.
 */
#include "tests/host/vdev_test.h"

#include "vdev/vpit.h"

#define HZ	1193182ul
#define MS	1000000ul

static struct vdev *d;
static struct vdev_host *h;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(vpit_create(&d), 0);
	h = vdev_host_attach(d);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vdev_host_detach(h);
	return 0;
}

static void program(unsigned channel, unsigned mode, uint16_t count)
{
	out8(d, 0, 3, (uint8_t)(channel << 6 | 0x30 | mode << 1));
	out8(d, 0, channel, (uint8_t)count);
	out8(d, 0, channel, count >> 8);
}

static uint16_t count(unsigned channel)
{
	uint8_t low;

	out8(d, 0, 3, (uint8_t)(channel << 6));
	low = in8(d, 0, channel);
	return (uint16_t)(low | in8(d, 0, channel) << 8);
}

static void ticks(uint64_t n)
{
	vdev_host_advance(h, n * 1000000000 / HZ + 1);
}

static bool out2(void)
{
	return in8(d, VPIT_PORT61, 0) & 0x20;
}

static void test_periodic(void **state)
{
	(void)state;
	program(0, 2, 11932);			/* 100 Hz */
	assert_int_equal(h->edges[VPIT_OUT0], 1);	/* the output rises with the mode */
	vdev_host_advance(h, 1000 * MS);
	assert_in_range(h->edges[VPIT_OUT0], 100, 101);
	assert_true(h->line[VPIT_OUT0]);
	program(0, 3, 0);			/* 18.2 Hz */
	h->edges[0] = 0;
	vdev_host_advance(h, 10000 * MS);
	assert_in_range(h->edges[VPIT_OUT0], 181, 183);
}

static void test_fast_edges_merge(void **state)
{
	(void)state;
	program(0, 2, 2);
	h->timer_count = 0;
	vdev_host_advance(h, 100 * MS);
	assert_in_range(h->timer_count, 500, 1010);
}

/* Fewer edges while nobody takes them, but none that is slower anyway comes later. */
static void test_unheard_edges(void **state)
{
	(void)state;
	program(0, 2, 2);
	h->unheard = true;
	vdev_host_advance(h, 2 * MS);
	h->timer_count = 0;
	vdev_host_advance(h, 100 * MS);
	assert_in_range(h->timer_count, 50, 101);
	h->unheard = false;
	vdev_host_advance(h, 2 * MS);
	h->timer_count = 0;
	vdev_host_advance(h, 100 * MS);
	assert_in_range(h->timer_count, 500, 1010);
	h->unheard = true;
	program(0, 2, 11932);			/* 100 Hz */
	h->edges[0] = 0;
	vdev_host_advance(h, 1000 * MS);
	assert_in_range(h->edges[VPIT_OUT0], 99, 101);
}

static unsigned take_all(void)
{
	unsigned n = 0;

	while (h->busy[VPIT_OUT0]) {
		n++;
		h->busy[VPIT_OUT0] = false;
		d->ops->line_eoi(d, VPIT_OUT0);
	}
	return n;
}

/* Edges that the guest had no time for come as it ends each; a second's worth is kept. */
static void test_owed_edges(void **state)
{
	(void)state;
	h->waits = true;
	program(0, 2, 11932);			/* 100 Hz */
	vdev_host_advance(h, 4 * MS);
	take_all();				/* the rise with the mode */
	for (unsigned i = 1; i <= 40; i++) {
		vdev_host_advance(h, i * 10 * MS);
		assert_int_equal(take_all(), i);
		assert_int_equal(take_all(), 0);
	}
	vdev_host_advance(h, 60000 * MS);
	assert_in_range(take_all(), 100, 102);
	/* Those faster than the host makes edges are owed too. */
	program(0, 2, 12);
	vdev_host_advance(h, 10 * MS);
	assert_in_range(take_all(), 10 * HZ / 12000 - 15, 10 * HZ / 12000 + 1);
	/* Nothing is owed by a new count, nor of what nobody tells the end of. */
	vdev_host_advance(h, 500 * MS);
	program(0, 2, 11932);
	h->busy[VPIT_OUT0] = false;
	d->ops->line_eoi(d, VPIT_OUT0);
	assert_false(h->busy[VPIT_OUT0]);
	h->waits = false;
	vdev_host_advance(h, 500 * MS);
	h->edges[0] = 0;
	d->ops->line_eoi(d, VPIT_OUT0);
	assert_int_equal(h->edges[0], 0);
}

static void test_oneshot(void **state)
{
	(void)state;
	program(0, 0, 1193);
	assert_false(h->line[VPIT_OUT0]);
	ticks(1190);
	assert_false(h->line[VPIT_OUT0]);
	ticks(5);
	assert_true(h->line[VPIT_OUT0]);
	vdev_host_advance(h, 1000 * MS);
	assert_int_equal(h->edges[VPIT_OUT0], 1);
	program(0, 4, 1193);
	assert_true(h->line[VPIT_OUT0]);
	h->edges[0] = 0;
	ticks(1200);
	assert_int_equal(h->edges[VPIT_OUT0], 1);
}

static void test_counts(void **state)
{
	(void)state;
	program(1, 2, 1000);
	ticks(10);
	assert_in_range(count(1), 989, 990);
	ticks(1000);
	assert_in_range(count(1), 979, 991);
	program(1, 3, 1000);
	ticks(10);
	assert_in_range(count(1), 978, 980);
	program(1, 0, 100);
	ticks(110);
	assert_in_range(count(1), 65536 - 12, 65536 - 9);	/* it goes on below 0 */
	out8(d, 0, 3, 0x70 | 1);				/* BCD, mode 0 */
	out8(d, 0, 1, 0x00);
	out8(d, 0, 1, 0x10);
	ticks(1);
	assert_in_range(count(1), 0x998, 0x999);
}

static void test_access(void **state)
{
	uint8_t low;

	(void)state;
	out8(d, 0, 3, 0x54);		/* channel 1, low byte, mode 2 */
	out8(d, 0, 1, 200);
	ticks(1);
	assert_in_range(in8(d, 0, 1), 198, 199);
	out8(d, 0, 3, 0x64);		/* high byte */
	out8(d, 0, 1, 2);
	ticks(1);
	assert_int_equal(in8(d, 0, 1), 1);
	program(1, 2, 0x1234);
	out8(d, 0, 3, 0x40);
	ticks(1000);
	out8(d, 0, 3, 0x40);		/* a second latch is ignored */
	low = in8(d, 0, 1);
	assert_int_equal(low | in8(d, 0, 1) << 8, 0x1234);
	low = in8(d, 0, 1);		/* not latched: low, then high */
	assert_in_range(low | in8(d, 0, 1) << 8, 0x1234 - 1004, 0x1234 - 998);
	assert_int_equal(in8(d, 0, 3), 0xff);
}

static void test_read_back(void **state)
{
	(void)state;
	out8(d, 0, 3, 0xb0);		/* channel 2, both, mode 0 */
	out8(d, 0, 3, 0xe8);		/* status of channel 2 */
	assert_int_equal(in8(d, 0, 2), 0x70);	/* null count, output low */
	program(1, 2, 500);
	out8(d, 0, 3, 0xc4);		/* status and count of channel 1 */
	assert_int_equal(in8(d, 0, 1), 0x80 | 0x34);
	assert_int_equal(in8(d, 0, 1), 500 & 0xff);
	assert_int_equal(in8(d, 0, 1), 500 >> 8);
}

static void test_port61(void **state)
{
	uint8_t v;

	(void)state;
	out8(d, VPIT_PORT61, 0, 0x01);
	program(2, 0, 1193 * 10);
	assert_false(out2());
	vdev_host_advance(h, 9 * MS);
	assert_false(out2());
	vdev_host_advance(h, 2 * MS);
	assert_true(out2());
	assert_int_equal(in8(d, VPIT_PORT61, 0) & 0x0f, 1);
	v = in8(d, VPIT_PORT61, 0) & 0x10;
	vdev_host_advance(h, 15085);
	assert_int_not_equal(in8(d, VPIT_PORT61, 0) & 0x10, v);
}

static void test_gate(void **state)
{
	uint16_t held;

	(void)state;
	out8(d, VPIT_PORT61, 0, 1);
	program(2, 0, 1000);
	ticks(400);
	out8(d, VPIT_PORT61, 0, 0);
	held = count(2);
	ticks(5000);
	assert_int_equal(count(2), held);
	out8(d, VPIT_PORT61, 0, 1);
	ticks(590);
	assert_false(out2());
	ticks(20);
	assert_true(out2());
	out8(d, VPIT_PORT61, 0, 0);
	program(2, 1, 100);		/* one shot by the gate's rise */
	assert_true(out2());
	out8(d, VPIT_PORT61, 0, 1);
	assert_false(out2());
	ticks(101);
	assert_true(out2());
	out8(d, VPIT_PORT61, 0, 0);
	program(2, 3, 100);
	ticks(60);
	assert_true(out2());
	out8(d, VPIT_PORT61, 0, 1);
	ticks(60);
	assert_false(out2());
	program(2, 5, 100);
	assert_true(out2());
}

static void test_saved(void **state)
{
	struct vdev *fresh;
	struct vdev_host *f;
	unsigned edges;

	(void)state;
	assert_int_equal(vpit_create(&fresh), 0);
	f = vdev_host_attach(fresh);
	program(0, 2, 11932);
	program(2, 0, 5000);
	out8(d, 0, 3, 0xc4);
	vdev_host_advance(h, 15 * MS);
	check_save_load(d, fresh);
	edges = h->edges[0];
	f->edges[0] = 0;
	vdev_host_advance(h, 100 * MS);
	vdev_host_advance(f, 100 * MS);
	assert_int_equal(f->edges[0], h->edges[0] - edges);
	/* A count that is over has left the line up. */
	program(0, 0, 100);
	vdev_host_advance(h, 15 * MS);
	assert_true(h->line[VPIT_OUT0]);
	d->ops->reset(fresh);
	check_save_load(d, fresh);
	check_refused(d, 0, 0x40);
	check_refused(d, 3, 3);
	check_refused(d, 8, 2);
	check_refused(d, 14 + 7, 0xff);
	check_refused(d, 22 + 7, 0xff);
	check_refused(d, 30 * 3 + 7, 0xff);
	check_refused(d, 30 * 3 + 8, 0x10);
	check_refused(d, 30 * 3 + 9 + 7, 0xff);
	check_refused(d, 30 * 3 + 17 + 3, 0xff);
	vdev_host_detach(f);
}

int main(void)
{
#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_periodic), CASE(test_fast_edges_merge),
		CASE(test_unheard_edges), CASE(test_owed_edges), CASE(test_oneshot),
		CASE(test_counts),
		CASE(test_access), CASE(test_read_back), CASE(test_port61), CASE(test_gate),
		CASE(test_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
