/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers.
 *
 * Design. Each CPU has a queue of timers ordered by deadline and programs its LAPIC for the first,
 * by absolute TSC. The LAPIC is only ever moved to an earlier time: what is cancelled or put off
 * leaves it alone, and the interrupt that then finds nothing due programs the next. That is one
 * spare interrupt now and then against a write of the timer at each cancel.
 *
 * An interrupt can get lost (QEMU's TCG drops those that meet a VMRUN): its vector waits in the
 * LAPIC, and the CPU learns of it with the next interrupt of any kind, which may never come if the
 * one that is lost was the timer's. With timer_watch() a CPU programs its LAPIC anew before each
 * halt, whatever it should be programmed for, and a second source ticks a few times a second: its
 * interrupt finds what is late, in a guest too, and makes the other CPUs look.
 *
 * Locking. queue->lock (LOCK_TIMER, irq-safe) guards one CPU's queue and the fields of the timers
 * in it. timer->cpu names the queue and changes under that queue's lock only (from none, by compare
 * and exchange), so who wants a timer locks the queue that `cpu` names and looks again.
 * Callbacks run without the lock; `running` tells cancel_sync which. What is programmed is the
 * queue's own CPU's, with interrupts off.
 */
#include "kernel/timer.h"

#include "cpu/cpu.h"
#include "cpu/ipi.h"
#include "cpu/irq.h"
#include "cpu/lapic.h"
#include "cpu/percpu.h"
#include "cpu/spinlock.h"
#include "cpu/tsc.h"
#include "kernel/panic.h"
#include "kernel/trace.h"

#define NEVER		(~0ul)
#define LONGEST_NS	3600000000000ul

struct timer_queue {
	struct spinlock lock;
	struct tree tree;
	uint64_t programmed_ns;		/* when the LAPIC will fire; NEVER: it will not */
	struct timer *running;		/* its callback runs now */
	bool in_interrupt;		/* at whose end the LAPIC is programmed for that time */
};

static PERCPU struct timer_queue queue = {
	.lock = SPINLOCK_INIT("timer", LOCK_TIMER), .programmed_ns = NEVER,
};

static bool lossy;			/* interrupts are known to get lost here */

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	*t = (struct timer){ .fn = fn, .cpu = -1 };
}

bool timer_armed(const struct timer *t)
{
	return READ_ONCE(t->cpu) >= 0;
}

/*
 * From now on, not from the clock's zero: the two conversions' roundings would add up to
 * milliseconds in months, and a timer that fires that much early would fire again and again. Nor
 * farther than an hour, lest the product wrap: the interrupt then finds nothing due.
 */
static void program(struct timer_queue *q, uint64_t deadline_ns)
{
	uint64_t tsc = tsc_read(), now = tsc_to_ns(tsc - tsc_base);
	uint64_t wait = deadline_ns > now ? deadline_ns - now : 0;

	ASSERT(!cpu_irq_enabled());
	q->programmed_ns = deadline_ns;
	if (unlikely(wait > LONGEST_NS)) {
		wait = LONGEST_NS;
		q->programmed_ns = now + wait;
	}
	lapic_timer_set(tsc, wait);
}

static void insert(struct timer_queue *q, struct timer *t, uint64_t deadline_ns)
{
	ASSERT(spin_held(&q->lock));
	t->deadline_ns = deadline_ns;
	t->node.key = deadline_ns;
	tree_insert(&q->tree, &t->node);
	if (deadline_ns >= q->programmed_ns)
		return;
	if (q->in_interrupt)
		q->programmed_ns = deadline_ns;
	else
		program(q, deadline_ns);
}

/* Takes `t` out of the queue it is in; false if it is in none. Interrupts are off. */
static bool take_out(struct timer *t)
{
	struct timer_queue *q;
	int cpu;

	ASSERT(!cpu_irq_enabled());
	while ((cpu = READ_ONCE(t->cpu)) >= 0) {
		q = &per_cpu(queue, cpu);
		spin_lock(&q->lock);
		if (t->cpu == cpu) {
			tree_remove(&q->tree, &t->node);
			WRITE_ONCE(t->cpu, -1);
			spin_unlock(&q->lock);
			return true;
		}
		spin_unlock(&q->lock);
	}
	return false;
}

/*
 * Makes this CPU's queue, which is locked, the timer's; false if it is in another's. From none to
 * one it goes atomically: a callback that arms its timer again and the timer's owner on another
 * CPU may both try.
 */
static bool adopt(struct timer_queue *q, struct timer *t, int cpu)
{
	int none = -1;

	if (READ_ONCE(t->cpu) == cpu) {
		tree_remove(&q->tree, &t->node);
		return true;
	}
	return __atomic_compare_exchange_n(&t->cpu, &none, cpu, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

void timer_set(struct timer *t, uint64_t deadline_ns)
{
	uint64_t flags = cpu_irq_save();
	struct timer_queue *q = &this_cpu(queue);
	int cpu = (int)cpu_index();

	spin_lock(&q->lock);
	while (unlikely(!adopt(q, t, cpu))) {
		spin_unlock(&q->lock);
		take_out(t);
		spin_lock(&q->lock);
	}
	insert(q, t, deadline_ns);
	spin_unlock(&q->lock);
	cpu_irq_restore(flags);
}

bool timer_cancel(struct timer *t)
{
	uint64_t flags;
	bool was;

	if (!timer_armed(t))
		return false;
	flags = cpu_irq_save();
	was = take_out(t);
	cpu_irq_restore(flags);
	return was;
}

/*
 * A callback may arm its timer again, perhaps on yet another CPU: until it is neither queued nor
 * running anywhere.
 */
void timer_cancel_sync(struct timer *t)
{
	bool running;

	ASSERT(per_cpu(queue, cpu_index()).running != t);
	do {
		running = timer_cancel(t);
		for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
			while (__atomic_load_n(&per_cpu(queue, cpu).running, __ATOMIC_ACQUIRE) ==
			       t) {
				running = true;
				cpu_pause();
			}
		}
	} while (running);
}

uint64_t timer_next_ns(void)
{
	const struct timer_queue *q = &this_cpu(queue);
	const struct tree_node *first = tree_first(&q->tree);

	return first ? first->key : NEVER;
}

/*
 * The first timer if it is due at `now`, out of the queue and `running`; else NULL. The LAPIC is to
 * be programmed for the one behind it.
 */
static struct timer *take_due(struct timer_queue *q, uint64_t now)
{
	struct tree_node *n;
	struct timer *t = NULL;

	spin_lock(&q->lock);
	n = tree_first(&q->tree);
	if (n && n->key <= now) {
		t = tree_entry(n, struct timer, node);
		tree_remove(&q->tree, n);
		WRITE_ONCE(q->running, t);
		WRITE_ONCE(t->cpu, -1);
		n = tree_first(&q->tree);
	}
	q->programmed_ns = n ? n->key : NEVER;
	spin_unlock(&q->lock);
	return t;
}

/*
 * The clock is read once: what falls due meanwhile gets an interrupt of its own, so this ends. No
 * look at the queue after the last callback: programmed_ns follows what the callbacks arm, and what
 * others cancel meanwhile is a spare interrupt.
 */
static void timer_interrupt(void *arg)
{
	struct timer_queue *q = &this_cpu(queue);
	uint64_t now = clock_ns();
	struct timer *t;

	ASSERT(!cpu_irq_enabled());
	(void)arg;
	q->in_interrupt = true;
	do {
		t = take_due(q, now);
		if (likely(t)) {
			t->fn(t);
			__atomic_store_n(&q->running, NULL, __ATOMIC_RELEASE);
		}
	} while (q->programmed_ns <= now);
	q->in_interrupt = false;
	if (likely(q->programmed_ns != NEVER))
		program(q, q->programmed_ns);
}

/* What is late already fires at once. No lock: this CPU alone programs its LAPIC. */
void timer_before_halt(void)
{
	uint64_t due;

	if (likely(!lossy))
		return;
	due = timer_next_ns();
	if (due != NEVER)
		program(&this_cpu(queue), due);
}

void timer_cpu_init(void)
{
	if (cpu_index() == 0 && irq_claim(IRQ_TIMER, "timer", timer_interrupt, NULL))
		panic("timer: its vector is taken");
}

void timer_watch(void)
{
	lossy = true;
}

/*
 * Whether its timer's interrupt got lost or somebody's kick, which leaves no trace here: one more
 * interrupt makes a CPU take all that waits in its LAPIC, and its handler finds what is late.
 */
void timer_watch_tick(void *arg)
{
	(void)arg;
	ipi_send_others(IRQ_TIMER);
	timer_interrupt(NULL);
}
