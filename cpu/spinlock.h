/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spinlocks: FIFO tickets, held briefly, never across a wait, a sched_point() or a gmem call. What
 * interrupt handlers also take is taken with spin_lock_irq(). Each lock has a level; a CPU takes
 * locks in rising order of level only (checked in debug builds). The order itself is
 * docs/LOCKING.md.
 */
#pragma once

#include "include/compiler.h"

#ifdef KEEL_DEBUG
#define SPIN_CHECKED	true
#else
#define SPIN_CHECKED	false
#endif

/* Lower is taken first (outermost). Gaps leave room. */
enum lock_level {
	LOCK_MGMT = 10,		/* management tables */
	LOCK_VM = 20,		/* one vm's state */
	LOCK_VDEV = 30,		/* one virtual device */
	LOCK_PCI = 34,		/* configuration space of one machine's PCI functions */
	LOCK_LINE = 40,		/* interrupt lines and routing */
	LOCK_IRQCHIP = 44,	/* virtual 8259 and IOAPIC */
	LOCK_VLAPIC = 50,
	LOCK_GMEM = 60,		/* some chunks of an object's memory */
	LOCK_VIEW = 62,		/* one VM's second-level tables */
	LOCK_KMAP = 64,
	LOCK_HEAP = 70,
	LOCK_PAGE = 74,		/* the buddy allocator */
	LOCK_WAIT = 80,		/* wait queues, mutex internals */
	LOCK_SCHED = 84,	/* run queues */
	LOCK_GROUP = 86,	/* scheduling groups */
	LOCK_TIMER = 88,
	LOCK_LOG = 94,
	LOCK_UART = 96,
	LOCK_LEAF = 99,
};

struct spinlock {
	uint16_t next, owner;	/* tickets */
	uint8_t level;		/* enum lock_level */
	uint8_t seen;		/* debug builds: with interrupts open, in an interrupt; never
				 * both */
	int16_t holder;		/* CPU index, -1 if free */
	const char *name;
};

#define SPINLOCK_INIT(n, l) { .level = (l), .holder = -1, .name = (n) }

void spin_init(struct spinlock *l, const char *name, enum lock_level level);
void spin_lock(struct spinlock *l);
bool spin_try(struct spinlock *l);
void spin_unlock(struct spinlock *l);
/* With interrupts off; returns the former flags for the matching unlock. */
uint64_t spin_lock_irq(struct spinlock *l) must_check;
void spin_unlock_irq(struct spinlock *l, uint64_t flags);
bool spin_held(const struct spinlock *l);	/* by this CPU; for ASSERT */
/*
 * Around an interrupt handler: what it takes must be taken with interrupts off everywhere (checked
 * in debug builds).
 */
void spin_enter_interrupt(void);
void spin_leave_interrupt(void);
/* What this CPU holds (debug builds; else nothing), for panic. */
unsigned spin_held_count(void);
const struct spinlock *spin_held_get(unsigned i);
