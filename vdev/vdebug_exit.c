/* SPDX-License-Identifier: BSD-2-Clause */
/* See vdebug_exit.h. It has no state and takes no lock. */
#include "vdev/vdebug_exit.h"

static uint64_t vdebug_exit_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	(void)d, (void)region, (void)offset, (void)size;
	return 0;
}

static void vdebug_exit_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	(void)region, (void)offset;
	if (size < 4)
		value &= (1u << 8 * size) - 1;
	host_machine_request(d, HOST_REQUEST_DEBUG_EXIT, (uint32_t)value << 1 | 1);
}

static void vdebug_exit_reset(struct vdev *d)
{
	(void)d;
}

static void vdebug_exit_save(struct vdev *d, struct record_writer *w)
{
	(void)d, (void)w;
}

static int vdebug_exit_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	return version == d->ops->version ? record_finish(r) : -EINVAL;
}

static void vdebug_exit_destroy(struct vdev *d)
{
	host_free(d);
}

static const struct vdev_ops vdebug_exit_ops = {
	.name = "vdebug_exit", .version = 1, .read = vdebug_exit_read, .write = vdebug_exit_write,
	.reset = vdebug_exit_reset, .save = vdebug_exit_save, .load = vdebug_exit_load,
	.destroy = vdebug_exit_destroy,
};

int vdebug_exit_create(struct vdev **out)
{
	struct vdev *d = host_alloc(sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->ops = &vdebug_exit_ops;
	*out = d;
	return 0;
}
