/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What loads and looks at segments: MOV, POP and LDS and its like to a segment register, LLDT, LTR,
 * LAR, LSL, VERR, VERW, ARPL; where the selector, the stack or the table is in a device. The tables
 * are the chip's own to read: a supervisor's access at any privilege, and its accessed and busy
 * bits are set by compare-and-swap. Nothing is loaded before everything has been checked.
 * Sources: Intel SDM 2, "MOV", "LLDT", "LTR", "LAR", "LSL"; SDM 3, "Segment Descriptors",
 * "Privilege Checking".
 */
#include "vmm/insn/emulate_state.h"

#include "cpu/features.h"
#include "vmm/ops.h"

#define TYPE_LDT	2u
#define TYPE_TSS	9u		/* available; a 16-bit one without bit 3 */
#define TYPE_BUSY	2u
#define DESCRIPTOR_TYPE_SHIFT 40

bool emulate_real(const struct emulation *e)
{
	return !(e->mode.cr0 & CR0_PE) || e->vcpu->rflags & RFLAGS_VM;
}

/* -ENOENT: the table has none. */
static int descriptor_read(struct emulation *e, unsigned selector, unsigned size,
			   struct descriptor *d)
{
	struct segment table;
	struct operand o;
	int err;

	vmm_ops->segment_get(e->vcpu, selector & 4 ? SEG_LDTR : SEG_GDTR, &table);
	if ((selector & 4 && table.attr & SEG_UNUSABLE) ||
	    (selector & ~7u) + size - 1 > table.limit)
		return -ENOENT;
	d->linear = table.base + (selector & ~7u);
	if (!e->mode.long_mode)
		d->linear = (uint32_t)d->linear;
	else if (!operand_canonical(e, d->linear))
		return -ENOENT;
	d->v[0] = d->v[1] = 0;
	err = operand_prepare_system(e, d->linear, size, GMEM_READ, &o);
	if (!err)
		operand_read_bytes(e, &o, d->v);
	return err;
}

int descriptor_prepare(struct emulation *e, struct descriptor *d, unsigned type)
{
	uint64_t bits = (uint64_t)type << DESCRIPTOR_TYPE_SHIFT;

	d->set = d->v[0] & bits ? 0 : bits;
	return d->set ? operand_prepare_system(e, d->linear, 8, GMEM_WRITE, &d->o) : 0;
}

void descriptor_mark(struct emulation *e, struct descriptor *d)
{
	uint64_t old[2] = { d->v[0] }, new[2] = { d->v[0] | d->set };

	/* Who changes it meanwhile has not waited for this load, and need not have it marked. */
	if (d->set && !operand_replace(e, &d->o, true, old, new))
		d->set = 0;
}

static struct segment descriptor_segment(const struct descriptor *d, unsigned selector)
{
	uint64_t v = d->v[0];
	struct segment s = {
		.selector = (uint16_t)selector,
		.base = (v >> 16 & 0xffffff) | v >> 56 << 24,
		.limit = (uint32_t)((v & 0xffff) | (v >> 48 & 0xf) << 16),
		.attr = (uint32_t)((v >> 40 & 0xff) | (v >> 52 & 0xf) << 12),
	};

	if (s.attr & SEG_G)
		s.limit = s.limit << 12 | 0xfff;
	return s;
}

int descriptor_load(struct emulation *e, unsigned selector, unsigned size, struct descriptor *d,
		    struct segment *s)
{
	int err = descriptor_read(e, selector, size, d);

	if (err)
		return err == -ENOENT ? emulate_fault_selector(e, EXC_GP, selector) : err;
	*s = descriptor_segment(d, selector);
	return 0;
}

unsigned descriptor_dpl(const struct segment *s)
{
	return s->attr >> SEG_DPL_SHIFT & 3;
}

int emulate_fault_selector(struct emulation *e, unsigned vector, unsigned selector)
{
	return emulate_fault_error(e, vector, selector & 0xfffc);
}

/* ---- data and stack segments */

static int null_segment(struct emulation *e, enum seg r, unsigned selector, struct segment *s)
{
	unsigned cpl = e->mode.cpl;
	bool allowed = r != SEG_SS || (e->mode.bits == 64 && cpl < 3 && (selector & 3) == cpl);

	if (!allowed)
		return emulate_fault_error(e, EXC_GP, 0);
	vmm_ops->segment_get(e->vcpu, r, s);
	*s = (struct segment){ .selector = (uint16_t)selector,
			       .attr = SEG_UNUSABLE | cpl << SEG_DPL_SHIFT,
			       .base = features.vendor == VENDOR_AMD ? s->base : 0 };
	return 0;
}

static int check_stack(struct emulation *e, const struct segment *s)
{
	unsigned cpl = e->mode.cpl;

	if ((s->selector & 3) != cpl || descriptor_dpl(s) != cpl || !(s->attr & SEG_S) ||
	    (s->attr & 0xa) != 2)
		return emulate_fault_selector(e, EXC_GP, s->selector);
	return s->attr & SEG_P ? 0 : emulate_fault_selector(e, EXC_SS, s->selector);
}

static int check_data(struct emulation *e, const struct segment *s)
{
	unsigned dpl = descriptor_dpl(s), rpl = s->selector & 3;
	bool code = s->attr & 8, readable = !code || s->attr & 2, conforming = code && s->attr & 4;

	if (!(s->attr & SEG_S) || !readable || (!conforming && (rpl > dpl || e->mode.cpl > dpl)))
		return emulate_fault_selector(e, EXC_GP, s->selector);
	return s->attr & SEG_P ? 0 : emulate_fault_selector(e, EXC_NP, s->selector);
}

struct segment emulate_v86_segment(unsigned selector)
{
	return (struct segment){ .selector = (uint16_t)selector,
				 .base = (selector & 0xffff) << 4,
				 .limit = 0xffff,
				 .attr = SEG_P | SEG_S | SEG_DPL | 3 };
}

void emulate_real_segment(struct emulation *e, enum seg r, unsigned selector, struct segment *s)
{
	struct segment v86 = emulate_v86_segment(selector);

	vmm_ops->segment_get(e->vcpu, r, s);
	if (!(e->vcpu->rflags & RFLAGS_VM)) {
		v86.limit = s->limit;
		v86.attr = (s->attr & (SEG_DB | SEG_G)) | SEG_P | SEG_S | 3;
	}
	*s = v86;
}

/* All that can go wrong; commit_segment() is the rest. */
static int prepare_segment(struct emulation *e, enum seg r, unsigned selector, struct segment *s,
			   struct descriptor *d)
{
	int err;

	d->set = 0;
	if (emulate_real(e)) {
		emulate_real_segment(e, r, selector, s);
		return 0;
	}
	if (!(selector & ~3u))
		return null_segment(e, r, selector, s);
	err = descriptor_load(e, selector, 8, d, s);
	if (err)
		return err;
	err = r == SEG_SS ? check_stack(e, s) : check_data(e, s);
	if (err)
		return err;
	s->attr |= 1;
	return descriptor_prepare(e, d, 1);
}

int emulate_segment_for(struct emulation *e, enum seg r, unsigned selector, unsigned vector,
			struct segment *s, struct descriptor *d)
{
	int err = prepare_segment(e, r, selector, s, d);

	if (err == -EFAULT && e->fault.vector == EXC_GP)
		e->fault.vector = (uint8_t)vector;
	return err;
}

static void commit_segment(struct emulation *e, enum seg r, const struct segment *s,
			   struct descriptor *d)
{
	descriptor_mark(e, d);
	vmm_ops->segment_set(e->vcpu, r, s);
	e->shadow = r == SEG_SS;
}

static int load(struct emulation *e, enum seg r, unsigned selector)
{
	struct descriptor d;
	struct segment s;
	int err = prepare_segment(e, r, selector, &s, &d) ?: operand_check(e);

	if (!err)
		commit_segment(e, r, &s, &d);
	return err;
}

/* ---- the instructions */

/* In memory or a register; operand_check() is yet to come. */
static int selector_operand(struct emulation *e, unsigned *selector)
{
	struct operand o;
	int err;

	*selector = (uint16_t)e->vcpu->gpr[e->insn->rm];
	if (!e->insn->memory)
		return 0;
	err = operand_prepare_at(e, e->insn->segment, operand_offset(e), 2, GMEM_READ, -1, &o);
	if (!err)
		*selector = (unsigned)operand_read(e, &o);
	return err;
}

static int mov_to_segment(struct emulation *e)
{
	enum seg r = e->insn->reg;
	unsigned selector;

	if (r > SEG_GS || r == SEG_CS)
		return emulate_fault(e, EXC_UD);
	return selector_operand(e, &selector) ?: load(e, r, selector);
}

static int pop_segment(struct emulation *e)
{
	unsigned size = e->mode.bits == 64 && e->insn->operand == 4 ? 8 : e->insn->operand;
	uint64_t mask = operand_stack_mask(e), sp = e->vcpu->gpr[GPR_RSP];
	struct operand o;
	int err = operand_prepare_at(e, SEG_SS, sp & mask, size, GMEM_READ, -1, &o);

	err = err ?: load(e, e->insn->opcode >> 3 & 7, (uint16_t)operand_read(e, &o));
	if (!err)
		e->vcpu->gpr[GPR_RSP] = (sp & ~mask) | ((sp + size) & mask);
	return err;
}

/* LES, LDS, LSS, LFS, LGS: offset and selector. */
static int load_pointer(struct emulation *e)
{
	enum seg r = e->insn->map == MAP_ONE ? (e->insn->opcode & 1 ? SEG_DS : SEG_ES)
					     : (enum seg)(e->insn->opcode & 7);
	uint64_t to;
	unsigned selector;
	int err = emulate_far_pointer(e, &to, &selector) ?: load(e, r, selector);

	if (!err)
		gpr_write(e, e->insn->reg, e->insn->operand, to);
	return err;
}

/* LLDT and LTR: a descriptor of this kind, which in long mode has 16 bytes. */
static int read_system(struct emulation *e, unsigned selector, unsigned type, unsigned mask,
		       struct segment *s, struct descriptor *d)
{
	int err = selector & 4 ? emulate_fault_selector(e, EXC_GP, selector)
			       : descriptor_load(e, selector, e->mode.long_mode ? 16 : 8, d, s);

	if (err)
		return err;
	s->base |= d->v[1] << 32;
	if ((s->attr & (SEG_S | mask)) != type || d->v[1] >> 40 & 0x1f ||
	    !operand_canonical(e, s->base))
		return emulate_fault_selector(e, EXC_GP, selector);
	return s->attr & SEG_P ? 0 : emulate_fault_selector(e, EXC_NP, selector);
}

static int lldt(struct emulation *e)
{
	struct segment s = { .attr = SEG_UNUSABLE | TYPE_LDT };
	struct descriptor d;
	unsigned selector;
	int err = selector_operand(e, &selector);

	s.selector = (uint16_t)selector;
	if (!err && selector & ~3u)
		err = read_system(e, selector, TYPE_LDT, SEG_TYPE, &s, &d);
	err = err ?: operand_check(e);
	if (!err)
		vmm_ops->segment_set(e->vcpu, SEG_LDTR, &s);
	return err;
}

static int ltr(struct emulation *e)
{
	unsigned selector;
	struct descriptor d;
	struct segment s;
	int err = selector_operand(e, &selector);

	if (err)
		return err;
	if (!(selector & ~3u))
		return emulate_fault_error(e, EXC_GP, 0);
	/* 16-bit ones, too, outside long mode */
	err = read_system(e, selector, e->mode.long_mode ? TYPE_TSS : TYPE_TSS & 7,
			  e->mode.long_mode ? SEG_TYPE : 7, &s, &d);
	err = err ?: descriptor_prepare(e, &d, TYPE_BUSY) ?: operand_check(e);
	if (err)
		return err;
	descriptor_mark(e, &d);
	s.attr |= TYPE_BUSY;
	vmm_ops->segment_set(e->vcpu, SEG_TR, &s);
	return 0;
}

static int store_system(struct emulation *e)
{
	struct segment s;

	vmm_ops->segment_get(e->vcpu, e->insn->reg & 1 ? SEG_TR : SEG_LDTR, &s);
	e->value[0] = s.selector;
	return 0;
}

/* May it be looked at from here? -ENOENT: no. System segments of the types in `system` alone. */
static int look_at(struct emulation *e, unsigned system, struct segment *s, struct descriptor *d)
{
	unsigned selector, dpl;
	int err = selector_operand(e, &selector);

	err = err ?: selector & ~3u ? descriptor_read(e, selector, 8, d) : -ENOENT;
	if (err)
		return err;
	*s = descriptor_segment(d, selector);
	dpl = descriptor_dpl(s);
	if (!(s->attr & SEG_S) && !(system & 1u << (s->attr & SEG_TYPE)))
		return -ENOENT;
	if ((s->attr & (SEG_S | 0xc)) == (SEG_S | 0xc))		/* conforming */
		return 0;
	return e->mode.cpl <= dpl && (selector & 3) <= dpl ? 0 : -ENOENT;
}

/* ZF tells; `err` is as look_at() has it. */
static int looked(struct emulation *e, int err)
{
	bool found = !err;

	if (err && err != -ENOENT)
		return err;
	err = operand_check(e);
	if (!err)
		e->vcpu->rflags = (e->vcpu->rflags & ~RFLAGS_ZF) | (found ? RFLAGS_ZF : 0);
	return err;
}

/* Types of system segments, one bit each. */
#define LAR_LONG	0x1a04u			/* LDT, TSS, busy TSS, call gate */
#define LAR_LEGACY	(LAR_LONG | 0x3au)	/* the 16-bit ones and the task gate, too */
#define GATES		0x1030u			/* have no limit */

static int lar_lsl(struct emulation *e)
{
	unsigned system = e->mode.long_mode ? LAR_LONG : LAR_LEGACY;
	bool limit = e->insn->opcode & 1;
	struct descriptor d;
	struct segment s;
	int none = look_at(e, limit ? system & ~GATES : system, &s, &d), err = looked(e, none);

	if (!err && !none)
		gpr_write(e, e->insn->reg, e->insn->operand,
			  limit ? s.limit : d.v[0] >> 32 & 0xffff00);
	return err;
}

static int verr_verw(struct emulation *e)
{
	bool write = e->insn->reg & 1, code, second;
	struct descriptor d;
	struct segment s;
	int err = look_at(e, 0, &s, &d);

	if (!err) {
		code = s.attr & 8, second = s.attr & 2;
		if (write ? code || !second : code && !second)
			err = -ENOENT;
	}
	return looked(e, err);
}

/* A selector's privilege is no better than the register's. */
static int arpl(struct emulation *e)
{
	unsigned rpl = gpr_read(e, e->insn->reg, 2) & 3;
	bool lower = (e->value[0] & 3) < rpl;

	if (lower)
		e->value[0] = (e->value[0] & ~3ul) | rpl;
	e->rflags = (e->rflags & ~RFLAGS_ZF) | (lower ? RFLAGS_ZF : 0);
	return 0;
}

#define ANY	GROUP_ANY
#define KERNEL	(ROW_PROTECTED | ROW_KERNEL)
#define UMIP	(ROW_PROTECTED | ROW_UMIP)

const struct emulate_row emulate_segment_rows[] = {
	{ MAP_ONE, 0x8e, 0xff, ANY, PREFIX_ANY, OPERAND_ANY, 0, 0, mov_to_segment },
	{ MAP_ONE, 0x07, 0xe7, ANY, PREFIX_ANY, OPERAND_ANY, 0, ROW_LEGACY, pop_segment },
	{ MAP_0F, 0xa1, 0xf7, ANY, PREFIX_ANY, OPERAND_ANY, 0, 0, pop_segment },
	{ MAP_ONE, 0xc4, 0xfe, ANY, PREFIX_ANY, OPERAND_OWN, 0, ROW_LEGACY, load_pointer },
	{ MAP_0F, 0xb2, 0xff, ANY, PREFIX_ANY, OPERAND_OWN, 0, 0, load_pointer },
	{ MAP_0F, 0xb4, 0xfe, ANY, PREFIX_ANY, OPERAND_OWN, 0, 0, load_pointer },
	{ MAP_0F, 0x00, 0xff, 0, PREFIX_ANY, OPERAND_STORE, 2, UMIP, store_system },
	{ MAP_0F, 0x00, 0xff, 1, PREFIX_ANY, OPERAND_STORE, 2, UMIP, store_system },
	{ MAP_0F, 0x00, 0xff, 2, PREFIX_ANY, OPERAND_ANY, 0, KERNEL, lldt },
	{ MAP_0F, 0x00, 0xff, 3, PREFIX_ANY, OPERAND_ANY, 0, KERNEL, ltr },
	{ MAP_0F, 0x00, 0xff, 4, PREFIX_ANY, OPERAND_ANY, 0, ROW_PROTECTED, verr_verw },
	{ MAP_0F, 0x00, 0xff, 5, PREFIX_ANY, OPERAND_ANY, 0, ROW_PROTECTED, verr_verw },
	{ MAP_0F, 0x02, 0xfe, ANY, PREFIX_ANY, OPERAND_ANY, 0, ROW_PROTECTED, lar_lsl },
	{ MAP_ONE, 0x63, 0xff, ANY, PREFIX_ANY, OPERAND_CHANGE, 2, ROW_LEGACY | ROW_PROTECTED, arpl },
	{ 0 },
};
