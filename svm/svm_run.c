/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One turn in the guest: last look at requests, injection, world switch, what became of the
 * injected event, dispatch. GIF is clear from the last look until the registers are back,
 * RFLAGS.IF stays set: a physical interrupt that comes meanwhile ends guest mode at once and is
 * taken at STGI.
 * Source: AMD64 APM 2, "Secure Virtual Machine": "Basic Operation", "Global Interrupt Flag".
 */
#include "svm/svm.h"

#include "cpu/errata.h"
#include "cpu/registers.h"
#include "cpu/tsc.h"
#include "svm/svm_insn.h"
#include "vmm/exit.h"
#include "vmm/insn/emulate.h"

static inline void registers_to_vmcb(const struct vcpu *vcpu, struct vmcb *v)
{
	v->rax = vcpu->gpr[GPR_RAX];
	v->rsp = vcpu->gpr[GPR_RSP];
	v->rip = vcpu->rip;
	v->rflags = vcpu->rflags;
	v->interrupt_shadow = vcpu->event.shadow & VMCB_SHADOW;
}

static inline void registers_from_vmcb(struct vcpu *vcpu, struct svm_vcpu *s, const struct vmcb *v)
{
	vcpu->gpr[GPR_RAX] = v->rax;
	vcpu->gpr[GPR_RSP] = v->rsp;
	vcpu->rip = v->rip;
	vcpu->rflags = v->rflags;
	vcpu->event.shadow = v->interrupt_shadow & VMCB_SHADOW;
	if (unlikely((uint8_t)v->vintr != s->vtpr)) {
		s->vtpr = (uint8_t)v->vintr;
		vcpu->vlapic.tpr = (uint32_t)(v->vintr & VINTR_TPR) << 4;
		vcpu->event.look = true;
	}
}

/*
 * STI; HLT with an exit between the two: a chip that forgets the shadow would take the interrupt
 * before the HLT, which would then sleep through the wake-up. The HLT is done here and now instead.
 */
static void finish_shadowed_hlt(struct vcpu *vcpu)
{
	if (errata_has(ERRATUM_SVM_SHADOW_LOST) && vcpu->event.shadow && vcpu->rflags & RFLAGS_IF &&
	    !vcpu->event.pending.valid && emulate_length_of(vcpu, 0xf4) == 1)
		exit_hlt(vcpu, 1);
}

/* Guest mode, as far as kicks go; false: it is left, for there is something to be done first. */
static always_inline bool begin(struct vcpu *vcpu)
{
	(void)__atomic_exchange_n(&vcpu->in_guest, true, __ATOMIC_SEQ_CST);
	if (likely(!vcpu_must_stop(vcpu)))
		return true;
	vcpu->in_guest = false;
	svm_gif_set();
	return false;
}

static noinline bool begin_here(struct vcpu *vcpu)
{
	vcpu->cpu = (uint16_t)cpu_index();	/* a kick goes there from here on */
	if (!begin(vcpu))
		return false;
	svm_load(vcpu);
	return true;
}

/* As svm_run(), for one exit. */
static always_inline bool turn(struct vcpu *vcpu, struct svm_vcpu *s, struct vmcb *v)
{
	unsigned row;

	svm_gif_clear();
	if (!(likely(s->ready) ? begin(vcpu) : begin_here(vcpu)))
		return false;
	if (unlikely(vcpu->event.look))
		svm_inject(vcpu);
	registers_to_vmcb(vcpu, v);
	vcpu_account_entry(vcpu);
	s->enter(vcpu->gpr, s->vmcb_hpa, s->host_vmcb);
	row = svm_exit_row(v->exit_code);
	vcpu_account_exit(vcpu, row);
	v->tlb_control = VMCB_TLB_NOTHING;
	WRITE_ONCE(vcpu->in_guest, false);
	registers_from_vmcb(vcpu, s, v);
	svm_gif_set();

	if (unlikely(vcpu->event.injected.valid || v->exit_int_info & VMCB_EVENT_VALID))
		svm_delivered(vcpu);
	if (likely(svm_exits[row].handler))
		svm_exits[row].handler(vcpu, v);
	else
		svm_exit_unknown(vcpu, v);
	if (unlikely(vcpu->event.shadow))
		finish_shadowed_hlt(vcpu);
	return true;
}

bool svm_run(struct vcpu *vcpu)
{
	struct svm_vcpu *s = svm_of(vcpu);
	struct vmcb *v = s->vmcb;

	while (turn(vcpu, s, v))
		if (unlikely(vcpu->activity != VCPU_RUNNABLE))
			return true;
	return false;
}
