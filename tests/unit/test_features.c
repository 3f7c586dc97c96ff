/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPU features and errata from simulated CPUID: leaves above the highest are zeros, names are
 * trimmed, beds are told apart.
 */
/* links: cpu/features.c cpu/errata.c boot/bootinfo.c tests/host/log.c cpu/fpu.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "boot/bootinfo.h"
#include "cpu/cpu.h"
#include "cpu/errata.h"
#include "cpu/features.h"
#include "cpu/fpu.h"


struct leaf {
	uint32_t leaf, subleaf;
	struct cpuid_regs regs;
};

static const struct leaf *leaves;
static unsigned leaf_count;

/* An unknown leaf answers with all ones, as bad as a chip may be. */
static struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	for (unsigned i = 0; i < leaf_count; i++)
		if (leaves[i].leaf == leaf && leaves[i].subleaf == subleaf)
			return leaves[i].regs;
	return (struct cpuid_regs){ ~0u, ~0u, ~0u, ~0u };
}

#define PLAY(table) play(table, ARRAY_COUNT(table))

static void play(const struct leaf *l, unsigned n)
{
	leaves = l;
	leaf_count = n;
	host_cpuid = cpuid;
	memset(&features, 0, sizeof(features));
	features_init();
	errata_init();
}

static uint32_t word(const char *s)
{
	uint32_t v;

	memcpy(&v, s, 4);
	return v;
}

static void test_intel(void **state)
{
	const struct leaf l[] = {
		{ 0, 0, { 1, word("Genu"), word("ntel"), word("ineI") } },
		{ 1, 0, { 0x000506e3, 0, 1u << 5 | 1u << 21, 1u << 24 } },
		{ 0x80000000, 0, { 0x80000004, 0, 0, 0 } },
		{ 0x80000001, 0, { 0, 0, 0, 1u << 20 | 1u << 29 } },
		{ 0x80000002, 0, { word("    "), word(" A c"), word("hip "), word("at 3") } },
		{ 0x80000003, 0, { word(" GHz"), word("    "), word("    "), 0 } },
		{ 0x80000004, 0, { 0, 0, 0, 0 } },
	};

	(void)state;
	memcpy(bootinfo.rsdp + 9, "BOCHS ", 6);
	bootinfo.rsdp_valid = false;
	PLAY(l);
	assert_int_equal(features.vendor, VENDOR_INTEL);
	assert_string_equal(features.vendor_name, "GenuineIntel");
	assert_string_equal(features.brand, "A chip at 3 GHz");
	assert_int_equal(features.family, 6);
	assert_int_equal(features.model, 0x5e);
	assert_int_equal(features.stepping, 3);
	assert_true(cpu_has(FEATURE_VMX));
	assert_true(cpu_has(FEATURE_X2APIC));
	assert_true(cpu_has(FEATURE_NX));
	/* Leaf 7 is above the highest, though it would answer. */
	assert_false(cpu_has(FEATURE_SMEP));
	assert_false(cpu_has(FEATURE_NPT));
	assert_int_equal(features.physical_bits, 36);
	assert_int_equal(errata_bed(), BED_CHIP);
	for (enum erratum e = 0; e < ERRATUM_COUNT; e++)
		assert_int_equal(errata_has(e), e == ERRATUM_ITLB_MULTIHIT);
	errata_force(ERRATUM_ITLB_MULTIHIT, false);
	assert_false(errata_has(ERRATUM_ITLB_MULTIHIT));
	assert_int_equal(features_missing_here(), FEATURE_COUNT);
	bootinfo.rsdp_valid = true;
	errata_init();
	assert_int_equal(errata_bed(), BED_BOCHS);
	assert_false(errata_has(ERRATUM_VMX_PREEMPT_BY_TIMER_ONLY));	/* by trial alone */
	assert_true(errata_has(ERRATUM_VMX_WALKS_PAST_EPT));
	assert_false(errata_has(ERRATUM_ITLB_MULTIHIT));
	assert_false(errata_has(ERRATUM_SVM_INJECT_BY_EVENTINJ));
}

static int arch_capabilities(uint32_t msr, uint64_t *v)
{
	*v = BIT(6);
	return msr == 0x10a ? 0 : -EFAULT;
}

/* Ice Lake says that it is mended; an Atom never had it. */
static void test_itlb_multihit(void **state)
{
	struct leaf l[] = {
		{ 0, 0, { 7, word("Genu"), word("ntel"), word("ineI") } },
		{ 1, 0, { 0x000606a6, 0, 1u << 5, 0 } },
		{ 7, 0, { 0, 0, 0, 1u << 29 } },
		{ 0x80000000, 0, { 0x80000000, 0, 0, 0 } },
	};

	(void)state;
	bootinfo.rsdp_valid = false;
	PLAY(l);			/* the MSR faults */
	assert_int_equal(features.arch_capabilities, 0);
	assert_true(errata_has(ERRATUM_ITLB_MULTIHIT));
	host_rdmsr = arch_capabilities;
	PLAY(l);
	assert_false(errata_has(ERRATUM_ITLB_MULTIHIT));
	host_rdmsr = NULL;
	l[1].regs.eax = 0x000506c9;
	PLAY(l);
	assert_false(errata_has(ERRATUM_ITLB_MULTIHIT));
}

static void test_tcg(void **state)
{
	const struct leaf l[] = {
		{ 0, 0, { 7, word("Auth"), word("cAMD"), word("enti") } },
		{ 1, 0, { 0x00800f11, 0, 1u << 31 | 1u << 26, 0 } },
		{ 7, 0, { 0, 1u << 7, 0, 0 } },
		{ 0x40000000, 0, { 0x40000001, word("TCGT"), word("CGTC"), word("GTCG") } },
		{ 0x80000000, 0, { 0x8000000a, 0, 0, 0 } },
		{ 0x80000001, 0, { 0, 0, 1u << 2, 0 } },
		{ 0x80000002, 0, { 0, 0, 0, 0 } }, { 0x80000003, 0, { 0, 0, 0, 0 } },
		{ 0x80000004, 0, { 0, 0, 0, 0 } }, { 0x80000008, 0, { 0x3028, 0, 0, 0 } },
		{ 0x8000000a, 0, { 1, 16, 0, 1 } },
	};

	(void)state;
	PLAY(l);
	assert_int_equal(features.vendor, VENDOR_AMD);
	assert_int_equal(features.family, 0x17);
	assert_string_equal(features.brand, "");
	assert_true(cpu_has(FEATURE_SVM) && cpu_has(FEATURE_NPT) && cpu_has(FEATURE_SMEP));
	assert_false(cpu_has(FEATURE_SVM_NRIPS));
	assert_false(cpu_has(FEATURE_XSAVEOPT));	/* leaf 0xd is above the highest */
	assert_int_equal(features.svm_asids, 16);
	assert_int_equal(features.physical_bits, 40);
	assert_int_equal(errata_bed(), BED_QEMU_TCG);
	assert_true(errata_has(ERRATUM_SVM_INJECT_BY_VIRQ));
	assert_false(errata_has(ERRATUM_CPUID_TSC_WRONG));
	errata_set(ERRATUM_CPUID_TSC_WRONG);
	assert_true(errata_has(ERRATUM_CPUID_TSC_WRONG));
}

/* Registers that errata_cpu_init() finds and changes. */
static struct {
	uint32_t msr;
	uint64_t value;
} msrs[4];

static int find_msr(uint32_t msr)
{
	for (unsigned i = 0; i < ARRAY_COUNT(msrs); i++)
		if (msrs[i].msr == msr)
			return (int)i;
	return -EFAULT;
}

static int some_rdmsr(uint32_t msr, uint64_t *v)
{
	int i = find_msr(msr);

	if (i < 0)
		return i;
	*v = msrs[i].value;
	return 0;
}

static int some_wrmsr(uint32_t msr, uint64_t v)
{
	int i = find_msr(msr);

	if (i < 0)
		return i;
	msrs[i].value = v;
	return 0;
}

static void chip(enum cpu_vendor vendor, unsigned family, unsigned model, unsigned stepping)
{
	memset(&features, 0, sizeof(features));
	memset(msrs, 0, sizeof(msrs));
	bootinfo.rsdp_valid = false;
	features.vendor = vendor;
	features.family = family;
	features.model = model;
	features.stepping = stepping;
	host_rdmsr = some_rdmsr;
	host_wrmsr = some_wrmsr;
}

static uint32_t loaded;

static struct cpuid_regs cpuid_tells_revision(uint32_t leaf, uint32_t subleaf)
{
	(void)subleaf;
	if (leaf == 1 && !msrs[0].value)
		msrs[0].value = (uint64_t)loaded << 32;
	return (struct cpuid_regs){ 0 };
}

static void test_c1e_goes_off(void **state)
{
	(void)state;
	chip(VENDOR_AMD, 0x10, 4, 2);
	msrs[0].msr = MSR_INT_PENDING;
	msrs[0].value = 0x18001234;
	errata_init();
	assert_true(errata_has(ERRATUM_AMD_C1E));
	errata_cpu_init();
	assert_int_equal(msrs[0].value, 0x1234);
	chip(VENDOR_AMD, 0x17, 1, 1);
	msrs[0].msr = MSR_INT_PENDING;
	msrs[0].value = 0x18001234;
	errata_init();
	errata_cpu_init();
	assert_int_equal(msrs[0].value, 0x18001234);
	/* A bed that says it is such a chip. */
	chip(VENDOR_AMD, 0xf, 0x6b, 1);
	memcpy(features.hypervisor, "TCGTCGTCGTCG", 12);
	errata_init();
	assert_false(errata_has(ERRATUM_AMD_C1E));
	host_rdmsr = NULL;
	host_wrmsr = NULL;
}

static uint32_t leaf21;

static struct cpuid_regs cpuid_21(uint32_t leaf, uint32_t subleaf)
{
	(void)subleaf;
	return (struct cpuid_regs){ .eax = leaf == 0x80000021 ? leaf21 : 0 };
}

static uint64_t de_cfg_after(unsigned family, uint32_t eax)
{
	chip(VENDOR_AMD, family, 1, 1);
	features.max_extended = 0x80000021;
	host_cpuid = cpuid_21;
	leaf21 = eax;
	msrs[0].msr = MSR_DE_CFG;
	msrs[0].value = 0x1000;
	errata_init();
	errata_cpu_init();
	host_rdmsr = NULL;
	host_wrmsr = NULL;
	return msrs[0].value;
}

static void test_lfence_is_told(void **state)
{
	(void)state;
	assert_int_equal(de_cfg_after(0x17, 0), 0x1002);
	assert_int_equal(de_cfg_after(0x10, 0), 0x1002);
	assert_int_equal(de_cfg_after(0x11, 0), 0x1000);	/* it has no such register */
	assert_int_equal(de_cfg_after(0xf, 0), 0x1000);
	assert_int_equal(de_cfg_after(0x19, 4), 0x1000);	/* does so by itself */
}

static bool deadline_errs(unsigned model, unsigned stepping, uint32_t revision)
{
	chip(VENDOR_INTEL, 6, model, stepping);
	msrs[0].msr = MSR_BIOS_SIGN_ID;
	loaded = revision;
	host_cpuid = cpuid_tells_revision;
	errata_init();
	host_rdmsr = NULL;
	host_wrmsr = NULL;
	return errata_has(ERRATUM_TSC_DEADLINE);
}

static void test_microcode_mends_the_deadline(void **state)
{
	(void)state;
	assert_true(deadline_errs(0x5e, 3, 0xb1));
	assert_false(deadline_errs(0x5e, 3, 0xb2));
	assert_true(deadline_errs(0x3f, 2, 0x39));
	assert_false(deadline_errs(0x3f, 4, 0x0f));
	assert_false(deadline_errs(0x55, 7, 0));	/* Cascade Lake never had it */
	assert_false(deadline_errs(0xa7, 1, 0));
}

static void test_every_row_has_words(void **state)
{
	(void)state;
	for (enum erratum e = 0; e < ERRATUM_COUNT; e++) {
		assert_true(strlen(errata_name(e)) > 3);
		assert_true(strlen(errata_text(e)) > 10 && strlen(errata_text(e)) < 100);
	}
	for (enum feature f = 0; f < FEATURE_COUNT; f++)
		assert_true(strlen(features_name(f)) > 1);
	assert_string_equal(features_name(FEATURE_COUNT), "");
}

static void test_another_core_lacks_something(void **state)
{
	struct leaf l[] = {
		{ 0, 0, { 1, 0, 0, 0 } },
		{ 1, 0, { 0, 0, 1u << 5, 1u << 24 } },
		{ 0x80000000, 0, { 0, 0, 0, 0 } },
	};

	(void)state;
	PLAY(l);
	assert_int_equal(features_missing_here(), FEATURE_COUNT);
	l[1].regs.ecx = 0;
	assert_int_equal(features_missing_here(), FEATURE_VMX);
}

static struct leaf limited[] = {
	{ 0, 0, { 2, 0, 0, 0 } },
	{ 1, 0, { 0x000306a9, 0, 1u << 26, 0 } },
	{ 7, 0, { 0, 1u << 7, 0, 0 } }, { 6, 0, { 0, 0, 0, 0 } }, { 0xd, 1, { 0, 0, 0, 0 } },
	{ 0x80000000, 0, { 0x80000001, 0, 0, 0 } },
	{ 0x80000001, 0, { 0, 0, 0, 1u << 29 } },
};
static uint64_t misc_enable;

static int misc_rdmsr(uint32_t msr, uint64_t *v)
{
	*v = misc_enable;
	return msr == MSR_MISC_ENABLE ? 0 : -EFAULT;
}

static int misc_wrmsr(uint32_t msr, uint64_t v)
{
	assert_int_equal(msr, MSR_MISC_ENABLE);
	misc_enable = v;
	limited[0].regs.eax = v & MISC_ENABLE_CPUID_LIMIT ? 2 : 0xd;
	limited[6].regs.edx = 1u << 29 | (v & MISC_ENABLE_XD_DISABLE ? 0 : 1u << 20);
	return 0;
}

static void test_what_firmware_hides(void **state)
{
	(void)state;
	limited[0].regs.ebx = word("Genu");
	limited[0].regs.ecx = word("ntel");
	limited[0].regs.edx = word("ineI");
	PLAY(limited);
	assert_false(cpu_has(FEATURE_NX) || cpu_has(FEATURE_SMEP));
	/* Without leaf 0xd, which would answer with anything, there is no XSAVE to be had. */
	fpu_init();
	assert_int_equal(fpu_xcr0(), 0);
	host_rdmsr = misc_rdmsr;
	host_wrmsr = misc_wrmsr;
	misc_enable = 0x1;
	features_unlock();
	assert_false(features.unlocked);
	misc_enable = 0x1 | MISC_ENABLE_CPUID_LIMIT | MISC_ENABLE_XD_DISABLE;
	features_unlock();
	assert_int_equal(misc_enable, 1);
	assert_true(features.unlocked && cpu_has(FEATURE_NX) && cpu_has(FEATURE_SMEP));
	host_rdmsr = NULL;
	host_wrmsr = NULL;
	features_unlock();		/* no such register: nothing happens */
}

/* Where XSAVE has put it; as after reset when the state is not there. */
static void test_pkru(void **state)
{
	const struct leaf l[] = {
		{ 0, 0, { 0xd, 0, 0, 0 } },
		{ 1, 0, { 0, 0, 1u << 26, 0 } },
		{ 7, 0, { 0, 0, 1u << 3, 0 } }, { 6, 0, { 0, 0, 0, 0 } }, { 0xd, 1, { 0, 0, 0, 0 } },
		{ 0xd, 0, { 0x207, 840, 840, 0 } }, { 0xd, 9, { 8, 832, 0, 0 } },
		{ 0x80000000, 0, { 0, 0, 0, 0 } },
	};
	uint64_t area[840 / 8] = { 0 };

	(void)state;
	PLAY(l);
	fpu_init();
	host_pkru = 0x1234;
	area[832 / 8] = 0x5678;
	assert_int_equal(fpu_pkru_loaded(), 0x1234);
	assert_int_equal(fpu_pkru_saved(area), 0);
	area[512 / 8] = XCR0_PKRU;
	assert_int_equal(fpu_pkru_saved(area), 0x5678);
}

static void test_xcr0(void **state)
{
	const struct leaf l[] = {
		{ 0, 0, { 0xd, 0, 0, 0 } },
		{ 1, 0, { 0, 0, 1u << 26, 0 } },
		{ 7, 0, { 0, 0, 1u << 3, 0 } }, { 6, 0, { 0, 0, 0, 0 } }, { 0xd, 1, { 0, 0, 0, 0 } },
		/* up to AVX-512 and PKRU, and AMX */
		{ 0xd, 0, { 0x2ff | 1u << 17, 2696, 2696, 0 } },
		{ 0xd, 9, { 8, 2688, 0, 0 } },
		{ 0x80000000, 0, { 0, 0, 0, 0 } },
	};

	(void)state;
	PLAY(l);
	fpu_init();
	fpu_cpu_init();
	assert_int_equal(fpu_xcr0(), 0x2e7);
	assert_int_equal(host_xcr0, 0x2e7);
	assert_false(fpu_xcr0_valid(0));
	assert_false(fpu_xcr0_valid(2));
	assert_true(fpu_xcr0_valid(1));
	assert_true(fpu_xcr0_valid(3));
	assert_true(fpu_xcr0_valid(7));
	assert_false(fpu_xcr0_valid(5));		/* AVX without SSE */
	assert_true(fpu_xcr0_valid(0xe7));
	assert_false(fpu_xcr0_valid(0x67));		/* a part of AVX-512 */
	assert_false(fpu_xcr0_valid(0xe3));		/* AVX-512 without AVX */
	assert_false(fpu_xcr0_valid(1 | 1u << 17));
	/* What a guest can reach unasked is in Keel's own, though it must not have it. */
	errata_force(ERRATUM_XSETBV_NOT_INTERCEPTED, true);
	fpu_cpu_init();
	assert_int_equal(fpu_xcr0(), 0x2ff | 1u << 17);
	assert_int_equal(host_xcr0, 0x2ff | 1u << 17);
	assert_int_equal(fpu_xcr0_offered(), 0x2e7);
	assert_false(fpu_xcr0_valid(0x1f));
	assert_int_equal(fpu_xcr0_refuse(0x1f, 0x2e7), 7);
	assert_int_equal(fpu_xcr0_refuse(0x7, 3), 3);
	assert_int_equal(fpu_xcr0_refuse(0x205, 7), XCR0_X87);
	errata_force(ERRATUM_XSETBV_NOT_INTERCEPTED, false);
}

static void test_supervisor_states_are_off(void **state)
{
	(void)state;
	chip(VENDOR_AMD, 0x19, 1, 1);
	host_cpuid = NULL;
	msrs[0].msr = MSR_XSS;
	msrs[0].value = 0x1800;
	fpu_cpu_init();
	/* No such register, as far as CPUID tells. */
	assert_int_equal(msrs[0].value, 0x1800);
	features.bits[FEATURE_XSAVES / 64] |= BIT(FEATURE_XSAVES % 64);
	fpu_cpu_init();
	assert_int_equal(msrs[0].value, 0);
	host_rdmsr = NULL;
	host_wrmsr = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_intel), cmocka_unit_test(test_tcg),
		cmocka_unit_test(test_itlb_multihit),
		cmocka_unit_test(test_every_row_has_words),
		cmocka_unit_test(test_c1e_goes_off),
		cmocka_unit_test(test_lfence_is_told),
		cmocka_unit_test(test_microcode_mends_the_deadline),
		cmocka_unit_test(test_another_core_lacks_something),
		cmocka_unit_test(test_what_firmware_hides),
		cmocka_unit_test(test_xcr0),
		cmocka_unit_test(test_pkru),
		cmocka_unit_test(test_supervisor_states_are_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
