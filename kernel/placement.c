/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which CPU a thread waits for: where it is woken, stealing by who idles, handing over by who has
 * too much. Design and locking at the head of kernel/sched.c.
 */
#include "kernel/placement.h"

#include "include/bits.h"

#define BALANCE_NS	100000000ul	/* between moves by which threads take turns */
#define BALANCE_LOOKS	8u		/* queues looked at for one with less, in turn */

struct cpu_map placement_claimable;

/*
 * Takes the thread that `choose` names for `cpu`, of a share of `most` at most, out of `from`; it
 * then belongs to the caller.
 * Interrupts off, no queue locked.
 */
static struct thread *take_from(struct runqueue *from, unsigned cpu, uint64_t most,
				struct thread *(*choose)(struct runqueue *q, unsigned cpu,
							 uint64_t most))
{
	struct thread *t;

	if (!spin_try(&from->lock))
		return NULL;
	t = choose(from, cpu, most);
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

	if (runqueue_count(from) < 2)
		return false;
	t = take_from(from, cpu, ~0ul, runqueue_first_fit);
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
 * The CPU with the least load, and how much that is: an idle one, else of those whose turn it is to
 * be looked at. `cpu` if none has less than `mine`.
 */
static unsigned find_least(struct runqueue *q, unsigned cpu, uint64_t mine, uint64_t *least)
{
	unsigned to = cpu, n = 1, looks = MIN(cpu_count - 1, BALANCE_LOOKS);
	int idle = cpu_map_next(&placement_claimable, cpu, &n);

	if (idle >= 0 && !runqueue_count(&per_cpu(runqueue, (unsigned)idle))) {
		*least = 0;
		return (unsigned)idle;
	}
	for (*least = mine; looks; looks--) {
		unsigned c = (cpu + 1 + q->looked) % cpu_count;
		struct runqueue *other = &per_cpu(runqueue, c);
		uint64_t load;

		q->looked = (q->looked + 1) % (cpu_count - 1);
		if (!READ_ONCE(other->current))
			continue;
		load = runqueue_load(other);
		if (load < *least) {
			*least = load;
			to = c;
		}
	}
	return to;
}

/*
 * Who makes the two loads differ by less may go, at once; or by as much the other way round, which
 * is to take turns. The search is left to when a thread runs that could go itself.
 */
void placement_balance(struct runqueue *q)
{
	unsigned cpu = cpu_index(), to;
	uint64_t mine = runqueue_load(q), least, gap, now = clock_ns();
	struct thread *t = NULL;

	to = find_least(q, cpu, mine, &least);
	gap = mine - least;
	if (to == cpu)
		return;
	if (!least || q->running <= gap / 2)
		t = take_from(q, to, least ? gap / 2 : ~0ul, runqueue_first_fit);
	else if (now - q->balanced_ns >= BALANCE_NS)
		t = take_from(q, to, gap, runqueue_eldest_fit);
	if (!t)
		return;
	q->balanced_ns = per_cpu(runqueue, to).balanced_ns = now;
	placement_give(to, t);
	runqueue_notify(to);
}
