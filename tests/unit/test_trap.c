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

PERCPU bool sched_wanted_flag;
static bool ended, gave_way;
static void *entry_stack;

void thread_exit(void)
{
	ended = true;
	longjmp(at_panic, 1);
}

struct thread *thread_current(void)
{
	return NULL;
}

const char *thread_name(const struct thread *t)
{
	(void)t;
	return "user";
}

void sched_point(void)
{
	gave_way = true;
}

void gdt_set_stack(enum gdt_ist ist, void *top)
{
	assert_int_equal(ist, GDT_IST_NONE);
	assert_true(gave_way);
	entry_stack = top;
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
	struct trap_frame nmi = { .vector = EXC_NMI, .cs = GDT_KERNEL_CODE };

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

	trap_dispatch(&nmi);			/* no panic: nothing is written down */
	trap_say_machine_checks(say);
	assert_string_equal(said, "");

	status[1][1] = MC_STATUS_VAL | 1;
	status[1][3] = MC_STATUS_VAL | MC_STATUS_UC | 2;
	host_cpu_become(0);			/* the first to panic knows nothing */
	if (!setjmp(at_panic))
		trap_machine_check();
	host_cpu_become(1);
	trap_dispatch(&nmi);
	trap_say_machine_checks(say);
	assert_string_equal(said, "cpu 1 bank 3: STATUS a000000000000002 ADDR 0 MCG_STATUS 5\n");
}

/* An exception of ring 3 is its thread's end, with a report; the same of Keel's is the panic. */
static void ring3(void **state)
{
	struct trap_frame f = { .vector = EXC_UD, .rip = 0x401234 };

	(void)state;
	for (volatile unsigned user = 0; user < 2; user++) {
		f.cs = user ? GDT_USER_CODE | 3 : GDT_KERNEL_CODE;
		panicked = ended = false;
		cpu_irq_disable();
		if (!setjmp(at_panic))
			trap_dispatch(&f);
		assert_int_equal(panicked, !user);
		assert_int_equal(ended, user);
	}
	assert_true(cpu_irq_enabled());
	assert_non_null(strstr(host_log_last,
			       "user: ended by #UD invalid opcode at 0000000000401234"));
	/* But for what is the machine's. */
	f.vector = EXC_DF;
	panicked = ended = false;
	if (!setjmp(at_panic))
		trap_dispatch(&f);
	assert_true(panicked && !ended);
	trap_to_user(&f);
	assert_ptr_equal(entry_stack, &f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(machine_checks),
		cmocka_unit_test(ring3),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
