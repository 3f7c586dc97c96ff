/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: Keel's own interrupt vectors. Handlers run with interrupts off on the
 * interrupted thread's stack, acknowledge and wake, and take only irq-safe locks. The EOI is
 * sent by the dispatcher.
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

/* A free vector, or -ENOSPC. */
int irq_alloc(const char *name, irq_handler *fn, void *arg) must_check;
/* A fixed one. */
int irq_claim(unsigned vector, const char *name, irq_handler *fn, void *arg) must_check;
void irq_free(unsigned vector);
/* From the trap stub; EOI included. */
void irq_dispatch(unsigned vector);
/* From now on one interrupt of so many gets lost, at random, until the next comes; 0: none does. */
void irq_drop(unsigned one_of);
uint64_t irq_count(unsigned vector);	/* over all CPUs */
const char *irq_name(unsigned vector);
