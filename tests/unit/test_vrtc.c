/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vrtc.c lib/record.c tests/host/vdev_host.c */
/*
 * vdev/vrtc: dates against the C library, BCD and 12 hours, setting the time, update, alarm and
 * periodic interrupts, polled flags, CMOS memory, saved form.
 */
#include "tests/host/vdev_test.h"

#include <time.h>

#include "include/bits.h"
#include "vdev/vrtc.h"

#define S	1000000000ul
#define NOON	1700049600ul	/* 2023-11-15 12:00:00 */

static struct vdev *d;
static struct vdev_host *h;

static int setup(void **state)
{
	struct vrtc_config c = {
		.ram_below_4g = 192 * MIB, .ram_above_4g = 5 * GIB, .base_kib = 639, .vcpus = 3,
	};

	(void)state;
	assert_int_equal(vrtc_create(&c, &d), 0);
	h = vdev_host_attach(d);
	h->wall = NOON;
	d->ops->reset(d);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vdev_host_detach(h);
	return 0;
}

static uint8_t get(uint8_t reg)
{
	out8(d, 0, 0, reg);
	return in8(d, 0, 1);
}

static void put(uint8_t reg, uint8_t v)
{
	out8(d, 0, 0, reg | 0x80);
	out8(d, 0, 1, v);
}

static void check_time(uint8_t hour, uint8_t minute, uint8_t second)
{
	assert_int_equal(get(4), hour);
	assert_int_equal(get(2), minute);
	assert_int_equal(get(0), second);
}

static void test_dates(void **state)
{
	(void)state;
	for (uint64_t t = 0; t < 8000000000ul; t += 86400ul * 11 + 3607) {
		time_t time = (time_t)t;
		struct tm tm;

		gmtime_r(&time, &tm);
		h->wall = t;
		d->ops->reset(d);
		put(11, 0x06);			/* binary, 24 hours */
		check_time((uint8_t)tm.tm_hour, (uint8_t)tm.tm_min, (uint8_t)tm.tm_sec);
		assert_int_equal(get(7), tm.tm_mday);
		assert_int_equal(get(8), tm.tm_mon + 1);
		assert_int_equal(get(6), tm.tm_wday + 1);
		assert_int_equal(get(9), tm.tm_year % 100);
		assert_int_equal(get(0x32), tm.tm_year / 100 + 19);
		put(11, 0x86);			/* and back: the same time is set */
		put(11, 0x06);
		assert_int_equal(get(7), tm.tm_mday);
		assert_int_equal(get(4), tm.tm_hour);
	}
}

static void test_formats(void **state)
{
	(void)state;
	check_time(0x12, 0x00, 0x00);
	vdev_host_advance(h, 47 * S);
	assert_int_equal(get(0), 0x47);
	put(11, 0x00);			/* 12 hours */
	assert_int_equal(get(4), 0x92);
	vdev_host_advance(h, 13 * 3600 * S);
	assert_int_equal(get(4), 0x01);
	put(11, 0x04);
	put(4, 0x80 | 12);
	put(11, 0x06);
	assert_int_equal(get(4), 12);
	assert_int_equal(in8(d, 0, 0), 4);
}

static void test_set(void **state)
{
	(void)state;
	put(11, 0x82);
	put(9, 0x30);
	put(8, 0x02);
	put(7, 0x28);
	put(4, 0x23);
	put(2, 0x59);
	put(0, 0x58);
	vdev_host_advance(h, 100 * S);
	check_time(0x23, 0x59, 0x58);		/* stopped */
	put(11, 0x02);
	vdev_host_advance(h, 2 * S);
	check_time(0, 0, 0);
	assert_int_equal(get(7), 0x01);
	assert_int_equal(get(8), 0x03);
	put(4, 0x05);				/* while it runs */
	assert_int_equal(get(4), 0x05);
	/* divider reset: the first update comes after half a second */
	put(10, 0x70);
	put(10, 0x26);
	vdev_host_advance(h, S / 2 - 1000000);
	assert_int_equal(get(0), 0);
	vdev_host_advance(h, 2000000);
	assert_int_equal(get(0), 1);
}

/*
 * The update is announced, and the time does not change under a reader who waits for the end of
 * UIP.
 */
static void test_update_in_progress(void **state)
{
	(void)state;
	assert_int_equal(get(10), 0x26);
	vdev_host_advance(h, S - 100000);
	assert_int_equal(get(10), 0xa6);
	assert_int_equal(get(0), 0);
	vdev_host_advance(h, 100000);
	assert_int_equal(get(10), 0x26);
	assert_int_equal(get(0), 1);
}

static void test_update_interrupt(void **state)
{
	(void)state;
	assert_int_equal(h->deadline[0], ~0ul);		/* idle: no timer */
	get(12);
	vdev_host_advance(h, 3 * S / 2);
	assert_int_equal(get(12), 0x10 | 0x40);		/* flags come without interrupts too */
	put(11, 0x12);
	for (unsigned i = 0; i < 5; i++) {
		assert_false(h->line[VRTC_IRQ]);
		vdev_host_advance(h, S);
		assert_true(h->line[VRTC_IRQ]);
		assert_int_equal(get(12) & ~0x40, 0x90);
	}
	put(11, 0x02);
	vdev_host_advance(h, 2 * S);
	assert_int_equal(h->edges[VRTC_IRQ], 5);
}

static void test_alarm(void **state)
{
	(void)state;
	put(1, 0x30);
	put(3, 0x02);
	put(5, 0x12);
	put(11, 0x22);
	h->timer_count = 0;
	vdev_host_advance(h, 149 * S);
	assert_false(h->line[VRTC_IRQ]);
	assert_int_equal(h->timer_count, 0);
	vdev_host_advance(h, 2 * S);
	assert_true(h->line[VRTC_IRQ]);
	assert_int_equal(get(12) & 0xa0, 0xa0);
	vdev_host_advance(h, 86400 * S);		/* daily */
	assert_true(h->line[VRTC_IRQ]);
	get(12);
	put(1, 0xc0);					/* any second, minute, hour */
	put(3, 0xff);
	put(5, 0xff);
	vdev_host_advance(h, S);
	assert_true(h->line[VRTC_IRQ]);
	put(5, 0x77);					/* an hour that never comes */
	get(12);
	vdev_host_advance(h, 200000 * S);
	assert_int_equal(get(12) & 0x20, 0);
}

static bool matches(int alarm, uint64_t v)
{
	return alarm < 0 || (uint64_t)alarm == v;
}

/* The timer is set for the very second that a search second by second finds. */
static void test_alarm_search(void **state)
{
	static const int seconds[] = { -1, 0, 1, 29, 59 }, minutes[] = { -1, 0, 7, 59 },
			 hours[] = { -1, 0, 11, 12, 23 };

	(void)state;
	for (unsigned i = 0; i < 5 * 4 * 5; i++) {
		int s = seconds[i % 5], m = minutes[i / 5 % 4], hour = hours[i / 20];
		uint64_t at = NOON + i * 1009 + 1;

		h->wall = NOON + i * 1009;
		d->ops->reset(d);
		put(1, s < 0 ? 0xc0 : (uint8_t)s);
		put(3, m < 0 ? 0xff : (uint8_t)m);
		put(5, hour < 0 ? 0xd7 : (uint8_t)hour);
		put(11, 0x26);
		while (!matches(s, at % 60) || !matches(m, at / 60 % 60) ||
		       !matches(hour, at / 3600 % 24))
			at++;
		assert_int_equal(h->deadline[0], h->now + (at - h->wall) * S);
	}
}

/* A guest that writes any register again and again gets no long search for each of its writes. */
static void test_impossible_alarm(void **state)
{
	static const uint8_t alarms[][3] = {
		{ 0x7f, 0xff, 0xff }, { 0x80, 0x59, 0xff }, { 0xff, 0x60, 0xff }, { 0xff, 0xff, 0x24 },
	};
	clock_t began = clock();

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(alarms); i++) {
		put(11, 0x02);
		put(1, alarms[i][0]);
		put(3, alarms[i][1]);
		put(5, alarms[i][2]);
		put(11, 0x22);
		for (unsigned n = 0; n < 20000; n++)
			put(0x40, (uint8_t)n);
		vdev_host_advance(h, 200000 * S);
		assert_int_equal(get(12) & 0x20, 0);
	}
	assert_in_range((clock() - began) / CLOCKS_PER_SEC, 0, 2);
}

static void test_periodic(void **state)
{
	unsigned n = 0;

	(void)state;
	put(11, 0x42);
	for (unsigned ms = 0; ms < 1000; ms++) {	/* 1024 Hz, acknowledged each ms */
		vdev_host_advance(h, 1000000);
		n += get(12) >> 7;
	}
	assert_in_range(n, 999, 1000);
	put(10, 0x2f);					/* 2 Hz */
	get(12);
	h->edges[0] = 0;
	for (unsigned i = 0; i < 100; i++) {
		vdev_host_advance(h, 100000000);
		get(12);
	}
	assert_in_range(h->edges[0], 19, 20);
	put(10, 0x20);					/* none */
	get(12);
	vdev_host_advance(h, S);
	assert_false(h->line[VRTC_IRQ]);
}

static void test_memory(void **state)
{
	unsigned sum = 0;

	(void)state;
	assert_int_equal(get(0x15) | get(0x16) << 8, 639);
	assert_int_equal(get(0x5f), 2);
	assert_int_equal(get(0x38), 0x30);
	assert_int_equal(get(0x3d), 0x12);
	for (unsigned i = 0x10; i < 0x2e; i++)
		sum += get(i);
	assert_int_equal(get(0x2e) << 8 | get(0x2f), sum);
	assert_int_equal(get(0x17) | get(0x18) << 8, 0xfc00);
	assert_int_equal(get(0x34) | get(0x35) << 8, (192 - 16) * 16);
	assert_int_equal(get(0x5b) | get(0x5c) << 8 | get(0x5d) << 16, 5 * 16384);
	assert_int_equal(get(13), 0x80);
	put(13, 0);
	put(12, 0xff);
	assert_int_equal(get(13), 0x80);
	put(15, 0x0a);
	assert_int_equal(get(15), 0x0a);
	put(0x7f, 0x55);
	assert_int_equal(get(0x7f), 0x55);
	vdev_host_write(d, 0, 0, 2, 0x66 << 8 | 0x7e);
	assert_int_equal(get(0x7e), 0x66);
}

static void test_saved(void **state)
{
	struct vrtc_config c = { 0 };
	struct vdev *fresh;
	struct vdev_host *f;

	(void)state;
	assert_int_equal(vrtc_create(&c, &fresh), 0);
	f = vdev_host_attach(fresh);
	put(11, 0x72);
	vdev_host_advance(h, 3 * S + S / 3);
	check_save_load(d, fresh);
	out8(fresh, 0, 0, 0);
	assert_int_equal(in8(fresh, 0, 1), 0x03);
	check_refused(d, 10, 0xa6);
	check_refused(d, 12, 0x01);
	check_refused(d, 13, 0);
	check_refused(d, 128, 0x80);
	check_refused(d, 129 + 7, 0xff);
	check_refused(d, 137 + 7, 0xff);
	check_refused(d, 145 + 7, 0xff);
	/* the furthest date that can be set can be loaded */
	put(11, 0x86);
	put(0x32, 0xff);
	put(9, 0xff);
	put(11, 0x06);
	check_save_load(d, fresh);
	vdev_host_detach(f);
}

/* A clock that is set and a byte that is written are there after a reset and in a new machine. */
static void test_battery(void **state)
{
	static struct vrtc_battery battery;
	struct vrtc_config c = {
		.ram_below_4g = 64 * MIB, .base_kib = 639, .vcpus = 1, .battery = &battery,
	};

	(void)state;
	vdev_host_detach(h);
	for (unsigned boot = 0; boot < 3; boot++) {
		assert_int_equal(vrtc_create(&c, &d), 0);
		h = vdev_host_attach(d);
		h->wall = NOON + boot * 3600;
		d->ops->reset(d);
		if (boot == 2)
			break;
		check_time(0x12 + boot * 3, 0x00, 0x00);
		assert_int_equal(get(0x40), boot ? 0x5a : 0);
		/* Two hours ahead, once. */
		put(4, boot ? 0x15 : 0x14);
		put(0x40, 0x5a);
		put(0x0f, 0x0a);
		put(0x15, 0);			/* tells of memory: not the guest's to say */
		put(0x0b, 0x42);
		d->ops->reset(d);
		check_time(0x14 + boot, 0x00, 0x00);
		assert_int_equal(get(0x40), 0x5a);
		assert_int_equal(get(0x0f), 0);
		assert_int_equal(get(0x15), 639 % 256);
		assert_int_equal(get(0x0b), 0x02);
		vdev_host_detach(h);
	}
	check_time(0x16, 0x00, 0x00);
	/* Far behind the host's: it begins where time does. */
	battery.ahead = -(int64_t)NOON * 2;
	d->ops->reset(d);
	assert_int_equal(get(9), 0x70);
}

int main(void)
{
#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_dates), CASE(test_formats), CASE(test_set), CASE(test_update_in_progress),
		CASE(test_update_interrupt), CASE(test_alarm),
		CASE(test_alarm_search), CASE(test_impossible_alarm), CASE(test_periodic),
		CASE(test_memory), CASE(test_saved), CASE(test_battery),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
