/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Off and reset; see drivers/power.h.
 */
#include "drivers/power.h"

#include "cpu/cpu.h"
#include "drivers/acpi.h"
#include "drivers/pci.h"
#include "drivers/screen.h"
#include "drivers/uart.h"
#include "kernel/panic.h"

/*
 * The last means: an interrupt without a table to take it from is a shutdown, which every chipset
 * turns into reset.
 */
static void triple_fault(void)
{
	struct cpu_table nothing = { 0, 0 };

	cpu_lidt(&nothing);
	__asm__ volatile("int3");
}

/*
 * Every CPU has left VMX and SVM by now: INIT, which is what some of these means come down to, is
 * held back in VMX root operation and while GIF is clear.
 */
static void reboot_now(void)
{
	acpi_reset();
	triple_fault();
}

void power_init(void)
{
	panic_set_reboot(reboot_now);
}

void power_off(void)
{
	static const char by_hand[] =
		"power: this machine does not switch itself off; it is safe to do so by hand\n";

	pci_unbind();
	uart_flush();
	panic_stop_cpus();
	acpi_poweroff();
	uart_panic_print(by_hand);
	screen_panic_print(by_hand);
	cpu_stop();
}

void power_reboot(void)
{
	pci_unbind();
	uart_flush();
	panic_stop_cpus();
	reboot_now();
	cpu_stop();
}
