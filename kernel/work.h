/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: deferred work: a function run soon in thread context (a worker thread per CPU). For
 * what an interrupt handler or a device under its lock must not do itself. A work item queued twice
 * before it runs runs once.
 */
#pragma once

#include "include/list.h"

struct work {
	struct list link;
	void (*fn)(struct work *w);
	uint16_t cpu;
	uint8_t state;
};

void work_init(struct work *w, void (*fn)(struct work *w));
void work_queue(struct work *w);	/* any context */
void work_cancel_sync(struct work *w);	/* thread context: neither queued nor running afterwards */
void work_start(void);			/* at boot: creates the workers, when all CPUs are up */
