/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mutexes and wait queues. A mutex is handed on: the one who unlocks makes the first waiter its
 * holder before he wakes him, so nobody is overtaken and a woken waiter never finds it taken.
 *
 * Locking: the inner spinlock of each (LOCK_WAIT, irq-safe). Threads are woken under it, which
 * takes run-queue locks (LOCK_SCHED); a waiter's entry lives on its stack, and it leaves the list
 * under the same lock before it returns.
 */
#include "kernel/mutex.h"

#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/thread.h"

void mutex_init(struct mutex *m, const char *name)
{
	ASSERT(name);
	spin_init(&m->lock, name, LOCK_WAIT);
	m->holder = NULL;
	list_init(&m->waiters);
}

bool mutex_held(const struct mutex *m)
{
	return READ_ONCE(m->holder) == thread_current();
}

void mutex_lock(struct mutex *m)
{
	struct waitq_entry e = { .thread = thread_current() };
	uint64_t flags;

	ASSERT(!spin_held_count());
	flags = spin_lock_irq(&m->lock);
	ASSERT(m->holder != e.thread);
	if (!m->holder) {
		m->holder = e.thread;
		spin_unlock_irq(&m->lock, flags);
		return;
	}
	list_push_back(&m->waiters, &e.link);
	spin_unlock_irq(&m->lock, flags);
	for (;;) {
		thread_prepare();
		if (READ_ONCE(m->holder) == e.thread)
			break;
		(void)thread_wait(THREAD_FOREVER);
	}
	/* The one who handed it on may still be in there, with our entry in hand. */
	flags = spin_lock_irq(&m->lock);
	spin_unlock_irq(&m->lock, flags);
}

void mutex_unlock(struct mutex *m)
{
	uint64_t flags = spin_lock_irq(&m->lock);
	struct waitq_entry *e;

	ASSERT(mutex_held(m));
	if (list_empty(&m->waiters)) {
		m->holder = NULL;
	} else {
		e = list_first(&m->waiters, struct waitq_entry, link);
		list_remove(&e->link);
		WRITE_ONCE(m->holder, e->thread);
		thread_wake(e->thread);
	}
	spin_unlock_irq(&m->lock, flags);
}

void waitq_init(struct waitq *q)
{
	spin_init(&q->lock, "waitq", LOCK_WAIT);
	list_init(&q->waiters);
}

void waitq_wake_all(struct waitq *q)
{
	uint64_t flags = spin_lock_irq(&q->lock);
	struct waitq_entry *e;

	list_for_each(e, &q->waiters, link)
		thread_wake(e->thread);
	spin_unlock_irq(&q->lock, flags);
}

/* Gives way first: WAITQ_WAIT in a loop, on what is true already, must not keep the CPU. */
void waitq_enter(struct waitq *q, struct waitq_entry *e)
{
	uint64_t flags;

	ASSERT(thread_may_wait());
	sched_point();
	flags = spin_lock_irq(&q->lock);

	e->thread = thread_current();
	list_push_back(&q->waiters, &e->link);
	spin_unlock_irq(&q->lock, flags);
}

void waitq_leave(struct waitq *q, struct waitq_entry *e)
{
	uint64_t flags = spin_lock_irq(&q->lock);

	ASSERT(e->thread == thread_current());
	list_remove(&e->link);
	spin_unlock_irq(&q->lock, flags);
}
