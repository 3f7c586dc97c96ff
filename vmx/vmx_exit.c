/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of exits: one const row for each, {name, handler}; its index is its counter. Handlers
 * bring the exit into its normal form and leave the work to vmm/exit.c. A reason without a row ends
 * the VM, nothing else.
 * Source: Intel SDM 3, appendix "VMX Basic Exit Reasons"; "Exit Qualification".
 */
#include "vmx/vmx.h"

#include "cpu/cpu.h"
#include "vmm/exit.h"
#include "vmm/gmem/gmem.h"
#include "vmm/insn/breakpoint.h"
#include "vmm/vm.h"
#include "vmx/vmx_insn.h"

_Static_assert(VMX_ROW_COUNT <= EXIT_ROW_MAX, "exit rows");

static unsigned length(void)
{
	return (unsigned)vmcs_read(VMCS_EXIT_LENGTH);
}

static void exit_nothing(struct vcpu *vcpu)
{
	(void)vcpu;
}

/* A window opened, or the task priority fell: what waited may come. */
static void look_again(struct vcpu *vcpu)
{
	vcpu->event.look = true;
}

/* The IRET that this exit interrupted had just ended NMI blocking: it will be executed again. */
static void nmi_blocked_again(struct vcpu *vcpu, bool unblocked)
{
	if (unlikely(unblocked && !vcpu->event.pending.valid))
		vcpu->event.nmi_masked = true;
}

static void exception(struct vcpu *vcpu)
{
	uint64_t info = vmcs_read(VMCS_EXIT_EVENT);
	struct event e = {
		.valid = true, .type = EVENT_EXCEPTION, .vector = info & VMCS_EVENT_VECTOR,
	};

	/* vmx_run() has given the host what is its own. */
	if (FIELD(info, 10, 8) == EVENT_NMI || e.vector == EXC_MC)
		return;
	/* An IRET that raised #AC has unmasked NMIs: the guest's handler runs with them open. */
	if (e.vector == EXC_DB) {
		e.payload = vmcs_read(VMCS_QUALIFICATION) &
			    (DR6_B0 | DR6_B1 | DR6_B2 | DR6_B3 | DR6_BD | DR6_BS);
	} else if (info & VMCS_EVENT_ERROR) {
		e.has_error = true;
		e.error = (uint32_t)vmcs_read(VMCS_EXIT_ERROR_CODE);
	}
	/* INT1: a trap, RIP stands before it. */
	if (FIELD(info, 10, 8) == EVENT_PRIVILEGED_SOFT) {
		e.type = EVENT_PRIVILEGED_SOFT;
		e.length = (uint8_t)length();
	}
	exit_exception(vcpu, &e);
}

static void cpuid(struct vcpu *vcpu)
{
	exit_cpuid(vcpu, length());
}

static void hlt(struct vcpu *vcpu)
{
	exit_hlt(vcpu, length());
}

static void pause_loop(struct vcpu *vcpu)
{
	exit_pause(vcpu);
}

static void cache(struct vcpu *vcpu)
{
	exit_wbinvd(vcpu, length());
}

static void invlpg(struct vcpu *vcpu)
{
	exit_invlpg(vcpu, length());
}

static void xsetbv(struct vcpu *vcpu)
{
	exit_xsetbv(vcpu, length());
}

static void rdtsc(struct vcpu *vcpu)
{
	exit_rdtsc(vcpu, length(), false);
}

static void rdtscp(struct vcpu *vcpu)
{
	exit_rdtsc(vcpu, length(), true);
}

static void hypercall(struct vcpu *vcpu)
{
	exit_hypercall(vcpu, length());
}

static void rdmsr(struct vcpu *vcpu)
{
	exit_rdmsr(vcpu, length());
}

static void wrmsr(struct vcpu *vcpu)
{
	exit_wrmsr(vcpu, length());
}

static bool is_watched(void)
{
	return vmcs_read(VMCS_GUEST_DR7) & BREAKPOINT_ENABLES;
}

static void string_io(struct vcpu *vcpu, uint64_t q)
{
	uint64_t info = vmx_tells_string_io ? vmcs_read(VMCS_EXIT_INSTRUCTION) : 0;

	exit_io_string(vcpu, &(struct io_access){
		.port = (uint16_t)(q >> IO_PORT_SHIFT),
		.size = (uint8_t)((q & IO_SIZE) + 1),
		.in = q & IO_IN,
		.rep = q & IO_REP,
		.address = vmx_tells_string_io ? (uint8_t)(2 << FIELD(info, 9, IO_ADDRESS_SHIFT))
					       : 0,
		.segment = vmx_tells_string_io && !(q & IO_IN) ? FIELD(info, 17, IO_SEGMENT_SHIFT)
							       : SEG_COUNT,
		.watched = is_watched(),
	});
}

static void io(struct vcpu *vcpu)
{
	uint64_t q = vmcs_read(VMCS_QUALIFICATION);
	uint16_t port = (uint16_t)(q >> IO_PORT_SHIFT);
	unsigned size = (unsigned)(q & IO_SIZE) + 1;
	uint64_t rip = vcpu->rip;

	if (unlikely(q & IO_STRING)) {
		string_io(vcpu, q);
		return;
	}
	if (q & IO_IN)
		exit_in(vcpu, port, size, length());
	else
		exit_out(vcpu, port, size, length());
	if (unlikely(is_watched()))
		exit_io_watched(vcpu, rip, port, size);
}

static void ept_violation(struct vcpu *vcpu)
{
	uint64_t q = vmcs_read(VMCS_QUALIFICATION);
	bool operand = q & EPT_VIOLATION_LINEAR && q & EPT_VIOLATION_OPERAND;

	nmi_blocked_again(vcpu, q & EPT_VIOLATION_NMI_UNBLOCKED);
	exit_memory(vcpu, GPA(vmcs_read(VMCS_GUEST_PHYSICAL)),
		    (q & EPT_VIOLATION_FETCH ? GMEM_EXEC
		     : q & EPT_VIOLATION_WRITE ? GMEM_WRITE : GMEM_READ) |
			    (operand ? 0 : EXIT_TABLES) | (is_watched() ? EXIT_WATCHED : 0));
}

static void ept_misconfig(struct vcpu *vcpu)
{
	vm_crash(vcpu->vm, "the EPT entry of 0x%lx is malformed", vmcs_read(VMCS_GUEST_PHYSICAL));
}

static void undefined(struct vcpu *vcpu)
{
	exit_undefined(vcpu);
}

static void protection(struct vcpu *vcpu)
{
	event_gp(vcpu);
}

static void task_switch(struct vcpu *vcpu)
{
	uint64_t q = vmcs_read(VMCS_QUALIFICATION);

	exit_task_switch(vcpu, FIELD(q, 31, 30), (uint16_t)q, length());
}

static void shutdown(struct vcpu *vcpu)
{
	exit_shutdown(vcpu);
}

static void invalid(struct vcpu *vcpu)
{
	char why[96] = "no field looks wrong";

	vmx_audit(vcpu, why, sizeof(why));
	vm_crash(vcpu->vm, "VM entry refused the guest's state (reason 0x%lx, 0x%lx): %s",
		 vmcs_read(VMCS_EXIT_REASON), vmcs_read(VMCS_QUALIFICATION), why);
}

static void refused(struct vcpu *vcpu)
{
	char why[96] = "no field looks wrong";

	vmx_audit(vcpu, why, sizeof(why));
	vm_crash(vcpu->vm, "VM entry failed with error %lu: %s", vmcs_read(VMCS_INSTRUCTION_ERROR),
		 why);
}

const struct vmx_exit vmx_exits[VMX_ROW_COUNT] = {
	[VMX_EXIT_EXCEPTION_NMI] = { "exception_nmi", exception },
	[VMX_EXIT_INTERRUPT] = { "external_interrupt", exit_nothing },
	[VMX_EXIT_TRIPLE_FAULT] = { "shutdown", shutdown },
	[VMX_EXIT_INIT] = { "init", exit_nothing },
	[VMX_EXIT_SIPI] = { "sipi", exit_nothing },
	[VMX_EXIT_IO_SMI] = { "io_smi", exit_nothing },
	[VMX_EXIT_SMI] = { "smi", exit_nothing },
	[VMX_EXIT_INTERRUPT_WINDOW] = { "interrupt_window", look_again },
	[VMX_EXIT_NMI_WINDOW] = { "nmi_window", look_again },
	[VMX_EXIT_TASK_SWITCH] = { "task_switch", task_switch },
	[VMX_EXIT_CPUID] = { "cpuid", cpuid },
	[VMX_EXIT_GETSEC] = { "getsec", undefined },
	[VMX_EXIT_HLT] = { "hlt", hlt },
	[VMX_EXIT_INVD] = { "invd", cache },
	[VMX_EXIT_INVLPG] = { "invlpg", invlpg },
	[VMX_EXIT_RDPMC] = { "rdpmc", protection },
	[VMX_EXIT_RDTSC] = { "rdtsc", rdtsc },
	[VMX_EXIT_RSM] = { "rsm", undefined },
	[VMX_EXIT_VMCALL] = { "hypercall", hypercall },
	[VMX_EXIT_VMCLEAR] = { "vmclear", undefined },
	[VMX_EXIT_VMLAUNCH] = { "vmlaunch", undefined },
	[VMX_EXIT_VMPTRLD] = { "vmptrld", undefined },
	[VMX_EXIT_VMPTRST] = { "vmptrst", undefined },
	[VMX_EXIT_VMREAD] = { "vmread", undefined },
	[VMX_EXIT_VMRESUME] = { "vmresume", undefined },
	[VMX_EXIT_VMWRITE] = { "vmwrite", undefined },
	[VMX_EXIT_VMXOFF] = { "vmxoff", undefined },
	[VMX_EXIT_VMXON] = { "vmxon", undefined },
	[VMX_EXIT_CR] = { "cr", vmx_exit_cr },
	[VMX_EXIT_DR] = { "dr", NULL },
	[VMX_EXIT_IO] = { "io", io },
	[VMX_EXIT_RDMSR] = { "rdmsr", rdmsr },
	[VMX_EXIT_WRMSR] = { "wrmsr", wrmsr },
	[VMX_EXIT_BAD_STATE] = { "entry_failed", invalid },
	[VMX_EXIT_BAD_MSR] = { "entry_failed_msr", invalid },
	[VMX_EXIT_MWAIT] = { "mwait", undefined },
	[VMX_EXIT_MONITOR_TRAP] = { "monitor_trap", exit_nothing },
	[VMX_EXIT_MONITOR] = { "monitor", undefined },
	[VMX_EXIT_PAUSE] = { "pause", pause_loop },
	[VMX_EXIT_MACHINE_CHECK] = { "entry_machine_check", exit_nothing },
	[VMX_EXIT_TPR_THRESHOLD] = { "tpr_threshold", look_again },
	[VMX_EXIT_APIC_ACCESS] = { "apic_access", NULL },
	[VMX_EXIT_VIRTUAL_EOI] = { "virtual_eoi", NULL },
	[VMX_EXIT_GDTR_IDTR] = { "gdtr_idtr", NULL },
	[VMX_EXIT_LDTR_TR] = { "ldtr_tr", NULL },
	[VMX_EXIT_EPT_VIOLATION] = { "memory", ept_violation },
	[VMX_EXIT_EPT_MISCONFIG] = { "ept_misconfig", ept_misconfig },
	[VMX_EXIT_INVEPT] = { "invept", undefined },
	[VMX_EXIT_RDTSCP] = { "rdtscp", rdtscp },
	[VMX_EXIT_PREEMPTION_TIMER] = { "preemption_timer", exit_nothing },
	[VMX_EXIT_INVVPID] = { "invvpid", undefined },
	[VMX_EXIT_WBINVD] = { "wbinvd", cache },
	[VMX_EXIT_XSETBV] = { "xsetbv", xsetbv },
	[VMX_EXIT_APIC_WRITE] = { "apic_write", NULL },
	[VMX_EXIT_RDRAND] = { "rdrand", NULL },
	[VMX_EXIT_INVPCID] = { "invpcid", NULL },
	[VMX_EXIT_VMFUNC] = { "vmfunc", undefined },
	[VMX_EXIT_ENCLS] = { "encls", undefined },
	[VMX_EXIT_RDSEED] = { "rdseed", NULL },
	[VMX_EXIT_PML_FULL] = { "pml_full", NULL },
	[VMX_EXIT_XSAVES] = { "xsaves", undefined },
	[VMX_EXIT_XRSTORS] = { "xrstors", undefined },
	[VMX_EXIT_PCONFIG] = { "pconfig", undefined },
	[VMX_EXIT_SPP] = { "spp", NULL },
	[VMX_EXIT_UMWAIT] = { "umwait", undefined },
	[VMX_EXIT_TPAUSE] = { "tpause", undefined },
	[VMX_EXIT_LOADIWKEY] = { "loadiwkey", undefined },
	[VMX_EXIT_ENCLV] = { "enclv", undefined },
	[VMX_EXIT_ENQCMD_PASID] = { "enqcmd", undefined },
	[VMX_EXIT_ENQCMDS_PASID] = { "enqcmds", undefined },
	[VMX_EXIT_BUS_LOCK] = { "bus_lock", NULL },
	[VMX_EXIT_NOTIFY] = { "notify", exit_nothing },
	[VMX_EXIT_SEAMCALL] = { "seamcall", undefined },
	[VMX_EXIT_TDCALL] = { "tdcall", undefined },
	[VMX_ROW_REFUSED] = { "entry_refused", refused },
	[VMX_ROW_OTHER] = { "unknown", NULL },
};

void vmx_exit_unknown(struct vcpu *vcpu)
{
	exit_unexpected(vcpu, "exit", vmcs_read(VMCS_EXIT_REASON), vmcs_read(VMCS_QUALIFICATION),
			vmcs_read(VMCS_GUEST_PHYSICAL));
}

const char *vmx_exit_name(unsigned row)
{
	if (row >= VMX_ROW_COUNT)
		return NULL;
	return vmx_exits[row].name ?: "";
}
