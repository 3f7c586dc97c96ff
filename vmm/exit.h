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
 * IN and OUT with `size` 1, 2 or 4; INS and OUTS, with or without REP: the decoder finds the rest.
 */
void exit_io(struct vcpu *vcpu, uint16_t port, unsigned size, bool in, unsigned length);
void exit_io_string(struct vcpu *vcpu, uint16_t port, unsigned size, bool in);
/*
 * Second-level fault: RAM is filled, a device access is emulated, anything else reads ones.
 * `access` is of enum gmem_access.
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
void exit_task_switch(struct vcpu *vcpu);
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
