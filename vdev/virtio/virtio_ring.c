/* SPDX-License-Identifier: BSD-2-Clause */
/* See virtio_ring.h: what both formats share. */
#include "vdev/virtio/virtio_ring.h"

#include "include/bits.h"
#include "lib/string.h"

/*
 * Drivers fill tables in order, so a few entries are read at once. Each serves one chain only.
 * Where chains are one entry that leads to a table, the ring's next ones are others'.
 */
int virtio_ring_fetch(struct virtio *v, struct virtio_queue *q, uint64_t table, unsigned count,
		      unsigned i)
{
	bool alone = table == q->s.desc && !q->chain.count && virtio_has(v, VIRTIO_INDIRECT);
	unsigned n = alone ? 1 : MIN(count - i, VIRTIO_WINDOW);
	int err;

	q->window_count = 0;
	err = virtio_ring_read(v, table + i * sizeof(q->window[0]), q->window,
			       n * sizeof(q->window[0]));
	if (unlikely(err))
		return err;
	q->window_table = table;
	q->window_first = i;
	q->window_count = n;
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

int virtio_chain_read_at(struct virtio *v, const struct virtio_chain *c, uint64_t offset,
			 void *dst, size_t n)
{
	uint8_t *to = dst;

	for (unsigned i = 0; n && i < c->readable; i++) {
		uint64_t skip = MIN(offset, c->segment[i].size);
		size_t part = MIN(c->segment[i].size - skip, n);
		int err = part ? host_mem_read(&v->dev, GPA(c->segment[i].at + skip), to, part) : 0;

		if (err)
			return err;
		offset -= skip;
		to += part;
		n -= part;
	}
	return n ? -EFAULT : 0;
}

int virtio_chain_write(struct virtio *v, const struct virtio_chain *c, const void *src, size_t n)
{
	const uint8_t *from = src;

	for (unsigned i = c->readable; n && i < c->count; i++) {
		size_t part = MIN(c->segment[i].size, n);
		int err = host_mem_write(&v->dev, GPA(c->segment[i].at), from, part);

		if (err)
			return err;
		from += part;
		n -= part;
	}
	return n ? -EFAULT : 0;
}
