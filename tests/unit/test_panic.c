/* SPDX-License-Identifier: BSD-2-Clause */
/* links: kernel/panic.c lib/format.c tests/host/percpu.c tests/host/spinlock.c
 * tests/host/tsc.c */
/*
 * kernel/panic.c with three CPUs played in turn; a CPU that stops is a SIGILL here. What each CPU
 * does last is done on all of them before a reset, and a panic within a panic still honours
 * panic=reboot, once.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "boot/bootinfo.h"
#include "cpu/cpu.h"
#include "cpu/ipi.h"
#include "cpu/lapic.h"
#include "cpu/percpu.h"
#include "cpu/tsc.h"
#include "kernel/panic.h"
#include "kernel/symbols.h"
#include "kernel/thread.h"
#include "kernel/trace.h"
#include "kernel/trap.h"

#define CPUS	3

static sigjmp_buf stopped_at;
static unsigned last_acts[CPUS], reboots;
static char said[8192];

bool boot_option(const char *key, char *buf, size_t size)
{
	assert_string_equal(key, "panic");
	assert_true(size > sizeof("reboot"));
	strcpy(buf, "reboot");
	return true;
}

bool symbols_find(uint64_t address, char *name, size_t size, uint64_t *offset)
{
	(void)address, (void)name, (void)size, (void)offset;
	return false;
}

unsigned symbols_backtrace(uint64_t rbp, uint64_t *address, unsigned max)
{
	(void)rbp, (void)address, (void)max;
	return 0;
}

const struct spinlock *spin_held_get(unsigned i)
{
	(void)i;
	return NULL;
}

struct thread *thread_current(void)
{
	return NULL;
}

const char *thread_name(const struct thread *t)
{
	(void)t;
	return "";
}

void trace_dump(unsigned count, void (*print)(const char *line))
{
	(void)count, (void)print;
}

void trap_say_machine_checks(void (*print)(const char *line))
{
	(void)print;
}

uint32_t lapic_id(void)
{
	return 0;
}

void lapic_send(uint32_t apic_id, uint32_t what)
{
	(void)apic_id, (void)what;
}

static void on_stop(int signal)
{
	(void)signal;
	siglongjmp(stopped_at, 1);
}

/* Does fn() stop this CPU? */
static bool stops(void (*fn)(void))
{
	if (sigsetjmp(stopped_at, 1))
		return true;
	fn();
	return false;
}

static void take_nmi(void)
{
	panic_nmi(NULL);
}

void ipi_send_nmi_others(void)
{
	for (unsigned i = 1; i < CPUS; i++) {
		host_cpu_become(i);
		assert_true(stops(take_nmi));
	}
	host_cpu_become(0);
}

static void last_act(void)
{
	last_acts[cpu_index()]++;
}

static void reboot(void)
{
	reboots++;
}

static void print(const char *text)
{
	assert_true(strlen(said) + strlen(text) < sizeof(said));
	strcat(said, text);
}

static void do_panic(void)
{
	panic("on purpose");
}

static void stop_and_then_panic(void **state)
{
	(void)state;
	host_percpu_init(CPUS);
	signal(SIGILL, on_stop);
	panic_set_print(print);
	panic_set_reboot(reboot);
	panic_set_stop(last_act);
	assert_false(stops(take_nmi));
	panic_stop_cpus();
	assert_true(panic_started());
	for (unsigned i = 0; i < CPUS; i++)
		assert_int_equal(last_acts[i], 1);
	assert_false(stops(take_nmi));		/* a stray NMI leaves the reporter alone */

	assert_true(stops(do_panic));
	assert_non_null(strstr(said, "panic within panic"));
	assert_non_null(strstr(said, "rebooting"));
	assert_int_equal(reboots, 1);
	assert_int_equal(last_acts[0], 2);
	said[0] = 0;
	assert_true(stops(do_panic));		/* the end itself fails: no further */
	assert_string_equal(said, "");
	assert_int_equal(reboots, 1);

	host_cpu_become(1);			/* another CPU's panic is too late */
	assert_true(stops(do_panic));
	assert_string_equal(said, "");
	assert_int_equal(last_acts[1], 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stop_and_then_panic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
