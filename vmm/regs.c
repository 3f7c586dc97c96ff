/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of registers for reports and records, and where some are; see regs.h. */
#include "vmm/regs.h"

#include "kernel/hwstate.h"

const uint8_t regs_hw[REG_COUNT] = {
	[REG_CR2] = HW_CR2, [REG_XCR0] = HW_XCR0, [REG_DR0] = HW_DR0, [REG_DR1] = HW_DR1,
	[REG_DR2] = HW_DR2, [REG_DR3] = HW_DR3, [REG_DR6] = HW_DR6, [REG_STAR] = HW_STAR,
	[REG_LSTAR] = HW_LSTAR, [REG_CSTAR] = HW_CSTAR, [REG_SFMASK] = HW_SFMASK,
	[REG_KERNEL_GS_BASE] = HW_KERNEL_GS_BASE, [REG_TSC_AUX] = HW_TSC_AUX,
};

static const char *const gpr_names[GPR_COUNT] = {
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
	"r13", "r14", "r15",
};

static const char *const seg_names[SEG_COUNT] = {
	"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr", "gdtr", "idtr",
};

const char *regs_gpr_name(enum gpr r)
{
	return gpr_names[r];
}

const char *regs_seg_name(enum seg s)
{
	return seg_names[s];
}
