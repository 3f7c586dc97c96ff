/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other processors, running C in long mode on the boot processor's tables: interrupts off, the
 * same IDT, no task state (so ring 0 alone), 16 KiB of stack, eight of them at most. The page at
 * 0x8000 is where they begin.
 */
#pragma once

#include "tests/guest/lib/guest.h"

/*
 * Has each of them call fn(n), n from 1 on; gives how many came within a while. The local APIC is
 * on. Once a run.
 */
unsigned smp_start(void (*fn)(unsigned n));
unsigned smp_done(void);		/* whose fn has returned */
