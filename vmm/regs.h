/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: the architectural state of a vCPU by name. The general registers, RIP and RFLAGS are in
 * struct vcpu and hold the truth whenever the vCPU is outside guest mode; everything else lives in
 * the back end (VMCB, VMCS) or the thread's hwstate and is reached through the back end's
 * reg_get/reg_set and segment_get/segment_set. enum reg is also the order in which state is saved.
 */
#pragma once

#include "include/addr.h"

/* General registers in the order of their encoding. */
enum gpr {
	GPR_RAX, GPR_RCX, GPR_RDX, GPR_RBX, GPR_RSP, GPR_RBP, GPR_RSI, GPR_RDI,
	GPR_R8, GPR_R9, GPR_R10, GPR_R11, GPR_R12, GPR_R13, GPR_R14, GPR_R15,
	GPR_COUNT
};

/* State behind reg_get and reg_set. */
enum reg {
	REG_CR0, REG_CR2, REG_CR3, REG_CR4, REG_CR8, REG_EFER, REG_XCR0,
	REG_DR0, REG_DR1, REG_DR2, REG_DR3, REG_DR6, REG_DR7,
	REG_STAR, REG_LSTAR, REG_CSTAR, REG_SFMASK, REG_KERNEL_GS_BASE, REG_TSC_AUX,
	REG_SYSENTER_CS, REG_SYSENTER_ESP, REG_SYSENTER_EIP, REG_PAT, REG_DEBUGCTL, REG_SPEC_CTRL,
	/* VMX with PAE; others read the guest's table. */
	REG_PDPTE0, REG_PDPTE1, REG_PDPTE2, REG_PDPTE3,
	REG_COUNT
};

enum seg {
	SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, SEG_GDTR, SEG_IDTR,
	SEG_COUNT
};

/*
 * Attributes as VMX's access rights have them; SVM's are packed from these. GDTR and IDTR use base
 * and limit only.
 */
#define SEG_TYPE	0x000fu
#define SEG_S		0x0010u
#define SEG_DPL_SHIFT	5
#define SEG_DPL		0x0060u
#define SEG_P		0x0080u
#define SEG_AVL		0x1000u
#define SEG_L		0x2000u
#define SEG_DB		0x4000u
#define SEG_G		0x8000u
#define SEG_UNUSABLE	0x10000u

struct segment {
	uint64_t base;
	uint32_t limit;		/* in bytes */
	uint32_t attr;		/* SEG_* */
	uint16_t selector;
};

/*
 * How the guest runs just now: what address translation and decoding depend on. One call to the
 * back end fills it.
 */
struct vcpu_mode {
	uint64_t cr0, cr3, cr4, efer;
	uint64_t cs_base;
	uint8_t cpl;
	uint8_t bits;		/* 16, 32 or 64: default operand mode of CS */
	bool long_mode;		/* EFER.LMA */
};

/* Where a thread's own state in the CPU has it, if the chip does not switch it: enum hw_reg. */
extern const uint8_t regs_hw[REG_COUNT];

const char *regs_gpr_name(enum gpr r);
const char *regs_seg_name(enum seg s);
