/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Vectors of which chosen elements alone are accessed: MASKMOVQ and MASKMOVDQU, VMASKMOV and
 * VPMASKMOV, GATHER. The others may well be where no memory is. Which ones a masked move chooses
 * the chip tells: a store done on two copies that differ leaves the same where it writes. GATHER
 * goes on where it stopped, as on the chip: what it has is in the register, and its mask says so.
 * Source: Intel SDM 2, "MASKMOVQ", "MASKMOVDQU", "VMASKMOV", "VPMASKMOV", "VPGATHERDD/VPGATHERQD".
 */
#include "vmm/insn/emulate_state.h"

#include "cpu/fpu_run.h"
#include "lib/string.h"

#define VECTOR_MAX	32u

/* One masked move under way. */
struct masked {
	uint64_t offset;
	enum seg segment;
	unsigned size, element;		/* bytes, of all and of one */
	uint8_t data[VECTOR_MAX];
	bool chosen[VECTOR_MAX];	/* by bytes */
	struct operand o[16];		/* by elements */
};

static int store_twice(struct emulation *e, const struct insn *i, struct masked *m)
{
	struct fpu_insn f = { 0 };
	int err = emulate_vector_run(e, i, &f);

	memcpy(m->data, f.memory, m->size);
	memset(f.memory, 0xff, m->size);
	err = err ?: emulate_vector_run(e, i, &f);
	for (unsigned n = 0; n < m->size; n++)
		m->chosen[n] = f.memory[n] == m->data[n];
	return err;
}

/* The chip may have exited for elements that are not chosen. */
static int prepare(struct emulation *e, struct masked *m, unsigned access)
{
	uint64_t mask = bytes_mask(e->insn->address);
	int err = 0;

	for (unsigned n = 0; !err && n < m->size; n += m->element)
		if (m->chosen[n])
			err = operand_prepare_at(e, m->segment, (m->offset + n) & mask, m->element,
						 access, -1, &m->o[n / m->element]);
	if (!err && !e->met)
		e->met = operand_reaches(e, m->segment, m->offset, m->size);
	return err ?: operand_check(e);
}

static void write_chosen(struct emulation *e, struct masked *m)
{
	for (unsigned n = 0; n < m->size; n += m->element)
		if (m->chosen[n])
			operand_write_bytes(e, &m->o[n / m->element], m->data + n);
}

/* To (rDI), the mask being a register's. */
static int maskmov(struct emulation *e)
{
	const struct insn *i = e->insn;
	bool mmx = !i->prefix66;
	struct masked m = { .segment = i->segment, .size = mmx ? 8 : 16, .element = 1,
			    .offset = e->vcpu->gpr[GPR_RDI] & bytes_mask(i->address) };
	int err;

	if (i->memory || i->vector || (i->encoding && (mmx || i->vvvv)))
		return emulate_fault(e, EXC_UD);
	err = emulate_vector_check(e, mmx) ?: store_twice(e, i, &m) ?: prepare(e, &m, GMEM_WRITE);
	if (!err)
		write_chosen(e, &m);
	return err;
}

/* Those that store are two opcodes behind those that load. */
static int vmaskmov(struct emulation *e)
{
	struct insn store = *e->insn;
	bool integers = store.opcode >= 0x80, loads = !(store.opcode & 2);
	struct masked m = { .segment = store.segment, .size = store.vector ? 32 : 16,
			    .element = (integers ? store.rex & 8 : store.opcode & 1) ? 8 : 4,
			    .offset = operand_offset(e) };
	struct fpu_insn f = { 0 };
	int err = emulate_vector_check(e, false);

	store.opcode |= 2;
	err = err ?: store_twice(e, &store, &m) ?: prepare(e, &m, loads ? GMEM_READ : GMEM_WRITE);
	if (err)
		return err;
	if (!loads) {
		write_chosen(e, &m);
		return 0;
	}
	for (unsigned n = 0; n < m.size; n += m.element)
		if (m.chosen[n])
			operand_read_bytes(e, &m.o[n / m.element], f.memory + n);
	return emulate_vector_run(e, e->insn, &f);
}

/* ---- GATHER */

/* All of a register, by VMOVDQU. */
static int move(struct emulation *e, unsigned reg, void *v, bool load)
{
	const struct insn i = { .mode = 64, .map = MAP_0F, .encoding = ENCODING_VEX, .rep = 0xf3,
				.opcode = load ? 0x6f : 0x7f, .vector = 1, .memory = true,
				.reg = (uint8_t)reg };
	struct fpu_insn f = { 0 };
	int err;

	memcpy(f.memory, v, VECTOR_MAX);
	err = emulate_vector_run(e, &i, &f);
	if (!err)
		memcpy(v, f.memory, VECTOR_MAX);
	return err;
}

struct gather {
	uint8_t index[VECTOR_MAX], mask[VECTOR_MAX], to[VECTOR_MAX];
	unsigned index_size, size, count;
	uint64_t base;
};

static uint64_t offset_of(const struct emulation *e, const struct gather *g, unsigned n)
{
	uint64_t index = 0;

	memcpy(&index, g->index + n * g->index_size, g->index_size);
	index = (uint64_t)bytes_signed(index, g->index_size) << e->insn->shift;
	return (g->base + index) & bytes_mask(e->insn->address);
}

/* One after the other; what has been got is out of the mask. */
static int get_elements(struct emulation *e, struct gather *g)
{
	struct operand o;
	int err = 0;

	for (unsigned n = 0; !err && n < g->count; n++) {
		uint8_t *mask = g->mask + n * g->size;

		if (mask[g->size - 1] & 0x80) {
			err = operand_prepare_at(e, e->insn->segment, offset_of(e, g, n), g->size,
						 GMEM_READ, -1, &o);
			if (!err)
				operand_read_bytes(e, &o, g->to + n * g->size);
		}
		if (!err)
			memset(mask, 0, g->size);
	}
	return err;
}

static uint64_t base_of(struct emulation *e)
{
	const struct insn *i = e->insn;
	struct insn plain = *i;
	uint64_t base;

	plain.index = INSN_NO_REG;
	e->insn = &plain;
	base = operand_offset(e);
	e->insn = i;
	return base;
}

/* Of its SIB byte the index names a vector; number 4 is one, too. */
static int gather(struct emulation *e)
{
	const struct insn *i = e->insn;
	unsigned index = i->index == INSN_NO_REG ? 4 : i->index, all = i->vector ? 32 : 16, done;
	struct gather g = { .index_size = i->opcode & 1 ? 8 : 4, .size = i->rex & 8 ? 8 : 4 };
	int err, stopped;

	if ((i->modrm & 7) != 4 || i->address == 2 || index == i->reg || index == i->vvvv ||
	    i->reg == i->vvvv)
		return emulate_fault(e, EXC_UD);
	g.count = all / MAX(g.index_size, g.size);
	g.base = base_of(e);
	err = emulate_vector_check(e, false) ?: move(e, index, g.index, false);
	err = err ?: move(e, i->vvvv, g.mask, false) ?: move(e, i->reg, g.to, false);
	if (err)
		return err;
	stopped = get_elements(e, &g);
	err = stopped ? 0 : operand_check(e);
	if (err)
		return err;
	done = g.count * g.size;
	if (!stopped) {
		memset(g.mask + done, 0, VECTOR_MAX - done);
		memset(g.to + done, 0, VECTOR_MAX - done);
	}
	err = move(e, i->vvvv, g.mask, true) ?: move(e, i->reg, g.to, true);
	return err ?: stopped;
}

/* None of them is checked for alignment. */
int emulate_elements(struct emulation *e)
{
	const struct insn *i = e->insn;

	e->mode.cr0 &= ~CR0_AM;
	if (i->map == MAP_0F)
		return maskmov(e);
	if (!i->encoding)
		return emulate_fault(e, EXC_UD);
	return (i->opcode & 0xfc) == 0x90 ? gather(e) : vmaskmov(e);
}
