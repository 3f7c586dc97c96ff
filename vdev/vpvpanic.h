/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's pvpanic: a guest's kernel tells by one port that it has panicked (the machine ends as one
 * that crashed), or that it has and helps itself with a crash kernel (only logged). It has no state
 * and takes no lock. Source: QEMU, "PVPANIC DEVICE".
 */
#pragma once

#include "vdev/host.h"

#define VPVPANIC_PORT	0x505	/* the DSDT and fw_cfg tell it too */

enum { VPVPANIC_EVENTS };	/* region: 1 port */

int vpvpanic_create(struct vdev **out);
