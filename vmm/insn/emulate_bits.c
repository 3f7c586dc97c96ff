/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions that look for bits, test, count and pick them: BT and its like, BSF, BSR, TZCNT,
 * LZCNT, POPCNT, CRC32, ADCX, ADOX, and the VEX-encoded ones of BMI1 and BMI2, which are no
 * vectors'.
 * Source: Intel SDM 2, "Instruction Set Reference".
 */
#include "vmm/insn/emulate_state.h"

#include "cpu/features.h"

#define FLAGS_ALL (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)
#define CRC32C		0x82f63b78u

/* The register that VEX names beside ModRM's. */
static uint64_t second_in(const struct emulation *e)
{
	return gpr_read(e, e->insn->vvvv, e->size);
}

static void flags_set(struct emulation *e, uint64_t which, uint64_t flags)
{
	e->rflags = (e->rflags & ~which) | flags;
}

/* Of a result whose PF and AF nobody defines. */
static int result(struct emulation *e, unsigned r, uint64_t v, bool carry)
{
	emulate_out(e, r, e->size, v);
	flags_set(e, RFLAGS_CF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF,
		  (emulate_result_flags(v, e->size) & (RFLAGS_ZF | RFLAGS_SF)) |
		  (carry ? RFLAGS_CF : 0));
	return 0;
}

/* ---- bits: BT, BTS, BTR, BTC in the order of their encoding */

static int bit_test(struct emulation *e, unsigned op, uint64_t bit)
{
	uint64_t v = e->value[0], m = BIT(bit & (8 * e->size - 1));

	e->value[0] = op == 1 ? v | m : op == 2 ? v & ~m : v ^ m;
	e->rflags = (e->rflags & ~RFLAGS_CF) | (v & m ? RFLAGS_CF : 0);
	return 0;
}

static int bit_immediate(struct emulation *e)
{
	return bit_test(e, e->insn->reg & 3, e->insn->imm);
}

static int bit_register(struct emulation *e)
{
	return bit_test(e, e->insn->opcode >> 3 & 3, reg_in(e));
}

/* ---- search and count: older chips read TZCNT and LZCNT as BSF and BSR, without the prefix */

static int count(struct emulation *e, uint64_t n)
{
	emulate_out(e, e->insn->reg, e->size, n);
	flags_set(e, RFLAGS_CF | RFLAGS_ZF,
		  (n == 8 * e->size ? RFLAGS_CF : 0) | (n ? 0 : RFLAGS_ZF));
	return 0;
}

/* Nothing found: the register stays as it is. */
static int scan(struct emulation *e, unsigned (*find)(uint64_t))
{
	uint64_t v = e->value[0];

	if (v)
		emulate_out(e, e->insn->reg, e->size, find(v));
	flags_set(e, RFLAGS_ZF, v ? 0 : RFLAGS_ZF);
	return 0;
}

static int scan_forward(struct emulation *e)
{
	uint64_t v = e->value[0];

	if (e->insn->rep == 0xf3 && cpu_has(FEATURE_BMI1))
		return count(e, v ? bit_lowest(v) : 8 * e->size);
	return scan(e, bit_lowest);
}

static int scan_reverse(struct emulation *e)
{
	uint64_t v = e->value[0];

	if (e->insn->rep == 0xf3 && cpu_has(FEATURE_LZCNT))
		return count(e, v ? 8 * e->size - 1 - bit_highest(v) : 8 * e->size);
	return scan(e, bit_highest);
}

static int popcnt(struct emulation *e)
{
	emulate_out(e, e->insn->reg, e->size, bit_count(e->value[0]));
	flags_set(e, FLAGS_ALL, e->value[0] ? 0 : RFLAGS_ZF);
	return 0;
}

static int crc32(struct emulation *e)
{
	unsigned wide = e->insn->operand == 8 ? 8 : 4;
	uint32_t crc = (uint32_t)gpr_read(e, e->insn->reg, 4);

	for (unsigned n = 0; n < e->size; n++) {
		crc ^= (uint8_t)(e->value[0] >> (8 * n));
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? CRC32C : 0);
	}
	emulate_out(e, e->insn->reg, wide, crc);
	return 0;
}

/* ADCX goes by CF, ADOX by OF, and neither touches another flag. */
static int add_with(struct emulation *e, uint64_t flag)
{
	uint64_t a = reg_in(e), b = e->value[0], r = a + b + (e->rflags & flag ? 1 : 0);
	uint64_t carries = (a & b) | ((a | b) & ~r);

	emulate_out(e, e->insn->reg, e->size, r);
	flags_set(e, flag, carries >> (8 * e->size - 1) & 1 ? flag : 0);
	return 0;
}

static int adcx(struct emulation *e)
{
	return add_with(e, RFLAGS_CF);
}

static int adox(struct emulation *e)
{
	return add_with(e, RFLAGS_OF);
}

/* ---- BMI1 and BMI2 */

static int andn(struct emulation *e)
{
	return result(e, e->insn->reg, ~second_in(e) & e->value[0], false);
}

/* BLSR, BLSMSK, BLSI: clear the lowest bit set, mask up to it, take it alone. */
static int lowest(struct emulation *e)
{
	uint64_t v = e->value[0];

	switch (e->insn->reg & 7) {
	case 1: return result(e, e->insn->vvvv, v & (v - 1), !v);
	case 2: return result(e, e->insn->vvvv, v ^ (v - 1), !v);
	default: return result(e, e->insn->vvvv, v & -v, v);
	}
}

static int bzhi(struct emulation *e)
{
	unsigned n = second_in(e) & 0xff;
	bool all = n >= 8 * e->size;

	return result(e, e->insn->reg, all ? e->value[0] : e->value[0] & (BIT(n) - 1), all);
}

static int bextr(struct emulation *e)
{
	uint64_t how = second_in(e), v = e->value[0];
	unsigned start = how & 0xff, length = how >> 8 & 0xff;

	v = start < 64 ? v >> start : 0;
	return result(e, e->insn->reg, length < 64 ? v & (BIT(length) - 1) : v, false);
}

static int pext(struct emulation *e)
{
	uint64_t from = second_in(e), r = 0;
	unsigned n = 0;

	for (uint64_t m = e->value[0]; m; m &= m - 1)
		r |= (from >> bit_lowest(m) & 1) << n++;
	emulate_out(e, e->insn->reg, e->size, r);
	return 0;
}

static int pdep(struct emulation *e)
{
	uint64_t from = second_in(e), r = 0;

	for (uint64_t m = e->value[0]; m; m &= m - 1, from >>= 1)
		r |= from & 1 ? m & -m : 0;
	emulate_out(e, e->insn->reg, e->size, r);
	return 0;
}

static int shift_without_flags(struct emulation *e)
{
	unsigned n = second_in(e) & (8 * e->size - 1);
	uint64_t v = e->value[0];

	if (e->insn->rep == 0xf3)
		v = (uint64_t)(bytes_signed(v, e->size) >> n);
	else
		v = e->insn->rep == 0xf2 ? v >> n : v << n;
	emulate_out(e, e->insn->reg, e->size, v);
	return 0;
}

static int rorx(struct emulation *e)
{
	unsigned bits = 8 * e->size, n = e->insn->imm & (bits - 1);
	uint64_t v = e->value[0];

	emulate_out(e, e->insn->reg, e->size, n ? v >> n | v << (bits - n) : v);
	return 0;
}

#define ANY	GROUP_ANY
#define VEX	(ROW_VEX | ROW_PROTECTED)

const struct emulate_row emulate_bits_rows[] = {
	{ MAP_0F, 0xa3, 0xff, ANY, PREFIX_ANY, OPERAND_LOAD, SIZE_V, ROW_BITS, bit_register },
	{ MAP_0F, 0xa3, 0xe7, ANY, PREFIX_ANY, OPERAND_CHANGE, SIZE_V, ROW_BITS, bit_register },
	{ MAP_0F, 0xba, 0xff, 4, PREFIX_ANY, OPERAND_LOAD, SIZE_V, 0, bit_immediate },
	{ MAP_0F, 0xba, 0xff, 5, PREFIX_ANY, OPERAND_CHANGE, SIZE_V, 0, bit_immediate },
	{ MAP_0F, 0xba, 0xff, 6, PREFIX_ANY, OPERAND_CHANGE, SIZE_V, 0, bit_immediate },
	{ MAP_0F, 0xba, 0xff, 7, PREFIX_ANY, OPERAND_CHANGE, SIZE_V, 0, bit_immediate },
	{ MAP_0F, 0xbc, 0xff, ANY, PREFIX_ANY, OPERAND_LOAD, SIZE_V, 0, scan_forward },
	{ MAP_0F, 0xbd, 0xff, ANY, PREFIX_ANY, OPERAND_LOAD, SIZE_V, 0, scan_reverse },
	{ MAP_0F, 0xb8, 0xff, ANY, PREFIX_F3, OPERAND_LOAD, SIZE_V, 0, popcnt },
	{ MAP_0F38, 0xf0, 0xfe, ANY, PREFIX_F2, OPERAND_LOAD, SIZE_BV, 0, crc32 },
	{ MAP_0F38, 0xf6, 0xff, ANY, PREFIX_66, OPERAND_LOAD, SIZE_Y, 0, adcx },
	{ MAP_0F38, 0xf6, 0xff, ANY, PREFIX_F3, OPERAND_LOAD, SIZE_Y, 0, adox },
	{ MAP_0F38, 0xf2, 0xff, ANY, PREFIX_NONE, OPERAND_LOAD, SIZE_Y, VEX, andn },
	{ MAP_0F38, 0xf3, 0xff, 1, PREFIX_NONE, OPERAND_LOAD, SIZE_Y, VEX, lowest },
	{ MAP_0F38, 0xf3, 0xff, 2, PREFIX_NONE, OPERAND_LOAD, SIZE_Y, VEX, lowest },
	{ MAP_0F38, 0xf3, 0xff, 3, PREFIX_NONE, OPERAND_LOAD, SIZE_Y, VEX, lowest },
	{ MAP_0F38, 0xf5, 0xff, ANY, PREFIX_NONE, OPERAND_LOAD, SIZE_Y, VEX, bzhi },
	{ MAP_0F38, 0xf5, 0xff, ANY, PREFIX_F3, OPERAND_LOAD, SIZE_Y, VEX, pext },
	{ MAP_0F38, 0xf5, 0xff, ANY, PREFIX_F2, OPERAND_LOAD, SIZE_Y, VEX, pdep },
	{ MAP_0F38, 0xf7, 0xff, ANY, PREFIX_NONE, OPERAND_LOAD, SIZE_Y, VEX, bextr },
	{ MAP_0F38, 0xf7, 0xff, ANY, PREFIX_ANY, OPERAND_LOAD, SIZE_Y, VEX, shift_without_flags },
	{ MAP_0F3A, 0xf0, 0xff, ANY, PREFIX_F2, OPERAND_LOAD, SIZE_Y, VEX, rorx },
	{ 0 },
};
