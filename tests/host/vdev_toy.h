/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PCI device of no use, for tests of vpci: a 32-bit memory BAR, a 64-bit one, an I/O
 * BAR, and a capability.
 */
#pragma once

#include <stdlib.h>

#include "include/bits.h"
#include "vdev/vpci.h"

struct toy {
	struct vdev dev;
	struct vpci_function function;
	unsigned capability, written, last;
};

static void toy_written(struct vpci_function *f, unsigned offset, unsigned size)
{
	struct toy *t = container_of(f, struct toy, function);

	(void)size;
	t->written++;
	t->last = offset;
}

static void toy_reset(struct vdev *d)
{
	(void)d;
}

static void toy_save(struct vdev *d, struct record_writer *w)
{
	vpci_function_save(&container_of(d, struct toy, dev)->function, w);
}

static int toy_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vpci_function *f = &container_of(d, struct toy, dev)->function;
	uint8_t config[VPCI_CONFIG_SIZE];

	vpci_function_read(f, r, config);
	if (version != d->ops->version || record_finish(r))
		return -EINVAL;
	vpci_function_commit(f, config);
	return 0;
}

static void toy_destroy(struct vdev *d)
{
	free(container_of(d, struct toy, dev));
}

static const struct vdev_ops toy_ops = {
	.name = "toy", .version = 1, .reset = toy_reset, .save = toy_save, .load = toy_load,
	.destroy = toy_destroy,
};

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
	t->capability = vpci_function_capability(f, 9, 16);
	f->writable[t->capability + 4] = 0xff;
	f->clear[t->capability + 5] = 0xff;
	f->config[t->capability + 5] = 0xf0;
	vpci_function_capability(f, 5, 24);
	f->written = toy_written;
	return t;
}
