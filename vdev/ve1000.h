/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intel's network cards that nearly every system has a driver for: 82540EM, on PCI with a pin
 * alone ("e1000"), and 82574L, on PCI Express with MSI and MSI-X ("e1000e"), on the cable that is
 * medium 0. One core with the second one's additions. "PCI/PCI-X Family of Gigabit Ethernet
 * Controllers Software Developer's Manual" (8254x); "Intel 82574 GbE Controller Family" datasheet.
 */
#pragma once

#include "vdev/vpci_function.h"

enum ve1000_model { VE1000_82540, VE1000_82574 };

enum { VE1000_REGISTERS, VE1000_PORTS, VE1000_MESSAGES };	/* regions */
#define VE1000_SIZE		(128u * 1024)
#define VE1000_PORTS_SIZE	64u		/* of the 82574: 32 */
#define VE1000_MESSAGES_SIZE	(16u * 1024)
#define VE1000_VECTORS		5u		/* of MSI-X */

int ve1000_create(enum ve1000_model model, const uint8_t mac[6], struct vdev **out) must_check;
struct vpci_function *ve1000_function(struct vdev *d);
