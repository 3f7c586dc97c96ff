/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vmch.c vdev/vpci*.c lib/record.c tests/host/vdev_host.c */
/*
 * vdev/vmch: what firmware looks at, each PAM nibble and SMRAM, ECAM where it is put, writes to RAM
 * that is not shown, a machine without shadow, two vCPUs at once, saved form.
 */
#include "tests/host/vdev_test.h"

#include "include/bits.h"
#include "vdev/vmch.h"
#include "vdev/vpci.h"

static struct vdev *bus, *d;
static struct vdev_host *bus_host, *h;

static void make(bool shadow)
{
	struct vmch_config c = { .shadow = shadow };

	assert_int_equal(vpci_create(&(struct vpci_config){ .bare = true }, &bus), 0);
	bus_host = vdev_host_attach(bus);
	c.bus = bus;
	assert_int_equal(vmch_create(&c, &d), 0);
	h = vdev_host_attach(d);
}

static int setup(void **state)
{
	(void)state;
	make(true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vdev_host_detach(h);
	vdev_host_detach(bus_host);
	return 0;
}

static uint64_t get(unsigned reg, unsigned size)
{
	return vdev_host_read(bus, VPCI_ECAM, reg, size);
}

static void put(unsigned reg, unsigned size, uint64_t v)
{
	vdev_host_write(bus, VPCI_ECAM, reg, size, v);
}

static void test_reset(void **state)
{
	struct vmch_config again = { .bus = bus, .shadow = true };
	struct vdev *other;

	(void)state;
	assert_int_equal(get(0, 4), 0x29c08086);
	assert_int_equal(get(8, 4), 0x06000000);
	assert_int_equal(get(0x2c, 4), 0x11001af4);
	assert_int_equal(get(VMCH_PCIEXBAR, 8), 0xb0000000);
	assert_int_equal(get(0x90, 8), 0);
	assert_int_equal(get(VMCH_SMRAM, 2), 0x3802);
	assert_int_equal(h->shadow_calls, 0);
	assert_false(bus_host->region[VPCI_ECAM].enabled);
	assert_int_equal(vmch_ecam(d), 0);
	assert_int_equal(vmch_create(&again, &other), -EBUSY);
}

/* As SeaBIOS does it: all open, later closed again but for what it still writes. */
static void test_pam(void **state)
{
	(void)state;
	put(0x90, 4, 0x33333330);
	put(0x94, 4, 0x00333333);
	assert_int_equal(get(0x90, 4), 0x33333330);
	for (unsigned i = 0; i <= HOST_SHADOW_BIOS; i++)
		assert_int_equal(h->shadow[i], HOST_SHADOW_READ | HOST_SHADOW_WRITE);
	assert_int_equal(h->shadow[HOST_SHADOW_SCREEN], 0);
	assert_int_equal(h->shadow_calls, 13);
	put(0x90, 4, 0x11111110);
	put(0x94, 4, 0x00331111);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(h->shadow[i], HOST_SHADOW_READ);
	for (unsigned i = 10; i < 12; i++)
		assert_int_equal(h->shadow[i], HOST_SHADOW_READ | HOST_SHADOW_WRITE);
	assert_int_equal(h->shadow[HOST_SHADOW_BIOS], HOST_SHADOW_READ);
	/* Each nibble alone; reserved bits stay 0. */
	d->ops->reset(d);
	for (unsigned i = 0; i < 12; i++) {
		put(0x91 + i / 2, 1, i % 2 ? 0xff & ~0x23 : 0xff & ~0x12);
		assert_int_equal(h->shadow[i], HOST_SHADOW_READ);
		put(0x91 + i / 2, 1, i % 2 ? 0x20 : 0x02);
		assert_int_equal(get(0x91 + i / 2, 1), i % 2 ? 0x20 : 0x02);
		assert_int_equal(h->shadow[i], HOST_SHADOW_WRITE);
		assert_int_equal(h->shadow[i ^ 1], 0);
		put(0x91 + i / 2, 1, 0xcc);
		assert_int_equal(get(0x91 + i / 2, 1), 0);
		assert_int_equal(h->shadow[i], 0);
	}
	put(0x90, 1, 0x33);
	assert_int_equal(get(0x90, 1), 0x30);
	assert_int_equal(h->shadow[HOST_SHADOW_BIOS], 3);
	d->ops->reset(d);
	assert_int_equal(h->shadow[HOST_SHADOW_BIOS], 0);
}

static void test_smram(void **state)
{
	(void)state;
	put(VMCH_SMRAM, 1, 0x4a);
	assert_int_equal(h->shadow[HOST_SHADOW_SCREEN], 3);
	put(VMCH_SMRAM, 1, 0x6a);			/* open and closed at once */
	assert_int_equal(h->shadow[HOST_SHADOW_SCREEN], 0);
	put(VMCH_SMRAM, 1, 0x42);			/* open, but not on */
	assert_int_equal(h->shadow[HOST_SHADOW_SCREEN], 0);
	put(VMCH_SMRAM, 1, 0x4a);
	put(VMCH_SMRAM, 1, 0x5a);			/* the lock closes it */
	assert_int_equal(get(VMCH_SMRAM, 1), 0x1a);
	assert_int_equal(h->shadow[HOST_SHADOW_SCREEN], 0);
	put(VMCH_SMRAM, 1, 0x4a);
	assert_int_equal(get(VMCH_SMRAM, 1), 0x1a);
	put(0x9c, 4, 0xffffffff);			/* neither does a wider write */
	assert_int_equal(get(0x9c, 4), 0x00381a00);
	assert_int_equal(h->shadow[HOST_SHADOW_SCREEN], 0);
	d->ops->reset(d);
	assert_int_equal(get(VMCH_SMRAM, 1), 0x02);
}

static void test_ecam(void **state)
{
	static const struct { uint64_t value, base, size; } row[] = {
		{ 0xb0000001, 0xb0000000, 256 * MIB }, { 0xb8000003, 0xb8000000, 128 * MIB },
		{ 0xbc000005, 0xbc000000, 64 * MIB }, { 0xbfffffff, 0, 0 },
		{ 0xbffffff9, 0xb0000000, 256 * MIB }, { 0xf00000001, 0xf00000000, 256 * MIB },
		{ 0xffff00000001, 0xf00000000, 256 * MIB }, { 0xe0000000, 0, 0 },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(row); i++) {
		put(VMCH_PCIEXBAR, 8, row[i].value);
		assert_int_equal(vmch_ecam(d), row[i].base);
		assert_int_equal(bus_host->region[VPCI_ECAM].enabled, row[i].size != 0);
		assert_int_equal(bus_host->region[VPCI_ECAM].base, row[i].base);
		if (row[i].size)
			assert_int_equal(bus_host->region[VPCI_ECAM].size, row[i].size);
	}
	put(VMCH_PCIEXBAR, 4, 0xb0000001);
	d->ops->reset(d);
	assert_false(bus_host->region[VPCI_ECAM].enabled);
}

/* Reads the image's or nobody's, writes RAM's: byte by byte where two pieces meet. */
static void test_hidden_writes(void **state)
{
	(void)state;
	assert_int_equal(vdev_host_read(d, VMCH_SHADOW, 0x1234, 8), ~0ul);
	vdev_host_write(d, VMCH_SHADOW, 0x10, 4, 0x11223344);
	assert_int_equal(h->shadow_memory[0x10], 0);
	put(0x91, 1, 0x02);				/* C0000h: writes */
	vdev_host_write(d, VMCH_SHADOW, 0x3ffc, 8, 0x8877665544332211);
	assert_memory_equal(h->shadow_memory + 0x3ffc, "\x11\x22\x33\x44\0\0\0\0", 8);
	put(0x90, 1, 0x20);
	vdev_host_write(d, VMCH_SHADOW, 0x3ffff, 1, 0x5a);
	assert_int_equal(h->shadow_memory[0x3ffff], 0x5a);
	put(0x90, 1, 0x30);				/* RAM itself: what comes here is late */
	vdev_host_write(d, VMCH_SHADOW, 0x3ffff, 1, 0);
	assert_int_equal(h->shadow_memory[0x3ffff], 0x5a);
}

/* Started without firmware: RAM everywhere, and no way to change that. */
static void test_without_shadow(void **state)
{
	(void)state;
	vdev_host_detach(h);
	vdev_host_detach(bus_host);
	make(false);
	assert_int_equal(get(0x90, 4), 0x33333330);
	put(0x90, 4, 0);
	put(VMCH_SMRAM, 1, 0x4a);
	assert_int_equal(get(0x90, 4), 0x33333330);
	assert_int_equal(h->shadow_calls, 0);
	put(VMCH_PCIEXBAR, 4, 0xb0000001);
	assert_int_equal(vmch_ecam(d), 0xb0000000);
}

static unsigned hooks;

/* Another vCPU, while this one tells the host. */
static void write_meanwhile(void)
{
	if (hooks++)
		return;
	put(0x90, 1, 0x10);
	put(0x96, 1, 0x33);
}

static void test_two_at_once(void **state)
{
	(void)state;
	hooks = 0;
	h->region_hook = write_meanwhile;
	put(0x90, 4, 0x33333330);
	h->region_hook = NULL;
	assert_true(hooks > 1);
	assert_int_equal(h->shadow[HOST_SHADOW_BIOS], HOST_SHADOW_READ);
	assert_int_equal(h->shadow[10], 3);
	assert_int_equal(h->shadow[0], 3);
	/* The host cannot: it is logged, and later writes are tried again. */
	h->shadow_error = -ENOMEM;
	put(0x91, 1, 0);
	assert_true(h->logged);
	h->shadow_error = 0;
	put(0x91, 1, 0x11);
	assert_int_equal(h->shadow[0], HOST_SHADOW_READ);
}

static void test_saved(void **state)
{
	struct vdev *bus2, *fresh;
	struct vdev_host *b, *f;
	struct vmch_config c = { .shadow = true };

	(void)state;
	assert_int_equal(vpci_create(&(struct vpci_config){ .bare = true }, &bus2), 0);
	b = vdev_host_attach(bus2);
	c.bus = bus2;
	assert_int_equal(vmch_create(&c, &fresh), 0);
	f = vdev_host_attach(fresh);
	put(0x90, 4, 0x12213020);
	put(VMCH_PCIEXBAR, 4, 0xb0000001);
	put(VMCH_SMRAM, 1, 0x1a);
	check_save_load(d, fresh);
	assert_memory_equal(f->shadow, h->shadow, sizeof(h->shadow));
	assert_int_equal(b->region[VPCI_ECAM].base, 0xb0000000);
	check_refused(d, 0, 0x87);			/* another function's */
	check_refused(d, VMCH_PAM, 0x01);		/* bits that are not there */
	check_refused(d, VMCH_SMRAM, 0x5a);		/* open and locked */
	vdev_host_detach(f);
	vdev_host_detach(b);
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_reset), CASE(test_pam), CASE(test_smram), CASE(test_ecam),
		CASE(test_hidden_writes), CASE(test_without_shadow), CASE(test_two_at_once),
		CASE(test_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
