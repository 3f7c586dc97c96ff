/* SPDX-License-Identifier: BSD-2-Clause */
/* links: cpu/lapic.c tests/host/percpu.c tests/host/tsc.c tests/host/panic.c tests/host/log.c */
/*
 * cpu/lapic.c on registers in memory: what it leaves alone, what it does not wait for; and how well
 * it measures its timer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "boot/bootinfo.h"
#include "cpu/cpu.h"
#include "cpu/errata.h"
#include "cpu/features.h"
#include "cpu/irq.h"
#include "cpu/lapic.h"
#include "cpu/percpu.h"
#include "cpu/tsc.h"

#define VERSION		0x030
#define LVT_CMCI	0x2f0
#define LVT_TIMER	0x320
#define LVT_THERMAL	0x330
#define MASKED		(1u << 16)
#define ICR_LOW		0x300
#define ICR_HIGH	0x310
#define ICR_PENDING	(1u << 12)

struct features features;
static bool misfires;
static uint32_t registers[1024];
static uint64_t apic_base;

bool errata_has(enum erratum e)
{
	return misfires && e == ERRATUM_TSC_DEADLINE;
}

static uint32_t *reg(unsigned offset)
{
	return &registers[offset / 4];
}

static const char *option;

bool boot_option(const char *key, char *buf, size_t size)
{
	assert_string_equal(key, "x2apic");
	if (option)
		strncpy(buf, option, size);
	return option != NULL;
}

static void init(bool want_x2apic)
{
	hpa_t window = lapic_init(want_x2apic);

	assert_int_equal(window.v, lapic_is_x2apic() ? 0 : APIC_BASE_RESET);
	lapic_set_window(window.v ? registers : NULL);
}

int irq_claim(unsigned vector, const char *name, irq_handler *fn, void *arg)
{
	(void)vector;
	(void)name;
	(void)fn;
	(void)arg;
	return 0;
}

static int rdmsr(uint32_t msr, uint64_t *v)
{
	if (msr != MSR_APIC_BASE)
		return -EFAULT;
	*v = apic_base;
	return 0;
}

static void pass_time(void)
{
	host_tsc += 100;
}

static int setup(void **state)
{
	(void)state;
	memset(registers, 0, sizeof(registers));
	memset(&features, 0, sizeof(features));
	apic_base = APIC_BASE_RESET | APIC_BASE_ENABLE;
	host_rdmsr = rdmsr;
	host_pause = pass_time;
	return 0;
}

/* The last message is never taken: the next goes out all the same, a millisecond later. */
static void a_stuck_message(void **state)
{
	uint64_t start;

	(void)state;
	init(true);
	assert_int_equal(lapic_cpu_init(), 0);
	*reg(ICR_LOW) = ICR_PENDING;
	start = host_tsc;
	lapic_send(5, 0x400);
	assert_in_range(host_tsc - start, 900000, 1100000);
	assert_int_equal(*reg(ICR_HIGH), 5u << 24);
	assert_int_equal(*reg(ICR_LOW), 0x400);
	start = host_tsc;
	lapic_send(6, 0x41);
	assert_int_equal(host_tsc, start);
}

/* Chosen once; a CPU that firmware left in the other mode cannot be reached by memory. */
static void which_mode(void **state)
{
	(void)state;
	init(true);
	assert_false(lapic_is_x2apic());		/* the chip has none */
	features.bits[FEATURE_X2APIC / 64] |= BIT(FEATURE_X2APIC % 64);
	option = "no";
	init(true);
	assert_false(lapic_is_x2apic());
	option = "yes";
	init(false);
	assert_true(lapic_is_x2apic());
	option = "maybe";
	init(false);
	assert_false(lapic_is_x2apic());
	option = NULL;
	init(true);
	assert_true(lapic_is_x2apic());
	apic_base |= APIC_BASE_X2APIC;
	init(false);
	assert_true(lapic_is_x2apic());		/* it stays on */
	assert_int_equal(lapic_cpu_init(), 0);
	apic_base &= ~APIC_BASE_X2APIC;
	init(false);
	assert_false(lapic_is_x2apic());
	assert_int_equal(lapic_cpu_init(), 0);
	memset(registers, 0, sizeof(registers));
	apic_base |= APIC_BASE_X2APIC;
	assert_int_equal(lapic_cpu_init(), -ENODEV);
	for (unsigned i = 0; i < ARRAY_COUNT(registers); i++)
		assert_int_equal(registers[i], 0);
}

/* SMIs of the thermal sensor are firmware's, on the other CPUs too; all else is masked. */
static void entries_of_firmware(void **state)
{
	(void)state;
	host_percpu_init(2);
	init(true);
	*reg(VERSION) = 6 << 16;
	*reg(LVT_CMCI) = 0x200;
	*reg(LVT_THERMAL) = 0x55;
	assert_int_equal(lapic_cpu_init(), 0);
	assert_int_equal(*reg(LVT_THERMAL), MASKED);
	assert_int_equal(*reg(LVT_CMCI), MASKED);
	*reg(LVT_THERMAL) = 0x200;
	assert_int_equal(lapic_cpu_init(), 0);
	assert_int_equal(*reg(LVT_THERMAL), 0x200);
	host_cpu_become(1);
	*reg(VERSION) = 5 << 16;
	*reg(LVT_THERMAL) = MASKED;
	*reg(LVT_CMCI) = 0;
	assert_int_equal(lapic_cpu_init(), 0);
	assert_int_equal(*reg(LVT_THERMAL), 0x200);
	assert_int_equal(*reg(LVT_CMCI), 0);		/* it has none */
	host_cpu_become(0);
}

static uint64_t deadline;

static int deadline_write(uint32_t msr, uint64_t v)
{
	if (msr == MSR_TSC_DEADLINE)
		deadline = v;
	return 0;
}

static void which_timer(void **state)
{
	(void)state;
	host_wrmsr = deadline_write;
	features.bits[FEATURE_TSC_DEADLINE / 64] |= BIT(FEATURE_TSC_DEADLINE % 64);
	for (int i = 0; i < 2; i++) {
		misfires = i;
		init(true);
		assert_int_equal(lapic_cpu_init(), 0);
		assert_int_equal(*reg(LVT_TIMER), IRQ_TIMER | (i ? 0 : 1u << 18));
		deadline = 0;
		lapic_timer_set(5000, 700);		/* not a tick early */
		assert_in_range(deadline, i ? 0 : 5701, i ? 0 : 5702);
	}
	misfires = false;
	host_wrmsr = NULL;
}

/* ---- a counter that goes at a third of the TSC's rate, and takes 6,000 ticks to be read ---- */

#define X2APIC(reg)	(MSR_X2APIC_BASE + (reg) / 16)
#define READ_COST	6000u

static uint64_t counter_since;
static uint32_t counter_initial;

static int counter_read(uint32_t msr, uint64_t *v)
{
	static unsigned reads;

	if (msr == MSR_APIC_BASE)
		return rdmsr(msr, v);
	host_tsc += READ_COST / 2;
	*v = msr == X2APIC(0x390) ? counter_initial - (host_tsc - counter_since) / 3 : 0;
	host_tsc += READ_COST / 2;
	/* Now and then it takes far longer. */
	if (++reads % 3)
		host_tsc += 100000;
	return 0;
}

static int counter_write(uint32_t msr, uint64_t v)
{
	if (msr == X2APIC(0x380)) {
		counter_initial = (uint32_t)v;
		counter_since = host_tsc;
	}
	return 0;
}

/* A timer fires when it shall: not a tick early, and no more than a ten-thousandth late. */
static void calibrates(void **state)
{
	(void)state;
	features.bits[FEATURE_X2APIC / 64] |= BIT(FEATURE_X2APIC % 64);
	host_rdmsr = counter_read;
	host_wrmsr = counter_write;
	init(true);
	lapic_timer_calibrate();
	for (uint64_t ticks = 300; ticks <= 300000000; ticks *= 10) {
		lapic_timer_set(host_tsc, ticks);
		assert_in_range(3ul * counter_initial, ticks, ticks + 6 + ticks / 10000);
	}
	lapic_timer_set(host_tsc, 0);
	assert_int_equal(counter_initial, 1);
	lapic_timer_set(host_tsc, ~0ul >> 1);
	assert_int_equal(counter_initial, 0xffffffff);
	host_wrmsr = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_stuck_message, setup),
		cmocka_unit_test_setup(which_mode, setup),
		cmocka_unit_test_setup(entries_of_firmware, setup),
		cmocka_unit_test_setup(which_timer, setup),
		cmocka_unit_test_setup(calibrates, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
