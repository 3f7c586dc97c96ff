/* SPDX-License-Identifier: BSD-2-Clause */
/* links: svm/svm_regs.c svm/svm_audit.c svm/svm_inject.c svm/svm_vcpu.c svm/svm_machine_check.c
 * kernel/hwstate.c vmm/regs.c
 * svm/svm_debug.c svm/svm_nmi.c vmm/event.c lib/record.c lib/format.c mm/page.c mm/page_intake.c
 * tests/host/heap.c tests/host/memory.c tests/host/percpu.c tests/host/spinlock.c
 * tests/host/panic.c tests/host/log.c tests/host/tsc.c */
/*
 * Events of the SVM back end without a chip: written down and read back as the manual has it, and
 * NMIs, one handled and one waiting, though the chip tells little of them.
 */
#include "tests/host/svm_test.h"

static void inject_exception(void **state)
{
	(void)state;
	event_queue(&vcpu, &(struct event){ .valid = true, .type = EVENT_EXCEPTION,
		.vector = EXC_PF, .has_error = true, .error = 6, .payload = 0xdead000 });
	svm_inject(&vcpu);
	assert_true(vcpu.rflags & RFLAGS_RF);
	assert_int_equal(vmcb.cr2, 0xdead000);
	assert_int_equal(vmcb.event_inject,
			 6ul << 32 | VMCB_EVENT_VALID | VMCB_EVENT_ERROR | 3 << 8 | EXC_PF);
	assert_false(vcpu.event.look);
	/* Its delivery was interrupted: it is queued again, once. */
	vmcb.exit_int_info = vmcb.event_inject;
	svm_delivered(&vcpu);
	assert_true(vcpu.event.pending.valid);
	assert_int_equal(vcpu.event.pending.payload, 0xdead000);
	assert_int_equal(vmcb.event_inject, 0);
	/* INT n runs again instead. */
	vcpu.event.pending.valid = false;
	vmcb.exit_int_info = VMCB_EVENT_VALID | EVENT_SOFT_INTERRUPT << 8 | 0x80;
	svm_delivered(&vcpu);
	assert_false(vcpu.event.pending.valid);
}

static void inject_interrupt(void **state)
{
	(void)state;
	for (unsigned virq = 0; virq < 2; virq++) {
		setup(NULL);
		arch.by_virq = virq;
		vcpu.vlapic.irr[0] = BIT(50);
		pending_vector = 50;
		svm_inject(&vcpu);
		if (!virq) {
			assert_int_equal(vmcb.event_inject, VMCB_EVENT_VALID | 50);
			continue;
		}
		assert_int_equal(vmcb.event_inject, 0);
		assert_true(vmcb.vintr & VINTR_IRQ);
		assert_int_equal(FIELD(vmcb.vintr, 39, 32), 50);
		/* Not taken before the exit: again. */
		svm_delivered(&vcpu);
		assert_true(vcpu.event.pending.valid);
		svm_inject(&vcpu);
		vmcb.vintr &= ~VINTR_IRQ;		/* the chip took it */
		/* QEMU's way to say so. */
		vmcb.exit_int_info = VMCB_EVENT_VALID | EVENT_EXCEPTION << 8 | 50;
		svm_delivered(&vcpu);
		assert_false(vcpu.event.pending.valid);
		assert_false(arch.virq_in_flight);
	}
}

static void windows(void **state)
{
	(void)state;
	vcpu.rflags = RFLAGS_ONE;
	vcpu.vlapic.irr[0] = BIT(50);
	pending_vector = 50;
	vcpu.event.look = true;
	svm_inject(&vcpu);
	assert_true(arch.window);
	assert_true(vmcb.intercept[3] & BIT(INTERCEPT_VINTR % 32));
	assert_true(vcpu.event.look);
	vcpu.rflags |= RFLAGS_IF;
	svm_window_opened(&vcpu);
	assert_false(vmcb.intercept[3] & BIT(INTERCEPT_VINTR % 32));
	svm_inject(&vcpu);
	assert_int_equal(vmcb.event_inject, VMCB_EVENT_VALID | 50);
	/* By the task priority alone: CR8 writes exit. */
	vmcb.event_inject = 0;
	vcpu.vlapic.irr[0] = BIT(40);
	vcpu.vlapic.tpr = 0x30;
	pending_vector = -1;
	svm_inject(&vcpu);
	assert_true(vmcb.intercept[0] & BIT(16 + 8));
	assert_int_equal(vmcb.vintr & VINTR_TPR, 3);
}

#define NMI_INJECTED	(VMCB_EVENT_VALID | EVENT_NMI << 8 | EXC_NMI)

static bool injected(uint64_t event)
{
	bool it_is = vmcb.event_inject == event;

	vmcb.event_inject = 0;
	vcpu.event.injected.valid = false;
	return it_is;
}

/* In the handler of one NMI, with another waiting, at its IRET at 0x100. */
static void stand_at_iret(uint64_t flags)
{
	event_nmi(&vcpu);
	svm_inject(&vcpu);
	assert_true(injected(NMI_INJECTED));
	assert_true(svm_intercepts(&vmcb, INTERCEPT_IRET));
	event_nmi(&vcpu);
	vmcb.dr6 = DR6_RESET;
	vcpu.rip = 0x100;
	vcpu.rflags = RFLAGS_ONE | flags;
	svm_nmi_iret(&vcpu, &vmcb);
	assert_true(vcpu.event.look);
	svm_inject(&vcpu);
	assert_true(injected(0));
	assert_true(vcpu.rflags & RFLAGS_TF);
	assert_false(svm_intercepts(&vmcb, INTERCEPT_IRET));
	assert_true(svm_intercepts(&vmcb, INTERCEPT_EXCEPTION + EXC_PF));
	assert_true(vcpu.event.look);
}

static void assert_step_is_over(void)
{
	assert_int_equal(vmcb.intercept[2], SVM_EXCEPTIONS);
	assert_int_equal(vcpu.event.nmi_masked, false);
	svm_inject(&vcpu);
	assert_true(injected(NMI_INJECTED));
	assert_true(vcpu.event.nmi_masked);
	assert_int_equal(vcpu.event.nmi_pending, 0);
}

/* The second is taken right behind the IRET of the first: where that leads, with its flags. */
static void nmi_behind_iret(void **state)
{
	(void)state;
	stand_at_iret(0);
	vcpu.rip = 0x200;
	vcpu.rflags = RFLAGS_ONE | RFLAGS_IF;
	vmcb.dr6 |= DR6_BS;
	assert_true(svm_nmi_stepped(&vcpu));
	assert_int_equal(vmcb.dr6, DR6_RESET);
	assert_int_equal(vcpu.rflags, RFLAGS_ONE | RFLAGS_IF);
	assert_step_is_over();
	/* Back to itself, with TF set by the frame. */
	setup(NULL);
	stand_at_iret(0);
	vcpu.rflags = RFLAGS_ONE | RFLAGS_TF;
	vmcb.dr6 |= DR6_BS;
	assert_true(svm_nmi_stepped(&vcpu));
	assert_true(vcpu.rflags & RFLAGS_TF);
	assert_step_is_over();
}

/* A #DB that the guest has met itself is not lost: by its own TF, by a watched stack. */
static void nmi_behind_iret_with_debug(void **state)
{
	(void)state;
	stand_at_iret(RFLAGS_TF);
	vcpu.rip = 0x200;
	vcpu.rflags = RFLAGS_ONE;
	vmcb.dr6 |= DR6_BS;
	assert_false(svm_nmi_stepped(&vcpu));
	assert_int_equal(vmcb.dr6, DR6_RESET | DR6_BS);
	assert_step_is_over();
	setup(NULL);
	stand_at_iret(0);
	vcpu.rip = 0x200;
	vmcb.dr6 |= DR6_BS | DR6_B2;
	assert_false(svm_nmi_stepped(&vcpu));
	assert_int_equal(vmcb.dr6, DR6_RESET | DR6_B2);
	assert_step_is_over();
	/* No step: the guest's. */
	assert_false(svm_nmi_stepped(&vcpu));
}

/* The fault shows no TF; NMIs are open, and this one comes behind the fault. */
static void nmi_when_iret_faults(void **state)
{
	(void)state;
	stand_at_iret(0);
	svm_nmi_faulted(&vcpu);
	event_gp(&vcpu);
	assert_false(vcpu.rflags & RFLAGS_TF);
	assert_false(vcpu.event.nmi_masked);
	kicks = 0;
	svm_inject(&vcpu);
	assert_int_equal((uint32_t)vmcb.event_inject,
			 VMCB_EVENT_VALID | VMCB_EVENT_ERROR | EVENT_EXCEPTION << 8 | EXC_GP);
	assert_int_equal(kicks, 1);
	injected(0);
	assert_step_is_over();
}

/* Other exits: in front of the IRET it is tried again; behind it, that was it. */
static void nmi_step_interrupted(void **state)
{
	(void)state;
	stand_at_iret(0);
	svm_inject(&vcpu);
	assert_true(injected(0));
	assert_false(vcpu.rflags & RFLAGS_TF);
	assert_true(vcpu.event.nmi_masked);
	assert_true(svm_intercepts(&vmcb, INTERCEPT_IRET));
	assert_int_equal(vmcb.intercept[2], SVM_EXCEPTIONS);
	svm_nmi_iret(&vcpu, &vmcb);
	svm_inject(&vcpu);
	vcpu.rip = 0x200;
	vcpu.rflags = RFLAGS_ONE;
	svm_nmi_settle(&vcpu);
	assert_step_is_over();
	/* An event that goes first is not stepped into; saved state shows nothing of a step. */
	setup(NULL);
	stand_at_iret(0);
	svm_nmi_iret(&vcpu, &vmcb);
	event_ud(&vcpu);
	svm_inject(&vcpu);
	assert_true(injected(VMCB_EVENT_VALID | EVENT_EXCEPTION << 8 | EXC_UD));
	assert_false(vcpu.rflags & RFLAGS_TF);
	assert_true(svm_intercepts(&vmcb, INTERCEPT_IRET));
	svm_nmi_iret(&vcpu, &vmcb);
	svm_inject(&vcpu);
	assert_true(vcpu.rflags & RFLAGS_TF);
	vcpu.hw.loaded = true;
	svm_leave_cpu(&vcpu);
	assert_false(vcpu.rflags & RFLAGS_TF);
	assert_true(vcpu.event.nmi_masked);
}

/* TF would stay in the TSS of the task that is left. */
static void nmi_behind_a_task(void **state)
{
	(void)state;
	event_nmi(&vcpu);
	svm_inject(&vcpu);
	event_nmi(&vcpu);
	injected(0);
	vmcb.efer = EFER_SVME;
	vcpu.rip = 0x100;
	vcpu.rflags = RFLAGS_ONE | RFLAGS_NT;
	svm_nmi_iret(&vcpu, &vmcb);
	svm_inject(&vcpu);
	assert_false(vcpu.rflags & RFLAGS_TF);
	assert_int_equal(arch.nmi_timer.cpu, 0);
	vcpu.rip = 0x200;
	svm_nmi_settle(&vcpu);
	assert_step_is_over();
}

/* One is handled, one waits. Before any is, one may run at once. */
static void nmis_that_are_one(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		event_nmi(&vcpu);
	svm_inject(&vcpu);
	assert_true(injected(NMI_INJECTED));
	assert_int_equal(vcpu.event.nmi_pending, 1);
	for (unsigned i = 0; i < 3; i++) {
		event_nmi(&vcpu);
		svm_inject(&vcpu);
		assert_true(injected(0));
		assert_int_equal(vcpu.event.nmi_pending, 1);
	}
}

/* Behind what is shorter than a handler: left at once behind an event, soon behind a shadow. */
static void nmi_that_waits(void **state)
{
	(void)state;
	host_tsc = 1000;
	kicks = 0;
	event_nmi(&vcpu);
	event_ud(&vcpu);
	svm_inject(&vcpu);
	assert_true(injected(VMCB_EVENT_VALID | EVENT_EXCEPTION << 8 | EXC_UD));
	assert_int_equal(kicks, 1);
	assert_int_equal(arch.nmi_timer.cpu, -1);
	vcpu.event.shadow = EVENT_SHADOW_STI;
	svm_inject(&vcpu);
	assert_int_equal(arch.nmi_timer.cpu, 0);
	assert_true(arch.nmi_timer.deadline_ns > clock_ns() &&
		    arch.nmi_timer.deadline_ns < 1000000);
	svm_nmi_fini(&vcpu);
	vcpu.event.shadow = 0;
	svm_inject(&vcpu);
	assert_true(injected(NMI_INJECTED));
	assert_int_equal(arch.nmi_timer.cpu, -1);
	assert_int_equal(kicks, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(inject_exception, setup),
		cmocka_unit_test_setup(inject_interrupt, setup),
		cmocka_unit_test_setup(windows, setup),
		cmocka_unit_test_setup(nmi_behind_iret, setup),
		cmocka_unit_test_setup(nmi_behind_iret_with_debug, setup),
		cmocka_unit_test_setup(nmi_when_iret_faults, setup),
		cmocka_unit_test_setup(nmi_step_interrupted, setup),
		cmocka_unit_test_setup(nmi_behind_a_task, setup),
		cmocka_unit_test_setup(nmis_that_are_one, setup),
		cmocka_unit_test_setup(nmi_that_waits, setup),
	};

	memory_init(16 * MIB);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
