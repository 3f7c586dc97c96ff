/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Segments and the task state of each CPU. The order of the selectors is the one that SYSCALL and
 * SYSRET demand, so that programs in ring 3 need no other table. The TSS gives NMI, #DF and #MC
 * stacks of their own (IST), which work whatever the interrupted stack looks like.
 * Source: Intel SDM 3, "Task Management in 64-bit Mode"; SDM 2, "SYSRET".
 */
#pragma once

#include "include/compiler.h"

#define GDT_KERNEL_CODE	0x08
#define GDT_KERNEL_DATA	0x10	/* SYSCALL: code + 8 */
#define GDT_USER_CODE32	0x18
#define GDT_USER_DATA	0x20	/* SYSRET: code32 + 8 */
#define GDT_USER_CODE	0x28	/* SYSRET: code32 + 16 */
#define GDT_TSS		0x30	/* two entries */
#define GDT_SIZE	0x40

enum gdt_ist { GDT_IST_NONE, GDT_IST_NMI, GDT_IST_DF, GDT_IST_MC, GDT_IST_COUNT };

struct gdt_tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];	/* ist[i - 1] is IST i */
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t iomap;
} packed;

/* This CPU's table and task register, from its per-CPU block. Stacks are set before it or after. */
void gdt_cpu_init(void);
/* Tops of the stacks by enum gdt_ist; [0] is for entries from ring 3. */
void gdt_set_stack(enum gdt_ist ist, void *top);

uint64_t gdt_base(void);	/* what a VMX host state wants */
uint64_t gdt_tss_base(void);
