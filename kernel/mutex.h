/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: sleeping locks and condition waits, thread context only. FIFO; remember their
 * holder; may be held across waits and gmem. Levels as for spinlocks: all mutexes come before
 * all spinlocks.
 */
#pragma once

#include "cpu/spinlock.h"
#include "include/list.h"

struct thread;

struct mutex {
	struct spinlock lock;
	struct thread *holder;
	struct list waiters;
};

void mutex_init(struct mutex *m, const char *name);
void mutex_lock(struct mutex *m);
void mutex_unlock(struct mutex *m);
bool mutex_held(const struct mutex *m);		/* by the current thread */

/* A place to wait for a condition that a mutex does not guard. */
struct waitq {
	struct spinlock lock;
	struct list waiters;
};

void waitq_init(struct waitq *q);
void waitq_wake_all(struct waitq *q);		/* any context */
/* Internal halves of WAITQ_WAIT. */
struct waitq_entry { struct list link; struct thread *thread; };
void waitq_enter(struct waitq *q, struct waitq_entry *e);
void waitq_leave(struct waitq *q, struct waitq_entry *e);

/* Waits until `cond` is true or the deadline passes; the value is the condition's last one. */
#define WAITQ_WAIT(q, cond, deadline_ns) ({						\
	struct waitq_entry entry_;							\
	bool met_;									\
	waitq_enter((q), &entry_);							\
	for (;;) {									\
		thread_prepare();							\
		met_ = (cond);								\
		if (met_ || !thread_wait(deadline_ns)) {				\
			if (!met_)							\
				met_ = (cond);						\
			break;								\
		}									\
	}										\
	waitq_leave((q), &entry_);							\
	met_;										\
})
