/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Constants of C for the assembly: each row becomes `%define NAME VALUE` in build/gen/offsets.inc,
 * which .asm files include as "offsets.inc". This file is compiled to text and never linked.
 */
#include "cpu/gdt.h"
#include "cpu/irq.h"
#include "cpu/registers.h"
#include "include/compiler.h"
#include "mm/layout.h"
#include "vmm/regs.h"
#include "vmx/vmcs.h"

#define CONSTANT(name, value)	__asm__ volatile("->" #name " %0" : : "i"(value));

void offsets(void);

void offsets(void)
{
	CONSTANT(LAYOUT_IMAGE, LAYOUT_IMAGE)
	CONSTANT(GDT_KERNEL_CODE, GDT_KERNEL_CODE)
	CONSTANT(GDT_KERNEL_DATA, GDT_KERNEL_DATA)
	CONSTANT(GDT_USER_CODE, GDT_USER_CODE)
	CONSTANT(GDT_USER_DATA, GDT_USER_DATA)
	CONSTANT(IRQ_FIRST, IRQ_FIRST)
	CONSTANT(DR7_RESET, (uint32_t)DR7_RESET)
	CONSTANT(GPR_RAX, GPR_RAX)
	CONSTANT(GPR_RCX, GPR_RCX)
	CONSTANT(GPR_RDX, GPR_RDX)
	CONSTANT(GPR_RBX, GPR_RBX)
	CONSTANT(GPR_RSP, GPR_RSP)
	CONSTANT(GPR_RBP, GPR_RBP)
	CONSTANT(GPR_RSI, GPR_RSI)
	CONSTANT(GPR_RDI, GPR_RDI)
	CONSTANT(GPR_R8, GPR_R8)
	CONSTANT(GPR_R9, GPR_R9)
	CONSTANT(GPR_R10, GPR_R10)
	CONSTANT(GPR_R11, GPR_R11)
	CONSTANT(GPR_R12, GPR_R12)
	CONSTANT(GPR_R13, GPR_R13)
	CONSTANT(GPR_R14, GPR_R14)
	CONSTANT(GPR_R15, GPR_R15)
	CONSTANT(VMCS_HOST_RSP, VMCS_HOST_RSP)
}
