/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI. ECAM windows are mapped a bus (1 MiB) at a time, when something answers there, since a
 * whole segment would cost half a megabyte of page tables. Enumeration looks at every bus of a
 * segment, once, whatever the bridges say: large machines have several root buses in one segment,
 * and no table but AML names them.
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
#include "lib/string.h"
#include "mm/heap.h"
#include "mm/kmap.h"

#define PORT_ADDRESS	0xcf8
#define PORT_DATA	0xcfc

#define PCI_VENDOR_ID	0x00
#define PCI_REVISION	0x08
#define PCI_HEADER_TYPE	0x0e
#define PCI_IRQ_PIN	0x3d

#define HEADER_MULTI	0x80
#define BUSES		256
#define BUS_SIZE	(1ul << 20)

/* The mapped buses of a segment that the MCFG has. */
struct segment {
	struct segment *next;
	uint16_t number;
	uint8_t *bus[BUSES];
};

static struct spinlock pci_lock = SPINLOCK_INIT("pci", LOCK_LEAF);
static struct segment *segments;
static struct pci_device *devices;
static unsigned device_count, device_max;

/* ---- access ---- */

static struct segment *segment_find(uint16_t number)
{
	for (struct segment *s = segments; s; s = s->next)
		if (s->number == number)
			return s;
	return NULL;
}

static uint8_t *window_find(const struct pci_device *d)
{
	const struct segment *s = segment_find(d->segment);

	return s ? s->bus[d->bus] : NULL;
}

static const struct acpi_ecam *ecam_find(uint16_t segment, uint8_t bus)
{
	for (unsigned i = 0; i < acpi_info.ecam_count; i++) {
		const struct acpi_ecam *e = &acpi_info.ecam[i];

		if (e->segment == segment && bus >= e->first_bus && bus <= e->last_bus)
			return e;
	}
	return NULL;
}

static struct segment *segment_need(uint16_t number)
{
	struct segment *s = segment_find(number);

	if (s)
		return s;
	s = heap_alloc(sizeof(*s));
	if (s) {
		s->number = number;
		s->next = segments;
		segments = s;
	}
	return s;
}

/* Maps a bus that the MCFG has, if there is room; else it is reached by ports, or not at all. */
static void window_open(uint16_t segment, uint8_t bus)
{
	const struct acpi_ecam *e = ecam_find(segment, bus);
	struct segment *s = e ? segment_need(segment) : NULL;

	if (s && !s->bus[bus])
		s->bus[bus] = kmap_io(HPA(e->base.v + bus * BUS_SIZE), BUS_SIZE, CACHE_UC);
	if (e && (!s || !s->bus[bus]))
		log_warn("pci: no room to map bus %04x:%02x", segment, bus);
}

static void window_close(uint16_t segment, uint8_t bus)
{
	struct segment *s = segment_find(segment);

	if (s && s->bus[bus])
		kmap_io_unmap(s->bus[bus], BUS_SIZE);
	if (s)
		s->bus[bus] = NULL;
}

/*
 * By AL, AX and EAX: AMD's processors of families 10h to 16h do not promise ECAM accesses by other
 * registers (BIOS and Kernel Developer's Guide, "MMIO Configuration Coding Requirements").
 */
static uint32_t ecam_read(const uint8_t *p, unsigned size)
{
	uint32_t v = 0;

	switch (size) {
	case 1:
		__asm__ volatile("movb %1, %b0" : "+a"(v) : "m"(*(const volatile uint8_t *)p));
		break;
	case 2:
		__asm__ volatile("movw %1, %w0" : "+a"(v) : "m"(*(const volatile uint16_t *)p));
		break;
	default:
		__asm__ volatile("movl %1, %0" : "+a"(v) : "m"(*(const volatile uint32_t *)p));
	}
	return v;
}

static void ecam_write(uint8_t *p, unsigned size, uint32_t v)
{
	switch (size) {
	case 1:
		__asm__ volatile("movb %b1, %0" : "=m"(*(volatile uint8_t *)p) : "a"(v));
		break;
	case 2:
		__asm__ volatile("movw %w1, %0" : "=m"(*(volatile uint16_t *)p) : "a"(v));
		break;
	default:
		__asm__ volatile("movl %1, %0" : "=m"(*(volatile uint32_t *)p) : "a"(v));
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

static bool list_grow(void)
{
	unsigned max = device_max ? 2 * device_max : 128;
	struct pci_device *bigger = heap_alloc(max * sizeof(*bigger));

	if (!bigger)
		return false;
	if (devices)
		memcpy(bigger, devices, device_count * sizeof(*bigger));
	heap_free(devices);
	devices = bigger;
	device_max = max;
	return true;
}

static void list_add(const struct pci_device *d)
{
	if (device_count < device_max || list_grow())
		devices[device_count++] = *d;
	else
		log_warn("pci: no memory to list %04x:%02x:%02x.%u", d->segment, d->bus, d->device,
			 d->function);
}

static void walk_bus(uint16_t segment, uint8_t bus)
{
	for (uint8_t device = 0; device < 32; device++) {
		uint8_t functions = 1;

		for (uint8_t function = 0; function < functions; function++) {
			struct pci_device d = { .segment = segment, .bus = bus, .device = device,
						.function = function };

			if (!identify(&d))
				continue;
			if (!function && d.header_type & HEADER_MULTI)
				functions = 8;
			list_add(&d);
		}
	}
}

static bool answers(const struct pci_device *d, uint32_t (*read)(const struct pci_device *d,
								 unsigned reg, unsigned size))
{
	uint16_t vendor = (uint16_t)read(d, PCI_VENDOR_ID, 2);

	return vendor != 0xffff && vendor;
}

static bool bus_answers(uint16_t segment, uint8_t bus,
			uint32_t (*read)(const struct pci_device *d, unsigned reg, unsigned size))
{
	for (uint8_t device = 0; device < 32; device++)
		if (answers(&(struct pci_device){ .segment = segment, .bus = bus,
						  .device = device }, read))
			return true;
	return false;
}

/* Ports ask without a mapping, and where an MCFG claims more than there is they do no harm. */
static void walk_by_ports(void)
{
	for (unsigned bus = 0; bus < BUSES; bus++)
		if (bus_answers(0, (uint8_t)bus, port_read)) {
			window_open(0, (uint8_t)bus);
			walk_bus(0, (uint8_t)bus);
		}
}

static void walk_by_ecam(uint16_t segment)
{
	for (unsigned bus = 0; bus < BUSES; bus++) {
		if (!ecam_find(segment, (uint8_t)bus))
			continue;
		window_open(segment, (uint8_t)bus);
		if (bus_answers(segment, (uint8_t)bus, pci_read))
			walk_bus(segment, (uint8_t)bus);
		else
			window_close(segment, (uint8_t)bus);
	}
}

/* Each segment but 0 once, with the first MCFG entry that names it. */
static bool first_of_segment(unsigned entry)
{
	for (unsigned i = 0; i < entry; i++)
		if (acpi_info.ecam[i].segment == acpi_info.ecam[entry].segment)
			return false;
	return acpi_info.ecam[entry].segment;
}

void pci_init(void)
{
	device_count = 0;
	if (bus_answers(0, 0, port_read))
		walk_by_ports();
	else
		walk_by_ecam(0);
	for (unsigned i = 0; i < acpi_info.ecam_count; i++)
		if (first_of_segment(i))
			walk_by_ecam(acpi_info.ecam[i].segment);
	log_info("pci: %u functions, configuration by %s", device_count,
		 segments ? "ECAM" : "ports");
}

struct pci_device *pci_get(unsigned index)
{
	return index < device_count ? &devices[index] : NULL;
}
