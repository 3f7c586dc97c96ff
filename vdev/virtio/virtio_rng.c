/* SPDX-License-Identifier: BSD-2-Clause */
/* See virtio_rng.h. A request gets fewer bytes than it has room for when that is a lot. */
#include "vdev/virtio/virtio_rng.h"

#include "include/bits.h"

#define CHUNK		256u
#define REQUEST_MAX	4096u		/* bytes */
#define COST		8		/* of such a request: some 20,000 instructions */

static int fill(struct virtio *v, struct host_segment s, uint64_t n)
{
	uint8_t bytes[CHUNK];
	int err = 0;

	for (uint64_t at = 0; at < n && !err; at += CHUNK) {
		size_t part = MIN(n - at, (uint64_t)CHUNK);

		host_random(&v->dev, bytes, part);
		err = host_mem_write(&v->dev, GPA(s.at + at), bytes, part);
	}
	return err;
}

static int rng_serve(struct virtio *v, struct virtio_queue *q)
{
	const struct virtio_chain *c = &q->chain;
	uint64_t left = MIN(c->write_size, (uint64_t)REQUEST_MAX), written = left;
	int err = 0;

	for (unsigned i = c->readable; i < c->count && left && !err; i++) {
		uint64_t n = MIN(left, c->segment[i].size);

		err = fill(v, c->segment[i], n);
		left -= n;
	}
	return err ?: virtio_done(v, q, (uint32_t)written) ?: COST;
}

static void rng_reset(struct virtio *v)
{
	(void)v;
}

static const struct virtio_kind kind = {
	.name = "virtio-rng", .id = 4, .pci_id = 0x1005, .serve = rng_serve, .reset = rng_reset,
};

int virtio_rng_create(struct virtio **out)
{
	struct virtio *v = host_alloc(sizeof(*v));

	if (!v)
		return -ENOMEM;
	v->kind = &kind;
	v->queue_count = 1;
	if (virtio_init(v)) {
		host_free(v);
		return -ENOMEM;
	}
	*out = v;
	return 0;
}
