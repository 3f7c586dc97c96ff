/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host stand-in for cpu/tsc.h: a clock of 1 GHz that only moves when the test moves host_tsc, so a
 * tick is a nanosecond. Link tests/host/tsc.c.
 */
#pragma once

#include "include/compiler.h"

extern uint64_t host_tsc;
extern uint64_t tsc_hz, tsc_base, tsc_to_ns_mult, tsc_from_ns_mult;
extern bool tsc_invariant;

static inline uint64_t tsc_read(void) { return host_tsc; }
static inline uint64_t tsc_to_ns(uint64_t ticks) { return ticks; }
static inline uint64_t tsc_from_ns(uint64_t ns) { return ns; }
static inline uint64_t clock_ns(void) { return host_tsc - tsc_base; }
