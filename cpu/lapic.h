/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: the chip's local APIC, xAPIC or x2APIC, one of them on all CPUs. Each drives its own.
 * Source: Intel SDM 3, "Advanced Programmable Interrupt Controller (APIC)".
 */
#pragma once

#include "include/addr.h"

/*
 * Boot CPU: chooses the mode. x2APIC is used if it is wanted (unless the command line has another
 * wish) and the CPU has it, and in any case where firmware left it on: the way back may be locked.
 * Returns where the registers lie, a page that lapic_set_window() is to be told once it is mapped,
 * uncached; 0: they are MSRs.
 */
hpa_t lapic_init(bool want_x2apic) must_check;
void lapic_set_window(volatile void *window);
/*
 * Every CPU: enables, spurious and error vectors, LVTs. -ENODEV when firmware left this one, but
 * not the boot CPU, in x2APIC mode and xAPIC is used.
 */
int lapic_cpu_init(void) must_check;
void lapic_eoi(void);
uint32_t lapic_id(void);		/* of this CPU */
void lapic_send(uint32_t apic_id, uint32_t icr_low);
/*
 * One-shot: fires `ns` after the TSC showed `tsc`, which it did just now. The LAPIC timer in
 * TSC-deadline mode where it exists, else calibrated ticks; when they are more than its counter
 * holds it fires sooner.
 */
void lapic_timer_set(uint64_t tsc, uint64_t ns);
void lapic_timer_stop(void);
bool lapic_is_x2apic(void);
bool lapic_is_ready(void);		/* the boot CPU's is on */
uint32_t lapic_id_of(unsigned cpu);	/* by CPU index */
/* Boot CPU, once tsc_init() has run: how fast the timer counts. */
void lapic_timer_calibrate(void);
