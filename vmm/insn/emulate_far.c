/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Far JMP and CALL, where the pointer, the stack or a table is in a device: to a code segment of
 * the same privilege (real mode has no other), directly or through a call gate, by a gate to more
 * privilege, on the stack that the TSS has for that, and to another task.
 * Sources: Intel SDM 2, "CALL", "JMP"; SDM 3, "Direct Calls or Jumps to Code Segments", "Call
 * Gates", "Accessing a Code Segment Through a Call Gate", "Stack Switching".
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
	uint64_t offset, mask = bytes_mask(e->insn->address);
	struct operand o, s;
	int err;

	if (!e->insn->memory) {
		*to = e->insn->imm & bytes_mask(e->insn->operand);
		*selector = e->insn->imm >> 8 * e->insn->operand & 0xffff;
		return 0;
	}
	offset = operand_offset(e);
	err = operand_prepare_at(e, e->insn->segment, offset, size, GMEM_READ, -1, &o);
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
	bool inner;			/* to more privilege */
	bool task;			/* whose TSS the selector names */
	unsigned values;		/* then so many go along */
};

#define TYPE_GATE16	4u
#define TYPE_GATE	12u
#define TYPE_TASK_GATE	5u
#define TYPES_TASK	0x222u		/* that, TSSs that are not busy */

static int bad_selector(struct emulation *e, unsigned selector)
{
	return emulate_fault_selector(e, EXC_GP, selector);
}

/* The gate's own checks, then what it says. */
static int through_gate(struct emulation *e, const struct segment *gate, struct target *t)
{
	unsigned type = gate->attr & SEG_TYPE, selector = gate->selector;
	bool wide = e->mode.long_mode;
	struct descriptor d;
	struct segment s;
	int err;

	t->task = !wide && TYPES_TASK & 1u << type;
	if ((!t->task && type != TYPE_GATE && (wide || type != TYPE_GATE16)) ||
	    descriptor_dpl(gate) < MAX(e->mode.cpl, selector & 3u))
		return bad_selector(e, selector);
	if (!(gate->attr & SEG_P))
		return emulate_fault_selector(e, EXC_NP, selector);
	err = descriptor_load(e, selector, wide ? 16 : 8, &d, &s);
	if (err)
		return err;
	if (t->task) {
		if (type == TYPE_TASK_GATE)
			t->selector = d.v[0] >> 16 & 0xffff;
		return 0;
	}
	if (d.v[1] >> 40 & 0x1f)
		return bad_selector(e, selector);
	t->gate = true;
	t->size = wide ? 8 : type == TYPE_GATE ? 4 : 2;
	t->values = wide ? 0 : d.v[0] >> 32 & 0x1f;
	t->selector = d.v[0] >> 16 & 0xffff;
	t->to = (d.v[0] & 0xffff) | (d.v[0] >> 32 & 0xffff0000) | d.v[1] << 32;
	t->to &= bytes_mask(t->size);
	return 0;
}

static int check_code(struct emulation *e, struct target *t, const struct segment *s)
{
	unsigned dpl = descriptor_dpl(s), rpl = t->gate ? 0 : s->selector & 3, cpl = e->mode.cpl;
	bool conforming = s->attr & 4, code = s->attr & SEG_S && s->attr & 8;
	uint32_t width = s->attr & (SEG_L | SEG_DB);

	if (e->mode.long_mode && (width == (SEG_L | SEG_DB) || (t->gate && width != SEG_L)))
		code = false;
	t->inner = code && t->call && t->gate && !conforming && dpl < cpl;
	if (t->inner)
		cpl = dpl;
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
	if (!err && !(s->attr & SEG_S)) {
		err = through_gate(e, s, t);
		if (err || t->task)
			return err;
		err = load_code(e, t, s, d);
	}
	err = err ?: check_code(e, t, s);
	if (err)
		return err;
	s->selector = (uint16_t)((t->selector & ~3u) |
				 (t->inner ? descriptor_dpl(s) : e->mode.cpl));
	s->attr |= 1;
	return descriptor_prepare(e, d, 1);
}

int emulate_far_check(struct emulation *e, const struct segment *s, uint64_t to)
{
	bool fits = e->mode.long_mode && s->attr & SEG_L ? operand_canonical(e, to)
							 : to <= s->limit;

	return fits ? 0 : emulate_fault_error(e, EXC_GP, 0);
}

void emulate_far_go(struct emulation *e, const struct segment *s, struct descriptor *d,
		    uint64_t to)
{
	descriptor_mark(e, d);
	vmm_ops->segment_set(e->vcpu, SEG_CS, s);
	e->jumps = true;
	e->rip = to;
}

static int task(struct emulation *e, const struct target *t)
{
	return emulate_task(e, t->call ? TASK_CALL : TASK_JMP, t->selector,
			    e->vcpu->rip + e->insn->length, NULL);
}

static int jmp_far(struct emulation *e)
{
	struct target t = { 0 };
	struct descriptor d;
	struct segment s;
	int err = prepare_code(e, &t, &s, &d);

	if (!err && t.task)
		return task(e, &t);
	err = err ?: emulate_far_check(e, &s, t.to) ?: operand_check(e);
	if (!err)
		emulate_far_go(e, &s, &d, t.to);
	return err;
}

/* The stack that the TSS has for this privilege. */
static int read_stack(struct emulation *e, unsigned dpl, uint64_t *sp, unsigned *selector)
{
	bool wide = e->mode.long_mode;
	unsigned size, at, all;
	struct segment tss;
	struct operand o, s;
	uint64_t linear;
	int err;

	vmm_ops->segment_get(e->vcpu, SEG_TR, &tss);
	size = wide ? 8 : tss.attr & 8 ? 4 : 2;		/* else a TSS of 16 bits */
	at = size == 2 ? 2 + 4 * dpl : 4 + 8 * dpl;
	all = wide ? 8 : size + 2;
	linear = tss.base + at;
	if (at + all - 1 > tss.limit || (wide && !operand_canonical(e, linear)))
		return emulate_fault_selector(e, EXC_TS, tss.selector);
	if (!wide)
		linear = (uint32_t)linear;
	err = operand_prepare_system(e, linear, size, GMEM_READ, &o);
	*selector = dpl;				/* of no segment, in long mode */
	if (!err && !wide) {
		err = operand_prepare_system(e, linear + size, 2, GMEM_READ, &s);
		if (!err)
			*selector = (unsigned)operand_read(e, &s);
	}
	if (!err)
		*sp = operand_read(e, &o);
	return err;
}

/* Old SS and stack pointer, values from the old stack, CS and what follows this instruction. */
struct pushed {
	uint64_t v[2 + 31 + 2];
	unsigned n, size;
	uint64_t sp;			/* below which they go */
};

static void push_return(struct emulation *e, struct pushed *p)
{
	struct segment cs;

	vmm_ops->segment_get(e->vcpu, SEG_CS, &cs);
	p->v[p->n++] = cs.selector;
	p->v[p->n++] = (e->vcpu->rip + e->insn->length) & bytes_mask(p->size);
}

static int push_values(struct emulation *e, struct pushed *p, unsigned values)
{
	uint64_t sp = e->vcpu->gpr[GPR_RSP];
	int err = emulate_stack_pop(e, sp, p->size, p->v + 2, values, false);

	/* The last one lies deepest. */
	for (unsigned k = 0; !err && k < values; k++)
		err = emulate_stack_pop(e, emulate_stack_moved(e, sp, (int64_t)(k * p->size)),
					p->size, &p->v[1 + values - k], 1, true);
	p->n = 2 + values;
	return err;
}

static void set_sp(struct emulation *e, uint64_t sp)
{
	uint64_t mask = operand_stack_mask(e), *rsp = &e->vcpu->gpr[GPR_RSP];

	*rsp = (*rsp & ~mask) | (sp & mask);
}

static int push_and_go(struct emulation *e, const struct target *t, struct segment *s,
		       struct descriptor *d, const struct pushed *p)
{
	int err = emulate_stack_push(e, p->sp, p->size, p->v, p->n, false);

	err = err ?: emulate_far_check(e, s, t->to) ?: operand_check(e);
	err = err ?: emulate_stack_push(e, p->sp, p->size, p->v, p->n, true);
	if (err)
		return err;
	set_sp(e, emulate_stack_moved(e, p->sp, -(int64_t)(p->n * p->size)));
	emulate_far_go(e, s, d, t->to);
	return 0;
}

/* SS is loaded first, and taken back when what follows faults: what is pushed goes there. */
static int call_inner(struct emulation *e, const struct target *t, struct segment *s,
		      struct descriptor *d)
{
	unsigned dpl = descriptor_dpl(s), selector = 0;
	struct pushed p = { .size = t->size };
	struct segment old, ss;
	struct descriptor ss_d;
	int err = read_stack(e, dpl, &p.sp, &selector) ?: push_values(e, &p, t->values);

	vmm_ops->segment_get(e->vcpu, SEG_SS, &old);
	p.v[0] = old.selector;
	p.v[1] = e->vcpu->gpr[GPR_RSP];
	push_return(e, &p);
	e->mode.cpl = (uint8_t)dpl;
	if (e->mode.long_mode)
		e->mode.bits = 64;
	err = err ?: emulate_segment_for(e, SEG_SS, selector, EXC_TS, &ss, &ss_d);
	if (err)
		return err;
	vmm_ops->segment_set(e->vcpu, SEG_SS, &ss);
	err = push_and_go(e, t, s, d, &p);
	if (!err) {
		descriptor_mark(e, &ss_d);
		return 0;
	}
	vmm_ops->segment_set(e->vcpu, SEG_SS, &old);
	if (err == -EFAULT && e->fault.vector == EXC_SS)
		e->fault.error = selector & 0xfffc;
	return err;
}

/* CS and what follows this instruction, each as wide as the operand or the gate. */
static int call_far(struct emulation *e)
{
	struct target t = { .call = true };
	struct pushed p = { .sp = e->vcpu->gpr[GPR_RSP] };
	struct descriptor d;
	struct segment s;
	int err = prepare_code(e, &t, &s, &d);

	if (!err && t.task)
		return task(e, &t);
	if (err || t.inner)
		return err ?: call_inner(e, &t, &s, &d);
	p.size = t.size;
	push_return(e, &p);
	return push_and_go(e, &t, &s, &d, &p);
}

#define ANY	GROUP_ANY

const struct emulate_row emulate_far_rows[] = {
	{ MAP_ONE, 0xff, 0xff, 3, PREFIX_ANY, OPERAND_OWN, 0, 0, call_far },
	{ MAP_ONE, 0xff, 0xff, 5, PREFIX_ANY, OPERAND_OWN, 0, 0, jmp_far },
	{ MAP_ONE, 0x9a, 0xff, ANY, PREFIX_ANY, OPERAND_ANY, 0, ROW_LEGACY, call_far },
	{ MAP_ONE, 0xea, 0xff, ANY, PREFIX_ANY, OPERAND_ANY, 0, ROW_LEGACY, jmp_far },
	{ 0 },
};
