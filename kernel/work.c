/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Deferred work. Each CPU has a list and a worker thread pinned to it; work runs on the CPU that
 * queued it. Before work_start(), and on a CPU without a worker, the boot CPU's list takes it.
 *
 * Locking: list->lock (LOCK_WAIT, irq-safe) guards one CPU's list, `running`, and state and cpu of
 * the items in it. An item's `cpu` names its list as long as it is queued.
 */
#include "kernel/work.h"

#include "cpu/cpu.h"
#include "cpu/percpu.h"
#include "cpu/spinlock.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "lib/format.h"

enum work_state { WORK_IDLE, WORK_QUEUED };

struct work_list {
	struct spinlock lock;
	struct list items;
	struct work *running;
	struct thread *worker;
};

static PERCPU struct work_list work_list = { .lock = SPINLOCK_INIT("work", LOCK_WAIT) };

void work_init(struct work *w, void (*fn)(struct work *w))
{
	*w = (struct work){ .fn = fn };
	list_init(&w->link);
}

static unsigned choose_cpu(void)
{
	return READ_ONCE(this_cpu(work_list).worker) ? cpu_index() : 0;
}

void work_queue(struct work *w)
{
	uint64_t flags = cpu_irq_save();
	unsigned cpu = choose_cpu();
	struct work_list *l = &per_cpu(work_list, cpu);

	/* Whoever turns idle into queued owns the insertion. */
	if (__atomic_exchange_n(&w->state, WORK_QUEUED, __ATOMIC_ACQ_REL) == WORK_IDLE) {
		spin_lock(&l->lock);
		if (!l->items.next)
			list_init(&l->items);
		w->cpu = (uint16_t)cpu;
		list_push_back(&l->items, &w->link);
		spin_unlock(&l->lock);
		if (l->worker)
			thread_wake(l->worker);
	}
	cpu_irq_restore(flags);
}

/* The next item, marked as running; NULL when there is none. */
static struct work *take(struct work_list *l)
{
	uint64_t flags = spin_lock_irq(&l->lock);
	struct work *w = NULL;

	if (l->items.next && !list_empty(&l->items)) {
		w = list_first(&l->items, struct work, link);
		list_remove(&w->link);
		l->running = w;
		/* From here on it may be queued again. */
		__atomic_store_n(&w->state, WORK_IDLE, __ATOMIC_RELEASE);
	}
	spin_unlock_irq(&l->lock, flags);
	return w;
}

static void worker(void *arg)
{
	struct work_list *l = arg;
	struct work *w;

	for (;;) {
		thread_prepare();
		w = take(l);
		if (!w) {
			(void)thread_wait(THREAD_FOREVER);
			continue;
		}
		w->fn(w);	/* which may free it */
		__atomic_store_n(&l->running, NULL, __ATOMIC_RELEASE);
		sched_point();
	}
}

static void unqueue(struct work *w)
{
	struct work_list *l = &per_cpu(work_list, READ_ONCE(w->cpu));
	uint64_t flags = spin_lock_irq(&l->lock);

	if (w->state == WORK_QUEUED && &per_cpu(work_list, w->cpu) == l && !list_empty(&w->link)) {
		list_remove(&w->link);
		w->state = WORK_IDLE;
	}
	spin_unlock_irq(&l->lock, flags);
}

static bool runs_elsewhere(const struct work *w)
{
	for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
		const struct work_list *l = &per_cpu(work_list, cpu);

		if (__atomic_load_n(&l->running, __ATOMIC_ACQUIRE) == w &&
		    l->worker != thread_current())
			return true;
	}
	return false;
}

void work_cancel_sync(struct work *w)
{
	do {
		unqueue(w);
		while (runs_elsewhere(w))
			thread_sleep_ns(20000);
	} while (__atomic_load_n(&w->state, __ATOMIC_ACQUIRE) != WORK_IDLE);
}

void work_start(void)
{
	char name[32];

	for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
		struct work_list *l = &per_cpu(work_list, cpu);
		struct thread_attr attr = {
			.name = name, .entry = worker, .arg = l, .cpu = (int)cpu,
		};
		struct thread *t;

		format(name, sizeof(name), "work/%u", cpu);
		t = thread_create(&attr);
		if (!t)
			panic("work: no memory for the worker of CPU %u", cpu);
		WRITE_ONCE(l->worker, t);
		thread_start(t);
	}
}
