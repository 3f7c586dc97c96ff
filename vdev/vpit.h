/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 8254 timer and the PC's port 0x61 that belongs to its channel 2. Counters are never stepped:
 * each is computed from the VM's clock when someone looks, at 1193182 Hz. Only channel 0's output
 * is a wire (line 0); its rising edges come from a host timer, not oftener than one in 100 us (a
 * guest may ask for more; edges then merge), or in 1 ms while nobody takes them.
 */
#pragma once

#include "vdev/host.h"

enum { VPIT_PORTS, VPIT_PORT61 };	/* regions: 4 ports at 0x40; 1 at 0x61 */
enum { VPIT_OUT0 };			/* lines: IRQ 0, edge */

int vpit_create(struct vdev **out);
