/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The instruction decoder: bytes and mode in, struct insn out; it knows nothing of a vCPU or of
 * memory. Lengths are exact for every opcode map (VEX, EVEX and XOP included); operands are
 * described as far as emulation needs them. Where vendors differ (66 before a near branch in 64-bit
 * mode) it reads as AMD's chips do: only they leave lengths to software.
 * Sources: Intel SDM 2, "Instruction Format", "Opcode Map"; AMD64 APM 3, "Instruction Encoding",
 * "Opcode and Operand Encodings".
 */
#pragma once

#include "include/bits.h"
#include "vmm/regs.h"

#define INSN_MAX	15

enum insn_map { MAP_ONE, MAP_0F, MAP_0F38, MAP_0F3A, MAP_OTHER };
enum insn_encoding { ENCODING_LEGACY, ENCODING_VEX, ENCODING_EVEX, ENCODING_XOP };

#define INSN_NO_REG	0xff	/* no base, no index */
#define INSN_RIP	0xfe	/* base: the next instruction */

struct insn {
	uint8_t length;
	uint8_t map, encoding, opcode;
	uint8_t mode;			/* 16, 32, 64 */
	uint8_t operand;		/* bytes of a word-sized operand: 2, 4, 8 */
	uint8_t address;		/* bytes of an address: 2, 4, 8 */
	uint8_t rex;			/* 0x40 to 0x4f, 0 without */
	uint8_t rep;			/* 0xf2, 0xf3 or 0 */
	bool lock, prefix66;
	bool has_modrm;
	bool memory;			/* the ModRM operand (or moffs) is in memory, at: */
	uint8_t segment;		/* enum seg, with override; string instructions' source
					 * too */
	uint8_t base, index, shift;	/* enum gpr or INSN_*; index << shift */
	uint8_t modrm;
	uint8_t reg;			/* ModRM.reg with REX.R; the group's number is reg & 7 */
	uint8_t rm;			/* a register operand's number, or the opcode's low bits */
	uint8_t vvvv;			/* VEX's and its kin's other register */
	uint8_t vector;			/* 0: 128 bits, 1: 256, 2: 512 */
	uint8_t imm_size;
	int64_t disp;			/* moffs: the address */
	uint64_t imm;			/* sign-extended */
};

/*
 * 0; -EAGAIN: `n` bytes are not the whole instruction; -EINVAL: #UD; -E2BIG: more than 15 bytes,
 * #GP. `mode` is 16, 32 or 64. The bytes behind `n` are not touched.
 */
int decode(const uint8_t *bytes, size_t n, unsigned mode, struct insn *out) must_check;
