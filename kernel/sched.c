/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler: switching, giving way, waiting and waking. The queue of one CPU is
 * kernel/runqueue.c, the choice of a CPU kernel/placement.c.
 *
 * Design. Every CPU has a queue of the threads that could run there, ordered by virtual time: the
 * TSC ticks a thread has run, times 1024 / weight. The thread with the least runs until it is
 * GRANULARITY ahead of the next, so N threads share a CPU in proportion to their weights, in slices
 * of about two granularities. The kernel is not preempted; whoever wants the CPU for another thread
 * sets sched_wanted_flag (and kicks the CPU if it is another), and the running thread comes to
 * sched_point(). Who has just come stays for RUN_MIN in any case. There is no tick: a timer is
 * armed only while somebody waits in the queue, for the moment at which he is due.
 *
 * A thread that slept returns with at most LEAD less virtual time than the queue's own clock
 * (min_vtime, which never falls): enough to run at once, not enough to starve others. Virtual time
 * is relative to a queue and is translated when a thread moves.
 *
 * Groups. The threads of a group share what one thread would get: virtual time advances with the
 * group's clock (kernel/sched_group.h), so for each as many times as fast as siblings want a CPU.
 * docs/DESIGN.md says why.
 *
 * A waiting thread whose CPU has nothing else to run does not switch: it halts in place
 * (THREAD_IDLING), on its own stack with its guest's state still in the chip, and goes on after the
 * interrupt that wakes it. A CPU's idle thread is simply one that waits for ever. leave_cpu runs
 * only when another thread really takes over.
 *
 * Affinity. A thread may run on a set of CPUs (kernel/cpu_set.h): all choices of a CPU keep to it.
 * When it changes under a thread that runs or is queued elsewhere, that thread finds out itself
 * (sched_move()), on its next turn at the latest: a vCPU is requested to.
 *
 * Placement. A woken thread goes to its last CPU if that idles, else to any idle one, else it
 * queues at its last. Where CPUs share cores or caches (cpu/place.h) an idle core comes before an
 * idle thread of a busy one, and what is near before what is not. A CPU that idles takes waiting
 * threads from others; a busy one whose slice ends with threads waiting kicks an idle CPU to come,
 * or hands one thread to a CPU with less load, that is the sum of the shares of those who want it:
 * at once if the two then differ by less, else ten times a second if they differ by no more, so
 * that threads which do not divide evenly take turns at sharing: the one that has been there
 * longest goes.
 *
 * Locking. queue->lock (LOCK_SCHED, interrupts off) guards a queue and state, cpu and vtime of the
 * threads whose `cpu` names it. Two are never held together: a thread that moves belongs to nobody
 * in between (THREAD_READY, in no tree). The lock is held across the switch of stacks and released
 * by the thread switched to; so nobody sees a thread as waiting or ready before it has left its
 * stack. `woken` is atomic and pairs with `state`: the waker sets woken and then reads state, the
 * thread sets state and then reads woken, with full barriers between, so one of them always
 * notices. The idle CPU's half of runqueue_notify() is alike: it clears sched_wanted_flag, looks at
 * the queue, and halts with interrupts opened by the same instruction.
 */
#include "kernel/sched.h"

#include "cpu/cpu.h"
#include "cpu/ipi.h"
#include "cpu/irq.h"
#include "cpu/spinlock.h"
#include "kernel/panic.h"
#include "kernel/placement.h"
#include "kernel/runqueue.h"
#include "kernel/thread_struct.h"
#include "kernel/trace.h"
#include "mm/page.h"

#define SCRUB_MIN_NS	200000ul	/* idle for less than this is not spent scrubbing */

bool sched_wanted_flag PERCPU;

/* What the CPU runs when sched starts there: "main" on the boot CPU, the idle thread elsewhere. */
static PERCPU struct thread boot_thread;

/* ---- switching ------------------------------------------------------------------------------- */

/* Who does not come back to this CPU: to the queue of the one chosen for it, or to its grave. */
static noinline void has_left(struct thread *t)
{
	unsigned cpu = t->cpu;

	if (t->finished) {
		thread_left(t);
		return;
	}
	placement_give(cpu, t);
	runqueue_notify(cpu);
}

/* First thing on the new stack: releases the queue of the CPU we are on. */
static void finish_switch(void)
{
	struct runqueue *q = &this_cpu(runqueue);
	struct thread *left = q->left;

	q->left = NULL;
	spin_unlock(&q->lock);
	if (unlikely(left))
		has_left(left);
}

/*
 * Gives the CPU to `next`, which is in no queue. q is this CPU's, locked and accounted; the lock is
 * released. Returns when the calling thread runs again, on whatever CPU.
 */
static void switch_to(struct runqueue *q, struct thread *next)
{
	struct thread *prev = q->current;

	if (prev->leave_cpu)
		prev->leave_cpu(prev->arg);
	if (next != q->idle_thread && q->since > next->queued_at)
		next->wait_ticks += q->since - next->queued_at;
	next->state = THREAD_RUNNING;
	q->current = next;
	q->running = next->share;
	q->grouped = next->group;
	if (next->group)
		runqueue_resume(q, next->group);
	q->switches++;
	q->switched = q->since;
	if (!tree_empty(&q->tree) || unlikely(runqueue_capped(next)))
		runqueue_arm_slice(q, next);
	trace(TRACE_SWITCH, cpu_index(), (uintptr_t)prev, (uintptr_t)next);
	switch_stacks(&prev->sp, next->sp);
	finish_switch();
}

void sched_begin(void)
{
	struct thread *t;

	finish_switch();
	cpu_irq_enable();
	t = thread_current();
	t->entry(t->arg);
	thread_exit();
}

/*
 * The current thread waits and its CPU has another to run. Back when it is woken; at once if it was
 * or there is none.
 */
static void switch_waiting(struct runqueue *q, struct thread *t)
{
	struct thread *next;

	spin_lock(&q->lock);
	next = runqueue_first(q);
	if (next) {
		__atomic_exchange_n(&t->state, THREAD_WAITING, __ATOMIC_SEQ_CST);
		if (!READ_ONCE(t->woken)) {
			runqueue_account(q, tsc_read());
			if (t->group) {
				sched_group_leave(t->group, q->since);
				runqueue_charge_group(t);
			}
			runqueue_remove(q, next);
			switch_to(q, next);
			return;
		}
		WRITE_ONCE(t->state, THREAD_RUNNING);
	}
	spin_unlock(&q->lock);
}

/* ---- giving way ------------------------------------------------------------------------------ */

/* Interrupts off. */
static void reconsider(bool yield)
{
	struct runqueue *q = &this_cpu(runqueue);
	struct thread *t = q->current, *next;

	/* The flag first: what comes into the queue later sets it again. */
	(void)__atomic_exchange_n(&this_cpu(sched_wanted_flag), false, __ATOMIC_SEQ_CST);
	if (cpu_count > 1 && READ_ONCE(q->waiting))
		placement_balance(q);
	spin_lock(&q->lock);
	next = runqueue_first(q);
	if (!next) {
		spin_unlock(&q->lock);
		return;
	}
	runqueue_account(q, tsc_read());
	if (yield && t->vtime < next->vtime)
		t->vtime = next->vtime;
	if (yield || runqueue_slice_over(q, t)) {
		if (t->group)
			runqueue_charge_group(t);
		runqueue_exchange(q, next, t);
		switch_to(q, next);
		return;
	}
	runqueue_arm_slice(q, t);
	spin_unlock(&q->lock);
}

void sched_point(void)
{
	uint64_t flags;

	ASSERT(!spin_held_count());
	if (!sched_wanted())
		return;
	flags = cpu_irq_save();
	reconsider(false);
	cpu_irq_restore(flags);
}

void sched_yield(void)
{
	uint64_t flags = cpu_irq_save();

	reconsider(true);
	cpu_irq_restore(flags);
}

/* The queue, which is locked and accounted, without its current thread. */
static void switch_for_good(struct runqueue *q)
{
	struct thread *next = runqueue_first(q);

	q->left = q->current;
	if (next)
		runqueue_remove(q, next);
	switch_to(q, next ? next : q->idle_thread);
}

void sched_move(void)
{
	uint64_t flags = cpu_irq_save();
	struct runqueue *q = &this_cpu(runqueue);
	struct thread *t = q->current;
	unsigned to;

	ASSERT(!spin_held_count());
	spin_lock(&q->lock);
	to = cpu_set_has(&t->allowed, t->cpu) ? t->cpu : placement_choose(t);
	if (to == t->cpu) {
		spin_unlock_irq(&q->lock, flags);
		return;
	}
	runqueue_account(q, tsc_read());
	if (t->group)
		runqueue_charge_group(t);
	runqueue_translate(t, q, &per_cpu(runqueue, to));
	t->state = THREAD_READY;
	WRITE_ONCE(t->cpu, to);
	switch_for_good(q);
	cpu_irq_restore(flags);
}

/* ---- waiting and waking ---------------------------------------------------------------------- */

/* Nothing is due soon, so there is time to clean pages. */
static bool may_scrub(void)
{
	uint64_t due = timer_next_ns();

	return due == ~0ul || due > clock_ns() + SCRUB_MIN_NS;
}

/* Until `t` is woken or the queue has something. Interrupts off, on this CPU all the time. */
static void idle_here(struct runqueue *q, struct thread *t)
{
	struct sched_group *group = t->group;
	unsigned cpu = cpu_index();
	bool clean = false;

	runqueue_account(q, tsc_read());
	if (group)
		sched_group_leave(group, q->since);
	WRITE_ONCE(q->idling, true);
	__atomic_exchange_n(&t->state, THREAD_IDLING, __ATOMIC_SEQ_CST);
	for (;;) {
		if (!cpu_map_has(&placement_claimable, cpu))
			cpu_map_add(&placement_claimable, cpu);
		(void)__atomic_exchange_n(&this_cpu(sched_wanted_flag), false, __ATOMIC_SEQ_CST);
		if (READ_ONCE(t->woken) || READ_ONCE(q->waiting) || placement_steal(q))
			break;
		if (clean || !may_scrub()) {
			timer_before_halt();
			cpu_halt();
			clean = false;
			/* What came into the queue as well has left its sign in the flag. */
			if (likely(READ_ONCE(t->woken)))
				break;
			continue;
		}
		/* An interrupt may have come in here: look again before halting. */
		cpu_irq_enable();
		clean = !page_scrub_some();
		cpu_pause();
		cpu_irq_disable();
	}
	cpu_map_remove(&placement_claimable, cpu);
	runqueue_account_idle(q, tsc_read());
	if (group) {
		sched_group_enter(group, q->since);
		runqueue_resume(q, group);
		if (unlikely(sched_group_capped(group)))
			runqueue_arm_cap(q, t);
	}
	WRITE_ONCE(q->idling, false);
	WRITE_ONCE(t->state, THREAD_RUNNING);
}

void sched_wait(struct thread *t)
{
	struct runqueue *q = &this_cpu(runqueue);

	while (!READ_ONCE(t->woken)) {
		if (READ_ONCE(q->waiting)) {
			switch_waiting(q, t);
			q = &this_cpu(runqueue);
		} else {
			idle_here(q, t);
		}
	}
	/* Whoever came into the queue while we idled has not been looked at. */
	if (READ_ONCE(q->waiting))
		WRITE_ONCE(this_cpu(sched_wanted_flag), true);
}

/* Locks the queue that a thread's `cpu` names. */
static struct runqueue *lock_queue_of(const struct thread *t)
{
	for (;;) {
		unsigned cpu = READ_ONCE(t->cpu);
		struct runqueue *q = &per_cpu(runqueue, cpu);

		spin_lock(&q->lock);
		if (t->cpu == cpu)
			return q;
		spin_unlock(&q->lock);
	}
}

/*
 * A thread that has left its CPU: to a queue. A waker may be so late that the thread has run and
 * waits again, elsewhere: then this is a wake-up for nothing, after which the thread finds `woken`
 * unset and waits on.
 */
static noinline void wake_waiting(struct thread *t)
{
	uint64_t flags = cpu_irq_save();
	struct runqueue *q = lock_queue_of(t);
	unsigned to;

	if (t->state != THREAD_WAITING) {
		spin_unlock_irq(&q->lock, flags);
		return;
	}
	to = placement_choose(t);
	t->state = THREAD_READY;
	if (t->group)
		sched_group_enter(t->group, tsc_read());
	if (to == t->cpu) {
		runqueue_add(q, t);
		spin_unlock(&q->lock);
	} else {
		runqueue_translate(t, q, &per_cpu(runqueue, to));
		WRITE_ONCE(t->cpu, to);
		spin_unlock(&q->lock);
		placement_give(to, t);
	}
	runqueue_notify(to);
	cpu_irq_restore(flags);
}

void sched_wake(struct thread *t)
{
	enum thread_state state = READ_ONCE(t->state);

	if (state == THREAD_IDLING) {
		if (t->cpu != cpu_index())
			ipi_send(t->cpu, IRQ_KICK);
	} else if (state == THREAD_WAITING) {
		wake_waiting(t);
	}
}

void thread_affinity_set(struct thread *t, const struct cpu_set *allowed)
{
	uint64_t flags = cpu_irq_save();
	struct runqueue *q = lock_queue_of(t);

	t->allowed = *allowed;
	t->mobility = cpu_set_is_full(allowed)       ? THREAD_FREE
		      : cpu_set_count(allowed) > 1u ? THREAD_RESTRICTED
						    : THREAD_PINNED;
	spin_unlock_irq(&q->lock, flags);
}

void thread_affinity_get(const struct thread *t, struct cpu_set *allowed)
{
	uint64_t flags = cpu_irq_save();
	struct runqueue *q = lock_queue_of(t);

	*allowed = t->allowed;
	spin_unlock_irq(&q->lock, flags);
}

void sched_add(struct thread *t)
{
	uint64_t flags = cpu_irq_save();
	unsigned to;

	t->cpu = cpu_index();
	to = placement_choose(t);
	t->cpu = to;
	t->state = THREAD_READY;
	t->vtime = 0;		/* runqueue_add() lifts it to the queue's clock */
	if (t->group)
		sched_group_enter(t->group, tsc_read());
	placement_give(to, t);
	runqueue_notify(to);
	cpu_irq_restore(flags);
}

void sched_exit(void)
{
	struct runqueue *q = &this_cpu(runqueue);

	spin_lock(&q->lock);
	runqueue_account(q, tsc_read());
	if (q->current->group)
		sched_group_leave(q->current->group, q->since);
	switch_for_good(q);
	panic("sched: a dead thread ran");
}

/* ---- start ----------------------------------------------------------------------------------- */

struct thread *thread_current(void)
{
	return this_cpu(runqueue).current;
}

void *thread_argument(void (*entry)(void *arg))
{
	const struct thread *t = this_cpu(runqueue).current;

	return t->entry == entry ? t->arg : NULL;
}

/* Nobody wakes it: it runs whenever there is nothing else, by waiting. */
static void idle_entry(void *arg)
{
	(void)arg;
	cpu_irq_disable();
	sched_wait(thread_current());
}

/* Makes the running code the thread `name`. */
static void start_cpu(const char *name)
{
	struct thread *t = &this_cpu(boot_thread);
	const struct thread_attr attr = { .name = name, .cpu = (int)cpu_index() };

	thread_setup(t, &attr);
	t->state = THREAD_RUNNING;
	t->cpu = cpu_index();
	runqueue_start(&this_cpu(runqueue), t);
}

void sched_init(void)
{
	const struct thread_attr attr = { .name = "idle/0", .entry = idle_entry, .cpu = 0 };

	runqueue_init();
	placement_claimable = (struct cpu_map){ 0 };
	start_cpu("main");
	this_cpu(runqueue).idle_thread = thread_create(&attr);
	if (!this_cpu(runqueue).idle_thread)
		panic("sched: no memory for the first idle thread");
}

void sched_start_ap(void)
{
	char name[THREAD_NAME_MAX] = "idle/";
	unsigned cpu = cpu_index(), digits = cpu > 99 ? 3 : cpu > 9 ? 2 : 1;

	for (unsigned i = digits; i--; cpu /= 10)
		name[5 + i] = (char)('0' + cpu % 10);
	start_cpu(name);
	this_cpu(runqueue).idle_thread = this_cpu(runqueue).current;
	idle_entry(NULL);
	panic("sched: an idle thread was woken");
}

void sched_stats_get(unsigned cpu, struct sched_cpu_stats *out)
{
	const struct runqueue *q = &per_cpu(runqueue, cpu);
	uint64_t open = tsc_read() - READ_ONCE(q->since);
	bool idle = READ_ONCE(q->idling);

	*out = (struct sched_cpu_stats){
		.busy_ticks = q->busy_ticks + (idle ? 0 : open),
		.idle_ticks = q->idle_ticks + (idle ? open : 0),
		.switches = q->switches,
		.steals = q->steals,
		.runnable = runqueue_count(q),
	};
}

/* Its cap's timer has nobody else to set it again. */
static noinline uint64_t capped_until(struct thread *t)
{
	uint64_t flags = cpu_irq_save(), until;
	struct runqueue *q = &this_cpu(runqueue);

	spin_lock(&q->lock);
	runqueue_account(q, tsc_read());
	if (sched_group_left(t->group, &t->cap, q->since, &until)) {
		runqueue_arm_slice(q, t);
		until = 0;
	} else {
		until = clock_ns() + tsc_to_ns(until > q->since ? until - q->since : 0) + 1;
	}
	spin_unlock_irq(&q->lock, flags);
	return until;
}

uint64_t sched_capped_until(void)
{
	struct thread *t = thread_current();

	return unlikely(runqueue_capped(t)) ? capped_until(t) : 0;
}

void thread_sched_follow(struct thread *t)
{
	uint64_t flags = cpu_irq_save();
	struct runqueue *q = lock_queue_of(t);

	t->weight = t->group->weight ? t->group->weight : THREAD_WEIGHT;
	t->per_tick = ((uint64_t)THREAD_WEIGHT << 32) / t->weight;
	spin_lock(&t->group->lock);
	t->cap = t->group->each;
	spin_unlock(&t->group->lock);
	spin_unlock_irq(&q->lock, flags);
}

struct sched_group *thread_charge(struct sched_group *g)
{
	uint64_t flags = cpu_irq_save();
	struct runqueue *q = &this_cpu(runqueue);
	struct thread *t = q->current;
	struct sched_group *before = t->charge;

	ASSERT(!t->group);
	spin_lock(&q->lock);
	runqueue_account(q, tsc_read());
	t->charge = g;
	spin_unlock_irq(&q->lock, flags);
	return before;
}

uint64_t thread_run_ticks(const struct thread *t)
{
	uint64_t ticks = t->run_ticks, now = tsc_read();
	const struct runqueue *q = &per_cpu(runqueue, READ_ONCE(t->cpu));

	if (READ_ONCE(t->state) == THREAD_RUNNING && READ_ONCE(q->current) == t && now > q->since)
		ticks += now - q->since;
	return ticks;
}
