/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queue of one CPU: order by virtual time, the account of who had the CPU, slices. Design and
 * locking at the head of kernel/sched.c.
 */
#include "kernel/runqueue.h"

#include "cpu/ipi.h"
#include "cpu/irq.h"
#include "include/bits.h"
#include "kernel/sched.h"

#define GRANULARITY_NS	1500000ul
#define LEAD_NS		3000000ul
#define GROUP_LEAD_NS	12000000ul
#define RUN_MIN_NS	100000ul	/* so that who is woken for every byte comes for many */
#define GROUP_SLICES	4u
#define FIT_LOOKS	8u		/* threads looked at for one that may go elsewhere */
#define VTIME_START	(1ul << 48)

PERCPU struct runqueue runqueue = {
	.lock = SPINLOCK_INIT("sched", LOCK_SCHED), .min_vtime = VTIME_START,
};

struct cpu_map runqueue_movable;

static uint64_t granularity, lead, group_lead;	/* in virtual ticks */
static uint64_t run_min;		/* in ticks */

/* ---- virtual time ---------------------------------------------------------------------------- */

static uint64_t scale(uint64_t v, uint64_t fixed_32)
{
	return (uint64_t)((unsigned __int128)v * fixed_32 >> 32);
}

/*
 * The queue's clock follows the least of those who want the CPU; `running` is the current
 * thread's virtual time.
 */
static void advance_clock(struct runqueue *q, uint64_t running)
{
	const struct tree_node *first = tree_first(&q->tree);
	uint64_t least = first && first->key < running ? first->key : running;

	if (least > q->min_vtime)
		q->min_vtime = least;
}

/*
 * Likewise from outside, before something is put in: the current thread may have run alone for long
 * since it was accounted. It may go idle meanwhile and be accounted without the lock: its virtual
 * time is read before what that starts from, so that no time counts twice.
 */
static void refresh_clock(struct runqueue *q)
{
	const struct thread *t = q->current;
	uint64_t now, vtime, since, passed;

	if (!t || READ_ONCE(q->idling))
		return;
	vtime = READ_ONCE(t->vtime);
	since = READ_ONCE(q->since);
	now = tsc_read();
	passed = now > since ? now - since : 0;
	if (t->group)
		passed = sched_group_passed(READ_ONCE(q->group_since),
					    sched_group_clock(t->group, now));
	advance_clock(q, vtime + scale(passed, t->per_tick));
}

/* Also when there is a cap: see SCHED_GROUP_CAPPED. */
static bool has_debts(const struct thread *t)
{
	return t->group ? READ_ONCE(t->group->owed) : (uintptr_t)t->charge;
}

/*
 * It has run so long, up to `now`: on another's account, or it pays, as each of its group's threads
 * would.
 */
static noinline void settle_debts(struct thread *t, uint64_t ticks, uint64_t now)
{
	uint64_t pays;

	if (!t->group) {
		sched_group_owe(t->charge, ticks);
		return;
	}
	if (sched_group_capped(t->group))
		sched_group_use(t->group, &t->cap, ticks, now);
	pays = sched_group_pay(t->group, ticks) * MAX(sched_group_count(t->group), 1u);
	WRITE_ONCE(t->vtime, t->vtime + scale(pays, t->per_tick));
}

void runqueue_account(struct runqueue *q, uint64_t now)
{
	struct thread *t = q->current;
	uint64_t ticks = now - q->since, passed = ticks;

	if (q->idling) {
		runqueue_account_idle(q, now);
		return;
	}
	if (t->group) {
		uint64_t clock = sched_group_clock(t->group, now);

		passed = sched_group_passed(q->group_since, clock);
		WRITE_ONCE(q->group_since, clock);
	}
	WRITE_ONCE(q->since, now);
	q->busy_ticks += ticks;
	t->run_ticks += ticks;
	WRITE_ONCE(t->vtime, t->vtime + scale(passed, t->per_tick));
	advance_clock(q, t->vtime);
	if (unlikely(has_debts(t)))
		settle_debts(t, ticks, now);
}

void runqueue_translate(struct thread *t, struct runqueue *from, const struct runqueue *to)
{
	refresh_clock(from);
	if (t->vtime + lead < from->min_vtime)
		t->vtime = from->min_vtime - lead;
	t->vtime += READ_ONCE(to->min_vtime) - from->min_vtime;
}

/* ---- shares ---------------------------------------------------------------------------------- */

/* How many there are of a thread that wants a CPU: as many as its group has that do. */
static unsigned siblings(const struct thread *t)
{
	return t->group ? MAX(sched_group_count(t->group), 1u) : 1;
}

static uint64_t share(const struct thread *t)
{
	uint64_t whole = (uint64_t)t->weight * (RUNQUEUE_UNIT / THREAD_WEIGHT);

	return t->group ? whole / siblings(t) : whole;
}

void runqueue_refresh(struct runqueue *q)
{
	if (READ_ONCE(q->idling) || !spin_try(&q->lock))
		return;
	WRITE_ONCE(q->running, share(q->current));
	spin_unlock(&q->lock);
}

/* ---- the queue ------------------------------------------------------------------------------- */

void runqueue_charge_group(struct thread *t)
{
	struct sched_group *g = t->group;
	uint64_t ran = scale(t->run_ticks - t->charged_ticks, t->per_tick);

	t->charged_ticks = t->run_ticks;
	if (!spin_try(&g->lock))
		return;
	g->vtime = g->cpu == t->cpu ? MIN(g->vtime + ran, t->vtime + group_lead) : t->vtime;
	g->cpu = t->cpu;
	spin_unlock(&g->lock);
}

/* The group's time is held within bounds of the clock as it is now: while one runs it moves on. */
static void follow_group(struct runqueue *q, struct thread *t)
{
	struct sched_group *g = t->group;

	if (g->cpu != t->cpu || !spin_try(&g->lock))
		return;
	g->vtime = MIN(MAX(g->vtime, q->min_vtime - lead), q->min_vtime + group_lead);
	t->vtime = MAX(t->vtime, g->vtime);
	spin_unlock(&g->lock);
}

/* Into the tree; the account of what is there is the caller's. */
static always_inline void line_up(struct runqueue *q, struct thread *t, uint64_t now)
{
	if (t->group)
		follow_group(q, t);
	t->state = THREAD_READY;
	t->node.key = t->vtime;
	t->queued_at = now;
	t->share = share(t);
	t->counted = t->mobility;
	tree_insert(&q->tree, &t->node);
}

static void count_mobility(struct runqueue *q, const struct thread *t)
{
	if (t->counted == THREAD_PINNED)
		return;
	q->restricted += t->counted == THREAD_RESTRICTED;
	if (!q->movable++)
		cpu_map_add(&runqueue_movable, t->cpu);
}

static void discount_mobility(struct runqueue *q, const struct thread *t)
{
	if (t->counted == THREAD_PINNED)
		return;
	q->restricted -= t->counted == THREAD_RESTRICTED;
	if (!--q->movable)
		cpu_map_remove(&runqueue_movable, t->cpu);
}

static void put(struct runqueue *q, struct thread *t, uint64_t now)
{
	line_up(q, t, now);
	WRITE_ONCE(q->waiting, q->waiting + 1);
	WRITE_ONCE(q->load, q->load + t->share);
	count_mobility(q, t);
}

void runqueue_add(struct runqueue *q, struct thread *t)
{
	refresh_clock(q);
	if (t->vtime + lead < q->min_vtime)
		t->vtime = q->min_vtime - lead;
	put(q, t, tsc_read());
}

void runqueue_remove(struct runqueue *q, struct thread *t)
{
	tree_remove(&q->tree, &t->node);
	WRITE_ONCE(q->waiting, q->waiting - 1);
	WRITE_ONCE(q->load, q->load - t->share);
	discount_mobility(q, t);
}

void runqueue_exchange(struct runqueue *q, struct thread *next, struct thread *t)
{
	tree_remove(&q->tree, &next->node);
	line_up(q, t, q->since);
	WRITE_ONCE(q->load, q->load - next->share + t->share);
	if (next->counted != t->counted) {
		discount_mobility(q, next);
		count_mobility(q, t);
	}
}

static struct thread *thread_of(struct tree_node *n)
{
	return tree_entry(n, struct thread, node);
}

static bool fits(const struct thread *t, unsigned cpu, uint64_t most)
{
	return cpu_set_has(&t->allowed, cpu) && t->share <= most;
}

struct thread *runqueue_first_fit(struct runqueue *q, unsigned cpu, uint64_t most)
{
	struct tree_node *n = tree_first(&q->tree);

	for (unsigned i = 0; n && i < FIT_LOOKS; i++, n = tree_next(&q->tree, n))
		if (fits(thread_of(n), cpu, most))
			return thread_of(n);
	return NULL;
}

struct thread *runqueue_eldest_fit(struct runqueue *q, unsigned cpu, uint64_t most)
{
	struct thread *t = fits(q->current, cpu, most) ? q->current : NULL;
	struct tree_node *n = tree_first(&q->tree);

	for (unsigned i = 0; n && i < FIT_LOOKS; i++, n = tree_next(&q->tree, n))
		if (fits(thread_of(n), cpu, most) && (!t || thread_of(n)->came_at <= t->came_at))
			t = thread_of(n);
	return t == q->current ? NULL : t;
}

bool runqueue_reach(struct runqueue *q, struct cpu_set *reach)
{
	struct tree_node *n;
	bool any = false;

	*reach = (struct cpu_set){ 0 };
	spin_lock(&q->lock);
	n = tree_first(&q->tree);
	for (unsigned i = 0; n && i < FIT_LOOKS; i++, n = tree_next(&q->tree, n)) {
		if (thread_of(n)->counted == THREAD_PINNED)
			continue;
		cpu_set_join(reach, &thread_of(n)->allowed);
		any = true;
	}
	spin_unlock(&q->lock);
	return any;
}

void runqueue_notify(unsigned cpu)
{
	bool before = __atomic_exchange_n(&per_cpu(sched_wanted_flag, cpu), true, __ATOMIC_SEQ_CST);

	if (cpu != cpu_index() && !before)
		ipi_send(cpu, IRQ_KICK);
}

/* ---- slices ---------------------------------------------------------------------------------- */

static void slice_over(struct timer *t)
{
	(void)t;
	WRITE_ONCE(this_cpu(sched_wanted_flag), true);
}

/*
 * The virtual time at which one of `n` threads gives way. A group's threads run on for some
 * granularities of virtual time, which passes as fast as they are many, so that slices do not
 * become as short: but for GROUP_SLICES at most, since the last of them that wants the CPU waits
 * for as long. Who comes with a lead is not made to wait.
 */
static uint64_t slice_end(const struct runqueue *q, unsigned n)
{
	uint64_t first = tree_first(&q->tree)->key;

	return first + granularity * (first < q->min_vtime ? 1 : MIN(n, GROUP_SLICES));
}

bool runqueue_slice_over(const struct runqueue *q, const struct thread *t)
{
	return q->since - q->switched >= run_min && t->vtime >= slice_end(q, siblings(t));
}

/* Ticks from now, to which q is accounted, until that is so. */
static uint64_t slice_left(const struct runqueue *q, const struct thread *t)
{
	unsigned n = siblings(t);
	uint64_t end = slice_end(q, n), run = q->since - q->switched, fair = 0;

	if (end > t->vtime) {
		fair = (end - t->vtime) * t->weight / THREAD_WEIGHT + 1;
		if (n > 1)
			fair = fair / n + 1;
	}
	return MAX(fair, run < run_min ? run_min - run : 0);
}

/* The same of its cap; none is left: it is asked to give way now. */
static noinline uint64_t cap_left(const struct runqueue *q, struct thread *t)
{
	uint64_t until, left = sched_group_left(t->group, &t->cap, q->since, &until);

	if (!left)
		WRITE_ONCE(this_cpu(sched_wanted_flag), true);
	return MAX(left, run_min / 2);
}

void runqueue_arm_slice(struct runqueue *q, struct thread *t)
{
	uint64_t left = tree_empty(&q->tree) ? ~0ul : slice_left(q, t);

	if (unlikely(runqueue_capped(t)))
		left = MIN(left, cap_left(q, t));
	if (left != ~0ul)
		timer_set(&q->slice, clock_ns() + tsc_to_ns(left));
}

void runqueue_arm_cap(struct runqueue *q, struct thread *t)
{
	timer_set(&q->slice, clock_ns() + tsc_to_ns(cap_left(q, t)));
}

/* ---- start ----------------------------------------------------------------------------------- */

void runqueue_init(void)
{
	runqueue_movable = (struct cpu_map){ 0 };
	granularity = tsc_from_ns(GRANULARITY_NS);
	lead = tsc_from_ns(LEAD_NS);
	group_lead = tsc_from_ns(GROUP_LEAD_NS);
	run_min = tsc_from_ns(RUN_MIN_NS);
}

void runqueue_start(struct runqueue *q, struct thread *current)
{
	current->vtime = q->min_vtime;
	timer_init(&q->slice, slice_over);
	q->since = tsc_read();
	current->share = q->running = share(current);
	q->current = current;
}
