/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's DR0 to DR3, which both back ends leave in the CPU from one exit to the next: neither
 * VMCB nor VMCS has them. They are in the CPU while the guest's state is loaded there, and in this
 * struct at other times; whether they are loaded is the caller's to know. Keel sets no breakpoints
 * of its own. Called on the vCPU's thread or while that is parked; save and restore with interrupts
 * off; no locks. DR6 and DR7 are the back ends' own.
 * Source: Intel SDM 3, "Debug Registers"; AMD64 APM 2, "Debug Registers".
 */
#pragma once

#include "cpu/cpu.h"

struct debugregs {
	uint64_t dr[4];			/* truth while not loaded */
};

static inline void debugregs_save(struct debugregs *d)
{
	d->dr[0] = cpu_read_dr0();
	d->dr[1] = cpu_read_dr1();
	d->dr[2] = cpu_read_dr2();
	d->dr[3] = cpu_read_dr3();
}

static inline void debugregs_restore(const struct debugregs *d)
{
	cpu_write_dr0(d->dr[0]);
	cpu_write_dr1(d->dr[1]);
	cpu_write_dr2(d->dr[2]);
	cpu_write_dr3(d->dr[3]);
}

/* DRn, n of 0 to 3. */
static inline uint64_t debugregs_get(const struct debugregs *d, bool loaded, unsigned n)
{
	if (!loaded)
		return d->dr[n];
	switch (n) {
	case 0: return cpu_read_dr0();
	case 1: return cpu_read_dr1();
	case 2: return cpu_read_dr2();
	default: return cpu_read_dr3();
	}
}

static inline void debugregs_set(struct debugregs *d, bool loaded, unsigned n, uint64_t value)
{
	d->dr[n] = value;
	if (!loaded)
		return;
	switch (n) {
	case 0: cpu_write_dr0(value); break;
	case 1: cpu_write_dr1(value); break;
	case 2: cpu_write_dr2(value); break;
	default: cpu_write_dr3(value); break;
	}
}
