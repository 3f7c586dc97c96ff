/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events into the VMCB and back. What to inject is vmm/event.c's choice; here it is written down:
 * exceptions and NMIs by EVENTINJ, maskable interrupts by EVENTINJ or, on chips that want it, by
 * V_IRQ, which otherwise asks for the interrupt window. The chip has no window for NMIs: see
 * svm_nmi.c.
 * Source: AMD64 APM 2, "Event Injection", "Virtual Interrupts", "EXITINTINFO".
 */
#include "svm/svm.h"

#include "cpu/cpu.h"
#include "cpu/errata.h"
#include "cpu/registers.h"
#include "kernel/trace.h"
#include "vmm/event.h"

static void virq_set(struct svm_vcpu *s, unsigned vector)
{
	struct vmcb *v = s->vmcb;

	v->vintr = (v->vintr & ~VINTR_VECTOR) | VINTR_IRQ | VINTR_PRIO_MAX | VINTR_IGN_TPR |
		   (uint64_t)vector << VINTR_VECTOR_SHIFT;
	v->clean = 0;
}

static void virq_clear(struct svm_vcpu *s)
{
	s->vmcb->vintr &= ~(VINTR_IRQ | VINTR_PRIO_MAX | VINTR_IGN_TPR | VINTR_VECTOR);
	svm_intercept_set(s->vmcb, INTERCEPT_VINTR, false);
	s->window = s->virq_in_flight = false;
	s->vmcb->clean = 0;
}

static void inject(struct vcpu *vcpu, struct svm_vcpu *s, const struct event *e)
{
	struct vmcb *v = s->vmcb;

	if (e->type != EVENT_INTERRUPT)		/* those are too many to be worth their cost */
		trace(TRACE_INJECT, e->vector, e->type, vcpu->rip);
	vcpu->event.injected = *e;
	if (e->type == EVENT_INTERRUPT && errata_has(ERRATUM_SVM_INJECT_BY_VIRQ)) {
		virq_clear(s);
		virq_set(s, e->vector);
		s->virq_in_flight = true;
		return;
	}
	if (e->type == EVENT_EXCEPTION && e->vector == EXC_PF) {
		v->cr2 = e->payload;
		cpu_write_cr2(e->payload);	/* see load_state() */
	}
	if (e->type == EVENT_EXCEPTION && e->vector == EXC_DB) {
		v->debugctl &= ~DEBUGCTL_BTF;	/* every #DB ends steps by branches */
		if (e->payload)
			v->dr6 = (v->dr6 & ~0xful) | e->payload;
	}
	v->event_inject = VMCB_EVENT_VALID | e->vector |
			  (uint64_t)e->type << VMCB_EVENT_TYPE_SHIFT |
			  (e->has_error ? VMCB_EVENT_ERROR | (uint64_t)e->error << 32 : 0);
}

void svm_inject(struct vcpu *vcpu)
{
	struct svm_vcpu *s = svm_of(vcpu);
	struct event e;
	unsigned blocked;

	if (unlikely(s->step.on))
		svm_nmi_settle(vcpu);
	s->vtpr = (uint8_t)(vcpu->vlapic.tpr >> 4);
	s->vmcb->vintr = (s->vmcb->vintr & ~VINTR_TPR) | s->vtpr;
	blocked = event_pick(vcpu, &e);
	if (e.valid)
		inject(vcpu, s, &e);
	if (!s->virq_in_flight && !(blocked & EVENT_BLOCKED_IRQ) == s->window) {
		virq_clear(s);
		if (blocked & EVENT_BLOCKED_IRQ) {
			virq_set(s, 0);
			svm_intercept_set(s->vmcb, INTERCEPT_VINTR, true);
			s->window = true;
		}
	}
	svm_nmi_prepare(vcpu, e.valid, blocked & EVENT_BLOCKED_NMI);
	svm_intercept_set(s->vmcb, INTERCEPT_CR_WRITE + 8,
			  blocked & EVENT_BLOCKED_TPR || s->vmcb->vintr & VINTR_IRQ);
	s->vmcb->clean = 0;
}

void svm_window_opened(struct vcpu *vcpu)
{
	virq_clear(svm_of(vcpu));
	vcpu->event.look = true;
}

/*
 * INT n, INT3 and INTO are executed again rather than injected: without the next RIP the chip could
 * not tell where they end, and executing them again is right on every chip.
 */
static bool runs_again(const struct event *e)
{
	return e->type == EVENT_SOFT_INTERRUPT ||
	       (e->type == EVENT_EXCEPTION && (e->vector == EXC_BP || e->vector == EXC_OF));
}

void svm_delivered(struct vcpu *vcpu)
{
	struct svm_vcpu *s = svm_of(vcpu);
	struct vmcb *v = s->vmcb;
	uint64_t info = v->exit_int_info;
	struct event injected = vcpu->event.injected;

	vcpu->event.injected.valid = false;
	v->event_inject = 0;
	if (s->virq_in_flight) {
		bool waiting = v->vintr & VINTR_IRQ;

		virq_clear(s);
		if (waiting)
			event_requeue(vcpu, &injected);
		else if (vlapic_irr_any(&vcpu->vlapic))
			vcpu->event.look = true;
		else		/* what svm_inject() would do, unless it is to look anyway */
			svm_intercept_set(v, INTERCEPT_CR_WRITE + 8, false);
		if (waiting || (info & VMCB_EVENT_VECTOR) == injected.vector)
			return;
	}
	if (info & VMCB_EVENT_VALID) {
		struct event e = {
			.valid = true,
			.type = FIELD(info, 10, 8),
			.vector = info & VMCB_EVENT_VECTOR,
			.has_error = info & VMCB_EVENT_ERROR,
			.error = (uint32_t)(info >> 32),
			.payload = (info & VMCB_EVENT_VECTOR) == EXC_PF ? v->cr2 : 0,
		};

		if (!runs_again(&e))
			event_requeue(vcpu, &e);
	}
}
