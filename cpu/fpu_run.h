/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One instruction of x87, MMX, SSE or AVX, done by this CPU on a guest's saved state: what the
 * emulator would have to know of several hundred of them, with their rounding, flags and
 * exceptions, the chip knows.
 *
 * The caller writes it down anew from what was decoded: of an opcode that it knows, the memory
 * operand at (%rdi), so that nothing else is reached. No page is writable and executable for it,
 * nor has code a writable alias: the bytes that are replaced are text, and for that moment CR0.WP
 * is off, and interrupts are. There is one place for it, under a lock.
 * Source: Intel SDM 3, "Handling Self- and Cross-Modifying Code"; SDM 1, "x87 FPU Instruction and
 * Data (Operand) Pointers".
 */
#pragma once

#include "include/compiler.h"

#define FPU_RUN_CODE	16u

struct fpu_insn {
	uint8_t memory[128] aligned(64);
	uint8_t code[FPU_RUN_CODE];	/* NOPs behind it */
	uint64_t rax, rcx, rdx;		/* some read or write them */
	uint64_t flags;			/* the arithmetic ones */
	/* What the guest's x87 pointers get where they would show this copy; its FOP and the
	 * guest's. */
	uint64_t fip, fdp;
	uint16_t fop_here, fop;
};

/* How an area begins, XSAVE's or FXSAVE's. */
struct fpu_legacy {
	uint16_t fcw, fsw, ftw, fop;
	uint64_t fip, fdp;
	uint32_t mxcsr, mxcsr_mask;
};

#define FPU_FSW_ES	0x80u		/* an unmasked exception waits */

/*
 * Runs it on the state in `area` (struct hwstate), which no CPU has loaded. Thread context.
 * 0; or what it raised: EXC_XM (the flags are in MXCSR), EXC_MF (of an instruction before), else
 * EXC_UD. Registers are changed in the first case only.
 */
unsigned fpu_run(void *area, struct fpu_insn *i) must_check;

/* Its legacy part, MXCSR being loaded from there whatever the area's header says. */
struct fpu_legacy *fpu_legacy(void *area);
