/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which measures this chip needs and has; see cpu/mitigation.h.
 */
#include "cpu/mitigation.h"

#include "boot/bootinfo.h"
#include "cpu/cpu.h"
#include "cpu/errata.h"
#include "cpu/features.h"
#include "cpu/percpu.h"
#include "lib/format.h"
#include "lib/string.h"

uint8_t mitigation_verw, mitigation_fill;

/* Measures, then holes that stay; in this order they are told. */
enum {
	IBPB, ENHANCED_IBRS, AUTOMATIC_IBRS, L1D_FLUSH, VERW, FILL, MEASURES,
	HOLE_GUESTS = MEASURES, HOLE_BRANCHES, HOLE_L1TF, HOLE_L1TF_SMT, HOLE_MDS, HOLE_SRSO, COUNT
};

static const char *const names[COUNT] = {
	[IBPB] = "IBPB between guests",
	[ENHANCED_IBRS] = "enhanced IBRS",
	[AUTOMATIC_IBRS] = "automatic IBRS",
	[L1D_FLUSH] = "L1D flush when a vCPU is loaded",
	[VERW] = "VERW at entries",
	[FILL] = "return stack filled after exits",
	[HOLE_GUESTS] = "Spectre v2 between guests (no IBPB)",
	[HOLE_BRANCHES] = "Spectre v2 against Keel (no enhanced or automatic IBRS)",
	[HOLE_L1TF] = "L1TF (no L1D flush)",
	[HOLE_L1TF_SMT] = "L1TF by a sibling thread or of what Keel reads between exits",
	[HOLE_MDS] = "MDS (no MD_CLEAR)",
	[HOLE_SRSO] = "SRSO",
};

static uint32_t found;			/* one bit for each of the above */
static uint64_t last_vm PERCPU;

static bool has(unsigned what)
{
	return found & 1u << what;
}

static void add(unsigned what, bool it_is)
{
	if (it_is)
		found |= 1u << what;
}

static void judge_intel(void)
{
	uint64_t cap = features.arch_capabilities;
	bool l1tf = !(cap & ARCH_CAP_RDCL_NO) && !errata_is_small_core(),
	     mds = !(cap & ARCH_CAP_MDS_NO),
	     taa = cpu_has(FEATURE_RTM) && !(cap & ARCH_CAP_TAA_NO);

	add(IBPB, cpu_has(FEATURE_SPEC_CTRL));
	add(ENHANCED_IBRS, cap & ARCH_CAP_IBRS_ALL);
	add(L1D_FLUSH, l1tf && cpu_has(FEATURE_L1D_FLUSH));
	add(VERW, (cpu_has(FEATURE_MD_CLEAR) && (mds || taa)) || cap & ARCH_CAP_RFDS_CLEAR);
	add(FILL, !(cap & ARCH_CAP_IBRS_ALL) || !(cap & ARCH_CAP_PBRSB_NO));
	add(HOLE_L1TF, l1tf && !cpu_has(FEATURE_L1D_FLUSH));
	add(HOLE_L1TF_SMT, l1tf && cpu_has(FEATURE_L1D_FLUSH));
	add(HOLE_MDS, (mds || taa) && !cpu_has(FEATURE_MD_CLEAR));
}

static void judge_amd(void)
{
	bool zen = features.family == 0x17 || features.family == 0x18 || features.family == 0x19;

	add(IBPB, cpu_has(FEATURE_IBPB));
	add(AUTOMATIC_IBRS, cpu_has(FEATURE_AUTO_IBRS));
	add(FILL, !cpu_has(FEATURE_AUTO_IBRS));
	add(HOLE_SRSO, zen && !cpu_has(FEATURE_SRSO_NO));
}

void mitigation_init(void)
{
	found = 0;
	if (errata_bed() == BED_CHIP) {
		if (features.vendor == VENDOR_INTEL)
			judge_intel();
		else
			judge_amd();
		add(HOLE_GUESTS, !has(IBPB));
		add(HOLE_BRANCHES, !has(ENHANCED_IBRS) && !has(AUTOMATIC_IBRS));
	}
	mitigation_verw = has(VERW);
	mitigation_fill = has(FILL);
}

void mitigation_take_options(void)
{
	char value[8];

	if (!boot_option("return_stack", value, sizeof(value)) || strcmp(value, "fill"))
		return;
	add(FILL, true);
	mitigation_fill = true;
}

/*
 * Set once: guests do not have SPEC_CTRL, so the host's value holds in them too. EFER's bit is the
 * host's own, an exit brings it back.
 */
void mitigation_cpu_init(void)
{
	if (has(ENHANCED_IBRS))
		(void)!cpu_wrmsr_safe(MSR_SPEC_CTRL, SPEC_CTRL_IBRS);
	if (has(AUTOMATIC_IBRS))
		(void)!cpu_wrmsr_safe(MSR_EFER, cpu_rdmsr(MSR_EFER) | EFER_AUTO_IBRS);
}

void mitigation_vm_load(uint64_t vm)
{
	if (has(L1D_FLUSH))
		(void)!cpu_wrmsr_safe(MSR_FLUSH_CMD, FLUSH_CMD_L1D);
	if (this_cpu(last_vm) == vm)
		return;
	this_cpu(last_vm) = vm;
	if (has(IBPB))
		(void)!cpu_wrmsr_safe(MSR_PRED_CMD, PRED_CMD_IBPB);
}

static size_t list(char *buf, size_t size, size_t at, const char *before, unsigned from,
		   unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		if (!has(i) || at >= size)
			continue;
		at += (size_t)format(buf + at, size - at, "%s%s", before, names[i]);
		before = ", ";
	}
	return at;
}

void mitigation_describe(char *buf, size_t size)
{
	size_t at;

	if (!found) {
		format(buf, size, errata_bed() == BED_CHIP ? "none needed"
							   : "none: an emulator does not speculate");
		return;
	}
	at = list(buf, size, 0, "", 0, MEASURES);
	list(buf, size, at, at ? "; open: " : "none; open: ", MEASURES, COUNT);
}
