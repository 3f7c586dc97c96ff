/* SPDX-License-Identifier: BSD-2-Clause */
/* links: drivers/pci_function.c drivers/pci_irq.c drivers/pci_driver.c drivers/pci_node.c
 * boot/bootinfo.c lib/format.c tests/host/fake_pci.c tests/host/percpu.c tests/host/log.c */
/*
 * A PCI function whose whole configuration space is the input: what is told of it, every BAR, its
 * messages, its reset. What is mapped lies within what it decodes, and over no memory.
 */
#include <stdlib.h>
#include <string.h>

#include "boot/bootinfo.h"
#include "drivers/acpi.h"
#include "drivers/wire.h"
#include "kernel/nodedev.h"
#include "tests/host/fake_pci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct acpi_override acpi_isa_irq(unsigned irq)
{
	return (struct acpi_override){ .irq = (uint8_t)irq, .gsi = irq };
}

int wire_open(struct wire_user *u, uint32_t gsi, bool low, bool level)
{
	if (!gsi || gsi > 254 || !low || !level)
		abort();
	(void)u;
	return 0;
}

static void check_bars(struct pci_device *d)
{
	struct pci_bar b;

	for (unsigned i = 0; i <= PCI_BAR_MAX; i++) {
		if (pci_bar_get(d, i, &b))
			continue;
		if (!b.size || b.size & (b.size - 1) || b.address.v & (b.size - 1) ||
		    (b.address.v + b.size - 1) >> 40 || (b.io && b.address.v + b.size > 0x10000))
			abort();
		if (!b.io && b.address.v < 0x80000000 && b.address.v + b.size > 0x100000)
			abort();
		if (pci_bar_map(&b, b.size, 1) || pci_bar_map(&b, 0, b.size + 1))
			abort();
	}
}

static void use_messages(struct pci_device *d, enum pci_messages kind)
{
	struct irq irq = { .name = "fuzz" };
	int count = pci_messages_open(d, kind);

	if (count < 0)
		return;
	if (!count || count > (kind == PCI_MSI ? 1 : 2048))
		abort();
	if (kind == PCI_MSIX && fake_pci_window_at >= 0x100000 && fake_pci_window_at < 0x80000000)
		abort();
	if (pci_message_set(d, (unsigned)count - 1, &irq, 1) || !fake_pci_irq)
		abort();
	(void)!pci_message_mask(d, (unsigned)count - 1, true);
	pci_message_clear(d, (unsigned)count - 1, &irq);
	pci_messages_close(d);
	if (fake_pci_mapped || fake_pci_irq)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_user u = { .name = "fuzz" };
	struct fake_pci *f;
	struct nodedev n;

	if (size < 64)
		return 0;
	fake_pci_reset();
	f = fake_pci_add(0x12345678, 0x020000, data[0x0e]);
	/* The vendor, which no function may lack, says which bits of the BARs can be set. */
	for (unsigned i = 0; i < PCI_BAR_MAX; i++)
		f->bar_writable[i] = ~0u << data[i % 4] % 32;
	f->bar_lie = data[0x2c] & 1 ? *(const uint16_t *)(data + 0x2e) * 0x10001u : 0;
	memcpy(f->space + 4, data + 4, (size < sizeof(f->space) ? size : sizeof(f->space)) - 4);
	f->device.irq_pin = f->space[0x3d];
	bootinfo.region_count = 1;
	bootinfo.region[0] = (struct boot_region){ HPA(0x100000), 0x7ff00000, BOOT_MEM_USABLE };
	if (!pci_describe(0, &n) || f->writes)
		abort();
	check_bars(&f->device);
	(void)!pci_wire_open(&f->device, &u);
	use_messages(&f->device, PCI_MSI);
	use_messages(&f->device, PCI_MSIX);
	(void)!pci_reset(&f->device);
	return 0;
}
