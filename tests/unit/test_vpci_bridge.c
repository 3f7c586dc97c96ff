/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vpci*.c lib/record.c tests/host/vdev_host.c */
/*
 * vdev/vpci_bridge, vpci_port, vpci_express: configuration accesses to buses that the guest
 * numbers, BARs and DMA through a bridge, its windows and its reset, power states, function-level
 * reset, extended capabilities, where pins arrive, saved form.
 */
#include "tests/host/vdev_test.h"

#include "tests/host/vdev_toy.h"
#include "vdev/vpci_port.h"

#define IO	1
#define MEMORY	2
#define MASTER	4

static struct vdev *d, *port[2];
static struct vdev_host *h, *port_host[2], *toy_host;
static struct toy *toy;
static struct vpci_function *f;

/* Ports at 00:1c.0 and 00:1c.1, a toy behind the second. */
static int setup(void **state)
{
	(void)state;
	assert_int_equal(vpci_create(NULL, &d), 0);
	h = vdev_host_attach(d);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(vpci_port_create(&port[i]), 0);
		port_host[i] = vdev_host_attach(port[i]);
		assert_int_equal(vpci_attach(d, 0, 0x1c, i, vpci_port_function(port[i])), 0);
	}
	toy = toy_create();
	toy_host = vdev_host_attach(&toy->dev);
	f = &toy->function;
	assert_int_equal(vpci_attach(d, 2, 0, 0, f), 0);
	toy->resets = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vdev_host_detach(toy_host);
	vdev_host_detach(port_host[1]);
	vdev_host_detach(port_host[0]);
	vdev_host_detach(h);
	return 0;
}

static uint64_t get(unsigned bus, unsigned devfn, unsigned reg, unsigned size)
{
	return vdev_host_read(d, VPCI_ECAM, bus << 20 | devfn << 12 | reg, size);
}

static void put(unsigned bus, unsigned devfn, unsigned reg, unsigned size, uint64_t v)
{
	vdev_host_write(d, VPCI_ECAM, bus << 20 | devfn << 12 | reg, size, v);
}

#define PORT	(0x1c << 3 | 1)

static void port_put(unsigned reg, unsigned size, uint64_t v)
{
	put(0, PORT, reg, size, v);
}

static void number(unsigned primary, unsigned secondary, unsigned subordinate)
{
	port_put(0x18, 4, primary | secondary << 8 | subordinate << 16);
}

static void test_header(void **state)
{
	const struct vpci_function *p = vpci_port_function(port[1]);

	(void)state;
	assert_int_equal(get(0, PORT, 0, 4), 0x000c1b36);
	assert_int_equal(get(0, PORT, 8, 4), 0x06040000);
	assert_int_equal(get(0, PORT, 0xe, 1), 0x81);
	assert_int_equal(get(0, 0x1c << 3, 0xe, 1), 0x81);
	port_put(0x18, 8, ~0ul);
	assert_int_equal(get(0, PORT, 0x18, 8), 0x0000f0f000ffffff);
	port_put(0x20, 8, ~0ul);
	assert_int_equal(get(0, PORT, 0x20, 8), 0xfff1fff1fff0fff0);
	port_put(0x28, 8, ~0ul);
	assert_int_equal(get(0, PORT, 0x28, 8), ~0ul);
	port_put(0x30, 4, ~0u);
	assert_int_equal(get(0, PORT, 0x30, 4), 0);
	assert_int_equal(get(0, PORT, 0x10, 8), 0);
	assert_int_equal(get(0, PORT, p->express + 2u, 2), 0x0142);
	assert_int_equal(get(0, PORT, p->express + 18u, 2), 0x2011);	/* something is there */
	assert_int_equal(get(0, PORT, p->express + 26u, 2), 0x40);
	assert_int_equal(get(0, PORT, p->express + 20u, 4) >> 19, PORT);
	assert_int_equal(get(0, 0x1c << 3, p->express + 18u, 2), 1);	/* nothing */
	assert_int_equal(get(0, 0x1c << 3, p->express + 26u, 2), 0);
	toy_reset(&toy->dev);
	vdev_host_of(port[1])->d->ops->reset(port[1]);
	assert_int_equal(get(0, PORT, 0x18, 8), 0);
	assert_int_equal(get(0, PORT, p->express + 18u, 2), 0x2011);
	assert_int_equal(vdev_host_read(port[1], 0, 0, 4), 0xffffffff);
	vdev_host_write(port[1], 0, 0, 4, 0);
}

static void test_routing(void **state)
{
	(void)state;
	for (unsigned bus = 1; bus < 256; bus++)
		assert_int_equal(get(bus, 0, 0, 4), 0xffffffff);
	number(0, 5, 5);
	assert_int_equal(get(5, 0, 0, 4), 0x10421af4);
	assert_int_equal(get(4, 0, 0, 4), 0xffffffff);
	assert_int_equal(get(5, 1, 0, 4), 0xffffffff);
	assert_int_equal(get(5, 8, 0, 4), 0xffffffff);	/* device 1 */
	assert_int_equal(get(5, 255, 0, 8), ~0ul);
	put(5, 8, 4, 2, 0xffff);
	put(5, 0, 0x3c, 1, 7);
	vdev_host_write(d, VPCI_PORTS, 0, 4, 1u << 31 | 5 << 16 | 0x3c);
	assert_int_equal(vdev_host_read(d, VPCI_PORTS, 4, 1), 7);
	vdev_host_write(d, VPCI_PORTS, 4, 1, 9);
	assert_int_equal(get(5, 0, 0x3c, 1), 9);
	number(0, 5, 255);			/* a wider range leads no further */
	assert_int_equal(get(5, 0, 0, 4), 0x10421af4);
	assert_int_equal(get(6, 0, 0, 4), 0xffffffff);
	assert_int_equal(get(255, 0, 0, 4), 0xffffffff);
	number(0, 5, 4);			/* an empty one nowhere */
	assert_int_equal(get(5, 0, 0, 4), 0xffffffff);
	number(0, 0, 255);			/* bus 0 is itself */
	assert_int_equal(get(0, 0, 0, 4), 0x00081b36);
	assert_int_equal(get(3, 0, 0, 4), 0xffffffff);
	put(0, 0x1c << 3, 0x18, 4, 0xff0500);	/* the first port takes what both want */
	number(0, 5, 5);
	assert_int_equal(get(5, 0, 0, 4), 0xffffffff);
}

static void test_config_space(void **state)
{
	(void)state;
	number(0, 1, 1);
	assert_int_equal(get(1, 0, 0x100, 4), 0);
	assert_int_equal(get(1, 0, 0xff8, 8), 0);
	put(1, 0, 0xffc, 4, ~0u);
	put(1, 0, 0x1fc, 8, ~0ul);
	assert_int_equal(get(1, 0, 0xffc, 4), 0);
	assert_int_equal(get(1, 0, f->express + 2u, 2), 2);	/* an endpoint */
	assert_int_equal(get(1, 0, f->express + 18u, 2), 0x11);
}

static void test_extended(void **state)
{
	struct toy *other = toy_create();
	struct vpci_function *g = &other->function;
	unsigned at;

	(void)state;
	assert_int_equal(vpci_function_extended(g, 3, 1, 12), 0x100);
	at = vpci_function_extended(g, 1, 2, 0x48);
	assert_int_equal(at, 0x10c);
	assert_int_equal(vpci_function_extended(g, 0x1e, 1, 8), 0x154);
	assert_int_equal(vpci_function_extended(g, 7, 1, 0x100), 0);
	assert_int_equal(vpci_attach(d, 0, 5, 0, g), 0);
	assert_int_equal(get(0, 5 << 3, 0x100, 4), 0x10c10003);
	assert_int_equal(get(0, 5 << 3, 0x10c, 4), 0x15420001);
	assert_int_equal(get(0, 5 << 3, 0x154, 4), 0x0001001e);
	assert_int_equal(get(0, 5 << 3, g->express + 2u, 2), 0x92);	/* on bus 0: integrated */
	assert_int_equal(get(0, 5 << 3, g->express + 12u, 8), 0);
	toy_destroy(&other->dev);
}

static bool is_at(unsigned region, uint64_t base)
{
	return toy_host->region[region].enabled && toy_host->region[region].base == base;
}

static void set_bars(void)
{
	number(0, 1, 1);
	put(1, 0, 0x10, 4, 0xd0100000);
	put(1, 0, 0x18, 8, 0x800000000);
	put(1, 0, 0x20, 4, 0xc020);
	put(1, 0, 4, 2, IO | MEMORY);
}

static void test_windows(void **state)
{
	(void)state;
	set_bars();
	assert_int_equal(toy_host->region_calls, 0);	/* the bridge's decoding is off */
	port_put(0x20, 4, 0xd010d010);
	port_put(4, 2, MEMORY);
	assert_true(is_at(1, 0xd0100000));
	assert_false(toy_host->region[2].enabled || toy_host->region[3].enabled);
	port_put(0x1c, 2, 0xc0c0);
	port_put(4, 2, IO);
	assert_true(is_at(3, 0xc020));
	assert_false(toy_host->region[1].enabled);
	port_put(4, 2, IO | MEMORY);
	assert_true(is_at(1, 0xd0100000));
	port_put(0x28, 8, 8 | 8ul << 32);		/* 0x8_0000_0000 to ... */
	port_put(0x24, 4, 0xfff10001);
	assert_false(toy_host->region[2].enabled);	/* ... 0x8_ffff_ffff: not all of it */
	port_put(0x2c, 4, 9);
	assert_true(is_at(2, 0x800000000));
	port_put(0x24, 2, 0x0011);			/* begins behind it */
	assert_false(toy_host->region[2].enabled);
	port_put(0x20, 4, 0xd000d020);			/* the limit lies before the base */
	assert_false(toy_host->region[1].enabled);
	port_put(0x20, 4, 0xd020d000);
	assert_true(is_at(1, 0xd0100000));
	put(1, 0, 0x10, 4, 0xd0300000);			/* it leaves the window */
	assert_false(toy_host->region[1].enabled);
	put(1, 0, 0x10, 4, 0xd02ff000);
	assert_true(is_at(1, 0xd02ff000));
	port_put(0x1c, 2, 0xb0b0);
	assert_false(toy_host->region[3].enabled);
	port_put(0x24, 4, 0xd020d020);			/* the other window holds it as well */
	port_put(0x28, 8, 0);
	port_put(0x20, 4, 0x0010);
	assert_true(is_at(1, 0xd02ff000));
}

static void test_master(void **state)
{
	uint8_t byte = 0x5a;

	(void)state;
	number(0, 1, 1);
	assert_false(vpci_function_is_master(f));
	assert_int_equal(vpci_function_dma_write(f, GPA(0x100), &byte, 1), -EPERM);
	assert_int_equal(vpci_function_dma_read(f, GPA(0x100), &byte, 1), -EPERM);
	put(1, 0, 4, 2, MASTER);
	assert_true(vpci_function_is_master(f));	/* whatever the bridge's bit is */
	assert_int_equal(vpci_function_dma_write(f, GPA(0x100), &byte, 1), 0);
	assert_int_equal(toy_host->memory[0x100], 0x5a);
	byte = 0;
	assert_int_equal(vpci_function_dma_read(f, GPA(0x100), &byte, 1), 0);
	assert_int_equal(byte, 0x5a);
	assert_int_equal(vpci_function_dma_read(f, GPA(VDEV_HOST_MEMORY), &byte, 1), -EFAULT);
	put(1, 0, f->msi + 2u, 2, 1);
	put(1, 0, 4, 2, 0);
	assert_false(vpci_function_is_master(f));
	vpci_msi_send(f, 0);				/* a message is a write, too */
	assert_int_equal(toy_host->message_count, 0);
	put(1, 0, 4, 2, MASTER);
	assert_int_equal(toy_host->message_count, 1);
	port_put(4, 2, MASTER);
	port_put(4, 2, 0);
	assert_true(vpci_function_is_master(f));
	put(1, 0, 4, 2, 0);
	assert_false(vpci_function_is_master(f));
}

static void test_power(void **state)
{
	const struct vpci_function *p = vpci_port_function(port[1]);

	(void)state;
	set_bars();
	port_put(0x20, 4, 0xd010d010);
	port_put(4, 2, MEMORY | MASTER);
	put(1, 0, 4, 2, MEMORY | MASTER);
	assert_true(is_at(1, 0xd0100000));
	put(1, 0, f->power + 4u, 2, 1);			/* there is no D1 and no D2 */
	assert_int_equal(get(1, 0, f->power + 4u, 2), 8);
	put(1, 0, f->power + 4u, 2, 3);
	assert_int_equal(get(1, 0, f->power + 4u, 2), 11);
	assert_false(toy_host->region[1].enabled || vpci_function_is_master(f));
	put(1, 0, f->power + 4u, 2, 2);
	assert_int_equal(get(1, 0, f->power + 4u, 2), 11);
	put(1, 0, f->power + 4u, 2, 0);
	assert_true(is_at(1, 0xd0100000));
	assert_true(vpci_function_is_master(f));
	port_put(p->power + 4u, 2, 3);			/* the bridge */
	assert_false(toy_host->region[1].enabled || vpci_function_is_master(f));
	port_put(p->power + 4u, 2, 0);
	assert_true(is_at(1, 0xd0100000));
}

static void test_function_reset(void **state)
{
	(void)state;
	set_bars();
	put(1, 0, f->express + 8u, 2, 0x8000);
	assert_int_equal(toy->resets, 1);
	assert_int_equal(get(1, 0, f->express + 8u, 2), 0x2810);
	assert_int_equal(get(1, 0, 0x10, 4), 0);
	assert_int_equal(get(1, 0, 4, 2), 0);
	put(1, 0, f->express + 8u, 2, 0x7fff);
	assert_int_equal(toy->resets, 1);
	assert_int_equal(get(1, 0, f->express + 8u, 2), 0x78ff);
	put(0, PORT, vpci_port_function(port[1])->express + 8u, 2, 0x8000);	/* has none */
	assert_int_equal(get(0, PORT, 0x18, 4), 0x010100);
}

static void test_bus_reset(void **state)
{
	(void)state;
	set_bars();
	port_put(0x20, 4, 0xd010d010);
	port_put(4, 2, MEMORY);
	assert_true(is_at(1, 0xd0100000));
	port_put(0x3e, 2, 0x40);
	assert_int_equal(toy->resets, 1);
	assert_false(toy_host->region[1].enabled);
	assert_int_equal(get(1, 0, 0, 4), 0xffffffff);	/* held */
	put(1, 0, 0x10, 4, 0xd0100000);
	port_put(0x3e, 1, 0x41);
	assert_int_equal(toy->resets, 1);
	port_put(0x3e, 2, 0);
	assert_int_equal(get(1, 0, 0, 4), 0x10421af4);
	assert_int_equal(get(1, 0, 0x10, 4), 0);
	port_put(0x3e, 2, 0x40);
	assert_int_equal(toy->resets, 2);
	port[1]->ops->reset(port[1]);
	port_put(0x3e, 2, 0x40);
	assert_int_equal(toy->resets, 3);
	put(0, 0x1c << 3, 0x3e, 2, 0x40);		/* the empty one */
	assert_int_equal(toy->resets, 3);
}

static void test_places(void **state)
{
	struct toy *other = toy_create();
	struct vdev *p;

	(void)state;
	assert_int_equal(vpci_attach(d, 2, 0, 0, &other->function), -EBUSY);
	assert_int_equal(vpci_attach(d, 2, 1, 0, &other->function), -EINVAL);
	assert_int_equal(vpci_attach(d, 3, 0, 0, &other->function), -ENODEV);
	assert_int_equal(vpci_port_create(&p), 0);
	assert_int_equal(vpci_attach(d, 1, 0, 0, vpci_port_function(p)), -EINVAL);
	p->ops->destroy(p);
	assert_int_equal(vpci_attach(d, 2, 0, 3, &other->function), 0);
	number(0, 1, 1);
	assert_int_equal(get(1, 3, 0, 4), 0x10421af4);
	assert_int_equal(get(1, 0, 0xe, 1), 0x80);
	/* INTA behind a port is the port's INTA, turned by the slot behind it. */
	assert_int_equal(vpci_gsi(f), VPCI_GSI(0x1c, 0));
	other->function.config[0x3d] = 3;
	assert_int_equal(vpci_gsi(&other->function), VPCI_GSI(0x1c, 2));
	other->function.config[0x3d] = 0;
	assert_int_equal(vpci_gsi(&other->function), -1);
	toy_destroy(&other->dev);
}

static void test_saved(void **state)
{
	struct vdev *bus, *q;
	struct vdev_host *b, *o;

	(void)state;
	assert_int_equal(vpci_create(NULL, &bus) | vpci_port_create(&q), 0);
	b = vdev_host_attach(bus);
	o = vdev_host_attach(q);
	assert_int_equal(vpci_attach(bus, 0, 0x1c, 1, vpci_port_function(q)), 0);
	number(0, 1, 7);
	port_put(0x20, 4, 0xd010d010);
	port_put(4, 2, MEMORY);
	port_put(0x3e, 2, 0x40);
	check_refused(port[1], 0xe, 0x80);
	check_refused(port[1], vpci_port_function(port[1])->express + 19u, 0);
	/* The other's slot is empty. */
	vpci_port_function(port[1])->config[vpci_port_function(port[1])->express + 26] = 0;
	vpci_port_function(port[1])->config[vpci_port_function(port[1])->express + 18] = 1;
	vpci_port_function(port[1])->config[vpci_port_function(port[1])->express + 19] = 0;
	check_save_load(port[1], q);
	assert_false(vpci_port_function(q)->reset_below);
	vdev_host_detach(o);
	vdev_host_detach(b);
}

int main(void)
{
#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_header), CASE(test_routing), CASE(test_config_space),
		CASE(test_extended), CASE(test_windows), CASE(test_master), CASE(test_power),
		CASE(test_function_reset), CASE(test_bus_reset), CASE(test_places),
		CASE(test_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
