/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmx/vmx_run.c tests/host/percpu.c tests/host/tsc.c */
/*
 * One turn in the guest without a chip: what emulation changed is written down before the entry,
 * and what waited behind a shadow that it ended is not lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/registers.h"
#include "vmm/vcpu.h"
#include "vmx/vmx.h"
#include "vmx/vmx_insn.h"

#define B0_ENABLED	(BIT(0) | BIT(12))

static struct vmx_vcpu arch;
static struct vcpu vcpu;
static uint32_t vtpr;
static unsigned entries;

PERCPU bool sched_wanted_flag;

unsigned vmx_enter(uint64_t *gpr, bool launched)
{
	(void)gpr;
	(void)launched;
	entries++;
	return 0;
}

void vmx_load(struct vcpu *v)
{
	(void)v;
}

void vmx_inject(struct vcpu *v)
{
	(void)v;
}

void vmx_delivered(struct vcpu *v, uint32_t vectoring)
{
	(void)v;
	(void)vectoring;
	fail();
}

static void nothing(struct vcpu *v)
{
	(void)v;
}

const struct vmx_exit vmx_exits[VMX_ROW_COUNT] = {
	[VMX_EXIT_CPUID] = { "cpuid", nothing },
};

void vmx_exit_unknown(struct vcpu *v)
{
	(void)v;
	fail();
}

static int setup(void **state)
{
	(void)state;
	memset(host_vmcs, 0, sizeof(host_vmcs));
	memset(&arch, 0, sizeof(arch));
	memset(&vcpu, 0, sizeof(vcpu));
	arch.vtpr = &vtpr;
	vcpu.arch = &arch;
	vcpu.exit_now = &vcpu.exits[0];
	vcpu.activity = VCPU_HALTED;		/* after one exit */
	vmcs_write(VMCS_EXIT_REASON, VMX_EXIT_CPUID);
	entries = 0;
	return 0;
}

static void changes_are_written(void **state)
{
	(void)state;
	vcpu.rip = 0x1234;
	vcpu.gpr[GPR_RSP] = 0x8000;
	vcpu.rflags = RFLAGS_ONE;
	assert_true(vmx_run(&vcpu));
	assert_int_equal(vmcs_read(VMCS_GUEST_RIP), 0x1234);
	assert_int_equal(vmcs_read(VMCS_GUEST_RSP), 0x8000);
	assert_int_equal(vmcs_read(VMCS_GUEST_RFLAGS), RFLAGS_ONE);
	vcpu.requests = VCPU_REQ_EVENT;
	assert_false(vmx_run(&vcpu));
	assert_int_equal(entries, 1);
}

/* MOV SS of a watched operand, then an exit that emulation completes. */
static void breakpoint_behind_mov_ss(void **state)
{
	(void)state;
	arch.interruptibility = BLOCKED_BY_MOV_SS;
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_MOV_SS);
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, B0_ENABLED | BIT(14));
	assert_true(vmx_run(&vcpu));
	assert_int_equal(vmcs_read(VMCS_GUEST_INTERRUPTIBILITY), 0);
	assert_int_equal(vmcs_read(VMCS_GUEST_PENDING_DEBUG), B0_ENABLED);
	/* A #DB of emulation's takes it along. */
	arch.interruptibility = BLOCKED_BY_MOV_SS;
	vcpu.event.injected = (struct event){ .valid = true, .type = EVENT_EXCEPTION,
					      .vector = EXC_DB };
	assert_true(vmx_run(&vcpu));
	assert_int_equal(vmcs_read(VMCS_GUEST_PENDING_DEBUG), 0);
	/* While the shadow stands nothing is touched. */
	arch.interruptibility = BLOCKED_BY_MOV_SS;
	vcpu.event.shadow = EVENT_SHADOW_MOV_SS;
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, B0_ENABLED | BIT(14));
	assert_true(vmx_run(&vcpu));
	assert_int_equal(vmcs_read(VMCS_GUEST_PENDING_DEBUG), B0_ENABLED | BIT(14));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(changes_are_written, setup),
		cmocka_unit_test_setup(breakpoint_behind_mov_ss, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
