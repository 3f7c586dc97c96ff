/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers and segments of the VMX back end: what is put in comes out again; control
 * registers show the guest its own view; segments become such as the chip takes; long mode
 * reaches all three places.
 */
/* links: vmx/vmx_regs.c vmm/regs.c kernel/hwstate.c cpu/fpu.c tests/host/heap.c tests/host/panic.c
 * tests/host/log.c tests/host/percpu.c
 * tests/host/vmx/vmcs.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/features.h"
#include "vmx/vmx.h"
#include "vmx/vmx_insn.h"

struct features features;
struct vmx_controls vmx_controls = { .value[VMX_ENTRY] = ENTRY_LOAD_EFER };
uint64_t vmx_cr0_fixed = CR0_NE, vmx_cr4_fixed = CR4_VMXE;

static struct vcpu vcpu;
static struct vmx_vcpu state;

static int start(void **unused)
{
	(void)unused;
	memset(host_vmcs, 0, sizeof(host_vmcs));
	memset(&state, 0, sizeof(state));
	memset(&vcpu, 0, sizeof(vcpu));
	vcpu.arch = &state;
	state.cr4_guest = CR4_PAE | CR4_PGE | CR4_OSFXSR;
	return 0;
}

static uint64_t some_value(enum reg r)
{
	return r == REG_CR8 ? 9 : r == REG_DEBUGCTL ? DEBUGCTL_BTF : 0x1000 + r;
}

static void registers_round_trip(void **unused)
{
	(void)unused;
	for (enum reg r = 0; r < REG_COUNT; r++)
		if (r != REG_SPEC_CTRL)
			vmx_reg_set(&vcpu, r, some_value(r));
	for (enum reg r = 0; r < REG_COUNT; r++)
		if (r != REG_SPEC_CTRL)
			assert_int_equal(vmx_reg_get(&vcpu, r), some_value(r));
	/* LBR would reach into the next guest. */
	vmx_reg_set(&vcpu, REG_DEBUGCTL, DEBUGCTL_LBR);
	assert_int_equal(vmx_reg_get(&vcpu, REG_DEBUGCTL), 0);
}

static void control_registers(void **unused)
{
	(void)unused;
	vmx_reg_set(&vcpu, REG_CR0, CR0_CD | CR0_NW | CR0_ET);
	assert_int_equal(vmcs_read(VMCS_GUEST_CR0), CR0_NE | CR0_ET);
	assert_int_equal(vmx_reg_get(&vcpu, REG_CR0), CR0_CD | CR0_NW | CR0_ET);
	vmcs_write(VMCS_GUEST_CR0, vmcs_read(VMCS_GUEST_CR0) | CR0_TS | CR0_WP);
	assert_int_equal(vmx_reg_get(&vcpu, REG_CR0), CR0_CD | CR0_NW | CR0_ET | CR0_TS | CR0_WP);
	vmx_reg_set(&vcpu, REG_CR4, CR4_PAE);
	assert_int_equal(vmcs_read(VMCS_GUEST_CR4), CR4_PAE | CR4_VMXE | CR4_MCE);
	vmcs_write(VMCS_GUEST_CR4, CR4_PGE | CR4_VMXE);
	assert_int_equal(vmx_reg_get(&vcpu, REG_CR4), CR4_PGE);
}

static void long_mode(void **unused)
{
	struct vcpu_mode mode;

	(void)unused;
	vmcs_write(VMCS_GUEST_CS_ACCESS, 0xa09b);
	vmx_mode(&vcpu, &mode);
	assert_int_equal(mode.bits, 16);
	vmx_reg_set(&vcpu, REG_EFER, EFER_LME | EFER_LMA);
	assert_int_equal(vmcs_read(VMCS_GUEST_EFER), EFER_LME | EFER_LMA);
	assert_int_equal(vmcs_read(VMCS_ENTRY_CONTROLS), ENTRY_LOAD_EFER | ENTRY_IA32E);
	vmcs_write(VMCS_GUEST_SS_ACCESS, 0xf3 | SEG_UNUSABLE);
	vmx_mode(&vcpu, &mode);
	assert_true(mode.long_mode);
	assert_int_equal(mode.bits, 64);
	assert_int_equal(mode.cpl, 3);
	vmx_reg_set(&vcpu, REG_EFER, EFER_LME);
	assert_int_equal(vmcs_read(VMCS_ENTRY_CONTROLS), ENTRY_LOAD_EFER);
}

static void segments_round_trip(void **unused)
{
	(void)unused;
	for (enum seg s = 0; s < SEG_COUNT; s++) {
		bool table = s == SEG_GDTR || s == SEG_IDTR;
		struct segment out, in = {
			.base = 0x10000u * (s + 1), .limit = 0xffff,
			.selector = table ? 0 : (uint16_t)(8 * s),
			.attr = table ? 0 : s == SEG_TR ? 0x8b : s == SEG_LDTR ? 0x82 : 0x93,
		};

		vmx_segment_set(&vcpu, s, &in);
		vmx_segment_get(&vcpu, s, &out);
		assert_int_equal(out.base, in.base);
		assert_int_equal(out.limit, in.limit);
		assert_int_equal(out.selector, in.selector);
		assert_int_equal(out.attr, in.attr);
		assert_int_equal(vmx_segment_base(&vcpu, s), in.base);
	}
}

static void segments_as_loaded(void **unused)
{
	static const struct {
		enum seg seg;
		uint32_t limit, attr, want;
	} rows[] = {
		{ SEG_DS, 0xffff, 0x92, 0x93 },				/* accessed */
		/* granularity as the limit has it */
		{ SEG_DS, 0xffffffff, 0x4093, 0xc093 },
		{ SEG_DS, 0xfffe, 0xc093, 0x4093 },
		{ SEG_DS, 0xfff, 0x8093, 0x8093 },
		{ SEG_FS, 0, 0, SEG_UNUSABLE },				/* a null selector */
		{ SEG_TR, 0x67, 0x89, 0x8b }, { SEG_TR, 0, SEG_UNUSABLE, 0x83 },
		{ SEG_LDTR, 0, SEG_UNUSABLE, SEG_UNUSABLE },
		{ SEG_CS, 0xffff, 0xfffff09b, 0x1f09b },		/* bits that do not exist */
	};

	(void)unused;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		struct segment out, in = { .limit = rows[i].limit, .attr = rows[i].attr };

		vmx_segment_set(&vcpu, rows[i].seg, &in);
		vmx_segment_get(&vcpu, rows[i].seg, &out);
		if (out.attr != rows[i].want)
			fail_msg("row %u: %#x, not %#x", i, out.attr, rows[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(registers_round_trip, start),
		cmocka_unit_test_setup(control_registers, start),
		cmocka_unit_test_setup(long_mode, start),
		cmocka_unit_test_setup(segments_round_trip, start),
		cmocka_unit_test_setup(segments_as_loaded, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
