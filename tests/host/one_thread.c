/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads for tests that have none: everything runs in the test's own. A mutex taken twice is a
 * deadlock and aborts, unless host_contended (what its holder does meanwhile) releases it; a wait
 * runs host_wait (what the other threads would do meanwhile) and times out when that changes
 * nothing. host_prepare is what they do between a thread's preparing to wait and its waiting, and
 * host_points counts how often a thread has given way.
 */
#include "kernel/cpu_set.h"
#include "kernel/mutex.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/thread.h"

void (*host_wait)(void), (*host_prepare)(void);
unsigned host_points;
unsigned host_waits;	/* since a test has set it to 0: so many are for ever */
void (*host_thread_entry)(void *arg);	/* of the thread created last; the test may run it */

static char me;

struct thread *thread_current(void)
{
	return (struct thread *)&me;
}

struct thread *thread_create(const struct thread_attr *attr)
{
	host_thread_entry = attr->entry;
	return (struct thread *)&me;
}

void *host_argument;			/* of the thread that runs, where a test wants one */

void *thread_argument(void (*entry)(void *arg))
{
	(void)entry;
	return host_argument;
}

void thread_start(struct thread *t)
{
	(void)t;
}

void thread_put(struct thread *t)
{
	(void)t;
}

struct sched_group *host_charged;	/* to whom what runs now is charged */

struct sched_group *thread_charge(struct sched_group *g)
{
	struct sched_group *before = host_charged;

	host_charged = g;
	return before;
}

static struct cpu_set affinity;		/* of all threads; a test's own is none of them */
unsigned host_moves;			/* calls of sched_move() */

void thread_affinity_set(struct thread *t, const struct cpu_set *allowed)
{
	(void)t;
	affinity = *allowed;
}

void thread_affinity_get(const struct thread *t, struct cpu_set *allowed)
{
	(void)t;
	*allowed = affinity;
}

uint64_t host_capped_until;

uint64_t sched_capped_until(void)
{
	return host_capped_until;
}

void thread_sched_follow(struct thread *t)
{
	(void)t;
}

void sched_move(void)
{
	host_moves++;
}

void thread_prepare(void)
{
	if (host_prepare)
		host_prepare();
}

/* Whoever waits without a deadline waits until its condition holds, if a test brings that about. */
bool thread_wait(uint64_t deadline_ns)
{
	if (!host_wait)
		return false;
	host_wait();
	if (++host_waits > 10000)
		panic("waits for ever");
	return deadline_ns == THREAD_FOREVER;
}

void thread_sleep_ns(uint64_t ns)
{
	(void)ns;
	if (host_wait)
		host_wait();
}

void sched_point(void)
{
	host_points++;
}

void mutex_init(struct mutex *m, const char *name)
{
	(void)name;
	*m = (struct mutex){ .holder = NULL };
}

void (*host_contended)(struct mutex *m);

void mutex_lock(struct mutex *m)
{
	if (m->holder && host_contended)
		host_contended(m);
	if (m->holder)
		panic("a mutex is taken twice");
	m->holder = thread_current();
}

void mutex_unlock(struct mutex *m)
{
	if (!m->holder)
		panic("a mutex is released that nobody holds");
	m->holder = NULL;
}

bool mutex_held(const struct mutex *m)
{
	return m->holder;
}

void waitq_init(struct waitq *q)
{
	(void)q;
}

void waitq_wake_all(struct waitq *q)
{
	(void)q;
}

void waitq_enter(struct waitq *q, struct waitq_entry *e)
{
	(void)q;
	(void)e;
}

void waitq_leave(struct waitq *q, struct waitq_entry *e)
{
	(void)q;
	(void)e;
}
