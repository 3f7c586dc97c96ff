/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vpci*.c lib/record.c tests/host/vdev_host.c */
/*
 * PCI functions with BARs of every kind, messages and a pin, one on bus 0 and one behind a root
 * port, driven through configuration space, their tables of messages and the device's own doings,
 * and loaded with any bytes. After each step what the host was told is what the registers say: no
 * BAR answers that a bridge keeps away, nothing is master without its bridge.
 */
#include "tests/host/vdev_toy.h"

#include <string.h>

#include "tests/host/vdev_host.h"
#include "vdev/vpci_port.h"

#define SAVED_MAX	4096

static struct vdev *bus, *port;
static struct toy *toy[2];		/* on bus 0, and behind the port */

static uint32_t get32(const struct vpci_function *f, unsigned at)
{
	uint32_t v;

	memcpy(&v, f->config + at, 4);
	return v;
}

/* The memory window of 32 bits alone: fuzzed BARs of 4 KiB that the other holds are let pass. */
static bool bridge_lets(const struct vpci_function *p, uint64_t base)
{
	uint64_t first = (uint64_t)(get32(p, 0x20) & 0xfff0) << 16;
	uint64_t last = (get32(p, 0x20) & 0xfff00000) | 0xfffffu;
	uint64_t first2 = (uint64_t)(get32(p, 0x24) & 0xfff0) << 16 |
		(uint64_t)get32(p, 0x28) << 32;
	uint64_t last2 = (get32(p, 0x24) & 0xfff00000) | 0xfffffu | (uint64_t)get32(p, 0x2c) << 32;
	bool holds = (base >= first && base + 0xfff <= last) ||
		(base >= first2 && base + 0xfff <= last2);

	return p->config[4] & 2 && !(p->config[0x3e] & 0x40) && !(p->config[p->power + 4] & 3) &&
		holds;
}

static void check(const struct toy *t, bool behind)
{
	const struct vpci_function *f = &t->function, *p = vpci_port_function(port);
	const struct vdev_host *h = t->dev.host;
	uint32_t bar = get32(f, 0x10) & ~0xfffu;
	bool power = !(f->config[f->power + 4] & 3);
	bool on = f->config[4] & 2 && power && bar && (!behind || bridge_lets(p, bar));
	bool master = f->config[4] & 4 && power &&
		(!behind || (p->config[4] & 4 && !(p->config[p->power + 4] & 3)));
	bool pin = f->config[6] & 8 && !(f->config[5] & 4) && !vpci_msi_enabled(f);

	if (h->region[1].enabled != on || (on && h->region[1].base != bar))
		abort();
	if (f->master != master || f->messages.version & 1 || h->line[TOY_LINE] != pin)
		abort();
	for (unsigned n = 0; n < TOY_MESSAGES && f->messages.open &&
	     f->messages.kind == VPCI_MSIX; n++)
		if (f->messages.pending[n / 32] >> n % 32 & 1 &&
		    !(f->messages.entry[n].control & 1))
			abort();
}

static void config_access(const uint8_t *in)
{
	static const uint16_t place[] = { 8, 9, 16, 256, 257, 512, 1280, 0 };
	unsigned size = 1u << (in[1] & 3);
	uint64_t at = (uint64_t)place[in[0] >> 2 & 7] << 12 | (in[1] >> 2 & 1) << 8 |
		(in[2] & ~(size - 1));
	uint64_t v;

	memcpy(&v, in + 3, 4);
	v |= v << 32;
	if (in[1] & 0x80)
		vdev_host_read(bus, VPCI_ECAM, at, size);
	else
		vdev_host_write(bus, VPCI_ECAM, at, size, v);
}

static void table_access(struct toy *t, const uint8_t *in)
{
	unsigned size = 1u << (in[1] & 3);
	uint64_t at = (uint64_t)(in[2] * 16u + (in[1] >> 2 & 15)) & ~(size - 1ul), v;

	memcpy(&v, in + 3, 4);
	if (in[1] & 0x80)
		vdev_host_read(&t->dev, TOY_TABLE_REGION, (in[1] & 0x40 ? TOY_PBA : TOY_TABLE) + at,
			size);
	else
		vdev_host_write(&t->dev, TOY_TABLE_REGION, TOY_TABLE + at, size, v | v << 32);
}

/* Saved bytes with some changed, or as they are; what is taken is saved alike. */
static void load(struct vdev *d, const uint8_t *in)
{
	static uint8_t one[SAVED_MAX], two[SAVED_MAX];
	size_t n = vdev_host_save(d, one, sizeof(one));

	for (unsigned i = 1; i + 1 < 7; i += 2)
		if (in[i] != 0xff)
			one[(in[i] * 7u + in[1]) % n] ^= in[i + 1];
	if (vdev_host_load(d, one, n, d->ops->version))
		return;
	if (vdev_host_save(d, two, sizeof(two)) != n)
		abort();
	/* Messages that waited may have gone: the rest must be the same. */
	if (d == port && memcmp(one, two, n))
		abort();
}

static void step(const uint8_t *in)
{
	struct toy *t = toy[in[0] >> 7];
	uint8_t byte = 0;

	switch (in[0] & 3) {
	case 0:
	case 1:
		config_access(in);
		break;
	case 2:
		table_access(t, in);
		break;
	case 3:
		if (in[0] & 4)
			vpci_msi_send(&t->function, in[1]);
		else if (in[0] & 8)
			vpci_function_pin_set(&t->function, in[1] & 1);
		else if (in[0] & 16)
			load(in[0] & 32 ? port : &t->dev, in);
		else if (!vpci_function_dma_read(&t->function, GPA(in[1]), &byte, 1) &&
			 !t->function.master)
			abort();
		break;
	}
}

static void sit(struct vdev *d, unsigned on, unsigned slot, struct vpci_function *f)
{
	vdev_host_attach(d);
	if (vpci_attach(bus, on, slot, 0, f))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (vpci_create(NULL, &bus) || vpci_port_create(&port))
		abort();
	vdev_host_attach(bus);
	sit(port, 0, 2, vpci_port_function(port));
	for (unsigned i = 0; i < 2; i++) {
		toy[i] = toy_create();
		sit(&toy[i]->dev, i, !i, &toy[i]->function);
	}
	for (size_t i = 0; i + 7 <= size; i += 7) {
		step(data + i);
		check(toy[0], false);
		check(toy[1], true);
	}
	vdev_host_detach(toy[0]->dev.host);
	vdev_host_detach(toy[1]->dev.host);
	vdev_host_detach(port->host);
	vdev_host_detach(bus->host);
	return 0;
}
