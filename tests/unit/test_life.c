/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/life.c tests/host/percpu.c */
/*
 * Every state of a vm and of a vCPU after every other: what the drawings in life.h have is done,
 * anything else stops a debug build, which the tests are, and changes nothing.
 */
#include "vmm/life.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "include/bits.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "vmm/vm.h"

static jmp_buf stopped;
static bool locked;

void panic(const char *fmt, ...)
{
	(void)fmt;
	longjmp(stopped, 1);
}

void log_write(enum log_level level, const char *fmt, ...)
{
	(void)level;
	(void)fmt;
}

bool mutex_held(const struct mutex *m)
{
	(void)m;
	return locked;
}

static struct vm vm;
static struct vcpu vcpu = { .vm = &vm };

static bool vm_goes(unsigned from, unsigned to)
{
	vm.state = from;
	if (setjmp(stopped)) {
		assert_int_equal(vm.state, from);
		return false;
	}
	assert_true(life_vm_set(&vm, to));
	assert_int_equal(vm.state, to);
	return true;
}

static bool vcpu_goes(unsigned from, unsigned to)
{
	vcpu.state = (uint8_t)from;
	if (setjmp(stopped)) {
		assert_int_equal(vcpu.state, from);
		return false;
	}
	assert_true(life_vcpu_set(&vcpu, to));
	assert_int_equal(vcpu.state, to);
	return true;
}

/* Rows: from; columns: to. */
static void vms(void **state)
{
	static const char *const want[VM_STATE_COUNT] = {
		/*		 CRPSXD */
		[VM_CREATED] =	".+...+",
		[VM_RUNNING] =	"..++++",
		[VM_PAUSED] =	".+.+++",
		[VM_STOPPED] =	".....+",
		[VM_CRASHED] =	".....+",
		[VM_DYING] =	".....+",
	};

	(void)state;
	locked = true;
	for (unsigned from = 0; from < VM_STATE_COUNT; from++)
		for (unsigned to = 0; to < VM_STATE_COUNT; to++)
			if (vm_goes(from, to) != (want[from][to] == '+'))
				fail_msg("%u to %u", from, to);
}

static void vcpus(void **state)
{
	static const char *const want[VCPU_STATE_COUNT] = {
		/*		 NLPX */
		[VCPU_NEW] =	".+..",
		[VCPU_LIVE] =	"..++",
		[VCPU_PARKED] =	".+..",
		[VCPU_LEFT] =	"....",
	};

	(void)state;
	locked = true;
	for (unsigned from = 0; from < VCPU_STATE_COUNT; from++)
		for (unsigned to = 0; to < VCPU_STATE_COUNT; to++)
			if (vcpu_goes(from, to) != (want[from][to] == '+'))
				fail_msg("%u to %u", from, to);
}

static void only_under_the_lock(void **state)
{
	(void)state;
	locked = false;
	assert_false(vm_goes(VM_CREATED, VM_RUNNING));
	assert_false(vcpu_goes(VCPU_NEW, VCPU_LIVE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vms),
		cmocka_unit_test(vcpus),
		cmocka_unit_test(only_under_the_lock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
