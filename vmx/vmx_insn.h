/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VMX instructions that C cannot say. vmcs_* work on this CPU's current VMCS; that there is
 * one, and that it has the field, is asserted. Host tests see tests/host/vmx/vmx_insn.h instead.
 * Source: Intel SDM 3, "VMX Instruction Reference".
 */
#pragma once

#include "include/addr.h"
#include "include/errno.h"
#include "kernel/panic.h"
#include "vmx/vmcs.h"

static inline uint64_t vmcs_read(enum vmcs_field field)
{
	uint64_t v;
	bool failed;

	__asm__ volatile("vmread %2, %0" : "=r"(v), "=@ccbe"(failed)
			 : "r"((uint64_t)field) : "memory");
	ASSERT(!failed);
	return v;
}

static inline void vmcs_write(enum vmcs_field field, uint64_t v)
{
	bool failed;

	__asm__ volatile("vmwrite %1, %2" : "=@ccbe"(failed)
			 : "r"(v), "r"((uint64_t)field) : "memory");
	ASSERT(!failed);
}

static inline void vmx_vmptrld(hpa_t vmcs)
{
	bool failed;

	__asm__ volatile("vmptrld %1" : "=@ccbe"(failed) : "m"(vmcs.v) : "memory");
	ASSERT(!failed);
}

static inline void vmx_vmclear(hpa_t vmcs)
{
	bool failed;

	__asm__ volatile("vmclear %1" : "=@ccbe"(failed) : "m"(vmcs.v) : "memory");
	ASSERT(!failed);
}

static inline int vmx_vmxon(hpa_t region)
{
	bool failed;

	__asm__ volatile("vmxon %1" : "=@ccbe"(failed) : "m"(region.v) : "memory");
	return failed ? -EIO : 0;
}

static inline void vmx_vmxoff(void)
{
	__asm__ volatile("vmxoff" ::: "cc", "memory");
}

enum { INVEPT_ONE = 1, INVEPT_ALL = 2, INVVPID_ALL = 2 };

static inline void vmx_invept(uint64_t kind, uint64_t eptp)
{
	struct { uint64_t eptp, zero; } operand = { eptp, 0 };

	__asm__ volatile("invept %0, %1" :: "m"(operand), "r"(kind) : "cc", "memory");
}

static inline void vmx_invvpid_all(void)
{
	struct { uint64_t vpid, address; } operand = { 0, 0 };

	__asm__ volatile("invvpid %0, %1" :: "m"(operand), "r"((uint64_t)INVVPID_ALL)
			 : "cc", "memory");
}
