/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC's timer; see vlapic.h. It counts at 1 GHz before the divider, on the VM's clock,
 * or waits for a value of the guest's TSC; nothing counts in fact: a host timer is armed for when
 * it is due. Registers are written on the vCPU's thread; the callback runs in interrupt context
 * and only sets IRR and re-arms. No locks: what both write is atomic.
 * Source: Intel SDM 3, "Advanced Programmable Interrupt Controller (APIC)", "APIC Timer".
 */
#include "vmm/vlapic/vlapic.h"

#include "cpu/tsc.h"
#include "vmm/vlapic/vlapic_state.h"

#define UNHEARD_NS	1000000ul
/*
 * A periodic timer faster than this would let a guest keep its CPU in the host's interrupt handler.
 */
#define PERIOD_MIN_NS	20000ul
/* Of the TSC: on a slow machine the guest must get some instructions in between. */
#define PERIOD_MIN_TICKS 20000ul

static unsigned divider(const struct vlapic *l)
{
	unsigned code = (l->timer_divide & 3) | (l->timer_divide & 8) >> 1;

	return code == 7 ? 1 : 2u << code;
}

/* What the counter shows when it is `left` from zero: it changes at the end of each step. */
static uint64_t steps(const struct vlapic *l, uint64_t left)
{
	return (left + divider(l) - 1) / divider(l);
}

static uint64_t period_ns(const struct vlapic *l)
{
	return (uint64_t)l->timer_initial * divider(l);
}

/* Does an expiry reach the vCPU at all? */
static bool heard(const struct vlapic *l)
{
	uint32_t lvt = READ_ONCE(l->lvt[LVT_TIMER]);

	return !(lvt & LVT_MASKED) && (lvt & LVT_VECTOR) >= 16 && vlapic_sw_enabled(l);
}

static void timer_fire(struct vlapic *l)
{
	uint32_t lvt = READ_ONCE(l->lvt[LVT_TIMER]);

	if (!(lvt & LVT_MASKED))
		(void)vlapic_set_irr(vlapic_vcpu(l), lvt & LVT_VECTOR, false);
}

/* Has its last interrupt not been taken yet? */
static bool unheard(const struct vlapic *l)
{
	unsigned v = READ_ONCE(l->lvt[LVT_TIMER]) & LVT_VECTOR;

	return READ_ONCE(l->irr[v / 64]) & BIT(v % 64);
}

/*
 * The host's timer follows timer_due_ns or tsc_deadline, which are the truth. The vCPU's thread
 * writes them and arms; the callback, perhaps on another CPU just then, takes what is due by
 * compare and exchange, and looks again after it has armed: who comes last has armed what holds.
 */
static void arm_due(struct vlapic *l)
{
	const struct vm *vm = vlapic_vcpu(l)->vm;
	uint64_t due;

	do {
		due = READ_ONCE(l->timer_due_ns);
		if (due && vm->clock_running)
			timer_set(&l->timer, vm_clock_to_host(vm, due));
	} while (__atomic_load_n(&l->timer_due_ns, __ATOMIC_SEQ_CST) != due);
}

/* Far deadlines are cut to what the conversion holds; the callback finds that they are not due. */
static void arm_deadline(struct vlapic *l)
{
	const struct vcpu *vcpu = vlapic_vcpu(l);
	uint64_t deadline, tsc, wait;

	do {
		deadline = READ_ONCE(l->tsc_deadline);
		tsc = vcpu_guest_tsc(vcpu);
		wait = deadline > tsc ? tsc_to_ns(MIN(deadline - tsc, tsc_hz << 20)) : 0;
		if (deadline && vcpu->vm->clock_running)
			timer_set(&l->timer, clock_ns() + wait);
	} while (__atomic_load_n(&l->tsc_deadline, __ATOMIC_SEQ_CST) != deadline);
}

static void deadline_expired(struct vlapic *l)
{
	uint64_t deadline = READ_ONCE(l->tsc_deadline), slack = tsc_hz >> 20;

	if (!deadline)
		return;
	/* The conversions' roundings are not worth another interrupt. */
	if (deadline > vcpu_guest_tsc(vlapic_vcpu(l)) + slack)
		arm_deadline(l);
	else if (__atomic_compare_exchange_n(&l->tsc_deadline, &deadline, 0, false,
					     __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		timer_fire(l);
}

/*
 * When it is due next. A vCPU that does not come to take its ticks is not worth more of the host's
 * time than UNHEARD_NS.
 */
static uint64_t next_due(const struct vlapic *l, uint64_t due, uint64_t now, bool waits)
{
	uint64_t period = MAX(period_ns(l), MAX(PERIOD_MIN_NS, tsc_to_ns(PERIOD_MIN_TICKS))),
		 periods = 1;

	if (waits && period < UNHEARD_NS)
		periods = UNHEARD_NS / period;
	return due + ((now - due) / period + periods) * period;
}

/* A periodic one that is due. One that reaches nobody rests until it does: unmasked(). */
static noinline void period_expired(struct vlapic *l, uint64_t due, uint64_t now)
{
	uint64_t next;

	if (!heard(l))
		return;
	next = next_due(l, due, now, unheard(l));
	timer_fire(l);
	__atomic_compare_exchange_n(&l->timer_due_ns, &due, next, false, __ATOMIC_SEQ_CST,
				    __ATOMIC_RELAXED);
	arm_due(l);
}

/*
 * Interrupt context, perhaps on another CPU than the vCPU's. A one-shot leaves nothing to be armed;
 * one that the vCPU's thread has set anew just now is armed by that.
 */
void vlapic_timer_expired(struct timer *t)
{
	struct vlapic *l = container_of(t, struct vlapic, timer);
	unsigned mode = vlapic_timer_mode(l);
	uint64_t due = READ_ONCE(l->timer_due_ns), now;

	if (mode == TIMER_DEADLINE) {
		deadline_expired(l);
		return;
	}
	if (!due)
		return;
	now = vm_clock_ns(vlapic_vcpu(l)->vm);
	if (unlikely(due > now))
		arm_due(l);
	else if (mode == TIMER_PERIODIC)
		period_expired(l, due, now);
	else if (__atomic_compare_exchange_n(&l->timer_due_ns, &due, 0, false, __ATOMIC_SEQ_CST,
					     __ATOMIC_RELAXED))
		timer_fire(l);
}

void vlapic_timer_rearm(struct vcpu *vcpu)
{
	struct vlapic *l = &vcpu->vlapic;
	bool deadline = vlapic_timer_mode(l) == TIMER_DEADLINE;

	if (deadline ? !l->tsc_deadline : !l->timer_due_ns)
		timer_cancel(&l->timer);
	else if (deadline)
		arm_deadline(l);
	else
		arm_due(l);
}

/* It is heard again, from the next on: those that passed meanwhile are not made up for. */
static void unmasked(struct vcpu *vcpu)
{
	struct vlapic *l = &vcpu->vlapic;
	uint64_t now = vm_clock_ns(vcpu->vm), due = READ_ONCE(l->timer_due_ns);

	if (vlapic_timer_mode(l) != TIMER_PERIODIC || !due)
		return;
	if (due <= now)
		__atomic_compare_exchange_n(&l->timer_due_ns, &due, next_due(l, due, now, false),
					    false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
	vlapic_timer_rearm(vcpu);
}

/*
 * A periodic one may rest, or may have been put off for being too fast: whole periods do not show.
 */
uint32_t vlapic_timer_current(struct vcpu *vcpu)
{
	struct vlapic *l = &vcpu->vlapic;
	uint64_t due = READ_ONCE(l->timer_due_ns), now = vm_clock_ns(vcpu->vm);
	uint64_t period = period_ns(l);

	if (!due || !period)
		return 0;
	if (vlapic_timer_mode(l) != TIMER_PERIODIC)
		return due > now ? (uint32_t)steps(l, due - now) : 0;
	return (uint32_t)steps(l, due > now ? (due - now - 1) % period + 1
					    : period - (now - due) % period);
}

static void set_due(struct vcpu *vcpu, uint64_t due)
{
	__atomic_store_n(&vcpu->vlapic.timer_due_ns, due, __ATOMIC_SEQ_CST);
	vlapic_timer_rearm(vcpu);
}

/* It counts from when the guest wrote it: from the exit, not from when Keel has decoded that. */
void vlapic_timer_start(struct vcpu *vcpu, uint32_t initial)
{
	struct vlapic *l = &vcpu->vlapic;

	if (vlapic_timer_mode(l) == TIMER_DEADLINE)
		return;
	l->timer_initial = initial;
	set_due(vcpu, initial ? vm_clock_at(vcpu->vm, vcpu->exit_tsc) + period_ns(l) : 0);
}

/* Goes on from `count`, by what mode and divider are now. One that has ended stays so. */
static void go_on_from(struct vcpu *vcpu, uint32_t count)
{
	struct vlapic *l = &vcpu->vlapic;

	if (count)
		set_due(vcpu, vm_clock_ns(vcpu->vm) + (uint64_t)count * divider(l));
}

void vlapic_timer_divide(struct vcpu *vcpu, uint32_t value)
{
	struct vlapic *l = &vcpu->vlapic;
	uint32_t count = vlapic_timer_current(vcpu);

	l->timer_divide = value & 11;
	go_on_from(vcpu, count);
}

void vlapic_timer_lvt_write(struct vcpu *vcpu, uint32_t value)
{
	struct vlapic *l = &vcpu->vlapic;
	uint32_t old = l->lvt[LVT_TIMER], count = vlapic_timer_current(vcpu);
	bool was_heard = heard(l);

	WRITE_ONCE(l->lvt[LVT_TIMER], value);
	if ((old ^ value) & LVT_TIMER_DEADLINE) {
		l->timer_initial = 0;
		l->timer_due_ns = l->tsc_deadline = 0;
		timer_cancel(&l->timer);
	} else if ((old ^ value) & LVT_TIMER_MODE) {
		go_on_from(vcpu, count);
	} else if (!was_heard && heard(l)) {
		unmasked(vcpu);
	}
}

void vlapic_deadline_write(struct vcpu *vcpu, uint64_t deadline)
{
	struct vlapic *l = &vcpu->vlapic;

	if (vlapic_timer_mode(l) != TIMER_DEADLINE)
		return;
	__atomic_store_n(&l->tsc_deadline, deadline, __ATOMIC_SEQ_CST);
	if (deadline && deadline <= vcpu_guest_tsc(vcpu) && vcpu->vm->clock_running) {
		timer_cancel(&l->timer);
		deadline_expired(l);
	} else {
		vlapic_timer_rearm(vcpu);
	}
}
