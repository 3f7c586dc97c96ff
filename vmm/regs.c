/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of registers for reports and records; see regs.h. */
#include "vmm/regs.h"

static const char *const gpr_names[GPR_COUNT] = {
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
	"r13", "r14", "r15",
};

static const char *const reg_names[REG_COUNT] = {
	"cr0", "cr2", "cr3", "cr4", "cr8", "efer", "xcr0", "dr0", "dr1", "dr2", "dr3", "dr6", "dr7",
	"star", "lstar", "cstar", "sfmask", "kernel_gs_base", "tsc_aux", "sysenter_cs",
	"sysenter_esp", "sysenter_eip", "pat", "debugctl", "spec_ctrl", "pdpte0", "pdpte1",
	"pdpte2", "pdpte3",
};

static const char *const seg_names[SEG_COUNT] = {
	"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr", "gdtr", "idtr",
};

const char *regs_gpr_name(enum gpr r)
{
	return gpr_names[r];
}

const char *regs_name(enum reg r)
{
	return reg_names[r];
}

const char *regs_seg_name(enum seg s)
{
	return seg_names[s];
}
