/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spinlocks on the host: enough to be correct between host threads, and loud about a lock taken
 * twice or not held.
 */
#include "cpu/spinlock.h"

#include <sched.h>
#include <stdlib.h>
#include <stdio.h>

#include "cpu/cpu.h"
#include "cpu/percpu.h"

static unsigned held PERCPU;

void spin_init(struct spinlock *l, const char *name, enum lock_level level)
{
	*l = (struct spinlock)SPINLOCK_INIT(name, level);
}

/* A test's: what others do at that moment. */
void (*spin_unlocked)(const struct spinlock *l);

/* Likewise where this one would wait for another, once for each look it takes. */
void (*spin_waits)(const struct spinlock *l);

static void bad(const struct spinlock *l, const char *what)
{
	fprintf(stderr, "spinlock %s: %s\n", l->name ? l->name : "?", what);
	abort();
}

void spin_lock(struct spinlock *l)
{
	uint16_t ticket;

	if (spin_held(l))
		bad(l, "taken twice");
	ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);
	while (__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != ticket) {
		if (spin_waits)
			spin_waits(l);
		sched_yield();
	}
	l->holder = (int16_t)cpu_index();
	this_cpu(held)++;
}

bool spin_try(struct spinlock *l)
{
	uint16_t owner = __atomic_load_n(&l->owner, __ATOMIC_RELAXED);

	if (!__atomic_compare_exchange_n(&l->next, &owner, (uint16_t)(owner + 1), false,
					 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return false;
	l->holder = (int16_t)cpu_index();
	this_cpu(held)++;
	return true;
}

/* On another CPU, which holds nothing and has its interrupts on. */
static void others(const struct spinlock *l)
{
	unsigned mine = this_cpu(held);
	bool on = host_irq_on;

	this_cpu(held) = 0;
	host_irq_on = true;
	spin_unlocked(l);
	host_irq_on = on;
	this_cpu(held) = mine;
}

void spin_unlock(struct spinlock *l)
{
	if (!spin_held(l))
		bad(l, "released by who does not hold it");
	l->holder = -1;
	this_cpu(held)--;
	__atomic_store_n(&l->owner, (uint16_t)(l->owner + 1), __ATOMIC_RELEASE);
	if (spin_unlocked)
		others(l);
}

uint64_t spin_lock_irq(struct spinlock *l)
{
	uint64_t flags = cpu_irq_save();

	spin_lock(l);
	return flags;
}

void spin_unlock_irq(struct spinlock *l, uint64_t flags)
{
	spin_unlock(l);
	cpu_irq_restore(flags);
}

/* A lock of zeros (static, not initialised) has holder 0: the tickets decide first. */
bool spin_held(const struct spinlock *l)
{
	uint16_t next = __atomic_load_n(&l->next, __ATOMIC_RELAXED);

	return next != __atomic_load_n(&l->owner, __ATOMIC_RELAXED) &&
	       l->holder == (int16_t)cpu_index();
}

unsigned spin_held_count(void)
{
	return this_cpu(held);
}

void spin_enter_interrupt(void)
{
}

void spin_leave_interrupt(void)
{
}
