/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host stand-in for cpu/cpu.h: privileged instructions do nothing and read 0. A test that wants
 * more sets the hooks.
 */
#pragma once

#include "include/compiler.h"
#include "include/errno.h"
#include "cpu/registers.h"

/* For tests/host/fpu.c, whose signal handlers do what the fixup table is for. */
#define FIXUP(from, to)					\
	".pushsection host_fixup, \"a\"\n\t"		\
	".long " #from " - ., " #to " - .\n\t"		\
	".popsection\n\t"

struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};

/* NULL: CPUID is all zeros, no MSR exists, ports read all ones, XCR0 is x87 and SSE. */
__attribute__((weak)) struct cpuid_regs (*host_cpuid)(uint32_t leaf, uint32_t subleaf);
__attribute__((weak)) int (*host_rdmsr)(uint32_t msr, uint64_t *v);
__attribute__((weak)) int (*host_wrmsr)(uint32_t msr, uint64_t v);
__attribute__((weak)) uint32_t (*host_in)(uint16_t port, unsigned size);
__attribute__((weak)) void (*host_out)(uint16_t port, unsigned size, uint32_t v);
__attribute__((weak)) __thread bool host_irq_on = true;
__attribute__((weak)) uint64_t host_xcr0 = 3;
__attribute__((weak)) uint32_t host_pkru;

static inline int must_check cpu_rdmsr_safe(uint32_t msr, uint64_t *v)
{
	*v = 0;
	return host_rdmsr ? host_rdmsr(msr, v) : -EFAULT;
}

static inline int must_check cpu_wrmsr_safe(uint32_t msr, uint64_t v)
{
	return host_wrmsr ? host_wrmsr(msr, v) : -EFAULT;
}

static inline uint64_t cpu_rdmsr(uint32_t msr)
{
	uint64_t v;

	return cpu_rdmsr_safe(msr, &v) ? 0 : v;
}

static inline void cpu_wrmsr(uint32_t msr, uint64_t v)
{
	if (host_wrmsr)
		(void)!host_wrmsr(msr, v);
}

static inline uint32_t host_in_any(uint16_t port, unsigned size)
{
	return host_in ? host_in(port, size) : 0xffffffff;
}

static inline void host_out_any(uint16_t port, unsigned size, uint32_t v)
{
	if (host_out)
		host_out(port, size, v);
}

static inline uint8_t cpu_in8(uint16_t port) { return (uint8_t)host_in_any(port, 1); }
static inline uint16_t cpu_in16(uint16_t port) { return (uint16_t)host_in_any(port, 2); }
static inline uint32_t cpu_in32(uint16_t port) { return host_in_any(port, 4); }
static inline void cpu_out8(uint16_t port, uint8_t v) { host_out_any(port, 1, v); }
static inline void cpu_out16(uint16_t port, uint16_t v) { host_out_any(port, 2, v); }
static inline void cpu_out32(uint16_t port, uint32_t v) { host_out_any(port, 4, v); }

static inline struct cpuid_regs cpu_cpuid(uint32_t leaf, uint32_t subleaf)
{
	return host_cpuid ? host_cpuid(leaf, subleaf) : (struct cpuid_regs){ 0 };
}

static inline void cpu_irq_enable(void) { host_irq_on = true; }
static inline void cpu_irq_disable(void) { host_irq_on = false; }
static inline bool cpu_irq_enabled(void) { return host_irq_on; }
static inline uint64_t cpu_flags(void) { return RFLAGS_ONE | (host_irq_on ? RFLAGS_IF : 0); }

static inline uint64_t must_check cpu_irq_save(void)
{
	uint64_t f = cpu_flags();

	host_irq_on = false;
	return f;
}

static inline void cpu_irq_restore(uint64_t flags)
{
	if (flags & RFLAGS_IF)
		host_irq_on = true;
}

/* What a CPU that pauses or halts does meanwhile; NULL: nothing. */
__attribute__((weak)) void (*host_pause)(void);
__attribute__((weak)) void (*host_halt)(void);

static inline void cpu_pause(void)
{
#ifdef KEEL_COST		/* where instructions count it is one */
	__asm__ volatile("pause");
#else
	if (host_pause)
		host_pause();
#endif
}

static inline void cpu_halt(void)
{
	if (host_halt)
		host_halt();
}

static inline noreturn void cpu_stop(void) { __builtin_trap(); }

#define CPU_REGISTER(name)						\
static inline uint64_t cpu_read_##name(void) { return 0; }		\
static inline void cpu_write_##name(uint64_t v) { (void)v; }

CPU_REGISTER(cr0)
CPU_REGISTER(cr3)
CPU_REGISTER(cr8)
CPU_REGISTER(dr7)
#undef CPU_REGISTER

/* What a test says, whatever is written. */
__attribute__((weak)) uint64_t host_cr4_bits;
static inline uint64_t cpu_read_cr4(void) { return host_cr4_bits; }
static inline void cpu_write_cr4(uint64_t v) { (void)v; }

/* Those that hold what is written. */
#define CPU_REGISTER(name)							\
__attribute__((weak)) uint64_t host_##name;					\
static inline uint64_t cpu_read_##name(void) { return host_##name; }		\
static inline void cpu_write_##name(uint64_t v) { host_##name = v; }

CPU_REGISTER(cr2)
CPU_REGISTER(dr0)
CPU_REGISTER(dr1)
CPU_REGISTER(dr2)
CPU_REGISTER(dr3)
CPU_REGISTER(dr6)
#undef CPU_REGISTER

struct cpu_table {
	uint16_t limit;
	uint64_t base;
} packed;

static inline void cpu_lidt(const struct cpu_table *t) { (void)t; }
static inline void cpu_invlpg(uint64_t va) { (void)va; }
static inline void cpu_wbinvd(void) { }
static inline uint32_t cpu_rdpkru(void) { return host_pkru; }
static inline uint64_t cpu_xgetbv(uint32_t i) { (void)i; return host_xcr0; }
static inline void cpu_xsetbv(uint32_t i, uint64_t v) { (void)i; host_xcr0 = v; }

static inline int must_check cpu_xsetbv_safe(uint32_t i, uint64_t v)
{
	host_xcr0 = v;
	return i ? -EFAULT : 0;
}

static inline void cpu_xsave(void *area, uint64_t components) { (void)area; (void)components; }
static inline void cpu_fxsave(void *area) { (void)area; }

/* The chip's extended state; NULL: nothing is saved, any area is taken. */
__attribute__((weak)) void (*host_xsavec)(void *area, uint64_t components);
__attribute__((weak)) int (*host_xrstor)(const void *area);

static inline void cpu_xsavec(void *area, uint64_t components)
{
	if (host_xsavec)
		host_xsavec(area, components);
}

static inline int must_check cpu_xrstor_safe(const void *area)
{
	return host_xrstor ? host_xrstor(area) : 0;
}

static inline int must_check cpu_fxrstor_safe(const void *area) { (void)area; return 0; }
static inline void cpu_fninit(void) { }

/* What RDRAND and RDSEED give; NULL: nothing. */
__attribute__((weak)) bool (*host_entropy)(uint64_t *v, bool seed);

static inline bool cpu_rdrand(uint64_t *v) { return host_entropy && host_entropy(v, false); }
static inline bool cpu_rdseed(uint64_t *v) { return host_entropy && host_entropy(v, true); }
