/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vlpc.c vdev/vacpi.c vdev/vtco.c vdev/vpci*.c lib/record.c tests/host/vdev_host.c */
/*
 * The LPC bridge by configuration space, its register block, resets, and loads of any bytes. After
 * each input others were told what the registers say.
 */
#include "vdev/vlpc.h"

#include <stdlib.h>
#include <string.h>

#include "tests/host/vdev_host.h"
#include "vdev/vacpi.h"
#include "vdev/vpci.h"

static uint8_t routed[VLPC_PIRQS];

static void route(void *context, unsigned pirq, uint8_t irq)
{
	(void)context;
	if (pirq >= VLPC_PIRQS || (irq > 15 && irq != VLPC_NO_IRQ) || irq < 3)
		abort();
	routed[pirq] = irq;
}

static uint64_t get(struct vdev *bus, unsigned reg, unsigned size)
{
	return vdev_host_read(bus, VPCI_ECAM, VLPC_SLOT << 15 | reg, size);
}

static void check(struct vdev *bus, struct vdev *acpi)
{
	bool on = get(bus, VLPC_ACPI_CNTL, 1) & 0x80;
	uint64_t base = get(bus, VLPC_PMBASE, 2) & 0xff80;
	const struct vdev_host *a = acpi->host;

	if (a->region[VACPI_EVENT].enabled != (on && base))
		abort();
	if (on && base && a->region[VACPI_EVENT].base != base)
		abort();
	for (unsigned i = 0; i < VLPC_PIRQS; i++) {
		uint64_t v = get(bus, i < 4 ? 0x60 + i : 0x64 + i, 1);

		if (v & 0x80 ? routed[i] != VLPC_NO_IRQ
			     : routed[i] != VLPC_NO_IRQ && routed[i] != v)
			abort();
	}
}

static void access(struct vdev *bus, struct vdev *d, const uint8_t *in)
{
	unsigned size = 1u << (in[0] >> 4 & 3);
	uint64_t v;

	memcpy(&v, in + 2, sizeof(v));
	if ((in[0] & 7) == 0)
		d->ops->reset(d);
	else if ((in[0] & 7) == 1)
		vdev_host_read(d, VLPC_RCBA, v & 0x3ff8, size);
	else
		vdev_host_write(bus, VPCI_ECAM, VLPC_SLOT << 15 | (in[1] & ~(size - 1)), size, v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vlpc_config c = { .route = route };
	struct vdev *d;

	memset(routed, VLPC_NO_IRQ, sizeof(routed));
	if (vpci_create(&(struct vpci_config){ .bare = true }, &c.bus) || vacpi_create(&c.acpi))
		abort();
	vdev_host_attach(c.bus);
	vdev_host_attach(c.acpi);
	if (vlpc_create(&c, &d))
		abort();
	vdev_host_attach(d);
	if (size && data[0] & 1)
		vdev_host_load(d, data + 1, size - 1, 1);
	for (size_t i = 1; i + 10 <= size; i += 10)
		access(c.bus, d, data + i);
	check(c.bus, c.acpi);
	vdev_host_detach(d->host);
	vdev_host_detach(c.acpi->host);
	vdev_host_detach(c.bus->host);
	return 0;
}
