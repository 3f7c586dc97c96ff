/* SPDX-License-Identifier: BSD-2-Clause */
/* See vpvpanic.h. */
#include "vdev/vpvpanic.h"

#define PANICKED	1u
#define CRASH_LOADED	2u

/* Which events are understood. */
static uint64_t vpvpanic_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	(void)d, (void)region, (void)offset, (void)size;
	return PANICKED | CRASH_LOADED;
}

static void vpvpanic_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	(void)region, (void)offset, (void)size;
	if (value & PANICKED)
		host_machine_request(d, HOST_REQUEST_PANIC, 0);
	else if (value & CRASH_LOADED)
		host_machine_request(d, HOST_REQUEST_CRASH_LOADED, 0);
}

static void vpvpanic_reset(struct vdev *d)
{
	(void)d;
}

static void vpvpanic_save(struct vdev *d, struct record_writer *w)
{
	(void)d, (void)w;
}

static int vpvpanic_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	return version == d->ops->version ? record_finish(r) : -EINVAL;
}

static void vpvpanic_destroy(struct vdev *d)
{
	host_free(d);
}

static const struct vdev_ops vpvpanic_ops = {
	.name = "vpvpanic", .version = 1, .read = vpvpanic_read, .write = vpvpanic_write,
	.reset = vpvpanic_reset, .save = vpvpanic_save, .load = vpvpanic_load,
	.destroy = vpvpanic_destroy,
};

int vpvpanic_create(struct vdev **out)
{
	struct vdev *d = host_alloc(sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->ops = &vpvpanic_ops;
	*out = d;
	return 0;
}
