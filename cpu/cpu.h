/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The instructions that C cannot say: ports, control, debug and model-specific registers, CPUID,
 * flags, descriptor tables. One inline each, named as the instruction. A `_safe` one returns
 * -EFAULT where the chip raises #GP: the fixup table (FIXUP, kernel/trap.c) sends the fault on
 * behind it. Any context. Host tests see tests/host/cpu/cpu.h instead.
 * Source: Intel SDM 2, "Instruction Set Reference".
 */
#pragma once

#include "include/compiler.h"
#include "include/errno.h"
#include "cpu/registers.h"

struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};

/* Operand of LGDT and LIDT. */
struct cpu_table {
	uint16_t limit;
	uint64_t base;
} packed;

/* Inside an asm: when the instruction at label `from` faults, go on at label `to`. */
#define FIXUP(from, to)					\
	".pushsection .fixup, \"a\"\n\t"		\
	".long " #from " - ., " #to " - .\n\t"		\
	".popsection\n\t"

/* ---- model-specific registers ---- */

static inline uint64_t cpu_rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (uint64_t)hi << 32 | lo;
}

static inline void cpu_wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr"
			 :: "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

/* *v is 0 after a fault. */
static inline int must_check cpu_rdmsr_safe(uint32_t msr, uint64_t *v)
{
	uint32_t lo = 0, hi = 0;
	int err = -EFAULT;

	__asm__ volatile("1: rdmsr\n\t"
			 "xorl %[err], %[err]\n\t"
			 "2:\n\t"
			 FIXUP(1b, 2b)
			 : "+a"(lo), "+d"(hi), [err] "+&r"(err) : "c"(msr));
	*v = err ? 0 : (uint64_t)hi << 32 | lo;
	return err;
}

static inline int must_check cpu_wrmsr_safe(uint32_t msr, uint64_t v)
{
	int err = -EFAULT;

	__asm__ volatile("1: wrmsr\n\t"
			 "xorl %[err], %[err]\n\t"
			 "2:\n\t"
			 FIXUP(1b, 2b)
			 : [err] "+&r"(err)
			 : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
	return err;
}

/* ---- ports ---- */

static inline uint8_t cpu_in8(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline uint16_t cpu_in16(uint16_t port)
{
	uint16_t v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline uint32_t cpu_in32(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void cpu_out8(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" :: "a"(v), "Nd"(port));
}

static inline void cpu_out16(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" :: "a"(v), "Nd"(port));
}

static inline void cpu_out32(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" :: "a"(v), "Nd"(port));
}

/* ---- identification ---- */

static inline struct cpuid_regs cpu_cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

/* ---- interrupts and waiting ---- */

static inline void cpu_irq_enable(void)
{
	__asm__ volatile("sti" ::: "memory");
}

static inline void cpu_irq_disable(void)
{
	__asm__ volatile("cli" ::: "memory");
}

static inline uint64_t cpu_flags(void)
{
	uint64_t f;

	__asm__ volatile("pushfq; popq %0" : "=r"(f) :: "memory");
	return f;
}

static inline bool cpu_irq_enabled(void)
{
	return cpu_flags() & RFLAGS_IF;
}

/* Interrupts off; the former flags for cpu_irq_restore. */
static inline uint64_t must_check cpu_irq_save(void)
{
	uint64_t f = cpu_flags();

	cpu_irq_disable();
	return f;
}

static inline void cpu_irq_restore(uint64_t flags)
{
	if (likely(flags & RFLAGS_IF))
		cpu_irq_enable();
}

/* Every wait loop has one. */
/* ---- randomness; false: the chip has none at this moment ---- */

static inline bool cpu_rdrand(uint64_t *v)
{
	bool there;

	__asm__ volatile("rdrand %0" : "=r"(*v), "=@ccc"(there));
	return there;
}

static inline bool cpu_rdseed(uint64_t *v)
{
	bool there;

	__asm__ volatile("rdseed %0" : "=r"(*v), "=@ccc"(there));
	return there;
}

static inline void cpu_pause(void)
{
	__asm__ volatile("pause" ::: "memory");
}

/*
 * With interrupts off: sleeps until an interrupt, which is taken; returns with interrupts off. No
 * wake-up is lost.
 */
static inline void cpu_halt(void)
{
	__asm__ volatile("sti; hlt; cli" ::: "memory");
}

/* For ever, whatever comes. */
static inline noreturn void cpu_stop(void)
{
	for (;;)
		__asm__ volatile("cli; hlt" ::: "memory");
}

/* ---- control and debug registers ---- */

#define CPU_REGISTER(name)							\
static inline uint64_t cpu_read_##name(void)					\
{										\
	uint64_t v;								\
										\
	__asm__ volatile("movq %%" #name ", %0" : "=r"(v) :: "memory");		\
	return v;								\
}										\
static inline void cpu_write_##name(uint64_t v)					\
{										\
	__asm__ volatile("movq %0, %%" #name :: "r"(v) : "memory");		\
}

CPU_REGISTER(cr0)
CPU_REGISTER(cr2)
CPU_REGISTER(cr3)
CPU_REGISTER(cr4)
CPU_REGISTER(cr8)
CPU_REGISTER(dr0)
CPU_REGISTER(dr1)
CPU_REGISTER(dr2)
CPU_REGISTER(dr3)
CPU_REGISTER(dr6)
CPU_REGISTER(dr7)
#undef CPU_REGISTER

static inline void cpu_clts(void)
{
	__asm__ volatile("clts" ::: "memory");
}

static inline void cpu_invlpg(uint64_t va)
{
	__asm__ volatile("invlpg (%0)" :: "r"(va) : "memory");
}

static inline void cpu_wbinvd(void)
{
	__asm__ volatile("wbinvd" ::: "memory");
}

/* ---- extended state: CR4.OSXSAVE is set ---- */

/* CR4.PKE is set. */
static inline uint32_t cpu_rdpkru(void)
{
	uint32_t v, zero;

	__asm__ volatile("rdpkru" : "=a"(v), "=d"(zero) : "c"(0));
	return v;
}

static inline uint64_t cpu_xgetbv(uint32_t index)
{
	uint32_t lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(index));
	return (uint64_t)hi << 32 | lo;
}

static inline void cpu_xsetbv(uint32_t index, uint64_t v)
{
	__asm__ volatile("xsetbv"
			 :: "c"(index), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

static inline int must_check cpu_xsetbv_safe(uint32_t index, uint64_t v)
{
	int err = -EFAULT;

	__asm__ volatile("1: xsetbv\n\t"
			 "xorl %[err], %[err]\n\t"
			 "2:\n\t"
			 FIXUP(1b, 2b)
			 : [err] "+&r"(err)
			 : "c"(index), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
	return err;
}

/*
 * Those states of `components` that XCR0 has, in standard form; of the others nothing in the area
 * changes. 64-byte aligned.
 */
static inline void cpu_xsave(void *area, uint64_t components)
{
	__asm__ volatile("xsave64 (%0)"
			 :: "r"(area), "a"((uint32_t)components),
			    "d"((uint32_t)(components >> 32)) : "memory");
}

/* The same, compacted. */
static inline void cpu_xsavec(void *area, uint64_t components)
{
	__asm__ volatile("xsavec64 (%0)"
			 :: "r"(area), "a"((uint32_t)components),
			    "d"((uint32_t)(components >> 32)) : "memory");
}

static inline int must_check cpu_xrstor_safe(const void *area)
{
	int err = -EFAULT;

	__asm__ volatile("1: xrstor64 (%[area])\n\t"
			 "xorl %[err], %[err]\n\t"
			 "2:\n\t"
			 FIXUP(1b, 2b)
			 : [err] "+&r"(err) : [area] "r"(area), "a"(~0u), "d"(~0u) : "memory");
	return err;
}

static inline void cpu_fxsave(void *area)
{
	__asm__ volatile("fxsave64 (%0)" :: "r"(area) : "memory");
}

static inline int must_check cpu_fxrstor_safe(const void *area)
{
	int err = -EFAULT;

	__asm__ volatile("1: fxrstor64 (%[area])\n\t"
			 "xorl %[err], %[err]\n\t"
			 "2:\n\t"
			 FIXUP(1b, 2b)
			 : [err] "+&r"(err) : [area] "r"(area) : "memory");
	return err;
}

static inline void cpu_fninit(void)
{
	__asm__ volatile("fninit");
}

/* ---- descriptor tables and segments ---- */

static inline void cpu_lgdt(const struct cpu_table *t)
{
	__asm__ volatile("lgdt %0" :: "m"(*t) : "memory");
}

static inline void cpu_lidt(const struct cpu_table *t)
{
	__asm__ volatile("lidt %0" :: "m"(*t) : "memory");
}

static inline struct cpu_table cpu_sgdt(void)
{
	struct cpu_table t;

	__asm__ volatile("sgdt %0" : "=m"(t));
	return t;
}

static inline struct cpu_table cpu_sidt(void)
{
	struct cpu_table t;

	__asm__ volatile("sidt %0" : "=m"(t));
	return t;
}

static inline void cpu_ltr(uint16_t selector)
{
	__asm__ volatile("ltr %0" :: "r"(selector) : "memory");
}

static inline uint16_t cpu_str(void)
{
	uint16_t v;

	__asm__ volatile("str %0" : "=r"(v));
	return v;
}

static inline void cpu_lldt(uint16_t selector)
{
	__asm__ volatile("lldt %0" :: "r"(selector));
}
