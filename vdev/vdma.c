/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vdma.h. "8237A High Performance Programmable DMA Controller" data sheet; the mask reads back
 * as in later chipsets. A region is a controller. A port is a byte: of a wider access the rest
 * means nothing.
 */
#include "vdev/vdma.h"

#include "include/bits.h"

/* Behind four channels' addresses and counts, one after the other; not all that may be written. */
enum { CHANNELS = 8, MASK_ONE = 10, CLEAR_POINTER = 12, CLEAR_ALL, CLEAR_MASK, MASK_ALL };

#define MASKED		0x0f

struct controller {
	uint16_t value[CHANNELS];
	bool high;			/* which byte of them is next */
	uint8_t mask;
};

struct vdma {
	struct vdev dev;
	struct controller controller[2];
};

static struct vdma *vdma_of(struct vdev *d)
{
	return container_of(d, struct vdma, dev);
}

/* Where the next byte is. */
static unsigned take_shift(struct controller *c)
{
	c->high = !c->high;
	return c->high ? 0 : 8;
}

static uint64_t vdma_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	struct controller *c = &vdma_of(d)->controller[region];
	uint64_t flags = host_lock(d), v = 0, reg = offset >> region;

	(void)size;
	if (reg < CHANNELS)
		v = (uint8_t)(c->value[reg] >> take_shift(c));
	else if (reg == MASK_ALL)
		v = c->mask;
	host_unlock(d, flags);
	return v;
}

static void command(struct controller *c, unsigned reg, uint8_t v)
{
	uint8_t bit = (uint8_t)(1u << (v & 3));

	if (reg == MASK_ONE)
		c->mask = v & 4 ? c->mask | bit : c->mask & ~bit;
	if (reg == CLEAR_POINTER || reg == CLEAR_ALL)
		c->high = false;
	if (reg == CLEAR_ALL)
		c->mask = MASKED;
	if (reg == CLEAR_MASK || reg == MASK_ALL)
		c->mask = reg == MASK_ALL ? v & MASKED : 0;
}

static void vdma_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	struct controller *c = &vdma_of(d)->controller[region];
	uint64_t flags = host_lock(d), reg = offset >> region;
	unsigned shift;

	(void)size;
	if (reg < CHANNELS) {
		shift = take_shift(c);
		c->value[reg] &= (uint16_t)~(0xffu << shift);
		c->value[reg] |= (uint16_t)((value & 0xff) << shift);
	} else {
		command(c, (unsigned)reg, (uint8_t)value);
	}
	host_unlock(d, flags);
}

static void vdma_reset(struct vdev *d)
{
	uint64_t flags = host_lock(d);

	for (unsigned i = 0; i < 2; i++)
		vdma_of(d)->controller[i] = (struct controller){ .mask = MASKED };
	host_unlock(d, flags);
}

static void vdma_save(struct vdev *d, struct record_writer *w)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct controller *c = &vdma_of(d)->controller[i];

		record_put(w, c->value, sizeof(c->value));
		record_put_bool(w, c->high);
		record_put_u8(w, c->mask);
	}
}

static int vdma_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct controller c[2];
	uint64_t flags;

	for (unsigned i = 0; i < 2; i++) {
		record_get(r, c[i].value, sizeof(c[i].value));
		c[i].high = record_get_bool(r);
		c[i].mask = (uint8_t)record_get_below(r, 1, MASKED);
	}
	if (version != d->ops->version || record_finish(r))
		return -EINVAL;
	flags = host_lock(d);
	for (unsigned i = 0; i < 2; i++)
		vdma_of(d)->controller[i] = c[i];
	host_unlock(d, flags);
	return 0;
}

static void vdma_destroy(struct vdev *d)
{
	host_free(vdma_of(d));
}

static const struct vdev_ops vdma_ops = {
	.name = "vdma", .version = 1, .read = vdma_read, .write = vdma_write, .reset = vdma_reset,
	.save = vdma_save, .load = vdma_load, .destroy = vdma_destroy,
};

int vdma_create(struct vdev **out)
{
	struct vdma *m = host_alloc(sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->dev.ops = &vdma_ops;
	*out = &m->dev;
	return 0;
}
