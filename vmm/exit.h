/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Vendor-neutral work of exits, on normal forms. The back end's handler brings its exit into one,
 * calls it, and nothing more. `length` 0 means that the chip did not tell the instruction's length:
 * the decoder finds it.
 * All run on the vCPU's thread with interrupts on; each ends in vcpu_next, an event, or vm_crash.
 */
#pragma once

#include "vmm/vcpu.h"

void exit_cpuid(struct vcpu *vcpu, unsigned length);
void exit_hypercall(struct vcpu *vcpu, unsigned length);
void exit_rdmsr(struct vcpu *vcpu, unsigned length);
void exit_wrmsr(struct vcpu *vcpu, unsigned length);
/*
 * IN and OUT with `size` 1, 2 or 4; every chip tells the length. RIP is at the instruction until
 * the device has answered.
 */
void exit_in(struct vcpu *vcpu, unsigned port, unsigned size, unsigned length);
void exit_out(struct vcpu *vcpu, unsigned port, unsigned size, unsigned length);
/* Behind one that stood at `rip`, where a breakpoint is on in DR7: met if it is done. */
void exit_io_watched(struct vcpu *vcpu, uint64_t rip, uint16_t port, unsigned size);

/*
 * INS and OUTS as the chip saw and checked them. Another vCPU may have changed the bytes since:
 * what is done is this or nothing.
 */
struct io_access {
	uint16_t port;
	uint8_t size;		/* 1, 2 or 4 */
	bool in, rep;
	uint8_t address;	/* bytes of an address; 0: the chip does not tell */
	uint8_t segment;	/* of OUTS's source; SEG_COUNT: likewise, or INS */
	bool watched;		/* as EXIT_WATCHED */
};

void exit_io_string(struct vcpu *vcpu, const struct io_access *io);

/* Beside enum gmem_access: not the instruction's own access, but the chip's to a guest's page table
 * on its behalf. */
#define EXIT_TABLES	8u
/* Likewise: a breakpoint is on in DR7, with which each of the accesses is to be compared. */
#define EXIT_WATCHED	16u
/*
 * Second-level fault: RAM is filled, a device access is emulated, anything else reads ones.
 * `access` is one of enum gmem_access, and what of EXIT_* is so.
 */
void exit_memory(struct vcpu *vcpu, gpa_t gpa, unsigned access);
void exit_hlt(struct vcpu *vcpu, unsigned length);
void exit_pause(struct vcpu *vcpu);
void exit_rdtsc(struct vcpu *vcpu, unsigned length, bool rdtscp);
void exit_xsetbv(struct vcpu *vcpu, unsigned length);
void exit_wbinvd(struct vcpu *vcpu, unsigned length);
void exit_invlpg(struct vcpu *vcpu, unsigned length);
void exit_shutdown(struct vcpu *vcpu);			/* triple fault: a reset */
/* An instruction that this guest does not have: #UD. */
void exit_undefined(struct vcpu *vcpu);
/* `by` of enum task_switch; the selector of the new TSS; what VMX says of the instruction. */
void exit_task_switch(struct vcpu *vcpu, unsigned by, unsigned selector, unsigned length);
/* Intercepted #AC, #DB: handed back to the guest. */
void exit_exception(struct vcpu *vcpu, const struct event *e);
/* MOV to CR8 / from CR8 when intercepted. */
void exit_cr8(struct vcpu *vcpu, bool write, enum gpr r, unsigned length);
/*
 * No row, or one that must not happen: the VM dies, with registers and instruction bytes
 * in its report.
 */
void exit_unexpected(struct vcpu *vcpu, const char *what, uint64_t code, uint64_t info1,
		     uint64_t info2);
