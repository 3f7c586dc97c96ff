/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/vm_quiesce.c tests/host/one_thread.c tests/host/panic.c tests/host/percpu.c
 * tests/host/steps.c */
/*
 * What waiting for all vCPUs of a large guest costs: one message to each that runs, one wait for
 * all of them, and nothing that grows with how many wait for a core. docs/SPEC.md has the promises.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/host/steps.h"
#include "vmm/vm.h"

extern char __start_counted[], __stop_counted[];
extern void (*host_wait)(void);		/* one_thread.c */

static struct vm vm;
static unsigned asked, waits;
static uint64_t steps;

static void count_step(uintptr_t rip)
{
	steps += steps_within(rip, __start_counted, __stop_counted);
}

void vcpu_request(struct vcpu *vcpu, uint32_t request)
{
	assert_int_equal(request, VCPU_REQ_QUIESCE);
	assert_int_equal(waits, 0);		/* all are asked before any is waited for */
	vcpu->requests |= request;
	asked++;
}

/* All leave the guest at once, each on its CPU: that is not this thread's cost. */
static void they_answer(void)
{
	steps_trap(false);
	waits++;
	for (unsigned i = 0; i < VM_VCPU_MAX; i++)
		if (vm.vcpu[i]->requests)
			vcpu_quiet_now(vm.vcpu[i]);
	steps_trap(true);
}

/* Of 64 vCPUs so many are in the guest; the others wait for a core. */
static uint64_t cost(unsigned running)
{
	asked = waits = 0;
	for (unsigned i = 0; i < VM_VCPU_MAX; i++) {
		vm.vcpu[i]->requests = 0;
		vm.vcpu[i]->quiet = i >= running;
	}
	steps = 0;
	steps_trap(true);
	vm_quiesce(&vm);
	steps_trap(false);
	print_message("%u of 64 vCPUs run: %lu instructions\n", running, steps);
	assert_int_equal(asked, running);
	assert_int_equal(waits, !!running);
	return steps;
}

static void one_round_for_all(void **state)
{
	uint64_t none, few, all;

	(void)state;
	vm.vcpu_count = VM_VCPU_MAX;
	for (unsigned i = 0; i < VM_VCPU_MAX; i++) {
		vm.vcpu[i] = calloc(1, sizeof(*vm.vcpu[i]));
		vm.vcpu[i]->vm = &vm;
	}
	host_wait = they_answer;
	none = cost(0);
	few = cost(2);
	all = cost(64);
	for (unsigned i = 0; i < VM_VCPU_MAX; i++)
		free(vm.vcpu[i]);
	assert_in_range(none, 100, 2000);
	assert_in_range(few, none, 2500);
	assert_in_range(all, few, 4500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_round_for_all),
	};

	steps_begin(count_step);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
