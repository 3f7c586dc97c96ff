/* SPDX-License-Identifier: BSD-2-Clause */
/* links: svm/svm_exit.c vmx/vmx_exit.c tests/host/percpu.c */
/*
 * What the chips of both vendors say of an access, brought into its normal form: all that they have
 * checked must arrive there, for it is what is done.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/errata.h"
#include "cpu/features.h"
#include "svm/svm.h"
#include "vmm/exit.h"
#include "vmm/gmem/gmem.h"
#include "vmm/insn/emulate.h"
#include "vmm/insn/fetch.h"
#include "vmm/vm.h"
#include "vmx/vmx.h"
#include "vmx/vmx_insn.h"

struct features features;
PERCPU bool sched_wanted_flag;
bool vmx_tells_string_io;

#define RIP	0x1000ul

static unsigned io_watched;
static struct vcpu vcpu;
static struct svm_vcpu svm_arch;
static struct vmx_vcpu vmx_arch = { .loaded = true };
static struct vmcb vmcb;
static struct io_access string_io;
static unsigned strings, plains, accesses, length, cr8_writes;
static gpa_t memory;
static unsigned memory_access;

/* ---- what is under test calls these */

void exit_io_string(struct vcpu *v, const struct io_access *io)
{
	(void)v;
	string_io = *io;
	strings++;
}

static void plain_io(struct vcpu *v, unsigned port, unsigned size, bool in, unsigned n)
{
	string_io = (struct io_access){ .port = (uint16_t)port, .size = (uint8_t)size,
					.in = in };
	v->rip += n;
	length = n;
	plains++;
}

void exit_in(struct vcpu *v, unsigned port, unsigned size, unsigned n)
{
	plain_io(v, port, size, true, n);
}

void exit_out(struct vcpu *v, unsigned port, unsigned size, unsigned n)
{
	plain_io(v, port, size, false, n);
}

void exit_io_watched(struct vcpu *v, uint64_t rip, uint16_t port, unsigned size)
{
	assert_int_equal(rip, RIP);
	assert_int_equal(v->rip, RIP + length);
	assert_int_equal(port, string_io.port);
	assert_int_equal(size, string_io.size);
	io_watched++;
}

void exit_memory(struct vcpu *v, gpa_t gpa, unsigned access)
{
	(void)v;
	memory = gpa;
	memory_access = access;
	accesses++;
}

void exit_cr8(struct vcpu *v, bool write, enum gpr r, unsigned n)
{
	(void)v;
	(void)n;
	cr8_writes += write && r == GPR_RBX;
}

static unsigned mov_cr;
static bool mov_to;

unsigned emulate_decode_mov_cr(struct vcpu *v, unsigned *cr, bool *write, enum gpr *r)
{
	(void)v;
	*cr = mov_cr;
	*write = mov_to;
	*r = GPR_RBX;
	return 4;
}

/* ---- and might call these */

#define UNUSED __attribute__((unused))
#define NOT_CALLED(declaration) declaration { abort(); }

bool fetch_root_turned(struct fetch_cache *c, uint64_t cr3)
{
	(void)c;
	(void)cr3;
	return false;
}

NOT_CALLED(void exit_cpuid(struct vcpu *v UNUSED, unsigned n UNUSED))
NOT_CALLED(void exit_hypercall(struct vcpu *v UNUSED, unsigned n UNUSED))
NOT_CALLED(void exit_rdmsr(struct vcpu *v UNUSED, unsigned n UNUSED))
NOT_CALLED(void exit_wrmsr(struct vcpu *v UNUSED, unsigned n UNUSED))
NOT_CALLED(void exit_hlt(struct vcpu *v UNUSED, unsigned n UNUSED))
NOT_CALLED(void exit_pause(struct vcpu *v UNUSED))
NOT_CALLED(void exit_rdtsc(struct vcpu *v UNUSED, unsigned n UNUSED, bool p UNUSED))
NOT_CALLED(void exit_xsetbv(struct vcpu *v UNUSED, unsigned n UNUSED))
NOT_CALLED(void exit_wbinvd(struct vcpu *v UNUSED, unsigned n UNUSED))
NOT_CALLED(void exit_invlpg(struct vcpu *v UNUSED, unsigned n UNUSED))
NOT_CALLED(void exit_shutdown(struct vcpu *v UNUSED))
NOT_CALLED(void exit_undefined(struct vcpu *v UNUSED))
NOT_CALLED(void exit_task_switch(struct vcpu *v UNUSED, unsigned by UNUSED, unsigned s UNUSED,
				 unsigned n UNUSED))
NOT_CALLED(void exit_exception(struct vcpu *v UNUSED, const struct event *e UNUSED))
NOT_CALLED(void exit_unexpected(struct vcpu *v UNUSED, const char *w UNUSED, uint64_t c UNUSED,
				uint64_t a UNUSED, uint64_t b UNUSED))
NOT_CALLED(void event_exception_error(struct vcpu *v UNUSED, unsigned n UNUSED, uint32_t e UNUSED))
NOT_CALLED(void vm_crash(struct vm *vm UNUSED, const char *fmt UNUSED, ...))
NOT_CALLED(void svm_window_opened(struct vcpu *v UNUSED))
NOT_CALLED(void svm_nmi_iret(struct vcpu *v UNUSED, struct vmcb *b UNUSED))
NOT_CALLED(bool svm_nmi_stepped(struct vcpu *v UNUSED))
NOT_CALLED(void svm_nmi_faulted(struct vcpu *v UNUSED))
NOT_CALLED(void svm_machine_check(struct vcpu *v UNUSED, struct vmcb *b UNUSED))
NOT_CALLED(void svm_shutdown(struct vcpu *v UNUSED, struct vmcb *b UNUSED))
NOT_CALLED(void svm_cr4_write(struct vcpu *v UNUSED, struct vmcb *b UNUSED))
NOT_CALLED(void svm_debug_access(struct vcpu *v UNUSED, struct vmcb *b UNUSED))
NOT_CALLED(bool errata_has(enum erratum e UNUSED))
NOT_CALLED(bool svm_audit(struct vcpu *v UNUSED, char *w UNUSED, size_t n UNUSED))
NOT_CALLED(bool vmx_audit(struct vcpu *v UNUSED, char *w UNUSED, size_t n UNUSED))
NOT_CALLED(void vmx_exit_cr(struct vcpu *v UNUSED))

/* ---- an exit of each vendor's */

static void svm(unsigned row, uint64_t info1, uint64_t info2)
{
	vcpu.arch = &svm_arch;
	svm_arch.vmcb = &vmcb;
	vcpu.rip = vmcb.rip = RIP;
	vmcb.exit_info_1 = info1;
	vmcb.exit_info_2 = info2;
	svm_exits[row].handler(&vcpu, &vmcb);
}

static void vmx(unsigned row, uint64_t qualification, uint64_t instruction)
{
	vcpu.arch = &vmx_arch;
	vcpu.rip = RIP;
	vmcs_write(VMCS_QUALIFICATION, qualification);
	vmcs_write(VMCS_EXIT_INSTRUCTION, instruction);
	vmcs_write(VMCS_EXIT_LENGTH, 2);
	vmx_exits[row].handler(&vcpu);
}

static int setup(void **state)
{
	(void)state;
	memset(&features, 0, sizeof(features));
	vmx_tells_string_io = false;
	strings = plains = accesses = cr8_writes = 0;
	return 0;
}

/* ---- I/O: bits from the manuals, by hand */

#define SVM_PORT	(0x3f8ul << 16)
#define VMX_PORT	(0x3f8ul << 16)

static void plain(unsigned size, bool in)
{
	assert_int_equal(string_io.port, 0x3f8);
	assert_int_equal(string_io.size, size);
	assert_int_equal(string_io.in, in);
	assert_int_equal(length, 2);
}

static void ports(void **state)
{
	(void)state;
	svm(SVM_EXIT_IOIO, SVM_PORT | 1 << 4 | 1, 0x1002);
	plain(1, true);
	svm(SVM_EXIT_IOIO, SVM_PORT | 1 << 5, 0x1002);
	plain(2, false);
	svm(SVM_EXIT_IOIO, SVM_PORT | 1 << 6 | 1, 0x1002);
	plain(4, true);
	vmx(VMX_EXIT_IO, VMX_PORT | 0 | 1 << 3, 0);
	plain(1, true);
	vmx(VMX_EXIT_IO, VMX_PORT | 1, 0);
	plain(2, false);
	vmx(VMX_EXIT_IO, VMX_PORT | 3 | 1 << 3, 0);
	plain(4, true);
	assert_int_equal(plains, 6);
	assert_int_equal(strings, 0);
}

static void string(unsigned size, bool in, bool rep, unsigned address, unsigned segment)
{
	assert_int_equal(string_io.port, 0x3f8);
	assert_int_equal(string_io.size, size);
	assert_int_equal(string_io.in, in);
	assert_int_equal(string_io.rep, rep);
	assert_int_equal(string_io.address, address);
	assert_int_equal(string_io.segment, segment);
}

static void string_ports_svm(void **state)
{
	(void)state;
	svm(SVM_EXIT_IOIO, SVM_PORT | 1 << 4 | 1 << 2 | 1, 0x1001);
	string(1, true, false, 0, SEG_COUNT);			/* a chip that tells no sizes */
	svm(SVM_EXIT_IOIO, SVM_PORT | 1 << 6 | 1 << 3 | 1 << 2 | 1 | 1 << 9, 0x1001);
	string(4, true, true, 8, SEG_COUNT);
	svm(SVM_EXIT_IOIO, SVM_PORT | 1 << 5 | 1 << 2 | 1 << 8 | 4 << 10, 0x1001);
	string(2, false, false, 4, SEG_COUNT);			/* no decode assists */
	svm(SVM_EXIT_IOIO, SVM_PORT | 1 << 5 | 1 << 2 | 7 << 7, 0x1001);
	string(2, false, false, 0, SEG_COUNT);			/* no chip says so */
	features.bits[FEATURE_SVM_DECODE / 64] |= BIT(FEATURE_SVM_DECODE % 64);
	svm(SVM_EXIT_IOIO, SVM_PORT | 1 << 5 | 1 << 2 | 1 << 7 | 4 << 10, 0x1001);
	string(2, false, false, 2, SEG_FS);
	svm(SVM_EXIT_IOIO, SVM_PORT | 1 << 5 | 1 << 2 | 1 << 7 | 1, 0x1001);
	string(2, true, false, 2, SEG_COUNT);
	assert_int_equal(strings, 6);
}

static void string_ports_vmx(void **state)
{
	(void)state;
	vmx(VMX_EXIT_IO, VMX_PORT | 0 | 1 << 4 | 1 << 3, 2 << 7 | 4 << 15);
	string(1, true, false, 0, SEG_COUNT);			/* a chip that tells no more */
	vmx_tells_string_io = true;
	vmx(VMX_EXIT_IO, VMX_PORT | 3 | 1 << 5 | 1 << 4 | 1 << 3, 2 << 7 | 4 << 15);
	string(4, true, true, 8, SEG_COUNT);
	vmx(VMX_EXIT_IO, VMX_PORT | 1 | 1 << 4, 1 << 7 | 5 << 15);
	string(2, false, false, 4, SEG_GS);
	vmx(VMX_EXIT_IO, VMX_PORT | 1 | 1 << 5 | 1 << 4, 0 << 7 | 3 << 15);
	string(2, false, true, 2, SEG_DS);
	assert_int_equal(strings, 4);
}

/* ---- memory: the direction, and whether it is the instruction's own access */

static void access_is(unsigned want)
{
	assert_int_equal(memory.v, 0xfee00300);
	if (memory_access != want)
		fail_msg("access %x, want %x", memory_access, want);
}

static void memory_accesses(void **state)
{
	const uint64_t at = 0xfee00300, final = 1ul << 32, tables = 1ul << 33;

	(void)state;
	svm(SVM_ROW_NPF, final | 4, at);
	access_is(GMEM_READ);
	svm(SVM_ROW_NPF, final | 4 | 2, at);
	access_is(GMEM_WRITE);
	svm(SVM_ROW_NPF, final | 4 | 16, at);
	access_is(GMEM_EXEC);
	svm(SVM_ROW_NPF, tables | 4 | 2, at);
	access_is(GMEM_WRITE | EXIT_TABLES);
	vmcs_write(VMCS_GUEST_PHYSICAL, at);
	vmx(VMX_EXIT_EPT_VIOLATION, 1 << 8 | 1 << 7 | 1, 0);
	access_is(GMEM_READ);
	vmx(VMX_EXIT_EPT_VIOLATION, 1 << 8 | 1 << 7 | 2 | 1, 0);
	access_is(GMEM_WRITE);
	vmx(VMX_EXIT_EPT_VIOLATION, 1 << 8 | 1 << 7 | 4, 0);
	access_is(GMEM_EXEC);
	vmx(VMX_EXIT_EPT_VIOLATION, 1 << 7 | 2, 0);
	access_is(GMEM_WRITE | EXIT_TABLES);
	vmx(VMX_EXIT_EPT_VIOLATION, 1, 0);	/* a PDPTE's load: without a linear address */
	access_is(GMEM_READ | EXIT_TABLES);
	assert_int_equal(accesses, 9);
}

/*
 * The IRET of an NMI's handler unmasks before it reads its frame: if that is not there the IRET
 * runs again, masked. Of a delivery that was interrupted the bit says nothing.
 */
static void iret_without_its_frame(void **state)
{
	const uint64_t read = 1 << 8 | 1 << 7 | 1, unblocked = 1 << 12;

	(void)state;
	vcpu.event.nmi_masked = false;
	vmx(VMX_EXIT_EPT_VIOLATION, read, 0);
	assert_false(vcpu.event.nmi_masked);
	vcpu.event.pending.valid = true;
	vmx(VMX_EXIT_EPT_VIOLATION, unblocked | read, 0);
	assert_false(vcpu.event.nmi_masked);
	vcpu.event.pending.valid = false;
	vmx(VMX_EXIT_EPT_VIOLATION, unblocked | read, 0);
	assert_true(vcpu.event.nmi_masked);
	vcpu.event.nmi_masked = false;
}

/* What is on in DR7 is told with each access. */
static void breakpoints(void **state)
{
	const uint64_t on[] = { 0x400, 0x401, 0x480 };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		io_watched = 0;
		vmcb.dr7 = on[i];
		vmcs_write(VMCS_GUEST_DR7, on[i]);
		svm(SVM_EXIT_IOIO, SVM_PORT | 1 << 4 | 1, 0x1002);
		vmx(VMX_EXIT_IO, VMX_PORT | 1 << 3, 0);
		assert_int_equal(io_watched, i ? 2 : 0);
		svm(SVM_EXIT_IOIO, SVM_PORT | 1 << 4 | 1 << 2 | 1, 0x1001);
		assert_int_equal(string_io.watched, i != 0);
		vmx(VMX_EXIT_IO, VMX_PORT | 1 << 4 | 1 << 3, 0);
		assert_int_equal(string_io.watched, i != 0);
		svm(SVM_ROW_NPF, 1ul << 32 | 4, 0);
		assert_int_equal(memory_access, GMEM_READ | (i ? EXIT_WATCHED : 0));
		vmx(VMX_EXIT_EPT_VIOLATION, 1 << 8 | 1 << 7 | 1, 0);
		assert_int_equal(memory_access, GMEM_READ | (i ? EXIT_WATCHED : 0));
	}
	vmcb.dr7 = 0x400;
	vmcs_write(VMCS_GUEST_DR7, 0x400);
}

/* The exit is for a write to CR8; the register is in the bytes alone. */
static void cr8(void **state)
{
	(void)state;
	mov_cr = 8, mov_to = true;
	svm(SVM_EXIT_CR_WRITE + 8, 0, 0);
	assert_int_equal(cr8_writes, 1);
	mov_cr = 0;
	svm(SVM_EXIT_CR_WRITE + 8, 0, 0);
	mov_cr = 8, mov_to = false;
	svm(SVM_EXIT_CR_WRITE + 8, 0, 0);
	assert_int_equal(cr8_writes, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(ports, setup),
		cmocka_unit_test_setup(string_ports_svm, setup),
		cmocka_unit_test_setup(string_ports_vmx, setup),
		cmocka_unit_test_setup(memory_accesses, setup),
		cmocka_unit_test_setup(iret_without_its_frame, setup),
		cmocka_unit_test_setup(breakpoints, setup),
		cmocka_unit_test_setup(cr8, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
