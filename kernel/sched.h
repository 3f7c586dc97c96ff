/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: the scheduler: per-CPU queues, fair by weight in virtual time, stealing when idle,
 * tickless: a slice timer runs only when another thread waits for the same CPU. Design and locking
 * at the head of kernel/sched.c.
 */
#pragma once

#include "cpu/percpu.h"

extern bool sched_wanted_flag;	/* PERCPU: someone else should run; set by timers and wake-ups */

/*
 * Should this thread give way soon? One load; the vCPU loop asks before every entry (with
 * interrupts off).
 */
static inline bool sched_wanted(void)
{
	return READ_ONCE(this_cpu(sched_wanted_flag));
}

/* Gives way if sched_wanted(). Thread context, no spinlock held. */
void sched_point(void);
/*
 * 0, or until when (clock_ns()) the current thread shall wait, because it or its group has used
 * what it may: see kernel/sched_group.h. It is told again by sched_wanted(). Thread context, no
 * spinlock held.
 */
uint64_t sched_capped_until(void);
/* To a CPU where the thread may run, if this is none: see thread_affinity_set(). Likewise. */
void sched_move(void);
/* To the back of the queue. */
void sched_yield(void);

void sched_init(void);			/* boot CPU: makes the running code the thread "main" */
noreturn void sched_start_ap(void);	/* an AP's boot stack becomes its idle thread */

struct sched_cpu_stats {
	uint64_t busy_ticks, idle_ticks;	/* TSC */
	uint64_t switches, steals;
	unsigned runnable;
};
void sched_stats_get(unsigned cpu, struct sched_cpu_stats *out);
