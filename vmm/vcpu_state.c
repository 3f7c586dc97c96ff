/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU's state for who is outside: in the log when it has crashed, and its saved form. On its
 * thread, or while that is parked.
 */
#include "vmm/vcpu.h"

#include "cpu/fpu.h"
#include "include/errno.h"
#include "kernel/log.h"
#include "lib/format.h"
#include "lib/record.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "vmm/insn/emulate.h"
#include "vmm/vm.h"

/*
 * A neighbour may have sent these after this vCPU parked; the others follow from other state, or
 * are of this host.
 */
#define REQ_SAVED ((uint32_t)(VCPU_REQ_INIT | VCPU_REQ_SIPI))

/* ---- reports ---- */

bool vcpu_report(struct vcpu *vcpu)
{
	const char *name = vcpu->vm->config.name;
	uint8_t code[15];
	unsigned n = vcpu->event.pending.valid ? 0 : emulate_fetch_bytes(vcpu, code);
	char hex[3 * sizeof(code) + 1] = "";
	struct segment cs;

	/*
	 * One vCPU's report is enough: 64 that die at once would push everything else
	 * out of the log.
	 */
	if (__atomic_exchange_n(&vcpu->vm->reported, true, __ATOMIC_RELAXED))
		return false;
	for (unsigned i = 0; i < n; i++)
		format(hex + 3 * i, 4, "%02x ", code[i]);
	for (unsigned i = 0; i < GPR_COUNT; i += 4)
		log_info("%s: vcpu %u: %3s %016lx %3s %016lx %3s %016lx %3s %016lx", name, vcpu->id,
			 regs_gpr_name(i), vcpu->gpr[i], regs_gpr_name(i + 1), vcpu->gpr[i + 1],
			 regs_gpr_name(i + 2), vcpu->gpr[i + 2], regs_gpr_name(i + 3),
			 vcpu->gpr[i + 3]);
	vmm_ops->segment_get(vcpu, SEG_CS, &cs);
	log_info("%s: vcpu %u: rip %016lx rflags %08lx cs %04x base %lx attr %05x", name, vcpu->id,
		 vcpu->rip, vcpu->rflags, cs.selector, cs.base, cs.attr);
	log_info("%s: vcpu %u: cr0 %08lx cr2 %016lx cr3 %016lx cr4 %08lx efer %04lx", name,
		 vcpu->id, vmm_ops->reg_get(vcpu, REG_CR0), vmm_ops->reg_get(vcpu, REG_CR2),
		 vmm_ops->reg_get(vcpu, REG_CR3), vmm_ops->reg_get(vcpu, REG_CR4),
		 vmm_ops->reg_get(vcpu, REG_EFER));
	if (n)
		log_info("%s: vcpu %u: code %s", name, vcpu->id, hex);
	return true;
}

/* ---- saved form ---- */

static void put_segment(struct vcpu *vcpu, enum seg s, struct record_writer *w)
{
	struct segment seg;

	vmm_ops->segment_get(vcpu, s, &seg);
	record_put_u64(w, seg.base);
	record_put_u32(w, seg.limit);
	record_put_u32(w, seg.attr);
	record_put_u16(w, seg.selector);
}

static void get_segment(struct record_reader *r, struct segment *seg)
{
	seg->base = record_get_u64(r);
	seg->limit = record_get_u32(r);
	seg->attr = (uint32_t)record_get_below(r, 4, 0x1f0ff);
	seg->selector = record_get_u16(r);
}

void vcpu_save(struct vcpu *vcpu, struct record_writer *w)
{
	record_begin(w, "vcpu", vcpu->id, 2);
	for (unsigned i = 0; i < GPR_COUNT; i++)
		record_put_u64(w, vcpu->gpr[i]);
	record_put_u64(w, vcpu->rip);
	record_put_u64(w, vcpu->rflags);
	for (enum reg i = 0; i < REG_COUNT; i++)
		record_put_u64(w, vmm_ops->reg_get(vcpu, i));
	for (enum seg i = 0; i < SEG_COUNT; i++)
		put_segment(vcpu, i, w);
	record_put_u8(w, vcpu->activity);
	record_put_u32(w, READ_ONCE(vcpu->requests) & REQ_SAVED);
	record_put_u8(w, (uint8_t)(READ_ONCE(vcpu->requests) >> VCPU_REQ_VECTOR_SHIFT));
	event_save(&vcpu->event, w);
	record_put_u64(w, vcpu->tsc_adjust);
	record_put_u64(w, vcpu->apic_base);
	record_put_u64(w, vcpu->pvclock.system_time_msr);
	record_put_u64(w, vcpu->pvclock.wall_clock_msr);
	msr_save(vcpu, w);
	record_put_u32(w, (uint32_t)fpu_area_size());
	record_put(w, vcpu->hw.fpu, fpu_area_size());
	record_end(w);
	vlapic_save(vcpu, w);
}

struct vcpu_loaded {
	uint64_t reg[REG_COUNT];
	struct segment seg[SEG_COUNT];
};

/* What the entry checks of both vendors, and Keel's own policy, demand of hostile input. */
static bool regs_valid(const struct vcpu *vcpu, const struct vcpu_loaded *n)
{
	const struct cpuid_policy *p = vcpu->vm->cpuid;
	uint64_t cr0 = n->reg[REG_CR0], cr4 = n->reg[REG_CR4], efer = n->reg[REG_EFER];
	bool paging = cr0 & CR0_PG;

	if (cr0 >> 32 || (paging && !(cr0 & CR0_PE)) || (cr0 & CR0_NW && !(cr0 & CR0_CD)))
		return false;
	if (cr4 >> 32 || cr4 & (CR4_VMXE | CR4_SMXE | p->cr4_withheld) || efer & ~p->efer_allowed)
		return false;
	if (!(efer & EFER_LMA) != !(paging && efer & EFER_LME) ||
	    (efer & EFER_LMA && !(cr4 & CR4_PAE)))
		return false;
	if (n->reg[REG_CR3] & ~(BIT(p->phys_bits) - 1) || n->reg[REG_CR8] > 15)
		return false;
	if (n->reg[REG_DR6] >> 32 || n->reg[REG_DR7] >> 32 ||
	    n->reg[REG_DEBUGCTL] & ~DEBUGCTL_BTF || n->reg[REG_SPEC_CTRL])
		return false;
	/* Goes into the host's MSR as it is, which knows 32 bits. */
	if (n->reg[REG_TSC_AUX] >> 32)
		return false;
	return n->reg[REG_XCR0] == XCR0_X87 ||
	       (fpu_xcr0_valid(n->reg[REG_XCR0]) && !(n->reg[REG_XCR0] & ~p->xcr0_allowed));
}

int vcpu_load(struct vcpu *vcpu, struct record_reader *r, uint32_t version)
{
	struct vcpu *n = heap_alloc(sizeof(*n));
	struct vcpu_loaded regs;
	void *fpu = heap_alloc(MAX(fpu_area_size(), PAGE_SIZE));
	int err = -ENOMEM;
	uint8_t vector;

	if (!n || !fpu)
		goto out;
	n->vm = vcpu->vm;
	for (unsigned i = 0; i < GPR_COUNT; i++)
		n->gpr[i] = record_get_u64(r);
	n->rip = record_get_u64(r);
	n->rflags = record_get_u64(r);
	for (enum reg i = 0; i < REG_COUNT; i++)
		regs.reg[i] = record_get_u64(r);
	for (enum seg i = 0; i < SEG_COUNT; i++)
		get_segment(r, &regs.seg[i]);
	n->activity = (uint8_t)record_get_below(r, 1, VCPU_SHUTDOWN);
	n->requests = (uint32_t)record_get_below(r, 4, REQ_SAVED);
	vector = record_get_u8(r);
	event_load(&n->event, r);
	n->tsc_adjust = record_get_u64(r);
	n->apic_base = record_get_u64(r);
	n->pvclock.system_time_msr = record_get_u64(r);
	n->pvclock.wall_clock_msr = record_get_u64(r);
	msr_load(n, r);
	if (record_get_u32(r) != fpu_area_size())
		r->error = -EINVAL;
	record_get(r, fpu, r->error ? 0 : fpu_area_size());
	err = version == 2 && !(n->requests & ~REQ_SAVED) &&
	      vlapic_base_valid(vcpu, n->apic_base) && regs_valid(vcpu, &regs) &&
	      (n->rflags & ~BITS(21, 0)) == 0 ? record_finish(r) : -EINVAL;
	if (err)
		goto out;
	memcpy(vcpu->gpr, n->gpr, sizeof(n->gpr));
	vcpu->rip = n->rip;
	vcpu->rflags = n->rflags | RFLAGS_ONE;
	for (enum reg i = 0; i < REG_COUNT; i++)
		vmm_ops->reg_set(vcpu, i, regs.reg[i]);
	for (enum seg i = 0; i < SEG_COUNT; i++)
		vmm_ops->segment_set(vcpu, i, &regs.seg[i]);
	vcpu->activity = n->activity;
	__atomic_and_fetch(&vcpu->requests, ~(REQ_SAVED | VCPU_REQ_STARTUP), __ATOMIC_SEQ_CST);
	__atomic_or_fetch(&vcpu->requests, n->requests & VCPU_REQ_INIT, __ATOMIC_SEQ_CST);
	if (n->requests & VCPU_REQ_SIPI)
		vcpu_request_startup(vcpu, vector);
	vcpu->event = n->event;
	vlapic_base_set(vcpu, n->apic_base);
	vcpu->pvclock = n->pvclock;
	memcpy(vcpu->mtrr, n->mtrr, sizeof(n->mtrr));
	memcpy(vcpu->msr_kept, n->msr_kept, sizeof(n->msr_kept));
	memcpy(vcpu->hw.fpu, fpu, fpu_area_size());
	vcpu_tsc_adjust(vcpu, n->tsc_adjust);
out:
	heap_free(fpu);
	heap_free(n);
	return err;
}
