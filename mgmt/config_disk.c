/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keys `disk` and `cdrom` of keel.conf: a module as a disk at a slot, by virtio or NVMe, or as
 * a disk or disc at a port of the SATA or IDE controller. One that names no port is given one, and
 * keeps it: it is written out. See mgmt/config_parser.h.
 */
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/config_parser.h"

/*
 * The classes of devices, by `bus`; the first one of a class is written. A controller with ports is
 * where a q35 has that for SATA, and an ICH that for IDE.
 */
static const struct bus {
	const char *bus, *class;
	uint8_t ports, device, function;
} buses[] = {
	{ "virtio", "virtio-blk-pci", 0, 0, 0 },
	{ "nvme", CONFIG_NVME, 0, 0, 0 },
	{ "sata", CONFIG_SATA, CONFIG_SATA_PORTS, 0x1f, 2 },
	{ "ahci", CONFIG_SATA, CONFIG_SATA_PORTS, 0x1f, 2 },
	{ "ide", CONFIG_IDE, CONFIG_IDE_PORTS, 0x1f, 1 },
};

#define DISK_LOOKS_LIKE \
	"%s = %s is not right: it looks like disk.img, bus=virtio (or nvme, sata, ide), mode=ro (or overlay), slot=0:4.0 (of sata, ide: port=0)"
#define CDROM_LOOKS_LIKE "%s = %s is not right: it looks like disc.iso (or none), bus=sata (or ide), port=0"
#define NO_DISC		"none"		/* a drive with nothing in it */

/* Of `properties`, by row. */
enum { SEEN_BUS = 1, SEEN_SLOT = 4, SEEN_PORT = 8, SEEN_BOOT = 16 };

/* By class, the first of it; that of anything else has no ports. */
static const struct bus *bus_of(const struct config_device *d)
{
	unsigned i = sizeof(buses) / sizeof(buses[0]) - 1;

	while (i && strcmp(buses[i].class, d->class))
		i--;
	while (i && !strcmp(buses[i - 1].class, d->class))
		i--;
	return &buses[i];
}

unsigned config_ports(const struct config_device *d)
{
	return bus_of(d)->ports;
}

const char *config_disk_bus(const struct config_device *d)
{
	return bus_of(d)->bus;
}

static bool has_port(const struct config_device *d, const char *class, unsigned number)
{
	for (; d; d = d->next)
		if (!strcmp(d->class, class) && d->port == number)
			return true;
	return false;
}

static bool port_is_free(const struct config_vm *vm, const struct bus *b, unsigned n)
{
	return n < b->ports && !has_port(vm->disk, b->class, n) &&
	       !has_port(vm->cdrom, b->class, n);
}

static bool read_bus(struct piece v, struct config_device *d)
{
	for (size_t i = 0; i < sizeof(buses) / sizeof(buses[0]); i++) {
		if (!config_equals(v, buses[i].bus))
			continue;
		str_copy(d->class, buses[i].class, sizeof(d->class));
		return true;
	}
	return false;
}

static bool read_mode(struct piece v, struct config_device *d)
{
	d->overlay = config_equals(v, "overlay");
	return d->overlay || config_equals(v, "ro");
}

static bool read_port(struct piece v, struct config_device *d)
{
	unsigned n;

	if (v.n != 1 || !config_digit(v.s[0], 10, &n))
		return false;
	d->port = (uint8_t)n;
	return true;
}

static const struct property properties[] = {
	{ "bus", read_bus }, { "mode", read_mode }, { "slot", config_read_slot },
	{ "port", read_port }, { "boot", config_read_boot_number }, { 0 },
};

static bool place_by_port(struct parser *p, const struct key *k, struct config_device *d,
			  unsigned seen)
{
	const struct bus *b = bus_of(d);
	unsigned n = d->port;

	d->placed = true;
	d->device = b->device;
	d->function = b->function;
	while (!(seen & SEEN_PORT) && n < b->ports && !port_is_free(p->vm, b, n))
		n++;
	d->port = (uint8_t)n;
	if (port_is_free(p->vm, b, n))
		return true;
	if (seen & SEEN_PORT)
		config_fail(p, p->line, "%s: something is at port %u already", k->name, n);
	else
		config_fail(p, p->line, "%s: none of the %s controller's %u ports is free", k->name,
			    b->function == 2 ? "SATA" : "IDE", b->ports);
	return false;
}

/* "MODULE" or "MODULE, NAME=VALUE, ...". */
static bool read_medium(struct parser *p, const struct key *k, struct piece v,
			struct config_device *d, bool disc)
{
	struct piece all = v, name = config_trim(config_cut(&v, ','));
	unsigned seen, ports;
	bool right;

	d->overlay = !disc;
	read_bus(disc ? (struct piece){ "sata", 4 } : (struct piece){ "virtio", 6 }, d);
	right = config_read_properties(properties, disc ? SEEN_BUS | SEEN_PORT | SEEN_BOOT : ~0u, v,
				       d, &seen);
	ports = config_ports(d);
	if (!right || seen & (ports ? SEEN_SLOT : SEEN_PORT) || (disc && !ports) ||
	    (ports && d->port >= ports)) {
		config_fail(p, p->line, disc ? CDROM_LOOKS_LIKE : DISK_LOOKS_LIKE, k->name,
			    config_quote(all).s);
		return false;
	}
	if (!(disc && config_equals(name, NO_DISC)) &&
	    !config_read_module(p, k, name, d->module))
		return false;
	return !ports || place_by_port(p, k, d, seen);
}

static bool read_disk(struct parser *p, const struct key *k, struct piece v,
		      struct config_device *d)
{
	return read_medium(p, k, v, d, false);
}

static bool read_disc(struct parser *p, const struct key *k, struct piece v,
		      struct config_device *d)
{
	return read_medium(p, k, v, d, true);
}

bool config_read_disk(struct parser *p, const struct key *k, struct piece v)
{
	return config_add_device(p, k, v, &p->vm->disk, read_disk);
}

bool config_read_cdrom(struct parser *p, const struct key *k, struct piece v)
{
	return config_add_device(p, k, v, &p->vm->cdrom, read_disc);
}

void config_write_disk(const struct writer *w, const struct key *k, const void *from)
{
	const struct config_vm *vm = from;
	char text[CONFIG_MODULE_MAX + 80], place[CONFIG_SLOT_TEXT], boot[CONFIG_BOOT_TEXT];

	for (const struct config_device *d = vm->disk; d; d = d->next) {
		if (config_ports(d))
			format(place, sizeof(place), ", port=%u", d->port);
		else
			config_slot_text(d, place);
		format(text, sizeof(text), "%s, bus=%s, mode=%s%s%s", d->module,
		       bus_of(d)->bus, d->overlay ? "overlay" : "ro", place,
		       config_boot_text(d, boot));
		config_put_line(w, k, text, "");
	}
}

void config_cdrom_text(const struct config_device *d, const char *module, char *text, size_t size)
{
	bool is_default = !strcmp(d->class, CONFIG_SATA);
	char boot[CONFIG_BOOT_TEXT];

	format(text, size, "%s%s%s, port=%u%s", module[0] ? module : NO_DISC,
	       is_default ? "" : ", bus=", is_default ? "" : bus_of(d)->bus, d->port,
	       config_boot_text(d, boot));
}

void config_write_cdrom(const struct writer *w, const struct key *k, const void *from)
{
	const struct config_vm *vm = from;
	char text[CONFIG_MODULE_MAX + 64];

	for (const struct config_device *d = vm->cdrom; d; d = d->next) {
		config_cdrom_text(d, d->module, text, sizeof(text));
		config_put_line(w, k, text, "");
	}
}
