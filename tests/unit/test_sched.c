/* SPDX-License-Identifier: BSD-2-Clause */
/* links: kernel/sched.c kernel/runqueue.c kernel/placement.c kernel/cpu_map.c kernel/cpu_set.c
 * cpu/place.c cpu/features.c
 * kernel/thread.c
 * kernel/timer.c kernel/mutex.c kernel/work.c kernel/sched_group.c cpu/irq.c lib/tree.c
 * lib/format.c kernel/trace.c
 * tests/host/sim.c tests/host/percpu.c tests/host/tsc.c tests/host/panic.c tests/host/log.c */
/*
 * The real scheduler on a simulated machine: shares by weight, sleepers and hogs, stealing and
 * spreading, wake-ups from everywhere, the leave_cpu contract, mutexes, waits with deadlines, work,
 * threads that end, what it costs with many CPUs, and random mixtures of all of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/percpu.h"
#include "cpu/tsc.h"
#include "include/bits.h"
#include "kernel/mutex.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "kernel/thread_struct.h"
#include "kernel/timer.h"
#include "kernel/work.h"
#include "tests/host/sim.h"

#define MS	1000000ul
#define SECOND	(1000 * MS)

static unsigned seed;
static bool stop;

static struct thread *spawn(const char *name, void (*entry)(void *), void *arg, int cpu,
			    unsigned weight)
{
	struct thread_attr attr = {
		.name = name, .entry = entry, .arg = arg, .cpu = cpu, .weight = weight,
	};
	struct thread *t = thread_create(&attr);

	thread_start(t);
	return t;
}

static void hog(void *arg)
{
	(void)arg;
	while (!READ_ONCE(stop))
		sim_burn(700000);
}

static void join_all(struct thread **t, unsigned n)
{
	stop = true;
	for (unsigned i = 0; i < n; i++)
		thread_join(t[i]);
	stop = false;
}

/* ---- shares ---- */

static void weights_main(void)
{
	static const unsigned weight[] = { 1024, 2048, 512, 1024, 3000, 100 };
	struct thread *t[ARRAY_COUNT(weight)];
	uint64_t sum = 0, weights = 0, run[ARRAY_COUNT(weight)];

	for (unsigned i = 0; i < ARRAY_COUNT(weight); i++) {
		t[i] = spawn("hog", hog, NULL, 0, weight[i]);
		weights += weight[i];
	}
	thread_sleep_ns(20 * SECOND);
	for (unsigned i = 0; i < ARRAY_COUNT(weight); i++)
		sum += run[i] = thread_run_ticks(t[i]);
	assert_true(sum > 20 * SECOND * 99 / 100);
	for (unsigned i = 0; i < ARRAY_COUNT(weight); i++) {
		uint64_t fair = sum * weight[i] / weights;

		if (run[i] < fair * 99 / 100 || run[i] > fair * 101 / 100)
			fail_msg("weight %u ran %lu, fair is %lu", weight[i], run[i], fair);
		assert_in_range(thread_wait_ticks(t[i]), 20 * SECOND - run[i] - 10 * MS,
				20 * SECOND);
	}
	join_all(t, ARRAY_COUNT(weight));
}

static void two_equals_main(void)
{
	struct sched_cpu_stats s;
	struct thread *t[2];
	uint64_t a, b;

	t[0] = spawn("a", hog, NULL, 0, 0);
	t[1] = spawn("b", hog, NULL, 0, 0);
	thread_sleep_ns(2 * SECOND);
	a = thread_run_ticks(t[0]);
	b = thread_run_ticks(t[1]);
	assert_in_range(a, SECOND * 99 / 100, SECOND * 101 / 100);
	assert_in_range(b, SECOND * 99 / 100, SECOND * 101 / 100);
	sched_stats_get(0, &s);
	/*
	 * Slices of about two granularities of 1.5 ms: neither switching itself to
	 * death nor hogging.
	 */
	assert_in_range(s.switches, 2 * SECOND / (4 * MS), 2 * SECOND / (2 * MS));
	join_all(t, 2);
}

static void alone_main(void)
{
	struct thread *t[1] = { spawn("alone", hog, NULL, 0, 0) };
	uint64_t before;

	thread_sleep_ns(10 * MS);
	before = sim_timer_interrupts;
	thread_sleep_ns(10 * SECOND);
	/* Tickless: our own wake-up, and what it stirs. */
	assert_true(sim_timer_interrupts - before < 8);
	join_all(t, 1);
}

/* Three threads on two CPUs take turns at sharing. */
static void uneven_main(void)
{
	struct thread *t[3];

	for (unsigned i = 0; i < 3; i++)
		t[i] = spawn("hog", hog, NULL, -1, 0);
	thread_sleep_ns(20 * SECOND);
	for (unsigned i = 0; i < 3; i++)
		assert_in_range(thread_run_ticks(t[i]), 20 * SECOND * 65 / 100,
				20 * SECOND * 68 / 100);
	join_all(t, 3);
}

static void spread_main(void)
{
	struct sched_cpu_stats s;
	struct thread *t[8];

	for (unsigned i = 0; i < 8; i++)
		t[i] = spawn("hog", hog, NULL, i == 7 ? 2 : -1, 0);
	thread_sleep_ns(4 * SECOND);
	for (unsigned i = 0; i < 8; i++)
		assert_in_range(thread_run_ticks(t[i]), 4 * SECOND * 45 / 100,
				4 * SECOND * 55 / 100);
	assert_int_equal(thread_cpu(t[7]), 2);
	for (unsigned c = 0; c < 4; c++) {
		sched_stats_get(c, &s);
		assert_true(s.busy_ticks > 4 * SECOND * 98 / 100);
	}
	join_all(t, 8);
}

/* All wait in one queue while another CPU becomes idle: it takes half of them. */
static void steal_main(void)
{
	struct sched_cpu_stats s;
	struct thread *t[6], *block[3];

	for (unsigned i = 0; i < 3; i++)
		block[i] = spawn("block", hog, NULL, (int)i + 1, 1 << 20);
	thread_sleep_ns(5 * MS);
	for (unsigned i = 0; i < 6; i++)
		t[i] = spawn("hog", hog, NULL, -1, 0);
	thread_sleep_ns(5 * MS);
	join_all(block, 0);
	stop = true;
	for (unsigned i = 0; i < 3; i++)
		thread_join(block[i]);
	for (unsigned i = 0; i < 6; i++)
		thread_join(t[i]);
	stop = false;
	for (unsigned i = 0; i < 6; i++)
		t[i] = spawn("hog", hog, NULL, -1, 0);
	thread_sleep_ns(SECOND);
	for (unsigned c = 0; c < 4; c++) {
		sched_stats_get(c, &s);
		assert_in_range(s.runnable, 1, 2);
	}
	join_all(t, 6);
}

/* ---- sleepers ---- */

struct sleeper {
	uint64_t worst, rounds;
	uint64_t burn, sleep;
};

static void sleeper(void *arg)
{
	struct sleeper *s = arg;

	while (!READ_ONCE(stop)) {
		uint64_t due = clock_ns() + s->sleep;

		thread_sleep_ns(s->sleep);
		s->worst = MAX(s->worst, clock_ns() - due);
		s->rounds++;
		sim_burn(s->burn);
	}
}

static void sleepers_main(void)
{
	struct sleeper quick = { .burn = 50000, .sleep = 10 * MS };
	struct sleeper greedy = { .burn = 20 * MS, .sleep = 20 * MS };
	struct thread *t[4];
	uint64_t hogs;

	t[0] = spawn("hog", hog, NULL, 0, 0);
	t[1] = spawn("hog", hog, NULL, 0, 0);
	t[2] = spawn("quick", sleeper, &quick, 0, 0);
	t[3] = spawn("greedy", sleeper, &greedy, 0, 0);
	thread_sleep_ns(10 * SECOND);
	/*
	 * One that runs little is never far behind; one that sleeps a lot gets no more than its
	 * share.
	 */
	assert_true(quick.worst < 5 * MS);
	assert_true(quick.rounds > 600);
	hogs = thread_run_ticks(t[0]) + thread_run_ticks(t[1]);
	assert_true(hogs > 10 * SECOND * 63 / 100);
	assert_true(thread_run_ticks(t[3]) < 10 * SECOND * 36 / 100);
	join_all(t, 4);
}

/* A thread that slept for long must not hog afterwards. */
static void long_sleep_main(void)
{
	struct thread *t[2];
	uint64_t before;

	t[0] = spawn("hog", hog, NULL, 0, 0);
	thread_sleep_ns(10 * SECOND);
	before = thread_run_ticks(t[0]);
	t[1] = spawn("late", hog, NULL, 0, 0);
	thread_sleep_ns(100 * MS);
	assert_in_range(thread_run_ticks(t[0]) - before, 45 * MS, 55 * MS);
	join_all(t, 2);
}

static bool go, gone;
static struct thread *late;

static void blocker(void *arg)
{
	(void)arg;
	while (!READ_ONCE(gone))
		sim_burn(700000);
}

static void waits_for_it(void *arg)
{
	for (;;) {
		thread_prepare();
		if (READ_ONCE(go))
			break;
		(void)thread_wait(THREAD_FOREVER);
	}
	hog(arg);
}

/* From CPU 0, so that it begins there. */
static void starter(void *arg)
{
	(void)arg;
	late = spawn("late", waits_for_it, NULL, -1, 0);
}

/*
 * One that lags by more than another CPU's clock has ever shown wakes up there, and neither starves
 * nor hogs.
 */
static void far_behind_main(void)
{
	struct thread *t[3], *other[2];

	go = gone = false;
	sim_deadline = 5000 * SECOND;
	t[0] = spawn("hog", hog, NULL, 0, 8);		/* its clock runs 128 times as fast */
	other[0] = spawn("blocker", blocker, NULL, 1, 0);
	other[1] = spawn("starter", starter, NULL, 0, 1 << 16);
	thread_join(other[1]);
	thread_sleep_ns(100 * MS);
	assert_int_equal(thread_cpu(late), 0);
	gone = true;
	thread_join(other[0]);
	for (unsigned i = 0; i < 25; i++)
		thread_sleep_ns(100 * SECOND);
	go = true;
	thread_wake(late);
	thread_sleep_ns(10 * MS);
	assert_int_equal(thread_cpu(late), 1);
	assert_true(late->vtime < BIT(60));
	t[1] = late;
	t[2] = spawn("hog", hog, NULL, 1, 0);
	thread_sleep_ns(200 * MS);
	assert_true(thread_run_ticks(t[1]) > 80 * MS);
	assert_true(thread_run_ticks(t[2]) > 30 * MS);
	join_all(t, 3);
}

/* ---- wake-ups ---- */

struct pong {
	struct thread *self, *other;
	unsigned turns;
	struct pong *peer;
	unsigned ball;
};

static void pong(void *arg)
{
	struct pong *p = arg;

	while (p->turns) {
		for (;;) {
			thread_prepare();
			if (__atomic_load_n(&p->ball, __ATOMIC_ACQUIRE))
				break;
			thread_wait(THREAD_FOREVER);
		}
		p->ball = 0;
		p->turns--;
		if (!sim_random(4))
			sim_burn(sim_random(20000));
		__atomic_store_n(&p->peer->ball, 1, __ATOMIC_RELEASE);
		thread_wake(p->peer->self);
	}
}

static void pongs_main(void)
{
	struct pong p[12] = { 0 };
	struct thread *t[12];

	sim_deadline = 60 * SECOND;
	for (unsigned i = 0; i < 12; i++) {
		struct thread_attr attr = {
			.name = "pong", .entry = pong, .arg = &p[i],
			.cpu = sim_random(2) ? -1 : (int)sim_random(cpu_count),
		};

		p[i].turns = 2000;
		p[i].peer = &p[i ^ 1];
		p[i].ball = i & 1;
		t[i] = p[i].self = thread_create(&attr);
	}
	for (unsigned i = 0; i < 12; i++)
		thread_start(t[i]);
	for (unsigned i = 0; i < 12; i++)
		thread_join(t[i]);
}

/* A wait between two CPUs' threads costs a halt and an interrupt, not a switch. */
static void in_place_main(void)
{
	struct sched_cpu_stats before, after;

	thread_sleep_ns(MS);
	sched_stats_get(0, &before);
	for (unsigned i = 0; i < 100; i++)
		thread_sleep_ns(1000);
	sched_stats_get(0, &after);
	assert_int_equal(after.switches, before.switches);
	assert_true(after.idle_ticks - before.idle_ticks >= 100 * 1000);
}

static bool passed_by;

static void passer_by(void *arg)
{
	(void)arg;
	passed_by = true;
}

/* Waiting for what is there already still lets others run. */
static void true_already_main(void)
{
	struct waitq q;
	struct thread *t;

	waitq_init(&q);
	t = spawn("passer-by", passer_by, NULL, 0, 0);
	for (unsigned i = 0; !passed_by; i++) {
		sim_spin(1000);
		assert_true(i < 10000);
		if (i & 1) {
			assert_true(WAITQ_WAIT(&q, true, THREAD_FOREVER));
		} else {
			thread_prepare();
			thread_wake(thread_current());
			assert_true(thread_wait(THREAD_FOREVER));
		}
	}
	thread_join(t);
}

static void deadlines_main(void)
{
	uint64_t start = clock_ns();

	thread_prepare();
	assert_false(thread_wait(start + 5 * MS));
	assert_in_range(clock_ns(), start + 5 * MS, start + 5 * MS + 10000);
	thread_prepare();
	thread_wake(thread_current());
	assert_true(thread_wait(clock_ns() + SECOND));
	thread_prepare();
	assert_false(thread_wait(0));
	assert_true(clock_ns() < start + 6 * MS);
}

/* ---- leave_cpu ---- */

static struct guest {
	int live;	/* the CPU that holds its state, -1: memory does */
	unsigned leaves;
} guests[6];
static struct guest *owner[SIM_CPUS];

static void guest_leave(void *arg)
{
	struct guest *g = arg;

	if (g->live < 0)
		return;		/* gave way before it entered again */
	assert_int_equal(g->live, cpu_index());
	assert_ptr_equal(owner[g->live], g);
	owner[g->live] = NULL;
	g->live = -1;
	g->leaves++;
}

static void guest_run(void *arg)
{
	struct guest *g = arg;

	for (unsigned i = 0; i < 400; i++) {
		int cpu = (int)cpu_index();

		assert_true(g->live == cpu || g->live == -1);
		assert_true(!owner[cpu] || owner[cpu] == g);
		g->live = cpu;
		owner[cpu] = g;
		if (sim_random(3))
			sim_burn(sim_random(3 * MS));
		else
			thread_sleep_ns(sim_random(2 * MS));
	}
}

static void leave_main(void)
{
	struct thread *t[6];
	unsigned leaves = 0;

	sim_deadline = 60 * SECOND;
	for (unsigned i = 0; i < 6; i++) {
		struct thread_attr attr = {
			.name = "guest", .entry = guest_run, .arg = &guests[i], .cpu = -1,
			.leave_cpu = guest_leave,
		};

		guests[i].live = -1;
		t[i] = thread_create(&attr);
		thread_start(t[i]);
	}
	for (unsigned i = 0; i < 6; i++) {
		thread_join(t[i]);
		leaves += guests[i].leaves;
	}
	assert_true(leaves > 10);
}

/* ---- mutex, work, end of threads ---- */

static struct mutex mutex;
static unsigned inside, entered;

static void locker(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 100; i++) {
		mutex_lock(&mutex);
		assert_true(mutex_held(&mutex));
		assert_int_equal(inside++, 0);
		entered++;
		if (sim_random(2))
			sim_burn(sim_random(100000));
		else if (!sim_random(4))
			thread_sleep_ns(sim_random(50000));
		inside--;
		mutex_unlock(&mutex);
		if (sim_random(2))
			sim_burn(sim_random(10000));
	}
}

static void mutexes_main(void)
{
	struct thread *t[8];

	sim_deadline = 60 * SECOND;
	mutex_init(&mutex, "test");
	entered = 0;
	for (unsigned i = 0; i < 8; i++)
		t[i] = spawn("locker", locker, NULL, -1, 0);
	for (unsigned i = 0; i < 8; i++)
		thread_join(t[i]);
	assert_true(entered > 500);
	assert_null(mutex.holder);
}

static unsigned worked;
static struct work works[5];

static void work_fn(struct work *w)
{
	(void)w;
	worked++;
	sim_burn(sim_random(20000));
}

static void poke(struct timer *t)
{
	(void)t;
	work_queue(&works[0]);
}

static void workers_main(void)
{
	struct timer timer;
	unsigned before;

	sim_deadline = 60 * SECOND;
	worked = 0;
	for (unsigned i = 0; i < 5; i++)
		work_init(&works[i], work_fn);
	work_queue(&works[1]);		/* before there are workers */
	work_queue(&works[1]);
	work_start();
	thread_sleep_ns(MS);
	assert_int_equal(worked, 1);
	timer_init(&timer, poke);
	timer_set(&timer, clock_ns() + MS);
	thread_sleep_ns(2 * MS);
	assert_int_equal(worked, 2);
	for (unsigned i = 0; i < 500; i++) {
		work_queue(&works[sim_random(5)]);
		if (!sim_random(3))
			sim_burn(sim_random(30000));
		if (!sim_random(5))
			work_cancel_sync(&works[sim_random(5)]);
	}
	for (unsigned i = 0; i < 5; i++)
		work_cancel_sync(&works[i]);
	before = worked;
	thread_sleep_ns(10 * MS);
	assert_int_equal(worked, before);
}

#define SLOW	9

static struct work slow[SLOW];
static unsigned slow_begun, slow_done;
static bool slow_end;

static void slow_fn(struct work *w)
{
	(void)w;
	slow_begun++;
	while (!READ_ONCE(slow_end))
		thread_sleep_ns(MS);
	slow_done++;
}

/* Work that waits delays neither the other kind nor, but for many at once, its own. */
static void slow_work_main(void)
{
	sim_deadline = 60 * SECOND;
	slow_begun = slow_done = worked = 0;
	slow_end = false;
	for (unsigned i = 0; i < SLOW; i++)
		work_init_slow(&slow[i], slow_fn);
	work_init(&works[0], work_fn);
	work_start();
	for (unsigned i = 0; i < 4; i++)
		work_queue(&slow[i]);
	work_queue(&works[0]);
	thread_sleep_ns(20 * MS);
	assert_int_equal(worked, 1);
	assert_int_equal(slow_begun, 4);
	for (unsigned i = 4; i < SLOW; i++)
		work_queue(&slow[i]);
	thread_sleep_ns(20 * MS);
	assert_int_equal(slow_begun, 8);
	assert_int_equal(slow_done, 0);
	work_cancel_sync(&slow[8]);		/* it waits still */
	WRITE_ONCE(slow_end, true);
	work_cancel_sync(&slow[0]);		/* it runs */
	assert_true(slow_done >= 1);
	thread_sleep_ns(20 * MS);
	assert_int_equal(slow_done, 8);
	for (unsigned i = 0; i < 300; i++) {	/* none is forgotten */
		work_queue(&slow[sim_random(SLOW)]);
		if (!sim_random(3))
			sim_burn(sim_random(30000));
		if (!sim_random(20))
			work_cancel_sync(&slow[sim_random(SLOW)]);
	}
	thread_sleep_ns(20 * MS);
	for (unsigned i = 0; i < SLOW; i++)
		assert_int_equal(slow[i].state, 0);
	assert_int_equal(slow_begun, slow_done);
}

static void brief(void *arg)
{
	if (arg)
		sim_burn(sim_random(5000));
}

/* A thousand threads, joined or let go, leave nothing behind. */
static void ends_main(void)
{
	unsigned objects;

	sim_deadline = 60 * SECOND;
	work_start();
	thread_sleep_ns(MS);
	objects = sim_heap_objects;
	for (unsigned i = 0; i < 1000; i++) {
		struct thread *t = spawn("brief", brief, i & 1 ? &worked : NULL, -1, 0);

		if (sim_random(2))
			thread_join(t);
		else
			thread_put(t);
	}
	thread_sleep_ns(100 * MS);
	assert_int_equal(sim_heap_objects, objects);
}

static void last_word(void *arg)
{
	(void)arg;
	thread_sleep_ns(20 * MS);
	sim_finish();
}

/* The thread "main" may end like any other. */
static void main_ends_main(void)
{
	work_start();
	thread_put(spawn("last", last_word, NULL, -1, 0));
	thread_exit();
}

/* ---- what it costs on a machine with many CPUs ---- */

#define ROUNDS	4

/* Blocks of the scheduler's code that one operation runs through. */
static struct cost {
	uint64_t tick;		/* a slice's end with a thread that waits */
	uint64_t wake_busy;	/* a wake-up while no CPU idles */
	uint64_t wake_idle;	/* while the last one does */
	uint64_t halt;		/* a wait while nobody has a thread to give away */
} cost;

static struct thread *many[2 * SIM_CPUS_MAX];

/* Two hogs for each CPU, all of which may move. */
static void tick_cost_main(void)
{
	struct sched_cpu_stats before, after;
	uint64_t blocks;

	sim_deadline = 60 * SECOND;
	for (unsigned i = 0; i < 2 * cpu_count; i++)
		many[i] = spawn("hog", hog, NULL, -1, 0);
	thread_sleep_ns(20 * MS);
	sched_stats_get(1, &before);
	blocks = sim_blocks[1];
	thread_sleep_ns(60 * MS);
	sched_stats_get(1, &after);
	assert_in_range(after.switches - before.switches, 10, 40);
	cost.tick = (sim_blocks[1] - blocks) / (after.switches - before.switches);
	join_all(many, 2 * cpu_count);
}

static unsigned awake;

static void sleeps_for_good(void *arg)
{
	(void)arg;
	while (!READ_ONCE(stop)) {
		thread_prepare();
		if (!READ_ONCE(stop))
			(void)thread_wait(THREAD_FOREVER);
		awake++;
	}
}

static void busy(uint64_t ticks)
{
	for (uint64_t end = clock_ns() + ticks; clock_ns() < end;)
		sim_burn(700000);
}

/* Of threads that wait and have left their CPU; the least: a lock may have to be waited for. */
static uint64_t wake_cost(struct thread **t)
{
	uint64_t before, least = ~0ul;

	busy(20 * MS);
	for (unsigned i = 0; i < ROUNDS; i++) {
		awake = 0;
		before = sim_blocks[0];
		thread_wake(t[i]);
		least = MIN(least, sim_blocks[0] - before);
		busy(10 * MS);
		assert_int_equal(awake, 1);
	}
	return least;
}

/* "main" keeps CPU 0 busy, a hog each of the others, until the last one's ends. */
static void wake_cost_main(void)
{
	struct thread *sleepers[ROUNDS], *last;

	sim_deadline = 60 * SECOND;
	gone = false;
	for (unsigned i = 1; i < cpu_count - 1; i++)
		many[i - 1] = spawn("hog", hog, NULL, (int)i, 0);
	last = spawn("blocker", blocker, NULL, (int)cpu_count - 1, 0);
	for (unsigned i = 0; i < ROUNDS; i++)
		sleepers[i] = spawn("sleeper", sleeps_for_good, NULL, -1, 0);
	cost.wake_busy = wake_cost(sleepers);
	gone = true;
	cost.wake_idle = wake_cost(sleepers);
	for (unsigned i = 0; i < ROUNDS; i++)
		assert_int_equal(thread_cpu(sleepers[i]), cpu_count - 1);
	stop = true;
	for (unsigned i = 0; i < ROUNDS; i++)
		thread_wake(sleepers[i]);
	join_all(sleepers, ROUNDS);
	thread_join(last);
	join_all(many, cpu_count - 2);
}

/* All but CPU 0 have threads that wait, and must stay where they are. */
static void halt_cost_main(void)
{
	uint64_t blocks;

	sim_deadline = 60 * SECOND;
	for (unsigned i = 2; i < 2 * cpu_count; i++)
		many[i - 2] = spawn("hog", hog, NULL, (int)i / 2, 0);
	thread_sleep_ns(10 * MS);
	blocks = sim_blocks[0];
	for (unsigned i = 0; i < 100; i++)
		thread_sleep_ns(1000);
	cost.halt = (sim_blocks[0] - blocks) / 100;
	join_all(many, 2 * cpu_count - 2);
}

static struct cost cost_with(unsigned cpus)
{
	cost = (struct cost){ 0 };
	sim_run(cpus, ++seed, tick_cost_main);
	sim_run(cpus, ++seed, wake_cost_main);
	sim_run(cpus, ++seed, halt_cost_main);
	print_message("%u CPUs: tick %lu, wake-up %lu, to an idle CPU %lu, halt %lu\n", cpus,
		      cost.tick, cost.wake_busy, cost.wake_idle, cost.halt);
	return cost;
}

/* Nothing grows with the CPUs but the words of a map of them. */
static void costs(void **state)
{
	struct cost few = cost_with(16), most = cost_with(SIM_CPUS_MAX);

	(void)state;
	assert_true(few.tick && few.wake_busy && few.wake_idle && few.halt);
	assert_true(most.tick <= few.tick + 32);
	assert_true(most.wake_busy <= few.wake_busy + 32);
	assert_true(most.wake_idle <= few.wake_idle + 32);
	assert_true(most.halt <= few.halt + 32);
}

/* ---- everything at once ---- */

#define CROWD	20

static struct thread *crowd[CROWD];
static uint64_t progress[CROWD];
static struct waitq gate;
static unsigned gate_number;

static void random_act(unsigned self)
{
	unsigned before;

	switch (sim_random(8)) {
	case 0:
		thread_sleep_ns(sim_random(3 * MS));
		break;
	case 1:
		thread_wake(crowd[sim_random(CROWD)]);
		break;
	case 2:
		sched_yield();
		break;
	case 3:
		mutex_lock(&mutex);
		assert_int_equal(inside++, 0);
		sim_burn(sim_random(50000));
		inside--;
		mutex_unlock(&mutex);
		break;
	case 4:
		before = READ_ONCE(gate_number);
		(void)WAITQ_WAIT(&gate, READ_ONCE(gate_number) != before,
				 clock_ns() + sim_random(2 * MS));
		break;
	case 5:
		__atomic_add_fetch(&gate_number, 1, __ATOMIC_SEQ_CST);
		waitq_wake_all(&gate);
		break;
	default:
		sim_burn(sim_random(500000));
	}
	progress[self]++;
}

static void crowd_member(void *arg)
{
	while (!READ_ONCE(stop))
		random_act((unsigned)(uintptr_t)arg);
}

static void crowds_main(void)
{
	sim_deadline = 30 * SECOND;
	inside = 0;
	mutex_init(&mutex, "test");
	waitq_init(&gate);
	for (unsigned i = 0; i < CROWD; i++) {
		struct thread_attr attr = {
			.name = "crowd", .entry = crowd_member, .arg = (void *)(uintptr_t)i,
			.cpu = i % 5 ? -1 : (int)sim_random(cpu_count),
			.weight = 100 + sim_random(3000),
		};

		progress[i] = 0;
		crowd[i] = thread_create(&attr);
	}
	for (unsigned i = 0; i < CROWD; i++)
		thread_start(crowd[i]);
	thread_sleep_ns(2 * SECOND);
	for (unsigned i = 0; i < CROWD; i++)
		assert_true(progress[i] > 20);
	join_all(crowd, CROWD);
}

/*
 * Clocks that differ: the CPU whose timer fires may be ahead of the one where the thread then runs,
 * for which it is too soon. Every wait ends all the same.
 */
static unsigned naps;

static void napper(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 100; i++) {
		thread_sleep_ns(20000 + sim_random(100000));
		sim_burn(sim_random(30000));
		naps++;
	}
}

static void skewed_main(void)
{
	struct thread *t[12];

	sim_deadline = 60 * SECOND;
	naps = 0;
	for (unsigned i = 0; i < ARRAY_COUNT(t); i++)
		t[i] = spawn("napper", napper, NULL, -1, 0);
	for (unsigned i = 0; i < ARRAY_COUNT(t); i++) {
		assert_true(thread_wait_ticks(t[i]) < 60 * SECOND);
		thread_join(t[i]);
	}
	assert_int_equal(naps, 100 * ARRAY_COUNT(t));
}

static void skewed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		memcpy(sim_skew, (int64_t[]){ 20000, 0, 35000, 7000 }, 4 * sizeof(*sim_skew));
		sim_run(2 + i % 3, ++seed, skewed_main);
	}
}

#define SIM_TEST(name, cpus) static void name(void **state)	\
{								\
	(void)state;						\
	sim_run((cpus), ++seed, name##_main);			\
}

SIM_TEST(weights, 1)
SIM_TEST(two_equals, 1)
SIM_TEST(alone, 1)
SIM_TEST(uneven, 2)
SIM_TEST(spread, 4)
SIM_TEST(steal, 4)
SIM_TEST(sleepers, 1)
SIM_TEST(long_sleep, 1)
SIM_TEST(far_behind, 2)
SIM_TEST(in_place, 2)
SIM_TEST(deadlines, 1)
SIM_TEST(true_already, 1)
SIM_TEST(main_ends, 2)

/* On 1 to 8 CPUs with seeds of their own. */
#define SIM_TEST_MANY(name, rounds) static void name(void **state)	\
{									\
	(void)state;							\
	for (unsigned i = 0; i < (rounds); i++)				\
		sim_run(1 + i % SIM_CPUS, ++seed, name##_main);		\
}

SIM_TEST_MANY(pongs, 16)
SIM_TEST_MANY(leave, 16)
SIM_TEST_MANY(mutexes, 16)
SIM_TEST_MANY(workers, 16)
SIM_TEST_MANY(slow_work, 16)
SIM_TEST_MANY(ends, 8)
SIM_TEST_MANY(crowds, 16)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(weights),
		cmocka_unit_test(two_equals),
		cmocka_unit_test(alone),
		cmocka_unit_test(uneven),
		cmocka_unit_test(spread),
		cmocka_unit_test(steal),
		cmocka_unit_test(sleepers),
		cmocka_unit_test(long_sleep), cmocka_unit_test(far_behind),
		cmocka_unit_test(in_place),
		cmocka_unit_test(deadlines),
		cmocka_unit_test(true_already),
		cmocka_unit_test(skewed),
		cmocka_unit_test(main_ends),
		cmocka_unit_test(pongs),
		cmocka_unit_test(leave),
		cmocka_unit_test(mutexes),
		cmocka_unit_test(workers),
		cmocka_unit_test(slow_work),
		cmocka_unit_test(ends),
		cmocka_unit_test(costs),
		cmocka_unit_test(crowds),
	};

	seed = getenv("SEED") ? (unsigned)atoi(getenv("SEED")) : 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
