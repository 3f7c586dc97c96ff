/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the SVM back end share. The rest of Keel sees svm_ops alone.
 */
#pragma once

#include "kernel/timer.h"
#include "svm/vmcb.h"
#include "vmm/vcpu.h"

/* The IRET that ends an NMI handler, executed with TF: svm_nmi.c. */
struct svm_step {
	bool on, tf;			/* tf: the guest steps itself */
	uint64_t rip, dr6;		/* of before */
};

struct svm_vcpu {
	struct vmcb *vmcb;
	hpa_t vmcb_hpa;
	uint64_t armed;			/* DR7 for svm_enter_armed(); 0: nothing to arm by hand */
	void (*enter)(uint64_t *gpr, hpa_t vmcb, hpa_t host_vmcb);	/* follows `armed` */
	uint64_t asid_generation;	/* of the CPU it ran on last; 0: needs a new ASID */
	hpa_t host_vmcb;		/* that CPU's */
	struct svm_step step;
	struct timer nmi_timer;		/* ends guest mode soon: an NMI waits that nothing else
					 * makes room for */
	int cpu;			/* whose ASID it has; -1: none's */
	bool ready;			/* vcpu->hw is loaded, and the ASID holds: svm_load() has
					 * nothing to do */
	bool flush;			/* forget all translations at the next entry */
	bool nmi_iret;			/* it stands at the IRET that ends an NMI handler */
	bool by_virq;			/* so maskable interrupts are injected here */
	bool virq_in_flight;		/* V_IRQ carries event.injected, it is no window request */
	bool window;			/* V_IRQ asks for the interrupt window */
	uint8_t vtpr;			/* the low byte of V_INTR as it was last seen */
};

/* Per-CPU state of the back end. */
struct svm_cpu {
	hpa_t host_vmcb;		/* VMSAVE area of Keel's own FS, GS, TR, SYSCALL MSRs */
	struct page *host_page, *save_page;
	uint64_t asid_generation;	/* starts at 1 */
	uint32_t asid_next;
};

extern struct svm_cpu svm_cpu;		/* PERCPU */
extern hpa_t svm_iopm, svm_msrpm;	/* permission maps, the same for all guests */

/*
 * Exceptions that exit always. #AC and #DB, because their delivery can loop for ever inside the
 * chip; #MC, because it is the host's.
 */
#define SVM_EXCEPTIONS	(1u << EXC_DB | 1u << EXC_AC | 1u << EXC_MC)

static inline struct svm_vcpu *svm_of(const struct vcpu *vcpu)
{
	return vcpu->arch;
}

static inline void svm_intercept_set(struct vmcb *v, unsigned bit, bool on)
{
	uint32_t mask = 1u << bit % 32;

	if (on)
		v->intercept[bit / 32] |= mask;
	else
		v->intercept[bit / 32] &= ~mask;
}

static inline bool svm_intercepts(const struct vmcb *v, unsigned bit)
{
	return v->intercept[bit / 32] & 1u << bit % 32;
}

/* svm_vcpu.c */
int svm_vcpu_init(struct vcpu *vcpu);
void svm_vcpu_fini(struct vcpu *vcpu);
void svm_vcpu_reset(struct vcpu *vcpu);
void svm_load(struct vcpu *vcpu);		/* GIF clear */
void svm_leave_cpu(struct vcpu *vcpu);		/* interrupts off */
void svm_flush_tlb(struct vcpu *vcpu);
/* The next vCPU that takes an ASID on this CPU flushes them all. */
void svm_flush_asids(void);

/* svm_regs.c */
uint64_t svm_reg_get(struct vcpu *vcpu, enum reg r);
void svm_reg_set(struct vcpu *vcpu, enum reg r, uint64_t value);
void svm_segment_get(struct vcpu *vcpu, enum seg s, struct segment *out);
void svm_segment_set(struct vcpu *vcpu, enum seg s, const struct segment *in);
uint64_t svm_segment_base(struct vcpu *vcpu, enum seg s);
void svm_mode(struct vcpu *vcpu, struct vcpu_mode *out);
bool svm_code64(struct vcpu *vcpu, uint64_t *cr3, uint64_t *cr4);

/* svm_run.c */
bool svm_run(struct vcpu *vcpu);

/* svm_inject.c */
void svm_inject(struct vcpu *vcpu);		/* GIF clear, last thing before entry */
/* After an exit: what became of the injected event. */
void svm_delivered(struct vcpu *vcpu);
void svm_window_opened(struct vcpu *vcpu);

/* svm_nmi.c */
void svm_nmi_init(struct vcpu *vcpu);
void svm_nmi_fini(struct vcpu *vcpu);		/* thread context */
void svm_nmi_reset(struct svm_vcpu *s);
void svm_nmi_iret(struct vcpu *vcpu, struct vmcb *v);	/* exit: an IRET is about to run */
/* #DB was for the step alone: the guest has not met one. */
bool svm_nmi_stepped(struct vcpu *vcpu);
/* An exception has come, which is the guest's: of the IRET if one is stepped over. */
void svm_nmi_faulted(struct vcpu *vcpu);
/* Any other exit may have ended the step: RFLAGS, DR6 and the mask are right behind this. */
void svm_nmi_settle(struct vcpu *vcpu);
/*
 * Last part of svm_inject(): does an event go with this entry, and does an NMI wait?
 */
void svm_nmi_prepare(struct vcpu *vcpu, bool injects, bool waits);

/* svm_exit.c: a row for each exit code up to 0xaf, and three more. */
enum { SVM_ROW_DIRECT_LAST = 0xaf, SVM_ROW_NPF, SVM_ROW_INVALID, SVM_ROW_OTHER, SVM_ROW_COUNT };

struct svm_exit {
	const char *name;
	void (*handler)(struct vcpu *vcpu, struct vmcb *v);
};

extern const struct svm_exit svm_exits[SVM_ROW_COUNT];

static inline unsigned svm_exit_row(uint64_t code)
{
	if (likely(code <= SVM_ROW_DIRECT_LAST))
		return (unsigned)code;
	if (code == SVM_EXIT_NPF)
		return SVM_ROW_NPF;
	return (uint32_t)code == SVM_EXIT_INVALID ? SVM_ROW_INVALID : SVM_ROW_OTHER;
}

void svm_exit_unknown(struct vcpu *vcpu, struct vmcb *v);
const char *svm_exit_name(unsigned row);

/* svm_errata.c: once, on the boot CPU, with SVM switched on. 0, -ENOMEM. */
int svm_errata_find(void) must_check;

/* svm_debug.c */
void svm_debug_update(struct vcpu *vcpu);	/* DR0 to DR3 or DR7 have been written */
void svm_debug_access(struct vcpu *vcpu, struct vmcb *v);	/* exit */

/* svm_cr.c */
void svm_cr4_write(struct vcpu *vcpu, struct vmcb *v);

/* svm_machine_check.c */
void svm_machine_check_cpu_init(void);
void svm_machine_check(struct vcpu *vcpu, struct vmcb *v);
void svm_shutdown(struct vcpu *vcpu, struct vmcb *v);

/* svm_audit.c */
bool svm_audit(struct vcpu *vcpu, char *why, size_t size);

/*
 * svm_enter.asm. Loads the guest's general registers (but RAX and RSP, which are in the VMCB), runs
 * it until the next exit, stores them back, clears them, reloads Keel's own state from host_vmcb.
 * GIF clear before and after.
 */
void svm_enter(uint64_t *gpr, hpa_t vmcb, hpa_t host_vmcb);
/* The same, with `dr7` in force meanwhile. */
void svm_enter_armed(uint64_t *gpr, hpa_t vmcb, hpa_t host_vmcb, uint64_t dr7);
/* Where it is in force in Keel. */
extern const char svm_armed_from[], svm_armed_to[];
