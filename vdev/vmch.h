/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host bridge of a q35 (Intel 82Q35, "MCH"), 00:00.0: where configuration space lies in memory
 * (PCIEXBAR), and which of the RAM below 1 MiB is shown (PAM, SMRAM). There is no system-management
 * mode: SMRAM opens and locks, and TSEG cannot be switched on.
 *
 * Locks: the registers are under the bus's lock; the host is told without it, by one vCPU at a
 * time.
 */
#pragma once

#include "vdev/host.h"

enum { VMCH_SHADOW };		/* region: C0000h to FFFFFh, where RAM does not answer */

#define VMCH_SLOT	0	/* on bus 0, function 0 */
#define VMCH_PCIEXBAR	0x60	/* 8 bytes */
#define VMCH_PAM	0x90	/* 7 */
#define VMCH_SMRAM	0x9d

struct vmch_config {
	struct vdev *bus;
	/* False: the RAM is all shown, and the registers for that say so and cannot be changed. */
	bool shadow;
};

int vmch_create(const struct vmch_config *config, struct vdev **out);
/* Where ECAM begins; 0: it is off. Any context. */
uint64_t vmch_ecam(struct vdev *d);
