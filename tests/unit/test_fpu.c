/* SPDX-License-Identifier: BSD-2-Clause */
/* links: cpu/fpu.c cpu/errata.c boot/bootinfo.c tests/host/log.c cpu/features.c */
/*
 * The trial of XSAVEC, on chips that keep what XRSTOR loads and differ in how they save it.
 */
#include "cpu/fpu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "boot/bootinfo.h"
#include "cpu/cpu.h"
#include "cpu/errata.h"
#include "cpu/features.h"


#define XMM_AT		160
#define AVX_AT		576
#define SIZE		256
#define TRIED		7ul

/* What the chip holds: the legacy part with XMM, the header, the upper halves. */
static uint8_t held[AVX_AT + SIZE];
static const uint8_t zeros[SIZE];
static unsigned saved;
static int verdict_of_xrstor;

static struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	if (leaf != 0xd)
		return (struct cpuid_regs){ 0 };
	return subleaf == 2 ? (struct cpuid_regs){ SIZE, AVX_AT, 0, 0 } :
			      (struct cpuid_regs){ 7, AVX_AT + SIZE, AVX_AT + SIZE, 0 };
}

static int xrstor(const void *area)
{
	const uint8_t *p = area;
	uint64_t states = *(const uint64_t *)(p + 512);

	if (verdict_of_xrstor && states)
		return verdict_of_xrstor;
	assert_int_equal((uint64_t)p % FPU_ALIGN, 0);
	memcpy(held, p, 576);
	if (!(states & XCR0_SSE))
		memset(held + XMM_AT, 0, SIZE);
	if (states & XCR0_AVX)
		memcpy(held + AVX_AT, p + AVX_AT, SIZE);
	else
		memset(held + AVX_AT, 0, SIZE);
	return 0;
}

static void save(void *area, uint64_t components, unsigned avx_at, uint64_t layout)
{
	uint8_t *p = area;

	saved++;
	assert_int_equal(components, TRIED);
	assert_memory_not_equal(held + XMM_AT, zeros, SIZE);
	assert_memory_not_equal(held + AVX_AT, held + XMM_AT, SIZE);
	memcpy(p + XMM_AT, held + XMM_AT, SIZE);
	memcpy(p + avx_at, held + AVX_AT, SIZE);
	*(uint64_t *)(p + 512) = *(uint64_t *)(held + 512);
	*(uint64_t *)(p + 520) = layout;
}

static void as_the_manual_says(void *area, uint64_t components)
{
	save(area, components, AVX_AT, BIT(63) | components);
}

/* The x87 state may or may not be in use. */
static void with_x87(void *area, uint64_t components)
{
	as_the_manual_says(area, components);
	*(uint64_t *)((char *)area + 512) |= XCR0_X87;
}

/* Bochs 2.7: right behind XMM, the header over it. */
static void without_the_header(void *area, uint64_t components)
{
	save(area, components, XMM_AT + SIZE, BIT(63) | components);
}

static void in_standard_form(void *area, uint64_t components)
{
	save(area, components, AVX_AT, 0);
}

static void without_avx(void *area, uint64_t components)
{
	save(area, components, AVX_AT, BIT(63) | components);
	*(uint64_t *)((char *)area + 512) &= ~XCR0_AVX;
}

static void nothing(void *area, uint64_t components)
{
	(void)area;
	(void)components;
	saved++;
}

static int setup(void **state)
{
	(void)state;
	memset(&features, 0, sizeof(features));
	features.max_basic = 0xd;
	features.bits[FEATURE_XSAVE / 64] |= BIT(FEATURE_XSAVE % 64);
	features.bits[FEATURE_XSAVEC / 64] |= BIT(FEATURE_XSAVEC % 64);
	host_cpuid = cpuid;
	host_xrstor = xrstor;
	host_xsavec = as_the_manual_says;
	verdict_of_xrstor = 0;
	saved = 0;
	fpu_init();
	fpu_cpu_init();
	return 0;
}

/* Tried, and nothing of it left in the registers. */
static bool misplaces(void (*xsavec)(void *area, uint64_t components))
{
	unsigned before = saved;

	host_xsavec = xsavec;
	fpu_errata_find();
	assert_int_equal(saved, before + 1);
	assert_memory_equal(held + XMM_AT, zeros, SIZE);
	assert_memory_equal(held + AVX_AT, zeros, SIZE);
	return errata_has(ERRATUM_XSAVEC_MISPLACES);
}

static void by_what_is_written(void **state)
{
	(void)state;
	assert_false(misplaces(as_the_manual_says));
	assert_true(misplaces(without_the_header));
	assert_false(misplaces(with_x87));
	assert_true(misplaces(in_standard_form));
	assert_true(misplaces(without_avx));
	assert_true(misplaces(nothing));
	assert_false(misplaces(as_the_manual_says));
}

/* The name says nothing: a Bochs whose XSAVEC is right offers it. */
static void not_by_the_name(void **state)
{
	(void)state;
	memcpy(bootinfo.rsdp + 9, "BOCHS ", 6);
	bootinfo.rsdp_valid = true;
	errata_init();
	assert_int_equal(errata_bed(), BED_BOCHS);
	assert_false(errata_has(ERRATUM_XSAVEC_MISPLACES));
	assert_false(misplaces(as_the_manual_says));
	bootinfo.rsdp_valid = false;
	errata_init();
	assert_true(misplaces(without_the_header));
}

/* Without XSAVEC or AVX nothing is tried; where XRSTOR refuses nothing is learnt. */
static void untried(void **state)
{
	(void)state;
	host_xsavec = nothing;
	errata_force(ERRATUM_XSAVEC_MISPLACES, false);
	features.bits[FEATURE_XSAVEC / 64] &= ~BIT(FEATURE_XSAVEC % 64);
	fpu_errata_find();
	features.bits[FEATURE_XSAVEC / 64] |= BIT(FEATURE_XSAVEC % 64);
	verdict_of_xrstor = -EFAULT;
	fpu_errata_find();
	assert_int_equal(saved, 0);
	assert_false(errata_has(ERRATUM_XSAVEC_MISPLACES));
}

static uint32_t pkru_size, pkru_offset;

static struct cpuid_regs cpuid_with_keys(uint32_t leaf, uint32_t subleaf)
{
	if (leaf == 0xd && subleaf == 9)
		return (struct cpuid_regs){ pkru_size, pkru_offset, 0, 0 };
	return leaf == 0xd && !subleaf ? (struct cpuid_regs){ 0x207, 2696, 2696, 0 } :
					 (struct cpuid_regs){ 0 };
}

/* Keys are offered where the chip tells how their register is saved. */
static void keys_need_a_place(void **state)
{
	static struct { uint32_t size, offset; bool feature, offered; } t[] = {
		{ 8, 2688, true, true }, { 4, 832, true, true }, { 8, 2688, false, false },
		{ 0, 0, true, false }, { 8, 0, true, false }, { 0, 2688, true, false },
	};
	static uint64_t area[4096 / 8];

	(void)state;
	host_cpuid = cpuid_with_keys;
	host_pkru = 0x1234;
	for (unsigned i = 0; i < ARRAY_COUNT(t); i++) {
		pkru_size = t[i].size, pkru_offset = t[i].offset;
		features.bits[FEATURE_PKU / 64] &= ~BIT(FEATURE_PKU % 64);
		features.bits[FEATURE_PKU / 64] |= (uint64_t)t[i].feature << FEATURE_PKU % 64;
		fpu_init();
		fpu_cpu_init();
		assert_int_equal(fpu_xcr0_valid(XCR0_X87 | XCR0_PKRU), t[i].offered);
		assert_int_equal(fpu_xcr0(), 7 | (t[i].offered ? XCR0_PKRU : 0));
		assert_int_equal(fpu_pkru_loaded(), t[i].offered ? 0x1234 : 0);
		memset(area, 0, sizeof(area));
		((uint32_t *)area)[t[i].offset / 4] = 0x5678;
		assert_int_equal(fpu_pkru_saved(area), 0);	/* in its initial state */
		area[64] = XCR0_PKRU;
		assert_int_equal(fpu_pkru_saved(area), t[i].offered ? 0x5678 : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(by_what_is_written, setup),
		cmocka_unit_test_setup(not_by_the_name, setup),
		cmocka_unit_test_setup(untried, setup),
		cmocka_unit_test_setup(keys_need_a_place, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
