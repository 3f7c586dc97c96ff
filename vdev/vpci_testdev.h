/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's pci-testdev (1b36:0005): a memory BAR and an I/O BAR that say which writes they want to
 * see, and count those that come. As QEMU's documentation has it ("QEMU PCI test device").
 */
#pragma once

#include "vdev/vpci_function.h"

enum { VPCI_TESTDEV_MEMORY, VPCI_TESTDEV_PORTS };	/* regions: BARs 0 and 1 */

#define VPCI_TESTDEV_MEMORY_SIZE	4096
#define VPCI_TESTDEV_PORTS_SIZE		256

int vpci_testdev_create(struct vdev **out);
struct vpci_function *vpci_testdev_function(struct vdev *d);
