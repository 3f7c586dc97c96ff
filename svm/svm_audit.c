/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names the bad field of a VMCB: the checks that VMRUN makes, as rows {text, is it wrong?}. After a
 * refused entry, and before any entry by debug builds. Pure: reads the VMCB alone.
 * Source: AMD64 APM 2, "Canonicalization and Consistency Checks".
 */
#include "svm/svm.h"

#include "cpu/registers.h"
#include "lib/format.h"

static bool efer_svme(const struct vmcb *v)
{
	return !(v->efer & EFER_SVME);
}

static bool cr0_nw_without_cd(const struct vmcb *v)
{
	return !(v->cr0 & CR0_CD) && v->cr0 & CR0_NW;
}

static bool cr0_high(const struct vmcb *v)
{
	return v->cr0 >> 32;
}

static bool cr3_high(const struct vmcb *v)
{
	return v->efer & EFER_LMA && v->cr3 & BITS(62, 52);
}

static bool cr4_high(const struct vmcb *v)
{
	return v->cr4 >> 32 || v->cr4 & (CR4_VMXE | CR4_SMXE);
}

static bool dr_high(const struct vmcb *v)
{
	return v->dr6 >> 32 || v->dr7 >> 32;
}

static bool long_paging_without_pae(const struct vmcb *v)
{
	return v->efer & EFER_LME && v->cr0 & CR0_PG && !(v->cr4 & CR4_PAE);
}

static bool long_paging_without_pe(const struct vmcb *v)
{
	return v->efer & EFER_LME && v->cr0 & CR0_PG && !(v->cr0 & CR0_PE);
}

static bool cs_long_and_32(const struct vmcb *v)
{
	uint16_t both = (SEG_L | SEG_DB) >> 4;

	return v->efer & EFER_LME && v->cr0 & CR0_PG && v->cr4 & CR4_PAE &&
	       (v->cs.attr & both) == both;
}

static bool no_vmrun_intercept(const struct vmcb *v)
{
	return !svm_intercepts(v, INTERCEPT_VMRUN);
}

static bool asid_zero(const struct vmcb *v)
{
	return v->asid == 0;
}

static bool bad_event(const struct vmcb *v)
{
	unsigned type = FIELD(v->event_inject, 10, 8), vector = v->event_inject & VMCB_EVENT_VECTOR;

	if (!(v->event_inject & VMCB_EVENT_VALID))
		return false;
	return type == 1 || type > 4 || (type == 3 && (vector == EXC_NMI || vector > 31));
}

static bool ncr3_unaligned(const struct vmcb *v)
{
	return v->n_cr3 & 0xfff || v->n_cr3 >> 52;
}

static const struct {
	const char *what;
	bool (*wrong)(const struct vmcb *v);
} checks[] = {
	{ "EFER.SVME is clear", efer_svme },
	{ "CR0.NW is set without CR0.CD", cr0_nw_without_cd },
	{ "CR0 has bits above 31", cr0_high },
	{ "CR3 has reserved bits", cr3_high },
	{ "CR4 has reserved bits", cr4_high },
	{ "DR6 or DR7 has bits above 31", dr_high },
	{ "EFER.LME and CR0.PG are set without CR4.PAE", long_paging_without_pae },
	{ "EFER.LME and CR0.PG are set without CR0.PE", long_paging_without_pe },
	{ "CS has both L and D set", cs_long_and_32 },
	{ "VMRUN is not intercepted", no_vmrun_intercept },
	{ "the ASID is 0", asid_zero },
	{ "EVENTINJ has a type or vector that does not exist", bad_event },
	{ "nCR3 is malformed", ncr3_unaligned },
};

bool svm_audit(struct vcpu *vcpu, char *why, size_t size)
{
	const struct vmcb *v = svm_of(vcpu)->vmcb;

	for (unsigned i = 0; i < ARRAY_COUNT(checks); i++) {
		if (checks[i].wrong(v)) {
			format(why, size, "%s", checks[i].what);
			return true;
		}
	}
	return false;
}
