/* SPDX-License-Identifier: BSD-2-Clause */
/* links: drivers/acpi_power.c tests/host/tsc.c tests/host/log.c */
/*
 * drivers/acpi_power.c against ports that are written down: which means are tried, in which order,
 * and that each is waited for before the next, also while there is no clock yet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/cpu.h"
#include "cpu/tsc.h"
#include "drivers/acpi.h"
#include "mm/kmap.h"

struct acpi_info acpi_info;

static struct { uint16_t port; uint32_t v; } written[32];
static unsigned written_count;
static unsigned delays;			/* reads of port 0x80 */

static uint8_t cell;			/* the register in memory */

void *kmap_io(hpa_t a, uint64_t size, enum paging_cache c)
{
	assert_int_equal(a.v, 0xfed01000);
	assert_int_equal(size, 1);
	assert_int_equal(c, CACHE_UC);
	return &cell;
}

static uint32_t port_in(uint16_t port, unsigned size)
{
	(void)size;
	if (port == 0x80)
		delays++;
	return port == 0x604 ? 1 : 0xff;
}

static void port_out(uint16_t port, unsigned size, uint32_t v)
{
	(void)size;
	assert_true(written_count < 32);
	written[written_count].port = port;
	written[written_count++].v = v;
}

static void time_passes(void)
{
	host_tsc += 1000;
}

static int setup(void **state)
{
	(void)state;
	memset(&acpi_info, 0, sizeof(acpi_info));
	written_count = delays = cell = 0;
	acpi_power_init();
	tsc_hz = 1000000000;
	host_in = port_in;
	host_out = port_out;
	host_pause = time_passes;
	return 0;
}

static void expect_written(unsigned i, uint16_t port, uint32_t v)
{
	assert_true(i < written_count);
	assert_int_equal(written[i].port, port);
	assert_int_equal(written[i].v, v);
}

static void expect_old_means(unsigned from)
{
	expect_written(from, 0xcf9, 2);
	expect_written(from + 1, 0xcf9, 6);
	expect_written(from + 2, 0x64, 0xfe);
	assert_int_equal(written_count, from + 3);
}

static void reset_by_port(void **state)
{
	uint64_t before = host_tsc;

	(void)state;
	acpi_info.reset = (struct acpi_register){ 0x1234, ACPI_SPACE_IO, 8 };
	acpi_info.reset_value = 0x0f;
	acpi_reset();
	expect_written(0, 0x1234, 0x0f);
	expect_old_means(1);
	assert_true(host_tsc - before >= 300000000);
	assert_int_equal(delays, 0);
}

static void reset_without_a_clock(void **state)
{
	(void)state;
	tsc_hz = 0;
	host_pause = NULL;		/* the clock stands still */
	acpi_reset();
	expect_old_means(0);
	assert_int_equal(delays, 200000);
}

static void off_by_pm1(void **state)
{
	(void)state;
	acpi_info.s5 = true;
	acpi_info.s5_a = 5;
	acpi_info.pm1a_control = 0x604;
	acpi_poweroff();
	expect_written(0, 0x604, 0x1401);
	expect_written(1, 0x604, 0x3401);
	assert_int_equal(written_count, 2);
}

static void reset_in_memory(void **state)
{
	(void)state;
	acpi_info.reset = (struct acpi_register){ 0xfed01000, ACPI_SPACE_MEMORY, 8 };
	acpi_info.reset_value = 0x5a;
	acpi_reset();			/* not mapped yet: the old means are left */
	expect_old_means(0);
	written_count = 0;
	acpi_power_init();
	acpi_reset();
	assert_int_equal(cell, 0x5a);
	expect_old_means(0);
}

static void reset_in_pci(void **state)
{
	(void)state;
	acpi_info.reset = (struct acpi_register){ 0x1f00030041, ACPI_SPACE_PCI, 8 };
	acpi_info.reset_value = 0x11;
	acpi_reset();
	expect_written(0, 0xcf8, 0x8000fb40);
	expect_written(1, 0xcfd, 0x11);
	expect_old_means(2);
	written_count = 0;
	acpi_info.reset.address = 0x1f00030100;		/* beyond what ports reach */
	acpi_reset();
	expect_old_means(0);
}

static void off_by_sleep_control(void **state)
{
	(void)state;
	acpi_info.s5 = true;
	acpi_info.s5_a = 5;
	assert_false(acpi_can_poweroff());
	acpi_info.sleep = (struct acpi_register){ 0x600, ACPI_SPACE_IO, 8 };
	assert_true(acpi_can_poweroff());
	acpi_poweroff();
	expect_written(0, 0x600, 5 << 2 | 0x20);
	assert_int_equal(written_count, 1);
	acpi_info.sleep = (struct acpi_register){ 0xfed01000, ACPI_SPACE_MEMORY, 8 };
	acpi_power_init();
	assert_true(acpi_can_poweroff());
	acpi_poweroff();
	assert_int_equal(cell, 5 << 2 | 0x20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(reset_by_port, setup),
		cmocka_unit_test_setup(reset_without_a_clock, setup),
		cmocka_unit_test_setup(off_by_pm1, setup),
		cmocka_unit_test_setup(reset_in_memory, setup),
		cmocka_unit_test_setup(reset_in_pci, setup),
		cmocka_unit_test_setup(off_by_sleep_control, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
