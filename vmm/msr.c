/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The allow-list of MSRs; see msr.h. A row is a range with its two handlers; rows are sorted, found
 * by bisection, and their order is checked when the first VM starts (debug builds). Sources: Intel
 * SDM 4, "Model-Specific Registers"; AMD64 APM 2, "MSR Cross-Reference".
 */
#include "vmm/msr.h"

#include "cpu/features.h"
#include "cpu/registers.h"
#include "include/errno.h"
#include "kernel/log.h"
#include "lib/record.h"
#include "lib/string.h"
#include "vmm/pvclock.h"
#include "vmm/vm.h"

#define MTRR_VARIABLE	8
#define MTRR_FIXED	11
#define MTRR_DEF	(2 * MTRR_VARIABLE + MTRR_FIXED)	/* index in vcpu->mtrr */

#define MTRRCAP		(MTRR_VARIABLE | BIT(8) | BIT(10))	/* fixed ranges, write-combining */
#define MTRR_DEF_ENABLE	(BIT(11) | BIT(10))
#define MTRR_MASK_VALID	BIT(11)

#define MSR_DE_CFG	0xc0011029
#define DE_CFG_LFENCE	BIT(1)

#define LINES_MAX	16	/* in the log about a vm's unknown MSRs */

struct msr_row {
	uint32_t first, last;
	int (*read)(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
	int (*write)(struct vcpu *vcpu, uint32_t msr, uint64_t value);
	uint32_t arg;		/* of by_reg: which register */
};

static bool canonical(uint64_t v)
{
	return (uint64_t)((int64_t)(v << 16) >> 16) == v;
}

static int read_zero(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	(void)msr;
	*value = 0;
	return 0;
}

static int write_ignored(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu;
	(void)msr;
	(void)value;
	return 0;
}

static int write_zero_only(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu;
	(void)msr;
	return value ? -EINVAL : 0;
}

/* ---- time ---- */

static int tsc_get(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu_guest_tsc(vcpu);
	return 0;
}

static int tsc_set(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	vcpu_tsc_adjust(vcpu, vcpu->tsc_adjust + value - vcpu_guest_tsc(vcpu));
	return 0;
}

static int tsc_adjust_get(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu->tsc_adjust;
	return 0;
}

static int tsc_adjust_set(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	vcpu_tsc_adjust(vcpu, value);
	return 0;
}

static int deadline_get(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu->vlapic.tsc_deadline;
	return 0;
}

static int deadline_set(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	vlapic_deadline_write(vcpu, value);
	return 0;
}

static int clock_get(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	*value = msr == MSR_KVM_SYSTEM_TIME ? vcpu->pvclock.system_time_msr
					    : vcpu->pvclock.wall_clock_msr;
	return 0;
}

static int clock_set(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	return msr == MSR_KVM_SYSTEM_TIME ? pvclock_system_write(vcpu, value)
					  : pvclock_wall_write(vcpu, value);
}

/* ---- local APIC ---- */

static int apic_base_get(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu->apic_base;
	return 0;
}

static int apic_base_set(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	return vlapic_base_write(vcpu, value);
}

/* ---- memory types: kept to be read back; second-level paging decides what is used ---- */

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

static bool memory_type_valid(uint64_t t)
{
	return t == 0 || t == 1 || t == 4 || t == 5 || t == 6;
}

static bool mtrr_valid(const struct vcpu *vcpu, int index, uint64_t v)
{
	uint64_t high = ~0ul << vcpu->vm->cpuid->phys_bits;

	if (index == MTRR_DEF)
		return !(v & ~(0xfful | MTRR_DEF_ENABLE)) && memory_type_valid(v & 0xff);
	if (index >= 2 * MTRR_VARIABLE) {
		for (unsigned i = 0; i < 8; i++)
			if (!memory_type_valid(v >> (8 * i) & 0xff))
				return false;
		return true;
	}
	if (index & 1)
		return !(v & (high | 0x7ff));
	return !(v & (high | 0xf00)) && memory_type_valid(v & 0xff);
}

static int mtrr_get(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	int i = mtrr_index(msr);

	if (i < 0)
		return -EINVAL;
	*value = vcpu->mtrr[i];
	return 0;
}

static int mtrr_set(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	int i = mtrr_index(msr);

	if (i < 0 || !mtrr_valid(vcpu, i, value))
		return -EINVAL;
	vcpu->mtrr[i] = value;
	return 0;
}

static int mtrrcap_get(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	(void)msr;
	*value = MTRRCAP;
	return 0;
}

static int pat_set(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	for (unsigned i = 0; i < 8; i++) {
		uint64_t t = value >> (8 * i) & 0xff;

		if (!memory_type_valid(t) && t != 7)
			return -EINVAL;
	}
	vmm_ops->reg_set(vcpu, REG_PAT, value);
	return 0;
}

/* ---- registers that the back end keeps ---- */

static const struct msr_row *row_of(uint32_t msr);

static int reg_get(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	*value = vmm_ops->reg_get(vcpu, row_of(msr)->arg);
	return 0;
}

static int reg_set(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	vmm_ops->reg_set(vcpu, row_of(msr)->arg, value);
	return 0;
}

static int reg_set_address(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	return canonical(value) ? reg_set(vcpu, msr, value) : -EINVAL;
}

static int reg_set_low(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	return reg_set(vcpu, msr, value & 0xffffffff);
}

static int tsc_aux_get(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	return cpuid_has(vcpu->vm->cpuid, 0x80000001, 3, 27) ? reg_get(vcpu, msr, value) : -EINVAL;
}

static int tsc_aux_set(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	if (value >> 32 || !cpuid_has(vcpu->vm->cpuid, 0x80000001, 3, 27))
		return -EINVAL;
	return reg_set(vcpu, msr, value);
}

static int efer_set(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	uint64_t old = vmm_ops->reg_get(vcpu, REG_EFER), cr0 = vmm_ops->reg_get(vcpu, REG_CR0);

	(void)msr;
	if (value & ~vcpu->vm->cpuid->efer_allowed || (cr0 & CR0_PG && (old ^ value) & EFER_LME))
		return -EINVAL;
	vmm_ops->reg_set(vcpu, REG_EFER, (value & ~EFER_LMA) | (old & EFER_LMA));
	return 0;
}

static int segment_base_get(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	*value = vmm_ops->segment_base(vcpu, row_of(msr)->arg);
	return 0;
}

static int segment_base_set(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	struct segment s;

	if (!canonical(value))
		return -EINVAL;
	vmm_ops->segment_get(vcpu, row_of(msr)->arg, &s);
	s.base = value;
	vmm_ops->segment_set(vcpu, row_of(msr)->arg, &s);
	return 0;
}

/* ---- constants ---- */

static int misc_enable_get(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	(void)msr;
	if (features.vendor != VENDOR_INTEL)
		return -EINVAL;
	*value = BIT(0) | BIT(11) | BIT(12);	/* fast strings; no BTS, no PEBS */
	return 0;
}

static int misc_enable_set(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)value;
	return misc_enable_get(vcpu, msr, &(uint64_t){ 0 });
}

static int de_cfg_get(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	(void)msr;
	if (features.vendor != VENDOR_AMD)
		return -EINVAL;
	*value = DE_CFG_LFENCE;		/* LFENCE is dispatch-serialising */
	return 0;
}

static int amd_zero_get(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	return features.vendor == VENDOR_AMD ? read_zero(vcpu, msr, value) : -EINVAL;
}

static int amd_ignored_set(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	return features.vendor == VENDOR_AMD ? write_ignored(vcpu, msr, value) : -EINVAL;
}

#define ONE(msr)	(msr), (msr)

static const struct msr_row rows[] = {
	{ ONE(MSR_TSC), tsc_get, tsc_set, 0 },
	{ ONE(MSR_APIC_BASE), apic_base_get, apic_base_set, 0 },
	{ ONE(MSR_TSC_ADJUST), tsc_adjust_get, tsc_adjust_set, 0 },
	{ ONE(MSR_BIOS_SIGN_ID), read_zero, write_ignored, 0 },
	{ ONE(MSR_MTRRCAP), mtrrcap_get, NULL, 0 },
	{ ONE(MSR_SYSENTER_CS), reg_get, reg_set_low, REG_SYSENTER_CS },
	{ ONE(MSR_SYSENTER_ESP), reg_get, reg_set_address, REG_SYSENTER_ESP },
	{ ONE(MSR_SYSENTER_EIP), reg_get, reg_set_address, REG_SYSENTER_EIP },
	{ ONE(MSR_MCG_CAP), read_zero, NULL, 0 },
	{ ONE(MSR_MCG_STATUS), read_zero, write_zero_only, 0 },
	{ ONE(MSR_MISC_ENABLE), misc_enable_get, misc_enable_set, 0 },
	{ ONE(MSR_DEBUGCTL), read_zero, write_zero_only, 0 },
	{ MSR_MTRR_PHYSBASE0, MSR_MTRR_PHYSBASE0 + 2 * MTRR_VARIABLE - 1, mtrr_get, mtrr_set, 0 },
	{ MSR_MTRR_FIX64K_00000, MSR_MTRR_FIX4K_F8000, mtrr_get, mtrr_set, 0 },
	{ ONE(MSR_PAT), reg_get, pat_set, REG_PAT },
	{ ONE(MSR_MTRR_DEF_TYPE), mtrr_get, mtrr_set, 0 },
	{ ONE(MSR_TSC_DEADLINE), deadline_get, deadline_set, 0 },
	{ MSR_KVM_WALL_CLOCK, MSR_KVM_SYSTEM_TIME, clock_get, clock_set, 0 },
	{ ONE(MSR_EFER), reg_get, efer_set, REG_EFER },
	{ ONE(MSR_STAR), reg_get, reg_set, REG_STAR },
	{ ONE(MSR_LSTAR), reg_get, reg_set_address, REG_LSTAR },
	{ ONE(MSR_CSTAR), reg_get, reg_set_address, REG_CSTAR },
	{ ONE(MSR_SFMASK), reg_get, reg_set_low, REG_SFMASK },
	{ ONE(MSR_FS_BASE), segment_base_get, segment_base_set, SEG_FS },
	{ ONE(MSR_GS_BASE), segment_base_get, segment_base_set, SEG_GS },
	{ ONE(MSR_KERNEL_GS_BASE), reg_get, reg_set_address, REG_KERNEL_GS_BASE },
	{ ONE(MSR_TSC_AUX), tsc_aux_get, tsc_aux_set, REG_TSC_AUX },
	{ ONE(MSR_SYSCFG), amd_zero_get, amd_ignored_set, 0 },
	{ ONE(MSR_HWCR), amd_zero_get, amd_ignored_set, 0 },
	{ ONE(MSR_NB_CFG), amd_zero_get, amd_ignored_set, 0 },
	{ ONE(MSR_PATCH_LOADER), NULL, amd_ignored_set, 0 },
	{ ONE(MSR_INT_PENDING), amd_zero_get, amd_ignored_set, 0 },
	{ ONE(MSR_LS_CFG), amd_zero_get, amd_ignored_set, 0 },
	{ ONE(MSR_DE_CFG), de_cfg_get, amd_ignored_set, 0 },
};

/* By far the busiest: looked at first. */
static const struct msr_row x2apic_row = {
	MSR_X2APIC_BASE, MSR_X2APIC_LAST, vlapic_msr_read, vlapic_msr_write, 0,
};

static const struct msr_row *row_of(uint32_t msr)
{
	unsigned lo = 0, hi = ARRAY_COUNT(rows);

	if (likely(msr - MSR_X2APIC_BASE < 0x100))
		return &x2apic_row;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (rows[mid].last < msr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < ARRAY_COUNT(rows) && rows[lo].first <= msr ? &rows[lo] : NULL;
}

/* Is this MSR new to its vm? By a hash, so some that are new are missed. */
static bool first_time(struct vm *vm, uint32_t msr)
{
	unsigned hash = (msr ^ msr >> 8 ^ msr >> 16) & 255;
	uint32_t *word = &vm->msr_logged[hash / 32], bit = 1u << hash % 32;

	return !(READ_ONCE(*word) & bit) &&
	       !(__atomic_fetch_or(word, bit, __ATOMIC_RELAXED) & bit);
}

/* A guest may try them all, on each vCPU: the log's ring is everybody's, so it gets a few lines. */
static int unknown(struct vcpu *vcpu, uint32_t msr, const char *what)
{
	struct vm *vm = vcpu->vm;
	uint32_t line;

	vcpu->msr_unknown++;
	if (!first_time(vm, msr))
		return -EINVAL;
	line = __atomic_fetch_add(&vm->msr_lines, 1, __ATOMIC_RELAXED);
	if (line < LINES_MAX)
		log_debug("%s: vcpu %u: %s of unknown MSR 0x%x gives #GP", vm->config.name,
			  vcpu->id, what, msr);
	else if (line == LINES_MAX)
		log_debug("%s: more unknown MSRs are only counted: see domstats", vm->config.name);
	return -EINVAL;
}

int msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	const struct msr_row *row = row_of(msr);

	if (unlikely(!row || !row->read))
		return unknown(vcpu, msr, "read");
	return row->read(vcpu, msr, value);
}

int msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	const struct msr_row *row = row_of(msr);

	if (unlikely(!row || !row->write))
		return unknown(vcpu, msr, "write");
	return row->write(vcpu, msr, value);
}

/* As a PC's firmware does it: memory is write-back, the hole below 4 GiB is not cached. */
void msr_reset(struct vcpu *vcpu)
{
	uint64_t mask = (BIT(vcpu->vm->cpuid->phys_bits) - 1) & ~(GIB - 1);

	memset(vcpu->mtrr, 0, sizeof(vcpu->mtrr));
	vcpu->mtrr[0] = 3 * GIB;
	vcpu->mtrr[1] = mask | MTRR_MASK_VALID;
	memset(&vcpu->mtrr[2 * MTRR_VARIABLE], 6, 8 * MTRR_FIXED);
	vcpu->mtrr[2 * MTRR_VARIABLE + 2] = 0;		/* A0000 to BFFFF */
	vcpu->mtrr[MTRR_DEF] = MTRR_DEF_ENABLE | 6;
}

void msr_save(const struct vcpu *vcpu, struct record_writer *w)
{
	for (unsigned i = 0; i < ARRAY_COUNT(vcpu->mtrr); i++)
		record_put_u64(w, vcpu->mtrr[i]);
}

void msr_load(struct vcpu *vcpu, struct record_reader *r)
{
	for (unsigned i = 0; i < ARRAY_COUNT(vcpu->mtrr); i++) {
		vcpu->mtrr[i] = record_get_u64(r);
		if (!mtrr_valid(vcpu, (int)i, vcpu->mtrr[i]))
			r->error = -EINVAL;
	}
}
