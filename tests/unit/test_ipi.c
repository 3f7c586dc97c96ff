/* SPDX-License-Identifier: BSD-2-Clause */
/* links: tests/host/percpu.c tests/host/panic.c tests/host/log.c */
/*
 * Function calls between CPUs, by the real cpu/ipi.c (compiled here): a host thread plays each CPU,
 * a message is a flag that its target looks at whenever it waits. All call all others at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <sched.h>
#include <cmocka.h>

#include "cpu/cpu.h"

static void poll_messages(void);
#define cpu_pause() poll_messages()

#include "cpu/ipi.c"

#define CPUS	4
#define ROUNDS	3000

static bool message[CPUS];
static unsigned lost_every, sent;	/* every n-th message is lost */
static irq_handler *handler;
static unsigned counts[CPUS][CPUS];	/* [who asked][who ran] */
static unsigned done;

uint32_t lapic_id_of(unsigned cpu)
{
	return cpu * 2;
}

bool lapic_is_ready(void)
{
	return true;
}

void lapic_send(uint32_t apic_id, uint32_t icr_low)
{
	assert_int_equal(icr_low, IRQ_CALL);
	if (lost_every && __atomic_add_fetch(&sent, 1, __ATOMIC_RELAXED) % lost_every == 0)
		return;
	__atomic_store_n(&message[apic_id / 2], true, __ATOMIC_SEQ_CST);
}

int irq_claim(unsigned vector, const char *name, irq_handler *fn, void *arg)
{
	(void)name;
	(void)arg;
	assert_int_equal(vector, IRQ_CALL);
	handler = fn;
	return 0;
}

static void poll_messages(void)
{
	if (__atomic_exchange_n(&message[cpu_index()], false, __ATOMIC_SEQ_CST))
		handler(NULL);
	else if (!lost_every)
		sched_yield();
}

static void called(void *arg)
{
	unsigned *row = arg;

	row[cpu_index()]++;
}

static void *cpu_main(void *arg)
{
	unsigned self = (unsigned)(uintptr_t)arg;

	host_cpu_become(self);
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (i % 3)
			ipi_call_others(called, counts[self]);
		else
			ipi_call((self + 1 + i % (CPUS - 1)) % CPUS, called, counts[self]);
	}
	__atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&done, __ATOMIC_SEQ_CST) < CPUS)
		poll_messages();
	return NULL;
}

static void everybody_calls_everybody(void **state)
{
	pthread_t thread[CPUS];
	void *unused;

	(void)state;
	host_percpu_init(CPUS);
	ipi_init();
	for (uintptr_t i = 0; i < CPUS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, cpu_main, (void *)i), 0);
	for (unsigned i = 0; i < CPUS; i++)
		pthread_join(thread[i], &unused);
	for (unsigned i = 0; i < CPUS; i++) {
		unsigned sum = 0;

		for (unsigned k = 0; k < CPUS; k++)
			sum += counts[i][k];
		assert_int_equal(counts[i][i], 0);
		assert_int_equal(sum, ROUNDS / 3 + ROUNDS / 3 * 2 * (CPUS - 1));
	}
}

/* One's own CPU runs it at once; alone there is nobody to ask. */
static void at_home(void **state)
{
	(void)state;
	host_percpu_init(2);
	counts[1][0] = 0;
	ipi_call(0, called, counts[1]);
	assert_int_equal(counts[1][0], 1);
	host_percpu_init(1);
	ipi_call_others(called, counts[1]);
	assert_int_equal(counts[1][0], 1);
}

static void *answer(void *arg)
{
	host_cpu_become(1);
	while (!__atomic_load_n((bool *)arg, __ATOMIC_SEQ_CST))
		poll_messages();
	return NULL;
}

/* A message that gets lost is sent again. */
static void lost_message(void **state)
{
	bool end = false;
	pthread_t thread;
	void *unused;

	(void)state;
	host_percpu_init(2);
	counts[0][1] = 0;
	lost_every = 2;
	sent = 1;			/* the next one */
	assert_int_equal(pthread_create(&thread, NULL, answer, &end), 0);
	ipi_call(1, called, counts[0]);
	assert_int_equal(counts[0][1], 1);
	assert_int_equal(sent, 3);
	__atomic_store_n(&end, true, __ATOMIC_SEQ_CST);
	pthread_join(thread, &unused);
	lost_every = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everybody_calls_everybody), cmocka_unit_test(at_home),
		cmocka_unit_test(lost_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
