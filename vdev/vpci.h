/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI's root: configuration accesses by 0xcf8/0xcfc to 256 bytes of each function and by ECAM to
 * 4 KiB, on all buses that the guest has numbered; the host bridge at 00:00.0. Port 0xcf9 (reset)
 * lies inside. What a device is made of: vpci_function.h.
 *
 * Locks: all configuration space is under this device's lock, which is taken inside those of the
 * devices that own functions. A function's owner saves and loads it inside its own record.
 */
#pragma once

#include "vdev/vpci_function.h"

enum { VPCI_PORTS, VPCI_ECAM };	/* regions: 8 ports at 0xcf8; 1 MiB of memory for each bus */

#define VPCI_BUS_SIZE		(1ul << 20)
#define VPCI_ECAM_MAX		(256 * VPCI_BUS_SIZE)
#define VPCI_FUNCTIONS		256	/* of bus 0 */

/*
 * The I/O APIC pin of INTA to INTD (`pin` 0 to 3) of bus 0, as dsdt.asl tells the guest. Those of
 * the chipset's own slots are not turned: PIRQA to PIRQD. A BIOS, which gives inputs of the 8259s
 * to PIRQA to D and the same to PIRQE to H, finds so what it knows of a q35.
 */
#define VPCI_CHIPSET_SLOT	25	/* and those behind */
#define VPCI_GSI(slot, pin)	(16 + ((slot) < VPCI_CHIPSET_SLOT ? ((slot) + (pin)) % 8 : (pin)))

struct vpci_config {
	bool bare;			/* another device is the host bridge */
	uint16_t vendor, device;	/* of the host bridge, else; 0: 1b36:0008 */
};

int vpci_create(const struct vpci_config *config, struct vdev **out);

/*
 * Before the VM runs. `bus` 0, or N: behind the Nth bridge that was attached. 0, -EBUSY (the place
 * is taken), -ENODEV (no such bus), -EINVAL (no such place there; a bridge behind a bridge).
 */
int vpci_attach(struct vdev *root, unsigned bus, unsigned slot, unsigned function,
	struct vpci_function *f) must_check;
/* Where the pin of an attached function arrives, through the bridge before it; -1: it has none. */
int vpci_gsi(const struct vpci_function *f);
