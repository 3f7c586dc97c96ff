/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The stack and near branches: PUSH, POP, CALL, JMP, RET, where an operand or the stack itself is
 * in a device. The exit is about one of two operands, so neither is taken for granted: all are
 * prepared before any is accessed. Branches in 64-bit code have 8 bytes; 66 makes them 2 on AMD's
 * chips alone.
 * Sources: Intel SDM 1, "Procedure Calls, Interrupts, and Exceptions"; SDM 2, "PUSH", "POP",
 * "CALL", "RET"; AMD64 APM 3, "CALL (Near)".
 */
#include "vmm/insn/emulate_state.h"

#include "cpu/features.h"
#include "vmm/ops.h"

unsigned emulate_stack_size(const struct emulation *e)
{
	return e->mode.bits == 64 && e->insn->operand == 4 ? 8 : e->insn->operand;
}

static unsigned branch_size(const struct emulation *e)
{
	const struct insn *i = e->insn;

	if (i->mode != 64)
		return i->operand;
	return i->operand == 2 && features.vendor == VENDOR_AMD ? 2 : 8;
}

uint64_t emulate_stack_moved(const struct emulation *e, uint64_t sp, int64_t n)
{
	uint64_t mask = operand_stack_mask(e);

	return (sp & ~mask) | ((sp + (uint64_t)n) & mask);
}

int emulate_stack_prepare(struct emulation *e, uint64_t sp, unsigned size, unsigned access,
			  struct operand *o)
{
	return operand_prepare_at(e, SEG_SS, sp & operand_stack_mask(e), size, access, -1, o);
}

int emulate_stack_push(struct emulation *e, uint64_t sp, unsigned size, const uint64_t *v,
		       unsigned n, bool act)
{
	struct operand o;
	int err = 0;

	for (unsigned k = 0; !err && k < n; k++) {
		sp = emulate_stack_moved(e, sp, -(int64_t)size);
		err = emulate_stack_prepare(e, sp, size, GMEM_WRITE, &o);
		if (!err && act)
			operand_write(e, &o, v[k]);
	}
	return err;
}

int emulate_stack_pop(struct emulation *e, uint64_t sp, unsigned size, uint64_t *v, unsigned n,
		      bool act)
{
	struct operand o;
	int err = 0;

	for (unsigned k = 0; !err && k < n; k++) {
		err = emulate_stack_prepare(e, sp, size, GMEM_READ, &o);
		if (!err && act)
			v[k] = operand_read(e, &o);
		sp = emulate_stack_moved(e, sp, size);
	}
	return err;
}

/* Of a ModRM operand, in memory (prepared to *o) or not. */
static int prepare_source(struct emulation *e, unsigned size, struct operand *o)
{
	if (!e->insn->memory)
		return 0;
	return operand_prepare_at(e, e->insn->segment, operand_offset(e), size, GMEM_READ, -1, o);
}

static uint64_t read_source(struct emulation *e, unsigned size, const struct operand *o)
{
	return e->insn->memory ? operand_read(e, o) : gpr_read(e, e->insn->rm, size);
}

/* ---- PUSH and POP */

static int push(struct emulation *e, uint64_t v)
{
	unsigned size = emulate_stack_size(e);
	uint64_t sp = emulate_stack_moved(e, e->vcpu->gpr[GPR_RSP], -(int64_t)size);
	struct operand o;
	int err = emulate_stack_prepare(e, sp, size, GMEM_WRITE, &o) ?: operand_check(e);

	if (err)
		return err;
	operand_write(e, &o, v);
	e->vcpu->gpr[GPR_RSP] = sp;
	return 0;
}

static int push_register(struct emulation *e)
{
	return push(e, gpr_read(e, e->insn->rm, emulate_stack_size(e)));
}

static int push_immediate(struct emulation *e)
{
	return push(e, e->insn->imm);
}

static int push_operand(struct emulation *e)
{
	unsigned size = emulate_stack_size(e);
	uint64_t sp = emulate_stack_moved(e, e->vcpu->gpr[GPR_RSP], -(int64_t)size);
	struct operand from, to;
	int err = prepare_source(e, size, &from);

	if (!err)
		err = emulate_stack_prepare(e, sp, size, GMEM_WRITE, &to);
	err = err ?: operand_check(e);
	if (err)
		return err;
	operand_write(e, &to, read_source(e, size, &from));
	e->vcpu->gpr[GPR_RSP] = sp;
	return 0;
}

/* What lies on top, and where the stack pointer is then. */
static int pop(struct emulation *e, unsigned size, uint64_t *v, uint64_t *sp)
{
	struct operand o;
	int err = emulate_stack_prepare(e, *sp, size, GMEM_READ, &o) ?: operand_check(e);

	if (err)
		return err;
	*v = operand_read(e, &o);
	*sp = emulate_stack_moved(e, *sp, size);
	return 0;
}

/* POP RSP keeps what it has popped. */
static int pop_register(struct emulation *e)
{
	uint64_t v, sp = e->vcpu->gpr[GPR_RSP];
	int err = pop(e, emulate_stack_size(e), &v, &sp);

	if (err)
		return err;
	e->vcpu->gpr[GPR_RSP] = sp;
	gpr_write(e, e->insn->rm, emulate_stack_size(e), v);
	return 0;
}

/* The destination's address is computed with the stack pointer behind what was popped. */
static int pop_memory(struct emulation *e)
{
	unsigned size = emulate_stack_size(e);
	uint64_t sp = e->vcpu->gpr[GPR_RSP];
	struct operand from, to;
	int err = emulate_stack_prepare(e, sp, size, GMEM_READ, &from);

	if (err)
		return err;
	e->vcpu->gpr[GPR_RSP] = emulate_stack_moved(e, sp, size);
	err = operand_prepare_at(e, e->insn->segment, operand_offset(e), size, GMEM_WRITE, -1, &to);
	err = err ?: operand_check(e);
	if (err)
		e->vcpu->gpr[GPR_RSP] = sp;
	else
		operand_write(e, &to, operand_read(e, &from));
	return err;
}

/* Of more than two bytes, two are written on common chips, but in 64-bit mode. */
static int push_segment(struct emulation *e)
{
	unsigned size = emulate_stack_size(e);
	uint64_t sp = emulate_stack_moved(e, e->vcpu->gpr[GPR_RSP], -(int64_t)size);
	struct segment s;
	struct operand o;
	int err = emulate_stack_prepare(e, sp, size == 4 ? 2 : size, GMEM_WRITE, &o);

	err = err ?: operand_check(e);
	if (err)
		return err;
	vmm_ops->segment_get(e->vcpu, e->insn->opcode >> 3 & 7, &s);
	operand_write(e, &o, s.selector);
	e->vcpu->gpr[GPR_RSP] = sp;
	return 0;
}

/* ---- near branches */

/* May code go on there? Before anything is written. */
static int check_target(struct emulation *e, unsigned size, uint64_t *to)
{
	struct segment cs;

	*to &= bytes_mask(size);
	if (e->mode.bits == 64)
		return operand_canonical(e, *to) ? 0 : emulate_fault_error(e, EXC_GP, 0);
	vmm_ops->segment_get(e->vcpu, SEG_CS, &cs);
	return *to <= cs.limit ? 0 : emulate_fault_error(e, EXC_GP, 0);
}

static int jump(struct emulation *e, uint64_t to)
{
	e->jumps = true;
	e->rip = to;
	return 0;
}

/* `to` has been read but not looked at; where it came from is among what was prepared. */
static int call(struct emulation *e, uint64_t to, const struct operand *stack, unsigned size)
{
	int err = check_target(e, size, &to);

	if (err)
		return err;
	operand_write(e, stack, (e->vcpu->rip + e->insn->length) & bytes_mask(size));
	e->vcpu->gpr[GPR_RSP] = emulate_stack_moved(e, e->vcpu->gpr[GPR_RSP], -(int64_t)size);
	return jump(e, to);
}

static int call_operand(struct emulation *e)
{
	unsigned size = branch_size(e);
	uint64_t sp = emulate_stack_moved(e, e->vcpu->gpr[GPR_RSP], -(int64_t)size);
	struct operand from, stack;
	int err = prepare_source(e, size, &from);

	if (!err)
		err = emulate_stack_prepare(e, sp, size, GMEM_WRITE, &stack);
	err = err ?: operand_check(e);
	return err ?: call(e, read_source(e, size, &from), &stack, size);
}

static int call_relative(struct emulation *e)
{
	unsigned size = branch_size(e);
	uint64_t sp = emulate_stack_moved(e, e->vcpu->gpr[GPR_RSP], -(int64_t)size);
	struct operand stack;
	int err = emulate_stack_prepare(e, sp, size, GMEM_WRITE, &stack) ?: operand_check(e);

	return err ?: call(e, e->vcpu->rip + e->insn->length + e->insn->imm, &stack, size);
}

static int jmp_memory(struct emulation *e)
{
	unsigned size = branch_size(e);
	struct operand o;
	uint64_t to;
	int err = operand_prepare(e, size, GMEM_READ, &o);

	if (err)
		return err;
	to = operand_read(e, &o);
	return check_target(e, size, &to) ?: jump(e, to);
}

/* C2 takes so many bytes of arguments off, too. */
static int ret(struct emulation *e)
{
	unsigned size = branch_size(e);
	uint64_t to, sp = e->vcpu->gpr[GPR_RSP];
	int err = pop(e, size, &to, &sp) ?: check_target(e, size, &to);

	if (err)
		return err;
	if (!(e->insn->opcode & 1))
		sp = emulate_stack_moved(e, sp, (uint16_t)e->insn->imm);
	e->vcpu->gpr[GPR_RSP] = sp;
	return jump(e, to);
}

#define ANY	GROUP_ANY

const struct emulate_row emulate_stack_rows[] = {
	{ MAP_ONE, 0x50, 0xf8, ANY, PREFIX_ANY, OPERAND_ANY, 0, 0, push_register },
	{ MAP_ONE, 0x58, 0xf8, ANY, PREFIX_ANY, OPERAND_ANY, 0, 0, pop_register },
	{ MAP_ONE, 0x68, 0xfd, ANY, PREFIX_ANY, OPERAND_ANY, 0, 0, push_immediate },
	{ MAP_ONE, 0x8f, 0xff, 0, PREFIX_ANY, OPERAND_OWN, 0, 0, pop_memory },
	{ MAP_ONE, 0x8f, 0xff, 0, PREFIX_ANY, OPERAND_ANY, 0, 0, pop_register },
	{ MAP_ONE, 0xff, 0xff, 6, PREFIX_ANY, OPERAND_ANY, 0, 0, push_operand },
	{ MAP_ONE, 0x06, 0xe7, ANY, PREFIX_ANY, OPERAND_ANY, 0, ROW_LEGACY, push_segment },
	{ MAP_0F, 0xa0, 0xf7, ANY, PREFIX_ANY, OPERAND_ANY, 0, 0, push_segment },
	{ MAP_ONE, 0xff, 0xff, 2, PREFIX_ANY, OPERAND_ANY, 0, 0, call_operand },
	{ MAP_ONE, 0xff, 0xff, 4, PREFIX_ANY, OPERAND_OWN, 0, 0, jmp_memory },
	{ MAP_ONE, 0xe8, 0xff, ANY, PREFIX_ANY, OPERAND_ANY, 0, 0, call_relative },
	{ MAP_ONE, 0xc2, 0xfe, ANY, PREFIX_ANY, OPERAND_ANY, 0, 0, ret },
	{ 0 },
};
