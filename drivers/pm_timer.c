/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ACPI PM timer; see drivers/pm_timer.h.
 */
#include "drivers/pm_timer.h"

#include "cpu/cpu.h"
#include "include/bits.h"

#define STILL_READS 10000

static uint16_t timer_port;
static unsigned timer_bits = 24;

uint64_t pm_timer_mask(void)
{
	return BITS(timer_bits - 1, 0);
}

uint64_t pm_timer_read(void)
{
	return cpu_in32(timer_port) & pm_timer_mask();
}

int pm_timer_init(uint16_t port, unsigned bits)
{
	uint64_t first;

	if (!port)
		return -ENODEV;
	timer_port = port;
	timer_bits = bits == 32 ? 32 : 24;
	first = pm_timer_read();
	for (unsigned i = 0; i < STILL_READS; i++)
		if (pm_timer_read() != first)
			return 0;
	return -ENODEV;
}
