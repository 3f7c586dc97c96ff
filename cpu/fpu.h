/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's x87, SSE, AVX ... state, which Keel's own code never uses. Areas are in XSAVE's
 * standard form (FXSAVE's on a CPU without XSAVE), 64-byte aligned; XCR0 holds everything Keel
 * supports except while a guest runs.
 * Where a guest can set bits of XCR0 that it must not have (ERRATUM_XSETBV_NOT_INTERCEPTED), Keel's
 * XCR0 has them too: what they stand for is never saved, and is as after reset at each restore.
 * Source: Intel SDM 1, "Managing State Using the XSAVE Feature Set".
 */
#pragma once

#include "include/compiler.h"

#define FPU_ALIGN	64

/* Boot CPU: which state there is. */
void fpu_init(void);
/*
 * Each CPU: CR0, CR4 and XCR0; the boot CPU when it is known whether XSETBV is intercepted
 * (svm/svm_errata.c).
 */
void fpu_cpu_init(void);
/* Boot CPU, then: ERRATUM_XSAVEC_MISPLACES, by a trial. */
void fpu_errata_find(void);

/* What guests may have at most; 0 without XSAVE. */
uint64_t fpu_xcr0_offered(void);
/* What XCR0 holds when no guest is loaded; 0 without XSAVE, and before fpu_cpu_init(). */
uint64_t fpu_xcr0(void);
size_t fpu_area_size(void);
/* The state after reset. */
void fpu_area_init(void *area);

/* XCR0 is Keel's. */
void fpu_save(void *area);
/* -EFAULT if the area is malformed: the registers then hold the state after reset. */
int fpu_restore(const void *area) must_check;

/*
 * PKRU, a guest's own: in the CPU, or in its saved area. Keel has CR4.PKE on wherever it is, and no
 * user pages.
 */
uint32_t fpu_pkru_loaded(void);
uint32_t fpu_pkru_saved(const void *area);

/* May a guest load this into XCR0? */
bool fpu_xcr0_valid(uint64_t xcr0);
/* What is left of it where the chip has taken what a guest of those `allowed` must not have. */
uint64_t fpu_xcr0_refuse(uint64_t xcr0, uint64_t allowed);
