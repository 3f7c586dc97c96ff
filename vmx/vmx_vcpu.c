/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU's VMCS from birth to end: controls, power-up state, and what must be loaded into the CPU
 * before a guest runs there and saved before another thread does: its hwstate, whole. Whatever a
 * guest can load into the CPU without an exit stands there or in the VMCS. A VMCS is current on a
 * CPU only while its vCPU is loaded there: leaving is a VMCLEAR, so that it can go anywhere.
 * Source: Intel SDM 3, "Virtual Machine Control Structures"; "Processor State after Reset";
 * "Caching Translation Information" of VMX.
 */
#include "vmx/vmx.h"

#include "cpu/cpu.h"
#include "cpu/errata.h"
#include "cpu/features.h"
#include "cpu/gdt.h"
#include "cpu/mitigation.h"
#include "include/errno.h"
#include "kernel/trap.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "mm/page.h"
#include "vmm/cpuid.h"
#include "vmm/vm.h"
#include "vmx/vmx_insn.h"

#define VPID_MAX	0xffff

/* Ticks of a PAUSE loop's gap and length after which it exits. */
#define PLE_GAP		128
#define PLE_WINDOW	4096

/* The guest is left after so long where only the preemption timer does it. */
#define PREEMPT_NS	250000

static void make_current(struct vmx_cpu *c, hpa_t vmcs)
{
	if (vmcs.v)
		vmx_vmptrld(vmcs);
	c->current = vmcs;
}

uint64_t vmx_field_get(struct vmx_vcpu *s, enum vmcs_field field)
{
	struct vmx_cpu *c;
	uint64_t flags, value;
	hpa_t before;

	if (likely(s->loaded))
		return vmcs_read(field);
	flags = cpu_irq_save();
	c = &this_cpu(vmx_cpu);
	before = c->current;
	make_current(c, s->vmcs);
	value = vmcs_read(field);
	vmx_vmclear(s->vmcs);
	make_current(c, before);
	cpu_irq_restore(flags);
	return value;
}

void vmx_field_set(struct vmx_vcpu *s, enum vmcs_field field, uint64_t value)
{
	struct vmx_cpu *c;
	uint64_t flags;
	hpa_t before;

	if (likely(s->loaded)) {
		vmcs_write(field, value);
		return;
	}
	flags = cpu_irq_save();
	c = &this_cpu(vmx_cpu);
	before = c->current;
	make_current(c, s->vmcs);
	vmcs_write(field, value);
	vmx_vmclear(s->vmcs);
	make_current(c, before);
	cpu_irq_restore(flags);
}

/*
 * Accessed and dirty flags in EPT make a guest's page walks writes of its tables: each page of them
 * is marked, and copied where it is shared, though it is only read. So only where walks write in
 * spite of EPT otherwise.
 */
static uint64_t eptp(const struct vcpu *vcpu)
{
	bool flags = errata_has(ERRATUM_VMX_WALKS_PAST_EPT) && vmx_ept_cap & EPT_CAP_ACCESSED_DIRTY;

	return gmem_root(&vcpu->vm->gmem).v | EPTP_WB | EPTP_FOUR_LEVELS |
	       (flags ? EPTP_ACCESSED_DIRTY : 0);
}

/*
 * #AC and #DB, because their delivery can loop for ever inside the chip; #MC, because it
 * is the host's.
 */
static void controls_init(struct vcpu *vcpu, struct vmx_vcpu *s)
{
	const uint32_t *value = vmx_controls.value;
	uint32_t proc2 = value[VMX_PROC2], pin = value[VMX_PIN];

	if (!errata_has(ERRATUM_VMX_PREEMPT_BY_TIMER_ONLY))
		pin &= ~(uint32_t)PIN_PREEMPTION_TIMER;
	if (!cpuid_has(vcpu->vm->cpuid, CPU_INVPCID))
		proc2 &= ~(uint32_t)PROC2_INVPCID;
	if (!cpuid_has(vcpu->vm->cpuid, CPU_RDTSCP))
		proc2 &= ~(uint32_t)PROC2_RDTSCP;
	s->proc = value[VMX_PROC];
	vmcs_write(VMCS_PIN_CONTROLS, pin);
	vmcs_write(VMCS_PROC_CONTROLS, value[VMX_PROC]);
	vmcs_write(VMCS_PROC2_CONTROLS, proc2);
	vmcs_write(VMCS_EXIT_CONTROLS, value[VMX_EXIT]);
	vmcs_write(VMCS_ENTRY_CONTROLS, value[VMX_ENTRY]);
	vmcs_write(VMCS_EXCEPTION_BITMAP, 1u << EXC_DB | 1u << EXC_AC | 1u << EXC_MC);
	vmcs_write(VMCS_PF_MASK, 0);
	vmcs_write(VMCS_PF_MATCH, 0);
	vmcs_write(VMCS_CR3_TARGET_COUNT, 0);
	vmcs_write(VMCS_EXIT_MSR_STORE_COUNT, 0);
	vmcs_write(VMCS_EXIT_MSR_LOAD_COUNT, 0);
	vmcs_write(VMCS_ENTRY_MSR_LOAD_COUNT, 0);
	vmcs_write(VMCS_MSR_BITMAP, vmx_msr_bitmap.v);
	vmcs_write(VMCS_VIRTUAL_APIC, page_hpa(s->vapic_page).v);
	vmcs_write(VMCS_TPR_THRESHOLD, 0);
	vmcs_write(VMCS_EPTP, eptp(vcpu));
	vmcs_write(VMCS_CR0_MASK, ~VMX_CR0_GUEST);
	vmcs_write(VMCS_CR4_MASK, ~s->cr4_guest);
	vmcs_write(VMCS_LINK_POINTER, ~0ul);
	if (vmx_control_has(&vmx_controls, VMX_PROC2, PROC2_PAUSE_LOOP)) {
		vmcs_write(VMCS_PLE_GAP, PLE_GAP);
		vmcs_write(VMCS_PLE_WINDOW, PLE_WINDOW);
	}
	/* Guests are not shown SGX: all of it is #UD. */
	if (vmx_control_has(&vmx_controls, VMX_PROC2, PROC2_ENCLS))
		vmcs_write(VMCS_ENCLS_BITMAP, ~0ul);
	if (pin & PIN_PREEMPTION_TIMER)
		vmcs_write(VMCS_PREEMPTION_TIMER, (tsc_hz / (1000000000 / PREEMPT_NS) >>
						   (vmx_misc & VMX_MISC_TIMER_SHIFT)) + 1);
}

void vmx_host_init(void)
{
	vmcs_write(VMCS_HOST_ES_SELECTOR, 0);
	vmcs_write(VMCS_HOST_CS_SELECTOR, GDT_KERNEL_CODE);
	vmcs_write(VMCS_HOST_SS_SELECTOR, GDT_KERNEL_DATA);
	vmcs_write(VMCS_HOST_DS_SELECTOR, 0);
	vmcs_write(VMCS_HOST_FS_SELECTOR, 0);
	vmcs_write(VMCS_HOST_GS_SELECTOR, 0);
	vmcs_write(VMCS_HOST_TR_SELECTOR, GDT_TSS);
	vmcs_write(VMCS_HOST_SYSENTER_CS, 0);
	vmcs_write(VMCS_HOST_SYSENTER_ESP, 0);
	vmcs_write(VMCS_HOST_SYSENTER_EIP, 0);
	vmcs_write(VMCS_HOST_RIP, (uint64_t)vmx_exited);
}

int vmx_vcpu_init(struct vcpu *vcpu)
{
	struct vmx_vcpu *s = heap_alloc(sizeof(*s));
	struct page *vmcs = page_alloc(0, PAGE_ZEROED, NODE_ANY, &vcpu->vm->charge);
	struct page *vapic = page_alloc(0, PAGE_ZEROED, NODE_ANY, &vcpu->vm->charge);
	uint64_t flags;

	if (!s || !vmcs || !vapic) {
		heap_free(s);
		if (vmcs)
			page_put(vmcs);
		if (vapic)
			page_put(vapic);
		return -ENOMEM;
	}
	s->vmcs_page = vmcs;
	s->vapic_page = vapic;
	s->vmcs = page_hpa(vmcs);
	s->vtpr = (volatile uint32_t *)((char *)page_virt(vapic) + VAPIC_TPR);
	vcpu->hw.whole = true;
	s->cpu = -1;
	s->cr4_guest = vmx_cr4_guest(vcpu);
	vcpu->arch = s;
	*(uint32_t *)page_virt(vmcs) = vmx_revision;
	flags = cpu_irq_save();
	vmx_vmclear(s->vmcs);
	vmx_vmptrld(s->vmcs);
	controls_init(vcpu, s);
	vmx_host_init();
	vmx_vmclear(s->vmcs);
	make_current(&this_cpu(vmx_cpu), this_cpu(vmx_cpu).current);
	cpu_irq_restore(flags);
	return 0;
}

/* Its thread has ended and left its CPU: the VMCS is nowhere current. */
void vmx_vcpu_fini(struct vcpu *vcpu)
{
	struct vmx_vcpu *s = vmx_of(vcpu);

	if (!s)
		return;
	page_put(s->vmcs_page);
	page_put(s->vapic_page);
	heap_free(s);
	vcpu->arch = NULL;
}

static void reset_fields(struct vmx_vcpu *s)
{
	static const struct {
		enum vmcs_field field;
		uint64_t value;
	} rows[] = {
		{ VMCS_GUEST_CR3, 0 }, { VMCS_GUEST_DR7, DR7_RESET }, { VMCS_GUEST_DEBUGCTL, 0 },
		{ VMCS_GUEST_PAT, PAT_RESET }, { VMCS_GUEST_PENDING_DEBUG, 0 },
		{ VMCS_GUEST_ACTIVITY, 0 }, { VMCS_GUEST_INTERRUPTIBILITY, 0 },
		{ VMCS_GUEST_SYSENTER_CS, 0 }, { VMCS_GUEST_SYSENTER_ESP, 0 },
		{ VMCS_GUEST_SYSENTER_EIP, 0 }, { VMCS_ENTRY_EVENT, 0 }, { VMCS_TPR_THRESHOLD, 0 },
		{ VMCS_GUEST_PDPTE0, 0 }, { VMCS_GUEST_PDPTE0 + 2, 0 },
		{ VMCS_GUEST_PDPTE0 + 4, 0 }, { VMCS_GUEST_PDPTE0 + 6, 0 },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++)
		vmx_field_set(s, rows[i].field, rows[i].value);
	s->proc &= ~(uint32_t)(PROC_INTERRUPT_WINDOW | PROC_NMI_WINDOW);
	vmx_field_set(s, VMCS_PROC_CONTROLS, s->proc);
	s->interruptibility = s->threshold = 0;
}

void vmx_vcpu_reset(struct vcpu *vcpu)
{
	struct vmx_vcpu *s = vmx_of(vcpu);

	reset_fields(s);
	vmx_reg_set(vcpu, REG_EFER, 0);
	vmx_reg_set(vcpu, REG_CR0, CR0_ET | CR0_CD | CR0_NW);
	vmx_reg_set(vcpu, REG_CR4, 0);
	*s->vtpr = 0;
	s->rip = s->rsp = s->rflags = ~0ul;
	vmx_flush_tlb(vcpu);
}

void vmx_flush_tlb(struct vcpu *vcpu)
{
	vmx_of(vcpu)->flush = true;
	vmx_of(vcpu)->ready = false;
}

/*
 * A new VPID has no linear translations yet; without VPIDs an entry flushes them by itself. The
 * guest-physical ones stay, which the VM's other vCPUs use as well.
 */
void vmx_flush_linear(struct vcpu *vcpu)
{
	vmx_of(vcpu)->vpid_generation = 0;
	vmx_of(vcpu)->ready = false;
}

/*
 * A VPID of this CPU that no translation was ever cached under. When they run out, a new generation
 * begins: everything is flushed and every vCPU that comes by takes a new one.
 */
static void vpid_assign(struct vmx_vcpu *s, struct vmx_cpu *c)
{
	if (c->vpid_next > VPID_MAX) {
		c->vpid_generation++;
		c->vpid_next = 1;
		vmx_invvpid_all();
	}
	vmcs_write(VMCS_VPID, c->vpid_next++);
	s->vpid_generation = c->vpid_generation;
}

void vmx_host_here(void)
{
	vmcs_write(VMCS_HOST_CR0, cpu_read_cr0());
	vmcs_write(VMCS_HOST_CR4, cpu_read_cr4());
	vmcs_write(VMCS_HOST_FS_BASE, 0);
	vmcs_write(VMCS_HOST_GS_BASE, cpu_rdmsr(MSR_GS_BASE));
	vmcs_write(VMCS_HOST_TR_BASE, gdt_tss_base());
	vmcs_write(VMCS_HOST_GDTR_BASE, gdt_base());
	vmcs_write(VMCS_HOST_IDTR_BASE, trap_idt_base());
	vmcs_write(VMCS_HOST_PAT, cpu_rdmsr(MSR_PAT));
	vmcs_write(VMCS_HOST_EFER, cpu_rdmsr(MSR_EFER));
	vmcs_write(VMCS_HOST_CR3, cpu_read_cr3());
}

/*
 * What this CPU comes back to, and no translation that was cached when this vCPU, or one before it,
 * ran here earlier.
 */
static void adopt_cpu(struct vmx_vcpu *s)
{
	vmx_host_here();
	s->vpid_generation = 0;
	s->flush = true;
	s->cpu = (int)cpu_index();
}

static void load_state(struct vcpu *vcpu, struct vmx_vcpu *s)
{
	hwstate_enter(&vcpu->hw);
	make_current(&this_cpu(vmx_cpu), s->vmcs);
	if (s->cpu != (int)cpu_index())
		adopt_cpu(s);
	vmcs_write(VMCS_HOST_CR3, cpu_read_cr3());
	s->launched = false;
	s->loaded = true;
}

void vmx_load(struct vcpu *vcpu)
{
	struct vmx_vcpu *s = vmx_of(vcpu);
	struct vmx_cpu *c = &this_cpu(vmx_cpu);

	if (!s->loaded) {
		load_state(vcpu, s);
		mitigation_vm_load(vcpu->vm->serial);
	}
	if (vmx_control_has(&vmx_controls, VMX_PROC2, PROC2_VPID) &&
	    s->vpid_generation != c->vpid_generation)
		vpid_assign(s, c);
	if (s->flush) {
		vmx_invept(vmx_ept_cap & EPT_CAP_INVEPT_ONE ? INVEPT_ONE : INVEPT_ALL,
			   vmcs_read(VMCS_EPTP));
		s->flush = false;
	}
	s->ready = true;
}

void vmx_leave_cpu(struct vcpu *vcpu)
{
	struct vmx_vcpu *s = vmx_of(vcpu);

	if (!s || !s->loaded)
		return;
	hwstate_leave(&vcpu->hw);
	vmx_vmclear(s->vmcs);
	this_cpu(vmx_cpu).current = HPA(0);
	s->loaded = s->ready = s->launched = false;
}
