/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which driver takes which PCI function; see drivers/pci.h. By one thread at a time. A function
 * that was not taken, or is given back, has its command register as it was found.
 */
#include "drivers/pci.h"

#include "include/errno.h"
#include "kernel/log.h"
#include "lib/format.h"

static struct pci_device *taken;		/* the last one; the others follow */

static bool matches(const struct pci_driver *driver, const struct pci_device *d)
{
	for (unsigned i = 0; i < driver->match_count; i++) {
		const struct pci_match *m = &driver->match[i];

		if ((m->vendor == PCI_ANY || m->vendor == d->vendor_id) &&
		    (m->device == PCI_ANY || m->device == d->device_id) &&
		    !((m->class ^ d->class) & m->class_mask))
			return true;
	}
	return false;
}

static void give_back(struct pci_device *d)
{
	pci_messages_close(d);
	if (pci_read(d, PCI_COMMAND, 2) != d->command)
		pci_write(d, PCI_COMMAND, 2, d->command);
	d->driver = NULL;
}

static bool offer(const struct pci_driver *driver, struct pci_device *d)
{
	int err;

	d->driver = driver;
	d->command = (uint16_t)pci_read(d, PCI_COMMAND, 2);
	err = driver->probe(d);
	if (!err) {
		d->taken_before = taken;
		taken = d;
		return true;
	}
	give_back(d);
	if (err != -ENODEV)
		log_warn("pci: %02x:%02x.%u is not driven by '%s': %s", d->bus, d->device,
			 d->function, driver->name, format_errno(err));
	return false;
}

void pci_bind(const struct pci_driver *const *drivers, unsigned count)
{
	struct pci_device *d;

	for (unsigned i = 0; (d = pci_get(i)); i++)
		for (unsigned k = 0; k < count && !d->driver; k++)
			if (matches(drivers[k], d) && offer(drivers[k], d))
				log_info("pci: %02x:%02x.%u is driven by '%s'", d->bus, d->device,
					 d->function, drivers[k]->name);
}

void pci_unbind(void)
{
	struct pci_device **at = &taken, *d;

	while ((d = *at)) {
		if (!d->driver->remove) {
			at = &d->taken_before;
			continue;
		}
		*at = d->taken_before;
		d->driver->remove(d);
		give_back(d);
	}
}
