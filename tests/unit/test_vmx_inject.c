/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmx/vmx_inject.c vmm/event.c lib/record.c tests/host/percpu.c tests/host/panic.c
 * tests/host/log.c */
/*
 * Events of the VMX back end without a chip: what is written for each kind, which window is
 * asked for when something must wait, and that a delivery which an exit interrupted is
 * repeated as it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/registers.h"
#include "kernel/trace.h"
#include "vmm/exit.h"
#include "vmm/machine.h"
#include "vmm/vm.h"
#include "vmx/vmx.h"
#include "vmx/vmx_insn.h"

static struct vmx_vcpu arch;
static struct vcpu vcpu;
static struct vm vm;
static uint32_t vtpr;
static int pending_vector;

struct trace_ring trace_ring PERCPU;
PERCPU bool sched_wanted_flag;

static uint64_t reg_get(struct vcpu *v, enum reg r)
{
	(void)v;
	return r == REG_CR0 ? vmcs_read(VMCS_GUEST_CR0) : 0;
}

static const struct vmm_ops ops = { .reg_get = reg_get };
const struct vmm_ops *vmm_ops = &ops;

int vlapic_pending(struct vcpu *v)
{
	return pending_vector >> 4 > (int)(v->vlapic.tpr >> 4) ? pending_vector : -1;
}

void vlapic_accept(struct vcpu *v, unsigned vector)
{
	assert_int_equal((int)vector, pending_vector);
	pending_vector = -1;
	memset(v->vlapic.irr, 0, sizeof(v->vlapic.irr));
}

bool vlapic_blocked_by_tpr(const struct vcpu *v)
{
	return pending_vector >= 0 && pending_vector >> 4 <= (int)(v->vlapic.tpr >> 4);
}

bool vlapic_extint_open(const struct vcpu *v)
{
	(void)v;
	return false;
}

int machine_extint_acknowledge(struct vcpu *v)
{
	(void)v;
	return -1;
}

void vcpu_request(struct vcpu *v, uint32_t request)
{
	(void)request;
	v->event.look = true;
}

void exit_shutdown(struct vcpu *v)
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
	vcpu.arch = &arch;
	vcpu.vm = &vm;
	vtpr = 0;
	arch.vtpr = &vtpr;
	vcpu.rflags = RFLAGS_ONE | RFLAGS_IF;
	vmcs_write(VMCS_GUEST_CR0, CR0_PE);
	pending_vector = -1;
	return 0;
}

static void interrupt(int vector)
{
	pending_vector = vector;
	vcpu.vlapic.irr[vector / 64] = BIT(vector % 64);
}

static void exceptions(void **state)
{
	(void)state;
	event_queue(&vcpu, &(struct event){ .valid = true, .type = EVENT_EXCEPTION,
		.vector = EXC_PF, .has_error = true, .error = 6, .payload = 0x1234 });
	vmx_inject(&vcpu);
	assert_int_equal(vmcs_read(VMCS_ENTRY_EVENT), 0x80000b0e);
	assert_int_equal(vmcs_read(VMCS_ENTRY_ERROR_CODE), 6);
	event_ud(&vcpu);
	vmx_inject(&vcpu);
	assert_int_equal(vmcs_read(VMCS_ENTRY_EVENT), 0x80000306);
	/* Real mode pushes no error code. */
	vmcs_write(VMCS_GUEST_CR0, 0);
	event_gp(&vcpu);
	vmx_inject(&vcpu);
	assert_int_equal(vmcs_read(VMCS_ENTRY_EVENT), 0x8000030d);
}

static void debug_exception_ends_general_detect(void **state)
{
	(void)state;
	vmcs_write(VMCS_GUEST_DR7, DR7_RESET | DR7_GD);
	vmcs_write(VMCS_GUEST_DEBUGCTL, DEBUGCTL_BTF);
	event_debug(&vcpu, DR6_BD);
	vmx_inject(&vcpu);
	assert_int_equal(vmcs_read(VMCS_GUEST_DEBUGCTL), 0);
	assert_false(vcpu.rflags & RFLAGS_RF);
	assert_int_equal(vmcs_read(VMCS_ENTRY_EVENT), 0x80000301);
	assert_int_equal(vmcs_read(VMCS_GUEST_DR7), DR7_RESET);
}

/* Faults set it in their frame; traps, interrupts and NMIs have it as it is. */
static void resume_flag(void **state)
{
	(void)state;
	for (unsigned vector = 0; vector < 32; vector++) {
		bool fault = BIT(vector) & 0x3b7ce1;

		if (vector == EXC_NMI || vector == EXC_DF || vector == EXC_MC || vector >= 22)
			continue;
		vcpu.rflags = RFLAGS_ONE;
		event_exception(&vcpu, vector);
		vmx_inject(&vcpu);
		assert_int_equal(!!(vcpu.rflags & RFLAGS_RF), fault);
	}
	vcpu.rflags = RFLAGS_ONE | RFLAGS_IF;
	interrupt(0x41);
	vmx_inject(&vcpu);
	event_nmi(&vcpu);
	vmx_inject(&vcpu);
	vmx_delivered(&vcpu, 0x80000603);		/* INT3 again */
	vmx_inject(&vcpu);
	assert_false(vcpu.rflags & RFLAGS_RF);
}

static void interrupts_and_windows(void **state)
{
	(void)state;
	interrupt(0x41);
	vmx_inject(&vcpu);
	assert_int_equal(vmcs_read(VMCS_ENTRY_EVENT), 0x80000041);
	assert_int_equal(arch.proc, 0);
	interrupt(0x42);
	vcpu.rflags &= ~RFLAGS_IF;
	vmcs_write(VMCS_ENTRY_EVENT, 0);
	vmx_inject(&vcpu);
	assert_int_equal(vmcs_read(VMCS_ENTRY_EVENT), 0);
	assert_int_equal(vmcs_read(VMCS_PROC_CONTROLS), PROC_INTERRUPT_WINDOW);
	vcpu.rflags |= RFLAGS_IF;
	vcpu.event.shadow = EVENT_SHADOW_STI;
	vmx_inject(&vcpu);
	assert_int_equal(vmcs_read(VMCS_PROC_CONTROLS), PROC_INTERRUPT_WINDOW);
	vcpu.event.shadow = 0;
	vmx_inject(&vcpu);
	assert_int_equal(vmcs_read(VMCS_ENTRY_EVENT), 0x80000042);
	assert_int_equal(vmcs_read(VMCS_PROC_CONTROLS), 0);
}

static void task_priority(void **state)
{
	(void)state;
	interrupt(0x53);
	vcpu.vlapic.tpr = 0x7f;
	vmx_inject(&vcpu);
	assert_int_equal(vtpr, 0x70);
	assert_int_equal(vmcs_read(VMCS_ENTRY_EVENT), 0);
	assert_int_equal(vmcs_read(VMCS_TPR_THRESHOLD), 5);
	vcpu.vlapic.tpr = 0x40;
	vmx_inject(&vcpu);
	assert_int_equal(vmcs_read(VMCS_ENTRY_EVENT), 0x80000053);
	assert_int_equal(vmcs_read(VMCS_TPR_THRESHOLD), 0);
}

static void nmis(void **state)
{
	(void)state;
	event_nmi(&vcpu);
	event_nmi(&vcpu);
	vmx_inject(&vcpu);
	assert_int_equal(vmcs_read(VMCS_ENTRY_EVENT), 0x80000202);
	assert_int_equal(vmcs_read(VMCS_PROC_CONTROLS), PROC_NMI_WINDOW);
	assert_true(vcpu.event.nmi_masked);
	vmcs_write(VMCS_ENTRY_EVENT, 0);
	vcpu.event.nmi_masked = false;		/* as the chip tells after the IRET */
	vmx_inject(&vcpu);
	assert_int_equal(vmcs_read(VMCS_ENTRY_EVENT), 0x80000202);
	assert_int_equal(vmcs_read(VMCS_PROC_CONTROLS), 0);
}

/* What the next entry injects; 0: nothing. The chip takes it away. */
static uint64_t injected(void)
{
	uint64_t info;

	vmx_inject(&vcpu);
	info = vmcs_read(VMCS_ENTRY_EVENT);
	vmcs_write(VMCS_ENTRY_EVENT, 0);
	return info;
}

/* One is handled, one waits, whatever comes meanwhile. Before any is, one may run at once. */
static void nmis_that_are_one(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		event_nmi(&vcpu);
	assert_int_equal(injected(), 0x80000202);
	assert_int_equal(vcpu.event.nmi_pending, 1);
	for (unsigned i = 0; i < 3; i++) {
		event_nmi(&vcpu);
		assert_int_equal(injected(), 0);
		assert_int_equal(vcpu.event.nmi_pending, 1);
		assert_int_equal(vmcs_read(VMCS_PROC_CONTROLS), PROC_NMI_WINDOW);
	}
	/* Its delivery was interrupted: it is the same, and the other waits still. */
	vcpu.event.nmi_masked = false;
	vmx_delivered(&vcpu, 0x80000202);
	event_nmi(&vcpu);
	assert_int_equal(injected(), 0x80000202);
	assert_int_equal(vcpu.event.nmi_pending, 1);
	assert_true(vcpu.event.nmi_masked);
	vcpu.event.nmi_masked = false;
	assert_int_equal(injected(), 0x80000202);
	assert_int_equal(vcpu.event.nmi_pending, 0);
	assert_int_equal(vmcs_read(VMCS_PROC_CONTROLS), 0);
	vcpu.event.nmi_masked = false;
	assert_int_equal(injected(), 0);
}

/* An NMI behind STI comes one instruction later; asking for its window there may never end. */
static void nmi_behind_sti(void **state)
{
	(void)state;
	vcpu.event.shadow = EVENT_SHADOW_STI;
	event_nmi(&vcpu);
	vmx_inject(&vcpu);
	assert_int_equal(vmcs_read(VMCS_ENTRY_EVENT), 0);
	assert_int_equal(vmcs_read(VMCS_PROC_CONTROLS), PROC_INTERRUPT_WINDOW);
	assert_true(vcpu.event.look);
	vcpu.event.shadow = EVENT_SHADOW_MOV_SS;
	vmx_inject(&vcpu);
	assert_int_equal(vmcs_read(VMCS_PROC_CONTROLS), PROC_NMI_WINDOW);
	vcpu.event.shadow = 0;
	vmx_inject(&vcpu);
	assert_int_equal(vmcs_read(VMCS_ENTRY_EVENT), 0x80000202);
	assert_int_equal(vmcs_read(VMCS_PROC_CONTROLS), 0);
}

/*
 * Injected again as it was: with error code, with length, and an exception behind it in its turn.
 */
static void interrupted_delivery(void **state)
{
	static const uint32_t infos[] = {
		0x80000b0d, 0x80000061, 0x80000202, 0x80000480, 0x80000603, 0x80000501,
	};

	(void)state;
	vmcs_write(VMCS_VECTORING_ERROR_CODE, 0x18);
	vmcs_write(VMCS_EXIT_LENGTH, 2);
	for (unsigned i = 0; i < ARRAY_COUNT(infos); i++) {
		vmx_delivered(&vcpu, infos[i]);
		assert_true(vcpu.event.look);
		vmx_inject(&vcpu);
		assert_int_equal(vmcs_read(VMCS_ENTRY_EVENT), infos[i]);
		if (infos[i] & VMCS_EVENT_ERROR)
			assert_int_equal(vmcs_read(VMCS_ENTRY_ERROR_CODE), 0x18);
		if (FIELD(infos[i], 10, 8) >= EVENT_SOFT_INTERRUPT)
			assert_int_equal(vmcs_read(VMCS_ENTRY_LENGTH), 2);
	}
	vmx_delivered(&vcpu, 0x80000b0d);
	event_gp(&vcpu);
	vmx_inject(&vcpu);
	assert_int_equal(vmcs_read(VMCS_ENTRY_EVENT), 0x80000b08);
	assert_int_equal(vmcs_read(VMCS_ENTRY_ERROR_CODE), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(exceptions, setup),
		cmocka_unit_test_setup(debug_exception_ends_general_detect, setup),
		cmocka_unit_test_setup(resume_flag, setup),
		cmocka_unit_test_setup(interrupts_and_windows, setup),
		cmocka_unit_test_setup(task_priority, setup), cmocka_unit_test_setup(nmis, setup),
		cmocka_unit_test_setup(nmis_that_are_one, setup),
		cmocka_unit_test_setup(nmi_behind_sti, setup),
		cmocka_unit_test_setup(interrupted_delivery, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
