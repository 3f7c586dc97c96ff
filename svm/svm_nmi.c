/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NMIs that wait. One is masked until the IRET of the handler before it, and is taken at the
 * boundary behind that IRET. The chip tells of the IRET before it runs, so it is stepped over: TF
 * is set for this one instruction, which does not look at it but takes RFLAGS from its frame, and
 * #DB comes behind it. Should IRET fault, NMIs are open as well, and the fault must not show TF:
 * what it may raise exits for that long, and the guest gets the fault from Keel. The step ends with
 * whatever exit comes, before anybody looks at RFLAGS or DR6. An IRET that returns to another task
 * would leave TF in this one's TSS: there the next exit is waited for, and a timer makes it soon.
 * What keeps an NMI back for shorter has no exit of its own: behind another event the guest is left
 * at once by a physical interrupt, behind a shadow soon, by a timer.
 * Source: AMD64 APM 2, "Event Injection"; Intel SDM 3, "Handling Multiple NMIs".
 */
#include "svm/svm.h"

#include "cpu/ipi.h"
#include "cpu/irq.h"
#include "cpu/registers.h"
#include "cpu/tsc.h"
#include "vmm/event.h"

/* Time enough to enter the guest and execute an instruction there, on any bed. */
#define RETRY_NS	200000

/* What an IRET raises; each has its row in svm_exit.c. */
#define OF_IRET		(1u << EXC_DF | 1u << EXC_TS | 1u << EXC_NP | 1u << EXC_SS | \
			 1u << EXC_GP | 1u << EXC_PF | 1u << EXC_CP)
#define DR6_MET		(DR6_B | DR6_BS | DR6_BT)

/* Its interrupt was the exit. */
static void retry(struct timer *t)
{
	(void)t;
}

void svm_nmi_init(struct vcpu *vcpu)
{
	timer_init(&svm_of(vcpu)->nmi_timer, retry);
}

void svm_nmi_fini(struct vcpu *vcpu)
{
	timer_cancel_sync(&svm_of(vcpu)->nmi_timer);
}

void svm_nmi_reset(struct svm_vcpu *s)
{
	s->nmi_iret = s->step.on = false;
	svm_intercept_set(s->vmcb, INTERCEPT_IRET, false);
	s->vmcb->intercept[INTERCEPT_EXCEPTION / 32] = SVM_EXCEPTIONS;
}

static bool leads_to_a_task(const struct vcpu *vcpu, const struct vmcb *v)
{
	return vcpu->rflags & RFLAGS_NT && !(v->efer & EFER_LMA) && v->cr0 & CR0_PE;
}

static void step_begin(struct vcpu *vcpu, struct svm_vcpu *s)
{
	struct vmcb *v = s->vmcb;
	bool task = leads_to_a_task(vcpu, v);

	s->step = (struct svm_step){
		.on = true, .tf = vcpu->rflags & RFLAGS_TF, .rip = vcpu->rip, .dr6 = v->dr6,
	};
	vcpu->event.look = true;	/* for svm_nmi_settle() */
	v->dr6 &= ~DR6_MET;
	v->intercept[INTERCEPT_EXCEPTION / 32] = SVM_EXCEPTIONS | OF_IRET;
	if (task)
		timer_set(&s->nmi_timer, clock_ns() + RETRY_NS);
	else
		vcpu->rflags |= RFLAGS_TF;
}

/* `done`: RFLAGS are what the IRET has loaded. */
static void step_end(struct vcpu *vcpu, struct svm_vcpu *s, bool done)
{
	s->step.on = false;
	if (!done && !s->step.tf)
		vcpu->rflags &= ~RFLAGS_TF;
	s->vmcb->dr6 = s->step.dr6;
	s->vmcb->intercept[INTERCEPT_EXCEPTION / 32] = SVM_EXCEPTIONS;
	s->vmcb->clean = 0;
}

static void unmask(struct vcpu *vcpu)
{
	vcpu->event.nmi_masked = false;
	vcpu->event.look = true;
}

void svm_nmi_iret(struct vcpu *vcpu, struct vmcb *v)
{
	(void)v;
	svm_of(vcpu)->nmi_iret = true;
	vcpu->event.look = true;
}

bool svm_nmi_stepped(struct vcpu *vcpu)
{
	struct svm_vcpu *s = svm_of(vcpu);
	uint64_t met = s->vmcb->dr6 & DR6_MET;
	bool done = vcpu->rip != s->step.rip || met & DR6_BS;

	if (!s->step.on)
		return false;
	step_end(vcpu, s, done);
	if (done)
		unmask(vcpu);
	met = (met & ~DR6_BS) | (s->step.tf && done ? DR6_BS : 0);
	if (met)
		s->vmcb->dr6 = (s->vmcb->dr6 & ~DR6_B) | met;
	return !met;
}

void svm_nmi_faulted(struct vcpu *vcpu)
{
	struct svm_vcpu *s = svm_of(vcpu);

	if (!s->step.on)
		return;
	step_end(vcpu, s, false);
	unmask(vcpu);
}

void svm_nmi_settle(struct vcpu *vcpu)
{
	struct svm_vcpu *s = svm_of(vcpu);
	bool done = vcpu->rip != s->step.rip;

	if (!s->step.on)
		return;
	step_end(vcpu, s, done);
	if (done)
		unmask(vcpu);
}

void svm_nmi_prepare(struct vcpu *vcpu, bool injects, bool waits)
{
	struct svm_vcpu *s = svm_of(vcpu);
	bool masked = vcpu->event.nmi_masked, step = masked && s->nmi_iret && !injects;

	s->nmi_iret = false;		/* an event that goes first comes back to the IRET */
	svm_intercept_set(s->vmcb, INTERCEPT_IRET, masked && !step);
	if (step)
		step_begin(vcpu, s);
	else if (waits && !masked && injects && !s->virq_in_flight)
		ipi_send(cpu_index(), IRQ_KICK);	/* taken behind the event */
	else if (waits && !masked)
		timer_set(&s->nmi_timer, clock_ns() + RETRY_NS);
}
