/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Soft-off and reset of the machine by what its ACPI tables offer, and by older means where
 * they offer nothing (Bochs: FADT revision 1, no reset register). Any context, also panic: no
 * lock, no memory.
 * Source: ACPI Specification 6.4, "PM1 Control Registers", "Reset Register"; Intel ICH9 datasheet,
 * "Reset Control Register" (port 0xcf9).
 */
#include "drivers/acpi.h"

#include "cpu/cpu.h"
#include "cpu/tsc.h"
#include "include/bits.h"

#define PM1_SCI_EN	BIT(0)
#define PM1_SLP_TYP(t)	((uint32_t)(t) << 10)
#define PM1_SLP_MASK	0x3c00u
#define PM1_SLP_EN	BIT(13)

#define PORT_RESET	0xcf9
#define PORT_KEYBOARD	0x64

#define PORT_DELAY	0x80	/* a read takes about a microsecond, whatever answers */

/* Before tsc_init the clock stands still: then by the bus. */
static void delay_ns(uint64_t ns)
{
	uint64_t end = clock_ns() + ns;

	if (!tsc_hz) {
		for (uint64_t i = 0; i < ns / 1000; i++)
			cpu_in8(PORT_DELAY);
		return;
	}
	while (clock_ns() < end)
		cpu_pause();
}

/* Leaves the firmware's legacy mode, in which soft-off does nothing. */
static void enable_acpi_mode(void)
{
	const struct acpi_info *a = &acpi_info;

	if (cpu_in16(a->pm1a_control) & PM1_SCI_EN || !a->smi_command || !a->acpi_enable)
		return;
	cpu_out8(a->smi_command, a->acpi_enable);
	for (unsigned i = 0; i < 300 && !(cpu_in16(a->pm1a_control) & PM1_SCI_EN); i++)
		delay_ns(1000000);
}

static void sleep_now(uint16_t port, uint8_t type)
{
	uint32_t v = cpu_in16(port) & ~PM1_SLP_MASK;

	v |= PM1_SLP_TYP(type);
	cpu_out16(port, (uint16_t)v);
	cpu_out16(port, (uint16_t)(v | PM1_SLP_EN));
}

void acpi_poweroff(void)
{
	const struct acpi_info *a = &acpi_info;

	if (!a->s5 || !a->pm1a_control)
		return;
	enable_acpi_mode();
	sleep_now(a->pm1a_control, a->s5_a);
	if (a->pm1b_control)
		sleep_now(a->pm1b_control, a->s5_b);
	delay_ns(1000000000);
}

/* Through a port only: the other kinds would need a mapping, and real machines use a port. */
void acpi_reset(void)
{
	const struct acpi_register *r = &acpi_info.reset;

	if (r->address && r->address <= 0xffff && r->space == ACPI_SPACE_IO) {
		cpu_out8((uint16_t)r->address, acpi_info.reset_value);
		delay_ns(100000000);
	}
	cpu_out8(PORT_RESET, 0x02);
	cpu_out8(PORT_RESET, 0x06);
	delay_ns(100000000);
	cpu_out8(PORT_KEYBOARD, 0xfe);
	delay_ns(100000000);
}
