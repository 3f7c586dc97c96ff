/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MUL, IMUL, DIV, IDIV and MULX by a memory operand. One operand's products and dividends are twice
 * as wide: rDX and rAX, or AX for bytes. Signs are taken off first and put back last, so that there
 * is one multiplication and one division.
 * Source: Intel SDM 2, "MUL", "IMUL", "DIV", "IDIV", "MULX".
 */
#include "vmm/insn/emulate_state.h"

/* Twice 64 bits, or less of both. */
struct wide {
	uint64_t low, high;
};

static struct wide negated(struct wide w)
{
	return (struct wide){ -w.low, ~w.high + !w.low };
}

static struct wide product(uint64_t a, uint64_t b)
{
	unsigned __int128 r = (unsigned __int128)a * b;

	return (struct wide){ (uint64_t)r, (uint64_t)(r >> 64) };
}

/* Both operands are sign-extended. */
static struct wide signed_product(uint64_t a, uint64_t b)
{
	bool negative = (a ^ b) >> 63;
	struct wide w = product((int64_t)a < 0 ? -a : a, (int64_t)b < 0 ? -b : b);

	return negative ? negated(w) : w;
}

/* CF and OF: the upper half says something. */
static void overflow(struct emulation *e, bool yes)
{
	e->rflags = (e->rflags & ~(RFLAGS_CF | RFLAGS_OF)) | (yes ? RFLAGS_CF | RFLAGS_OF : 0);
}

static void halves_out(struct emulation *e, uint64_t low, uint64_t high)
{
	if (e->size == 1) {
		emulate_out(e, GPR_RAX, 2, (low & 0xff) | (high & 0xff) << 8);
		return;
	}
	emulate_out(e, GPR_RAX, e->size, low);
	emulate_out(e, GPR_RDX, e->size, high);
}

static uint64_t high_of(const struct emulation *e, struct wide w)
{
	return e->size == 8 ? w.high : w.low >> (8 * e->size);
}

static int mul(struct emulation *e)
{
	struct wide w = product(gpr_read(e, GPR_RAX, e->size), e->value[0]);
	uint64_t high = high_of(e, w);

	halves_out(e, w.low, high);
	overflow(e, high);
	return 0;
}

/* Is the product no more than its lower half, sign-extended? */
static bool fits(const struct emulation *e, struct wide w)
{
	int64_t low = bytes_signed(w.low, e->size);

	return (uint64_t)low == w.low && w.high == (uint64_t)(low >> 63);
}

static struct wide imul_by(const struct emulation *e, uint64_t other)
{
	return signed_product((uint64_t)bytes_signed(e->value[0], e->size),
			      (uint64_t)bytes_signed(other, e->size));
}

static int imul(struct emulation *e)
{
	struct wide w = imul_by(e, gpr_read(e, GPR_RAX, e->size));

	halves_out(e, w.low, high_of(e, w));
	overflow(e, !fits(e, w));
	return 0;
}

static int imul_to(struct emulation *e, uint64_t other)
{
	struct wide w = imul_by(e, other);

	emulate_out(e, e->insn->reg, e->size, w.low);
	overflow(e, !fits(e, w));
	return 0;
}

static int imul_register(struct emulation *e)
{
	return imul_to(e, gpr_read(e, e->insn->reg, e->size));
}

static int imul_immediate(struct emulation *e)
{
	return imul_to(e, e->insn->imm);
}

/* Without flags; the lower half goes first, and the upper one stays where both are one. */
static int mulx(struct emulation *e)
{
	struct wide w = product(gpr_read(e, GPR_RDX, e->size), e->value[0]);

	emulate_out(e, e->insn->vvvv, e->size, w.low);
	emulate_out(e, e->insn->reg, e->size, high_of(e, w));
	return 0;
}

/* The dividend: rDX and rAX, or AX. */
static struct wide dividend(const struct emulation *e, bool is_signed)
{
	uint64_t low = gpr_read(e, GPR_RAX, e->size == 1 ? 2 : e->size),
		 high = gpr_read(e, GPR_RDX, e->size);

	if (e->size == 8)
		return (struct wide){ low, high };
	if (e->size > 1)
		low |= high << (8 * e->size);
	if (is_signed)
		low = (uint64_t)bytes_signed(low, MAX(2u * e->size, 2u));
	return (struct wide){ low, is_signed ? (uint64_t)((int64_t)low >> 63) : 0 };
}

/* False: the quotient has more than 64 bits, or there is none. */
static bool divide(struct wide n, uint64_t d, uint64_t *quotient, uint64_t *rest)
{
	if (n.high >= d)
		return false;
	__asm__("divq %[d]" : "=a"(*quotient), "=d"(*rest) : "a"(n.low), "d"(n.high), [d] "r"(d)
		: "cc");
	return true;
}

static int div(struct emulation *e)
{
	uint64_t quotient, rest;

	if (!divide(dividend(e, false), e->value[0], &quotient, &rest) ||
	    quotient > bytes_mask(e->size))
		return emulate_fault(e, EXC_DE);
	halves_out(e, quotient, rest);
	return 0;
}

/* Rounds towards zero; the rest has the dividend's sign. */
static int idiv(struct emulation *e)
{
	uint64_t d = (uint64_t)bytes_signed(e->value[0], e->size), most = bytes_mask(e->size) >> 1,
		 quotient, rest;
	struct wide n = dividend(e, true);
	bool minus = n.high >> 63, minus_d = d >> 63, negative = minus != minus_d;

	if (!divide(minus ? negated(n) : n, minus_d ? -d : d, &quotient, &rest) ||
	    quotient > most + negative)
		return emulate_fault(e, EXC_DE);
	halves_out(e, negative ? -quotient : quotient, minus ? -rest : rest);
	return 0;
}

#define ANY	GROUP_ANY

const struct emulate_row emulate_muldiv_rows[] = {
	{ MAP_ONE, 0xf6, 0xfe, 4, PREFIX_ANY, OPERAND_LOAD, SIZE_BV, 0, mul },
	{ MAP_ONE, 0xf6, 0xfe, 5, PREFIX_ANY, OPERAND_LOAD, SIZE_BV, 0, imul },
	{ MAP_ONE, 0xf6, 0xfe, 6, PREFIX_ANY, OPERAND_LOAD, SIZE_BV, 0, div },
	{ MAP_ONE, 0xf6, 0xfe, 7, PREFIX_ANY, OPERAND_LOAD, SIZE_BV, 0, idiv },
	{ MAP_ONE, 0x69, 0xfd, ANY, PREFIX_ANY, OPERAND_LOAD, SIZE_V, 0, imul_immediate },
	{ MAP_0F, 0xaf, 0xff, ANY, PREFIX_ANY, OPERAND_LOAD, SIZE_V, 0, imul_register },
	{ MAP_0F38, 0xf6, 0xff, ANY, PREFIX_F2, OPERAND_LOAD, SIZE_Y, ROW_VEX | ROW_PROTECTED, mulx },
	{ 0 },
};
