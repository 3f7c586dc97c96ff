/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: deferred work: a function run soon in thread context. For what an interrupt handler or
 * a device under its lock must not do itself. A work item queued twice before it runs runs once.
 *
 * Work is done by one worker thread per CPU, in turn, so it must not wait for anybody who may take
 * his time: a guest's vCPUs, say. Slow work may: it has a few workers of its own, on any CPU.
 */
#pragma once

#include "include/list.h"

struct sched_group;

struct work {
	struct list link;
	void (*fn)(struct work *w);
	struct sched_group *group;	/* for which it is done, or NULL: see thread_charge() */
	uint16_t cpu;
	uint8_t state;
	bool slow;
};

void work_init(struct work *w, void (*fn)(struct work *w));
void work_init_slow(struct work *w, void (*fn)(struct work *w));
void work_queue(struct work *w);	/* any context */
void work_cancel_sync(struct work *w);	/* thread context: neither queued nor running afterwards */
void work_start(void);			/* at boot: creates the workers, when all CPUs are up */
