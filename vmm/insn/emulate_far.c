/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Far JMP and CALL through memory, to a code segment of the same privilege (real mode has no
 * other). Gates and task switches are refused.
 * Sources: Intel SDM 2, "CALL", "JMP"; SDM 3, "Direct Calls or Jumps to Code Segments".
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

static int check_code(struct emulation *e, const struct segment *s)
{
	unsigned dpl = descriptor_dpl(s), rpl = s->selector & 3, cpl = e->mode.cpl;
	bool conforming = s->attr & 4;

	if (!(s->attr & SEG_S)) {
		e->why = "by a gate or a task switch";
		return -ENOSYS;
	}
	if (!(s->attr & 8) || (conforming ? dpl > cpl : rpl > cpl || dpl != cpl) ||
	    (e->mode.long_mode && (s->attr & (SEG_L | SEG_DB)) == (SEG_L | SEG_DB)))
		return emulate_fault_selector(e, EXC_GP, s->selector);
	return s->attr & SEG_P ? 0 : emulate_fault_selector(e, EXC_NP, s->selector);
}

/* The code segment, all checked; d->set says what is to be marked. */
static int prepare_code(struct emulation *e, unsigned selector, struct segment *s,
			struct descriptor *d)
{
	int err;

	d->set = 0;
	if (emulate_real(e)) {
		emulate_real_segment(e, SEG_CS, selector, s);
		return 0;
	}
	if (!(selector & ~3u))
		return emulate_fault_error(e, EXC_GP, 0);
	err = descriptor_load(e, selector, 8, d, s) ?: check_code(e, s);
	if (err)
		return err;
	s->selector = (uint16_t)((selector & ~3u) | e->mode.cpl);
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
	struct descriptor d;
	struct segment s;
	unsigned selector;
	uint64_t to;
	int err = emulate_far_pointer(e, &to, &selector) ?: prepare_code(e, selector, &s, &d);

	err = err ?: check_offset(e, &s, to) ?: operand_check(e);
	if (!err)
		go(e, &s, &d, to);
	return err;
}

/* CS and what follows this instruction, each as wide as the operand. */
static int call_far(struct emulation *e)
{
	unsigned size = far_size(e), selector;
	uint64_t mask = operand_stack_mask(e), sp = e->vcpu->gpr[GPR_RSP], to;
	struct operand cs, ip;
	struct descriptor d;
	struct segment s, old;
	int err = emulate_far_pointer(e, &to, &selector) ?: prepare_code(e, selector, &s, &d);

	if (!err)
		err = operand_prepare_at(e, SEG_SS, (sp - size) & mask, size, GMEM_WRITE, -1, &cs);
	if (!err)
		err = operand_prepare_at(e, SEG_SS, (sp - 2 * size) & mask, size, GMEM_WRITE, -1,
					 &ip);
	err = err ?: check_offset(e, &s, to) ?: operand_check(e);
	if (err)
		return err;
	vmm_ops->segment_get(e->vcpu, SEG_CS, &old);
	operand_write(e, &cs, old.selector);
	operand_write(e, &ip, (e->vcpu->rip + e->insn->length) & bytes_mask(size));
	e->vcpu->gpr[GPR_RSP] = (sp & ~mask) | ((sp - 2 * size) & mask);
	go(e, &s, &d, to);
	return 0;
}

const struct emulate_row emulate_far_rows[] = {
	{ MAP_ONE, 0xff, 0xff, 3, PREFIX_ANY, OPERAND_OWN, 0, 0, call_far },
	{ MAP_ONE, 0xff, 0xff, 5, PREFIX_ANY, OPERAND_OWN, 0, 0, jmp_far },
	{ 0 },
};
