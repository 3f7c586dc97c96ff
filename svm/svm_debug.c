/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's breakpoints where neither VMRUN arms nor #VMEXIT disarms them, but the MOV to DR7 alone
 * (ERRATUM_SVM_BREAKPOINTS_STAY): left to itself such a guest stops Keel, or reads and stops the
 * next guest. There a guest's writes to DR0 to DR3 and DR7 exit, so that it never arms anything;
 * svm_enter_armed() does it around the guest. Elsewhere the guest has these registers to itself.
 * Between arming and VMRUN, and from the exit to disarming, stand four instructions of Keel's that
 * touch no memory: a breakpoint on one of these is not armed.
 * Source: AMD64 APM 2, "Debug Registers"; "VMRUN and #VMEXIT".
 */
#include "svm/svm.h"

#include "cpu/errata.h"
#include "cpu/registers.h"
#include "vmm/emulate.h"

static const uint8_t intercepts[] = { 0, 1, 2, 3, 5, 7 };	/* 5 is 7 without CR4.DE */

void svm_debug_init(struct vmcb *v)
{
	if (!errata_has(ERRATUM_SVM_BREAKPOINTS_STAY))
		return;
	for (unsigned i = 0; i < ARRAY_COUNT(intercepts); i++)
		svm_intercept_set(v, INTERCEPT_DR_WRITE + intercepts[i], true);
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

	s->armed = 0;
	s->enter = svm_enter;
	if (!errata_has(ERRATUM_SVM_BREAKPOINTS_STAY))
		return;
	for (unsigned i = 0; i < 4; i++)
		if (stands_in_keels_way(dr7, i, debugregs_get(&s->debug, s->loaded, i)))
			dr7 &= ~(3ul << 2 * i);
	if (dr7 & DR7_ENABLED) {
		s->armed = dr7;
		s->enter = enter_armed;
	}
}

/* MOV to DRn at RIP, which only ring 0 comes to. */
void svm_debug_write(struct vcpu *vcpu, struct vmcb *v)
{
	unsigned n = (unsigned)v->exit_code - SVM_EXIT_DR_WRITE, decoded = 0, length;
	bool write = false, bits64 = v->efer & EFER_LMA && v->cs.attr & SEG_L >> 4;
	enum gpr r = 0;
	uint64_t value;

	length = emulate_decode_mov_dr(vcpu, &decoded, &write, &r);
	if (!length || !write || decoded != n)
		return;			/* changed meanwhile: it runs again */
	value = bits64 ? vcpu->gpr[r] : (uint32_t)vcpu->gpr[r];
	if (n == 5 && v->cr4 & CR4_DE) {
		event_ud(vcpu);
		return;
	}
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
