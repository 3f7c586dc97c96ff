/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Segments and the task state of each CPU; see cpu/gdt.h.
 */
#include "cpu/gdt.h"

#include "cpu/cpu.h"
#include "cpu/percpu.h"

/*
 * Descriptor bits: present, ring, code/data, long mode; base and limit are ignored but for the TSS.
 */
#define SEGMENT_KERNEL_CODE	0x00af9b000000fffful
#define SEGMENT_KERNEL_DATA	0x00cf93000000fffful
#define SEGMENT_USER_CODE32	0x00cffb000000fffful
#define SEGMENT_USER_DATA	0x00cff3000000fffful
#define SEGMENT_USER_CODE	0x00affb000000fffful
#define SEGMENT_TSS_AVAILABLE	0x0000890000000000ul

static uint64_t gdt[GDT_SIZE / 8] PERCPU aligned(64);
static struct gdt_tss tss PERCPU aligned(64);

static void set_tss_descriptor(uint64_t *low, uint64_t base)
{
	uint64_t limit = sizeof(struct gdt_tss) - 1;

	low[0] = SEGMENT_TSS_AVAILABLE | limit | FIELD(base, 23, 0) << 16 |
		 FIELD(base, 31, 24) << 56;
	low[1] = base >> 32;
}

void gdt_cpu_init(void)
{
	uint64_t *g = this_cpu(gdt);
	struct cpu_table pointer = { GDT_SIZE - 1, (uint64_t)g };

	g[GDT_KERNEL_CODE / 8] = SEGMENT_KERNEL_CODE;
	g[GDT_KERNEL_DATA / 8] = SEGMENT_KERNEL_DATA;
	g[GDT_USER_CODE32 / 8] = SEGMENT_USER_CODE32;
	g[GDT_USER_DATA / 8] = SEGMENT_USER_DATA;
	g[GDT_USER_CODE / 8] = SEGMENT_USER_CODE;
	set_tss_descriptor(g + GDT_TSS / 8, gdt_tss_base());
	this_cpu(tss).iomap = sizeof(struct gdt_tss);
	cpu_lgdt(&pointer);
	cpu_ltr(GDT_TSS);
}

void gdt_set_stack(enum gdt_ist ist, void *top)
{
	if (ist == GDT_IST_NONE)
		this_cpu(tss).rsp[0] = (uint64_t)top;
	else
		this_cpu(tss).ist[ist - 1] = (uint64_t)top;
}

uint64_t gdt_base(void)
{
	return (uint64_t)this_cpu(gdt);
}

uint64_t gdt_tss_base(void)
{
	return (uint64_t)&this_cpu(tss);
}
