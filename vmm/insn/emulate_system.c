/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SGDT, SIDT, LGDT, LIDT, SMSW, LMSW, XLAT and BOUND on memory, and what is refused with a reason.
 * Source: Intel SDM 2, "SGDT", "LGDT/LIDT", "SMSW", "LMSW", "XLAT/XLATB", "BOUND".
 */
#include "vmm/insn/emulate_state.h"

#include "vmm/ops.h"

#define CR0_LMSW	(CR0_MP | CR0_EM | CR0_TS)

static enum seg table_of(const struct emulation *e)
{
	return e->insn->reg & 1 ? SEG_IDTR : SEG_GDTR;
}

/* The limit in two bytes, the base in four or, in 64-bit code, eight. */
static int prepare_table(struct emulation *e, unsigned access, struct operand *limit,
			 struct operand *base)
{
	uint64_t offset = operand_offset(e), mask = bytes_mask(e->insn->address);
	int err = operand_prepare_at(e, e->insn->segment, offset, 2, access, -1, limit);

	if (!err)
		err = operand_prepare_at(e, e->insn->segment, (offset + 2) & mask,
					 e->mode.bits == 64 ? 8 : 4, access, -1, base);
	return err ?: operand_check(e);
}

static int store_table(struct emulation *e)
{
	struct operand limit, base;
	struct segment s;
	int err = prepare_table(e, GMEM_WRITE, &limit, &base);

	if (err)
		return err;
	vmm_ops->segment_get(e->vcpu, table_of(e), &s);
	operand_write(e, &limit, s.limit);
	operand_write(e, &base, s.base);
	return 0;
}

static int load_table(struct emulation *e)
{
	struct operand limit, base;
	struct segment s = { 0 };
	int err = prepare_table(e, GMEM_READ, &limit, &base);

	if (err)
		return err;
	s.limit = (uint32_t)operand_read(e, &limit);
	s.base = operand_read(e, &base);
	if (e->mode.bits != 64 && e->insn->operand == 2)
		s.base &= 0xffffff;
	if (!operand_canonical(e, s.base))
		return emulate_fault_error(e, EXC_GP, 0);
	vmm_ops->segment_set(e->vcpu, table_of(e), &s);
	return 0;
}

static int smsw(struct emulation *e)
{
	e->value[0] = e->mode.cr0;
	return 0;
}

/* It can set PE, but not clear it. */
static int lmsw(struct emulation *e)
{
	uint64_t old = e->mode.cr0,
		 new = (old & ~CR0_LMSW) | (e->value[0] & (CR0_LMSW | CR0_PE));

	vmm_ops->reg_set(e->vcpu, REG_CR0, new);
	if ((old ^ new) & CR0_PE)
		vmm_ops->flush_tlb(e->vcpu);
	return 0;
}

static int xlat(struct emulation *e)
{
	uint64_t offset = e->vcpu->gpr[GPR_RBX] + (uint8_t)e->vcpu->gpr[GPR_RAX];
	struct operand o;
	int err = operand_prepare_only(e, offset & bytes_mask(e->insn->address), 1, GMEM_READ, &o);

	if (!err)
		gpr_write(e, GPR_RAX, 1, operand_read(e, &o));
	return err;
}

static int bound(struct emulation *e)
{
	unsigned size = e->insn->operand;
	uint64_t offset = operand_offset(e), mask = bytes_mask(e->insn->address);
	int64_t index = bytes_signed(gpr_read(e, e->insn->reg, size), size);
	struct operand low, high;
	int err = operand_prepare_at(e, e->insn->segment, offset, size, GMEM_READ, -1, &low);

	if (!err)
		err = operand_prepare_at(e, e->insn->segment, (offset + size) & mask, size,
					 GMEM_READ, -1, &high);
	err = err ?: operand_check(e);
	if (err)
		return err;
	if (index < bytes_signed(operand_read(e, &low), size) ||
	    index > bytes_signed(operand_read(e, &high), size))
		return emulate_fault(e, EXC_BR);
	return 0;
}

/* FXSAVE, XSAVE and their like: what they keep is not the emulator's to see. */
static int refuse_state(struct emulation *e)
{
	int err = emulate_unknown(e);

	e->why = "that keeps or restores extended state";
	return err;
}

#define ANY	GROUP_ANY

const struct emulate_row emulate_system_rows[] = {
	{ MAP_0F, 0x01, 0xff, 0, PREFIX_ANY, OPERAND_OWN, 0, ROW_UMIP, store_table },
	{ MAP_0F, 0x01, 0xff, 1, PREFIX_ANY, OPERAND_OWN, 0, ROW_UMIP, store_table },
	{ MAP_0F, 0x01, 0xff, 2, PREFIX_ANY, OPERAND_OWN, 0, ROW_KERNEL, load_table },
	{ MAP_0F, 0x01, 0xff, 3, PREFIX_ANY, OPERAND_OWN, 0, ROW_KERNEL, load_table },
	{ MAP_0F, 0x01, 0xff, 4, PREFIX_ANY, OPERAND_STORE, 2, ROW_UMIP, smsw },
	{ MAP_0F, 0x01, 0xff, 6, PREFIX_ANY, OPERAND_LOAD, 2, ROW_KERNEL, lmsw },
	{ MAP_ONE, 0xd7, 0xff, ANY, PREFIX_ANY, OPERAND_ANY, 0, 0, xlat },
	{ MAP_ONE, 0x62, 0xff, ANY, PREFIX_ANY, OPERAND_OWN, 0, ROW_LEGACY, bound },
	{ MAP_0F, 0xae, 0xff, 0, PREFIX_NO_REP, OPERAND_OWN, 0, 0, refuse_state },
	{ MAP_0F, 0xae, 0xff, 1, PREFIX_NO_REP, OPERAND_OWN, 0, 0, refuse_state },
	{ MAP_0F, 0xae, 0xff, 4, PREFIX_NO_REP, OPERAND_OWN, 0, 0, refuse_state },
	{ MAP_0F, 0xae, 0xff, 5, PREFIX_NO_REP, OPERAND_OWN, 0, 0, refuse_state },
	{ MAP_0F, 0xae, 0xff, 6, PREFIX_NONE, OPERAND_OWN, 0, 0, refuse_state },
	{ MAP_0F, 0xc7, 0xff, 3, PREFIX_NO_REP, OPERAND_OWN, 0, 0, refuse_state },
	{ MAP_0F, 0xc7, 0xff, 4, PREFIX_NO_REP, OPERAND_OWN, 0, 0, refuse_state },
	{ MAP_0F, 0xc7, 0xff, 5, PREFIX_NO_REP, OPERAND_OWN, 0, 0, refuse_state },
	{ 0 },
};
