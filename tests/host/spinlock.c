/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spinlocks on the host: enough to be correct between host threads, and loud about a lock taken
 * twice or not held.
 */
#include "cpu/spinlock.h"

#include <sched.h>
#include <stdlib.h>
#include <stdio.h>

#include "cpu/percpu.h"

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
}

bool spin_try(struct spinlock *l)
{
	uint16_t owner = __atomic_load_n(&l->owner, __ATOMIC_RELAXED);

	if (!__atomic_compare_exchange_n(&l->next, &owner, (uint16_t)(owner + 1), false,
					 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return false;
	l->holder = (int16_t)cpu_index();
	return true;
}

void spin_unlock(struct spinlock *l)
{
	if (!spin_held(l))
		bad(l, "released by who does not hold it");
	l->holder = -1;
	__atomic_store_n(&l->owner, (uint16_t)(l->owner + 1), __ATOMIC_RELEASE);
	if (spin_unlocked)
		spin_unlocked(l);
}

uint64_t spin_lock_irq(struct spinlock *l)
{
	spin_lock(l);
	return 0;
}

void spin_unlock_irq(struct spinlock *l, uint64_t flags)
{
	(void)flags;
	spin_unlock(l);
}

/* A lock of zeros (static, not initialised) has holder 0: the tickets decide first. */
bool spin_held(const struct spinlock *l)
{
	uint16_t next = __atomic_load_n(&l->next, __ATOMIC_RELAXED);

	return next != __atomic_load_n(&l->owner, __ATOMIC_RELAXED) &&
	       l->holder == (int16_t)cpu_index();
}

/* Not kept on the host. */
unsigned spin_held_count(void)
{
	return 0;
}

void spin_enter_interrupt(void)
{
}

void spin_leave_interrupt(void)
{
}
