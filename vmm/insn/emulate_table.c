/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How an instruction is done is a row: its map, opcode, group and prefix, what becomes of its
 * memory operand, and a function. The operand is prepared and read here, the function computes in
 * struct emulation alone, and all that it says is committed here: memory first, then registers and
 * flags. So LOCK costs the functions nothing: where another vCPU was quicker, they compute again.
 * The rows stand in the files of their functions; found when a decoded instruction is done first.
 * Source: Intel SDM 2, "Opcode Map"; SDM 3, "Locked Atomic Operations".
 */
#include "vmm/insn/emulate_state.h"

#include "lib/string.h"

#define ATTEMPTS	64		/* at a locked operand that others write, too */

static const struct emulate_row *const tables[] = {
	emulate_ops_rows, emulate_string_rows, emulate_shift_rows, emulate_bits_rows,
	emulate_muldiv_rows, emulate_stack_rows, emulate_frame_rows, emulate_flags_rows,
	emulate_segment_rows, emulate_far_rows, emulate_return_rows, emulate_system_rows,
	emulate_vector_rows,
};

static bool prefix_fits(const struct insn *i, unsigned prefix)
{
	switch (prefix) {
	case PREFIX_NONE: return !i->rep && !i->prefix66;
	case PREFIX_66: return !i->rep && i->prefix66;
	case PREFIX_F3: return i->rep == 0xf3;
	case PREFIX_F2: return i->rep == 0xf2;
	case PREFIX_NO_REP: return !i->rep;
	default: return true;
	}
}

/* EVEX and XOP have no rows; VEX of more than 128 bits only vectors. */
static bool encoding_fits(const struct insn *i, const struct emulate_row *r)
{
	if (r->size == SIZE_VECTOR)
		return i->encoding <= ENCODING_VEX;
	return i->encoding == (r->flags & ROW_VEX ? ENCODING_VEX : ENCODING_LEGACY) && !i->vector;
}

static bool is_row(const struct insn *i, const struct emulate_row *r)
{
	if (r->map != i->map || r->opcode != (i->opcode & r->mask) || !encoding_fits(i, r))
		return false;
	if (r->group != GROUP_ANY && r->group != (i->reg & 7))
		return false;
	if (r->flags & (i->mode == 64 ? ROW_LEGACY : ROW_64))
		return false;
	return (i->memory || r->operand == OPERAND_ANY) && prefix_fits(i, r->prefix);
}

const struct emulate_row *emulate_find(const struct insn *i)
{
	for (unsigned t = 0; t < ARRAY_COUNT(tables); t++)
		for (const struct emulate_row *r = tables[t]; r->run; r++)
			if (is_row(i, r))
				return r;
	return NULL;
}

int emulate_fault(struct emulation *e, unsigned vector)
{
	e->fault = (struct event){ .valid = true, .type = EVENT_EXCEPTION,
				   .vector = (uint8_t)vector };
	return -EFAULT;
}

int emulate_fault_error(struct emulation *e, unsigned vector, uint32_t error)
{
	e->fault = (struct event){ .valid = true, .type = EVENT_EXCEPTION, .has_error = true,
				   .vector = (uint8_t)vector, .error = error };
	return -EFAULT;
}

/* What comes before any access to memory. */
static int check_rights(struct emulation *e, const struct emulate_row *row)
{
	unsigned flags = row->flags;

	if (flags & ROW_PROTECTED && emulate_real(e))
		return emulate_fault(e, EXC_UD);
	if (e->mode.cpl &&
	    (flags & ROW_KERNEL || (flags & ROW_UMIP && e->mode.cr4 & CR4_UMIP)))
		return emulate_fault_error(e, EXC_GP, 0);
	return 0;
}

static unsigned size_of(const struct insn *i, unsigned size)
{
	unsigned y = i->operand == 8 ? 8 : 4;

	switch (size) {
	case SIZE_V: return i->operand;
	case SIZE_BV: return i->opcode & 1 ? i->operand : 1;
	case SIZE_Y: return y;
	case SIZE_Z: return MIN(i->operand, 4);
	case SIZE_PAIR: return 2 * y;
	default: return size;
	}
}

/* The bit string's part that holds the bit. */
static uint64_t offset_of(const struct emulation *e, unsigned flags)
{
	uint64_t offset = operand_offset(e);
	int64_t bit;

	if (!(flags & ROW_BITS))
		return offset;
	bit = bytes_signed(reg_in(e), e->size);
	offset += (uint64_t)((bit & ~(int64_t)(8 * e->size - 1)) / 8);
	return offset & bytes_mask(e->insn->address);
}

static int compute(struct emulation *e, emulate_fn *run)
{
	e->rflags = e->vcpu->rflags;
	e->outs = 0;
	return run(e);
}

static int change(struct emulation *e, const struct emulate_row *row, const struct operand *o)
{
	bool locked = e->insn->lock || row->flags & ROW_LOCKED;
	uint64_t old[2];
	int err;

	for (unsigned n = 0; n < ATTEMPTS; n++) {
		memcpy(old, e->value, sizeof(old));
		err = compute(e, row->run);
		if (err || operand_replace(e, o, locked, old, e->value))
			return err;
		memcpy(e->value, old, sizeof(old));
	}
	return -EINTR;
}

static void commit(struct emulation *e)
{
	for (unsigned n = 0; n < e->outs; n++)
		gpr_write(e, e->out[n].reg, e->out[n].size, e->out[n].value);
	e->vcpu->rflags = e->rflags;
}

static int run_operand(struct emulation *e, const struct emulate_row *row)
{
	bool loads = row->operand == OPERAND_LOAD, stores = row->operand == OPERAND_STORE;
	struct operand o;
	int err;

	e->size = (uint8_t)size_of(e->insn, row->size);
	e->aligned = row->size == SIZE_PAIR && e->insn->operand == 8;	/* whatever AC says */
	err = operand_prepare_only(e, offset_of(e, row->flags), e->size,
				   loads ? GMEM_READ : GMEM_WRITE, &o);
	if (err)
		return err;
	if (!stores)
		operand_read_bytes(e, &o, e->value);
	err = row->operand == OPERAND_CHANGE ? change(e, row, &o) : compute(e, row->run);
	if (err)
		return err;
	if (stores)
		operand_write_bytes(e, &o, e->value);
	commit(e);
	return 0;
}

int emulate_run(struct emulation *e, const struct emulate_row *row)
{
	int err = check_rights(e, row);

	if (err)
		return err;
	return row->operand < OPERAND_OWN ? run_operand(e, row) : row->run(e);
}
