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
#include "cpu/registers.h"
#include "kernel/trace.h"
#include "vmm/event.h"

#define VIRQ	(VINTR_IRQ | VINTR_PRIO_MAX | VINTR_IGN_TPR | VINTR_VECTOR)

static uint64_t virq(unsigned vector)
{
	return VINTR_IRQ | VINTR_PRIO_MAX | VINTR_IGN_TPR | (uint64_t)vector << VINTR_VECTOR_SHIFT;
}

static void window_set(struct svm_vcpu *s, bool on)
{
	svm_intercept_set(s->vmcb, INTERCEPT_VINTR, on);
	s->window = on;
}

static void inject(struct vcpu *vcpu, struct vmcb *v, const struct event *e)
{
	if (e->type != EVENT_INTERRUPT)		/* those are too many to be worth their cost */
		trace(TRACE_INJECT, e->vector, e->type, vcpu->rip);
	if (e->type == EVENT_EXCEPTION && e->vector == EXC_PF) {
		v->cr2 = e->payload;
		cpu_write_cr2(e->payload);	/* see load_state() */
	}
	if (e->type == EVENT_EXCEPTION && e->vector == EXC_DB) {
		v->debugctl &= ~DEBUGCTL_BTF;	/* every #DB ends steps by branches */
		if (unlikely(v->dr7 & DR7_GD))	/* and opens the debug registers */
			svm_reg_set(vcpu, REG_DR7, v->dr7 & ~DR7_GD);
		if (e->payload)
			v->dr6 = (v->dr6 & ~0xful) | e->payload;
	}
	v->event_inject = VMCB_EVENT_VALID | e->vector |
			  (uint64_t)e->type << VMCB_EVENT_TYPE_SHIFT |
			  (e->has_error ? VMCB_EVENT_ERROR | (uint64_t)e->error << 32 : 0);
}

/* One is handled, or waits, or the IRET of one is looked out for. */
static bool nmi_matters(const struct vcpu *vcpu, const struct vmcb *v, unsigned blocked)
{
	return vcpu->event.nmi_masked || blocked & EVENT_BLOCKED_NMI ||
	       svm_intercepts(v, INTERCEPT_IRET);
}

/* What is not carried by V_IRQ, and NMIs. */
static noinline void inject_others(struct vcpu *vcpu, unsigned blocked)
{
	struct svm_vcpu *s = svm_of(vcpu);
	const struct event *e = &vcpu->event.injected;

	if (e->valid && !s->virq_in_flight)
		inject(vcpu, s->vmcb, e);
	if (unlikely(nmi_matters(vcpu, s->vmcb, blocked)))
		svm_nmi_prepare(vcpu, e->valid, blocked & EVENT_BLOCKED_NMI);
}

/* V_INTR is written whole: what an entry before left there is nothing to this one. */
void svm_inject(struct vcpu *vcpu)
{
	const struct event *e = &vcpu->event.injected;
	struct svm_vcpu *s;
	struct vmcb *v;
	unsigned blocked;
	uint64_t vintr;
	bool by_virq, window;

	if (unlikely(svm_of(vcpu)->step.on))
		svm_nmi_settle(vcpu);
	blocked = event_pick(vcpu);
	s = svm_of(vcpu);
	v = s->vmcb;
	s->vtpr = (uint8_t)(vcpu->vlapic.tpr >> 4);
	vintr = (v->vintr & ~(VIRQ | VINTR_TPR)) | s->vtpr;
	by_virq = e->valid && e->type == EVENT_INTERRUPT && s->by_virq;
	window = !by_virq && blocked & EVENT_BLOCKED_IRQ;
	if (by_virq)
		vintr |= virq(e->vector);
	else if (window)
		vintr |= virq(0);
	s->virq_in_flight = by_virq;
	v->vintr = vintr;
	if (unlikely(s->window != window))
		window_set(s, window);
	svm_intercept_set(v, INTERCEPT_CR_WRITE + 8,
			  by_virq || window || blocked & EVENT_BLOCKED_TPR);
	v->clean = 0;
	if ((!by_virq && e->valid) || unlikely(nmi_matters(vcpu, v, blocked)))
		inject_others(vcpu, blocked);
}

void svm_window_opened(struct vcpu *vcpu)
{
	struct svm_vcpu *s = svm_of(vcpu);

	s->vmcb->vintr &= ~VIRQ;
	window_set(s, false);
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

/* V_IRQ, which the chip clears when it delivers, is set still. */
static noinline void virq_not_taken(struct vcpu *vcpu)
{
	svm_of(vcpu)->virq_in_flight = false;
	event_requeue(vcpu, &vcpu->event.injected);
	vcpu->event.injected.valid = false;
	svm_of(vcpu)->vmcb->event_inject = 0;
}

static void virq_taken(struct vcpu *vcpu, struct svm_vcpu *s)
{
	s->virq_in_flight = false;
	if (vlapic_irr_any(&vcpu->vlapic)) {
		vcpu->event.look = true;
	} else {	/* what svm_inject() would do, unless it is to look anyway */
		svm_intercept_set(s->vmcb, INTERCEPT_CR_WRITE + 8, false);
		s->vmcb->clean = 0;
	}
}

static noinline void delivery_interrupted(struct vcpu *vcpu, const struct vmcb *v)
{
	uint64_t info = v->exit_int_info;
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

void svm_delivered(struct vcpu *vcpu)
{
	struct svm_vcpu *s = svm_of(vcpu);
	struct vmcb *v = s->vmcb;
	struct event *injected = &vcpu->event.injected;
	uint64_t info = v->exit_int_info;
	bool known = false;

	if (likely(s->virq_in_flight)) {
		if (unlikely(v->vintr & VINTR_IRQ)) {
			virq_not_taken(vcpu);
			return;
		}
		virq_taken(vcpu, s);
		known = (info & VMCB_EVENT_VECTOR) == injected->vector;
	}
	injected->valid = false;
	v->event_inject = 0;
	if (!known && info & VMCB_EVENT_VALID)
		delivery_interrupted(vcpu, v);
}
