/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Machine checks that surface as exits. #MC is intercepted and handed to the host, but for one that
 * a guest can cause itself: on family 10h page tables of changing size may give two TLB entries for
 * one address (erratum 383), which costs that guest its life and nobody else's. A guest that has
 * not set CR4.MCE yet turns a machine check into a shutdown: the banks tell it from a triple fault.
 * Source: AMD64 APM 2, "Machine Check Architecture"; AMD's revision guide for family 10h, 383.
 */
#include "svm/svm.h"

#include "cpu/cpu.h"
#include "cpu/errata.h"
#include "cpu/features.h"
#include "kernel/trap.h"
#include "vmm/exit.h"
#include "vmm/vm.h"

#define DC_CFG_383		BIT(47)		/* AMD's words: set it, and the error is reported */
#define MC0_STATUS_383		0xb600000000010015ul
#define MC_STATUS_OVERFLOW	BIT(62)		/* may or may not come with it */
#define BANKS_383		6

void svm_machine_check_cpu_init(void)
{
	uint64_t v;

	if (errata_has(ERRATUM_SVM_TLB_MULTIMATCH) && !cpu_rdmsr_safe(MSR_DC_CFG, &v))
		(void)!cpu_wrmsr_safe(MSR_DC_CFG, v | DC_CFG_383);
}

static bool is_multimatch(void)
{
	uint64_t status;

	return errata_has(ERRATUM_SVM_TLB_MULTIMATCH) &&
	       !cpu_rdmsr_safe(MSR_MC0_STATUS, &status) &&
	       (status & ~MC_STATUS_OVERFLOW) == MC0_STATUS_383;
}

/* The error is dealt with; the TLB forgets what made it. */
static void clear_multimatch(void)
{
	uint64_t status, cr4 = cpu_read_cr4();

	for (unsigned i = 0; i < BANKS_383; i++)
		(void)!cpu_wrmsr_safe(MSR_MC0_STATUS + 4 * i, 0);
	if (!cpu_rdmsr_safe(MSR_MCG_STATUS, &status))
		(void)!cpu_wrmsr_safe(MSR_MCG_STATUS, status & ~MCG_STATUS_MCIP);
	cpu_write_cr4(cr4 & ~CR4_PGE);
	cpu_write_cr4(cr4);
	svm_flush_asids();
}

void svm_machine_check(struct vcpu *vcpu, struct vmcb *v)
{
	(void)v;
	if (!is_multimatch()) {
		/* The intercept took it away from the host: as the interrupt it would have been. */
		__asm__ volatile("int $18");
		return;
	}
	clear_multimatch();
	vm_crash(vcpu->vm, "its page tables raised a machine check at rip 0x%lx (erratum 383)",
		 vcpu->rip);
}

/* Does a bank hold an error that nothing can mend? */
static bool is_uncorrected(void)
{
	const uint64_t uncorrected = MC_STATUS_VAL | MC_STATUS_UC | MC_STATUS_EN;
	uint64_t cap, status;

	if (!cpu_has(FEATURE_MCA) || cpu_rdmsr_safe(MSR_MCG_CAP, &cap))
		return false;
	for (unsigned i = 0; i < FIELD(cap, 7, 0); i++)
		if (!cpu_rdmsr_safe(MSR_MC0_STATUS + 4 * i, &status) &&
		    (status & uncorrected) == uncorrected)
			return true;
	return false;
}

/* What the VMCB holds after a shutdown is not defined: the report may be of no use. */
void svm_shutdown(struct vcpu *vcpu, struct vmcb *v)
{
	(void)v;
	if (is_uncorrected())
		trap_machine_check();
	exit_shutdown(vcpu);
}
