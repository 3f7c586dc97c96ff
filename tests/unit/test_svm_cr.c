/* SPDX-License-Identifier: BSD-2-Clause */
/* links: svm/svm_cr.c */
/* CR4 of a guest whose CPU model takes features away: what is refused, what is done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/registers.h"
#include "svm/svm.h"
#include "vmm/insn/emulate.h"
#include "vmm/vm.h"

static struct cpuid_policy policy = { .cr4_allowed = CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP };
static struct vm vm = { .cpuid = &policy };
static struct vmcb vmcb;
static struct vcpu vcpu = { .vm = &vm };
static unsigned faults, flushes, length, decoded_cr, bits;
PERCPU bool sched_wanted_flag;

unsigned emulate_decode_mov_cr(struct vcpu *v, unsigned *cr, bool *write, enum gpr *r)
{
	(void)v;
	*cr = decoded_cr;
	*write = true;
	*r = GPR_RBX;
	return length;
}

void svm_mode(struct vcpu *v, struct vcpu_mode *out)
{
	(void)v;
	out->bits = (uint8_t)bits;
}

void svm_reg_set(struct vcpu *v, enum reg r, uint64_t value)
{
	(void)v;
	assert_int_equal(r, REG_CR4);
	vmcb.cr4 = value;
}

void svm_flush_tlb(struct vcpu *v)
{
	(void)v;
	flushes++;
}

void vcpu_next(struct vcpu *v, unsigned n)
{
	v->rip += n;
}

void event_exception_error(struct vcpu *v, unsigned vector, uint32_t error)
{
	(void)v;
	assert_int_equal(vector, EXC_GP);
	assert_int_equal(error, 0);
	faults++;
}

/* Was it done? Else it was #GP and nothing has changed. */
static bool mov(uint64_t value)
{
	uint64_t before = vmcb.cr4;

	faults = 0;
	vcpu.rip = 0x1000;
	vcpu.gpr[GPR_RBX] = value;
	svm_cr4_write(&vcpu, &vmcb);
	assert_int_equal(vcpu.rip, faults ? 0x1000 : 0x1003);
	if (faults)
		assert_int_equal(vmcb.cr4, before);
	else
		assert_int_equal(vmcb.cr4, bits == 64 ? value : (uint32_t)value);
	return !faults;
}

static int setup(void **state)
{
	(void)state;
	vmcb.efer = EFER_SVME | EFER_LME | EFER_LMA;
	vmcb.cr4 = CR4_PAE;
	vmcb.cr3 = 0x1000;
	length = 3;
	decoded_cr = 4;
	bits = 64;
	flushes = 0;
	return 0;
}

static void refuses(void **state)
{
	(void)state;
	assert_false(mov(CR4_PAE | CR4_SMAP));		/* taken away */
	assert_false(mov(CR4_PAE | BIT(40)));
	assert_false(mov(CR4_PGE));			/* long mode stands on PAE */
	vmcb.cr3 = 0x1001;
	assert_false(mov(CR4_PAE | CR4_PCIDE));
	vmcb.efer = EFER_SVME;
	vmcb.cr3 = 0x1000;
	assert_false(mov(CR4_PAE | CR4_PCIDE));		/* outside long mode */
	assert_int_equal(flushes, 0);
}

static void obeys(void **state)
{
	(void)state;
	assert_true(mov(CR4_PAE));
	assert_int_equal(flushes, 0);			/* nothing has changed */
	assert_true(mov(CR4_PAE | CR4_PGE));
	assert_int_equal(flushes, 1);
	assert_true(mov(CR4_PAE | CR4_PCIDE | CR4_SMEP));
	vmcb.cr3 = 0x1001;
	assert_true(mov(CR4_PAE | CR4_PCIDE));		/* it was on */
	vmcb.efer = EFER_SVME;
	bits = 32;
	assert_true(mov(CR4_SMEP | 0xffffffff00000000));
}

/* Another vCPU has changed the instruction since the exit: it runs again, whatever it is now. */
static void runs_again(void **state)
{
	(void)state;
	faults = 0;
	vcpu.rip = 0x1000;
	vcpu.gpr[GPR_RBX] = ~0ul;
	decoded_cr = 3;
	svm_cr4_write(&vcpu, &vmcb);
	decoded_cr = 4;
	length = 0;
	svm_cr4_write(&vcpu, &vmcb);
	assert_int_equal(vcpu.rip, 0x1000);
	assert_int_equal(faults, 0);
	assert_int_equal(vmcb.cr4, CR4_PAE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(refuses, setup), cmocka_unit_test_setup(obeys, setup),
		cmocka_unit_test_setup(runs_again, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
