/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is delivered to a guest: exceptions, NMIs, interrupts. Vendor-neutral state of a vCPU: one
 * event that must be injected at the next entry (an exception raised by emulation, or one whose
 * delivery an exit interrupted), NMIs counted, and the blocking conditions. Maskable interrupts
 * wait in the vlapic (or the vpic) and are taken from there at entry. vCPU thread only, but for
 * event_nmi(). Sources: Intel SDM 3, "Interrupt and Exception Handling"; AMD APM 2, "Exceptions and
 * Interrupts", "Event Injection".
 */
#pragma once

#include "include/compiler.h"

struct vcpu;
struct record_writer;
struct record_reader;

/* The numbers are those of VMX and SVM, which agree. */
enum event_type {
	EVENT_INTERRUPT = 0, EVENT_NMI = 2, EVENT_EXCEPTION = 3, EVENT_SOFT_INTERRUPT = 4,
	EVENT_PRIVILEGED_SOFT = 5, EVENT_SOFT_EXCEPTION = 6
};

struct event {
	bool valid;
	uint8_t type;
	uint8_t vector;
	bool has_error;
	uint8_t length;		/* of the instruction, soft events only */
	uint32_t error;
	uint64_t payload;	/* CR2 for #PF, DR6 bits for #DB */
};

struct event_state {
	struct event pending;	/* to be injected at the next entry */
	struct event injected;	/* for the chip at this entry; empty once delivery is known to be
				 * complete */
	uint8_t nmi_pending;	/* atomic, 0 to 2; at most 1 while one is masked */
	bool nmi_masked;	/* an NMI is being handled, until IRET */
	uint8_t shadow;		/* EVENT_SHADOW_* in force at the next instruction */
	bool look;		/* something may be deliverable, `pending` at least: event_pick() at
				 * the next entry */
};

/* What event_pick() could not deliver now; the back end asks the chip to exit when that changes. */
enum event_blocked {
	EVENT_BLOCKED_IRQ = 1,	/* by RFLAGS.IF, a shadow, or another event that goes first */
	EVENT_BLOCKED_NMI = 2,	/* by an NMI handler, a shadow, or another event */
	EVENT_BLOCKED_TPR = 4,	/* an interrupt, by the task priority alone */
};

#define EVENT_SHADOW_STI	1
#define EVENT_SHADOW_MOV_SS	2

/*
 * Queues a fault or trap of the instruction just handled. Merges with what is pending as the
 * manuals' double-fault table says (contributory + contributory = #DF, in #DF = shutdown:
 * the VM is told).
 */
void event_exception(struct vcpu *vcpu, unsigned vector);
void event_exception_error(struct vcpu *vcpu, unsigned vector, uint32_t error);
void event_debug(struct vcpu *vcpu, uint64_t dr6_bits);
void event_queue(struct vcpu *vcpu, const struct event *e);	/* any, by the same rules */

static inline void event_gp(struct vcpu *vcpu);
static inline void event_ud(struct vcpu *vcpu);

/* Any context. */
void event_nmi(struct vcpu *vcpu);

/*
 * The one event to inject at this entry, taken from its source, is in `injected` (which is empty if
 * there is none); returns what stays blocked. For back ends, interrupts off, right before entry.
 * Clears `look` when nothing is left to do.
 */
unsigned event_pick(struct vcpu *vcpu);

/* Is there something that ends HLT? */
bool event_wakes(struct vcpu *vcpu);

/*
 * An exit interrupted this event's delivery: it is to be injected again, once, before
 * anything else.
 */
void event_requeue(struct vcpu *vcpu, const struct event *e);

void event_save(const struct event_state *s, struct record_writer *w);
void event_load(struct event_state *s, struct record_reader *r);

static inline void event_gp(struct vcpu *vcpu)
{
	event_exception_error(vcpu, 13, 0);
}

static inline void event_ud(struct vcpu *vcpu)
{
	event_exception(vcpu, 6);
}
