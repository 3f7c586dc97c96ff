/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the VMX back end share. The rest of Keel sees vmx_ops alone.
 */
#pragma once

#include "vmm/vcpu.h"
#include "vmx/vmcs.h"
#include "vmx/vmx_controls.h"

struct vmx_vcpu {
	hpa_t vmcs;
	struct page *vmcs_page, *vapic_page;
	volatile uint32_t *vtpr;	/* in the virtual-APIC page: the guest's MOV to CR8 writes
					 * it without an exit */
	uint64_t efer;			/* truth; the VMCS follows */
	uint64_t cr4_guest;		/* bits of CR4 that are the guest's own; constant */
	uint64_t vpid_generation;	/* of the CPU it ran on last; 0: needs a new VPID */
	uint64_t rip, rsp, rflags;	/* what the VMCS holds of these */
	uint32_t proc;			/* likewise of VMCS_PROC_CONTROLS */
	uint32_t interruptibility;	/* likewise */
	uint32_t threshold;		/* likewise of VMCS_TPR_THRESHOLD */
	int cpu;			/* whose host state and translations the VMCS has; -1:
					 * none's */
	bool loaded;			/* the VMCS is current here, and so is vcpu->hw */
	bool ready;			/* loaded, nothing to flush: vmx_load() has nothing to do */
	bool launched;			/* since the last VMCLEAR */
	bool flush;			/* forget all translations at the next entry */
};

/* Per-CPU state of the back end. */
struct vmx_cpu {
	struct page *vmxon_page;
	hpa_t current;			/* the VMCS that is current here, 0: none */
	uint64_t vpid_generation;	/* starts at 1 */
	uint32_t vpid_next;
};

extern struct vmx_cpu vmx_cpu;		/* PERCPU */
extern struct vmx_controls vmx_controls;	/* what this machine takes: constant after probe */
extern uint64_t vmx_ept_cap, vmx_misc, vmx_cr0_fixed, vmx_cr4_fixed;
extern uint32_t vmx_revision;
extern bool vmx_tells_string_io;	/* INS and OUTS: address size and segment */
extern hpa_t vmx_msr_bitmap;

static inline struct vmx_vcpu *vmx_of(const struct vcpu *vcpu)
{
	return vcpu->arch;
}

/* vmx_vcpu.c */
int vmx_vcpu_init(struct vcpu *vcpu);
void vmx_vcpu_fini(struct vcpu *vcpu);
void vmx_vcpu_reset(struct vcpu *vcpu);
void vmx_load(struct vcpu *vcpu);		/* interrupts off */
void vmx_leave_cpu(struct vcpu *vcpu);		/* interrupts off */
void vmx_flush_tlb(struct vcpu *vcpu);
/* Only what depends on the guest's own page tables: what its control registers change. */
void vmx_flush_linear(struct vcpu *vcpu);

/* vmx_regs.c */
uint64_t vmx_reg_get(struct vcpu *vcpu, enum reg r);
void vmx_reg_set(struct vcpu *vcpu, enum reg r, uint64_t value);
void vmx_segment_get(struct vcpu *vcpu, enum seg s, struct segment *out);
void vmx_segment_set(struct vcpu *vcpu, enum seg s, const struct segment *in);
uint64_t vmx_segment_base(struct vcpu *vcpu, enum seg s);
void vmx_mode(struct vcpu *vcpu, struct vcpu_mode *out);
bool vmx_code64(struct vcpu *vcpu, uint64_t *cr3, uint64_t *cr4);

/* To the current VMCS: what is the same on every CPU and for ever, and where this CPU is now. */
void vmx_host_init(void);
void vmx_host_here(void);

/*
 * A field of this vCPU's VMCS, on its thread or while that is parked: the VMCS is made current for
 * the time when it is not.
 */
uint64_t vmx_field_get(struct vmx_vcpu *s, enum vmcs_field field);
void vmx_field_set(struct vmx_vcpu *s, enum vmcs_field field, uint64_t value);

/* vmx_cr.c: control registers, whose bits are partly the guest's own and partly Keel's. */
/* The guest changes these without an exit. */
#define VMX_CR0_GUEST	(CR0_MP | CR0_EM | CR0_TS | CR0_WP | CR0_AM)

uint64_t vmx_cr4_guest(const struct vcpu *vcpu);	/* which of CR4, by the VM's CPUID */
void vmx_exit_cr(struct vcpu *vcpu);
int vmx_pdptes_load(struct vcpu *vcpu, uint64_t cr3) must_check;

/* vmx_run.c */
bool vmx_run(struct vcpu *vcpu);
/* After an exit, interrupts off: what of it is the host's. */
void vmx_host_exceptions(uint32_t reason);

/* vmx_inject.c */
void vmx_inject(struct vcpu *vcpu);		/* interrupts off, last thing before entry */
/* After an exit that interrupted an event's delivery. */
void vmx_delivered(struct vcpu *vcpu, uint32_t vectoring);

/* vmx_exit.c: a row for each basic exit reason that there is, and two more. */
enum { VMX_ROW_DIRECT_LAST = VMX_EXIT_TDCALL, VMX_ROW_REFUSED, VMX_ROW_OTHER, VMX_ROW_COUNT };

struct vmx_exit {
	const char *name;
	void (*handler)(struct vcpu *vcpu);
};

extern const struct vmx_exit vmx_exits[VMX_ROW_COUNT];

static inline unsigned vmx_exit_row(uint32_t reason)
{
	return likely((reason & EXIT_REASON_BASIC) <= VMX_ROW_DIRECT_LAST)
		       ? reason & EXIT_REASON_BASIC : VMX_ROW_OTHER;
}

void vmx_exit_unknown(struct vcpu *vcpu);
const char *vmx_exit_name(unsigned row);

/* vmx_errata.c: boot CPU, in VMX operation, no VMCS current. */
int vmx_errata_find(void) must_check;
extern const char vmx_errata_spin[];	/* vmx_errata.asm */

/* vmx_audit.c */
bool vmx_audit(struct vcpu *vcpu, char *why, size_t size);

/*
 * vmx_enter.asm. Loads the guest's general registers (but RSP, which is in the VMCS), runs it until
 * the next exit, stores them back, clears them. Interrupts off before and after. 0: an exit; 1: no
 * VMCS is current; 2: see VMCS_INSTRUCTION_ERROR.
 */
unsigned vmx_enter(uint64_t *gpr, bool launched);
void vmx_exited(void);		/* not to be called: where the chip goes on after an exit */
