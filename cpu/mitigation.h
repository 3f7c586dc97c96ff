/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is done against processors that leak by speculation: from host to guest and from guest to
 * guest. Decided once at boot, by what the chip says of itself; nodeinfo shows it, and which holes
 * stay open. The beds do not speculate: nothing is done there.
 * Sources: Intel, "Speculative Execution Side Channel Mitigations", "L1 Terminal Fault",
 * "Microarchitectural Data Sampling", "Post-barrier Return Stack Buffer Predictions"; AMD,
 * "Software Techniques for Managing Speculation on AMD Processors".
 */
#pragma once

#include "include/compiler.h"

/* Read by the world switches: VERW before an entry, the return stack filled after an exit. */
extern uint8_t mitigation_verw, mitigation_fill;

/* Boot CPU, after errata_init(). */
void mitigation_init(void);
/* After that. return_stack=fill: what chips that leak by it pay, for tools/bench. */
void mitigation_take_options(void);
void mitigation_cpu_init(void);		/* every CPU, after that */
/*
 * A vCPU of this VM (struct vm.serial) is to run on this CPU, where another thread ran before.
 * Interrupts off or GIF clear.
 */
void mitigation_vm_load(uint64_t vm);
void mitigation_describe(char *buf, size_t size);
