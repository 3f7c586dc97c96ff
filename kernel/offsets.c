/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Offsets and constants of C for the assembly: each row becomes `%define NAME VALUE` in build/gen/offsets.inc, which
 * .asm files include as "offsets.inc". This file is compiled to text and never linked.
 *
 *	OFFSET(CPU_SELF, struct cpu, self)	CONSTANT(STACK_SIZE, LAYOUT_STACK_SIZE)
 */
#include "cpu/gdt.h"
#include "include/compiler.h"
#include "mm/layout.h"

#define CONSTANT(name, value)	__asm__ volatile("->" #name " %0" : : "i"(value));
#define OFFSET(name, type, field) CONSTANT(name, offsetof(type, field))
#define SIZE(name, type)	CONSTANT(name, sizeof(type))

void offsets(void);

void offsets(void)
{
	CONSTANT(LAYOUT_IMAGE, LAYOUT_IMAGE)
	CONSTANT(GDT_KERNEL_CODE, GDT_KERNEL_CODE)
	CONSTANT(GDT_KERNEL_DATA, GDT_KERNEL_DATA)
}
