/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PCI device of no use, for tests of vpci: a 32-bit memory BAR, a 64-bit one, an I/O BAR, one
 * with MSI-X's table, a pin, and capabilities: one of its own, MSI, MSI-X, power management, PCI
 * Express.
 */
#pragma once

#include <stdlib.h>

#include "include/bits.h"
#include "vdev/vpci.h"
#include "vdev/vpci_express.h"
#include "vdev/vpci_msi.h"

#define TOY_MSIS	4
#define TOY_MESSAGES	70
#define TOY_TABLE	0x1000		/* of MSI-X, in BAR 5, and the pending bits */
#define TOY_PBA		0x800
#define TOY_LINE	2
#define TOY_TABLE_REGION 4

struct toy {
	struct vdev dev;
	struct vpci_function function;
	unsigned capability, written, last, resets, readings;
};

static struct toy *toy_of(struct vdev *d)
{
	return container_of(d, struct toy, dev);
}

static void toy_written(struct vpci_function *f, unsigned offset, unsigned size)
{
	struct toy *t = container_of(f, struct toy, function);

	(void)size;
	t->written++;
	t->last = offset;
}

/* The last register of its own capability counts how often one of it was read. */
static void toy_reading(struct vpci_function *f, unsigned offset, unsigned size)
{
	struct toy *t = container_of(f, struct toy, function);

	(void)size;
	if (offset - t->capability < 16)
		vpci_function_put(f, t->capability + 12, 4, ++t->readings);
}

static uint64_t toy_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	return region == TOY_TABLE_REGION ? vpci_msix_read(&toy_of(d)->function, offset, size) : 0;
}

static void toy_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	if (region == TOY_TABLE_REGION)
		vpci_msix_write(&toy_of(d)->function, offset, size, value);
}

static void toy_reset(struct vdev *d)
{
	toy_of(d)->resets++;
	vpci_function_reset(&toy_of(d)->function);
}

static void toy_save(struct vdev *d, struct record_writer *w)
{
	vpci_function_save(&toy_of(d)->function, w);
}

static int toy_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vpci_function *f = &toy_of(d)->function;
	struct vpci_saved saved;

	vpci_function_read(f, r, &saved);
	if (version != d->ops->version || record_finish(r))
		return -EINVAL;
	vpci_function_commit(f, &saved);
	return 0;
}

static void toy_destroy(struct vdev *d)
{
	vpci_function_fini(&toy_of(d)->function);
	free(toy_of(d));
}

static const struct vdev_ops toy_ops = {
	.name = "toy", .version = 1, .read = toy_read, .write = toy_write, .reset = toy_reset,
	.save = toy_save, .load = toy_load, .destroy = toy_destroy,
};

static void toy_add_capabilities(struct toy *t)
{
	struct vpci_function *f = &t->function;

	t->capability = vpci_function_capability(f, 9, 16);
	f->writable[t->capability + 4] = 0xff;
	f->clear[t->capability + 5] = 0xff;
	f->config[t->capability + 5] = 0xf0;
	if (vpci_msi_init(f, TOY_MSIS) || vpci_msix_init(f, TOY_MESSAGES, 5, TOY_TABLE, TOY_PBA) ||
	    vpci_express_power_init(f) || vpci_express_init(f, VPCI_ENDPOINT))
		abort();
}

static struct toy *toy_create(void)
{
	struct toy *t = calloc(1, sizeof(*t));
	struct vpci_function *f = &t->function;

	t->dev.ops = &toy_ops;
	vpci_function_init(f, &t->dev, 0x1af4, 0x1042, 0x01800001, 0x1af4, 0x0042);
	vpci_function_bar(f, 0, (struct vpci_bar){ .size = 0x1000, .space = HOST_MMIO,
		.region = 1 });
	vpci_function_bar(f, 2, (struct vpci_bar){ .size = 8 * GIB, .space = HOST_MMIO,
		.wide = true, .prefetch = true,
		.region = 2 });
	vpci_function_bar(f, 4, (struct vpci_bar){ .size = 32, .space = HOST_PORT, .region = 3 });
	vpci_function_bar(f, 5, (struct vpci_bar){ .size = 0x4000, .space = HOST_MMIO,
		.region = TOY_TABLE_REGION });
	vpci_function_pin(f, 1, TOY_LINE);
	toy_add_capabilities(t);
	f->written = toy_written;
	f->reading = toy_reading;
	return t;
}
