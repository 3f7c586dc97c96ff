/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: Keel's own interrupt vectors. The upper ones mean the same on all CPUs and are claimed
 * for good; those below are each CPU's own, so that a vector here may be another device's there.
 * Handlers run with interrupts off on the interrupted thread's stack, acknowledge and wake, and
 * take only irq-safe locks. The EOI is sent by the dispatcher.
 */
#pragma once

#include "include/compiler.h"

enum irq_vector {
	IRQ_FIRST = 0x30,	/* below: exceptions, and the remapped 8259's spurious ones */
	IRQ_DYNAMIC_LAST = 0xdf,
	IRQ_TIMER = 0xe0,	/* LAPIC timer */
	IRQ_KICK = 0xf0,	/* makes a CPU leave guest mode or idle and look again: the handler
				 * does nothing */
	IRQ_CALL = 0xf1,	/* runs a function on another CPU */
	IRQ_ERROR = 0xfe,	/* LAPIC error */
	IRQ_SPURIOUS = 0xff,
};

typedef void irq_handler(void *arg);

/* A vector of one CPU. Its owner keeps it until irq_free(), the name too. */
struct irq {
	const char *name;
	irq_handler *fn;
	void *arg;
	unsigned cpu, vector;	/* by irq_alloc() */
	uint64_t count;		/* how often it came */
};

/*
 * A free vector of `cpu` for what `irq` names; it is the return value too. -ENOSPC, -EINVAL for a
 * CPU that is not up.
 */
int irq_alloc(struct irq *irq, unsigned cpu) must_check;
/*
 * Who frees it has silenced its source, and is not one of its handlers. When it returns the handler
 * runs nowhere and never will. Thread context, interrupts on, no lock held.
 */
void irq_free(struct irq *irq);
/* When it returns, a handler of it that was running has ended. Likewise. */
void irq_settle(const struct irq *irq);
/* A fixed one, on all CPUs. -EBUSY when it is another handler's, -EINVAL for what is not fixed. */
int irq_claim(unsigned vector, const char *name, irq_handler *fn, void *arg) must_check;
/* From the trap stub; EOI included. */
void irq_dispatch(unsigned vector);
/* From now on one interrupt of so many gets lost, at random, until the next comes; 0: none does. */
void irq_drop(unsigned one_of);

#define IRQ_NAME_MAX 20

struct irq_info {
	char name[IRQ_NAME_MAX];
	unsigned vector;
	int cpu;		/* -1: it is one of all CPUs, the count is their sum */
	uint64_t count;
};

/*
 * The vectors in use, one after the other: takes 0 or what it returned before, fills *out, returns
 * 0 at the end.
 */
unsigned irq_next(unsigned from, struct irq_info *out);
