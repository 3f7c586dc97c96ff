/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/virtio/virtio*.c vdev/vframe.c vdev/vinbox.c vdev/vpci*.c
 * lib/record.c tests/host/vdev_host.c */
/*
 * A virtio block or entropy device on PCI: accesses to its registers, messages and configuration
 * space, rings set up as a driver does and bent afterwards, requests, interruptions, media that
 * fail or are slow, resets in mid-flight, loads of any bytes; and the round trip of its saved form.
 * What a device may touch, the stand-in checks.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/host/virtio_driver.h"
#include "vdev/virtio/virtio_pci.h"
#include "vdev/vpci.h"

#define SAVED_MAX	8192

struct input {
	const uint8_t *data;
	size_t size;
};

struct machine {
	struct vdev *bus, *dev;
	unsigned kind;			/* 1: entropy, 2: a read-only disk, 4: none */
};

static uint64_t take(struct input *in, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes && in->size; i++, in->size--)
		v |= (uint64_t)*in->data++ << 8 * i;
	return v;
}

static struct machine make(unsigned kind)
{
	struct machine m = { .kind = kind };

	if (vpci_create(NULL, &m.bus) ||
	    (kind & 1 ? virtio_pci_rng_create(&m.dev) : virtio_pci_blk_create(2, &m.dev)))
		abort();
	vdev_host_attach(m.bus);
	vdev_host_attach(m.dev);
	vdev_host_of(m.dev)->disk_read_only = kind & 2;
	vdev_host_of(m.dev)->disk_absent = kind & 4;
	m.dev->ops->reset(m.dev);
	if (vpci_attach(m.bus, 0, 1, 0, virtio_pci_function(m.dev)))
		abort();
	return m;
}

static void drop(struct machine *m)
{
	vdev_host_detach(m->dev->host);
	vdev_host_detach(m->bus->host);
}

static void round_trip(const struct machine *m)
{
	static uint8_t one[SAVED_MAX], two[SAVED_MAX];
	struct machine fresh = make(m->kind);
	size_t n;

	vdev_host_finish(m->dev->host);		/* nothing is under way when a VM is saved */
	n = vdev_host_save(m->dev, one, sizeof(one));
	if (vdev_host_load(fresh.dev, one, n, m->dev->ops->version))
		abort();
	if (vdev_host_save(fresh.dev, two, sizeof(two)) != n || memcmp(one, two, n))
		abort();
	drop(&fresh);
}

static void load(struct machine *m, struct input *in)
{
	static uint8_t saved[SAVED_MAX];
	unsigned changes = (unsigned)take(in, 1) % 8;
	size_t n;

	vdev_host_finish(m->dev->host);
	n = vdev_host_save(m->dev, saved, sizeof(saved));
	for (; changes && n; changes--)
		saved[take(in, 2) % n] = (uint8_t)take(in, 1);
	if (!vdev_host_load(m->dev, saved, n, m->dev->ops->version))
		round_trip(m);
}

static void access(struct machine *m, struct input *in)
{
	unsigned what = (unsigned)take(in, 1), size = 1u << (what >> 2 & 3);
	bool write = what & 1, config = what & 2;
	uint64_t at = take(in, 2);

	if (config) {
		at = (at & 0xfff & ~(uint64_t)(size - 1)) | 1 << 15;
		if (write)
			vdev_host_write(m->bus, VPCI_ECAM, at, size, take(in, size));
		else
			vdev_host_read(m->bus, VPCI_ECAM, at, size);
		return;
	}
	if (what & 0x10)
		at = (at & 0x3f) | (at & 0x3000);
	if ((what & 0xc0) == 0xc0) {
		at = (at & 127) & ~(uint64_t)(size - 1);
		if (write)
			vdev_host_write(m->dev, VIRTIO_PCI_PORTS, at, size, take(in, size));
		else
			vdev_host_read(m->dev, VIRTIO_PCI_PORTS, at, size);
		return;
	}
	at %= what & 0x20 ? 4096 - size + 1 : VIRTIO_PCI_SIZE - size + 1;
	if (write)
		vdev_host_write(m->dev, what & 0x20 ? VIRTIO_PCI_MESSAGES : VIRTIO_PCI_REGISTERS,
				at, size, take(in, size));
	else
		vdev_host_read(m->dev, what & 0x20 ? VIRTIO_PCI_MESSAGES : VIRTIO_PCI_REGISTERS,
			       at, size);
}

static void bring_up(struct machine *m, struct driver *d, struct input *in)
{
	struct virtio *v = container_of(m->dev, struct virtio, dev);
	unsigned what = (unsigned)take(in, 1);
	uint64_t features = BIT(VIRTIO_VERSION_1);

	vdev_host_write(m->bus, VPCI_ECAM, 1 << 15 | 4, 2, 6);
	features |= what & 1 ? BIT(VIRTIO_PACKED) : 0;
	features |= what & 2 ? BIT(VIRTIO_EVENT_IDX) : 0;
	features |= what & 4 ? BIT(VIRTIO_INDIRECT) : 0;
	features |= what & 8 ? BIT(VIRTIO_RING_RESET) : 0;
	if (!driver_negotiate(v, features))
		abort();
	if (!driver_queue(d, v, 0, what & 1 ? 1 + (what >> 4) : 1u << (what >> 4 & 7)))
		abort();
	driver_start(v);
}

static void request(struct driver *d, struct input *in)
{
	struct driver_part p[6];
	unsigned n = 1 + (unsigned)take(in, 1) % 6;
	uint64_t at = 0xc000;

	if (!d->v || n > d->size)
		return;
	put32(d, at, (uint32_t)take(in, 1) % 15);
	put64(d, at + 8, take(in, 1));
	for (unsigned i = 0; i < n; i++) {
		unsigned what = (unsigned)take(in, 1);

		p[i] = (struct driver_part){
			.at = at + (what & 1 ? take(in, 2) : 0),
			.size = what & 2 ? (uint32_t)take(in, 4) : what & 4 ? 512 : 16,
			.write = what & 8,
		};
		at += 512;
	}
	driver_add(d, p, n, take(in, 1) & 1);
}

/* Bytes anywhere, or in the rings. */
static void poke(struct machine *m, struct input *in)
{
	struct vdev_host *h = m->dev->host;
	unsigned what = (unsigned)take(in, 1), n = what % 8;
	uint64_t at = take(in, 2);

	if (what & 0x80)
		at = (what & 0x40 ? 0x1000 : what & 0x20 ? 0x2000 : 0x2800) + at % 64;
	for (unsigned i = 0; i < n; i++)
		h->memory[(at + i) % VDEV_HOST_MEMORY] = (uint8_t)take(in, 1);
}

static void surroundings(struct machine *m, struct input *in)
{
	static const int errors[] = { 0, 0, -EIO, -ENOMEM, -EPERM, -EINTR, -EAGAIN, -EFAULT };
	struct vdev_host *h = m->dev->host;
	unsigned what = (unsigned)take(in, 1);

	h->disk_error = errors[what & 7];
	h->disk_late = what & 8;
	h->mem_interrupt = what >> 4 & 3;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct driver d = { 0 };
	struct machine m = make((unsigned)take(&in, 1) & 7);
	struct vdev_host *h = m.dev->host;

	while (in.size) {
		switch (take(&in, 1) % 16) {
		case 0 ... 2:
			access(&m, &in);
			break;
		case 3:
			bring_up(&m, &d, &in);
			break;
		case 4 ... 6:
			request(&d, &in);
			break;
		case 7 ... 8:
			poke(&m, &in);
			break;
		case 9 ... 10:
			vdev_host_write(m.dev, VIRTIO_PCI_REGISTERS,
					VIRTIO_PCI_NOTIFY + take(&in, 1) % 3 * 4, 2, 0);
			break;
		case 11:
			surroundings(&m, &in);
			break;
		case 12:
			vdev_host_advance(h, 20000000);
			for (unsigned i = 0; i < 8 && h->work_queued; i++) {
				h->work_queued = 0;
				m.dev->ops->work(m.dev);
			}
			break;
		case 13:
			vdev_host_finish(h);
			break;
		case 14:
			load(&m, &in);
			break;
		case 15:
			if (take(&in, 1) & 1)
				m.dev->ops->reset(m.dev);
			break;
		}
	}
	h->disk_error = 0;
	h->mem_interrupt = 0;
	round_trip(&m);
	drop(&m);
	return 0;
}
