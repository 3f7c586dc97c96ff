/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Deferred work. Each CPU has a list and a worker thread pinned to it; work runs on the CPU that
 * queued it. Before work_start(), and on a CPU without a worker, the boot CPU's list takes it. Slow
 * work has one list, and several workers that take from it wherever they are: so many items may
 * wait at once before one of them delays another.
 *
 * Locking: list->lock (LOCK_WAIT, irq-safe) guards one list, what its workers run, and state and
 * cpu of the items in it. An item's `cpu` names its list as long as it is queued.
 */
#include "kernel/work.h"

#include "cpu/cpu.h"
#include "cpu/percpu.h"
#include "cpu/spinlock.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/sched_group.h"
#include "kernel/thread.h"
#include "lib/format.h"

enum work_state { WORK_IDLE, WORK_QUEUED };

#define SLOW_WORKERS	8
#define CPU_SLOW	UINT16_MAX	/* an item's `cpu`: the list of slow work */

struct work_list {
	struct spinlock lock;
	struct list items;
};

struct worker {
	struct work_list *list;
	struct work *running;		/* (a) set under the list's lock */
	struct thread *thread;
};

static PERCPU struct work_list work_list = { .lock = SPINLOCK_INIT("work", LOCK_WAIT) };
static PERCPU struct worker worker;

static struct work_list slow_list = { .lock = SPINLOCK_INIT("slow work", LOCK_WAIT) };
static struct worker slow_worker[SLOW_WORKERS];

void work_init(struct work *w, void (*fn)(struct work *w))
{
	ASSERT(fn);
	*w = (struct work){ .fn = fn };
	list_init(&w->link);
}

void work_init_slow(struct work *w, void (*fn)(struct work *w))
{
	work_init(w, fn);
	w->slow = true;
}

static uint16_t choose_cpu(const struct work *w)
{
	if (w->slow)
		return CPU_SLOW;
	return READ_ONCE(this_cpu(worker).thread) ? (uint16_t)cpu_index() : 0;
}

static struct work_list *list_of(unsigned cpu)
{
	return cpu == CPU_SLOW ? &slow_list : &per_cpu(work_list, cpu);
}

static void wake(struct worker *w)
{
	if (READ_ONCE(w->thread))
		thread_wake(w->thread);
}

/* Those who are busy look again before they wait. */
static void wake_workers(unsigned cpu)
{
	if (cpu != CPU_SLOW) {
		wake(&per_cpu(worker, cpu));
		return;
	}
	for (unsigned i = 0; i < SLOW_WORKERS; i++)
		if (!__atomic_load_n(&slow_worker[i].running, __ATOMIC_ACQUIRE))
			wake(&slow_worker[i]);
}

void work_queue(struct work *w)
{
	uint64_t flags = cpu_irq_save();
	uint16_t cpu = choose_cpu(w);
	struct work_list *l = list_of(cpu);

	ASSERT(w->fn);
	/* Whoever turns idle into queued owns the insertion. */
	if (__atomic_exchange_n(&w->state, WORK_QUEUED, __ATOMIC_ACQ_REL) == WORK_IDLE) {
		spin_lock(&l->lock);
		if (!l->items.next)
			list_init(&l->items);
		w->cpu = cpu;
		list_push_back(&l->items, &w->link);
		spin_unlock(&l->lock);
		wake_workers(cpu);
	}
	cpu_irq_restore(flags);
}

/* The next item, marked as running; NULL when there is none. *group gets a reference. */
static struct work *take(struct worker *self, struct sched_group **group)
{
	struct work_list *l = self->list;
	uint64_t flags = spin_lock_irq(&l->lock);
	struct work *w = NULL;

	if (l->items.next && !list_empty(&l->items)) {
		w = list_first(&l->items, struct work, link);
		list_remove(&w->link);
		self->running = w;
		*group = w->group;
		sched_group_get(w->group);
		/* From here on it may be queued again. */
		__atomic_store_n(&w->state, WORK_IDLE, __ATOMIC_RELEASE);
	}
	spin_unlock_irq(&l->lock, flags);
	return w;
}

static void work(void *arg)
{
	struct worker *self = arg;
	struct sched_group *group;
	struct work *w;

	for (;;) {
		thread_prepare();
		w = take(self, &group);
		if (!w) {
			(void)thread_wait(THREAD_FOREVER);
			continue;
		}
		if (group)
			(void)thread_charge(group);
		w->fn(w);	/* which may free it */
		if (group)
			sched_group_put(thread_charge(NULL));
		__atomic_store_n(&self->running, NULL, __ATOMIC_SEQ_CST);
		sched_point();
	}
}

static void unqueue(struct work *w)
{
	struct work_list *l = list_of(READ_ONCE(w->cpu));
	uint64_t flags = spin_lock_irq(&l->lock);

	if (w->state == WORK_QUEUED && list_of(w->cpu) == l && !list_empty(&w->link)) {
		list_remove(&w->link);
		w->state = WORK_IDLE;
	}
	spin_unlock_irq(&l->lock, flags);
}

static bool runs_in(const struct worker *by, const struct work *w)
{
	return __atomic_load_n(&by->running, __ATOMIC_ACQUIRE) == w &&
	       by->thread != thread_current();
}

static bool runs_elsewhere(const struct work *w)
{
	for (unsigned cpu = 0; cpu < cpu_count; cpu++)
		if (runs_in(&per_cpu(worker, cpu), w))
			return true;
	for (unsigned i = 0; i < SLOW_WORKERS; i++)
		if (runs_in(&slow_worker[i], w))
			return true;
	return false;
}

void work_cancel_sync(struct work *w)
{
	ASSERT(thread_may_wait());
	do {
		unqueue(w);
		while (runs_elsewhere(w))
			thread_sleep_ns(20000);
	} while (__atomic_load_n(&w->state, __ATOMIC_ACQUIRE) != WORK_IDLE);
}

static void start(struct worker *w, struct work_list *l, const char *kind, unsigned number, int cpu)
{
	char name[32];
	struct thread_attr attr = { .name = name, .entry = work, .arg = w, .cpu = cpu };
	struct thread *t;

	format(name, sizeof(name), "%s/%u", kind, number);
	*w = (struct worker){ .list = l };
	t = thread_create(&attr);
	if (!t)
		panic("work: no memory for the worker %s", name);
	WRITE_ONCE(w->thread, t);
	thread_start(t);
}

void work_start(void)
{
	for (unsigned cpu = 0; cpu < cpu_count; cpu++)
		start(&per_cpu(worker, cpu), &per_cpu(work_list, cpu), "work", cpu, (int)cpu);
	for (unsigned i = 0; i < SLOW_WORKERS; i++)
		start(&slow_worker[i], &slow_list, "slow", i, -1);
}
