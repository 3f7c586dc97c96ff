/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The I/O APIC: 24 pins whose redirection entries become interrupt messages (host_msi). Version
 * 0x20, so it has the EOI register. A level entry sends one message and then waits for vioapic_eoi
 * (or a write to that register); if the line is still high after its sources were told, it sends
 * again. Edges on a masked pin are lost, as on the chip. vioapic_line may be called under another
 * device's lock: this lock is an inner one, host_msi is called under it.
 */
#pragma once

#include "vdev/host.h"

#define VIOAPIC_PINS	24
#define VIOAPIC_SIZE	0x1000	/* region 0, usually at 0xfec00000 */

struct vioapic_config {
	uint8_t id;
	uint32_t told;		/* pins whose edges, too, are acknowledged at their EOI */
	/*
	 * Or NULL: a level or told pin's interrupt was ended; sources that are still due raise
	 * their lines. No lock is held.
	 */
	void (*acknowledged)(void *context, unsigned pin);
	void *context;
};

int vioapic_create(const struct vioapic_config *config, struct vdev **out);

void vioapic_line(struct vdev *d, unsigned pin, bool level);
/* Is the pin not masked? Takes no lock. */
bool vioapic_open(struct vdev *d, unsigned pin);
/* Does an interrupt of this told pin wait for its end at a local APIC? */
bool vioapic_busy(struct vdev *d, unsigned pin);
/* A local APIC may take what none took before: level interrupts that still wait are sent again. */
void vioapic_retry(struct vdev *d);
/*
 * The end of an interrupt with this vector, level-triggered or told of, broadcast by a local APIC.
 * No lock may be held.
 */
void vioapic_eoi(struct vdev *d, uint8_t vector);
