/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's memory type ranges: kept to be read back and checked as a chip does it, while
 * second-level paging decides what is used. The vCPU's thread, or while it is parked; no locks.
 * Source: Intel SDM 3, "Memory Type Range Registers (MTRRs)".
 */
#include "vmm/mtrr.h"

#include "cpu/registers.h"
#include "include/errno.h"
#include "lib/record.h"
#include "lib/string.h"
#include "vmm/vm.h"

#define MTRR_FIXED	11
#define MTRR_DEF	(2 * MTRR_VARIABLE + MTRR_FIXED)	/* index in vcpu->mtrr */

#define MTRR_DEF_ENABLE	(BIT(11) | BIT(10))
#define MTRR_MASK_VALID	BIT(11)

static int mtrr_index(uint32_t msr)
{
	static const uint16_t fixed[MTRR_FIXED] = {
		MSR_MTRR_FIX64K_00000, MSR_MTRR_FIX16K_80000, MSR_MTRR_FIX16K_A0000,
		MSR_MTRR_FIX4K_C0000, MSR_MTRR_FIX4K_C8000, MSR_MTRR_FIX4K_D0000,
		MSR_MTRR_FIX4K_D8000, MSR_MTRR_FIX4K_E0000, MSR_MTRR_FIX4K_E8000,
		MSR_MTRR_FIX4K_F0000, MSR_MTRR_FIX4K_F8000,
	};

	if (msr == MSR_MTRR_DEF_TYPE)
		return MTRR_DEF;
	if (msr - MSR_MTRR_PHYSBASE0 < 2 * MTRR_VARIABLE)
		return (int)(msr - MSR_MTRR_PHYSBASE0);
	for (unsigned i = 0; i < MTRR_FIXED; i++)
		if (fixed[i] == msr)
			return (int)(2 * MTRR_VARIABLE + i);
	return -1;
}

bool mtrr_type_valid(uint64_t t)
{
	return t == 0 || t == 1 || t == 4 || t == 5 || t == 6;
}

static bool mtrr_valid(const struct vcpu *vcpu, int index, uint64_t v)
{
	uint64_t high = ~0ul << vcpu->vm->cpuid->phys_bits;

	if (index == MTRR_DEF)
		return !(v & ~(0xfful | MTRR_DEF_ENABLE)) && mtrr_type_valid(v & 0xff);
	if (index >= 2 * MTRR_VARIABLE) {
		for (unsigned i = 0; i < 8; i++)
			if (!mtrr_type_valid(v >> (8 * i) & 0xff))
				return false;
		return true;
	}
	if (index & 1)
		return !(v & (high | 0x7ff));
	return !(v & (high | 0xf00)) && mtrr_type_valid(v & 0xff);
}

int mtrr_get(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	int i = mtrr_index(msr);

	if (i < 0)
		return -EINVAL;
	*value = vcpu->mtrr[i];
	return 0;
}

int mtrr_set(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	int i = mtrr_index(msr);

	if (i < 0 || !mtrr_valid(vcpu, i, value))
		return -EINVAL;
	vcpu->mtrr[i] = value;
	return 0;
}

/* As a PC's firmware does it: memory is write-back, the hole below 4 GiB is not cached. */
void mtrr_reset(struct vcpu *vcpu)
{
	uint64_t mask = (BIT(vcpu->vm->cpuid->phys_bits) - 1) & ~(GIB - 1);

	memset(vcpu->mtrr, 0, sizeof(vcpu->mtrr));
	vcpu->mtrr[0] = 3 * GIB;
	vcpu->mtrr[1] = mask | MTRR_MASK_VALID;
	memset(&vcpu->mtrr[2 * MTRR_VARIABLE], 6, 8 * MTRR_FIXED);
	vcpu->mtrr[2 * MTRR_VARIABLE + 2] = 0;		/* A0000 to BFFFF */
	vcpu->mtrr[MTRR_DEF] = MTRR_DEF_ENABLE | 6;
}

void mtrr_save(const struct vcpu *vcpu, struct record_writer *w)
{
	for (unsigned i = 0; i < ARRAY_COUNT(vcpu->mtrr); i++)
		record_put_u64(w, vcpu->mtrr[i]);
}

void mtrr_load(struct vcpu *vcpu, struct record_reader *r)
{
	for (unsigned i = 0; i < ARRAY_COUNT(vcpu->mtrr); i++) {
		vcpu->mtrr[i] = record_get_u64(r);
		if (!mtrr_valid(vcpu, (int)i, vcpu->mtrr[i]))
			r->error = -EINVAL;
	}
}
