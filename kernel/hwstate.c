/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A thread's state in the CPU; see hwstate.h.
 */
#include "kernel/hwstate.h"

#include "cpu/cpu.h"
#include "cpu/errata.h"
#include "cpu/features.h"
#include "include/errno.h"
#include "kernel/panic.h"
#include "lib/string.h"
#include "mm/heap.h"

static const uint32_t msrs[HW_COUNT] = {
	[HW_STAR] = MSR_STAR, [HW_LSTAR] = MSR_LSTAR, [HW_CSTAR] = MSR_CSTAR,
	[HW_SFMASK] = MSR_SFMASK, [HW_KERNEL_GS_BASE] = MSR_KERNEL_GS_BASE,
};

int hwstate_init(struct hwstate *h, uint64_t xcr0_allowed)
{
	*h = (struct hwstate){ .xcr0_allowed = xcr0_allowed };
	hwstate_reset(h);
	/* A page at least, for its alignment. */
	h->fpu = heap_alloc(MAX(fpu_area_size(), PAGE_SIZE));
	return h->fpu ? 0 : -ENOMEM;
}

void hwstate_fini(struct hwstate *h)
{
	ASSERT(!h->loaded);
	heap_free(h->fpu);
	h->fpu = NULL;
}

void hwstate_reset(struct hwstate *h)
{
	ASSERT(!h->loaded);
	memset(h->reg, 0, sizeof(h->reg));
	h->reg[HW_XCR0] = XCR0_X87;
	h->reg[HW_DR6] = DR6_RESET;
}

static uint64_t read(enum hw_reg r)
{
	switch (r) {
	case HW_XCR0: return cpu_xgetbv(0);
	case HW_DR0: return cpu_read_dr0();
	case HW_DR1: return cpu_read_dr1();
	case HW_DR2: return cpu_read_dr2();
	case HW_DR3: return cpu_read_dr3();
	case HW_CR2: return cpu_read_cr2();
	case HW_DR6: return cpu_read_dr6();
	default: return cpu_rdmsr(msrs[r]);
	}
}

static void write(enum hw_reg r, uint64_t value)
{
	switch (r) {
	case HW_XCR0: (void)!cpu_xsetbv_safe(0, value); break;
	case HW_TSC_AUX: cpu_wrmsr(MSR_TSC_AUX, value); break;
	case HW_DR0: cpu_write_dr0(value); break;
	case HW_DR1: cpu_write_dr1(value); break;
	case HW_DR2: cpu_write_dr2(value); break;
	case HW_DR3: cpu_write_dr3(value); break;
	case HW_CR2: cpu_write_cr2(value); break;
	case HW_DR6: cpu_write_dr6(value); break;
	default: (void)!cpu_wrmsr_safe(msrs[r], value); break;
	}
}

/* Does the CPU have it, and is it this thread's there? */
static bool is_switched(const struct hwstate *h, enum hw_reg r)
{
	return r >= HW_CR2 ? h->whole : r == HW_XCR0 ? fpu_xcr0() != 0 :
	       r != HW_TSC_AUX || cpu_has(FEATURE_RDTSCP);
}

/* TSC_AUX is written here alone. */
uint64_t hwstate_get(const struct hwstate *h, enum hw_reg r)
{
	ASSERT(r < HW_COUNT);
	return h->loaded && r != HW_TSC_AUX && is_switched(h, r) ? read(r) : h->reg[r];
}

void hwstate_set(struct hwstate *h, enum hw_reg r, uint64_t value)
{
	ASSERT(r < HW_COUNT);
	h->reg[r] = value;
	if (h->loaded && is_switched(h, r))
		write(r, value);
}

void hwstate_enter(struct hwstate *h)
{
	ASSERT(!h->loaded);
	/*
	 * An area that XRSTOR refuses came from a hostile record: the state after reset
	 * stands in for it.
	 */
	if (fpu_restore(h->fpu))
		fpu_area_init(h->fpu);
	if (fpu_xcr0())
		write(HW_XCR0, h->reg[HW_XCR0]);
	if (cpu_has(FEATURE_RDTSCP))
		write(HW_TSC_AUX, h->reg[HW_TSC_AUX]);
	cpu_write_dr0(h->reg[HW_DR0]);
	cpu_write_dr1(h->reg[HW_DR1]);
	cpu_write_dr2(h->reg[HW_DR2]);
	cpu_write_dr3(h->reg[HW_DR3]);
	for (enum hw_reg r = HW_CR2; h->whole && r < HW_COUNT; r++)
		write(r, h->reg[r]);
	h->loaded = true;
}

void hwstate_leave(struct hwstate *h)
{
	ASSERT(h->loaded);
	if (fpu_xcr0()) {
		if (errata_has(ERRATUM_XSETBV_NOT_INTERCEPTED))
			h->reg[HW_XCR0] = fpu_xcr0_refuse(cpu_xgetbv(0), h->xcr0_allowed);
		write(HW_XCR0, fpu_xcr0());
	}
	fpu_save(h->fpu);
	h->reg[HW_DR0] = cpu_read_dr0();
	h->reg[HW_DR1] = cpu_read_dr1();
	h->reg[HW_DR2] = cpu_read_dr2();
	h->reg[HW_DR3] = cpu_read_dr3();
	for (enum hw_reg r = HW_CR2; h->whole && r < HW_COUNT; r++)
		h->reg[r] = read(r);
	h->loaded = false;
}
