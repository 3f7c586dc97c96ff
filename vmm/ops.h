/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vendor seam. Each back end (svm/, vmx/) fills one const struct vmm_ops; vmm/ calls nothing
 * else of it. Threads: run, reg_*, segment_*, mode, code64 are called on the vCPU's thread, or by
 * another while that thread is stopped.
 */
#pragma once

#include "mm/paging.h"
#include "vmm/regs.h"

struct vm;
struct vcpu;
struct event;

#define EXIT_ROW_MAX	180	/* rows in a back end's exit table; struct vcpu fits a page */

struct vmm_ops {
	const char *name;			/* "SVM", "VMX" */
	const struct paging_format *second_level;
	bool loads_pdptes;			/* PAE: REG_PDPTE* decide, not what memory holds */
	/*
	 * With that: they become those of the table at `cr3`, on the vCPU's thread. 0, -EINVAL
	 * if they may not, or gmem's error.
	 */
	int (*pdptes_load)(struct vcpu *vcpu, uint64_t cr3);

	/*
	 * --- the machine, once on the boot CPU: is it there, is it usable? On refusal writes one
	 * clear line to `why`; -ENOENT: the CPU has none of it, anything else: it has, but not so
	 * that Keel can use it.
	 */
	int (*probe)(char *why, size_t size);
	/*
	 * Every CPU: switch it on and off. cpu_enable returns -Exxx when firmware has locked this
	 * CPU differently.
	 */
	int (*cpu_enable)(void);
	void (*cpu_disable)(void);
	/* For nodeinfo: "NPT, 16 ASIDs, no next-RIP". */
	void (*describe)(char *buf, size_t size);
	unsigned (*max_leaf_level)(void);		/* of second-level tables */

	/* --- lifetimes */
	int (*vcpu_init)(struct vcpu *vcpu);		/* then vcpu_reset follows */
	void (*vcpu_fini)(struct vcpu *vcpu);
	/* Power-up state behind reg_*, but for vcpu->hw; segments follow from vmm/. */
	void (*vcpu_reset)(struct vcpu *vcpu);

	/*
	 * Enters the guest and handles its exits. Called with interrupts on; switches them off
	 * before each entry, looks at vcpu_must_stop() once more and returns false without
	 * entering when it says so; true when the vCPU is no longer runnable.
	 */
	bool (*run)(struct vcpu *vcpu);
	/*
	 * Puts what lives only in this CPU back to memory; interrupts off (struct
	 * thread_attr.leave_cpu).
	 */
	void (*leave_cpu)(struct vcpu *vcpu);
	/* At the next entry, forget every translation of this vCPU. */
	void (*flush_tlb)(struct vcpu *vcpu);

	/* --- state */
	uint64_t (*reg_get)(struct vcpu *vcpu, enum reg r);
	/* No checks beyond what an entry needs; guests' own writes are checked by vmm/. */
	void (*reg_set)(struct vcpu *vcpu, enum reg r, uint64_t v);
	void (*segment_get)(struct vcpu *vcpu, enum seg s, struct segment *out);
	void (*segment_set)(struct vcpu *vcpu, enum seg s, const struct segment *in);
	void (*mode)(struct vcpu *vcpu, struct vcpu_mode *out);
	/* Of mode: is it 64-bit code? What its walks go by then, else nothing is written. */
	bool (*code64)(struct vcpu *vcpu, uint64_t *cr3, uint64_t *cr4);
	/* base of FS or GS and the like, without the rest */
	uint64_t (*segment_base)(struct vcpu *vcpu, enum seg s);
	/* The TSC the guest reads is the host's plus this. */
	void (*tsc_offset_set)(struct vcpu *vcpu, uint64_t offset);

	/* --- what happened and what is wrong */
	const char *(*exit_name)(unsigned row);		/* NULL behind the last row */
	/*
	 * Walks the entry state and names the first bad field; called after a failed entry, and by
	 * debug builds before.
	 */
	bool (*audit)(struct vcpu *vcpu, char *why, size_t size);
};

extern const struct vmm_ops *vmm_ops;		/* chosen at boot, constant afterwards */
