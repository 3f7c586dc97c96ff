/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vCPU's registers and segments by name: where each one lives in the VMCS, in struct
 * vmx_vcpu or in the thread's hwstate. Called on the vCPU's thread, or while that thread is parked.
 */
#include "vmx/vmx.h"

#include "cpu/registers.h"

#define SEG_VALID	(SEG_TYPE | SEG_S | SEG_DPL | SEG_P | SEG_AVL | SEG_L | SEG_DB | SEG_G | \
			 SEG_UNUSABLE)

/* Field of a plain register in the VMCS; 0: it is not there or needs more than a move. */
static const uint16_t reg_at[REG_COUNT] = {
	[REG_CR3] = VMCS_GUEST_CR3, [REG_DR7] = VMCS_GUEST_DR7,
	[REG_SYSENTER_CS] = VMCS_GUEST_SYSENTER_CS, [REG_SYSENTER_ESP] = VMCS_GUEST_SYSENTER_ESP,
	[REG_SYSENTER_EIP] = VMCS_GUEST_SYSENTER_EIP, [REG_PAT] = VMCS_GUEST_PAT,
	[REG_DEBUGCTL] = VMCS_GUEST_DEBUGCTL, [REG_PDPTE0] = VMCS_GUEST_PDPTE0,
	[REG_PDPTE1] = VMCS_GUEST_PDPTE0 + 2, [REG_PDPTE2] = VMCS_GUEST_PDPTE0 + 4,
	[REG_PDPTE3] = VMCS_GUEST_PDPTE0 + 6,
};

/* What the guest reads: its own bits from the register, the others from the shadow. */
static uint64_t cr_get(struct vmx_vcpu *s, enum vmcs_field real, enum vmcs_field shadow,
		       uint64_t guest)
{
	return (vmx_field_get(s, real) & guest) | (vmx_field_get(s, shadow) & ~guest);
}

uint64_t vmx_reg_get(struct vcpu *vcpu, enum reg r)
{
	struct vmx_vcpu *s = vmx_of(vcpu);

	if (reg_at[r])
		return vmx_field_get(s, reg_at[r]);
	if (regs_hw[r])
		return hwstate_get(&vcpu->hw, regs_hw[r]);
	switch (r) {
	case REG_CR0: return cr_get(s, VMCS_GUEST_CR0, VMCS_CR0_SHADOW, VMX_CR0_GUEST);
	case REG_CR4: return cr_get(s, VMCS_GUEST_CR4, VMCS_CR4_SHADOW, s->cr4_guest);
	case REG_CR8: return vcpu->vlapic.tpr >> 4;
	case REG_EFER: return s->efer;
	default: return 0;
	}
}

/* The chip wants to hear of long mode in three places. */
static void efer_set(struct vmx_vcpu *s, uint64_t value)
{
	uint32_t entry = vmx_controls.value[VMX_ENTRY];

	s->efer = value;
	vmx_field_set(s, VMCS_GUEST_EFER, value);
	vmx_field_set(s, VMCS_ENTRY_CONTROLS,
		      value & EFER_LMA ? entry | ENTRY_IA32E : entry & ~(uint32_t)ENTRY_IA32E);
}

void vmx_reg_set(struct vcpu *vcpu, enum reg r, uint64_t value)
{
	struct vmx_vcpu *s = vmx_of(vcpu);

	if (reg_at[r]) {
		/* LBR's registers are not switched, so there is no LBR. */
		vmx_field_set(s, reg_at[r], r == REG_DEBUGCTL ? value & DEBUGCTL_BTF : value);
		return;
	}
	if (regs_hw[r]) {
		hwstate_set(&vcpu->hw, regs_hw[r], value);
		return;
	}
	switch (r) {
	case REG_CR0:
		/* The caches are the host's matter: the guest's CD and NW are only shown to it. */
		vmx_field_set(s, VMCS_GUEST_CR0,
			      (value & ~(CR0_CD | CR0_NW)) | vmx_cr0_fixed | CR0_ET);
		vmx_field_set(s, VMCS_CR0_SHADOW, value);
		break;
	case REG_CR4:
		vmx_field_set(s, VMCS_GUEST_CR4, value | vmx_cr4_fixed | CR4_VMXE | CR4_MCE);
		vmx_field_set(s, VMCS_CR4_SHADOW, value);
		break;
	case REG_CR8:
		vcpu->vlapic.tpr = (uint32_t)(value & 15) << 4;
		vcpu->event.look = true;	/* the virtual-APIC page follows at the next
						 * entry */
		break;
	case REG_EFER:
		efer_set(s, value);
		break;
	default:
		break;
	}
}

void vmx_segment_get(struct vcpu *vcpu, enum seg seg, struct segment *out)
{
	struct vmx_vcpu *s = vmx_of(vcpu);
	bool table = seg == SEG_GDTR || seg == SEG_IDTR;

	*out = (struct segment){
		.base = vmx_field_get(s, VMCS_GUEST_ES_BASE + 2 * seg),
		.limit = (uint32_t)vmx_field_get(s, VMCS_GUEST_ES_LIMIT + 2 * seg),
	};
	if (table)
		return;
	out->selector = (uint16_t)vmx_field_get(s, VMCS_GUEST_ES_SELECTOR + 2 * seg);
	out->attr = (uint32_t)vmx_field_get(s, VMCS_GUEST_ES_ACCESS + 2 * seg) & SEG_VALID;
}

/*
 * The chip takes only what a load of a segment register leaves behind: accessed, the task busy,
 * granularity as the limit has it. Loaders and records need not know.
 */
static uint32_t attr_as_loaded(enum seg seg, const struct segment *in)
{
	uint32_t attr = in->attr & SEG_VALID;

	if (seg == SEG_TR)
		attr = (attr & ~SEG_UNUSABLE) | SEG_P | 3 | (attr & 8);
	if (!(attr & SEG_P))
		attr |= SEG_UNUSABLE;
	if (seg <= SEG_GS && !(attr & SEG_UNUSABLE))
		attr |= 1;
	if (in->limit >> 20)
		attr |= SEG_G;
	else if ((in->limit & 0xfff) != 0xfff)
		attr &= ~SEG_G;
	return attr;
}

void vmx_segment_set(struct vcpu *vcpu, enum seg seg, const struct segment *in)
{
	struct vmx_vcpu *s = vmx_of(vcpu);

	vmx_field_set(s, VMCS_GUEST_ES_BASE + 2 * seg, in->base);
	vmx_field_set(s, VMCS_GUEST_ES_LIMIT + 2 * seg, in->limit);
	if (seg == SEG_GDTR || seg == SEG_IDTR)
		return;
	vmx_field_set(s, VMCS_GUEST_ES_SELECTOR + 2 * seg, in->selector);
	vmx_field_set(s, VMCS_GUEST_ES_ACCESS + 2 * seg, attr_as_loaded(seg, in));
}

uint64_t vmx_segment_base(struct vcpu *vcpu, enum seg seg)
{
	return vmx_field_get(vmx_of(vcpu), VMCS_GUEST_ES_BASE + 2 * seg);
}

void vmx_mode(struct vcpu *vcpu, struct vcpu_mode *out)
{
	struct vmx_vcpu *s = vmx_of(vcpu);
	uint32_t cs = (uint32_t)vmx_field_get(s, VMCS_GUEST_CS_ACCESS);
	bool lma = s->efer & EFER_LMA;

	out->cr0 = vmx_reg_get(vcpu, REG_CR0);
	out->cr3 = vmx_field_get(s, VMCS_GUEST_CR3);
	out->cr4 = vmx_reg_get(vcpu, REG_CR4);
	out->efer = s->efer;
	out->cs_base = vmx_field_get(s, VMCS_GUEST_CS_BASE);
	out->cpl = (uint8_t)((vmx_field_get(s, VMCS_GUEST_SS_ACCESS) & SEG_DPL) >> SEG_DPL_SHIFT);
	out->long_mode = lma;
	out->bits = lma && cs & SEG_L ? 64 : cs & SEG_DB ? 32 : 16;
}

bool vmx_code64(struct vcpu *vcpu, uint64_t *cr3, uint64_t *cr4)
{
	struct vmx_vcpu *s = vmx_of(vcpu);

	if (!(s->efer & EFER_LMA && vmx_field_get(s, VMCS_GUEST_CS_ACCESS) & SEG_L))
		return false;
	*cr3 = vmx_field_get(s, VMCS_GUEST_CR3);
	*cr4 = vmx_reg_get(vcpu, REG_CR4);
	return true;
}
