/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vmch.c vdev/vpci*.c lib/record.c tests/host/vdev_host.c */
/*
 * The host bridge by configuration space, its shadow region, resets, and loads of any bytes. After
 * each input the host shows what the registers say.
 */
#include "vdev/vmch.h"

#include <stdlib.h>
#include <string.h>

#include "tests/host/vdev_host.h"
#include "vdev/vpci.h"

static unsigned wanted(struct vdev *bus, unsigned piece)
{
	unsigned at = piece == HOST_SHADOW_BIOS ? 0x90 : 0x91 + piece / 2;
	unsigned v = (unsigned)vdev_host_read(bus, VPCI_ECAM, at, 1);

	return piece == HOST_SHADOW_BIOS || piece % 2 ? v >> 4 & 3 : v & 3;
}

static void check(struct vdev *bus, struct vdev_host *h)
{
	unsigned smram = (unsigned)vdev_host_read(bus, VPCI_ECAM, VMCH_SMRAM, 1);
	const struct vdev_host *b = bus->host;

	for (unsigned i = 0; i <= HOST_SHADOW_BIOS; i++)
		if (h->shadow[i] != wanted(bus, i))
			abort();
	if (h->shadow[HOST_SHADOW_SCREEN] != ((smram & 0x68) == 0x48 ? 3 : 0))
		abort();
	if (b->region[VPCI_ECAM].enabled &&
	    (b->region[VPCI_ECAM].base & (b->region[VPCI_ECAM].size - 1)))
		abort();
}

static void access(struct vdev *bus, struct vdev *d, const uint8_t *in)
{
	unsigned size = 1u << (in[0] >> 4 & 3);
	uint64_t v;

	memcpy(&v, in + 2, sizeof(v));
	if ((in[0] & 7) == 0)
		d->ops->reset(d);
	else if ((in[0] & 7) == 1)
		vdev_host_write(d, VMCH_SHADOW, (v >> 8 & 0x3fff8), size, v);
	else
		vdev_host_write(bus, VPCI_ECAM, in[1] & ~(size - 1), size, v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmch_config c = { .shadow = true };
	struct vdev *bus, *d;

	if (vpci_create(&(struct vpci_config){ .bare = true }, &bus))
		abort();
	vdev_host_attach(bus);
	c.bus = bus;
	if (vmch_create(&c, &d))
		abort();
	vdev_host_attach(d);
	if (size && data[0] & 1)
		vdev_host_load(d, data + 1, size - 1, 1);
	for (size_t i = 1; i + 10 <= size; i += 10)
		access(bus, d, data + i);
	check(bus, d->host);
	vdev_host_detach(d->host);
	vdev_host_detach(bus->host);
	return 0;
}
