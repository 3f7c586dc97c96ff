/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which CPU a thread waits for: where it is woken, stealing by who idles, handing over by who has
 * too much. Design and locking at the head of kernel/sched.c.
 */
#include "kernel/placement.h"

#include "include/bits.h"

#define BALANCE_NS	100000000ul	/* between moves to a queue that is one shorter */
#define BALANCE_LOOKS	8u		/* queues looked at for a shorter one, in turn */

struct cpu_map placement_claimable;

/*
 * Takes the thread that `choose` names for `cpu` out of `from`; it then belongs to the caller.
 * Interrupts off, no queue locked.
 */
static struct thread *take_from(struct runqueue *from, unsigned cpu,
				struct thread *(*choose)(struct runqueue *q, unsigned cpu))
{
	struct thread *t;

	if (!spin_try(&from->lock))
		return NULL;
	t = choose(from, cpu);
	if (t) {
		runqueue_remove(from, t);
		runqueue_translate(t, from, &per_cpu(runqueue, cpu));
		WRITE_ONCE(t->cpu, cpu);
	}
	spin_unlock(&from->lock);
	return t;
}

void placement_give(unsigned cpu, struct thread *t)
{
	struct runqueue *q = &per_cpu(runqueue, cpu);

	spin_lock(&q->lock);
	t->came_at = tsc_read();
	runqueue_add(q, t);
	spin_unlock(&q->lock);
}

/* Into queue q of CPU `cpu`, out of that of `other`; false if there is nothing to take. */
static bool steal_from(struct runqueue *q, unsigned cpu, unsigned other)
{
	struct runqueue *from = &per_cpu(runqueue, other);
	struct thread *t;

	if (runqueue_load(from) < 2)
		return false;
	t = take_from(from, cpu, runqueue_first_fit);
	if (!t)
		return false;
	q->steals++;
	placement_give(cpu, t);
	return true;
}

bool placement_steal(struct runqueue *q)
{
	unsigned cpu = cpu_index(), n = 1;
	int other;

	while ((other = cpu_map_next(&runqueue_movable, cpu, &n)) >= 0)
		if (steal_from(q, cpu, (unsigned)other))
			return true;
	return false;
}

/* An idle CPU, from `cpu` on; -1 if there is none. Nobody else will choose it. */
static int find_idle(unsigned cpu)
{
	unsigned n = 0;
	int idle;

	while ((idle = cpu_map_next(&placement_claimable, cpu, &n)) >= 0)
		if (cpu_map_remove(&placement_claimable, (unsigned)idle))
			break;
	return idle;
}

unsigned placement_choose(const struct thread *t)
{
	int idle;

	if (t->pinned >= 0)
		return (unsigned)t->pinned;
	idle = find_idle(t->cpu);
	return idle >= 0 ? (unsigned)idle : t->cpu;
}

/*
 * The CPU with the shortest queue, and how long that is: an idle one, else of those whose turn it
 * is to be looked at. `cpu` if none is shorter than its own.
 */
static unsigned find_shortest(struct runqueue *q, unsigned cpu, unsigned *shortest)
{
	unsigned to = cpu, n = 1, looks = MIN(cpu_count - 1, BALANCE_LOOKS);
	int idle = cpu_map_next(&placement_claimable, cpu, &n);

	if (idle >= 0 && !runqueue_load(&per_cpu(runqueue, (unsigned)idle))) {
		*shortest = 0;
		return (unsigned)idle;
	}
	for (*shortest = runqueue_load(q); looks; looks--) {
		unsigned c = (cpu + 1 + q->looked) % cpu_count;
		const struct runqueue *other = &per_cpu(runqueue, c);

		q->looked = (q->looked + 1) % (cpu_count - 1);
		if (READ_ONCE(other->current) && runqueue_load(other) < *shortest) {
			*shortest = runqueue_load(other);
			to = c;
		}
	}
	return to;
}

void placement_balance(struct runqueue *q)
{
	unsigned cpu = cpu_index(), mine = runqueue_load(q), shortest;
	unsigned to = find_shortest(q, cpu, &shortest);
	uint64_t now = clock_ns();
	struct thread *t;

	if (to == cpu || (shortest + 1 == mine && shortest && now - q->balanced_ns < BALANCE_NS))
		return;
	t = take_from(q, to, shortest + 1 == mine ? runqueue_eldest_fit : runqueue_first_fit);
	if (!t)
		return;
	q->balanced_ns = per_cpu(runqueue, to).balanced_ns = now;
	placement_give(to, t);
	runqueue_notify(to);
}
