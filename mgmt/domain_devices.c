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

/* What `debug_exit` stands for. */
static const struct machine_row debug_rows[] = {
	{ .class = "pc-testdev" }, { .class = "isa-debug-exit" },
};

/* Those with a slot, at most `max`; disks come after others, cards last. */
static unsigned fill(const struct config_vm *c, struct machine_row *row, unsigned max)
{
	const struct config_device *const list[] = { c->device, c->disk, c->nic };
	unsigned n = 0;

	for (unsigned i = 0; i < ARRAY_COUNT(list); i++)
		for (const struct config_device *d = list[i]; d && n < max; d = d->next)
			row[n++] = (struct machine_row){
				.class = d->class, .slot = { d->bus, d->device, d->function },
			};
	return n;
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

/* The disks' images, for their rows. */
static int fill_images(struct domain *domain, struct machine_row *row, struct media_image *image,
		       struct mgmt_error *err)
{
	const struct config_vm *c = domain->live;
	unsigned i = 0;
	int e = 0;

	for (const struct config_device *d = c->disk; d && !e; d = d->next, row++, image++, i++) {
		const void *data;
		size_t size;

		if (!mgmt_module(d->module, &data, &size))
			return error_set(err, -ENOENT, "domain '%s': there is no module '%s' for "
					 "its disk: add it to the image", c->name, d->module);
		if (d->overlay)
			e = prepare_overlay(domain, i, size, err);
		*image = (struct media_image){
			.name = d->module, .data = data, .size = size,
			.overlay = d->overlay && !e ? domain->overlay[i] : NULL,
		};
		row->properties = image;
	}
	return e;
}

struct machine_row *domain_devices_get(struct domain *d, unsigned *count, struct mgmt_error *err)
{
	const struct config_vm *c = d->live;
	unsigned disks = count_of(c->disk), nics = count_of(c->nic);
	unsigned rows = count_of(c->device) + disks + nics;
	struct machine_row *row = heap_alloc((rows + ARRAY_COUNT(debug_rows)) * sizeof(*row) +
					     disks * sizeof(struct media_image) +
					     nics * sizeof(struct media_nic));
	struct media_image *image = (void *)(row + rows + ARRAY_COUNT(debug_rows));

	if (!row) {
		error_set(err, -ENOMEM, "domain '%s': no memory for its devices: end another one",
			  c->name);
		return NULL;
	}
	*count = fill(c, row, rows);
	if (fill_images(d, row + rows - nics - disks, image, err)) {
		heap_free(row);
		return NULL;
	}
	fill_nics(c, row + rows - nics, (void *)(image + disks));
	for (unsigned i = 0; c->debug_exit && i < ARRAY_COUNT(debug_rows); i++)
		row[(*count)++] = debug_rows[i];
	return row;
}

/* Whole sectors, and one at least. */
static int check_sizes(const struct config_vm *c, char *why, size_t why_size)
{
	for (const struct config_device *d = c->disk; d; d = d->next) {
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

/* The one without a slot, which has come last; it stays where it is put when others come. */
static struct config_device *unplaced(const struct config_vm *c)
{
	struct config_device *const list[] = { c->device, c->disk, c->nic };

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
	if (machine_slot_free(row, n, &s)) {
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
	unsigned n;
	int e;

	(void)arg;
	if (!row) {
		str_copy(why, "no memory to look at it", why_size);
		return -ENOMEM;
	}
	n = fill(c, row, MACHINE_SLOT_MAX + 1);
	e = place(c, row, n, why, why_size);
	if (!e)
		e = machine_slot_check(row, fill(c, row, n), why, why_size);
	heap_free(row);
	return e ?: check_sizes(c, why, why_size);
}
