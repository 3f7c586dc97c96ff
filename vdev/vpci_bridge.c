/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vpci_bridge.h. An access to a BAR passes when one window holds the whole BAR: one that lies
 * across a window's edge answers nowhere. ("PCI-to-PCI Bridge Architecture" 1.2.)
 */
#include "vdev/vpci_bridge.h"

#include "vdev/vpci_express.h"
#include "vdev/vpci_regs.h"

#define CLASS_BRIDGE	0x060400u
#define IO_GRAIN	0xfffu		/* of windows: their limits end so */
#define MEMORY_GRAIN	0xfffffu
#define PREFETCH_WIDE	1		/* 64 bits */

void vpci_bridge_init(struct vpci_bridge *b, struct vdev *owner, uint16_t vendor, uint16_t device,
	uint8_t revision)
{
	struct vpci_function *f = &b->function;

	vpci_function_init(f, owner, vendor, device, CLASS_BRIDGE << 8 | revision, 0, 0);
	f->bridge = b;
	b->bus = (struct vpci_bus){
		.bridge = b, .function = b->behind, .count = ARRAY_COUNT(b->behind),
	};
	f->config[PCI_HEADER_TYPE] = HEADER_BRIDGE;
	vpci_regs_set(f->writable + PCI_PRIMARY, 3, 0xffffff);
	vpci_regs_set(f->writable + PCI_IO_BASE, 2, 0xf0f0);
	vpci_regs_set(f->writable + PCI_MEMORY_BASE, 4, 0xfff0fff0);
	vpci_regs_set(f->config + PCI_PREFETCH_BASE, 2, PREFETCH_WIDE);
	vpci_regs_set(f->config + PCI_PREFETCH_LIMIT, 2, PREFETCH_WIDE);
	vpci_regs_set(f->writable + PCI_PREFETCH_BASE, 4, 0xfff0fff0);
	vpci_regs_set(f->writable + PCI_PREFETCH_BASE_HIGH, 8, ~0ul);
	vpci_regs_set(f->writable + PCI_BRIDGE_CONTROL, 2, BRIDGE_WRITABLE);
}

static bool is_resetting(const struct vpci_bridge *b)
{
	return b->function.config[PCI_BRIDGE_CONTROL] & BRIDGE_RESET;
}

bool vpci_bridge_leads_to(const struct vpci_bridge *b, unsigned bus)
{
	const uint8_t *c = b->function.config;

	return !is_resetting(b) && c[PCI_SECONDARY] <= bus && bus <= c[PCI_SUBORDINATE];
}

void vpci_bridge_written(struct vpci_bridge *b)
{
	b->function.reset_below |= is_resetting(b) && !b->held;
	b->held = is_resetting(b);
}

void vpci_bridge_replaced(struct vpci_bridge *b)
{
	b->function.reset_below = false;
	b->held = is_resetting(b);
}

static bool holds(uint64_t first, uint64_t last, uint64_t base, uint64_t size)
{
	return first <= last && range_within(base, size - 1, first, last - first);
}

static bool io_passes(const uint8_t *c, uint64_t base, uint64_t size)
{
	return holds((c[PCI_IO_BASE] & 0xf0u) << 8, (c[PCI_IO_LIMIT] & 0xf0u) << 8 | IO_GRAIN,
		base, size);
}

static uint64_t memory_edge(const uint8_t *c, unsigned at)
{
	return (vpci_regs_get(c + at, 2) & 0xfff0) << 16;
}

static bool memory_passes(const uint8_t *c, uint64_t base, uint64_t size)
{
	uint64_t high = vpci_regs_get(c + PCI_PREFETCH_BASE_HIGH, 4) << 32;
	uint64_t high_limit = vpci_regs_get(c + PCI_PREFETCH_LIMIT_HIGH, 4) << 32;

	return holds(memory_edge(c, PCI_MEMORY_BASE),
		memory_edge(c, PCI_MEMORY_LIMIT) | MEMORY_GRAIN, base, size) ||
		holds(high | memory_edge(c, PCI_PREFETCH_BASE),
		high_limit | memory_edge(c, PCI_PREFETCH_LIMIT) | MEMORY_GRAIN, base, size);
}

bool vpci_bridge_passes(const struct vpci_bridge *b, enum host_space space, uint64_t base,
	uint64_t size)
{
	const uint8_t *c;

	if (!b)
		return true;
	c = b->function.config;
	if (is_resetting(b) || !vpci_express_is_on(&b->function))
		return false;
	if (space == HOST_PORT)
		return c[PCI_COMMAND] & COMMAND_IO && io_passes(c, base, size);
	return c[PCI_COMMAND] & COMMAND_MEMORY && memory_passes(c, base, size);
}
