/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RFLAGS to and from the stack: PUSHF, POPF, and what IRET loads of them. Which flags change goes
 * by privilege and operand size; in virtual-8086 mode below IOPL 3 VIF stands for IF, where the
 * guest has CR4.VME.
 * Sources: Intel SDM 2, "PUSHF/PUSHFD/PUSHFQ", "POPF/POPFD/POPFQ", "IRET/IRETD/IRETQ"; SDM 3,
 * "Interrupt and Exception Handling in Virtual-8086 Mode".
 */
#include "vmm/insn/emulate_state.h"

#define ALWAYS	(RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_TF | \
		 RFLAGS_DF | RFLAGS_OF | RFLAGS_NT)

/* Is IF out of reach for virtual-8086 code? */
static bool is_virtual(const struct emulation *e)
{
	uint64_t flags = e->vcpu->rflags;

	return flags & RFLAGS_VM && (flags & RFLAGS_IOPL) != RFLAGS_IOPL;
}

int emulate_flags_check(struct emulation *e, unsigned size)
{
	if (!is_virtual(e) || (size == 2 && e->mode.cr4 & CR4_VME))
		return 0;
	return emulate_fault_error(e, EXC_GP, 0);
}

int emulate_flags_load(struct emulation *e, uint64_t v, unsigned size, uint64_t more)
{
	uint64_t old = e->vcpu->rflags, loaded = ALWAYS;

	if (size > 2)
		loaded |= RFLAGS_AC | RFLAGS_ID | more;
	if (!e->mode.cpl)
		loaded |= RFLAGS_IOPL;
	if (is_virtual(e)) {
		if (v & RFLAGS_TF || (v & RFLAGS_IF && old & RFLAGS_VIP))
			return emulate_fault_error(e, EXC_GP, 0);
		loaded |= RFLAGS_VIF;
		v = (v & ~RFLAGS_VIF) | (v & RFLAGS_IF ? RFLAGS_VIF : 0);
	} else if (e->mode.cpl <= (old & RFLAGS_IOPL) / (RFLAGS_IOPL & -RFLAGS_IOPL)) {
		loaded |= RFLAGS_IF;
	}
	e->flags = (old & ~(loaded | RFLAGS_RF)) | (v & loaded);
	e->loads_flags = true;
	return 0;
}

static int pushf(struct emulation *e)
{
	unsigned size = emulate_stack_size(e);
	uint64_t *sp = &e->vcpu->gpr[GPR_RSP], v = e->vcpu->rflags & ~(RFLAGS_VM | RFLAGS_RF);
	int err = emulate_flags_check(e, size);

	if (is_virtual(e))
		v = (v & ~RFLAGS_IF) | RFLAGS_IOPL | (v & RFLAGS_VIF ? RFLAGS_IF : 0);
	err = err ?: emulate_stack_push(e, *sp, size, &v, 1, false) ?: operand_check(e);
	err = err ?: emulate_stack_push(e, *sp, size, &v, 1, true);
	if (!err)
		*sp = emulate_stack_moved(e, *sp, -(int64_t)size);
	return err;
}

static int popf(struct emulation *e)
{
	unsigned size = emulate_stack_size(e);
	uint64_t *sp = &e->vcpu->gpr[GPR_RSP], v;
	int err = emulate_flags_check(e, size) ?: emulate_stack_pop(e, *sp, size, &v, 1, false);

	err = err ?: operand_check(e) ?: emulate_stack_pop(e, *sp, size, &v, 1, true);
	err = err ?: emulate_flags_load(e, v, size, 0);
	if (!err)
		*sp = emulate_stack_moved(e, *sp, size);
	return err;
}

#define ANY	GROUP_ANY

const struct emulate_row emulate_flags_rows[] = {
	{ MAP_ONE, 0x9c, 0xff, ANY, PREFIX_ANY, OPERAND_ANY, 0, 0, pushf },
	{ MAP_ONE, 0x9d, 0xff, ANY, PREFIX_ANY, OPERAND_ANY, 0, 0, popf },
	{ 0 },
};
