/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vacpi.c vdev/vtco.c lib/record.c tests/host/vdev_host.c */
/*
 * vdev/vacpi: enabling, the power button, the timer and its overflow, soft-off, GPEs, the watchdog,
 * byte and wide accesses, saved form.
 */
#include "tests/host/vdev_test.h"

#include "vdev/vacpi.h"
#include "vdev/vtco.h"

#define HZ		3579545ul
#define S		1000000000ul
#define BUTTON		(1u << 8)
#define TIMER		1u

static struct vdev *d;
static struct vdev_host *h;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(vacpi_create(&d), 0);
	h = vdev_host_attach(d);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vdev_host_detach(h);
	return 0;
}

static uint32_t get(unsigned region, uint64_t offset, unsigned size)
{
	return (uint32_t)vdev_host_read(d, region, offset, size);
}

static void put(unsigned region, uint64_t offset, unsigned size, uint32_t v)
{
	vdev_host_write(d, region, offset, size, v);
}

static void test_enable(void **state)
{
	(void)state;
	assert_int_equal(get(VACPI_CONTROL, 0, 2), 0);
	put(VACPI_SMI, 0, 1, VACPI_ENABLE);
	assert_int_equal(get(VACPI_CONTROL, 0, 2), 1);
	put(VACPI_CONTROL, 0, 2, 0);		/* the guest cannot switch it off there */
	assert_int_equal(get(VACPI_CONTROL, 0, 2), 1);
	put(VACPI_SMI, 1, 1, VACPI_DISABLE);
	assert_int_equal(get(VACPI_SMI, 0, 2), VACPI_DISABLE << 8 | VACPI_ENABLE);
	assert_int_equal(get(VACPI_CONTROL, 0, 2), 1);
	put(VACPI_SMI, 0, 1, VACPI_DISABLE);
	assert_int_equal(get(VACPI_CONTROL, 0, 2), 0);
}

static void test_button(void **state)
{
	(void)state;
	assert_false(vacpi_power_button(d));
	assert_false(h->line[VACPI_SCI]);
	put(VACPI_EVENT, 0, 2, BUTTON);
	put(VACPI_SMI, 0, 1, VACPI_ENABLE);
	put(VACPI_EVENT, 2, 2, BUTTON);
	assert_true(vacpi_power_button(d));
	assert_true(h->line[VACPI_SCI]);
	assert_int_equal(get(VACPI_EVENT, 0, 2), BUTTON);
	assert_int_equal(get(VACPI_EVENT, 1, 1), 1);
	assert_int_equal(get(VACPI_EVENT, 0, 4), BUTTON << 16 | BUTTON);
	put(VACPI_EVENT, 0, 1, 0xff);
	assert_true(h->line[VACPI_SCI]);
	put(VACPI_EVENT, 1, 1, 0x01);
	assert_false(h->line[VACPI_SCI]);
	put(VACPI_EVENT, 2, 2, 0xffff);
	assert_int_equal(get(VACPI_EVENT, 2, 2), 0x0721);
	put(VACPI_EVENT, 2, 1, 0);
	assert_int_equal(get(VACPI_EVENT, 2, 2), 0x0700);
}

static void test_timer(void **state)
{
	uint32_t t = get(VACPI_TIMER, 0, 4);

	(void)state;
	vdev_host_advance(h, S);
	assert_in_range(get(VACPI_TIMER, 0, 4) - t, HZ - 1, HZ + 1);
	assert_int_equal(get(VACPI_TIMER, 3, 1), get(VACPI_TIMER, 0, 4) >> 24);
	put(VACPI_TIMER, 0, 4, 0);
	assert_int_equal(h->deadline[0], ~0ul);
	vdev_host_advance(h, 600 * S);		/* bit 31 changes after 599.9 s */
	assert_int_equal(get(VACPI_EVENT, 0, 2), TIMER);
	put(VACPI_SMI, 0, 1, VACPI_ENABLE);
	put(VACPI_EVENT, 0, 2, TIMER);
	put(VACPI_EVENT, 2, 2, TIMER);
	assert_false(h->line[VACPI_SCI]);
	vdev_host_advance(h, 597 * S);
	assert_false(h->line[VACPI_SCI]);
	vdev_host_advance(h, 2 * S);
	assert_true(h->line[VACPI_SCI]);
	assert_int_equal(h->timer_count, 1);
	put(VACPI_EVENT, 0, 2, TIMER);
	assert_false(h->line[VACPI_SCI]);
}

static void test_soft_off(void **state)
{
	(void)state;
	put(VACPI_CONTROL, 0, 2, 1u << 13 | 1u << 10);		/* S1 is not offered */
	put(VACPI_CONTROL, 0, 2, 5u << 10);
	assert_int_equal(get(VACPI_CONTROL, 0, 2), 5u << 10);
	assert_int_equal(h->requests[HOST_REQUEST_POWER_OFF], 0);
	put(VACPI_CONTROL, 1, 1, 0x34);
	assert_int_equal(h->requests[HOST_REQUEST_POWER_OFF], 1);
	assert_int_equal(get(VACPI_CONTROL, 0, 2) & 1u << 13, 0);
}

static void test_gpe(void **state)
{
	(void)state;
	put(VACPI_GPE, 0, 4, 0x1234ffff);
	assert_int_equal(get(VACPI_GPE, 0, 4), 0x12340000);
	assert_int_equal(get(VACPI_GPE, 3, 1), 0x12);
	put(VACPI_GPE, 2, 1, 0xff);
	assert_int_equal(get(VACPI_GPE, 0, 4), 0x12ff0000);
}

/* The watchdog's registers, of 16 bits. */
enum { RELOAD = 0x00, STATUS1 = 0x04, STATUS2 = 0x06, CONTROL1 = 0x08, INITIAL = 0x12 };

#define HALT	0x0800u
#define TICK	VTCO_TICK_NS

static uint32_t tco(uint64_t offset)
{
	return get(VACPI_TCO, offset, 2);
}

static void set_tco(uint64_t offset, uint32_t v)
{
	put(VACPI_TCO, offset, 2, v);
}

static void test_watchdog(void **state)
{
	(void)state;
	assert_int_equal(get(VACPI_TCO, 0x10, 4), 0x00040003);
	vdev_host_advance(h, 100 * S);
	assert_int_equal(h->timer_count, 0);		/* nobody has touched it */
	assert_true(vacpi_no_reboot(d));
	vacpi_set_no_reboot(d, false);
	set_tco(CONTROL1, HALT);
	set_tco(INITIAL, 0xfc0a);
	assert_int_equal(tco(INITIAL), 10);
	set_tco(RELOAD, 1);
	vdev_host_advance(h, 100 * TICK);
	assert_int_equal(tco(RELOAD), 10);		/* it stands */
	set_tco(CONTROL1, 0);
	vdev_host_advance(h, 3 * TICK + 1);
	assert_int_equal(tco(RELOAD), 7);
	set_tco(CONTROL1, HALT);
	vdev_host_advance(h, 100 * TICK);
	assert_int_equal(tco(RELOAD), 7);
	set_tco(CONTROL1, 0);
	vdev_host_advance(h, 7 * TICK - 1);
	assert_int_equal(tco(STATUS1), 0);
	vdev_host_advance(h, 1);
	assert_int_equal(tco(STATUS1), 8);		/* the first time */
	assert_int_equal(tco(RELOAD), 10);
	set_tco(STATUS1, 0xfff7);
	assert_int_equal(tco(STATUS1), 8);
	set_tco(STATUS1, 8);
	assert_int_equal(tco(STATUS1), 0);
	for (unsigned i = 0; i < 5; i++) {
		vdev_host_advance(h, 9 * TICK);
		set_tco(RELOAD, i);			/* in time */
	}
	vdev_host_advance(h, 20 * TICK - 1);
	assert_int_equal(tco(STATUS1), 8);
	assert_int_equal(tco(STATUS2), 0);
	assert_int_equal(h->requests[HOST_REQUEST_RESET], 0);
	vdev_host_advance(h, 1);
	assert_int_equal(tco(STATUS2), 6);
	assert_int_equal(h->requests[HOST_REQUEST_RESET], 1);
	/* Without a reset: round after round. */
	vacpi_set_no_reboot(d, true);
	set_tco(STATUS2, 2);
	assert_int_equal(tco(STATUS2), 4);
	vdev_host_advance(h, 40 * TICK);
	assert_int_equal(tco(STATUS2), 6);
	assert_int_equal(h->requests[HOST_REQUEST_RESET], 1);
	/* From 0 and 1 it does not count. */
	set_tco(INITIAL, 1);
	h->timer_count = 0;
	set_tco(RELOAD, 0);
	vdev_host_advance(h, 100 * S);
	assert_int_equal(h->timer_count, 0);
	put(VACPI_TCO, CONTROL1 + 1, 1, 0x10);		/* locked, until a reset */
	put(VACPI_TCO, CONTROL1 + 1, 1, 0);
	assert_int_equal(tco(CONTROL1), 0x1000);
	put(VACPI_TCO, 0x0c, 4, ~0u);
	assert_int_equal(get(VACPI_TCO, 0x0c, 4), 0x00ffffff);
	d->ops->reset(d);
	assert_int_equal(tco(CONTROL1), 0);
	assert_true(vacpi_no_reboot(d));
}

static void test_saved(void **state)
{
	struct vdev *fresh;
	struct vdev_host *f;

	(void)state;
	assert_int_equal(vacpi_create(&fresh), 0);
	f = vdev_host_attach(fresh);
	put(VACPI_SMI, 0, 1, VACPI_ENABLE);
	put(VACPI_EVENT, 2, 2, BUTTON | TIMER);
	vacpi_power_button(d);
	set_tco(RELOAD, 1);
	vacpi_set_no_reboot(d, false);
	vdev_host_advance(h, 5 * TICK);
	check_save_load(d, fresh);
	assert_true(f->line[VACPI_SCI]);
	vdev_host_advance(f, 3 * TICK);
	assert_int_equal(f->requests[HOST_REQUEST_RESET], 1);
	check_refused(d, 2, 0x02);
	check_refused(d, 9, 0x20);
	check_refused(d, 20, 1);			/* reload is no place of its own */
	check_refused(d, 20 + 9, 0x08);			/* halted, and it counts */
	check_refused(d, 20 + 19, 0x04);
	check_refused(d, 20 + 33, 2);			/* ended */
	check_refused(d, 20 + 34, 0);			/* nothing is left */
	check_refused(d, 20 + 35, 0x04);
	check_refused(d, 20 + 43, 0x80);
	vdev_host_detach(f);
}

int main(void)
{
#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_enable), CASE(test_button), CASE(test_timer), CASE(test_soft_off),
		CASE(test_gpe), CASE(test_watchdog), CASE(test_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
