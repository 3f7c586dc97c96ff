/* SPDX-License-Identifier: BSD-2-Clause */
/* The controls that Keel wants and how a machine's capabilities decide; see vmx_controls.h. */
#include "vmx/vmx_controls.h"

#include "cpu/cpu.h"
#include "include/errno.h"
#include "vmx/vmcs.h"

enum need { NEEDED, WANTED };

static const struct {
	const char *name;
	enum vmx_control_word word;
	uint32_t bit;
	enum need need;
} rows[] = {
	/* What probing asks for in words of its own comes first. */
	{ "secondary controls", VMX_PROC, PROC_SECONDARY, NEEDED },
	{ "extended page tables (EPT)", VMX_PROC2, PROC2_EPT, NEEDED },
	{ "unrestricted guest", VMX_PROC2, PROC2_UNRESTRICTED, NEEDED },

	{ "external-interrupt exiting", VMX_PIN, PIN_EXTERNAL_INTERRUPT, NEEDED },
	{ "NMI exiting", VMX_PIN, PIN_NMI, NEEDED },
	{ "virtual NMIs", VMX_PIN, PIN_VIRTUAL_NMI, NEEDED },
	/* For chips whose interrupts do not leave a guest; off on all others (vmx_vcpu.c). */
	{ "preemption timer", VMX_PIN, PIN_PREEMPTION_TIMER, WANTED },

	{ "TSC offsetting", VMX_PROC, PROC_TSC_OFFSET, NEEDED },
	{ "HLT exiting", VMX_PROC, PROC_HLT, NEEDED },
	{ "MWAIT exiting", VMX_PROC, PROC_MWAIT, NEEDED },
	{ "MONITOR exiting", VMX_PROC, PROC_MONITOR, NEEDED },
	{ "RDPMC exiting", VMX_PROC, PROC_RDPMC, NEEDED },
	{ "TPR shadow", VMX_PROC, PROC_TPR_SHADOW, NEEDED },
	{ "I/O exiting", VMX_PROC, PROC_IO, NEEDED },
	{ "MSR bitmaps", VMX_PROC, PROC_MSR_BITMAP, NEEDED },

	{ "RDTSCP", VMX_PROC2, PROC2_RDTSCP, WANTED },
	{ "VPID", VMX_PROC2, PROC2_VPID, WANTED },
	{ "WBINVD exiting", VMX_PROC2, PROC2_WBINVD, WANTED },
	{ "PAUSE-loop exiting", VMX_PROC2, PROC2_PAUSE_LOOP, WANTED },
	{ "INVPCID", VMX_PROC2, PROC2_INVPCID, WANTED },
	{ "ENCLS exiting", VMX_PROC2, PROC2_ENCLS, WANTED },

	{ "saving debug controls", VMX_EXIT, EXIT_SAVE_DEBUG, NEEDED },
	{ "64-bit host", VMX_EXIT, EXIT_HOST_64, NEEDED },
	{ "loading PAT at exits", VMX_EXIT, EXIT_LOAD_PAT, NEEDED },
	{ "loading EFER at exits", VMX_EXIT, EXIT_LOAD_EFER, NEEDED },

	{ "loading debug controls", VMX_ENTRY, ENTRY_LOAD_DEBUG, NEEDED },
	{ "loading PAT at entries", VMX_ENTRY, ENTRY_LOAD_PAT, NEEDED },
	{ "loading EFER at entries", VMX_ENTRY, ENTRY_LOAD_EFER, NEEDED },
};

void vmx_controls_read(struct vmx_control_caps *out)
{
	static const uint32_t plain[VMX_CONTROL_WORDS] = {
		[VMX_PIN] = MSR_VMX_PIN, [VMX_PROC] = MSR_VMX_PROC, [VMX_EXIT] = MSR_VMX_EXIT,
		[VMX_ENTRY] = MSR_VMX_ENTRY,
	};
	static const uint32_t exact[VMX_CONTROL_WORDS] = {
		[VMX_PIN] = MSR_VMX_TRUE_PIN, [VMX_PROC] = MSR_VMX_TRUE_PROC,
		[VMX_EXIT] = MSR_VMX_TRUE_EXIT, [VMX_ENTRY] = MSR_VMX_TRUE_ENTRY,
	};
	const uint32_t *msr = cpu_rdmsr(MSR_VMX_BASIC) & VMX_BASIC_TRUE ? exact : plain;

	for (unsigned i = 0; i < VMX_CONTROL_WORDS; i++)
		out->caps[i] = msr[i] ? cpu_rdmsr(msr[i]) : 0;
	/* Without secondary controls their MSR does not exist. */
	if (out->caps[VMX_PROC] >> 32 & PROC_SECONDARY)
		out->caps[VMX_PROC2] = cpu_rdmsr(MSR_VMX_PROC2);
}

/*
 * With EPT the accesses to CR3 and INVLPG are the guest's own, and what some chips report as always
 * on without the exact MSRs is off there.
 */
int vmx_controls_adjust(const struct vmx_control_caps *caps, struct vmx_controls *out,
			const char **missing)
{
	for (unsigned i = 0; i < VMX_CONTROL_WORDS; i++)
		out->value[i] = (uint32_t)caps->caps[i];
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		bool there = caps->caps[rows[i].word] >> 32 & rows[i].bit;

		if (there) {
			out->value[rows[i].word] |= rows[i].bit;
		} else if (rows[i].need == NEEDED) {
			*missing = rows[i].name;
			return -ENODEV;
		}
	}
	return 0;
}
