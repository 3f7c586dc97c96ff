/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a vCPU: its thread, the loop, requests and kicks, parking, its saved form. The
 * loop gives way only between exits. A request is served on the vCPU's own thread; who made it does
 * not wait, but for vm_quiesce().
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

/* A SIPI with its vector. */
#define REQ_STARTUP ((uint32_t)VCPU_REQ_SIPI | 0xffu << VCPU_REQ_VECTOR_SHIFT)

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

	while (!__atomic_compare_exchange_n(&vcpu->requests, &old, (old & ~REQ_STARTUP) |
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

/*
 * A neighbour may have sent these after this vCPU parked; the others follow from other state, or
 * are of this host.
 */
#define REQ_SAVED ((uint32_t)(VCPU_REQ_INIT | VCPU_REQ_SIPI))

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

/* ---- reports ---- */

bool vcpu_report(struct vcpu *vcpu)
{
	const char *name = vcpu->vm->config.name;
	uint8_t code[15];
	unsigned n = vcpu->event.pending.valid ? 0 : emulate_fetch_bytes(vcpu, code);
	char hex[3 * sizeof(code) + 1] = "";
	struct segment cs;

	/*
	 * One vCPU's report is enough: 64 that die at once would push everything else
	 * out of the log.
	 */
	if (__atomic_exchange_n(&vcpu->vm->reported, true, __ATOMIC_RELAXED))
		return false;
	for (unsigned i = 0; i < n; i++)
		format(hex + 3 * i, 4, "%02x ", code[i]);
	for (unsigned i = 0; i < GPR_COUNT; i += 4)
		log_info("%s: vcpu %u: %3s %016lx %3s %016lx %3s %016lx %3s %016lx", name, vcpu->id,
			 regs_gpr_name(i), vcpu->gpr[i], regs_gpr_name(i + 1), vcpu->gpr[i + 1],
			 regs_gpr_name(i + 2), vcpu->gpr[i + 2], regs_gpr_name(i + 3),
			 vcpu->gpr[i + 3]);
	vmm_ops->segment_get(vcpu, SEG_CS, &cs);
	log_info("%s: vcpu %u: rip %016lx rflags %08lx cs %04x base %lx attr %05x", name, vcpu->id,
		 vcpu->rip, vcpu->rflags, cs.selector, cs.base, cs.attr);
	log_info("%s: vcpu %u: cr0 %08lx cr2 %016lx cr3 %016lx cr4 %08lx efer %04lx", name,
		 vcpu->id, vmm_ops->reg_get(vcpu, REG_CR0), vmm_ops->reg_get(vcpu, REG_CR2),
		 vmm_ops->reg_get(vcpu, REG_CR3), vmm_ops->reg_get(vcpu, REG_CR4),
		 vmm_ops->reg_get(vcpu, REG_EFER));
	if (n)
		log_info("%s: vcpu %u: code %s", name, vcpu->id, hex);
	return true;
}

/* ---- saved form ---- */

static void put_segment(struct vcpu *vcpu, enum seg s, struct record_writer *w)
{
	struct segment seg;

	vmm_ops->segment_get(vcpu, s, &seg);
	record_put_u64(w, seg.base);
	record_put_u32(w, seg.limit);
	record_put_u32(w, seg.attr);
	record_put_u16(w, seg.selector);
}

static void get_segment(struct record_reader *r, struct segment *seg)
{
	seg->base = record_get_u64(r);
	seg->limit = record_get_u32(r);
	seg->attr = (uint32_t)record_get_below(r, 4, 0x1f0ff);
	seg->selector = record_get_u16(r);
}

void vcpu_save(struct vcpu *vcpu, struct record_writer *w)
{
	record_begin(w, "vcpu", vcpu->id, 2);
	for (unsigned i = 0; i < GPR_COUNT; i++)
		record_put_u64(w, vcpu->gpr[i]);
	record_put_u64(w, vcpu->rip);
	record_put_u64(w, vcpu->rflags);
	for (enum reg i = 0; i < REG_COUNT; i++)
		record_put_u64(w, vmm_ops->reg_get(vcpu, i));
	for (enum seg i = 0; i < SEG_COUNT; i++)
		put_segment(vcpu, i, w);
	record_put_u8(w, vcpu->activity);
	record_put_u32(w, READ_ONCE(vcpu->requests) & REQ_SAVED);
	record_put_u8(w, (uint8_t)(READ_ONCE(vcpu->requests) >> VCPU_REQ_VECTOR_SHIFT));
	event_save(&vcpu->event, w);
	record_put_u64(w, vcpu->tsc_adjust);
	record_put_u64(w, vcpu->apic_base);
	record_put_u64(w, vcpu->pvclock.system_time_msr);
	record_put_u64(w, vcpu->pvclock.wall_clock_msr);
	msr_save(vcpu, w);
	record_put_u32(w, (uint32_t)fpu_area_size());
	record_put(w, vcpu->hw.fpu, fpu_area_size());
	record_end(w);
	vlapic_save(vcpu, w);
}

struct vcpu_loaded {
	uint64_t reg[REG_COUNT];
	struct segment seg[SEG_COUNT];
};

/* What the entry checks of both vendors, and Keel's own policy, demand of hostile input. */
static bool regs_valid(const struct vcpu *vcpu, const struct vcpu_loaded *n)
{
	const struct cpuid_policy *p = vcpu->vm->cpuid;
	uint64_t cr0 = n->reg[REG_CR0], cr4 = n->reg[REG_CR4], efer = n->reg[REG_EFER];
	bool paging = cr0 & CR0_PG;

	if (cr0 >> 32 || (paging && !(cr0 & CR0_PE)) || (cr0 & CR0_NW && !(cr0 & CR0_CD)))
		return false;
	if (cr4 >> 32 || cr4 & (CR4_VMXE | CR4_SMXE | p->cr4_withheld) || efer & ~p->efer_allowed)
		return false;
	if (!(efer & EFER_LMA) != !(paging && efer & EFER_LME) ||
	    (efer & EFER_LMA && !(cr4 & CR4_PAE)))
		return false;
	if (n->reg[REG_CR3] & ~(BIT(p->phys_bits) - 1) || n->reg[REG_CR8] > 15)
		return false;
	if (n->reg[REG_DR6] >> 32 || n->reg[REG_DR7] >> 32 ||
	    n->reg[REG_DEBUGCTL] & ~DEBUGCTL_BTF || n->reg[REG_SPEC_CTRL])
		return false;
	/* Goes into the host's MSR as it is, which knows 32 bits. */
	if (n->reg[REG_TSC_AUX] >> 32)
		return false;
	return n->reg[REG_XCR0] == XCR0_X87 ||
	       (fpu_xcr0_valid(n->reg[REG_XCR0]) && !(n->reg[REG_XCR0] & ~p->xcr0_allowed));
}

int vcpu_load(struct vcpu *vcpu, struct record_reader *r, uint32_t version)
{
	struct vcpu *n = heap_alloc(sizeof(*n));
	struct vcpu_loaded regs;
	void *fpu = heap_alloc(MAX(fpu_area_size(), PAGE_SIZE));
	int err = -ENOMEM;
	uint8_t vector;

	if (!n || !fpu)
		goto out;
	n->vm = vcpu->vm;
	for (unsigned i = 0; i < GPR_COUNT; i++)
		n->gpr[i] = record_get_u64(r);
	n->rip = record_get_u64(r);
	n->rflags = record_get_u64(r);
	for (enum reg i = 0; i < REG_COUNT; i++)
		regs.reg[i] = record_get_u64(r);
	for (enum seg i = 0; i < SEG_COUNT; i++)
		get_segment(r, &regs.seg[i]);
	n->activity = (uint8_t)record_get_below(r, 1, VCPU_SHUTDOWN);
	n->requests = (uint32_t)record_get_below(r, 4, REQ_SAVED);
	vector = record_get_u8(r);
	event_load(&n->event, r);
	n->tsc_adjust = record_get_u64(r);
	n->apic_base = record_get_u64(r);
	n->pvclock.system_time_msr = record_get_u64(r);
	n->pvclock.wall_clock_msr = record_get_u64(r);
	msr_load(n, r);
	if (record_get_u32(r) != fpu_area_size())
		r->error = -EINVAL;
	record_get(r, fpu, r->error ? 0 : fpu_area_size());
	err = version == 2 && !(n->requests & ~REQ_SAVED) &&
	      vlapic_base_valid(vcpu, n->apic_base) && regs_valid(vcpu, &regs) &&
	      (n->rflags & ~BITS(21, 0)) == 0 ? record_finish(r) : -EINVAL;
	if (err)
		goto out;
	memcpy(vcpu->gpr, n->gpr, sizeof(n->gpr));
	vcpu->rip = n->rip;
	vcpu->rflags = n->rflags | RFLAGS_ONE;
	for (enum reg i = 0; i < REG_COUNT; i++)
		vmm_ops->reg_set(vcpu, i, regs.reg[i]);
	for (enum seg i = 0; i < SEG_COUNT; i++)
		vmm_ops->segment_set(vcpu, i, &regs.seg[i]);
	vcpu->activity = n->activity;
	__atomic_and_fetch(&vcpu->requests, ~(REQ_SAVED | REQ_STARTUP), __ATOMIC_SEQ_CST);
	__atomic_or_fetch(&vcpu->requests, n->requests & VCPU_REQ_INIT, __ATOMIC_SEQ_CST);
	if (n->requests & VCPU_REQ_SIPI)
		vcpu_request_startup(vcpu, vector);
	vcpu->event = n->event;
	vlapic_base_set(vcpu, n->apic_base);
	vcpu->pvclock = n->pvclock;
	memcpy(vcpu->mtrr, n->mtrr, sizeof(n->mtrr));
	memcpy(vcpu->msr_kept, n->msr_kept, sizeof(n->msr_kept));
	memcpy(vcpu->hw.fpu, fpu, fpu_area_size());
	vcpu_tsc_adjust(vcpu, n->tsc_adjust);
out:
	heap_free(fpu);
	heap_free(n);
	return err;
}
