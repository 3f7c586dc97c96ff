/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vsmbus.c vdev/vpci*.c lib/record.c tests/host/vdev_host.c */
/*
 * vdev/vsmbus: what it is, transactions that find nobody, polled and by the pin, saved form.
 */
#include "tests/host/vdev_test.h"

#include "vdev/vpci.h"
#include "vdev/vsmbus.h"

enum { STATUS, CONTROL = 2, ADDRESS = 4, DATA0, DATA1, SLAVE = 9, AUX = 0x0d, PINS = 0x0f };

#define SLOT	31
#define ENABLE	0x40		/* the register of configuration space */

static struct vdev *bus, *d;
static struct vdev_host *h;

static void make(struct vdev **root, struct vdev **smbus)
{
	assert_int_equal(vpci_create(NULL, root) | vsmbus_create(smbus), 0);
	vdev_host_attach(*root);
	vdev_host_attach(*smbus);
	assert_int_equal(vpci_attach(*root, 0, SLOT, VSMBUS_FUNCTION, vsmbus_function(*smbus)), 0);
}

static int setup(void **state)
{
	(void)state;
	make(&bus, &d);
	h = d->host;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vdev_host_detach(h);
	vdev_host_detach(bus->host);
	return 0;
}

static uint64_t place(unsigned reg)
{
	return SLOT << 15 | VSMBUS_FUNCTION << 12 | reg;
}

static uint32_t config(unsigned reg, unsigned size)
{
	return (uint32_t)vdev_host_read(bus, VPCI_ECAM, place(reg), size);
}

static void set_config(unsigned reg, unsigned size, uint32_t v)
{
	vdev_host_write(bus, VPCI_ECAM, place(reg), size, v);
}

static void test_function(void **state)
{
	(void)state;
	assert_int_equal(config(0, 4), 0x29308086);
	assert_int_equal(config(8, 4), 0x0c050002);
	assert_int_equal(config(0x3d, 1), 1);
	set_config(0x20, 4, 0xffffffff);
	assert_int_equal(config(0x20, 4), 0xffffffc1);
	set_config(0x20, 4, 0x700);
	assert_false(h->region[VSMBUS_PORTS].enabled);
	set_config(4, 2, 1);
	assert_true(h->region[VSMBUS_PORTS].enabled);
	assert_int_equal(h->region[VSMBUS_PORTS].base, 0x700);
	set_config(ENABLE, 1, 0xff);
	assert_int_equal(config(ENABLE, 1), 0x07);
}

static void test_nobody(void **state)
{
	(void)state;
	out8(d, 0, ADDRESS, 0xa1);
	out8(d, 0, CONTROL, 0x48);
	assert_int_equal(in8(d, 0, STATUS), 0);		/* it is off */
	set_config(ENABLE, 1, 1);
	out8(d, 0, CONTROL, 0x48);
	assert_int_equal(in8(d, 0, STATUS), 0x04);	/* not busy, and nobody was there */
	assert_int_equal(in8(d, 0, CONTROL), 0x08);
	assert_false(h->line[0]);
	out8(d, 0, STATUS, 0xfb);
	assert_int_equal(in8(d, 0, STATUS), 0x04);
	out8(d, 0, STATUS, 0x04);
	assert_int_equal(in8(d, 0, STATUS), 0);
	out8(d, 0, CONTROL, 0x49);			/* and told */
	assert_true(h->line[0]);
	assert_int_equal(config(6, 1) & 8, 8);
	out8(d, 0, CONTROL, 0x00);
	assert_false(h->line[0]);
	out8(d, 0, CONTROL, 0x02);			/* killed: nothing is under way */
	assert_int_equal(in8(d, 0, STATUS), 0x14);
	out8(d, 0, CONTROL, 0x01);
	assert_true(h->line[0]);
	out8(d, 0, STATUS, 0xff);
	assert_false(h->line[0]);
	out8(d, 0, CONTROL, 0x41);
	d->ops->reset(d);
	assert_false(h->line[0]);
	assert_int_equal(in8(d, 0, STATUS), 0);
}

static void test_registers(void **state)
{
	(void)state;
	assert_int_equal(in8(d, 0, SLAVE), 0x44);
	assert_int_equal(in8(d, 0, PINS), 7);
	vdev_host_write(d, 0, ADDRESS, 4, 0xa5c35a3c);
	assert_int_equal(vdev_host_read(d, 0, ADDRESS, 4), 0xa5c35a3c);
	vdev_host_write(d, 0, 0x0c, 4, 0xffffffff);
	assert_int_equal(vdev_host_read(d, 0, 0x0c, 4), 0x07070300);
	vdev_host_write(d, 0, VSMBUS_SIZE - 4, 4, 0xffffffff);
	assert_int_equal(vdev_host_read(d, 0, VSMBUS_SIZE - 4, 4), 0);
	assert_int_equal(in8(d, 0, 0x10), 0);
}

static void test_saved(void **state)
{
	struct vdev *other_bus, *fresh;

	(void)state;
	make(&other_bus, &fresh);
	set_config(ENABLE, 1, 1);
	out8(d, 0, DATA0, 0x77);
	out8(d, 0, CONTROL, 0x49);
	check_save_load(d, fresh);
	assert_true(((struct vdev_host *)fresh->host)->line[0]);
	check_refused(d, STATUS, 0x01);
	check_refused(d, 1, 1);
	check_refused(d, CONTROL, 0x40);
	check_refused(d, PINS, 0);
	vdev_host_detach(fresh->host);
	vdev_host_detach(other_bus->host);
}

int main(void)
{
#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_function), CASE(test_nobody), CASE(test_registers), CASE(test_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
