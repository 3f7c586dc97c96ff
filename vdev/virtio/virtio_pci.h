/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio over PCI: registers in a BAR and in a window of configuration space, interrupts by MSI-X
 * or the pin. "VIRTIO" 1.2, Virtio Over PCI Bus. Locks: the device's own around registers and
 * around the interrupt status with its pin.
 */
#pragma once

#include "vdev/virtio/virtio.h"
#include "vdev/vpci_function.h"

/* Regions: MSI-X; what follows; ports of the older interface. */
enum { VIRTIO_PCI_MESSAGES, VIRTIO_PCI_REGISTERS, VIRTIO_PCI_PORTS };

/* Where the parts of the second lie. */
#define VIRTIO_PCI_COMMON	0x0000u
#define VIRTIO_PCI_ISR		0x1000u
#define VIRTIO_PCI_DEVICE	0x2000u
#define VIRTIO_PCI_NOTIFY	0x3000u
#define VIRTIO_PCI_SIZE		0x4000u
#define VIRTIO_PCI_MULTIPLIER	4u		/* bytes from one queue's doorbell to the next's */

struct vpci_function *virtio_pci_function(struct vdev *d);
/* -ENOMEM, -ENOSPC. */
int virtio_pci_balloon_create(struct vdev **out) must_check;
int virtio_pci_blk_create(unsigned queues, struct vdev **out) must_check;
int virtio_pci_net_create(const uint8_t mac[6], unsigned pairs, struct vdev **out) must_check;
int virtio_pci_console_create(unsigned ports, struct vdev **out) must_check;
int virtio_pci_rng_create(struct vdev **out) must_check;
