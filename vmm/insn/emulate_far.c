/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Far JMP and CALL through memory, to a code segment of the same privilege (real mode has no
 * other), directly or through a call gate. Gates to more privilege and tasks are refused.
 * Sources: Intel SDM 2, "CALL", "JMP"; SDM 3, "Direct Calls or Jumps to Code Segments", "Call
 * Gates", "Accessing a Code Segment Through a Call Gate".
 */
#include "vmm/insn/emulate_state.h"

#include "cpu/features.h"
#include "vmm/ops.h"

/* AMD's chips know no far pointer with 8 bytes of offset. */
static unsigned far_size(const struct emulation *e)
{
	return features.vendor == VENDOR_AMD ? MIN(e->insn->operand, 4) : e->insn->operand;
}

int emulate_far_pointer(struct emulation *e, uint64_t *to, unsigned *selector)
{
	unsigned size = far_size(e);
	uint64_t offset = operand_offset(e), mask = bytes_mask(e->insn->address);
	struct operand o, s;
	int err = operand_prepare_at(e, e->insn->segment, offset, size, GMEM_READ, -1, &o);

	if (!err)
		err = operand_prepare_at(e, e->insn->segment, (offset + size) & mask, 2, GMEM_READ,
					 -1, &s);
	if (err)
		return err;
	*to = operand_read(e, &o);
	*selector = (unsigned)operand_read(e, &s);
	return 0;
}

/* Where it goes, and how wide what CALL pushes is. */
struct target {
	uint64_t to;
	unsigned selector, size;
	bool call, gate;
};

#define TYPE_GATE16	4u
#define TYPE_GATE	12u
#define TYPES_TASK	0x222u		/* task gate, TSSs that are not busy */

static int bad_selector(struct emulation *e, unsigned selector)
{
	return emulate_fault_selector(e, EXC_GP, selector);
}

static int refuse(struct emulation *e, const char *why)
{
	e->why = why;
	return -ENOSYS;
}

/* The gate's own checks, then what it says. */
static int through_gate(struct emulation *e, const struct segment *gate, struct target *t)
{
	unsigned type = gate->attr & SEG_TYPE, selector = gate->selector;
	bool wide = e->mode.long_mode;
	struct descriptor d;
	struct segment s;
	int err;

	if (!wide && TYPES_TASK & 1u << type)
		return refuse(e, "that switches tasks");
	if ((type != TYPE_GATE && (wide || type != TYPE_GATE16)) ||
	    descriptor_dpl(gate) < MAX(e->mode.cpl, selector & 3u))
		return bad_selector(e, selector);
	if (!(gate->attr & SEG_P))
		return emulate_fault_selector(e, EXC_NP, selector);
	err = descriptor_load(e, selector, wide ? 16 : 8, &d, &s);
	if (err)
		return err;
	if (d.v[1] >> 40 & 0x1f)
		return bad_selector(e, selector);
	t->gate = true;
	t->size = wide ? 8 : type == TYPE_GATE ? 4 : 2;
	t->selector = d.v[0] >> 16 & 0xffff;
	t->to = (d.v[0] & 0xffff) | (d.v[0] >> 32 & 0xffff0000) | d.v[1] << 32;
	t->to &= bytes_mask(t->size);
	return 0;
}

static int check_code(struct emulation *e, const struct target *t, const struct segment *s)
{
	unsigned dpl = descriptor_dpl(s), rpl = t->gate ? 0 : s->selector & 3, cpl = e->mode.cpl;
	bool conforming = s->attr & 4, code = s->attr & SEG_S && s->attr & 8;
	uint32_t width = s->attr & (SEG_L | SEG_DB);

	if (e->mode.long_mode && (width == (SEG_L | SEG_DB) || (t->gate && width != SEG_L)))
		code = false;
	if (code && t->call && t->gate && !conforming && dpl < cpl)
		return refuse(e, "by a gate to more privilege");
	if (!code || (conforming ? dpl > cpl : rpl > cpl || dpl != cpl))
		return bad_selector(e, s->selector);
	return s->attr & SEG_P ? 0 : emulate_fault_selector(e, EXC_NP, s->selector);
}

static int load_code(struct emulation *e, const struct target *t, struct segment *s,
		     struct descriptor *d)
{
	if (!(t->selector & ~3u))
		return emulate_fault_error(e, EXC_GP, 0);
	return descriptor_load(e, t->selector, 8, d, s);
}

/* The code segment, all checked; d->set says what is to be marked. */
static int prepare_code(struct emulation *e, struct target *t, struct segment *s,
			struct descriptor *d)
{
	int err;

	t->size = far_size(e);
	err = emulate_far_pointer(e, &t->to, &t->selector);
	d->set = 0;
	if (err)
		return err;
	if (emulate_real(e)) {
		emulate_real_segment(e, SEG_CS, t->selector, s);
		return 0;
	}
	err = load_code(e, t, s, d);
	if (!err && !(s->attr & SEG_S))
		err = through_gate(e, s, t) ?: load_code(e, t, s, d);
	err = err ?: check_code(e, t, s);
	if (err)
		return err;
	s->selector = (uint16_t)((t->selector & ~3u) | e->mode.cpl);
	s->attr |= 1;
	return descriptor_prepare(e, d, 1);
}

static int check_offset(struct emulation *e, const struct segment *s, uint64_t to)
{
	bool fits = e->mode.long_mode && s->attr & SEG_L ? operand_canonical(e, to)
							 : to <= s->limit;

	return fits ? 0 : emulate_fault_error(e, EXC_GP, 0);
}

static void go(struct emulation *e, const struct segment *s, struct descriptor *d, uint64_t to)
{
	descriptor_mark(e, d);
	vmm_ops->segment_set(e->vcpu, SEG_CS, s);
	e->jumps = true;
	e->rip = to;
}

static int jmp_far(struct emulation *e)
{
	struct target t = { 0 };
	struct descriptor d;
	struct segment s;
	int err = prepare_code(e, &t, &s, &d);

	err = err ?: check_offset(e, &s, t.to) ?: operand_check(e);
	if (!err)
		go(e, &s, &d, t.to);
	return err;
}

/* CS and what follows this instruction, each as wide as the operand or the gate. */
static int call_far(struct emulation *e)
{
	uint64_t mask = operand_stack_mask(e), sp = e->vcpu->gpr[GPR_RSP];
	struct target t = { .call = true };
	struct operand cs, ip;
	struct descriptor d;
	struct segment s, old;
	int err = prepare_code(e, &t, &s, &d);
	unsigned size = t.size;

	if (!err)
		err = operand_prepare_at(e, SEG_SS, (sp - size) & mask, size, GMEM_WRITE, -1, &cs);
	if (!err)
		err = operand_prepare_at(e, SEG_SS, (sp - 2 * size) & mask, size, GMEM_WRITE, -1,
					 &ip);
	err = err ?: check_offset(e, &s, t.to) ?: operand_check(e);
	if (err)
		return err;
	vmm_ops->segment_get(e->vcpu, SEG_CS, &old);
	operand_write(e, &cs, old.selector);
	operand_write(e, &ip, (e->vcpu->rip + e->insn->length) & bytes_mask(size));
	e->vcpu->gpr[GPR_RSP] = (sp & ~mask) | ((sp - 2 * size) & mask);
	go(e, &s, &d, t.to);
	return 0;
}

const struct emulate_row emulate_far_rows[] = {
	{ MAP_ONE, 0xff, 0xff, 3, PREFIX_ANY, OPERAND_OWN, 0, 0, call_far },
	{ MAP_ONE, 0xff, 0xff, 5, PREFIX_ANY, OPERAND_OWN, 0, 0, jmp_far },
	{ 0 },
};
