/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC's registers in both modes, errors, self IPIs by every address, and its timer:
 * one-shot, periodic, TSC-deadline.
 */
#include "tests/guest/lib/apic.h"

#define VEC		0x51
#define VEC_TIMER	0x71
#define VEC_ERROR	0x72
#define LONG_WAIT	4000000000ul
#define FAR		3000000000u		/* APIC ticks: seconds */

static unsigned count, timer_count, error_count;
static const char *mode_name;

static const char *named(const char *what)
{
	static char text[64];
	unsigned n = 0;

	for (const char *at = mode_name; *at; at++)
		text[n++] = *at;
	for (; *what && n + 1 < sizeof(text); what++)
		text[n++] = *what;
	text[n] = 0;
	return text;
}

static void registers(void)
{
	bool x2 = apic_mode() == APIC_X2APIC;
	uint32_t version = apic_read(APIC_VERSION), id = apic_read(APIC_ID);

	check((version & 0xf0) == 0x10 && (version >> 16 & 0xff) >= 3, named("version"), "%x",
	      version);
	check_equal(x2 ? id : id >> 24, cpuid(1).ebx >> 24, named("id"));
	check_equal(apic_read(APIC_SVR), 0x1ff, named("svr"));
	apic_write(APIC_LVT_LINT0, LVT_MASKED | 0x33);
	check_equal(apic_read(APIC_LVT_LINT0), LVT_MASKED | 0x33, named("lvt_lint0"));
	apic_write(APIC_LVT_LINT0, LVT_MASKED);
	for (unsigned i = 0; i < 8; i++)
		if (apic_read(APIC_ISR + i * 16) || apic_read(APIC_IRR + i * 16))
			check(false, named("isr_irr_empty"), "at %u", i);
	if (x2) {
		check_equal(apic_read(APIC_LDR), (id >> 4) << 16 | 1u << (id & 15), named("ldr"));
		return;
	}
	apic_write(APIC_DFR, 0xffffffff);
	check_equal(apic_read(APIC_DFR), 0xffffffff, named("dfr"));
	apic_write(APIC_LDR, 0x01000000);
	check_equal(apic_read(APIC_LDR), 0x01000000, named("ldr"));
}

static void x2apic_faults(void)
{
	check_fault(rdmsr_try(0x80b, NULL), VEC_GP, 0, "x2apic_read_eoi");
	check_fault(wrmsr_try(0x80b, 1), VEC_GP, 0, "x2apic_eoi_not_zero");
	check_fault(wrmsr_try(0x802, 0), VEC_GP, 0, "x2apic_write_id");
	check_fault(wrmsr_try(0x803, 0), VEC_GP, 0, "x2apic_write_version");
	check_fault(rdmsr_try(0x80e, NULL), VEC_GP, 0, "x2apic_no_dfr");
	check_fault(rdmsr_try(0x831, NULL), VEC_GP, 0, "x2apic_no_icr_high");
	check_fault(rdmsr_try(0x83f, NULL), VEC_GP, 0, "x2apic_read_self_ipi");
	check_fault(rdmsr_try(0x8ff, NULL), VEC_GP, 0, "x2apic_hole");
	check_fault(wrmsr_try(0x80f, 1ul << 32 | 0x1ff), VEC_GP, 0, "x2apic_svr_high");
	check_fault(wrmsr_try(0x808, 0x100), VEC_GP, 0, "x2apic_tpr_reserved");
	count = 0;
	wrmsr(0x83f, VEC);
	irq_window();
	check_equal(count, 1, "x2apic_self_ipi_register");
}

static void send(uint32_t low, uint32_t destination)
{
	if (apic_mode() == APIC_X2APIC) {
		wrmsr(MSR_X2APIC + APIC_ICR / 16, (uint64_t)destination << 32 | low);
		return;
	}
	apic_write(APIC_ICR_HIGH, destination << 24);
	apic_write(APIC_ICR, low);
}

static void check_sent(uint32_t low, uint32_t destination, unsigned want, const char *name)
{
	count = 0;
	send(low, destination);
	irq_window();
	check(count == want, named(name), "%u, want %u", count, want);
}

static void ipis(void)
{
	bool x2 = apic_mode() == APIC_X2APIC;
	uint32_t id = cpuid(1).ebx >> 24, logical = x2 ? apic_read(APIC_LDR) : 1;

	check_sent(0x40000 | VEC, 0, 1, "ipi_self");
	check_sent(0x80000 | VEC, 0, 1, "ipi_all");
	check_sent(0xc0000 | VEC, 0, 0, "ipi_others");
	check_sent(VEC, id, 1, "ipi_physical");
	check_sent(VEC, x2 ? 0xffffffff : 0xff, 1, "ipi_physical_all");
	check_sent(VEC, id + 77, 0, "ipi_physical_nobody");
	check_sent(0x800 | VEC, logical, 1, "ipi_logical");
	check_sent(0x800 | VEC, x2 ? 0x10002 : 0x2, 0, "ipi_logical_nobody");
	if (!x2)
		check(!(apic_read(APIC_ICR) & 0x1000), named("ipi_delivered"), "%x",
		      apic_read(APIC_ICR));
}

static void errors(void)
{
	if (on_qemu_tcg()) {
		skip("errors", "bare QEMU's APIC notices none");
		return;
	}
	error_count = 0;
	apic_write(APIC_LVT_ERROR, VEC_ERROR);
	apic_write(APIC_ESR, 0);
	apic_write(APIC_ICR, ICR_SELF | 5);
	irq_window();
	apic_write(APIC_ESR, 0);
	check(apic_read(APIC_ESR) & 0x60, named("esr_illegal_vector"), "%x", apic_read(APIC_ESR));
	check(error_count >= 1, named("lvt_error"), "%u", error_count);
	apic_write(APIC_ESR, 0);
	check_equal(apic_read(APIC_ESR), 0, named("esr_cleared"));
	apic_write(APIC_LVT_ERROR, LVT_MASKED);
}

static bool wait_timer(unsigned want)
{
	uint64_t start = rdtsc();

	while (timer_count < want && rdtsc() - start < LONG_WAIT)
		irq_window();
	return timer_count >= want;
}

static void one_shot(void)
{
	uint32_t first, second;

	timer_count = 0;
	apic_write(APIC_TIMER_DIV, TIMER_DIV_1);
	apic_write(APIC_LVT_TIMER, VEC_TIMER);
	apic_write(APIC_TIMER_INIT, FAR);
	first = apic_read(APIC_TIMER_NOW);
	second = apic_read(APIC_TIMER_NOW);
	check(first <= FAR && second < first, named("one_shot_counts_down"), "%u %u", first,
	      second);
	apic_write(APIC_TIMER_INIT, 100000);
	check(wait_timer(1), named("one_shot_fires"), "%u", timer_count);
	check_equal(apic_read(APIC_TIMER_NOW), 0, named("one_shot_ends_at_0"));
	wait_ticks(3000000);
	irq_window();
	check_equal(timer_count, 1, named("one_shot_once"));
	timer_count = 0;
	apic_write(APIC_TIMER_INIT, FAR);
	apic_write(APIC_TIMER_INIT, 0);
	check_equal(apic_read(APIC_TIMER_NOW), 0, named("stopped"));
	apic_write(APIC_LVT_TIMER, VEC_TIMER | LVT_MASKED);
	apic_write(APIC_TIMER_INIT, 1000);
	wait_ticks(3000000);
	irq_window();
	check_equal(timer_count, 0, named("masked"));
}

static void modes_change(void)
{
	apic_write(APIC_TIMER_DIV, TIMER_DIV_1);
	apic_write(APIC_LVT_TIMER, VEC_TIMER);
	apic_write(APIC_TIMER_INIT, FAR);
	wait_ticks(100000);
	for (unsigned i = 0; i < 4; i++) {
		uint32_t before = apic_read(APIC_TIMER_NOW), after;

		apic_write(APIC_LVT_TIMER, VEC_TIMER | (i & 1 ? 0 : LVT_PERIODIC));
		after = apic_read(APIC_TIMER_NOW);
		check(after && after <= before, named("counts_on"), "%u: %u %u", i, before, after);
		check_equal(apic_read(APIC_TIMER_INIT), FAR, named("initial_stays"));
	}
	apic_write(APIC_TIMER_INIT, 0);
}

static void dividers(void)
{
	uint32_t by1, by128;

	apic_write(APIC_LVT_TIMER, VEC_TIMER | LVT_MASKED);
	apic_write(APIC_TIMER_INIT, 0xffffffff);
	wait_ticks(20000000);
	by1 = 0xffffffff - apic_read(APIC_TIMER_NOW);
	apic_write(APIC_TIMER_DIV, 0xa);
	apic_write(APIC_TIMER_INIT, 0xffffffff);
	wait_ticks(20000000);
	by128 = 0xffffffff - apic_read(APIC_TIMER_NOW);
	check(by128 && by1 / by128 > 64 && by1 / by128 < 256, named("divider"), "%u %u", by1,
	      by128);
	apic_write(APIC_TIMER_DIV, TIMER_DIV_1);
	apic_write(APIC_TIMER_INIT, 0);
}

static void periodic(void)
{
	timer_count = 0;
	apic_write(APIC_LVT_TIMER, VEC_TIMER | LVT_PERIODIC);
	apic_write(APIC_TIMER_INIT, 200000);
	check(wait_timer(10), named("periodic"), "%u", timer_count);
	apic_write(APIC_LVT_TIMER, LVT_MASKED);
	apic_write(APIC_TIMER_INIT, 0);
	irq_window();
	timer_count = 0;
	wait_ticks(1000000);
	irq_window();
	check_equal(timer_count, 0, named("periodic_stops"));
}

static void hlt_timer(void)
{
	timer_count = 0;
	apic_write(APIC_LVT_TIMER, VEC_TIMER);
	for (unsigned i = 0; i < 50; i++) {
		apic_write(APIC_TIMER_INIT, 20000);
		while (timer_count == i)
			sti_hlt_cli();
	}
	check_equal(timer_count, 50, named("hlt_timer"));
	apic_write(APIC_LVT_TIMER, LVT_MASKED);
}

static void deadline(void)
{
	uint64_t end, distance = on_qemu_chip() ? 100000000 : 10000000;	/* to be disarmed in time */

	if (!(cpuid(1).ecx & 1 << 24)) {
		skip(named("deadline"), "no TSC-deadline");
		return;
	}
	timer_count = 0;
	apic_write(APIC_LVT_TIMER, VEC_TIMER | LVT_DEADLINE);
	end = rdtsc() + (1ul << 40);		/* a slow host does not come near it */
	wrmsr(MSR_TSC_DEADLINE, end);
	check_equal(rdmsr(MSR_TSC_DEADLINE), end, named("deadline_armed"));
	end = rdtsc() + 200000;
	wrmsr(MSR_TSC_DEADLINE, end);
	check(wait_timer(1) && rdtsc() >= end, named("deadline_fires"), "%u", timer_count);
	check_equal(rdmsr(MSR_TSC_DEADLINE), 0, named("deadline_cleared"));
	timer_count = 0;
	wrmsr(MSR_TSC_DEADLINE, rdtsc() - 1);
	irq_window();
	check_equal(timer_count, 1, named("deadline_past"));
	timer_count = 0;
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + distance);
	wrmsr(MSR_TSC_DEADLINE, 0);
	wait_ticks(distance + 2000000);
	irq_window();
	check_equal(timer_count, 0, named("deadline_disarmed"));
	for (unsigned i = 0; i < 50; i++) {
		wrmsr(MSR_TSC_DEADLINE, rdtsc() + 20000);
		while (timer_count == i)
			sti_hlt_cli();
	}
	check_equal(timer_count, 50, named("deadline_hlt"));
	apic_write(APIC_LVT_TIMER, VEC_TIMER);
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + 1000);
	check_equal(rdmsr(MSR_TSC_DEADLINE), 0, named("deadline_ignored_in_one_shot"));
	apic_write(APIC_LVT_TIMER, LVT_MASKED);
}

static void disabled(void)
{
	count = 0;
	apic_write(APIC_SVR, 0xff);
	check(apic_read(APIC_LVT_TIMER) & LVT_MASKED, named("svr_off_masks"), "%x",
	      apic_read(APIC_LVT_TIMER));
	apic_write(APIC_LVT_TIMER, VEC_TIMER);
	check(apic_read(APIC_LVT_TIMER) & LVT_MASKED || on_qemu_tcg(), named("svr_off_keeps_mask"),
	      "%x", apic_read(APIC_LVT_TIMER));
	apic_write(APIC_SVR, 0x1ff);
	apic_self_ipi(VEC);
	irq_window();
	check_equal(count, 1, named("svr_on_again"));
}

static void all(const char *name)
{
	mode_name = name;
	registers();
	ipis();
	errors();
	one_shot();
	modes_change();
	dividers();
	periodic();
	hlt_timer();
	deadline();
	disabled();
}

void test_main(void)
{
	trap_count_set(VEC, &count);
	trap_count_set(VEC_TIMER, &timer_count);
	trap_count_set(VEC_ERROR, &error_count);
	apic_init(APIC_XAPIC);
	all("xapic_");
	if (!cpu_has_x2apic()) {
		skip("x2apic", "the CPU has none");
		return;
	}
	apic_init(APIC_X2APIC);
	all("x2apic_");
	x2apic_faults();
	check_fault(wrmsr_try(MSR_APIC_BASE, (rdmsr(MSR_APIC_BASE) & ~0x400ul) | 0x800), VEC_GP, 0,
		    "x2apic_to_xapic");
	apic_init(APIC_XAPIC);
	check((apic_read(APIC_VERSION) & 0xf0) == 0x10, "xapic_again", "%x",
	      apic_read(APIC_VERSION));
}
