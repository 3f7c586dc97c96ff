/* SPDX-License-Identifier: BSD-2-Clause */
/* links: cpu/mitigation.c cpu/features.c lib/format.c tests/host/percpu.c */
/*
 * What is done against speculation on which chip, and what is said of it: by simulated features.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "boot/bootinfo.h"
#include "cpu/cpu.h"
#include "cpu/errata.h"
#include "cpu/features.h"
#include "cpu/mitigation.h"
#include "cpu/percpu.h"

static enum errata_bed bed;
static const char *return_stack;		/* the option */
static bool small_core;
static uint64_t spec_ctrl;
static unsigned barriers, flushes;
static char text[384];

enum errata_bed errata_bed(void)
{
	return bed;
}

bool boot_option(const char *key, char *buf, size_t size)
{
	assert_string_equal(key, "return_stack");
	if (return_stack)
		strncpy(buf, return_stack, size);
	return return_stack != NULL;
}

bool errata_is_small_core(void)
{
	return small_core;
}

static int wrmsr(uint32_t msr, uint64_t v)
{
	if (msr == MSR_SPEC_CTRL)
		spec_ctrl = v;
	else if (msr == MSR_PRED_CMD && v == PRED_CMD_IBPB)
		barriers++;
	else if (msr == MSR_FLUSH_CMD && v == FLUSH_CMD_L1D)
		flushes++;
	else
		return -EFAULT;
	return 0;
}

static void with(enum feature f)
{
	features.bits[f / 64] |= BIT(f % 64);
}

static int setup(void **state)
{
	(void)state;
	memset(&features, 0, sizeof(features));
	host_wrmsr = wrmsr;
	bed = BED_CHIP;
	small_core = false;
	barriers = flushes = 0;
	spec_ctrl = 0;
	return 0;
}

static void judge(void)
{
	mitigation_init();
	mitigation_cpu_init();
	mitigation_describe(text, sizeof(text));
}

static bool says(const char *what)
{
	return strstr(text, what) != NULL;
}

static void beds_need_nothing(void **state)
{
	(void)state;
	bed = BED_BOCHS;
	features.vendor = VENDOR_INTEL;
	with(FEATURE_SPEC_CTRL);
	with(FEATURE_MD_CLEAR);
	judge();
	assert_false(mitigation_verw || mitigation_fill);
	assert_true(says("emulator"));
	mitigation_vm_load(1);
	mitigation_vm_load(2);
	assert_int_equal(barriers, 0);
	mitigation_take_options();
	return_stack = "empty";
	mitigation_take_options();
	assert_false(mitigation_fill);
	/* What is measured there must be what chips do. */
	return_stack = "fill";
	mitigation_take_options();
	mitigation_describe(text, sizeof(text));
	assert_true(mitigation_fill && !mitigation_verw && says("return stack filled"));
}

/* Skylake with its microcode, and without. */
static void an_old_intel(void **state)
{
	(void)state;
	features.vendor = VENDOR_INTEL;
	judge();
	assert_true(mitigation_fill && !mitigation_verw);
	assert_true(says("open: ") && says("L1TF (no") && says("MDS (no") && says("between guests (no"));
	assert_true(says("against Keel"));
	with(FEATURE_SPEC_CTRL);
	with(FEATURE_MD_CLEAR);
	with(FEATURE_L1D_FLUSH);
	judge();
	assert_true(mitigation_fill && mitigation_verw);
	assert_true(says("IBPB") && says("L1D flush") && says("VERW") && says("sibling"));
	assert_false(says("MDS"));
	assert_int_equal(spec_ctrl, 0);
	/* A barrier when the guest is another one; the flush each time. */
	mitigation_vm_load(5);
	assert_int_equal(barriers, 1);
	mitigation_vm_load(5);
	assert_int_equal(barriers, 1);
	mitigation_vm_load(6);
	assert_int_equal(barriers, 2);
	assert_int_equal(flushes, 3);
	small_core = true;
	judge();
	assert_false(says("L1TF") || says("L1D"));
}

static void a_new_intel(void **state)
{
	(void)state;
	features.vendor = VENDOR_INTEL;
	features.arch_capabilities = ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | ARCH_CAP_MDS_NO |
				     ARCH_CAP_TAA_NO | ARCH_CAP_PBRSB_NO;
	with(FEATURE_SPEC_CTRL);
	with(FEATURE_MD_CLEAR);
	with(FEATURE_RTM);
	judge();
	assert_false(mitigation_verw || mitigation_fill);
	assert_int_equal(spec_ctrl, SPEC_CTRL_IBRS);
	assert_string_equal(text, "IBPB between guests, enhanced IBRS");
	features.arch_capabilities &= ~(ARCH_CAP_TAA_NO | ARCH_CAP_PBRSB_NO);
	judge();
	assert_true(mitigation_verw && mitigation_fill);
}

static void amd(void **state)
{
	(void)state;
	features.vendor = VENDOR_AMD;
	features.family = 0x17;
	with(FEATURE_IBPB);
	judge();
	assert_true(mitigation_fill && !mitigation_verw);
	assert_true(says("IBPB") && says("SRSO") && says("against Keel"));
	features.family = 0x1a;
	with(FEATURE_AUTO_IBRS);
	judge();
	assert_false(mitigation_fill);
	assert_string_equal(text, "IBPB between guests, automatic IBRS");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(beds_need_nothing, setup),
		cmocka_unit_test_setup(an_old_intel, setup),
		cmocka_unit_test_setup(a_new_intel, setup),
		cmocka_unit_test_setup(amd, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
