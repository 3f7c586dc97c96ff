/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vlpc.c vdev/vacpi.c vdev/vtco.c vdev/vpci*.c lib/record.c tests/host/vdev_host.c */
/*
 * vdev/vlpc: PMBASE and ACPI_CNTL place ACPI's registers, PIRQs are routed where they may be, RCBA
 * tells the slots' wiring and has the watchdog's bit, two vCPUs at once, saved form.
 */
#include "tests/host/vdev_test.h"

#include "include/bits.h"
#include "vdev/vacpi.h"
#include "vdev/vlpc.h"
#include "vdev/vpci.h"

struct board {
	struct vdev *bus, *acpi, *d;
	struct vdev_host *bus_host, *acpi_host, *h;
	uint8_t route[VLPC_PIRQS];
};

static struct board b;
static void (*at_route)(void);

static void route(void *context, unsigned pirq, uint8_t irq)
{
	struct board *of = context;
	void (*fn)(void) = at_route;

	assert_true(pirq < VLPC_PIRQS && !of->bus_host->locked);
	at_route = NULL;
	if (fn)
		fn();
	of->route[pirq] = irq;
}

static void board_make(struct board *to)
{
	struct vlpc_config c = { .route = route, .context = to };

	memset(to->route, VLPC_NO_IRQ, sizeof(to->route));
	assert_int_equal(vpci_create(&(struct vpci_config){ .bare = true }, &to->bus), 0);
	to->bus_host = vdev_host_attach(to->bus);
	assert_int_equal(vacpi_create(&to->acpi), 0);
	to->acpi_host = vdev_host_attach(to->acpi);
	c.bus = to->bus;
	c.acpi = to->acpi;
	assert_int_equal(vlpc_create(&c, &to->d), 0);
	to->h = vdev_host_attach(to->d);
}

static void board_free(struct board *of)
{
	vdev_host_detach(of->h);
	vdev_host_detach(of->acpi_host);
	vdev_host_detach(of->bus_host);
}

static int setup(void **state)
{
	(void)state;
	board_make(&b);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	board_free(&b);
	return 0;
}

static uint64_t get(unsigned reg, unsigned size)
{
	return vdev_host_read(b.bus, VPCI_ECAM, VLPC_SLOT << 15 | reg, size);
}

static void put(unsigned reg, unsigned size, uint64_t v)
{
	vdev_host_write(b.bus, VPCI_ECAM, VLPC_SLOT << 15 | reg, size, v);
}

static void test_reset(void **state)
{
	struct vlpc_config again = { .bus = b.bus, .acpi = b.acpi, .route = route };
	struct vdev *other;

	(void)state;
	assert_int_equal(get(0, 4), 0x29188086);
	assert_int_equal(get(8, 4), 0x06010002);
	assert_int_equal(get(0xe, 1), 0x80);
	assert_int_equal(get(VLPC_PMBASE, 4), 1);
	assert_int_equal(get(0x60, 4), 0x80808080);
	assert_int_equal(get(0x68, 4), 0x80808080);
	assert_int_equal(get(VLPC_RCBA_BASE, 4), 0);
	assert_int_equal(vlpc_create(&again, &other), -EBUSY);
}

static bool acpi_is_at(uint64_t base)
{
	static const uint16_t behind[] = { 0, 4, 8, 0x20, 0x30, 0x60 };
	bool there = true;

	for (unsigned i = 0; i < ARRAY_COUNT(behind); i++) {
		assert_int_equal(b.acpi_host->region[i].enabled, base != 0);
		there &= !base || b.acpi_host->region[i].base == base + behind[i];
	}
	return there;
}

static void test_pmbase(void **state)
{
	(void)state;
	put(VLPC_PMBASE, 4, 0xffff0601);
	assert_int_equal(get(VLPC_PMBASE, 4), 0x601);
	assert_true(acpi_is_at(0));
	put(VLPC_ACPI_CNTL, 1, 0x80);
	assert_true(acpi_is_at(0x600));
	put(VLPC_PMBASE + 1, 1, 0xb0);
	assert_true(acpi_is_at(0xb000));
	put(VLPC_PMBASE, 2, 0);				/* base 0 is no place */
	assert_int_equal(get(VLPC_PMBASE, 2), 1);
	assert_true(acpi_is_at(0));
	put(VLPC_PMBASE, 2, 0xff80);
	assert_true(acpi_is_at(0xff80));
	put(VLPC_ACPI_CNTL, 1, 0);
	assert_true(acpi_is_at(0));
	/* No SMIs: firmware finds them set up, and its writes do nothing. */
	assert_int_equal(vdev_host_read(b.acpi, VACPI_SMI_EN, 0, 4), 0x20);
	vdev_host_write(b.acpi, VACPI_SMI_EN, 0, 4, 0x21);
	assert_int_equal(vdev_host_read(b.acpi, VACPI_SMI_EN, 0, 8), 0x20);
	put(VLPC_ACPI_CNTL, 1, 0x80);
	b.d->ops->reset(b.d);
	assert_true(acpi_is_at(0));
}

static void test_routes(void **state)
{
	static const uint8_t wrong[] = { 0, 1, 2, 8, 13 };

	(void)state;
	put(0x60, 4, 0x0b0b0a0a);
	put(0x68, 4, 0x8b0b0a7a);
	assert_memory_equal(b.route, "\x0a\x0a\x0b\x0b\x0a\x0a\x0b\xff", 8);
	assert_int_equal(get(0x68, 4), 0x8b0b0a0a);
	for (unsigned i = 0; i < sizeof(wrong); i++) {
		put(0x60, 1, wrong[i]);
		assert_int_equal(b.route[0], VLPC_NO_IRQ);
		put(0x60, 1, 5);
		assert_int_equal(b.route[0], 5);
	}
	put(0x64, 4, 0);				/* between them there is none */
	assert_int_equal(b.route[4], 10);
	b.d->ops->reset(b.d);
	for (unsigned i = 0; i < VLPC_PIRQS; i++)
		assert_int_equal(b.route[i], VLPC_NO_IRQ);
}

static void test_rcba(void **state)
{
	(void)state;
	put(VLPC_RCBA_BASE, 4, 0xfed1ffff);
	assert_int_equal(get(VLPC_RCBA_BASE, 4), 0xfed1c001);
	assert_true(b.h->region[VLPC_RCBA].enabled);
	assert_int_equal(b.h->region[VLPC_RCBA].base, 0xfed1c000);
	assert_int_equal(vdev_host_read(b.d, VLPC_RCBA, 0x3140, 2), 0x3210);
	assert_int_equal(vdev_host_read(b.d, VLPC_RCBA, 0x3150, 4), 0x3210);
	assert_int_equal(vdev_host_read(b.d, VLPC_RCBA, 0x3ff8, 8), 0);
	vdev_host_write(b.d, VLPC_RCBA, 0x3140, 2, 0);
	assert_int_equal(vdev_host_read(b.d, VLPC_RCBA, 0x3140, 2), 0x3210);
	/* NO_REBOOT, the watchdog's. */
	assert_int_equal(vdev_host_read(b.d, VLPC_RCBA, 0x3410, 4), 0x20);
	vdev_host_write(b.d, VLPC_RCBA, 0x3411, 1, 0);
	assert_int_equal(vdev_host_read(b.d, VLPC_RCBA, 0x340c, 8), 0x20ul << 32);
	vdev_host_write(b.d, VLPC_RCBA, 0x3410, 4, 0xffffffdf);
	assert_int_equal(vdev_host_read(b.d, VLPC_RCBA, 0x3410, 4), 0);
	assert_false(vacpi_no_reboot(b.acpi));
	vdev_host_write(b.d, VLPC_RCBA, 0x340c, 8, 0x20ul << 32);
	assert_true(vacpi_no_reboot(b.acpi));
	b.h->region_error = -ENOSPC;
	put(VLPC_RCBA_BASE, 4, 0xfec00001);
	assert_true(b.h->logged);
	b.h->region_error = 0;
	put(VLPC_RCBA_BASE, 4, 0xfec00000);
	assert_false(b.h->region[VLPC_RCBA].enabled);
}

static void write_meanwhile(void)
{
	put(0x60, 1, 7);
	put(VLPC_ACPI_CNTL, 1, 0);
}

/* What another vCPU writes while this one tells the machine comes last there, too. */
static void test_two_at_once(void **state)
{
	(void)state;
	put(VLPC_PMBASE, 4, 0x601);
	put(VLPC_ACPI_CNTL, 1, 0x80);
	at_route = write_meanwhile;
	put(0x60, 1, 3);
	assert_null(at_route);
	assert_int_equal(b.route[0], 7);
	assert_true(acpi_is_at(0));
}

static void test_saved(void **state)
{
	struct board f;

	(void)state;
	board_make(&f);
	put(0x60, 4, 0x0b8b0a0a);
	put(VLPC_PMBASE, 4, 0x601);
	put(VLPC_ACPI_CNTL, 1, 0x80);
	put(VLPC_RCBA_BASE, 4, 0xfed1c001);
	check_save_load(b.d, f.d);
	assert_memory_equal(f.route, b.route, sizeof(b.route));
	assert_true(f.acpi_host->region[VACPI_TIMER].enabled);
	assert_int_equal(f.acpi_host->region[VACPI_TIMER].base, 0x608);
	assert_int_equal(f.h->region[VLPC_RCBA].base, 0xfed1c000);
	check_refused(b.d, 0, 0x87);
	check_refused(b.d, VLPC_PMBASE, 0);
	check_refused(b.d, 0x60, 0x1a);
	board_free(&f);
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_reset), CASE(test_pmbase), CASE(test_routes), CASE(test_rcba),
		CASE(test_two_at_once), CASE(test_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
