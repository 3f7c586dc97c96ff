/* SPDX-License-Identifier: BSD-2-Clause */
/* links: kernel/trap.c cpu/features.c lib/format.c tests/host/percpu.c tests/host/log.c */
/*
 * kernel/trap.c: machine checks. What a reset left in the banks is kept and then cleared, before
 * reporting is switched on; every CPU that stops writes down its worst bank, and the report has
 * all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/cpu.h"
#include "cpu/features.h"
#include "cpu/gdt.h"
#include "cpu/percpu.h"
#include "kernel/panic.h"
#include "kernel/trap.h"
#include "mm/kmap.h"

#define BANKS	4

extern unsigned host_log_count[4];
extern char host_log_last[256];

const char trap_stubs[256 * 16];
const int fixup_start[1], fixup_end[1];

static uint64_t status[2][BANKS];	/* by CPU */
static bool reporting[BANKS];
static bool panicked;
static jmp_buf at_panic;
static char said[1024];

bool panic_started(void)
{
	return panicked;
}

void panic_at(const struct trap_frame *f, const char *fmt, ...)
{
	(void)f, (void)fmt;
	panicked = true;
	longjmp(at_panic, 1);
}

void panic_nmi(const struct trap_frame *f)
{
	(void)f;
}

bool kmap_is_guard(uint64_t va)
{
	(void)va;
	return false;
}

static int rdmsr(uint32_t msr, uint64_t *v)
{
	unsigned bank = (msr - MSR_MC0_CTL) / 4;

	*v = 0;
	if (msr == MSR_MCG_CAP)
		*v = BANKS;
	else if (msr == MSR_MCG_STATUS)
		*v = 5;
	else if (msr >= MSR_MC0_CTL && bank < BANKS && msr % 4 == 1)
		*v = status[cpu_index()][bank];
	else if (msr >= MSR_MC0_CTL && bank < BANKS && msr % 4 == 2)
		*v = 0xabc000 + bank;
	else
		return -EFAULT;
	return 0;
}

static int wrmsr(uint32_t msr, uint64_t v)
{
	unsigned bank = (msr - MSR_MC0_CTL) / 4;

	assert_in_range(bank, 0, BANKS - 1);
	if (msr % 4)
		assert_false(reporting[bank]);
	if (msr % 4)
		status[cpu_index()][bank] = v;
	else
		reporting[bank] = v == ~0ul;
	return 0;
}

static void say(const char *line)
{
	assert_true(strlen(said) + strlen(line) + 2 < sizeof(said));
	strcat(strcat(said, line), "\n");
}

static void machine_checks(void **state)
{
	(void)state;
	host_percpu_init(2);
	host_rdmsr = rdmsr;
	host_wrmsr = wrmsr;
	features.bits[FEATURE_MCE / 64] |= 1ul << FEATURE_MCE % 64;
	features.bits[FEATURE_MCA / 64] |= 1ul << FEATURE_MCA % 64;
	status[1][2] = MC_STATUS_VAL | MC_STATUS_ADDRV | 0x17;
	for (unsigned i = 0; i < 2; i++) {
		memset(reporting, 0, sizeof(reporting));
		host_cpu_become(i);
		trap_cpu_init();
		assert_true(reporting[0] && reporting[BANKS - 1]);
	}
	assert_int_equal(status[1][2], 0);
	trap_log_leftovers();
	assert_non_null(strstr(host_log_last, "cpu 1 bank 2: STATUS 8400000000000017 ADDR abc002"));

	trap_nmi();				/* no panic: nothing is written down */
	trap_say_machine_checks(say);
	assert_string_equal(said, "");

	status[1][1] = MC_STATUS_VAL | 1;
	status[1][3] = MC_STATUS_VAL | MC_STATUS_UC | 2;
	host_cpu_become(0);			/* the first to panic knows nothing */
	if (!setjmp(at_panic))
		trap_machine_check();
	host_cpu_become(1);
	trap_nmi();
	trap_say_machine_checks(say);
	assert_string_equal(said, "cpu 1 bank 3: STATUS a000000000000002 ADDR 0 MCG_STATUS 5\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(machine_checks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
