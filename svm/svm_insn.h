/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The SVM instructions that C cannot say; VMRUN and VMLOAD are svm_enter.asm's. Host tests see
 * tests/host/svm/svm_insn.h instead.
 * Source: AMD64 APM 3, "System Instruction Reference".
 */
#pragma once

#include "include/addr.h"

static inline void svm_gif_clear(void)
{
	__asm__ volatile("clgi" ::: "memory");
}

static inline void svm_gif_set(void)
{
	__asm__ volatile("stgi" ::: "memory");
}

/* FS, GS, TR, LDTR, the MSRs of SYSCALL and SYSENTER, KernelGsBase: the CPU's into that VMCB. */
static inline void svm_vmsave(hpa_t vmcb)
{
	__asm__ volatile("vmsave %%rax" :: "a"(vmcb.v) : "memory");
}
