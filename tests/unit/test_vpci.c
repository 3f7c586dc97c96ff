/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vpci*.c lib/record.c tests/host/vdev_host.c */
/*
 * vdev/vpci: both ways to configuration space, absent functions, the host bridge, write
 * masks, capabilities, BARs that are sized, moved and withdrawn, the reset register, saved
 * form of bus and function.
 */
#include "tests/host/vdev_test.h"

#include "tests/host/vdev_toy.h"

static struct vdev *d;
static struct vdev_host *h, *toy_host;
static struct toy *toy;

static int setup(void **state)
{
	struct vpci_config c = { 0 };

	(void)state;
	assert_int_equal(vpci_create(&c, &d), 0);
	h = vdev_host_attach(d);
	toy = toy_create();
	toy_host = vdev_host_attach(&toy->dev);
	assert_int_equal(vpci_attach(d, 0, 3, 0, &toy->function), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vdev_host_detach(toy_host);
	vdev_host_detach(h);
	return 0;
}

static void address(unsigned slot, unsigned reg)
{
	vdev_host_write(d, VPCI_PORTS, 0, 4, 1u << 31 | slot << 11 | (reg & 0xfc));
}

static uint32_t get(unsigned slot, unsigned reg, unsigned size)
{
	address(slot, reg);
	return (uint32_t)vdev_host_read(d, VPCI_PORTS, 4 + (reg & 3), size);
}

static void put(unsigned slot, unsigned reg, unsigned size, uint32_t v)
{
	address(slot, reg);
	vdev_host_write(d, VPCI_PORTS, 4 + (reg & 3), size, v);
}

static void test_access(void **state)
{
	(void)state;
	address(0, 0);
	assert_int_equal(vdev_host_read(d, VPCI_PORTS, 0, 4), 1u << 31);
	assert_int_equal(get(0, 0, 4), 0x00081b36);
	assert_int_equal(get(0, 2, 2), 0x0008);
	assert_int_equal(get(0, 3, 1), 0x00);
	assert_int_equal(get(0, 8, 4), 0x06000000);
	assert_int_equal(get(0, 0xe, 1), 0);
	assert_int_equal(get(1, 0, 4), ~0u);
	put(1, 4, 4, 7);
	assert_int_equal(get(3, 0, 4), 0x10421af4);
	vdev_host_write(d, VPCI_PORTS, 0, 4, 0);		/* not enabled */
	assert_int_equal(vdev_host_read(d, VPCI_PORTS, 4, 4), ~0u);
	vdev_host_write(d, VPCI_PORTS, 0, 4, 1u << 31 | 1u << 16);
	assert_int_equal(vdev_host_read(d, VPCI_PORTS, 4, 4), ~0u);
	vdev_host_write(d, VPCI_PORTS, 0, 1, 0x12);		/* only dwords reach the address */
	vdev_host_write(d, VPCI_PORTS, 0, 2, 0x1234);
	vdev_host_write(d, VPCI_PORTS, 3, 1, 0x01);		/* 0xcfb: done to probe */
	assert_int_equal(vdev_host_read(d, VPCI_PORTS, 0, 4), 1u << 31 | 1u << 16);
	assert_int_equal(vdev_host_read(d, VPCI_PORTS, 2, 2), 0xffff);
	address(0, 0);
	assert_int_equal(vdev_host_read(d, VPCI_PORTS, 6, 4), ~0u);
	assert_int_equal(vdev_host_read(d, VPCI_ECAM, 3 << 15, 4), 0x10421af4);
	assert_int_equal(vdev_host_read(d, VPCI_ECAM, 3 << 15 | 0xffc, 4), 0);
	assert_int_equal(vdev_host_read(d, VPCI_ECAM, 3 << 15 | 0xfc, 8), 0);
	assert_int_equal(vdev_host_read(d, VPCI_ECAM, 1 << 15, 8), ~0ul);
	vdev_host_write(d, VPCI_ECAM, 3 << 15 | 0x3c, 1, 0x55);
	assert_int_equal(get(3, 0x3c, 1), 0x55);
	vdev_host_write(d, VPCI_ECAM, 3 << 15 | 0xffc, 4, ~0u);
}

static void test_masks(void **state)
{
	unsigned at = toy->capability;

	(void)state;
	put(3, 0, 4, 0);
	put(3, 8, 4, 0);
	assert_int_equal(get(3, 0, 4), 0x10421af4);
	assert_int_equal(get(3, 8, 4), 0x01800001);
	put(3, 4, 2, 0xffff);
	assert_int_equal(get(3, 4, 2), 0x0507);
	assert_int_equal(get(3, 6, 2), 0x0010);
	assert_int_equal(get(3, 0x34, 1), at);
	assert_int_equal(get(3, at, 1), 9);
	assert_int_equal(get(3, at + 1, 1), at + 16);
	assert_int_equal(get(3, at + 16, 1), 5);
	toy->written = 0;
	put(3, at + 4, 2, 0x3355);
	assert_int_equal(toy->written, 1);
	assert_int_equal(toy->last, at + 4);
	assert_int_equal(get(3, at + 4, 2), 0xc055);
	assert_int_equal(vpci_function_capability(&toy->function, 1, 200), 0);
}

static void test_bars(void **state)
{
	(void)state;
	put(3, 0x10, 4, ~0u);
	assert_int_equal(get(3, 0x10, 4), 0xfffff000);
	put(3, 0x18, 4, ~0u);
	put(3, 0x1c, 4, ~0u);
	assert_int_equal(get(3, 0x18, 4), 0x0000000c);
	assert_int_equal(get(3, 0x1c, 4), 0xfffffffe);
	put(3, 0x20, 4, ~0u);
	assert_int_equal(get(3, 0x20, 4), 0xffffffe1);
	put(3, 0x14, 4, ~0u);
	assert_int_equal(get(3, 0x14, 4), 0);
	assert_int_equal(toy_host->region_calls, 0);	/* decoding is off */
	put(3, 0x10, 4, 0xd0001000);
	put(3, 0x18, 4, 0);
	put(3, 0x1c, 4, 0x8);
	put(3, 0x20, 4, 0xc020);
	put(3, 4, 2, 2);
	assert_int_equal(toy_host->region_calls, 2);
	assert_int_equal(toy_host->region[1].base, 0xd0001000);
	assert_int_equal(toy_host->region[1].size, 0x1000);
	assert_int_equal(toy_host->region[2].base, 0x800000000);
	assert_false(toy_host->region[3].enabled);
	put(3, 4, 2, 3);
	assert_int_equal(toy_host->region[3].base, 0xc020);
	assert_int_equal(toy_host->region[3].space, HOST_PORT);
	assert_int_equal(toy_host->region_calls, 3);
	put(3, 0x10, 4, 0xd0002000);			/* moves while it decodes */
	assert_int_equal(toy_host->region[1].base, 0xd0002000);
	put(3, 4, 2, 0);
	assert_false(toy_host->region[1].enabled || toy_host->region[2].enabled ||
		toy_host->region[3].enabled);
	put(3, 4, 2, 3);
	vpci_function_reset(&toy->function);
	assert_false(toy_host->region[1].enabled);
	assert_int_equal(get(3, 0x10, 4), 0);
	assert_int_equal(get(3, 0x20, 4), 1);
}

/* Another vCPU moves the BAR again while the host hears of the first move, then switches it off. */
static void move_again(void)
{
	if (toy_host->region_calls == 1)
		put(3, 0x10, 4, 0xd0005000);
	if (toy_host->region_calls == 2)
		put(3, 4, 2, 0);
}

static void test_race(void **state)
{
	(void)state;
	put(3, 4, 2, 2);
	toy_host->region_hook = move_again;
	put(3, 0x10, 4, 0xd0001000);
	assert_int_equal(toy_host->region_calls, 3);
	assert_false(toy_host->region[1].enabled);
	toy_host->region_hook = NULL;
	toy_host->region_error = -EBUSY;
	put(3, 4, 2, 2);
	assert_int_equal(toy_host->region[1].base, 0xd0005000);
	assert_int_equal(toy_host->logged, 1);
}

static void test_attach(void **state)
{
	struct toy *other = toy_create(), *first = toy_create(), *last = toy_create();

	(void)state;
	assert_int_equal(vpci_attach(d, 0, 3, 0, &other->function), -EBUSY);
	assert_int_equal(vpci_attach(d, 0, 32, 0, &other->function), -EINVAL);
	assert_int_equal(vpci_attach(d, 0, 0, 8, &other->function), -EINVAL);
	assert_int_equal(vpci_attach(d, 0, 3, 1, &other->function), 0);
	assert_int_equal(vpci_attach(d, 0, 7, 2, &last->function), 0);
	assert_int_equal(vpci_attach(d, 0, 7, 0, &first->function), 0);
	assert_int_equal(get(7, 0xe, 1), 0x80);		/* the other way round, too */
	assert_int_equal(get(3, 0xe, 1), 0x80);
	assert_int_equal(get(3, 0xe, 1), 0x80);
	assert_int_equal(vpci_attach(d, 1, 0, 0, &other->function), -ENODEV);
	toy_destroy(&other->dev);
	toy_destroy(&first->dev);
	toy_destroy(&last->dev);
}

static void test_reset_register(void **state)
{
	(void)state;
	vdev_host_write(d, VPCI_PORTS, 1, 1, 0x02);
	assert_int_equal(vdev_host_read(d, VPCI_PORTS, 1, 1), 2);
	assert_int_equal(h->requests[HOST_REQUEST_RESET], 0);
	vdev_host_write(d, VPCI_PORTS, 1, 1, 0x06);
	assert_int_equal(h->requests[HOST_REQUEST_RESET], 1);
	vdev_host_write(d, VPCI_PORTS, 1, 1, 0x0e);
	assert_int_equal(h->requests[HOST_REQUEST_RESET], 2);
}

static void test_saved(void **state)
{
	struct vpci_config c = { 0 }, q35 = { .vendor = 0x8086, .device = 0x29c0 };
	struct toy *other = toy_create();
	struct vdev *bus, *different;
	struct vdev_host *b, *o, *x;
	uint8_t saved[1024];

	(void)state;
	assert_int_equal(vpci_create(&c, &bus) | vpci_create(&q35, &different), 0);
	b = vdev_host_attach(bus);
	x = vdev_host_attach(different);
	o = vdev_host_attach(&other->dev);
	assert_int_equal(vpci_attach(bus, 0, 3, 0, &other->function), 0);
	put(3, 0x10, 4, 0xd0001000);
	put(3, 4, 2, 6);
	put(0, 0x3c, 1, 5);
	vdev_host_write(d, VPCI_PORTS, 1, 1, 2);
	check_save_load(d, bus);
	check_save_load(&toy->dev, &other->dev);
	assert_int_equal(o->region[1].base, 0xd0001000);
	assert_true(o->region[1].enabled);
	check_refused(&toy->dev, 0, 0);
	check_refused(&toy->dev, 0x10, 1);
	check_refused(&toy->dev, 0x34, 0x80);
	check_refused(d, 3, 0x01);
	check_refused(d, 4, 0x04);
	assert_int_equal(vdev_host_load(different, saved, vdev_host_save(d, saved, sizeof(saved)),
		1), -EINVAL);
	vdev_host_detach(o);
	vdev_host_detach(b);
	vdev_host_detach(x);
}

int main(void)
{
#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_access), CASE(test_masks), CASE(test_bars), CASE(test_race),
		CASE(test_attach), CASE(test_reset_register), CASE(test_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
