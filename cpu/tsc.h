/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: host time. The TSC, calibrated at boot against HPET or the PM timer (PIT as a last resort), checked between cores;
 * clock_ns() is monotonic on all CPUs from tsc_init on. Conversions are multiply and shift.
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

void tsc_init(void);
/* Measured at boot between CPU 0 and `cpu`, in ticks; shown by nodeinfo. */
int64_t tsc_skew(unsigned cpu);
extern bool tsc_invariant;
