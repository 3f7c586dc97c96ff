/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions that compute on one memory operand. Each prepares the operand, computes, writes
 * memory, then registers and flags. Flags that the manuals leave undefined keep what chips commonly
 * do.
 * Source: Intel SDM 2, "Instruction Set Reference"; SDM 1, "EFLAGS Cross-Reference".
 */
#include "vmm/emulate_state.h"

#include "vmm/ops.h"

#define FLAGS_ARITHMETIC (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

enum { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };

/* The operation's size: opcodes come in pairs, even for bytes, odd for words. */
static unsigned size_of(const struct insn *i)
{
	return i->opcode & 1 ? i->operand : 1;
}

uint64_t emulate_result_flags(uint64_t r, unsigned size)
{
	r &= bytes_mask(size);
	return (bit_count(r & 0xff) & 1 ? 0 : RFLAGS_PF) | (r ? 0 : RFLAGS_ZF) |
	       (r >> (8 * size - 1) ? RFLAGS_SF : 0);
}

/* `carries`: bit n set when bit n carried (or borrowed) out. */
static uint64_t flags_of_sum(uint64_t r, uint64_t carries, unsigned size)
{
	unsigned top = 8 * size - 1;
	uint64_t out = carries >> top & 1, into = carries >> (top - 1) & 1;

	return emulate_result_flags(r, size) | (out ? RFLAGS_CF : 0) |
	       (out != into ? RFLAGS_OF : 0) | (carries & 8 ? RFLAGS_AF : 0);
}

static uint64_t alu(unsigned op, uint64_t a, uint64_t b, unsigned size, uint64_t *rflags)
{
	uint64_t carry = *rflags & RFLAGS_CF, r, flags;

	switch (op) {
	case ALU_ADD:
	case ALU_ADC:
		r = a + b + (op == ALU_ADC ? carry : 0);
		flags = flags_of_sum(r, (a & b) | ((a | b) & ~r), size);
		break;
	case ALU_SUB:
	case ALU_SBB:
	case ALU_CMP:
		r = a - b - (op == ALU_SBB ? carry : 0);
		flags = flags_of_sum(r, (~a & b) | ((~a | b) & r), size);
		break;
	default:
		r = op == ALU_AND ? a & b : op == ALU_OR ? a | b : a ^ b;
		flags = emulate_result_flags(r, size);
		break;
	}
	*rflags = (*rflags & ~FLAGS_ARITHMETIC) | flags;
	return r & bytes_mask(size);
}

void emulate_compare(struct emulation *e, uint64_t a, uint64_t b, unsigned size)
{
	alu(ALU_CMP, a, b, size, &e->vcpu->rflags);
}

/* ---- moves */

static int mov_store(struct emulation *e)
{
	unsigned size = size_of(e->insn);
	struct operand o;
	int err = operand_prepare(e, size, GMEM_WRITE, &o);

	if (!err)
		operand_write(e, &o, gpr_read(e, e->insn->reg, size));
	return err;
}

static int mov_load(struct emulation *e)
{
	unsigned size = size_of(e->insn);
	struct operand o;
	int err = operand_prepare(e, size, GMEM_READ, &o);

	if (!err)
		gpr_write(e, e->insn->reg, size, operand_read(e, &o));
	return err;
}

static int mov_immediate(struct emulation *e)
{
	struct operand o;
	int err = operand_prepare(e, size_of(e->insn), GMEM_WRITE, &o);

	if (!err)
		operand_write(e, &o, e->insn->imm);
	return err;
}

/* A0 to A3: AL or rAX; the source is memory where the opcode's bit 1 is clear. */
static int mov_offset(struct emulation *e)
{
	bool store = e->insn->opcode & 2;
	unsigned size = size_of(e->insn);
	struct operand o;
	int err = operand_prepare(e, size, store ? GMEM_WRITE : GMEM_READ, &o);

	if (err)
		return err;
	if (store)
		operand_write(e, &o, gpr_read(e, GPR_RAX, size));
	else
		gpr_write(e, GPR_RAX, size, operand_read(e, &o));
	return 0;
}

static int mov_segment_store(struct emulation *e)
{
	struct operand o;
	struct segment s;
	int err;

	if (e->insn->reg > SEG_GS)
		return -ENOSYS;
	err = operand_prepare(e, 2, GMEM_WRITE, &o);
	if (err)
		return err;
	vmm_ops->segment_get(e->vcpu, e->insn->reg, &s);
	operand_write(e, &o, s.selector);
	return 0;
}

/* MOVZX, MOVSX: from bytes or (odd) words; MOVSXD: from 4 bytes. */
static int mov_extend(struct emulation *e)
{
	const struct insn *i = e->insn;
	bool sxd = i->map == MAP_ONE, sign = sxd || (i->opcode & 8);
	unsigned size = sxd ? MIN(i->operand, 4) : i->opcode & 1 ? 2 : 1, unused = 64 - 8 * size;
	struct operand o;
	uint64_t v;
	int err = operand_prepare(e, size, GMEM_READ, &o);

	if (err)
		return err;
	v = operand_read(e, &o);
	if (sign)
		v = (uint64_t)((int64_t)(v << unused) >> unused);
	gpr_write(e, i->reg, i->operand, v);
	return 0;
}

static uint64_t swap_bytes(uint64_t v, unsigned size)
{
	return __builtin_bswap64(v) >> (64 - 8 * size);
}

static int movbe(struct emulation *e)
{
	const struct insn *i = e->insn;
	bool store = i->opcode & 1;
	struct operand o;
	int err;

	if (i->rep == 0xf2)		/* CRC32 */
		return -ENOSYS;
	err = operand_prepare(e, i->operand, store ? GMEM_WRITE : GMEM_READ, &o);
	if (err)
		return err;
	if (store)
		operand_write(e, &o, swap_bytes(gpr_read(e, i->reg, i->operand), i->operand));
	else
		gpr_write(e, i->reg, i->operand, swap_bytes(operand_read(e, &o), i->operand));
	return 0;
}

/* The sixteen conditions of Jcc, SETcc, CMOVcc; the lowest bit inverts. */
static bool condition(uint64_t f, unsigned code)
{
	bool less = !(f & RFLAGS_SF) != !(f & RFLAGS_OF), r;

	switch (code >> 1 & 7) {
	case 0: r = f & RFLAGS_OF; break;
	case 1: r = f & RFLAGS_CF; break;
	case 2: r = f & RFLAGS_ZF; break;
	case 3: r = f & (RFLAGS_CF | RFLAGS_ZF); break;
	case 4: r = f & RFLAGS_SF; break;
	case 5: r = f & RFLAGS_PF; break;
	case 6: r = less; break;
	default: r = less || (f & RFLAGS_ZF); break;
	}
	return r != (code & 1);
}

static int setcc(struct emulation *e)
{
	struct operand o;
	int err = operand_prepare(e, 1, GMEM_WRITE, &o);

	if (!err)
		operand_write(e, &o, condition(e->vcpu->rflags, e->insn->opcode));
	return err;
}

/* Reads in any case, and clears the upper half of a 32-bit register in any case. */
static int cmovcc(struct emulation *e)
{
	unsigned size = e->insn->operand;
	struct operand o;
	uint64_t v;
	int err = operand_prepare(e, size, GMEM_READ, &o);

	if (err)
		return err;
	v = operand_read(e, &o);
	if (!condition(e->vcpu->rflags, e->insn->opcode))
		v = gpr_read(e, e->insn->reg, size);
	gpr_write(e, e->insn->reg, size, v);
	return 0;
}

/* ---- arithmetic */

static int alu_to_memory(struct emulation *e, unsigned op, uint64_t b, unsigned size)
{
	uint64_t rflags = e->vcpu->rflags, r;
	struct operand o;
	int err = operand_prepare(e, size, op == ALU_CMP ? GMEM_READ : GMEM_WRITE, &o);

	if (err)
		return err;
	r = alu(op, operand_read(e, &o), b & bytes_mask(size), size, &rflags);
	if (op != ALU_CMP)
		operand_write(e, &o, r);
	e->vcpu->rflags = rflags;
	return 0;
}

static int alu_register(struct emulation *e)
{
	unsigned size = size_of(e->insn);

	return alu_to_memory(e, e->insn->opcode >> 3, gpr_read(e, e->insn->reg, size), size);
}

static int alu_immediate(struct emulation *e)
{
	return alu_to_memory(e, e->insn->reg & 7, e->insn->imm, size_of(e->insn));
}

static int alu_from_memory(struct emulation *e)
{
	unsigned size = size_of(e->insn), op = e->insn->opcode >> 3;
	struct operand o;
	uint64_t r;
	int err = operand_prepare(e, size, GMEM_READ, &o);

	if (err)
		return err;
	r = operand_read(e, &o);
	r = alu(op, gpr_read(e, e->insn->reg, size), r, size, &e->vcpu->rflags);
	if (op != ALU_CMP)
		gpr_write(e, e->insn->reg, size, r);
	return 0;
}

static int test_memory(struct emulation *e, uint64_t b)
{
	unsigned size = size_of(e->insn);
	struct operand o;
	int err = operand_prepare(e, size, GMEM_READ, &o);

	if (!err)
		alu(ALU_AND, operand_read(e, &o), b & bytes_mask(size), size, &e->vcpu->rflags);
	return err;
}

static int test_register(struct emulation *e)
{
	return test_memory(e, gpr_read(e, e->insn->reg, size_of(e->insn)));
}

static int test_immediate(struct emulation *e)
{
	return test_memory(e, e->insn->imm);
}

/* NOT leaves the flags alone; NEG is 0 - x. */
static int not_neg(struct emulation *e)
{
	unsigned size = size_of(e->insn);
	uint64_t rflags = e->vcpu->rflags, v;
	struct operand o;
	int err = operand_prepare(e, size, GMEM_WRITE, &o);

	if (err)
		return err;
	v = operand_read(e, &o);
	operand_write(e, &o, (e->insn->reg & 7) == 2 ? ~v : alu(ALU_SUB, 0, v, size, &rflags));
	e->vcpu->rflags = rflags;
	return 0;
}

/* They keep the carry. */
static int inc_dec(struct emulation *e)
{
	unsigned size = size_of(e->insn);
	uint64_t rflags = e->vcpu->rflags, r;
	struct operand o;
	int err = operand_prepare(e, size, GMEM_WRITE, &o);

	if (err)
		return err;
	r = alu(e->insn->reg & 1 ? ALU_SUB : ALU_ADD, operand_read(e, &o), 1, size, &rflags);
	operand_write(e, &o, r);
	e->vcpu->rflags = (rflags & ~RFLAGS_CF) | (e->vcpu->rflags & RFLAGS_CF);
	return 0;
}

/* ---- exchange */

static int xchg(struct emulation *e)
{
	unsigned size = size_of(e->insn);
	struct operand o;
	uint64_t v;
	int err = operand_prepare(e, size, GMEM_WRITE, &o);

	if (err)
		return err;
	v = operand_read(e, &o);
	operand_write(e, &o, gpr_read(e, e->insn->reg, size));
	gpr_write(e, e->insn->reg, size, v);
	return 0;
}

static int xadd(struct emulation *e)
{
	unsigned size = size_of(e->insn);
	uint64_t rflags = e->vcpu->rflags, v;
	struct operand o;
	int err = operand_prepare(e, size, GMEM_WRITE, &o);

	if (err)
		return err;
	v = operand_read(e, &o);
	operand_write(e, &o, alu(ALU_ADD, v, gpr_read(e, e->insn->reg, size), size, &rflags));
	gpr_write(e, e->insn->reg, size, v);
	e->vcpu->rflags = rflags;
	return 0;
}

/* Memory is written in either case, as chips do. */
static int cmpxchg(struct emulation *e)
{
	unsigned size = size_of(e->insn);
	uint64_t rflags = e->vcpu->rflags, v;
	struct operand o;
	int err = operand_prepare(e, size, GMEM_WRITE, &o);

	if (err)
		return err;
	v = operand_read(e, &o);
	alu(ALU_CMP, gpr_read(e, GPR_RAX, size), v, size, &rflags);
	if (rflags & RFLAGS_ZF) {
		operand_write(e, &o, gpr_read(e, e->insn->reg, size));
	} else {
		operand_write(e, &o, v);
		gpr_write(e, GPR_RAX, size, v);
	}
	e->vcpu->rflags = rflags;
	return 0;
}

/* CMPXCHG8B and 16B: two words of 4 or 8 bytes. */
static int cmpxchg_pair(struct emulation *e)
{
	unsigned half = e->insn->operand == 8 ? 8 : 4;
	uint64_t *gpr = e->vcpu->gpr, mask = bytes_mask(half), v[2] = { 0 };
	struct operand o;
	int err = operand_prepare(e, 2 * half, GMEM_WRITE, &o);

	if (err)
		return err;
	operand_read_bytes(e, &o, v);
	if (half == 4) {
		v[1] = v[0] >> 32;
		v[0] &= mask;
	}
	if (v[0] == (gpr[GPR_RAX] & mask) && v[1] == (gpr[GPR_RDX] & mask)) {
		v[0] = gpr[GPR_RBX] & mask;
		v[1] = gpr[GPR_RCX] & mask;
		e->vcpu->rflags |= RFLAGS_ZF;
	} else {
		gpr[GPR_RAX] = v[0];
		gpr[GPR_RDX] = v[1];
		e->vcpu->rflags &= ~RFLAGS_ZF;
	}
	if (half == 4)
		v[0] |= v[1] << 32;
	operand_write_bytes(e, &o, v);
	return 0;
}

/* ---- bits: BT, BTS, BTR, BTC in the order of their encoding. A register's offset reaches beyond
 * the operand. */

static int bit_test(struct emulation *e, unsigned op, unsigned bit, struct operand *o)
{
	uint64_t v = operand_read(e, o), m = BIT(bit);

	if (op)
		operand_write(e, o, op == 1 ? v | m : op == 2 ? v & ~m : v ^ m);
	e->vcpu->rflags = (e->vcpu->rflags & ~RFLAGS_CF) | (v & m ? RFLAGS_CF : 0);
	return 0;
}

static int bit_immediate(struct emulation *e)
{
	unsigned op = e->insn->reg & 3, size = e->insn->operand;
	struct operand o;
	int err = operand_prepare(e, size, op ? GMEM_WRITE : GMEM_READ, &o);

	return err ?: bit_test(e, op, e->insn->imm & (8 * size - 1), &o);
}

static int bit_register(struct emulation *e)
{
	unsigned op = e->insn->opcode >> 3 & 3, size = e->insn->operand, unused = 64 - 8 * size;
	int64_t bit = (int64_t)(gpr_read(e, e->insn->reg, size) << unused) >> unused;
	uint64_t offset = operand_offset(e) + (uint64_t)((bit & ~(int64_t)(8 * size - 1)) / 8);
	struct operand o;
	int err = operand_prepare_only(e, offset & bytes_mask(e->insn->address), size,
				       op ? GMEM_WRITE : GMEM_READ, &o);

	return err ?: bit_test(e, op, (unsigned)bit & (8 * size - 1), &o);
}

/* ---- the stack: the exit is about one of two operands, so neither is taken for granted */

static unsigned stack_size(const struct emulation *e)
{
	return e->mode.bits == 64 && e->insn->operand == 4 ? 8 : e->insn->operand;
}

static int push_memory(struct emulation *e)
{
	unsigned size = stack_size(e);
	uint64_t mask = operand_stack_mask(e), sp = e->vcpu->gpr[GPR_RSP],
		 new = (sp & ~mask) | ((sp - size) & mask);
	struct operand from, to;
	int err;

	err = operand_prepare_at(e, e->insn->segment, operand_offset(e), size, GMEM_READ, -1,
				 &from);
	if (!err)
		err = operand_prepare_at(e, SEG_SS, new & mask, size, GMEM_WRITE, -1, &to);
	err = err ?: operand_check(e);
	if (err)
		return err;
	operand_write(e, &to, operand_read(e, &from));
	e->vcpu->gpr[GPR_RSP] = new;
	return 0;
}

/* The destination's address is computed with the stack pointer behind what was popped. */
static int pop_memory(struct emulation *e)
{
	unsigned size = stack_size(e);
	uint64_t mask = operand_stack_mask(e), sp = e->vcpu->gpr[GPR_RSP];
	struct operand from, to;
	int err = operand_prepare_at(e, SEG_SS, sp & mask, size, GMEM_READ, -1, &from);

	if (err)
		return err;
	e->vcpu->gpr[GPR_RSP] = (sp & ~mask) | ((sp + size) & mask);
	err = operand_prepare_at(e, e->insn->segment, operand_offset(e), size, GMEM_WRITE, -1, &to);
	err = err ?: operand_check(e);
	if (err)
		e->vcpu->gpr[GPR_RSP] = sp;
	else
		operand_write(e, &to, operand_read(e, &from));
	return err;
}

/* ---- which does what */

static emulate_fn *find_one(const struct insn *i)
{
	unsigned group = i->reg & 7;

	if (i->opcode < 0x40)
		return (i->opcode & 7) < 2   ? alu_register
		       : (i->opcode & 7) < 4 ? alu_from_memory
					     : NULL;
	switch (i->opcode) {
	case 0x63: return mov_extend;
	case 0x80: case 0x81: case 0x82: case 0x83: return alu_immediate;
	case 0x84: case 0x85: return test_register;
	case 0x86: case 0x87: return xchg;
	case 0x88: case 0x89: return mov_store;
	case 0x8a: case 0x8b: return mov_load;
	case 0x8c: return mov_segment_store;
	case 0x8f: return group == 0 ? pop_memory : NULL;
	case 0xa0: case 0xa1: case 0xa2: case 0xa3: return mov_offset;
	case 0xc6: case 0xc7: return group == 0 ? mov_immediate : NULL;
	case 0xf6: case 0xf7: return group < 2 ? test_immediate : group < 4 ? not_neg : NULL;
	case 0xfe: return group < 2 ? inc_dec : NULL;
	case 0xff: return group < 2 ? inc_dec : group == 6 ? push_memory : NULL;
	default: return emulate_find_shift(i);
	}
}

/*
 * CLFLUSH, CLFLUSHOPT, CLWB: checked as a byte's load, which the tables see them as; no cache holds
 * anything of a device.
 */
static int flush_line(struct emulation *e)
{
	struct operand o;

	return operand_prepare(e, 1, GMEM_READ, &o);
}

static bool is_flush(const struct insn *i)
{
	unsigned group = i->reg & 7;

	return !i->rep && (group == 7 || (group == 6 && i->prefix66));
}

static emulate_fn *find_0f(const struct insn *i)
{
	unsigned group = i->reg & 7;

	if ((i->opcode & 0xf0) == 0x90)
		return setcc;
	if ((i->opcode & 0xf0) == 0x40)
		return cmovcc;
	switch (i->opcode) {
	case 0xa3: case 0xab: case 0xb3: case 0xbb: return bit_register;
	case 0xae: return is_flush(i) ? flush_line : NULL;
	case 0xb0: case 0xb1: return cmpxchg;
	case 0xb6: case 0xb7: case 0xbe: case 0xbf: return mov_extend;
	case 0xba: return group >= 4 ? bit_immediate : NULL;
	case 0xc0: case 0xc1: return xadd;
	case 0xc3: return mov_store;		/* MOVNTI */
	case 0xc7: return group == 1 ? cmpxchg_pair : NULL;
	default: return NULL;
	}
}

emulate_fn *emulate_find(const struct insn *i)
{
	emulate_fn *string = emulate_find_string(i);

	if (string || i->encoding || !i->memory)
		return string;
	switch (i->map) {
	case MAP_ONE: return find_one(i);
	case MAP_0F: return find_0f(i);
	case MAP_0F38: return i->opcode == 0xf0 || i->opcode == 0xf1 ? movbe : NULL;
	default: return NULL;
	}
}
