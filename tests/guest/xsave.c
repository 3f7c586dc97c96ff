/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * XCR0 and the extended state: bad values fault, XCR0 keeps, and vector registers survive exits.
 */
#include "tests/guest/lib/guest.h"

static uint8_t area[4096] aligned(64);

static void xgetbv_1(void *arg)
{
	*(uint64_t *)arg = xgetbv(0);
}

static void user_xsetbv(void *arg)
{
	(void)arg;
	__asm__ volatile("xsetbv" :: "c"(0), "a"(1), "d"(0));
}

static void values(void)
{
	uint64_t allowed = cpuid_count(0xd, 0).eax | (uint64_t)cpuid_count(0xd, 0).edx << 32;

	check(xgetbv(0) == 1, "xcr0_reset", "%lx", xgetbv(0));
	check_fault(xsetbv_try(0, 3), -1, 0, "xcr0_sse");
	check_equal(xgetbv(0), 3, "xcr0_keeps");
	for (unsigned i = 0; i < 10; i++)
		cpuid(0);
	check_equal(xgetbv(0), 3, "xcr0_across_exits");
	check_fault(user_call(user_xsetbv, NULL), VEC_GP, 0, "xsetbv_ring3");
	if (allowed & 4) {
		check_fault(xsetbv_try(0, 7), -1, 0, "xcr0_avx");
		xsetbv_try(0, 3);
	}
	check_fault(xsetbv_try(0, 0), VEC_GP, 0, "xcr0_without_x87");
	check_fault(xsetbv_try(1, 3), VEC_GP, 0, "xcr1");
	check_fault(xsetbv_try(0, 5), VEC_GP, 0, "xcr0_avx_without_sse");
	check_fault(xsetbv_try(0, 3 | 1ul << 62), VEC_GP, 0, "xcr0_reserved");
	if (~allowed & 0xe0)
		check_fault(xsetbv_try(0, 3 | (~allowed & 0xe0)), VEC_GP, 0, "xcr0_not_allowed");
	check_equal(xgetbv(0), 3, "xcr0_unchanged");
}

static void registers(void)
{
	uint64_t got[2] = { 0, 0 }, want[2] = { 0x1122334455667788, 0x99aabbccddeeff00 };

	__asm__ volatile("movdqu %0, %%xmm7" :: "m"(want));
	for (unsigned i = 0; i < 100; i++) {
		cpuid(0);
		inb(0x2f0);
	}
	__asm__ volatile("movdqu %%xmm7, %0" : "=m"(got));
	check(got[0] == want[0] && got[1] == want[1], "xmm_across_exits", "%lx %lx", got[0],
	      got[1]);
}

static void save_and_load(void)
{
	uint64_t got = 0, want = 0x55aa55aa12345678;

	__asm__ volatile("movq %0, %%xmm3" :: "r"(want));
	__asm__ volatile("xsave %0" : "=m"(area) : "a"(3), "d"(0) : "memory");
	__asm__ volatile("pxor %xmm3, %xmm3");
	cpuid(0);
	__asm__ volatile("xrstor %0" :: "m"(area), "a"(3), "d"(0) : "memory");
	__asm__ volatile("movq %%xmm3, %0" : "=r"(got));
	check_equal(got, want, "xsave_xrstor");
}

void test_main(void)
{
	uint64_t out;

	if (!(cpuid(1).ecx & 1 << 26)) {
		skip("xsave", "the CPU has none");
		return;
	}
	check_fault(fault_call(xgetbv_1, &out), VEC_UD, 0, "xgetbv_without_osxsave");
	check_fault(xsetbv_try(0, 1), VEC_UD, 0, "xsetbv_without_osxsave");
	cr4_write(cr4_read() | CR4_OSFXSR | 1 << 10 | CR4_OSXSAVE);
	values();
	registers();
	save_and_load();
}
