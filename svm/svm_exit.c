/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of exits: one const row for each, {name, handler}; its index is its counter. Handlers
 * bring the exit into its normal form and leave the work to vmm/exit.c. A code without a row ends
 * the VM, nothing else.
 * Source: AMD64 APM 2, "SVM Intercept Codes"; "IOIO Intercept"; "Nested Paging": "Nested versus
 * Guest Page Faults".
 */
#include "svm/svm.h"

#include "cpu/errata.h"
#include "cpu/features.h"
#include "cpu/registers.h"
#include "vmm/exit.h"
#include "vmm/gmem/gmem.h"
#include "vmm/insn/breakpoint.h"
#include "vmm/insn/emulate.h"
#include "vmm/insn/fetch.h"
#include "vmm/vm.h"

_Static_assert(SVM_ROW_COUNT <= EXIT_ROW_MAX, "exit rows");

/* 0: the chip does not tell. */
static unsigned length_of(const struct vmcb *v)
{
	return cpu_has(FEATURE_SVM_NRIPS) && v->next_rip > v->rip ? (unsigned)(v->next_rip - v->rip)
								  : 0;
}

static noinline unsigned length_slowly(const struct vcpu *vcpu, const struct vmcb *v,
				       uint32_t opcode, unsigned n)
{
	bool there = v->cs.attr & SEG_L >> 4 &&
		     fetch_root_turned(vcpu->fetch, v->cr3) &&
		     fetch_is_at_rip(vcpu, v->cr3, v->cr4, opcode, n);

	return there ? n : 0;
}

/*
 * For an instruction without operands, where the chip tells no length: `n` if its bare `opcode`
 * stands at RIP in 64-bit code, else 0.
 */
static always_inline unsigned length_of_plain(const struct vcpu *vcpu, const struct vmcb *v,
					      uint32_t opcode, unsigned n)
{
	unsigned told = length_of(v);

	if (told)
		return told;
	if (likely(v->cs.attr & SEG_L >> 4 && fetch_is_at_rip(vcpu, v->cr3, v->cr4, opcode, n)))
		return n;
	return length_slowly(vcpu, v, opcode, n);
}

static void exit_nothing(struct vcpu *vcpu, struct vmcb *v)
{
	(void)vcpu;
	(void)v;
}

static void vintr(struct vcpu *vcpu, struct vmcb *v)
{
	(void)v;
	svm_window_opened(vcpu);
}

static void debug_exception(struct vcpu *vcpu, struct vmcb *v)
{
	(void)v;
	if (svm_nmi_stepped(vcpu))
		return;
	/* DR6 holds what the guest's handler is to see already. */
	exit_exception(vcpu, &(struct event){
		.valid = true, .type = EVENT_EXCEPTION, .vector = EXC_DB,
	});
}

/* #AC, and what an IRET may raise that is stepped over. */
static void exception(struct vcpu *vcpu, struct vmcb *v)
{
	unsigned vector = (unsigned)v->exit_code - SVM_EXIT_EXCEPTION;

	svm_nmi_faulted(vcpu);
	exit_exception(vcpu, &(struct event){
		.valid = true, .type = EVENT_EXCEPTION, .vector = (uint8_t)vector,
		.has_error = EXC_WITH_ERROR & 1u << vector && v->cr0 & CR0_PE,
		.error = (uint32_t)v->exit_info_1,
		.payload = vector == EXC_PF ? v->exit_info_2 : 0,
	});
}

static void cpuid(struct vcpu *vcpu, struct vmcb *v)
{
	exit_cpuid(vcpu, length_of_plain(vcpu, v, 0x0fa2, 2));
}

static void hlt(struct vcpu *vcpu, struct vmcb *v)
{
	exit_hlt(vcpu, length_of_plain(vcpu, v, 0xf4, 1));
}

static void pause_loop(struct vcpu *vcpu, struct vmcb *v)
{
	(void)v;
	exit_pause(vcpu);
}

static void cache(struct vcpu *vcpu, struct vmcb *v)
{
	exit_wbinvd(vcpu, length_of(v));
}

static void xsetbv(struct vcpu *vcpu, struct vmcb *v)
{
	exit_xsetbv(vcpu, length_of(v));
}

static void rdtsc(struct vcpu *vcpu, struct vmcb *v)
{
	exit_rdtsc(vcpu, length_of(v), (uint32_t)v->exit_code == SVM_EXIT_RDTSCP);
}

static void hypercall(struct vcpu *vcpu, struct vmcb *v)
{
	exit_hypercall(vcpu, length_of_plain(vcpu, v, 0x0f01d9, 3));
}

static noinline void wrmsr(struct vcpu *vcpu, struct vmcb *v)
{
	exit_wrmsr(vcpu, length_of_plain(vcpu, v, 0x0f30, 2));
}

static noinline void rdmsr(struct vcpu *vcpu, struct vmcb *v)
{
	exit_rdmsr(vcpu, length_of_plain(vcpu, v, 0x0f32, 2));
}

static void msr(struct vcpu *vcpu, struct vmcb *v)
{
	if (v->exit_info_1 & 1)
		wrmsr(vcpu, v);
	else
		rdmsr(vcpu, v);
}

/* Of INS the segment is ES; a chip without decode assists says nothing of OUTS's. */
static noinline void string_io(struct vcpu *vcpu)
{
	const struct vmcb *v = svm_of(vcpu)->vmcb;
	uint64_t info = v->exit_info_1;
	bool segment = cpu_has(FEATURE_SVM_DECODE) && !(info & IOIO_IN);
	unsigned address = FIELD(info, 9, IOIO_ADDRESS_SHIFT) << 1;

	exit_io_string(vcpu, &(struct io_access){
		.port = (uint16_t)(info >> IOIO_PORT_SHIFT),
		.size = FIELD(info, 6, IOIO_SIZE_SHIFT),
		.in = info & IOIO_IN,
		.rep = info & IOIO_REP,
		.address = address & (address - 1) ? 0 : (uint8_t)address,
		.segment = segment ? FIELD(info, 12, IOIO_SEGMENT_SHIFT) : SEG_COUNT,
		.watched = v->dr7 & BREAKPOINT_ENABLES,
	});
}

static always_inline void plain_io(struct vcpu *vcpu, bool in, uint16_t port, unsigned size,
				   unsigned length)
{
	if (in)
		exit_in(vcpu, port, size, length);
	else
		exit_out(vcpu, port, size, length);
}

static noinline void watched_io(struct vcpu *vcpu, bool in, uint16_t port, unsigned size,
				unsigned length)
{
	uint64_t rip = vcpu->rip;

	plain_io(vcpu, in, port, size, length);
	exit_io_watched(vcpu, rip, port, size);
}

static void ioio(struct vcpu *vcpu, struct vmcb *v)
{
	uint64_t info = v->exit_info_1;
	uint16_t port = (uint16_t)(info >> IOIO_PORT_SHIFT);
	unsigned size = FIELD(info, 6, IOIO_SIZE_SHIFT);
	unsigned length = (unsigned)(v->exit_info_2 - v->rip);

	if (unlikely(info & IOIO_STRING))
		string_io(vcpu);
	else if (unlikely(v->dr7 & BREAKPOINT_ENABLES))
		watched_io(vcpu, info & IOIO_IN, port, size, length);
	else
		plain_io(vcpu, info & IOIO_IN, port, size, length);
}

static void nested_fault(struct vcpu *vcpu, struct vmcb *v)
{
	uint64_t info = v->exit_info_1;

	exit_memory(vcpu, GPA(v->exit_info_2),
		    (info & NPF_FETCH ? GMEM_EXEC : info & NPF_WRITE ? GMEM_WRITE : GMEM_READ) |
			    (info & NPF_TABLES ? EXIT_TABLES : 0) |
			    (v->dr7 & BREAKPOINT_ENABLES ? EXIT_WATCHED : 0));
}

static void undefined(struct vcpu *vcpu, struct vmcb *v)
{
	(void)v;
	exit_undefined(vcpu);
}

static void protection(struct vcpu *vcpu, struct vmcb *v)
{
	(void)v;
	event_gp(vcpu);
}

static void cr8_write(struct vcpu *vcpu, struct vmcb *v)
{
	unsigned cr = 0, length;
	bool write = false;
	enum gpr r = 0;

	(void)v;
	length = emulate_decode_mov_cr(vcpu, &cr, &write, &r);
	if (length && write && cr == 8)		/* and no other, put there since */
		exit_cr8(vcpu, true, r, length);
}

/*
 * Reserved bits in a MOV to CR, by a chip that says so in a way of its own? It stands at that
 * instruction then. A state that VMRUN does refuse, and that the audit does not know, gets no
 * further either: the #GP is refused with it, and the next one makes it a double fault.
 */
static bool is_cr_fault(struct vcpu *vcpu)
{
	unsigned cr = 0;
	bool write = false;
	enum gpr r = 0;

	return errata_has(ERRATUM_SVM_CR_FAULT_INVALID) &&
	       emulate_decode_mov_cr(vcpu, &cr, &write, &r) && write &&
	       (cr == 0 || cr == 3 || cr == 4);
}

static void invalid(struct vcpu *vcpu, struct vmcb *v)
{
	char why[96] = "no field looks wrong";

	(void)v;
	if (!svm_audit(vcpu, why, sizeof(why)) && is_cr_fault(vcpu)) {
		event_gp(vcpu);
		return;
	}
	vm_crash(vcpu->vm, "VMRUN refused the guest's state: %s", why);
}

#define CR_WRITE_ROW(n)	[SVM_EXIT_CR_WRITE + (n)] = { "cr" #n "_write", protection }
#define DR_ROWS(n)	[SVM_EXIT_DR_READ + (n)] = { "dr" #n "_read", svm_debug_access }, \
			[SVM_EXIT_DR_WRITE + (n)] = { "dr" #n "_write", svm_debug_access }

const struct svm_exit svm_exits[SVM_ROW_COUNT] = {
	/* A chip's answer to reserved bits on some beds; the architecture's answer is #GP. */
	CR_WRITE_ROW(0), CR_WRITE_ROW(3),
	[SVM_EXIT_CR_WRITE + 4] = { "cr4_write", svm_cr4_write },
	[SVM_EXIT_CR_WRITE + 8] = { "cr8_write", cr8_write },
	DR_ROWS(0), DR_ROWS(1), DR_ROWS(2), DR_ROWS(3), DR_ROWS(4), DR_ROWS(5), DR_ROWS(6),
	DR_ROWS(7),
	[SVM_EXIT_EXCEPTION + EXC_DB] = { "exception_db", debug_exception },
	[SVM_EXIT_EXCEPTION + EXC_DF] = { "exception_df", exception },
	[SVM_EXIT_EXCEPTION + EXC_TS] = { "exception_ts", exception },
	[SVM_EXIT_EXCEPTION + EXC_NP] = { "exception_np", exception },
	[SVM_EXIT_EXCEPTION + EXC_SS] = { "exception_ss", exception },
	[SVM_EXIT_EXCEPTION + EXC_GP] = { "exception_gp", exception },
	[SVM_EXIT_EXCEPTION + EXC_PF] = { "exception_pf", exception },
	[SVM_EXIT_EXCEPTION + EXC_AC] = { "exception_ac", exception },
	[SVM_EXIT_EXCEPTION + EXC_MC] = { "exception_mc", svm_machine_check },
	[SVM_EXIT_EXCEPTION + EXC_CP] = { "exception_cp", exception },
	[SVM_EXIT_INTR] = { "external_interrupt", exit_nothing },
	[SVM_EXIT_NMI] = { "nmi", exit_nothing },
	[SVM_EXIT_SMI] = { "smi", exit_nothing },
	[SVM_EXIT_INIT] = { "init", exit_nothing },
	[SVM_EXIT_VINTR] = { "interrupt_window", vintr },
	[SVM_EXIT_RDTSC] = { "rdtsc", rdtsc },
	[SVM_EXIT_RDPMC] = { "rdpmc", protection },
	[SVM_EXIT_CPUID] = { "cpuid", cpuid },
	[SVM_EXIT_RSM] = { "rsm", undefined },
	[SVM_EXIT_IRET] = { "iret", svm_nmi_iret },
	[SVM_EXIT_INVD] = { "invd", cache },
	[SVM_EXIT_PAUSE] = { "pause", pause_loop },
	[SVM_EXIT_HLT] = { "hlt", hlt },
	[SVM_EXIT_INVLPGA] = { "invlpga", undefined },
	[SVM_EXIT_IOIO] = { "io", ioio },
	[SVM_EXIT_MSR] = { "msr", msr },
	[SVM_EXIT_TASK_SWITCH] = { "task_switch", NULL },
	[SVM_EXIT_SHUTDOWN] = { "shutdown", svm_shutdown },
	[SVM_EXIT_VMRUN] = { "vmrun", undefined },
	[SVM_EXIT_VMMCALL] = { "hypercall", hypercall },
	[SVM_EXIT_VMLOAD] = { "vmload", undefined },
	[SVM_EXIT_VMSAVE] = { "vmsave", undefined },
	[SVM_EXIT_STGI] = { "stgi", undefined },
	[SVM_EXIT_CLGI] = { "clgi", undefined },
	[SVM_EXIT_SKINIT] = { "skinit", undefined },
	[SVM_EXIT_RDTSCP] = { "rdtscp", rdtsc },
	[SVM_EXIT_WBINVD] = { "wbinvd", cache },
	[SVM_EXIT_MONITOR] = { "monitor", undefined },
	[SVM_EXIT_MWAIT] = { "mwait", undefined },
	[SVM_EXIT_MWAIT_ARMED] = { "mwait", undefined },
	[SVM_EXIT_XSETBV] = { "xsetbv", xsetbv },
	[SVM_EXIT_RDPRU] = { "rdpru", undefined },
	[SVM_EXIT_INVLPGB] = { "invlpgb", undefined },
	[SVM_EXIT_MCOMMIT] = { "mcommit", undefined },
	[SVM_EXIT_TLBSYNC] = { "tlbsync", undefined },
	[SVM_ROW_NPF] = { "memory", nested_fault },
	[SVM_ROW_INVALID] = { "entry_failed", invalid },
	[SVM_ROW_OTHER] = { "unknown", NULL },
};

void svm_exit_unknown(struct vcpu *vcpu, struct vmcb *v)
{
	exit_unexpected(vcpu, "exit", v->exit_code, v->exit_info_1, v->exit_info_2);
}

const char *svm_exit_name(unsigned row)
{
	if (row >= SVM_ROW_COUNT)
		return NULL;
	return svm_exits[row].name ?: "";
}
