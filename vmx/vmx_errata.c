/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Quirks of VMX that can be seen are looked for, on the chip itself: a few instructions of Keel's
 * run as a guest without EPT, and how they exit tells. An exit that is none of the expected ones,
 * and an entry that is refused, tell nothing: the table's own judgement (cpu/errata.c) stands.
 * Source: Intel SDM 3, "VM Entries"; "Other Causes of VM Exits"; "Monitor Trap Flag".
 */
#include "vmx/vmx.h"

#include "cpu/cpu.h"
#include "cpu/errata.h"
#include "cpu/gdt.h"
#include "cpu/ipi.h"
#include "cpu/irq.h"
#include "include/errno.h"
#include "kernel/trap.h"
#include "mm/page.h"
#include "vmx/vmx_insn.h"

/* An interrupt or NMI of somebody else's may be the exit; then again. */
#define TRIES	4

enum verdict { ABSENT, PRESENT, UNKNOWN };

struct trial {
	enum erratum erratum;
	uint32_t control;		/* of VMX_PROC, beside what is always on; 0: none */
	void (*prepare)(void);		/* NULL: nothing */
	enum vmx_exit_reason absent;	/* the exit that a right chip makes; HLT: the erratum */
};

/* To itself: it waits, for interrupts are off, and ends guest mode whatever the guest's IF is. */
static void interrupt(void)
{
	ipi_send(cpu_index(), IRQ_KICK);
}

static const struct trial trials[] = {
	{ ERRATUM_VMX_PREEMPT_BY_TIMER_ONLY, 0, interrupt, VMX_EXIT_INTERRUPT },
	{ ERRATUM_VMX_NO_MTF, PROC_MTF, NULL, VMX_EXIT_MONITOR_TRAP },
};

/* Of what guests get, all that does not ask for a structure of its own; every exception exits. */
static void controls_init(const struct trial *t)
{
	const uint32_t *value = vmx_controls.value;

	vmcs_write(VMCS_PIN_CONTROLS, value[VMX_PIN] & ~(uint32_t)PIN_PREEMPTION_TIMER);
	vmcs_write(VMCS_PROC_CONTROLS,
		   (value[VMX_PROC] | t->control) &
			   ~(uint32_t)(PROC_SECONDARY | PROC_TPR_SHADOW | PROC_MSR_BITMAP));
	vmcs_write(VMCS_EXIT_CONTROLS, value[VMX_EXIT]);
	vmcs_write(VMCS_ENTRY_CONTROLS, value[VMX_ENTRY] | ENTRY_IA32E);
	vmcs_write(VMCS_EXCEPTION_BITMAP, ~0u);
}

static void segment(enum seg s, uint16_t selector, uint64_t base, uint32_t limit, uint32_t attr)
{
	vmcs_write(VMCS_GUEST_ES_SELECTOR + 2 * s, selector);
	vmcs_write(VMCS_GUEST_ES_BASE + 2 * s, base);
	vmcs_write(VMCS_GUEST_ES_LIMIT + 2 * s, limit);
	vmcs_write(VMCS_GUEST_ES_ACCESS + 2 * s, attr);
}

/* 64-bit code of Keel's in ring 0, with interrupts off. */
static void guest_init(void)
{
	static const enum vmcs_field zero[] = {
		VMCS_PF_MASK, VMCS_PF_MATCH, VMCS_CR3_TARGET_COUNT, VMCS_EXIT_MSR_STORE_COUNT,
		VMCS_EXIT_MSR_LOAD_COUNT, VMCS_ENTRY_MSR_LOAD_COUNT, VMCS_ENTRY_EVENT,
		VMCS_TSC_OFFSET, VMCS_CR0_MASK, VMCS_CR4_MASK, VMCS_GUEST_DEBUGCTL,
		VMCS_GUEST_INTERRUPTIBILITY, VMCS_GUEST_ACTIVITY, VMCS_GUEST_PENDING_DEBUG,
		VMCS_GUEST_SYSENTER_CS, VMCS_GUEST_SYSENTER_ESP, VMCS_GUEST_SYSENTER_EIP,
		VMCS_GUEST_RSP,
	};

	for (unsigned i = 0; i < ARRAY_COUNT(zero); i++)
		vmcs_write(zero[i], 0);
	for (enum seg s = SEG_ES; s < SEG_TR; s++)
		segment(s, 0, 0, 0, SEG_UNUSABLE);
	segment(SEG_CS, GDT_KERNEL_CODE, 0, ~0u, SEG_P | SEG_S | 0xb | SEG_L | SEG_G);
	segment(SEG_SS, GDT_KERNEL_DATA, 0, ~0u, SEG_P | SEG_S | 3 | SEG_DB | SEG_G);
	segment(SEG_TR, GDT_TSS, gdt_tss_base(), sizeof(struct gdt_tss) - 1, SEG_P | 0xb);
	vmcs_write(VMCS_GUEST_GDTR_BASE, gdt_base());
	vmcs_write(VMCS_GUEST_GDTR_LIMIT, GDT_SIZE - 1);
	vmcs_write(VMCS_GUEST_IDTR_BASE, trap_idt_base());
	vmcs_write(VMCS_GUEST_IDTR_LIMIT, PAGE_SIZE - 1);
	vmcs_write(VMCS_LINK_POINTER, ~0ul);
	vmcs_write(VMCS_GUEST_CR0, cpu_read_cr0());
	vmcs_write(VMCS_GUEST_CR3, cpu_read_cr3());
	vmcs_write(VMCS_GUEST_CR4, cpu_read_cr4());
	vmcs_write(VMCS_GUEST_PAT, cpu_rdmsr(MSR_PAT));
	vmcs_write(VMCS_GUEST_EFER, cpu_rdmsr(MSR_EFER));
	vmcs_write(VMCS_GUEST_DR7, DR7_RESET);
	vmcs_write(VMCS_GUEST_RFLAGS, RFLAGS_ONE);
	vmcs_write(VMCS_GUEST_RIP, (uint64_t)vmx_errata_spin);
}

static enum verdict try(const struct trial *t, struct page *p)
{
	uint64_t gpr[GPR_COUNT] = { 0 };
	uint64_t flags = cpu_irq_save();
	uint32_t reason = EXIT_REASON_ENTRY_FAILED;

	*(uint32_t *)page_virt(p) = vmx_revision;
	vmx_vmclear(page_hpa(p));
	vmx_vmptrld(page_hpa(p));
	controls_init(t);
	vmx_host_init();
	vmx_host_here();
	guest_init();
	if (t->prepare)
		t->prepare();
	if (!vmx_enter(gpr, false)) {
		reason = (uint32_t)vmcs_read(VMCS_EXIT_REASON);
		vmx_host_exceptions(reason);
	}
	vmx_vmclear(page_hpa(p));
	cpu_irq_restore(flags);
	return reason == (uint32_t)t->absent ? ABSENT : reason == VMX_EXIT_HLT ? PRESENT : UNKNOWN;
}

/* Unknown where the chip does not offer what is tried. */
static enum verdict find(const struct trial *t, struct page *p, const struct vmx_control_caps *caps)
{
	enum verdict verdict = UNKNOWN;

	if (t->control & ~(uint32_t)(caps->caps[VMX_PROC] >> 32))
		return UNKNOWN;
	for (unsigned i = 0; i < TRIES && verdict == UNKNOWN; i++)
		verdict = try(t, p);
	return verdict;
}

int vmx_errata_find(void)
{
	struct page *p = page_alloc(0, PAGE_ZEROED, NODE_ANY, &page_charge_kernel);
	struct vmx_control_caps caps;

	if (!p)
		return -ENOMEM;
	vmx_controls_read(&caps);
	for (unsigned i = 0; i < ARRAY_COUNT(trials); i++) {
		enum verdict verdict = find(&trials[i], p, &caps);

		if (verdict != UNKNOWN)
			errata_force(trials[i].erratum, verdict == PRESENT);
	}
	page_put(p);
	return 0;
}
