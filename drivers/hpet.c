/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HPET: capabilities (period), configuration (enable) and the main counter, and for a tick one
 * comparator. A counter of 64 bits is read as one; where the chip has 32, the upper half is masked.
 * Set up by the boot CPU, read by any.
 * Source: IA-PC HPET Specification 1.0a, "Register Definitions".
 */
#include "drivers/hpet.h"

#include "cpu/cpu.h"
#include "drivers/wire.h"
#include "include/bits.h"
#include "include/errno.h"
#include "mm/kmap.h"

#define HPET_CAPABILITIES	0x00
#define HPET_CONFIGURATION	0x10
#define HPET_COUNTER		0xf0

#define HPET_REVISION		BITS(7, 0)	/* never 0 */
#define HPET_COUNTER_64		BIT(13)
#define HPET_ENABLE		BIT(0)
#define HPET_LEGACY		BIT(1)		/* comparators 0 and 1 replace PIT and RTC */
#define HPET_TIMER(n)		(0x100 + 0x20 * (n))
#define HPET_TIMER_VALUE	0x08
#define TIMER_LAST		23u		/* of those in the mapped 1 KiB */

#define TIMER_ENABLE		BIT(2)
#define TIMER_PERIODIC		BIT(3)
#define TIMER_CAN_PERIODIC	BIT(4)
#define TIMER_SET_VALUE		BIT(6)
#define TIMER_32		BIT(8)
#define TIMER_ROUTE(gsi)	((gsi) << 9)
#define GSI_ISA			BITS(15, 0)	/* wires with devices of their own */
#define GSI_RTC			BIT(8)		/* whose interrupt nobody uses */
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

/* ---- a tick ---- */

/* Comparators are written by halves, which every chip takes. */
static void timer_write(unsigned reg, uint64_t v)
{
	*(volatile uint32_t *)(registers + reg) = (uint32_t)v;
}

/* A periodic comparator, or -1. */
static int find_periodic(void)
{
	unsigned last = FIELD(*at(HPET_CAPABILITIES), 12, 8);

	for (unsigned i = 0; i <= MIN(last, TIMER_LAST); i++)
		if (*at(HPET_TIMER(i)) & TIMER_CAN_PERIODIC)
			return (int)i;
	return -1;
}

/*
 * Of the wires that the comparator can raise, the first that can be had; -1: none. Some name
 * all 24, the keyboard's too, and the first, which is no wire at all on a PC.
 */
static int route(unsigned timer, struct wire_user *u)
{
	uint64_t wires = *at(HPET_TIMER(timer)) >> 32 & (~GSI_ISA | GSI_RTC);

	for (; wires; wires &= wires - 1) {
		unsigned gsi = bit_lowest(wires);

		if (!wire_open(u, gsi, false, false))
			return (int)gsi;
	}
	return -1;
}

/* The first value sets the comparator, the second its period. */
static void start_periodic(unsigned timer, unsigned gsi, uint64_t ticks)
{
	unsigned reg = HPET_TIMER(timer);

	*at(HPET_CONFIGURATION) &= ~HPET_LEGACY;
	timer_write(reg, TIMER_ENABLE | TIMER_PERIODIC | TIMER_SET_VALUE | TIMER_32 |
		    TIMER_ROUTE(gsi));
	timer_write(reg + HPET_TIMER_VALUE, *at(HPET_COUNTER) + ticks);
	timer_write(reg + HPET_TIMER_VALUE, ticks);
}

static irq_handler *tick;

static bool interrupt(void *unused)
{
	tick(unused);
	return true;
}

int hpet_tick_start(uint64_t period_ns, irq_handler *fn)
{
	static struct wire_user user = { .name = "hpet", .fn = interrupt };
	int timer = registers ? find_periodic() : -1, gsi;

	if (timer < 0)
		return -ENODEV;
	tick = fn;
	gsi = route((unsigned)timer, &user);
	if (gsi < 0)
		return -ENODEV;
	start_periodic((unsigned)timer, (unsigned)gsi,
		       MIN(period_ns / 1000 * (hz / 1000) / 1000, 0x7ffffffful));
	return 0;
}
