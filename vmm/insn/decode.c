/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decoder; see vmm/insn/decode.h. A table of one letter per opcode says what follows it, which
 * gives the length; the few fields that emulation wants are filled on the way. Pure: bytes in,
 * struct insn out, and every read is checked against the end.
 */
#include "vmm/insn/decode.h"

#include "include/errno.h"

/*
 * What follows an opcode, one letter for each:
 *	.  nothing		M  ModRM		C  ModRM, always a register
 *	b  imm8			B  ModRM, imm8		w  imm16		e  imm16, imm8
 *	z  imm16/32		Z  ModRM, imm16/32	v  imm16/32/64		j  a branch's
 *	o  moffs		f  far pointer		-  #UD			p  a prefix
 *	E  escape		F  ModRM, imm8 in /0 /1			G  likewise imm16/32
 * and in 64-bit mode invalid:
 *	x  nothing		y  imm8			Y  ModRM, imm8		X  far pointer
 *	V  VEX, EVEX, or (not in 64-bit mode) ModRM;  O  XOP or ModRM
 */
static const char one_byte[256] =
	"MMMMbzxxMMMMbzxE" "MMMMbzxxMMMMbzxx" "MMMMbzpxMMMMbzpx" "MMMMbzpxMMMMbzpx"
	"................" "................" "xxVMppppzZbB...." "bbbbbbbbbbbbbbbb"
	"BZYBMMMMMMMMMMMO" "..........X....." "oooo....bz......" "bbbbbbbbvvvvvvvv"
	"BBw.VVBZe.w..bx." "MMMMyyx.MMMMMMMM" "bbbbbbbbjjXb...." "p.pp..FG......MM";

static const char two_byte[256] =
	"MMMM-.....-.-M.B" "MMMMMMMMMMMMMMMM" "CCCC----MMMMMMMM" "......-.E-E-----"
	"MMMMMMMMMMMMMMMM" "MMMMMMMMMMMMMMMM" "MMMMMMMMMMMMMMMM" "BBBBMMM.MM--MMMM"
	"jjjjjjjjjjjjjjjj" "MMMMMMMMMMMMMMMM" "...MBM--...MBMMM" "MMMMMMMMMMBMMMMM"
	"MMBMBBBM........" "MMMMMMMMMMMMMMMM" "MMMMMMMMMMMMMMMM" "MMMMMMMMMMMMMMMM";

struct cursor {
	const uint8_t *bytes;
	size_t n, at;
	int error;
};

/* Takes the next byte; after an error everything is 0. */
static uint8_t next(struct cursor *c)
{
	if (c->at >= INSN_MAX)
		c->error = c->error ?: -E2BIG;
	else if (c->at >= c->n)
		c->error = c->error ?: -EAGAIN;
	return c->error ? 0 : c->bytes[c->at++];
}

static uint64_t take(struct cursor *c, unsigned size)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < size; i++)
		v |= (uint64_t)next(c) << (8 * i);
	return v;
}

static int64_t take_signed(struct cursor *c, unsigned size)
{
	uint64_t v = take(c, size);

	return size ? (int64_t)(v << (64 - 8 * size)) >> (64 - 8 * size) : 0;
}

/* Legacy prefixes in any order, then at most one REX, which counts only right before the opcode.
 * Returns the opcode's first byte. */
static uint8_t take_prefixes(struct cursor *c, struct insn *i, bool *address67)
{
	static const uint8_t legacy_segment[] = { SEG_ES, SEG_CS, SEG_SS, SEG_DS };
	uint8_t b;

	for (;; i->rex = 0) {
		b = next(c);
		while (i->mode == 64 && (b & 0xf0) == 0x40) {
			i->rex = b;
			b = next(c);
		}
		if (c->error)
			return 0;
		if (b == 0x66)
			i->prefix66 = true;
		else if (b == 0x67)
			*address67 = true;
		else if (b == 0xf0)
			i->lock = true;
		else if (b == 0xf2 || b == 0xf3)
			i->rep = b;
		else if (b == 0x64 || b == 0x65)
			i->segment = b == 0x64 ? SEG_FS : SEG_GS;
		else if ((b & 0xe7) != 0x26)
			return b;
		else if (i->mode != 64)
			i->segment = legacy_segment[b >> 3 & 3];
	}
}

static void set_sizes(struct insn *i, bool address67)
{
	bool short_operand = (i->mode == 16) != i->prefix66;

	if (i->mode == 64) {
		i->operand = i->rex & 8 ? 8 : i->prefix66 ? 2 : 4;
		i->address = address67 ? 4 : 8;
	} else {
		i->operand = short_operand ? 2 : 4;
		i->address = (i->mode == 16) != address67 ? 2 : 4;
	}
}

static void default_segment(struct insn *i, enum seg s)
{
	if (i->segment == INSN_NO_REG)
		i->segment = s;
}

/* 16-bit forms: two registers at most, BP's side in SS. */
static void take_memory16(struct cursor *c, struct insn *i, unsigned mod, unsigned rm)
{
	static const uint8_t base[] = {
		GPR_RBX, GPR_RBX, GPR_RBP, GPR_RBP, GPR_RSI, GPR_RDI, GPR_RBP, GPR_RBX
	};

	i->base = base[rm];
	if (rm < 4)
		i->index = rm & 1 ? GPR_RDI : GPR_RSI;
	if (mod == 0 && rm == 6)
		i->base = INSN_NO_REG;
	default_segment(i, i->base == GPR_RBP ? SEG_SS : SEG_DS);
	i->disp = take_signed(c, mod == 1 ? 1 : mod == 2 || i->base == INSN_NO_REG ? 2 : 0);
}

static void take_memory(struct cursor *c, struct insn *i, unsigned mod, unsigned rm)
{
	unsigned size = mod == 1 ? 1 : mod == 2 ? 4 : 0, b = i->rex << 3 & 8;
	uint8_t sib;

	i->base = (uint8_t)(rm | b);
	if (rm == 4) {
		sib = next(c);
		i->base = (uint8_t)((sib & 7) | b);
		i->index = (uint8_t)((sib >> 3 & 7) | (i->rex << 2 & 8));
		i->shift = sib >> 6;
		if (i->index == GPR_RSP)
			i->index = INSN_NO_REG;
		rm = sib & 7;
		if (rm == 5 && mod == 0) {
			i->base = INSN_NO_REG;
			size = 4;
		}
	} else if (rm == 5 && mod == 0) {
		i->base = i->mode == 64 ? INSN_RIP : INSN_NO_REG;
		size = 4;
	}
	default_segment(i, i->base == GPR_RSP || i->base == GPR_RBP ? SEG_SS : SEG_DS);
	i->disp = take_signed(c, size);
}

static void take_modrm(struct cursor *c, struct insn *i, bool always_register)
{
	uint8_t m = next(c);
	unsigned mod = always_register ? 3 : m >> 6;

	i->has_modrm = true;
	i->modrm = m;
	i->reg = (uint8_t)((m >> 3 & 7) | (i->rex << 1 & 8));
	i->rm = (uint8_t)((m & 7) | (i->rex << 3 & 8));
	i->memory = mod != 3;
	if (mod == 3)
		return;
	if (i->address == 2)
		take_memory16(c, i, mod, m & 7);
	else
		take_memory(c, i, mod, m & 7);
}

/* VEX (2 or 3 bytes), EVEX and XOP behind their first byte; the rest reads like a legacy
 * instruction of the map. */
static char take_vex(struct cursor *c, struct insn *i, uint8_t first)
{
	uint8_t a = next(c), b;
	unsigned map = 1;

	if (i->rex || i->rep || i->prefix66 || i->lock)
		return '-';
	/* The register bits are there inverted, as REX has them: R, X, B from bit 7 down. */
	i->rex = (uint8_t)(0x40 | (~a >> 5 & 4));
	b = a;
	if (first != 0xc5) {
		map = a & (first == 0x62 ? 7 : 0x1f);
		i->rex |= (uint8_t)(~a >> 5 & 3);
		b = next(c);
		i->rex |= b >> 4 & 8;
	}
	i->prefix66 = (b & 3) == 1;
	i->rep = (b & 3) == 2 ? 0xf3 : (b & 3) == 3 ? 0xf2 : 0;
	i->vvvv = ~b >> 3 & (i->mode == 64 ? 15 : 7);
	i->vector = b >> 2 & 1;
	if (first == 0x62)
		i->vector = next(c) >> 5 & 3;
	i->encoding = first == 0x62 ? ENCODING_EVEX : first == 0x8f ? ENCODING_XOP : ENCODING_VEX;
	i->map = (uint8_t)(map < MAP_OTHER ? map : MAP_OTHER);
	i->opcode = next(c);
	if (first == 0x8f)
		return map == 8 ? 'B' : map == 9 ? 'M' : map == 10 ? 'Z' : '-';
	switch (map) {
	case MAP_0F:
		return two_byte[i->opcode] == 'B'	    ? 'B'
		       : i->opcode == 0x77 && first != 0x62 ? '.'
							    : 'M';
	case MAP_0F38:
	case 5:
	case 6:
		return map == MAP_0F38 || first == 0x62 ? 'M' : '-';
	case MAP_0F3A:
		return 'B';
	default:
		return '-';
	}
}

/* C4, C5 and 62 are LES, LDS and BOUND outside 64-bit mode, unless ModRM would name a register; 8F
 * with a map below 8 is POP. */
static bool is_vex(const struct cursor *c, const struct insn *i, uint8_t b)
{
	if (c->at >= c->n)
		return false;
	return b == 0x8f ? (c->bytes[c->at] & 0x1f) >= 8 : i->mode == 64 || c->bytes[c->at] >= 0xc0;
}

static char take_opcode(struct cursor *c, struct insn *i, uint8_t b)
{
	char what = one_byte[b];

	i->opcode = b;
	if ((what == 'V' || what == 'O') && is_vex(c, i, b))
		return take_vex(c, i, b);
	if (what == 'V' || what == 'O')
		return 'M';
	if (what != 'E')
		return what;
	i->map = MAP_0F;
	i->opcode = next(c);
	if (i->opcode != 0x38 && i->opcode != 0x3a) {
		/* SSE4a's EXTRQ and INSERTQ have two immediate bytes where VMREAD has none. */
		if (i->opcode == 0x78 && (i->prefix66 || i->rep == 0xf2))
			return 'W';
		return two_byte[i->opcode];
	}
	i->map = i->opcode == 0x38 ? MAP_0F38 : MAP_0F3A;
	i->opcode = next(c);
	return i->map == MAP_0F38 ? 'M' : 'B';
}

/* ModRM and immediates as the letter says; false: #UD. */
static bool take_operands(struct cursor *c, struct insn *i, char what)
{
	unsigned z = i->operand == 2 ? 2 : 4;
	bool long_mode = i->mode == 64;

	if (long_mode && (what == 'x' || what == 'y' || what == 'Y' || what == 'X'))
		return false;
	switch (what) {
	case '.':
	case 'x':
		i->rm = (uint8_t)((i->opcode & 7) | (i->rex << 3 & 8));
		return true;
	case 'M':
	case 'B':
	case 'Y':
	case 'Z':
	case 'F':
	case 'G':
	case 'C':
	case 'W':
		take_modrm(c, i, what == 'C');
		if ((what == 'F' || what == 'G') && (i->reg & 7) > 1)
			return true;
		/* An XOP immediate is 4 bytes whatever the prefix. */
		i->imm_size = (uint8_t)(what == 'B' || what == 'Y' || what == 'F' ? 1
					: what == 'W'				  ? 2
					: what == 'Z' || what == 'G' ? (i->encoding ? 4 : z)
								     : 0);
		break;
	case 'b':
	case 'y':
		i->imm_size = 1;
		break;
	case 'w':
		i->imm_size = 2;
		break;
	case 'e':
		i->imm_size = 3;
		break;
	case 'z':
	case 'j':
		i->imm_size = (uint8_t)z;
		break;
	case 'v':
		i->rm = (uint8_t)((i->opcode & 7) | (i->rex << 3 & 8));
		i->imm_size = i->operand;
		break;
	case 'X':
		i->imm_size = (uint8_t)(z + 2);
		break;
	case 'o':
		i->memory = true;
		i->disp = (int64_t)take(c, i->address);
		default_segment(i, SEG_DS);
		return true;
	default:
		return false;
	}
	i->imm = (uint64_t)take_signed(c, i->imm_size);
	return true;
}

/* May LOCK stand before it? Only before what reads, changes and writes memory. */
static bool lockable(const struct insn *i)
{
	unsigned group = i->reg & 7;

	if (!i->memory || i->encoding)
		return false;
	if (i->map == MAP_0F) {
		switch (i->opcode) {
		case 0xab: case 0xb3: case 0xbb: case 0xb0: case 0xb1: case 0xc0: case 0xc1:
			return true;
		case 0xba:
			return group >= 5;
		case 0xc7:
			return group == 1;
		default:
			return false;
		}
	}
	if (i->map != MAP_ONE)
		return false;
	if (i->opcode < 0x38)
		return (i->opcode & 7) < 2;
	switch (i->opcode) {
	case 0x80: case 0x81: case 0x82: case 0x83:
		return group != 7;
	case 0x86: case 0x87:
		return true;
	case 0xf6: case 0xf7:
		return group == 2 || group == 3;
	case 0xfe: case 0xff:
		return group < 2;
	default:
		return false;
	}
}

/* AMD's chips take LOCK before MOV CR as a way to CR8. */
static bool lock_is_right(const struct insn *i)
{
	return lockable(i) || (i->map == MAP_0F && (i->opcode == 0x20 || i->opcode == 0x22));
}

int decode(const uint8_t *bytes, size_t n, unsigned mode, struct insn *out)
{
	struct cursor c = { .bytes = bytes, .n = n };
	struct insn i = { .mode = (uint8_t)mode,
			  .segment = INSN_NO_REG,
			  .base = INSN_NO_REG,
			  .index = INSN_NO_REG };
	bool address67 = false;
	uint8_t b = take_prefixes(&c, &i, &address67);
	char what;

	if (c.error)
		return c.error;
	set_sizes(&i, address67);
	what = take_opcode(&c, &i, b);
	if (i.encoding)
		set_sizes(&i, address67);
	if (c.error)
		return c.error;
	if (!take_operands(&c, &i, what))
		return -EINVAL;
	if (c.error)
		return c.error;
	if (i.lock && !lock_is_right(&i))
		return -EINVAL;
	default_segment(&i, SEG_DS);
	i.length = (uint8_t)c.at;
	*out = i;
	return 0;
}
