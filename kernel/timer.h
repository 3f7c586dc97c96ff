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
 * Where interrupts get lost: the LAPIC is programmed once more, so that a halt ends in time. No
 * guest runs until then, which is when they get lost. Interrupts off.
 */
void timer_before_halt(void);

void timer_cpu_init(void);	/* each CPU, once its LAPIC is on */
/*
 * Interrupts are known to get lost here: timer_before_halt() does its work from now on, and
 * timer_watch_tick() wants to be called, as a handler on one CPU, some times a second by a source
 * that needs no answer.
 */
void timer_watch(void);
void timer_watch_tick(void *arg);
