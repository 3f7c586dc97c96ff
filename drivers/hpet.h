/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The HPET's main counter, as a reference for calibration, and one comparator that ticks, where
 * the LAPIC's timer wants watching. Other timers are the LAPIC's.
 * Source: IA-PC HPET Specification 1.0a, "Hardware Overview".
 */
#pragma once

#include "cpu/irq.h"
#include "include/addr.h"

/*
 * Maps it and lets it count. -ENODEV when there is none (base 0), or when what is there is no HPET
 * or stands still.
 */
int hpet_init(hpa_t base) must_check;
uint64_t hpet_hz(void);		/* 0: not there */
uint64_t hpet_read(void);	/* wraps at hpet_mask() */
uint64_t hpet_mask(void);	/* 32 or 64 ones */
/*
 * `fn` is called on this CPU every `period_ns` (seconds at most), by an edge that wants no answer.
 * -ENODEV: there is no HPET, or no comparator of it that is periodic and can be routed. Once.
 */
int hpet_tick_start(uint64_t period_ns, irq_handler *fn) must_check;
