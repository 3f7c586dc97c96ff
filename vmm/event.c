/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Choosing what is delivered to a guest and when; see event.h. The order is the manuals': what was
 * interrupted first, then NMIs, then maskable interrupts from the local APIC, then the 8259's.
 * Sources: Intel SDM 3, "Priority Among Concurrent Events", "Interrupt 8 - Double Fault
 * Exception (#DF)".
 */
#include "vmm/event.h"

#include "cpu/registers.h"
#include "kernel/panic.h"
#include "kernel/trace.h"
#include "lib/record.h"
#include "vmm/exit.h"
#include "vmm/machine.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

#define NMI_PENDING_MAX	2	/* one to be taken at once, one that waits for its IRET */

enum fault_class { BENIGN, CONTRIBUTORY, PAGE_FAULT };

static enum fault_class class_of(const struct event *e)
{
	if (e->type != EVENT_EXCEPTION)
		return BENIGN;
	switch (e->vector) {
	case EXC_DE: case EXC_TS: case EXC_NP: case EXC_SS: case EXC_GP:
		return CONTRIBUTORY;
	case EXC_PF:
		return PAGE_FAULT;
	default:
		return BENIGN;
	}
}

/* A second exception while `first` is being delivered: does it make a double fault? */
static bool doubles(const struct event *first, const struct event *second)
{
	enum fault_class a = class_of(first), b = class_of(second);

	return (a == CONTRIBUTORY && b == CONTRIBUTORY) || (a == PAGE_FAULT && b != BENIGN);
}

#define FAULTS	(1u << EXC_DE | 1u << EXC_BR | 1u << EXC_UD | 1u << EXC_NM | 1u << EXC_TS | \
		 1u << EXC_NP | 1u << EXC_SS | 1u << EXC_GP | 1u << EXC_PF | 1u << EXC_MF | \
		 1u << EXC_AC | 1u << EXC_XM | 1u << EXC_VE | 1u << EXC_CP)

/*
 * A fault's frame has RF set, so that a breakpoint on its instruction is not met twice; any other
 * frame has it as it is. So has that of #DB by a breakpoint on code: its handler sets RF if it
 * wants to go on. Source: Intel SDM 3, "Instruction-Breakpoint Exception Condition".
 */
static bool sets_rf(const struct event *e)
{
	return e->type == EVENT_EXCEPTION && e->vector < 32 && FAULTS & 1u << e->vector;
}

void event_queue(struct vcpu *vcpu, const struct event *e)
{
	struct event *pending = &vcpu->event.pending;

	ASSERT(e->valid);
	ASSERT(e->type != EVENT_EXCEPTION || e->vector < 32);
	vcpu->event.look = true;
	if (pending->valid && pending->type == EVENT_EXCEPTION && e->type == EVENT_EXCEPTION) {
		if (pending->vector == EXC_DF) {
			exit_shutdown(vcpu);
			return;
		}
		if (doubles(pending, e)) {
			*pending = (struct event){
				.valid = true, .type = EVENT_EXCEPTION, .vector = EXC_DF,
				.has_error = true,
			};
			return;
		}
	}
	*pending = *e;
}

void event_exception(struct vcpu *vcpu, unsigned vector)
{
	ASSERT(vector < 32);
	event_queue(vcpu, &(struct event){
		.valid = true, .type = EVENT_EXCEPTION, .vector = (uint8_t)vector,
	});
}

void event_exception_error(struct vcpu *vcpu, unsigned vector, uint32_t error)
{
	uint64_t cr0 = vmm_ops->reg_get(vcpu, REG_CR0);

	ASSERT(vector < 32);
	/* In real mode no exception pushes an error code. */
	event_queue(vcpu, &(struct event){
		.valid = true, .type = EVENT_EXCEPTION, .vector = (uint8_t)vector,
		.has_error = cr0 & CR0_PE, .error = error,
	});
}

/* Traps of one instruction are one exception. */
void event_debug(struct vcpu *vcpu, uint64_t dr6_bits)
{
	struct event *pending = &vcpu->event.pending;

	if (pending->valid && pending->type == EVENT_EXCEPTION && pending->vector == EXC_DB) {
		pending->payload |= dr6_bits;
		return;
	}
	event_queue(vcpu, &(struct event){ .valid = true, .type = EVENT_EXCEPTION, .vector = EXC_DB,
					   .payload = dr6_bits });
}

void event_requeue(struct vcpu *vcpu, const struct event *e)
{
	ASSERT(e->valid);
	vcpu->event.pending = *e;
	vcpu->event.look = true;
}

void event_nmi(struct vcpu *vcpu)
{
	uint8_t n = __atomic_load_n(&vcpu->event.nmi_pending, __ATOMIC_RELAXED);

	while (n < NMI_PENDING_MAX &&
	       !__atomic_compare_exchange_n(&vcpu->event.nmi_pending, &n, (uint8_t)(n + 1), false,
					    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
	vcpu_request(vcpu, VCPU_REQ_EVENT);
}

/*
 * While one is handled one more waits, and all that come meanwhile are that one. Known here alone,
 * for the guest may have executed the IRET since its last exit.
 */
static void merge_nmis(struct event_state *s)
{
	uint8_t two = NMI_PENDING_MAX;

	if (s->nmi_masked && unlikely(READ_ONCE(s->nmi_pending) == NMI_PENDING_MAX))
		__atomic_compare_exchange_n(&s->nmi_pending, &two, 1, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_RELAXED);
}

static bool pick_nmi(struct event_state *s)
{
	if (!READ_ONCE(s->nmi_pending) || s->nmi_masked || s->shadow)
		return false;
	__atomic_sub_fetch(&s->nmi_pending, 1, __ATOMIC_SEQ_CST);
	s->nmi_masked = true;
	s->injected = (struct event){ .valid = true, .type = EVENT_NMI, .vector = EXC_NMI };
	return true;
}

static void pick_interrupt(struct vcpu *vcpu)
{
	int vector;

	if (!(vcpu->rflags & RFLAGS_IF) || vcpu->event.shadow)
		return;
	vector = vlapic_pending(vcpu);
	if (vector >= 0)
		vlapic_accept(vcpu, (unsigned)vector);
	else
		vector = machine_extint_acknowledge(vcpu);
	if (vector >= 0)
		vcpu->event.injected = (struct event){
			.valid = true, .type = EVENT_INTERRUPT, .vector = (uint8_t)vector,
		};
}

/* Whatever RFLAGS.IF says. */
static always_inline bool interrupt_waits(struct vcpu *vcpu)
{
	return vlapic_pending(vcpu) >= 0 || machine_extint_pending(vcpu);
}

/* What keeps an interrupt that waits from being picked. */
static unsigned interrupts_blocked(struct vcpu *vcpu)
{
	if (!vlapic_irr_any(&vcpu->vlapic))
		return machine_extint_pending(vcpu) ? EVENT_BLOCKED_IRQ : 0;
	if (interrupt_waits(vcpu))
		return EVENT_BLOCKED_IRQ;
	return vlapic_blocked_by_tpr(vcpu) ? EVENT_BLOCKED_TPR : 0;
}

unsigned event_pick(struct vcpu *vcpu)
{
	struct event_state *s = &vcpu->event;
	unsigned blocked;

	s->injected.valid = false;
	merge_nmis(s);
	if (unlikely(s->pending.valid)) {
		s->injected = s->pending;
		s->pending.valid = false;
		if (sets_rf(&s->injected))
			vcpu->rflags |= RFLAGS_RF;
	} else if (likely(!pick_nmi(s))) {
		pick_interrupt(vcpu);
	}
	blocked = interrupts_blocked(vcpu);
	if (unlikely(READ_ONCE(s->nmi_pending)))
		blocked |= EVENT_BLOCKED_NMI;
	s->look = blocked & (EVENT_BLOCKED_IRQ | EVENT_BLOCKED_NMI);
	return blocked;
}

bool event_wakes(struct vcpu *vcpu)
{
	const struct event_state *s = &vcpu->event;

	if (s->pending.valid || (READ_ONCE(s->nmi_pending) && !s->nmi_masked))
		return true;
	return vcpu->rflags & RFLAGS_IF && interrupt_waits(vcpu);
}

static void put_event(struct record_writer *w, const struct event *e)
{
	record_put_bool(w, e->valid);
	record_put_u8(w, e->valid ? e->type : 0);
	record_put_u8(w, e->valid ? e->vector : 0);
	record_put_bool(w, e->valid && e->has_error);
	record_put_u8(w, e->valid ? e->length : 0);
	record_put_u32(w, e->valid ? e->error : 0);
	record_put_u64(w, e->valid ? e->payload : 0);
}

static void get_event(struct record_reader *r, struct event *e)
{
	e->valid = record_get_bool(r);
	e->type = (uint8_t)record_get_below(r, 1, EVENT_SOFT_EXCEPTION);
	e->vector = record_get_u8(r);
	e->has_error = record_get_bool(r);
	e->length = (uint8_t)record_get_below(r, 1, 15);
	e->error = record_get_u32(r);
	e->payload = record_get_u64(r);
	if (e->type == 1 ||
	    (e->type == EVENT_EXCEPTION && (e->vector > 31 || e->vector == EXC_NMI)) ||
	    (e->type == EVENT_NMI && e->valid && e->vector != EXC_NMI))
		r->error = -EINVAL;
}

/*
 * An injected event is known to be delivered, or requeued, whenever the vCPU is parked: only
 * `pending` is state.
 */
void event_save(const struct event_state *s, struct record_writer *w)
{
	put_event(w, &s->pending);
	record_put_u8(w, s->nmi_pending);
	record_put_bool(w, s->nmi_masked);
	record_put_u8(w, s->shadow);
}

void event_load(struct event_state *s, struct record_reader *r)
{
	get_event(r, &s->pending);
	s->injected.valid = false;
	s->nmi_pending = (uint8_t)record_get_below(r, 1, NMI_PENDING_MAX);
	s->nmi_masked = record_get_bool(r);
	s->shadow = (uint8_t)record_get_below(r, 1, EVENT_SHADOW_STI | EVENT_SHADOW_MOV_SS);
	s->look = true;
}
