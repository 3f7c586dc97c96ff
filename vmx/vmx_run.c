/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One turn in the guest: last look at requests, injection, world switch, what became of the
 * injected event, dispatch. Interrupts are off from the last look until the registers are back: one
 * that comes meanwhile ends guest mode at once and is taken when they are on again.
 * Source: Intel SDM 3, "VM Entries", "VM Exits".
 */
#include "vmx/vmx.h"

#include "cpu/cpu.h"
#include "cpu/tsc.h"
#include "vmx/vmx_insn.h"

/* Handlers change these seldom: only what differs from the VMCS is written. */
static inline void registers_to_vmcs(const struct vcpu *vcpu, struct vmx_vcpu *s)
{
	if (vcpu->rip != s->rip)
		vmcs_write(VMCS_GUEST_RIP, vcpu->rip);
	if (vcpu->gpr[GPR_RSP] != s->rsp)
		vmcs_write(VMCS_GUEST_RSP, vcpu->gpr[GPR_RSP]);
	if (vcpu->rflags != s->rflags)
		vmcs_write(VMCS_GUEST_RFLAGS, vcpu->rflags);
}

/*
 * Emulation ended a shadow. The single-step trap that waited behind it was vcpu_next()'s to raise,
 * but a breakpoint on the operand of MOV SS waits there too: it comes right after the entry, or
 * with the #DB that is injected, for then the chip forgets it.
 */
static void breakpoints_behind_shadow(const struct vcpu *vcpu)
{
	uint64_t pending = vmcs_read(VMCS_GUEST_PENDING_DEBUG) & PENDING_DEBUG_BREAKPOINTS;
	const struct event *e = &vcpu->event.injected;

	if (e->valid && e->type == EVENT_EXCEPTION && e->vector == EXC_DB) {
		cpu_write_dr6(cpu_read_dr6() | (pending & PENDING_DEBUG_B));
		pending = 0;
	}
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, pending);
}

/* The shadow or the NMI mask changed. */
static inline void blocking_to_vmcs(const struct vcpu *vcpu, struct vmx_vcpu *s)
{
	uint32_t blocking = vcpu->event.shadow | (vcpu->event.nmi_masked ? BLOCKED_BY_NMI : 0);

	if (vcpu->event.injected.valid && vcpu->event.injected.type == EVENT_NMI)
		blocking &= ~(uint32_t)BLOCKED_BY_NMI;
	if (likely(blocking == s->interruptibility))
		return;
	if (s->interruptibility & ~blocking & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS))
		breakpoints_behind_shadow(vcpu);
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, blocking);
}

static inline void state_from_vmcs(struct vcpu *vcpu, struct vmx_vcpu *s)
{
	uint32_t tpr = *s->vtpr;

	s->rip = vcpu->rip = vmcs_read(VMCS_GUEST_RIP);
	s->rsp = vcpu->gpr[GPR_RSP] = vmcs_read(VMCS_GUEST_RSP);
	s->rflags = vcpu->rflags = vmcs_read(VMCS_GUEST_RFLAGS);
	s->interruptibility = (uint32_t)vmcs_read(VMCS_GUEST_INTERRUPTIBILITY);
	vcpu->event.shadow = s->interruptibility & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS);
	vcpu->event.nmi_masked = s->interruptibility & BLOCKED_BY_NMI;
	if (unlikely((tpr ^ vcpu->vlapic.tpr) & 0xf0)) {
		vcpu->vlapic.tpr = tpr & 0xf0;
		vcpu->event.look = true;
	}
}

/*
 * The host's NMIs and machine checks go to their handlers before anything else runs here: through
 * the gate, whose IRET also ends the blocking of NMIs that such an exit leaves behind.
 */
void vmx_host_exceptions(uint32_t reason)
{
	uint64_t info = vmcs_read(VMCS_EXIT_EVENT);

	if ((reason & EXIT_REASON_BASIC) == VMX_EXIT_MACHINE_CHECK ||
	    (info & VMCS_EVENT_VECTOR) == EXC_MC)
		__asm__ volatile("int $18" ::: "memory");
	else if (FIELD(info, 10, 8) == EVENT_NMI)
		__asm__ volatile("int $2" ::: "memory");
}

/* Guest mode, as far as kicks go; false: it is left, for there is something to be done first. */
static always_inline bool begin(struct vcpu *vcpu)
{
	(void)__atomic_exchange_n(&vcpu->in_guest, true, __ATOMIC_SEQ_CST);
	if (likely(!vcpu_must_stop(vcpu)))
		return true;
	vcpu->in_guest = false;
	cpu_irq_enable();
	return false;
}

static noinline bool begin_here(struct vcpu *vcpu)
{
	vcpu->cpu = (uint16_t)cpu_index();	/* a kick goes there from here on */
	if (!begin(vcpu))
		return false;
	vmx_load(vcpu);
	return true;
}

/* As vmx_run(), for one exit. */
static always_inline bool turn(struct vcpu *vcpu, struct vmx_vcpu *s)
{
	uint32_t reason, vectoring;
	unsigned row, refused;

	cpu_irq_disable();
	if (!(likely(s->ready) ? begin(vcpu) : begin_here(vcpu)))
		return false;
	if (unlikely(vcpu->event.look))
		vmx_inject(vcpu);
	registers_to_vmcs(vcpu, s);
	blocking_to_vmcs(vcpu, s);
	vcpu_account_entry(vcpu);
	refused = vmx_enter(vcpu->gpr, s->launched);
	reason = (uint32_t)vmcs_read(VMCS_EXIT_REASON);
	row = likely(!refused) ? vmx_exit_row(reason) : VMX_ROW_REFUSED;
	vcpu_account_exit(vcpu, row);
	WRITE_ONCE(vcpu->in_guest, false);
	vcpu->event.injected.valid = false;
	vectoring = 0;
	if (likely(!refused && !(reason & EXIT_REASON_ENTRY_FAILED))) {
		s->launched = true;
		state_from_vmcs(vcpu, s);
		vectoring = (uint32_t)vmcs_read(VMCS_VECTORING);
	}
	if (unlikely(row == VMX_EXIT_EXCEPTION_NMI || row == VMX_EXIT_MACHINE_CHECK))
		vmx_host_exceptions(reason);
	cpu_irq_enable();

	if (unlikely(vectoring & VMCS_EVENT_VALID))
		vmx_delivered(vcpu, vectoring);
	if (likely(vmx_exits[row].handler))
		vmx_exits[row].handler(vcpu);
	else
		vmx_exit_unknown(vcpu);
	return true;
}

bool vmx_run(struct vcpu *vcpu)
{
	struct vmx_vcpu *s = vmx_of(vcpu);

	while (turn(vcpu, s))
		if (unlikely(vcpu->activity != VCPU_RUNNABLE))
			return true;
	return false;
}
