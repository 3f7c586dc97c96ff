/* SPDX-License-Identifier: BSD-2-Clause */
/* See vpci_port.h: the bridge, and the capabilities that a root port must have. */
#include "vdev/vpci_port.h"

#include "include/bits.h"
#include "vdev/vpci_express.h"
#include "vdev/vpci_msi.h"

#define PIN_LINE	0

struct vpci_port {
	struct vdev dev;
	struct vpci_bridge bridge;
};

static struct vpci_port *port_of(struct vdev *d)
{
	return container_of(d, struct vpci_port, dev);
}

struct vpci_function *vpci_port_function(struct vdev *d)
{
	return &port_of(d)->bridge.function;
}

static uint64_t port_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	(void)d, (void)region, (void)offset, (void)size;
	return ~0ul;			/* it has no BAR */
}

static void port_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	(void)d, (void)region, (void)offset, (void)size, (void)value;
}

static void port_reset(struct vdev *d)
{
	vpci_function_reset(vpci_port_function(d));
}

static void port_save(struct vdev *d, struct record_writer *w)
{
	vpci_function_save(vpci_port_function(d), w);
}

static int port_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vpci_saved saved;

	vpci_function_read(vpci_port_function(d), r, &saved);
	if (version != d->ops->version || record_finish(r))
		return -EINVAL;
	vpci_function_commit(vpci_port_function(d), &saved);
	return 0;
}

static void port_destroy(struct vdev *d)
{
	vpci_function_fini(vpci_port_function(d));
	host_free(port_of(d));
}

static const struct vdev_ops port_ops = {
	.name = "vpci_port", .version = 1, .read = port_read, .write = port_write,
	.reset = port_reset, .save = port_save, .load = port_load, .destroy = port_destroy,
};

int vpci_port_create(struct vdev **out)
{
	struct vpci_port *p = host_alloc(sizeof(*p));
	struct vpci_function *f;
	int err;

	if (!p)
		return -ENOMEM;
	p->dev.ops = &port_ops;
	vpci_bridge_init(&p->bridge, &p->dev, 0x1b36, 0x000c, 0);
	f = &p->bridge.function;
	vpci_function_pin(f, 1, PIN_LINE);
	err = vpci_express_init(f, VPCI_ROOT_PORT);
	err = err ?: vpci_express_power_init(f);
	err = err ?: vpci_msi_init(f, 1);
	if (err) {
		host_free(p);
		return err;
	}
	*out = &p->dev;
	return 0;
}
