/* SPDX-License-Identifier: BSD-2-Clause */
/* links: kernel/sched.c kernel/runqueue.c kernel/placement.c kernel/cpu_map.c kernel/cpu_set.c
 * cpu/place.c cpu/features.c
 * kernel/thread.c
 * kernel/timer.c kernel/mutex.c kernel/work.c kernel/sched_group.c cpu/irq.c lib/tree.c
 * lib/format.c kernel/trace.c
 * tests/host/sim.c tests/host/percpu.c tests/host/tsc.c tests/host/panic.c tests/host/log.c */
/*
 * Scheduling groups on the simulated machine: what groups get beside each other on one and on
 * several CPUs, by weight, with sleepers in them, with threads that try to gain by sleeping at the
 * right time, with groups that come and go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "cpu/percpu.h"
#include "cpu/tsc.h"
#include "include/bits.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "kernel/thread_struct.h"
#include "kernel/work.h"
#include "tests/host/sim.h"

#define MS		1000000ul
#define SECOND		(1000 * MS)
#define MEMBERS		16u

struct member {
	struct vm *vm;
	uint64_t burn, sleep;
};

/* A group and its threads, as a VM is one. */
struct vm {
	struct sched_group *group;
	struct thread *thread[MEMBERS];
	struct member member[MEMBERS];
	unsigned count;
	uint64_t before;
	unsigned turn;
	bool stop;
};

static unsigned seed;
static struct vm a, b, c;

static void vcpu(void *arg)
{
	struct member *m = arg;

	while (!READ_ONCE(m->vm->stop)) {
		sim_burn(m->burn);
		if (m->sleep)
			thread_sleep_ns(m->sleep);
	}
}

/* Adds threads that burn and sleep by turns; a sleep of 0: none. */
static void add(struct vm *vm, unsigned count, uint64_t burn, uint64_t sleep)
{
	while (count--) {
		struct member *m = &vm->member[vm->count];

		*m = (struct member){ .vm = vm, .burn = burn, .sleep = sleep };
		vm->thread[vm->count] = thread_create(&(struct thread_attr){
			.name = "vcpu", .entry = vcpu, .arg = m, .cpu = -1, .group = vm->group,
		});
		thread_start(vm->thread[vm->count++]);
	}
}

static void begin(struct vm *vm, unsigned weight, unsigned busy)
{
	*vm = (struct vm){ 0 };
	vm->group = sched_group_create(weight);
	add(vm, busy, 700000, 0);
}

static void end(struct vm *vm)
{
	WRITE_ONCE(vm->stop, true);
	thread_sleep_ns(100 * MS);		/* nobody wakes another afterwards */
	for (unsigned i = 0; i < vm->count; i++)
		thread_wake(vm->thread[i]);
	for (unsigned i = 0; i < vm->count; i++)
		thread_join(vm->thread[i]);
	assert_int_equal(sched_group_count(vm->group), 0);
	sched_group_put(vm->group);
}

static uint64_t ran(struct vm *vm)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < vm->count; i++)
		sum += thread_run_ticks(vm->thread[i]);
	return sum;
}

/* What each has had since the last call. */
static uint64_t lately(struct vm *vm)
{
	uint64_t before = vm->before;

	vm->before = ran(vm);
	return vm->before - before;
}

static void check(const char *what, uint64_t had, uint64_t fair, unsigned percent)
{
	if (getenv("SHOW"))
		print_message("%s: %lu, fair %lu: %+ld per mille\n", what, had, fair,
			      ((long)had - (long)fair) * 1000 / (long)fair);
	if (had < fair * (100 - percent) / 100 || had > fair * (100 + percent) / 100)
		fail_msg("%s had %lu, fair is %lu", what, had, fair);
}

static void at_most(uint64_t had, uint64_t most)
{
	if (getenv("SHOW"))
		print_message("%lu, may have %lu\n", had, most);
	if (had > most)
		fail_msg("it had %lu and may have %lu", had, most);
}

/* Until they are spread over the CPUs; from then on lately() says what they had in `time`. */
static void measure(uint64_t settle, uint64_t time)
{
	thread_sleep_ns(settle);
	lately(&a);
	lately(&b);
	lately(&c);
	thread_sleep_ns(time);
}

static void three(void)
{
	begin(&a, 0, 1);
	begin(&b, 0, 4);
	begin(&c, 0, 16);
}

static void end_three(void)
{
	end(&a);
	end(&b);
	end(&c);
}

/* A third each, and within a VM each vCPU as much as the others. */
static void one_cpu_main(void)
{
	three();
	thread_sleep_ns(5 * SECOND);
	check("1 vCPU", ran(&a), 5 * SECOND / 3, 2);
	check("4 vCPUs", ran(&b), 5 * SECOND / 3, 2);
	check("16 vCPUs", ran(&c), 5 * SECOND / 3, 2);
	for (unsigned i = 0; i < 4; i++)
		check("one of 4", thread_run_ticks(b.thread[i]), 5 * SECOND / 12, 4);
	for (unsigned i = 0; i < 16; i++)
		check("one of 16", thread_run_ticks(c.thread[i]), 5 * SECOND / 48, 8);
	end_three();
}

/* Two thirds of a CPU each: nobody has more than a vCPU can use. */
static void two_cpus_main(void)
{
	three();
	measure(SECOND, 5 * SECOND);
	check("1 vCPU", lately(&a), 10 * SECOND / 3, 5);
	check("4 vCPUs", lately(&b), 10 * SECOND / 3, 5);
	check("16 vCPUs", lately(&c), 10 * SECOND / 3, 5);
	end_three();
}

/* One CPU is all that the single vCPU can use; the others share the rest. */
static void four_cpus_main(void)
{
	three();
	measure(SECOND, 5 * SECOND);
	check("1 vCPU", lately(&a), 5 * SECOND, 5);
	check("4 vCPUs", lately(&b), 15 * SECOND / 2, 8);
	check("16 vCPUs", lately(&c), 15 * SECOND / 2, 8);
	end_three();
}

static void weights_main(void)
{
	begin(&a, 1024, 1);
	begin(&b, 2048, 3);
	begin(&c, 512, 16);
	thread_sleep_ns(7 * SECOND);
	check("weight 1024", ran(&a), 2 * SECOND, 2);
	check("weight 2048", ran(&b), 4 * SECOND, 2);
	check("weight 512", ran(&c), SECOND, 3);
	end_three();
}

/* Works for a VM without being one of its threads. */
static void servant(void *arg)
{
	struct member *m = arg;

	sched_group_get(m->vm->group);
	assert_null(thread_charge(m->vm->group));
	while (!READ_ONCE(m->vm->stop)) {
		sim_burn(m->burn);
		if (m->sleep)
			thread_sleep_ns(m->sleep);
	}
	assert_ptr_equal(thread_charge(NULL), m->vm->group);
	sched_group_put(m->vm->group);
}

/* Of a CPU with another VM, VM b and who works for it have half, and `most` per mille at most. */
static void serve(unsigned busy, uint64_t burn, uint64_t sleep, unsigned most)
{
	struct member m = { .vm = &b, .burn = burn, .sleep = sleep };
	struct thread *t;
	uint64_t worked;

	begin(&a, 0, 1);
	begin(&b, 0, busy);
	t = thread_create(&(struct thread_attr){
		.name = "servant", .entry = servant, .arg = &m, .cpu = -1,
	});
	thread_start(t);
	thread_sleep_ns(5 * SECOND);
	worked = thread_run_ticks(t);
	if (getenv("SHOW"))
		print_message("worked %lu, ran %lu, beside %lu\n", worked, ran(&b), ran(&a));
	assert_true(worked > 5 * SECOND / 10);
	assert_true(ran(&b) + worked <= 5 * SECOND / 1000 * most);
	assert_true(ran(&b) + worked >= 5 * SECOND / 1000 * 490);
	/* Nearly all of it has been paid for. */
	if (most < 520)
		assert_true(b.group->owed < 20 * MS);
	b.stop = true;
	thread_join(t);
	end(&b);
	end(&a);
}

static void servants_main(void)
{
	serve(1, 300000, 700000, 510);
	serve(1, 20000, 100000, 510);
	serve(7, 2000000, 10 * MS, 510);
	/* The servant's own third; the VM has a sixteenth of its share still. */
	serve(1, 700000, 0, 530);
}

static void burn_work(struct work *w)
{
	(void)w;
	sim_burn(3 * MS);
}

/* Work that is queued for a VM. */
static void work_main(void)
{
	struct work mine, none;

	work_start();
	begin(&a, 0, 1);
	begin(&b, 0, 1);
	work_init(&mine, burn_work);
	mine.group = b.group;
	work_init(&none, burn_work);
	for (unsigned i = 0; i < 200; i++) {
		work_queue(&mine);
		thread_sleep_ns(20 * MS);
	}
	check("who has work done", ran(&b) + 600 * MS, ran(&a), 2);
	lately(&a);
	lately(&b);
	for (unsigned i = 0; i < 100; i++) {
		work_queue(&none);
		thread_sleep_ns(20 * MS);
	}
	check("nobody pays", lately(&b), lately(&a), 3);
	work_cancel_sync(&mine);
	work_cancel_sync(&none);
	end(&a);
	end(&b);
	sim_finish();
}

/* Gives way as a vCPU does. */
static void capped_vcpu(void *arg)
{
	struct member *m = arg;
	uint64_t until;

	while (!READ_ONCE(m->vm->stop)) {
		sim_spin(1000 + sim_random(20000));
		if (m->sleep && !sim_random(10))
			thread_sleep_ns(sim_random((uint32_t)m->sleep));
		if (!sched_wanted())
			continue;
		sched_point();
		until = sched_capped_until();
		if (!until)
			continue;
		thread_prepare();
		(void)thread_wait(until);
	}
}

static void begin_capped(struct vm *vm, unsigned count, uint64_t sleep,
			 const struct sched_limits *limits)
{
	begin(vm, 0, 0);
	sched_group_set(vm->group, limits);
	for (; vm->count < count; vm->count++) {
		struct member *m = &vm->member[vm->count];

		*m = (struct member){ .vm = vm, .sleep = sleep };
		vm->thread[vm->count] = thread_create(&(struct thread_attr){
			.name = "capped", .entry = capped_vcpu, .arg = m, .cpu = -1,
			.group = vm->group,
		});
		thread_start(vm->thread[vm->count]);
	}
}

static void set(struct vm *vm, const struct sched_limits *limits)
{
	sched_group_set(vm->group, limits);
	for (unsigned i = 0; i < vm->count; i++)
		thread_sched_follow(vm->thread[i]);
}

#define ALL(p, q)	&(struct sched_limits){ .all_period_ns = (p), .all_quota_ns = (q) }
#define EACH(p, q)	&(struct sched_limits){ .each_period_ns = (p), .each_quota_ns = (q) }

/* Within 2% over 5 s, on idle CPUs and beside others; where they do not bind they do not matter. */
static void caps_main(void)
{
	static const uint64_t period[] = { 10 * MS, 100 * MS, 1000 * MS };

	for (unsigned i = 0; i < ARRAY_COUNT(period); i++) {
		uint64_t p = period[i];

		begin_capped(&a, 1, 0, ALL(p, p * 3 / 10));
		begin_capped(&b, 4, 0, ALL(p, p / 2));
		begin(&c, 0, 1);
		/* Whole periods, and not at their ends. */
		measure(2 * SECOND + p / 2, 5 * SECOND);
		check("30%", lately(&a), 5 * SECOND * 3 / 10, 2);
		/* On one CPU the others share what that leaves. */
		if (cpu_count == 1)
			check("the rest", lately(&b), lately(&c), 2);
		else
			check("50% of 4", lately(&b), 5 * SECOND / 2, 2);
		/* Weights count where caps do not bind: a third each on one CPU. */
		set(&a, ALL(p, p * 9 / 10));
		set(&b, &(struct sched_limits){ .weight = 0 });
		measure(SECOND, 5 * SECOND);
		if (cpu_count == 1) {
			check("90%", lately(&a), 5 * SECOND / 3, 3);
			check("no cap", lately(&b), 5 * SECOND / 3, 3);
		}
		end_three();
	}
}

static void caps_of_each_main(void)
{
	begin_capped(&a, 3, 0, EACH(100 * MS, 20 * MS));
	begin_capped(&b, 2, MS, EACH(50 * MS, 40 * MS));
	begin_capped(&c, 2, 0, &(struct sched_limits){
		.all_period_ns = 100 * MS, .all_quota_ns = 50 * MS,
		.each_period_ns = 20 * MS, .each_quota_ns = 4 * MS,
	});
	measure(SECOND, 5 * SECOND);
	for (unsigned i = 0; i < 3; i++)
		check("20%", thread_run_ticks(a.thread[i]), 6 * SECOND / 5, 3);
	check("3 of 20%", lately(&a), 3 * SECOND, 2);
	check("2 of 20%, 50% in all", lately(&c), 2 * SECOND, 2);
	at_most(lately(&b), 5 * SECOND * 8 / 5 * 102 / 100);
	end_three();
}

/* What it slept is lost; so is all of the past when caps change. Weights follow, too. */
static void limits_change_main(void)
{
	begin_capped(&a, 1, 0, ALL(100 * MS, 10 * MS));
	begin(&b, 0, 1);
	begin(&c, 0, 0);
	for (unsigned i = 1; i < 5; i++) {
		set(&a, ALL(100 * MS, i * 8 * MS));
		measure(300 * MS, 3 * SECOND);
		check("changed", lately(&a), 3 * SECOND * i * 8 / 100, 3);
	}
	set(&a, &(struct sched_limits){ .weight = 3072 });
	measure(100 * MS, 3 * SECOND);
	check("weight 3072", lately(&a), 3 * SECOND * 3 / 4, 3);
	set(&a, &(struct sched_limits){ .weight = 2 });
	measure(100 * MS, 10 * SECOND);
	at_most(lately(&a), 10 * SECOND / 100);
	assert_true(a.before > 0);
	end_three();
}

/* Long overdrawn, long unused, set anew: numbers only. */
static void cap_numbers(void **state)
{
	struct sched_group *g;
	struct sched_cap own = { 0 };
	uint64_t until, now = 5 * SECOND;

	(void)state;
	host_percpu_init(1);
	host_tsc = now;
	g = sched_group_create(0);
	assert_true(sched_group_left(g, &own, now, &until) == ~0ul);
	sched_group_set(g, ALL(100 * MS, 20 * MS));
	assert_true(sched_group_capped(g));
	assert_int_equal(sched_group_left(g, &own, now, &until), 20 * MS / 8 + 1);
	sched_group_use(g, &own, 50 * MS, now + 50 * MS);
	/* 30 ms too many: the rest of this period and one more. */
	assert_int_equal(sched_group_left(g, &own, now + 50 * MS, &until), 0);
	assert_int_equal(until, now + 200 * MS);
	assert_int_equal(sched_group_left(g, &own, now + 199 * MS, &until), 0);
	assert_int_equal(sched_group_left(g, &own, now + 200 * MS, &until), 20 * MS / 8 + 1);
	/* Nothing is saved up. */
	assert_int_equal(sched_group_left(g, &own, now + 900000 * SECOND, &until), 20 * MS / 8 + 1);
	assert_int_equal(g->all.left, 20 * MS);
	sched_group_owe(g, 77);
	assert_int_equal(sched_group_pay(g, 2), 30);
	assert_int_equal(sched_group_pay(g, 10), 47);
	assert_true(sched_group_capped(g));
	sched_group_set(g, &(struct sched_limits){ .weight = 5 });
	assert_false(sched_group_capped(g));
	assert_int_equal(g->owed, 0);
	sched_group_put(g);
}

/* One that belongs to no group is one by itself. */
static void alone_main(void)
{
	struct member m = { .vm = &a, .burn = 700000 };
	struct thread *t;

	begin(&a, 0, 0);
	begin(&b, 0, 7);
	t = thread_create(&(struct thread_attr){
		.name = "alone", .entry = vcpu, .arg = &m, .cpu = -1,
	});
	thread_start(t);
	thread_sleep_ns(5 * SECOND);
	check("alone", thread_run_ticks(t), 5 * SECOND / 2, 2);
	check("7 vCPUs", ran(&b), 5 * SECOND / 2, 2);
	a.stop = true;
	thread_join(t);
	end(&b);
}

/* vCPUs that wake for moments neither take from their own VM's share nor add to it. */
static void sleepers_main(void)
{
	begin(&a, 0, 1);
	begin(&b, 0, 1);
	add(&b, 8, 20000, MS);
	begin(&c, 0, 1);
	add(&c, 3, MS, 10 * MS);
	thread_sleep_ns(5 * SECOND);
	check("busy", ran(&a), 5 * SECOND / 3, 3);
	check("busy and 8 that tick", ran(&b), 5 * SECOND / 3, 3);
	check("busy and 3 that sleep", ran(&c), 5 * SECOND / 3, 3);
	end_three();
}

/*
 * All of one VM's vCPUs run briefly and sleep for moments, so that few of them want a CPU whenever
 * one gives it up: that gains nothing against another that is busy.
 */
static void gain_main(void)
{
	static const uint64_t burn[] = { 30000, 200000, 900000, 2900000 };

	for (unsigned i = 0; i < ARRAY_COUNT(burn); i++) {
		begin(&a, 0, cpu_count);
		begin(&b, 0, 0);
		begin(&c, 0, 0);
		add(&b, 12, burn[i], 2000);
		measure(SECOND / 2, 3 * SECOND);
		at_most(lately(&b), 3 * SECOND * cpu_count * 51 / 100);
		end_three();
	}
}

/* One works, wakes the next and sleeps: at each moment a single vCPU wants a CPU. */
static void relay_vcpu(void *arg)
{
	struct member *m = arg;
	struct vm *vm = m->vm;
	unsigned self = (unsigned)(m - vm->member), next = (self + 1) % vm->count;

	while (!READ_ONCE(vm->stop)) {
		thread_prepare();
		if (READ_ONCE(vm->turn) != self && !READ_ONCE(vm->stop)) {
			(void)thread_wait(THREAD_FOREVER);
			continue;
		}
		sim_burn(m->burn);
		WRITE_ONCE(vm->turn, next);
		if (!READ_ONCE(vm->stop))
			thread_wake(vm->thread[next]);
	}
}

static void relay_main(void)
{
	static const uint64_t burn[] = { 50000, 1000000, 2900000, 7000000, 20000000 };

	for (unsigned i = 0; i < ARRAY_COUNT(burn); i++) {
		begin(&a, 0, cpu_count);
		begin(&b, 0, 0);
		b.count = 8;
		for (unsigned k = 0; k < 8; k++) {
			b.member[k] = (struct member){ .vm = &b, .burn = burn[i] };
			b.thread[k] = thread_create(&(struct thread_attr){
				.name = "relay", .entry = relay_vcpu, .arg = &b.member[k], .cpu = -1,
				.group = b.group,
			});
		}
		for (unsigned k = 0; k < 8; k++)
			thread_start(b.thread[k]);
		thread_sleep_ns(3 * SECOND);
		at_most(ran(&b), 3 * SECOND * (cpu_count == 1 ? 51 : 101) / 100);
		end(&b);
		end(&a);
	}
}

/* Those who stay have the same, with one that comes and goes; it has its part while it is there. */
static void come_and_go_main(void)
{
	uint64_t had = 0, time = 0;

	begin(&a, 0, 2);
	begin(&b, 0, 9);
	for (unsigned i = 0; i < 20; i++) {
		uint64_t start;

		thread_sleep_ns(sim_random(150) * MS);
		start = clock_ns();
		begin(&c, 0, 1 + sim_random(MEMBERS));
		thread_sleep_ns(100 * MS + sim_random(100) * MS);
		had += ran(&c);
		time += clock_ns() - start;
		end(&c);
	}
	check("who stays", ran(&a), ran(&b), 3);
	/* With the lead of who has slept, each time. */
	check("who comes and goes", had, time / 3, 10);
	end(&a);
	end(&b);
}

/* TSCs that differ a little. */
static void skewed_main(void)
{
	three();
	thread_sleep_ns(5 * SECOND);
	check("1 vCPU", ran(&a), 10 * SECOND / 3, 10);
	check("4 vCPUs", ran(&b), 10 * SECOND / 3, 10);
	check("16 vCPUs", ran(&c), 10 * SECOND / 3, 10);
	end_three();
}

static void skewed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		sim_skew[i & 1] = 30000;
		sim_run(2, ++seed, skewed_main);
	}
}

/* All numbers modulo 2^54 go by. */
static void wraps(void **state)
{
	struct sched_group g = { 0 };
	uint64_t t = (1ul << 54) - 1000, from;

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		sched_group_enter(&g, t += 7);
	from = sched_group_clock(&g, t);
	assert_int_equal(sched_group_count(&g), 64);
	assert_int_equal(sched_group_passed(from, sched_group_clock(&g, t + 5000)), 64 * 5000);
	t += 5000;
	sched_group_leave(&g, t);
	assert_int_equal(sched_group_count(&g), 63);
	assert_int_equal(sched_group_passed(from, sched_group_clock(&g, t + 100)),
			 64 * 5000 + 63 * 100);
	assert_int_equal(sched_group_passed(from, from - 50), 0);
	for (unsigned i = 0; i < 63; i++)
		sched_group_leave(&g, t);
	assert_int_equal(sched_group_count(&g), 0);
	assert_int_equal(sched_group_clock(&g, t), sched_group_clock(&g, t + SECOND));
}

#define SIM_TEST(name, rounds, cpus) static void name(void **state)	\
{									\
	(void)state;							\
	for (unsigned i = 0; i < (rounds); i++)				\
		sim_run((cpus), ++seed, name##_main);			\
}

SIM_TEST(one_cpu, 3, 1)
SIM_TEST(two_cpus, 3, 2)
SIM_TEST(four_cpus, 3, 4)
SIM_TEST(weights, 2, 1)
SIM_TEST(alone, 1, 1)
SIM_TEST(sleepers, 2, 1)
SIM_TEST(gain, 3, 1 + i)
SIM_TEST(relay, 2, 1 + i)
SIM_TEST(come_and_go, 2, 1)
SIM_TEST(servants, 2, 1)
SIM_TEST(caps, 2, 1 + 5 * i)
SIM_TEST(caps_of_each, 1, 8)
SIM_TEST(limits_change, 1, 1)
SIM_TEST(work, 1, 1)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_cpu),
		cmocka_unit_test(two_cpus),
		cmocka_unit_test(four_cpus),
		cmocka_unit_test(weights),
		cmocka_unit_test(alone),
		cmocka_unit_test(sleepers),
		cmocka_unit_test(gain),
		cmocka_unit_test(relay),
		cmocka_unit_test(come_and_go),
		cmocka_unit_test(servants),
		cmocka_unit_test(work),
		cmocka_unit_test(caps),
		cmocka_unit_test(caps_of_each),
		cmocka_unit_test(limits_change),
		cmocka_unit_test(cap_numbers),
		cmocka_unit_test(skewed),
		cmocka_unit_test(wraps),
	};

	seed = getenv("SEED") ? (unsigned)atoi(getenv("SEED")) : 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
