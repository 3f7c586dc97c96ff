/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Quirks of SVM that can be seen are looked for, on the chip itself: a few instructions of Keel's
 * run as a guest without nested paging, and how they exit tells. The name of an emulator says less:
 * its next version may be mended, and a chip may have what only an emulator was known for. An exit
 * that is none of the expected ones tells nothing: the table's own judgement (cpu/errata.c) stands.
 * Source: AMD64 APM 2, "Secure Virtual Machine": "Interrupt Shadows", "Virtual Interrupts", "SVM
 * Intercept Codes", "VMRUN and TF/IF Bits in EFLAGS".
 */
#include "svm/svm.h"

#include "cpu/cpu.h"
#include "cpu/errata.h"
#include "cpu/features.h"
#include "cpu/ipi.h"
#include "cpu/irq.h"
#include "cpu/registers.h"
#include "include/errno.h"
#include "mm/page.h"
#include "svm/svm_insn.h"

extern const char svm_errata_halt[], svm_errata_xsetbv[], svm_errata_arm[], svm_errata_detect[],
	svm_errata_rdtscp[], svm_errata_cr4[], svm_errata_spin[];
void svm_errata_met(void);

enum verdict { ABSENT, PRESENT, UNKNOWN };

struct trial {
	enum erratum erratum;
	const char *code;
	/* Beyond a guest that halts, with GIF clear; NULL: nothing. */
	void (*prepare)(struct vmcb *v);
	enum verdict (*judge)(const struct vmcb *v);
	bool (*possible)(void);		/* NULL: always */
};

static enum verdict by_exit(const struct vmcb *v, uint32_t absent, uint32_t present)
{
	uint32_t code = (uint32_t)v->exit_code;

	return code == absent ? ABSENT : code == present ? PRESENT : UNKNOWN;
}

/* ---- an interrupt that waits ---- */

static void interrupt(struct vmcb *v)
{
	v->rflags |= RFLAGS_IF;
	v->vintr |= VINTR_IRQ | VINTR_PRIO_MAX | VINTR_IGN_TPR;
	svm_intercept_set(v, INTERCEPT_VINTR, true);
}

static enum verdict interrupt_is_missed(const struct vmcb *v)
{
	return by_exit(v, SVM_EXIT_VINTR, SVM_EXIT_HLT);
}

static void interrupt_in_shadow(struct vmcb *v)
{
	interrupt(v);
	v->interrupt_shadow = VMCB_SHADOW;
}

static enum verdict shadow_is_lost(const struct vmcb *v)
{
	if ((uint32_t)v->exit_code != SVM_EXIT_VINTR)
		return UNKNOWN;
	return v->rip == (uint64_t)svm_errata_halt ? PRESENT : ABSENT;
}

/* To the CPU itself; Keel's IF, with GIF clear, lets it come in the guest alone. */
static void physical_interrupt(struct vmcb *v)
{
	svm_intercept_set(v, INTERCEPT_INTR, true);
	ipi_send(cpu_index(), IRQ_KICK);
	cpu_irq_enable();
}

static enum verdict interrupt_stays(const struct vmcb *v)
{
	return by_exit(v, SVM_EXIT_INTR, SVM_EXIT_HLT);
}

/* ---- exits and their codes ---- */

static void without_asid(struct vmcb *v)
{
	v->asid = 0;
}

static enum verdict code_is_short(const struct vmcb *v)
{
	if ((uint32_t)v->exit_code != SVM_EXIT_INVALID)
		return UNKNOWN;
	return v->exit_code >> 32 ? ABSENT : PRESENT;
}

static bool has_xsave(void)
{
	return cpu_has(FEATURE_XSAVE);
}

/* Keel's own CR4 follows when this is known. */
static void intercept_xsetbv(struct vmcb *v)
{
	v->cr4 |= CR4_OSXSAVE;
	svm_intercept_set(v, INTERCEPT_XSETBV, true);
}

static enum verdict xsetbv_passes(const struct vmcb *v)
{
	return by_exit(v, SVM_EXIT_XSETBV, SVM_EXIT_HLT);
}

static bool has_rdtscp(void)
{
	return cpu_has(FEATURE_RDTSCP);
}

static void intercept_tsc(struct vmcb *v)
{
	svm_intercept_set(v, INTERCEPT_RDTSC, true);
	svm_intercept_set(v, INTERCEPT_RDTSCP, true);
}

static enum verdict rdtscp_is_rdtsc(const struct vmcb *v)
{
	return by_exit(v, SVM_EXIT_RDTSCP, SVM_EXIT_RDTSC);
}

static enum verdict cr_fault_is_invalid(const struct vmcb *v)
{
	return by_exit(v, SVM_EXIT_EXCEPTION + EXC_GP, SVM_EXIT_INVALID);
}

static enum verdict general_detect_fails(const struct vmcb *v)
{
	return by_exit(v, SVM_EXIT_EXCEPTION + EXC_DB, SVM_EXIT_HLT);
}

/* ---- what stays behind ---- */

/* DR7 may read as if they were off: one is met, and Keel's #DB clears DR6. */
static enum verdict breakpoints_stay(const struct vmcb *v)
{
	bool armed;

	cpu_write_dr6(DR6_RESET | DR6_B3);
	svm_errata_met();
	armed = !(cpu_read_dr6() & DR6_B3);
	cpu_write_dr6(DR6_RESET);
	/* A value that differs in more than the enable bits: less does not disarm on every bed. */
	cpu_write_dr7(DR7_RESET | DR7_LE);
	cpu_write_dr7(DR7_RESET);
	if ((uint32_t)v->exit_code != SVM_EXIT_HLT)
		return UNKNOWN;
	return armed ? PRESENT : ABSENT;
}

static const struct trial trials[] = {
	{ ERRATUM_SVM_INJECT_BY_EVENTINJ, svm_errata_halt, interrupt, interrupt_is_missed, NULL },
	{ ERRATUM_SVM_SHADOW_LOST, svm_errata_halt, interrupt_in_shadow, shadow_is_lost, NULL },
	{ ERRATUM_SVM_NO_PREEMPTION, svm_errata_spin, physical_interrupt, interrupt_stays, NULL },
	{ ERRATUM_SVM_EXIT_CODE_SHORT, svm_errata_halt, without_asid, code_is_short, NULL },
	{ ERRATUM_XSETBV_NOT_INTERCEPTED, svm_errata_xsetbv, intercept_xsetbv, xsetbv_passes, has_xsave },
	{ ERRATUM_SVM_RDTSCP_AS_RDTSC, svm_errata_rdtscp, intercept_tsc, rdtscp_is_rdtsc, has_rdtscp },
	{ ERRATUM_SVM_CR_FAULT_INVALID, svm_errata_cr4, NULL, cr_fault_is_invalid, NULL },
	{ ERRATUM_SVM_BREAKPOINTS_STAY, svm_errata_arm, NULL, breakpoints_stay, NULL },
	{ ERRATUM_SVM_NO_GENERAL_DETECT, svm_errata_detect, NULL, general_detect_fails, NULL },
};

/* 64-bit code of Keel's in ring 0, where every exception and HLT exits; nothing else is to come. */
static void guest_init(struct vmcb *v, const char *code)
{
	static const struct vmcb_segment flat_code = {
		.selector = 8, .attr = SEG_P | SEG_S | 0xb | SEG_L >> 4 | SEG_G >> 4, .limit = ~0u,
	};
	static const struct vmcb_segment flat_data = {
		.selector = 16, .attr = SEG_P | SEG_S | 3 | SEG_DB >> 4 | SEG_G >> 4, .limit = ~0u,
	};

	v->intercept[INTERCEPT_EXCEPTION / 32] = ~0u;
	svm_intercept_set(v, INTERCEPT_HLT, true);
	svm_intercept_set(v, INTERCEPT_NMI, true);
	svm_intercept_set(v, INTERCEPT_SHUTDOWN, true);
	svm_intercept_set(v, INTERCEPT_VMRUN, true);	/* VMRUN demands it */
	v->asid = 1;
	v->tlb_control = VMCB_TLB_FLUSH_ALL;
	v->vintr = VINTR_MASKING;	/* and so Keel's IF, which is clear, holds for all */
	v->iopm_base = svm_iopm.v;
	v->msrpm_base = svm_msrpm.v;
	v->cs = flat_code;
	v->ss = v->ds = v->es = flat_data;
	v->efer = cpu_rdmsr(MSR_EFER);
	v->cr0 = cpu_read_cr0();
	v->cr3 = cpu_read_cr3();
	v->cr4 = cpu_read_cr4();
	v->dr6 = DR6_RESET;
	v->dr7 = DR7_RESET;
	v->rflags = RFLAGS_ONE;
	v->rip = (uint64_t)code;
}

static enum verdict try(const struct trial *t, struct page *p)
{
	uint64_t gpr[GPR_COUNT] = { 0 };
	struct vmcb *v = page_virt(p);
	uint64_t flags = cpu_irq_save();
	enum verdict verdict;

	*v = (struct vmcb){ 0 };
	/* FS, GS, TR and the rest that VMLOAD would load stay Keel's. */
	svm_vmsave(page_hpa(p));
	guest_init(v, t->code);
	svm_gif_clear();
	if (t->prepare)
		t->prepare(v);
	svm_enter(gpr, page_hpa(p), this_cpu(svm_cpu).host_vmcb);
	cpu_irq_disable();
	svm_gif_set();
	verdict = t->judge(v);
	cpu_irq_restore(flags);
	return verdict;
}

int svm_errata_find(void)
{
	struct page *p = page_alloc(0, PAGE_ZEROED, NODE_ANY, &page_charge_kernel);

	if (!p)
		return -ENOMEM;
	for (unsigned i = 0; i < ARRAY_COUNT(trials); i++) {
		const struct trial *t = &trials[i];
		enum verdict verdict = t->possible && !t->possible() ? UNKNOWN : try(t, p);

		if (verdict != UNKNOWN)
			errata_force(t->erratum, verdict == PRESENT);
	}
	page_put(p);
	return 0;
}
