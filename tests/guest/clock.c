/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time: the TSC never goes back, and kvmclock's page says what the TSC says. Layout of the page:
 * Linux, Documentation/virt/kvm/x86/msr.rst.
 */
#include "tests/guest/lib/guest.h"

#define KVM_WALL_CLOCK		0x4b564d00
#define KVM_SYSTEM_TIME		0x4b564d01
#define KVM_WALL_CLOCK_OLD	0x11
#define KVM_SYSTEM_TIME_OLD	0x12

struct clock_page {
	uint32_t version, pad;
	uint64_t tsc, system_time;
	uint32_t multiplier;
	int8_t shift;
	uint8_t flags, pad2[2];
} packed;

static volatile struct clock_page page aligned(64);
static volatile struct { uint32_t version, seconds, nanoseconds; } wall aligned(16);

static void tsc(void)
{
	uint64_t last = rdtsc(), now;
	unsigned back = 0;

	for (unsigned i = 0; i < 20000; i++) {
		now = rdtsc();
		back += now < last;
		last = now;
		if (i % 16 == 0)
			cpuid(0);
	}
	check_equal(back, 0, "tsc_monotonic");
}

static uint64_t clock_ns(void)
{
	uint64_t ticks, ns;
	uint32_t version;

	do {
		version = page.version;
		barrier();
		ticks = rdtsc() - page.tsc;
		ticks = page.shift >= 0 ? ticks << page.shift : ticks >> -page.shift;
		ns = page.system_time +
		     (uint64_t)(((unsigned __int128)ticks * page.multiplier) >> 32);
		barrier();
	} while ((version & 1) || version != page.version);
	return ns;
}

static void kvmclock(void)
{
	uint64_t last, now, start_tsc, start_ns, hz, back = 0;

	check_fault(wrmsr_try(KVM_SYSTEM_TIME, (uint64_t)&page | 1), -1, 0, "kvmclock_enable");
	cpuid(0);
	check(!(page.version & 1) && page.version, "kvmclock_version", "%u", page.version);
	check(page.multiplier != 0, "kvmclock_multiplier", "0");
	check_equal(rdmsr(KVM_SYSTEM_TIME), (uint64_t)&page | 1, "kvmclock_reads");
	start_ns = last = clock_ns(), start_tsc = rdtsc();
	for (unsigned i = 0; i < 20000; i++) {
		now = clock_ns();
		back += now < last;
		last = now;
		if (i % 16 == 0)
			cpuid(0);
	}
	check_equal(back, 0, "kvmclock_monotonic");
	hz = (rdtsc() - start_tsc) * 1000000 / ((last - start_ns) / 1000 + 1);
	check(hz > 1000000 && hz < 20000000000, "kvmclock_rate", "%lu Hz", hz);
	check_fault(wrmsr_try(KVM_WALL_CLOCK, (uint64_t)&wall), -1, 0, "wall_clock");
	check(!(wall.version & 1) && wall.seconds > 900000000, "wall_clock_seconds", "%u %u",
	      wall.version, wall.seconds);
	check(wall.nanoseconds < 1000000000, "wall_clock_nanoseconds", "%u", wall.nanoseconds);
	check_fault(wrmsr_try(KVM_SYSTEM_TIME, 0), -1, 0, "kvmclock_disable");
	/* A page that is not there must not hurt. */
	check(wrmsr_try(KVM_SYSTEM_TIME, 0xffffffffff001).vector != 8, "kvmclock_bad_page",
	      "double fault");
	wrmsr_try(KVM_SYSTEM_TIME, 0xfee00001);
	wrmsr_try(KVM_SYSTEM_TIME, 0);
}

void test_main(void)
{
	tsc();
	if (!on_keel()) {
		skip("kvmclock", "not on Keel");
		return;
	}
	kvmclock();
}
