/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/virtio/virtio.c vdev/virtio/virtio_ring.c vdev/virtio/virtio_split.c
 * vdev/virtio/virtio_packed.c vdev/virtio/virtio_console.c vdev/virtio/virtio_balloon.c
 * lib/record.c tests/host/vdev_host.c */
/*
 * A virtio console with three ports, or a balloon, and a hostile driver: features, control
 * messages, page numbers, statistics, hints, buffers of any kind, rings that are bent, writes of
 * the configuration, the host's own wishes meanwhile, resets in mid-flight, loads of any bytes,
 * memory that is short. What a device may touch, the stand-in checks.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/host/virtio_driver.h"
#include "vdev/virtio/virtio_balloon.h"
#include "vdev/virtio/virtio_console.h"

#define SAVED_MAX	8192
#define QUEUES		4

struct input {
	const uint8_t *data;
	size_t size;
};

struct machine {
	bool balloon;
	struct virtio *v;
	struct vdev_host *h;
	struct driver queue[QUEUES];
};

static uint64_t take(struct input *in, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes && in->size; i++, in->size--)
		v |= (uint64_t)*in->data++ << 8 * i;
	return v;
}

static void make(struct machine *m, unsigned what)
{
	*m = (struct machine){ .balloon = what & 1 };
	if (m->balloon ? virtio_balloon_create(&m->v) : virtio_console_create(3, &m->v))
		abort();
	m->h = driver_attach(m->v);
	m->h->consoles = m->balloon ? 0 : what >> 1 & 7;
	m->v->dev.ops->reset(&m->v->dev);
}

static void load(struct machine *m, struct input *in)
{
	static uint8_t one[SAVED_MAX], two[SAVED_MAX];
	unsigned changes = (unsigned)take(in, 1) % 8;
	size_t n = vdev_host_save(&m->v->dev, one, sizeof(one));

	for (; changes; changes--)
		one[take(in, 2) % n] = (uint8_t)take(in, 1);
	if (vdev_host_load(&m->v->dev, one, n, 1))
		return;
	n = vdev_host_save(&m->v->dev, one, sizeof(one));
	if (vdev_host_load(&m->v->dev, one, n, 1) ||
	    vdev_host_save(&m->v->dev, two, sizeof(two)) != n || memcmp(one, two, n))
		abort();
}

/* Rings that lie over each other may be work for ever. */
static void work(struct machine *m)
{
	for (unsigned i = 0; i < 8 && m->h->work_queued; i++) {
		m->h->work_queued = 0;
		m->v->dev.ops->work(&m->v->dev);
	}
}

/* Four queues at the driver's places: the first ones, or those behind the first. */
static void bring_up(struct machine *m, struct input *in)
{
	unsigned what = (unsigned)take(in, 1), size = 1u << (what >> 5);
	uint64_t features = take(in, 1) | BIT(VIRTIO_VERSION_1);

	features |= what & 1 ? BIT(VIRTIO_PACKED) : 0;
	features |= what & 2 ? BIT(VIRTIO_EVENT_IDX) : 0;
	features |= what & 4 ? BIT(VIRTIO_INDIRECT) : 0;
	features |= what & 8 ? BIT(VIRTIO_RING_RESET) : 0;
	if (what & 16)
		features &= m->v->offered;
	if (!driver_negotiate(m->v, features))
		return;
	for (unsigned i = 0; i < QUEUES; i++)
		if (!driver_queue(&m->queue[i], m->v, i, size))
			abort();
	/* The last place is the last queue's, of the balloon: it tells of free pages. */
	if (m->balloon && what & 16) {
		struct virtio_queue *from = &m->v->queue[2], *to = &m->v->queue[4];

		to->s = from->s;
		to->ring = from->ring;
		from->s.enabled = from->live = false;
	}
	driver_start(m->v);
}

static void chain(struct machine *m, struct input *in)
{
	unsigned what = (unsigned)take(in, 1), place = what % QUEUES, n = 1 + (what >> 2) % 3;
	struct driver *d = &m->queue[place];
	struct driver_part p[3];
	uint64_t at = 0xd000 + (what >> 4) * 0x200;

	if (!d->v || n > d->size)
		return;
	for (unsigned i = 0; i < n; i++) {
		unsigned odd = (unsigned)take(in, 1);

		p[i] = (struct driver_part){
			.at = at + (odd & 1 ? take(in, 2) : 0),
			.size = odd & 2 ? (uint32_t)take(in, odd & 4 ? 4 : 2) : 8 + (odd >> 4) * 30,
			.write = odd & 8,
		};
		for (unsigned k = 0; k < 8; k++)
			m->h->memory[(at + k) % VDEV_HOST_MEMORY] = (uint8_t)take(in, 1) % 8;
		at += 0x80;
	}
	driver_add(d, p, n, take(in, 1) & 1);
}

static void poke(struct machine *m, struct input *in)
{
	unsigned what = (unsigned)take(in, 1), n = what % 8;
	uint64_t at = take(in, 2);

	if (what & 0x80)
		at = (what & 0x40 ? 0x1000 : what & 0x20 ? 0x2000 : 0x4000) + at % 64;
	for (unsigned i = 0; i < n; i++)
		m->h->memory[(at + i) % VDEV_HOST_MEMORY] = (uint8_t)take(in, 1);
}

/* What comes from outside. */
static void host(struct machine *m, struct input *in)
{
	struct virtio_balloon_info info;
	unsigned what = (unsigned)take(in, 1);
	struct vdev *d = &m->v->dev;

	if (!m->balloon) {
		m->h->input_medium = what % 3;
		m->h->input_count = m->h->input_taken = 0;
		vdev_host_type(m->h, what & 4 ? "short" : "rather longer than what a buffer has");
		m->h->accept = what & 8 ? what : ~0ul;
		return;
	}
	if (what & 1)
		virtio_balloon_target(d, (uint32_t)take(in, 1));
	if (what & 2)
		virtio_balloon_period(d, what >> 4);
	if (what & 4)
		virtio_balloon_hint(d);
	virtio_balloon_info(d, &info);
}

static void step(struct machine *m, struct input *in)
{
	switch (take(in, 1) % 12) {
	case 0:
		bring_up(m, in);
		break;
	case 1 ... 4:
		chain(m, in);
		break;
	case 5 ... 6:
		virtio_kick(m->v, (unsigned)take(in, 1) % 9);
		break;
	case 7:
		poke(m, in);
		break;
	case 8:
		virtio_config_write(m->v, take(in, 1) % 20, 1u << take(in, 1) % 4, take(in, 4));
		break;
	case 9:
		load(m, in);
		work(m);
		break;
	case 10:
		m->h->mem_interrupt = (unsigned)take(in, 1) % 4;
		host(m, in);
		break;
	case 11:
		vdev_host_advance(m->h, 20000000);
		work(m);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct machine m;

	make(&m, (unsigned)take(&in, 1));
	while (in.size)
		step(&m, &in);
	vdev_host_detach(m.h);
	return 0;
}
