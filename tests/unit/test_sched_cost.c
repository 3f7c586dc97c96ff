/* SPDX-License-Identifier: BSD-2-Clause */
/* links: kernel/sched.c kernel/runqueue.c kernel/placement.c kernel/cpu_map.c kernel/cpu_set.c
 * cpu/place.c cpu/features.c
 * kernel/thread.c
 * kernel/timer.c kernel/mutex.c kernel/work.c kernel/sched_group.c cpu/irq.c lib/tree.c
 * lib/format.c kernel/trace.c
 * tests/host/sim.c tests/host/percpu.c tests/host/tsc.c tests/host/panic.c tests/host/log.c
 * tests/host/steps.c */
/*
 * What the scheduler costs with a thousand threads that want to run, in instructions: the processor
 * traps after each of them, and those of kernel/ and lib/, compiled as for the product, are counted
 * for the simulated CPU that executes them. What depends on the number of threads is the queues'
 * and the tree's part, which is counted by itself, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "cpu/percpu.h"
#include "include/bits.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "kernel/thread_struct.h"
#include "tests/host/sim.h"
#include "tests/host/steps.h"

#define MS		1000000ul
#define THREADS		1000u
#define DECISIONS	48u	/* a trap takes its time */
#define OTHERS		240u	/* the switch and the timer */

/* The sections of what is counted: see the Makefile. */
extern char __start_counted[], __stop_counted[];
extern char __start_counted_queue[], __stop_counted_queue[];

struct steps {
	uint64_t all, queue;
};

static struct steps steps[SIM_CPUS_MAX];
static bool deciding[SIM_CPUS_MAX];
static unsigned counting;	/* CPUs that do; the trap is on meanwhile */
static struct cost {
	struct steps sum, worst;
	unsigned count;
} decision, wake;
static bool measuring, stop;

static void count_step(uintptr_t rip)
{
	if (steps_within(rip, __start_counted, __stop_counted)) {
		steps[cpu_index()].all++;
	} else if (steps_within(rip, __start_counted_queue, __stop_counted_queue)) {
		steps[cpu_index()].all++;
		steps[cpu_index()].queue++;
	}
}

static void count_begin(void)
{
	steps[cpu_index()] = (struct steps){ 0 };
	counting++;
	steps_trap(true);
}

static void count_end(struct cost *c)
{
	struct steps s;

	counting--;
	steps_trap(counting);
	s = steps[cpu_index()];
	c->sum.all += s.all;
	c->sum.queue += s.queue;
	c->worst.all = MAX(c->worst.all, s.all);
	c->worst.queue = MAX(c->worst.queue, s.queue);
	c->count++;
}

/* Whoever runs behind a decision, on the CPU that made it. */
static void decided(void)
{
	if (deciding[cpu_index()])
		count_end(&decision);
	deciding[cpu_index()] = false;
}

static void hog(void *arg)
{
	(void)arg;
	decided();
	while (!READ_ONCE(stop)) {
		sim_spin(sim_random(3 * MS));
		/* The first ones, and then some of many. */
		deciding[cpu_index()] = measuring && sched_wanted() && decision.count < DECISIONS &&
					(decision.count < DECISIONS / 4 || !sim_random(20));
		if (deciding[cpu_index()])
			count_begin();
		sched_point();
		decided();
	}
}

/* They keep out of the way, so that each wake-up finds another that waits. */
static void sleeper(void *arg)
{
	(void)arg;
	while (!READ_ONCE(stop)) {
		thread_prepare();
		if (!READ_ONCE(stop))
			(void)thread_wait(THREAD_FOREVER);
		decided();
	}
}

static struct thread *threads[THREADS], *sleepers[8];

static struct thread *spawn(void (*entry)(void *arg), int cpu, unsigned weight)
{
	struct thread *t = thread_create(&(struct thread_attr){
		.name = "cost", .entry = entry, .cpu = cpu, .weight = weight,
	});

	thread_start(t);
	return t;
}

static void measure_main(void)
{
	decision = wake = (struct cost){ 0 };
	measuring = stop = false;
	for (unsigned i = 0; i < ARRAY_COUNT(sleepers); i++)
		sleepers[i] = spawn(sleeper, -1, 0);
	thread_sleep_ns(20 * MS);
	for (unsigned i = 0; i < THREADS; i++)
		threads[i] = spawn(hog, i % 2 ? -1 : (int)(i / 2 % cpu_count),
				   100 + sim_random(3000));
	measuring = true;
	while (decision.count < DECISIONS) {
		thread_sleep_ns(10 * MS);
		decided();
		if (wake.count >= ARRAY_COUNT(sleepers))
			continue;
		count_begin();
		thread_wake(sleepers[wake.count]);
		count_end(&wake);
	}
	measuring = false;
	stop = true;
	for (unsigned i = 0; i < ARRAY_COUNT(sleepers); i++)
		thread_wake(sleepers[i]);
	for (unsigned i = 0; i < ARRAY_COUNT(sleepers); i++)
		thread_join(sleepers[i]);
	for (unsigned i = 0; i < THREADS; i++)
		thread_join(threads[i]);
}

static void check(const char *what, const struct cost *c, unsigned average, unsigned worst)
{
	struct steps mean = { c->sum.all / c->count, c->sum.queue / c->count };

	print_message("%s: %lu instructions, %lu at worst; in the queue %lu, %lu\n", what, mean.all,
		      c->worst.all, mean.queue, c->worst.queue);
	assert_in_range(mean.all, 50, average + OTHERS);
	assert_in_range(c->worst.all, 50, worst + OTHERS);
	assert_in_range(mean.queue, 20, average);
	assert_in_range(c->worst.queue, 20, worst);
}

static void a_thousand(unsigned cpus)
{
	sim_run(cpus, cpus, measure_main);
	print_message("%u CPUs\n", cpus);
}

/* docs/SPEC.md has the promises. */
static void one_cpu(void **state)
{
	(void)state;
	a_thousand(1);
	check("a decision", &decision, 400, 800);
	check("a wake-up", &wake, 400, 800);
}

/* A decision may hand a thread over to another CPU first, whose queue is searched and changed. */
static void four_cpus(void **state)
{
	(void)state;
	a_thousand(4);
	check("a decision", &decision, 700, 1400);
	check("a wake-up", &wake, 400, 800);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_cpu),
		cmocka_unit_test(four_cpus),
	};

	steps_begin(count_step);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
