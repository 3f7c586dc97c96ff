/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler.
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
 * A waiting thread whose CPU has nothing else to run does not switch: it halts in place
 * (THREAD_IDLING), on its own stack with its guest's state still in the chip, and goes on after the
 * interrupt that wakes it. A CPU's idle thread is simply one that waits for ever. leave_cpu runs
 * only when another thread really takes over.
 *
 * Placement. A woken thread goes to its last CPU if that idles, else to any idle one, else it
 * queues at its last. A CPU that idles takes waiting threads from others; a busy one whose slice
 * ends with threads waiting kicks an idle CPU to come, or hands one thread to a CPU with a shorter
 * queue: at once when two shorter, else ten times a second, so that threads which do not divide
 * evenly take turns at sharing: the one that has been there longest goes.
 *
 * Locking. queue->lock (LOCK_SCHED, interrupts off) guards a queue and state, cpu and vtime of the
 * threads whose `cpu` names it. Two are never held together: a thread that moves belongs to nobody
 * in between (THREAD_READY, in no tree). The lock is held across the switch of stacks and released
 * by the thread switched to; so nobody sees a thread as waiting or ready before it has left its
 * stack. `woken` is atomic and pairs with `state`: the waker sets woken and then reads state, the
 * thread sets state and then reads woken, with full barriers between, so one of them always
 * notices. The idle CPU's half of notify() is alike: it clears sched_wanted_flag, looks at the
 * queue, and halts with interrupts opened by the same instruction.
 */
#include "kernel/sched.h"

#include "cpu/cpu.h"
#include "cpu/ipi.h"
#include "cpu/spinlock.h"
#include "include/bits.h"
#include "include/errno.h"
#include "kernel/irq.h"
#include "kernel/panic.h"
#include "kernel/thread_struct.h"
#include "kernel/trace.h"
#include "mm/page.h"

#define GRANULARITY_NS	1500000ul
#define LEAD_NS		3000000ul
#define RUN_MIN_NS	100000ul	/* so that who is woken for every byte comes for many */
#define BALANCE_NS	100000000ul	/* between moves to a queue that is one shorter */
#define BALANCE_LOOKS	8u		/* queues looked at for a shorter one, in turn */
#define SCRUB_MIN_NS	200000ul	/* idle for less than this is not spent scrubbing */
#define VTIME_START	(1ul << 48)

struct queue {
	struct spinlock lock;
	struct thread *current;
	struct thread *idle_thread;
	struct thread *dead;		/* has made its last switch; the next thread buries it */
	struct tree tree;		/* threads that wait for this CPU */
	unsigned waiting;		/* how many */
	unsigned movable;		/* of them not pinned */
	bool idling;			/* `current` halts in place */
	uint64_t min_vtime;		/* the queue's clock */
	uint64_t since;			/* TSC up to which time is accounted */
	uint64_t switched;		/* TSC when `current` came */
	struct timer slice;
	uint64_t balanced_ns;
	unsigned looked;		/* at which other CPU balance() goes on to look */

	uint64_t busy_ticks, idle_ticks, switches, steals;
};

bool sched_wanted_flag PERCPU;

static PERCPU struct queue queue = {
	.lock = SPINLOCK_INIT("sched", LOCK_SCHED), .min_vtime = VTIME_START,
};
/*
 * A bit for each CPU, so that who looks for one does not ask them all. Atomic; `movable` follows
 * the queue's count under its lock, the other is a hint.
 */
struct cpu_map {
	struct {
		uint64_t bits;
	} aligned(64) word[DIV_UP(CPU_MAX, 64)];
};

static struct cpu_map claimable;	/* idle, and no waker has chosen the CPU yet */
static struct cpu_map movable;		/* threads wait in its queue that others may take */

/* What the CPU runs when sched starts there: "main" on the boot CPU, the idle thread elsewhere. */
static PERCPU struct thread boot_thread;

static uint64_t granularity, lead;	/* in virtual ticks */
static uint64_t run_min;		/* in ticks */

/* ---- maps of CPUs ---------------------------------------------------------------------------- */

static bool map_has(const struct cpu_map *m, unsigned cpu)
{
	return READ_ONCE(m->word[cpu / 64].bits) & BIT(cpu % 64);
}

static void map_add(struct cpu_map *m, unsigned cpu)
{
	__atomic_or_fetch(&m->word[cpu / 64].bits, BIT(cpu % 64), __ATOMIC_SEQ_CST);
}

/* Was it in there? */
static always_inline bool map_remove(struct cpu_map *m, unsigned cpu)
{
	return map_has(m, cpu) && __atomic_fetch_and(&m->word[cpu / 64].bits, ~BIT(cpu % 64),
						     __ATOMIC_SEQ_CST) & BIT(cpu % 64);
}

/* The first CPU of the map in [from, end), or -1. */
static int map_find(const struct cpu_map *m, unsigned from, unsigned end)
{
	for (unsigned w = from / 64; w * 64 < end; w++) {
		uint64_t bits = READ_ONCE(m->word[w].bits);

		if (w == from / 64)
			bits &= ~0ul << from % 64;
		if (bits) {
			unsigned cpu = w * 64 + bit_lowest(bits);

			return cpu < end ? (int)cpu : -1;
		}
	}
	return -1;
}

/*
 * Goes round all CPUs, from `start` on: the next of the map that is `n` steps or more away. It is
 * moved on to the step behind; -1 when the round is over.
 */
static int map_next(const struct cpu_map *m, unsigned start, unsigned *n)
{
	unsigned from = start + *n;
	int cpu = from < cpu_count ? map_find(m, from, cpu_count) : -1;

	if (cpu < 0)
		cpu = map_find(m, from < cpu_count ? 0 : from - cpu_count, start);
	*n = cpu < 0 ? cpu_count : ((unsigned)cpu + cpu_count - start) % cpu_count + 1;
	return cpu;
}

/* ---- virtual time ---------------------------------------------------------------------------- */

static uint64_t scale(uint64_t v, uint64_t fixed_32)
{
	return (uint64_t)((unsigned __int128)v * fixed_32 >> 32);
}

/*
 * The queue's clock follows the least of those who want the CPU; `running` is the current
 * thread's virtual time.
 */
static void advance_clock(struct queue *q, uint64_t running)
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
static void refresh_clock(struct queue *q)
{
	uint64_t now = tsc_read(), since = READ_ONCE(q->since);
	const struct thread *t = q->current;

	if (t && !READ_ONCE(q->idling) && now > since)
		advance_clock(q, t->vtime + scale(now - since, t->per_tick));
}

/* The time since the last call, which nobody had. */
static void account_idle(struct queue *q, uint64_t now)
{
	q->idle_ticks += now - q->since;
	q->since = now;
}

/* Likewise, to whoever had it. */
static void account(struct queue *q, uint64_t now)
{
	struct thread *t = q->current;
	uint64_t ticks = now - q->since;

	if (q->idling) {
		account_idle(q, now);
		return;
	}
	q->since = now;
	q->busy_ticks += ticks;
	t->run_ticks += ticks;
	t->vtime += scale(ticks, t->per_tick);
	advance_clock(q, t->vtime);
}

/*
 * The thread leaves `from` for `to`, keeping its lead over the queue's clock, or as much of its lag
 * as enqueue() would leave it: one that slept for days lags by more than `to`'s clock has ever
 * shown.
 */
static void translate(struct thread *t, struct queue *from, const struct queue *to)
{
	refresh_clock(from);
	if (t->vtime + lead < from->min_vtime)
		t->vtime = from->min_vtime - lead;
	t->vtime += READ_ONCE(to->min_vtime) - from->min_vtime;
}

/* ---- the queue ------------------------------------------------------------------------------- */

static void enqueue(struct queue *q, struct thread *t)
{
	refresh_clock(q);
	if (t->vtime + lead < q->min_vtime)
		t->vtime = q->min_vtime - lead;
	t->state = THREAD_READY;
	t->node.key = t->vtime;
	t->queued_at = tsc_read();
	tree_insert(&q->tree, &t->node);
	WRITE_ONCE(q->waiting, q->waiting + 1);
	if (t->pinned < 0 && !q->movable++)
		map_add(&movable, t->cpu);
}

static void dequeue(struct queue *q, struct thread *t)
{
	tree_remove(&q->tree, &t->node);
	WRITE_ONCE(q->waiting, q->waiting - 1);
	if (t->pinned < 0 && !--q->movable)
		map_remove(&movable, t->cpu);
}

static struct thread *thread_of(struct tree_node *n)
{
	return n ? tree_entry(n, struct thread, node) : NULL;
}

static bool fits(const struct thread *t, unsigned cpu)
{
	return t->pinned < 0 || (unsigned)t->pinned == cpu;
}

/* The first that may run on CPU `cpu`, or NULL. */
static struct thread *first_fit(struct queue *q, unsigned cpu)
{
	struct tree_node *n = tree_first(&q->tree);

	while (n && !fits(thread_of(n), cpu))
		n = tree_next(n);
	return thread_of(n);
}

/*
 * The one that has been here longest; NULL if that is the one which runs: its turn comes when it
 * waits.
 */
static struct thread *eldest_fit(struct queue *q, unsigned cpu)
{
	struct thread *t = fits(q->current, cpu) ? q->current : NULL;

	for (struct tree_node *n = tree_first(&q->tree); n; n = tree_next(n))
		if (fits(thread_of(n), cpu) && (!t || thread_of(n)->came_at <= t->came_at))
			t = thread_of(n);
	return t == q->current ? NULL : t;
}

/* `cpu` has something new in its queue. */
static void notify(unsigned cpu)
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
 * Ticks from now, to which q is accounted, until `t`, which runs or is about to, shall give way to
 * the first that waits.
 */
static uint64_t slice_left(const struct queue *q, const struct thread *t)
{
	uint64_t limit = tree_first(&q->tree)->key + granularity, run = q->since - q->switched;
	uint64_t fair = limit > t->vtime ? (limit - t->vtime) * t->weight / THREAD_WEIGHT + 1 : 0;

	return MAX(fair, run < run_min ? run_min - run : 0);
}

static void arm_slice(struct queue *q, const struct thread *t)
{
	timer_set(&q->slice, clock_ns() + tsc_to_ns(slice_left(q, t)));
}

/* ---- switching ------------------------------------------------------------------------------- */

/* First thing on the new stack: releases the queue of the CPU we are on. */
static void finish_switch(void)
{
	struct queue *q = &this_cpu(queue);
	struct thread *dead = q->dead;

	q->dead = NULL;
	spin_unlock(&q->lock);
	if (unlikely(dead))
		thread_left(dead);
}

/*
 * Gives the CPU to `next`, which is in no queue. q is this CPU's, locked and accounted; the lock is
 * released. Returns when the calling thread runs again, on whatever CPU.
 */
static void switch_to(struct queue *q, struct thread *next)
{
	struct thread *prev = q->current;

	if (prev->leave_cpu)
		prev->leave_cpu(prev->arg);
	if (next != q->idle_thread && q->since > next->queued_at)
		next->wait_ticks += q->since - next->queued_at;
	next->state = THREAD_RUNNING;
	q->current = next;
	q->switches++;
	q->switched = q->since;
	if (!tree_empty(&q->tree))
		arm_slice(q, next);
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
static void switch_waiting(struct queue *q, struct thread *t)
{
	struct thread *next;

	spin_lock(&q->lock);
	next = thread_of(tree_first(&q->tree));
	if (next) {
		__atomic_exchange_n(&t->state, THREAD_WAITING, __ATOMIC_SEQ_CST);
		if (!READ_ONCE(t->woken)) {
			account(q, tsc_read());
			dequeue(q, next);
			switch_to(q, next);
			return;
		}
		WRITE_ONCE(t->state, THREAD_RUNNING);
	}
	spin_unlock(&q->lock);
}

/* ---- moving between CPUs --------------------------------------------------------------------- */

/*
 * Takes the thread that `choose` names for `cpu` out of `from`; it then belongs to the caller.
 * Interrupts off, no queue locked.
 */
static struct thread *take_from(struct queue *from, unsigned cpu,
				struct thread *(*choose)(struct queue *q, unsigned cpu))
{
	struct thread *t;

	if (!spin_try(&from->lock))
		return NULL;
	t = choose(from, cpu);
	if (t) {
		dequeue(from, t);
		translate(t, from, &per_cpu(queue, cpu));
		WRITE_ONCE(t->cpu, cpu);
	}
	spin_unlock(&from->lock);
	return t;
}

static void give_to(unsigned cpu, struct thread *t)
{
	struct queue *q = &per_cpu(queue, cpu);

	spin_lock(&q->lock);
	t->came_at = tsc_read();
	enqueue(q, t);
	spin_unlock(&q->lock);
}

/* Threads that want the CPU, the running one included. */
static unsigned load(const struct queue *q)
{
	return READ_ONCE(q->waiting) + !READ_ONCE(q->idling);
}

/* Into queue q of CPU `cpu`, out of that of `other`; false if there is nothing to take. */
static bool steal_from(struct queue *q, unsigned cpu, unsigned other)
{
	struct queue *from = &per_cpu(queue, other);
	struct thread *t;

	if (load(from) < 2)
		return false;
	t = take_from(from, cpu, first_fit);
	if (!t)
		return false;
	q->steals++;
	give_to(cpu, t);
	return true;
}

/*
 * Into this CPU's queue, from one that has more than it can run; false if there is nothing to take.
 */
static noinline bool steal(struct queue *q)
{
	unsigned cpu = cpu_index(), n = 1;
	int other;

	while ((other = map_next(&movable, cpu, &n)) >= 0)
		if (steal_from(q, cpu, (unsigned)other))
			return true;
	return false;
}

/* An idle CPU, from `cpu` on; -1 if there is none. Nobody else will choose it. */
static int find_idle(unsigned cpu)
{
	unsigned n = 0;
	int idle;

	while ((idle = map_next(&claimable, cpu, &n)) >= 0)
		if (map_remove(&claimable, (unsigned)idle))
			break;
	return idle;
}

static unsigned place(const struct thread *t)
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
static unsigned find_shortest(struct queue *q, unsigned cpu, unsigned *shortest)
{
	unsigned to = cpu, n = 1, looks = MIN(cpu_count - 1, BALANCE_LOOKS);
	int idle = map_next(&claimable, cpu, &n);

	if (idle >= 0 && !load(&per_cpu(queue, (unsigned)idle))) {
		*shortest = 0;
		return (unsigned)idle;
	}
	for (*shortest = load(q); looks; looks--) {
		unsigned c = (cpu + 1 + q->looked) % cpu_count;

		q->looked = (q->looked + 1) % (cpu_count - 1);
		if (READ_ONCE(per_cpu(queue, c).current) && load(&per_cpu(queue, c)) < *shortest) {
			*shortest = load(&per_cpu(queue, c));
			to = c;
		}
	}
	return to;
}

/*
 * This CPU's slice ended and threads still wait. No lock held, interrupts off.
 */
static void balance(struct queue *q)
{
	unsigned cpu = cpu_index(), mine = load(q), shortest, to = find_shortest(q, cpu, &shortest);
	uint64_t now = clock_ns();
	struct thread *t;

	if (to == cpu || (shortest + 1 == mine && shortest && now - q->balanced_ns < BALANCE_NS))
		return;
	t = take_from(q, to, shortest + 1 == mine ? eldest_fit : first_fit);
	if (!t)
		return;
	q->balanced_ns = per_cpu(queue, to).balanced_ns = now;
	give_to(to, t);
	notify(to);
}

/* ---- giving way ------------------------------------------------------------------------------ */

/* Interrupts off. */
static void reconsider(bool yield)
{
	struct queue *q = &this_cpu(queue);
	struct thread *t = q->current, *next;

	/* The flag first: what comes into the queue later sets it again. */
	(void)__atomic_exchange_n(&this_cpu(sched_wanted_flag), false, __ATOMIC_SEQ_CST);
	if (cpu_count > 1 && READ_ONCE(q->waiting))
		balance(q);
	spin_lock(&q->lock);
	next = thread_of(tree_first(&q->tree));
	if (!next) {
		spin_unlock(&q->lock);
		return;
	}
	account(q, tsc_read());
	if (yield && t->vtime < next->vtime)
		t->vtime = next->vtime;
	if (yield || !slice_left(q, t)) {
		dequeue(q, next);
		enqueue(q, t);
		switch_to(q, next);
		return;
	}
	arm_slice(q, t);
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

/* ---- waiting and waking ---------------------------------------------------------------------- */

/* Nothing is due soon, so there is time to clean pages. */
static bool may_scrub(void)
{
	uint64_t due = timer_next_ns();

	return due == ~0ul || due > clock_ns() + SCRUB_MIN_NS;
}

/* Until `t` is woken or the queue has something. Interrupts off, on this CPU all the time. */
static void idle_here(struct queue *q, struct thread *t)
{
	unsigned cpu = cpu_index();
	bool clean = false;

	account(q, tsc_read());
	WRITE_ONCE(q->idling, true);
	__atomic_exchange_n(&t->state, THREAD_IDLING, __ATOMIC_SEQ_CST);
	for (;;) {
		if (!map_has(&claimable, cpu))
			map_add(&claimable, cpu);
		(void)__atomic_exchange_n(&this_cpu(sched_wanted_flag), false, __ATOMIC_SEQ_CST);
		if (READ_ONCE(t->woken) || READ_ONCE(q->waiting) || steal(q))
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
	map_remove(&claimable, cpu);
	account_idle(q, tsc_read());
	WRITE_ONCE(q->idling, false);
	WRITE_ONCE(t->state, THREAD_RUNNING);
}

void sched_wait(struct thread *t)
{
	struct queue *q = &this_cpu(queue);

	while (!READ_ONCE(t->woken)) {
		if (READ_ONCE(q->waiting)) {
			switch_waiting(q, t);
			q = &this_cpu(queue);
		} else {
			idle_here(q, t);
		}
	}
	/* Whoever came into the queue while we idled has not been looked at. */
	if (READ_ONCE(q->waiting))
		WRITE_ONCE(this_cpu(sched_wanted_flag), true);
}

/* Locks the queue that a thread's `cpu` names. */
static struct queue *lock_queue_of(const struct thread *t)
{
	for (;;) {
		unsigned cpu = READ_ONCE(t->cpu);
		struct queue *q = &per_cpu(queue, cpu);

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
	struct queue *q = lock_queue_of(t);
	unsigned to;

	if (t->state != THREAD_WAITING) {
		spin_unlock_irq(&q->lock, flags);
		return;
	}
	to = place(t);
	t->state = THREAD_READY;
	if (to == t->cpu) {
		enqueue(q, t);
		spin_unlock(&q->lock);
	} else {
		translate(t, q, &per_cpu(queue, to));
		WRITE_ONCE(t->cpu, to);
		spin_unlock(&q->lock);
		give_to(to, t);
	}
	notify(to);
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

void sched_add(struct thread *t)
{
	uint64_t flags = cpu_irq_save();
	unsigned to;

	t->cpu = cpu_index();
	to = place(t);
	t->cpu = to;
	t->state = THREAD_READY;
	t->vtime = 0;		/* enqueue() lifts it to the queue's clock */
	give_to(to, t);
	notify(to);
	cpu_irq_restore(flags);
}

void sched_exit(void)
{
	struct queue *q = &this_cpu(queue);
	struct thread *next;

	spin_lock(&q->lock);
	account(q, tsc_read());
	q->dead = q->current;
	next = thread_of(tree_first(&q->tree));
	if (next)
		dequeue(q, next);
	switch_to(q, next ? next : q->idle_thread);
	panic("sched: a dead thread ran");
}

/* ---- start ----------------------------------------------------------------------------------- */

struct thread *thread_current(void)
{
	return this_cpu(queue).current;
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
	struct queue *q = &this_cpu(queue);
	struct thread *t = &this_cpu(boot_thread);
	const struct thread_attr attr = { .name = name, .cpu = (int)cpu_index() };

	thread_setup(t, &attr);
	t->state = THREAD_RUNNING;
	t->cpu = cpu_index();
	t->vtime = q->min_vtime;
	timer_init(&q->slice, slice_over);
	q->since = tsc_read();
	q->current = t;
}

void sched_init(void)
{
	const struct thread_attr attr = { .name = "idle/0", .entry = idle_entry, .cpu = 0 };

	claimable = movable = (struct cpu_map){ 0 };
	granularity = tsc_from_ns(GRANULARITY_NS);
	lead = tsc_from_ns(LEAD_NS);
	run_min = tsc_from_ns(RUN_MIN_NS);
	start_cpu("main");
	this_cpu(queue).idle_thread = thread_create(&attr);
	if (!this_cpu(queue).idle_thread)
		panic("sched: no memory for the first idle thread");
}

void sched_start_ap(void)
{
	char name[THREAD_NAME_MAX] = "idle/";
	unsigned cpu = cpu_index(), digits = cpu > 99 ? 3 : cpu > 9 ? 2 : 1;

	for (unsigned i = digits; i--; cpu /= 10)
		name[5 + i] = (char)('0' + cpu % 10);
	start_cpu(name);
	this_cpu(queue).idle_thread = this_cpu(queue).current;
	idle_entry(NULL);
	panic("sched: an idle thread was woken");
}

void sched_stats_get(unsigned cpu, struct sched_cpu_stats *out)
{
	const struct queue *q = &per_cpu(queue, cpu);
	uint64_t open = tsc_read() - READ_ONCE(q->since);
	bool idle = READ_ONCE(q->idling);

	*out = (struct sched_cpu_stats){
		.busy_ticks = q->busy_ticks + (idle ? 0 : open),
		.idle_ticks = q->idle_ticks + (idle ? open : 0),
		.switches = q->switches,
		.steals = q->steals,
		.runnable = load(q),
	};
}

uint64_t thread_run_ticks(const struct thread *t)
{
	uint64_t ticks = t->run_ticks, now = tsc_read();
	const struct queue *q = &per_cpu(queue, READ_ONCE(t->cpu));

	if (READ_ONCE(t->state) == THREAD_RUNNING && READ_ONCE(q->current) == t && now > q->since)
		ticks += now - q->since;
	return ticks;
}
