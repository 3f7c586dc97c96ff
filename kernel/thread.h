/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: threads of the kernel; each vCPU is one. Not preempted: a thread gives way at waits, at
 * sched_point() and at its end. Waiting never loses a wake-up: thread_prepare(), check the
 * condition, thread_wait(); a thread_wake() after the prepare makes the wait return at once.
 * Interrupts are on in threads.
 */
#pragma once

#include "cpu/cpu.h"
#include "cpu/spinlock.h"

struct thread;
struct sched_group;

struct thread_attr {
	const char *name;		/* copied, 31 characters */
	void (*entry)(void *arg);
	void *arg;
	int cpu;			/* pinned to this CPU, or -1: anywhere */
	unsigned weight;		/* share of CPU time; 0 = the default, 1024 */
	struct sched_group *group;	/* whose weight counts then; NULL: none */
	/*
	 * Called with interrupts off when another thread is about to run on the CPU where this
	 * one ran last: put state that only lives in the CPU (guest FPU, VMCS, MSRs) back into
	 * memory. May be NULL.
	 */
	void (*leave_cpu)(void *arg);
};

#define THREAD_FOREVER	(~0ull)

/* Not started yet; one reference for the caller. NULL when out of memory. */
struct thread *thread_create(const struct thread_attr *attr) must_check;
void thread_start(struct thread *t);
noreturn void thread_exit(void);
/* Waits for its end and drops the caller's reference. */
void thread_join(struct thread *t);
void thread_put(struct thread *t);

/*
 * From now on it may run on these alone, one of which there is at least. One that runs elsewhere
 * goes when it calls sched_move(), or when it has slept.
 */
struct cpu_set;
void thread_affinity_set(struct thread *t, const struct cpu_set *allowed);
void thread_affinity_get(const struct thread *t, struct cpu_set *allowed);

/* It gets its group's weight and cap of each thread, which have changed. */
void thread_sched_follow(struct thread *t);

struct thread *thread_current(void);
/* What the current thread was given, if it began with `entry`; else NULL. */
void *thread_argument(void (*entry)(void *arg));
const char *thread_name(const struct thread *t);

/* Interrupts are on and no spinlock is held: for ASSERT. */
static inline bool thread_may_wait(void)
{
	return cpu_irq_enabled() && !spin_held_count();
}

void thread_prepare(void);
/*
 * Gives up the CPU until woken or clock_ns() >= deadline (THREAD_FOREVER: none); false on timeout.
 */
bool thread_wait(uint64_t deadline_ns);
/* Any context. A thread that is running or about to wait is remembered as woken. */
void thread_wake(struct thread *t);
void thread_sleep_ns(uint64_t ns);

/*
 * From now on a group owes the time that the current thread, which is in none, runs (NULL: nobody
 * does). Takes over the reference to it, and returns that to whom it was before.
 */
struct sched_group *thread_charge(struct sched_group *g);

/* TSC ticks it has spent running, up to now. */
uint64_t thread_run_ticks(const struct thread *t);
uint64_t thread_wait_ticks(const struct thread *t);	/* runnable but not running */
int thread_cpu(const struct thread *t);			/* where it runs or ran last */
