/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table of contents: what is brought up, in order, and nothing else. The only file that wires layers together.
 */
#include "kernel/main.h"

#include "boot/bootinfo.h"
#include "cpu/cpu.h"
#include "drivers/uart.h"

void kernel_main(void)
{
	uart_print("\nKeel\n");
	uart_print(bootinfo.loader ?: "unknown loader");
	uart_print("\n");
	cpu_stop();
}
