/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Switches of tasks: what VMX leaves to software, and far CALL, JMP and IRET where a device is
 * among what they access. All of the old task's accesses are prepared, then it is saved and the new
 * one loaded; from there on what goes wrong is the new task's fault, taken before its first
 * instruction, with the segments that were not reached unusable.
 * Sources: Intel SDM 3, "Task Management" ("Task Switching"); "Treatment of Task Switches".
 */
#include "vmm/insn/emulate_state.h"

#include "lib/string.h"
#include "vmm/ops.h"
#include "vmm/vm.h"

#define TYPE_16		1u		/* a TSS's; bits 1 and 3 are of them: */
#define TYPE_BUSY	2u
#define TYPE_32		8u
#define TYPE_LDT	2u
#define BUSY		BIT(41)		/* of its descriptor */
#define DR7_LOCAL	0x155u
#define FLAGS		(BITS(21, 0) & ~(BIT(15) | BIT(5) | BIT(3)))
#define TSS_MAX		104u
#define ATTEMPTS	64		/* at memory that is taken while the task is loaded */

/* Where things are in a TSS. General registers follow in order, so do selectors from ES. */
struct layout {
	uint8_t size, word, cr3, ip, flags, gprs, selectors, selector_count, ldt, trap;
};

static const struct layout layouts[] = {
	{ .size = 44, .word = 2, .ip = 14, .flags = 16, .gprs = 18, .selectors = 34,
	  .selector_count = 4, .ldt = 42 },
	{ .size = TSS_MAX, .word = 4, .cr3 = 28, .ip = 32, .flags = 36, .gprs = 40,
	  .selectors = 72, .selector_count = 6, .ldt = 96, .trap = 100 },
};

struct change {
	enum task_switch by;
	struct event *delivered;
	uint64_t next;			/* RIP of the old task */
	struct segment old, new;
	struct descriptor old_d, new_d;
	const struct layout *from, *to;
	struct operand save, link, old_mark, new_mark;
	uint8_t saved[TSS_MAX], loaded[TSS_MAX];
};

static const struct layout *layout_of(const struct segment *tss)
{
	return &layouts[!!(tss->attr & TYPE_32)];
}

static uint64_t field(const uint8_t *image, unsigned at, unsigned size)
{
	uint64_t v = 0;

	memcpy(&v, image + at, size);
	return v;
}

static void field_set(uint8_t *image, unsigned at, unsigned size, uint64_t v)
{
	memcpy(image + at, &v, size);
}

/* ---- the old task */

/* A TSS that is not in use, but for IRET, which goes back to one that is. */
static int check_new(struct emulation *e, struct change *c, unsigned selector)
{
	unsigned busy = c->by == TASK_IRET ? TYPE_BUSY : 0, wrong = busy ? EXC_TS : EXC_GP;
	int err = selector & ~3u && !(selector & 4)
			  ? descriptor_load(e, selector, 8, &c->new_d, &c->new)
			  : emulate_fault_selector(e, wrong, selector);

	if (err)
		return err;
	if ((c->new.attr & (SEG_S | SEG_TYPE) & ~TYPE_32) != (TYPE_16 | busy))
		return emulate_fault_selector(e, wrong, selector);
	if (!(c->new.attr & SEG_P))
		return emulate_fault_selector(e, EXC_NP, selector);
	c->to = layout_of(&c->new);
	if (c->new.limit < c->to->size - 1u)
		return emulate_fault_selector(e, EXC_TS, selector);
	return 0;
}

/* IRET's is what the old TSS is linked to. */
static int find_link(struct emulation *e, const struct change *c, unsigned *selector)
{
	struct operand o;
	int err = operand_prepare_system(e, (uint32_t)c->old.base, 2, GMEM_READ, &o);

	if (!err)
		*selector = (unsigned)operand_read(e, &o);
	return err;
}

/* All that the switch accesses while the old task is there. */
static int prepare(struct emulation *e, struct change *c)
{
	struct operand o;
	int err = operand_prepare_system(e, (uint32_t)c->new.base, c->to->size, GMEM_READ, &o);

	if (!err)
		err = operand_prepare_system(e, (uint32_t)c->old.base, c->from->size, GMEM_WRITE,
					     &c->save);
	if (!err)
		err = descriptor_load(e, c->old.selector, 8, &c->old_d, &(struct segment){ 0 });
	if (!err)
		err = operand_prepare_system(e, c->old_d.linear, 8, GMEM_WRITE, &c->old_mark);
	if (!err)
		err = operand_prepare_system(e, c->new_d.linear, 8, GMEM_WRITE, &c->new_mark);
	if (!err)
		err = operand_prepare_system(e, (uint32_t)c->new.base, 2, GMEM_WRITE, &c->link);
	err = err ?: operand_check(e);
	if (err)
		return err;
	operand_read_bytes(e, &o, c->loaded);
	operand_read_bytes(e, &c->save, c->saved);
	return 0;
}

/* What was an exception goes on where it was, with RF. */
static uint64_t flags_saved(const struct emulation *e, const struct change *c)
{
	uint64_t flags = e->vcpu->rflags & ~RFLAGS_RF;

	if (c->delivered && c->delivered->type == EVENT_EXCEPTION && c->delivered->vector != EXC_DB)
		flags |= RFLAGS_RF;
	return c->by == TASK_IRET ? flags & ~RFLAGS_NT : flags;
}

static void save(struct emulation *e, struct change *c)
{
	const struct layout *l = c->from;
	struct segment s;

	field_set(c->saved, l->ip, l->word, c->next);
	field_set(c->saved, l->flags, l->word, flags_saved(e, c));
	for (unsigned r = 0; r < 8; r++)
		field_set(c->saved, l->gprs + r * l->word, l->word, e->vcpu->gpr[r]);
	for (unsigned r = 0; r < l->selector_count; r++) {
		vmm_ops->segment_get(e->vcpu, r, &s);
		field_set(c->saved, l->selectors + r * l->word, 2, s.selector);
	}
	operand_write_bytes(e, &c->save, c->saved);
}

/* Sets or clears the bit, whoever else changes the descriptor. */
static void mark(struct emulation *e, const struct operand *o, const struct descriptor *d,
		 bool busy)
{
	uint64_t old[2] = { d->v[0] }, new[2];

	for (unsigned n = 0; n < ATTEMPTS; n++) {
		new[0] = busy ? old[0] | BUSY : old[0] & ~BUSY;
		if (operand_replace(e, o, true, old, new))
			return;
	}
}

/* ---- the new task */

static void load_registers(struct emulation *e, const struct change *c)
{
	const struct layout *l = c->to;
	struct vcpu *vcpu = e->vcpu;
	uint64_t flags = (field(c->loaded, l->flags, l->word) & FLAGS) | RFLAGS_ONE;

	if (c->by == TASK_CALL || c->by == TASK_GATE)
		flags |= RFLAGS_NT;
	vcpu->rflags = flags;
	vcpu->rip = field(c->loaded, l->ip, l->word);
	for (unsigned r = 0; r < 8; r++)
		vcpu->gpr[r] = field(c->loaded, l->gprs + r * l->word, l->word);
	vmm_ops->reg_set(vcpu, REG_CR0, e->mode.cr0 | CR0_TS);
	vmm_ops->reg_set(vcpu, REG_DR7, vmm_ops->reg_get(vcpu, REG_DR7) & ~(uint64_t)DR7_LOCAL);
}

static unsigned selector_of(const struct change *c, enum seg r)
{
	const struct layout *l = c->to;

	if (r >= l->selector_count)
		return 0;
	return (unsigned)field(c->loaded, l->selectors + r * l->word, 2);
}

/* Of that privilege, and unusable until they have been checked. */
static void load_selectors(struct emulation *e, const struct change *c)
{
	bool v86 = e->vcpu->rflags & RFLAGS_VM;
	uint32_t dpl;
	struct segment s;

	e->mode.cpl = v86 ? 3 : selector_of(c, SEG_CS) & 3;
	dpl = (uint32_t)e->mode.cpl << SEG_DPL_SHIFT;
	for (enum seg r = SEG_ES; r <= SEG_GS; r++) {
		s = (struct segment){ .selector = (uint16_t)selector_of(c, r),
				      .attr = SEG_UNUSABLE | dpl };
		if (v86)
			s = emulate_v86_segment(s.selector);
		else if (r == SEG_CS)		/* which cannot be without */
			s.attr = SEG_P | SEG_S | 11 | dpl;
		vmm_ops->segment_set(e->vcpu, r, &s);
	}
	s = (struct segment){ .selector = (uint16_t)field(c->loaded, c->to->ldt, 2),
			      .attr = SEG_UNUSABLE | TYPE_LDT };
	vmm_ops->segment_set(e->vcpu, SEG_LDTR, &s);
	s = c->new;
	s.attr |= TYPE_BUSY;
	vmm_ops->segment_set(e->vcpu, SEG_TR, &s);
}

/* Without paging nobody looks at CR3. */
static int load_cr3(struct emulation *e, const struct change *c)
{
	uint64_t cr3 = c->to->cr3 ? field(c->loaded, c->to->cr3, 4) : e->mode.cr3;
	int err = 0;

	if (!c->to->cr3 || !(e->mode.cr0 & CR0_PG))
		return 0;
	if (vmm_ops->loads_pdptes && e->mode.cr4 & CR4_PAE)
		err = vmm_ops->pdptes_load(e->vcpu, cr3);
	if (err)
		return err == -EINVAL ? emulate_fault_selector(e, EXC_TS, c->new.selector) : err;
	vmm_ops->reg_set(e->vcpu, REG_CR3, cr3);
	vmm_ops->flush_tlb(e->vcpu);
	e->mode.cr3 = cr3;
	return 0;
}

static int load_ldt(struct emulation *e, const struct change *c)
{
	unsigned selector = (unsigned)field(c->loaded, c->to->ldt, 2);
	struct descriptor d;
	struct segment s;
	int err;

	if (!(selector & ~3u))
		return 0;
	err = selector & 4 ? emulate_fault_selector(e, EXC_TS, selector)
			   : descriptor_load(e, selector, 8, &d, &s);
	if (err)
		return err;
	if ((s.attr & (SEG_P | SEG_S | SEG_TYPE)) != (SEG_P | TYPE_LDT))
		return emulate_fault_selector(e, EXC_TS, selector);
	vmm_ops->segment_set(e->vcpu, SEG_LDTR, &s);
	return 0;
}

static int load_code(struct emulation *e, const struct change *c)
{
	unsigned selector = selector_of(c, SEG_CS), dpl;
	struct descriptor d;
	struct segment s;
	int err = selector & ~3u ? descriptor_load(e, selector, 8, &d, &s)
				 : emulate_fault_selector(e, EXC_TS, selector);

	if (err)
		return err;
	dpl = descriptor_dpl(&s);
	if (!(s.attr & SEG_S) || !(s.attr & 8) ||
	    (s.attr & 4 ? dpl > (selector & 3) : dpl != (selector & 3)))
		return emulate_fault_selector(e, EXC_TS, selector);
	if (!(s.attr & SEG_P))
		return emulate_fault_selector(e, EXC_NP, selector);
	s.attr |= 1;
	err = descriptor_prepare(e, &d, 1);
	if (err)
		return err;
	descriptor_mark(e, &d);
	vmm_ops->segment_set(e->vcpu, SEG_CS, &s);
	/* What is pushed goes by its width no more than by SS's. */
	e->mode.bits = s.attr & SEG_DB ? 32 : 16;
	return 0;
}

static int load_segments(struct emulation *e, const struct change *c)
{
	static const uint8_t order[] = { SEG_SS, SEG_DS, SEG_ES, SEG_FS, SEG_GS };
	struct descriptor d;
	struct segment s;
	int err = load_ldt(e, c);

	if (err || e->vcpu->rflags & RFLAGS_VM)
		return err;
	err = load_code(e, c);
	for (unsigned n = 0; !err && n < ARRAY_COUNT(order); n++) {
		err = emulate_segment_for(e, order[n], selector_of(c, order[n]), EXC_TS, &s, &d);
		if (err)
			break;
		descriptor_mark(e, &d);
		vmm_ops->segment_set(e->vcpu, order[n], &s);
	}
	return err;
}

static int push_error(struct emulation *e, const struct change *c, uint64_t error)
{
	uint64_t *sp = &e->vcpu->gpr[GPR_RSP];
	unsigned size = c->to->word;
	int err = emulate_stack_push(e, *sp, size, &error, 1, true);

	if (!err)
		*sp = emulate_stack_moved(e, *sp, -(int64_t)size);
	return err;
}

/* It cannot begin anew: memory that is being taken will be there again. */
static int load(struct emulation *e, const struct change *c)
{
	int err = -EINTR;

	for (unsigned n = 0; err == -EINTR && n < ATTEMPTS; n++)
		err = load_cr3(e, c) ?: load_segments(e, c);
	if (err == -EFAULT && e->fault.vector == EXC_GP)
		e->fault.vector = EXC_TS;
	return err;
}

/* What hindered the delivery of an event that was nobody's instruction is external. */
static int external(struct emulation *e, const struct event *was, int err)
{
	if (err == -EFAULT && was->valid && was->type < EVENT_SOFT_INTERRUPT &&
	    e->fault.vector >= EXC_TS && e->fault.vector <= EXC_GP)
		e->fault.error |= 1;
	return err;
}

static int change(struct emulation *e, struct change *c, const struct event *was)
{
	uint64_t flags = e->vcpu->rflags;
	int err;

	mark(e, &c->old_mark, &c->old_d, c->by == TASK_CALL || c->by == TASK_GATE);
	save(e, c);
	if (c->by == TASK_CALL || c->by == TASK_GATE)
		operand_write(e, &c->link, c->old.selector);
	mark(e, &c->new_mark, &c->new_d, true);
	if (c->delivered)
		c->delivered->valid = false;
	e->vcpu->event.shadow = 0;
	load_registers(e, c);
	load_selectors(e, c);
	err = load(e, c);
	if (!err && was->has_error)
		err = push_error(e, c, was->error);
	if (!err && c->to->trap && c->loaded[c->to->trap] & 1)
		event_debug(e->vcpu, DR6_BT);
	if (err && err != -EFAULT) {
		vm_crash(e->vcpu->vm, "no memory while a task is switched to (%d)", err);
		return -EINTR;
	}
	e->jumps = e->loads_flags = true;
	e->rip = e->vcpu->rip;
	e->flags = e->vcpu->rflags;
	/* An instruction's step is the old task's; an event that is delivered is none. */
	if (!err)
		e->vcpu->rflags = c->by == TASK_GATE ? flags & ~RFLAGS_TF : flags;
	return err;
}

int emulate_task(struct emulation *e, enum task_switch by, unsigned selector, uint64_t next,
		 struct event *delivered)
{
	struct change c = { .by = by, .next = next, .delivered = delivered };
	struct event was = delivered ? *delivered : (struct event){ 0 };
	int err = 0;

	vmm_ops->segment_get(e->vcpu, SEG_TR, &c.old);
	c.from = layout_of(&c.old);
	if (c.old.limit < c.from->size - 1u)
		return emulate_fault_selector(e, EXC_TS, c.old.selector);
	if (by == TASK_IRET)
		err = find_link(e, &c, &selector);
	err = err ?: check_new(e, &c, selector) ?: prepare(e, &c) ?: change(e, &c, &was);
	/* NMIs are open behind IRET, even if it faults. */
	if (by == TASK_IRET && (!err || err == -EFAULT))
		e->vcpu->event.nmi_masked = false;
	return external(e, &was, err);
}
