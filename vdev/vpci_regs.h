/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers of PCI configuration space that vdev/vpci*.c know, by their names in the manuals:
 * "PCI Local Bus" 3.0, "PCI-to-PCI Bridge Architecture" 1.2, "PCI Bus Power Management Interface"
 * 1.2, "PCI Express Base" 3.0.
 */
#pragma once

#include "include/bits.h"

enum {
	PCI_VENDOR = 0x00, PCI_DEVICE = 0x02, PCI_COMMAND = 0x04, PCI_STATUS = 0x06,
	PCI_REVISION = 0x08, PCI_CACHE_LINE = 0x0c, PCI_HEADER_TYPE = 0x0e, PCI_BAR0 = 0x10,
	PCI_SUBVENDOR = 0x2c, PCI_SUBDEVICE = 0x2e, PCI_CAPABILITIES = 0x34,
	PCI_INTERRUPT_LINE = 0x3c, PCI_INTERRUPT_PIN = 0x3d, PCI_HEADER_END = 0x40,
	/* of a bridge */
	PCI_PRIMARY = 0x18, PCI_SECONDARY = 0x19, PCI_SUBORDINATE = 0x1a, PCI_IO_BASE = 0x1c,
	PCI_IO_LIMIT = 0x1d, PCI_MEMORY_BASE = 0x20, PCI_MEMORY_LIMIT = 0x22,
	PCI_PREFETCH_BASE = 0x24, PCI_PREFETCH_LIMIT = 0x26, PCI_PREFETCH_BASE_HIGH = 0x28,
	PCI_PREFETCH_LIMIT_HIGH = 0x2c, PCI_BRIDGE_CONTROL = 0x3e,
	PCI_EXTENDED = 0x100,
};

#define COMMAND_IO		0x0001
#define COMMAND_MEMORY		0x0002
#define COMMAND_MASTER		0x0004
#define COMMAND_INTX_OFF	0x0400
#define COMMAND_WRITABLE	0x0507	/* and parity errors, SERR */
#define STATUS_INTX		0x08	/* in the first byte */
#define STATUS_CAPABLE		0x10
#define HEADER_BRIDGE		0x01
#define HEADER_MULTIFUNCTION	0x80
#define BAR_IO			0x01
#define BAR_WIDE		0x04
#define BAR_PREFETCH		0x08
#define BRIDGE_WRITABLE		0x0043	/* parity errors, SERR, reset; no VGA, no ISA ranges */
#define BRIDGE_RESET		0x40	/* in the first byte */

/* Capabilities: their ids, and registers from their starts on. */
#define CAP_POWER		0x01
#define POWER_STATE		4
#define POWER_SIZE		8u
#define POWER_STATE_BITS	3	/* D0 to D3 */

#define CAP_MSI			0x05
enum { MSI_CONTROL = 2, MSI_ADDRESS = 4, MSI_DATA = 12, MSI_MASK = 16, MSI_PENDING = 20,
	MSI_SIZE = 24 };
#define MSI_ENABLE		0x0001
#define MSI_CAPABLE_SHIFT	1
#define MSI_COUNT_SHIFT		4
#define MSI_COUNT_BITS		0x0070
#define MSI_WIDE		0x0080
#define MSI_MASKS		0x0100

#define CAP_MSIX		0x11
enum { MSIX_CONTROL = 2, MSIX_TABLE = 4, MSIX_PENDING = 8, MSIX_SIZE = 12 };
#define MSIX_FUNCTION_MASK	0x4000
#define MSIX_ENABLE		0x8000

#define CAP_EXPRESS		0x10
enum { EXPRESS_TYPE = 2, EXPRESS_DEVICE = 4, EXPRESS_CONTROL = 8, EXPRESS_STATUS = 10,
	EXPRESS_LINK = 12, EXPRESS_LINK_CONTROL = 16, EXPRESS_LINK_STATUS = 18, EXPRESS_SLOT = 20,
	EXPRESS_SLOT_STATUS = 26, EXPRESS_ROOT_CONTROL = 28, EXPRESS_LINK2 = 44,
	EXPRESS_LINK_CONTROL2 = 48, EXPRESS_SIZE = 60 };
#define EXPRESS_VERSION		2
#define EXPRESS_TYPE_SHIFT	4
#define EXPRESS_SLOT_PRESENT	0x0100	/* there is a slot */
#define EXPRESS_RESET		0x8000	/* of the control register: a function-level reset */

/* Registers are little-endian. */
static inline uint64_t vpci_regs_get(const uint8_t *p, unsigned size)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < size; i++)
		v |= (uint64_t)p[i] << 8 * i;
	return v;
}

static inline void vpci_regs_set(uint8_t *p, unsigned size, uint64_t v)
{
	for (unsigned i = 0; i < size; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}
