/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest for tests of the emulator: one vCPU, RAM in an array, one device whose registers are
 * bytes in another, and a back end that keeps its state in plain fields. What the emulator tells
 * the vCPU is recorded.
 */
#pragma once

#include "vmm/insn/emulate.h"
#include "vmm/ops.h"
#include "vmm/vm.h"

#define GUEST_RAM	(4 * MIB)
#define GUEST_DEVICE	0xd0000000ul	/* two pages */
#define GUEST_DEVICE_SIZE 8192u

/* Linear addresses that guest_long_mode maps, besides RAM on itself (supervisor, writable). */
#define GUEST_MMIO                                                                                 \
	0x40000000ul /* the device's two pages, then a page of RAM at 0x300000, then nothing */

extern uint8_t guest_ram[GUEST_RAM], guest_device[GUEST_DEVICE_SIZE];
extern struct vm guest_vm;
extern struct vcpu guest_vcpu;
extern struct vcpu_mode guest_mode;
extern struct segment guest_segment[SEG_COUNT];

extern uint64_t guest_reg[REG_COUNT];	/* what reg_get() shows */
extern uint32_t guest_pkru;
extern uint8_t guest_fpu[1024];		/* an area of XSAVE */
/* NULL, or called by gmem_peek() before it answers: what another vCPU does at that moment. */
extern void (*guest_peeked)(gpa_t a, unsigned access);

struct guest_log {
	unsigned next, length, nexts;	/* calls of vcpu_next, the last one's length */
	unsigned reads, writes;		/* of the device */
	unsigned sizes[16];		/* of the first accesses */
	unsigned ports, strings;	/* accesses, and calls that made several of them */
	unsigned flushes;		/* of the TLB: an instruction is not what the exit told */
	struct event event;		/* queued */
	unsigned events;
	unsigned crashes;
	char crash[256];
};
extern struct guest_log guest_log;
extern unsigned guest_string;		/* so many accesses of a string at once; 0: none */

/* Everything as new: RAM and device zero, long mode at CPL 0, paging on. */
void guest_reset(void);
void guest_loads_pdptes(void);	/* the back end is one that does */
void guest_flat(unsigned bits);		/* 16 (real mode) or 32 (flat, paging off) */
/* Puts code at RIP 0x1000. */
void guest_code(const void *bytes, size_t n);
