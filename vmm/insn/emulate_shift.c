/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shifts and rotates of one memory operand, single and double, bit by bit: counts are small, and
 * each flag is plainly what the last step has left. Flags that the manuals leave undefined keep
 * what chips commonly do.
 * Source: Intel SDM 2, "RCL/RCR/ROL/ROR", "SAL/SAR/SHL/SHR", "SHLD", "SHRD".
 */
#include "vmm/insn/emulate_state.h"

/* In the order of their encoding; those to the right are odd. */
enum { ROL, ROR, RCL, RCR, SHL, SHR, SAL, SAR };

static uint64_t step(unsigned op, uint64_t v, unsigned top, bool *carry)
{
	uint64_t high = v >> top & 1, low = v & 1, in = *carry;

	*carry = op & 1 ? low : high;
	switch (op) {
	case ROL: return v << 1 | high;
	case ROR: return v >> 1 | low << top;
	case RCL: return v << 1 | in;
	case RCR: return v >> 1 | in << top;
	case SHR: return v >> 1;
	case SAR: return v >> 1 | high << top;
	default: return v << 1;
	}
}

static unsigned count_of(const struct emulation *e)
{
	const struct insn *i = e->insn;
	unsigned mask = (i->opcode & 1) && i->operand == 8 ? 63 : 31;

	if (i->opcode < 0xd0)
		return i->imm & mask;
	return i->opcode < 0xd2 ? 1 : e->vcpu->gpr[GPR_RCX] & mask;
}

static uint64_t flags_after(uint64_t flags, unsigned op, uint64_t v, unsigned size, bool carry)
{
	unsigned top = 8 * size - 1;
	bool over = (v >> top & 1) != (op & 1 ? v >> (top - 1) & 1 : carry);

	flags &= ~(RFLAGS_CF | RFLAGS_OF);
	flags |= (carry ? RFLAGS_CF : 0) | (over ? RFLAGS_OF : 0);
	if (op < SHL)
		return flags;
	flags &= ~(RFLAGS_PF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_AF);
	return flags | emulate_result_flags(v, size);
}

static int shift(struct emulation *e)
{
	unsigned op = e->insn->reg & 7, count = count_of(e);
	bool carry = e->rflags & RFLAGS_CF;

	for (unsigned i = 0; i < count; i++)
		e->value[0] = step(op, e->value[0], 8 * e->size - 1, &carry) &
			      bytes_mask(e->size);
	if (count)
		e->rflags = flags_after(e->rflags, op, e->value[0], e->size, carry);
	return 0;
}

/*
 * SHLD and SHRD: the bits that come in are the register's. Counts beyond a 16-bit operand go round
 * through both, as on common chips.
 */
static int shift_double(struct emulation *e)
{
	const struct insn *i = e->insn;
	unsigned bits = 8 * e->size, mask = e->size == 8 ? 63 : 31;
	unsigned count = (i->opcode & 1 ? e->vcpu->gpr[GPR_RCX] : i->imm) & mask;
	uint64_t v = e->value[0], in = gpr_read(e, i->reg, e->size), turn;
	bool right = i->opcode & 8, carry = false;

	for (unsigned n = 0; n < count; n++) {
		turn = right ? v & 1 : v >> (bits - 1) & 1;
		carry = turn;
		if (right) {
			v = v >> 1 | (in & 1) << (bits - 1);
			in = in >> 1 | turn << (bits - 1);
		} else {
			v = (v << 1 | in >> (bits - 1)) & bytes_mask(e->size);
			in = (in << 1 | turn) & bytes_mask(e->size);
		}
	}
	if (count)
		e->rflags = flags_after(e->rflags, right ? SHR : SHL, v, e->size, carry);
	e->value[0] = v;
	return 0;
}

const struct emulate_row emulate_shift_rows[] = {
	{ MAP_ONE, 0xc0, 0xfe, GROUP_ANY, PREFIX_ANY, OPERAND_CHANGE, SIZE_BV, 0, shift },
	{ MAP_ONE, 0xd0, 0xfc, GROUP_ANY, PREFIX_ANY, OPERAND_CHANGE, SIZE_BV, 0, shift },
	{ MAP_0F, 0xa4, 0xfe, GROUP_ANY, PREFIX_ANY, OPERAND_CHANGE, SIZE_V, 0, shift_double },
	{ MAP_0F, 0xac, 0xfe, GROUP_ANY, PREFIX_ANY, OPERAND_CHANGE, SIZE_V, 0, shift_double },
	{ 0 },
};
