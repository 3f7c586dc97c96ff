/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host stand-in for cpu/tsc.h: a clock of 1 GHz that only moves when the test moves host_tsc, so a
 * tick is a nanosecond. The CPU that is played reads it off by host_tsc_skew. Link
 * tests/host/tsc.c.
 */
#pragma once

#include "include/compiler.h"

extern uint64_t host_tsc;
extern int64_t host_tsc_skew;
extern uint64_t tsc_hz, tsc_base, tsc_to_ns_mult, tsc_from_ns_mult;
extern bool tsc_invariant, tsc_synchronised;

/* As in the real one, for the test of cpu/tsc.c itself. */
struct tsc_reference {
	const char *name;
	uint64_t hz, mask;
	uint64_t (*read)(void);
};

void tsc_add_reference(const struct tsc_reference *r);
void tsc_init(void);
bool tsc_skew_measure(unsigned cpu) must_check;
bool tsc_skew_answer(void) must_check;
int64_t tsc_skew(unsigned cpu);

static inline uint64_t tsc_read(void) { return host_tsc + (uint64_t)host_tsc_skew; }
static inline uint64_t tsc_to_ns(uint64_t ticks) { return ticks; }
static inline uint64_t tsc_from_ns(uint64_t ns) { return ns; }
static inline uint64_t clock_ns(void) { return tsc_read() - tsc_base; }
