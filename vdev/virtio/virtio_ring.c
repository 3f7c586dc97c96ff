/* SPDX-License-Identifier: BSD-2-Clause */
/* See virtio_ring.h: what both formats share. */
#include "vdev/virtio/virtio_ring.h"

#include "include/bits.h"
#include "lib/string.h"

int virtio_ring_read(struct virtio *v, uint64_t at, void *dst, size_t n)
{
	int err = host_mem_read(&v->dev, GPA(at), dst, n);

	return likely(!err) ? 0 : err == -EFAULT ? -EIO : err;
}

int virtio_ring_write(struct virtio *v, uint64_t at, const void *src, size_t n)
{
	int err = host_mem_write(&v->dev, GPA(at), src, n);

	return likely(!err) ? 0 : err == -EFAULT ? -EIO : err;
}

/* Drivers fill tables in order: a few entries are read at once, and each serves one chain only. */
const struct virtio_descriptor *virtio_ring_entry(struct virtio *v, struct virtio_queue *q,
						  uint64_t table, unsigned count, unsigned i,
						  int *err)
{
	if (q->window_table != table || i - q->window_first >= q->window_count) {
		unsigned n = MIN(count - i, VIRTIO_WINDOW);

		q->window_count = 0;
		*err = virtio_ring_read(v, table + i * sizeof(q->window[0]), q->window,
					n * sizeof(q->window[0]));
		if (unlikely(*err))
			return NULL;
		q->window_table = table;
		q->window_first = i;
		q->window_count = n;
	}
	return &q->window[i - q->window_first];
}

void virtio_ring_begin(struct virtio_queue *q)
{
	struct virtio_chain *c = &q->chain;

	q->window_count = 0;
	c->slots = c->descriptors = c->readable = c->count = 0;
	c->read_size = c->write_size = 0;
}

int virtio_ring_add(struct virtio_queue *q, const struct virtio_descriptor *d, bool write)
{
	struct virtio_chain *c = &q->chain;

	if (unlikely(c->descriptors++ >= q->s.size || (!write && c->count > c->readable)))
		return -EIO;
	if (!d->size)
		return 0;
	c->segment[c->count++] = (struct host_segment){ d->at, d->size };
	c->readable = write ? c->readable : c->count;
	*(write ? &c->write_size : &c->read_size) += d->size;
	return 0;
}

unsigned virtio_ring_indirect(const struct virtio *v, const struct virtio_descriptor *d)
{
	unsigned n = d->size / (unsigned)sizeof(*d);

	return virtio_has(v, VIRTIO_INDIRECT) && !(d->size % sizeof(*d)) && n <= 0xffff ? n : 0;
}

int virtio_chain_read(struct virtio *v, const struct virtio_chain *c, void *dst, size_t n)
{
	uint8_t *to = dst;

	for (unsigned i = 0; n && i < c->readable; i++) {
		size_t part = MIN(c->segment[i].size, n);
		int err = host_mem_read(&v->dev, GPA(c->segment[i].at), to, part);

		if (err)
			return err;
		to += part;
		n -= part;
	}
	return n ? -EFAULT : 0;
}
