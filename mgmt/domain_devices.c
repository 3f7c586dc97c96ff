/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The devices that a domain's configuration adds to its machine, as rows of that. Thread context;
 * no locks: the configuration is constant.
 */
#include "include/errno.h"
#include "lib/string.h"
#include "mgmt/domain_struct.h"
#include "mm/heap.h"

/* What `debug_exit` stands for. */
static const struct machine_row debug_rows[] = {
	{ .class = "pc-testdev" }, { .class = "isa-debug-exit" },
};

/* Those with a slot, at most `max`. */
static unsigned fill(const struct config_vm *c, struct machine_row *row, unsigned max)
{
	unsigned n = 0;

	for (const struct config_device *d = c->device; d && n < max; d = d->next)
		row[n++] = (struct machine_row){
			.class = d->class, .slot = { d->bus, d->device, d->function },
		};
	return n;
}

struct machine_row *domain_devices_get(const struct config_vm *c, unsigned *count)
{
	struct machine_row *row = heap_alloc((MACHINE_DEVICE_MAX + ARRAY_COUNT(debug_rows)) *
					     sizeof(*row));

	if (!row)
		return NULL;
	*count = fill(c, row, MACHINE_DEVICE_MAX);
	for (unsigned i = 0; c->debug_exit && i < ARRAY_COUNT(debug_rows); i++)
		row[(*count)++] = debug_rows[i];
	return row;
}

int domain_devices_check(void *arg, const struct config_vm *c, char *why, size_t why_size)
{
	struct machine_row *row = heap_alloc((MACHINE_DEVICE_MAX + 1) * sizeof(*row));
	int e;

	(void)arg;
	if (!row) {
		str_copy(why, "no memory to look at it", why_size);
		return -ENOMEM;
	}
	e = machine_check_slots(row, fill(c, row, MACHINE_DEVICE_MAX + 1), why, why_size);
	heap_free(row);
	return e;
}
