/* SPDX-License-Identifier: BSD-2-Clause */
/* See pci.h. */
#include "tests/guest/lib/pci.h"

#define CAPABILITIES	0x34
#define MSI_ADDRESS	0xfee00000u

uint32_t pci_read(unsigned bdf, unsigned reg, unsigned size)
{
	uint64_t at = PCI_ECAM + ((uint64_t)bdf << 12 | reg);

	if (size == 1)
		return *(volatile uint8_t *)at;
	if (size == 2)
		return *(volatile uint16_t *)at;
	return mmio_read(at);
}

void pci_write(unsigned bdf, unsigned reg, unsigned size, uint32_t value)
{
	uint64_t at = PCI_ECAM + ((uint64_t)bdf << 12 | reg);

	if (size == 1)
		*(volatile uint8_t *)at = (uint8_t)value;
	else if (size == 2)
		*(volatile uint16_t *)at = (uint16_t)value;
	else
		mmio_write(at, value);
}

uint32_t pci_read_ports(unsigned bdf, unsigned reg)
{
	outl(PCI_ADDRESS, 1u << 31 | bdf << 8 | (reg & 0xfc));
	return inl(PCI_DATA);
}

unsigned pci_find(uint32_t id)
{
	for (unsigned bdf = 0; bdf < PCI_BDF(1, 0, 0); bdf++)
		if (pci_read(bdf, 0, 4) == id)
			return bdf;
	return PCI_NOWHERE;
}

unsigned pci_capability(unsigned bdf, uint8_t id)
{
	unsigned at = pci_read(bdf, CAPABILITIES, 1);

	for (unsigned i = 0; i < 48 && at >= 0x40; i++, at = pci_read(bdf, at + 1, 1))
		if (pci_read(bdf, at, 1) == id)
			return at;
	return 0;
}

void pci_msi_enable(unsigned bdf, uint8_t vector)
{
	unsigned at = pci_capability(bdf, PCI_CAP_MSI);

	pci_write(bdf, at + 4, 4, MSI_ADDRESS | cpuid(1).ebx >> 24 << 12);
	pci_write(bdf, at + 8, 4, 0);
	pci_write(bdf, at + 12, 2, vector);
	pci_write(bdf, at + 16, 4, 0);
	pci_write(bdf, at + 2, 2, 1);
}

void pci_msi_disable(unsigned bdf)
{
	pci_write(bdf, pci_capability(bdf, PCI_CAP_MSI) + 2, 2, 0);
}

void pci_msix_enable(unsigned bdf, uint64_t table, unsigned count, uint8_t vector)
{
	for (unsigned i = 0; i < count; i++, table += 16) {
		mmio_write(table, MSI_ADDRESS | cpuid(1).ebx >> 24 << 12);
		mmio_write(table + 4, 0);
		mmio_write(table + 8, vector + i);
		mmio_write(table + 12, 0);
	}
	pci_write(bdf, pci_capability(bdf, PCI_CAP_MSIX) + 2, 2, 0x8000);
}

void pci_port_open(unsigned bdf, unsigned bus, uint32_t base, uint32_t last)
{
	pci_write(bdf, 0x18, 4, bus << 8 | bus << 16);
	pci_write(bdf, 0x20, 4, (base >> 16 & 0xfff0) | (last & 0xfff00000));
	pci_write(bdf, PCI_COMMAND, 2, PCI_MEMORY | PCI_MASTER);
}

void edu_start(uint64_t bar, uint64_t from, uint64_t to, uint32_t count, uint32_t command)
{
	mmio_write(bar + EDU_SOURCE, (uint32_t)from);
	mmio_write(bar + EDU_DESTINATION, (uint32_t)to);
	mmio_write(bar + EDU_COUNT, count);
	mmio_write(bar + EDU_COMMAND, command | EDU_START);
}

bool edu_wait(uint64_t bar)
{
	for (unsigned i = 0; i < 20000000; i++) {
		if (!(mmio_read(bar + EDU_COMMAND) & EDU_START))
			return true;
		pause();
	}
	return false;
}
