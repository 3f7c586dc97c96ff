/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The allow-list of MSRs; see msr.h. A row is a range with its two handlers; rows are sorted and
 * found by bisection. Most of the rows are there because systems touch those registers without
 * asking first: docs/MSRS.md lists them with what KVM answers. Such a row is fixed, or has a few
 * bits that are kept.
 * Sources: Intel SDM 4, "Model-Specific Registers"; AMD64 APM 2, "MSR Cross-Reference"; AMD's
 * BIOS and Kernel Developer's Guides.
 */
#include "vmm/msr.h"

#include "cpu/features.h"
#include "cpu/registers.h"
#include "include/errno.h"
#include "kernel/log.h"
#include "lib/record.h"
#include "vmm/mtrr.h"
#include "vmm/pvclock.h"
#include "vmm/vm.h"

/* What is read where a guest looks without asking. */
#define BBL_CR_CTL3	0xbe702111	/* L2 configured and on, 256 KiB, 64 GiB cacheable */
#define DE_CFG_LFENCE	BIT(1)		/* LFENCE is dispatch-serialising */
#define EBC_RATIO_1	BIT(24)		/* core clock = bus clock */
#define FSB_133		3
#define HWCR_TSC_P0	BIT(24)		/* the TSC counts at the frequency of P-state 0 */
#define HWCR_MC_WRITE	BIT(18)
#define HWCR_IGNORED	(BIT(3) | BIT(6) | BIT(8))	/* TLB, flush filter, IGNNE */
#define K7_RAMP_UP	0x20000000
#define PATCH_AMD	0x01000065
#define PATCH_INTEL	BIT(32)		/* revision 1 */
#define PERF_4_1000	(1000 | 4ul << 40)
#define MISC_ENABLE_RESET \
	(MISC_ENABLE_FAST_STRING | MISC_ENABLE_BTS_UNAVAIL | MISC_ENABLE_PEBS_UNAVAIL)
#define MISC_ENABLE_KEPT \
	(MISC_ENABLE_FAST_STRING | MISC_ENABLE_TCC | MISC_ENABLE_EIST | MISC_ENABLE_CPUID_LIMIT | \
	 MISC_ENABLE_XTPR_DISABLE | MISC_ENABLE_XD_DISABLE | MISC_ENABLE_TURBO_DISABLE)
#define MISC_ENABLE_READ_ONLY (MISC_ENABLE_BTS_UNAVAIL | MISC_ENABLE_PEBS_UNAVAIL)

/* Whose processors have a register. */
#define INTEL		BIT(VENDOR_INTEL)
#define AMD		BIT(VENDOR_AMD)
#define ANY		(BIT(VENDOR_OTHER) | INTEL | AMD)

#define LINES_MAX	16	/* in the log about a vm's unknown MSRs */

struct msr_row {
	uint32_t first, last;
	int (*read)(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
	int (*write)(struct vcpu *vcpu, uint32_t msr, uint64_t value);
	uint8_t vendors;
	uint8_t arg;		/* which register or segment; index of vcpu->msr_kept */
	uint64_t reset;		/* fixed or kept: as firmware leaves it */
	uint64_t kept, ignored;	/* bits of a write; another one that differs gives #GP */
};

static bool canonical(uint64_t v)
{
	return (uint64_t)((int64_t)(v << 16) >> 16) == v;
}

static const struct msr_row *row_of(struct vcpu *vcpu, uint32_t msr);

/* ---- what is there to be looked at ---- */

static int fixed_get(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	*value = row_of(vcpu, msr)->reset;
	return 0;
}

static int fixed_set(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	const struct msr_row *row = row_of(vcpu, msr);

	return (value ^ row->reset) & ~row->ignored ? -EINVAL : 0;
}

static int kept_get(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	*value = vcpu->msr_kept[row_of(vcpu, msr)->arg];
	return 0;
}

static int kept_set(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	const struct msr_row *row = row_of(vcpu, msr);

	if ((value ^ row->reset) & ~(row->kept | row->ignored))
		return -EINVAL;
	vcpu->msr_kept[row->arg] = (row->reset & ~row->kept) | (value & row->kept);
	return 0;
}

/* The same revision wherever the VM runs; systems compare it with those that have known faults. */
static int patch_get(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu->vm->cpuid->vendor == VENDOR_AMD ? PATCH_AMD : PATCH_INTEL;
	return 0;
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
	return vcpu->vm->cpuid->tsc_adjust ? 0 : -EINVAL;
}

static int tsc_adjust_set(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	if (unlikely(!vcpu->vm->cpuid->tsc_adjust))
		return -EINVAL;
	vcpu_tsc_adjust(vcpu, value);
	return 0;
}

static int deadline_get(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu->vlapic.tsc_deadline;
	return vcpu->vm->cpuid->tsc_deadline ? 0 : -EINVAL;
}

static int deadline_set(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	if (unlikely(!vcpu->vm->cpuid->tsc_deadline))
		return -EINVAL;
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

/* ---- memory types ---- */

static int pat_set(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	for (unsigned i = 0; i < 8; i++) {
		uint64_t t = value >> (8 * i) & 0xff;

		if (!mtrr_type_valid(t) && t != 7)
			return -EINVAL;
	}
	vmm_ops->reg_set(vcpu, REG_PAT, value);
	return 0;
}

/* ---- registers that the back end keeps ---- */

static int reg_get(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	*value = vmm_ops->reg_get(vcpu, row_of(vcpu, msr)->arg);
	return 0;
}

static int reg_set(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	vmm_ops->reg_set(vcpu, row_of(vcpu, msr)->arg, value);
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

/* LBR is not there and its bit is ignored; BTF is what the back end makes of it. */
static int debugctl_set(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	return value & ~(DEBUGCTL_LBR | DEBUGCTL_BTF) ? -EINVAL : reg_set(vcpu, msr, value);
}

static int tsc_aux_get(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	return cpuid_has(vcpu->vm->cpuid, CPU_RDTSCP) ? reg_get(vcpu, msr, value) : -EINVAL;
}

static int tsc_aux_set(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	if (value >> 32 || !cpuid_has(vcpu->vm->cpuid, CPU_RDTSCP))
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
	*value = vmm_ops->segment_base(vcpu, row_of(vcpu, msr)->arg);
	return 0;
}

static int segment_base_set(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	struct segment s;

	if (!canonical(value))
		return -EINVAL;
	vmm_ops->segment_get(vcpu, row_of(vcpu, msr)->arg, &s);
	s.base = value;
	vmm_ops->segment_set(vcpu, row_of(vcpu, msr)->arg, &s);
	return 0;
}

#define ONE(msr)	(msr), (msr)
#define TO(first, last)	(first), (last)

/* Registers with handlers of their own; fixed ones, with the bits whose writes are ignored. */
#define ROW(range, get, set, n)	{ range, get, set, ANY, n, 0, 0, 0 }
#define READ(range, whose, value) { range, fixed_get, NULL, whose, 0, value, 0, 0 }
#define FIXED(range, whose, value, ignored) \
	{ range, fixed_get, fixed_set, whose, 0, value, 0, ignored }
#define KEPT(range, whose, value, kept, ignored, n) \
	{ range, kept_get, kept_set, whose, n, value, kept, ignored }

static const struct msr_row rows[] = {
	READ(TO(MSR_P5_MC_ADDR, MSR_P5_MC_TYPE), ANY, 0),
	ROW(ONE(MSR_TSC), tsc_get, tsc_set, 0),
	READ(ONE(MSR_PLATFORM_ID), INTEL, 0),
	ROW(ONE(MSR_APIC_BASE), apic_base_get, apic_base_set, 0),
	READ(ONE(MSR_EBL_CR_POWERON), INTEL, 0),
	READ(ONE(MSR_EBC_FREQUENCY_ID), INTEL, EBC_RATIO_1),
	READ(ONE(MSR_SMI_COUNT), INTEL, 0),
	READ(ONE(MSR_FEATURE_CONTROL), INTEL, FEATURE_CONTROL_LOCK),
	ROW(ONE(MSR_TSC_ADJUST), tsc_adjust_get, tsc_adjust_set, 0),
	{ ONE(MSR_BIOS_UPDT_TRIG), NULL, fixed_set, INTEL, 0, 0, 0, ~0ul },
	{ ONE(MSR_BIOS_SIGN_ID), patch_get, fixed_set, ANY, 0, 0, 0, ~0ul },
	FIXED(TO(MSR_PMC0, MSR_PMC0 + 1), ANY, 0, ~0ul),
	READ(ONE(MSR_FSB_FREQ), INTEL, FSB_133),
	READ(ONE(MSR_PLATFORM_INFO), ANY, 0),
	READ(ONE(MSR_MTRRCAP), ANY, MTRR_CAP),
	FIXED(ONE(MSR_BBL_CR_CTL3), INTEL, BBL_CR_CTL3, ~0ul),
	FIXED(ONE(MSR_MISC_FEATURES_ENABLES), ANY, 0, 0),
	ROW(ONE(MSR_SYSENTER_CS), reg_get, reg_set_low, REG_SYSENTER_CS),
	ROW(ONE(MSR_SYSENTER_ESP), reg_get, reg_set_address, REG_SYSENTER_ESP),
	ROW(ONE(MSR_SYSENTER_EIP), reg_get, reg_set_address, REG_SYSENTER_EIP),
	READ(ONE(MSR_MCG_CAP), ANY, 0),
	FIXED(ONE(MSR_MCG_STATUS), ANY, 0, 0),
	FIXED(TO(MSR_PERFEVTSEL0, MSR_PERFEVTSEL0 + 1), ANY, 0, ~0ul),
	READ(ONE(MSR_PERF_STATUS), INTEL, PERF_4_1000),
	READ(ONE(MSR_PERF_CTL), INTEL, 0),
	KEPT(ONE(MSR_MISC_ENABLE), ANY, MISC_ENABLE_RESET, MISC_ENABLE_KEPT,
	     ~MISC_ENABLE_READ_ONLY, KEPT_MISC_ENABLE),
	ROW(ONE(MSR_DEBUGCTL), reg_get, debugctl_set, REG_DEBUGCTL),
	READ(TO(MSR_LASTBRANCHFROMIP, MSR_LASTINTTOIP), ANY, 0),
	KEPT(ONE(MSR_POWER_CTL), INTEL, 0, ~0ul, 0, KEPT_POWER_CTL),
	ROW(TO(MSR_MTRR_PHYSBASE0, MSR_MTRR_PHYSBASE0 + 2 * MTRR_VARIABLE - 1), mtrr_get, mtrr_set,
	    0),
	ROW(TO(MSR_MTRR_FIX64K_00000, MSR_MTRR_FIX4K_F8000), mtrr_get, mtrr_set, 0),
	ROW(ONE(MSR_PAT), reg_get, pat_set, REG_PAT),
	ROW(ONE(MSR_MTRR_DEF_TYPE), mtrr_get, mtrr_set, 0),
	READ(ONE(MSR_RAPL_POWER_UNIT), INTEL, 0),
	READ(ONE(MSR_PKG_ENERGY_STATUS), INTEL, 0),
	READ(ONE(MSR_DRAM_ENERGY_STATUS), INTEL, 0),
	READ(ONE(MSR_PP0_ENERGY_STATUS), INTEL, 0),
	READ(ONE(MSR_PP1_ENERGY_STATUS), INTEL, 0),
	ROW(ONE(MSR_TSC_DEADLINE), deadline_get, deadline_set, 0),
	ROW(TO(MSR_KVM_WALL_CLOCK, MSR_KVM_SYSTEM_TIME), clock_get, clock_set, 0),
	ROW(ONE(MSR_EFER), reg_get, efer_set, REG_EFER),
	ROW(ONE(MSR_STAR), reg_get, reg_set, REG_STAR),
	ROW(ONE(MSR_LSTAR), reg_get, reg_set_address, REG_LSTAR),
	ROW(ONE(MSR_CSTAR), reg_get, reg_set_address, REG_CSTAR),
	ROW(ONE(MSR_SFMASK), reg_get, reg_set_low, REG_SFMASK),
	ROW(ONE(MSR_FS_BASE), segment_base_get, segment_base_set, SEG_FS),
	ROW(ONE(MSR_GS_BASE), segment_base_get, segment_base_set, SEG_GS),
	ROW(ONE(MSR_KERNEL_GS_BASE), reg_get, reg_set_address, REG_KERNEL_GS_BASE),
	ROW(ONE(MSR_TSC_AUX), tsc_aux_get, tsc_aux_set, REG_TSC_AUX),
	/* No bit of CPUID's tells of these eight, so test kernels clear them on any processor. */
	FIXED(TO(MSR_PERFCTR_SEL0_K7, MSR_PERFCTR0_K7 + 3), ANY, 0, ~0ul),
	FIXED(ONE(MSR_SYSCFG), AMD, 0, ~0ul),
	KEPT(ONE(MSR_HWCR), AMD, HWCR_TSC_P0, HWCR_TSC_P0 | HWCR_MC_WRITE, HWCR_IGNORED, KEPT_HWCR),
	FIXED(ONE(MSR_CLK_CTL_K7), AMD, K7_RAMP_UP, ~0ul),
	FIXED(ONE(MSR_NB_CFG), AMD, 0, ~0ul),
	{ ONE(MSR_PATCH_LOADER), NULL, fixed_set, AMD, 0, 0, 0, ~0ul },
	FIXED(ONE(MSR_INT_PENDING), AMD, 0, ~0ul),
	FIXED(ONE(MSR_MMIO_CONF_BASE), AMD, 0, 0),
	READ(TO(MSR_TSEG_ADDR, MSR_TSEG_MASK), AMD, 0),
	/* Locked off, as by firmware, and so are the writes. */
	FIXED(ONE(MSR_VM_CR), AMD, VM_CR_LOCK | VM_CR_SVMDIS, ~0ul),
	FIXED(ONE(MSR_LS_CFG), AMD, 0, ~0ul),
	FIXED(ONE(MSR_IC_CFG), AMD, 0, ~0ul),
	FIXED(TO(MSR_DC_CFG, MSR_TW_CFG), AMD, 0, ~0ul),
	FIXED(ONE(MSR_DE_CFG), AMD, DE_CFG_LFENCE, ~0ul),
	FIXED(ONE(MSR_BU_CFG2), AMD, 0, ~0ul),
	FIXED(ONE(MSR_EX_CFG), AMD, 0, ~0ul),
};

/* By far the busiest: looked at first. */
static const struct msr_row x2apic_row = {
	MSR_X2APIC_BASE, MSR_X2APIC_LAST, vlapic_msr_read, vlapic_msr_write, ANY, 0, 0, 0, 0,
};

static noinline const struct msr_row *find_row(const struct vcpu *vcpu, uint32_t msr)
{
	unsigned lo = 0, hi = ARRAY_COUNT(rows);

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (rows[mid].last < msr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < ARRAY_COUNT(rows) && rows[lo].first <= msr &&
		       rows[lo].vendors & BIT(vcpu->vm->cpuid->vendor) ? &rows[lo] : NULL;
}

/* A guest uses a few of them again and again: these are searched for once. */
static const struct msr_row *row_of(struct vcpu *vcpu, uint32_t msr)
{
	unsigned slot = (msr ^ msr >> 4) % ARRAY_COUNT(vcpu->msr_recent);
	const struct msr_row *row = vcpu->msr_recent[slot];

	if (likely(msr - MSR_X2APIC_BASE < 0x100))
		return &x2apic_row;
	if (likely(row && msr - row->first <= row->last - row->first))
		return row;
	row = find_row(vcpu, msr);
	if (row)
		vcpu->msr_recent[slot] = row;
	return row;
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
	const struct msr_row *row = row_of(vcpu, msr);

	if (unlikely(!row || !row->read))
		return unknown(vcpu, msr, "read");
	return row->read(vcpu, msr, value);
}

int msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	const struct msr_row *row = row_of(vcpu, msr);

	if (unlikely(!row || !row->write))
		return unknown(vcpu, msr, "write");
	return row->write(vcpu, msr, value);
}

static bool is_kept(const struct msr_row *row)
{
	return row->read == kept_get;
}

void msr_reset(struct vcpu *vcpu)
{
	mtrr_reset(vcpu);
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++)
		if (is_kept(&rows[i]))
			vcpu->msr_kept[rows[i].arg] = rows[i].reset;
}

void msr_save(const struct vcpu *vcpu, struct record_writer *w)
{
	mtrr_save(vcpu, w);
	for (unsigned i = 0; i < KEPT_COUNT; i++)
		record_put_u64(w, vcpu->msr_kept[i]);
}

void msr_load(struct vcpu *vcpu, struct record_reader *r)
{
	mtrr_load(vcpu, r);
	for (unsigned i = 0; i < KEPT_COUNT; i++)
		vcpu->msr_kept[i] = record_get_u64(r);
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++)
		if (is_kept(&rows[i]) &&
		    (vcpu->msr_kept[rows[i].arg] ^ rows[i].reset) & ~rows[i].kept)
			r->error = -EINVAL;
}
