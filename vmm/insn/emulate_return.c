/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Far RET and IRET, where the stack or a table is in a device: to the same privilege, to less of it
 * with the stack that lies there, to virtual-8086 mode, and to the task before. All has been
 * checked before anything is loaded.
 * Sources: Intel SDM 2, "RET", "IRET/IRETD/IRETQ"; SDM 3, "Returning from a Called Procedure",
 * "Returning from an Exception- or Interrupt-Handling Procedure".
 */
#include "vmm/insn/emulate_state.h"

#include "cpu/features.h"
#include "vmm/ops.h"

#define V86_FLAGS	(BITS(21, 0) & ~(BIT(15) | BIT(5) | BIT(3)))

/* What lies on the stack, in this order; some of it is not always there. */
enum { OFFSET, CODE, FLAGS, STACK_POINTER, STACK, V86_ES, V86_DS, V86_FS, V86_GS, VALUES };

struct back {
	uint64_t v[VALUES];
	unsigned size;			/* of each */
	unsigned cpl;			/* there */
	bool stack;			/* it has its own */
	struct segment cs, ss;
	struct descriptor cs_d, ss_d;
};

/* Values `from` to `to`, at `sp`. */
static int pop(struct emulation *e, struct back *b, uint64_t sp, unsigned from, unsigned to)
{
	unsigned n = to - from + 1;

	return emulate_stack_pop(e, sp, b->size, b->v + from, n, false)
		       ?: emulate_stack_pop(e, sp, b->size, b->v + from, n, true);
}

static uint64_t sp_behind(const struct emulation *e, const struct back *b, unsigned values,
			  unsigned bytes)
{
	return emulate_stack_moved(e, e->vcpu->gpr[GPR_RSP], values * b->size + bytes);
}

static int prepare_code(struct emulation *e, struct back *b)
{
	unsigned selector = (uint16_t)b->v[CODE], dpl;
	bool code, conforming;
	int err;

	b->cpl = selector & 3;
	if (!(selector & ~3u))
		return emulate_fault_error(e, EXC_GP, 0);
	err = descriptor_load(e, selector, 8, &b->cs_d, &b->cs);
	if (err)
		return err;
	dpl = descriptor_dpl(&b->cs);
	code = b->cs.attr & SEG_S && b->cs.attr & 8;
	conforming = b->cs.attr & 4;
	if (e->mode.long_mode && (b->cs.attr & (SEG_L | SEG_DB)) == (SEG_L | SEG_DB))
		code = false;
	if (!code || b->cpl < e->mode.cpl || (conforming ? dpl > b->cpl : dpl != b->cpl))
		return emulate_fault_selector(e, EXC_GP, selector);
	if (!(b->cs.attr & SEG_P))
		return emulate_fault_selector(e, EXC_NP, selector);
	b->cs.attr |= 1;
	return descriptor_prepare(e, &b->cs_d, 1);
}

static bool is_wide(const struct emulation *e, const struct back *b)
{
	return e->mode.long_mode && b->cs.attr & SEG_L;
}

/* SS as the code there may have it; what is left to do is done for that privilege. */
static int prepare_stack(struct emulation *e, struct back *b)
{
	e->mode.cpl = (uint8_t)b->cpl;
	if (e->mode.long_mode)
		e->mode.bits = is_wide(e, b) ? 64 : 32;
	return emulate_segment_for(e, SEG_SS, (uint16_t)b->v[STACK], EXC_GP, &b->ss, &b->ss_d);
}

/* Data segments that the new privilege must not reach are gone. */
static void clear_segment(struct emulation *e, enum seg r, unsigned cpl)
{
	struct segment s;
	bool conforming;

	vmm_ops->segment_get(e->vcpu, r, &s);
	conforming = (s.attr & 0xc) == 0xc;
	if (s.attr & SEG_UNUSABLE || !(s.attr & SEG_P) || conforming || descriptor_dpl(&s) >= cpl)
		return;
	s = (struct segment){ .attr = SEG_UNUSABLE | cpl << SEG_DPL_SHIFT,
			      .base = features.vendor == VENDOR_AMD ? s.base : 0 };
	vmm_ops->segment_set(e->vcpu, r, &s);
}

/* Of a stack of 16 bits the rest of ESP stays. */
static void load_stack(struct emulation *e, struct back *b, unsigned release)
{
	uint64_t *rsp = &e->vcpu->gpr[GPR_RSP],
		 mask = is_wide(e, b) ? ~0ul : b->ss.attr & SEG_DB ? 0xffffffff : 0xffff;

	descriptor_mark(e, &b->ss_d);
	vmm_ops->segment_set(e->vcpu, SEG_SS, &b->ss);
	*rsp = (*rsp & ~mask) | ((b->v[STACK_POINTER] + release) & mask);
}

static void commit(struct emulation *e, struct back *b, unsigned old_cpl, uint64_t sp,
		   unsigned release)
{
	if (b->stack)
		load_stack(e, b, release);
	else
		e->vcpu->gpr[GPR_RSP] = sp;
	emulate_far_go(e, &b->cs, &b->cs_d, b->v[OFFSET]);
	for (enum seg r = SEG_ES; b->cpl > old_cpl && r <= SEG_GS; r++)
		if (r != SEG_CS && r != SEG_SS)
			clear_segment(e, r, b->cpl);
}

/* CA takes so many bytes of arguments off, from both stacks. */
static int ret_far(struct emulation *e)
{
	unsigned release = e->insn->opcode & 1 ? 0 : (uint16_t)e->insn->imm, cpl = e->mode.cpl;
	struct back b = { .size = e->insn->operand };
	uint64_t sp = sp_behind(e, &b, 2, release);
	int err = pop(e, &b, e->vcpu->gpr[GPR_RSP], OFFSET, CODE);

	if (!err && emulate_real(e))
		emulate_real_segment(e, SEG_CS, (uint16_t)b.v[CODE], &b.cs);
	else
		err = err ?: prepare_code(e, &b);
	b.stack = b.cpl > cpl;
	if (!err && b.stack)
		err = pop(e, &b, sp, STACK_POINTER, STACK) ?: prepare_stack(e, &b);
	err = err ?: emulate_far_check(e, &b.cs, b.v[OFFSET]) ?: operand_check(e);
	if (!err)
		commit(e, &b, cpl, sp, release);
	return err;
}

/* ---- IRET */

static int iret_real(struct emulation *e, struct back *b)
{
	int err = emulate_flags_check(e, b->size);

	err = err ?: pop(e, b, e->vcpu->gpr[GPR_RSP], OFFSET, FLAGS);
	if (err)
		return err;
	emulate_real_segment(e, SEG_CS, (uint16_t)b->v[CODE], &b->cs);
	err = emulate_far_check(e, &b->cs, b->v[OFFSET]) ?: operand_check(e);
	err = err ?: emulate_flags_load(e, b->v[FLAGS], b->size, RFLAGS_RF);
	if (!err)
		commit(e, b, 0, sp_behind(e, b, 3, 0), 0);
	return err;
}

static int iret_to_v86(struct emulation *e, struct back *b)
{
	static const uint8_t segments[] = { SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS };
	struct segment s;
	int err = pop(e, b, sp_behind(e, b, 3, 0), STACK_POINTER, V86_GS);

	b->cs = emulate_v86_segment((uint16_t)b->v[CODE]);
	err = err ?: emulate_far_check(e, &b->cs, b->v[OFFSET]) ?: operand_check(e);
	if (err)
		return err;
	for (unsigned n = 0; n < ARRAY_COUNT(segments); n++) {
		s = emulate_v86_segment((uint16_t)b->v[STACK + n]);
		vmm_ops->segment_set(e->vcpu, segments[n], &s);
	}
	e->vcpu->gpr[GPR_RSP] = b->v[STACK_POINTER];
	emulate_far_go(e, &b->cs, &b->cs_d, b->v[OFFSET]);
	e->flags = (b->v[FLAGS] & V86_FLAGS) | RFLAGS_ONE;
	e->loads_flags = true;
	return 0;
}

static int iret_protected(struct emulation *e, struct back *b)
{
	unsigned cpl = e->mode.cpl;
	bool wide = e->mode.bits == 64;			/* the stack comes along in any case */
	uint64_t sp = sp_behind(e, b, 3, 0);
	int err = pop(e, b, e->vcpu->gpr[GPR_RSP], OFFSET, wide ? STACK : FLAGS);

	if (!err && !e->mode.long_mode && b->size == 4 && !cpl && b->v[FLAGS] & RFLAGS_VM)
		return iret_to_v86(e, b);
	err = err ?: prepare_code(e, b);
	b->stack = wide || b->cpl > cpl;
	if (!err && b->stack && !wide)
		err = pop(e, b, sp, STACK_POINTER, STACK);
	err = err ?: emulate_flags_load(e, b->v[FLAGS], b->size,
					RFLAGS_RF | (cpl ? 0 : RFLAGS_VIF | RFLAGS_VIP));
	if (!err && b->stack)
		err = prepare_stack(e, b);
	err = err ?: emulate_far_check(e, &b->cs, b->v[OFFSET]) ?: operand_check(e);
	if (!err)
		commit(e, b, cpl, sp, 0);
	return err;
}

static int iret_any(struct emulation *e)
{
	struct back b = { .size = e->insn->operand };

	if (emulate_real(e))
		return iret_real(e, &b);
	if (!(e->vcpu->rflags & RFLAGS_NT))
		return iret_protected(e, &b);
	if (e->mode.long_mode)
		return emulate_fault_error(e, EXC_GP, 0);
	return emulate_task(e, TASK_IRET, 0, e->vcpu->rip + e->insn->length, NULL);
}

/* NMIs are open behind it, even if it faults. */
static int iret(struct emulation *e)
{
	int err = iret_any(e);

	if (!err || err == -EFAULT)
		e->vcpu->event.nmi_masked = false;
	return err;
}

#define ANY	GROUP_ANY

const struct emulate_row emulate_return_rows[] = {
	{ MAP_ONE, 0xca, 0xfe, ANY, PREFIX_ANY, OPERAND_ANY, 0, 0, ret_far },
	{ MAP_ONE, 0xcf, 0xff, ANY, PREFIX_ANY, OPERAND_ANY, 0, 0, iret },
	{ 0 },
};
