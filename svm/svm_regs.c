/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vCPU's registers and segments by name: where each one lives in the VMCB, in struct
 * svm_vcpu or in the thread's hwstate. Called on the vCPU's thread, or while that thread is parked.
 */
#include "svm/svm.h"

#include "cpu/features.h"

#define AT(field)	offsetof(struct vmcb, field)

/*
 * Of DEBUGCTL a guest gets what VMRUN switches, single steps by branches, and only where it does;
 * there its LBR registers would be switched as well, which costs: only while it is wanted.
 */
static void debugctl_set(struct vmcb *v, uint64_t value)
{
	v->debugctl = cpu_has(FEATURE_SVM_LBR) ? value & DEBUGCTL_BTF : 0;
	v->lbr_control = v->debugctl ? VMCB_LBR_ENABLE : 0;
}

/* Offset of a plain 64-bit register in the VMCB; 0: it is not there or needs more than a move. */
static const uint16_t reg_at[REG_COUNT] = {
	[REG_CR0] = AT(cr0), [REG_CR2] = AT(cr2), [REG_CR3] = AT(cr3), [REG_CR4] = AT(cr4),
	[REG_DR6] = AT(dr6), [REG_DR7] = AT(dr7),
	[REG_STAR] = AT(star), [REG_LSTAR] = AT(lstar), [REG_CSTAR] = AT(cstar),
	[REG_SFMASK] = AT(sfmask), [REG_KERNEL_GS_BASE] = AT(kernel_gs_base),
	[REG_SYSENTER_CS] = AT(sysenter_cs), [REG_SYSENTER_ESP] = AT(sysenter_esp),
	[REG_SYSENTER_EIP] = AT(sysenter_eip), [REG_PAT] = AT(g_pat), [REG_DEBUGCTL] = AT(debugctl),
	[REG_SPEC_CTRL] = AT(spec_ctrl),
};

static const uint16_t seg_at[SEG_COUNT] = {
	[SEG_ES] = AT(es), [SEG_CS] = AT(cs), [SEG_SS] = AT(ss), [SEG_DS] = AT(ds),
	[SEG_FS] = AT(fs), [SEG_GS] = AT(gs), [SEG_LDTR] = AT(ldtr), [SEG_TR] = AT(tr),
	[SEG_GDTR] = AT(gdtr), [SEG_IDTR] = AT(idtr),
};

static void *vmcb_at(struct vcpu *vcpu, uint16_t offset)
{
	return (char *)svm_of(vcpu)->vmcb + offset;
}

uint64_t svm_reg_get(struct vcpu *vcpu, enum reg r)
{
	struct svm_vcpu *s = svm_of(vcpu);

	if (reg_at[r])
		return *(uint64_t *)vmcb_at(vcpu, reg_at[r]);
	if (regs_hw[r])
		return hwstate_get(&vcpu->hw, regs_hw[r]);
	switch (r) {
	case REG_EFER: return s->vmcb->efer & ~EFER_SVME;
	case REG_CR8: return vcpu->vlapic.tpr >> 4;
	default: return 0;
	}
}

void svm_reg_set(struct vcpu *vcpu, enum reg r, uint64_t value)
{
	struct svm_vcpu *s = svm_of(vcpu);

	s->vmcb->clean = 0;
	if (reg_at[r]) {
		*(uint64_t *)vmcb_at(vcpu, reg_at[r]) = value;
		if (r == REG_DR7)
			svm_debug_update(vcpu);
		if (r == REG_DEBUGCTL)
			debugctl_set(s->vmcb, value);
		return;
	}
	if (regs_hw[r]) {
		hwstate_set(&vcpu->hw, regs_hw[r], value);
		if (r >= REG_DR0 && r <= REG_DR3)
			svm_debug_update(vcpu);
		return;
	}
	switch (r) {
	case REG_EFER:
		s->vmcb->efer = value | EFER_SVME;
		break;
	case REG_CR8:
		vcpu->vlapic.tpr = (uint32_t)(value & 15) << 4;
		vcpu->event.look = true;	/* V_TPR follows at the next entry */
		break;
	default:
		break;
	}
}

void svm_segment_get(struct vcpu *vcpu, enum seg seg, struct segment *out)
{
	const struct vmcb_segment *v = vmcb_at(vcpu, seg_at[seg]);
	uint32_t attr = v->attr;

	*out = (struct segment){
		.base = v->base, .limit = v->limit, .selector = v->selector,
		.attr = (attr & 0xff) | (attr & 0xf00) << 4,
	};
	if (seg == SEG_GDTR || seg == SEG_IDTR)
		out->attr = 0;
	else if (!(attr & SEG_P))
		out->attr |= SEG_UNUSABLE;
	/* A null SS need not keep its DPL here; the CPL is what it stands for. */
	if (seg == SEG_SS)
		out->attr = (out->attr & ~SEG_DPL) |
			    (uint32_t)svm_of(vcpu)->vmcb->cpl << SEG_DPL_SHIFT;
}

void svm_segment_set(struct vcpu *vcpu, enum seg seg, const struct segment *in)
{
	struct vmcb_segment *v = vmcb_at(vcpu, seg_at[seg]);
	uint32_t attr = (in->attr & 0xff) | (in->attr & 0xf000) >> 4;

	if (in->attr & SEG_UNUSABLE)
		attr &= ~SEG_P;
	svm_of(vcpu)->vmcb->clean = 0;
	*v = (struct vmcb_segment){
		.base = in->base, .limit = in->limit, .selector = in->selector,
		.attr = (uint16_t)attr,
	};
	if (seg == SEG_SS)
		svm_of(vcpu)->vmcb->cpl = (in->attr & SEG_DPL) >> SEG_DPL_SHIFT;
}

uint64_t svm_segment_base(struct vcpu *vcpu, enum seg seg)
{
	return ((const struct vmcb_segment *)vmcb_at(vcpu, seg_at[seg]))->base;
}

void svm_mode(struct vcpu *vcpu, struct vcpu_mode *out)
{
	const struct vmcb *v = svm_of(vcpu)->vmcb;
	bool lma = v->efer & EFER_LMA;

	out->cr0 = v->cr0;
	out->cr3 = v->cr3;
	out->cr4 = v->cr4;
	out->efer = v->efer & ~EFER_SVME;
	out->cs_base = v->cs.base;
	out->cpl = v->cpl;
	out->long_mode = lma;
	out->bits = lma && v->cs.attr & SEG_L >> 4 ? 64 : v->cs.attr & SEG_DB >> 4 ? 32 : 16;
}

bool svm_code64(struct vcpu *vcpu, uint64_t *cr3, uint64_t *cr4)
{
	const struct vmcb *v = svm_of(vcpu)->vmcb;

	if (unlikely(!(v->cs.attr & SEG_L >> 4 && v->efer & EFER_LMA)))
		return false;
	*cr3 = v->cr3;
	*cr4 = v->cr4;
	return true;
}
