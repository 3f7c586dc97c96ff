/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Serial ports on PCI cards, a 16550 or its kin behind a BAR: the console, if the command line asks
 * for one (serial=pci); all others are left alone. There is no remove: it speaks to the very end.
 */
#include "drivers/serial_pci.h"

#include "drivers/serial.h"
#include "include/bits.h"
#include "include/errno.h"

#define UART_REGISTERS	8

static int find_bar(struct pci_device *d, struct pci_bar *out)
{
	for (unsigned i = 0; i < PCI_BAR_MAX; i++)
		if (!pci_bar_get(d, i, out) && out->size >= UART_REGISTERS)
			return 0;
	return -EINVAL;
}

static int probe(struct pci_device *d)
{
	static unsigned number;
	struct pci_bar bar;
	int err;

	if (!serial_wants_card(++number))
		return -ENODEV;
	err = find_bar(d, &bar);
	if (err)
		return err;
	pci_command(d, bar.io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY, 0);
	return serial_use_card(d, bar.io ? (uint16_t)bar.address.v : 0,
			       bar.io ? HPA(0) : bar.address);
}

static const struct pci_match match[] = {
	/* Any UART; what the last byte says of its kind the chip tells itself. */
	{ PCI_ANY, PCI_ANY, 0x070000, 0xffff00 },
};

const struct pci_driver serial_pci = {
	.name = "serial", .match = match, .match_count = ARRAY_COUNT(match), .probe = probe,
};
