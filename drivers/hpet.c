/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HPET: three registers are used, capabilities (period), configuration (enable) and the main
 * counter. A counter of 64 bits is read as one; where the chip has 32, the upper half is masked.
 * Set up by the boot CPU, read by any.
 * Source: IA-PC HPET Specification 1.0a, "Register Definitions".
 */
#include "drivers/hpet.h"

#include "include/bits.h"
#include "include/errno.h"
#include "mm/kmap.h"

#define HPET_CAPABILITIES	0x00
#define HPET_CONFIGURATION	0x10
#define HPET_COUNTER		0xf0

#define HPET_COUNTER_64		BIT(13)
#define HPET_ENABLE		BIT(0)
#define HPET_PERIOD_MAX		100000000u	/* femtoseconds: at least 10 MHz */
#define FEMTO			1000000000000000ul

static uint8_t *registers;
static uint64_t hz, mask;

static volatile uint64_t *at(unsigned offset)
{
	return (volatile uint64_t *)(registers + offset);
}

int hpet_init(hpa_t base)
{
	uint64_t capabilities, period;

	registers = kmap_io(base, 1024, CACHE_UC);
	if (!registers)
		return -ENOMEM;
	capabilities = *at(HPET_CAPABILITIES);
	period = capabilities >> 32;
	if (!period || period > HPET_PERIOD_MAX) {
		kmap_io_unmap(registers, 1024);
		registers = NULL;
		return -ENODEV;
	}
	hz = FEMTO / period;
	mask = capabilities & HPET_COUNTER_64 ? ~0ul : 0xffffffff;
	*at(HPET_CONFIGURATION) |= HPET_ENABLE;
	return 0;
}

uint64_t hpet_hz(void)
{
	return hz;
}

uint64_t hpet_read(void)
{
	return *at(HPET_COUNTER) & mask;
}

uint64_t hpet_mask(void)
{
	return mask;
}
