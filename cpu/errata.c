/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of quirks; see cpu/errata.h. QEMU's TCG names itself in CPUID 0x40000000; Bochs says
 * nothing but runs its own BIOS, whose ACPI tables carry its name, without the hypervisor bit that
 * QEMU always sets.
 */
#include "cpu/errata.h"

#include "boot/bootinfo.h"
#include "cpu/cpu.h"
#include "cpu/features.h"
#include "cpu/registers.h"
#include "kernel/log.h"
#include "lib/string.h"

struct row {
	const char *name, *text;
	bool (*judge)(void);	/* NULL: only by errata_set() and errata_force() */
	void (*cure)(void);	/* on each CPU; NULL: other code knows what to do */
	bool found;
};

static enum errata_bed bed;

static bool is_tcg(void)
{
	return bed == BED_QEMU_TCG;
}

static bool is_bochs_vmx(void)
{
	return bed == BED_BOCHS && cpu_has(FEATURE_VMX);
}

static bool is_bochs_svm(void)
{
	return bed == BED_BOCHS && cpu_has(FEATURE_SVM);
}

/* ---- AMD erratum 400: "APIC Timer Interrupt Does Not Occur in Processor C-States" ---- */

/* Of INT_PENDING: when all cores halt, by SMI or by message. */
#define C1E_BITS	(BIT(27) | BIT(28))

static bool has_c1e(void)
{
	return bed == BED_CHIP && features.vendor == VENDOR_AMD && features.family >= 0xf &&
	       features.family <= 0x11;
}

static void c1e_off(void)
{
	uint64_t v;

	if (!cpu_rdmsr_safe(MSR_INT_PENDING, &v) && v & C1E_BITS)
		(void)!cpu_wrmsr_safe(MSR_INT_PENDING, v & ~C1E_BITS);
}

/* ---- LFENCE of AMD's families from 0x10 on, which serialises dispatch only if told to ---- */

#define DE_CFG_LFENCE	BIT(1)
#define LFENCE_ALWAYS	BIT(2)		/* CPUID 80000021, EAX */

static bool lfence_passes(void)
{
	if (bed != BED_CHIP || features.vendor != VENDOR_AMD || features.family < 0x10 ||
	    features.family == 0x11)
		return false;
	return features.max_extended < 0x80000021 ||
	       !(cpu_cpuid(0x80000021, 0).eax & LFENCE_ALWAYS);
}

static void lfence_serialises(void)
{
	uint64_t v;

	if (!cpu_rdmsr_safe(MSR_DE_CFG, &v) && !(v & DE_CFG_LFENCE))
		(void)!cpu_wrmsr_safe(MSR_DE_CFG, v | DE_CFG_LFENCE);
}

/* ---- Intel's TSC deadline, which misfires where TSC or TSC_ADJUST have been written ---- */

#define ANY_STEPPING	0xff

/* Of family 6: the first revision of the microcode that mends it. */
static const struct {
	uint8_t model, stepping;
	uint32_t revision;
} deadline_mended[] = {
	{ 0x3c, ANY_STEPPING, 0x22 }, { 0x45, ANY_STEPPING, 0x20 },	/* Haswell */
	{ 0x46, ANY_STEPPING, 0x17 },
	{ 0x3f, 2, 0x3a }, { 0x3f, 4, 0x0f },				/* Haswell-EP and -EX */
	{ 0x3d, ANY_STEPPING, 0x25 }, { 0x47, ANY_STEPPING, 0x17 },	/* Broadwell */
	{ 0x4f, ANY_STEPPING, 0x0b000020 },
	{ 0x56, 2, 0x00000011 }, { 0x56, 3, 0x0700000e },		/* Broadwell-DE */
	{ 0x56, 4, 0x0f00000c }, { 0x56, 5, 0x0e000003 },
	{ 0x4e, ANY_STEPPING, 0xb2 }, { 0x5e, ANY_STEPPING, 0xb2 },	/* Skylake */
	{ 0x55, 3, 0x01000136 }, { 0x55, 4, 0x02000014 },		/* Skylake-SP */
	{ 0x8e, ANY_STEPPING, 0x52 }, { 0x9e, ANY_STEPPING, 0x52 },	/* Kaby Lake */
};

/*
 * CPUID leaf 1 puts it into the register's high half. 0: none was loaded; all ones: there is no
 * such register, which is no chip's way.
 */
static uint32_t microcode_revision(void)
{
	uint64_t v;

	if (cpu_wrmsr_safe(MSR_BIOS_SIGN_ID, 0))
		return ~0u;
	(void)cpu_cpuid(1, 0);
	return cpu_rdmsr_safe(MSR_BIOS_SIGN_ID, &v) ? ~0u : (uint32_t)(v >> 32);
}

static bool deadline_misfires(void)
{
	if (bed != BED_CHIP || features.vendor != VENDOR_INTEL || features.family != 6)
		return false;
	for (unsigned i = 0; i < ARRAY_COUNT(deadline_mended); i++)
		if (deadline_mended[i].model == features.model &&
		    (deadline_mended[i].stepping == ANY_STEPPING ||
		     deadline_mended[i].stepping == features.stepping))
			return microcode_revision() < deadline_mended[i].revision;
	return false;
}

/* ---- what a guest can do to the host ---- */

static bool is_family_10h(void)
{
	return features.vendor == VENDOR_AMD && features.family == 0x10;
}

bool errata_is_small_core(void)
{
	static const uint8_t models[] = {
		0x1c, 0x26, 0x27, 0x35, 0x36, 0x37, 0x4a, 0x4c, 0x4d, 0x57, 0x5a, 0x5c, 0x5d, 0x5f,
		0x65, 0x6e, 0x75, 0x7a, 0x85, 0x86, 0x8a, 0x96, 0x9c,
	};

	for (unsigned i = 0; i < ARRAY_COUNT(models); i++)
		if (features.model == models[i])
			return true;
	return false;
}

static bool has_itlb_multihit(void)
{
	return bed == BED_CHIP && features.vendor == VENDOR_INTEL && features.family == 6 &&
	       !errata_is_small_core() && !(features.arch_capabilities & ARCH_CAP_PSCHANGE_MC_NO);
}

/*
 * ---- the table ----
 *
 * What stands here is judged before the back end is there. What can be seen on a chip, fpu.c,
 * svm_errata.c and vmx_errata.c look at then: their word goes before the name of a bed.
 */

static struct row rows[ERRATUM_COUNT] = {
	[ERRATUM_SVM_INJECT_BY_VIRQ] = { "svm_inject_by_virq",
		"EVENTINJ may deliver a maskable interrupt twice: V_IRQ is used", is_tcg },
	[ERRATUM_SVM_INJECT_BY_EVENTINJ] = { "svm_inject_by_eventinj",
		"V_IRQ is not delivered when IF is set at VMRUN: EVENTINJ is used", is_bochs_svm },
	[ERRATUM_SVM_CR8_WITH_VIRQ] = { "svm_cr8_with_virq",
		"MOV to CR8 while V_IRQ is pending kills the machine: CR8 writes are intercepted then",
		is_tcg },
	[ERRATUM_SVM_SHADOW_LOST] = { "svm_shadow_lost",
		"VMRUN does not load the interrupt shadow: STI; HLT is completed by Keel", is_tcg },
	[ERRATUM_SVM_EXIT_CODE_SHORT] = { "svm_exit_code_short",
		"the exit code of an invalid VMCB has 32 bits only", is_tcg },
	[ERRATUM_SVM_CR_FAULT_INVALID] = { "svm_cr_fault_invalid",
		"MOV to CR of reserved bits exits as an invalid VMCB would: it is that #GP", is_tcg },
	[ERRATUM_SVM_FLUSH_ALL_ONLY] = { "svm_flush_all_only",
		"TLB_CONTROL 3 and 7 do nothing: guests are flushed by 1", is_tcg },
	[ERRATUM_SVM_NPF_PRESENT_LOST] = { "svm_npf_present_lost",
		"#NPF of a reserved bit lacks the present bit", is_tcg },
	[ERRATUM_SVM_RDTSCP_AS_RDTSC] = { "svm_rdtscp_as_rdtsc",
		"RDTSCP arrives as the RDTSC exit: its length is decoded", is_tcg },
	[ERRATUM_SVM_NO_TASK_SWITCH_EXIT] = { "svm_no_task_switch_exit",
		"task switches and INIT are not intercepted", is_tcg },
	[ERRATUM_SVM_NO_VM_CR] = { "svm_no_vm_cr",
		"the MSRs VM_CR and SVM_KEY are missing", NULL },
	[ERRATUM_SVM_BREAKPOINTS_STAY] = { "svm_breakpoints_stay",
		"a guest's breakpoints are not disarmed by an exit: Keel arms and disarms them",
		is_tcg },
	[ERRATUM_SVM_NO_GENERAL_DETECT] = { "svm_no_general_detect",
		"DR7.GD does nothing: Keel raises #DB at a guest's accesses to debug registers",
		is_tcg },
	[ERRATUM_SVM_NO_PREEMPTION] = { "svm_no_preemption",
		"interrupts do not leave a guest with IF=0: it keeps its core until its next exit",
		NULL },
	[ERRATUM_SVM_TLB_MULTIMATCH] = { "svm_tlb_multimatch",
		"a guest's page tables can raise a machine check (383): it ends that guest alone",
		is_family_10h },
	[ERRATUM_XSETBV_NOT_INTERCEPTED] = { "xsetbv_not_intercepted",
		"a guest writes the real XCR0: what it must not have is taken back when it leaves",
		is_tcg },
	[ERRATUM_INTERRUPT_MAY_GET_LOST] = { "interrupt_may_get_lost",
		"a physical interrupt can vanish until the next: timers are set again and polled",
		is_tcg },
	[ERRATUM_VMX_PREEMPT_BY_TIMER_ONLY] = { "vmx_preempt_by_timer_only",
		"interrupts do not leave a guest with IF=0: the preemption timer is always armed",
		NULL },
	[ERRATUM_VMX_NO_MTF] = { "vmx_no_mtf",
		"the monitor trap flag, which is offered, does nothing", NULL },
	[ERRATUM_VMX_WALKS_PAST_EPT] = { "vmx_walks_past_ept",
		"accessed bits of a guest's tables are set where EPT forbids writes: all walks are writes",
		is_bochs_vmx },
	[ERRATUM_XSAVEC_MISPLACES] = { "xsavec_misplaces",
		"XSAVEC does not put AVX state where XRSTOR looks for it: guests are not offered it",
		NULL },
	[ERRATUM_CPUID_TSC_WRONG] = { "cpuid_tsc_wrong",
		"CPUID's TSC frequency is not the measured one, which is used", NULL },
	[ERRATUM_AMD_C1E] = { "amd_c1e",
		"the APIC timer stops when all cores halt: C1E is switched off", has_c1e, c1e_off },
	[ERRATUM_TSC_DEADLINE] = { "tsc_deadline",
		"the TSC deadline misfires with this microcode: the APIC timer counts down",
		deadline_misfires },
	[ERRATUM_AMD_LFENCE] = { "amd_lfence",
		"LFENCE lets later instructions pass unless told not to: it is told",
		lfence_passes, lfence_serialises },
	[ERRATUM_ITLB_MULTIHIT] = { "itlb_multihit",
		"code in pages of two sizes is a machine check: guests execute from 4K pages",
		has_itlb_multihit },
};

static enum errata_bed find_bed(void)
{
	if (!strncmp(features.hypervisor, "TCGTCGTCGTCG", 12))
		return BED_QEMU_TCG;
	if (!cpu_has(FEATURE_HYPERVISOR) && bootinfo.rsdp_valid &&
	    !memcmp(bootinfo.rsdp + 9, "BOCHS ", 6))
		return BED_BOCHS;
	return BED_CHIP;
}

void errata_init(void)
{
	bed = find_bed();
	for (unsigned i = 0; i < ERRATUM_COUNT; i++)
		rows[i].found = rows[i].judge && rows[i].judge();
}

void errata_take_options(void)
{
	char value[8];

	if (boot_option("itlb_multihit", value, sizeof(value)) &&
	    (!strcmp(value, "on") || !strcmp(value, "off")))
		errata_force(ERRATUM_ITLB_MULTIHIT, value[1] == 'n');
}

void errata_log(void)
{
	for (enum erratum e = 0; e < ERRATUM_COUNT; e++)
		if (errata_has(e))
			log_debug("errata: %s: %s", errata_name(e), errata_text(e));
}

void errata_cpu_init(void)
{
	for (unsigned i = 0; i < ERRATUM_COUNT; i++)
		if (rows[i].found && rows[i].cure)
			rows[i].cure();
}

enum errata_bed errata_bed(void)
{
	return bed;
}

bool errata_has(enum erratum e)
{
	return rows[e].found;
}

void errata_set(enum erratum e)
{
	rows[e].found = true;
}

void errata_force(enum erratum e, bool found)
{
	rows[e].found = found;
}

const char *errata_name(enum erratum e)
{
	return rows[e].name;
}

const char *errata_text(enum erratum e)
{
	return rows[e].text;
}
