/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vpci.h. "PCI Local Bus Specification" 3.0, Configuration Space; "PCI Express Base", Enhanced
 * Configuration Access.
 */
#include "vdev/vpci.h"

#include "include/bits.h"
#include "lib/string.h"

#define ADDRESS_ENABLE	BIT(31)
#define ADDRESS_BITS	(BIT(31) | BITS(23, 2))
#define RESET_PORT	1	/* 0xcf9, inside the address register */
#define RESET_CPU	0x04	/* its rise resets */
#define RESET_KEPT	0x0e

enum {
	PCI_VENDOR = 0x00, PCI_DEVICE = 0x02, PCI_COMMAND = 0x04, PCI_STATUS = 0x06,
	PCI_REVISION = 0x08,
	PCI_CACHE_LINE = 0x0c, PCI_HEADER_TYPE = 0x0e, PCI_BAR0 = 0x10, PCI_SUBVENDOR = 0x2c,
	PCI_SUBDEVICE = 0x2e,
	PCI_CAPABILITIES = 0x34, PCI_INTERRUPT_LINE = 0x3c, PCI_HEADER_END = 0x40,
};

#define COMMAND_IO	0x01
#define COMMAND_MEMORY	0x02
#define COMMAND_WRITABLE 0x0507	/* I/O, memory, master, SERR, INTx disable */
#define STATUS_INTX	0x08
#define STATUS_CAPABLE	0x10
#define MULTIFUNCTION	0x80
#define BAR_IO		0x01
#define BAR_WIDE	0x04
#define BAR_PREFETCH	0x08

struct vpci {
	struct vdev dev;
	uint32_t address;
	uint8_t reset_control;
	struct vpci_function bridge;
	struct vpci_function *function[VPCI_FUNCTIONS];		/* by slot * 8 + function */
};

static struct vpci *vpci_of(struct vdev *d)
{
	return container_of(d, struct vpci, dev);
}

static uint64_t get(const uint8_t *p, unsigned size)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < size; i++)
		v |= (uint64_t)p[i] << 8 * i;
	return v;
}

static void put(uint8_t *p, unsigned size, uint64_t v)
{
	for (unsigned i = 0; i < size; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* --- functions */

void vpci_function_init(struct vpci_function *f, struct vdev *owner, uint16_t vendor,
	uint16_t device, uint32_t class_revision, uint16_t subvendor, uint16_t subdevice)
{
	*f = (struct vpci_function){ .owner = owner, .capability_end = PCI_HEADER_END };
	put(f->config + PCI_VENDOR, 2, vendor);
	put(f->config + PCI_DEVICE, 2, device);
	put(f->config + PCI_REVISION, 4, class_revision);
	put(f->config + PCI_SUBVENDOR, 2, subvendor);
	put(f->config + PCI_SUBDEVICE, 2, subdevice);
	put(f->writable + PCI_COMMAND, 2, COMMAND_WRITABLE);
	put(f->writable + PCI_CACHE_LINE, 1, 0xff);
	put(f->writable + PCI_INTERRUPT_LINE, 1, 0xff);
}

void vpci_function_bar(struct vpci_function *f, unsigned bar, struct vpci_bar what)
{
	unsigned at = PCI_BAR0 + 4 * bar, kind = what.space == HOST_PORT ? BAR_IO : 0;
	uint64_t mask = ~(what.size - 1) & ~(what.space == HOST_PORT ? 3ul : 15ul);

	if (what.space == HOST_MMIO)
		kind |= (what.wide ? BAR_WIDE : 0) | (what.prefetch ? BAR_PREFETCH : 0);
	what.base = 0;
	what.enabled = false;
	f->bars[bar] = what;
	put(f->config + at, 4, kind);
	put(f->writable + at, what.wide ? 8 : 4, mask);
}

/* Capabilities lie and are chained in the order in which they were added. */
unsigned vpci_function_capability(struct vpci_function *f, uint8_t id, unsigned size)
{
	unsigned at = f->capability_end, link = PCI_CAPABILITIES;

	if (size < 2 || at + size > VPCI_CONFIG_SIZE)
		return 0;
	while (f->config[link])
		link = f->config[link] + 1u;
	f->config[link] = (uint8_t)at;
	f->config[at] = id;
	f->config[PCI_STATUS] |= STATUS_CAPABLE;
	f->capability_end = ALIGN_UP(at + size, 4u);
	return at;
}

int vpci_attach(struct vdev *bus, unsigned slot, unsigned function, struct vpci_function *f)
{
	struct vpci *p = vpci_of(bus);
	struct vpci_function **place = &p->function[(slot * 8 + function) % VPCI_FUNCTIONS];

	if (slot > 31 || function > 7)
		return -EINVAL;
	if (*place)
		return -EBUSY;
	*place = f;
	f->bus = bus;
	if (function)
		f->config[PCI_HEADER_TYPE] |= MULTIFUNCTION;
	if (function && p->function[slot * 8])
		p->function[slot * 8]->config[PCI_HEADER_TYPE] |= MULTIFUNCTION;
	return 0;
}

/* Where a BAR is and whether it decodes, by the configuration space. */
static bool bar_wanted(const struct vpci_function *f, unsigned bar, uint64_t *base)
{
	const struct vpci_bar *b = &f->bars[bar];
	unsigned at = PCI_BAR0 + 4 * bar, bytes = b->wide ? 8 : 4;

	*base = get(f->config + at, bytes) & get(f->writable + at, bytes);
	return *base &&
		f->config[PCI_COMMAND] & (b->space == HOST_PORT ? COMMAND_IO : COMMAND_MEMORY);
}

/* The next BAR whose place the host does not know, noted as told; or -1. */
static int bar_next(struct vpci_function *f)
{
	for (unsigned i = 0; i < VPCI_BARS; i++) {
		struct vpci_bar *b = &f->bars[i];
		uint64_t base;
		bool enabled;

		if (!b->size)
			continue;
		enabled = bar_wanted(f, i, &base);
		if (enabled == b->enabled && (!enabled || base == b->base))
			continue;
		b->base = base;
		b->enabled = enabled;
		return (int)i;
	}
	return -1;
}

/*
 * Tells the host where BARs have moved, without the lock, since that may wait. Only one caller at a
 * time does so and goes on until nothing is left, hence what the host heard last is what the
 * registers say.
 */
static void move_bars(struct vpci_function *f)
{
	uint64_t flags = host_lock(f->bus);
	int i;

	if (f->moving) {
		host_unlock(f->bus, flags);
		return;
	}
	f->moving = true;
	while ((i = bar_next(f)) >= 0) {
		struct vpci_bar b = f->bars[i];

		host_unlock(f->bus, flags);
		if (host_region_set(f->owner, b.region, b.space, b.base, b.size, b.enabled))
			host_log(f->owner, "BAR %d at %#lx cannot be mapped", i, b.base);
		flags = host_lock(f->bus);
	}
	f->moving = false;
	host_unlock(f->bus, flags);
}

void vpci_function_reset(struct vpci_function *f)
{
	uint64_t flags = host_lock(f->bus);

	put(f->config + PCI_COMMAND, 2, 0);
	f->config[PCI_CACHE_LINE] = f->config[PCI_INTERRUPT_LINE] = 0;
	for (unsigned i = PCI_BAR0; i < PCI_BAR0 + 4 * VPCI_BARS; i++)
		f->config[i] &= ~f->writable[i];
	host_unlock(f->bus, flags);
	move_bars(f);
}

void vpci_function_save(struct vpci_function *f, struct record_writer *w)
{
	uint64_t flags = host_lock(f->bus);

	record_put(w, f->config, sizeof(f->config));
	host_unlock(f->bus, flags);
}

/*
 * What a guest cannot change must be what this function has, but for the INTx status; a saved BAR
 * thus fits as well.
 */
void vpci_function_read(struct vpci_function *f, struct record_reader *r,
	uint8_t config[VPCI_CONFIG_SIZE])
{
	record_get(r, config, VPCI_CONFIG_SIZE);
	for (unsigned i = 0; i < VPCI_CONFIG_SIZE; i++) {
		unsigned free = f->writable[i] | f->clear[i] | (i == PCI_STATUS ? STATUS_INTX : 0);

		if ((config[i] ^ f->config[i]) & ~free)
			r->error = -EINVAL;
	}
}

void vpci_function_commit(struct vpci_function *f, const uint8_t config[VPCI_CONFIG_SIZE])
{
	uint64_t flags = host_lock(f->bus);

	memcpy(f->config, config, sizeof(f->config));
	host_unlock(f->bus, flags);
	move_bars(f);
}

/* --- configuration accesses; `reg` with `size` lies within its dword (or qword by ECAM) */

static uint64_t config_read(struct vpci *p, unsigned devfn, unsigned reg, unsigned size)
{
	const struct vpci_function *f = p->function[devfn];

	if (!f)
		return ~0ul;
	return reg + size <= VPCI_CONFIG_SIZE ? get(f->config + reg, size) : 0;
}

/* The function that was written, so that the caller tells it without the lock. */
static struct vpci_function *config_write(struct vpci *p, unsigned devfn, unsigned reg,
	unsigned size, uint64_t value)
{
	struct vpci_function *f = p->function[devfn];

	if (!f || reg + size > VPCI_CONFIG_SIZE)
		return NULL;
	for (unsigned i = reg; i < reg + size; i++, value >>= 8) {
		f->config[i] = (uint8_t)((f->config[i] & ~f->writable[i]) |
			(value & f->writable[i]));
		f->config[i] &= ~(value & f->clear[i]);
	}
	return f;
}

static void tell(struct vpci_function *f, unsigned reg, unsigned size)
{
	if (!f)
		return;
	if (reg < PCI_BAR0 + 4 * VPCI_BARS)
		move_bars(f);
	if (f->written)
		f->written(f, reg, size);
}

/* Bus 0 only. */
static bool addressed(const struct vpci *p)
{
	return (p->address & (ADDRESS_ENABLE | BITS(23, 16))) == ADDRESS_ENABLE;
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

static void write_ports(struct vdev *d, uint64_t offset, unsigned size, uint64_t value)
{
	struct vpci *p = vpci_of(d);
	struct vpci_function *f = NULL;
	uint64_t flags = host_lock(d);
	unsigned reg = (p->address & 0xfc) | (offset & 3);
	bool reset = false;

	if (offset < 4)
		reset = write_address(p, offset, size, value);
	else if (addressed(p) && (offset & 3) + size <= 4)
		f = config_write(p, p->address >> 8 & 0xff, reg, size, value);
	host_unlock(d, flags);
	tell(f, reg, size);
	if (reset)
		host_machine_request(d, HOST_REQUEST_RESET, 0);
}

static void vpci_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	unsigned reg = offset & 0xfff;
	struct vpci_function *f;
	uint64_t flags;

	if (region == VPCI_PORTS) {
		write_ports(d, offset, size, value);
		return;
	}
	flags = host_lock(d);
	f = config_write(vpci_of(d), offset >> 12 & 0xff, reg, size, value);
	host_unlock(d, flags);
	tell(f, reg, size);
}

static uint64_t read_ports(struct vpci *p, uint64_t offset, unsigned size)
{
	if (offset < 4) {
		if (size == 4)
			return p->address;
		return offset == RESET_PORT && size == 1 ? p->reset_control : ~0ul;
	}
	if (!addressed(p) || (offset & 3) + size > 4)
		return ~0ul;
	return config_read(p, p->address >> 8 & 0xff, (p->address & 0xfc) | (offset & 3), size);
}

static uint64_t vpci_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	struct vpci *p = vpci_of(d);
	uint64_t flags = host_lock(d), v;

	if (region == VPCI_PORTS)
		v = read_ports(p, offset, size);
	else
		v = config_read(p, offset >> 12 & 0xff, offset & 0xfff, size);
	host_unlock(d, flags);
	return v;
}

/* --- the device itself, whose own function is the host bridge */

static void vpci_reset(struct vdev *d)
{
	struct vpci *p = vpci_of(d);
	uint64_t flags = host_lock(d);

	p->address = 0;
	p->reset_control = 0;
	host_unlock(d, flags);
	vpci_function_reset(&p->bridge);
}

static void vpci_save(struct vdev *d, struct record_writer *w)
{
	struct vpci *p = vpci_of(d);

	record_put_u32(w, p->address);
	record_put_u8(w, p->reset_control);
	vpci_function_save(&p->bridge, w);
}

static int vpci_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vpci *p = vpci_of(d);
	uint8_t config[VPCI_CONFIG_SIZE], reset_control;
	uint32_t address = record_get_u32(r);
	uint64_t flags;

	reset_control = record_get_u8(r);
	vpci_function_read(&p->bridge, r, config);
	if (version != d->ops->version || record_finish(r) || address & ~ADDRESS_BITS ||
	    reset_control & ~(RESET_KEPT & ~RESET_CPU))
		return -EINVAL;
	flags = host_lock(d);
	p->address = address;
	p->reset_control = reset_control;
	host_unlock(d, flags);
	vpci_function_commit(&p->bridge, config);
	return 0;
}

static void vpci_destroy(struct vdev *d)
{
	host_free(vpci_of(d));
}

static const struct vdev_ops vpci_ops = {
	.name = "vpci", .version = 1, .read = vpci_read, .write = vpci_write, .reset = vpci_reset,
	.save = vpci_save, .load = vpci_load, .destroy = vpci_destroy,
};

int vpci_create(const struct vpci_config *config, struct vdev **out)
{
	struct vpci *p = host_alloc(sizeof(*p));
	bool given = config && config->vendor;

	if (!p)
		return -ENOMEM;
	p->dev.ops = &vpci_ops;
	vpci_function_init(&p->bridge, &p->dev, given ? config->vendor : 0x1b36,
		given ? config->device : 0x0008,
		0x06000000, 0x1af4, 0x1100);
	vpci_attach(&p->dev, 0, 0, &p->bridge);
	*out = &p->dev;
	return 0;
}
