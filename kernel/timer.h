/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: one-shot timers by absolute host time. Each lives on the CPU where it was armed;
 * callbacks run in interrupt context on it and only acknowledge and wake (or set IRR). LOCK_TIMER.
 */
#pragma once

#include "include/list.h"
#include "lib/tree.h"

struct timer {
	uint64_t deadline_ns;		/* on clock_ns() */
	void (*fn)(struct timer *t);
	int cpu;			/* where it is queued, -1 if idle */
	struct tree_node node;		/* private to the queue */
};

void timer_init(struct timer *t, void (*fn)(struct timer *t));
/*
 * Arms, or moves if armed. A deadline in the past fires at once (from the interrupt). Any context.
 */
void timer_set(struct timer *t, uint64_t deadline_ns);
/*
 * When it returns the callback is not queued; true if it was. Does not wait for a callback running
 * on another CPU.
 */
bool timer_cancel(struct timer *t);
/*
 * Likewise, and waits for a callback that runs on another CPU; thread context. For freeing what
 * holds the timer.
 */
void timer_cancel_sync(struct timer *t);
bool timer_armed(const struct timer *t);

/* When this CPU's first timer is due, THREAD_FOREVER (~0) if there is none; interrupts off. */
uint64_t timer_next_ns(void);
/*
 * Runs what is due and is late: a chip that loses an interrupt must not hang the CPU that looks
 * here. Interrupts off.
 */
void timer_poll(void);

void timer_cpu_init(void);	/* each CPU, once its LAPIC is on */
/*
 * Where interrupts are known to get lost, each CPU watches over its neighbour. Once, when
 * all CPUs are up.
 */
void timer_watch(void);
