/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names the bad field of a VMCS: the checks that a VM entry makes, as rows {text, is it wrong?}, in
 * the manual's order. After a refused entry, for the chip itself says only "controls", "host" or
 * "guest". Pure: reads the VMCS alone. What the manual checks for features that Keel never switches
 * on has no row.
 * Source: Intel SDM 3, "VM Entries": "Checks on VMX Controls and Host-State Area", "Checks on the
 * Guest State Area".
 */
#include "vmx/vmx.h"

#include "cpu/features.h"
#include "cpu/registers.h"
#include "lib/format.h"

static uint64_t get(struct vmx_vcpu *s, enum vmcs_field field)
{
	return vmx_field_get(s, field);
}

static bool canonical(uint64_t a)
{
	return (uint64_t)((int64_t)(a << 16) >> 16) == a;
}

static bool physical(uint64_t a)
{
	return !(a >> features.physical_bits);
}

static bool pat_valid(uint64_t pat)
{
	for (unsigned i = 0; i < 8; i++) {
		uint64_t t = pat >> (8 * i) & 0xff;

		if (t == 2 || t == 3 || t > PAT_UC_MINUS)
			return false;
	}
	return true;
}

static bool ia32e(struct vmx_vcpu *s)
{
	return get(s, VMCS_ENTRY_CONTROLS) & ENTRY_IA32E;
}

/* ---- controls ---- */

static bool pin_nmi(struct vmx_vcpu *s)
{
	uint64_t pin = get(s, VMCS_PIN_CONTROLS);

	return pin & PIN_VIRTUAL_NMI && !(pin & PIN_NMI);
}

static bool nmi_window(struct vmx_vcpu *s)
{
	return get(s, VMCS_PROC_CONTROLS) & PROC_NMI_WINDOW &&
	       !(get(s, VMCS_PIN_CONTROLS) & PIN_VIRTUAL_NMI);
}

static bool cr3_targets(struct vmx_vcpu *s)
{
	return get(s, VMCS_CR3_TARGET_COUNT) > 4;
}

static bool page_wrong(uint64_t a)
{
	return !a || a & 0xfff || !physical(a);
}

static bool msr_bitmap(struct vmx_vcpu *s)
{
	return get(s, VMCS_PROC_CONTROLS) & PROC_MSR_BITMAP && page_wrong(get(s, VMCS_MSR_BITMAP));
}

static bool virtual_apic(struct vmx_vcpu *s)
{
	return get(s, VMCS_PROC_CONTROLS) & PROC_TPR_SHADOW &&
	       page_wrong(get(s, VMCS_VIRTUAL_APIC));
}

static bool threshold(struct vmx_vcpu *s)
{
	return get(s, VMCS_TPR_THRESHOLD) > (*s->vtpr >> 4 & 15);
}

static bool vpid(struct vmx_vcpu *s)
{
	return get(s, VMCS_PROC2_CONTROLS) & PROC2_VPID && !get(s, VMCS_VPID);
}

static bool eptp(struct vmx_vcpu *s)
{
	uint64_t v = get(s, VMCS_EPTP);

	return (v & BITS(5, 0)) != (EPTP_WB | EPTP_FOUR_LEVELS) || v & BITS(11, 7) || !physical(v);
}

static bool unrestricted(struct vmx_vcpu *s)
{
	uint64_t proc2 = get(s, VMCS_PROC2_CONTROLS);

	return proc2 & PROC2_UNRESTRICTED && !(proc2 & PROC2_EPT);
}

static bool msr_lists(struct vmx_vcpu *s)
{
	return get(s, VMCS_EXIT_MSR_STORE_COUNT) || get(s, VMCS_EXIT_MSR_LOAD_COUNT) ||
	       get(s, VMCS_ENTRY_MSR_LOAD_COUNT);
}

static bool entry_event(struct vmx_vcpu *s)
{
	uint64_t info = get(s, VMCS_ENTRY_EVENT), vector = info & VMCS_EVENT_VECTOR;

	if (!(info & VMCS_EVENT_VALID))
		return false;
	switch (FIELD(info, 10, 8)) {
	case EVENT_NMI: return info & BITS(30, 12) || vector != EXC_NMI;
	case EVENT_EXCEPTION: return info & BITS(30, 12) || vector > 31;
	case 1: case 7: return true;
	default: return info & BITS(30, 12);
	}
}

static bool entry_error(struct vmx_vcpu *s)
{
	uint64_t info = get(s, VMCS_ENTRY_EVENT);
	bool pushes = FIELD(info, 10, 8) == EVENT_EXCEPTION && (info & VMCS_EVENT_VECTOR) < 32 &&
		      EXC_WITH_ERROR & 1u << (info & 31) && get(s, VMCS_GUEST_CR0) & CR0_PE;

	if (!(info & VMCS_EVENT_VALID))
		return false;
	return pushes != !!(info & VMCS_EVENT_ERROR) ||
	       (pushes && get(s, VMCS_ENTRY_ERROR_CODE) >> 16);
}

static bool entry_length(struct vmx_vcpu *s)
{
	uint64_t info = get(s, VMCS_ENTRY_EVENT), length = get(s, VMCS_ENTRY_LENGTH);

	return info & VMCS_EVENT_VALID && FIELD(info, 10, 8) >= EVENT_SOFT_INTERRUPT &&
	       (!length || length > 15);
}

/* ---- host ---- */

static bool host_cr0(struct vmx_vcpu *s)
{
	uint64_t must = vmx_cr0_fixed | CR0_PE | CR0_PG;

	return (get(s, VMCS_HOST_CR0) & must) != must;
}

static bool host_cr4(struct vmx_vcpu *s)
{
	uint64_t must = vmx_cr4_fixed | CR4_VMXE | CR4_PAE;

	return (get(s, VMCS_HOST_CR4) & must) != must;
}

static bool host_cr3(struct vmx_vcpu *s)
{
	return !physical(get(s, VMCS_HOST_CR3));
}

static bool host_bases(struct vmx_vcpu *s)
{
	for (unsigned f = VMCS_HOST_FS_BASE; f <= VMCS_HOST_SYSENTER_EIP; f += 2)
		if (!canonical(get(s, f)))
			return true;
	return !canonical(get(s, VMCS_HOST_RIP));
}

static bool host_selectors(struct vmx_vcpu *s)
{
	for (unsigned f = VMCS_HOST_ES_SELECTOR; f <= VMCS_HOST_TR_SELECTOR; f += 2)
		if (get(s, f) & 7)
			return true;
	return !get(s, VMCS_HOST_CS_SELECTOR) || !get(s, VMCS_HOST_TR_SELECTOR);
}

static bool host_pat(struct vmx_vcpu *s)
{
	return !pat_valid(get(s, VMCS_HOST_PAT));
}

static bool host_efer(struct vmx_vcpu *s)
{
	uint64_t both = EFER_LMA | EFER_LME;

	return (get(s, VMCS_HOST_EFER) & both) != both ||
	       !(get(s, VMCS_EXIT_CONTROLS) & EXIT_HOST_64);
}

/* ---- guest: control registers and MSRs ---- */

static bool cr0_fixed(struct vmx_vcpu *s)
{
	uint64_t cr0 = get(s, VMCS_GUEST_CR0);

	return (cr0 & vmx_cr0_fixed) != vmx_cr0_fixed || cr0 >> 32;
}

static bool cr0_paging(struct vmx_vcpu *s)
{
	uint64_t cr0 = get(s, VMCS_GUEST_CR0);

	return cr0 & CR0_PG && !(cr0 & CR0_PE);
}

static bool cr4_fixed(struct vmx_vcpu *s)
{
	uint64_t cr4 = get(s, VMCS_GUEST_CR4), must = vmx_cr4_fixed | CR4_VMXE;

	return (cr4 & must) != must || cr4 >> 32;
}

static bool long_mode(struct vmx_vcpu *s)
{
	return ia32e(s) && !(get(s, VMCS_GUEST_CR0) & CR0_PG && get(s, VMCS_GUEST_CR4) & CR4_PAE);
}

static bool pcide(struct vmx_vcpu *s)
{
	return !ia32e(s) && get(s, VMCS_GUEST_CR4) & CR4_PCIDE;
}

static bool cr3(struct vmx_vcpu *s)
{
	return !physical(get(s, VMCS_GUEST_CR3));
}

static bool debug(struct vmx_vcpu *s)
{
	return get(s, VMCS_GUEST_DR7) >> 32 || get(s, VMCS_GUEST_DEBUGCTL) & ~0xffc3ul;
}

static bool sysenter(struct vmx_vcpu *s)
{
	return !canonical(get(s, VMCS_GUEST_SYSENTER_ESP)) ||
	       !canonical(get(s, VMCS_GUEST_SYSENTER_EIP));
}

static bool pat(struct vmx_vcpu *s)
{
	return !pat_valid(get(s, VMCS_GUEST_PAT));
}

static bool efer(struct vmx_vcpu *s)
{
	uint64_t v = get(s, VMCS_GUEST_EFER);

	if (v & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE) || !(v & EFER_LMA) == ia32e(s))
		return true;
	return get(s, VMCS_GUEST_CR0) & CR0_PG && !(v & EFER_LMA) != !(v & EFER_LME);
}

static bool pdptes(struct vmx_vcpu *s)
{
	if (ia32e(s) || !(get(s, VMCS_GUEST_CR0) & CR0_PG) || !(get(s, VMCS_GUEST_CR4) & CR4_PAE))
		return false;
	for (unsigned i = 0; i < 4; i++) {
		uint64_t e = get(s, VMCS_GUEST_PDPTE0 + 2 * i);

		if (e & 1 && (e & (BITS(2, 1) | BITS(8, 5)) || !physical(e)))
			return true;
	}
	return false;
}

/* ---- guest: segments ---- */

static uint32_t access(struct vmx_vcpu *s, enum seg seg)
{
	return (uint32_t)get(s, VMCS_GUEST_ES_ACCESS + 2 * seg);
}

static bool virtual_8086(struct vmx_vcpu *s)
{
	return get(s, VMCS_GUEST_RFLAGS) & RFLAGS_VM;
}

/* Nothing else is checked of a segment that cannot be used. */
static bool idle(struct vmx_vcpu *s, enum seg seg)
{
	return access(s, seg) & SEG_UNUSABLE && seg != SEG_CS && seg != SEG_TR;
}

static bool seg_selector(struct vmx_vcpu *s, enum seg seg)
{
	return seg >= SEG_LDTR && !idle(s, seg) && get(s, VMCS_GUEST_ES_SELECTOR + 2 * seg) & 4;
}

static bool seg_base(struct vmx_vcpu *s, enum seg seg)
{
	uint64_t base = get(s, VMCS_GUEST_ES_BASE + 2 * seg);

	if (virtual_8086(s) && seg <= SEG_GS)
		return base != get(s, VMCS_GUEST_ES_SELECTOR + 2 * seg) << 4;
	if (seg == SEG_FS || seg == SEG_GS || seg >= SEG_LDTR)
		return !idle(s, seg) && !canonical(base);
	return !idle(s, seg) && base >> 32;
}

static bool seg_8086(struct vmx_vcpu *s, enum seg seg)
{
	return virtual_8086(s) && seg <= SEG_GS &&
	       (access(s, seg) != (SEG_P | SEG_S | SEG_DPL | 3) ||
		get(s, VMCS_GUEST_ES_LIMIT + 2 * seg) != 0xffff);
}

static bool seg_type(struct vmx_vcpu *s, enum seg seg)
{
	unsigned type = access(s, seg) & SEG_TYPE;

	if (idle(s, seg) || (virtual_8086(s) && seg <= SEG_GS))
		return false;
	switch (seg) {
	/* 3: as real mode has it, unrestricted guests may. */
	case SEG_CS: return type != 3 && (type & 9) != 9;
	case SEG_SS: return type != 3 && type != 7;
	case SEG_LDTR: return type != 2;
	case SEG_TR: return type != 11 && (type != 3 || ia32e(s));
	default: return !(type & 1) || (type & 8 && !(type & 2));
	}
}

static bool seg_system(struct vmx_vcpu *s, enum seg seg)
{
	return !idle(s, seg) && !(access(s, seg) & SEG_S) != (seg >= SEG_LDTR);
}

static bool seg_present(struct vmx_vcpu *s, enum seg seg)
{
	return !idle(s, seg) && !(access(s, seg) & SEG_P);
}

static bool seg_dpl(struct vmx_vcpu *s, enum seg seg)
{
	uint32_t cs = access(s, SEG_CS), ss = access(s, SEG_SS);

	if (virtual_8086(s))
		return false;
	if (seg == SEG_SS)
		return (cs & SEG_TYPE) == 3 && ss & SEG_DPL;
	if (seg != SEG_CS)
		return false;
	if ((cs & SEG_TYPE) == 3)
		return cs & SEG_DPL;
	return cs & 4 ? (cs & SEG_DPL) > (ss & SEG_DPL) : (cs & SEG_DPL) != (ss & SEG_DPL);
}

static bool seg_reserved(struct vmx_vcpu *s, enum seg seg)
{
	return !idle(s, seg) &&
	       access(s, seg) & (0xfffe0f00u | (seg == SEG_CS || seg == SEG_TR ? SEG_UNUSABLE : 0));
}

static bool seg_long_and_32(struct vmx_vcpu *s, enum seg seg)
{
	return seg == SEG_CS && ia32e(s) && (access(s, seg) & (SEG_L | SEG_DB)) == (SEG_L | SEG_DB);
}

static bool seg_granularity(struct vmx_vcpu *s, enum seg seg)
{
	uint64_t limit = get(s, VMCS_GUEST_ES_LIMIT + 2 * seg);
	bool g = access(s, seg) & SEG_G;

	return !idle(s, seg) && !virtual_8086(s) &&
	       ((g && (limit & 0xfff) != 0xfff) || (!g && limit >> 20));
}

static bool tables(struct vmx_vcpu *s)
{
	return !canonical(get(s, VMCS_GUEST_GDTR_BASE)) ||
	       !canonical(get(s, VMCS_GUEST_IDTR_BASE)) || get(s, VMCS_GUEST_GDTR_LIMIT) >> 16 ||
	       get(s, VMCS_GUEST_IDTR_LIMIT) >> 16;
}

/* ---- guest: RIP, RFLAGS, what is pending and blocked ---- */

static bool rip(struct vmx_vcpu *s)
{
	uint64_t v = get(s, VMCS_GUEST_RIP);

	return ia32e(s) && access(s, SEG_CS) & SEG_L ? !canonical(v) : v >> 32;
}

static bool rflags(struct vmx_vcpu *s)
{
	uint64_t v = get(s, VMCS_GUEST_RFLAGS);

	return !(v & RFLAGS_ONE) || v & (~BITS(21, 0) | BIT(15) | BIT(5) | BIT(3));
}

static bool rflags_vm(struct vmx_vcpu *s)
{
	return virtual_8086(s) && (ia32e(s) || !(get(s, VMCS_GUEST_CR0) & CR0_PE));
}

static bool injects(struct vmx_vcpu *s, enum event_type type)
{
	uint64_t info = get(s, VMCS_ENTRY_EVENT);

	return info & VMCS_EVENT_VALID && FIELD(info, 10, 8) == type;
}

static bool interrupt_masked(struct vmx_vcpu *s)
{
	return injects(s, EVENT_INTERRUPT) && (!(get(s, VMCS_GUEST_RFLAGS) & RFLAGS_IF) ||
	       get(s, VMCS_GUEST_INTERRUPTIBILITY) & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS));
}

static bool nmi_masked(struct vmx_vcpu *s)
{
	return injects(s, EVENT_NMI) &&
	       get(s, VMCS_GUEST_INTERRUPTIBILITY) & (BLOCKED_BY_MOV_SS | BLOCKED_BY_NMI);
}

static bool interruptibility(struct vmx_vcpu *s)
{
	uint64_t v = get(s, VMCS_GUEST_INTERRUPTIBILITY), both = BLOCKED_BY_STI | BLOCKED_BY_MOV_SS;

	return v & ~0xful || (v & both) == both || v & BLOCKED_BY_SMI ||
	       (v & BLOCKED_BY_STI && !(get(s, VMCS_GUEST_RFLAGS) & RFLAGS_IF));
}

static bool activity(struct vmx_vcpu *s)
{
	return get(s, VMCS_GUEST_ACTIVITY) != 0;
}

static bool pending_debug(struct vmx_vcpu *s)
{
	uint64_t v = get(s, VMCS_GUEST_PENDING_DEBUG);
	bool shadow = get(s, VMCS_GUEST_INTERRUPTIBILITY) & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS);
	bool step = get(s, VMCS_GUEST_RFLAGS) & RFLAGS_TF &&
		    !(get(s, VMCS_GUEST_DEBUGCTL) & DEBUGCTL_BTF);

	return v & ~0x1500ful ? true : v & BIT(15) || (shadow && !(v & DR6_BS) == step);
}

static bool link_pointer(struct vmx_vcpu *s)
{
	return ~get(s, VMCS_LINK_POINTER);
}

static const struct {
	const char *what;
	bool (*wrong)(struct vmx_vcpu *s);
} checks[] = {
	{ "virtual NMIs without NMI exiting", pin_nmi },
	{ "NMI-window exiting without virtual NMIs", nmi_window },
	{ "more than 4 CR3 targets", cr3_targets },
	{ "the MSR bitmap's address is malformed", msr_bitmap },
	{ "the virtual-APIC page's address is malformed", virtual_apic },
	{ "the TPR threshold is above the TPR", threshold },
	{ "the VPID is 0", vpid },
	{ "the EPT pointer is malformed", eptp },
	{ "an unrestricted guest without EPT", unrestricted },
	{ "the MSR lists are not empty", msr_lists },
	{ "the injected event has a type, vector or bit that does not exist", entry_event },
	{ "the injected event's error code is there and must not be, or the reverse", entry_error },
	{ "the injected event's instruction length is not 1 to 15", entry_length },
	{ "host CR0 lacks a fixed bit", host_cr0 },
	{ "host CR4 lacks a fixed bit", host_cr4 },
	{ "host CR3 has reserved bits", host_cr3 },
	{ "a host base address or RIP is not canonical", host_bases },
	{ "a host selector has TI or RPL set, or CS or TR is null", host_selectors },
	{ "host PAT has a type that does not exist", host_pat },
	{ "host EFER is not that of a 64-bit host", host_efer },
	{ "CR0 lacks a fixed bit or has bits above 31", cr0_fixed },
	{ "CR0.PG is set without CR0.PE", cr0_paging },
	{ "CR4 lacks a fixed bit or has bits above 31", cr4_fixed },
	{ "long mode without CR0.PG and CR4.PAE", long_mode },
	{ "CR4.PCIDE outside long mode", pcide },
	{ "CR3 has reserved bits", cr3 },
	{ "DR7 or DEBUGCTL has reserved bits", debug },
	{ "SYSENTER_ESP or SYSENTER_EIP is not canonical", sysenter },
	{ "PAT has a type that does not exist", pat },
	{ "EFER has reserved bits, or LMA does not agree with LME or the entry controls", efer },
	{ "GDTR or IDTR has a base that is not canonical or a limit above 65535", tables },
	{ "RIP is above 4 GiB outside 64-bit code, or not canonical", rip },
	{ "RFLAGS has reserved bits", rflags },
	{ "RFLAGS.VM is set in long or real mode", rflags_vm },
	{ "an interrupt is injected though RFLAGS.IF or a shadow forbids it", interrupt_masked },
	{ "an NMI is injected though a shadow or another NMI forbids it", nmi_masked },
	{ "the interruptibility state is contradictory", interruptibility },
	{ "the activity state is not active", activity },
	{ "the pending debug exceptions contradict RFLAGS.TF or have reserved bits", pending_debug },
	{ "the VMCS link pointer is set", link_pointer },
	{ "a PDPTE has reserved bits", pdptes },
};

static const struct {
	const char *what;
	bool (*wrong)(struct vmx_vcpu *s, enum seg seg);
} segment_checks[] = {
	{ "the selector names a local table", seg_selector },
	{ "the base is malformed", seg_base },
	{ "not as virtual-8086 mode wants it", seg_8086 },
	{ "the type does not fit", seg_type },
	{ "a system segment where code or data must be, or the reverse", seg_system },
	{ "not present", seg_present },
	{ "the privilege levels do not fit", seg_dpl },
	{ "the access rights have reserved bits", seg_reserved },
	{ "both L and D are set", seg_long_and_32 },
	{ "the granularity does not fit the limit", seg_granularity },
};

bool vmx_audit(struct vcpu *vcpu, char *why, size_t size)
{
	struct vmx_vcpu *s = vmx_of(vcpu);

	for (unsigned i = 0; i < ARRAY_COUNT(checks); i++) {
		if (checks[i].wrong(s)) {
			format(why, size, "%s", checks[i].what);
			return true;
		}
	}
	for (enum seg seg = SEG_ES; seg <= SEG_TR; seg++) {
		for (unsigned i = 0; i < ARRAY_COUNT(segment_checks); i++) {
			if (segment_checks[i].wrong(s, seg)) {
				format(why, size, "%s: %s", regs_seg_name(seg),
				       segment_checks[i].what);
				return true;
			}
		}
	}
	return false;
}
