/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The SATA controller of an ICH9 in its AHCI mode, with up to six drives: medium N of the device is
 * the disk or the disc at port N. "Serial ATA AHCI" 1.3.1.
 */
#pragma once

#include "vdev/vpci_function.h"

#define VAHCI_PORTS	6u

enum vahci_region { VAHCI_REGISTERS, VAHCI_INDEX };	/* BAR 5, and the way to it by BAR 4 */
#define VAHCI_SIZE	0x1000u
#define VAHCI_INDEX_SIZE 0x20u

int vahci_create(struct vdev **out) must_check;
struct vpci_function *vahci_function(struct vdev *d);
