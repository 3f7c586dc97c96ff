/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vpci.c lib/record.c tests/host/vdev_host.c */
/*
 * A PCI function with BARs of every kind, driven through configuration space and loaded with any
 * bytes. After each input the regions that the host was told are those that the registers say.
 */
#include "tests/host/vdev_toy.h"

#include <string.h>

#include "tests/host/vdev_host.h"

static void check_bars(struct vdev_host *h, const uint8_t *config)
{
	uint32_t bar;
	bool on = config[4] & 2;

	memcpy(&bar, config + 0x10, 4);
	bar &= ~0xfffu;
	if (h->region[1].enabled != (on && bar) || (on && bar && h->region[1].base != bar))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct toy *t = toy_create();
	struct vdev *bus;

	if (vpci_create(NULL, &bus))
		abort();
	vdev_host_attach(bus);
	vdev_host_attach(&t->dev);
	if (vpci_attach(bus, 1, 0, &t->function))
		abort();
	if (size && data[0] & 1) {
		vdev_host_load(&t->dev, data + 1, size - 1, 1);
	} else {
		for (size_t i = 1; i + 6 <= size; i += 6) {
			uint32_t v;

			memcpy(&v, data + i + 2, 4);
			vdev_host_write(bus, VPCI_ECAM, 1 << 15 | (data[i] & ~(data[i + 1] & 3)),
				1u << (data[i + 1] & 3), v);
		}
	}
	check_bars(t->dev.host, t->function.config);
	vdev_host_detach(t->dev.host);
	vdev_host_detach(bus->host);
	return 0;
}
