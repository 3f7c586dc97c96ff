/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: host time. The TSC, calibrated at boot against HPET or the PM timer (PIT as a last
 * resort), compared between cores and corrected where the chip allows; clock_ns() is monotonic on
 * each CPU from tsc_init on, and between them while tsc_synchronised. Conversions are multiply and
 * shift.
 */
#pragma once

#include "include/compiler.h"

extern uint64_t tsc_hz;
extern uint64_t tsc_base;		/* TSC at clock 0 */
extern uint64_t tsc_to_ns_mult;		/* ns = ticks * mult >> 32 */
extern uint64_t tsc_from_ns_mult;	/* ticks = ns * mult >> 32 */

static inline uint64_t tsc_read(void)
{
	return __builtin_ia32_rdtsc();
}

static inline uint64_t tsc_to_ns(uint64_t ticks)
{
	return (uint64_t)(((unsigned __int128)ticks * tsc_to_ns_mult) >> 32);
}

static inline uint64_t tsc_from_ns(uint64_t ns)
{
	return (uint64_t)(((unsigned __int128)ns * tsc_from_ns_mult) >> 32);
}

static inline uint64_t clock_ns(void)
{
	return tsc_to_ns(tsc_read() - tsc_base);
}

/*
 * A counter of known rate that counts up and wraps at `mask`, a block of ones. The best
 * is given first.
 */
struct tsc_reference {
	const char *name;
	uint64_t hz, mask;
	uint64_t (*read)(void);
};

/* Before tsc_init(), at most four; without any the PIT is used. */
void tsc_add_reference(const struct tsc_reference *r);
void tsc_init(void);
/*
 * The two sides of one measurement, at the same time: CPU 0 for `cpu`, and that CPU itself, which
 * sets its TSC right by TSC_ADJUST if it has it. Interrupts off. False when the other side does
 * not answer for a second.
 */
bool tsc_skew_measure(unsigned cpu) must_check;
bool tsc_skew_answer(void) must_check;
/* What is left between CPU 0 and `cpu`, in ticks; shown by nodeinfo. */
int64_t tsc_skew(unsigned cpu);
extern bool tsc_invariant;
/* No CPU that has started is measurably off CPU 0. */
extern bool tsc_synchronised;
