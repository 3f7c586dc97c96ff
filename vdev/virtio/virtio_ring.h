/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two formats of a queue's memory, each a row of functions; for vdev/virtio/ alone. The
 * queue's owner calls them. Every word of a ring is read once and copied, then checked. Errors:
 * -EIO: the ring is bent; -EINTR, -ENOMEM: it cannot be reached now, nothing has changed.
 */
#pragma once

#include "vdev/virtio/virtio.h"

struct virtio_ring {
	unsigned align_desc, align_driver, align_device;
	/* 1: q->chain is the next one, and stays on the ring; 0: there is none. */
	int (*next)(struct virtio *v, struct virtio_queue *q);
	void (*take)(struct virtio_queue *q);
	int (*push)(struct virtio *v, struct virtio_queue *q, uint16_t id, uint16_t slots,
		    uint32_t written);
	/* The next push is for what lies behind so many slots. */
	void (*skip)(struct virtio_queue *q, uint16_t slots);
	/* What was pushed can be seen by the driver; 1: it wants an interrupt for it. */
	int (*publish)(struct virtio *v, struct virtio_queue *q);
	/* The driver tells of what it adds from here on; 1: it has added something already. */
	int (*arm)(struct virtio *v, struct virtio_queue *q);
	/* Places as a driver that has just enabled the queue expects them. */
	void (*start)(struct virtio_queue_state *s);
	/* Of a saved state. */
	bool (*is_sane)(const struct virtio_queue_state *s);
};

extern const struct virtio_ring virtio_split_ring, virtio_packed_ring;

enum { DESCRIPTOR_NEXT = 1, DESCRIPTOR_WRITE = 2, DESCRIPTOR_INDIRECT = 4 };

/* Guest memory of the ring itself: where that is no memory, the ring is bent. */
static inline int must_check virtio_ring_read(struct virtio *v, uint64_t at, void *dst, size_t n)
{
	int err = host_mem_read(&v->dev, GPA(at), dst, n);

	return likely(!err) ? 0 : err == -EFAULT ? -EIO : err;
}

static inline int must_check virtio_ring_write(struct virtio *v, uint64_t at, const void *src,
					       size_t n)
{
	int err = host_mem_write(&v->dev, GPA(at), src, n);

	return likely(!err) ? 0 : err == -EFAULT ? -EIO : err;
}

/* Reads entry `i` and some behind it. */
int virtio_ring_fetch(struct virtio *v, struct virtio_queue *q, uint64_t table, unsigned count,
		      unsigned i) must_check;

/* Entry `i` of a table of `count`; NULL with the error in *err. Good until the next call. */
static inline const struct virtio_descriptor *virtio_ring_entry(struct virtio *v,
								struct virtio_queue *q,
								uint64_t table, unsigned count,
								unsigned i, int *err)
{
	if (q->window_table != table || i - q->window_first >= q->window_count) {
		*err = virtio_ring_fetch(v, q, table, count, i);
		if (unlikely(*err))
			return NULL;
	}
	return &q->window[i - q->window_first];
}

/* A chain begins. */
static inline void virtio_ring_begin(struct virtio_queue *q)
{
	struct virtio_chain *c = &q->chain;

	q->window_count = 0;
	c->slots = c->descriptors = c->readable = c->count = 0;
	c->read_size = c->write_size = 0;
}

/* One more part of it. */
static inline int must_check virtio_ring_add(struct virtio_queue *q,
					     const struct virtio_descriptor *d, bool write)
{
	struct virtio_chain *c = &q->chain;

	if (unlikely(c->descriptors++ >= q->s.size || (!write && c->count > c->readable)))
		return -EIO;
	if (unlikely(!d->size))
		return 0;
	c->segment[c->count++] = (struct host_segment){ d->at, d->size };
	if (write) {
		c->write_size += d->size;
	} else {
		c->readable = c->count;
		c->read_size += d->size;
	}
	return 0;
}

/* How many entries the table has that the descriptor refers to; 0: it is not right. */
unsigned virtio_ring_indirect(const struct virtio *v, const struct virtio_descriptor *d);

/* Does the driver want to be told: has `used`, by `pushed` steps, gone past what it waits for? */
static inline bool virtio_ring_passed(uint16_t event, uint16_t used, uint16_t pushed)
{
	return (uint16_t)(used - event - 1) < pushed;
}

/* Store, then load: others see the store before we load. */
static inline void virtio_ring_fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}
