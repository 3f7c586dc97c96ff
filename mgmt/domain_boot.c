/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order in which a domain's firmware looks for something to start, as it reads it: a path for
 * each device, from the PCI host bridge on, as Open Firmware names them. SeaBIOS looks at the
 * addresses in them; OVMF knows disks by their names too, and takes of others the PCI function.
 * What is not named is not started. Pure, but for the text.
 * Sources: QEMU, "Managing device boot order with bootindex properties"; IEEE 1275, "PCI Bus
 * Binding".
 */
#include "include/bits.h"
#include "include/errno.h"
#include "lib/string.h"
#include "mgmt/domain_struct.h"
#include "mgmt/text.h"

#define ROOT_PORT	"pcie-root-port"

/* How a class is named, and what is behind it; NULL: drives with so many disks at each port. */
static const struct node {
	const char *class, *name, *behind;
	uint8_t disks;
} nodes[] = {
	{ "virtio-blk-pci", "scsi", "/disk@0,0", 0 },
	{ CONFIG_SATA, "pci8086,2922", NULL, 1 },
	{ CONFIG_IDE, "ide", NULL, 2 },
	/* As the first ones of their kind were numbered, whatever theirs is now. */
	{ CONFIG_NVME, "pci8086,5845", "/namespace@1,0", 0 },
	{ "", "storage", "", 0 },
}, card = { "", "ethernet", "/ethernet-phy@0", 0 };

static const struct node *node_of(const struct config_device *d)
{
	const struct node *n = nodes;

	if (d->cable[0])
		return &card;
	while (n->class[0] && strcmp(n->class, d->class))
		n++;
	return n;
}

static void add_node(struct text *t, const char *name, const struct config_device *d)
{
	text_format(t, "/%s@%x", name, d->device);
	if (d->function)
		text_format(t, ",%x", d->function);
}

/* Bus N is behind the Nth of them. */
static const struct config_device *root_port(const struct config_vm *c, unsigned n)
{
	const struct config_device *d = c->device;

	while (d && (strcmp(d->class, ROOT_PORT) || --n))
		d = d->next;
	return d;
}

static void add_path(struct text *t, const struct config_vm *c, const struct config_device *d)
{
	const struct config_device *port = d->bus ? root_port(c, d->bus) : NULL;
	const struct node *n = node_of(d);

	text_add(t, "/pci@i0cf8");
	if (port)
		add_node(t, "pci-bridge", port);
	add_node(t, n->name, d);
	if (n->behind)
		text_add(t, n->behind);
	else
		text_format(t, "/drive@%u/disk@%u", d->port / n->disks, d->port % n->disks);
	text_add(t, "\n");
}

static void add_kinds(struct text *t, const struct config_vm *c)
{
	const struct config_device *const lists[] = {
		[CONFIG_BOOT_DISK] = c->disk, [CONFIG_BOOT_CDROM] = c->cdrom,
		[CONFIG_BOOT_NETWORK] = c->nic,
	};

	for (unsigned i = 0; i < CONFIG_BOOT_KINDS && c->boot[i]; i++)
		for (const struct config_device *d = lists[c->boot[i]]; d; d = d->next)
			add_path(t, c, d);
}

int domain_boot_order(const struct config_vm *c, char **out, struct mgmt_error *err)
{
	const struct config_device *d = config_boot_next(c, 0);
	struct text t = { 0 };

	*out = NULL;
	if (!d && !c->boot[0])
		return 0;
	for (; d; d = config_boot_next(c, d->boot))
		add_path(&t, c, d);
	add_kinds(&t, c);
	text_add(&t, "HALT");
	*out = text_take(&t);
	return *out ? 0 : error_set(err, -ENOMEM, "domain '%s': no memory for its boot order: end "
				    "another one", c->name);
}
