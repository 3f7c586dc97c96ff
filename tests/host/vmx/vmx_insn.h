/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host stand-in for vmx/vmx_insn.h: one VMCS, an array by encoding, whichever page is current.
 */
#pragma once

#include "include/addr.h"
#include "vmx/vmcs.h"

__attribute__((weak)) uint64_t host_vmcs[0x8000];
__attribute__((weak)) hpa_t host_vmcs_current;

static inline uint64_t vmcs_read(enum vmcs_field field)
{
	return host_vmcs[field];
}

static inline void vmcs_write(enum vmcs_field field, uint64_t v)
{
	host_vmcs[field] = v;
}

static inline void vmx_vmptrld(hpa_t vmcs)
{
	host_vmcs_current = vmcs;
}

static inline void vmx_vmclear(hpa_t vmcs)
{
	if (host_vmcs_current.v == vmcs.v)
		host_vmcs_current = HPA(0);
}
