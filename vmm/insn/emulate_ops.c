/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moves, arithmetic, comparisons and exchanges on one memory operand, as rows and what they
 * compute. Flags that the manuals leave undefined keep what chips commonly do.
 * Source: Intel SDM 2, "Instruction Set Reference"; SDM 1, "EFLAGS Cross-Reference".
 */
#include "vmm/insn/emulate_state.h"

#include "vmm/ops.h"

#define FLAGS_ARITHMETIC (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

enum { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };

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
	e->value[0] = reg_in(e);
	return 0;
}

static int mov_load(struct emulation *e)
{
	emulate_out(e, e->insn->reg, e->size, e->value[0]);
	return 0;
}

static int mov_immediate(struct emulation *e)
{
	e->value[0] = e->insn->imm;
	return 0;
}

/* A0 to A3: AL or rAX. */
static int mov_offset_load(struct emulation *e)
{
	emulate_out(e, GPR_RAX, e->size, e->value[0]);
	return 0;
}

static int mov_offset_store(struct emulation *e)
{
	e->value[0] = gpr_read(e, GPR_RAX, e->size);
	return 0;
}

static int mov_segment_store(struct emulation *e)
{
	struct segment s;

	if (e->insn->reg > SEG_GS)
		return emulate_fault(e, EXC_UD);
	vmm_ops->segment_get(e->vcpu, e->insn->reg, &s);
	e->value[0] = s.selector;
	return 0;
}

static int zero_extend(struct emulation *e)
{
	emulate_out(e, e->insn->reg, e->insn->operand, e->value[0]);
	return 0;
}

static int sign_extend(struct emulation *e)
{
	emulate_out(e, e->insn->reg, e->insn->operand,
		    (uint64_t)bytes_signed(e->value[0], e->size));
	return 0;
}

static uint64_t swap_bytes(uint64_t v, unsigned size)
{
	return __builtin_bswap64(v) >> (64 - 8 * size);
}

static int movbe_load(struct emulation *e)
{
	emulate_out(e, e->insn->reg, e->size, swap_bytes(e->value[0], e->size));
	return 0;
}

static int movbe_store(struct emulation *e)
{
	e->value[0] = swap_bytes(reg_in(e), e->size);
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
	e->value[0] = condition(e->rflags, e->insn->opcode);
	return 0;
}

/* Reads in any case, and clears the upper half of a 32-bit register in any case. */
static int cmovcc(struct emulation *e)
{
	emulate_out(e, e->insn->reg, e->size,
		    condition(e->rflags, e->insn->opcode) ? e->value[0] : reg_in(e));
	return 0;
}

/* ---- arithmetic */

static int alu_register(struct emulation *e)
{
	e->value[0] = alu(e->insn->opcode >> 3, e->value[0], reg_in(e), e->size, &e->rflags);
	return 0;
}

static int alu_immediate(struct emulation *e)
{
	e->value[0] = alu(e->insn->reg & 7, e->value[0], e->insn->imm & bytes_mask(e->size),
			  e->size, &e->rflags);
	return 0;
}

static int alu_from_memory(struct emulation *e)
{
	unsigned op = e->insn->opcode >> 3;
	uint64_t r = alu(op, reg_in(e), e->value[0], e->size, &e->rflags);

	if (op != ALU_CMP)
		emulate_out(e, e->insn->reg, e->size, r);
	return 0;
}

static int test_register(struct emulation *e)
{
	alu(ALU_AND, e->value[0], reg_in(e), e->size, &e->rflags);
	return 0;
}

static int test_immediate(struct emulation *e)
{
	alu(ALU_AND, e->value[0], e->insn->imm & bytes_mask(e->size), e->size, &e->rflags);
	return 0;
}

static int invert(struct emulation *e)
{
	e->value[0] = ~e->value[0];
	return 0;
}

static int negate(struct emulation *e)
{
	e->value[0] = alu(ALU_SUB, 0, e->value[0], e->size, &e->rflags);
	return 0;
}

/* They keep the carry. */
static int inc_dec(struct emulation *e)
{
	uint64_t carry = e->rflags & RFLAGS_CF;

	e->value[0] = alu(e->insn->reg & 1 ? ALU_SUB : ALU_ADD, e->value[0], 1, e->size,
			  &e->rflags);
	e->rflags = (e->rflags & ~RFLAGS_CF) | carry;
	return 0;
}

/* ---- exchange */

static int xchg(struct emulation *e)
{
	emulate_out(e, e->insn->reg, e->size, e->value[0]);
	e->value[0] = reg_in(e);
	return 0;
}

static int xadd(struct emulation *e)
{
	emulate_out(e, e->insn->reg, e->size, e->value[0]);
	e->value[0] = alu(ALU_ADD, e->value[0], reg_in(e), e->size, &e->rflags);
	return 0;
}

/* Memory is written in either case, as chips do. */
static int cmpxchg(struct emulation *e)
{
	alu(ALU_CMP, gpr_read(e, GPR_RAX, e->size), e->value[0], e->size, &e->rflags);
	if (e->rflags & RFLAGS_ZF)
		e->value[0] = reg_in(e);
	else
		emulate_out(e, GPR_RAX, e->size, e->value[0]);
	return 0;
}

/* CMPXCHG8B and 16B: two words of 4 or 8 bytes. */
static int cmpxchg_pair(struct emulation *e)
{
	const uint64_t *gpr = e->vcpu->gpr;
	uint64_t *v = e->value, mask = bytes_mask(e->size / 2);
	bool small = e->size == 8;

	if (small) {
		v[1] = v[0] >> 32;
		v[0] &= mask;
	}
	if (v[0] == (gpr[GPR_RAX] & mask) && v[1] == (gpr[GPR_RDX] & mask)) {
		v[0] = gpr[GPR_RBX] & mask;
		v[1] = gpr[GPR_RCX] & mask;
		e->rflags |= RFLAGS_ZF;
	} else {
		emulate_out(e, GPR_RAX, 8, v[0]);
		emulate_out(e, GPR_RDX, 8, v[1]);
		e->rflags &= ~RFLAGS_ZF;
	}
	if (small)
		v[0] |= v[1] << 32;
	return 0;
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

/* MOVDIR64B: from memory to where a register points in ES, aligned. */
static int mov_line(struct emulation *e)
{
	uint64_t to = e->vcpu->gpr[e->insn->reg] & bytes_mask(e->insn->address);
	struct operand source, target;
	uint8_t line[64];
	int err = operand_prepare_at(e, e->insn->segment, operand_offset(e), sizeof(line),
				     GMEM_READ, -1, &source);

	e->aligned = true;
	if (!err)
		err = operand_prepare_at(e, SEG_ES, to, sizeof(line), GMEM_WRITE, -1, &target);
	err = err ?: operand_check(e);
	if (err)
		return err;
	operand_read_bytes(e, &source, line);
	operand_write_bytes(e, &target, line);
	return 0;
}

#define ANY	GROUP_ANY

const struct emulate_row emulate_ops_rows[] = {
	{ MAP_ONE, 0x88, 0xfe, ANY, PREFIX_ANY, OPERAND_STORE, SIZE_BV, 0, mov_store },
	{ MAP_ONE, 0x8a, 0xfe, ANY, PREFIX_ANY, OPERAND_LOAD, SIZE_BV, 0, mov_load },
	{ MAP_ONE, 0xc6, 0xfe, 0, PREFIX_ANY, OPERAND_STORE, SIZE_BV, 0, mov_immediate },
	{ MAP_ONE, 0x38, 0xfe, ANY, PREFIX_ANY, OPERAND_LOAD, SIZE_BV, 0, alu_register },
	{ MAP_ONE, 0x00, 0xc6, ANY, PREFIX_ANY, OPERAND_CHANGE, SIZE_BV, 0, alu_register },
	{ MAP_ONE, 0x02, 0xc6, ANY, PREFIX_ANY, OPERAND_LOAD, SIZE_BV, 0, alu_from_memory },
	{ MAP_ONE, 0x80, 0xfc, 7, PREFIX_ANY, OPERAND_LOAD, SIZE_BV, 0, alu_immediate },
	{ MAP_ONE, 0x80, 0xfc, ANY, PREFIX_ANY, OPERAND_CHANGE, SIZE_BV, 0, alu_immediate },
	{ MAP_ONE, 0x84, 0xfe, ANY, PREFIX_ANY, OPERAND_LOAD, SIZE_BV, 0, test_register },
	{ MAP_ONE, 0x86, 0xfe, ANY, PREFIX_ANY, OPERAND_CHANGE, SIZE_BV, ROW_LOCKED, xchg },
	{ MAP_ONE, 0x63, 0xff, ANY, PREFIX_ANY, OPERAND_LOAD, SIZE_Z, ROW_64, sign_extend },
	{ MAP_ONE, 0x8c, 0xff, ANY, PREFIX_ANY, OPERAND_STORE, 2, 0, mov_segment_store },
	{ MAP_ONE, 0xa0, 0xfe, ANY, PREFIX_ANY, OPERAND_LOAD, SIZE_BV, 0, mov_offset_load },
	{ MAP_ONE, 0xa2, 0xfe, ANY, PREFIX_ANY, OPERAND_STORE, SIZE_BV, 0, mov_offset_store },
	{ MAP_ONE, 0xf6, 0xfe, 0, PREFIX_ANY, OPERAND_LOAD, SIZE_BV, 0, test_immediate },
	{ MAP_ONE, 0xf6, 0xfe, 1, PREFIX_ANY, OPERAND_LOAD, SIZE_BV, 0, test_immediate },
	{ MAP_ONE, 0xf6, 0xfe, 2, PREFIX_ANY, OPERAND_CHANGE, SIZE_BV, 0, invert },
	{ MAP_ONE, 0xf6, 0xfe, 3, PREFIX_ANY, OPERAND_CHANGE, SIZE_BV, 0, negate },
	{ MAP_ONE, 0xfe, 0xfe, 0, PREFIX_ANY, OPERAND_CHANGE, SIZE_BV, 0, inc_dec },
	{ MAP_ONE, 0xfe, 0xfe, 1, PREFIX_ANY, OPERAND_CHANGE, SIZE_BV, 0, inc_dec },
	{ MAP_0F, 0x40, 0xf0, ANY, PREFIX_ANY, OPERAND_LOAD, SIZE_V, 0, cmovcc },
	{ MAP_0F, 0x90, 0xf0, ANY, PREFIX_ANY, OPERAND_STORE, 1, 0, setcc },
	{ MAP_0F, 0xb6, 0xff, ANY, PREFIX_ANY, OPERAND_LOAD, 1, 0, zero_extend },
	{ MAP_0F, 0xb7, 0xff, ANY, PREFIX_ANY, OPERAND_LOAD, 2, 0, zero_extend },
	{ MAP_0F, 0xbe, 0xff, ANY, PREFIX_ANY, OPERAND_LOAD, 1, 0, sign_extend },
	{ MAP_0F, 0xbf, 0xff, ANY, PREFIX_ANY, OPERAND_LOAD, 2, 0, sign_extend },
	{ MAP_0F, 0xb0, 0xfe, ANY, PREFIX_ANY, OPERAND_CHANGE, SIZE_BV, 0, cmpxchg },
	{ MAP_0F, 0xc0, 0xfe, ANY, PREFIX_ANY, OPERAND_CHANGE, SIZE_BV, 0, xadd },
	{ MAP_0F, 0xc3, 0xff, ANY, PREFIX_NONE, OPERAND_STORE, SIZE_Y, 0, mov_store },
	{ MAP_0F, 0xc7, 0xff, 1, PREFIX_NO_REP, OPERAND_CHANGE, SIZE_PAIR, 0, cmpxchg_pair },
	{ MAP_0F, 0xae, 0xff, 7, PREFIX_NO_REP, OPERAND_OWN, 0, 0, flush_line },
	{ MAP_0F, 0xae, 0xff, 6, PREFIX_66, OPERAND_OWN, 0, 0, flush_line },
	{ MAP_0F38, 0xf0, 0xff, ANY, PREFIX_NO_REP, OPERAND_LOAD, SIZE_V, 0, movbe_load },
	{ MAP_0F38, 0xf1, 0xff, ANY, PREFIX_NO_REP, OPERAND_STORE, SIZE_V, 0, movbe_store },
	{ MAP_0F38, 0xf9, 0xff, ANY, PREFIX_NONE, OPERAND_STORE, SIZE_Y, 0, mov_store },
	{ MAP_0F38, 0xf8, 0xff, ANY, PREFIX_66, OPERAND_OWN, 0, 0, mov_line },
	{ 0 },
};
