/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moves between memory and MMX, SSE and AVX registers, and the logic on them. Registers are in the
 * vCPU's saved state, to which what the CPU holds is put first: the next entry loads it again.
 * Source: Intel SDM 2, "MOVAPS", "MOVDQU" and kin; SDM 1, "Managing State Using the XSAVE Feature
 * Set"; SDM 3, "System Programming for Instruction Set Extensions".
 */
#include "vmm/insn/emulate_state.h"

#include "cpu/fpu.h"
#include "lib/string.h"

/* In an area of XSAVE's standard form; without XSAVE it ends before the header. */
#define FTW_AT		4u
#define MM_AT		32u
#define XMM_AT		160u
#define HEADER_AT	512u
#define YMM_AT		576u		/* the upper halves */
#define LEGACY_SIZE	512u

/*
 * The registers of a component, which is in use from now on: one that is as after reset is so by a
 * bit of the header alone.
 */
static uint8_t *registers(struct emulation *e, uint64_t component, unsigned at, unsigned size)
{
	uint8_t *area = e->vcpu->hw.fpu;
	uint64_t *used = (uint64_t *)(area + HEADER_AT);

	if (fpu_area_size() > LEGACY_SIZE && !(*used & component)) {
		memset(area + at, 0, size);
		*used |= component;
	}
	return area + at;
}

static uint8_t *xmm(struct emulation *e, unsigned r)
{
	return registers(e, XCR0_SSE, XMM_AT, 256) + 16 * r;
}

static uint8_t *ymm_high(struct emulation *e, unsigned r)
{
	return registers(e, XCR0_AVX, YMM_AT, 256) + 16 * r;
}

/* Sign and exponent are ones, all tags are valid, and the top is 0 then. */
static uint8_t *mm(struct emulation *e, unsigned r)
{
	uint8_t *area = registers(e, XCR0_X87, MM_AT, 128) - MM_AT;

	area[FTW_AT] = 0xff;
	area[3] &= 0xc7;
	return area + MM_AT + 16 * (r & 7);
}

int emulate_vector_check(struct emulation *e, bool mmx)
{
	bool vex = e->insn->encoding;

	if (vex && (emulate_real(e) || !(e->mode.cr4 & CR4_OSXSAVE) ||
		    (~vmm_ops->reg_get(e->vcpu, REG_XCR0) & (XCR0_SSE | XCR0_AVX))))
		return emulate_fault(e, EXC_UD);
	if (!vex && (e->mode.cr0 & CR0_EM || (!mmx && !(e->mode.cr4 & CR4_OSFXSR))))
		return emulate_fault(e, EXC_UD);
	if (e->mode.cr0 & CR0_TS)
		return emulate_fault(e, EXC_NM);
	vcpu_put_state(e->vcpu);
	return 0;
}

/* What VEX does to the rest of a register: nothing stays above what was written. */
static void finish_load(struct emulation *e, unsigned size)
{
	if (!e->insn->encoding)
		return;
	if (size < 32)
		memset(ymm_high(e, e->insn->reg), 0, 16);
}

/* To the low bytes; those above to 16 become zero. */
static int load(struct emulation *e)
{
	memset(xmm(e, e->insn->reg), 0, 16);
	memcpy(xmm(e, e->insn->reg), e->value, MIN(e->size, 16));
	if (e->size == 32)
		memcpy(ymm_high(e, e->insn->reg), e->value + 2, 16);
	finish_load(e, e->size);
	return 0;
}

static int store(struct emulation *e)
{
	memcpy(e->value, xmm(e, e->insn->reg), 16);
	if (e->size == 32)
		memcpy(e->value + 2, ymm_high(e, e->insn->reg), 16);
	return 0;
}

/* MOVLPS, MOVHPS and their like: one half; VEX takes the other from its second register. */
static unsigned half_of(const struct insn *i)
{
	return i->opcode & 4 ? 8 : 0;
}

static int load_half(struct emulation *e)
{
	unsigned at = half_of(e->insn);
	if (e->insn->encoding)
		memmove(xmm(e, e->insn->reg), xmm(e, e->insn->vvvv), 16);
	memcpy(xmm(e, e->insn->reg) + at, e->value, 8);
	finish_load(e, 16);
	return 0;
}

static int store_half(struct emulation *e)
{
	memcpy(e->value, xmm(e, e->insn->reg) + half_of(e->insn), 8);
	return 0;
}

static int mmx_load(struct emulation *e)
{
	uint8_t *r = mm(e, e->insn->reg);

	memset(r, 0, 8);
	memcpy(r, e->value, e->size);
	memset(r + 8, 0xff, 2);
	return 0;
}

static int mmx_store(struct emulation *e)
{
	memcpy(e->value, mm(e, e->insn->reg), 8);
	return 0;
}

static uint64_t logic(unsigned opcode, uint64_t a, uint64_t b)
{
	switch (opcode) {
	case 0x54: case 0xdb: return a & b;
	case 0x55: case 0xdf: return ~a & b;
	case 0x56: case 0xeb: return a | b;
	default: return a ^ b;
	}
}

static void logic_part(struct emulation *e, uint8_t *to, const uint8_t *a, const uint64_t *b)
{
	uint64_t v[2];

	memcpy(v, a, 16);
	for (unsigned n = 0; n < 2; n++)
		v[n] = logic(e->insn->opcode, v[n], b[n]);
	memcpy(to, v, 16);
}

static int logic_load(struct emulation *e)
{
	unsigned to = e->insn->reg, from = e->insn->encoding ? e->insn->vvvv : to;
	logic_part(e, xmm(e, to), xmm(e, from), e->value);
	if (e->size == 32)
		logic_part(e, ymm_high(e, to), ymm_high(e, from), e->value + 2);
	finish_load(e, e->size);
	return 0;
}

#define ANY	GROUP_ANY

const struct emulate_row emulate_vector_rows[] = {
	{ MAP_0F, 0x10, 0xff, ANY, PREFIX_NO_REP, OPERAND_LOAD, SIZE_X, 0, load },
	{ MAP_0F, 0x11, 0xff, ANY, PREFIX_NO_REP, OPERAND_STORE, SIZE_X, 0, store },
	{ MAP_0F, 0x10, 0xff, ANY, PREFIX_F3, OPERAND_LOAD, SIZE_X4, 0, load },
	{ MAP_0F, 0x11, 0xff, ANY, PREFIX_F3, OPERAND_STORE, SIZE_X4, 0, store },
	{ MAP_0F, 0x10, 0xff, ANY, PREFIX_F2, OPERAND_LOAD, SIZE_X8, 0, load },
	{ MAP_0F, 0x11, 0xff, ANY, PREFIX_F2, OPERAND_STORE, SIZE_X8, 0, store },
	{ MAP_0F, 0x12, 0xfb, ANY, PREFIX_NO_REP, OPERAND_LOAD, SIZE_X8, 0, load_half },
	{ MAP_0F, 0x13, 0xfb, ANY, PREFIX_NO_REP, OPERAND_STORE, SIZE_X8, 0, store_half },
	{ MAP_0F, 0x28, 0xff, ANY, PREFIX_NO_REP, OPERAND_LOAD, SIZE_X_ALIGNED, 0, load },
	{ MAP_0F, 0x29, 0xfd, ANY, PREFIX_NO_REP, OPERAND_STORE, SIZE_X_ALIGNED, 0, store },
	{ MAP_0F, 0x6f, 0xff, ANY, PREFIX_66, OPERAND_LOAD, SIZE_X_ALIGNED, 0, load },
	{ MAP_0F, 0x7f, 0xff, ANY, PREFIX_66, OPERAND_STORE, SIZE_X_ALIGNED, 0, store },
	{ MAP_0F, 0xe7, 0xff, ANY, PREFIX_66, OPERAND_STORE, SIZE_X_ALIGNED, 0, store },
	{ MAP_0F38, 0x2a, 0xff, ANY, PREFIX_66, OPERAND_LOAD, SIZE_X_ALIGNED, 0, load },
	{ MAP_0F, 0x6f, 0xff, ANY, PREFIX_F3, OPERAND_LOAD, SIZE_X, 0, load },
	{ MAP_0F, 0x7f, 0xff, ANY, PREFIX_F3, OPERAND_STORE, SIZE_X, 0, store },
	{ MAP_0F, 0xf0, 0xff, ANY, PREFIX_F2, OPERAND_LOAD, SIZE_X, 0, load },
	{ MAP_0F, 0x7e, 0xff, ANY, PREFIX_F3, OPERAND_LOAD, SIZE_X8, 0, load },
	{ MAP_0F, 0xd6, 0xff, ANY, PREFIX_66, OPERAND_STORE, SIZE_X8, 0, store },
	{ MAP_0F, 0x6e, 0xff, ANY, PREFIX_66, OPERAND_LOAD, SIZE_XY, 0, load },
	{ MAP_0F, 0x7e, 0xff, ANY, PREFIX_66, OPERAND_STORE, SIZE_XY, 0, store },
	{ MAP_0F, 0x54, 0xfc, ANY, PREFIX_NO_REP, OPERAND_LOAD, SIZE_X_OPERAND, 0, logic_load },
	{ MAP_0F, 0xdb, 0xfb, ANY, PREFIX_66, OPERAND_LOAD, SIZE_X_OPERAND, 0, logic_load },
	{ MAP_0F, 0xeb, 0xfb, ANY, PREFIX_66, OPERAND_LOAD, SIZE_X_OPERAND, 0, logic_load },
	{ MAP_0F, 0x6f, 0xff, ANY, PREFIX_NONE, OPERAND_LOAD, SIZE_MM, 0, mmx_load },
	{ MAP_0F, 0x7f, 0xff, ANY, PREFIX_NONE, OPERAND_STORE, SIZE_MM, 0, mmx_store },
	{ MAP_0F, 0xe7, 0xff, ANY, PREFIX_NONE, OPERAND_STORE, SIZE_MM, 0, mmx_store },
	{ MAP_0F, 0x6e, 0xff, ANY, PREFIX_NONE, OPERAND_LOAD, SIZE_MY, 0, mmx_load },
	{ MAP_0F, 0x7e, 0xff, ANY, PREFIX_NONE, OPERAND_STORE, SIZE_MY, 0, mmx_store },
	{ 0 },
};
