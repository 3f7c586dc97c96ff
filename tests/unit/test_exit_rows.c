/* SPDX-License-Identifier: BSD-2-Clause */
/* links: svm/svm_exit.c vmx/vmx_exit.c tests/host/percpu.c */
/*
 * What each row of both vendors' tables of exits calls, and with what: instruction lengths, MSR
 * directions, events that were intercepted, answers to what no guest has. Ports and memory are
 * tests/unit/test_exit_info.c's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/errata.h"
#include "cpu/features.h"
#include "cpu/registers.h"
#include "svm/svm.h"
#include "vmm/exit.h"
#include "vmm/insn/emulate.h"
#include "vmm/insn/fetch.h"
#include "vmm/vm.h"
#include "vmx/vmx.h"
#include "vmx/vmx_insn.h"

#define RIP	0x1000ul

struct features features;
PERCPU bool sched_wanted_flag;
bool vmx_tells_string_io;

static struct vcpu vcpu;
static struct svm_vcpu svm_arch;
static struct vmx_vcpu vmx_arch = { .loaded = true };
static struct vmcb vmcb;
static struct fetch_cache cache;

/* ---- what is under test calls these: `said` is what was called last, and with what */

static char said[200];

#define SAY(...) ((void)snprintf(said, sizeof(said), __VA_ARGS__))
#define WITH_LENGTH(name) void exit_##name(struct vcpu *v, unsigned n)	\
{									\
	assert_ptr_equal(v, &vcpu);					\
	SAY(#name " %u", n);						\
}
#define PLAIN(name) void name(struct vcpu *v)				\
{									\
	assert_ptr_equal(v, &vcpu);					\
	SAY(#name);							\
}
#define OF_VMCB(name) void name(struct vcpu *v, struct vmcb *b)	\
{									\
	assert_ptr_equal(v, &vcpu);					\
	assert_ptr_equal(b, &vmcb);					\
	SAY(#name);							\
}

WITH_LENGTH(cpuid)
WITH_LENGTH(hypercall)
WITH_LENGTH(rdmsr)
WITH_LENGTH(wrmsr)
WITH_LENGTH(hlt)
WITH_LENGTH(xsetbv)
WITH_LENGTH(wbinvd)
WITH_LENGTH(invlpg)
PLAIN(exit_pause)
PLAIN(exit_shutdown)
PLAIN(exit_undefined)
PLAIN(svm_window_opened)
PLAIN(vmx_exit_cr)
OF_VMCB(svm_nmi_iret)
OF_VMCB(svm_machine_check)
OF_VMCB(svm_shutdown)
OF_VMCB(svm_cr4_write)
OF_VMCB(svm_debug_access)

void exit_task_switch(struct vcpu *v, unsigned by, unsigned selector, unsigned n)
{
	assert_ptr_equal(v, &vcpu);
	SAY("task switch by %u to %x length %u", by, selector, n);
}

void exit_rdtsc(struct vcpu *v, unsigned n, bool rdtscp)
{
	(void)v;
	SAY("rdtsc%s %u", rdtscp ? "p" : "", n);
}

void exit_exception(struct vcpu *v, const struct event *e)
{
	(void)v;
	assert_true(e->valid);
	SAY("exception type %u vector %u error %d %x payload %lx length %u", e->type, e->vector,
	    e->has_error, e->error, e->payload, e->length);
}

void event_exception_error(struct vcpu *v, unsigned vector, uint32_t error)
{
	(void)v;
	SAY("fault %u %x", vector, error);
}

void exit_unexpected(struct vcpu *v, const char *what, uint64_t code, uint64_t info1,
		     uint64_t info2)
{
	(void)v;
	SAY("unexpected %s %lx %lx %lx", what, code, info1, info2);
}

void vm_crash(struct vm *vm, const char *fmt, ...)
{
	va_list args;

	(void)vm;
	va_start(args, fmt);
	vsnprintf(said, sizeof(said), fmt, args);
	va_end(args);
}

void exit_in(struct vcpu *v, unsigned port, unsigned size, unsigned n)
{
	(void)v, (void)port, (void)size, (void)n;
	fail();
}

void exit_out(struct vcpu *v, unsigned port, unsigned size, unsigned n)
{
	exit_in(v, port, size, n);
}

void exit_io_watched(struct vcpu *v, uint64_t rip, uint16_t port, unsigned size)
{
	(void)rip;
	exit_in(v, port, size, 0);
}

void exit_io_string(struct vcpu *v, const struct io_access *io)
{
	exit_in(v, io->port, io->size, 0);
}

void exit_memory(struct vcpu *v, gpa_t a, unsigned access)
{
	exit_in(v, (unsigned)a.v, access, 0);
}

void exit_cr8(struct vcpu *v, bool write, enum gpr r, unsigned n)
{
	exit_in(v, write, r, n);
}

static bool stepped;
static unsigned faulted;

bool svm_nmi_stepped(struct vcpu *v)
{
	(void)v;
	return stepped;
}

void svm_nmi_faulted(struct vcpu *v)
{
	(void)v;
	faulted++;
}

static bool audit_knows, cr_fault_erratum, mov_to_cr;
static unsigned mov_cr, mov_length, roots_turned;

bool svm_audit(struct vcpu *v, char *why, size_t n)
{
	(void)v;
	if (audit_knows)
		snprintf(why, n, "the bad field");
	return audit_knows;
}

bool vmx_audit(struct vcpu *v, char *why, size_t n)
{
	return svm_audit(v, why, n);
}

bool errata_has(enum erratum e)
{
	assert_int_equal(e, ERRATUM_SVM_CR_FAULT_INVALID);
	return cr_fault_erratum;
}

unsigned emulate_decode_mov_cr(struct vcpu *v, unsigned *cr, bool *write, enum gpr *r)
{
	(void)v;
	*cr = mov_cr;
	*write = mov_to_cr;
	*r = GPR_RBX;
	return mov_length;
}

/* CR3 is what the cache's root was made of. */
bool fetch_root_turned(struct fetch_cache *c, uint64_t cr3)
{
	assert_ptr_equal(c, &cache);
	roots_turned++;
	c->root.cr3 = cr3;
	return true;
}

/* ---- an exit --------------------------------------------------------------------------------- */

static const char *svm(uint64_t code)
{
	unsigned row = svm_exit_row(code);

	strcpy(said, "nothing");
	vmcb.exit_code = code;
	if (svm_exits[row].handler)
		svm_exits[row].handler(&vcpu, &vmcb);
	else
		svm_exit_unknown(&vcpu, &vmcb);
	return said;
}

static const char *vmx(uint32_t reason)
{
	unsigned row = vmx_exit_row(reason);

	strcpy(said, "nothing");
	vmcs_write(VMCS_EXIT_REASON, reason);
	if (vmx_exits[row].handler)
		vmx_exits[row].handler(&vcpu);
	else
		vmx_exit_unknown(&vcpu);
	return said;
}

/* One page of code at RIP, with all of the tables above it. */
static uint8_t code[PAGE_SIZE];
static uint64_t table[512];

static void code_is(const char *bytes, size_t n)
{
	struct fetch_page *f = &cache.page[RIP >> PAGE_SHIFT & (FETCH_PAGES - 1)];

	memset(code, 0x90, sizeof(code));
	memcpy(code, bytes, n);
	memset(&cache, 0, sizeof(cache));
	cache.root = (struct fetch_root){ .cr3 = vmcb.cr3, .table = (const uint8_t *)table };
	f->page = RIP;
	f->cr4 = vmcb.cr4;
	f->host = code;
	for (unsigned i = 1; i < 3; i++)
		f->entry[i] = &table[i];
}

static int setup(void **state)
{
	(void)state;
	memset(&features, 0, sizeof(features));
	memset(&vmcb, 0, sizeof(vmcb));
	memset(&vcpu, 0, sizeof(vcpu));
	memset(host_vmcs, 0, sizeof(host_vmcs));
	stepped = audit_knows = cr_fault_erratum = mov_to_cr = false;
	faulted = roots_turned = mov_cr = mov_length = 0;
	svm_arch.vmcb = &vmcb;
	vcpu.rip = vmcb.rip = RIP;
	vmcb.cr0 = CR0_PE | CR0_PG;
	vmcb.cr3 = 0x7000;
	vmcb.cs.attr = SEG_L >> 4;
	vcpu.fetch = &cache;
	code_is("\x90", 1);
	return 0;
}

static int setup_svm(void **state)
{
	setup(state);
	vcpu.arch = &svm_arch;
	return 0;
}

static int setup_vmx(void **state)
{
	setup(state);
	vcpu.arch = &vmx_arch;
	vmcs_write(VMCS_EXIT_LENGTH, 3);
	return 0;
}

/* ---- SVM ------------------------------------------------------------------------------------- */

static const struct {
	uint64_t code;
	const char *bytes, *told, *found;	/* what is called when the chip tells the length;
						 * and when it is looked for */
} lengths[] = {
	{ SVM_EXIT_CPUID, "\x0f\xa2", "cpuid 5", "cpuid 2" },
	{ SVM_EXIT_HLT, "\xf4", "hlt 5", "hlt 1" },
	{ SVM_EXIT_VMMCALL, "\x0f\x01\xd9", "hypercall 5", "hypercall 3" },
	{ SVM_EXIT_MSR, "\x0f\x32", "rdmsr 5", "rdmsr 2" },
	{ SVM_EXIT_RDTSC, "\x0f\x31", "rdtsc 5", "rdtsc 0" },
	{ SVM_EXIT_RDTSCP, "\x0f\x01\xf9", "rdtscp 5", "rdtscp 0" },
	{ SVM_EXIT_XSETBV, "\x0f\x01\xd1", "xsetbv 5", "xsetbv 0" },
	{ SVM_EXIT_WBINVD, "\x0f\x09", "wbinvd 5", "wbinvd 0" },
	{ SVM_EXIT_INVD, "\x0f\x08", "wbinvd 5", "wbinvd 0" },
};

/* By the chip, by the bytes at RIP, by neither: then the decoder finds it. */
static void svm_lengths(void **state)
{
	for (unsigned i = 0; i < ARRAY_COUNT(lengths); i++) {
		size_t n = strlen(lengths[i].bytes);
		char none[24];

		setup_svm(state);
		features.bits[FEATURE_SVM_NRIPS / 64] |= BIT(FEATURE_SVM_NRIPS % 64);
		vmcb.next_rip = RIP + 5;
		assert_string_equal(svm(lengths[i].code), lengths[i].told);
		setup_svm(state);
		vmcb.next_rip = RIP + 5;		/* that chip has no such field */
		code_is(lengths[i].bytes, n);
		assert_string_equal(svm(lengths[i].code), lengths[i].found);
		/* Another CR3, of which the cache has the same. */
		vmcb.cr3 = 0x8000;
		assert_string_equal(svm(lengths[i].code), lengths[i].found);
		assert_int_equal(roots_turned, lengths[i].found[strlen(said) - 1] != '0');
		/* A prefix, another instruction, other code than 64-bit. */
		strcpy(none, lengths[i].told);
		none[strlen(none) - 1] = '0';
		code_is("\x66\x0f\xa2\xf4", 4);
		assert_string_equal(svm(lengths[i].code), none);
		code_is(lengths[i].bytes, n);
		vmcb.cs.attr = 0;
		assert_string_equal(svm(lengths[i].code), none);
	}
	/* The next RIP of an entry that was not the instruction's: none. */
	setup_svm(state);
	features.bits[FEATURE_SVM_NRIPS / 64] |= BIT(FEATURE_SVM_NRIPS % 64);
	vmcb.next_rip = RIP;
	assert_string_equal(svm(SVM_EXIT_XSETBV), "xsetbv 0");
}

static void svm_msr_by_direction(void **state)
{
	(void)state;
	code_is("\x0f\x30", 2);
	vmcb.exit_info_1 = 1;
	assert_string_equal(svm(SVM_EXIT_MSR), "wrmsr 2");
	vmcb.exit_info_1 = 0;
	assert_string_equal(svm(SVM_EXIT_MSR), "rdmsr 0");
}

static void svm_exceptions(void **state)
{
	(void)state;
	vmcb.exit_info_1 = 0x15;
	vmcb.exit_info_2 = 0xdead000;
	assert_string_equal(svm(SVM_EXIT_EXCEPTION + EXC_PF),
			    "exception type 3 vector 14 error 1 15 payload dead000 length 0");
	assert_string_equal(svm(SVM_EXIT_EXCEPTION + EXC_AC),
			    "exception type 3 vector 17 error 1 15 payload 0 length 0");
	assert_string_equal(svm(SVM_EXIT_EXCEPTION + EXC_GP),
			    "exception type 3 vector 13 error 1 15 payload 0 length 0");
	vmcb.cr0 = 0;			/* real mode: no exception has one */
	assert_string_equal(svm(SVM_EXIT_EXCEPTION + EXC_GP),
			    "exception type 3 vector 13 error 0 15 payload 0 length 0");
	assert_int_equal(faulted, 4);
	assert_string_equal(svm(SVM_EXIT_EXCEPTION + EXC_DB),
			    "exception type 3 vector 1 error 0 0 payload 0 length 0");
	stepped = true;			/* the step was Keel's own */
	assert_string_equal(svm(SVM_EXIT_EXCEPTION + EXC_DB), "nothing");
	assert_int_equal(faulted, 4);
	assert_string_equal(svm(SVM_EXIT_EXCEPTION + EXC_MC), "svm_machine_check");
}

static void svm_others(void **state)
{
	static const struct { uint64_t code; const char *said; } rows[] = {
		{ SVM_EXIT_INTR, "nothing" }, { SVM_EXIT_NMI, "nothing" },
		{ SVM_EXIT_SMI, "nothing" }, { SVM_EXIT_INIT, "nothing" },
		{ SVM_EXIT_VINTR, "svm_window_opened" }, { SVM_EXIT_IRET, "svm_nmi_iret" },
		{ SVM_EXIT_SHUTDOWN, "svm_shutdown" }, { SVM_EXIT_PAUSE, "exit_pause" },
		{ SVM_EXIT_RDPMC, "fault 13 0" }, { SVM_EXIT_CR_WRITE, "fault 13 0" },
		{ SVM_EXIT_CR_WRITE + 3, "fault 13 0" },
		{ SVM_EXIT_CR_WRITE + 4, "svm_cr4_write" },
		{ SVM_EXIT_DR_READ + 7, "svm_debug_access" },
		{ SVM_EXIT_DR_WRITE, "svm_debug_access" },
		{ SVM_EXIT_VMRUN, "exit_undefined" }, { SVM_EXIT_VMLOAD, "exit_undefined" },
		{ SVM_EXIT_VMSAVE, "exit_undefined" }, { SVM_EXIT_STGI, "exit_undefined" },
		{ SVM_EXIT_CLGI, "exit_undefined" }, { SVM_EXIT_SKINIT, "exit_undefined" },
		{ SVM_EXIT_INVLPGA, "exit_undefined" }, { SVM_EXIT_MONITOR, "exit_undefined" },
		{ SVM_EXIT_MWAIT, "exit_undefined" }, { SVM_EXIT_RSM, "exit_undefined" },
		/* Nobody asked for them: the VM ends. */
		{ SVM_EXIT_TASK_SWITCH, "unexpected exit 7d 1 2" },
		{ SVM_EXIT_CR_READ, "unexpected exit 0 1 2" },
		{ 0x9999, "unexpected exit 9999 1 2" },
		{ 1ul << 32 | SVM_EXIT_CPUID, "unexpected exit 100000072 1 2" },
	};

	(void)state;
	vmcb.exit_info_1 = 1;
	vmcb.exit_info_2 = 2;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++)
		assert_string_equal(svm(rows[i].code), rows[i].said);
}

/* A refused entry is the end, but for a chip that says so of reserved bits in a MOV to CR. */
static void svm_refused(void **state)
{
	static const char *const crash = "VMRUN refused the guest's state: ";
	const uint64_t invalid = (uint32_t)SVM_EXIT_INVALID;

	(void)state;
	assert_non_null(strstr(svm(invalid), crash));
	mov_length = 3;
	mov_to_cr = true;
	assert_non_null(strstr(svm(invalid), crash));
	cr_fault_erratum = true;
	for (unsigned cr = 0; cr < 9; cr++) {
		mov_cr = cr;
		if (cr == 0 || cr == 3 || cr == 4)
			assert_string_equal(svm(invalid), "fault 13 0");
		else
			assert_non_null(strstr(svm(invalid), "no field looks wrong"));
	}
	mov_cr = 0;
	mov_to_cr = false;
	assert_non_null(strstr(svm(invalid), crash));
	mov_to_cr = audit_knows = true;
	assert_non_null(strstr(svm(invalid), "the bad field"));
}

/* ---- VMX ------------------------------------------------------------------------------------- */

#define VMX_VALID	BIT(31)
#define VMX_ERROR	BIT(11)
#define VMX_TYPE(t)	((t) << 8)

static void vmx_exceptions(void **state)
{
	(void)state;
	vmcs_write(VMCS_EXIT_EVENT, VMX_VALID | VMX_ERROR | VMX_TYPE(3) | EXC_AC);
	vmcs_write(VMCS_EXIT_ERROR_CODE, 7);
	assert_string_equal(vmx(VMX_EXIT_EXCEPTION_NMI),
			    "exception type 3 vector 17 error 1 7 payload 0 length 0");
	/* Of #DB what DR6 is to show, without reserved bits. */
	vmcs_write(VMCS_EXIT_EVENT, VMX_VALID | VMX_TYPE(3) | EXC_DB);
	vmcs_write(VMCS_QUALIFICATION, ~0ul);
	assert_string_equal(vmx(VMX_EXIT_EXCEPTION_NMI),
			    "exception type 3 vector 1 error 0 0 payload 600f length 0");
	/* INT1, whose length goes back with it. */
	vmcs_write(VMCS_EXIT_EVENT, VMX_VALID | VMX_TYPE(5) | EXC_DB);
	vmcs_write(VMCS_QUALIFICATION, 0);
	assert_string_equal(vmx(VMX_EXIT_EXCEPTION_NMI),
			    "exception type 5 vector 1 error 0 0 payload 0 length 3");
	/* The host's own. */
	vmcs_write(VMCS_EXIT_EVENT, VMX_VALID | VMX_TYPE(2) | 2);
	assert_string_equal(vmx(VMX_EXIT_EXCEPTION_NMI), "nothing");
	vmcs_write(VMCS_EXIT_EVENT, VMX_VALID | VMX_TYPE(3) | EXC_MC);
	assert_string_equal(vmx(VMX_EXIT_EXCEPTION_NMI), "nothing");
}

static void vmx_others(void **state)
{
	static const struct { uint32_t reason; const char *said; } rows[] = {
		{ VMX_EXIT_CPUID, "cpuid 3" }, { VMX_EXIT_HLT, "hlt 3" },
		{ VMX_EXIT_VMCALL, "hypercall 3" }, { VMX_EXIT_RDMSR, "rdmsr 3" },
		{ VMX_EXIT_WRMSR, "wrmsr 3" }, { VMX_EXIT_RDTSC, "rdtsc 3" },
		{ VMX_EXIT_RDTSCP, "rdtscp 3" }, { VMX_EXIT_XSETBV, "xsetbv 3" },
		{ VMX_EXIT_WBINVD, "wbinvd 3" }, { VMX_EXIT_INVD, "wbinvd 3" },
		{ VMX_EXIT_INVLPG, "invlpg 3" }, { VMX_EXIT_PAUSE, "exit_pause" },
		{ VMX_EXIT_TRIPLE_FAULT, "exit_shutdown" },
		{ VMX_EXIT_CR, "vmx_exit_cr" },
		{ VMX_EXIT_INTERRUPT, "nothing" }, { VMX_EXIT_INIT, "nothing" },
		{ VMX_EXIT_SIPI, "nothing" }, { VMX_EXIT_PREEMPTION_TIMER, "nothing" },
		{ VMX_EXIT_RDPMC, "fault 13 0" }, { VMX_EXIT_VMXON, "exit_undefined" },
		{ VMX_EXIT_VMLAUNCH, "exit_undefined" }, { VMX_EXIT_INVEPT, "exit_undefined" },
		{ VMX_EXIT_VMFUNC, "exit_undefined" }, { VMX_EXIT_MWAIT, "exit_undefined" },
		{ VMX_EXIT_XSAVES, "exit_undefined" }, { VMX_EXIT_GETSEC, "exit_undefined" },
		{ VMX_EXIT_EPT_MISCONFIG, "the EPT entry of 0x5000 is malformed" },
		/* Nobody asked for them: the VM ends. */
		{ VMX_EXIT_DR, "unexpected exit 1d 6 5000" },
		{ VMX_EXIT_RDRAND, "unexpected exit 39 6 5000" },
		{ 0x7fff, "unexpected exit 7fff 6 5000" },
	};

	(void)state;
	vmcs_write(VMCS_QUALIFICATION, 6);
	vmcs_write(VMCS_GUEST_PHYSICAL, 0x5000);
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		vcpu.event.look = false;
		assert_string_equal(vmx(rows[i].reason), rows[i].said);
		assert_false(vcpu.event.look);
	}
	vmcs_write(VMCS_QUALIFICATION, 3ul << 30 | 0x28);
	assert_string_equal(vmx(VMX_EXIT_TASK_SWITCH), "task switch by 3 to 28 length 3");
}

static void vmx_windows(void **state)
{
	static const uint32_t reasons[] = {
		VMX_EXIT_INTERRUPT_WINDOW, VMX_EXIT_NMI_WINDOW, VMX_EXIT_TPR_THRESHOLD,
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(reasons); i++) {
		vcpu.event.look = false;
		assert_string_equal(vmx(reasons[i]), "nothing");
		assert_true(vcpu.event.look);
	}
}

static void vmx_refused(void **state)
{
	(void)state;
	vmcs_write(VMCS_QUALIFICATION, 4);
	assert_string_equal(vmx(0x80000000 | VMX_EXIT_BAD_STATE),
			    "VM entry refused the guest's state (reason 0x80000021, 0x4): "
			    "no field looks wrong");
	audit_knows = true;
	assert_non_null(strstr(vmx(0x80000000 | VMX_EXIT_BAD_MSR), "the bad field"));
	vmcs_write(VMCS_INSTRUCTION_ERROR, 7);
	vmx_exits[VMX_ROW_REFUSED].handler(&vcpu);
	assert_string_equal(said, "VM entry failed with error 7: the bad field");
}

/* ---- names ----------------------------------------------------------------------------------- */

static void rows_have_names(void **state)
{
	(void)state;
	assert_string_equal(svm_exit_name(SVM_ROW_NPF), "memory");
	assert_string_equal(svm_exit_name(SVM_EXIT_CR_READ), "");
	assert_null(svm_exit_name(SVM_ROW_COUNT));
	assert_string_equal(vmx_exit_name(VMX_EXIT_EPT_VIOLATION), "memory");
	assert_null(vmx_exit_name(VMX_ROW_COUNT));
	for (unsigned i = 0; i < SVM_ROW_COUNT; i++)
		assert_true(!svm_exits[i].handler || svm_exits[i].name);
	for (unsigned i = 0; i < VMX_ROW_COUNT; i++)
		assert_true(!vmx_exits[i].handler || vmx_exits[i].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(svm_lengths, setup_svm),
		cmocka_unit_test_setup(svm_msr_by_direction, setup_svm),
		cmocka_unit_test_setup(svm_exceptions, setup_svm),
		cmocka_unit_test_setup(svm_others, setup_svm),
		cmocka_unit_test_setup(svm_refused, setup_svm),
		cmocka_unit_test_setup(vmx_exceptions, setup_vmx),
		cmocka_unit_test_setup(vmx_others, setup_vmx),
		cmocka_unit_test_setup(vmx_windows, setup_vmx),
		cmocka_unit_test_setup(vmx_refused, setup_vmx),
		cmocka_unit_test(rows_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
