/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which controls of the VMCS this machine must and can have: one table of what Keel wants, adjusted
 * to the capability MSRs. Pure but for the reading of MSRs.
 * Source: Intel SDM 3, appendix "VMX Capability Reporting Facility".
 */
#pragma once

#include "include/compiler.h"

enum vmx_control_word { VMX_PIN, VMX_PROC, VMX_PROC2, VMX_EXIT, VMX_ENTRY, VMX_CONTROL_WORDS };

struct vmx_controls {
	uint32_t value[VMX_CONTROL_WORDS];
};

/* Low half: bits that must be 1; high half: bits that may be. */
struct vmx_control_caps {
	uint64_t caps[VMX_CONTROL_WORDS];
};

void vmx_controls_read(struct vmx_control_caps *out);
/* -ENODEV: a control that Keel needs is not there, *missing is its name. */
int vmx_controls_adjust(const struct vmx_control_caps *caps, struct vmx_controls *out,
			const char **missing) must_check;

static inline bool vmx_control_has(const struct vmx_controls *c, enum vmx_control_word w,
				   uint32_t bit)
{
	return c->value[w] & bit;
}
