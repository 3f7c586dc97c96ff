/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Buses and the bridges between them. A bridge is a vpci_function with a header of type 1: by its
 * bus numbers it lets configuration accesses through, by its windows those to BARs; its reset bit
 * holds what is behind it in reset. DMA and messages pass while it has power: its bus master bit
 * holds none back, as in QEMU's, for SeaBIOS sets none. Bridges are root ports: they sit on bus 0,
 * and behind each is one slot.
 */
#pragma once

#include "vdev/vpci_express.h"
#include "vdev/vpci_function.h"

struct vpci_bus {
	struct vpci_bridge *bridge;	/* that leads here; NULL: bus 0 */
	struct vpci_function **function;	/* by slot * 8 + function */
	unsigned count;
};

struct vpci_bridge {
	struct vpci_function function;
	struct vpci_bus bus;			/* behind it */
	struct vpci_function *behind[8];
	struct vpci_bridge *next;	/* of bus 0, in the order in which they came there */
	bool held;				/* what is behind it, in reset */
};

void vpci_bridge_init(struct vpci_bridge *b, struct vdev *owner, uint16_t vendor, uint16_t device,
	uint8_t revision);
/* Does a configuration access to that bus go this way? */
bool vpci_bridge_leads_to(const struct vpci_bridge *b, unsigned bus);
/* Does it let such accesses through to a BAR there? NULL, as before bus 0: yes. */
bool vpci_bridge_passes(const struct vpci_bridge *b, enum host_space space, uint64_t base,
	uint64_t size);
/* After a guest's write: is what is behind it to be reset? Under the root's lock. */
void vpci_bridge_written(struct vpci_bridge *b);
/* Its registers have become others: nothing of that is a reset. */
void vpci_bridge_replaced(struct vpci_bridge *b);
/* May what is behind it do DMA? */
static inline bool vpci_bridge_is_master(const struct vpci_bridge *b)
{
	return !b || vpci_express_is_on(&b->function);
}
