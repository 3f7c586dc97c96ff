/* SPDX-License-Identifier: BSD-2-Clause */
/* links: cpu/tsc.c tests/host/panic.c tests/host/log.c */
/*
 * cpu/tsc.c: which word on the frequency counts. Time goes on by what is waited; a tick of
 * the TSC is a nanosecond.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_word_counts),
		cmocka_unit_test(rounded_word_does_not),
		cmocka_unit_test(nothing_to_measure_by),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
