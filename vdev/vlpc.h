/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The LPC bridge of an ICH9, 00:1f.0: where ACPI's registers lie (PMBASE, ACPI_CNTL), which inputs
 * of the 8259s the wires PIRQA to PIRQH drive, and the root complex's register block
 * (RCBA), of which there is what tells how slots are wired. The devices behind it are the machine's
 * own.
 *
 * Locks: the registers are under the bus's lock; others are told without it, by one vCPU at a time.
 */
#pragma once

#include "vdev/host.h"

enum { VLPC_RCBA };		/* region: 16 KiB */

#define VLPC_SLOT	31	/* on bus 0, function 0 */
#define VLPC_PMBASE	0x40
#define VLPC_ACPI_CNTL	0x44
#define VLPC_RCBA_BASE	0xf0
#define VLPC_PIRQS	8
#define VLPC_NO_IRQ	0xff

struct vlpc_config {
	struct vdev *bus, *acpi;
	/* The wire drives that input of the 8259s from now on, or VLPC_NO_IRQ. No lock is held. */
	void (*route)(void *context, unsigned pirq, uint8_t irq);
	void *context;
};

int vlpc_create(const struct vlpc_config *config, struct vdev **out);
