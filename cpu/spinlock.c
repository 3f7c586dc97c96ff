/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ticket spinlocks. A ticket is drawn with one locked add and the owner is raised by a plain store,
 * so waiters come in turn. In debug builds each CPU keeps the locks it holds, at most 16, and
 * panics when one is taken out of rising order, taken twice, or released by another CPU.
 */
#include "cpu/spinlock.h"

#include "cpu/cpu.h"
#include "cpu/percpu.h"
#include "kernel/panic.h"

#define HELD_MAX 16

struct spin_held_list {
	unsigned count;
	struct spinlock *lock[HELD_MAX];
};

static struct spin_held_list held PERCPU;
static bool in_interrupt PERCPU;

enum { SEEN_OPEN = 1, SEEN_INTERRUPT = 2 };


static void check_take(struct spinlock *l, bool trying)
{
	const struct spin_held_list *h = &this_cpu(held);

	if (h->count == HELD_MAX)
		panic("spinlock: %s: more than %u locks held", l->name, HELD_MAX);
	for (unsigned i = 0; i < h->count; i++) {
		if (h->lock[i] == l)
			panic("spinlock: %s taken twice", l->name);
		if (!trying && h->lock[i]->level >= l->level)
			panic("spinlock: %s (level %u) taken while %s (level %u) is held", l->name,
			      l->level, h->lock[i]->name, h->lock[i]->level);
	}
}

static void note_take(struct spinlock *l)
{
	struct spin_held_list *h = &this_cpu(held);

	h->lock[h->count++] = l;
	if (this_cpu(in_interrupt))
		l->seen |= SEEN_INTERRUPT;
	else if (cpu_irq_enabled())
		l->seen |= SEEN_OPEN;
	if (l->seen == (SEEN_OPEN | SEEN_INTERRUPT))
		panic("spinlock: %s is taken by interrupt handlers, and elsewhere with interrupts on",
		      l->name);
}

/* Locks may be released in any order. */
static void note_release(struct spinlock *l)
{
	struct spin_held_list *h = &this_cpu(held);

	for (unsigned i = h->count; i-- > 0;) {
		if (h->lock[i] != l)
			continue;
		for (h->count--; i < h->count; i++)
			h->lock[i] = h->lock[i + 1];
		return;
	}
	panic("spinlock: %s released but not held here", l->name);
}

void spin_init(struct spinlock *l, const char *name, enum lock_level level)
{
	*l = (struct spinlock)SPINLOCK_INIT(name, level);
}

static void take(struct spinlock *l)
{
	uint16_t ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

	while (unlikely(__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != ticket))
		cpu_pause();
}

void spin_lock(struct spinlock *l)
{
	if (SPIN_CHECKED)
		check_take(l, false);
	take(l);
	l->holder = (int16_t)cpu_index();
	if (SPIN_CHECKED)
		note_take(l);
}

bool spin_try(struct spinlock *l)
{
	uint32_t old, new;
	uint16_t owner = READ_ONCE(l->owner);

	/* next and owner lie side by side: free means equal, taken is one more in `next`. */
	old = (uint32_t)owner << 16 | owner;
	new = (uint32_t)owner << 16 | (uint16_t)(owner + 1);
	if (SPIN_CHECKED)
		check_take(l, true);
	if (!__atomic_compare_exchange_n((uint32_t *)(void *)&l->next, &old, new, false,
					 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return false;
	l->holder = (int16_t)cpu_index();
	if (SPIN_CHECKED)
		note_take(l);
	return true;
}

void spin_unlock(struct spinlock *l)
{
	if (SPIN_CHECKED)
		note_release(l);
	l->holder = -1;
	__atomic_store_n(&l->owner, (uint16_t)(l->owner + 1), __ATOMIC_RELEASE);
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

bool spin_held(const struct spinlock *l)
{
	return READ_ONCE(l->holder) == (int16_t)cpu_index();
}

void spin_enter_interrupt(void)
{
	this_cpu(in_interrupt) = true;
}

void spin_leave_interrupt(void)
{
	this_cpu(in_interrupt) = false;
}

unsigned spin_held_count(void)
{
	return this_cpu(held).count;
}

const struct spinlock *spin_held_get(unsigned i)
{
	return i < this_cpu(held).count ? this_cpu(held).lock[i] : NULL;
}
