/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host time behind cpu/tsc.h: a TSC of 1 GHz, so that a tick of it is a nanosecond.
 */
#include "cpu/tsc.h"

uint64_t tsc_hz = 1000000000, tsc_base;
uint64_t tsc_to_ns_mult = 1ul << 32, tsc_from_ns_mult = 1ul << 32;
bool tsc_invariant = true;
