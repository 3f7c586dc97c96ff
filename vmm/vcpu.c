/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a vCPU: its thread, the loop, requests and kicks, parking. The loop gives way only
 * between exits. A request is served on the vCPU's own thread; who made it does not wait, but for
 * vm_quiesce().
 */
#include "vmm/vcpu.h"

#include "cpu/cpu.h"
#include "cpu/fpu.h"
#include "cpu/ipi.h"
#include "cpu/irq.h"
#include "cpu/tsc.h"
#include "include/errno.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "kernel/trace.h"
#include "lib/format.h"
#include "lib/record.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "vmm/insn/emulate.h"
#include "vmm/pvclock.h"
#include "vmm/vm.h"

#define MEMORY_RETRY_NS 100000000

/* ---- kicks ---- */

/* Behind a locked instruction, which is a barrier. */
static always_inline void kick(struct vcpu *vcpu)
{
	if (READ_ONCE(vcpu->in_guest))
		ipi_send(vcpu->cpu, IRQ_KICK);
	else if (READ_ONCE(vcpu->sleeping))
		thread_wake(vcpu->thread);
}

void vcpu_kick(struct vcpu *vcpu)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	kick(vcpu);
}

void vcpu_request(struct vcpu *vcpu, uint32_t request)
{
	ASSERT(request);
	__atomic_or_fetch(&vcpu->requests, request, __ATOMIC_SEQ_CST);
	kick(vcpu);
}

void vcpu_request_init(struct vcpu *vcpu)
{
	uint32_t old = READ_ONCE(vcpu->requests);

	while (!__atomic_compare_exchange_n(&vcpu->requests, &old, (old & ~VCPU_REQ_STARTUP) |
					    VCPU_REQ_INIT, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_RELAXED))
		;
	vcpu_kick(vcpu);
}

void vcpu_request_startup(struct vcpu *vcpu, uint8_t vector)
{
	uint32_t old = READ_ONCE(vcpu->requests), mine = VCPU_REQ_SIPI;

	mine |= (uint32_t)vector << VCPU_REQ_VECTOR_SHIFT;
	while (!(old & VCPU_REQ_SIPI) &&
	       !__atomic_compare_exchange_n(&vcpu->requests, &old, old | mine, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
	vcpu_kick(vcpu);
}


static uint32_t take_requests(struct vcpu *vcpu)
{
	return __atomic_exchange_n(&vcpu->requests, 0, __ATOMIC_SEQ_CST);
}

/* ---- what the loop does besides running the guest ---- */

/* Time from here to vcpu_account_resume is no exit's cost. */
static void account_pause(struct vcpu *vcpu)
{
	vcpu_account_entry(vcpu);
}

static void account_resume(struct vcpu *vcpu)
{
	vcpu->exit_tsc = tsc_read();
}

void vcpu_put_state(struct vcpu *vcpu)
{
	uint64_t flags = cpu_irq_save();

	vmm_ops->leave_cpu(vcpu);
	cpu_irq_restore(flags);
}

/* Waits while the VM does not run; false: it ends. */
static bool park(struct vcpu *vcpu)
{
	bool alive;

	vcpu_put_state(vcpu);
	account_pause(vcpu);
	vcpu_quiet_begin(vcpu);
	alive = vm_park(vcpu->vm, vcpu);
	if (alive)
		vcpu_quiet_end(vcpu);
	account_resume(vcpu);
	return alive;
}

/* Between exits, where it holds nothing. */
static void quiet_point(struct vcpu *vcpu)
{
	vcpu_quiet_begin(vcpu);
	sched_point();
	vcpu_quiet_end(vcpu);
}

static void sleep(struct vcpu *vcpu, uint64_t deadline_ns)
{
	account_pause(vcpu);
	thread_prepare();
	__atomic_store_n(&vcpu->sleeping, true, __ATOMIC_SEQ_CST);
	if (!READ_ONCE(vcpu->requests))
		(void)thread_wait(deadline_ns);
	else
		quiet_point(vcpu);	/* as every wait does: requests may never end */
	WRITE_ONCE(vcpu->sleeping, false);
	account_resume(vcpu);
}

/* The instruction that found none is executed again afterwards. */
static void wait_memory(struct vcpu *vcpu)
{
	if (!vm_memory_wait_begin(vcpu)) {
		vm_crash(vcpu->vm, "no memory is left for what it touches at rip 0x%lx",
			 vcpu->rip);
		return;
	}
	sleep(vcpu, clock_ns() + MEMORY_RETRY_NS);
	vm_memory_wait_end(vcpu);
}

static void move(struct vcpu *vcpu)
{
	account_pause(vcpu);
	vcpu_quiet_begin(vcpu);
	sched_move();
	vcpu_quiet_end(vcpu);
	account_resume(vcpu);
}

/* All but VCPU_REQ_EVENT; false: the VM ends. */
static noinline bool serve_rare(struct vcpu *vcpu, uint32_t req)
{
	if (req & VCPU_REQ_FLUSH) {
		emulate_flush(vcpu);
		vmm_ops->flush_tlb(vcpu);
	}
	if (req & VCPU_REQ_QUIESCE)
		vcpu_quiet_now(vcpu);
	if (req & VCPU_REQ_INIT)
		vcpu_reset_init(vcpu);
	if (req & VCPU_REQ_SIPI)
		vcpu_reset_startup(vcpu, (uint8_t)(req >> VCPU_REQ_VECTOR_SHIFT));
	/* What changes the vCPU's state comes before: while it is parked the state may be saved. */
	if (req & VCPU_REQ_STOP && !park(vcpu))
		return false;
	if (req & VCPU_REQ_CLOCK)
		pvclock_update(vcpu);
	if (req & VCPU_REQ_MEMORY)
		wait_memory(vcpu);
	if (req & VCPU_REQ_MOVE)
		move(vcpu);
	return true;
}

static bool serve(struct vcpu *vcpu)
{
	uint32_t req = take_requests(vcpu);

	if (unlikely(req & ~(uint32_t)VCPU_REQ_EVENT) && !serve_rare(vcpu, req))
		return false;
	if (req & VCPU_REQ_EVENT)
		vcpu->event.look = true;
	if (vcpu->activity == VCPU_HALTED && event_wakes(vcpu))
		vcpu->activity = VCPU_RUNNABLE;
	return true;
}

static void give_way(struct vcpu *vcpu)
{
	uint64_t until;

	account_pause(vcpu);
	quiet_point(vcpu);
	account_resume(vcpu);
	until = sched_capped_until();
	if (unlikely(until))
		sleep(vcpu, until);
}

void vcpu_main(void *arg)
{
	struct vcpu *vcpu = arg;

	vcpu_quiet_end(vcpu);
	account_resume(vcpu);
	for (;;) {
		if (likely(vcpu->activity == VCPU_RUNNABLE))
			vmm_ops->run(vcpu);
		else
			sleep(vcpu, THREAD_FOREVER);
		if (READ_ONCE(vcpu->requests) && !serve(vcpu))
			break;
		if (sched_wanted() && vcpu->activity == VCPU_RUNNABLE)
			give_way(vcpu);
	}
	vcpu_put_state(vcpu);
}

static void leave_cpu(void *arg)
{
	vmm_ops->leave_cpu(arg);
}

/* ---- life ---- */

int vcpu_create(struct vm *vm, unsigned id, struct vcpu **out)
{
	struct vcpu *vcpu = heap_alloc(sizeof(*vcpu));
	char name[32];
	struct thread_attr attr = {
		.name = name, .entry = vcpu_main, .arg = vcpu, .cpu = -1, .leave_cpu = leave_cpu,
		.group = vm->group,
	};
	int err = -ENOMEM;

	ASSERT(id < VM_VCPU_MAX && thread_may_wait());
	if (!vcpu)
		return -ENOMEM;
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->apic_id = cpu_topology_apic_id(&vm->config.topology, id);
	vcpu->exit_now = &vcpu->exits[0];
	vcpu->quiet = true;			/* until its thread runs */
	vlapic_init(vcpu);
	format(name, sizeof(name), "%.24s/%u", vm->config.name, id);
	err = hwstate_init(&vcpu->hw, vm->cpuid->xcr0_allowed);
	if (!err)
		err = emulate_vcpu_init(vcpu);
	if (!err)
		err = vmm_ops->vcpu_init(vcpu);
	if (!err)
		err = (vcpu->thread = thread_create(&attr)) ? 0 : -ENOMEM;
	if (err) {
		vcpu_destroy(vcpu);
		return err;
	}
	*out = vcpu;
	return 0;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	ASSERT(!vcpu->in_guest);
	vlapic_fini(vcpu);
	if (vcpu->state != VCPU_NEW)
		thread_join(vcpu->thread);
	else if (vcpu->thread)
		thread_put(vcpu->thread);
	vlapic_fini(vcpu);
	vmm_ops->vcpu_fini(vcpu);
	emulate_vcpu_fini(vcpu);
	hwstate_fini(&vcpu->hw);
	heap_free(vcpu);
}

/* ---- time and NEXT ---- */

uint64_t vcpu_guest_tsc(const struct vcpu *vcpu)
{
	return tsc_read() + vcpu->vm->tsc_offset + vcpu->tsc_adjust;
}

void vcpu_tsc_adjust(struct vcpu *vcpu, uint64_t value)
{
	bool changed = vcpu->tsc_adjust != value;

	WRITE_ONCE(vcpu->tsc_adjust, value);
	vmm_ops->tsc_offset_set(vcpu, vcpu->vm->tsc_offset + value);
	/* This one's clock page, and whether one page may stand for all. */
	if (unlikely(changed && vcpu->pvclock.system_time_msr))
		for (unsigned i = 0; i < vcpu->vm->vcpu_count; i++)
			vcpu_request(vcpu->vm->vcpu[i], VCPU_REQ_CLOCK);
	if (unlikely(vcpu->vlapic.tsc_deadline))
		vlapic_deadline_write(vcpu, vcpu->vlapic.tsc_deadline);
}

/* Outside 64-bit mode the instruction pointer ends at 4 GiB. */
static uint64_t wrap_rip(struct vcpu *vcpu, uint64_t rip)
{
	struct vcpu_mode mode;

	vmm_ops->mode(vcpu, &mode);
	return mode.bits == 64 ? rip : (uint32_t)rip;
}

void vcpu_next_slowly(struct vcpu *vcpu, uint64_t rip)
{
	vcpu->rip = wrap_rip(vcpu, rip);
	vcpu->event.shadow = 0;
	vcpu->rflags &= ~RFLAGS_RF;
	/* With BTF a step ends at a branch, and none is emulated. */
	if (vcpu->rflags & RFLAGS_TF && !(vmm_ops->reg_get(vcpu, REG_DEBUGCTL) & DEBUGCTL_BTF))
		event_debug(vcpu, DR6_BS);
}
