/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's CR4, for a VM whose CPU model takes features away that have a bit there: the chip would
 * let them be set. Without such a model CR4 is written without an exit.
 * Source: AMD64 APM 2, "CR4 Register"; "Long Mode Consistency Checks"; "Process Context
 * Identifiers".
 */
#include "svm/svm.h"

#include "cpu/registers.h"
#include "include/errno.h"
#include "vmm/exit.h"
#include "vmm/insn/emulate.h"
#include "vmm/vm.h"

#define CR3_PCID	0xffful

static int cr4_write(struct vcpu *vcpu, struct vmcb *v, uint64_t value)
{
	uint64_t changed = v->cr4 ^ value;
	bool lma = v->efer & EFER_LMA;

	if (value & ~vcpu->vm->cpuid->cr4_allowed || (lma && !(value & CR4_PAE)))
		return -EINVAL;
	if (changed & value & CR4_PCIDE && (!lma || v->cr3 & CR3_PCID))
		return -EINVAL;
	svm_reg_set(vcpu, REG_CR4, value);
	if (changed)
		svm_flush_tlb(vcpu);
	return 0;
}

/* Also a chip's own way to tell reserved bits, on some beds. */
void svm_cr4_write(struct vcpu *vcpu, struct vmcb *v)
{
	unsigned cr = 0, length;
	bool write = false;
	enum gpr r = 0;
	struct vcpu_mode m;

	length = emulate_decode_mov_cr(vcpu, &cr, &write, &r);
	if (!length || cr != 4 || !write)
		return;		/* the code has changed under the exit: it runs again */
	svm_mode(vcpu, &m);
	if (cr4_write(vcpu, v, m.bits == 64 ? vcpu->gpr[r] : (uint32_t)vcpu->gpr[r]))
		event_gp(vcpu);
	else
		vcpu_next(vcpu, length);
}
