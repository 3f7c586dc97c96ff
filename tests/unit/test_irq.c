/* SPDX-License-Identifier: BSD-2-Clause */
/* links: cpu/irq.c tests/host/percpu.c tests/host/spinlock.c tests/host/log.c */
/*
 * cpu/irq: vectors of all CPUs and of one, which may mean different things on each; counts, the
 * EOI; who frees one waits for its handler. A host thread plays the other CPU.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <pthread.h>
#include <sched.h>
#include <cmocka.h>

#include "cpu/ipi.h"
#include "cpu/irq.h"
#include "cpu/lapic.h"
#include "cpu/percpu.h"
#include "include/errno.h"

extern unsigned host_log_count[4];

static unsigned eois, fired, calls;
static bool threads, asked, answered, inside, hold, end;

void lapic_eoi(void)
{
	__atomic_add_fetch(&eois, 1, __ATOMIC_RELAXED);
}

/* It is answered where no handler runs, as on a CPU whose handlers have interrupts off. */
void ipi_call(unsigned cpu, void (*fn)(void *arg), void *arg)
{
	calls++;
	if (threads && cpu != cpu_index()) {
		__atomic_store_n(&asked, true, __ATOMIC_SEQ_CST);
		__atomic_store_n(&hold, false, __ATOMIC_SEQ_CST);
		while (!__atomic_load_n(&answered, __ATOMIC_SEQ_CST))
			sched_yield();
	}
	fn(arg);
}

static void handler(void *arg)
{
	fired += *(unsigned *)arg;
}

static void other(void *arg)
{
	handler(arg);
}

static void fixed(void **state)
{
	unsigned one = 1, at = 0, timers = 0;
	struct irq_info i;

	(void)state;
	host_percpu_init(2);
	eois = fired = 0;
	assert_int_equal(irq_claim(IRQ_TIMER, "timer", handler, &one), 0);
	assert_int_equal(irq_claim(IRQ_TIMER, "other", other, &one), -EBUSY);
	assert_int_equal(irq_claim(3, "low", handler, &one), -EINVAL);
	assert_int_equal(irq_claim(IRQ_DYNAMIC_LAST, "low", handler, &one), -EINVAL);
	assert_int_equal(irq_claim(256, "high", handler, &one), -EINVAL);
	irq_dispatch(IRQ_TIMER);
	host_cpu_become(1);
	irq_dispatch(IRQ_TIMER);
	assert_int_equal(fired, 2);
	while ((at = irq_next(at, &i)))
		if (i.vector == IRQ_TIMER) {
			timers++;
			assert_string_equal(i.name, "timer");
			assert_int_equal(i.count, 2);
			assert_int_equal(i.cpu, -1);
		}
	assert_int_equal(timers, 1);
	memset(host_log_count, 0, 4 * sizeof(unsigned));
	irq_dispatch(IRQ_SPURIOUS);
	irq_dispatch(IRQ_KICK);
	assert_int_equal(host_log_count[1], 0);
	irq_dispatch(0x77);
	irq_dispatch(0x78);
	assert_int_equal(host_log_count[1], 1);		/* nobody's: said once */
	assert_int_equal(eois, 5);
}

static void own(void **state)
{
	static struct irq irqs[2][IRQ_DYNAMIC_LAST - IRQ_FIRST + 2];
	static unsigned weight[2] = { 1, 100 };
	struct irq_info i;
	unsigned at = 0, seen = 0;

	(void)state;
	host_percpu_init(2);
	fired = 0;
	for (unsigned cpu = 0; cpu < 2; cpu++)
		for (unsigned k = 0; k < ARRAY_COUNT(irqs[0]); k++) {
			irqs[cpu][k] = (struct irq){ .name = cpu ? "b" : "a", .fn = handler,
						     .arg = &weight[cpu] };
			assert_int_equal(irq_alloc(&irqs[cpu][k], cpu),
					 k <= IRQ_DYNAMIC_LAST - IRQ_FIRST ? (int)(IRQ_FIRST + k)
									  : -ENOSPC);
		}
	irq_dispatch(0x40);
	host_cpu_become(1);
	irq_dispatch(0x40);				/* another's here */
	irq_dispatch(0x40);
	assert_int_equal(fired, 201);
	while ((at = irq_next(at, &i))) {
		if (i.cpu < 0)
			continue;
		seen++;
		assert_string_equal(i.name, i.cpu ? "b" : "a");
		assert_int_equal(i.count, i.vector != 0x40 ? 0 : i.cpu ? 2 : 1);
	}
	assert_int_equal(seen, 2 * (IRQ_DYNAMIC_LAST - IRQ_FIRST + 1));
	assert_int_equal(irq_alloc(&irqs[1][0], 2), -EINVAL);
	irq_free(&irqs[1][0x10]);
	irq_dispatch(0x40);
	assert_int_equal(fired, 201);
	host_cpu_become(0);
	irq_dispatch(0x40);
	assert_int_equal(fired, 202);
	assert_int_equal(irq_alloc(&irqs[1][0x10], 1), 0x40);
}

static void slow(void *arg)
{
	assert_false(*(bool *)arg);			/* never behind irq_free() */
	__atomic_store_n(&inside, true, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&hold, __ATOMIC_SEQ_CST))
		sched_yield();
	for (unsigned n = 0; n < 1000; n++)
		sched_yield();
	__atomic_store_n(&inside, false, __ATOMIC_SEQ_CST);
}

static void *other_cpu(void *arg)
{
	host_cpu_become(1);
	while (!__atomic_load_n(&end, __ATOMIC_SEQ_CST)) {
		irq_dispatch((unsigned)(uintptr_t)arg);
		if (__atomic_exchange_n(&asked, false, __ATOMIC_SEQ_CST))
			__atomic_store_n(&answered, true, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void free_waits(void **state)
{
	bool freed = false;
	struct irq irq = { .name = "slow", .fn = slow, .arg = &freed };
	pthread_t thread;
	void *unused;
	int vector;

	(void)state;
	host_percpu_init(2);
	threads = hold = true;
	vector = irq_alloc(&irq, 1);
	assert_true(vector >= 0);
	assert_int_equal(pthread_create(&thread, NULL, other_cpu, (void *)(uintptr_t)vector), 0);
	while (!__atomic_load_n(&inside, __ATOMIC_SEQ_CST))
		sched_yield();
	calls = 0;
	irq_free(&irq);
	__atomic_store_n(&freed, true, __ATOMIC_SEQ_CST);
	assert_int_equal(calls, 1);
	assert_false(__atomic_load_n(&inside, __ATOMIC_SEQ_CST));
	for (unsigned n = 0; n < 1000; n++)
		sched_yield();
	__atomic_store_n(&end, true, __ATOMIC_SEQ_CST);
	pthread_join(thread, &unused);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fixed),
		cmocka_unit_test(own),
		cmocka_unit_test(free_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
