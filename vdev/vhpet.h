/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The HPET: a counter of 64 bits at 100 MHz and three timers that compare with it, each periodic or
 * not, of 64 or 32 bits, as QEMU has them. The counter is the VM's clock, never stepped. A timer
 * tells by one of four inputs of the I/O APIC, those of an ICH9 (20 to 23, where PCI's wires arrive
 * too), edge or level, or by a message. There is no replacement of the 8254 and the RTC: it is
 * optional, Linux takes the counter without it and Windows the timers by their routes, and firmware
 * uses neither; so those two stay wired as they are.
 */
#pragma once

#include "vdev/host.h"

enum { VHPET_REGISTERS };	/* region: VHPET_SIZE bytes at VHPET_BASE */

#define VHPET_BASE	0xfed00000ul
#define VHPET_SIZE	0x400u
#define VHPET_GSI	20	/* lines 0 to 3 are these and those behind */
#define VHPET_LINES	4
#define VHPET_ID	0x80862201u	/* of the capabilities: what ACPI tells too */
#define VHPET_TICK_NS	10u
#define VHPET_GAP_NS	100000u	/* between two interrupts of a periodic timer, at least */

int vhpet_create(struct vdev **out);
