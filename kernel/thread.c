/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads: their making, waiting and end. A thread holds a reference on itself until it has left
 * its stack for good; the last to let go frees it, in thread context (a dead thread whose last
 * reference was its own is freed by a worker, since freeing a stack waits for other CPUs).
 *
 * Locking: none of its own. `refs`, `woken` and `finished` are atomic; the rest is
 * kernel/sched.c's.
 */
#include "kernel/thread.h"

#include "cpu/cpu.h"
#include "cpu/spinlock.h"
#include "include/bits.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/thread_struct.h"
#include "kernel/trace.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "mm/kmap.h"

#define WEIGHT_MIN	2u
#define WEIGHT_MAX	(1u << 20)

static void timed_out(struct timer *timer);
static void reap(struct work *w);

void thread_setup(struct thread *t, const struct thread_attr *attr)
{
	unsigned weight = attr->group ? attr->group->weight : attr->weight;

	*t = (struct thread){
		.state = THREAD_NEW, .refs = 1, .entry = attr->entry,
		.arg = attr->arg, .leave_cpu = attr->leave_cpu, .group = attr->group,
	};
	str_copy(t->name, attr->name, sizeof(t->name));
	if (attr->cpu < 0) {
		cpu_set_fill(&t->allowed);
		t->mobility = THREAD_FREE;
	} else {
		cpu_set_add(&t->allowed, (unsigned)attr->cpu);
	}
	t->weight = weight ? MIN(MAX(weight, WEIGHT_MIN), WEIGHT_MAX) : THREAD_WEIGHT;
	t->per_tick = ((uint64_t)THREAD_WEIGHT << 32) / t->weight;
	if (attr->group)
		t->cap = attr->group->each;
	waitq_init(&t->exited);
	timer_init(&t->timer, timed_out);
	work_init(&t->reap, reap);
}

struct thread *thread_create(const struct thread_attr *attr)
{
	struct thread *t = heap_alloc(sizeof(*t));

	ASSERT(attr->name && attr->entry && attr->cpu < (int)cpu_count);
	if (!t)
		return NULL;
	thread_setup(t, attr);
	t->stack = kmap_stack_alloc(THREAD_STACK_PAGES);
	if (!t->stack) {
		heap_free(t);
		return NULL;
	}
	t->sp = switch_prepare(t->stack);
	return t;
}

void thread_start(struct thread *t)
{
	ASSERT(t->state == THREAD_NEW);
	__atomic_add_fetch(&t->refs, 1, __ATOMIC_RELAXED);	/* its own */
	sched_add(t);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void thread_free(struct thread *t)
{
	timer_cancel_sync(&t->timer);
	if (!t->stack)
		return;		/* began as boot code: neither it nor its stack came from here */
	kmap_stack_free(t->stack);
	heap_free(t);
}

static void reap(struct work *w)
{
	thread_free(container_of(w, struct thread, reap));
}

static bool drop(struct thread *t)
{
	ASSERT(t->refs);
	return !__atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL);
}

void thread_put(struct thread *t)
{
	if (drop(t))
		thread_free(t);
}

void thread_left(struct thread *t)
{
	WRITE_ONCE(t->state, THREAD_DEAD);
	if (drop(t))
		work_queue(&t->reap);
}

void thread_exit(void)
{
	struct thread *t = thread_current();

	ASSERT(thread_may_wait());
	__atomic_store_n(&t->finished, true, __ATOMIC_RELEASE);
	waitq_wake_all(&t->exited);
	cpu_irq_disable();
	sched_exit();
}

void thread_join(struct thread *t)
{
	ASSERT(t != thread_current());
	(void)WAITQ_WAIT(&t->exited, __atomic_load_n(&t->finished, __ATOMIC_ACQUIRE),
			 THREAD_FOREVER);
	/* It has only its last switch before it; afterwards the stack is freed here and now. */
	while (__atomic_load_n(&t->refs, __ATOMIC_ACQUIRE) > 1 &&
	       READ_ONCE(t->state) != THREAD_DEAD) {
		cpu_pause();
		sched_point();
	}
	thread_put(t);
}

/* ---- waiting --------------------------------------------------------------------------------- */

void thread_prepare(void)
{
	/* A full barrier: the condition is read after it. */
	__atomic_exchange_n(&thread_current()->woken, WOKEN_NOT, __ATOMIC_SEQ_CST);
}

void thread_wake(struct thread *t)
{
	if (__atomic_exchange_n(&t->woken, WOKEN_EVENT, __ATOMIC_SEQ_CST) == WOKEN_NOT)
		sched_wake(t);
}

static void timed_out(struct timer *timer)
{
	struct thread *t = container_of(timer, struct thread, timer);
	unsigned not = WOKEN_NOT;

	if (__atomic_compare_exchange_n(&t->woken, &not, WOKEN_TIMEOUT, false, __ATOMIC_SEQ_CST,
					__ATOMIC_SEQ_CST))
		sched_wake(t);
}

/*
 * With a deadline. A late callback of an earlier wait may wake us too soon, and so may this one's,
 * run by a CPU whose clock is ahead of the one that we are on now: then wait on, with the timer set
 * anew.
 */
static noinline void wait_until(struct thread *t, uint64_t deadline_ns)
{
	unsigned woken;

	do {
		timer_set(&t->timer, deadline_ns);
		sched_wait(t);
		woken = WOKEN_TIMEOUT;
	} while (clock_ns() < deadline_ns &&
		 __atomic_compare_exchange_n(&t->woken, &woken, WOKEN_NOT, false, __ATOMIC_SEQ_CST,
					     __ATOMIC_SEQ_CST));
	timer_cancel(&t->timer);
}

bool thread_wait(uint64_t deadline_ns)
{
	struct thread *t = thread_current();
	uint64_t flags;

	ASSERT(!spin_held_count());
	if (unlikely(READ_ONCE(t->woken))) {
		sched_point();		/* every wait gives way, else a loop of waits may never */
		return true;
	}
	flags = cpu_irq_save();
	if (likely(deadline_ns == THREAD_FOREVER))
		sched_wait(t);
	else
		wait_until(t, deadline_ns);
	cpu_irq_restore(flags);
	return READ_ONCE(t->woken) == WOKEN_EVENT;
}

void thread_sleep_ns(uint64_t ns)
{
	uint64_t deadline = clock_ns() + ns;

	ASSERT(thread_may_wait());
	do
		thread_prepare();
	while (clock_ns() < deadline && thread_wait(deadline));
}

/* ---- what others may know -------------------------------------------------------------------- */

const char *thread_name(const struct thread *t)
{
	return t->name;
}

uint64_t thread_wait_ticks(const struct thread *t)
{
	uint64_t ticks = t->wait_ticks, now = tsc_read(), since = READ_ONCE(t->queued_at);

	if (READ_ONCE(t->state) == THREAD_READY && now > since)
		ticks += now - since;
	return ticks;
}

int thread_cpu(const struct thread *t)
{
	return (int)READ_ONCE(t->cpu);
}
