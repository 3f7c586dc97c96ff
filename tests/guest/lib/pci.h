/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI for test kernels, which no firmware has prepared: configuration space by ECAM and by ports, a
 * place for BARs, capabilities. A function is named by bus << 8 | slot << 3 | function.
 */
#pragma once

#include "tests/guest/lib/guest.h"

#define PCI_ECAM	0xb0000000ul
#define PCI_WINDOW	0xc0000000ul		/* for BARs, up to the I/O APIC */
#define PCI_PORTS	0xc000

#define PCI_COMMAND	4
#define PCI_STATUS	6
#define PCI_BAR(n)	(0x10 + 4 * (n))
#define PCI_IO		1
#define PCI_MEMORY	2
#define PCI_MASTER	4
#define PCI_INTX_OFF	0x400
#define PCI_INTX	8			/* of the status */
#define PCI_CAP_MSI	5
#define PCI_CAP_EXPRESS	0x10
#define PCI_CAP_MSIX	0x11

#define PCI_BDF(bus, slot, function)	((bus) << 8 | (slot) << 3 | (function))
#define PCI_ADDRESS	0xcf8
#define PCI_DATA	0xcfc

uint32_t pci_read(unsigned bdf, unsigned reg, unsigned size);
void pci_write(unsigned bdf, unsigned reg, unsigned size, uint32_t value);
uint32_t pci_read_ports(unsigned bdf, unsigned reg);
unsigned pci_find(uint32_t id);		/* the first of bus 0; PCI_NOWHERE: there is none */
#define PCI_NOWHERE	0x10000u
unsigned pci_capability(unsigned bdf, uint8_t id);	/* 0: none */
/* A message for the boot processor, of vector `vector`, enabled with all masks clear. */
void pci_msi_enable(unsigned bdf, uint8_t vector);
void pci_msi_disable(unsigned bdf);
/* `count` such messages, of vectors from `vector` on, in the table at that address. */
void pci_msix_enable(unsigned bdf, uint64_t table, unsigned count, uint8_t vector);

/*
 * A root port leads to bus `bus` and lets [base, last] of memory through: whole mebibytes; as
 * bus master, too.
 */
void pci_port_open(unsigned bdf, unsigned bus, uint32_t base, uint32_t last);

/* --- edu */
#define EDU_ID		0x11e81234
#define EDU_LIVE	0x04
#define EDU_FACTORIAL	0x08
#define EDU_STATUS	0x20
#define EDU_INTERRUPT	0x24
#define EDU_RAISE	0x60
#define EDU_ACKNOWLEDGE	0x64
#define EDU_SOURCE	0x80
#define EDU_DESTINATION	0x88
#define EDU_COUNT	0x90
#define EDU_COMMAND	0x98
#define EDU_BUFFER	0x40000ul
#define EDU_START	1u
#define EDU_TO_RAM	2u
#define EDU_TELL	4u
#define EDU_REVISION	0x010000ed

void edu_start(uint64_t bar, uint64_t from, uint64_t to, uint32_t count, uint32_t command);
bool edu_wait(uint64_t bar);		/* until the transfer is done; false: for too long */
