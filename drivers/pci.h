/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's PCI functions: configuration access by ECAM where the MCFG has the bus and by ports
 * 0xcf8/0xcfc otherwise, and a list of what is there. Numbering and resources are the firmware's;
 * nothing is moved. Accesses from any context.
 * Sources: PCI Local Bus Specification 3.0, "Configuration Space"; PCI Express Base 4.0, "ECAM".
 */
#pragma once

#include "include/compiler.h"

struct pci_device {
	uint16_t segment;
	uint8_t bus, device, function;
	uint8_t header_type;		/* bit 7: several functions */
	uint16_t vendor_id, device_id;
	uint32_t class;			/* class, subclass, programming interface */
	uint8_t revision;
	uint8_t irq_pin;		/* 0: none, 1 to 4: INTA to INTD */
};

/* After acpi_init_late and heap_init: finds the functions on all buses of all segments. */
void pci_init(void);
unsigned pci_count(void);
const struct pci_device *pci_get(unsigned index);	/* NULL beyond the last */

/*
 * `size` is 1, 2 or 4, `reg` aligned to it; all ones where nothing is (extended registers
 * without ECAM too).
 */
uint32_t pci_read(const struct pci_device *d, unsigned reg, unsigned size);
void pci_write(const struct pci_device *d, unsigned reg, unsigned size, uint32_t v);

/* "Ethernet controller"; "device" for classes without a name here. */
const char *pci_class_name(uint32_t class);
