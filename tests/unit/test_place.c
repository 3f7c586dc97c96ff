/* SPDX-License-Identifier: BSD-2-Clause */
/* links: cpu/place.c tests/host/percpu.c tests/host/panic.c tests/host/log.c */
/*
 * Where CPUs sit, from CPUID as chips of several kinds tell it, and from CPUID that cannot be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/cpu.h"
#include "cpu/features.h"
#include "cpu/place.h"

struct features features;

/* What a chip says: {leaf, subleaf, EAX, EBX, ECX}; EDX of 0Bh and 1Fh is the APIC id. */
struct leaf {
	uint32_t leaf, subleaf, eax, ebx, ecx, edx;
};

static const struct leaf *said;
static uint32_t ids[64];

static struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	uint32_t id = ids[cpu_index()];
	struct cpuid_regs r = { 0 };

	for (const struct leaf *l = said; l->leaf; l++)
		if (l->leaf == leaf && l->subleaf == subleaf)
			r = (struct cpuid_regs){ l->eax, l->ebx, l->ecx, l->edx };
	if (leaf == 1)
		r.ebx |= id << 24;
	if (leaf == 0xb || leaf == 0x1f)
		r.edx = id;
	if (leaf == 0x8000001e)
		r.eax = id;
	return r;
}

/* `count` CPUs, whose ids are `step` apart. */
static void play(enum cpu_vendor vendor, uint32_t basic, uint32_t extended, const struct leaf *l,
		 unsigned count, unsigned step)
{
	features = (struct features){
		.vendor = vendor, .max_basic = basic, .max_extended = extended, .family = 0x17,
	};
	said = l;
	host_cpuid = cpuid;
	host_percpu_init(count);
	for (unsigned i = 0; i < count; i++) {
		ids[i] = i * step;
		host_cpu_become(i);
		place_cpu_init();
	}
	host_cpu_become(0);
	place_link();
}

static void check(unsigned packages, unsigned cores, unsigned threads, bool matters)
{
	struct place_counts c = place_count();

	assert_int_equal(c.packages, packages);
	assert_int_equal(c.cores, cores);
	assert_int_equal(c.threads, threads);
	assert_int_equal(place_matters, matters);
}

/* Threads, cores and two packages; the last cache is a package's. */
static void intel(void **state)
{
	static const struct leaf l[] = {
		{ 0xb, 0, 1, 2, 0x100, 0 }, { 0xb, 1, 4, 16, 0x201, 0 },
		{ 4, 0, 0x21 | 1 << 14, 0, 0, 0 }, { 4, 1, 0x43 | 1 << 14, 0, 0, 0 },
		{ 4, 2, 0x63 | 15 << 14, 0, 0, 0 }, { 0 },
	};

	(void)state;
	play(VENDOR_INTEL, 0xb, 0, l, 32, 1);
	check(2, 8, 2, true);
	assert_int_equal(per_cpu(place, 6).next, 7);
	assert_int_equal(per_cpu(place, 7).next, 6);
	assert_int_equal(per_cpu(place, 17).cache, 16);
	assert_int_equal(per_cpu(place, 15).cache, 0);
	/* Without threads every core is one; and a package alone has nothing to choose. */
	play(VENDOR_INTEL, 0xb, 0, l, 8, 2);
	check(1, 8, 1, false);
	/* One CPU missing: not all cores are alike. */
	play(VENDOR_INTEL, 0xb, 0, l, 15, 1);
	check(1, 15, 1, true);
}

/* Leaf 1Fh has modules and dies between; the last level is the package's. Two cores have an L2. */
static void intel_dies(void **state)
{
	static const struct leaf l[] = {
		{ 0xb, 0, 1, 2, 0x100, 0 }, { 0xb, 1, 6, 64, 0x201, 0 },
		{ 0x1f, 0, 1, 2, 0x100, 0 }, { 0x1f, 1, 2, 4, 0x201, 0 }, { 0x1f, 2, 3, 8, 0x502, 0 },
		{ 4, 0, 0x43 | 3 << 14, 0, 0, 0 }, { 0 },
	};

	(void)state;
	play(VENDOR_INTEL, 0x1f, 0, l, 16, 1);
	check(2, 4, 2, true);
	assert_int_equal(per_cpu(place, 7).cache, 4);
	assert_int_equal(per_cpu(place, 7).package, 0);
}

/* Two groups of four cores, each with an L3; told by AMD's own leaves. */
static void amd(void **state)
{
	static const struct leaf l[] = {
		{ 0x80000001, 0, 0, 0, BIT(22), 0 }, { 0x80000008, 0, 0, 0, 4 << 12 | 15, 0 },
		{ 0x8000001e, 0, 0, 1 << 8, 0, 0 }, { 0x8000001d, 0, 0x21 | 1 << 14, 0, 0, 0 },
		{ 0x8000001d, 1, 0x43 | 1 << 14, 0, 0, 0 },
		{ 0x8000001d, 2, 0x63 | 7 << 14, 0, 0, 0 }, { 0 },
	};

	(void)state;
	play(VENDOR_AMD, 1, 0x8000001e, l, 16, 1);
	check(1, 8, 2, true);
	assert_int_equal(per_cpu(place, 7).cache, 0);
	assert_int_equal(per_cpu(place, 8).cache, 8);
	assert_int_equal(per_cpu(place, 8).next, 9);
	/* An old one: cores of a package, and no more is known. */
	play(VENDOR_AMD, 1, 0x80000008, l, 32, 1);
	check(2, 16, 1, true);
}

/* Counts of leaves 1 and 4. */
static void legacy(void **state)
{
	static const struct leaf l[] = {
		{ 1, 0, 0, 8 << 16, 0, BIT(28) }, { 4, 0, 0x21 | 3 << 26, 0, 0, 0 }, { 0 },
	};

	(void)state;
	play(VENDOR_INTEL, 4, 0, l, 16, 1);
	check(2, 4, 2, true);
	/* And nothing at all: each is a package. */
	play(VENDOR_OTHER, 1, 0, l + 2, 4, 1);
	check(4, 1, 1, true);
	play(VENDOR_OTHER, 1, 0, l + 2, 1, 1);
	check(1, 1, 1, false);
}

/* Anything: it ends, and each CPU is in a ring of its own core. */
static void nonsense(void **state)
{
	struct leaf l[40];

	(void)state;
	srand(1);
	for (unsigned round = 0; round < 3000; round++) {
		unsigned n = 1 + (unsigned)rand() % 16;

		memset(l, 0, sizeof(l));
		for (unsigned i = 0; i < ARRAY_COUNT(l) - 1; i++) {
			static const uint32_t leaves[] = {
				1, 4, 0xb, 0x1f, 0x80000001, 0x80000008, 0x8000001d, 0x8000001e,
			};
			uint32_t all = rand() % 3 ? ~0u : 0xfff;

			l[i] = (struct leaf){
				leaves[i % 8], i / 8, (uint32_t)rand() & all,
				(uint32_t)rand() & all & 0xffffff, (uint32_t)rand() & all,
				(uint32_t)rand(),
			};
		}
		play((enum cpu_vendor)(rand() % 3), (uint32_t)rand() % 0x22,
		     0x80000000 + (uint32_t)rand() % 0x20, l, n, 1 + (unsigned)rand() % 3);
		for (unsigned i = 0; i < n; i++) {
			const struct place *p = &per_cpu(place, i);
			unsigned c = i, steps = 0;

			do {
				c = per_cpu(place, c).next;
				assert_int_equal(per_cpu(place, c).core, p->core);
				assert_in_range(++steps, 1, n);
			} while (c != i);
		}
		assert_in_range(place_count().packages * place_count().cores *
				place_count().threads, n, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(intel), cmocka_unit_test(intel_dies), cmocka_unit_test(amd),
		cmocka_unit_test(legacy), cmocka_unit_test(nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
