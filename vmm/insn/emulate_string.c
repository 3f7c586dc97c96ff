/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * String instructions: MOVS, CMPS, STOS, LODS, SCAS, INS, OUTS, with REP and in both directions.
 * Each iteration prepares its operands, acts, and commits its registers; a fault or an interruption
 * in the middle leaves an instruction that goes on where it stopped.
 * Source: Intel SDM 1, "String
 * Instructions"; SDM 2, "REP/REPE/REPZ/REPNE/REPNZ".
 */
#include "vmm/insn/emulate_state.h"

#include "kernel/sched.h"
#include "vmm/insn/breakpoint.h"
#include "vmm/ops.h"
#include "vmm/vm.h"

#define ITERATIONS_MAX	1024

static unsigned size_of(const struct insn *i)
{
	return i->opcode & 1 ? i->operand : 1;
}

/* rSI, rDI, rCX as wide as an address is. */
static uint64_t counter(const struct emulation *e, enum gpr r)
{
	return e->vcpu->gpr[r] & bytes_mask(e->insn->address);
}

static void counter_set(struct emulation *e, enum gpr r, uint64_t v)
{
	uint64_t *p = &e->vcpu->gpr[r];

	*p = e->insn->address == 8   ? v
	     : e->insn->address == 4 ? (uint32_t)v
				     : (*p & ~0xfffful) | (uint16_t)v;
}

static void advance(struct emulation *e, enum gpr r)
{
	uint64_t size = size_of(e->insn);

	counter_set(e, r, counter(e, r) + (e->vcpu->rflags & RFLAGS_DF ? -size : size));
}

static int source(struct emulation *e, struct operand *o)
{
	return operand_prepare_at(e, e->insn->segment, counter(e, GPR_RSI), size_of(e->insn),
				  GMEM_READ, 0, o);
}

/* ES always, whatever the prefixes say. */
static int destination(struct emulation *e, unsigned access, struct operand *o)
{
	return operand_prepare_at(e, SEG_ES, counter(e, GPR_RDI), size_of(e->insn), access, 1, o);
}

static int movs(struct emulation *e)
{
	struct operand from, to;
	int err = source(e, &from);

	if (!err)
		err = destination(e, GMEM_WRITE, &to);
	err = err ?: operand_check(e);
	if (err)
		return err;
	operand_write(e, &to, operand_read(e, &from));
	advance(e, GPR_RSI);
	advance(e, GPR_RDI);
	return 0;
}

static int stos(struct emulation *e)
{
	struct operand to;
	int err = destination(e, GMEM_WRITE, &to);

	err = err ?: operand_check(e);
	if (err)
		return err;
	operand_write(e, &to, gpr_read(e, GPR_RAX, size_of(e->insn)));
	advance(e, GPR_RDI);
	return 0;
}

static int lods(struct emulation *e)
{
	struct operand from;
	int err = source(e, &from);

	err = err ?: operand_check(e);
	if (err)
		return err;
	gpr_write(e, GPR_RAX, size_of(e->insn), operand_read(e, &from));
	advance(e, GPR_RSI);
	return 0;
}

static int cmps(struct emulation *e)
{
	struct operand a, b;
	uint64_t first;
	int err = source(e, &a);

	if (!err)
		err = destination(e, GMEM_READ, &b);
	err = err ?: operand_check(e);
	if (err)
		return err;
	first = operand_read(e, &a);
	emulate_compare(e, first, operand_read(e, &b), size_of(e->insn));
	advance(e, GPR_RSI);
	advance(e, GPR_RDI);
	return 0;
}

static int scas(struct emulation *e)
{
	struct operand b;
	int err = destination(e, GMEM_READ, &b);

	err = err ?: operand_check(e);
	if (err)
		return err;
	emulate_compare(e, gpr_read(e, GPR_RAX, size_of(e->insn)), operand_read(e, &b),
			size_of(e->insn));
	advance(e, GPR_RDI);
	return 0;
}

static void watch_port(struct emulation *e, unsigned size)
{
	if (unlikely(e->watched))
		e->hits |= breakpoint_io(e->vcpu, e->port, size);
}

/*
 * How many iterations find their operands one behind the other, from `first` on, in its page of
 * RAM, and nobody looks at each; 0: the one alone.
 */
static unsigned in_a_row(struct emulation *e, enum seg s, enum gpr r, unsigned access, int which,
			 const struct operand *first)
{
	uint64_t room = (PAGE_SIZE - (first->gpa[0].v & ~PAGE_MASK)) / first->size;
	uint64_t n = MIN(MIN(counter(e, GPR_RCX), room), (uint64_t)ITERATIONS_MAX);
	uint64_t behind = (n - 1) * first->size;
	struct event fault = e->fault;
	struct operand last;

	if (!e->insn->rep || e->watched || e->vcpu->rflags & (RFLAGS_TF | RFLAGS_DF) || n < 2 ||
	    !first->host[0] || first->first != first->size ||
	    counter(e, r) + behind > bytes_mask(e->insn->address))
		return 0;
	if (!operand_prepare_at(e, s, counter(e, r) + behind, first->size, access, which, &last) &&
	    last.host[0] == first->host[0] + behind && last.first == last.size)
		return (unsigned)n;
	e->fault = fault;
	return 0;
}

/* So many of a string were done at once, one at least. */
static int done_at_once(struct emulation *e, enum gpr r, unsigned size, unsigned n)
{
	counter_set(e, r, counter(e, r) + n * size);
	e->more = n - 1;
	return 0;
}

/* Ports know 4 bytes at most. */
static int ins(struct emulation *e)
{
	unsigned size = MIN(size_of(e->insn), 4u), n;
	struct operand to;
	int err = operand_prepare_at(e, SEG_ES, counter(e, GPR_RDI), size, GMEM_WRITE, 1, &to);

	if (err)
		return err;
	n = in_a_row(e, SEG_ES, GPR_RDI, GMEM_WRITE, 1, &to);
	if (n)
		n = bus_read_string(e->vcpu->vm, e->port, size, to.host[0], n);
	if (n)
		return done_at_once(e, GPR_RDI, size, n);
	watch_port(e, size);
	operand_write(e, &to, bus_read(e->vcpu->vm, HOST_PORT, e->port, size));
	counter_set(e, GPR_RDI,
		    counter(e, GPR_RDI) + (e->vcpu->rflags & RFLAGS_DF ? -(uint64_t)size : size));
	return 0;
}

static int outs(struct emulation *e)
{
	unsigned size = MIN(size_of(e->insn), 4u), n;
	struct operand from;
	int err = operand_prepare_at(e, e->insn->segment, counter(e, GPR_RSI), size, GMEM_READ, 0,
				     &from);

	if (err)
		return err;
	n = in_a_row(e, e->insn->segment, GPR_RSI, GMEM_READ, 0, &from);
	if (n)
		n = bus_write_string(e->vcpu->vm, e->port, size, from.host[0], n);
	if (n)
		return done_at_once(e, GPR_RSI, size, n);
	watch_port(e, size);
	bus_write(e->vcpu->vm, HOST_PORT, e->port, size, operand_read(e, &from));
	if (vcpu_io_again(e->vcpu))
		return -EINTR;
	counter_set(e, GPR_RSI,
		    counter(e, GPR_RSI) + (e->vcpu->rflags & RFLAGS_DF ? -(uint64_t)size : size));
	return 0;
}

/* One iteration's function. */
static emulate_fn *iteration(const struct insn *i)
{
	switch (i->opcode & ~1u) {
	case 0x6c: return ins;
	case 0x6e: return outs;
	case 0xa4: return movs;
	case 0xa6: return cmps;
	case 0xaa: return stos;
	case 0xac: return lods;
	default: return scas;
	}
}

/* CMPS and SCAS stop at the first difference (REPE) or equality (REPNE). */
static bool found(const struct emulation *e)
{
	unsigned op = e->insn->opcode & ~1u;

	return (op == 0xa6 || op == 0xae) &&
	       !(e->vcpu->rflags & RFLAGS_ZF) == (e->insn->rep == 0xf3);
}

/* With TF set each iteration is a step of its own, and a breakpoint traps where it is met. */
static bool traps(const struct emulation *e)
{
	return e->vcpu->rflags & RFLAGS_TF || e->hits;
}

static int run(struct emulation *e)
{
	emulate_fn *once = iteration(e->insn);
	uint64_t left, generation = ~0ul;
	int err;

	e->at[0].page = e->at[1].page = 1;
	if (!e->insn->rep)
		return once(e);
	/*
	 * A chip that moves many at a time may tell of an access that is some iterations away. Each
	 * is checked in full here.
	 */
	e->met = true;
	for (unsigned n = 0; (left = counter(e, GPR_RCX)) != 0; n++) {
		if (n == ITERATIONS_MAX || (n && vcpu_must_stop(e->vcpu)))
			return -EINTR;
		/* A write to a device may have moved memory about. */
		if (READ_ONCE(e->vcpu->vm->gmem.generation) != generation) {
			generation = READ_ONCE(e->vcpu->vm->gmem.generation);
			e->at[0].page = e->at[1].page = 1;
		}
		err = once(e);
		if (err)
			return err;
		counter_set(e, GPR_RCX, left - 1 - e->more);
		e->more = 0;
		if (found(e))
			return 0;
		if (unlikely(traps(e) && left > 1)) {
			vcpu_next(e->vcpu, 0);
			emulate_trap(e);
			/* Its own breakpoint has been: not again for the iterations to come. */
			e->vcpu->rflags |= RFLAGS_RF;
			return -EINTR;
		}
	}
	return 0;
}

const struct emulate_row emulate_string_rows[] = {
	{ MAP_ONE, 0x6c, 0xfc, GROUP_ANY, PREFIX_ANY, OPERAND_ANY, 0, 0, run },
	{ MAP_ONE, 0xa4, 0xfc, GROUP_ANY, PREFIX_ANY, OPERAND_ANY, 0, 0, run },
	{ MAP_ONE, 0xaa, 0xfe, GROUP_ANY, PREFIX_ANY, OPERAND_ANY, 0, 0, run },
	{ MAP_ONE, 0xac, 0xfc, GROUP_ANY, PREFIX_ANY, OPERAND_ANY, 0, 0, run },
	{ 0 },
};
