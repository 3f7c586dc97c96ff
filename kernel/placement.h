/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: which CPU a thread waits for, for kernel/sched.c alone. Interrupts are off, and no
 * queue is locked but where it says so.
 */
#pragma once

#include "kernel/runqueue.h"

/*
 * The CPUs that idle and that no waker has chosen yet: hints, but that who takes a CPU out has
 * claimed it.
 */
extern struct cpu_map placement_claimable;

/* Where the thread, in no queue, shall wait; the queue that its `cpu` names may be locked. */
unsigned placement_choose(const struct thread *t);
/* Into that CPU's queue a thread that is in none. */
void placement_give(unsigned cpu, struct thread *t);
/*
 * Into this CPU's queue, from one that has more than it can run; false if there is nothing to take.
 */
bool placement_steal(struct runqueue *q);
/* This CPU's slice ended and threads still wait. */
void placement_balance(struct runqueue *q);
