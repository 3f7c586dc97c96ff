/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which CPU a thread waits for: where it is woken, stealing by who idles, handing over by who has
 * too much. Design and locking at the head of kernel/sched.c.
 */
#include "kernel/placement.h"

#include "cpu/place.h"
#include "include/bits.h"

#define BALANCE_NS	100000000ul	/* between moves by which threads take turns */
#define IDLE_LOOKS	16u		/* idle CPUs looked at for the best of them */
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

/* Of all CPUs, or of some if it is not NULL. */
static int next_idle(const struct cpu_set *within, unsigned cpu, unsigned *n)
{
	return unlikely(within) ? cpu_map_next_within(&placement_claimable, within, cpu, n)
				: cpu_map_next(&placement_claimable, cpu, n);
}

/* None of the CPUs that share a core with `cpu` works. */
static bool core_idles(unsigned cpu)
{
	for (unsigned c = per_cpu(place, cpu).next; c != cpu; c = per_cpu(place, c).next)
		if (!cpu_map_has(&placement_claimable, c))
			return false;
	return true;
}

/*
 * The best of some idle CPUs, from the step `n` behind `cpu` on: in a core that idles as a whole,
 * which is worth more than to be near; where `cpu`'s cache is; the first of equals.
 */
static noinline int best_idle(const struct cpu_set *within, unsigned cpu, unsigned n)
{
	unsigned most = 0;
	int best = -1, idle;

	for (unsigned i = 0; i < IDLE_LOOKS && (idle = next_idle(within, cpu, &n)) >= 0; i++) {
		unsigned worth = 1 + 4 * core_idles((unsigned)idle) +
				 2 * (per_cpu(place, idle).cache == per_cpu(place, cpu).cache);

		if (worth > most) {
			most = worth;
			best = idle;
		}
		if (worth == 7)
			break;
	}
	return best;
}

/* An idle CPU of these, from `cpu` on; -1 if there is none. Nobody else will choose it. */
static int find_idle(const struct cpu_set *within, unsigned cpu)
{
	unsigned n = 0;
	int idle;

	for (unsigned i = 0; unlikely(place_matters) && i < IDLE_LOOKS; i++) {
		idle = best_idle(within, cpu, 0);
		if (idle < 0 || cpu_map_remove(&placement_claimable, (unsigned)idle))
			return idle;
	}
	while ((idle = next_idle(within, cpu, &n)) >= 0)
		if (cpu_map_remove(&placement_claimable, (unsigned)idle))
			break;
	return idle;
}

/* Of those a thread may run on the one with the least load: one of them exists. */
static noinline unsigned find_allowed(const struct cpu_set *allowed)
{
	uint64_t least = ~0ul;
	unsigned to = 0;

	for (int cpu = cpu_set_next(allowed, 0); cpu >= 0 && (unsigned)cpu < cpu_count;
	     cpu = cpu_set_next(allowed, (unsigned)cpu + 1)) {
		const struct runqueue *q = &per_cpu(runqueue, (unsigned)cpu);
		uint64_t load = READ_ONCE(q->load) + (READ_ONCE(q->idling) ? 0 : q->running);

		if (load < least) {
			least = load;
			to = (unsigned)cpu;
		}
	}
	return to;
}

unsigned placement_choose(const struct thread *t)
{
	int idle;

	if (t->mobility == THREAD_PINNED)
		return (unsigned)cpu_set_next(&t->allowed, 0);
	idle = find_idle(t->mobility == THREAD_FREE ? NULL : &t->allowed, t->cpu);
	if (idle >= 0)
		return (unsigned)idle;
	return likely(cpu_set_has(&t->allowed, t->cpu)) ? t->cpu : find_allowed(&t->allowed);
}

/* The first of `reach` from `c` on, all round; `cpu` if there is none. */
static noinline unsigned within_reach(const struct cpu_set *reach, unsigned c, unsigned cpu)
{
	int next = cpu_set_next(reach, c);

	if (next < 0 || (unsigned)next >= cpu_count)
		next = cpu_set_next(reach, 0);
	return next < 0 || (unsigned)next >= cpu_count ? cpu : (unsigned)next;
}

/* The CPU to be looked at next: of `reach` if it is not NULL; else it is not `cpu`. */
static unsigned look_on(struct runqueue *q, unsigned cpu, const struct cpu_set *reach)
{
	unsigned c = (cpu + 1 + q->looked) % cpu_count;

	if (unlikely(reach)) {
		c = within_reach(reach, c, cpu);
		if (c == cpu)
			c = within_reach(reach, (cpu + 1) % cpu_count, cpu);
		q->looked = (c + cpu_count - cpu - 1) % cpu_count;
	}
	q->looked = (q->looked + 1) % (cpu_count - 1);
	return c;
}

/*
 * The CPU with the least load, and how much that is: an idle one, else of those whose turn it is to
 * be looked at. `cpu` if none has less than `mine`.
 */
static unsigned find_least(struct runqueue *q, unsigned cpu, const struct cpu_set *reach,
			   uint64_t mine, uint64_t *least)
{
	unsigned to = cpu, n = 1, looks = MIN(cpu_count - 1, BALANCE_LOOKS);
	int idle = unlikely(place_matters) ? best_idle(reach, cpu, n) : next_idle(reach, cpu, &n);

	if (idle >= 0 && !runqueue_count(&per_cpu(runqueue, (unsigned)idle))) {
		*least = 0;
		return (unsigned)idle;
	}
	for (*least = mine; looks; looks--) {
		unsigned c = look_on(q, cpu, reach);
		struct runqueue *other = &per_cpu(runqueue, c);
		uint64_t load;

		if (!READ_ONCE(other->current) || c == cpu)
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
	bool restricted = READ_ONCE(q->restricted);
	struct thread *t = NULL;
	struct cpu_set reach;

	if (unlikely(restricted) && !runqueue_reach(q, &reach))
		return;
	to = find_least(q, cpu, unlikely(restricted) ? &reach : NULL, mine, &least);
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
