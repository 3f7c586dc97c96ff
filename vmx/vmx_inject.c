/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events into the VMCS and back. What to inject is vmm/event.c's choice; here it is written
 * down. What must wait makes the chip exit when it may come: by interrupt window, NMI window, or
 * TPR threshold.
 * Source: Intel SDM 3, "VM-Entry Controls for Event Injection", "Information for VM Exits That
 * Occur During Event Delivery", "TPR Shadow".
 */
#include "vmx/vmx.h"

#include "cpu/cpu.h"
#include "kernel/trace.h"
#include "vmm/event.h"
#include "vmx/vmx_insn.h"

static void proc_set(struct vmx_vcpu *s, uint32_t control, bool on)
{
	uint32_t proc = on ? s->proc | control : s->proc & ~control;

	if (proc == s->proc)
		return;
	s->proc = proc;
	vmcs_write(VMCS_PROC_CONTROLS, proc);
}

/* The chip checks that an error code is given exactly where one is pushed. */
static bool pushes_error(const struct event *e)
{
	return e->type == EVENT_EXCEPTION && e->vector < 32 && EXC_WITH_ERROR & 1u << e->vector &&
	       vmcs_read(VMCS_GUEST_CR0) & CR0_PE;
}

/* What the chip does with #DB by itself, but not when it is injected. */
static void debug_exception(const struct event *e)
{
	vmcs_write(VMCS_GUEST_DEBUGCTL, vmcs_read(VMCS_GUEST_DEBUGCTL) & ~DEBUGCTL_BTF);
	if (!e->payload)
		return;
	cpu_write_dr6((cpu_read_dr6() & ~0xful) | e->payload);
	vmcs_write(VMCS_GUEST_DR7, vmcs_read(VMCS_GUEST_DR7) & ~DR7_GD);
}

static void inject(struct vcpu *vcpu, const struct event *e)
{
	uint32_t info = VMCS_EVENT_VALID | e->vector | (uint32_t)e->type << VMCS_EVENT_TYPE_SHIFT;

	if (e->type != EVENT_INTERRUPT)		/* those are too many to be worth their cost */
		trace(TRACE_INJECT, e->vector, e->type, vcpu->rip);
	/* Delivery ends a shadow; the chip refuses some events together with one. */
	vcpu->event.shadow = 0;
	if (e->type == EVENT_EXCEPTION && e->vector == EXC_PF)
		cpu_write_cr2(e->payload);
	if (e->type == EVENT_EXCEPTION && e->vector == EXC_DB)
		debug_exception(e);
	if (pushes_error(e)) {
		info |= VMCS_EVENT_ERROR;
		vmcs_write(VMCS_ENTRY_ERROR_CODE, e->has_error ? e->error : 0);
	}
	if (e->type >= EVENT_SOFT_INTERRUPT)
		vmcs_write(VMCS_ENTRY_LENGTH, e->length);
	vmcs_write(VMCS_ENTRY_EVENT, info);
}

/*
 * Class of the highest interrupt requested: when the guest's task priority falls below it,
 * it is to exit.
 */
static unsigned highest_class(const struct vlapic *l)
{
	for (unsigned i = ARRAY_COUNT(l->irr); i-- > 0;) {
		uint64_t word = READ_ONCE(l->irr[i]);

		if (word)
			return (64 * i + bit_highest(word)) >> 4;
	}
	return 0;
}

void vmx_inject(struct vcpu *vcpu)
{
	struct vmx_vcpu *s = vmx_of(vcpu);
	uint32_t threshold = 0;
	unsigned blocked;
	bool sti;

	*s->vtpr = vcpu->vlapic.tpr & 0xf0;
	blocked = event_pick(vcpu);
	if (vcpu->event.injected.valid)
		inject(vcpu, &vcpu->event.injected);
	/*
	 * Not every chip holds the NMI window back in the shadow of STI: it would exit before the
	 * next instruction, for ever. IF is 1 there, so the other window opens behind it.
	 */
	sti = vcpu->event.shadow & EVENT_SHADOW_STI && blocked & EVENT_BLOCKED_NMI;
	proc_set(s, PROC_INTERRUPT_WINDOW, sti || blocked & EVENT_BLOCKED_IRQ);
	proc_set(s, PROC_NMI_WINDOW, !sti && blocked & EVENT_BLOCKED_NMI);
	if (blocked & EVENT_BLOCKED_TPR)
		threshold = MIN(highest_class(&vcpu->vlapic), *s->vtpr >> 4);
	if (threshold != s->threshold)
		vmcs_write(VMCS_TPR_THRESHOLD, threshold);
	s->threshold = threshold;
}

void vmx_delivered(struct vcpu *vcpu, uint32_t vectoring)
{
	struct event e = {
		.valid = true,
		.type = FIELD(vectoring, 10, 8),
		.vector = vectoring & VMCS_EVENT_VECTOR,
		.has_error = vectoring & VMCS_EVENT_ERROR,
	};

	if (e.has_error)
		e.error = (uint32_t)vmcs_read(VMCS_VECTORING_ERROR_CODE);
	if (e.type >= EVENT_SOFT_INTERRUPT)
		e.length = (uint8_t)vmcs_read(VMCS_EXIT_LENGTH);
	if (e.type == EVENT_EXCEPTION && e.vector == EXC_PF)
		e.payload = cpu_read_cr2();
	/* Injected once more, the NMI masks NMIs again by itself. */
	if (e.type == EVENT_NMI)
		vcpu->event.nmi_masked = true;
	event_requeue(vcpu, &e);
}
