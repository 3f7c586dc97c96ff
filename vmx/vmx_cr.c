/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's control registers. Bits that a guest may change freely are its own; the others are
 * Keel's, the guest reads them from a shadow and a write that differs exits to here. CR0: PE and
 * PG, for long mode follows them; CD and NW, for the caches are the host's; NE, which VMX fixes.
 * CR4: what the guest's CPUID does not show, and VMXE: setting one of these is #GP; and MCE,
 * without which a machine check in guest mode would be the machine's shutdown rather than an exit.
 * Source: Intel SDM 3, "Guest/Host Masks and Read Shadows for CR0 and CR4"; "Initializing IA-32e
 * Mode"; "PAE Paging".
 */
#include "vmx/vmx.h"

#include "cpu/registers.h"
#include "vmm/cpuid.h"
#include "vmm/exit.h"
#include "vmm/gmem/gmem.h"
#include "vmm/vm.h"
#include "vmx/vmx_insn.h"

#define CR0_DEFINED (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | \
		     CR0_NW | CR0_CD | CR0_PG)

/*
 * Of a PAE page-directory-pointer entry, below the address; the bits above it follow the guest's
 * address width.
 */
#define PDPTE_RESERVED	(BITS(2, 1) | BITS(8, 5))

uint64_t vmx_cr4_guest(const struct vcpu *vcpu)
{
	return vcpu->vm->cpuid->cr4_allowed & ~(CR4_MCE | vmx_cr4_fixed);
}

int vmx_pdptes_load(struct vcpu *vcpu, uint64_t cr3)
{
	uint64_t high = ~(BIT(vcpu->vm->cpuid->phys_bits) - 1), e[4];
	int err = gmem_read(&vcpu->vm->gmem, GPA(cr3 & 0xffffffe0), e, sizeof(e));

	if (err)
		return err == -EFAULT ? -EINVAL : err;
	for (unsigned i = 0; i < 4; i++)
		if (e[i] & 1 && e[i] & (PDPTE_RESERVED | high))
			return -EINVAL;
	for (unsigned i = 0; i < 4; i++)
		vmx_reg_set(vcpu, REG_PDPTE0 + i, e[i]);
	return 0;
}

/* Paging goes on. */
static int enable_paging(struct vcpu *vcpu, uint64_t cr4)
{
	struct vmx_vcpu *s = vmx_of(vcpu);
	uint32_t tr;

	if (!(s->efer & EFER_LME))
		return cr4 & CR4_PAE ? vmx_pdptes_load(vcpu, vmcs_read(VMCS_GUEST_CR3)) : 0;
	if (!(cr4 & CR4_PAE) || vmcs_read(VMCS_GUEST_CS_ACCESS) & SEG_L)
		return -EINVAL;
	/*
	 * A 16-bit task is no task of long mode's; on a chip of its own nobody would look
	 * before the next LTR.
	 */
	tr = (uint32_t)vmcs_read(VMCS_GUEST_TR_ACCESS);
	if ((tr & SEG_TYPE) != 0xb)
		vmcs_write(VMCS_GUEST_TR_ACCESS, (tr & ~SEG_TYPE) | 0xb);
	vmx_reg_set(vcpu, REG_EFER, s->efer | EFER_LMA);
	return 0;
}

static int disable_paging(struct vcpu *vcpu, uint64_t cr4)
{
	struct vmx_vcpu *s = vmx_of(vcpu);

	if (s->efer & EFER_LMA) {
		if (cr4 & CR4_PCIDE || vmcs_read(VMCS_GUEST_CS_ACCESS) & SEG_L)
			return -EINVAL;
		vmx_reg_set(vcpu, REG_EFER, s->efer & ~EFER_LMA);
	}
	return 0;
}

static int cr0_write(struct vcpu *vcpu, uint64_t value)
{
	uint64_t old = vmx_reg_get(vcpu, REG_CR0), cr4 = vmx_reg_get(vcpu, REG_CR4);
	int err = 0;

	if (value >> 32 || (value & CR0_PG && !(value & CR0_PE)) ||
	    (value & CR0_NW && !(value & CR0_CD)))
		return -EINVAL;
	value = (value & CR0_DEFINED) | CR0_ET;
	if (value & ~old & CR0_PG)
		err = enable_paging(vcpu, cr4);
	else if (old & ~value & CR0_PG)
		err = disable_paging(vcpu, cr4);
	if (err)
		return err;
	vmx_reg_set(vcpu, REG_CR0, value);
	if ((value ^ old) & (CR0_PG | CR0_PE))
		vmx_flush_linear(vcpu);
	return 0;
}

/* Comes here with a bit that the guest does not have, or because MCE changes. */
static int cr4_write(struct vcpu *vcpu, uint64_t value)
{
	struct vmx_vcpu *s = vmx_of(vcpu);
	uint64_t old = vmx_reg_get(vcpu, REG_CR4), changed = old ^ value,
		 cr3 = vmcs_read(VMCS_GUEST_CR3);
	bool lma = s->efer & EFER_LMA;
	int err = 0;

	if (value & ~(s->cr4_guest | CR4_MCE) || (lma && !(value & CR4_PAE)))
		return -EINVAL;
	if (changed & value & CR4_PCIDE && (!lma || cr3 & 0xfff))
		return -EINVAL;
	if (!lma && value & CR4_PAE && vmx_reg_get(vcpu, REG_CR0) & CR0_PG &&
	    changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP))
		err = vmx_pdptes_load(vcpu, cr3);
	if (err)
		return err;
	vmx_reg_set(vcpu, REG_CR4, value);
	if (changed & ~CR4_MCE)
		vmx_flush_linear(vcpu);
	return 0;
}

/* LMSW moves the low four bits and can set PE, but not clear it. */
static uint64_t lmsw(struct vcpu *vcpu, uint64_t source)
{
	uint64_t cr0 = vmx_reg_get(vcpu, REG_CR0);

	return (cr0 & ~(CR0_MP | CR0_EM | CR0_TS)) | (source & (CR0_PE | CR0_MP | CR0_EM | CR0_TS));
}

static uint64_t gpr_value(struct vcpu *vcpu, unsigned r)
{
	return vmx_of(vcpu)->efer & EFER_LMA && vmcs_read(VMCS_GUEST_CS_ACCESS) & SEG_L
		       ? vcpu->gpr[r] : (uint32_t)vcpu->gpr[r];
}

void vmx_exit_cr(struct vcpu *vcpu)
{
	uint64_t q = vmcs_read(VMCS_QUALIFICATION);
	unsigned length = (unsigned)vmcs_read(VMCS_EXIT_LENGTH), number = q & CR_NUMBER,
		 how = FIELD(q, 5, 4);
	int err = -EINVAL;

	if (number == 8 && how <= CR_MOV_FROM) {
		exit_cr8(vcpu, how == CR_MOV_TO, FIELD(q, 11, 8), length);
		return;
	}
	if (number == 0 && how == CR_MOV_TO)
		err = cr0_write(vcpu, gpr_value(vcpu, FIELD(q, 11, 8)));
	else if (number == 0 && how == CR_LMSW)
		err = cr0_write(vcpu, lmsw(vcpu, q >> CR_LMSW_SOURCE_SHIFT));
	else if (number == 4 && how == CR_MOV_TO)
		err = cr4_write(vcpu, gpr_value(vcpu, FIELD(q, 11, 8)));
	if (err == -EINVAL)
		event_gp(vcpu);
	else if (err && err != -EINTR)
		vm_crash(vcpu->vm, "no memory for the guest's page tables");
	else if (!err)
		vcpu_next(vcpu, length);
}
