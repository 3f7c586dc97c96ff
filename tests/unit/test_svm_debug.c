/* SPDX-License-Identifier: BSD-2-Clause */
/* links: svm/svm_regs.c svm/svm_audit.c svm/svm_inject.c svm/svm_vcpu.c svm/svm_machine_check.c
 * kernel/hwstate.c vmm/regs.c
 * svm/svm_debug.c svm/svm_nmi.c vmm/event.c lib/record.c lib/format.c mm/page.c mm/page_intake.c
 * tests/host/heap.c tests/host/memory.c tests/host/percpu.c tests/host/spinlock.c
 * tests/host/panic.c tests/host/log.c tests/host/tsc.c */
/*
 * What is the host's and yet a guest's, on SVM without a chip: breakpoints that an exit leaves
 * armed, machine checks.
 */
#include "tests/host/svm_test.h"

static void write_dr(unsigned n, uint64_t value)
{
	decoded.n = n;
	decoded.length = 3;
	decoded.write = true;
	vmcb.exit_code = SVM_EXIT_DR_WRITE + n;
	vcpu.gpr[GPR_RBX] = value;
	svm_debug_access(&vcpu, &vmcb);
}

static void read_dr(unsigned n)
{
	decoded.n = n;
	decoded.length = 3;
	decoded.write = false;
	vmcb.exit_code = SVM_EXIT_DR_READ + n;
	svm_debug_access(&vcpu, &vmcb);
}

static void breakpoints_elsewhere(void **state)
{
	(void)state;
	svm_reg_set(&vcpu, REG_DR7, DR7_RESET | DR7_GD | 1);
	assert_int_equal(vmcb.intercept[INTERCEPT_DR_READ / 32], 0);
	assert_int_equal(arch.armed, 0);
}

/* Keel arms what the guest wrote, but nothing on the way between itself and the guest. */
static void breakpoints_that_stay(void **state)
{
	uint64_t way = (uint64_t)svm_armed_from;
	struct svm_vcpu *s = &arch;

	(void)state;
	breakpoints_stay = true;
	svm_debug_update(&vcpu);
	for (unsigned n = 0; n < 8; n++) {
		assert_int_equal(svm_intercepts(&vmcb, INTERCEPT_DR_WRITE + n), n != 4 && n != 6);
		assert_false(svm_intercepts(&vmcb, INTERCEPT_DR_READ + n));
	}
	vmcb.cs.attr = SEG_L >> 4;
	write_dr(0, 0x1000);
	assert_int_equal(s->armed, 0);
	write_dr(7, 0xf00001 | DR7_GD | BIT(12));
	assert_int_equal(vmcb.dr7, 0xf00401 | DR7_GD);
	assert_int_equal(s->armed, 0xf00401);
	s->enter(vcpu.gpr, HPA(0), HPA(0));
	assert_int_equal(entered_with, 0xf00401);
	assert_int_equal(vcpu.rip, 6);
	svm_reg_set(&vcpu, REG_DR7, 0xf00401);
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
	svm_debug_access(&vcpu, &vmcb);
	assert_int_equal(vcpu.rip, 0);
	assert_false(vcpu.event.pending.valid);
	assert_int_equal(vmcb.dr7, DR7_RESET);
	/* In 32-bit code the operand has 32 bits. */
	vmcb.cs.attr = 0;
	write_dr(7, BIT(40) | 4);
	assert_int_equal(s->armed, 0x404);
	breakpoints_stay = false;
}

static void intercepted(bool all)
{
	for (unsigned n = 0; n < 8; n++) {
		assert_int_equal(svm_intercepts(&vmcb, INTERCEPT_DR_READ + n), all);
		assert_int_equal(svm_intercepts(&vmcb, INTERCEPT_DR_WRITE + n),
				 all || n == 5 || n == 7);
	}
}

/* Every access is #DB, and not done, until #DB has been delivered. */
static void general_detect(void **state)
{
	struct event *pending = &vcpu.event.pending;

	(void)state;
	no_detect = true;
	vmcb.cs.attr = SEG_L >> 4;
	svm_debug_update(&vcpu);
	intercepted(false);
	write_dr(7, DR7_RESET | DR7_GD);
	intercepted(true);
	for (unsigned i = 0; i < 16; i++) {
		vcpu.rip = 0;
		pending->valid = false;
		if (i < 8)
			read_dr(i);
		else
			write_dr(i - 8, BIT(40));
		assert_true(pending->valid && pending->vector == EXC_DB);
		assert_int_equal(pending->payload, DR6_BD);
		assert_int_equal(vcpu.rip, 0);
		assert_int_equal(vmcb.dr7, DR7_RESET | DR7_GD);
	}
	svm_inject(&vcpu);
	assert_int_equal(vmcb.event_inject & 0xff, EXC_DB);
	assert_int_equal(vmcb.dr6 & (DR6_BD | DR6_B), DR6_BD);
	assert_int_equal(vmcb.dr7, DR7_RESET);
	intercepted(false);
	/* There is no such register: that comes first. */
	write_dr(7, DR7_RESET | DR7_GD);
	vmcb.cr4 |= CR4_DE;
	read_dr(4);
	assert_int_equal(pending->vector, EXC_UD);
	/* The instruction has changed since the exit. */
	pending->valid = false;
	vmcb.exit_code = SVM_EXIT_DR_WRITE + 4;
	svm_debug_access(&vcpu, &vmcb);
	assert_false(pending->valid);
	no_detect = false;
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
		cmocka_unit_test_setup(breakpoints_elsewhere, setup),
		cmocka_unit_test_setup(breakpoints_that_stay, setup),
		cmocka_unit_test_setup(general_detect, setup),
		cmocka_unit_test_setup(shutdown_or_machine_check, setup),
		cmocka_unit_test_setup(multimatch_is_the_guests, setup),
	};

	memory_init(16 * MIB);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
