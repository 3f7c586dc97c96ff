/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scheduling groups: the threads of one group, a VM's, get together what one thread of its weight
 * would get alone.
 *
 * A group's clock advances by the number of its threads that want a CPU, times the ticks that pass;
 * the virtual time of a thread advances by its group's clock while it runs, instead of by the ticks
 * alone. So each of N runnable threads gets an Nth of the group's share: between groups first,
 * between a group's threads second, and no queue of queues is needed. As the clock is the integral
 * of the number, a thread pays for each moment what holds in that moment: waking or sleeping at the
 * right time gains nothing.
 *
 * Clock and number are one word, so that a change of the number is one atomic addition: the number
 * below, above it what the clock differs from number * TSC, modulo 2^54.
 *
 * What others run for a group, a VM's load or its end say, is owed by it: its threads pay for that
 * as if they had run it, each turn for SCHED_GROUP_PAYS times as long as it was at most, so that a
 * group in debt has a sixteenth of its share still. Who works for others is thus never held up on
 * their account.
 *
 * A cap is what may be run in each period, by all threads of a group or by each of them. What was
 * run beyond is taken off the next period's part, so that it holds whoever notices how late. It is
 * for the thread to keep: the scheduler asks it to give way when the time is used up, and
 * sched_capped_until() tells until when; only vCPUs ask, who hold nothing then.
 *
 * Who belongs to no group is one by itself. Any context; whoever sleeps or wakes writes the word.
 */
#pragma once

#include "cpu/spinlock.h"
#include "include/bits.h"

#define SCHED_GROUP_BITS	10u	/* a group has fewer than 1024 threads */
#define SCHED_GROUP_PAYS	15u
#define SCHED_GROUP_CAPPED	BIT(63)	/* in `owed`: there is a cap */

/* In TSC ticks. Of a group or a thread; the group's lock. */
struct sched_cap {
	uint64_t period, quota;		/* a quota of 0: there is none */
	uint64_t until;			/* TSC when the period ends */
	int64_t left;			/* of its quota */
};

struct sched_group {
	uint64_t word;			/* (a) */
	uint64_t owed;			/* (a) ticks, and the flag */
	uint32_t refs;			/* (a) */
	unsigned weight;		/* of each thread that is made */
	struct spinlock lock;		/* of the rest: see runqueue_charge_group() */
	struct sched_cap all, each;	/* of each thread that is made */
	unsigned cpu;
	uint64_t vtime;			/* relative to that CPU's queue */
};

/* One reference; a weight of 0: the default, as in struct thread_attr. NULL: no memory. */
struct sched_group *sched_group_create(unsigned weight) must_check;
/* NULL is fine. Whose threads are in it has a reference as long as they are. */
void sched_group_get(struct sched_group *g);
void sched_group_put(struct sched_group *g);

/*
 * Of all its threads together and, by thread_sched_follow(), of each. Of weights 0 is the default;
 * of quotas it is none, and nothing in such a cap counts.
 */
struct sched_limits {
	unsigned weight;
	uint64_t all_period_ns, all_quota_ns, each_period_ns, each_quota_ns;
};
void sched_group_set(struct sched_group *g, const struct sched_limits *l);

/* ---- for the scheduler ---- */

static inline bool sched_group_capped(const struct sched_group *g)
{
	return READ_ONCE(g->owed) & SCHED_GROUP_CAPPED;
}

/* One of its threads, which has the cap `own`, has run so long, up to `now`. */
void sched_group_use(struct sched_group *g, struct sched_cap *own, uint64_t ticks, uint64_t now);
/* How long it may still run, if others do at the same time; 0: not before TSC *until. */
uint64_t sched_group_left(struct sched_group *g, struct sched_cap *own, uint64_t now,
			  uint64_t *until);

/* One of its threads wants a CPU from now on. */
static inline void sched_group_enter(struct sched_group *g, uint64_t now)
{
	__atomic_add_fetch(&g->word, 1 - (now << SCHED_GROUP_BITS), __ATOMIC_RELAXED);
}

/* No longer. */
static inline void sched_group_leave(struct sched_group *g, uint64_t now)
{
	__atomic_add_fetch(&g->word, (now << SCHED_GROUP_BITS) - 1, __ATOMIC_RELAXED);
}

/* How many do. */
static inline unsigned sched_group_count(const struct sched_group *g)
{
	return (unsigned)(READ_ONCE(g->word) & ((1u << SCHED_GROUP_BITS) - 1));
}

static inline uint64_t sched_group_clock(const struct sched_group *g, uint64_t now)
{
	uint64_t word = READ_ONCE(g->word);

	return (word >> SCHED_GROUP_BITS) + (word & ((1u << SCHED_GROUP_BITS) - 1)) * now;
}

/*
 * What the clock has advanced between two readings: 0 if the second seems to be the earlier one, as
 * CPUs' TSCs may differ a little.
 */
static inline uint64_t sched_group_passed(uint64_t from, uint64_t to)
{
	int64_t passed = (int64_t)((to - from) << SCHED_GROUP_BITS);

	return passed > 0 ? (uint64_t)passed >> SCHED_GROUP_BITS : 0;
}

/* Somebody has run for it. */
static inline void sched_group_owe(struct sched_group *g, uint64_t ticks)
{
	__atomic_add_fetch(&g->owed, ticks, __ATOMIC_RELAXED);
}

/* One of its threads has run so long: what it pays for besides. */
static inline uint64_t sched_group_pay(struct sched_group *g, uint64_t ticks)
{
	uint64_t owed = READ_ONCE(g->owed);
	uint64_t paid = MIN(owed & ~SCHED_GROUP_CAPPED, ticks * SCHED_GROUP_PAYS);

	if (!__atomic_compare_exchange_n(&g->owed, &owed, owed - paid, false, __ATOMIC_RELAXED,
					 __ATOMIC_RELAXED))
		return 0;
	return paid;
}
