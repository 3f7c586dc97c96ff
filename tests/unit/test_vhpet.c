/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vhpet.c lib/record.c tests/host/vdev_host.c */
/*
 * vdev/vhpet: the counter, comparators of 64 and 32 bits, periodic ones and their two values,
 * edges, levels and messages, late and impossible comparators, storms, saved form.
 */
#include "tests/host/vdev_test.h"

#include "include/bits.h"
#include "vdev/vhpet.h"

#define MS		1000000ul
#define S		1000000000ul
#define TICKS(ns)	((ns) / VHPET_TICK_NS)

enum { ID = 0, CONFIG = 0x10, STATUS = 0x20, COUNTER = 0xf0 };

#define TIMER(n)	(0x100 + 0x20 * (n))
#define COMPARATOR(n)	(TIMER(n) + 8)
#define MESSAGE(n)	(TIMER(n) + 0x10)

#define LEVEL		0x0002u
#define ENABLED		0x0004u
#define PERIODIC	0x0008u
#define VALUE_SET	0x0040u
#define NARROW		0x0100u
#define ROUTE(n)	((n) << 9)
#define BY_MESSAGE	0x4000u

static struct vdev *d;
static struct vdev_host *h;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(vhpet_create(&d), 0);
	h = vdev_host_attach(d);
	h->now = 5 * S + 7;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vdev_host_detach(h);
	return 0;
}

static uint64_t get(uint64_t offset)
{
	return vdev_host_read(d, VHPET_REGISTERS, offset, 8);
}

static void put(uint64_t offset, uint64_t v)
{
	vdev_host_write(d, VHPET_REGISTERS, offset, 8, v);
}

static uint32_t get32(uint64_t offset)
{
	return (uint32_t)vdev_host_read(d, VHPET_REGISTERS, offset, 4);
}

static void put32(uint64_t offset, uint32_t v)
{
	vdev_host_write(d, VHPET_REGISTERS, offset, 4, v);
}

static void test_identity(void **state)
{
	(void)state;
	assert_int_equal(get(ID), 0x00989680ul << 32 | 0x80862201);
	assert_int_equal(get32(ID + 4), 10000000);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(get(TIMER(i)), 0x00f0000000008030);
		assert_int_equal(get(COMPARATOR(i)), ~0ul);
	}
	assert_int_equal(get(TIMER(3)), 0);
	put(ID, 0);
	put(TIMER(3), ~0ul);
	assert_int_equal(get(ID) >> 32, 10000000);
	put(CONFIG, ~0ul & ~1ul);		/* nothing replaces the 8254 */
	assert_int_equal(get(CONFIG), 0);
	assert_int_equal(vdev_host_read(d, 0, 0, 1), 0xff);
	assert_int_equal(vdev_host_read(d, 0, 2, 4), ~0u);
	assert_int_equal(vdev_host_read(d, 0, 4, 8), ~0ul);
	vdev_host_write(d, 0, CONFIG, 1, 1);
	vdev_host_write(d, 0, CONFIG, 2, 1);
	assert_int_equal(get(CONFIG), 0);
}

static void test_counter(void **state)
{
	(void)state;
	vdev_host_advance(h, S);
	assert_int_equal(get(COUNTER), 0);
	put(COUNTER, 0x1234567890);
	put32(COUNTER + 4, 0xfff);
	assert_int_equal(get(COUNTER), 0xfff34567890);
	put32(CONFIG, 1);
	put32(CONFIG + 4, 0);
	put(COUNTER, 0);			/* only while it stands */
	vdev_host_advance(h, S);
	assert_int_equal(get(COUNTER), 0xfff34567890 + TICKS(S));
	assert_int_equal(get32(COUNTER + 4), 0xfff);
	put32(CONFIG, 0);
	vdev_host_advance(h, S);
	assert_int_equal(get(COUNTER), 0xfff34567890 + TICKS(S));
	put32(CONFIG, 1);
	vdev_host_advance(h, 25);
	assert_int_equal(get(COUNTER), 0xfff34567890 + TICKS(S) + 2);
	d->ops->reset(d);
	vdev_host_advance(h, S);
	assert_int_equal(get(COUNTER), 0);
	assert_int_equal(h->timer_count, 0);	/* all this for nothing */
}

static void test_routes(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 32; i++) {
		put32(TIMER(1), ROUTE(21u));
		put32(TIMER(1), ROUTE(i));
		assert_int_equal(get32(TIMER(1)) >> 9 & 31, i == 0 || (i >= 20 && i < 24) ? i : 21);
	}
	put32(TIMER(1) + 4, 0);
	assert_int_equal(get32(TIMER(1) + 4), 0x00f00000);
	put(CONFIG, 1);
	put(COMPARATOR(1), TICKS(MS));
	put32(TIMER(1), ENABLED);		/* no route: to nobody */
	assert_int_equal(h->deadline[1], ~0ul);
	for (uint32_t i = 0; i < VHPET_LINES; i++) {
		put32(TIMER(1), ENABLED | ROUTE(20 + i));
		put(COMPARATOR(1), get(COUNTER) + TICKS(MS));
		vdev_host_advance(h, MS - VHPET_TICK_NS);
		assert_int_equal(h->edges[i], 0);
		vdev_host_advance(h, VHPET_TICK_NS);
		assert_int_equal(h->edges[i], 1);
		assert_false(h->line[i]);	/* a pulse: others may share it */
	}
}

static void test_once(void **state)
{
	(void)state;
	put32(TIMER(0), ENABLED | ROUTE(20u));
	put(COMPARATOR(0), TICKS(MS));
	vdev_host_advance(h, S);
	assert_int_equal(h->edges[0], 0);	/* the counter stands */
	put(CONFIG, 1);
	vdev_host_advance(h, S);
	assert_int_equal(h->edges[0], 1);
	assert_int_equal(h->deadline[0], ~0ul);	/* in 5,800 years */
	/* Met while it might not tell: that was it. */
	put32(TIMER(0), ROUTE(20u));
	put(COMPARATOR(0), get(COUNTER) + 10);
	vdev_host_advance(h, MS);
	put32(TIMER(0), ENABLED | ROUTE(20u));
	vdev_host_advance(h, S);
	assert_int_equal(h->edges[0], 1);
	assert_int_equal(get(STATUS), 0);
}

/* 32 bits come round after 42.9 s, again and again. */
static void test_narrow(void **state)
{
	(void)state;
	put(COUNTER, 0x7fffffff0);
	put32(TIMER(2), ENABLED | NARROW | ROUTE(22u));
	put(COMPARATOR(2), 0x123400000010);
	assert_int_equal(get(COMPARATOR(2)), 0x10);
	put(CONFIG, 1);
	vdev_host_advance(h, 0x1f * VHPET_TICK_NS);
	assert_int_equal(h->edges[2], 0);
	vdev_host_advance(h, VHPET_TICK_NS);
	assert_int_equal(h->edges[2], 1);
	for (unsigned i = 2; i < 10; i++) {
		vdev_host_advance(h, BIT(32) * VHPET_TICK_NS);
		assert_int_equal(h->edges[2], i);
		assert_int_equal(h->timer_count, i);
	}
}

static void test_periodic(void **state)
{
	(void)state;
	put(CONFIG, 1);
	vdev_host_advance(h, MS);
	put32(TIMER(0), ENABLED | PERIODIC | VALUE_SET | ROUTE(20u));
	put32(COMPARATOR(0), TICKS(3 * MS));
	assert_int_equal(get32(TIMER(0)) & VALUE_SET, 0);
	put32(COMPARATOR(0) + 4, 0);		/* the period's, which is whole now */
	put32(TIMER(0), ENABLED | PERIODIC | VALUE_SET | ROUTE(20u));
	put32(COMPARATOR(0) + 4, 0);		/* and the value's */
	put(COMPARATOR(0), TICKS(5 * MS));	/* another period alone */
	assert_int_equal(get(COMPARATOR(0)), TICKS(3 * MS));
	vdev_host_advance(h, 2 * MS - VHPET_TICK_NS);
	assert_int_equal(h->edges[0], 0);
	vdev_host_advance(h, VHPET_TICK_NS);
	assert_int_equal(h->edges[0], 1);
	assert_int_equal(get(COMPARATOR(0)), TICKS(8 * MS));
	vdev_host_advance(h, S);
	assert_int_equal(h->edges[0], 201);
	assert_int_equal(get(COMPARATOR(0)), TICKS(1008 * MS));
	/* Stopped and let go on, it keeps its place. */
	put(CONFIG, 0);
	vdev_host_advance(h, S);
	put(CONFIG, 1);
	vdev_host_advance(h, 5 * MS - VHPET_TICK_NS);
	assert_int_equal(h->edges[0], 201);
	vdev_host_advance(h, VHPET_TICK_NS);
	assert_int_equal(h->edges[0], 202);
}

/* As Linux sets it: one value with VALUE_SET, which is a period too until another comes. */
static void test_periodic_narrow(void **state)
{
	(void)state;
	put(COUNTER, 0xffff0000);
	put(CONFIG, 1);
	put32(TIMER(0), ENABLED | PERIODIC | VALUE_SET | NARROW | ROUTE(20u));
	put32(COMPARATOR(0), 0xffff0000u + (uint32_t)TICKS(4 * MS));
	put32(COMPARATOR(0), TICKS(4 * MS));
	vdev_host_advance(h, 100 * S);
	assert_int_equal(h->edges[0], 25000);
	assert_int_equal(get32(COMPARATOR(0)), (uint32_t)(0xffff0000 + TICKS(100 * S + 4 * MS)));
}

static void test_level(void **state)
{
	(void)state;
	put(CONFIG, 1);
	put32(TIMER(0), ENABLED | PERIODIC | LEVEL | VALUE_SET | ROUTE(23u));
	put(COMPARATOR(0), TICKS(10 * MS));
	put32(TIMER(1), ENABLED | LEVEL | ROUTE(23u));
	put(COMPARATOR(1), TICKS(15 * MS));
	vdev_host_advance(h, 12 * MS);
	assert_true(h->line[3]);
	assert_int_equal(get(STATUS), 1);
	vdev_host_advance(h, 4 * MS);
	assert_int_equal(get(STATUS), 3);
	put32(STATUS, 1);
	assert_true(h->line[3]);		/* the other one's */
	put32(STATUS, 6);
	assert_false(h->line[3]);
	assert_int_equal(h->edges[3], 1);
	vdev_host_advance(h, 100 * MS);
	assert_true(h->line[3]);
	assert_int_equal(h->timer_count, 3);	/* none while it is due */
	put32(TIMER(0), ENABLED | PERIODIC | LEVEL | ROUTE(21u));
	assert_false(h->line[3]);
	assert_true(h->line[1]);
	put32(TIMER(0), PERIODIC | LEVEL | ROUTE(21u));
	assert_false(h->line[1]);
	assert_int_equal(get(STATUS), 1);
	put32(TIMER(0), ENABLED | PERIODIC | LEVEL | ROUTE(21u));
	assert_true(h->line[1]);
	put(CONFIG, 0);				/* halts interrupts, too */
	assert_false(h->line[1]);
	put(CONFIG, 1);
	assert_true(h->line[1]);
	put32(TIMER(0), ENABLED | PERIODIC | ROUTE(21u));
	assert_false(h->line[1]);
	assert_int_equal(get(STATUS), 0);
	put32(TIMER(1), LEVEL);			/* nobody is told, and whoever asks is */
	put(COMPARATOR(1), get(COUNTER) + 5);
	vdev_host_advance(h, MS);
	assert_int_equal(get(STATUS), 2);
	d->ops->reset(d);
	assert_int_equal(get(STATUS), 0);
}

static void test_message(void **state)
{
	(void)state;
	put(CONFIG, 1);
	put32(TIMER(1), ENABLED | LEVEL | BY_MESSAGE | ROUTE(20u));
	put32(MESSAGE(1), 0xdead4041);
	put32(MESSAGE(1) + 4, 0xfee01000);
	put(COMPARATOR(1), TICKS(MS));
	vdev_host_advance(h, 2 * MS);
	assert_int_equal(h->message_count, 1);
	assert_int_equal(h->message[0].address, 0xfee01000);
	assert_int_equal(h->message[0].data, 0x4041);	/* 16 bits: the rest is Keel's own */
	assert_int_equal(h->edges[0], 0);
	assert_int_equal(get(STATUS), 0);
	assert_int_equal(get(MESSAGE(1)), 0xfee01000dead4041);
}

/* Between reading the counter and writing the comparator a vCPU may lose time. */
static void test_late(void **state)
{
	(void)state;
	put(CONFIG, 1);
	vdev_host_advance(h, S);
	put32(TIMER(0), ENABLED | ROUTE(20u));
	assert_int_equal(h->edges[0], 0);
	put(COMPARATOR(0), get(COUNTER) - TICKS(50 * MS));
	assert_int_equal(h->edges[0], 1);
	put(COMPARATOR(0), get(COUNTER));
	assert_int_equal(h->edges[0], 2);
	put(COMPARATOR(0), get(COUNTER) - TICKS(150 * MS));
	vdev_host_advance(h, S);
	assert_int_equal(h->edges[0], 2);
	/* A counter that has just begun has no past. */
	put(CONFIG, 0);
	put(COUNTER, 0);
	put(CONFIG, 1);
	vdev_host_advance(h, MS);
	put(COMPARATOR(0), ~0ul);
	put(COMPARATOR(0), 0);
	vdev_host_advance(h, S);
	assert_int_equal(h->edges[0], 2);
}

/* However short the period, and however long ago: so many interrupts and no more. */
static void test_storm(void **state)
{
	static const uint64_t periods[] = { 1, 2, 3, 1000 };

	(void)state;
	put(CONFIG, 1);
	for (unsigned i = 0; i < ARRAY_COUNT(periods); i++) {
		h->unheard = i & 1;
		put32(TIMER(0), ENABLED | PERIODIC | VALUE_SET | ROUTE(20u));
		put(COMPARATOR(0), get(COUNTER) + 1);
		put(COMPARATOR(0), periods[i]);
		h->timer_count = h->edges[0] = 0;
		vdev_host_advance(h, S);
		assert_in_range(h->edges[0], h->unheard ? 990 : 9990, h->unheard ? 1011 : 10001);
		assert_in_range(h->timer_count, 0, h->unheard ? 1012 : 10002);
		h->now += 1000000 * S;		/* it did not run for days */
		h->edges[0] = 0;
		vdev_host_advance(h, VHPET_TICK_NS);
		assert_int_equal(h->edges[0], 1);
	}
	h->unheard = false;
	/* No period: once. */
	put32(TIMER(0), ENABLED | PERIODIC | VALUE_SET | ROUTE(20u));
	put(COMPARATOR(0), get(COUNTER) + 100);
	put(COMPARATOR(0), 0);
	h->edges[0] = 0;
	vdev_host_advance(h, S);
	assert_int_equal(h->edges[0], 1);
	/* A message that waits is like a line that nobody hears. */
	put32(TIMER(0), ENABLED | PERIODIC | VALUE_SET | BY_MESSAGE);
	put(COMPARATOR(0), get(COUNTER) + 1);
	put(COMPARATOR(0), 1);
	h->message_busy = true;
	h->message_count = 0;
	vdev_host_advance(h, S);
	assert_in_range(h->message_count, 990, 1001);
	/* A status that is cleared again and again: its timers keep the distance all the same. */
	put32(TIMER(0), ENABLED | PERIODIC | VALUE_SET | LEVEL | ROUTE(20u));
	put(COMPARATOR(0), get(COUNTER) + 1);
	put(COMPARATOR(0), 1);
	h->edges[0] = 0;
	for (unsigned i = 0; i < 100000; i++) {
		vdev_host_advance(h, 1000);
		put(STATUS, 1);
	}
	assert_in_range(h->edges[0], 900, 1000);
}

static void test_saved(void **state)
{
	struct vdev *fresh;
	struct vdev_host *f;

	(void)state;
	assert_int_equal(vhpet_create(&fresh), 0);
	f = vdev_host_attach(fresh);
	put(COUNTER, 0xfffffff0);
	put(CONFIG, 1);
	put32(TIMER(0), ENABLED | PERIODIC | VALUE_SET | ROUTE(20u));
	put(COMPARATOR(0), TICKS(3 * MS));
	put32(TIMER(1), ENABLED | LEVEL | NARROW | ROUTE(23u));
	put(COMPARATOR(1), TICKS(2 * MS));
	put32(TIMER(2), ENABLED | BY_MESSAGE);
	put(COMPARATOR(2), BIT(32) + TICKS(5 * MS));
	put(MESSAGE(2), 0xfee0000000000055);
	vdev_host_advance(h, 2 * MS + 456);
	check_save_load(d, fresh);
	assert_true(f->line[3]);
	vdev_host_advance(f, 4 * MS);
	assert_int_equal(f->message_count, 1);
	check_refused(d, 0, 2);				/* running: yes or no */
	check_refused(d, 1, 1 << 3);			/* a fourth timer's status */
	check_refused(d, 1, 1 << 0 | 1 << 1);		/* of an edge */
	check_refused(d, 17, 0x80);			/* start */
	check_refused(d, 18, 0x80);			/* timer 0: what may not be written */
	check_refused(d, 19, 0x08);			/* route 4 */
	check_refused(d, 18 + 48 + 8 + 4, 1);		/* timer 1: 33 bits */
	check_refused(d, 18 + 48 + 16 + 4, 1);
	check_refused(d, 18 + 32 + 7, 0x08);		/* seen, far ahead */
	check_refused(d, 18 + 40 + 7, 0x80);		/* rest */
	put(CONFIG, 0);
	check_refused(d, 18 + 32, 1);			/* seen, and it stands */
	check_save_load(d, fresh);
	vdev_host_detach(f);
}

int main(void)
{
#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_identity), CASE(test_counter), CASE(test_routes), CASE(test_once),
		CASE(test_narrow), CASE(test_periodic), CASE(test_periodic_narrow),
		CASE(test_level), CASE(test_message), CASE(test_late), CASE(test_storm),
		CASE(test_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
