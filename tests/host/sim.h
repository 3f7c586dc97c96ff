/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine of several CPUs in one host thread, for tests of the real kernel/sched.c and
 * kernel/timer.c. Every CPU is a stack; the simulator runs one at a time, always the one whose next
 * event is earliest, and moves host_tsc to it. A CPU gives control back when it burns time, halts
 * or pauses, and at random when it takes a spinlock, so interleavings vary with the seed.
 * Interrupts (LAPIC timer, IPIs) are delivered when a CPU burns or halts with interrupts on.
 */
#pragma once

#include "include/compiler.h"

#define SIM_CPUS	8	/* of a machine made at random */
#define SIM_CPUS_MAX	256

/*
 * Starts `cpus` CPUs; CPU 0 runs main_fn as the thread "main". Returns when that does, or a
 * thread calls sim_finish.
 */
void sim_run(unsigned cpus, unsigned seed, void (*main_fn)(void));

void sim_finish(void);

/*
 * The current thread uses its CPU for so many ticks, coming to sched_point() whenever it is asked
 * to.
 */
void sim_burn(uint64_t ticks);
/* Likewise, but does not give way. */
void sim_spin(uint64_t ticks);
uint32_t sim_random(uint32_t limit);
/* How far each CPU's TSC is off the simulated time; 0 again after sim_run. */
extern int64_t sim_skew[SIM_CPUS_MAX];
/* Simulated time after which the test fails: something was lost. */
extern uint64_t sim_deadline;
extern uint64_t sim_ipis, sim_timer_interrupts, sim_timer_programs, sim_halts;
/* Blocks of the scheduler's code that each CPU has run: what its work costs, exactly. */
extern uint64_t sim_blocks[SIM_CPUS_MAX];
extern unsigned sim_heap_objects;	/* of heap_alloc and kmap_stack_alloc that live */
