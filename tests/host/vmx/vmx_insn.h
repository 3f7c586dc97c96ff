/* SPDX-License-Identifier: BSD-2-Clause */
/* Host stand-in for vmx/vmx_insn.h: one VMCS, an array by encoding, that is always current. */
#pragma once

#include "include/addr.h"
#include "vmx/vmcs.h"

__attribute__((weak)) uint64_t host_vmcs[0x8000];

static inline uint64_t vmcs_read(enum vmcs_field field)
{
	return host_vmcs[field];
}

static inline void vmcs_write(enum vmcs_field field, uint64_t v)
{
	host_vmcs[field] = v;
}
