/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a thread has in the CPU that Keel's own code neither uses nor keeps: extended state, XCR0,
 * breakpoints, TSC_AUX, and where the chip does not switch them for a guest, CR2, DR6 and the MSRs
 * of SYSCALL. It is in the CPU from hwstate_enter() to hwstate_leave(), in this struct at other
 * times: whoever owns it calls the first before the thread leaves Keel's code, the second when
 * another thread is about to run there (thread_attr.leave_cpu), both with interrupts off. The rest
 * is for the owning thread, or for others while that is stopped; no locks.
 * Source: Intel SDM 3, "Debug Registers", "Processor Extended States"; AMD64 APM 2, "Debug
 * Registers".
 */
#pragma once

#include "cpu/fpu.h"
#include "include/bits.h"

enum hw_reg {
	HW_NONE,
	HW_XCR0, HW_TSC_AUX, HW_DR0, HW_DR1, HW_DR2, HW_DR3,
	/* of a whole one: */
	HW_CR2, HW_DR6, HW_STAR, HW_LSTAR, HW_CSTAR, HW_SFMASK, HW_KERNEL_GS_BASE,
	HW_COUNT
};

struct hwstate {
	void *fpu;		/* extended state while it is not in the CPU: cpu/fpu.h */
	uint64_t reg[HW_COUNT];	/* enum hw_reg; truth while not in the CPU */
	uint64_t xcr0_allowed;	/* constant */
	bool whole;		/* constant: nothing else switches what a whole one has */
	bool loaded;		/* it is in the CPU */
};

/* As after power-up, but for extended state. -ENOMEM. */
int hwstate_init(struct hwstate *h, uint64_t xcr0_allowed) must_check;
void hwstate_fini(struct hwstate *h);
/* The registers as after power-up; not while they are loaded. */
void hwstate_reset(struct hwstate *h);

void hwstate_enter(struct hwstate *h);
void hwstate_leave(struct hwstate *h);

uint64_t hwstate_get(const struct hwstate *h, enum hw_reg r);
/* What the chip refuses it does not get. */
void hwstate_set(struct hwstate *h, enum hw_reg r, uint64_t value);

static inline uint32_t hwstate_pkru(const struct hwstate *h)
{
	return h->loaded ? fpu_pkru_loaded() : fpu_pkru_saved(h->fpu);
}
