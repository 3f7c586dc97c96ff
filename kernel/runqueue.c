/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queue of one CPU: order by virtual time, the account of who had the CPU, slices. Design and
 * locking at the head of kernel/sched.c.
 */
#include "kernel/runqueue.h"

#include "cpu/ipi.h"
#include "include/bits.h"
#include "kernel/irq.h"
#include "kernel/sched.h"

#define GRANULARITY_NS	1500000ul
#define LEAD_NS		3000000ul
#define RUN_MIN_NS	100000ul	/* so that who is woken for every byte comes for many */
#define FIT_LOOKS	8u		/* threads looked at for one that may go elsewhere */
#define VTIME_START	(1ul << 48)

PERCPU struct runqueue runqueue = {
	.lock = SPINLOCK_INIT("sched", LOCK_SCHED), .min_vtime = VTIME_START,
};

struct cpu_map runqueue_movable;

static uint64_t granularity, lead;	/* in virtual ticks */
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
 * since it was accounted.
 */
static void refresh_clock(struct runqueue *q)
{
	uint64_t now = tsc_read(), since = READ_ONCE(q->since);
	const struct thread *t = q->current;

	if (t && !READ_ONCE(q->idling) && now > since)
		advance_clock(q, t->vtime + scale(now - since, t->per_tick));
}

void runqueue_account(struct runqueue *q, uint64_t now)
{
	struct thread *t = q->current;
	uint64_t ticks = now - q->since;

	if (q->idling) {
		runqueue_account_idle(q, now);
		return;
	}
	q->since = now;
	q->busy_ticks += ticks;
	t->run_ticks += ticks;
	t->vtime += scale(ticks, t->per_tick);
	advance_clock(q, t->vtime);
}

void runqueue_translate(struct thread *t, struct runqueue *from, const struct runqueue *to)
{
	refresh_clock(from);
	if (t->vtime + lead < from->min_vtime)
		t->vtime = from->min_vtime - lead;
	t->vtime += READ_ONCE(to->min_vtime) - from->min_vtime;
}

/* ---- the queue ------------------------------------------------------------------------------- */

void runqueue_add(struct runqueue *q, struct thread *t)
{
	refresh_clock(q);
	if (t->vtime + lead < q->min_vtime)
		t->vtime = q->min_vtime - lead;
	runqueue_put(q, t, tsc_read());
}

void runqueue_put(struct runqueue *q, struct thread *t, uint64_t now)
{
	t->state = THREAD_READY;
	t->node.key = t->vtime;
	t->queued_at = now;
	tree_insert(&q->tree, &t->node);
	WRITE_ONCE(q->waiting, q->waiting + 1);
	if (t->pinned < 0 && !q->movable++)
		cpu_map_add(&runqueue_movable, t->cpu);
}

void runqueue_remove(struct runqueue *q, struct thread *t)
{
	tree_remove(&q->tree, &t->node);
	WRITE_ONCE(q->waiting, q->waiting - 1);
	if (t->pinned < 0 && !--q->movable)
		cpu_map_remove(&runqueue_movable, t->cpu);
}

static struct thread *thread_of(struct tree_node *n)
{
	return tree_entry(n, struct thread, node);
}

static bool fits(const struct thread *t, unsigned cpu)
{
	return t->pinned < 0 || (unsigned)t->pinned == cpu;
}

struct thread *runqueue_first_fit(struct runqueue *q, unsigned cpu)
{
	struct tree_node *n = tree_first(&q->tree);

	for (unsigned i = 0; n && i < FIT_LOOKS; i++, n = tree_next(&q->tree, n))
		if (fits(thread_of(n), cpu))
			return thread_of(n);
	return NULL;
}

struct thread *runqueue_eldest_fit(struct runqueue *q, unsigned cpu)
{
	struct thread *t = fits(q->current, cpu) ? q->current : NULL;
	struct tree_node *n = tree_first(&q->tree);

	for (unsigned i = 0; n && i < FIT_LOOKS; i++, n = tree_next(&q->tree, n))
		if (fits(thread_of(n), cpu) && (!t || thread_of(n)->came_at <= t->came_at))
			t = thread_of(n);
	return t == q->current ? NULL : t;
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

uint64_t runqueue_slice_left(const struct runqueue *q, const struct thread *t)
{
	uint64_t limit = tree_first(&q->tree)->key + granularity, run = q->since - q->switched;
	uint64_t fair = limit > t->vtime ? (limit - t->vtime) * t->weight / THREAD_WEIGHT + 1 : 0;

	return MAX(fair, run < run_min ? run_min - run : 0);
}

void runqueue_arm_slice(struct runqueue *q, const struct thread *t)
{
	timer_set(&q->slice, clock_ns() + tsc_to_ns(runqueue_slice_left(q, t)));
}

/* ---- start ----------------------------------------------------------------------------------- */

void runqueue_init(void)
{
	runqueue_movable = (struct cpu_map){ 0 };
	granularity = tsc_from_ns(GRANULARITY_NS);
	lead = tsc_from_ns(LEAD_NS);
	run_min = tsc_from_ns(RUN_MIN_NS);
}

void runqueue_start(struct runqueue *q, struct thread *current)
{
	current->vtime = q->min_vtime;
	timer_init(&q->slice, slice_over);
	q->since = tsc_read();
	q->current = current;
}
