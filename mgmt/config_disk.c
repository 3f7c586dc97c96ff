/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The key `disk` of keel.conf: a module as a disk, at a slot. One that names none is given one
 * (config_take_device) and keeps it: it is written out. See mgmt/config_parser.h.
 */
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/config_parser.h"
#include "mm/heap.h"

/* The classes of devices, by `bus`. */
static const struct {
	const char *bus, *class;
} buses[] = {
	{ "virtio", "virtio-blk-pci" },
};

#define LOOKS_LIKE \
	"%s = %s is not right: it looks like disk.img, bus=virtio, mode=ro (or overlay), slot=0:4.0"

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

/* "NAME=VALUE"; each once. */
static bool read_property(struct piece v, struct config_device *d, unsigned *seen)
{
	static const char *const names[] = { "bus", "mode", "slot" };
	struct piece all = v, name = config_trim(config_cut(&v, '='));
	unsigned i = 0;

	while (i < 3 && !config_equals(name, names[i]))
		i++;
	if (i == 3 || *seen & 1u << i)
		return false;
	*seen |= 1u << i;
	v = config_trim(v);
	return i == 0 ? read_bus(v, d) : i == 1 ? read_mode(v, d) : config_read_slot(all, d);
}

static bool read_properties(struct parser *p, const struct key *k, struct piece v,
			    struct config_device *d)
{
	struct piece all = v, name = config_trim(config_cut(&v, ','));
	unsigned seen = 0;

	d->overlay = true;
	read_bus((struct piece){ "virtio", 6 }, d);
	while (v.n) {
		if (read_property(config_trim(config_cut(&v, ',')), d, &seen))
			continue;
		config_fail(p, p->line, LOOKS_LIKE, k->name, config_quote(all).s);
		return false;
	}
	return config_read_module(p, k, name, d->module);
}

bool config_read_disk(struct parser *p, const struct key *k, struct piece v)
{
	struct config_device **end = &p->vm->disk, *d = heap_alloc(sizeof(*d));

	while (*end)
		end = &(*end)->next;
	if (!d)
		config_fail(p, p->line, "%s: no memory for it", k->name);
	if (d && read_properties(p, k, v, d) && config_take_device(p, k, end, d))
		return true;
	heap_free(d);
	return false;
}

void config_write_disk(const struct writer *w, const struct key *k, const void *from)
{
	const struct config_vm *vm = from;
	char text[CONFIG_MODULE_MAX + 64], slot[CONFIG_SLOT_TEXT];

	for (const struct config_device *d = vm->disk; d; d = d->next) {
		format(text, sizeof(text), "%s, bus=%s, mode=%s%s", d->module, buses[0].bus,
		       d->overlay ? "overlay" : "ro", config_slot_text(d, slot));
		config_put_line(w, k, text, "");
	}
}
