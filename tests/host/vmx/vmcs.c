/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The accesses to a vCPU's VMCS that vmx/vmx_vcpu.c has, to the one of tests/host/vmx/vmx_insn.h;
 * and a chip without errata.
 */
#include "cpu/errata.h"
#include "vmx/vmx.h"
#include "vmx/vmx_insn.h"

uint64_t vmx_field_get(struct vmx_vcpu *s, enum vmcs_field field)
{
	(void)s;
	return vmcs_read(field);
}

void vmx_field_set(struct vmx_vcpu *s, enum vmcs_field field, uint64_t value)
{
	(void)s;
	vmcs_write(field, value);
}

bool errata_has(enum erratum e)
{
	(void)e;
	return false;
}

void errata_force(enum erratum e, bool found)
{
	(void)e;
	(void)found;
}
