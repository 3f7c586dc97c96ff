/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI. ECAM windows are mapped a bus (1 MiB) at a time, when the bus is first touched, since a
 * whole segment would cost half a megabyte of page tables. Enumeration walks from bus 0 over
 * bridges, and each bus only once, whatever the bridges say.
 *
 * Locking: pci_lock (LOCK_LEAF) around the port pair. The ECAM table and the list are
 * written at boot only.
 */
#include "drivers/pci.h"

#include "cpu/cpu.h"
#include "cpu/spinlock.h"
#include "drivers/acpi.h"
#include "include/bits.h"
#include "kernel/log.h"
#include "mm/kmap.h"

#define PORT_ADDRESS	0xcf8
#define PORT_DATA	0xcfc

#define PCI_VENDOR_ID	0x00
#define PCI_REVISION	0x08
#define PCI_HEADER_TYPE	0x0e
#define PCI_SECONDARY	0x19
#define PCI_IRQ_PIN	0x3d

#define HEADER_MULTI	0x80
#define HEADER_BRIDGE	1
#define BUS_SIZE	(1ul << 20)

/* One mapped bus. */
struct window {
	uint16_t segment;
	uint8_t bus;
	uint8_t *base;
};

static struct spinlock pci_lock = SPINLOCK_INIT("pci", LOCK_LEAF);
static struct window windows[64];
static unsigned window_count;
static struct pci_device devices[PCI_DEVICE_MAX];
static unsigned device_count;

/* ---- access ---- */

static uint8_t *window_find(const struct pci_device *d)
{
	for (unsigned i = 0; i < window_count; i++)
		if (windows[i].segment == d->segment && windows[i].bus == d->bus)
			return windows[i].base;
	return NULL;
}

static void window_open(uint16_t segment, uint8_t bus)
{
	for (unsigned i = 0; i < acpi_info.ecam_count; i++) {
		const struct acpi_ecam *e = &acpi_info.ecam[i];
		void *base;

		if (e->segment != segment || bus < e->first_bus || bus > e->last_bus ||
		    window_count == ARRAY_COUNT(windows))
			continue;
		base = kmap_io(HPA(e->base.v + bus * BUS_SIZE), BUS_SIZE, CACHE_UC);
		if (base)
			windows[window_count++] = (struct window){ segment, bus, base };
		return;
	}
}

static uint32_t ecam_read(const uint8_t *p, unsigned size)
{
	switch (size) {
	case 1: return *(const volatile uint8_t *)p;
	case 2: return *(const volatile uint16_t *)p;
	default: return *(const volatile uint32_t *)p;
	}
}

static void ecam_write(uint8_t *p, unsigned size, uint32_t v)
{
	switch (size) {
	case 1: *(volatile uint8_t *)p = (uint8_t)v; break;
	case 2: *(volatile uint16_t *)p = (uint16_t)v; break;
	default: *(volatile uint32_t *)p = v; break;
	}
}

static bool port_select(const struct pci_device *d, unsigned reg)
{
	if (d->segment || reg > 0xff)
		return false;
	cpu_out32(PORT_ADDRESS, 0x80000000u | (uint32_t)d->bus << 16 | (uint32_t)d->device << 11 |
		  (uint32_t)d->function << 8 | (reg & 0xfc));
	return true;
}

static uint32_t port_read(const struct pci_device *d, unsigned reg, unsigned size)
{
	uint64_t flags = spin_lock_irq(&pci_lock);
	uint32_t v = ~0u;

	if (port_select(d, reg))
		v = cpu_in32(PORT_DATA) >> 8 * (reg & 3);
	spin_unlock_irq(&pci_lock, flags);
	return v & (uint32_t)bytes_mask(size);
}

static void port_write(const struct pci_device *d, unsigned reg, unsigned size, uint32_t v)
{
	uint64_t flags = spin_lock_irq(&pci_lock);
	uint16_t port = (uint16_t)(PORT_DATA + (reg & 3));

	if (port_select(d, reg)) {
		if (size == 1)
			cpu_out8(port, (uint8_t)v);
		else if (size == 2)
			cpu_out16(port, (uint16_t)v);
		else
			cpu_out32(port, v);
	}
	spin_unlock_irq(&pci_lock, flags);
}

static unsigned ecam_offset(const struct pci_device *d, unsigned reg)
{
	return (unsigned)d->device << 15 | (unsigned)d->function << 12 | reg;
}

uint32_t pci_read(const struct pci_device *d, unsigned reg, unsigned size)
{
	const uint8_t *base = window_find(d);

	if (reg > 0x1000 - size)
		return (uint32_t)bytes_mask(size);
	return base ? ecam_read(base + ecam_offset(d, reg), size) : port_read(d, reg, size);
}

void pci_write(const struct pci_device *d, unsigned reg, unsigned size, uint32_t v)
{
	uint8_t *base = window_find(d);

	if (reg > 0x1000 - size)
		return;
	if (base)
		ecam_write(base + ecam_offset(d, reg), size, v);
	else
		port_write(d, reg, size, v);
}

/* ---- enumeration ---- */

/* Buses of one segment that are still to be looked at, or were: each is looked at once. */
struct walk {
	uint64_t wanted[4], done[4];
};

static void want(struct walk *w, uint8_t bus)
{
	w->wanted[bus / 64] |= BIT(bus % 64);
}

static int next_bus(struct walk *w)
{
	for (unsigned i = 0; i < 4; i++) {
		uint64_t left = w->wanted[i] & ~w->done[i];

		if (left) {
			w->done[i] |= left & -left;
			return (int)(i * 64 + bit_lowest(left));
		}
	}
	return -1;
}

/* Reads what the list keeps; false when no function answers. */
static bool identify(struct pci_device *d)
{
	uint32_t id = pci_read(d, PCI_VENDOR_ID, 4), revision;

	if ((id & 0xffff) == 0xffff || !id)
		return false;
	revision = pci_read(d, PCI_REVISION, 4);
	d->vendor_id = (uint16_t)id;
	d->device_id = (uint16_t)(id >> 16);
	d->revision = (uint8_t)revision;
	d->class = revision >> 8;
	d->header_type = (uint8_t)pci_read(d, PCI_HEADER_TYPE, 1);
	d->irq_pin = (uint8_t)pci_read(d, PCI_IRQ_PIN, 1);
	return true;
}

static void walk_function(struct walk *w, const struct pci_device *d)
{
	if ((d->header_type & 0x7f) == HEADER_BRIDGE)
		want(w, (uint8_t)pci_read(d, PCI_SECONDARY, 1));
	if (device_count < ARRAY_COUNT(devices))
		devices[device_count++] = *d;
}

static void walk_bus(struct walk *w, uint16_t segment, uint8_t bus)
{
	window_open(segment, bus);
	for (uint8_t device = 0; device < 32; device++) {
		uint8_t functions = 1;

		for (uint8_t function = 0; function < functions; function++) {
			struct pci_device d = { .segment = segment, .bus = bus, .device = device,
						.function = function };

			if (!identify(&d))
				continue;
			if (!function && d.header_type & HEADER_MULTI)
				functions = 8;
			walk_function(w, &d);
		}
	}
}

static void walk_segment(uint16_t segment, uint8_t first_bus)
{
	struct walk w = { 0 };
	int bus;

	want(&w, first_bus);
	while ((bus = next_bus(&w)) >= 0)
		walk_bus(&w, segment, (uint8_t)bus);
}

void pci_init(void)
{
	device_count = 0;
	walk_segment(0, 0);
	for (unsigned i = 0; i < acpi_info.ecam_count; i++)
		if (acpi_info.ecam[i].segment)
			walk_segment(acpi_info.ecam[i].segment, acpi_info.ecam[i].first_bus);
	log_info("pci: %u functions, configuration by %s", device_count,
		 window_count ? "ECAM" : "ports");
}

unsigned pci_count(void)
{
	return device_count;
}

const struct pci_device *pci_get(unsigned index)
{
	return index < device_count ? &devices[index] : NULL;
}

static const struct {
	uint16_t class;
	const char *name;
} class_names[] = {
	{ 0x0100, "SCSI controller" },
	{ 0x0101, "IDE controller" },
	{ 0x0106, "SATA controller" },
	{ 0x0107, "SAS controller" },
	{ 0x0108, "NVMe controller" },
	{ 0x0200, "Ethernet controller" },
	{ 0x0280, "network controller" },
	{ 0x0300, "VGA controller" },
	{ 0x0380, "display controller" },
	{ 0x0403, "audio device" },
	{ 0x0500, "memory controller" },
	{ 0x0600, "host bridge" },
	{ 0x0601, "ISA bridge" },
	{ 0x0604, "PCI bridge" },
	{ 0x0680, "bridge" },
	{ 0x0700, "serial controller" },
	{ 0x0806, "IOMMU" },
	{ 0x0c03, "USB controller" },
	{ 0x0c05, "SMBus" },
};

const char *pci_class_name(uint32_t class)
{
	for (unsigned i = 0; i < ARRAY_COUNT(class_names); i++)
		if (class_names[i].class == class >> 8)
			return class_names[i].name;
	return "device";
}
