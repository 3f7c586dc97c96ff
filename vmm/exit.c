/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Vendor-neutral work of exits; see exit.h. Each function ends in NEXT, an event, or the VM's end,
 * and changes nothing before it is sure of the instruction's length.
 */
#include "vmm/exit.h"

#include "cpu/fpu.h"
#include "cpu/registers.h"
#include "include/errno.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "lib/format.h"
#include "vmm/insn/breakpoint.h"
#include "vmm/insn/emulate.h"
#include "vmm/msr.h"
#include "vmm/vm.h"

#define KVM_ENOSYS	1000
#define KVM_EPERM	1

#define OPCODE_CPUID	0x0fa2
#define OPCODE_RDMSR	0x0f32
#define OPCODE_WRMSR	0x0f30
#define OPCODE_HLT	0xf4
#define OPCODE_VMMCALL	0x0f01d9
#define OPCODE_XSETBV	0x0f01d1
#define OPCODE_RDTSC	0x0f31
#define OPCODE_RDTSCP	0x0f01f9
#define OPCODE_INVD	0x0f08
#define OPCODE_WBINVD	0x0f09

static inline unsigned length_or_decode(struct vcpu *vcpu, unsigned length, unsigned opcode)
{
	return length ? length : emulate_length_of(vcpu, opcode);
}

static always_inline void cpuid_done(struct vcpu *vcpu, const struct cpuid_regs *r, unsigned length)
{
	vcpu->gpr[GPR_RAX] = r->eax;
	vcpu->gpr[GPR_RBX] = r->ebx;
	vcpu->gpr[GPR_RCX] = r->ecx;
	vcpu->gpr[GPR_RDX] = r->edx;
	vcpu_next(vcpu, length);
}

static noinline void cpuid_slowly(struct vcpu *vcpu, unsigned length)
{
	struct cpuid_regs r;

	length = length_or_decode(vcpu, length, OPCODE_CPUID);
	if (!length)
		return;
	cpuid_query(vcpu, (uint32_t)vcpu->gpr[GPR_RAX], (uint32_t)vcpu->gpr[GPR_RCX], &r);
	cpuid_done(vcpu, &r, length);
}

void exit_cpuid(struct vcpu *vcpu, unsigned length)
{
	const struct cpuid_regs *r = cpuid_constant(vcpu->vm->cpuid, (uint32_t)vcpu->gpr[GPR_RAX]);

	if (likely(length && r))
		cpuid_done(vcpu, r, length);
	else
		cpuid_slowly(vcpu, length);
}

/* KVM's convention: number in RAX, answer in RAX. None is offered yet. */
void exit_hypercall(struct vcpu *vcpu, unsigned length)
{
	struct vcpu_mode mode;

	/* The chip that tells no length has VMMCALL only. */
	length = length_or_decode(vcpu, length, OPCODE_VMMCALL);
	if (!length)
		return;
	vmm_ops->mode(vcpu, &mode);
	vcpu->gpr[GPR_RAX] = mode.cpl ? -(uint64_t)KVM_EPERM : -(uint64_t)KVM_ENOSYS;
	vcpu_next(vcpu, length);
}

void exit_rdmsr(struct vcpu *vcpu, unsigned length)
{
	uint64_t value = 0;

	length = length_or_decode(vcpu, length, OPCODE_RDMSR);
	if (!length)
		return;
	if (unlikely(msr_read(vcpu, (uint32_t)vcpu->gpr[GPR_RCX], &value))) {
		event_gp(vcpu);
		return;
	}
	vcpu->gpr[GPR_RAX] = (uint32_t)value;
	vcpu->gpr[GPR_RDX] = value >> 32;
	vcpu_next(vcpu, length);
}

static noinline void wrmsr_slowly(struct vcpu *vcpu, unsigned length)
{
	uint64_t value = (uint32_t)vcpu->gpr[GPR_RAX] | vcpu->gpr[GPR_RDX] << 32;

	length = length_or_decode(vcpu, length, OPCODE_WRMSR);
	if (!length)
		return;
	if (unlikely(msr_write(vcpu, (uint32_t)vcpu->gpr[GPR_RCX], value))) {
		event_gp(vcpu);
		return;
	}
	vcpu_next(vcpu, length);
}

/* An EOI, the busiest of all, by the rules of vlapic_msr_write()? */
static always_inline bool is_eoi(const struct vcpu *vcpu)
{
	return (uint32_t)vcpu->gpr[GPR_RCX] == MSR_X2APIC_EOI &&
	       !(uint32_t)(vcpu->gpr[GPR_RAX] | vcpu->gpr[GPR_RDX]) &&
	       vcpu->apic_base & APIC_BASE_X2APIC;
}

void exit_wrmsr(struct vcpu *vcpu, unsigned length)
{
	if (likely(length && is_eoi(vcpu))) {
		vcpu_next(vcpu, length);
		vlapic_eoi(vcpu);
	} else {
		wrmsr_slowly(vcpu, length);
	}
}

void exit_io_string(struct vcpu *vcpu, const struct io_access *io)
{
	emulate_string_io(vcpu, io);
}

/* Of RAX: a 32-bit result clears the upper half, a smaller one leaves the rest alone. */
static always_inline void result_set(struct vcpu *vcpu, unsigned size, uint64_t value)
{
	uint64_t *rax = &vcpu->gpr[GPR_RAX];

	if (likely(size == 1))
		*(uint8_t *)rax = (uint8_t)value;
	else if (size == 2)
		*(uint16_t *)rax = (uint16_t)value;
	else
		*rax = (uint32_t)value;
}

static noinline void in_slowly(struct vcpu *vcpu, unsigned port, unsigned size, unsigned length)
{
	result_set(vcpu, size, bus_read(vcpu->vm, HOST_PORT, port, size));
	vcpu_next(vcpu, length);
}

static noinline void out_slowly(struct vcpu *vcpu, unsigned port, unsigned size, unsigned length)
{
	bus_write(vcpu->vm, HOST_PORT, port, size, vcpu->gpr[GPR_RAX]);
	if (!vcpu_io_again(vcpu))
		vcpu_next(vcpu, length);
}

void exit_in(struct vcpu *vcpu, unsigned port, unsigned size, unsigned length)
{
	const struct bus_claim *c = bus_port_claim(&vcpu->vm->bus, port, size);

	ASSERT(port <= 0xffff && (size == 1 || size == 2 || size == 4));
	if (unlikely(!c)) {
		in_slowly(vcpu, port, size, length);
		return;
	}
	result_set(vcpu, size, c->dev->ops->read(c->dev, c->region, port - c->base, size));
	vcpu_next(vcpu, length);
}

void exit_out(struct vcpu *vcpu, unsigned port, unsigned size, unsigned length)
{
	const struct bus_claim *c = bus_port_claim(&vcpu->vm->bus, port, size);
	uint64_t value = vcpu->gpr[GPR_RAX];

	ASSERT(port <= 0xffff && (size == 1 || size == 2 || size == 4));
	if (unlikely(!c)) {
		out_slowly(vcpu, port, size, length);
		return;
	}
	/* Not bytes_mask(): that is three instructions more. */
	value = likely(size == 1) ? (uint8_t)value : size == 2 ? (uint16_t)value : (uint32_t)value;
	c->dev->ops->write(c->dev, c->region, port - c->base, size, value);
	if (!vcpu_io_again(vcpu))
		vcpu_next(vcpu, length);
}

void exit_io_watched(struct vcpu *vcpu, uint64_t rip, uint16_t port, unsigned size)
{
	uint64_t hits = vcpu->rip != rip ? breakpoint_io(vcpu, port, size) : 0;

	if (hits)
		event_debug(vcpu, hits);
}

/* ---- memory ---- */

static bool in_vlapic(const struct vcpu *vcpu, gpa_t a)
{
	return (a.v & PAGE_MASK) == vcpu->apic_window;
}

uint64_t exit_mmio_read(struct vcpu *vcpu, gpa_t a, unsigned size)
{
	unsigned offset = a.v & 0xfff, shift = 8 * (offset & 15);

	ASSERT(size && size <= 8);
	if (!in_vlapic(vcpu, a))
		return bus_read(vcpu->vm, HOST_MMIO, a.v, size);
	/* Registers are 32 bits at multiples of 16; what lies between them reads 0. */
	if (shift >= 32)
		return 0;
	return (uint64_t)vlapic_read(vcpu, offset & ~15u) >> shift & bytes_mask(size);
}

void exit_mmio_write(struct vcpu *vcpu, gpa_t a, unsigned size, uint64_t value)
{
	ASSERT(size && size <= 8);
	if (!in_vlapic(vcpu, a)) {
		bus_write(vcpu->vm, HOST_MMIO, a.v, size, value);
		return;
	}
	/* Only aligned 32-bit writes are defined (SDM 3, "Local APIC Register Address Map"). */
	if (size >= 4 && !(a.v & 15))
		vlapic_write(vcpu, a.v & 0xff0, (uint32_t)value);
}

#define ACCESS	(GMEM_READ | GMEM_WRITE | GMEM_EXEC)

static void device_access(struct vcpu *vcpu, gpa_t gpa, unsigned access)
{
	if (unlikely(vcpu->event.pending.valid)) {
		vm_crash(vcpu->vm, "delivery of vector %u touched 0x%lx, which is no memory",
			 vcpu->event.pending.vector, gpa.v);
		return;
	}
	/* Nothing answers a fetch there: all ones are an undefined instruction. */
	if ((access & ~EXIT_WATCHED) == GMEM_EXEC)
		event_ud(vcpu);
	else
		emulate_mmio(vcpu, gpa, access);
}

static noinline void memory_access(struct vcpu *vcpu, gpa_t gpa, unsigned access)
{
	int err = gmem_fault(&vcpu->vm->gmem, gpa, access & ACCESS);

	if (err == -ENOENT)
		device_access(vcpu, gpa, access);
	else if (unlikely(err == -ENOMEM))
		vcpu_request(vcpu, VCPU_REQ_MEMORY);
}

void exit_memory(struct vcpu *vcpu, gpa_t gpa, unsigned access)
{
	if (in_vlapic(vcpu, gpa))
		device_access(vcpu, gpa, access);
	else
		memory_access(vcpu, gpa, access);
}

/* ---- the CPU's own ---- */

void exit_hlt(struct vcpu *vcpu, unsigned length)
{
	length = length_or_decode(vcpu, length, OPCODE_HLT);
	if (!length)
		return;
	vcpu_next(vcpu, length);
	if (!event_wakes(vcpu))
		vcpu->activity = VCPU_HALTED;
	vcpu->event.look = true;
}

void exit_pause(struct vcpu *vcpu)
{
	(void)vcpu;
	/* A spinning vCPU waits for another: let whoever is runnable here go first. */
	sched_yield();
}

void exit_rdtsc(struct vcpu *vcpu, unsigned length, bool rdtscp)
{
	static const unsigned both[] = { OPCODE_RDTSC, OPCODE_RDTSCP, 0 };
	uint64_t tsc = vcpu_guest_tsc(vcpu);
	unsigned opcode;

	/* On some chips, which tell no lengths, RDTSCP comes as RDTSC. */
	if (!length) {
		length = emulate_length_among(vcpu, both, &opcode);
		rdtscp = opcode == OPCODE_RDTSCP;
	}
	if (!length)
		return;
	vcpu->gpr[GPR_RAX] = (uint32_t)tsc;
	vcpu->gpr[GPR_RDX] = tsc >> 32;
	if (rdtscp)
		vcpu->gpr[GPR_RCX] = vmm_ops->reg_get(vcpu, REG_TSC_AUX);
	vcpu_next(vcpu, length);
}

void exit_xsetbv(struct vcpu *vcpu, unsigned length)
{
	uint64_t value = (uint32_t)vcpu->gpr[GPR_RAX] | vcpu->gpr[GPR_RDX] << 32;
	struct vcpu_mode mode;

	vmm_ops->mode(vcpu, &mode);
	if (!(mode.cr4 & CR4_OSXSAVE)) {
		event_ud(vcpu);
		return;
	}
	if (mode.cpl || (uint32_t)vcpu->gpr[GPR_RCX] || value & ~vcpu->vm->cpuid->xcr0_allowed ||
	    !fpu_xcr0_valid(value)) {
		event_gp(vcpu);
		return;
	}
	length = length_or_decode(vcpu, length, OPCODE_XSETBV);
	if (!length)
		return;
	vmm_ops->reg_set(vcpu, REG_XCR0, value);
	vcpu_next(vcpu, length);
}

void exit_wbinvd(struct vcpu *vcpu, unsigned length)
{
	static const unsigned both[] = { OPCODE_INVD, OPCODE_WBINVD, 0 };
	struct vcpu_mode mode;
	unsigned opcode;

	/* A chip looks at the CPL before the intercept; not every bed does. */
	vmm_ops->mode(vcpu, &mode);
	if (mode.cpl) {
		event_gp(vcpu);
		return;
	}
	/*
	 * Guest memory is write-back and coherent, no device of the guest's bypasses the caches:
	 * nothing to write back.
	 */
	length = length ? length : emulate_length_among(vcpu, both, &opcode);
	if (length)
		vcpu_next(vcpu, length);
}

void exit_invlpg(struct vcpu *vcpu, unsigned length)
{
	vmm_ops->flush_tlb(vcpu);
	vcpu_next(vcpu, length);
}

/* On a PC the chipset takes this for a reset, and kernels use it as one: so it is no crash. */
void exit_shutdown(struct vcpu *vcpu)
{
	if (vcpu_report(vcpu))
		log_warn("%s: vcpu %u: triple fault at rip 0x%lx: a reset", vcpu->vm->config.name,
			 vcpu->id, vcpu->rip);
	vm_stop_self(vcpu->vm, VM_STOP_RESET, 0);
	vcpu->activity = VCPU_SHUTDOWN;
}

void exit_undefined(struct vcpu *vcpu)
{
	event_ud(vcpu);
}

void exit_task_switch(struct vcpu *vcpu, unsigned by, unsigned selector, unsigned length)
{
	const struct event *e = &vcpu->event.pending;

	/* An exception or an interrupt is no instruction; INT n is. */
	if (by == TASK_GATE)
		length = e->valid && e->type >= EVENT_SOFT_INTERRUPT ? e->length : 0;
	emulate_task_switch(vcpu, by, selector, length);
}

void exit_exception(struct vcpu *vcpu, const struct event *e)
{
	ASSERT(e->valid);
	event_queue(vcpu, e);
}

void exit_cr8(struct vcpu *vcpu, bool write, enum gpr r, unsigned length)
{
	uint64_t value = vcpu->gpr[r];

	ASSERT(r < GPR_COUNT);
	if (!write) {
		vcpu->gpr[r] = vmm_ops->reg_get(vcpu, REG_CR8);
	} else if (value > 15) {
		event_gp(vcpu);
		return;
	} else {
		vmm_ops->reg_set(vcpu, REG_CR8, value);
		vcpu->event.look = true;
	}
	vcpu_next(vcpu, length);
}

void exit_unexpected(struct vcpu *vcpu, const char *what, uint64_t code, uint64_t info1,
		     uint64_t info2)
{
	vcpu_report(vcpu);
	vm_crash(vcpu->vm, "unexpected %s 0x%lx (0x%lx, 0x%lx) at rip 0x%lx", what, code, info1,
		 info2, vcpu->rip);
}
