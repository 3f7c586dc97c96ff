/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Weak stand-ins for what the first boot code calls and does not exist yet; each goes when the real one comes.
 */
#include "cpu/cpu.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "kernel/timer.h"
#include "kernel/trace.h"
#include "kernel/work.h"

#define PENDING __attribute__((weak)) noinline

PENDING struct thread *thread_current(void) { return NULL; }
PENDING const char *thread_name(const struct thread *t) { (void)t; return "?"; }
PENDING void trace_dump(unsigned count, void (*print)(const char *line)) { (void)count; (void)print; }

PENDING void sched_init(void) { }
PENDING void timer_cpu_init(void) { }
PENDING void work_start(void) { }

PENDING void sched_start_ap(void)
{
	for (;;)
		cpu_halt();
}
