/* SPDX-License-Identifier: BSD-2-Clause */
/* links: cpu/tsc.c tests/host/panic.c tests/host/log.c */
/*
 * cpu/tsc.c: which word on the frequency counts; two CPUs, each a stack, that compare their TSCs.
 * Time goes on by what is waited; a tick of the TSC is a nanosecond.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <cmocka.h>

#include "cpu/cpu.h"
#include "cpu/errata.h"
#include "cpu/features.h"
#include "cpu/tsc.h"

#define MHZ	1000000ul

uint64_t host_tsc;
int64_t host_tsc_skew;
struct features features;
static bool quirk;

void errata_set(enum erratum e)
{
	quirk |= e == ERRATUM_CPUID_TSC_WRONG;
}

bool errata_has(enum erratum e)
{
	(void)e;
	return quirk;
}

enum errata_bed errata_bed(void)
{
	return BED_CHIP;
}

static void pass_time(void)
{
	host_tsc += 20000;
}

/* ---- frequency ---- */

static struct cpuid_regs leaf15, leaf16;

static struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	(void)subleaf;
	return leaf == 0x15 ? leaf15 : leaf == 0x16 ? leaf16 : (struct cpuid_regs){ 0 };
}

static bool reference_moves;

static uint64_t reference_read(void)
{
	return reference_moves ? host_tsc / 100 : 0;
}

/* At 10 MHz by the TSC's 1000. */
static const struct tsc_reference reference = { "reference", 10 * MHZ, ~0ul, reference_read };

static uint64_t frequency(unsigned model, struct cpuid_regs l15, struct cpuid_regs l16)
{
	features = (struct features){
		.vendor = VENDOR_INTEL, .family = 6, .model = model, .max_basic = 0x16,
	};
	leaf15 = l15;
	leaf16 = l16;
	host_cpuid = cpuid;
	host_pause = pass_time;
	quirk = false;
	tsc_init();
	return tsc_hz;
}

static void exact_word_counts(void **state)
{
	(void)state;
	reference_moves = true;
	tsc_add_reference(&reference);
	assert_int_equal(frequency(0x55, (struct cpuid_regs){ 2, 80, 25 * MHZ + 10000, 0 },
				   (struct cpuid_regs){ 0 }), 1000400000);
	assert_false(quirk);
	/* The crystal is known by the model: 24 MHz * 83 / 2 = 996 MHz is too far off. */
	assert_int_equal(frequency(0x5e, (struct cpuid_regs){ 3, 125, 0, 0 },
				   (struct cpuid_regs){ 0 }), 1000000000);
	assert_in_range(frequency(0x5e, (struct cpuid_regs){ 2, 83, 0, 0 },
				  (struct cpuid_regs){ 0 }), 999990000, 1000010000);
	assert_false(quirk);
	assert_in_range(frequency(0x5e, (struct cpuid_regs){ 2, 160, 0, 0 },
				  (struct cpuid_regs){ 0 }), 999990000, 1000010000);
	assert_true(quirk);
}

/* Within a thousandth, but a rounded number: the measurement is the better one. */
static void rounded_word_does_not(void **state)
{
	(void)state;
	reference_moves = true;
	assert_in_range(frequency(0x3c, (struct cpuid_regs){ 0 },
				  (struct cpuid_regs){ 1001, 0, 0, 0 }), 999990000, 1000010000);
	assert_false(quirk);
	assert_in_range(frequency(0x3c, (struct cpuid_regs){ 0 },
				  (struct cpuid_regs){ 2000, 0, 0, 0 }), 999990000, 1000010000);
	assert_true(quirk);
}

/* The reference stands still and so does the PIT, whose ports read all ones. */
static void nothing_to_measure_by(void **state)
{
	(void)state;
	reference_moves = false;
	assert_int_equal(frequency(0x97, (struct cpuid_regs){ 2, 250, 24 * MHZ, 0 },
				   (struct cpuid_regs){ 3100, 0, 0, 0 }), 3000 * MHZ);
	assert_int_equal(frequency(0x97, (struct cpuid_regs){ 0 },
				   (struct cpuid_regs){ 3100, 0, 0, 0 }), 3100 * MHZ);
	assert_false(quirk);
}

/* ---- skew ---- */

static ucontext_t boot_cpu, other_cpu;
static bool on_other, other_dead, other_answered, adjustable;
static int64_t other_skew;
static uint64_t adjust;

/* A pause takes a while and the other CPU goes on, whose TSC is another. */
static void change_sides(void)
{
	host_tsc += 20 + (uint64_t)rand() % 50;
	if (other_dead) {
		host_tsc += 1000000;
		return;
	}
	on_other = !on_other;
	host_tsc_skew = on_other ? other_skew : 0;
	if (on_other)
		swapcontext(&boot_cpu, &other_cpu);
	else
		swapcontext(&other_cpu, &boot_cpu);
}

static void other_main(void)
{
	other_answered = tsc_skew_answer();
	for (;;)
		change_sides();
}

static int other_rdmsr(uint32_t msr, uint64_t *v)
{
	assert_true(on_other && msr == MSR_TSC_ADJUST);
	*v = adjust;
	return 0;
}

static int other_wrmsr(uint32_t msr, uint64_t v)
{
	assert_true(on_other && msr == MSR_TSC_ADJUST);
	if (!adjustable)
		return 0;
	other_skew += (int64_t)(v - adjust);
	host_tsc_skew = other_skew;
	adjust = v;
	return 0;
}

static bool compare(int64_t ahead)
{
	static char stack[1 << 18];
	bool answers;

	getcontext(&other_cpu);
	other_cpu.uc_stack = (stack_t){ .ss_sp = stack, .ss_size = sizeof(stack) };
	makecontext(&other_cpu, other_main, 0);
	host_pause = change_sides;
	host_rdmsr = other_rdmsr;
	host_wrmsr = other_wrmsr;
	host_tsc = 1ul << 40;
	other_skew = ahead;
	adjust = 4711;
	tsc_synchronised = true;
	answers = tsc_skew_measure(3);
	if (on_other)
		fail_msg("ended on the wrong side");
	return answers;
}

static void no_skew(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		assert_true(compare(0));
		assert_true(other_answered && tsc_synchronised);
		assert_int_equal(tsc_skew(3), 0);
		assert_int_equal(adjust, 4711);
	}
}

static void skew_is_corrected(void **state)
{
	static const int64_t by[] = { 300, -300, 5000, -123456, 60000000000, -60000000000 };

	(void)state;
	adjustable = true;
	features.bits[FEATURE_TSC_ADJUST / 64] |= BIT(FEATURE_TSC_ADJUST % 64);
	for (unsigned i = 0; i < ARRAY_COUNT(by); i++) {
		assert_true(compare(by[i]));
		assert_true(other_answered && tsc_synchronised);
		assert_int_equal(tsc_skew(3), 0);
		assert_in_range(other_skew + 100, 0, 200);
	}
}

static void skew_that_stays_is_told(void **state)
{
	(void)state;
	adjustable = false;
	assert_true(compare(5000));
	assert_true(other_answered);
	assert_false(tsc_synchronised);
	assert_in_range(tsc_skew(3), 4900, 5100);
	features.bits[FEATURE_TSC_ADJUST / 64] = 0;
	assert_true(compare(-5000));
	assert_false(tsc_synchronised);
	assert_in_range(-tsc_skew(3), 4900, 5100);
	assert_int_equal(adjust, 4711);
}

static void who_does_not_answer(void **state)
{
	(void)state;
	other_dead = true;
	assert_false(compare(0));
	other_dead = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_word_counts),
		cmocka_unit_test(rounded_word_does_not),
		cmocka_unit_test(nothing_to_measure_by),
		cmocka_unit_test(no_skew),
		cmocka_unit_test(skew_is_corrected),
		cmocka_unit_test(skew_that_stays_is_told),
		cmocka_unit_test(who_does_not_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
