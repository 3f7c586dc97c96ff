/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Soft-off and reset of the machine by what its ACPI tables offer, and by older means where
 * they offer nothing (Bochs: FADT revision 1, no reset register). Any context, also panic: no
 * lock, no memory; registers in memory are mapped at boot for that. The reset and sleep registers
 * are a byte wide, in a port, in memory or in the configuration space of a device on bus 0.
 * Source: ACPI Specification 6.4, "PM1 Control Registers", "Reset Register", "Sleep Control and
 * Status Registers"; Intel ICH9 datasheet, "Reset Control Register" (port 0xcf9).
 */
#include "drivers/acpi.h"

#include "cpu/cpu.h"
#include "cpu/tsc.h"
#include "include/bits.h"
#include "kernel/log.h"
#include "mm/kmap.h"

#define PM1_SCI_EN	BIT(0)
#define PM1_SLP_TYP(t)	((uint32_t)(t) << 10)
#define PM1_SLP_MASK	0x3c00u
#define PM1_SLP_EN	BIT(13)

#define SLEEP_TYPE(t)	((uint32_t)(t) << 2)
#define SLEEP_ENABLE	BIT(5)

#define PORT_RESET	0xcf9
#define PORT_PCI	0xcf8	/* address; data is 4 further */
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

static volatile uint8_t *reset_mapped, *sleep_mapped;

static volatile uint8_t *map_register(const struct acpi_register *r)
{
	return r->address && r->space == ACPI_SPACE_MEMORY ? kmap_io(HPA(r->address), 1, CACHE_UC)
							   : NULL;
}

void acpi_power_init(void)
{
	reset_mapped = map_register(&acpi_info.reset);
	sleep_mapped = map_register(&acpi_info.sleep);
	if (acpi_info.found && !acpi_can_poweroff())
		log_warn("acpi: no way to switch this machine off");
}

/* Through the ports, and without their lock: nobody else runs any more. */
static void write_pci(uint64_t address, uint8_t v)
{
	uint32_t device = (uint32_t)FIELD(address, 36, 32), function = FIELD(address, 18, 16);
	uint32_t offset = (uint32_t)FIELD(address, 7, 0);

	cpu_out32(PORT_PCI, 0x80000000u | device << 11 | function << 8 | (offset & 0xfc));
	cpu_out8((uint16_t)(PORT_PCI + 4 + (offset & 3)), v);
}

/* False: there is no such register, or none that can be reached. */
static bool register_write(const struct acpi_register *r, volatile uint8_t *mapped, uint8_t v)
{
	if (!r->address)
		return false;
	if (mapped)
		*mapped = v;
	else if (r->space == ACPI_SPACE_IO && r->address <= 0xffff)
		cpu_out8((uint16_t)r->address, v);
	else if (r->space == ACPI_SPACE_PCI && !FIELD(r->address, 63, 37) &&
		 FIELD(r->address, 15, 0) <= 0xff)
		write_pci(r->address, v);
	else
		return false;
	return true;
}

bool acpi_can_poweroff(void)
{
	const struct acpi_info *a = &acpi_info;

	return a->s5 && (a->pm1a_control || sleep_mapped ||
			 (a->sleep.address && a->sleep.space == ACPI_SPACE_IO));
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

	if (!a->s5)
		return;
	if (register_write(&a->sleep, sleep_mapped,
			   (uint8_t)(SLEEP_TYPE(a->s5_a) | SLEEP_ENABLE)))
		delay_ns(1000000000);
	if (!a->pm1a_control)
		return;
	enable_acpi_mode();
	sleep_now(a->pm1a_control, a->s5_a);
	if (a->pm1b_control)
		sleep_now(a->pm1b_control, a->s5_b);
	delay_ns(1000000000);
}

void acpi_reset(void)
{
	if (register_write(&acpi_info.reset, reset_mapped, acpi_info.reset_value))
		delay_ns(100000000);
	cpu_out8(PORT_RESET, 0x02);
	cpu_out8(PORT_RESET, 0x06);
	delay_ns(100000000);
	cpu_out8(PORT_KEYBOARD, 0xfe);
	delay_ns(100000000);
}
