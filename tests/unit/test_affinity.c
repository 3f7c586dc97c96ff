/* SPDX-License-Identifier: BSD-2-Clause */
/* links: kernel/sched.c kernel/runqueue.c kernel/placement.c kernel/cpu_map.c kernel/cpu_set.c
 * cpu/place.c cpu/features.c
 * kernel/thread.c kernel/timer.c kernel/mutex.c kernel/work.c kernel/sched_group.c cpu/irq.c
 * lib/tree.c lib/format.c kernel/trace.c tests/host/sim.c tests/host/percpu.c tests/host/tsc.c
 * tests/host/panic.c tests/host/log.c */
/*
 * Which CPUs a thread may run on: sets and their text, and the scheduler that keeps to them on the
 * simulated machine while they change: running, waiting for a CPU, asleep; what threads and groups
 * get that are held to some CPUs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/percpu.h"
#include "cpu/place.h"
#include "cpu/tsc.h"
#include "include/errno.h"
#include "kernel/cpu_set.h"
#include "kernel/runqueue.h"
#include "kernel/sched.h"
#include "kernel/sched_group.h"
#include "kernel/thread.h"
#include "kernel/thread_struct.h"
#include "tests/host/sim.h"

#define MS	1000000ul
#define SECOND	(1000 * MS)
#define THREADS	24u

/* ---- text ---- */

static void lists(void **state)
{
	static const struct { const char *text, *back; } right[] = {
		{ "0", "0" }, { "0-3", "0-3" }, { "0-3,^2", "0-1,3" }, { " 1 - 4 , ^3 , 6 ", "1-2,4,6" },
		{ "^1,0-2", "0-2" }, { "5,1,3", "1,3,5" }, { "0-255", "0-255" }, { "62-66", "62-66" },
		{ "255", "255" }, { "0-7,^0,^7,0", "0-6" }, { "007", "7" },
	};
	static const struct { const char *text; int err; } wrong[] = {
		{ "", -EINVAL }, { " ", -EINVAL }, { ",", -EINVAL }, { "1,", -EINVAL }, { "a", -EINVAL },
		{ "1-", -EINVAL }, { "-1", -EINVAL }, { "3-1", -EINVAL }, { "1 2", -EINVAL },
		{ "^", -EINVAL }, { "^1-2,5", -EINVAL }, { "1,^1", -EINVAL }, { "^3", -EINVAL },
		{ "256", -ERANGE }, { "0-256", -ERANGE }, { "99999999999999999999", -ERANGE },
		{ "^300,1", -ERANGE }, { "0x1", -EINVAL }, { "1;2", -EINVAL },
	};
	char text[CPU_SET_TEXT];
	struct cpu_set s;

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(right); i++) {
		assert_int_equal(cpu_set_parse(&s, right[i].text, strlen(right[i].text)), 0);
		cpu_set_format(&s, CPU_MAX, text);
		assert_string_equal(text, right[i].back);
	}
	for (unsigned i = 0; i < ARRAY_COUNT(wrong); i++)
		assert_int_equal(cpu_set_parse(&s, wrong[i].text, strlen(wrong[i].text)),
				 wrong[i].err);
	cpu_set_fill(&s);
	assert_true(cpu_set_is_full(&s));
	cpu_set_format(&s, 6, text);
	assert_string_equal(text, "0-5");
	/* The longest there is. */
	s = (struct cpu_set){ 0 };
	for (unsigned i = 0; i < CPU_MAX; i++)
		if (i % 3 != 2)
			cpu_set_add(&s, i);
	assert_int_equal(cpu_set_count(&s), 171);
	cpu_set_format(&s, CPU_MAX, text);
	assert_true(strlen(text) < CPU_SET_TEXT - 1);
	assert_string_equal(text + strlen(text) - 12, "249-250,252-253,255" + 7);
}

/* What is written is read as the same. */
static void any_list(void **state)
{
	char text[CPU_SET_TEXT];

	(void)state;
	srand(1);
	for (unsigned i = 0; i < 2000; i++) {
		struct cpu_set s = { 0 }, back;

		cpu_set_add(&s, (unsigned)rand() % CPU_MAX);
		for (unsigned k = (unsigned)rand() % 300; k; k--)
			cpu_set_add(&s, (unsigned)rand() % CPU_MAX);
		cpu_set_format(&s, CPU_MAX, text);
		assert_int_equal(cpu_set_parse(&back, text, strlen(text)), 0);
		assert_true(cpu_set_equal(&s, &back));
	}
}

/* ---- threads ---- */

static struct member {
	struct thread *thread;
	struct cpu_set allowed;
	unsigned changes, late;		/* odd: it is just changing */
	uint64_t sleep;
	bool moves;		/* asks, as a vCPU is requested to */
} member[THREADS];

static bool stop;
static unsigned seed;

static struct cpu_set set_of(const char *text)
{
	struct cpu_set s;

	assert_int_equal(cpu_set_parse(&s, text, strlen(text)), 0);
	return s;
}

/* It is where it may be, unless that has changed since it asked. */
static void look(struct member *m, unsigned changes)
{
	if (m->changes == changes && changes % 2 == 0 && !cpu_set_has(&m->allowed, cpu_index()))
		m->late++;
}

static void run(void *arg)
{
	struct member *m = arg;

	while (!READ_ONCE(stop)) {
		unsigned changes = READ_ONCE(m->changes);

		if (m->moves)
			sched_move();
		look(m, changes);
		sim_burn(50000 + sim_random(400000));
		look(m, changes);
		if (m->sleep)
			thread_sleep_ns(sim_random((uint32_t)m->sleep));
	}
}

static void spawn(unsigned i, const struct cpu_set *allowed, uint64_t sleep,
		  struct sched_group *group)
{
	struct member *m = &member[i];

	*m = (struct member){ .allowed = *allowed, .sleep = sleep };
	m->thread = thread_create(&(struct thread_attr){
		.name = "held", .entry = run, .arg = m, .cpu = -1, .group = group,
	});
	thread_affinity_set(m->thread, allowed);
	thread_start(m->thread);
}

static void end(unsigned n)
{
	stop = true;
	for (unsigned i = 0; i < n; i++)
		thread_join(member[i].thread);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(member[i].late, 0);
	stop = false;
}

static uint64_t ran(unsigned from, unsigned count)
{
	uint64_t sum = 0;

	for (unsigned i = from; i < from + count; i++)
		sum += thread_run_ticks(member[i].thread);
	return sum;
}

static void check(uint64_t had, uint64_t fair, unsigned percent)
{
	if (had < fair * (100 - percent) / 100 || had > fair * (100 + percent) / 100)
		fail_msg("it had %lu, fair is %lu", had, fair);
}

/* Six on two CPUs, two on two others that are free for all, four anywhere. */
static void shares_main(void)
{
	const struct cpu_set low = set_of("0-1"), high = set_of("2-3");
	struct cpu_set all, back;

	cpu_set_fill(&all);
	for (unsigned i = 0; i < 6; i++)
		spawn(i, &low, 0, NULL);
	for (unsigned i = 6; i < 8; i++)
		spawn(i, &high, 0, NULL);
	for (unsigned i = 8; i < 12; i++)
		spawn(i, &all, 0, NULL);
	thread_affinity_get(member[0].thread, &back);
	assert_true(cpu_set_equal(&back, &low));
	thread_sleep_ns(5 * SECOND);
	/* A third of a CPU each. */
	for (unsigned i = 0; i < 12; i++)
		check(thread_run_ticks(member[i].thread), 5 * SECOND / 3, 15);
	check(ran(0, 6), 10 * SECOND, 3);
	check(ran(6, 6), 10 * SECOND, 3);
	end(12);
}

/* Nobody waits for a CPU of the set while another of them idles, wherever all began. */
static void spread_main(void)
{
	const struct cpu_set some = set_of("1,3,5");

	for (unsigned i = 0; i < 3; i++)
		spawn(i, &some, 0, NULL);
	thread_sleep_ns(SECOND);
	for (unsigned i = 0; i < 3; i++)
		check(thread_run_ticks(member[i].thread), SECOND, 2);
	end(3);
}

/* Some CPUs, among which there may be only one that exists. */
static struct cpu_set random_set(void)
{
	struct cpu_set s = { 0 };

	if (!sim_random(5)) {
		cpu_set_fill(&s);
		return s;
	}
	for (unsigned n = 1 + sim_random(3); n; n--)
		cpu_set_add(&s, sim_random(cpu_count));
	return s;
}

static void change(struct member *m)
{
	struct cpu_set s = random_set();

	m->changes++;
	thread_affinity_set(m->thread, &s);
	m->allowed = s;
	m->changes++;
}

static void changes_main(void)
{
	unsigned n = 1 + sim_random(THREADS);

	for (unsigned i = 0; i < n; i++) {
		struct cpu_set s = random_set();

		spawn(i, &s, i % 3 ? 0 : 2 * MS, NULL);
		member[i].moves = true;
	}
	for (unsigned i = 0; i < 400; i++) {
		thread_sleep_ns(sim_random(2 * MS));
		change(&member[sim_random(n)]);
	}
	end(n);
	for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
		const struct runqueue *q = &per_cpu(runqueue, cpu);

		assert_int_equal(q->load + q->waiting + q->movable + q->restricted, 0);
	}
}

/* One that sleeps wakes where it may be by then, and without being asked. */
static void asleep_main(void)
{
	struct cpu_set all;

	cpu_set_fill(&all);
	for (unsigned i = 0; i < 4; i++)
		spawn(i, &all, 0, NULL);		/* so that nobody idles in place */
	spawn(4, &all, MS, NULL);
	sim_deadline = 10 * SECOND;
	for (unsigned i = 0; i < 200; i++) {
		thread_sleep_ns(3 * MS);
		while (READ_ONCE(member[4].thread->state) != THREAD_WAITING)
			thread_sleep_ns(20000);
		change(&member[4]);
	}
	end(5);
}

/* ---- cores ---- */

static unsigned core_of(const struct member *m)
{
	return (unsigned)thread_cpu(m->thread) / 2;
}

/* Two threads in a core, two cores at a cache: who comes has a core for itself, and is near. */
static void cores_main(void)
{
	struct cpu_set all, zero = set_of("0");

	cpu_set_fill(&all);
	for (unsigned i = 0; i < cpu_count; i++)
		per_cpu(place, i) = (struct place){ .core = i & ~1u, .cache = i & ~3u };
	place_link();
	assert_true(place_matters);
	for (unsigned busy = 0; busy < 4; busy++) {
		unsigned near;

		/* Everybody idles, but who is there already. */
		thread_sleep_ns(10 * MS);
		near = cpu_index() / 4;
		spawn(busy, &all, 0, NULL);
		thread_sleep_ns(10 * MS);
		for (unsigned i = 0; i < busy; i++)
			assert_int_not_equal(core_of(&member[busy]), core_of(&member[i]));
		if (!busy)
			assert_int_equal(core_of(&member[busy]) / 2, near);
	}
	/* Then threads of busy cores, each once. */
	for (unsigned i = 4; i < 8; i++)
		spawn(i, &all, 0, NULL);
	thread_sleep_ns(SECOND);
	for (unsigned i = 4; i < 8; i++)
		check(thread_run_ticks(member[i].thread), SECOND, 2);
	end(8);
	/* And where it may be, whatever would be better. */
	spawn(0, &zero, 0, NULL);
	spawn(1, &zero, 0, NULL);
	thread_sleep_ns(SECOND);
	check(ran(0, 2), SECOND, 2);
	end(2);
	place_matters = false;
}

/* ---- groups ---- */

static void groups_main(void)
{
	struct sched_group *a = sched_group_create(0), *b = sched_group_create(0);
	const struct cpu_set zero = set_of("0"), one = set_of("1");
	struct cpu_set all;

	cpu_set_fill(&all);
	/* Four of one VM and one of another held to a CPU, which both need. */
	for (unsigned i = 0; i < 4; i++)
		spawn(i, &zero, 0, a);
	spawn(4, &zero, 0, b);
	thread_sleep_ns(4 * SECOND);
	check(ran(0, 4), 2 * SECOND, 2);
	check(ran(4, 1), 2 * SECOND, 2);
	end(5);
	/* Each VM has one on either CPU. */
	for (unsigned i = 0; i < 4; i++)
		spawn(i, i % 2 ? &one : &zero, 0, i < 2 ? a : b);
	thread_sleep_ns(4 * SECOND);
	for (unsigned i = 0; i < 4; i++)
		check(ran(i, 1), 2 * SECOND, 2);
	end(4);
	/* One that is held, and four that keep out of its way. */
	spawn(0, &zero, 0, a);
	for (unsigned i = 1; i < 5; i++)
		spawn(i, &all, 0, b);
	thread_sleep_ns(4 * SECOND);
	check(ran(0, 1), 4 * SECOND, 5);
	check(ran(1, 4), 4 * SECOND, 5);
	end(5);
	sched_group_put(a);
	sched_group_put(b);
}

#define SIM_TEST(name, rounds, cpus) static void name(void **state)	\
{									\
	(void)state;							\
	for (unsigned i = 0; i < (rounds); i++)				\
		sim_run((cpus), ++seed, name##_main);			\
}

SIM_TEST(shares, 3, 4)
SIM_TEST(spread, 4, 6 + i)
SIM_TEST(changes, 60, 1 + i % SIM_CPUS)
SIM_TEST(asleep, 3, 4)
SIM_TEST(cores, 6, 8)
SIM_TEST(groups, 2, 2)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists), cmocka_unit_test(any_list), cmocka_unit_test(shares),
		cmocka_unit_test(spread), cmocka_unit_test(changes), cmocka_unit_test(asleep),
		cmocka_unit_test(cores), cmocka_unit_test(groups),
	};

	seed = getenv("SEED") ? (unsigned)atoi(getenv("SEED")) : 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
