/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A back end without a chip, for tests of vmm/ as a whole: registers and segments are kept as they
 * are set, run() does nothing. With it come timers that fire when the test moves the clock
 * (fake_timers_run), and work that runs when asked (fake_work_run).
 */
#pragma once

#include "vmm/vm.h"

extern const struct vmm_ops fake_ops;
extern unsigned fake_ipis;
extern uint64_t fake_xcr0;			/* what the host switches on */

void fake_timers_run(void);	/* all whose deadline has come */
void fake_work_run(void);
extern void (*fake_join)(void);	/* in thread_join: what its thread still does */
/* tests/host/one_thread.c: in every wait, what the others do meanwhile */
extern void (*host_wait)(void);
/* Likewise: in mutex_lock, what the holder does until he releases it. */
extern void (*host_contended)(struct mutex *m);
extern unsigned host_heap_left;	/* tests/host/heap.c: allocations that still succeed */
