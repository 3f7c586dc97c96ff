/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keys `disk` and `cdrom` of keel.conf: a module as a disk at a slot, by virtio or NVMe, or as
 * a disk or disc at a port of the SATA controller. One that names no port is given one, and keeps
 * it: it is written out. See mgmt/config_parser.h.
 */
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/config_parser.h"

/* Where a q35 has its SATA controller. */
#define SATA_DEVICE	0x1f
#define SATA_FUNCTION	2

/* The classes of devices, by `bus`; the first one of a class is written. */
static const struct {
	const char *bus, *class;
} buses[] = {
	{ "virtio", "virtio-blk-pci" }, { "nvme", CONFIG_NVME }, { "sata", CONFIG_SATA }, { "ahci", CONFIG_SATA },
};

#define DISK_LOOKS_LIKE \
	"%s = %s is not right: it looks like disk.img, bus=virtio (or nvme, sata), mode=ro (or overlay), slot=0:4.0 (of sata: port=0)"
#define CDROM_LOOKS_LIKE "%s = %s is not right: it looks like disc.iso (or none), port=0"
#define NO_DISC		"none"		/* a drive with nothing in it */

/* Of `properties`, by row. */
enum { SEEN_SLOT = 4, SEEN_PORT = 8, SEEN_BOOT = 16 };

static bool is_sata(const struct config_device *d)
{
	return !strcmp(d->class, CONFIG_SATA);
}

static const char *bus_of(const struct config_device *d)
{
	unsigned i = 0;

	while (strcmp(buses[i].class, d->class))
		i++;
	return buses[i].bus;
}

static bool has_port(const struct config_device *d, unsigned number)
{
	for (; d; d = d->next)
		if (is_sata(d) && d->port == number)
			return true;
	return false;
}

static bool port_is_free(const struct config_vm *vm, unsigned n)
{
	return n < CONFIG_SATA_PORTS && !has_port(vm->disk, n) && !has_port(vm->cdrom, n);
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

	if (v.n != 1 || !config_digit(v.s[0], 10, &n) || n >= CONFIG_SATA_PORTS)
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
	unsigned n = d->port;

	d->placed = true;
	d->device = SATA_DEVICE;
	d->function = SATA_FUNCTION;
	while (!(seen & SEEN_PORT) && n < CONFIG_SATA_PORTS && !port_is_free(p->vm, n))
		n++;
	d->port = (uint8_t)n;
	if (port_is_free(p->vm, n))
		return true;
	if (seen & SEEN_PORT)
		config_fail(p, p->line, "%s: something is at port %u already", k->name, n);
	else
		config_fail(p, p->line, "%s: none of the SATA controller's %u ports is free", k->name,
			    CONFIG_SATA_PORTS);
	return false;
}

/* "MODULE" or "MODULE, NAME=VALUE, ...". */
static bool read_medium(struct parser *p, const struct key *k, struct piece v,
			struct config_device *d, bool disc)
{
	struct piece all = v, name = config_trim(config_cut(&v, ','));
	unsigned seen;
	bool right;

	d->overlay = !disc;
	read_bus(disc ? (struct piece){ "sata", 4 } : (struct piece){ "virtio", 6 }, d);
	right = config_read_properties(properties, disc ? SEEN_PORT | SEEN_BOOT : ~0u, v, d, &seen);
	if (!right || seen & (is_sata(d) ? SEEN_SLOT : SEEN_PORT)) {
		config_fail(p, p->line, disc ? CDROM_LOOKS_LIKE : DISK_LOOKS_LIKE, k->name,
			    config_quote(all).s);
		return false;
	}
	if (!(disc && config_equals(name, NO_DISC)) &&
	    !config_read_module(p, k, name, d->module))
		return false;
	return !is_sata(d) || place_by_port(p, k, d, seen);
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
		if (is_sata(d))
			format(place, sizeof(place), ", port=%u", d->port);
		else
			config_slot_text(d, place);
		format(text, sizeof(text), "%s, bus=%s, mode=%s%s%s", d->module,
		       bus_of(d), d->overlay ? "overlay" : "ro", place,
		       config_boot_text(d, boot));
		config_put_line(w, k, text, "");
	}
}

void config_cdrom_text(const struct config_device *d, const char *module, char *text, size_t size)
{
	char boot[CONFIG_BOOT_TEXT];

	format(text, size, "%s, port=%u%s", module[0] ? module : NO_DISC, d->port,
	       config_boot_text(d, boot));
}

void config_write_cdrom(const struct writer *w, const struct key *k, const void *from)
{
	const struct config_vm *vm = from;
	char text[CONFIG_MODULE_MAX + 48];

	for (const struct config_device *d = vm->cdrom; d; d = d->next) {
		config_cdrom_text(d, d->module, text, sizeof(text));
		config_put_line(w, k, text, "");
	}
}
