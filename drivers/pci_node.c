/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI functions for people: by libvirt's names, from what can be read without touching them. So the
 * sizes of BARs are not told.
 */
#include "drivers/pci.h"

#include "include/bits.h"
#include "kernel/nodedev.h"
#include "lib/format.h"

#define PCI_SECONDARY	0x19

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

/* "Ethernet controller"; "device" for classes without a name here. */
static const char *class_name(uint32_t class)
{
	for (unsigned i = 0; i < ARRAY_COUNT(class_names); i++)
		if (class_names[i].class == class >> 8)
			return class_names[i].name;
	return "device";
}

static void put_name(const struct pci_device *d, char *name)
{
	format(name, NODEDEV_NAME_MAX, "pci_%04x_%02x_%02x_%u", d->segment, d->bus, d->device,
	       d->function);
}

static void put_parent(const struct pci_device *d, char *name)
{
	const struct pci_device *b;

	for (unsigned i = 0; (b = pci_get(i)); i++)
		if ((b->header_type & 0x7f) == 1 && b->segment == d->segment && b->bus != d->bus &&
		    pci_read(b, PCI_SECONDARY, 1) == d->bus) {
			put_name(b, name);
			return;
		}
	format(name, NODEDEV_NAME_MAX, "computer");
}

static void put_messages(const struct pci_device *d, struct nodedev *out)
{
	out->msi = pci_messages_max(d, PCI_MSI);
	out->msix = pci_messages_max(d, PCI_MSIX);
	if (d->messages != PCI_NO_MESSAGES)
		out->interrupts = d->messages == PCI_MSI ? "MSI" : "MSI-X";
}

bool pci_describe(unsigned i, struct nodedev *out)
{
	const struct pci_device *d = pci_get(i);

	if (!d)
		return false;
	*out = (struct nodedev){
		.segment = d->segment, .bus = d->bus, .device = d->device, .function = d->function,
		.class = d->class, .class_name = class_name(d->class),
		.vendor_id = d->vendor_id, .device_id = d->device_id, .revision = d->revision,
		.driver = d->driver ? d->driver->name : NULL,
		.irq_pin = d->irq_pin, .irq_line = (uint8_t)pci_read(d, PCI_IRQ_LINE, 1),
	};
	put_name(d, out->name);
	put_parent(d, out->parent);
	for (unsigned k = 0; k < PCI_BAR_MAX; k++) {
		struct pci_bar bar;

		if (pci_bar_peek(d, k, &bar))
			continue;
		out->bar[k].address = bar.address.v;
		out->bar[k].io = bar.io;
		out->bar[k].wide = bar.wide;
	}
	put_messages(d, out);
	out->express = pci_capability(d, PCI_CAP_EXPRESS, 8);
	out->resets = pci_can_reset(d);
	return true;
}
