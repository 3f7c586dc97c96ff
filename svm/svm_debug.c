/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's breakpoints where neither VMRUN arms nor #VMEXIT disarms them, but the MOV to DR7 alone
 * (ERRATUM_SVM_BREAKPOINTS_STAY): left to itself such a guest stops Keel, or reads and stops the
 * next guest. There a guest's writes to DR0 to DR3 and DR7 exit, so that it never arms anything;
 * svm_enter_armed() does it around the guest. Elsewhere the guest has these registers to itself.
 * Between arming and VMRUN, and from the exit to disarming, stand four instructions of Keel's that
 * touch no memory: a breakpoint on one of these is not armed.
 * Where the chip does not know DR7.GD (ERRATUM_SVM_NO_GENERAL_DETECT) all accesses of a guest that
 * has set it exit, and become its #DB.
 * Source: AMD64 APM 2, "Debug Registers"; "VMRUN and #VMEXIT".
 */
#include "svm/svm.h"

#include "cpu/errata.h"
#include "cpu/registers.h"
#include "vmm/insn/emulate.h"

#define READS(registers)	((uint32_t)(registers))
#define WRITES(registers)	((uint32_t)(registers) << (INTERCEPT_DR_WRITE - INTERCEPT_DR_READ))
#define DR_0_TO_3		BITS(3, 0)
#define DR_7			(BIT(5) | BIT(7))	/* 5 is 7 without CR4.DE */
#define DR_ALL			BITS(7, 0)

static void intercept(struct vmcb *v)
{
	uint32_t accesses = 0;

	if (errata_has(ERRATUM_SVM_BREAKPOINTS_STAY))
		accesses |= WRITES(DR_0_TO_3 | DR_7);
	if (errata_has(ERRATUM_SVM_NO_GENERAL_DETECT))
		accesses |= v->dr7 & DR7_GD ? READS(DR_ALL) | WRITES(DR_ALL) : WRITES(DR_7);
	v->intercept[INTERCEPT_DR_READ / 32] = accesses;
}

static bool stands_in_keels_way(uint64_t dr7, unsigned n, uint64_t address)
{
	return !(dr7 & DR7_TYPE(n)) && address >= (uint64_t)svm_armed_from &&
	       address < (uint64_t)svm_armed_to;
}

static void enter_armed(uint64_t *gpr, hpa_t vmcb, hpa_t host_vmcb)
{
	struct vcpu *vcpu = container_of(gpr, struct vcpu, gpr[0]);

	svm_enter_armed(gpr, vmcb, host_vmcb, svm_of(vcpu)->armed);
}

void svm_debug_update(struct vcpu *vcpu)
{
	struct svm_vcpu *s = svm_of(vcpu);
	uint64_t dr7 = s->vmcb->dr7 & ~DR7_GD;

	intercept(s->vmcb);
	s->armed = 0;
	s->enter = svm_enter;
	if (!errata_has(ERRATUM_SVM_BREAKPOINTS_STAY))
		return;
	for (unsigned i = 0; i < 4; i++)
		if (stands_in_keels_way(dr7, i, hwstate_get(&vcpu->hw, HW_DR0 + i)))
			dr7 &= ~(3ul << 2 * i);
	if (dr7 & DR7_ENABLED) {
		s->armed = dr7;
		s->enter = enter_armed;
	}
}

/* MOV to DRn at RIP. */
static void write_dr(struct vcpu *vcpu, struct vmcb *v, unsigned n, enum gpr r, unsigned length)
{
	bool bits64 = v->efer & EFER_LMA && v->cs.attr & SEG_L >> 4;
	uint64_t value = bits64 ? vcpu->gpr[r] : (uint32_t)vcpu->gpr[r];

	if (n >= 4 && value >> 32) {
		event_gp(vcpu);
		return;
	}
	if (n >= 4)
		svm_reg_set(vcpu, REG_DR7, (value & DR7_DEFINED) | DR7_RESET);
	else
		svm_reg_set(vcpu, REG_DR0 + n, value);
	vcpu_next(vcpu, length);
}

/* MOV to or from DRn at RIP, which only ring 0 comes to; from one with DR7.GD alone. */
void svm_debug_access(struct vcpu *vcpu, struct vmcb *v)
{
	bool writes = v->exit_code >= SVM_EXIT_DR_WRITE, write = !writes;
	unsigned n = (unsigned)v->exit_code % 16, decoded = 0, length;
	enum gpr r = 0;

	length = emulate_decode_mov_dr(vcpu, &decoded, &write, &r);
	if (!length || write != writes || decoded != n)
		return;			/* changed meanwhile: it runs again */
	if ((n == 4 || n == 5) && v->cr4 & CR4_DE) {
		event_ud(vcpu);
	} else if (v->dr7 & DR7_GD) {
		event_debug(vcpu, DR6_BD);
	} else if (writes) {
		write_dr(vcpu, v, n, r, length);
	}
}
