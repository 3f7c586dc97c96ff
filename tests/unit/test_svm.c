/* SPDX-License-Identifier: BSD-2-Clause */
/* links: svm/svm_regs.c svm/svm_audit.c svm/svm_inject.c svm/svm_vcpu.c svm/svm_machine_check.c
 * svm/svm_debug.c svm/svm_nmi.c vmm/event.c lib/record.c lib/format.c mm/page.c mm/page_intake.c
 * tests/host/heap.c tests/host/memory.c tests/host/percpu.c tests/host/spinlock.c
 * tests/host/panic.c tests/host/log.c tests/host/tsc.c */
/*
 * The SVM back end without a chip: every register and segment comes back as it was set (so a saved
 * vCPU is the one that ran), the auditor names each field that VMRUN would refuse, and events are
 * written down and read back as the manual has it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/cpu.h"
#include "cpu/errata.h"
#include "cpu/features.h"
#include "cpu/registers.h"
#include "cpu/tsc.h"
#include "kernel/trace.h"
#include "svm/svm.h"
#include "tests/host/memory.h"
#include "vmm/machine.h"

static struct vmcb vmcb;
static struct svm_vcpu arch;
static struct cpuid_policy policy;
static struct vm vm = { .cpuid = &policy };
static struct vcpu vcpu;
static bool by_virq, multimatch, breakpoints_stay;
static unsigned shutdowns, crashes, machine_checks;
static int pending_vector, extint = -1;

struct features features;
struct trace_ring trace_ring PERCPU;
static const struct vmm_ops ops = { .reg_get = svm_reg_get };
const struct vmm_ops *vmm_ops = &ops;
PERCPU bool sched_wanted_flag;

bool errata_has(enum erratum e)
{
	return (e == ERRATUM_SVM_INJECT_BY_VIRQ && by_virq) ||
	       (e == ERRATUM_SVM_BREAKPOINTS_STAY && breakpoints_stay) ||
	       (e == ERRATUM_SVM_TLB_MULTIMATCH && multimatch);
}

/* ---- what svm_vcpu.c stands on ---- */

struct svm_cpu svm_cpu PERCPU;
hpa_t svm_iopm, svm_msrpm;

hpa_t gmem_root(const struct gmem *g)
{
	(void)g;
	return HPA(0x5000);
}

uint64_t fpu_xcr0(void)
{
	return 0;
}

uint64_t fpu_xcr0_refuse(uint64_t xcr0, uint64_t allowed)
{
	return xcr0 & allowed;
}

size_t fpu_area_size(void)
{
	return 512;
}

void fpu_area_init(void *area)
{
	memset(area, 0, 512);
}

void fpu_save(void *area)
{
	(void)area;
}

uint32_t fpu_pkru_loaded(void)
{
	return 0x55;
}

uint32_t fpu_pkru_saved(const void *area)
{
	return *(const uint32_t *)area;
}

int fpu_restore(const void *area)
{
	(void)area;
	return 0;
}

void mitigation_vm_load(uint64_t vm)
{
	(void)vm;
}

/* ---- what svm_debug.c stands on ---- */

__asm__(".globl svm_armed_from, svm_armed_to\nsvm_armed_from: .zero 4\nsvm_armed_to:");

void svm_enter(uint64_t *gpr, hpa_t v, hpa_t host_vmcb)
{
	(void)gpr;
	(void)v;
	(void)host_vmcb;
}

static uint64_t entered_with;

void svm_enter_armed(uint64_t *gpr, hpa_t v, hpa_t host_vmcb, uint64_t dr7)
{
	(void)gpr;
	(void)v;
	(void)host_vmcb;
	entered_with = dr7;
}

static struct {
	unsigned n, length;
	bool write;
} decoded;

void vcpu_next(struct vcpu *v, unsigned length)
{
	v->rip += length;
}

/* The operand is RBX. */
unsigned emulate_decode_mov_dr(struct vcpu *v, unsigned *dr, bool *write, enum gpr *r)
{
	(void)v;
	*dr = decoded.n;
	*write = decoded.write;
	*r = GPR_RBX;
	return decoded.length;
}

/* ---- what svm_inject.c stands on ---- */

int vlapic_pending(struct vcpu *v)
{
	(void)v;
	return pending_vector;
}

void vlapic_accept(struct vcpu *v, unsigned vector)
{
	assert_int_equal((int)vector, pending_vector);
	pending_vector = -1;
	v->vlapic.irr[0] = 0;
}

bool vlapic_blocked_by_tpr(const struct vcpu *v)
{
	return v->vlapic.tpr;
}

bool vlapic_extint_open(const struct vcpu *v)
{
	(void)v;
	return true;
}

int machine_extint_acknowledge(struct vcpu *v)
{
	(void)v;
	return extint;
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	*t = (struct timer){ .fn = fn, .cpu = -1 };
}

void timer_set(struct timer *t, uint64_t deadline_ns)
{
	t->cpu = 0;
	t->deadline_ns = deadline_ns;
}

void timer_cancel_sync(struct timer *t)
{
	t->cpu = -1;
}

static unsigned kicks;

void ipi_send(unsigned cpu, unsigned vector)
{
	assert_int_equal(cpu, 0);
	(void)vector;
	kicks++;
}

void exit_shutdown(struct vcpu *v)
{
	(void)v;
	shutdowns++;
}

void vm_crash(struct vm *v, const char *format, ...)
{
	(void)v;
	(void)format;
	crashes++;
}

/* The real one does not come back. */
void trap_machine_check(void)
{
	machine_checks++;
}

void vcpu_request(struct vcpu *v, uint32_t request)
{
	v->requests |= request;
}

/* As VMRUN wants it: 64-bit code with paging. */
static int setup(void **state)
{
	(void)state;
	memset(&vmcb, 0, sizeof(vmcb));
	memset(&arch, 0, sizeof(arch));
	memset(&vcpu, 0, sizeof(vcpu));
	arch.vmcb = &vmcb;
	vcpu.arch = &arch;
	svm_nmi_init(&vcpu);
	vcpu.vm = &vm;
	vmcb.efer = EFER_SVME | EFER_LME | EFER_LMA;
	vmcb.cr0 = CR0_PE | CR0_PG | CR0_ET;
	vmcb.cr4 = CR4_PAE;
	vmcb.asid = 1;
	vmcb.n_cr3 = 0x1000;
	svm_intercept_set(&vmcb, INTERCEPT_VMRUN, true);
	by_virq = false;
	pending_vector = extint = -1;
	vcpu.rflags = RFLAGS_ONE | RFLAGS_IF;
	return 0;
}

static void registers_round_trip(void **state)
{
	uint64_t v[REG_COUNT];

	(void)state;
	features.bits[FEATURE_SVM_LBR / 64] |= BIT(FEATURE_SVM_LBR % 64);
	for (enum reg r = 0; r < REG_COUNT; r++) {
		v[r] = 0x0101010101010101ul * (r + 1);
		if (r == REG_CR8)
			v[r] = 9;
		if (r == REG_DEBUGCTL)
			v[r] = DEBUGCTL_BTF;
		if (r == REG_EFER)
			v[r] = EFER_LME | EFER_LMA | EFER_NXE;
		svm_reg_set(&vcpu, r, v[r]);
	}
	/* SVM reads PAE's entries from memory. */
	for (enum reg r = 0; r < REG_PDPTE0; r++)
		assert_int_equal(svm_reg_get(&vcpu, r), v[r]);
	assert_true(vmcb.efer & EFER_SVME);
	memset(&features, 0, sizeof(features));
}

/* BTF only where VMRUN switches it, LBR never; an injected #DB ends it. */
static void steps_by_branches(void **state)
{
	(void)state;
	svm_reg_set(&vcpu, REG_DEBUGCTL, DEBUGCTL_BTF);
	assert_int_equal(svm_reg_get(&vcpu, REG_DEBUGCTL), 0);
	assert_int_equal(vmcb.lbr_control, 0);
	features.bits[FEATURE_SVM_LBR / 64] |= BIT(FEATURE_SVM_LBR % 64);
	svm_reg_set(&vcpu, REG_DEBUGCTL, DEBUGCTL_BTF | DEBUGCTL_LBR);
	assert_int_equal(svm_reg_get(&vcpu, REG_DEBUGCTL), DEBUGCTL_BTF);
	assert_int_equal(vmcb.lbr_control, 1);
	event_debug(&vcpu, DR6_BS);
	svm_inject(&vcpu);
	assert_int_equal(svm_reg_get(&vcpu, REG_DEBUGCTL), 0);
	assert_false(vcpu.rflags & RFLAGS_RF);
	memset(&features, 0, sizeof(features));
}

static void segments_round_trip(void **state)
{
	static const uint32_t attrs[] = { 0xa09b, 0xc093, 0x808b, 0x0082, 0x50f3 };
	struct segment in, out;

	(void)state;
	for (enum seg s = 0; s < SEG_COUNT; s++) {
		for (unsigned i = 0; i < ARRAY_COUNT(attrs); i++) {
			in = (struct segment){
				.base = 0xffff800000001000ul + s, .limit = 0xfffff + i,
				.attr = attrs[i], .selector = (uint16_t)(8 * s),
			};
			if (s >= SEG_GDTR)
				in.attr = 0;
			svm_segment_set(&vcpu, s, &in);
			svm_segment_get(&vcpu, s, &out);
			assert_int_equal(in.base, out.base);
			assert_int_equal(in.limit, out.limit);
			assert_int_equal(in.attr, out.attr);
			assert_int_equal(in.selector, out.selector);
			assert_int_equal(svm_segment_base(&vcpu, s), in.base);
		}
	}
	svm_segment_set(&vcpu, SEG_ES, &(struct segment){ .attr = SEG_UNUSABLE });
	svm_segment_get(&vcpu, SEG_ES, &out);
	assert_true(out.attr & SEG_UNUSABLE);
	/* A null selector's leavings come back too, and stay unusable. */
	vmcb.es.attr = 0x13;
	svm_segment_get(&vcpu, SEG_ES, &in);
	svm_segment_set(&vcpu, SEG_ES, &in);
	svm_segment_get(&vcpu, SEG_ES, &out);
	assert_int_equal(out.attr, SEG_UNUSABLE | 0x13);
	assert_int_equal(in.attr, out.attr);
	/* The stack segment tells the CPL, whatever a null one holds. */
	vmcb.ss.attr = 0x60;
	vmcb.cpl = 0;
	svm_segment_get(&vcpu, SEG_SS, &out);
	svm_segment_set(&vcpu, SEG_SS, &out);
	assert_int_equal(vmcb.cpl, 0);
}

static void mode_follows_cs(void **state)
{
	struct vcpu_mode m;

	(void)state;
	svm_segment_set(&vcpu, SEG_CS, &(struct segment){ .attr = 0xa09b });
	svm_segment_set(&vcpu, SEG_SS, &(struct segment){ .attr = 0xc0f3 });
	svm_mode(&vcpu, &m);
	assert_int_equal(m.bits, 64);
	assert_int_equal(m.cpl, 3);
	assert_false(m.efer & EFER_SVME);
	svm_segment_set(&vcpu, SEG_CS, &(struct segment){ .attr = 0xc09b });
	svm_mode(&vcpu, &m);
	assert_int_equal(m.bits, 32);
	svm_segment_set(&vcpu, SEG_CS, &(struct segment){ .attr = 0x809b });
	svm_mode(&vcpu, &m);
	assert_int_equal(m.bits, 16);
}

static void audit_names(const char *what)
{
	char why[96] = "";

	assert_true(svm_audit(&vcpu, why, sizeof(why)));
	assert_non_null(strstr(why, what));
	setup(NULL);
}

static void auditor(void **state)
{
	char why[96];

	(void)state;
	assert_false(svm_audit(&vcpu, why, sizeof(why)));
	vmcb.efer &= ~EFER_SVME;
	audit_names("EFER.SVME");
	vmcb.cr0 |= CR0_NW;
	audit_names("CR0.NW");
	vmcb.cr0 |= BIT(40);
	audit_names("CR0 has");
	vmcb.cr3 = BIT(55);
	audit_names("CR3");
	vmcb.cr4 |= CR4_VMXE;
	audit_names("CR4");
	vmcb.dr7 = BIT(33);
	audit_names("DR7");
	vmcb.cr4 = 0;
	audit_names("CR4.PAE");
	vmcb.cr0 = CR0_PG;
	audit_names("CR0.PE");
	vmcb.cs.attr = (SEG_L | SEG_DB) >> 4;
	audit_names("L and D");
	svm_intercept_set(&vmcb, INTERCEPT_VMRUN, false);
	audit_names("VMRUN");
	vmcb.asid = 0;
	audit_names("ASID");
	vmcb.event_inject = VMCB_EVENT_VALID | 1 << VMCB_EVENT_TYPE_SHIFT;
	audit_names("EVENTINJ");
	vmcb.event_inject = VMCB_EVENT_VALID | EVENT_EXCEPTION << VMCB_EVENT_TYPE_SHIFT | 40;
	audit_names("EVENTINJ");
	vmcb.n_cr3 = 0x1001;
	audit_names("nCR3");
}

static void inject_exception(void **state)
{
	(void)state;
	event_page_fault(&vcpu, 0xdead000, 6);
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
		by_virq = virq;
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

static bool intercepts(const struct vmcb *v, unsigned bit)
{
	return v->intercept[bit / 32] & 1u << bit % 32;
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
	assert_true(intercepts(&vmcb, INTERCEPT_IRET));
	event_nmi(&vcpu);
	vmcb.dr6 = DR6_RESET;
	vcpu.rip = 0x100;
	vcpu.rflags = RFLAGS_ONE | flags;
	svm_nmi_iret(&vcpu, &vmcb);
	assert_true(vcpu.event.look);
	svm_inject(&vcpu);
	assert_true(injected(0));
	assert_true(vcpu.rflags & RFLAGS_TF);
	assert_false(intercepts(&vmcb, INTERCEPT_IRET));
	assert_true(intercepts(&vmcb, INTERCEPT_EXCEPTION + EXC_PF));
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
	assert_true(intercepts(&vmcb, INTERCEPT_IRET));
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
	assert_true(intercepts(&vmcb, INTERCEPT_IRET));
	svm_nmi_iret(&vcpu, &vmcb);
	svm_inject(&vcpu);
	assert_true(vcpu.rflags & RFLAGS_TF);
	arch.loaded = true;
	arch.fpu = NULL;
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

/* What needs an answer exits; a task switch of the guest's own is the chip's work. */
static void intercepts_of_a_new_vcpu(void **state)
{
	const struct vmcb *v;

	(void)state;
	assert_int_equal(svm_vcpu_init(&vcpu), 0);
	v = svm_of(&vcpu)->vmcb;
	assert_true(intercepts(v, INTERCEPT_VMRUN) && intercepts(v, INTERCEPT_SHUTDOWN));
	assert_true(intercepts(v, INTERCEPT_EXCEPTION + EXC_MC));
	assert_false(intercepts(v, INTERCEPT_TASK_SWITCH));
	assert_int_equal(v->n_cr3, 0x5000);
	/* Caches are on from the start. */
	svm_vcpu_reset(&vcpu);
	assert_int_equal(svm_reg_get(&vcpu, REG_CR0), CR0_ET);
	svm_vcpu_fini(&vcpu);
	assert_null(vcpu.arch);
}

/* CR4 is the guest's own but for bits that its CPU model takes away. */
static void model_holds_cr4(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		policy.cr4_withheld = i ? CR4_PCIDE : 0;
		assert_int_equal(svm_vcpu_init(&vcpu), 0);
		assert_int_equal(intercepts(svm_of(&vcpu)->vmcb, INTERCEPT_CR_WRITE + 4), i);
		svm_vcpu_reset(&vcpu);
		assert_int_equal(intercepts(svm_of(&vcpu)->vmcb, INTERCEPT_CR_WRITE + 4), i);
		svm_vcpu_fini(&vcpu);
	}
	policy.cr4_withheld = 0;
}

/* One ASID after the other, or the same one flushed where the chip can; all when they run out. */
static void flushes(void **state)
{
	struct svm_cpu *c = &this_cpu(svm_cpu);

	(void)state;
	features.svm_asids = 4;
	*c = (struct svm_cpu){ .asid_generation = 1 };
	svm_flush_asids();
	svm_load(&vcpu);
	assert_int_equal(vmcb.tlb_control, VMCB_TLB_FLUSH_ALL);
	assert_int_equal(vmcb.asid, 1);
	for (unsigned asid = 2; asid < 4; asid++) {
		vmcb.tlb_control = VMCB_TLB_NOTHING;
		svm_flush_tlb(&vcpu);
		svm_load(&vcpu);
		assert_int_equal(vmcb.asid, asid);
		assert_int_equal(vmcb.tlb_control, VMCB_TLB_NOTHING);
	}
	svm_flush_tlb(&vcpu);
	svm_load(&vcpu);
	assert_int_equal(vmcb.tlb_control, VMCB_TLB_FLUSH_ALL);
	assert_int_equal(vmcb.asid, 1);
	features.bits[FEATURE_SVM_FLUSH_ASID / 64] |= BIT(FEATURE_SVM_FLUSH_ASID % 64);
	vmcb.tlb_control = VMCB_TLB_NOTHING;
	svm_load(&vcpu);
	assert_int_equal(vmcb.tlb_control, VMCB_TLB_NOTHING);
	svm_flush_tlb(&vcpu);
	svm_load(&vcpu);
	assert_int_equal(vmcb.tlb_control, VMCB_TLB_FLUSH_ASID);
	assert_int_equal(vmcb.asid, 1);
	/* Elsewhere it needs one that is unused there. */
	arch.loaded = false;
	arch.cpu = 7;
	c->asid_next = 3;
	svm_load(&vcpu);
	assert_int_equal(vmcb.asid, 3);
	memset(&features, 0, sizeof(features));
}

static void write_dr(unsigned n, uint64_t value)
{
	decoded.n = n;
	decoded.length = 3;
	decoded.write = true;
	vmcb.exit_code = SVM_EXIT_DR_WRITE + n;
	vcpu.gpr[GPR_RBX] = value;
	svm_debug_write(&vcpu, &vmcb);
}

static void breakpoints_elsewhere(void **state)
{
	(void)state;
	svm_debug_init(&vmcb);
	assert_false(intercepts(&vmcb, INTERCEPT_DR_WRITE + 7));
	svm_reg_set(&vcpu, REG_DR7, DR7_RESET | 1);
	assert_int_equal(arch.armed, 0);
}

/* Keel arms what the guest wrote, but nothing on the way between itself and the guest. */
static void breakpoints_that_stay(void **state)
{
	uint64_t way = (uint64_t)svm_armed_from;
	struct svm_vcpu *s = &arch;

	(void)state;
	breakpoints_stay = true;
	svm_debug_init(&vmcb);
	for (unsigned n = 0; n < 8; n++)
		assert_int_equal(intercepts(&vmcb, INTERCEPT_DR_WRITE + n), n != 4 && n != 6);
	vmcb.cs.attr = SEG_L >> 4;
	write_dr(0, 0x1000);
	assert_int_equal(s->armed, 0);
	write_dr(7, 0xf00001 | DR7_GD | BIT(12));
	assert_int_equal(vmcb.dr7, 0xf00401 | DR7_GD);
	assert_int_equal(s->armed, 0xf00401);
	s->enter(vcpu.gpr, HPA(0), HPA(0));
	assert_int_equal(entered_with, 0xf00401);
	assert_int_equal(vcpu.rip, 6);
	write_dr(0, way);
	assert_int_equal(s->armed, 0);
	assert_int_equal(svm_reg_get(&vcpu, REG_DR0), way);
	/* Data may be watched there; and the other breakpoint stays. */
	write_dr(7, 0x3000d);
	assert_int_equal(s->armed, 0x3040d);
	write_dr(7, 0xd);
	assert_int_equal(s->armed, 0x40c);
	write_dr(5, 0);
	assert_ptr_equal(s->enter, svm_enter);
	assert_int_equal(vmcb.dr7, DR7_RESET);
	assert_int_equal(s->armed, 0);
	vcpu.rip = 0;
	write_dr(7, BIT(32));
	assert_int_equal(vcpu.event.pending.vector, EXC_GP);
	vcpu.event.pending.valid = false;
	vmcb.cr4 |= CR4_DE;
	write_dr(5, 1);
	assert_int_equal(vcpu.event.pending.vector, EXC_UD);
	/* The instruction has changed since the exit: it runs again. */
	vcpu.event.pending.valid = false;
	decoded.n = 1;
	svm_debug_write(&vcpu, &vmcb);
	assert_int_equal(vcpu.rip, 0);
	assert_false(vcpu.event.pending.valid);
	assert_int_equal(vmcb.dr7, DR7_RESET);
	/* In 32-bit code the operand has 32 bits. */
	vmcb.cs.attr = 0;
	write_dr(7, BIT(40) | 4);
	assert_int_equal(s->armed, 0x404);
	breakpoints_stay = false;
}

static uint64_t bank_status[6], mcg_status, dc_cfg;

static int rdmsr(uint32_t msr, uint64_t *v)
{
	if (msr == MSR_MCG_CAP)
		*v = ARRAY_COUNT(bank_status);
	else if (msr == MSR_MCG_STATUS)
		*v = mcg_status;
	else if (msr == MSR_DC_CFG)
		*v = dc_cfg;
	else
		*v = bank_status[(msr - MSR_MC0_STATUS) / 4];
	return 0;
}

static int wrmsr(uint32_t msr, uint64_t v)
{
	if (msr == MSR_MCG_STATUS)
		mcg_status = v;
	else if (msr == MSR_DC_CFG)
		dc_cfg = v;
	else
		bank_status[(msr - MSR_MC0_STATUS) / 4] = v;
	return 0;
}

/* A guest without CR4.MCE turns the machine's end into a shutdown of its own. */
static void shutdown_or_machine_check(void **state)
{
	(void)state;
	host_rdmsr = rdmsr;
	features.bits[FEATURE_MCA / 64] |= BIT(FEATURE_MCA % 64);
	shutdowns = machine_checks = 0;
	svm_shutdown(&vcpu, &vmcb);
	bank_status[2] = MC_STATUS_VAL;			/* corrected */
	svm_shutdown(&vcpu, &vmcb);
	assert_int_equal(shutdowns, 2);
	assert_int_equal(machine_checks, 0);
	bank_status[5] = MC_STATUS_VAL | MC_STATUS_UC | MC_STATUS_EN;
	svm_shutdown(&vcpu, &vmcb);
	assert_int_equal(machine_checks, 1);
	memset(bank_status, 0, sizeof(bank_status));
	memset(&features, 0, sizeof(features));
	host_rdmsr = NULL;
}

/* Erratum 383 ends the guest that made it, and leaves no trace. */
static void multimatch_is_the_guests(void **state)
{
	(void)state;
	host_rdmsr = rdmsr;
	host_wrmsr = wrmsr;
	svm_machine_check_cpu_init();
	assert_int_equal(dc_cfg, 0);
	multimatch = true;
	svm_machine_check_cpu_init();
	assert_int_equal(dc_cfg, BIT(47));
	bank_status[0] = 0xf600000000010015ul;
	mcg_status = MCG_STATUS_MCIP | MCG_STATUS_RIPV;
	features.svm_asids = 64;
	crashes = 0;
	svm_machine_check(&vcpu, &vmcb);
	assert_int_equal(crashes, 1);
	assert_int_equal(bank_status[0], 0);
	assert_int_equal(mcg_status, MCG_STATUS_RIPV);
	assert_int_equal(this_cpu(svm_cpu).asid_next, 64);
	multimatch = false;
	memset(&features, 0, sizeof(features));
	host_rdmsr = NULL;
	host_wrmsr = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(registers_round_trip, setup),
		cmocka_unit_test_setup(steps_by_branches, setup),
		cmocka_unit_test_setup(segments_round_trip, setup),
		cmocka_unit_test_setup(mode_follows_cs, setup),
		cmocka_unit_test_setup(auditor, setup),
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
		cmocka_unit_test_setup(intercepts_of_a_new_vcpu, setup),
		cmocka_unit_test_setup(model_holds_cr4, setup),
		cmocka_unit_test_setup(flushes, setup),
		cmocka_unit_test_setup(breakpoints_elsewhere, setup),
		cmocka_unit_test_setup(breakpoints_that_stay, setup),
		cmocka_unit_test_setup(shutdown_or_machine_check, setup),
		cmocka_unit_test_setup(multimatch_is_the_guests, setup),
	};

	memory_init(16 * MIB);

	return cmocka_run_group_tests(tests, NULL, NULL);
}
