/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * State behind tests/host/cpu/tsc.h.
 */
#include "cpu/tsc.h"

uint64_t host_tsc;
int64_t host_tsc_skew;
uint64_t tsc_hz = 1000000000, tsc_base;
uint64_t tsc_to_ns_mult = 1ul << 32, tsc_from_ns_mult = 1ul << 32;
bool tsc_invariant = true, tsc_synchronised = true;
