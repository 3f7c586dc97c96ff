/* SPDX-License-Identifier: BSD-2-Clause */
/* links: kernel/hwstate.c tests/host/heap.c tests/host/panic.c tests/host/log.c
 * tests/host/percpu.c */
/*
 * A thread's state in the CPU: what two threads have there in turn each finds again, the host has
 * its own XCR0 between them, what the chip switches by itself is left alone, and what a guest has
 * put into XCR0 unasked is not kept.
 */
#include "kernel/hwstate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/cpu.h"
#include "cpu/errata.h"
#include "cpu/features.h"
#include "kernel/panic.h"

#define HOST_XCR0	0x1f	/* what Keel has, be it that a guest can reach it */
#define ALLOWED		0x07

struct features features;
static bool unasked;
static int fpu_in_cpu, malformed;

bool errata_has(enum erratum e)
{
	return e == ERRATUM_XSETBV_NOT_INTERCEPTED && unasked;
}

/* ---- extended state: one byte, which may be malformed ---- */

uint64_t fpu_xcr0(void)
{
	return HOST_XCR0;
}

uint64_t fpu_xcr0_refuse(uint64_t xcr0, uint64_t allowed)
{
	return xcr0 & allowed;
}

size_t fpu_area_size(void)
{
	return 512;
}

void fpu_area_init(void *area)
{
	*(char *)area = 0;
}

/* XCR0 must be Keel's, or a guest's would decide what is saved. */
void fpu_save(void *area)
{
	assert_int_equal(host_xcr0, HOST_XCR0);
	*(char *)area = (char)fpu_in_cpu;
}

int fpu_restore(const void *area)
{
	assert_int_equal(host_xcr0, HOST_XCR0);
	fpu_in_cpu = malformed ? 0 : *(const char *)area;
	return malformed ? -EFAULT : 0;
}

uint32_t fpu_pkru_loaded(void)
{
	return 0x55;
}

uint32_t fpu_pkru_saved(const void *area)
{
	(void)area;
	return 0xaa;
}

/* ---- the MSRs that it may touch ---- */

static const uint32_t known[] = { MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SFMASK, MSR_KERNEL_GS_BASE,
				  MSR_TSC_AUX };
static uint64_t msr[ARRAY_COUNT(known)];
static unsigned writes[ARRAY_COUNT(known)];

static unsigned at(uint32_t which)
{
	for (unsigned i = 0; i < ARRAY_COUNT(known); i++)
		if (known[i] == which)
			return i;
	fail_msg("MSR %#x", which);
	return 0;
}

static int rdmsr(uint32_t which, uint64_t *v)
{
	*v = msr[at(which)];
	return 0;
}

static int wrmsr(uint32_t which, uint64_t v)
{
	msr[at(which)] = v;
	writes[at(which)]++;
	return 0;
}

static struct hwstate a, b;

static int setup(void **state)
{
	(void)state;
	features.bits[FEATURE_RDTSCP / 64] |= BIT(FEATURE_RDTSCP % 64);
	host_rdmsr = rdmsr;
	host_wrmsr = wrmsr;
	host_xcr0 = HOST_XCR0;
	memset(msr, 0, sizeof(msr));
	memset(writes, 0, sizeof(writes));
	unasked = false;
	malformed = false;
	assert_int_equal(hwstate_init(&a, ALLOWED), 0);
	assert_int_equal(hwstate_init(&b, ALLOWED), 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	hwstate_fini(&a);
	hwstate_fini(&b);
	return 0;
}

static uint64_t value(enum hw_reg r, uint64_t seed)
{
	return r == HW_XCR0 ? 3 : seed * 0x100 + r;
}

static void fill(struct hwstate *h, uint64_t seed)
{
	for (enum hw_reg r = HW_NONE + 1; r < HW_COUNT; r++)
		hwstate_set(h, r, value(r, seed));
}

static void check(const struct hwstate *h, uint64_t seed)
{
	for (enum hw_reg r = HW_NONE + 1; r < HW_COUNT; r++)
		if (hwstate_get(h, r) != value(r, seed))
			fail_msg("%u: %#lx", r, (unsigned long)hwstate_get(h, r));
}

static void in_turn(void **state)
{
	(void)state;
	for (unsigned whole = 0; whole < 2; whole++) {
		a.whole = b.whole = whole;
		fill(&a, 1);
		hwstate_enter(&a);
		check(&a, 1);
		fill(&a, 2);
		fpu_in_cpu = 7;
		assert_int_equal(hwstate_pkru(&a), 0x55);
		hwstate_leave(&a);
		assert_int_equal(hwstate_pkru(&a), 0xaa);
		assert_int_equal(host_xcr0, HOST_XCR0);
		fill(&b, 3);
		hwstate_enter(&b);
		assert_int_equal(fpu_in_cpu, 0);
		assert_int_equal(host_dr3, 0x300 + HW_DR3);
		assert_int_equal(host_xcr0, 3);
		check(&b, 3);
		hwstate_leave(&b);
		check(&b, 3);
		hwstate_enter(&a);
		assert_int_equal(fpu_in_cpu, 7);
		check(&a, 2);
		/* Without an exit. */
		host_dr0 = 0x1234;
		if (whole)
			msr[at(MSR_LSTAR)] = 0x5678;
		hwstate_leave(&a);
		assert_int_equal(hwstate_get(&a, HW_DR0), 0x1234);
		assert_int_equal(hwstate_get(&a, HW_LSTAR), whole ? 0x5678 : 0x200 + HW_LSTAR);
		memset(a.fpu, 0, 1);
		/* The chip's own matter otherwise. */
		assert_int_equal(writes[at(MSR_STAR)], whole ? 4 : 0);
	}
}

static void xcr0_unasked(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		unasked = i;
		hwstate_set(&a, HW_XCR0, 3);
		hwstate_enter(&a);
		host_xcr0 = 0x1f;
		hwstate_leave(&a);
		assert_int_equal(hwstate_get(&a, HW_XCR0), unasked ? ALLOWED : 3);
	}
}

static void malformed_area(void **state)
{
	(void)state;
	*(char *)a.fpu = 9;
	malformed = true;
	hwstate_enter(&a);
	malformed = false;
	hwstate_leave(&a);
	assert_int_equal(*(char *)a.fpu, 0);
}

static void after_reset(void **state)
{
	(void)state;
	fill(&a, 1);
	hwstate_reset(&a);
	for (enum hw_reg r = HW_NONE + 1; r < HW_COUNT; r++)
		assert_int_equal(hwstate_get(&a, r),
				 r == HW_XCR0 ? XCR0_X87 : r == HW_DR6 ? DR6_RESET : 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(in_turn, setup, end),
		cmocka_unit_test_setup_teardown(xcr0_unasked, setup, end),
		cmocka_unit_test_setup_teardown(malformed_area, setup, end),
		cmocka_unit_test_setup_teardown(after_reset, setup, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
