/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one guest leaves in the CPU and the next one finds. `leave` on the command line: everything
 * that a guest can load without an exit is filled, again and again. Else: all is as after reset,
 * also what CPUID does not show and the chip has.
 */
#include "tests/guest/lib/guest.h"

#define AREA_SIZE	8192
#define MXCSR_RESET	0x1f80

static uint8_t area[AREA_SIZE] aligned(64);

/* Components that belong together; from the second on CPUID may hide them. */
static const uint64_t groups[] = { 0x3, 0x4, 0x18, 0xe0, 0x200 };

static uint64_t reach_all(void)
{
	uint64_t xcr0 = 1;

	for (unsigned i = 0; i < ARRAY_COUNT(groups); i++)
		if (xsetbv_try(0, xcr0 | groups[i]).vector < 0)
			xcr0 |= groups[i];
	return xcr0;
}

static void save(void)
{
	fill(area, 0, sizeof(area));
	__asm__ volatile("xsave %0" : "=m"(area) : "a"(~0u), "d"(~0u) : "memory");
}

static void load(void)
{
	__asm__ volatile("xrstor %0" :: "m"(area), "a"(~0u), "d"(~0u) : "memory");
}

/* MXCSR and the header are no place for patterns. */
static void fill_area(uint64_t xcr0)
{
	uint64_t size = cpuid_count(0xd, 0).ecx;

	fill(area, 0x5a, sizeof(area));
	fill(area, 0, 32);
	area[4] = 0xff;				/* FTW: all eight are in use */
	*(uint32_t *)(area + 24) = MXCSR_RESET;
	fill(area + 512, 0, 64);
	*(uint64_t *)(area + 512) = xcr0;
	/* Of the bound registers only these two places are known, where CPUID says nothing. */
	if (xcr0 & 0x18)
		fill(area + 0x400, 0, 64);
	if (xcr0 & 0x200 && size < sizeof(area))
		*(uint32_t *)(area + cpuid_count(0xd, 9).ebx) = 0x55555554;
}

static void leave_all(uint64_t xcr0)
{
	for (;;) {
		fill_area(xcr0);
		load();
		dr0_write(0x1111), dr1_write(0x2222), dr2_write(0x3333), dr3_write(0x4444);
		dr6_write(0xffff0fff);
		cr2_write(0x5555);
		wrmsr(MSR_SYSENTER_ESP, 0x6666);
		wrmsr(MSR_LSTAR, 0x7777);
		wrmsr(MSR_KERNEL_GS_BASE, 0x8888);
		for (unsigned i = 0; i < 1000; i++)
			pause();
	}
}

static void area_is_clean(uint64_t xcr0)
{
	unsigned bad = 0;

	save();
	check_equal(*(uint16_t *)area, 0x37f, "fcw");
	check_equal(*(uint32_t *)(area + 24), MXCSR_RESET, "mxcsr");
	fill(area, 0, 2);
	fill(area + 24, 0, 8);			/* MXCSR and its mask */
	fill(area + 512, 0, 64);
	for (unsigned i = 0; i < sizeof(area); i++)
		if (area[i] && !bad++)
			print("component byte %u is %x\n", i, area[i]);
	check(!bad, "components_after_reset", "%u bytes, xcr0 %lx", bad, xcr0);
}

static void registers_are_clean(void)
{
	static const uint32_t msrs[] = {
		MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_STAR, MSR_LSTAR, MSR_CSTAR,
		MSR_SFMASK, MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
	};
	uint64_t value;

	check(!dr0_read() && !dr1_read() && !dr2_read() && !dr3_read(), "dr0_to_dr3",
	      "%lx %lx %lx %lx", dr0_read(), dr1_read(), dr2_read(), dr3_read());
	check_equal(dr6_read(), 0xffff0ff0, "dr6");
	check_equal(dr7_read(), 0x400, "dr7");
	check_equal(cr2_read(), 0, "cr2");
	for (unsigned i = 0; i < ARRAY_COUNT(msrs); i++) {
		value = rdmsr(msrs[i]);
		check(!value, "msr", "%x is %lx", msrs[i], value);
	}
}

void test_main(void)
{
	bool extended = cpuid(1).ecx & 1 << 26;
	uint64_t xcr0 = 3;

	if (!cmdline_has("leave"))
		registers_are_clean();
	if (!extended) {
		skip("components_after_reset", "the CPU has no XSAVE");
		return;
	}
	cr4_write(cr4_read() | CR4_OSFXSR | 1 << 10 | CR4_OSXSAVE);
	xcr0 = reach_all();
	print("XCR0 %lx\n", xcr0);
	if (cmdline_has("leave"))
		leave_all(xcr0);
	area_is_clean(xcr0);
}
