/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU's VMCB from birth to end: intercepts, power-up state, and what must be loaded into the CPU
 * before a guest runs there and saved before another thread does: its hwstate, and the ASID.
 * Whatever a guest can load into the CPU without an exit stands there or in the VMCB.
 * Source: AMD64 APM 2, "Secure Virtual Machine"; "Processor Initialization State".
 */
#include "svm/svm.h"

#include "cpu/cpu.h"
#include "cpu/errata.h"
#include "cpu/features.h"
#include "cpu/mitigation.h"
#include "include/errno.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "mm/page.h"
#include "vmm/vm.h"

#define PAT_RESET	0x0007040600070406ul

/*
 * Physical events, what needs an answer of Keel's, and what a guest must not have. A hardware task
 * switch is not among them: all that it touches is the guest's own.
 */
static const uint16_t intercepts[] = {
	INTERCEPT_INTR, INTERCEPT_NMI, INTERCEPT_SMI, INTERCEPT_INIT, INTERCEPT_RDPMC,
	INTERCEPT_CPUID, INTERCEPT_RSM, INTERCEPT_INVD, INTERCEPT_HLT, INTERCEPT_INVLPGA,
	INTERCEPT_IOIO, INTERCEPT_MSR, INTERCEPT_SHUTDOWN, INTERCEPT_VMRUN, INTERCEPT_VMMCALL,
	INTERCEPT_VMLOAD, INTERCEPT_VMSAVE, INTERCEPT_STGI, INTERCEPT_CLGI, INTERCEPT_SKINIT,
	INTERCEPT_WBINVD, INTERCEPT_MONITOR, INTERCEPT_MWAIT, INTERCEPT_MWAIT_ARMED,
	INTERCEPT_XSETBV, INTERCEPT_RDPRU, INTERCEPT_INVLPGB, INTERCEPT_MCOMMIT,
	INTERCEPT_TLBSYNC,
};

static void vmcb_init(struct vcpu *vcpu, struct vmcb *v)
{
	for (unsigned i = 0; i < ARRAY_COUNT(intercepts); i++)
		svm_intercept_set(v, intercepts[i], true);
	v->intercept[INTERCEPT_EXCEPTION / 32] = SVM_EXCEPTIONS;
	svm_intercept_set(v, INTERCEPT_CR_WRITE + 4, vcpu->vm->cpuid->cr4_withheld);
	v->iopm_base = svm_iopm.v;
	v->msrpm_base = svm_msrpm.v;
	v->np_enable = VMCB_NP_ENABLE;
	v->n_cr3 = gmem_root(&vcpu->vm->gmem).v;
	v->vintr = VINTR_MASKING;
	if (cpu_has(FEATURE_SVM_PAUSE_FILTER)) {
		svm_intercept_set(v, INTERCEPT_PAUSE, true);
		v->pause_count = 3000;
		v->pause_threshold = cpu_has(FEATURE_SVM_PAUSE_THRESHOLD) ? 128 : 0;
	}
}

int svm_vcpu_init(struct vcpu *vcpu)
{
	struct svm_vcpu *s = heap_alloc(sizeof(*s));
	struct page *p = page_alloc(0, PAGE_ZEROED, NODE_ANY, &vcpu->vm->charge);

	if (!s || !p) {
		heap_free(s);
		if (p)
			page_put(p);
		return -ENOMEM;
	}
	s->vmcb = page_virt(p);
	s->vmcb_hpa = page_hpa(p);
	s->cpu = -1;
	s->by_virq = errata_has(ERRATUM_SVM_INJECT_BY_VIRQ);
	vcpu->arch = s;
	svm_nmi_init(vcpu);
	vmcb_init(vcpu, s->vmcb);
	return 0;
}

void svm_vcpu_fini(struct vcpu *vcpu)
{
	struct svm_vcpu *s = svm_of(vcpu);

	if (!s)
		return;
	svm_nmi_fini(vcpu);
	page_put(page_of(s->vmcb_hpa));
	heap_free(s);
	vcpu->arch = NULL;
}

void svm_vcpu_reset(struct vcpu *vcpu)
{
	struct svm_vcpu *s = svm_of(vcpu);
	struct vmcb *v = s->vmcb;

	/* The save area behind the segments holds plain registers only: 0 but for those named. */
	memset(&v->efer, 0, sizeof(*v) - offsetof(struct vmcb, efer));
	v->cpl = 0;
	v->efer = EFER_SVME;
	/*
	 * A chip starts with CD and NW set, and so uncached: here the caches are on already, or a
	 * guest whose other processors leave CR0 as they find it would crawl.
	 */
	v->cr0 = CR0_ET;
	v->dr6 = DR6_RESET;
	v->dr7 = DR7_RESET;
	v->g_pat = PAT_RESET;
	v->lbr_control = 0;
	v->interrupt_shadow = 0;
	v->event_inject = 0;
	v->exit_int_info = 0;
	v->vintr = VINTR_MASKING;
	svm_intercept_set(v, INTERCEPT_VINTR, false);
	svm_intercept_set(v, INTERCEPT_CR_WRITE + 8, false);
	svm_nmi_reset(s);
	s->virq_in_flight = s->window = false;
	svm_debug_update(vcpu);
	svm_flush_tlb(vcpu);
}

void svm_flush_tlb(struct vcpu *vcpu)
{
	svm_of(vcpu)->flush = true;
	svm_of(vcpu)->ready = false;
}

void svm_flush_asids(void)
{
	this_cpu(svm_cpu).asid_next = features.svm_asids;
}

/*
 * An ASID of this CPU that no translation was ever cached under. When they run out, a new
 * generation begins: everything is flushed and every vCPU that comes by takes a new one.
 */
static void asid_assign(struct svm_vcpu *s, struct svm_cpu *c)
{
	struct vmcb *v = s->vmcb;

	if (c->asid_next >= features.svm_asids) {
		c->asid_generation++;
		c->asid_next = 1;
		v->tlb_control = VMCB_TLB_FLUSH_ALL;
	}
	v->asid = c->asid_next++;
	s->asid_generation = c->asid_generation;
	v->clean = 0;
}

/* Where the chip flushes one ASID it does; else a new one does as well, while they last. */
static void flush(struct svm_vcpu *s, struct svm_cpu *c)
{
	if (cpu_has(FEATURE_SVM_FLUSH_ASID) && !errata_has(ERRATUM_SVM_FLUSH_ALL_ONLY))
		s->vmcb->tlb_control = VMCB_TLB_FLUSH_ASID;
	else
		asid_assign(s, c);
}

static void load_state(struct vcpu *vcpu, struct svm_vcpu *s)
{
	hwstate_enter(&vcpu->hw);
	/*
	 * VMRUN loads CR2 from the VMCB, but not on every bed; exits leave the guest's in the CPU.
	 */
	cpu_write_cr2(s->vmcb->cr2);
	if (s->cpu != (int)cpu_index())
		s->asid_generation = 0;
	s->cpu = (int)cpu_index();
}

void svm_load(struct vcpu *vcpu)
{
	struct svm_vcpu *s = svm_of(vcpu);
	struct svm_cpu *c = &this_cpu(svm_cpu);

	if (!vcpu->hw.loaded) {
		load_state(vcpu, s);
		mitigation_vm_load(vcpu->vm->serial);
	}
	if (s->asid_generation != c->asid_generation)
		asid_assign(s, c);
	else if (s->flush)
		flush(s, c);
	s->flush = false;
	s->host_vmcb = c->host_vmcb;
	s->ready = true;
}

void svm_leave_cpu(struct vcpu *vcpu)
{
	struct svm_vcpu *s = svm_of(vcpu);

	if (!vcpu->hw.loaded)
		return;
	svm_nmi_settle(vcpu);
	s->nmi_iret = false;		/* who changes RIP now makes it another instruction */
	hwstate_leave(&vcpu->hw);
	s->ready = false;
}
