/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The auditor of VMX's entry state: a good state is found good, in real, protected, PAE and long
 * mode; and each row finds its field when that alone is spoilt.
 */
/* links: vmx/vmx_audit.c vmm/regs.c lib/format.c tests/host/vmx/vmcs.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/features.h"
#include "vmx/vmx.h"
#include "vmx/vmx_insn.h"

struct features features = { .physical_bits = 40 };
uint64_t vmx_cr0_fixed = CR0_NE, vmx_cr4_fixed = CR4_VMXE;

static struct vcpu vcpu;
static struct vmx_vcpu state;
static uint32_t vtpr;

struct field {
	enum vmcs_field field;
	uint64_t value;
};

#define ACCESS(seg)	(VMCS_GUEST_ES_ACCESS + 2 * (seg))
#define LIMIT(seg)	(VMCS_GUEST_ES_LIMIT + 2 * (seg))
#define BASE(seg)	(VMCS_GUEST_ES_BASE + 2 * (seg))
#define SELECTOR(seg)	(VMCS_GUEST_ES_SELECTOR + 2 * (seg))

/* A guest at the reset vector, on a host as Keel is. */
static const struct field reset[] = {
	{ VMCS_PIN_CONTROLS, PIN_EXTERNAL_INTERRUPT | PIN_NMI | PIN_VIRTUAL_NMI },
	{ VMCS_PROC_CONTROLS, PROC_TPR_SHADOW | PROC_MSR_BITMAP | PROC_SECONDARY },
	{ VMCS_PROC2_CONTROLS, PROC2_EPT | PROC2_UNRESTRICTED | PROC2_VPID },
	{ VMCS_EXIT_CONTROLS, EXIT_HOST_64 | EXIT_LOAD_EFER },
	{ VMCS_ENTRY_CONTROLS, ENTRY_LOAD_EFER },
	{ VMCS_MSR_BITMAP, 0x1000 }, { VMCS_VIRTUAL_APIC, 0x2000 },
	{ VMCS_VPID, 1 }, { VMCS_EPTP, 0x301e },
	{ VMCS_HOST_CR0, CR0_PE | CR0_PG | CR0_NE }, { VMCS_HOST_CR4, CR4_PAE | CR4_VMXE },
	{ VMCS_HOST_CR3, 0x4000 }, { VMCS_HOST_CS_SELECTOR, 8 },
	{ VMCS_HOST_SS_SELECTOR, 16 }, { VMCS_HOST_TR_SELECTOR, 0x30 },
	{ VMCS_HOST_PAT, PAT_RESET }, { VMCS_HOST_EFER, EFER_LME | EFER_LMA },
	{ VMCS_HOST_RIP, 0xffffffff80001000 }, { VMCS_HOST_GS_BASE, 0xffffffff80002000 },
	{ VMCS_GUEST_CR0, CR0_NE | CR0_ET }, { VMCS_GUEST_CR4, CR4_VMXE },
	{ VMCS_GUEST_PAT, PAT_RESET }, { VMCS_GUEST_DR7, DR7_RESET },
	{ VMCS_GUEST_RFLAGS, RFLAGS_ONE }, { VMCS_GUEST_RIP, 0xfff0 },
	{ VMCS_LINK_POINTER, ~0ul },
	{ ACCESS(SEG_ES), 0x93 }, { LIMIT(SEG_ES), 0xffff },
	{ ACCESS(SEG_CS), 0x9b }, { LIMIT(SEG_CS), 0xffff },
	{ BASE(SEG_CS), 0xffff0000 }, { SELECTOR(SEG_CS), 0xf000 },
	{ ACCESS(SEG_SS), 0x93 }, { LIMIT(SEG_SS), 0xffff },
	{ ACCESS(SEG_DS), 0x93 }, { LIMIT(SEG_DS), 0xffff },
	{ ACCESS(SEG_FS), 0x93 }, { LIMIT(SEG_FS), 0xffff },
	{ ACCESS(SEG_GS), 0x93 }, { LIMIT(SEG_GS), 0xffff },
	{ ACCESS(SEG_LDTR), 0x82 }, { LIMIT(SEG_LDTR), 0xffff },
	{ ACCESS(SEG_TR), 0x8b }, { LIMIT(SEG_TR), 0xffff },
	{ LIMIT(SEG_GDTR), 0xffff }, { LIMIT(SEG_IDTR), 0xffff },
};

static const struct field protected_mode[] = {
	{ VMCS_GUEST_CR0, CR0_NE | CR0_ET | CR0_PE }, { ACCESS(SEG_CS), 0xc09b },
	{ LIMIT(SEG_CS), 0xffffffff }, { BASE(SEG_CS), 0 }, { ACCESS(SEG_ES), SEG_UNUSABLE },
	{ ACCESS(SEG_LDTR), SEG_UNUSABLE },
};

static const struct field pae[] = {
	{ VMCS_GUEST_CR0, CR0_NE | CR0_ET | CR0_PE | CR0_PG },
	{ VMCS_GUEST_CR4, CR4_VMXE | CR4_PAE }, { VMCS_GUEST_PDPTE0, 0x5001 },
};

static const struct field long_mode[] = {
	{ VMCS_GUEST_CR0, CR0_NE | CR0_ET | CR0_PE | CR0_PG },
	{ VMCS_GUEST_CR4, CR4_VMXE | CR4_PAE }, { VMCS_GUEST_EFER, EFER_LME | EFER_LMA },
	{ VMCS_ENTRY_CONTROLS, ENTRY_LOAD_EFER | ENTRY_IA32E }, { ACCESS(SEG_CS), 0xa09b },
	{ LIMIT(SEG_CS), 0xffffffff }, { VMCS_GUEST_RIP, 0xffffffff81000000 },
};

#define LOAD(table) load(table, ARRAY_COUNT(table))

static void load(const struct field *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		vmcs_write(f[i].field, f[i].value);
}

static void start(void)
{
	memset(host_vmcs, 0, sizeof(host_vmcs));
	vtpr = 0;
	state.vtpr = &vtpr;
	vcpu.arch = &state;
	LOAD(reset);
}

static const char *verdict(void)
{
	static char why[128];

	return vmx_audit(&vcpu, why, sizeof(why)) ? why : "";
}

static void good_states(void **unused)
{
	(void)unused;
	start();
	assert_string_equal(verdict(), "");
	LOAD(protected_mode);
	assert_string_equal(verdict(), "");
	LOAD(pae);
	assert_string_equal(verdict(), "");
	start();
	LOAD(long_mode);
	assert_string_equal(verdict(), "");
	vmcs_write(VMCS_ENTRY_EVENT, 0x80000b0e);
	vmcs_write(VMCS_ENTRY_ERROR_CODE, 2);
	assert_string_equal(verdict(), "");
}

/* One field spoilt of the state after reset, and a word of what is said of it. */
static const struct {
	enum vmcs_field field;
	uint64_t value;
	const char *text;
} spoilt[] = {
	{ VMCS_PIN_CONTROLS, PIN_VIRTUAL_NMI, "virtual NMIs" },
	{ VMCS_CR3_TARGET_COUNT, 5, "CR3 targets" }, { VMCS_MSR_BITMAP, 0x1001, "MSR bitmap" },
	{ VMCS_VIRTUAL_APIC, 1ul << 40, "virtual-APIC" }, { VMCS_TPR_THRESHOLD, 1, "threshold" },
	{ VMCS_VPID, 0, "VPID" }, { VMCS_EPTP, 0x3006, "EPT pointer" },
	{ VMCS_PROC2_CONTROLS, PROC2_UNRESTRICTED, "without EPT" },
	{ VMCS_EXIT_MSR_LOAD_COUNT, 1, "MSR lists" },
	{ VMCS_ENTRY_EVENT, 0x80000120, "injected event has" },
	{ VMCS_ENTRY_EVENT, 0x80000203, "injected event has" },
	{ VMCS_ENTRY_EVENT, 0x80000320, "injected event has" },
	{ VMCS_ENTRY_EVENT, 0x80000b0d, "error code" },
	{ VMCS_ENTRY_EVENT, 0x80000480, "instruction length" },
	{ VMCS_ENTRY_EVENT, 0x80000030, "RFLAGS.IF" },
	{ VMCS_HOST_CR0, CR0_PE | CR0_PG, "host CR0" }, { VMCS_HOST_CR4, CR4_PAE, "host CR4" },
	{ VMCS_HOST_CR3, 1ul << 40, "host CR3" }, { VMCS_HOST_TR_BASE, 1ul << 47, "host base" },
	{ VMCS_HOST_RIP, 1ul << 63, "host base" }, { VMCS_HOST_CS_SELECTOR, 0, "host selector" },
	{ VMCS_HOST_TR_SELECTOR, 0x33, "host selector" }, { VMCS_HOST_PAT, 2, "host PAT" },
	{ VMCS_HOST_EFER, EFER_LME, "host EFER" }, { VMCS_GUEST_CR0, CR0_ET, "CR0 lacks" },
	{ VMCS_GUEST_CR0, CR0_NE | CR0_PG, "without CR0.PE" }, { VMCS_GUEST_CR4, 0, "CR4 lacks" },
	{ VMCS_ENTRY_CONTROLS, ENTRY_LOAD_EFER | ENTRY_IA32E, "long mode without" },
	{ VMCS_GUEST_CR4, CR4_VMXE | CR4_PCIDE, "PCIDE" }, { VMCS_GUEST_CR3, 1ul << 40, "CR3 has" },
	{ VMCS_GUEST_DR7, 1ul << 32, "DR7" }, { VMCS_GUEST_SYSENTER_EIP, 1ul << 47, "SYSENTER" },
	{ VMCS_GUEST_PAT, 3, "PAT" }, { VMCS_GUEST_EFER, EFER_LMA, "EFER" },
	{ VMCS_GUEST_EFER, EFER_SVME, "EFER" }, { VMCS_GUEST_GDTR_BASE, 1ul << 47, "GDTR" },
	{ LIMIT(SEG_IDTR), 0x10000, "IDTR" }, { VMCS_GUEST_RIP, 1ul << 32, "RIP" },
	{ VMCS_GUEST_RFLAGS, 0, "RFLAGS" },
	{ VMCS_GUEST_RFLAGS, RFLAGS_ONE | RFLAGS_VM, "RFLAGS.VM" },
	{ VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_STI, "interruptibility" },
	{ VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_SMI, "interruptibility" },
	{ VMCS_GUEST_ACTIVITY, 1, "activity" },
	{ VMCS_GUEST_PENDING_DEBUG, BIT(4), "pending debug" },
	{ VMCS_LINK_POINTER, 0, "link pointer" }, { SELECTOR(SEG_TR), 4, "tr: the selector" },
	{ BASE(SEG_SS), 1ul << 32, "ss: the base" }, { BASE(SEG_FS), 1ul << 47, "fs: the base" },
	{ ACCESS(SEG_CS), 0x98, "cs: the type" }, { ACCESS(SEG_SS), 0x91, "ss: the type" },
	{ ACCESS(SEG_DS), 0x92, "ds: the type" }, { ACCESS(SEG_TR), 0x89, "tr: the type" },
	{ ACCESS(SEG_LDTR), 0x8b, "ldtr: the type" },
	{ ACCESS(SEG_ES), 0x83, "es: a system segment" },
	{ ACCESS(SEG_GS), 0x13, "gs: not present" }, { ACCESS(SEG_CS), 0xfb, "cs: the privilege" },
	{ ACCESS(SEG_ES), 0x193, "es: the access rights" },
	{ ACCESS(SEG_TR), 0x8b | SEG_UNUSABLE, "tr: the access rights" },
	{ LIMIT(SEG_DS), 0x1ffffe, "ds: the granularity" },
	{ LIMIT(SEG_CS), 0x100000, "cs: the granularity" },
};

static void each_row(void **unused)
{
	(void)unused;
	for (unsigned i = 0; i < ARRAY_COUNT(spoilt); i++) {
		start();
		vmcs_write(spoilt[i].field, spoilt[i].value);
		if (!strstr(verdict(), spoilt[i].text))
			fail_msg("field %#x = %#lx: '%s', not '%s'", spoilt[i].field,
				 spoilt[i].value, verdict(), spoilt[i].text);
	}
}

static void in_other_modes(void **unused)
{
	(void)unused;
	start();
	LOAD(protected_mode);
	LOAD(pae);
	vmcs_write(VMCS_GUEST_PDPTE0 + 6, 3);
	assert_non_null(strstr(verdict(), "PDPTE"));
	start();
	LOAD(long_mode);
	vmcs_write(ACCESS(SEG_CS), 0xe09b);
	assert_non_null(strstr(verdict(), "L and D"));
	LOAD(long_mode);
	vmcs_write(VMCS_GUEST_RIP, 1ul << 47);
	assert_non_null(strstr(verdict(), "RIP"));
	LOAD(long_mode);
	vmcs_write(VMCS_GUEST_RFLAGS, RFLAGS_ONE | RFLAGS_TF | RFLAGS_IF);
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_STI);
	assert_non_null(strstr(verdict(), "pending debug"));
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, DR6_BS);
	assert_string_equal(verdict(), "");
	vmcs_write(VMCS_ENTRY_EVENT, 0x80000202);
	assert_string_equal(verdict(), "");
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_NMI);
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, 0);
	assert_non_null(strstr(verdict(), "NMI is injected"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_states), cmocka_unit_test(each_row),
		cmocka_unit_test(in_other_modes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
