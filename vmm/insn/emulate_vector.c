/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * x87, MMX, SSE and AVX with a memory operand. A table of one letter per opcode says what the
 * operand is; the instruction is written down anew with its operand in a copy, and the chip does it
 * on the vCPU's saved state (cpu/fpu_run.h). What the table does not name is never run. Which of
 * them a chip has, and of which forms, it says itself, by #UD, as it does for the guest's own.
 * Source: Intel SDM 2, "Opcode Map", "VEX-Encoded GPR Instructions" and the instructions; SDM 1,
 * "Programming with the x87 FPU"; SDM 3, "System Programming for Instruction Set Extensions",
 * "Exceptions and Interrupts ... x87 FPU".
 */
#include "vmm/insn/emulate_state.h"

#include "cpu/fpu_run.h"
#include "lib/string.h"
#include "vmm/ops.h"

#define ARITHMETIC	(RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)
#define FSW_NO_STORE	0x19u		/* invalid, overflow, underflow */
#define MXCSR_MM	BIT(17)
#define MXCSR_MASK	0xffbfu		/* where the chip does not say */

/*
 * Letters: small ones are read, capitals written.
 *	v  the vector, aligned where the encoding is legacy		u U  likewise, never aligned
 *	a A  likewise, always		h H  half of it		q  a quarter	e  an eighth
 *	x X  16 bytes			s  16 bytes, aligned where the encoding is legacy
 *	1 B, 2 W, 4 F, 8 D  that many bytes
 *	y Y  8 by REX.W, else 4		w  likewise, also outside 64-bit mode
 *	d  8, but of 32 all		g  4, to a general register		j  8 likewise
 *	m M  8, of an MMX register	n  4 likewise	k K  as y, likewise	o  2, likewise
 *	p  10 of x87			P  likewise	c  its environment	C  likewise
 *	r  all of its state		R  likewise
 *	l L  MXCSR	!  emulate_elements.c	.  none of ours
 */
#define ROW(map, prefix, high)	((map) << 6 | (prefix) << 4 | (high))
enum { NP, P66, PF3, PF2 };

static const struct {
	uint8_t row;
	char what[16];			/* by the opcode's low half */
} opcodes[] = {
	{ ROW(MAP_0F, NP, 1), "uU8D" "vv8D" "...." "...." },
	{ ROW(MAP_0F, NP, 2), "...." "...." "aA8A" "8844" },
	{ ROW(MAP_0F, NP, 5), ".vvv" "vvvv" "vvhv" "vvvv" },
	{ ROW(MAP_0F, NP, 6), "nnnm" "mmmm" "mmmm" "..km" },
	{ ROW(MAP_0F, NP, 7), "m..." "mmm." "...." "..KM" },
	{ ROW(MAP_0F, NP, 0xa), "...." "...." "...." "..l." },
	{ ROW(MAP_0F, NP, 0xc), "..v." "o.v." "...." "...." },
	{ ROW(MAP_0F, NP, 0xd), ".mmm" "mm.." "mmmm" "mmmm" },
	{ ROW(MAP_0F, NP, 0xe), "mmmm" "mm.M" "mmmm" "mmmm" },
	{ ROW(MAP_0F, NP, 0xf), ".mmm" "mmm." "mmmm" "mmm." },
	{ ROW(MAP_0F, P66, 1), "uU8D" "vv8D" "...." "...." },
	{ ROW(MAP_0F, P66, 2), "...." "...." "aA8A" "vv88" },
	{ ROW(MAP_0F, P66, 5), ".v.." "vvvv" "vvvv" "vvvv" },
	{ ROW(MAP_0F, P66, 6), "vvvv" "vvvv" "vvvv" "vvya" },
	{ ROW(MAP_0F, P66, 7), "v..." "vvv." "...." "vvYA" },
	{ ROW(MAP_0F, P66, 0xc), "..v." "2.v." "...." "...." },
	{ ROW(MAP_0F, P66, 0xd), "vsss" "vvD." "vvvv" "vvvv" },
	{ ROW(MAP_0F, P66, 0xe), "vssv" "vvvA" "vvvv" "vvvv" },
	{ ROW(MAP_0F, P66, 0xf), ".sss" "vvv." "vvvv" "vvv." },
	{ ROW(MAP_0F, PF3, 1), "4Fv." "..v." "...." "...." },
	{ ROW(MAP_0F, PF3, 2), "...." "...." "..yF" "gg.." },
	{ ROW(MAP_0F, PF3, 5), ".444" "...." "444v" "4444" },
	{ ROW(MAP_0F, PF3, 6), "...." "...." "...." "...u" },
	{ ROW(MAP_0F, PF3, 7), "v..." "...." "...." "..8U" },
	{ ROW(MAP_0F, PF3, 0xc), "..4." "...." "...." "...." },
	{ ROW(MAP_0F, PF3, 0xe), "...." "..h." "...." "...." },
	{ ROW(MAP_0F, PF2, 1), "8Dd." "...." "...." "...." },
	{ ROW(MAP_0F, PF2, 2), "...." "...." "..yD" "jj.." },
	{ ROW(MAP_0F, PF2, 5), ".8.." "...." "888." "8888" },
	{ ROW(MAP_0F, PF2, 7), "v..." "...." "...." "vv.." },
	{ ROW(MAP_0F, PF2, 0xc), "..8." "...." "...." "...." },
	{ ROW(MAP_0F, PF2, 0xd), "v..." "...." "...." "...." },
	{ ROW(MAP_0F, PF2, 0xe), "...." "..v." "...." "...." },
	{ ROW(MAP_0F, PF2, 0xf), "u..." "...." "...." "...." },
	{ ROW(MAP_0F38, NP, 0), "mmmm" "mmmm" "mmmm" "...." },
	{ ROW(MAP_0F38, NP, 1), "...." "...." "...." "mmm." },
	{ ROW(MAP_0F38, NP, 0xc), "...." "...." "uuuu" "uu.." },	/* AMD's SHA */
	{ ROW(MAP_0F38, P66, 0), "vvvv" "vvvv" "vvvv" "vvvv" },
	{ ROW(MAP_0F38, P66, 1), "v..h" "vvvv" "48x." "vvv." },
	{ ROW(MAP_0F38, P66, 2), "hqeh" "qh.." "vvav" "!!!!" },
	{ ROW(MAP_0F38, P66, 3), "hqeh" "qhvv" "vvvv" "vvvv" },
	{ ROW(MAP_0F38, P66, 4), "vv.." ".vvv" "...." "...." },
	{ ROW(MAP_0F38, P66, 5), "vvvv" "...." "48x." "...." },
	{ ROW(MAP_0F38, P66, 7), "...." "...." "12.." "...." },
	{ ROW(MAP_0F38, P66, 8), "...." "...." "...." "!.!." },
	{ ROW(MAP_0F38, P66, 9), "!!!!" "..vv" "vwvw" "vwvw" },
	{ ROW(MAP_0F38, P66, 0xa), "...." "..vv" "vwvw" "vwvw" },
	{ ROW(MAP_0F38, P66, 0xb), "...." "vvvv" "vwvw" "vwvw" },
	{ ROW(MAP_0F38, P66, 0xc), "...." "...." "...." "...v" },
	{ ROW(MAP_0F38, P66, 0xd), "...." "...." "...v" "vvvv" },
	{ ROW(MAP_0F3A, NP, 0), "...." "...." "...." "...m" },
	{ ROW(MAP_0F3A, NP, 0xc), "...." "...." "...." "u..." },
	{ ROW(MAP_0F3A, P66, 0), "vvv." "vvv." "vv48" "vvvv" },
	{ ROW(MAP_0F3A, P66, 1), "...." "BWYF" "xX.." ".H.." },
	{ ROW(MAP_0F3A, P66, 2), "14y." "...." "...." "...." },
	{ ROW(MAP_0F3A, P66, 3), "...." "...." "xX.." "...." },
	{ ROW(MAP_0F3A, P66, 4), "vvv." "v.v." "..vv" "v..." },
	{ ROW(MAP_0F3A, P66, 6), "uuuu" "...." "...." "...." },
	{ ROW(MAP_0F3A, P66, 0xc), "...." "...." "...." "..vv" },
	{ ROW(MAP_0F3A, P66, 0xd), "...." "...." "...." "...v" },
};

/* D8 to DF by ModRM.reg. */
static const char x87[][8] = {
	"44444444", "4.FFc2CW", "44444444", "4FFF.p.P",
	"88888888", "8DDDr.RW", "22222222", "2WWWp8PD",
};

static unsigned prefix_of(const struct insn *i)
{
	return i->rep == 0xf3 ? PF3 : i->rep ? PF2 : i->prefix66 ? P66 : NP;
}

static char letter_of(const struct insn *i)
{
	unsigned row = ROW(i->map, prefix_of(i), i->opcode >> 4), group = i->reg & 7;
	char what = '.';

	if (i->map == MAP_ONE)
		return x87[i->opcode & 7][group];
	for (unsigned n = 0; n < ARRAY_COUNT(opcodes); n++)
		if (opcodes[n].row == row)
			what = opcodes[n].what[i->opcode & 15];
	if (what == 'l')
		return i->vvvv || i->vector ? '.' : group == 2 ? 'l' : group == 3 ? 'L' : '.';
	return what;
}

static unsigned size_of(const struct insn *i, char what)
{
	unsigned whole = i->vector ? 32 : 16;

	switch (what) {
	case 'v': case 'u': case 'U': case 'a': case 'A': return whole;
	case 'h': case 'H': return whole / 2;
	case 'q': return whole / 4;
	case 'e': return whole / 8;
	case 'x': case 'X': case 's': return 16;
	case '1': case 'B': return 1;
	case '2': case 'W': case 'o': return 2;
	case '4': case 'F': case 'g': case 'n': case 'l': case 'L': return 4;
	case 'y': case 'Y': case 'k': case 'K': return i->operand == 8 ? 8 : 4;
	case 'w': return i->rex & 8 ? 8 : 4;
	case 'd': return i->vector ? 32 : 8;
	case 'p': case 'P': return 10;
	case 'c': case 'C': return i->operand == 2 ? 14 : 28;
	case 'r': case 'R': return i->operand == 2 ? 94 : 108;
	default: return 8;
	}
}

static bool is_mmx(char what)
{
	return what == 'm' || what == 'M' || what == 'n' || what == 'k' || what == 'K' ||
	       what == 'o';
}

static bool is_general(char what)
{
	return what == 'g' || what == 'j';
}

/* AMD's chips can be told to forget it. */
static bool is_aligned(const struct insn *i, char what, uint32_t mxcsr)
{
	return what == 'a' || what == 'A' ||
	       ((what == 'v' || what == 's') && !i->encoding && !(mxcsr & MXCSR_MM));
}

/* FNSTENV, FNSTCW, FNSAVE and FNSTSW wait for no exception, and store in any case. */
static bool waits(const struct insn *i)
{
	return i->map != MAP_ONE || (i->opcode & ~4) != 0xd9 || (i->reg & 7) < 6;
}

int emulate_vector_check(struct emulation *e, bool mmx)
{
	const struct insn *i = e->insn;
	bool x87 = i->map == MAP_ONE;
	uint64_t cr0 = e->mode.cr0, cr4 = e->mode.cr4;

	if (i->encoding) {
		if (emulate_real(e) || !(cr4 & CR4_OSXSAVE) ||
		    (~vmm_ops->reg_get(e->vcpu, REG_XCR0) & (XCR0_SSE | XCR0_AVX)))
			return emulate_fault(e, EXC_UD);
	} else if (!x87 && (cr0 & CR0_EM || (!mmx && !(cr4 & CR4_OSFXSR)))) {
		return emulate_fault(e, EXC_UD);
	}
	if (cr0 & CR0_TS || (x87 && cr0 & CR0_EM))
		return emulate_fault(e, EXC_NM);
	vcpu_put_state(e->vcpu);
	mmx |= i->map == MAP_0F && !i->rep && (i->opcode & 0xfe) == 0x2c;	/* CVTPS2PI */
	if ((x87 || mmx) && waits(i) && fpu_legacy(e->vcpu->hw.fpu)->fsw & FPU_FSW_ES)
		return emulate_fault(e, EXC_MF);
	return 0;
}

/* VBLENDVPS and its like: a register's number in the immediate byte. */
static bool is_register(const struct insn *i)
{
	return i->map == MAP_0F3A && i->opcode >= 0x4a && i->opcode <= 0x4c;
}

/* The operand in memory is (%rdi), a general register is ECX or RCX. */
static void write_down(const struct insn *i, char what, uint8_t *p)
{
	static const uint8_t prefixes[] = { 0, 0x66, 0xf3, 0xf2 };
	unsigned prefix = prefix_of(i), reg = is_general(what) ? GPR_RCX : i->reg,
		 rm = i->memory ? GPR_RDI : 0xc0 | i->rm, w = i->rex & 8;

	/* VEX.W outside 64-bit mode */
	if (i->mode != 64 && (is_general(what) || what == 'y' || what == 'Y'))
		w = 0;
	memset(p, 0x90, FPU_RUN_CODE);
	if (i->map == MAP_ONE) {
		if (i->operand == 2)
			*p++ = 0x66;
	} else if (i->encoding) {
		*p++ = 0xc4;
		*p++ = (uint8_t)(((reg & 8) << 4 | (rm & 8) << 2) ^ 0xe0) | i->map;
		*p++ = (uint8_t)(w << 4 | (~i->vvvv & 15u) << 3 | i->vector << 2 | prefix);
	} else {
		if (prefix)
			*p++ = prefixes[prefix];
		if (w || (reg | rm) & 8)
			*p++ = (uint8_t)(0x40 | w | (reg & 8) >> 1 | (rm & 8) >> 3);
		*p++ = 0x0f;
		if (i->map != MAP_0F)
			*p++ = i->map == MAP_0F38 ? 0x38 : 0x3a;
	}
	*p++ = i->opcode;
	*p++ = (uint8_t)((reg & 7) << 3 | (rm & 0xc7));
	if (i->imm_size)
		*p = (uint8_t)i->imm & (is_register(i) && i->mode != 64 ? 0x7f : 0xff);
}

static int load_mxcsr(struct emulation *e, struct fpu_legacy *l, const uint8_t *memory)
{
	uint32_t v;

	memcpy(&v, memory, sizeof(v));
	if (v & ~(l->mxcsr_mask ?: MXCSR_MASK))
		return emulate_fault_error(e, EXC_GP, 0);
	l->mxcsr = v;
	return 0;
}

/* By the chip; of general registers RCX alone may be written. */
static int run_natively(struct emulation *e, const struct insn *i, char what, struct fpu_insn *f)
{
	uint64_t *gpr = e->vcpu->gpr, *rflags = &e->vcpu->rflags;
	unsigned vector;

	write_down(i, what, f->code);
	f->rax = gpr[GPR_RAX];
	f->rcx = gpr[GPR_RCX];
	f->rdx = gpr[GPR_RDX];
	f->flags = (*rflags & ARITHMETIC) | RFLAGS_ONE;
	f->fip = e->vcpu->rip;
	f->fdp = operand_offset(e);
	f->fop = (uint16_t)((i->opcode & 7) << 8);
	f->fop_here = f->fop | (uint16_t)((i->reg & 7) << 3 | GPR_RDI);
	f->fop |= i->modrm;
	vector = fpu_run(e->vcpu->hw.fpu, f);
	if (vector == EXC_XM && !(e->mode.cr4 & CR4_OSXMMEXCPT))
		vector = EXC_UD;
	if (vector)
		return emulate_fault(e, vector);
	gpr[is_general(what) ? i->reg : GPR_RCX] = f->rcx;
	*rflags = (*rflags & ~ARITHMETIC) | (f->flags & ARITHMETIC);
	return 0;
}

int emulate_vector_run(struct emulation *e, const struct insn *i, struct fpu_insn *f)
{
	return run_natively(e, i, 'v', f);
}

/* What x87 does not store where an exception waits that forbids it. */
static bool stores(const struct emulation *e, char what, const struct fpu_legacy *l)
{
	if (what < 'A' || what > 'Z')
		return false;
	return e->insn->map != MAP_ONE || !waits(e->insn) || !(l->fsw & ~l->fcw & FSW_NO_STORE);
}

static int run(struct emulation *e)
{
	char what = letter_of(e->insn);
	bool written = what >= 'A' && what <= 'Z', real = emulate_real(e) && strchr("cCrR", what);
	struct insn native = *e->insn;
	struct fpu_insn f = { 0 };
	struct fpu_legacy *l;
	struct operand o;
	int err;

	if (what == '.')
		return emulate_unknown(e);
	if (what == '!')
		return emulate_elements(e);
	err = emulate_vector_check(e, is_mmx(what));
	if (err)
		return err;
	l = fpu_legacy(e->vcpu->hw.fpu);
	e->size = (uint8_t)size_of(e->insn, what);
	e->aligned = is_aligned(e->insn, what, l->mxcsr);
	err = operand_prepare(e, e->size, written ? GMEM_WRITE : GMEM_READ, &o);
	if (err)
		return err;
	if (!written)
		operand_read_bytes(e, &o, f.memory);
	if (real)
		native.operand = 4;
	if (real && !written)
		emulate_environment_from_real(f.memory, e->size);
	if (what == 'l')
		return load_mxcsr(e, l, f.memory);
	if (what == 'L')
		memcpy(f.memory, &l->mxcsr, sizeof(l->mxcsr));
	else
		err = run_natively(e, &native, what, &f);
	if (real && written)
		emulate_environment_to_real(f.memory, e->size);
	if (!err && stores(e, what, l))
		operand_write_bytes(e, &o, f.memory);
	return err;
}

#define ANY	GROUP_ANY

/* The last ones of all: what no other row names. */
const struct emulate_row emulate_vector_rows[] = {
	{ MAP_ONE, 0xd8, 0xf8, ANY, PREFIX_ANY, OPERAND_OWN, 0, 0, run },
	{ MAP_0F, 0, 0, ANY, PREFIX_ANY, OPERAND_OWN, SIZE_VECTOR, 0, run },
	{ MAP_0F38, 0, 0, ANY, PREFIX_ANY, OPERAND_OWN, SIZE_VECTOR, 0, run },
	{ MAP_0F3A, 0, 0, ANY, PREFIX_ANY, OPERAND_OWN, SIZE_VECTOR, 0, run },
	{ MAP_0F, 0xf7, 0xff, ANY, PREFIX_NO_REP, OPERAND_ANY, SIZE_VECTOR, 0, emulate_elements },
	{ 0 },
};
