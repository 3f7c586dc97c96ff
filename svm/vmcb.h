/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual machine control block: layout and bits, nothing else; offsets are
 * asserted at the end.
 * Source: AMD64 Architecture Programmer's Manual 2, "Layout of VMCB", "SVM Intercept Codes",
 * "Event Injection".
 */
#pragma once

#include "include/bits.h"

#define VMCB_INTERCEPT_WORDS	6

/* A bit's number is word * 32 + bit. */
enum vmcb_intercept {
	INTERCEPT_CR_READ = 0 * 32,		/* + CR number */
	INTERCEPT_CR_WRITE = 0 * 32 + 16,
	INTERCEPT_DR_READ = 1 * 32,
	INTERCEPT_DR_WRITE = 1 * 32 + 16,
	INTERCEPT_EXCEPTION = 2 * 32,		/* + vector */
	INTERCEPT_INTR = 3 * 32 + 0,
	INTERCEPT_NMI = 3 * 32 + 1,
	INTERCEPT_SMI = 3 * 32 + 2,
	INTERCEPT_INIT = 3 * 32 + 3,
	INTERCEPT_VINTR = 3 * 32 + 4,
	INTERCEPT_RDTSC = 3 * 32 + 14,
	INTERCEPT_RDPMC = 3 * 32 + 15,
	INTERCEPT_CPUID = 3 * 32 + 18,
	INTERCEPT_RSM = 3 * 32 + 19,
	INTERCEPT_IRET = 3 * 32 + 20,
	INTERCEPT_INVD = 3 * 32 + 22,
	INTERCEPT_PAUSE = 3 * 32 + 23,
	INTERCEPT_HLT = 3 * 32 + 24,
	INTERCEPT_INVLPGA = 3 * 32 + 26,
	INTERCEPT_IOIO = 3 * 32 + 27,
	INTERCEPT_MSR = 3 * 32 + 28,
	INTERCEPT_TASK_SWITCH = 3 * 32 + 29,
	INTERCEPT_SHUTDOWN = 3 * 32 + 31,
	INTERCEPT_VMRUN = 4 * 32 + 0,
	INTERCEPT_VMMCALL = 4 * 32 + 1,
	INTERCEPT_VMLOAD = 4 * 32 + 2,
	INTERCEPT_VMSAVE = 4 * 32 + 3,
	INTERCEPT_STGI = 4 * 32 + 4,
	INTERCEPT_CLGI = 4 * 32 + 5,
	INTERCEPT_SKINIT = 4 * 32 + 6,
	INTERCEPT_RDTSCP = 4 * 32 + 7,
	INTERCEPT_WBINVD = 4 * 32 + 9,
	INTERCEPT_MONITOR = 4 * 32 + 10,
	INTERCEPT_MWAIT = 4 * 32 + 11,
	INTERCEPT_MWAIT_ARMED = 4 * 32 + 12,
	INTERCEPT_XSETBV = 4 * 32 + 13,
	INTERCEPT_RDPRU = 4 * 32 + 14,
	INTERCEPT_INVLPGB = 5 * 32 + 0,
	INTERCEPT_MCOMMIT = 5 * 32 + 3,
	INTERCEPT_TLBSYNC = 5 * 32 + 4,
};

enum svm_exit_code {
	SVM_EXIT_CR_READ = 0x00, SVM_EXIT_CR_WRITE = 0x10, SVM_EXIT_DR_READ = 0x20,
	SVM_EXIT_DR_WRITE = 0x30, SVM_EXIT_EXCEPTION = 0x40,
	SVM_EXIT_INTR = 0x60, SVM_EXIT_NMI = 0x61, SVM_EXIT_SMI = 0x62, SVM_EXIT_INIT = 0x63,
	SVM_EXIT_VINTR = 0x64,
	SVM_EXIT_RDTSC = 0x6e, SVM_EXIT_RDPMC = 0x6f, SVM_EXIT_CPUID = 0x72, SVM_EXIT_RSM = 0x73,
	SVM_EXIT_IRET = 0x74, SVM_EXIT_INVD = 0x76, SVM_EXIT_PAUSE = 0x77, SVM_EXIT_HLT = 0x78,
	SVM_EXIT_INVLPG = 0x79, SVM_EXIT_INVLPGA = 0x7a, SVM_EXIT_IOIO = 0x7b, SVM_EXIT_MSR = 0x7c,
	SVM_EXIT_TASK_SWITCH = 0x7d, SVM_EXIT_FERR_FREEZE = 0x7e, SVM_EXIT_SHUTDOWN = 0x7f,
	SVM_EXIT_VMRUN = 0x80, SVM_EXIT_VMMCALL = 0x81, SVM_EXIT_VMLOAD = 0x82,
	SVM_EXIT_VMSAVE = 0x83, SVM_EXIT_STGI = 0x84, SVM_EXIT_CLGI = 0x85, SVM_EXIT_SKINIT = 0x86,
	SVM_EXIT_RDTSCP = 0x87, SVM_EXIT_ICEBP = 0x88, SVM_EXIT_WBINVD = 0x89,
	SVM_EXIT_MONITOR = 0x8a, SVM_EXIT_MWAIT = 0x8b, SVM_EXIT_MWAIT_ARMED = 0x8c,
	SVM_EXIT_XSETBV = 0x8d, SVM_EXIT_RDPRU = 0x8e, SVM_EXIT_INVLPGB = 0xa0,
	SVM_EXIT_MCOMMIT = 0xa3, SVM_EXIT_TLBSYNC = 0xa4, SVM_EXIT_NPF = 0x400,
};

#define SVM_EXIT_INVALID	0xffffffffu	/* the low half; QEMU leaves the high half 0 */

/* tlb_control */
#define VMCB_TLB_NOTHING	0
#define VMCB_TLB_FLUSH_ALL	1
#define VMCB_TLB_FLUSH_ASID	3

/* vintr */
#define VINTR_TPR		BITS(7, 0)
#define VINTR_IRQ		BIT(8)
#define VINTR_PRIO_MAX		(0xful << 16)
#define VINTR_IGN_TPR		BIT(20)
#define VINTR_MASKING		BIT(24)
#define VINTR_VECTOR_SHIFT	32
#define VINTR_VECTOR		BITS(39, 32)

/* event_inject and exit_int_info */
#define VMCB_EVENT_VECTOR	BITS(7, 0)
#define VMCB_EVENT_TYPE_SHIFT	8
#define VMCB_EVENT_ERROR	BIT(11)
#define VMCB_EVENT_VALID	BIT(31)

/* exit_info_1 of IOIO; the size is one-hot in three bits */
#define IOIO_IN			BIT(0)
#define IOIO_STRING		BIT(2)
#define IOIO_REP		BIT(3)
#define IOIO_SIZE_SHIFT		4
#define IOIO_ADDRESS_SHIFT	7	/* likewise, of an address: 2, 4 or 8 bytes */
#define IOIO_SEGMENT_SHIFT	10	/* with decode assists */
#define IOIO_PORT_SHIFT		16

/* exit_info_1 of NPF: a page-fault error code */
#define NPF_PRESENT		BIT(0)
#define NPF_WRITE		BIT(1)
#define NPF_FETCH		BIT(4)
#define NPF_TABLES		BIT(33)	/* in the walk of the guest's tables */

#define VMCB_SHADOW		BIT(0)
#define VMCB_NP_ENABLE		BIT(0)
#define VMCB_LBR_ENABLE		BIT(0)

struct vmcb_segment {
	uint16_t selector;
	uint16_t attr;		/* SEG_* with AVL, L, D/B, G moved down four bits */
	uint32_t limit;
	uint64_t base;
} packed;

struct vmcb {
	/* control area */
	uint32_t intercept[VMCB_INTERCEPT_WORDS];
	uint8_t reserved_18[0x3c - 0x18];
	uint16_t pause_threshold, pause_count;
	uint64_t iopm_base, msrpm_base;
	uint64_t tsc_offset;
	uint32_t asid;
	uint32_t tlb_control;
	uint64_t vintr;
	uint64_t interrupt_shadow;
	uint64_t exit_code, exit_info_1, exit_info_2, exit_int_info;
	uint64_t np_enable;
	uint64_t avic_bar, ghcb;
	uint64_t event_inject;
	uint64_t n_cr3;
	uint64_t lbr_control;
	uint32_t clean, reserved_c4;
	uint64_t next_rip;
	uint8_t fetched_count, fetched[15];
	uint8_t reserved_e0[0x400 - 0xe0];
	/* state save area */
	struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	uint8_t reserved_4a0[0x4cb - 0x4a0];
	uint8_t cpl;
	uint32_t reserved_4cc;
	uint64_t efer;
	uint8_t reserved_4d8[0x548 - 0x4d8];
	uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
	uint8_t reserved_580[0x5d8 - 0x580];
	uint64_t rsp, s_cet, ssp, isst_addr, rax;
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t cr2;
	uint8_t reserved_648[0x668 - 0x648];
	uint64_t g_pat, debugctl, br_from, br_to, last_excp_from, last_excp_to;
	uint8_t reserved_698[0x6e0 - 0x698];
	uint64_t spec_ctrl;
	uint8_t reserved_6e8[0x1000 - 0x6e8];
} packed aligned(4096);

#define VMCB_AT(field, offset) _Static_assert(offsetof(struct vmcb, field) == (offset), #field)
VMCB_AT(pause_threshold, 0x3c);
VMCB_AT(iopm_base, 0x40);
VMCB_AT(tsc_offset, 0x50);
VMCB_AT(asid, 0x58);
VMCB_AT(vintr, 0x60);
VMCB_AT(exit_code, 0x70);
VMCB_AT(np_enable, 0x90);
VMCB_AT(event_inject, 0xa8);
VMCB_AT(n_cr3, 0xb0);
VMCB_AT(lbr_control, 0xb8);
VMCB_AT(clean, 0xc0);
VMCB_AT(next_rip, 0xc8);
VMCB_AT(es, 0x400);
VMCB_AT(tr, 0x490);
VMCB_AT(cpl, 0x4cb);
VMCB_AT(efer, 0x4d0);
VMCB_AT(cr4, 0x548);
VMCB_AT(rip, 0x578);
VMCB_AT(rsp, 0x5d8);
VMCB_AT(rax, 0x5f8);
VMCB_AT(sysenter_eip, 0x638);
VMCB_AT(cr2, 0x640);
VMCB_AT(g_pat, 0x668);
VMCB_AT(debugctl, 0x670);
VMCB_AT(spec_ctrl, 0x6e0);
_Static_assert(sizeof(struct vmcb) == 4096, "vmcb");
