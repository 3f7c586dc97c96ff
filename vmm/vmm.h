/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Choosing the back end and switching every CPU over to it.
 */
#pragma once

#include "vmm/ops.h"

/*
 * Boot CPU, before the others start. Takes the first back end that this machine has; without one,
 * fatal_boot says why.
 */
void vmm_init(const struct vmm_ops *const *backends, unsigned count);
/*
 * This CPU, then. What the back end's cpu_enable says when it fails: this CPU must run no vCPU, and
 * as threads go everywhere, no thread.
 */
int vmm_cpu_enable(void) must_check;
/* For the end of this CPU: any context, also an NMI's, interrupts off; its guests cannot go on. */
void vmm_cpu_disable(void);
bool vmm_cpu_on(unsigned cpu);
