/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Model-specific registers: what is not there raises #GP, what is there keeps what was written
 * across exits, and forbidden values are refused.
 */
#include "tests/guest/lib/guest.h"

#define MSR_MTRR_CAP	0xfe
#define NOT_CANONICAL	0x8000000000000000ul

static void unknown(void)
{
	static const uint32_t none[] = { 0x7fffffff, 0xdead, 0xc0001234, 0x3fff, 0xffffffff };

	for (unsigned i = 0; i < ARRAY_COUNT(none); i++) {
		if (on_qemu_tcg())
			break;		/* bare QEMU reads 0 */
		check_fault(rdmsr_try(none[i], NULL), VEC_GP, 0, "rdmsr_unknown");
		check_fault(wrmsr_try(none[i], 0), VEC_GP, 0, "wrmsr_unknown");
	}
}

static void keeps(uint32_t msr, uint64_t value, const char *name)
{
	uint64_t before = 0, after = 0;
	struct fault fault = rdmsr_try(msr, &before);

	if (fault.vector < 0)
		fault = wrmsr_try(msr, value);
	for (unsigned i = 0; i < 10; i++)
		cpuid(0);
	if (fault.vector < 0)
		fault = rdmsr_try(msr, &after);
	check(fault.vector < 0 && after == value, name, "vector %d, got %lx, want %lx",
	      fault.vector, after, value);
	wrmsr_try(msr, before);
}

static void round_trips(void)
{
	keeps(MSR_STAR, 0x0013000800000000, "star");
	keeps(MSR_LSTAR, 0xffffffff81234567, "lstar");
	keeps(MSR_CSTAR, 0x1234567, "cstar");
	keeps(MSR_SFMASK, 0x47700, "sfmask");
	keeps(MSR_SYSENTER_CS, 0x10, "sysenter_cs");
	keeps(MSR_SYSENTER_ESP, 0x123456, "sysenter_esp");
	keeps(MSR_SYSENTER_EIP, 0x654321, "sysenter_eip");
	keeps(MSR_FS_BASE, 0x00007fffdeadb000, "fs_base");
	keeps(MSR_GS_BASE, 0xffff888012345000, "gs_base");
	keeps(MSR_KERNEL_GS_BASE, 0xffff888054321000, "kernel_gs_base");
	keeps(MSR_PAT, 0x0407050600070106, "pat");
	if (cpuid(0x80000001).edx & 1 << 27)
		keeps(MSR_TSC_AUX, 0x1234, "tsc_aux");
	check(rdmsr(MSR_PAT) == 0x0007040600070406, "pat_reset", "%lx", rdmsr(MSR_PAT));
}

static void refused(void)
{
	if (on_qemu_tcg()) {
		skip("msr_refused", "bare QEMU checks few values");
		return;
	}
	check_fault(wrmsr_try(MSR_PAT, 2), VEC_GP, 0, "pat_bad_type");
	check_fault(wrmsr_try(MSR_APIC_BASE, 1ul << 63 | 0xfee00900), VEC_GP, 0,
		    "apic_base_reserved");
	if (!on_qemu_chip()) {
		check_fault(wrmsr_try(MSR_FS_BASE, NOT_CANONICAL), VEC_GP, 0,
			    "fs_base_not_canonical");
		check_fault(wrmsr_try(MSR_LSTAR, NOT_CANONICAL), VEC_GP, 0, "lstar_not_canonical");
	}
}

static void efer(void)
{
	uint64_t was = rdmsr(MSR_EFER);

	check((was & (EFER_LME | EFER_LMA)) == (EFER_LME | EFER_LMA), "efer_long", "%lx", was);
	wrmsr(MSR_EFER, was | EFER_NXE | EFER_SCE);
	check_equal(rdmsr(MSR_EFER), was | EFER_NXE | EFER_SCE, "efer_nxe_sce");
	wrmsr(MSR_EFER, was);
	check_equal(rdmsr(MSR_EFER), was, "efer_back");
	if (!on_keel()) {
		skip("efer_refused", "bare");
		return;
	}
	check_fault(wrmsr_try(MSR_EFER, was & ~EFER_LME), VEC_GP, 0, "efer_lme_while_paging");
	check_fault(wrmsr_try(MSR_EFER, was | 1ul << 40), VEC_GP, 0, "efer_reserved");
	check_fault(wrmsr_try(MSR_EFER, was | EFER_SVME), VEC_GP, 0, "efer_svme");
	check_equal(rdmsr(MSR_EFER), was, "efer_unchanged");
}

static void tsc(void)
{
	uint64_t before = rdtsc(), after, adjust;

	if (rdmsr_try(MSR_TSC_ADJUST, &adjust).vector >= 0) {
		skip("tsc_adjust", "not there");
		return;
	}
	if (on_qemu_tcg()) {
		skip("tsc_adjust", "bare QEMU only stores it");
		return;
	}
	wrmsr(MSR_TSC_ADJUST, adjust + (1ul << 40));
	after = rdtsc();
	check(after - before > 1ul << 40 && after - before < (1ul << 40) + (1ul << 34),
	      "tsc_adjust_moves", "%lx to %lx", before, after);
	check_equal(rdmsr(MSR_TSC_ADJUST), adjust + (1ul << 40), "tsc_adjust_reads");
	wrmsr(MSR_TSC_ADJUST, adjust);
	check(rdtsc() < after, "tsc_adjust_back", "%lx", rdtsc());
	before = rdtsc();
	wrmsr(MSR_TSC, before + (1ul << 41));
	after = rdtsc();
	check(after - before >= 1ul << 41, "tsc_write", "%lx to %lx", before, after);
	check(rdmsr(MSR_TSC) - after < 1ul << 34, "tsc_by_rdmsr", "%lx", rdmsr(MSR_TSC));
	check(rdmsr(MSR_TSC_ADJUST) - adjust >= (1ul << 41) - (1ul << 34), "tsc_write_adjusts",
	      "%lx", rdmsr(MSR_TSC_ADJUST));
	wrmsr(MSR_TSC_ADJUST, adjust);
}

static void apic_base(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	check_equal(base & 0xfffff000, 0xfee00000, "apic_base_address");
	check((base & 0x900) == 0x900, "apic_base_bsp_enabled", "%lx", base);
}

static void halves(void)
{
	uint64_t a = ~0ul, d = ~0ul;

	__asm__ volatile("rdmsr" : "+a"(a), "+d"(d) : "c"(MSR_APIC_BASE));
	check(!((a | d) >> 32), "rdmsr_upper_halves", "%lx %lx", a, d);
	a = 0xdead00000000 | 0x1234, d = 0xbeef00000000;
	__asm__ volatile("wrmsr" :: "a"(a), "d"(d), "c"(MSR_KERNEL_GS_BASE) : "memory");
	check_equal(rdmsr(MSR_KERNEL_GS_BASE), 0x1234, "wrmsr_upper_halves");
}

static void in_ring3(void *arg)
{
	*(uint64_t *)arg = rdmsr(MSR_EFER);
}

static void ring3(void)
{
	uint64_t value;

	check_fault(user_call(in_ring3, &value), VEC_GP, 0, "rdmsr_ring3");
}

/*
 * SYSCALL from ring 3 lands at LSTAR with the return address in RCX; from there SYSRET leads back.
 */
extern char syscall_entry[], syscall_after[];
__asm__("syscall_entry:\n\tmov %rcx, %r8\n\tsysretq\n");

static void do_syscall(void *arg)
{
	uint64_t rcx;

	__asm__ volatile("syscall\nsyscall_after:" : "=c"(rcx) :: "r8", "r11", "memory");
	*(uint64_t *)arg = rcx;
}

static void syscalls(void)
{
	uint64_t efer = rdmsr(MSR_EFER), rcx = 0;
	struct fault fault;

	wrmsr(MSR_LSTAR, (uint64_t)syscall_entry);
	wrmsr(MSR_SFMASK, RFLAGS_IF | RFLAGS_TF | RFLAGS_DF);
	wrmsr(MSR_EFER, efer | EFER_SCE);
	/*
	 * SYSRET takes SS = STAR[63:48]+8 and CS = +16: data before code, as the GDT's free
	 * slots have them now.
	 */
	gdt[SEL_FREE / 8 + 1] = gdt[SEL_UDATA / 8];
	gdt[SEL_FREE / 8 + 2] = gdt[SEL_UCODE / 8];
	wrmsr(MSR_STAR, (uint64_t)(SEL_FREE | 3) << 48 | (uint64_t)SEL_CODE64 << 32);
	fault = user_call(do_syscall, &rcx);
	check(fault.vector < 0 && rcx == (uint64_t)syscall_after, "syscall_sysret",
	      "vector %d at %lx, rcx %lx", fault.vector, fault.rip, rcx);
	wrmsr(MSR_EFER, efer & ~EFER_SCE);
	check_fault(user_call(do_syscall, &rcx), VEC_UD, 0, "syscall_without_sce");
	wrmsr(MSR_EFER, efer);
}

static void mtrr(void)
{
	uint64_t cap;

	if (!(cpuid(1).edx & 1 << 12)) {
		skip("mtrr", "not there");
		return;
	}
	check(rdmsr_try(MSR_MTRR_CAP, &cap).vector < 0, "mtrr_cap", "#GP");
	check(rdmsr_try(0x2ff, NULL).vector < 0, "mtrr_default", "#GP");
	for (unsigned i = 0; i < (cap & 0xff) * 2; i++)
		if (rdmsr_try(0x200 + i, NULL).vector >= 0)
			check(false, "mtrr_variable", "#GP at %u", i);
	keeps(0x200, 0x80000006, "mtrr_base");
	keeps(0x250, 0x0606060606060606, "mtrr_fixed");
}

void test_main(void)
{
	apic_base();
	unknown();
	round_trips();
	refused();
	efer();
	tsc();
	halves();
	ring3();
	syscalls();
	mtrr();
}
