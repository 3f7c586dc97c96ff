/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a vCPU's registers are after power-up and after INIT, and how a SIPI starts it. On its own
 * thread, or before that runs.
 * Source: Intel SDM 3, "Processor State Following Power-up, Reset, or INIT", "MP Initialization",
 * "x2APIC State Transitions"; AMD64 APM 2, "Processor Initialization State".
 */
#include "vmm/vcpu.h"

#include "cpu/fpu.h"
#include "lib/string.h"
#include "vmm/insn/emulate.h"
#include "vmm/msr.h"
#include "vmm/vm.h"

#define RESET_VECTOR	0xfffffff0ul

static void reset_segments(struct vcpu *vcpu)
{
	static const struct segment data = { .limit = 0xffff, .attr = SEG_P | SEG_S | 3 };
	static const struct segment code = {
		.base = 0xffff0000, .limit = 0xffff, .attr = SEG_P | SEG_S | 0xb,
		.selector = 0xf000,
	};
	static const struct segment ldtr = { .limit = 0xffff, .attr = SEG_P | 2 };
	static const struct segment tr = { .limit = 0xffff, .attr = SEG_P | 0xb };
	static const struct segment table = { .limit = 0xffff };

	for (enum seg s = SEG_ES; s <= SEG_GS; s++)
		vmm_ops->segment_set(vcpu, s, s == SEG_CS ? &code : &data);
	vmm_ops->segment_set(vcpu, SEG_LDTR, &ldtr);
	vmm_ops->segment_set(vcpu, SEG_TR, &tr);
	vmm_ops->segment_set(vcpu, SEG_GDTR, &table);
	vmm_ops->segment_set(vcpu, SEG_IDTR, &table);
}

/* What power-up and INIT have in common. */
static void reset(struct vcpu *vcpu)
{
	struct cpuid_regs r;

	memset(vcpu->gpr, 0, sizeof(vcpu->gpr));
	memset(&vcpu->event, 0, sizeof(vcpu->event));
	cpuid_query(vcpu, 1, 0, &r);
	vcpu->gpr[GPR_RDX] = r.eax;	/* the processor's signature */
	vcpu->rip = 0xfff0;
	vcpu->rflags = RFLAGS_ONE;
	vcpu->activity = vcpu->id ? VCPU_WAIT_SIPI : VCPU_RUNNABLE;
	vlapic_reset(vcpu);
	hwstate_reset(&vcpu->hw);
	vmm_ops->vcpu_reset(vcpu);
	reset_segments(vcpu);
}

void vcpu_reset(struct vcpu *vcpu)
{
	vlapic_base_set(vcpu, VLAPIC_BASE | APIC_BASE_ENABLE);
	vcpu->tsc_adjust = 0;
	vcpu->pvclock.system_time_msr = vcpu->pvclock.wall_clock_msr = 0;
	msr_reset(vcpu);
	reset(vcpu);
	fpu_area_init(vcpu->hw.fpu);
	vmm_ops->tsc_offset_set(vcpu, vcpu->vm->tsc_offset);
}

/*
 * INIT leaves alone what is not named here or in reset(): time, memory types, extended state, the
 * local APIC's mode and id, MSRs that the table does not name, the interface to Keel.
 */
static const enum reg kept_by_init[] = {
	REG_XCR0, REG_STAR, REG_LSTAR, REG_CSTAR, REG_SFMASK, REG_KERNEL_GS_BASE, REG_TSC_AUX,
	REG_SYSENTER_CS, REG_SYSENTER_ESP, REG_SYSENTER_EIP, REG_PAT, REG_DEBUGCTL, REG_SPEC_CTRL,
};

static void init_reset(struct vcpu *vcpu)
{
	uint64_t value[ARRAY_COUNT(kept_by_init)], cache, cr0;

	vcpu_put_state(vcpu);
	for (unsigned i = 0; i < ARRAY_COUNT(kept_by_init); i++)
		value[i] = vmm_ops->reg_get(vcpu, kept_by_init[i]);
	cache = vmm_ops->reg_get(vcpu, REG_CR0) & (CR0_CD | CR0_NW);
	reset(vcpu);
	emulate_flush(vcpu);
	for (unsigned i = 0; i < ARRAY_COUNT(kept_by_init); i++)
		vmm_ops->reg_set(vcpu, kept_by_init[i], value[i]);
	cr0 = vmm_ops->reg_get(vcpu, REG_CR0) & ~(uint64_t)(CR0_CD | CR0_NW);
	vmm_ops->reg_set(vcpu, REG_CR0, cr0 | cache);
}

/*
 * The boot processor goes to its reset vector. Where no firmware lies there the machine resets as a
 * whole, which is what firmware would make of it.
 */
void vcpu_reset_init(struct vcpu *vcpu)
{
	if (vcpu->id == 0 && !gmem_is_ram(&vcpu->vm->gmem, GPA(RESET_VECTOR), GMEM_EXEC))
		vm_stop_self(vcpu->vm, VM_STOP_RESET, 0);
	else
		init_reset(vcpu);
}

void vcpu_reset_startup(struct vcpu *vcpu, uint8_t vector)
{
	struct segment cs = {
		.base = (uint64_t)vector << 12, .limit = 0xffff, .attr = SEG_P | SEG_S | 0xb,
		.selector = (uint16_t)(vector << 8),
	};

	if (vcpu->activity != VCPU_WAIT_SIPI)
		return;
	vmm_ops->segment_set(vcpu, SEG_CS, &cs);
	vcpu->rip = 0;
	vcpu->activity = VCPU_RUNNABLE;
}
