/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HPET: three registers are used, capabilities (period), configuration (enable) and the main
 * counter. A counter of 64 bits is read as one; where the chip has 32, the upper half is masked.
 * Set up by the boot CPU, read by any.
 * Source: IA-PC HPET Specification 1.0a, "Register Definitions".
 */
#include "drivers/hpet.h"

#include "cpu/cpu.h"
#include "include/bits.h"
#include "include/errno.h"
#include "mm/kmap.h"

#define HPET_CAPABILITIES	0x00
#define HPET_CONFIGURATION	0x10
#define HPET_COUNTER		0xf0

#define HPET_REVISION		BITS(7, 0)	/* never 0 */
#define HPET_COUNTER_64		BIT(13)
#define HPET_ENABLE		BIT(0)
#define HPET_PERIOD_MAX		100000000u	/* femtoseconds: at least 10 MHz */
#define HPET_STILL_READS	10000		/* more than 100 ns each */
#define FEMTO			1000000000000000ul

static uint8_t *registers;
static uint64_t hz, mask;

static volatile uint64_t *at(unsigned offset)
{
	return (volatile uint64_t *)(registers + offset);
}

/* Physical page 0 and a bus where nothing answers look like none of this. */
static bool is_hpet(uint64_t capabilities)
{
	uint64_t period = capabilities >> 32;

	return capabilities & HPET_REVISION && period && period <= HPET_PERIOD_MAX;
}

/* Lets it count; false, and all as it was, when it stands still. */
static bool start(void)
{
	uint64_t before = *at(HPET_CONFIGURATION), first;

	*at(HPET_CONFIGURATION) = before | HPET_ENABLE;
	first = *at(HPET_COUNTER);
	for (unsigned i = 0; i < HPET_STILL_READS; i++) {
		if (*at(HPET_COUNTER) != first)
			return true;
		cpu_pause();
	}
	*at(HPET_CONFIGURATION) = before;
	return false;
}

int hpet_init(hpa_t base)
{
	uint64_t capabilities;

	if (!base.v)
		return -ENODEV;
	registers = kmap_io(base, 1024, CACHE_UC);
	if (!registers)
		return -ENOMEM;
	capabilities = *at(HPET_CAPABILITIES);
	if (!is_hpet(capabilities) || !start()) {
		kmap_io_unmap(registers, 1024);
		registers = NULL;
		return -ENODEV;
	}
	hz = FEMTO / (capabilities >> 32);
	mask = capabilities & HPET_COUNTER_64 ? ~0ul : 0xffffffff;
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
