/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a thread is, for kernel/thread.c and kernel/sched.c alone: thread.c makes and ends threads,
 * sched.c decides where and when they run. Everyone else sees kernel/thread.h.
 */
#pragma once

#include "cpu/tsc.h"
#include "kernel/cpu_set.h"
#include "kernel/mutex.h"
#include "kernel/sched_group.h"
#include "kernel/thread.h"
#include "kernel/timer.h"
#include "kernel/work.h"
#include "lib/tree.h"

#define THREAD_NAME_MAX		32
#define THREAD_STACK_PAGES	4
#define THREAD_WEIGHT		1024	/* the default, and the unit of virtual time */

enum thread_state {
	THREAD_NEW,
	THREAD_READY,		/* in a queue, or on its way from one to another */
	THREAD_RUNNING,
	THREAD_IDLING,		/* waits on its CPU, which has nothing else to do and halts under
				 * it */
	THREAD_WAITING,		/* waits, and its CPU was given to another */
	THREAD_DEAD,		/* has left its stack for good */
};

enum thread_woken { WOKEN_NOT, WOKEN_EVENT, WOKEN_TIMEOUT };

enum thread_mobility {
	THREAD_PINNED,		/* to one CPU */
	THREAD_RESTRICTED,	/* to some */
	THREAD_FREE,
};

struct thread {
	uintptr_t sp;			/* while it does not run; kernel/switch.asm */

	/* Scheduling. state, cpu, allowed, vtime: under the lock of the queue that `cpu` names. */
	enum thread_state state;
	unsigned woken;			/* enum thread_woken, atomic */
	unsigned cpu;			/* where it runs, ran last or is queued */
	struct cpu_set allowed;		/* where it may run */
	enum thread_mobility mobility;	/* of that */
	enum thread_mobility counted;	/* when it was last put into a queue */
	uint64_t vtime;			/* ticks run, scaled by weight; relative to its queue's */
	struct tree_node node;		/* in the queue, by vtime */
	unsigned weight;		/* its group's, if it has one */
	struct sched_group *group;
	struct sched_group *charge;	/* which owes what this one runs; of no group itself */
	struct sched_cap cap;		/* its own */
	uint64_t per_tick;		/* virtual time per TSC tick, 32.32 fixed point */
	uint64_t share;			/* of a queue's load, when it was last put into one */
	uint64_t run_ticks, wait_ticks;
	uint64_t charged_ticks;		/* of run_ticks, to its group */
	uint64_t queued_at;		/* TSC */
	uint64_t came_at;		/* TSC when it came to this CPU from another, or began */

	/* Life. */
	unsigned refs;			/* atomic: its own until it is dead, and its users' */
	void *stack;			/* top; NULL for threads that began as boot code */
	void (*entry)(void *arg);
	void *arg;
	void (*leave_cpu)(void *arg);
	bool finished;
	struct waitq exited;
	struct timer timer;		/* deadline of thread_wait */
	struct work reap;
	char name[THREAD_NAME_MAX];
};

/*
 * Saves the callee-saved registers and the stack pointer to *save_sp and goes on where
 * `sp` was saved.
 */
void switch_stacks(uintptr_t *save_sp, uintptr_t sp);
/* Where a new thread's first switch leads: calls sched_begin(), which does not return. */
void switch_begin(void);
noreturn void sched_begin(void);

/* The initial frame on a new stack; returns its stack pointer. */
uintptr_t switch_prepare(void *stack_top);

void thread_setup(struct thread *t, const struct thread_attr *attr);
/*
 * The last act of a dead thread's CPU on its behalf: drops the thread's own reference. Interrupts
 * off, no lock held.
 */
void thread_left(struct thread *t);

void sched_add(struct thread *t);	/* NEW to READY */
/* Until t->woken; `t` is the current thread; interrupts off. */
void sched_wait(struct thread *t);
void sched_wake(struct thread *t);	/* `woken` has just been set by the caller */
noreturn void sched_exit(void);		/* interrupts off */
