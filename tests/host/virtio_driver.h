/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver of virtio queues for tests of devices: lays a queue out in the stand-in's guest memory,
 * in either format, adds chains, sees what came back. What it writes a test may bend afterwards.
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "include/bits.h"
#include "tests/host/vdev_host.h"
#include "vdev/virtio/virtio.h"

#define DRIVER_DESC	0x1000u		/* of queue 0; the next ones follow at 0x3000 */
#define DRIVER_STRIDE	0x3000u
#define DRIVER_TABLES	0xb000u		/* indirect tables, 0x100 each */

struct driver_part {
	uint64_t at;
	uint32_t size;
	bool write;
};

struct driver {
	struct virtio *v;
	uint8_t *memory;
	bool is_packed, event;
	unsigned queue, size;
	uint16_t avail, used;
	bool avail_wrap, used_wrap;
	uint16_t free;			/* split: descriptors are taken in a circle */
	uint16_t slots[VIRTIO_QUEUE_SIZE];	/* packed: of a chain, by its id */
	uint16_t id;
};

static inline uint64_t driver_desc(const struct driver *d)
{
	return DRIVER_DESC + d->queue * DRIVER_STRIDE;
}

static inline uint64_t driver_ring(const struct driver *d)
{
	return driver_desc(d) + 0x1000;
}

static inline uint64_t device_ring(const struct driver *d)
{
	return driver_desc(d) + 0x1800;
}

static inline void put16(struct driver *d, uint64_t at, uint16_t v)
{
	memcpy(d->memory + at, &v, 2);
}

static inline uint16_t get16(const struct driver *d, uint64_t at)
{
	uint16_t v;

	memcpy(&v, d->memory + at, 2);
	return v;
}

static inline void put32(struct driver *d, uint64_t at, uint32_t v)
{
	memcpy(d->memory + at, &v, 4);
}

static inline uint32_t get32(const struct driver *d, uint64_t at)
{
	uint32_t v;

	memcpy(&v, d->memory + at, 4);
	return v;
}

static inline void put64(struct driver *d, uint64_t at, uint64_t v)
{
	memcpy(d->memory + at, &v, 8);
}

/* To FEATURES_OK; false: the device does not take them. */
static inline bool driver_negotiate(struct virtio *v, uint64_t features)
{
	virtio_status_write(v, 0);
	virtio_status_write(v, VIRTIO_ACKNOWLEDGE);
	virtio_status_write(v, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
	v->driver_select = 0;
	virtio_features_write(v, (uint32_t)features);
	v->driver_select = 1;
	virtio_features_write(v, (uint32_t)(features >> 32));
	virtio_status_write(v, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
	return v->status & VIRTIO_FEATURES_OK;
}

static inline bool driver_queue(struct driver *d, struct virtio *v, unsigned queue, unsigned size)
{
	struct virtio_queue *q;

	*d = (struct driver){
		.v = v, .memory = vdev_host_of(&v->dev)->memory, .queue = queue, .size = size,
		.is_packed = virtio_has(v, VIRTIO_PACKED), .event = virtio_has(v, VIRTIO_EVENT_IDX),
		.avail_wrap = true, .used_wrap = true,
	};
	memset(d->memory + driver_desc(d), 0, DRIVER_STRIDE);
	v->queue_select = (uint16_t)queue;
	q = virtio_selected(v);
	q->s.size = (uint16_t)size;
	q->s.desc = driver_desc(d);
	q->s.driver = driver_ring(d);
	q->s.device = device_ring(d);
	virtio_queue_enable(v);
	return q->s.enabled;
}

static inline void driver_start(struct virtio *v)
{
	virtio_status_write(v, v->status | VIRTIO_DRIVER_OK);
}

static inline void driver_entry(struct driver *d, uint64_t at, const struct driver_part *p,
				uint16_t w0, uint16_t w1)
{
	put64(d, at, p->at);
	put32(d, at + 8, p->size);
	put16(d, at + 12, w0);
	put16(d, at + 14, w1);
}

/* A table of them; returns the part that refers to it. */
static inline struct driver_part driver_table(struct driver *d, const struct driver_part *p,
					      unsigned n)
{
	uint64_t table = DRIVER_TABLES + d->id % 16 * 0x100;

	for (unsigned i = 0; i < n; i++) {
		uint16_t flags = (uint16_t)(p[i].write ? 2 : 0);

		if (d->is_packed)
			driver_entry(d, table + 16 * i, &p[i], 0, flags);
		else
			driver_entry(d, table + 16 * i, &p[i],
				     (uint16_t)(flags | (i + 1 < n ? 1 : 0)), (uint16_t)(i + 1));
	}
	return (struct driver_part){ table, 16 * n, false };
}

static inline uint16_t driver_add_split(struct driver *d, const struct driver_part *p, unsigned n,
					uint16_t extra)
{
	uint16_t head = d->free;

	for (unsigned i = 0; i < n; i++) {
		uint16_t at = d->free, next = (uint16_t)((at + 1) % d->size);
		uint16_t flags = (uint16_t)((p[i].write ? 2 : 0) | (i + 1 < n ? 1 : 0) | extra);

		driver_entry(d, driver_desc(d) + 16 * at, &p[i], flags, next);
		d->free = next;
	}
	put16(d, driver_ring(d) + 4 + 2 * (d->avail % d->size), head);
	d->avail++;
	put16(d, driver_ring(d) + 2, d->avail);
	return head;
}

static inline uint16_t driver_add_packed(struct driver *d, const struct driver_part *p, unsigned n,
					 uint16_t extra)
{
	uint64_t first = driver_desc(d) + 16 * d->avail + 14;
	uint16_t first_flags = 0, id = d->id % VIRTIO_QUEUE_SIZE;

	d->slots[id] = (uint16_t)n;
	for (unsigned i = 0; i < n; i++) {
		uint16_t flags = (uint16_t)((p[i].write ? 2 : 0) | (i + 1 < n ? 1 : 0) | extra |
					    (d->avail_wrap ? 0x80 : 0x8000));
		uint64_t at = driver_desc(d) + 16 * d->avail;

		driver_entry(d, at, &p[i], id, i ? flags : get16(d, at + 14));
		first_flags = i ? first_flags : flags;
		if (++d->avail == d->size) {
			d->avail = 0;
			d->avail_wrap = !d->avail_wrap;
		}
	}
	put16(d, first, first_flags);
	return id;
}

/* Makes a chain available; what the device will give back with it. No kick. */
static inline uint16_t driver_add(struct driver *d, const struct driver_part *p, unsigned n,
				  bool indirect)
{
	struct driver_part by;
	uint16_t r;

	d->id++;
	if (indirect) {
		by = driver_table(d, p, n);
		p = &by;
		n = 1;
	}
	r = d->is_packed ? driver_add_packed(d, p, n, indirect ? 4 : 0)
		      : driver_add_split(d, p, n, indirect ? 4 : 0);
	return r;
}

/* The next chain that came back; false: none. */
static inline bool driver_take(struct driver *d, uint16_t *id, uint32_t *written)
{
	uint64_t at = d->is_packed ? driver_desc(d) + 16 * d->used
				: device_ring(d) + 4 + 8 * (d->used % d->size);
	uint16_t flags;

	if (!d->is_packed) {
		if (get16(d, device_ring(d) + 2) == d->used)
			return false;
		*id = (uint16_t)get32(d, at);
		*written = get32(d, at + 4);
		d->used++;
		return true;
	}
	flags = get16(d, at + 14);
	if (!(flags & 0x80) == d->used_wrap || !(flags & 0x8000) == d->used_wrap)
		return false;
	*id = get16(d, at + 12);
	*written = get32(d, at + 8);
	d->used = (uint16_t)(d->used + d->slots[*id % VIRTIO_QUEUE_SIZE]);
	if (d->used >= d->size) {
		d->used = (uint16_t)(d->used - d->size);
		d->used_wrap = !d->used_wrap;
	}
	return true;
}

/* With the event index: the driver wants to hear of the entry behind the next `n`. */
static inline void driver_want(struct driver *d, unsigned n)
{
	unsigned at = d->used + n;

	if (!d->is_packed) {
		put16(d, driver_ring(d) + 4 + 2 * d->size, (uint16_t)at);
		return;
	}
	put16(d, driver_ring(d), (uint16_t)(at >= d->size ? (at - d->size) |
						(d->used_wrap ? 0 : 0x8000)
					    : at | (d->used_wrap ? 0x8000 : 0)));
	put16(d, driver_ring(d) + 2, 2);
}

/* Does the device want to be told of what was added since it was at `old`? */
static inline bool driver_must_kick(struct driver *d, uint16_t added)
{
	uint16_t event, flags;

	if (!d->event)
		return true;
	if (!d->is_packed) {
		event = get16(d, device_ring(d) + 4 + 8 * d->size);
		return (uint16_t)(d->avail - event - 1) < added;
	}
	event = get16(d, device_ring(d));
	flags = get16(d, device_ring(d) + 2);
	if (flags != 2)
		return flags != 1;
	if (!(event & 0x8000) == d->avail_wrap)
		event = (uint16_t)((event & 0x7fff) - d->size);
	else
		event &= 0x7fff;
	return (uint16_t)(d->avail - event - 1) < added;
}

/* ---- a device without a transport ---- */

struct virtio_test {
	unsigned interrupts, config_interrupts;
	bool no_dma;
};

static struct virtio_test virtio_test;

static inline void driver_interrupt(struct virtio *v, struct virtio_queue *q)
{
	(void)v;
	*(q ? &virtio_test.interrupts : &virtio_test.config_interrupts) += 1;
}

static inline bool driver_may_dma(const struct virtio *v)
{
	(void)v;
	return !virtio_test.no_dma;
}

static const struct virtio_transport driver_transport = {
	.interrupt = driver_interrupt, .may_dma = driver_may_dma,
};

static inline struct virtio *virtio_from(struct vdev *d)
{
	return container_of(d, struct virtio, dev);
}

static inline void driver_reset_op(struct vdev *d)
{
	virtio_reset(virtio_from(d));
}

static inline void driver_save_op(struct vdev *d, struct record_writer *w)
{
	virtio_save(virtio_from(d), w);
}

static inline int driver_load_op(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct virtio_saved *s;
	int err = version == d->ops->version ? virtio_load(virtio_from(d), r, &s) : -EINVAL;

	if (!err)
		virtio_commit(virtio_from(d), s);
	return err;
}

static inline void driver_destroy_op(struct vdev *d)
{
	free((void *)d->ops);
	virtio_destroy(virtio_from(d));
}

/* Gives a kind's device a host, as a transport would. */
static inline struct vdev_host *driver_attach(struct virtio *v)
{
	struct vdev_ops *ops = calloc(1, sizeof(*ops));

	*ops = (struct vdev_ops){
		.name = v->kind->name, .version = 1, .reset = driver_reset_op,
		.save = driver_save_op, .load = driver_load_op, .destroy = driver_destroy_op,
		.timer = virtio_timer, .work = virtio_work, .media_done = v->kind->media_done,
		.media_input = v->kind->media_input,
		.media_frame = v->kind->media_frame, .media_link = v->kind->media_link,
	};
	v->dev.ops = ops;
	v->transport = &driver_transport;
	virtio_test = (struct virtio_test){ 0 };
	return vdev_host_attach(&v->dev);
}
