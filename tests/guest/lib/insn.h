/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions as C functions, and the numbers they take: ports, control registers, MSRs, CPUID.
 * Names and values from the Intel SDM, volumes 3 and 4, and the AMD APM, volume 2.
 */
#pragma once

#include "include/compiler.h"

#define MSR_TSC			0x10
#define MSR_APIC_BASE		0x1b
#define MSR_TSC_ADJUST		0x3b
#define MSR_SYSENTER_CS		0x174
#define MSR_SYSENTER_ESP	0x175
#define MSR_SYSENTER_EIP	0x176
#define MSR_DEBUGCTL		0x1d9
#define MSR_PAT			0x277
#define MSR_TSC_DEADLINE	0x6e0
#define MSR_X2APIC		0x800
#define MSR_EFER		0xc0000080
#define MSR_STAR		0xc0000081
#define MSR_LSTAR		0xc0000082
#define MSR_CSTAR		0xc0000083
#define MSR_SFMASK		0xc0000084
#define MSR_FS_BASE		0xc0000100
#define MSR_GS_BASE		0xc0000101
#define MSR_KERNEL_GS_BASE	0xc0000102
#define MSR_TSC_AUX		0xc0000103

#define DEBUGCTL_BTF	(1ul << 1)

#define EFER_SCE	(1ul << 0)
#define EFER_LME	(1ul << 8)
#define EFER_LMA	(1ul << 10)
#define EFER_NXE	(1ul << 11)
#define EFER_SVME	(1ul << 12)

#define CR0_PE	(1ul << 0)
#define CR0_MP	(1ul << 1)
#define CR0_EM	(1ul << 2)
#define CR0_TS	(1ul << 3)
#define CR0_NE	(1ul << 5)
#define CR0_WP	(1ul << 16)
#define CR0_AM	(1ul << 18)
#define CR0_NW	(1ul << 29)
#define CR0_CD	(1ul << 30)
#define CR0_PG	(1ul << 31)

#define CR4_TSD		(1ul << 2)
#define CR4_DE		(1ul << 3)
#define CR4_PSE		(1ul << 4)
#define CR4_PAE		(1ul << 5)
#define CR4_PGE		(1ul << 7)
#define CR4_OSFXSR	(1ul << 9)
#define CR4_UMIP	(1ul << 11)
#define CR4_VMXE	(1ul << 13)
#define CR4_SMXE	(1ul << 14)
#define CR4_FSGSBASE	(1ul << 16)
#define CR4_OSXSAVE	(1ul << 18)
#define CR4_SMEP	(1ul << 20)
#define CR4_SMAP	(1ul << 21)
#define CR4_PKE		(1ul << 22)

#define RFLAGS_CF	(1ul << 0)
#define RFLAGS_ZF	(1ul << 6)
#define RFLAGS_SF	(1ul << 7)
#define RFLAGS_TF	(1ul << 8)
#define RFLAGS_IF	(1ul << 9)
#define RFLAGS_DF	(1ul << 10)
#define RFLAGS_OF	(1ul << 11)
#define RFLAGS_RF	(1ul << 16)
#define RFLAGS_AC	(1ul << 18)
#define RFLAGS_ID	(1ul << 21)

#define DR6_RESET	0xffff0ff0ul
#define DR6_BD		(1ul << 13)
#define DR6_BS		(1ul << 14)
#define DR6_B		0xful			/* all four breakpoints */
#define DR7_RESET	0x400ul
#define DR7_GD		(1ul << 13)

#define PTE_P	(1ul << 0)
#define PTE_W	(1ul << 1)
#define PTE_U	(1ul << 2)
#define PTE_A	(1ul << 5)
#define PTE_D	(1ul << 6)
#define PTE_PS	(1ul << 7)
#define PTE_G	(1ul << 8)
#define PTE_NX	(1ul << 63)

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" :: "a"(value), "Nd"(port) : "memory");
}

static inline void outw(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" :: "a"(value), "Nd"(port) : "memory");
}

static inline void outl(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" :: "a"(value), "Nd"(port) : "memory");
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
	return low | (uint64_t)high << 32;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :: "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) :: "memory");
	return low | (uint64_t)high << 32;
}

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid_count(uint32_t leaf, uint32_t count)
{
	struct cpuid r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(count));
	return r;
}

static inline struct cpuid cpuid(uint32_t leaf)
{
	return cpuid_count(leaf, 0);
}

#define DEFINE_CR(n)								\
static inline uint64_t cr##n##_read(void)					\
{										\
	uint64_t value;								\
										\
	__asm__ volatile("mov %%cr" #n ", %0" : "=r"(value) :: "memory");	\
	return value;								\
}										\
										\
static inline void cr##n##_write(uint64_t value)				\
{										\
	__asm__ volatile("mov %0, %%cr" #n :: "r"(value) : "memory");		\
}

DEFINE_CR(0)
DEFINE_CR(2)
DEFINE_CR(3)
DEFINE_CR(4)
DEFINE_CR(8)

#define DEFINE_DR(n)								\
static inline uint64_t dr##n##_read(void)					\
{										\
	uint64_t value;								\
										\
	__asm__ volatile("mov %%dr" #n ", %0" : "=r"(value) :: "memory");	\
	return value;								\
}										\
										\
static inline void dr##n##_write(uint64_t value)				\
{										\
	__asm__ volatile("mov %0, %%dr" #n :: "r"(value) : "memory");		\
}

DEFINE_DR(0)
DEFINE_DR(1)
DEFINE_DR(2)
DEFINE_DR(3)
DEFINE_DR(6)
DEFINE_DR(7)

static inline uint64_t xgetbv(uint32_t index)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(index));
	return low | (uint64_t)high << 32;
}

/* CR4.PKE is on. */
static inline void wrpkru(uint32_t value)
{
	__asm__ volatile("wrpkru" :: "a"(value), "c"(0), "d"(0) : "memory");
}

static inline uint32_t rdpkru(void)
{
	uint32_t value;

	__asm__ volatile("rdpkru" : "=a"(value) : "c"(0) : "edx");
	return value;
}

static inline uint64_t rflags_read(void)
{
	uint64_t value;

	__asm__ volatile("pushfq; pop %0" : "=r"(value) :: "memory");
	return value;
}

static inline void sti(void)
{
	__asm__ volatile("sti" ::: "memory");
}

static inline void cli(void)
{
	__asm__ volatile("cli" ::: "memory");
}

/* Opens the window for one instruction's length and closes it again. */
static inline void irq_window(void)
{
	__asm__ volatile("sti; nop; nop; cli" ::: "memory");
}

static inline void sti_hlt_cli(void)
{
	__asm__ volatile("sti; hlt; cli" ::: "memory");
}

static inline void pause(void)
{
	__asm__ volatile("pause" ::: "memory");
}

static inline void invlpg(uint64_t address)
{
	__asm__ volatile("invlpg (%0)" :: "r"(address) : "memory");
}

static inline uint32_t mmio_read(uint64_t address)
{
	uint32_t value;

	__asm__ volatile("movl (%1), %0" : "=r"(value) : "r"(address) : "memory");
	return value;
}

static inline void mmio_write(uint64_t address, uint32_t value)
{
	__asm__ volatile("movl %0, (%1)" :: "r"(value), "r"(address) : "memory");
}
