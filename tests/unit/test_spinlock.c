/* SPDX-License-Identifier: BSD-2-Clause */
/* links: cpu/spinlock.c tests/host/percpu.c */
/*
 * The product's own spinlocks, in a debug build: who waits comes in turn, what is held is known,
 * and each mistake that can be made with them is named.
 */
#include "cpu/spinlock.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/cpu.h"
#include "cpu/percpu.h"
#include "include/bits.h"
#include "kernel/panic.h"

static jmp_buf stopped;
static char said[160];

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said, sizeof(said), fmt, ap);
	va_end(ap);
	longjmp(stopped, 1);
}

static struct spinlock outer, inner, same;

static int setup(void **state)
{
	(void)state;
	host_percpu_init(2);
	host_irq_on = false;
	spin_init(&outer, "outer", LOCK_VM);
	spin_init(&inner, "inner", LOCK_PAGE);
	spin_init(&same, "same", LOCK_PAGE);
	return 0;
}

static void held(void **state)
{
	(void)state;
	spin_lock(&outer);
	spin_lock(&inner);
	assert_true(spin_held(&outer) && spin_held(&inner));
	assert_int_equal(spin_held_count(), 2);
	assert_ptr_equal(spin_held_get(1), &inner);
	assert_null(spin_held_get(2));
	host_cpu_become(1);
	assert_false(spin_held(&outer) || spin_held_count());
	assert_false(spin_try(&outer));
	host_cpu_become(0);
	spin_unlock(&outer);			/* in any order */
	assert_ptr_equal(spin_held_get(0), &inner);
	spin_unlock(&inner);
	assert_int_equal(spin_held_count(), 0);
	assert_true(spin_try(&inner));
	spin_unlock(&inner);
}

static void interrupts(void **state)
{
	uint64_t flags;

	(void)state;
	for (unsigned on = 0; on < 2; on++) {
		host_irq_on = on;
		flags = spin_lock_irq(&inner);
		assert_false(cpu_irq_enabled());
		spin_unlock_irq(&inner, flags);
		assert_int_equal(cpu_irq_enabled(), on);
	}
}

/* Does it end in a panic that says so? */
#define STOPS(what, ...) do {							\
	said[0] = 0;								\
	if (!setjmp(stopped)) {							\
		__VA_ARGS__;							\
	}									\
	if (!strstr(said, what))						\
		fail_msg("'%s' does not say '%s'", said, what);			\
	setup(NULL);								\
} while (0)

static void mistakes(void **state)
{
	(void)state;
	STOPS("outer taken twice", spin_lock(&outer); spin_lock(&outer));
	STOPS("outer taken twice", spin_lock(&outer); (void)spin_try(&outer));
	STOPS("outer (level 20) taken while inner (level 74) is held",
	      spin_lock(&inner); spin_lock(&outer));
	STOPS("same (level 74) taken while inner", spin_lock(&inner); spin_lock(&same));
	STOPS("inner released but not held here", spin_unlock(&inner));
	STOPS("inner released but not held here",
	      spin_lock(&inner); host_cpu_become(1); spin_unlock(&inner));
	STOPS("inner is taken by interrupt handlers, and elsewhere with interrupts on",
	      spin_enter_interrupt(); spin_lock(&inner); spin_unlock(&inner);
	      spin_leave_interrupt(); host_irq_on = true; spin_lock(&inner));
	STOPS("more than 16 locks held", struct spinlock l[17];
	      for (unsigned i = 0; i < 17; i++) {
		      spin_init(&l[i], "one of many", (enum lock_level)(i + 1));
		      spin_lock(&l[i]);
	      });
}

/* Against the order, a try is no wait. */
static void tries(void **state)
{
	(void)state;
	spin_lock(&inner);
	assert_true(spin_try(&outer));
	spin_unlock(&outer);
	spin_unlock(&inner);
}

/* ---- two CPUs ---- */

#define ROUNDS	20000

static unsigned count, inside;

static void *cpu(void *arg)
{
	host_cpu_become((unsigned)(uintptr_t)arg);
	for (unsigned i = 0; i < ROUNDS; i++) {
		spin_lock(&inner);
		if (__atomic_add_fetch(&inside, 1, __ATOMIC_RELAXED) != 1)
			__builtin_trap();
		count++;
		__atomic_sub_fetch(&inside, 1, __ATOMIC_RELAXED);
		spin_unlock(&inner);
	}
	return NULL;
}

static void yield(void)
{
	sched_yield();
}

/* Tickets go round their 16 bits meanwhile. */
static void two_at_once(void **state)
{
	pthread_t other;

	(void)state;
	host_pause = yield;
	inner.next = inner.owner = 0xff00;
	assert_int_equal(pthread_create(&other, NULL, cpu, (void *)1), 0);
	cpu((void *)0);
	pthread_join(other, NULL);
	host_pause = NULL;
	assert_int_equal(count, 2 * ROUNDS);
	assert_int_equal((uint16_t)(0xff00 + 2 * ROUNDS), inner.owner);
	assert_int_equal(inner.next, inner.owner);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(held, setup), cmocka_unit_test_setup(interrupts, setup),
		cmocka_unit_test_setup(mistakes, setup), cmocka_unit_test_setup(tries, setup),
		cmocka_unit_test_setup(two_at_once, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
