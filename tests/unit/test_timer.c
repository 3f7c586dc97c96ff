/* SPDX-License-Identifier: BSD-2-Clause */
/* links: kernel/sched.c kernel/runqueue.c kernel/placement.c kernel/cpu_map.c kernel/cpu_set.c
 * cpu/place.c cpu/features.c
 * kernel/thread.c
 * kernel/timer.c kernel/mutex.c kernel/work.c kernel/sched_group.c cpu/irq.c lib/tree.c
 * lib/format.c kernel/trace.c
 * tests/host/sim.c tests/host/percpu.c tests/host/tsc.c tests/host/panic.c tests/host/log.c */
/*
 * kernel/timer.c on the simulated machine: order, moves, cancels that race with callbacks on other
 * CPUs, timers that arm themselves, random operations against a model, a lost interrupt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "cpu/ipi.h"
#include "cpu/irq.h"
#include "cpu/lapic.h"
#include "cpu/percpu.h"
#include "cpu/tsc.h"
#include "include/bits.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "kernel/timer.h"
#include "tests/host/sim.h"

#define MS	1000000ul
#define TICK	0xe8		/* a vector of the second source's */

/* ---- timers ---- */

static uint64_t last_fired;
static unsigned fired;

static void in_order(struct timer *t)
{
	assert_true(clock_ns() >= t->deadline_ns);
	assert_true(t->deadline_ns >= last_fired);
	assert_in_range(clock_ns() - t->deadline_ns, 0, 2000);
	assert_false(timer_armed(t));
	last_fired = t->deadline_ns;
	fired++;
}

static void order_main(void)
{
	struct timer t[50];

	fired = 0;
	last_fired = 0;
	for (unsigned i = 0; i < 50; i++) {
		timer_init(&t[i], in_order);
		timer_set(&t[i], clock_ns() + 1000 + sim_random(5 * MS));
	}
	thread_sleep_ns(6 * MS);
	assert_int_equal(fired, 50);
}

static void count_fired(struct timer *t)
{
	(void)t;
	fired++;
}

static void moves_main(void)
{
	struct timer t, past;
	uint64_t now = clock_ns();

	fired = 0;
	timer_init(&t, count_fired);
	timer_init(&past, count_fired);
	assert_false(timer_cancel(&t));
	timer_set(&t, now + 5 * MS);
	timer_set(&t, now + MS);
	assert_true(timer_armed(&t));
	thread_sleep_ns(2 * MS);
	assert_int_equal(fired, 1);
	timer_set(&t, now + 3 * MS);
	timer_set(&t, now + 9 * MS);
	thread_sleep_ns(3 * MS);
	assert_int_equal(fired, 1);
	assert_true(timer_cancel(&t));
	assert_false(timer_cancel(&t));
	thread_sleep_ns(10 * MS);
	assert_int_equal(fired, 1);
	timer_set(&past, now);
	thread_sleep_ns(2000);
	assert_int_equal(fired, 2);
}

static void again(struct timer *t)
{
	if (++fired < 20)
		timer_set(t, t->deadline_ns + 1000);
}

static void rearmed_main(void)
{
	struct timer t;

	fired = 0;
	timer_init(&t, again);
	timer_set(&t, clock_ns() + 1000);
	thread_sleep_ns(MS);
	assert_int_equal(fired, 20);
}

/*
 * Two that are due together, of which one arms itself anew, before the third: one interrupt each
 * time, which programs the LAPIC once, for the first of what is left.
 */
static void twice(struct timer *t)
{
	if (fired++ == 0)
		timer_set(t, t->deadline_ns + 2 * MS);
}

static void once_main(void)
{
	struct timer first, beside, third;
	uint64_t now = clock_ns(), interrupts = sim_timer_interrupts, programs;

	fired = 0;
	timer_init(&first, twice);
	timer_init(&beside, count_fired);
	timer_init(&third, count_fired);
	timer_set(&first, now + MS);
	timer_set(&beside, now + MS);
	timer_set(&third, now + 5 * MS);
	programs = sim_timer_programs;
	for (unsigned i = 0; i < 3; i++) {
		sim_burn(now + (2 + 2 * i) * MS - clock_ns());
		assert_int_equal(fired, 2 + i);
		assert_int_equal(sim_timer_interrupts - interrupts, 1 + i);
		assert_int_equal(sim_timer_programs - programs, i ? 2 : 1);
	}
}

/* Armed by a callback for what is past, it is run by the same interrupt. */
static void past_again(struct timer *t)
{
	if (++fired < 3)
		timer_set(t, t->deadline_ns);
}

static void past_main(void)
{
	struct timer t;
	uint64_t interrupts = sim_timer_interrupts;

	fired = 0;
	timer_init(&t, past_again);
	timer_set(&t, clock_ns() + MS);
	sim_burn(2 * MS);
	assert_int_equal(fired, 3);
	assert_int_equal(sim_timer_interrupts - interrupts, 1);
}

/* Timers on all CPUs that threads on all CPUs set, cancel and free. */
struct shaky {
	struct timer timer;
	uint32_t canary;
};

static unsigned callbacks;

static void shaky_fire(struct timer *t)
{
	struct shaky *s = container_of(t, struct shaky, timer);

	assert_int_equal(s->canary, 0x600d);
	callbacks++;
	if (!sim_random(4))
		timer_set(t, clock_ns() + sim_random(20000));
}

static struct shaky *shared[6];

static void shaker(void *arg)
{
	unsigned mine = (unsigned)(uintptr_t)arg;

	for (unsigned i = 0; i < 400; i++) {
		struct shaky *s = shared[mine];

		if (sim_random(3)) {
			timer_set(&s->timer, clock_ns() + sim_random(30000));
		} else if (sim_random(3)) {
			timer_cancel(&s->timer);
		} else {
			timer_cancel_sync(&s->timer);
			assert_false(timer_armed(&s->timer));
			s->canary = 0;
			free(s);
			s = shared[mine] = calloc(1, sizeof(*s));
			s->canary = 0x600d;
			timer_init(&s->timer, shaky_fire);
		}
		if (sim_random(4))
			sim_burn(sim_random(15000));
		else
			thread_sleep_ns(sim_random(40000));
	}
	timer_cancel_sync(&shared[mine]->timer);
}

static void races_main(void)
{
	struct thread *t[6];

	sim_deadline = 5000 * MS;
	callbacks = 0;
	for (unsigned i = 0; i < 6; i++) {
		struct thread_attr attr = {
			.name = "shaker", .entry = shaker, .arg = (void *)(uintptr_t)i, .cpu = -1,
		};

		shared[i] = calloc(1, sizeof(*shared[i]));
		shared[i]->canary = 0x600d;
		timer_init(&shared[i]->timer, shaky_fire);
		t[i] = thread_create(&attr);
		thread_start(t[i]);
	}
	for (unsigned i = 0; i < 6; i++) {
		thread_join(t[i]);
		free(shared[i]);
	}
	assert_true(callbacks > 200);
}

/*
 * One timer that threads on two CPUs and its own callback arm at the same time, as a guest can have
 * it: it is in one queue.
 */
static struct timer contested;
static bool contest_over;

static void contested_fire(struct timer *t)
{
	assert_false(contest_over);
	callbacks++;
	timer_set(t, clock_ns() + 1 + sim_random(500));
}

static void contender(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 2000; i++) {
		timer_set(&contested, clock_ns() + sim_random(1000));
		sim_burn(sim_random(300));
	}
}

static void contest_main(void)
{
	struct thread *t[2];

	sim_deadline = 5000 * MS;
	callbacks = 0;
	contest_over = false;
	timer_init(&contested, contested_fire);
	for (int i = 0; i < 2; i++) {
		struct thread_attr attr = { .name = "contender", .entry = contender, .cpu = i };

		t[i] = thread_create(&attr);
		thread_start(t[i]);
	}
	for (unsigned i = 0; i < 2; i++)
		thread_join(t[i]);
	timer_cancel_sync(&contested);
	contest_over = true;
	sim_burn(MS);
	assert_true(callbacks > 200);
}

/* A timer for the end of time, past which the TSC's arithmetic wraps, costs nothing until then. */
static void farthest_main(void)
{
	struct timer soon, far;
	uint64_t before;

	fired = 0;
	timer_init(&soon, count_fired);
	timer_init(&far, count_fired);
	timer_set(&far, ~0ul);
	timer_set(&soon, clock_ns() + MS);
	thread_sleep_ns(5 * MS);
	assert_int_equal(fired, 1);
	before = sim_timer_interrupts;
	sim_burn(5 * MS);
	assert_int_equal(sim_timer_interrupts, before);
	assert_true(timer_cancel(&far));
}

/*
 * The chip forgets the programmed time of two timers: the one that is not due yet and the one that
 * is late. Who halts is woken for both.
 */
static void lost_main(void)
{
	struct timer t;

	sim_deadline = 100 * MS;
	fired = 0;
	timer_watch();
	timer_init(&t, count_fired);
	timer_set(&t, clock_ns() + MS);
	lapic_timer_stop();
	thread_sleep_ns(2 * MS);
	assert_int_equal(fired, 1);
	timer_set(&t, clock_ns() + MS);
	lapic_timer_stop();
	sim_burn(10 * MS);
	assert_int_equal(fired, 1);
	thread_sleep_ns(MS);
	assert_int_equal(fired, 2);
}

/* Nobody halts: the second source's tick on one CPU finds it on all. */
static void forgetful(void *arg)
{
	struct timer *t = arg;

	timer_init(t, count_fired);
	timer_set(t, clock_ns() + MS);
	lapic_timer_stop();
	sim_spin(30 * MS);
}

static void ticked_main(void)
{
	struct timer timers[SIM_CPUS];
	struct thread *t[SIM_CPUS];

	fired = 0;
	assert_int_equal(irq_claim(TICK, "tick", timer_watch_tick, NULL), 0);
	for (unsigned i = 1; i < cpu_count; i++) {
		struct thread_attr attr = {
			.name = "forgetful", .entry = forgetful, .arg = &timers[i], .cpu = (int)i,
		};

		t[i] = thread_create(&attr);
		thread_start(t[i]);
	}
	timer_init(&timers[0], count_fired);
	timer_set(&timers[0], clock_ns() + MS);
	lapic_timer_stop();
	sim_spin(10 * MS);
	assert_int_equal(fired, 0);
	ipi_send(0, TICK);
	sim_spin(MS);
	assert_int_equal(fired, cpu_count);
	for (unsigned i = 1; i < cpu_count; i++)
		thread_join(t[i]);
}

/* Every second interrupt gets lost, and whoever sleeps is woken in time. */
static void dropped_main(void)
{
	sim_deadline = 1000 * MS;
	timer_watch();
	irq_drop(2);
	for (unsigned i = 0; i < 100; i++) {
		uint64_t until = clock_ns() + sim_random(MS);

		thread_sleep_ns(until - clock_ns());
		assert_in_range(clock_ns(), until, until + 10000);
	}
	irq_drop(0);
}

#define SIM_TEST(name, cpus) static void name(void **state)	\
{								\
	(void)state;						\
	for (unsigned i = 1; i <= 10; i++)			\
		sim_run((cpus), i, name##_main);		\
}

SIM_TEST(order, 1)
SIM_TEST(moves, 1)
SIM_TEST(rearmed, 1)
SIM_TEST(once, 1)
SIM_TEST(past, 1)
SIM_TEST(farthest, 1)
SIM_TEST(races, 1 + i % SIM_CPUS)
SIM_TEST(contest, 2)
SIM_TEST(lost, 1)
SIM_TEST(ticked, 1 + i % SIM_CPUS)
SIM_TEST(dropped, 1)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order),
		cmocka_unit_test(moves),
		cmocka_unit_test(rearmed),
		cmocka_unit_test(once),
		cmocka_unit_test(past),
		cmocka_unit_test(farthest),
		cmocka_unit_test(races),
		cmocka_unit_test(contest),
		cmocka_unit_test(lost),
		cmocka_unit_test(ticked),
		cmocka_unit_test(dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
