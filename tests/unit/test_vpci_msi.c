/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vpci*.c lib/record.c tests/host/vdev_host.c */
/*
 * vdev/vpci_msi: MSI and MSI-X by their registers and tables, masks and pending bits, what happens
 * between two looks of a sender, the pin with its status and disable bits, saved form.
 */
#include "tests/host/vdev_test.h"

#include "tests/host/vdev_toy.h"

#define ADDRESS		0xfee01000ul
#define MASTER		4
#define INTX_OFF	0x400

static struct vdev *d;
static struct vdev_host *h, *toy_host;
static struct toy *toy;
static struct vpci_function *f;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(vpci_create(NULL, &d), 0);
	h = vdev_host_attach(d);
	toy = toy_create();
	toy_host = vdev_host_attach(&toy->dev);
	f = &toy->function;
	assert_int_equal(vpci_attach(d, 0, 3, 0, f), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vdev_host_detach(toy_host);
	vdev_host_detach(h);
	return 0;
}

static uint64_t get(unsigned reg, unsigned size)
{
	return vdev_host_read(d, VPCI_ECAM, 3 << 15 | reg, size);
}

static void put(unsigned reg, unsigned size, uint64_t v)
{
	vdev_host_write(d, VPCI_ECAM, 3 << 15 | reg, size, v);
}

static uint64_t table(unsigned n, unsigned at, unsigned size)
{
	return vdev_host_read(&toy->dev, TOY_TABLE_REGION, TOY_TABLE + 16 * n + at, size);
}

static void table_put(unsigned n, unsigned at, unsigned size, uint64_t v)
{
	vdev_host_write(&toy->dev, TOY_TABLE_REGION, TOY_TABLE + 16 * n + at, size, v);
}

static uint64_t pba(unsigned word)
{
	return vdev_host_read(&toy->dev, TOY_TABLE_REGION, TOY_PBA + 8 * word, 8);
}

/* So many messages have been sent in all, the last one with that address and data. */
static void sent(unsigned count, uint64_t address, uint32_t data)
{
	assert_int_equal(toy_host->message_count, count);
	assert_int_equal(toy_host->message[count - 1].address, address);
	assert_int_equal(toy_host->message[count - 1].data, data);
}

static void test_pin(void **state)
{
	(void)state;
	assert_int_equal(get(0x3d, 1), 1);
	assert_false(vpci_msi_send(f, 0));
	vpci_function_pin_set(f, true);
	assert_true(toy_host->line[TOY_LINE]);
	assert_int_equal(get(6, 2) & 8, 8);
	put(4, 2, INTX_OFF);
	assert_false(toy_host->line[TOY_LINE]);
	assert_int_equal(get(6, 2) & 8, 8);		/* it shows all the same */
	put(4, 2, 0);
	assert_true(toy_host->line[TOY_LINE]);
	vpci_function_pin_set(f, true);
	assert_int_equal(toy_host->edges[TOY_LINE], 2);
	put(f->msi + 2, 2, 1);				/* messages take its place */
	assert_false(toy_host->line[TOY_LINE]);
	put(f->msi + 2, 2, 0);
	assert_true(toy_host->line[TOY_LINE]);
	vpci_function_pin_set(f, false);
	assert_false(toy_host->line[TOY_LINE]);
	assert_int_equal(get(6, 2) & 8, 0);
	vpci_function_pin_set(f, true);
	toy_reset(&toy->dev);
	assert_false(toy_host->line[TOY_LINE]);
}

static void test_msi(void **state)
{
	unsigned at = f->msi;

	(void)state;
	assert_int_equal(get(at, 1), 5);
	assert_int_equal(get(at + 2, 2), 0x0184);	/* masks, 64 bits, four of them */
	put(at + 4, 4, ~0u);
	assert_int_equal(get(at + 4, 4), ~3u);
	put(at + 4, 8, ADDRESS);
	put(at + 12, 4, ~0u);
	assert_int_equal(get(at + 12, 4), 0xffff);
	put(at + 12, 2, 0x40);
	put(at + 16, 4, ~0u);
	assert_int_equal(get(at + 16, 4), 0xf);
	put(at + 16, 4, 0);
	put(4, 2, MASTER);
	assert_false(vpci_msi_send(f, 1));
	put(at + 2, 2, 0x0021);				/* on, with all four */
	assert_true(vpci_msi_send(f, 1));
	sent(1, ADDRESS, 0x41);
	assert_true(vpci_msi_send(f, 7));		/* there is none: one of those */
	sent(2, ADDRESS, 0x43);
	put(at + 2, 2, 0x0071);				/* more than there are */
	assert_true(vpci_msi_send(f, 3));
	sent(3, ADDRESS, 0x43);
	put(at + 12, 2, 0x47);
	put(at + 2, 2, 0x0001);				/* one alone: its data as they are */
	assert_true(vpci_msi_send(f, 3));
	sent(4, ADDRESS, 0x47);
}

static void test_msi_masked(void **state)
{
	unsigned at = f->msi;

	(void)state;
	put(4, 2, MASTER);
	put(at + 4, 8, ADDRESS);
	put(at + 12, 2, 0x40);
	put(at + 16, 4, 0x5);
	put(at + 2, 2, 0x0021);
	for (unsigned n = 0; n < 4; n++)
		assert_true(vpci_msi_send(f, n));
	sent(2, ADDRESS, 0x43);
	assert_int_equal(get(at + 20, 4), 0x5);
	put(at + 20, 4, 0);				/* not the guest's to change */
	assert_int_equal(get(at + 20, 4), 0x5);
	put(at + 16, 4, 0x1);
	sent(3, ADDRESS, 0x42);
	assert_int_equal(get(at + 20, 4), 0x1);
	put(4, 2, 0);					/* no master, no messages */
	put(at + 16, 4, 0);
	assert_int_equal(toy_host->message_count, 3);
	assert_true(vpci_msi_send(f, 1));
	assert_int_equal(get(at + 20, 4), 0x3);
	put(4, 2, MASTER);
	sent(5, ADDRESS, 0x41);
	assert_int_equal(get(at + 20, 4), 0);
	put(4, 2, 0);
	vpci_msi_send(f, 2);
	put(at + 2, 2, 0);				/* off: what waited is forgotten */
	assert_int_equal(get(at + 20, 4), 0);
	put(at + 2, 2, 0x21);
	put(4, 2, MASTER);
	assert_int_equal(toy_host->message_count, 5);
}

static void test_msix_table(void **state)
{
	unsigned at = f->msix;

	(void)state;
	assert_int_equal(get(at, 1), 0x11);
	assert_int_equal(get(at + 2, 2), TOY_MESSAGES - 1);
	assert_int_equal(get(at + 4, 4), TOY_TABLE | 5);
	assert_int_equal(get(at + 8, 4), TOY_PBA | 5);
	put(at + 2, 2, 0xffff);
	assert_int_equal(get(at + 2, 2), 0xc000 | (TOY_MESSAGES - 1));
	assert_int_equal(table(69, 12, 4), 1);		/* masked after a reset */
	table_put(69, 0, 8, 0x1122334455667788 | 3);
	table_put(69, 8, 8, 0xfffffffe00000000 | 0x99aabbcc);
	assert_int_equal(table(69, 0, 4), 0x55667788);
	assert_int_equal(table(69, 4, 4), 0x11223344);
	assert_int_equal(table(69, 8, 8), 0x99aabbcc);
	assert_int_equal(table(69, 10, 1), 0xaa);
	table_put(69, 8, 2, 0);				/* no whole dword */
	table_put(69, 8, 1, 0);
	table_put(69, 10, 4, 0);
	assert_int_equal(table(69, 8, 4), 0x99aabbcc);
	assert_int_equal(table(70, 0, 8), 0);		/* behind it */
	table_put(70, 0, 8, ~0ul);
	assert_int_equal(pba(0) | pba(1) | pba(2), 0);
	vdev_host_write(&toy->dev, TOY_TABLE_REGION, TOY_PBA, 8, ~0ul);
	assert_int_equal(pba(0), 0);
	toy_reset(&toy->dev);
	assert_int_equal(table(69, 8, 8), BIT(32));
	assert_int_equal(table(69, 0, 8), 0);
}

static void enable_all(void)
{
	for (unsigned n = 0; n < TOY_MESSAGES; n++) {
		table_put(n, 0, 8, ADDRESS);
		table_put(n, 8, 8, 0x30 + n);
	}
	put(4, 2, MASTER);
	put(f->msix + 2, 2, 0x8000);
}

static void test_msix(void **state)
{
	(void)state;
	enable_all();
	put(f->msi + 2, 2, 1);				/* MSI-X goes before it */
	assert_true(vpci_msi_send(f, 69));
	sent(1, ADDRESS, 0x30 + 69);
	assert_true(vpci_msi_send(f, 70));		/* there is none */
	assert_int_equal(toy_host->message_count, 1);
	table_put(69, 12, 4, 1);
	table_put(3, 12, 4, 1);
	vpci_msi_send(f, 69);
	vpci_msi_send(f, 69);
	vpci_msi_send(f, 3);
	assert_int_equal(toy_host->message_count, 1);
	assert_int_equal(pba(0), BIT(3));
	assert_int_equal(pba(1), BIT(69 - 64));
	table_put(69, 8, 4, 0x99);			/* still masked */
	assert_int_equal(toy_host->message_count, 1);
	table_put(69, 12, 4, 0);
	sent(2, ADDRESS, 0x99);				/* once, as it is now */
	put(f->msix + 2, 2, 0xc000);			/* the whole function */
	table_put(3, 12, 4, 0);
	vpci_msi_send(f, 40);
	vpci_msi_send(f, 64);
	assert_int_equal(toy_host->message_count, 2);
	assert_int_equal(pba(0), BIT(3) | BIT(40));
	assert_int_equal(pba(1), 1);
	put(f->msix + 2, 2, 0x8000);
	sent(5, ADDRESS, 0x30 + 64);
	assert_int_equal(pba(0) | pba(1), 0);
	put(4, 2, 0);
	vpci_msi_send(f, 5);
	assert_int_equal(pba(0), BIT(5));
	put(4, 2, MASTER);
	sent(6, ADDRESS, 0x35);
}

/* Where the sender and a vCPU meet: an odd version says that an entry is being changed. */
static void test_changed_meanwhile(void **state)
{
	(void)state;
	enable_all();
	vpci_msi_begin(f);
	f->messages.entry[7].data = 0x77;
	vpci_msi_send(f, 7);
	assert_int_equal(toy_host->message_count, 0);
	assert_int_equal(pba(0), BIT(7));
	vpci_msi_end(f);
	sent(1, ADDRESS, 0x77);
	assert_int_equal(pba(0), 0);
}

static void test_saved(void **state)
{
	struct toy *other = toy_create();
	struct vdev *bus;
	struct vdev_host *b, *o;
	size_t entries = VPCI_CONFIG_SIZE, pending = entries + 16 * TOY_MESSAGES;

	(void)state;
	assert_int_equal(vpci_create(NULL, &bus), 0);
	b = vdev_host_attach(bus);
	o = vdev_host_attach(&other->dev);
	assert_int_equal(vpci_attach(bus, 0, 3, 0, &other->function), 0);
	enable_all();
	table_put(69, 12, 4, 1);
	vpci_msi_send(f, 69);
	check_save_load(&toy->dev, &other->dev);
	assert_int_equal(o->message_count, 0);
	check_refused(&toy->dev, entries, 0x03);
	check_refused(&toy->dev, entries + 12, 0x02);
	check_refused(&toy->dev, pending + 8, 0x40);
	check_refused(&toy->dev, pending + 15, 0x80);
	check_refused(&toy->dev, f->msi + 20u, 0x10);
	check_refused(&toy->dev, f->msix + 2u, 0);
	check_refused(&toy->dev, f->express + 9u, 0x80);	/* a reset that was asked for */
	vdev_host_write(bus, VPCI_ECAM, 3 << 15 | 4, 2, 0);
	vdev_host_write(bus, VPCI_ECAM, 3 << 15 | 4, 2, MASTER);
	assert_int_equal(o->message_count, 0);
	vdev_host_write(&other->dev, TOY_TABLE_REGION, TOY_TABLE + 16 * 69 + 12, 4, 0);
	assert_int_equal(o->message_count, 1);			/* it waited there, too */
	put(f->msix + 2, 2, 0);
	vpci_function_pin_set(f, true);
	check_save_load(&toy->dev, &other->dev);
	assert_true(o->line[TOY_LINE]);
	vdev_host_detach(o);
	vdev_host_detach(b);
}

static void test_room(void **state)
{
	struct vpci_function g;

	(void)state;
	vpci_function_init(&g, &toy->dev, 1, 2, 3, 4, 5);
	assert_int_equal(vpci_msix_init(&g, 0, 0, 0, 0), -ENOSPC);
	assert_int_equal(vpci_msix_init(&g, 2049, 0, 0, 0), -ENOSPC);
	assert_int_equal(vpci_msix_init(&g, 2048, 0, 0, 0x8000), 0);
	g.capability_end = 0xf0;
	assert_int_equal(vpci_msi_init(&g, 1), -ENOSPC);
	vpci_function_fini(&g);
}

int main(void)
{
#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_pin), CASE(test_msi), CASE(test_msi_masked), CASE(test_msix_table),
		CASE(test_msix), CASE(test_changed_meanwhile), CASE(test_saved), CASE(test_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
