/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's isa-debug-exit: a write of v ends the VM with the code v<<1|1. For test kernels
 * only, by keel.conf.
 */
#pragma once

#include "vdev/host.h"

enum { VDEBUG_EXIT_PORTS };	/* region: 4 ports at 0xf4 */

int vdebug_exit_create(struct vdev **out);
