/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The chip's local APIC; see cpu/lapic.h. In xAPIC mode one window serves all CPUs, for each sees
 * its own registers there. A register is named by its xAPIC offset in both modes.
 */
#include "cpu/lapic.h"

#include "boot/bootinfo.h"
#include "cpu/cpu.h"
#include "cpu/errata.h"
#include "cpu/features.h"
#include "cpu/irq.h"
#include "cpu/percpu.h"
#include "cpu/tsc.h"
#include "include/bits.h"
#include "include/errno.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "lib/string.h"

#define LAPIC_ID		0x020
#define LAPIC_VERSION		0x030
#define LAPIC_TPR		0x080
#define LAPIC_EOI		0x0b0
#define LAPIC_LDR		0x0d0
#define LAPIC_DFR		0x0e0
#define LAPIC_SVR		0x0f0
#define LAPIC_ISR		0x100
#define LAPIC_ESR		0x280
#define LAPIC_LVT_CMCI		0x2f0
#define LAPIC_ICR_LOW		0x300
#define LAPIC_ICR_HIGH		0x310
#define LAPIC_LVT_TIMER		0x320
#define LAPIC_LVT_THERMAL	0x330
#define LAPIC_LVT_PMC		0x340
#define LAPIC_LVT_LINT0		0x350
#define LAPIC_LVT_LINT1		0x360
#define LAPIC_LVT_ERROR		0x370
#define LAPIC_TIMER_INITIAL	0x380
#define LAPIC_TIMER_CURRENT	0x390
#define LAPIC_TIMER_DIVIDE	0x3e0

#define SVR_ENABLE		BIT(8)
#define LVT_MASKED		BIT(16)
#define LVT_MODE		BITS(10, 8)
#define LVT_SMI			0x200
#define LVT_NMI			0x400
#define LVT_TSC_DEADLINE	0x40000
#define ICR_PENDING		BIT(12)
#define DIVIDE_BY_1		0xb
#define CALIBRATION_NS		10000000
#define CALIBRATION_TRIES	8
#define SEND_PATIENCE_NS	1000000

static volatile uint32_t *registers;	/* in xAPIC mode: lapic_set_window() */
static bool x2apic, ready, deadline_mode;
static uint64_t ticks_mult;		/* timer ticks = ns * mult >> 32 */
static uint32_t id_by_cpu[CPU_MAX];
static uint32_t thermal;		/* the boot CPU's entry, if firmware has it send SMIs */

static uint32_t read(unsigned reg)
{
	return x2apic ? (uint32_t)cpu_rdmsr(MSR_X2APIC_BASE + reg / 16) : registers[reg / 4];
}

static void write(unsigned reg, uint32_t v)
{
	if (x2apic)
		cpu_wrmsr(MSR_X2APIC_BASE + reg / 16, v);
	else
		registers[reg / 4] = v;
}

static void on_error(void *arg)
{
	(void)arg;
	write(LAPIC_ESR, 0);
	log_warn("lapic: error status %x on CPU %u", read(LAPIC_ESR), cpu_index());
}

/* `x2apic=yes` or `x2apic=no` is the last word. */
static bool x2apic_wanted(bool otherwise)
{
	char how[8];

	if (boot_option("x2apic", how, sizeof(how)) && (!strcmp(how, "yes") || !strcmp(how, "no")))
		return how[0] == 'y';
	return otherwise;
}

hpa_t lapic_init(bool want_x2apic)
{
	uint64_t base = cpu_rdmsr(MSR_APIC_BASE);

	x2apic = cpu_has(FEATURE_X2APIC) &&
		 (x2apic_wanted(want_x2apic) || base & APIC_BASE_X2APIC);
	deadline_mode = cpu_has(FEATURE_TSC_DEADLINE) && !errata_has(ERRATUM_TSC_DEADLINE);
	if (cpu_has(FEATURE_X2APIC) && !x2apic)
		log_info("lapic: x2APIC is left off");
	if (irq_claim(IRQ_ERROR, "lapic-error", on_error, NULL))
		log_warn("lapic: no vector for errors");
	return HPA(x2apic ? 0 : base & APIC_BASE_ADDRESS);
}

void lapic_set_window(volatile void *window)
{
	registers = window;
}

/*
 * Firmware may mind the temperature by SMIs of its own, which stay its own. It arranged for them on
 * the boot CPU; the INIT that started the others has masked theirs.
 */
static void set_thermal(void)
{
	uint32_t was = read(LAPIC_LVT_THERMAL);

	if ((was & LVT_MODE) == LVT_SMI && cpu_index() == 0)
		thermal = was;
	write(LAPIC_LVT_THERMAL, thermal ?: (uint32_t)LVT_MASKED);
}

static void mask_lvts(void)
{
	unsigned last = FIELD(read(LAPIC_VERSION), 23, 16);

	write(LAPIC_LVT_TIMER, LVT_MASKED);
	if (last >= 4)
		write(LAPIC_LVT_PMC, LVT_MASKED);
	if (last >= 5)
		set_thermal();
	if (last >= 6)
		write(LAPIC_LVT_CMCI, LVT_MASKED);
	write(LAPIC_LVT_LINT0, LVT_MASKED);
	write(LAPIC_LVT_LINT1, LVT_NMI);
	write(LAPIC_LVT_ERROR, IRQ_ERROR);
}

/* What firmware or a former kernel left in service would block all that is lower. */
static void finish_stale_interrupts(void)
{
	for (unsigned i = 0; i < 8; i++)
		for (uint32_t left = read(LAPIC_ISR + 16 * i); left; left &= left - 1)
			write(LAPIC_EOI, 0);
}

static void set_timer_mode(void)
{
	write(LAPIC_TIMER_DIVIDE, DIVIDE_BY_1);
	write(LAPIC_LVT_TIMER, IRQ_TIMER | (deadline_mode ? LVT_TSC_DEADLINE : 0));
	if (deadline_mode)
		__asm__ volatile("mfence" ::: "memory");
}

int lapic_cpu_init(void)
{
	uint64_t base = cpu_rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE;

	if (!x2apic && base & APIC_BASE_X2APIC)
		return -ENODEV;
	cpu_wrmsr(MSR_APIC_BASE, base);
	if (x2apic)
		cpu_wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
	write(LAPIC_TPR, 0);
	if (!x2apic) {
		write(LAPIC_DFR, 0xffffffff);
		write(LAPIC_LDR, 0x01000000);
	}
	write(LAPIC_SVR, IRQ_SPURIOUS | SVR_ENABLE);
	mask_lvts();
	finish_stale_interrupts();
	write(LAPIC_ESR, 0);
	set_timer_mode();
	id_by_cpu[cpu_index()] = lapic_id();
	ready = true;
	return 0;
}

void lapic_eoi(void)
{
	write(LAPIC_EOI, 0);
}

uint32_t lapic_id(void)
{
	return x2apic ? read(LAPIC_ID) : read(LAPIC_ID) >> 24;
}

uint32_t lapic_id_of(unsigned cpu)
{
	return id_by_cpu[cpu];
}

bool lapic_is_x2apic(void)
{
	return x2apic;
}

bool lapic_is_ready(void)
{
	return ready;
}

/*
 * Until the last message has been taken. One that never is, as its CPU is dead, must not keep a
 * panic from telling of it.
 */
static void wait_sent(void)
{
	uint64_t start = tsc_read(), patience = tsc_from_ns(SEND_PATIENCE_NS);

	while (read(LAPIC_ICR_LOW) & ICR_PENDING && tsc_read() - start < patience)
		cpu_pause();
}

void lapic_send(uint32_t apic_id, uint32_t icr_low)
{
	uint64_t flags;

	if (x2apic) {
		/* Unlike a store to memory this WRMSR does not wait for earlier stores. */
		__asm__ volatile("mfence; lfence" ::: "memory");
		cpu_wrmsr(MSR_X2APIC_ICR, (uint64_t)apic_id << 32 | icr_low);
		return;
	}
	flags = cpu_irq_save();
	wait_sent();
	write(LAPIC_ICR_HIGH, apic_id << 24);
	write(LAPIC_ICR_LOW, icr_low);
	cpu_irq_restore(flags);
}

/* ---- timer ---- */

struct moment {
	uint64_t tsc;		/* in the middle of the reading */
	uint32_t count;
};

/* Reading the counter takes long on some machines: of several readings the quickest counts. */
static struct moment take_moment(void)
{
	struct moment best = { 0 };
	uint64_t least = ~0ul;

	for (unsigned i = 0; i < CALIBRATION_TRIES; i++) {
		uint64_t before = tsc_read();
		uint32_t count = read(LAPIC_TIMER_CURRENT);
		uint64_t width = tsc_read() - before;

		if (width < least) {
			least = width;
			best = (struct moment){ before + width / 2, count };
		}
	}
	return best;
}

/*
 * The boot CPU's counter against the TSC, which is calibrated by now; all CPUs share the clock. The
 * multiplier is rounded up: a timer is late, by a millionth, rather than early.
 */
void lapic_timer_calibrate(void)
{
	uint64_t window = tsc_from_ns(CALIBRATION_NS), ticks;
	struct moment first, last;

	if (deadline_mode)
		return;
	write(LAPIC_LVT_TIMER, IRQ_TIMER | LVT_MASKED);
	write(LAPIC_TIMER_INITIAL, 0xffffffff);
	first = take_moment();
	while (tsc_read() - first.tsc < window)
		cpu_pause();
	last = take_moment();
	lapic_timer_stop();
	set_timer_mode();
	ticks = first.count - last.count;
	if (!ticks)
		panic("lapic: the timer does not count");
	/* For each tick of the TSC, and so for each nanosecond. */
	ticks_mult = tsc_from_ns((ticks << 32) / (last.tsc - first.tsc) + 1) + 2;
	log_info("lapic: timer at %lu kHz", ticks * (tsc_hz / 1000) / (last.tsc - first.tsc));
}

void lapic_timer_set(uint64_t tsc, uint64_t ns)
{
	uint64_t ticks;

	if (deadline_mode) {
		cpu_wrmsr(MSR_TSC_DEADLINE, (tsc + tsc_from_ns(ns) + 1) ?: 1);
		return;
	}
	ticks = (uint64_t)(((unsigned __int128)ns * ticks_mult) >> 32) + 1;
	write(LAPIC_TIMER_INITIAL, (uint32_t)MIN(ticks, 0xfffffffful));
}

void lapic_timer_stop(void)
{
	if (deadline_mode)
		cpu_wrmsr(MSR_TSC_DEADLINE, 0);
	else
		write(LAPIC_TIMER_INITIAL, 0);
}
