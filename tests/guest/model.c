/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A CPU model that takes features away: what the command line names ("-x2apic -xsave ...") is not
 * shown, and what it would allow is refused.
 */
#include "tests/guest/lib/apic.h"

#define CR4_PCIDE	(1ul << 17)
#define CR4_PKE		(1ul << 22)

static const struct {
	const char *word;
	uint32_t leaf, subleaf;
	unsigned reg, bit;		/* 0 EAX to 3 EDX */
	uint64_t cr4;			/* refused with it */
} taken[] = {
	{ "-x2apic", 1, 0, 2, 21, 0 }, { "-tsc-deadline", 1, 0, 2, 24, 0 },
	{ "-pcid", 1, 0, 2, 17, CR4_PCIDE }, { "-pcid", 7, 0, 1, 10, 0 },
	{ "-xsave", 1, 0, 2, 26, CR4_OSXSAVE }, { "-xsave", 1, 0, 2, 28, 0 },
	{ "-xsave", 7, 0, 1, 5, 0 }, { "-xsave", 0xd, 0, 0, 0, 0 }, { "-xsave", 0xd, 1, 0, 0, 0 },
	{ "-tsc_adjust", 7, 0, 1, 1, 0 }, { "-smep", 7, 0, 1, 7, CR4_SMEP },
	{ "-smap", 7, 0, 1, 20, CR4_SMAP }, { "-umip", 7, 0, 2, 2, CR4_UMIP },
	{ "-fsgsbase", 7, 0, 1, 0, CR4_FSGSBASE }, { "-pku", 7, 0, 2, 3, CR4_PKE },
	{ "-nx", 0x80000001, 0, 3, 20, 0 }, { "-rdtscp", 0x80000001, 0, 3, 27, 0 },
};

static uint32_t shown(uint32_t leaf, uint32_t subleaf, unsigned reg)
{
	struct cpuid id = cpuid_count(leaf, subleaf);

	return reg == 0 ? id.eax : reg == 1 ? id.ebx : reg == 2 ? id.ecx : id.edx;
}

static void write_cr4(void *arg)
{
	cr4_write(*(uint64_t *)arg);
}

static void features(void)
{
	for (unsigned i = 0; i < ARRAY_COUNT(taken); i++) {
		uint64_t was = cr4_read(), cr4 = was | taken[i].cr4;

		if (!cmdline_has(taken[i].word))
			continue;
		check(!(shown(taken[i].leaf, taken[i].subleaf, taken[i].reg) >> taken[i].bit & 1),
		      taken[i].word, "leaf %x bit %u is shown", taken[i].leaf, taken[i].bit);
		if (cr4 == was)
			continue;
		check_fault(fault_call(write_cr4, &cr4), VEC_GP, 0, taken[i].word);
		check_equal(cr4_read(), was, taken[i].word);
	}
}

/* What stays is as it was: CR4's other bits, and their effect. */
static void others(void)
{
	uint64_t was = cr4_read();

	for (unsigned i = 0; i < 1000; i++) {
		cr4_write(was ^ CR4_PGE);
		cr4_write(was);
	}
	check_equal(cr4_read(), was, "cr4_back");
	cr4_write(was | CR4_TSD);
	check_equal(cr4_read(), was | CR4_TSD, "cr4_tsd");
	cr4_write(was);
	check(cpuid(1).edx & 1 << 26, "sse2_stays", "%x", cpuid(1).edx);
}

static void registers(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE), efer = rdmsr(MSR_EFER);

	if (cmdline_has("-x2apic")) {
		check_fault(wrmsr_try(MSR_APIC_BASE, base | 1 << 10), VEC_GP, 0, "x2apic_mode");
		check_fault(rdmsr_try(0x802, NULL), VEC_GP, 0, "x2apic_msr");
		check_equal(rdmsr(MSR_APIC_BASE), base, "apic_base");
	}
	if (cmdline_has("-tsc-deadline")) {
		check_fault(wrmsr_try(MSR_TSC_DEADLINE, 1), VEC_GP, 0, "deadline_write");
		check_fault(rdmsr_try(MSR_TSC_DEADLINE, NULL), VEC_GP, 0, "deadline_read");
		apic_write(APIC_LVT_TIMER, LVT_MASKED | LVT_DEADLINE | 0x40);
		check_equal(apic_read(APIC_LVT_TIMER), LVT_MASKED | 0x40, "deadline_lvt");
	}
	if (cmdline_has("-tsc_adjust"))
		check_fault(rdmsr_try(MSR_TSC_ADJUST, NULL), VEC_GP, 0, "tsc_adjust");
	if (cmdline_has("-nx"))
		check_fault(wrmsr_try(MSR_EFER, efer | EFER_NXE), VEC_GP, 0, "efer_nxe");
	if (cmdline_has("-rdtscp"))
		check_fault(rdmsr_try(MSR_TSC_AUX, NULL), VEC_GP, 0, "tsc_aux");
	if (cmdline_has("-xsave"))
		check_fault(xsetbv_try(0, 1), VEC_UD, 0, "xsetbv");
}

void test_main(void)
{
	apic_init(APIC_XAPIC);
	features();
	others();
	registers();
}
