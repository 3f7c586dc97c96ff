/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Quirks of chips and of the emulators that stand in for them: one table, judged once at boot. Code
 * that must act differently asks errata_has(); what a register cures is cured on every CPU by
 * errata_cpu_init(). `nodeinfo` shows what was found, with the explanation. Never #ifdef.
 */
#pragma once

#include "include/compiler.h"

enum erratum {
	ERRATUM_SVM_INJECT_BY_VIRQ,
	ERRATUM_SVM_INJECT_BY_EVENTINJ,
	ERRATUM_SVM_CR8_WITH_VIRQ,
	ERRATUM_SVM_SHADOW_LOST,
	ERRATUM_SVM_EXIT_CODE_SHORT,
	ERRATUM_SVM_CR_FAULT_INVALID,
	ERRATUM_SVM_FLUSH_ALL_ONLY,
	ERRATUM_SVM_NPF_PRESENT_LOST,
	ERRATUM_SVM_RDTSCP_AS_RDTSC,
	ERRATUM_SVM_NO_TASK_SWITCH_EXIT,
	ERRATUM_SVM_NO_VM_CR,
	ERRATUM_SVM_BREAKPOINTS_STAY,
	ERRATUM_SVM_NO_GENERAL_DETECT,
	ERRATUM_SVM_NO_PREEMPTION,
	ERRATUM_SVM_TLB_MULTIMATCH,
	ERRATUM_XSETBV_NOT_INTERCEPTED,
	ERRATUM_INTERRUPT_MAY_GET_LOST,
	ERRATUM_VMX_PREEMPT_BY_TIMER_ONLY,
	ERRATUM_VMX_NO_MTF,
	ERRATUM_VMX_WALKS_PAST_EPT,
	ERRATUM_XSAVEC_MISPLACES,
	ERRATUM_CPUID_TSC_WRONG,
	ERRATUM_AMD_C1E,
	ERRATUM_TSC_DEADLINE,
	ERRATUM_AMD_LFENCE,
	ERRATUM_ITLB_MULTIHIT,
	ERRATUM_COUNT
};

/* features_init() has run. */
void errata_init(void);
/* itlb_multihit=on or off: for tests, and for who trusts all guests. */
void errata_take_options(void);
/* Says what was found; when the back end has looked, too. */
void errata_log(void);
/* Every CPU, the boot CPU after errata_init(). */
void errata_cpu_init(void);
bool errata_has(enum erratum e);
/* For what is only found out by measuring. */
void errata_set(enum erratum e);
/* For what the command line says, or a trial on the chip. Before anything asks. */
void errata_force(enum erratum e, bool found);
const char *errata_name(enum erratum e);
const char *errata_text(enum erratum e);	/* one line */

/*
 * Of Intel's family 6, the Atoms and Xeon Phis: their instruction TLBs do not mind two sizes of one
 * page, and they do not read L1 where the page is not present.
 */
bool errata_is_small_core(void);

/* What the table judges by. */
enum errata_bed { BED_CHIP, BED_QEMU_TCG, BED_BOCHS };
enum errata_bed errata_bed(void);
