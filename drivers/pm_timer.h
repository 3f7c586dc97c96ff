/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ACPI PM timer, 3.579545 MHz: the second choice for calibrating the TSC.
 * Source: Advanced Configuration and Power Interface Specification 6.4, "Power Management Timer".
 */
#pragma once

#include "include/compiler.h"

#define PM_TIMER_HZ 3579545

/* `port` and `bits` (24 or 32) are the FADT's. -ENODEV when there is none or it stands still. */
int pm_timer_init(uint16_t port, unsigned bits) must_check;
uint64_t pm_timer_read(void);
uint64_t pm_timer_mask(void);
