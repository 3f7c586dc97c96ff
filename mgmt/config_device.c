/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the keys `device`, `disk`, `cdrom` and `nic` of keel.conf have in common, and the first of
 * them: properties by name, slots, and the lists of devices. A device that names no slot is given
 * one when it is taken into its list, and keeps it: it is written out. See mgmt/config_parser.h.
 */
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/config_parser.h"
#include "mm/heap.h"

static bool read_property(const struct property *rows, unsigned allowed, struct piece v,
			  struct config_device *d, unsigned *seen)
{
	struct piece name = config_trim(config_cut(&v, '='));
	unsigned i = 0;

	while (rows[i].name && !config_equals(name, rows[i].name))
		i++;
	if (!rows[i].name || *seen & 1u << i || !(allowed & 1u << i))
		return false;
	*seen |= 1u << i;
	return rows[i].read(config_trim(v), d);
}

bool config_read_properties(const struct property *rows, unsigned allowed, struct piece v,
			    struct config_device *d, unsigned *seen)
{
	bool right = true;

	*seen = 0;
	while (right && v.n)
		right = read_property(rows, allowed, config_trim(config_cut(&v, ',')), d, seen);
	return right;
}

/* One or two hexadecimal digits. */
static bool read_hex(struct piece v, uint8_t *out)
{
	unsigned digit;

	*out = 0;
	if (v.n < 1 || v.n > 2)
		return false;
	for (size_t i = 0; i < v.n; i++) {
		if (!config_digit(v.s[i], 16, &digit))
			return false;
		*out = (uint8_t)(*out << 4 | digit);
	}
	return true;
}

bool config_read_slot(struct piece v, struct config_device *d)
{
	d->placed = true;
	return read_hex(config_cut(&v, ':'), &d->bus) &&
	       read_hex(config_cut(&v, '.'), &d->device) && read_hex(v, &d->function);
}

const char *config_slot_text(const struct config_device *d, char text[CONFIG_SLOT_TEXT])
{
	text[0] = 0;
	if (d->placed)
		format(text, CONFIG_SLOT_TEXT, ", slot=%x:%x.%x", d->bus, d->device, d->function);
	return text;
}

/* Makes `d` the last of the list that ends there. */
static bool take_device(struct parser *p, const struct key *k, struct config_device **end,
			struct config_device *d)
{
	const struct config_limits *l = p->limits;
	char why[128];

	*end = d;
	if (!l->device || !l->device(l->arg, p->vm, why, sizeof(why)))
		return true;
	*end = NULL;
	config_fail(p, p->line, "%s: %s", k->name, why);
	return false;
}

bool config_add_device(struct parser *p, const struct key *k, struct piece v,
		       struct config_device **list, config_read_device_t *read)
{
	struct config_device *d = heap_alloc(sizeof(*d));

	while (*list)
		list = &(*list)->next;
	if (!d)
		config_fail(p, p->line, "%s: no memory for it", k->name);
	if (d && read(p, k, v, d) && take_device(p, k, list, d))
		return true;
	heap_free(d);
	return false;
}

/* "CLASS" or "CLASS, slot=BUS:DEVICE.FUNCTION". */
static bool read_class(struct parser *p, const struct key *k, struct piece v,
		       struct config_device *d)
{
	static const struct property properties[] = { { "slot", config_read_slot }, { 0 } };
	struct piece all = v, class = config_trim(config_cut(&v, ','));
	unsigned seen;

	if (!config_name_is_right(class) || class.n >= sizeof(d->class) ||
	    !config_read_properties(properties, ~0u, v, d, &seen)) {
		config_fail(p, p->line,
			    "%s = %s is not right: it looks like edu, slot=0:4.0 (bus, device, function)",
			    k->name, config_quote(all).s);
		return false;
	}
	config_copy_piece(d->class, class);
	if (!strcmp(d->class, CONFIG_VIDEO))
		config_fail(p, p->line, "%s = %s: a screen is written video = vga", k->name,
			    d->class);
	return strcmp(d->class, CONFIG_VIDEO);
}

bool config_read_device(struct parser *p, const struct key *k, struct piece v)
{
	return config_add_device(p, k, v, &p->vm->device, read_class);
}

void config_write_device(const struct writer *w, const struct key *k, const void *from)
{
	const struct config_vm *vm = from;
	char text[CONFIG_CLASS_MAX + CONFIG_SLOT_TEXT], slot[CONFIG_SLOT_TEXT];

	for (const struct config_device *d = vm->device; d; d = d->next) {
		format(text, sizeof(text), "%s%s", d->class, config_slot_text(d, slot));
		config_put_line(w, k, text, "");
	}
}
