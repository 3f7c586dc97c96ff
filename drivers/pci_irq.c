/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PCI function's interrupts; see drivers/pci.h. A message is a store to the local APICs' address,
 * which names the CPU in eight bits, with the vector as its data. As vectors are each CPU's own, a
 * message's handler is allocated where it goes to. MSI is used with one message only: several would
 * need vectors side by side on one CPU.
 *
 * Without AML nobody says for sure where INTx arrives. The register that the firmware left it in
 * names the line of an 8259, whose wires of the same number most machines' I/O APICs have, too.
 * Sources: PCI Local Bus Specification 3.0, "Message Signaled Interrupts"; Intel SDM 3, "Message
 * Signalled Interrupts".
 */
#include "drivers/pci.h"

#include "cpu/irq.h"
#include "cpu/lapic.h"
#include "drivers/acpi.h"
#include "drivers/wire.h"
#include "include/bits.h"
#include "include/errno.h"
#include "kernel/log.h"
#include "mm/kmap.h"

#define MESSAGE_ADDRESS		0xfee00000u

#define CAP_CONTROL		2
#define MSI_ADDRESS		4
#define MSI_ENABLE		0x0001
#define MSI_CAPABLE(c)		((c) >> 1 & 7)	/* as a power of two, 5 at most */
#define MSI_SEVERAL		0x0070
#define MSI_WIDE		0x0080
#define MSI_MASKABLE		0x0100
#define MSI_LENGTH		10	/* longer by 4 where MSI_WIDE, by 10 where MSI_MASKABLE */

#define MSIX_TABLE		4
#define MSIX_LENGTH		12
#define MSIX_SIZE		0x07ff
#define MSIX_MASKED		0x4000
#define MSIX_ENABLE		0x8000
#define ENTRY_SIZE		16
#define ENTRY_ADDRESS		0
#define ENTRY_ADDRESS_HIGH	4
#define ENTRY_DATA		8
#define ENTRY_CONTROL		12
#define ENTRY_MASKED		1u

int pci_wire_open(struct pci_device *d, struct wire_user *u)
{
	uint32_t line = pci_read(d, PCI_IRQ_LINE, 1);
	struct acpi_override o = acpi_isa_irq(line);

	if (!d->irq_pin || d->irq_pin > 4 || !line || line == 0xff)
		return -ENODEV;
	pci_command(d, 0, PCI_COMMAND_NO_INTX);
	return wire_open(u, o.gsi, o.level ? o.low : true, true);
}

static uint32_t control_read(const struct pci_device *d)
{
	return pci_read(d, d->message_cap + CAP_CONTROL, 2);
}

static void control_write(const struct pci_device *d, uint32_t off, uint32_t on)
{
	pci_write(d, d->message_cap + CAP_CONTROL, 2, (control_read(d) & ~off) | on);
}

static volatile uint32_t *entry(const struct pci_device *d, unsigned i, unsigned field)
{
	return (volatile uint32_t *)(d->message_table + i * ENTRY_SIZE + field);
}

/* The mask's place in MSI; 0: it has none. */
static unsigned msi_mask_register(const struct pci_device *d)
{
	uint32_t control = control_read(d);

	return control & MSI_MASKABLE ? d->message_cap + (control & MSI_WIDE ? 16u : 12u) : 0;
}

unsigned pci_messages_max(const struct pci_device *d, enum pci_messages kind)
{
	bool x = kind == PCI_MSIX;
	unsigned cap = pci_capability(d, x ? PCI_CAP_MSIX : PCI_CAP_MSI,
				      x ? MSIX_LENGTH : MSI_LENGTH);
	uint32_t control;

	if (!cap)
		return 0;
	control = pci_read(d, cap + CAP_CONTROL, 2);
	return x ? (control & MSIX_SIZE) + 1 : 1u << MIN(MSI_CAPABLE(control), 5u);
}

static int open_msi(struct pci_device *d)
{
	uint32_t control;
	unsigned cap = pci_capability(d, PCI_CAP_MSI, MSI_LENGTH);

	if (!cap)
		return -ENOSYS;
	control = pci_read(d, cap + CAP_CONTROL, 2);
	if (cap != pci_capability(d, PCI_CAP_MSI, MSI_LENGTH + (control & MSI_WIDE ? 4 : 0) +
				  (control & MSI_MASKABLE ? 10 : 0)))
		return -ENOSYS;
	d->message_cap = (uint8_t)cap;
	d->message_count = 1;
	control_write(d, MSI_ENABLE | MSI_SEVERAL, 0);
	return 0;
}

static int open_msix(struct pci_device *d)
{
	unsigned cap = pci_capability(d, PCI_CAP_MSIX, MSIX_LENGTH);
	unsigned count = pci_messages_max(d, PCI_MSIX);
	struct pci_bar bar;
	uint32_t where;

	if (!cap)
		return -ENOSYS;
	where = pci_read(d, cap + MSIX_TABLE, 4);
	if (pci_bar_get(d, where & 7, &bar) || bar.io || where / 8 * 8 > bar.size ||
	    count * ENTRY_SIZE > bar.size - where / 8 * 8)
		return -EINVAL;
	d->message_table = pci_bar_map(&bar, where / 8 * 8, count * ENTRY_SIZE);
	if (!d->message_table)
		return -ENOMEM;
	d->message_cap = (uint8_t)cap;
	d->message_count = (uint16_t)count;
	pci_command(d, PCI_COMMAND_MEMORY, 0);
	control_write(d, 0, MSIX_ENABLE | MSIX_MASKED);
	for (unsigned i = 0; i < count; i++)
		*entry(d, i, ENTRY_CONTROL) |= ENTRY_MASKED;
	control_write(d, MSIX_MASKED, 0);
	return 0;
}

int pci_messages_open(struct pci_device *d, enum pci_messages kind)
{
	int err = kind == PCI_MSIX ? open_msix(d) : open_msi(d);

	if (err)
		return err;
	d->messages = kind;
	pci_command(d, PCI_COMMAND_NO_INTX, 0);
	return d->message_count;
}

static void write_msi(struct pci_device *d, uint32_t address, uint32_t data)
{
	unsigned at = d->message_cap + MSI_ADDRESS;

	pci_write(d, at, 4, address);
	if (control_read(d) & MSI_WIDE)
		pci_write(d, at += 4, 4, 0);
	pci_write(d, at + 4, 2, data);
	control_write(d, 0, MSI_ENABLE);
}

static void write_msix(struct pci_device *d, unsigned i, uint32_t address, uint32_t data)
{
	*entry(d, i, ENTRY_ADDRESS) = address;
	*entry(d, i, ENTRY_ADDRESS_HIGH) = 0;
	*entry(d, i, ENTRY_DATA) = data;
}

int pci_message_set(struct pci_device *d, unsigned i, struct irq *irq, unsigned cpu)
{
	uint32_t id = lapic_id_of(cpu);
	int vector;

	if (i >= d->message_count)
		return -EINVAL;
	if (id > 0xff) {
		log_warn("pci: %02x:%02x.%u cannot interrupt CPU %u: its APIC id %u needs interrupt remapping",
			 d->bus, d->device, d->function, cpu, id);
		return -ERANGE;
	}
	vector = irq_alloc(irq, cpu);
	if (vector < 0)
		return vector;
	if (d->messages == PCI_MSI)
		write_msi(d, MESSAGE_ADDRESS | id << 12, (uint32_t)vector);
	else
		write_msix(d, i, MESSAGE_ADDRESS | id << 12, (uint32_t)vector);
	(void)!pci_message_mask(d, i, false);
	return 0;
}

/* What is read back has arrived: no message that was sent before the mask is under way. */
int pci_message_mask(struct pci_device *d, unsigned i, bool masked)
{
	unsigned at;

	if (i >= d->message_count)
		return -EINVAL;
	if (d->messages == PCI_MSI) {
		at = msi_mask_register(d);
		if (!at)
			return -ENOSYS;
		pci_write(d, at, 4, masked);
		return 0;
	}
	*entry(d, i, ENTRY_CONTROL) = (*entry(d, i, ENTRY_CONTROL) & ~ENTRY_MASKED) |
				      (masked ? ENTRY_MASKED : 0);
	(void)*entry(d, i, ENTRY_CONTROL);
	return 0;
}

void pci_message_clear(struct pci_device *d, unsigned i, struct irq *irq)
{
	if (d->messages == PCI_MSI)
		control_write(d, MSI_ENABLE, 0);
	else
		(void)!pci_message_mask(d, i, true);
	irq_free(irq);
}

void pci_messages_close(struct pci_device *d)
{
	if (d->messages == PCI_NO_MESSAGES)
		return;
	control_write(d, d->messages == PCI_MSI ? MSI_ENABLE : MSIX_ENABLE, 0);
	if (d->messages == PCI_MSIX)
		kmap_io_unmap(d->message_table, d->message_count * ENTRY_SIZE);
	d->messages = PCI_NO_MESSAGES;
	d->message_count = 0;
	pci_command(d, 0, PCI_COMMAND_NO_INTX);
}
