/* SPDX-License-Identifier: BSD-2-Clause */
/* links: svm/svm_regs.c svm/svm_audit.c svm/svm_inject.c svm/svm_vcpu.c svm/svm_machine_check.c
 * kernel/hwstate.c vmm/regs.c
 * svm/svm_debug.c svm/svm_nmi.c vmm/event.c lib/record.c lib/format.c mm/page.c mm/page_intake.c
 * tests/host/heap.c tests/host/memory.c tests/host/percpu.c tests/host/spinlock.c
 * tests/host/panic.c tests/host/log.c tests/host/tsc.c */
/*
 * The SVM back end without a chip: every register and segment comes back as it was set (so a saved
 * vCPU is the one that ran), the auditor names each field that VMRUN would refuse, and what a new
 * vCPU and one on a new CPU start with.
 */
#include "tests/host/svm_test.h"

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

/* What needs an answer exits; a task switch of the guest's own is the chip's work. */
static void intercepts_of_a_new_vcpu(void **state)
{
	const struct vmcb *v;

	(void)state;
	assert_int_equal(svm_vcpu_init(&vcpu), 0);
	v = svm_of(&vcpu)->vmcb;
	assert_true(svm_intercepts(v, INTERCEPT_VMRUN) && svm_intercepts(v, INTERCEPT_SHUTDOWN));
	assert_true(svm_intercepts(v, INTERCEPT_EXCEPTION + EXC_MC));
	assert_false(svm_intercepts(v, INTERCEPT_TASK_SWITCH));
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
		assert_int_equal(svm_intercepts(svm_of(&vcpu)->vmcb, INTERCEPT_CR_WRITE + 4), i);
		svm_vcpu_reset(&vcpu);
		assert_int_equal(svm_intercepts(svm_of(&vcpu)->vmcb, INTERCEPT_CR_WRITE + 4), i);
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
	vcpu.hw.loaded = false;
	arch.cpu = 7;
	c->asid_next = 3;
	svm_load(&vcpu);
	assert_int_equal(vmcb.asid, 3);
	memset(&features, 0, sizeof(features));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(registers_round_trip, setup),
		cmocka_unit_test_setup(steps_by_branches, setup),
		cmocka_unit_test_setup(segments_round_trip, setup),
		cmocka_unit_test_setup(mode_follows_cs, setup),
		cmocka_unit_test_setup(auditor, setup),
		cmocka_unit_test_setup(intercepts_of_a_new_vcpu, setup),
		cmocka_unit_test_setup(model_holds_cr4, setup),
		cmocka_unit_test_setup(flushes, setup),
	};

	memory_init(16 * MIB);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
