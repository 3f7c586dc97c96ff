/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The devices that a domain's configuration adds to its machine, as rows of that. Thread context;
 * no locks: the configuration is constant.
 */
#include "include/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/domain_struct.h"
#include "mm/heap.h"
#include "vmm/machine.h"
#include "vmm/media.h"

_Static_assert(CONFIG_SATA_PORTS == MACHINE_AHCI_PORTS, "ports");

/* What `debug_exit` stands for. */
static const struct machine_row debug_rows[] = {
	{ .class = "pc-testdev" }, { .class = "isa-debug-exit" },
};

/* Rows as they are made; those beyond `max` are left out. */
struct rows {
	struct machine_row *row;
	unsigned count, max;
};

static bool is_sata(const struct config_device *d)
{
	return !strcmp(d->class, CONFIG_SATA);
}

static void add(struct rows *to, const struct config_device *d)
{
	if (to->count < to->max)
		to->row[to->count++] = (struct machine_row){
			.class = d->class, .slot = { d->bus, d->device, d->function },
		};
}

/* Of the disks and discs at SATA ports; NULL: there is none. */
static const struct config_device *first_sata(const struct config_vm *c)
{
	for (const struct config_device *d = c->disk; d; d = d->next)
		if (is_sata(d))
			return d;
	return c->cdrom;
}

/* Those with a slot of their own, then the SATA controller if it has anything. */
static void fill(const struct config_vm *c, struct rows *to)
{
	const struct config_device *sata = first_sata(c);

	for (const struct config_device *d = c->device; d; d = d->next)
		add(to, d);
	for (const struct config_device *d = c->disk; d; d = d->next)
		if (!is_sata(d))
			add(to, d);
	if (sata)
		add(to, sata);
}

static int fill_image(const struct config_vm *c, const struct config_device *d, bool optical,
		      struct media_image *image, struct mgmt_error *err)
{
	const void *data;
	size_t size;

	if (!mgmt_module(d->module, &data, &size))
		return error_set(err, -ENOENT, "domain '%s': there is no module '%s' for its %s: "
				 "add it to the image", c->name, d->module,
				 optical ? "cdrom" : "disk");
	*image = (struct media_image){
		.name = d->module, .data = data, .size = size, .overlay = d->overlay,
		.optical = optical,
	};
	return 0;
}

/* At their ports, which have room for all. */
static int fill_ports(const struct config_vm *c, const struct config_device *d, bool optical,
		      struct media_image *port, struct mgmt_error *err)
{
	int e = 0;

	for (; d && !e; d = d->next)
		if (is_sata(d))
			e = fill_image(c, d, optical, &port[d->port], err);
	return e;
}

/* The images of the disks' rows, which are the last ones. */
static int fill_images(const struct config_vm *c, const struct rows *all,
		       struct media_image *image, struct mgmt_error *err)
{
	struct machine_row *row = all->row;
	int e = 0;

	for (const struct config_device *d = c->device; d; d = d->next)
		row++;
	for (const struct config_device *d = c->disk; d && !e; d = d->next) {
		if (is_sata(d))
			continue;
		row->properties = image;
		row++->disks = 1;
		e = fill_image(c, d, false, image++, err);
	}
	if (e || !first_sata(c))
		return e;
	row->properties = image;
	row->disks = CONFIG_SATA_PORTS;
	return fill_ports(c, c->disk, false, image, err) ?:
	       fill_ports(c, c->cdrom, true, image, err);
}

static unsigned count_of(const struct config_device *d)
{
	unsigned n = 0;

	for (; d; d = d->next)
		n++;
	return n;
}

struct machine_row *domain_devices_get(const struct config_vm *c, unsigned *count,
				       struct mgmt_error *err)
{
	unsigned disks = count_of(c->disk), rows = count_of(c->device) + disks + 1;
	size_t images = (disks + CONFIG_SATA_PORTS) * sizeof(struct media_image);
	struct machine_row *row = heap_alloc((rows + ARRAY_COUNT(debug_rows)) * sizeof(*row) +
					     images);
	struct media_image *image = (void *)(row + rows + ARRAY_COUNT(debug_rows));
	struct rows all = { row, 0, rows };

	if (!row) {
		error_set(err, -ENOMEM, "domain '%s': no memory for its devices: end another one",
			  c->name);
		return NULL;
	}
	fill(c, &all);
	if (fill_images(c, &all, image, err)) {
		heap_free(row);
		return NULL;
	}
	*count = all.count;
	for (unsigned i = 0; c->debug_exit && i < ARRAY_COUNT(debug_rows); i++)
		row[(*count)++] = debug_rows[i];
	return row;
}

/* Whole sectors, and one at least. */
static int check_sizes(const struct config_device *d, char *why, size_t why_size)
{
	for (; d; d = d->next) {
		const void *data;
		size_t size;

		if (!mgmt_module(d->module, &data, &size) ||
		    (size && !(size % HOST_MEDIA_BLOCK)))
			continue;
		format(why, why_size, "module '%s' has %zu bytes, a disk has a multiple of %u",
		       d->module, size, HOST_MEDIA_BLOCK);
		return -EINVAL;
	}
	return 0;
}

int domain_devices_check(void *arg, const struct config_vm *c, char *why, size_t why_size)
{
	struct machine_row *row = heap_alloc((MACHINE_DEVICE_MAX + 1) * sizeof(*row));
	struct rows all = { row, 0, MACHINE_DEVICE_MAX + 1 };
	int e;

	(void)arg;
	if (!row) {
		str_copy(why, "no memory to look at it", why_size);
		return -ENOMEM;
	}
	fill(c, &all);
	e = machine_check_slots(row, all.count, why, why_size);
	heap_free(row);
	return e ?: check_sizes(c->disk, why, why_size) ?: check_sizes(c->cdrom, why, why_size);
}
