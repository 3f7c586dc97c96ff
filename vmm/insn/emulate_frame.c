/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What moves many words on a stack that is in a device: ENTER and LEAVE, PUSHA and POPA.
 * All faults come before anything is written.
 * Sources: Intel SDM 2, "ENTER", "LEAVE", "PUSHA/PUSHAD", "POPA/POPAD".
 */
#include "vmm/insn/emulate_state.h"

static int leave(struct emulation *e)
{
	unsigned size = emulate_stack_size(e);
	uint64_t mask = operand_stack_mask(e), *gpr = e->vcpu->gpr, v,
		 sp = (gpr[GPR_RSP] & ~mask) | (gpr[GPR_RBP] & mask);
	int err = emulate_stack_pop(e, sp, size, &v, 1, false) ?: operand_check(e);

	err = err ?: emulate_stack_pop(e, sp, size, &v, 1, true);
	if (err)
		return err;
	gpr[GPR_RSP] = emulate_stack_moved(e, sp, size);
	gpr_write(e, GPR_RBP, size, v);
	return 0;
}

/*
 * The n-th word that ENTER pushes: rBP, then the pointers to the frames around this one, as the
 * frame above has them, and at last the one to this frame.
 */
static int enter_word(struct emulation *e, unsigned n, unsigned level, bool act)
{
	unsigned size = emulate_stack_size(e);
	uint64_t *gpr = e->vcpu->gpr,
		 sp = emulate_stack_moved(e, gpr[GPR_RSP], -(int64_t)(n * size)),
		 v = n ? gpr[GPR_RSP] - size : gpr[GPR_RBP];
	struct operand o;
	int err;

	if (n && n < level) {
		err = emulate_stack_prepare(
			e, emulate_stack_moved(e, gpr[GPR_RBP], -(int64_t)(n * size)), size,
			GMEM_READ, &o);
		if (err)
			return err;
		if (act)
			v = operand_read(e, &o);
	}
	return emulate_stack_push(e, sp, size, &v, 1, act);
}

static int enter_words(struct emulation *e, unsigned level, bool act)
{
	int err = 0;

	for (unsigned n = 0; !err && n <= level; n++)
		err = enter_word(e, n, level, act);
	return err;
}

/* The room below must be there, too. */
static int enter(struct emulation *e)
{
	unsigned size = emulate_stack_size(e), level = e->insn->imm >> 16 & 31;
	uint64_t *gpr = e->vcpu->gpr,
		 frame = emulate_stack_moved(e, gpr[GPR_RSP], -(int64_t)size),
		 sp = emulate_stack_moved(e, frame, -(int64_t)(level * size +
							      (uint16_t)e->insn->imm));
	struct operand below;
	int err = enter_words(e, level, false);

	if (!err)
		err = emulate_stack_prepare(e, sp, size, GMEM_WRITE, &below);
	err = err ?: operand_check(e) ?: enter_words(e, level, true);
	if (err)
		return err;
	gpr[GPR_RSP] = sp;
	gpr_write(e, GPR_RBP, size, frame);
	return 0;
}

/* In the order of their numbers; what rSP was before. */
static int pusha(struct emulation *e)
{
	unsigned size = e->insn->operand;
	uint64_t *sp = &e->vcpu->gpr[GPR_RSP];
	int err = emulate_stack_push(e, *sp, size, e->vcpu->gpr, 8, false) ?: operand_check(e);

	err = err ?: emulate_stack_push(e, *sp, size, e->vcpu->gpr, 8, true);
	if (!err)
		*sp = emulate_stack_moved(e, *sp, -(int64_t)(8 * size));
	return err;
}

static int popa(struct emulation *e)
{
	unsigned size = e->insn->operand;
	uint64_t *sp = &e->vcpu->gpr[GPR_RSP], v[8];
	int err = emulate_stack_pop(e, *sp, size, v, 8, false) ?: operand_check(e);

	err = err ?: emulate_stack_pop(e, *sp, size, v, 8, true);
	if (err)
		return err;
	for (unsigned n = 0; n < 8; n++)
		if (n != GPR_RSP)
			gpr_write(e, n, size, v[7 - n]);
	*sp = emulate_stack_moved(e, *sp, 8 * size);
	return 0;
}

#define ANY	GROUP_ANY

const struct emulate_row emulate_frame_rows[] = {
	{ MAP_ONE, 0xc8, 0xff, ANY, PREFIX_ANY, OPERAND_ANY, 0, 0, enter },
	{ MAP_ONE, 0xc9, 0xff, ANY, PREFIX_ANY, OPERAND_ANY, 0, 0, leave },
	{ MAP_ONE, 0x60, 0xff, ANY, PREFIX_ANY, OPERAND_ANY, 0, ROW_LEGACY, pusha },
	{ MAP_ONE, 0x61, 0xff, ANY, PREFIX_ANY, OPERAND_ANY, 0, ROW_LEGACY, popa },
	{ 0 },
};
