/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starting the other CPUs, one after another, by INIT and SIPI. Boot CPU, thread context, after
 * kmap, LAPIC and TSC.
 * Source: Intel SDM 3, "Multiple-Processor (MP) Initialization".
 */
#pragma once

#include "include/compiler.h"

/*
 * Brings up the CPU with this APIC id (the boot CPU's own is passed over) with its block and stacks
 * on `node`. It gets the next index, runs `main` on its own stack with interrupts off, and is
 * counted in cpu_count when that calls smp_ap_ready(). -ENOSPC past CPU_MAX or without a low page,
 * -ERANGE for an id that only x2APIC can name, -ENOMEM, -ENODEV when it refused, -ETIMEDOUT when
 * it does not answer, -EBUSY when an earlier one did not and may still be about.
 */
int smp_start_cpu(uint32_t apic_id, int node, void (*main)(void)) must_check;

/* On the new CPU: it can take interrupts and calls now. Returns when it is counted. */
void smp_ap_ready(void);
/* Likewise instead: it cannot do what every CPU must, says why, and stops for good. */
noreturn void smp_ap_refuse(const char *fmt, ...) printf_like(1, 2);

/* Pages of each CPU's first stack (it becomes its idle thread's), and of each trap stack. */
#define SMP_STACK_PAGES		4
#define SMP_TRAP_STACK_PAGES	2

/*
 * This CPU's own stacks for NMI, #DF and #MC, with guard pages, in place of the boot CPU's
 * early one. -ENOMEM.
 */
int smp_trap_stacks_init(void) must_check;
