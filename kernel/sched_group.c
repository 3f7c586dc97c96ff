/* SPDX-License-Identifier: BSD-2-Clause */
/* Scheduling groups: their life, their caps; see kernel/sched_group.h. */
#include "kernel/sched_group.h"

#include "cpu/cpu.h"
#include "cpu/tsc.h"
#include "mm/heap.h"

#define WEIGHT_MIN	2u
#define WEIGHT_MAX	(1u << 20)
#define LOOKS_MIN	8u		/* at what is left of a quota, while it is used */

struct sched_group *sched_group_create(unsigned weight)
{
	struct sched_group *g = heap_alloc(sizeof(*g));

	if (!g)
		return NULL;
	*g = (struct sched_group){ .refs = 1, .weight = weight };
	spin_init(&g->lock, "group", LOCK_GROUP);
	return g;
}

void sched_group_get(struct sched_group *g)
{
	if (g)
		__atomic_add_fetch(&g->refs, 1, __ATOMIC_RELAXED);
}

void sched_group_put(struct sched_group *g)
{
	if (g && !__atomic_sub_fetch(&g->refs, 1, __ATOMIC_ACQ_REL))
		heap_free(g);
}

/* ---- caps ------------------------------------------------------------------------------------ */

static struct sched_cap cap_of(uint64_t period_ns, uint64_t quota_ns)
{
	if (!quota_ns)
		return (struct sched_cap){ 0 };
	return (struct sched_cap){
		.period = tsc_from_ns(period_ns), .quota = tsc_from_ns(quota_ns),
		.until = tsc_read() + tsc_from_ns(period_ns),
		.left = (int64_t)tsc_from_ns(quota_ns),
	};
}

void sched_group_set(struct sched_group *g, const struct sched_limits *l)
{
	struct sched_cap all = cap_of(l->all_period_ns, l->all_quota_ns);
	struct sched_cap each = cap_of(l->each_period_ns, l->each_quota_ns);
	uint64_t flags = spin_lock_irq(&g->lock);

	g->weight = l->weight ? MIN(MAX(l->weight, WEIGHT_MIN), WEIGHT_MAX) : 0;
	g->all = all;
	g->each = each;
	if (all.quota || each.quota)
		__atomic_or_fetch(&g->owed, SCHED_GROUP_CAPPED, __ATOMIC_RELAXED);
	else
		__atomic_and_fetch(&g->owed, ~SCHED_GROUP_CAPPED, __ATOMIC_RELAXED);
	spin_unlock_irq(&g->lock, flags);
}

/* Of periods that have begun: what is left over is lost, what was overdrawn is not forgiven. */
static void refill(struct sched_cap *c, uint64_t now)
{
	uint64_t n;

	if (!c->quota || now < c->until)
		return;
	n = (now - c->until) / c->period + 1;
	c->until += n * c->period;
	if (c->left >= 0 || n > (uint64_t)-c->left / c->quota)
		c->left = MIN(MIN(c->left, 0) + (int64_t)(MIN(n, 1ul << 20) * c->quota),
			      (int64_t)c->quota);
	else
		c->left += (int64_t)(n * c->quota);
}

void sched_group_use(struct sched_group *g, struct sched_cap *own, uint64_t ticks, uint64_t now)
{
	uint64_t flags = spin_lock_irq(&g->lock);

	refill(&g->all, now);
	refill(own, now);
	g->all.left -= (int64_t)ticks;
	own->left -= (int64_t)ticks;
	spin_unlock_irq(&g->lock, flags);
}

/*
 * Several users have run some since they were accounted, and more may come: each looks again
 * half-way.
 */
static uint64_t left_of(struct sched_cap *c, uint64_t now, unsigned users, uint64_t *until)
{
	refill(c, now);
	if (!c->quota)
		return ~0ul;
	if (c->left > 0)
		return MIN((uint64_t)c->left / (users > 1 ? 2 * users : 1),
			   c->quota / LOOKS_MIN) + 1;
	*until = MAX(*until, c->until + (uint64_t)-c->left / c->quota * c->period);
	return 0;
}

uint64_t sched_group_left(struct sched_group *g, struct sched_cap *own, uint64_t now,
			  uint64_t *until)
{
	uint64_t flags = spin_lock_irq(&g->lock), all, mine;

	*until = 0;
	all = left_of(&g->all, now, MAX(sched_group_count(g), 1u), until);
	mine = left_of(own, now, 1, until);
	spin_unlock_irq(&g->lock, flags);
	return MIN(all, mine);
}
