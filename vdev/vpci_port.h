/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PCI Express root port with a slot that is full or empty for good: QEMU's pcie-root-port
 * (1b36:000c). It raises no interrupts of its own.
 */
#pragma once

#include "vdev/vpci_bridge.h"

int vpci_port_create(struct vdev **out);
struct vpci_function *vpci_port_function(struct vdev *d);
