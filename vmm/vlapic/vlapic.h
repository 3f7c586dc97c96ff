/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC that a guest sees: xAPIC by MMIO, x2APIC by MSR, timer in one-shot, periodic and
 * TSC-deadline mode. IRR is set atomically from any context (the timer's callback included); all
 * other state belongs to the vCPU's thread.
 * Source: Intel SDM 3, "Advanced Programmable Interrupt Controller (APIC)".
 */
#pragma once

#include "include/addr.h"
#include "kernel/timer.h"

struct vcpu;
struct vm;
struct record_writer;
struct record_reader;

#define VLAPIC_BASE	0xfee00000ul

struct vlapic {
	uint64_t irr[4];		/* atomic; bit = vector */
	uint64_t isr[4];
	uint64_t tmr[4];
	uint64_t tell[4];		/* atomic; at least those of tmr: their EOI goes on */
	uint32_t tpr, svr, ldr, dfr, esr, esr_shadow;
	uint64_t icr;
	uint32_t lvt[6];		/* TIMER, THERMAL, PERF, LINT0, LINT1, ERROR */
	uint32_t timer_initial, timer_divide;
	uint64_t timer_due_ns;		/* atomic, on vm_clock_ns: when it is next zero; 0: it does
					 * not count, or has fired */
	uint64_t tsc_deadline;		/* atomic; 0: none, or it has fired */
	uint8_t highest_isr;		/* vector in service with the highest priority, 0 = none */
	uint8_t in_service;		/* how many are */
	struct timer timer;
};

void vlapic_init(struct vcpu *vcpu);
void vlapic_fini(struct vcpu *vcpu);
void vlapic_reset(struct vcpu *vcpu);
/* As a PC's firmware leaves it: enabled, LINT0 passing the 8259 on, LINT1 an NMI. */
void vlapic_firmware_state(struct vcpu *vcpu);
void vlapic_freeze(struct vcpu *vcpu);		/* the VM pauses: timer off */
void vlapic_thaw(struct vcpu *vcpu);

uint32_t vlapic_read(struct vcpu *vcpu, unsigned offset);	/* xAPIC register, 16-byte aligned
								 * offset */
void vlapic_write(struct vcpu *vcpu, unsigned offset, uint32_t value);
void vlapic_eoi(struct vcpu *vcpu);
/* x2APIC MSRs: 0, or -EINVAL for #GP. */
int vlapic_msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value) must_check;
int vlapic_msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value) must_check;
void vlapic_deadline_write(struct vcpu *vcpu, uint64_t deadline);	/* MSR_TSC_DEADLINE */
int vlapic_base_write(struct vcpu *vcpu, uint64_t value) must_check;	/* likewise */
/* Could MSR_APIC_BASE ever have this value? */
bool vlapic_base_valid(const struct vcpu *vcpu, uint64_t value);
/*
 * A valid value, whatever it was before. The registers' window may lie anywhere; over RAM it is not
 * seen: there is one second-level map for all vCPUs.
 */
void vlapic_base_set(struct vcpu *vcpu, uint64_t value);

/* An interrupt for this vCPU; any context. Kicks it if needed. False: its APIC does not take it. */
bool vlapic_set_irr(struct vcpu *vcpu, unsigned vector, bool level);
/*
 * A message as an IOAPIC or a device sends it (SDM 3, "Message Signalled Interrupts"); any context.
 * True: a local APIC took its vector, and an EOI will follow if it is level-triggered or has
 * HOST_MSI_TELL.
 */
bool vlapic_message(struct vm *vm, uint64_t address, uint32_t data);
/* Does its vector wait or is it served at one that it is for? Any context. */
bool vlapic_message_busy(struct vm *vm, uint64_t address, uint32_t data);
void vlapic_ipi(struct vcpu *from, uint64_t icr);

static inline bool vlapic_irr_any(const struct vlapic *l)
{
	return READ_ONCE(l->irr[0]) | READ_ONCE(l->irr[1]) | READ_ONCE(l->irr[2]) |
	       READ_ONCE(l->irr[3]);
}

/* Highest vector in IRR above the processor priority, or -1. */
int vlapic_pending(struct vcpu *vcpu);
/* IRR to ISR: the vector is delivered now. */
void vlapic_accept(struct vcpu *vcpu, unsigned vector);
uint32_t vlapic_ppr(const struct vcpu *vcpu);
/* Would the highest vector in IRR be deliverable with a task priority of 0? */
bool vlapic_blocked_by_tpr(const struct vcpu *vcpu);
/* Does LINT0 pass the 8259's INTR on? */
bool vlapic_extint_open(const struct vcpu *vcpu);

void vlapic_save(struct vcpu *vcpu, struct record_writer *w);
int vlapic_load(struct vcpu *vcpu, struct record_reader *r, uint32_t version) must_check;
