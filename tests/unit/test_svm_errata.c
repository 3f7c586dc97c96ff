/* SPDX-License-Identifier: BSD-2-Clause */
/* links: svm/svm_errata.c cpu/fpu.c mm/page.c mm/page_intake.c tests/host/memory.c
 * tests/host/percpu.c tests/host/spinlock.c tests/host/panic.c tests/host/log.c */
/*
 * Quirks found by trial, on chips that are made of one function: the right one, the quirky one, and
 * one whose exits say nothing, which leaves the table as it was.
 */
#include "svm/svm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/cpu.h"
#include "cpu/errata.h"
#include "cpu/features.h"
#include "cpu/fpu.h"
#include "cpu/ipi.h"
#include "cpu/irq.h"
#include "tests/host/memory.h"

const char svm_errata_halt[4], svm_errata_xsetbv[4], svm_errata_arm[4], svm_errata_detect[4],
	svm_errata_rdtscp[4], svm_errata_cr4[4], svm_errata_spin[4];

struct features features;
struct svm_cpu svm_cpu PERCPU;
hpa_t svm_iopm, svm_msrpm;

enum chip { RIGHT, QUIRKY, MUTE };

static enum chip chip;
static bool gif = true, ipi;
static unsigned entries;
static int found[ERRATUM_COUNT];	/* -1: nobody said */

void errata_force(enum erratum e, bool present)
{
	found[e] = present;
}

/* Of the table, where nobody said. */
static bool guess;

bool errata_has(enum erratum e)
{
	return found[e] < 0 ? guess : found[e];
}

/* The state that Keel does not keep: MPX's. */
#define STATES		0x1f
#define KEPT		0x07

static struct cpuid_regs states(uint32_t leaf, uint32_t subleaf)
{
	return (struct cpuid_regs){ .eax = leaf == 0xd && !subleaf ? STATES : 0 };
}

void svm_gif_clear(void)
{
	gif = false;
}

void svm_gif_set(void)
{
	gif = true;
}

void ipi_send(unsigned cpu, unsigned vector)
{
	assert_int_equal(cpu, cpu_index());
	assert_int_equal(vector, IRQ_KICK);
	assert_false(cpu_irq_enabled());
	ipi = true;
}

void svm_vmsave(hpa_t vmcb)
{
	((struct vmcb *)page_virt(page_of(vmcb)))->fs.base = 0x1234;
}

/* #DB clears DR6, where the breakpoint is armed still. */
void svm_errata_met(void)
{
	if (chip == QUIRKY)
		cpu_write_dr6(0);
}

static uint64_t exit_of(struct vmcb *v)
{
	bool quirky = chip == QUIRKY;

	if (chip == MUTE)
		return SVM_EXIT_SHUTDOWN;
	if (!v->asid)
		return quirky ? SVM_EXIT_INVALID : ~0ul;
	if (v->vintr & VINTR_IRQ) {
		if (v->interrupt_shadow) {
			v->rip += !quirky;
			return SVM_EXIT_VINTR;
		}
		return quirky ? SVM_EXIT_HLT : SVM_EXIT_VINTR;
	}
	if (svm_intercepts(v, INTERCEPT_INTR)) {
		assert_true(ipi && !(v->rflags & RFLAGS_IF));
		return quirky ? SVM_EXIT_HLT : SVM_EXIT_INTR;
	}
	if (v->rip == (uint64_t)svm_errata_xsetbv && v->cr4 & CR4_OSXSAVE)
		return quirky ? SVM_EXIT_HLT : SVM_EXIT_XSETBV;
	if (v->rip == (uint64_t)svm_errata_detect)
		return quirky ? SVM_EXIT_HLT : SVM_EXIT_EXCEPTION + EXC_DB;
	if (v->rip == (uint64_t)svm_errata_rdtscp)
		return quirky ? SVM_EXIT_RDTSC : SVM_EXIT_RDTSCP;
	if (v->rip == (uint64_t)svm_errata_cr4)
		return quirky ? SVM_EXIT_INVALID : SVM_EXIT_EXCEPTION + EXC_GP;
	return SVM_EXIT_HLT;
}

void svm_enter(uint64_t *gpr, hpa_t vmcb, hpa_t host_vmcb)
{
	struct vmcb *v = page_virt(page_of(vmcb));

	(void)gpr;
	(void)host_vmcb;
	assert_false(gif);
	/* With IF off no interrupt reaches the guest; with IF on it must exit. */
	assert_int_equal(cpu_irq_enabled(), svm_intercepts(v, INTERCEPT_INTR));
	/* What VMRUN demands, what VMLOAD brings, and no way for the guest to go anywhere. */
	assert_true(svm_intercepts(v, INTERCEPT_VMRUN) && svm_intercepts(v, INTERCEPT_HLT) &&
		    svm_intercepts(v, INTERCEPT_NMI));
	for (unsigned i = 0; i < 32; i++)
		assert_true(svm_intercepts(v, INTERCEPT_EXCEPTION + i));
	assert_int_equal(v->fs.base, 0x1234);
	assert_false(v->np_enable);
	entries++;
	v->exit_code = exit_of(v);
}

static int setup(void **state)
{
	(void)state;
	memset(found, -1, sizeof(found));
	entries = 0;
	ipi = false;
	features.bits[FEATURE_RDTSCP / 64] |= BIT(FEATURE_RDTSCP % 64);
	features.bits[FEATURE_XSAVE / 64] |= BIT(FEATURE_XSAVE % 64);
	features.max_basic = 0xd;
	host_cpuid = states;
	return 0;
}

static const enum erratum tried[] = {
	ERRATUM_SVM_INJECT_BY_EVENTINJ, ERRATUM_SVM_SHADOW_LOST, ERRATUM_SVM_NO_PREEMPTION,
	ERRATUM_SVM_EXIT_CODE_SHORT,
	ERRATUM_XSETBV_NOT_INTERCEPTED, ERRATUM_SVM_RDTSCP_AS_RDTSC, ERRATUM_SVM_CR_FAULT_INVALID,
	ERRATUM_SVM_BREAKPOINTS_STAY, ERRATUM_SVM_NO_GENERAL_DETECT,
};

static void all_are(enum chip which, int verdict)
{
	uint64_t free = memory_free();
	unsigned count = 0;

	chip = which;
	assert_int_equal(svm_errata_find(), 0);
	for (unsigned i = 0; i < ARRAY_COUNT(tried); i++)
		assert_int_equal(found[tried[i]], verdict);
	for (unsigned i = 0; i < ERRATUM_COUNT; i++)
		count += found[i] >= 0;
	assert_int_equal(count, verdict < 0 ? 0 : ARRAY_COUNT(tried));
	assert_int_equal(entries, ARRAY_COUNT(tried));
	assert_true(gif && cpu_irq_enabled());
	assert_int_equal(memory_free(), free);
}

static void right_chip(void **state)
{
	(void)state;
	all_are(RIGHT, 0);
}

static void quirky_chip(void **state)
{
	(void)state;
	all_are(QUIRKY, 1);
}

static void chip_that_says_nothing(void **state)
{
	(void)state;
	all_are(MUTE, -1);
}

/* What the CPU lacks is not executed. */
static void without_rdtscp_and_xsave(void **state)
{
	(void)state;
	chip = QUIRKY;
	memset(&features, 0, sizeof(features));
	assert_int_equal(svm_errata_find(), 0);
	assert_int_equal(entries, ARRAY_COUNT(tried) - 2);
	assert_int_equal(found[ERRATUM_SVM_RDTSCP_AS_RDTSC], -1);
	assert_int_equal(found[ERRATUM_XSETBV_NOT_INTERCEPTED], -1);
}

/* Keel's XCR0 is by the trial, whatever the table guessed before it; else by the table. */
static void xcr0_is_by_the_trial(void **state)
{
	static const struct {
		enum chip chip;
		bool guess;
		uint64_t xcr0;
	} t[] = {
		{ RIGHT, true, KEPT }, { RIGHT, false, KEPT },
		{ QUIRKY, true, STATES }, { QUIRKY, false, STATES },
		{ MUTE, true, STATES }, { MUTE, false, KEPT },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(t); i++) {
		setup(state);
		chip = t[i].chip;
		guess = t[i].guess;
		fpu_init();
		assert_int_equal(svm_errata_find(), 0);
		fpu_cpu_init();
		assert_int_equal(host_xcr0, t[i].xcr0);
		assert_int_equal(fpu_xcr0(), t[i].xcr0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(right_chip, setup),
		cmocka_unit_test_setup(quirky_chip, setup),
		cmocka_unit_test_setup(chip_that_says_nothing, setup),
		cmocka_unit_test(xcr0_is_by_the_trial),
		cmocka_unit_test_setup(without_rdtscp_and_xsave, setup),
	};

	memory_init(16 * MIB);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
