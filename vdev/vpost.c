/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vpost.h. Single bytes that mean nothing need no lock: a torn wide access is the
 * guest's own affair.
 */
#include "vdev/vpost.h"

#include "lib/string.h"

#define PAGES	16

struct vpost {
	struct vdev dev;
	uint8_t page[PAGES];	/* the first is the POST code */
};

static struct vpost *vpost_of(struct vdev *d)
{
	return container_of(d, struct vpost, dev);
}

static uint64_t vpost_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	uint64_t v = 0;

	if (region == VPOST_DELAY)
		return ~0ul;
	for (unsigned i = 0; i < size && offset + i < PAGES; i++)
		v |= (uint64_t)READ_ONCE(vpost_of(d)->page[offset + i]) << 8 * i;
	return v;
}

static void vpost_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	if (region == VPOST_DELAY)
		return;
	for (unsigned i = 0; i < size && offset + i < PAGES; i++)
		WRITE_ONCE(vpost_of(d)->page[offset + i], (uint8_t)(value >> 8 * i));
}

static void vpost_reset(struct vdev *d)
{
	memset(vpost_of(d)->page, 0, PAGES);
}

static void vpost_save(struct vdev *d, struct record_writer *w)
{
	record_put(w, vpost_of(d)->page, PAGES);
}

static int vpost_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	uint8_t page[PAGES];

	record_get(r, page, sizeof(page));
	if (version != d->ops->version || record_finish(r))
		return -EINVAL;
	memcpy(vpost_of(d)->page, page, sizeof(page));
	return 0;
}

static void vpost_destroy(struct vdev *d)
{
	host_free(vpost_of(d));
}

static const struct vdev_ops vpost_ops = {
	.name = "vpost", .version = 1, .read = vpost_read, .write = vpost_write,
	.reset = vpost_reset,
	.save = vpost_save, .load = vpost_load, .destroy = vpost_destroy,
};

int vpost_create(struct vdev **out)
{
	struct vpost *p = host_alloc(sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->dev.ops = &vpost_ops;
	*out = &p->dev;
	return 0;
}
