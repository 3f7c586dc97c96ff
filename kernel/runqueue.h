/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queue of one CPU, for kernel/sched.c and kernel/placement.c: the threads that wait for the
 * CPU, ordered by virtual time, and the account of who had it. Its lock guards it but for what its
 * own CPU changes with interrupts off: see the head of kernel/sched.c.
 */
#pragma once

#include "cpu/percpu.h"
#include "cpu/spinlock.h"
#include "kernel/cpu_map.h"
#include "kernel/thread_struct.h"

struct runqueue {
	struct spinlock lock;
	struct thread *current;
	struct thread *idle_thread;
	struct thread *left;		/* has made its last switch here: see finish_switch() */
	struct tree tree;		/* threads that wait for this CPU */
	unsigned waiting;		/* how many */
	unsigned movable;		/* of them not pinned */
	unsigned restricted;		/* of these to some CPUs */
	uint64_t load;			/* their shares */
	uint64_t running;		/* the share of `current` */
	bool grouped;			/* `current` belongs to a group */
	bool idling;			/* `current` halts in place */
	uint64_t min_vtime;		/* the queue's clock */
	uint64_t since;			/* TSC up to which time is accounted */
	uint64_t group_since;		/* the clock of the current thread's group then */
	uint64_t switched;		/* TSC when `current` came */
	struct timer slice;
	uint64_t balanced_ns;
	unsigned looked;		/* at which other CPU placement_balance() goes on to look */

	uint64_t busy_ticks, idle_ticks, switches, steals;
};

extern struct runqueue runqueue;	/* PERCPU */
/* The CPUs in whose queues threads wait that others may take: follows them under their locks. */
extern struct cpu_map runqueue_movable;

void runqueue_init(void);			/* once, before the first of them */
void runqueue_start(struct runqueue *q, struct thread *current);	/* on its own CPU */

/* The time since the last call, to whoever had it. */
void runqueue_account(struct runqueue *q, uint64_t now);
/* From now on, to which q is accounted, `current` runs, which belongs to this group. */
static inline void runqueue_resume(struct runqueue *q, const struct sched_group *group)
{
	WRITE_ONCE(q->group_since, sched_group_clock(group, q->since));
}

/* Likewise, which nobody had. */
static inline void runqueue_account_idle(struct runqueue *q, uint64_t now)
{
	q->idle_ticks += now - q->since;
	q->since = now;
}

/*
 * The thread leaves `from`, which is locked, for `to`, keeping its lead over the queue's clock, or
 * as much of its lag as runqueue_add() would leave it: one that slept for days lags by more than
 * `to`'s clock has ever shown.
 */
void runqueue_translate(struct thread *t, struct runqueue *from, const struct runqueue *to);

/*
 * Locked. The thread becomes THREAD_READY. It comes from elsewhere or has waited: the queue's clock
 * says how far it may lag.
 */
void runqueue_add(struct runqueue *q, struct thread *t);
void runqueue_remove(struct runqueue *q, struct thread *t);
/* Takes `next` out for `t`, which has just run, up to what q is accounted to. */
void runqueue_exchange(struct runqueue *q, struct thread *next, struct thread *t);

/* The one whose turn it is, or NULL. */
static inline struct thread *runqueue_first(const struct runqueue *q)
{
	struct tree_node *n = tree_first(&q->tree);

	return n ? tree_entry(n, struct thread, node) : NULL;
}

/*
 * `t`, which belongs to a group, gives this CPU up. What one of a group's threads has run the
 * others shall not have again by taking turns at sleeping: whoever of the group comes into the
 * queue stands behind it. The group's own virtual time advances by what its threads run here, not
 * far beyond theirs, which have advanced with the queue's clock where they ran alone. It is kept
 * for the CPU where the last of them gave way.
 */
void runqueue_charge_group(struct thread *t);

/*
 * Of those whose turn comes soonest, the first that may run on CPU `cpu` and whose share is `most`
 * at most, or NULL. All come there, so a few are looked at.
 */
struct thread *runqueue_first_fit(struct runqueue *q, unsigned cpu, uint64_t most);
/*
 * Likewise the one of them that has been here longest; NULL if that is the one which runs: its turn
 * comes when it waits.
 */
struct thread *runqueue_eldest_fit(struct runqueue *q, unsigned cpu, uint64_t most);

/* Where those of them that could go elsewhere may run; false: there are none. */
bool runqueue_reach(struct runqueue *q, struct cpu_set *reach);

/* Threads that want the CPU, the running one included. */
static inline unsigned runqueue_count(const struct runqueue *q)
{
	return READ_ONCE(q->waiting) + !READ_ONCE(q->idling);
}

/*
 * What they would get of a CPU that had enough for all: a lone thread of weight 1024 is
 * RUNQUEUE_UNIT, one of N of a group an Nth of that. From any CPU. A share is as old as the
 * thread's last turn; one that has no company has none, so it is asked for anew.
 */
#define RUNQUEUE_UNIT	(THREAD_WEIGHT << 10)
void runqueue_refresh(struct runqueue *q);
static inline uint64_t runqueue_load(struct runqueue *q)
{
	if (READ_ONCE(q->grouped) && !READ_ONCE(q->waiting))
		runqueue_refresh(q);
	return READ_ONCE(q->load) + (READ_ONCE(q->idling) ? 0 : READ_ONCE(q->running));
}

/* `cpu` has something new in its queue. */
void runqueue_notify(unsigned cpu);

/*
 * The queue being accounted: shall `t`, which runs, give way to the first that waits? Somebody
 * does.
 */
bool runqueue_slice_over(const struct runqueue *q, const struct thread *t);
static inline bool runqueue_capped(const struct thread *t)
{
	return t->group && sched_group_capped(t->group);
}

/*
 * For when that will be so of `t`, which runs or is about to, or its cap used up: if somebody
 * waits, or it has one. Its own CPU's queue.
 */
void runqueue_arm_slice(struct runqueue *q, struct thread *t);
/* Likewise for the cap alone, which it has; the queue need not be locked. */
void runqueue_arm_cap(struct runqueue *q, struct thread *t);
