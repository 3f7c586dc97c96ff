/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The IDE controller of a PIIX3, with two channels of two drives at the ports that PCs have had
 * from the start, and a bus master: medium 2 * C + U of the device is unit U of channel C.
 * "82371FB and 82371SB PCI ISA IDE Xcelerator", "Programming Interface for Bus Master IDE
 * Controller" 1.0, "ATA/ATAPI-6".
 */
#pragma once

#include "vdev/vpci_function.h"

#define VIDE_CHANNELS	2u
#define VIDE_UNITS	2u

/* A channel's ports, then the other's; BAR 4. */
enum vide_region { VIDE_COMMAND, VIDE_CONTROL, VIDE_COMMAND1, VIDE_CONTROL1, VIDE_MASTER };
#define VIDE_COMMAND_SIZE 8u
#define VIDE_MASTER_SIZE 16u

enum vide_line { VIDE_IRQ, VIDE_IRQ1 };		/* 14 and 15 of a PC */

int vide_create(struct vdev **out) must_check;
struct vpci_function *vide_function(struct vdev *d);
