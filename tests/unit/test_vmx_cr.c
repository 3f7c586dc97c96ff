/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmx/vmx_cr.c vmx/vmx_regs.c vmm/regs.c kernel/hwstate.c cpu/fpu.c tests/host/heap.c
 * tests/host/panic.c tests/host/log.c tests/host/percpu.c
 * tests/host/vmx/vmcs.c */
/*
 * A guest's writes to CR0 and CR4 that exit: real mode to long mode and back, PAE's pointers, and
 * every combination that the architecture answers with #GP and leaves without effect.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/features.h"
#include "vmm/exit.h"
#include "vmm/vm.h"
#include "vmx/vmx.h"
#include "vmx/vmx_insn.h"

struct features features;
struct vmx_controls vmx_controls;
uint64_t vmx_cr0_fixed = CR0_NE, vmx_cr4_fixed = CR4_VMXE;
PERCPU bool sched_wanted_flag;

static struct cpuid_policy policy = { .phys_bits = 40 };
static struct vmx_vcpu arch;
static struct vm vm;
static struct vcpu vcpu;
static uint64_t pdptes[4];
static unsigned faults, flushes;

void vmx_flush_linear(struct vcpu *v)
{
	(void)v;
	flushes++;
}

int gmem_read(struct gmem *g, gpa_t a, void *dst, size_t n)
{
	(void)g;
	assert_int_equal(a.v, 0x3fe0);
	memcpy(dst, pdptes, n);
	return 0;
}

void vcpu_next(struct vcpu *v, unsigned length)
{
	v->rip += length;
}

void event_exception_error(struct vcpu *v, unsigned vector, uint32_t error)
{
	(void)v;
	assert_int_equal(vector, EXC_GP);
	assert_int_equal(error, 0);
	faults++;
}

void exit_cr8(struct vcpu *v, bool write, enum gpr r, unsigned length)
{
	(void)v;
	(void)write;
	(void)r;
	(void)length;
	fail();
}

void vm_crash(struct vm *v, const char *format, ...)
{
	(void)v;
	(void)format;
	fail();
}

static int setup(void **state)
{
	(void)state;
	memset(host_vmcs, 0, sizeof(host_vmcs));
	memset(&arch, 0, sizeof(arch));
	memset(&vcpu, 0, sizeof(vcpu));
	memset(pdptes, 0, sizeof(pdptes));
	vm.cpuid = &policy;
	vcpu.vm = &vm;
	vcpu.arch = &arch;
	faults = flushes = 0;
	policy.cr4_allowed = CR4_VME | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCIDE |
			     CR4_OSFXSR | CR4_OSXMMEXCPT;
	arch.cr4_guest = vmx_cr4_guest(&vcpu);
	vmcs_write(VMCS_EXIT_LENGTH, 3);
	vmcs_write(VMCS_GUEST_CS_ACCESS, 0xc09b);
	vmcs_write(VMCS_GUEST_TR_ACCESS, 0x8b);
	vmx_reg_set(&vcpu, REG_CR0, CR0_ET);
	vmx_reg_set(&vcpu, REG_CR4, 0);
	return 0;
}

/* MOV to CRn of RBX; true if it was done, false if it was #GP. */
static bool mov(unsigned cr, uint64_t value)
{
	uint64_t rip = vcpu.rip;
	unsigned before = faults;

	vcpu.gpr[GPR_RBX] = value;
	vmcs_write(VMCS_QUALIFICATION, cr | GPR_RBX << 8);
	vmx_exit_cr(&vcpu);
	assert_int_equal(vcpu.rip, rip + (faults == before ? 3 : 0));
	return faults == before;
}

static uint64_t reg(enum reg r)
{
	return vmx_reg_get(&vcpu, r);
}

static void to_long_mode_and_back(void **state)
{
	(void)state;
	vmx_reg_set(&vcpu, REG_CR4, CR4_PAE);
	vmx_reg_set(&vcpu, REG_EFER, EFER_LME);
	vmcs_write(VMCS_GUEST_TR_ACCESS, 0x83);
	assert_true(mov(0, CR0_PE | CR0_PG));
	assert_int_equal(reg(REG_CR0), CR0_PE | CR0_PG | CR0_ET);
	assert_int_equal(reg(REG_EFER), EFER_LME | EFER_LMA);
	assert_int_equal(vmcs_read(VMCS_GUEST_TR_ACCESS), 0x8b);
	assert_true(vmcs_read(VMCS_ENTRY_CONTROLS) & ENTRY_IA32E);
	assert_int_equal(flushes, 1);
	/* From 64-bit code paging cannot go, from compatibility code it can. */
	vmcs_write(VMCS_GUEST_CS_ACCESS, 0xa09b);
	assert_false(mov(0, CR0_PE));
	vmcs_write(VMCS_GUEST_CS_ACCESS, 0xc09b);
	assert_false(mov(4, 0x20000));		/* PAE must stay */
	assert_true(mov(0, CR0_PE));
	assert_int_equal(reg(REG_EFER), EFER_LME);
	assert_false(vmcs_read(VMCS_ENTRY_CONTROLS) & ENTRY_IA32E);
}

static void refused_cr0(void **state)
{
	(void)state;
	vmcs_write(VMCS_GUEST_CS_ACCESS, 0xa09b);
	vmx_reg_set(&vcpu, REG_EFER, EFER_LMA | EFER_LME);
	assert_false(mov(0, 1ul << 32));
	assert_false(mov(0, CR0_PG));
	assert_false(mov(0, CR0_NW));
	vmx_reg_set(&vcpu, REG_EFER, EFER_LME);
	assert_false(mov(0, CR0_PE | CR0_PG));		/* without PAE */
	vmx_reg_set(&vcpu, REG_CR4, CR4_PAE);
	assert_false(mov(0, CR0_PE | CR0_PG));		/* out of a CS with L */
	assert_int_equal(reg(REG_CR0), CR0_ET);
	assert_int_equal(reg(REG_EFER), EFER_LME);
	/*
	 * Outside 64-bit code the upper half of the register does not count; bits
	 * without meaning stay 0.
	 */
	vmcs_write(VMCS_GUEST_CS_ACCESS, 0xc09b);
	assert_true(mov(0, 0xffffffff00000000 | CR0_PE | BIT(10)));
	assert_int_equal(reg(REG_CR0), CR0_PE | CR0_ET);
}

static void caches_are_only_shown(void **state)
{
	(void)state;
	assert_true(mov(0, CR0_CD | CR0_NW));
	assert_int_equal(reg(REG_CR0), CR0_CD | CR0_NW | CR0_ET);
	assert_int_equal(vmcs_read(VMCS_GUEST_CR0), CR0_NE | CR0_ET);
}

static void pae_pointers(void **state)
{
	(void)state;
	vmx_reg_set(&vcpu, REG_CR4, CR4_PAE);
	vmcs_write(VMCS_GUEST_CR3, 0x3ff8);
	pdptes[1] = 0x5001;
	pdptes[2] = 0xffe;		/* not present: anything goes */
	assert_true(mov(0, CR0_PE | CR0_PG));
	assert_int_equal(reg(REG_PDPTE1), 0x5001);
	assert_true(mov(0, CR0_PE));
	pdptes[3] = 3;
	assert_false(mov(0, CR0_PE | CR0_PG));
	pdptes[3] = 1ul << 40 | 1;
	assert_false(mov(0, CR0_PE | CR0_PG));
	assert_int_equal(reg(REG_CR0), CR0_PE | CR0_ET);
}

static void lmsw(void **state)
{
	(void)state;
	vmcs_write(VMCS_QUALIFICATION, (uint64_t)CR_LMSW << 4 |
		   (uint64_t)(CR0_PE | CR0_TS | 0xfff0) << CR_LMSW_SOURCE_SHIFT);
	vmx_exit_cr(&vcpu);
	assert_int_equal(reg(REG_CR0), CR0_PE | CR0_TS | CR0_ET);
	vmcs_write(VMCS_QUALIFICATION, (uint64_t)CR_LMSW << 4);
	vmx_exit_cr(&vcpu);
	assert_int_equal(reg(REG_CR0), CR0_PE | CR0_ET);
	assert_int_equal(vcpu.rip, 6);
}

static void cr4(void **state)
{
	(void)state;
	assert_true(mov(4, CR4_MCE | CR4_PGE));
	assert_int_equal(reg(REG_CR4), CR4_MCE | CR4_PGE);
	assert_true(mov(4, CR4_PGE));
	assert_int_equal(reg(REG_CR4), CR4_PGE);
	assert_true(vmcs_read(VMCS_GUEST_CR4) & CR4_MCE);
	assert_false(mov(4, CR4_VMXE));
	assert_false(mov(4, CR4_SMXE));
	assert_false(mov(4, CR4_LA57));
	assert_false(mov(4, CR4_SMEP));			/* not in this guest's CPUID */
	assert_false(mov(4, CR4_PCIDE));		/* outside long mode */
	vmx_reg_set(&vcpu, REG_EFER, EFER_LME | EFER_LMA);
	vmcs_write(VMCS_GUEST_CR3, 1);
	assert_false(mov(4, CR4_PCIDE | CR4_PAE));
	vmcs_write(VMCS_GUEST_CR3, 0x1000);
	assert_true(mov(4, CR4_PCIDE | CR4_PAE));
}

static void follows_cpuid(void **state)
{
	(void)state;
	assert_true(vmx_cr4_guest(&vcpu) & CR4_PCIDE);
	assert_false(vmx_cr4_guest(&vcpu) & (CR4_VMXE | CR4_MCE | CR4_SMAP));
	policy.cr4_allowed &= ~CR4_PCIDE;
	assert_false(vmx_cr4_guest(&vcpu) & CR4_PCIDE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(to_long_mode_and_back, setup),
		cmocka_unit_test_setup(refused_cr0, setup),
		cmocka_unit_test_setup(caches_are_only_shown, setup),
		cmocka_unit_test_setup(pae_pointers, setup), cmocka_unit_test_setup(lmsw, setup),
		cmocka_unit_test_setup(cr4, setup), cmocka_unit_test_setup(follows_cpuid, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
