/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: instructions done in software: what touched a device by MMIO, INS/OUTS, and whatever
 * needs a length that the chip did not give. Decode (pure), access, commit are separate; registers
 * are written last, so an emulation may be abandoned (-EINTR) and the instruction simply runs
 * again; REP commits per iteration and gives way after a bounded number.
 *
 * Costs decide here (docs/SPEC.md has them): instructions are fetched through a per-vCPU cache of
 * recent code pages, whose walks are revalidated by comparing their entries (guests change mappings
 * without an exit), and decoded through a cache keyed by the instruction's bytes and mode.
 */
#pragma once

#include "vmm/vcpu.h"

/*
 * The length (1 to 15) of the instruction at RIP, which this exit says is `opcode`: a whole
 * instruction but for prefixes (e.g. 0x0fa2 CPUID, 0x0f01d9 VMMCALL, 0xf390 PAUSE, 0xf4 HLT); fast
 * when no prefix stands before it. 0 when it cannot be fetched or decoded (an event is queued then,
 * or the guest runs again), or if the bytes there do not hold that instruction (changed meanwhile:
 * run again).
 */
unsigned emulate_length_of(struct vcpu *vcpu, unsigned opcode);
/* Likewise of one among several, ended by 0; which it is to *found. */
unsigned emulate_length_among(struct vcpu *vcpu, const unsigned *opcodes, unsigned *found);

/*
 * The instruction at RIP accessed a device at `gpa` (in its page), as exit_memory() has it.
 * Emulates it, including NEXT.
 *
 * The chip has translated and allowed one access, and the bytes at RIP are read again: another vCPU
 * may have changed them. So only that access is taken for checked: its page, in its direction. All
 * else is checked here as the chip does it; and where the instruction has no such access, nothing
 * is done and the guest runs again.
 */
void emulate_mmio(struct vcpu *vcpu, gpa_t gpa, unsigned access);
struct io_access;
/* INS or OUTS at RIP, including REP and NEXT; nothing if that is not what stands there. */
void emulate_string_io(struct vcpu *vcpu, const struct io_access *io);
/* In the order of VMX. */
enum task_switch { TASK_CALL, TASK_IRET, TASK_JMP, TASK_GATE };
/*
 * The chip leaves a switch to the task of this TSS to software, `length` bytes of the old one's
 * code being done. TASK_GATE: for what is pending, which is delivered so.
 */
void emulate_task_switch(struct vcpu *vcpu, enum task_switch by, unsigned selector,
			 unsigned length);
/* The bytes at RIP for a report; how many were to be had. */
unsigned emulate_fetch_bytes(struct vcpu *vcpu, uint8_t bytes[15]);
/*
 * MOV CRn,reg or MOV reg,CRn at RIP (0F 20/22): which register; for back ends without decode
 * assists. 0 = run again.
 */
unsigned emulate_decode_mov_cr(struct vcpu *vcpu, unsigned *cr, bool *write, enum gpr *r);
unsigned emulate_decode_mov_dr(struct vcpu *vcpu, unsigned *dr, bool *write, enum gpr *r);

/* Guest linear address to guest physical as the guest's paging has it now; sets A (and D for
 * writes) as the chip does. 0, or -EFAULT with *fault filled (#PF), or -EINTR. `access` of enum
 * gmem_access; user access by mode->cpl. */
int emulate_translate(struct vcpu *vcpu, const struct vcpu_mode *mode, gva_t a, unsigned access,
		      gpa_t *out, struct event *fault) must_check;

/* Called when VCPU_REQ_FLUSH is served: forget every pointer got from gmem_peek. */
void emulate_flush(struct vcpu *vcpu);
int emulate_vcpu_init(struct vcpu *vcpu) must_check;	/* allocates the caches */
void emulate_vcpu_fini(struct vcpu *vcpu);

/*
 * What emulation calls for a device access of one unit; the vlapic's page and the bus stand
 * behind it (exit.c).
 */
uint64_t exit_mmio_read(struct vcpu *vcpu, gpa_t a, unsigned size);
void exit_mmio_write(struct vcpu *vcpu, gpa_t a, unsigned size, uint64_t value);
