/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vpci.h. Where a configuration access goes is found by the numbers that the guest has given to
 * bridges, anew each time. ("PCI Local Bus Specification" 3.0, Configuration Space; "PCI Express
 * Base", Enhanced Configuration Access.)
 */
#include "vdev/vpci.h"

#include "include/bits.h"
#include "lib/string.h"
#include "vdev/vpci_bridge.h"
#include "vdev/vpci_express.h"
#include "vdev/vpci_regs.h"

#define ADDRESS_ENABLE	BIT(31)
#define ADDRESS_BITS	(BIT(31) | BITS(23, 2))
#define RESET_PORT	1	/* 0xcf9, inside the address register */
#define RESET_CPU	0x04	/* its rise resets */
#define RESET_KEPT	0x0e

struct vpci {
	struct vdev dev;
	uint32_t address;
	uint8_t reset_control;
	struct vpci_function host;	/* the host bridge */
	struct vpci_bus bus;		/* bus 0 */
	struct vpci_function *function[VPCI_FUNCTIONS];
	struct vpci_bridge *bridges;
};

static struct vpci *vpci_of(struct vdev *d)
{
	return container_of(d, struct vpci, dev);
}

/* --- where functions sit */

static struct vpci_bus *bus_of_index(struct vpci *p, unsigned index)
{
	struct vpci_bridge *b = p->bridges;

	if (!index)
		return &p->bus;
	while (b && --index)
		b = b->next;
	return b ? &b->bus : NULL;
}

static void add_bridge(struct vpci *p, struct vpci_bridge *b)
{
	struct vpci_bridge **end = &p->bridges;

	while (*end)
		end = &(*end)->next;
	*end = b;
}

/* Where a device has more than function 0, all tell so, whichever came first. */
static void mark_multifunction(struct vpci_bus *b, unsigned slot)
{
	struct vpci_function **f = &b->function[slot * 8];
	bool more = false;

	for (unsigned i = 1; i < 8; i++)
		more |= f[i] != NULL;
	for (unsigned i = 0; more && i < 8; i++) {
		if (!f[i])
			continue;
		f[i]->config[PCI_HEADER_TYPE] |= HEADER_MULTIFUNCTION;
		f[i]->initial[PCI_HEADER_TYPE] |= HEADER_MULTIFUNCTION;
	}
}

int vpci_attach(struct vdev *root, unsigned bus, unsigned slot, unsigned function,
	struct vpci_function *f)
{
	struct vpci *p = vpci_of(root);
	struct vpci_bus *b = bus_of_index(p, bus);
	unsigned at = slot * 8 + function;

	if (!b)
		return -ENODEV;
	if (function > 7 || at >= b->count || (bus && f->bridge))
		return -EINVAL;
	if (b->function[at])
		return -EBUSY;
	b->function[at] = f;
	f->root = root;
	f->bus = b;
	f->devfn = (uint8_t)at;
	if (f->bridge)
		add_bridge(p, f->bridge);
	vpci_express_attached(f);
	mark_multifunction(b, slot);
	memcpy(f->initial, f->config, sizeof(f->config));
	return 0;
}

/* A bridge hands the pins of its slots on to its own slot, turned by their numbers. */
int vpci_gsi(const struct vpci_function *f)
{
	unsigned slot = f->devfn / 8, pin = f->config[PCI_INTERRUPT_PIN] - 1u;

	if (!f->config[PCI_INTERRUPT_PIN])
		return -1;
	for (const struct vpci_bridge *b = f->bus->bridge; b; b = b->function.bus->bridge) {
		pin = (pin + slot) % 4;
		slot = b->function.devfn / 8;
	}
	return (int)VPCI_GSI(slot, pin % 4);
}

/* By the numbers that the guest gave; NULL: nobody is there. */
static struct vpci_function *find(const struct vpci *p, unsigned bus, unsigned devfn)
{
	const struct vpci_bridge *b = p->bridges;

	if (!bus)
		return p->function[devfn];
	while (b && !vpci_bridge_leads_to(b, bus))
		b = b->next;
	if (!b || b->function.config[PCI_SECONDARY] != bus || devfn >= b->bus.count)
		return NULL;
	return b->behind[devfn];
}

/* --- configuration accesses: a place in it is bus << 20 | devfn << 12 | register */

static struct vpci_function *find_at(struct vpci *p, uint64_t place)
{
	return find(p, place >> 20 & 0xff, place >> 12 & 0xff);
}

static uint64_t config_read(struct vpci *p, uint64_t place, unsigned size)
{
	struct vpci_function *f = find_at(p, place);
	uint64_t flags, v;

	if (f && f->reading)
		f->reading(f, place & 0xfff, size);
	flags = host_lock(&p->dev);
	f = find_at(p, place);
	v = f ? vpci_function_config_read(f, place & 0xfff, size) : ~0ul;
	host_unlock(&p->dev, flags);
	return v;
}

static void config_write(struct vpci *p, uint64_t place, unsigned size, uint64_t value)
{
	uint64_t flags = host_lock(&p->dev);
	struct vpci_function *f = find_at(p, place);

	if (f)
		vpci_function_config_write(f, place & 0xfff, size, value);
	host_unlock(&p->dev, flags);
	if (f)
		vpci_function_tell(f, place & 0xfff, size);
}

/* Where the data ports lead, and whether they lead anywhere. */
static bool place_of(const struct vpci *p, uint64_t offset, unsigned size, uint64_t *place)
{
	uint32_t address = READ_ONCE(p->address);

	*place = (uint64_t)FIELD(address, 23, 8) << 12 | (address & 0xfc) | (offset & 3);
	return address & ADDRESS_ENABLE && (offset & 3) + size <= 4;
}

/*
 * Is it a reset? The address register takes whole dwords only; byte 1 is the reset
 * control register.
 */
static bool write_address(struct vpci *p, uint64_t offset, unsigned size, uint64_t value)
{
	bool reset;

	if (size == 4)
		p->address = (uint32_t)(value & ADDRESS_BITS);
	if (size != 1 || offset != RESET_PORT)
		return false;
	reset = value & ~p->reset_control & RESET_CPU;
	p->reset_control = value & RESET_KEPT & ~RESET_CPU;
	return reset;
}

static void write_ports(struct vpci *p, uint64_t offset, unsigned size, uint64_t value)
{
	uint64_t flags, place;
	bool reset;

	if (offset >= 4) {
		if (place_of(p, offset, size, &place))
			config_write(p, place, size, value);
		return;
	}
	flags = host_lock(&p->dev);
	reset = write_address(p, offset, size, value);
	host_unlock(&p->dev, flags);
	if (reset)
		host_machine_request(&p->dev, HOST_REQUEST_RESET, 0);
}

static void vpci_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	if (region == VPCI_PORTS)
		write_ports(vpci_of(d), offset, size, value);
	else
		config_write(vpci_of(d), offset, size, value);
}

static uint64_t read_ports(struct vpci *p, uint64_t offset, unsigned size)
{
	uint64_t place;

	if (offset >= 4)
		return place_of(p, offset, size, &place) ? config_read(p, place, size) : ~0ul;
	if (size == 4)
		return READ_ONCE(p->address);
	return offset == RESET_PORT && size == 1 ? READ_ONCE(p->reset_control) : ~0ul;
}

static uint64_t vpci_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	if (region == VPCI_PORTS)
		return read_ports(vpci_of(d), offset, size);
	return config_read(vpci_of(d), offset, size);
}

/* --- the device itself, whose own function is the host bridge */

static void vpci_reset(struct vdev *d)
{
	struct vpci *p = vpci_of(d);
	uint64_t flags = host_lock(d);

	p->address = 0;
	p->reset_control = 0;
	host_unlock(d, flags);
	vpci_function_reset(&p->host);
}

static void vpci_save(struct vdev *d, struct record_writer *w)
{
	struct vpci *p = vpci_of(d);

	record_put_u32(w, p->address);
	record_put_u8(w, p->reset_control);
	if (p->host.root)
		vpci_function_save(&p->host, w);
}

static int vpci_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vpci *p = vpci_of(d);
	uint32_t address = record_get_u32(r);
	uint8_t reset_control = record_get_u8(r);
	struct vpci_saved saved;
	uint64_t flags;

	if (p->host.root)
		vpci_function_read(&p->host, r, &saved);
	if (version != d->ops->version || record_finish(r) || address & ~ADDRESS_BITS ||
	    reset_control & ~(RESET_KEPT & ~RESET_CPU))
		return -EINVAL;
	flags = host_lock(d);
	p->address = address;
	p->reset_control = reset_control;
	host_unlock(d, flags);
	if (p->host.root)
		vpci_function_commit(&p->host, &saved);
	return 0;
}

static void vpci_destroy(struct vdev *d)
{
	vpci_function_fini(&vpci_of(d)->host);
	host_free(vpci_of(d));
}

static const struct vdev_ops vpci_ops = {
	.name = "vpci", .version = 2, .read = vpci_read, .write = vpci_write, .reset = vpci_reset,
	.save = vpci_save, .load = vpci_load, .destroy = vpci_destroy,
};

int vpci_create(const struct vpci_config *config, struct vdev **out)
{
	struct vpci *p = host_alloc(sizeof(*p));
	bool given = config && config->vendor;
	int err;

	if (!p)
		return -ENOMEM;
	p->dev.ops = &vpci_ops;
	vpci_function_init(&p->host, &p->dev, given ? config->vendor : 0x1b36,
		given ? config->device : 0x0008, 0x06000000, 0x1af4, 0x1100);
	p->bus = (struct vpci_bus){ .function = p->function, .count = VPCI_FUNCTIONS };
	err = config && config->bare ? 0 : vpci_attach(&p->dev, 0, 0, 0, &p->host);
	*out = &p->dev;
	return err;
}
