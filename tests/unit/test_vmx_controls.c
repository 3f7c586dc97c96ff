/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMX's controls against capabilities: a rich machine gets everything, a poor one is refused with
 * the name of what it lacks, what must be 1 stays 1, what is only wanted may be missing, the exact
 * MSRs are used where they are.
 */
/* links: vmx/vmx_controls.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/cpu.h"
#include "vmx/vmcs.h"
#include "vmx/vmx_controls.h"

static bool exact;

/* Everything may be set, nothing must be. */
static struct vmx_control_caps rich(void)
{
	struct vmx_control_caps c;

	for (unsigned i = 0; i < VMX_CONTROL_WORDS; i++)
		c.caps[i] = 0xffffffff00000000ul;
	return c;
}

static void everything_there(void **unused)
{
	struct vmx_control_caps caps = rich();
	struct vmx_controls c;
	const char *missing = NULL;

	(void)unused;
	assert_int_equal(vmx_controls_adjust(&caps, &c, &missing), 0);
	assert_true(vmx_control_has(&c, VMX_PROC2, PROC2_EPT) &&
		    vmx_control_has(&c, VMX_PROC2, PROC2_VPID));
	assert_true(vmx_control_has(&c, VMX_PROC, PROC_TPR_SHADOW));
	assert_false(vmx_control_has(&c, VMX_PROC,
				     PROC_CR3_LOAD | PROC_INVLPG | PROC_INTERRUPT_WINDOW));
	assert_true(vmx_control_has(&c, VMX_PIN, PIN_PREEMPTION_TIMER));
	assert_false(vmx_control_has(&c, VMX_EXIT, EXIT_ACKNOWLEDGE));
}

static void names_what_is_missing(void **unused)
{
	static const struct {
		enum vmx_control_word word;
		uint64_t bit;
		const char *name;
	} rows[] = {
		{ VMX_PROC, PROC_SECONDARY, "secondary" }, { VMX_PROC2, PROC2_EPT, "EPT" },
		{ VMX_PROC2, PROC2_UNRESTRICTED, "unrestricted guest" },
		{ VMX_PIN, PIN_VIRTUAL_NMI, "virtual NMIs" },
		{ VMX_PROC, PROC_TPR_SHADOW, "TPR shadow" }, { VMX_EXIT, EXIT_LOAD_EFER, "EFER" },
		{ VMX_ENTRY, ENTRY_LOAD_PAT, "PAT" },
	};

	(void)unused;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		struct vmx_control_caps caps = rich();
		struct vmx_controls c;
		const char *missing = "";

		caps.caps[rows[i].word] &= ~(rows[i].bit << 32);
		assert_int_equal(vmx_controls_adjust(&caps, &c, &missing), -ENODEV);
		assert_non_null(strstr(missing, rows[i].name));
	}
}

static void wanted_and_fixed(void **unused)
{
	struct vmx_control_caps caps = rich();
	struct vmx_controls c;
	const char *missing;

	(void)unused;
	caps.caps[VMX_PROC2] &= ~((uint64_t)(PROC2_VPID | PROC2_PAUSE_LOOP | PROC2_INVPCID) << 32);
	caps.caps[VMX_PIN] &= ~((uint64_t)PIN_PREEMPTION_TIMER << 32);
	caps.caps[VMX_PIN] |= 0x16;
	assert_int_equal(vmx_controls_adjust(&caps, &c, &missing), 0);
	assert_false(vmx_control_has(&c, VMX_PROC2, PROC2_VPID | PROC2_PAUSE_LOOP | PROC2_INVPCID));
	assert_false(vmx_control_has(&c, VMX_PIN, PIN_PREEMPTION_TIMER));
	assert_int_equal(c.value[VMX_PIN] & 0x16, 0x16);
}

/* The value of an MSR is its own number, so that one sees who was asked. */
static int rdmsr(uint32_t msr, uint64_t *v)
{
	*v = msr == MSR_VMX_BASIC ? (exact ? VMX_BASIC_TRUE : 0)
				  : msr | (uint64_t)PROC_SECONDARY << 32;
	return 0;
}

static void exact_where_there(void **unused)
{
	struct vmx_control_caps caps;

	(void)unused;
	host_rdmsr = rdmsr;
	exact = false;
	vmx_controls_read(&caps);
	assert_int_equal((uint32_t)caps.caps[VMX_PIN], MSR_VMX_PIN);
	assert_int_equal((uint32_t)caps.caps[VMX_ENTRY], MSR_VMX_ENTRY);
	exact = true;
	vmx_controls_read(&caps);
	assert_int_equal((uint32_t)caps.caps[VMX_PIN], MSR_VMX_TRUE_PIN);
	assert_int_equal((uint32_t)caps.caps[VMX_ENTRY], MSR_VMX_TRUE_ENTRY);
	assert_int_equal((uint32_t)caps.caps[VMX_PROC2], MSR_VMX_PROC2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_there), cmocka_unit_test(names_what_is_missing),
		cmocka_unit_test(wanted_and_fixed), cmocka_unit_test(exact_where_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
