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

#include "cpu/cpu.h"
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

/* What the guest was entered with, and what it is left with. */
static uint64_t blocked_at_entry, blocked_at_exit;
static bool sets_blocking;

unsigned vmx_enter(uint64_t *gpr, bool launched)
{
	(void)gpr;
	(void)launched;
	entries++;
	blocked_at_entry = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY);
	if (sets_blocking)
		vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, blocked_at_exit);
	return 0;
}

static unsigned loads;

void vmx_load(struct vcpu *v)
{
	assert_true(v->in_guest);
	loads++;
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
	entries = loads = 0;
	sets_blocking = false;
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

/* A vCPU that is ready goes in at once; one that must stop first takes nothing of the CPU's. */
static void readiness(void **state)
{
	(void)state;
	assert_true(vmx_run(&vcpu));
	assert_int_equal(loads, 1);
	arch.ready = true;
	assert_true(vmx_run(&vcpu));
	assert_int_equal(loads, 1);
	vcpu.requests = VCPU_REQ_EVENT;
	for (unsigned i = 0; i < 2; i++) {
		arch.ready = i;
		assert_false(vmx_run(&vcpu));
		assert_false(vcpu.in_guest);
		assert_true(cpu_irq_enabled());
	}
	assert_int_equal(loads, 1);
	assert_int_equal(entries, 2);
}

static void run_to(uint64_t blocked)
{
	sets_blocking = true;
	blocked_at_exit = blocked;
	assert_true(vmx_run(&vcpu));
}

/*
 * Whether an NMI is handled the VMCS tells. It is told that one is, but for the entry that injects
 * it: there the chip sets the mask by itself, and refuses to be told before.
 */
static void nmi_mask(void **state)
{
	(void)state;
	vcpu.event.nmi_masked = true;		/* by event_pick() */
	vcpu.event.injected = (struct event){ .valid = true, .type = EVENT_NMI,
					      .vector = EXC_NMI };
	run_to(BLOCKED_BY_NMI);
	assert_int_equal(blocked_at_entry, 0);
	assert_true(vcpu.event.nmi_masked);
	run_to(BLOCKED_BY_NMI);
	assert_int_equal(blocked_at_entry, BLOCKED_BY_NMI);
	assert_true(vcpu.event.nmi_masked);
	run_to(0);				/* its IRET */
	assert_int_equal(blocked_at_entry, BLOCKED_BY_NMI);
	assert_false(vcpu.event.nmi_masked);
	/* Keel found that the IRET is to run again; an exception on the way does not unmask. */
	vcpu.event.nmi_masked = true;
	vcpu.event.injected = (struct event){ .valid = true, .type = EVENT_EXCEPTION,
					      .vector = EXC_GP };
	run_to(BLOCKED_BY_NMI);
	assert_int_equal(blocked_at_entry, BLOCKED_BY_NMI);
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
		cmocka_unit_test_setup(readiness, setup),
		cmocka_unit_test_setup(nmi_mask, setup),
		cmocka_unit_test_setup(breakpoint_behind_mov_ss, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
