/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/virtio/virtio.c vdev/virtio/virtio_ring.c vdev/virtio/virtio_split.c
 * vdev/virtio/virtio_packed.c vdev/virtio/virtio_net.c vdev/virtio/virtio_net_frame.c
 * vdev/virtio/virtio_net_filter.c vdev/vframe.c vdev/vinbox.c lib/record.c
 * tests/host/vdev_host.c */
/*
 * Two virtio network cards on a cable, both drivers hostile: features, headers and frames of any
 * kind, buffers of any kind for them, commands, rings that are bent, queues that somebody has, a
 * link that comes and goes, resets in mid-flight, loads of any bytes, memory that is short. What a
 * device may touch, the stand-in checks.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/host/virtio_driver.h"
#include "vdev/virtio/virtio_net.h"

#define SAVED_MAX	4096

struct input {
	const uint8_t *data;
	size_t size;
};

struct card {
	struct virtio *v;
	struct vdev_host *h;
	struct driver queue[3];
};

static const uint8_t macs[2][6] = { { 0x52, 0x54, 0, 0, 0, 1 }, { 0x52, 0x54, 0, 0, 0, 2 } };

static uint64_t take(struct input *in, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes && in->size; i++, in->size--)
		v |= (uint64_t)*in->data++ << 8 * i;
	return v;
}

static void make(struct card *c, unsigned which, unsigned pairs)
{
	*c = (struct card){ 0 };
	if (virtio_net_create(macs[which], pairs, &c->v))
		abort();
	c->h = driver_attach(c->v);
}

static void load(struct card *c, struct input *in)
{
	static uint8_t one[SAVED_MAX], two[SAVED_MAX];
	unsigned changes = (unsigned)take(in, 1) % 8;
	size_t n = vdev_host_save(&c->v->dev, one, sizeof(one));

	for (; changes; changes--)
		one[take(in, 2) % n] = (uint8_t)take(in, 1);
	if (vdev_host_load(&c->v->dev, one, n, 1))
		return;
	n = vdev_host_save(&c->v->dev, one, sizeof(one));
	if (vdev_host_load(&c->v->dev, one, n, 1) ||
	    vdev_host_save(&c->v->dev, two, sizeof(two)) != n || memcmp(one, two, n))
		abort();
}

/* Only those that are there and have what they need: the others are refused, and tried too. */
static void bring_up(struct card *c, struct input *in)
{
	uint64_t features = take(in, 3) | BIT(VIRTIO_VERSION_1);
	unsigned what = (unsigned)take(in, 1), size = 1u << (what >> 5);

	features |= what & 1 ? BIT(VIRTIO_PACKED) : 0;
	features |= what & 2 ? BIT(VIRTIO_EVENT_IDX) : 0;
	features |= what & 4 ? BIT(VIRTIO_INDIRECT) : 0;
	features |= what & 8 ? BIT(VIRTIO_RING_RESET) : 0;
	if (what & 16)
		features = (features & c->v->offered) | BIT(NET_CSUM) | BIT(NET_GUEST_CSUM) |
			   BIT(NET_CTRL_VQ);
	if (!driver_negotiate(c->v, features))
		return;
	for (unsigned i = 0; i < 3; i++)
		if (!driver_queue(&c->queue[i], c->v, i, size))
			abort();
	driver_start(c->v);
}

/* A header and the beginnings of a frame that may be right. */
static void put_frame(struct card *c, uint64_t at, struct input *in)
{
	static const uint8_t start[] = {
		0x52, 0x54, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1, 0x08, 0, 0x45, 0, 0, 0, 0, 0, 0, 0,
		0, 6, 0, 0,
	};
	unsigned what = (unsigned)take(in, 1);
	uint8_t *p = c->h->memory + at;

	p[0] = what & 1;
	p[1] = (uint8_t)(what & 2 ? 1 : what & 4 ? 4 : 0);
	put16(&c->queue[0], at + 4, (uint16_t)(what & 8 ? take(in, 2) : 100));
	put16(&c->queue[0], at + 6, (uint16_t)(what & 16 ? take(in, 2) : 34));
	put16(&c->queue[0], at + 8, (uint16_t)(what & 32 ? take(in, 1) : 16));
	memcpy(p + 12, start, sizeof(start));
	p[12 + 46] = 0x50;
	for (unsigned i = 0; i < what >> 6; i++)
		p[12 + take(in, 1) % 64] = (uint8_t)take(in, 1);
}

static void chain(struct card *c, struct input *in)
{
	unsigned what = (unsigned)take(in, 1), queue = what % 3, n = 1 + (what >> 2) % 5;
	struct driver *d = &c->queue[queue];
	struct driver_part p[5];
	uint64_t at = 0xc000 + (what >> 5) * 0x600;

	if (!d->v || n > d->size)
		return;
	if (queue == 1)
		put_frame(c, at, in);
	for (unsigned i = 0; i < n; i++) {
		unsigned odd = (unsigned)take(in, 1);

		p[i] = (struct driver_part){
			.at = at + (odd & 1 ? take(in, 2) : 0),
			.size = odd & 2 ? (uint32_t)take(in, odd & 4 ? 4 : 2) : 80,
			.write = (queue == 0) ^ !(odd & 0xf8) ^ (queue == 2 && i + 1 == n),
		};
		for (unsigned k = 0; queue == 2 && k < 4; k++)
			c->h->memory[(at + k) % VDEV_HOST_MEMORY] = (uint8_t)take(in, 1) % 8;
		at += p[i].size % 2000;
	}
	driver_add(d, p, n, take(in, 1) & 1);
}

static void poke(struct card *c, struct input *in)
{
	unsigned what = (unsigned)take(in, 1), n = what % 8;
	uint64_t at = take(in, 2);

	if (what & 0x80)
		at = (what & 0x40 ? 0x1000 : what & 0x20 ? 0x2000 : 0x4000) + at % 64;
	for (unsigned i = 0; i < n; i++)
		c->h->memory[(at + i) % VDEV_HOST_MEMORY] = (uint8_t)take(in, 1);
}

/* Somebody serves the queue, or does no more. */
static void hold(struct card *c, struct input *in)
{
	unsigned what = (unsigned)take(in, 1);
	struct virtio_queue *q = &c->v->queue[what % 2];

	if (what & 2) {
		q->turn = 1;
		return;
	}
	q->turn = 0;
	virtio_kick(c->v, what % 2);
}

static void release(struct card *c)
{
	for (unsigned i = 0; i < c->v->queue_count; i++)
		c->v->queue[i].turn = 0;
}

static void step(struct card *c, struct card *other, struct input *in)
{
	switch (take(in, 1) % 12) {
	case 0:
		release(c);			/* a reset waits for that */
		bring_up(c, in);
		break;
	case 1 ... 4:
		chain(c, in);
		break;
	case 5 ... 6:
		virtio_kick(c->v, (unsigned)take(in, 1) % 4);
		break;
	case 7:
		poke(c, in);
		break;
	case 8:
		hold(c, in);
		break;
	case 9:
		release(c);
		load(c, in);
		vdev_host_work(c->h);
		break;
	case 10:
		c->h->mem_interrupt = (unsigned)take(in, 1) % 4;
		c->h->peer = take(in, 1) % 8 ? other->h : NULL;
		c->v->dev.ops->media_link(&c->v->dev, 0);
		break;
	case 11:
		vdev_host_advance(c->h, 20000000);
		vdev_host_work(c->h);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct card card[2];

	make(&card[0], 0, 1 + (unsigned)take(&in, 1) % 2);
	make(&card[1], 1, 1);
	card[0].h->peer = card[1].h;
	card[1].h->peer = card[0].h;
	while (in.size) {
		unsigned which = (unsigned)take(&in, 1) & 1;

		step(&card[which], &card[!which], &in);
	}
	for (unsigned i = 0; i < 2; i++)
		vdev_host_detach(card[i].h);
	return 0;
}
