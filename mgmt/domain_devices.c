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

_Static_assert(CONFIG_SATA_PORTS == MACHINE_AHCI_PORTS && CONFIG_IDE_PORTS == MACHINE_IDE_PORTS,
	       "ports");

/* Controllers whose disks and discs are one row, the rows of those that have any in this order. */
static const struct {
	const char *class;
	unsigned ports;
} controllers[] = { { CONFIG_SATA, CONFIG_SATA_PORTS }, { CONFIG_IDE, CONFIG_IDE_PORTS } };
#define ALL_PORTS	(CONFIG_SATA_PORTS + CONFIG_IDE_PORTS)

/* What `debug_exit` stands for. */
static const struct machine_row debug_rows[] = {
	{ .class = "pc-testdev" }, { .class = "isa-debug-exit" },
};

/* Rows as they are made; those beyond `max` are left out. */
struct rows {
	struct machine_row *row;
	unsigned count, max;
};

static void add(struct rows *to, const struct config_device *d)
{
	if (to->count < to->max)
		to->row[to->count++] = (struct machine_row){
			.class = d->class, .slot = { d->bus, d->device, d->function },
		};
}

/* Of the disks and discs at that controller; NULL: there is none. */
static const struct config_device *first_at(const struct config_vm *c, const char *class)
{
	for (const struct config_device *d = c->disk; d; d = d->next)
		if (!strcmp(d->class, class))
			return d;
	for (const struct config_device *d = c->cdrom; d; d = d->next)
		if (!strcmp(d->class, class))
			return d;
	return NULL;
}

/* Those with a slot of their own, then the controllers that have anything; cards come last. */
static void fill(const struct config_vm *c, struct rows *to)
{
	for (const struct config_device *d = c->device; d; d = d->next)
		add(to, d);
	if (c->video)
		add(to, c->video);
	for (const struct config_device *d = c->disk; d; d = d->next)
		if (!config_ports(d))
			add(to, d);
	for (unsigned i = 0; i < ARRAY_COUNT(controllers); i++)
		if (first_at(c, controllers[i].class))
			add(to, first_at(c, controllers[i].class));
	if (c->channel)
		add(to, c->channel);
	for (const struct config_device *d = c->nic; d; d = d->next)
		add(to, d);
}

static unsigned count_of(const struct config_device *d)
{
	unsigned n = 0;

	for (; d; d = d->next)
		n++;
	return n;
}

/* What the cards want to know, for their rows. */
static void fill_nics(const struct config_vm *c, struct machine_row *row, struct media_nic *nic)
{
	for (const struct config_device *d = c->nic; d; d = d->next, row++, nic++) {
		str_copy(nic->cable, d->cable, sizeof(nic->cable));
		memcpy(nic->mac, d->mac, sizeof(nic->mac));
		row->properties = nic;
	}
}

/* Their consoles are the domain's: it has them when it starts. */
static void fill_channels(struct domain *d, struct machine_row *row, struct media_channel *channel)
{
	row->properties = channel;
	row->disks = CONFIG_SERIAL_PORTS;
	for (const struct config_device *c = d->live->channel; c; c = c->next) {
		struct media_channel *to = &channel[c->port];

		str_copy(to->name, c->channel, sizeof(to->name));
		to->arg = domain_channel(d, c->port);
		to->put = console_put;
		to->get = console_get;
	}
}

/* What its disks were written over, from one vm of the domain to the next. */
static int prepare_overlay(struct domain *d, unsigned i, uint64_t size, struct mgmt_error *err)
{
	if (!d->overlay)
		d->overlay = heap_alloc(count_of(d->live->disk) * sizeof(d->overlay[0]));
	if (d->overlay && (d->overlay[i] || !media_overlay_create(size, &d->overlay[i])))
		return 0;
	return error_set(err, -ENOMEM, "domain '%s': no memory for what is written to its disks: "
			 "end another one", d->live->name);
}

void domain_overlays_drop(struct domain *d, const struct config_vm *c)
{
	for (unsigned i = 0; d->overlay && i < count_of(c->disk); i++)
		media_overlay_put(d->overlay[i]);
	heap_free(d->overlay);
	d->overlay = NULL;
}

static int fill_image(struct domain *domain, const struct config_device *d, unsigned overlay,
		      struct media_image *image, struct mgmt_error *err)
{
	const struct config_vm *c = domain->live;
	const void *data;
	size_t size;
	int e;

	if (!d->module[0])
		return 0;
	if (!mgmt_module(d->module, &data, &size))
		return error_set(err, -ENOENT, "domain '%s': there is no module '%s' for its disks: "
				 "add it to the image", c->name, d->module);
	e = d->overlay ? prepare_overlay(domain, overlay, size, err) : 0;
	*image = (struct media_image){
		.name = d->module, .data = data, .size = size,
		.overlay = d->overlay && !e ? domain->overlay[overlay] : NULL,
	};
	return e;
}

/* The i-th drive, and what lies in it if nobody has changed that. */
static int fill_drive(struct domain *domain, const struct config_device *d, unsigned i,
		      struct media_image *image, struct mgmt_error *err)
{
	int e = fill_image(domain, d, 0, image, err);

	if (!e && domain_tray_get(domain, i, image, &image->tray))
		e = error_set(err, -ENOMEM, "domain '%s': no memory for its drives: end another one",
			      domain->live->name);
	return e;
}

/* Of a disk or disc at a port, among those of all controllers. */
static struct media_image *image_at(struct media_image *port, const struct config_device *d)
{
	for (unsigned i = 0; strcmp(controllers[i].class, d->class); i++)
		port += controllers[i].ports;
	return port + d->port;
}

/* The rows of controllers, which follow each other. */
static void fill_controllers(const struct config_vm *c, struct machine_row *row,
			     struct media_image *port)
{
	for (unsigned i = 0; i < ARRAY_COUNT(controllers); port += controllers[i++].ports)
		if (first_at(c, controllers[i].class)) {
			row->properties = port;
			row++->disks = controllers[i].ports;
		}
}

/* The images of the disks' rows; behind them those at ports. */
static int fill_images(struct domain *domain, struct machine_row *row, struct media_image *image,
		       struct mgmt_error *err)
{
	const struct config_vm *c = domain->live;
	struct media_image *port = image + count_of(c->disk);
	unsigned i = 0;
	int e = 0;

	for (const struct config_device *d = c->disk; d && !e; d = d->next, i++) {
		bool own = !config_ports(d);

		if (own) {
			row->properties = image;
			row++->disks = 1;
		}
		e = fill_image(domain, d, i, own ? image++ : image_at(port, d), err);
	}
	i = 0;
	for (const struct config_device *d = c->cdrom; d && !e; d = d->next, i++)
		e = fill_drive(domain, d, i, image_at(port, d), err);
	fill_controllers(c, row, port);
	return e;
}

struct machine_row *domain_devices_get(struct domain *d, unsigned *count, struct mgmt_error *err)
{
	const struct config_vm *c = d->live;
	unsigned devices = count_of(c->device) + count_of(c->video);
	unsigned disks = count_of(c->disk), nics = count_of(c->nic);
	unsigned rows = devices + disks + nics + ARRAY_COUNT(controllers) + 1;
	unsigned images = disks + ALL_PORTS;
	struct machine_row *row = heap_alloc((rows + ARRAY_COUNT(debug_rows)) * sizeof(*row) +
					     images * sizeof(struct media_image) +
					     CONFIG_SERIAL_PORTS * sizeof(struct media_channel) +
					     nics * sizeof(struct media_nic));
	struct media_image *image = (void *)(row + rows + ARRAY_COUNT(debug_rows));
	struct media_channel *channel = (void *)(image + images);
	struct rows all = { row, 0, rows };

	if (!row) {
		error_set(err, -ENOMEM, "domain '%s': no memory for its devices: end another one",
			  c->name);
		return NULL;
	}
	fill(c, &all);
	if (fill_images(d, row + devices, image, err)) {
		heap_free(row);
		return NULL;
	}
	*count = all.count;
	fill_nics(c, row + all.count - nics, (void *)(channel + CONFIG_SERIAL_PORTS));
	if (c->channel)
		fill_channels(d, row + all.count - nics - 1, channel);
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

		if (!d->module[0] || !mgmt_module(d->module, &data, &size) ||
		    (size && !(size % HOST_MEDIA_BLOCK)))
			continue;
		format(why, why_size, "module '%s' has %zu bytes, a disk has a multiple of %u",
		       d->module, size, HOST_MEDIA_BLOCK);
		return -EINVAL;
	}
	return 0;
}

/* The one without a slot, which has come last; it stays where it is put when others come. */
static struct config_device *unplaced(const struct config_vm *c)
{
	struct config_device *const list[] = {
		c->device, c->video, c->disk, c->channel, c->nic,
	};

	for (unsigned i = 0; i < ARRAY_COUNT(list); i++)
		for (struct config_device *d = list[i]; d; d = d->next)
			if (!d->placed)
				return d;
	return NULL;
}

static int place(const struct config_vm *c, const struct machine_row *row, unsigned n, char *why,
		 size_t why_size)
{
	struct config_device *d = unplaced(c);
	struct machine_slot s;

	if (!d)
		return 0;
	if (machine_slot_free(row, n, d == c->video ? MACHINE_SLOT_SCREEN : 0, &s)) {
		str_copy(why, "no slot is left on bus 0: name one behind a root port", why_size);
		return -ENOSPC;
	}
	d->placed = true;
	d->bus = s.bus;
	d->device = s.device;
	d->function = s.function;
	return 0;
}

int domain_devices_check(void *arg, struct config_vm *c, char *why, size_t why_size)
{
	struct machine_row *row = heap_alloc((MACHINE_SLOT_MAX + 1) * sizeof(*row));
	struct rows all = { row, 0, MACHINE_SLOT_MAX + 1 };
	int e;

	(void)arg;
	if (!row) {
		str_copy(why, "no memory to look at it", why_size);
		return -ENOMEM;
	}
	fill(c, &all);
	e = place(c, row, all.count, why, why_size);
	all.count = 0;
	fill(c, &all);
	if (!e)
		e = machine_slot_check(row, all.count, why, why_size);
	heap_free(row);
	return e ?: check_sizes(c->disk, why, why_size) ?: check_sizes(c->cdrom, why, why_size);
}
