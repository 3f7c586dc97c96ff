/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keys `channel` and `console` of keel.conf: ports of one virtio-serial-pci, which is there for
 * them. The console is port 0, channels have a name and the ports behind it. The device's slot is
 * that of its first line; a port that is not named is given and written out. See
 * mgmt/config_parser.h.
 */
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/config_parser.h"

#define CHANNEL_LOOKS_LIKE "%s = %s is not right: it looks like org.example.agent.0, port=1, slot=0:4.0"
#define CONSOLE_LOOKS_LIKE "%s = %s is not right: it looks like virtio, slot=0:4.0"

static bool read_port(struct piece v, struct config_device *d)
{
	unsigned n;

	if (v.n != 1 || !config_digit(v.s[0], 10, &n) || !n || n >= CONFIG_SERIAL_PORTS)
		return false;
	d->port = (uint8_t)n;
	return true;
}

static const struct property properties[] = {
	{ "slot", config_read_slot }, { "port", read_port }, { 0 },
};
enum { SEEN_SLOT = 1, SEEN_PORT = 2 };		/* by row */

static const struct config_device *at_port(const struct config_vm *vm, unsigned n)
{
	const struct config_device *d = vm->channel;

	while (d && d->port != n)
		d = d->next;
	return d;
}

static bool has_name(const struct config_vm *vm, const char *name)
{
	for (const struct config_device *d = vm->channel; d; d = d->next)
		if (!strcmp(d->channel, name))
			return true;
	return false;
}

static void take_slot(struct config_device *d, const struct config_device *of)
{
	d->placed = of->placed;
	d->bus = of->bus;
	d->device = of->device;
	d->function = of->function;
}

/* All of them are one device; where nobody places it, whoever names its slot first does. */
static bool place(struct parser *p, const struct key *k, struct config_device *d, bool has_slot)
{
	const struct config_device *first = p->vm->channel;

	str_copy(d->class, CONFIG_SERIAL, sizeof(d->class));
	if (!first)
		return true;
	for (struct config_device *o = p->vm->channel; has_slot && o && !o->placed; o = o->next)
		take_slot(o, d);
	if (has_slot && (d->bus != first->bus || d->device != first->device ||
			 d->function != first->function)) {
		config_fail(p, p->line, "%s: channels and console have one slot, which is "
			    "%x:%x.%x already", k->name, first->bus, first->device,
			    first->function);
		return false;
	}
	take_slot(d, first);
	return true;
}

static bool choose_port(struct parser *p, const struct key *k, struct config_device *d)
{
	unsigned n = d->port ?: 1;

	while (!d->port && n < CONFIG_SERIAL_PORTS && at_port(p->vm, n))
		n++;
	d->port = (uint8_t)n;
	if (n < CONFIG_SERIAL_PORTS && !at_port(p->vm, n))
		return true;
	if (n < CONFIG_SERIAL_PORTS)
		config_fail(p, p->line, "%s: something is at port %u already", k->name, n);
	else
		config_fail(p, p->line, "%s: at most %u channels are possible", k->name,
			    CONFIG_SERIAL_PORTS - 1);
	return false;
}

/* "NAME" or "NAME, NAME=VALUE, ...". */
static bool read_channel(struct parser *p, const struct key *k, struct piece v,
			 struct config_device *d)
{
	struct piece all = v, name = config_trim(config_cut(&v, ','));
	unsigned seen;

	if (!config_name_is_right(name) || name.n >= sizeof(d->channel) ||
	    !config_read_properties(properties, ~0u, v, d, &seen)) {
		config_fail(p, p->line, CHANNEL_LOOKS_LIKE, k->name, config_quote(all).s);
		return false;
	}
	config_copy_piece(d->channel, name);
	if (has_name(p->vm, d->channel)) {
		config_fail(p, p->line, "%s: there is a channel '%s' already", k->name, d->channel);
		return false;
	}
	return choose_port(p, k, d) && place(p, k, d, seen & SEEN_SLOT);
}

static bool read_console(struct parser *p, const struct key *k, struct piece v,
			 struct config_device *d)
{
	struct piece all = v, model = config_trim(config_cut(&v, ','));
	unsigned seen;

	if (!config_equals(model, "virtio") ||
	    !config_read_properties(properties, SEEN_SLOT, v, d, &seen)) {
		config_fail(p, p->line, CONSOLE_LOOKS_LIKE, k->name, config_quote(all).s);
		return false;
	}
	return place(p, k, d, seen & SEEN_SLOT);
}

bool config_read_channel(struct parser *p, const struct key *k, struct piece v)
{
	return config_add_device(p, k, v, &p->vm->channel, read_channel);
}

/* It comes before the channels, wherever its line stands. */
bool config_read_console(struct parser *p, const struct key *k, struct piece v)
{
	struct config_device **list = &p->vm->channel, **last = list, *d;

	if (!config_add_device(p, k, v, list, read_console))
		return false;
	while ((*last)->next)
		last = &(*last)->next;
	d = *last;
	*last = NULL;
	d->next = *list;
	*list = d;
	return true;
}

void config_write_channel(const struct writer *w, const struct key *k, const void *from)
{
	const struct config_vm *vm = from;
	char text[CONFIG_CHANNEL_MAX + CONFIG_SLOT_TEXT + 16], slot[CONFIG_SLOT_TEXT];

	for (const struct config_device *d = vm->channel; d; d = d->next) {
		if (!d->port)
			continue;
		format(text, sizeof(text), "%s, port=%u%s", d->channel, d->port,
		       config_slot_text(d, slot));
		config_put_line(w, k, text, "");
	}
}

void config_write_console(const struct writer *w, const struct key *k, const void *from)
{
	const struct config_device *d = at_port(from, 0);
	char text[CONFIG_SLOT_TEXT + 16], slot[CONFIG_SLOT_TEXT];

	if (!d)
		return;
	format(text, sizeof(text), "virtio%s", config_slot_text(d, slot));
	config_put_line(w, k, text, "");
}
