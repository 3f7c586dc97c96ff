/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The consoles of a domain beside that of its serial port: one for each port of its
 * virtio-serial-pci. They are made when it starts with ports for the first time and stay as long as
 * the domain, so that whoever reads one never sees it go; which names they have is what its
 * configuration says.
 */
#include "include/bits.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/domain_struct.h"
#include "mm/heap.h"

#define SERIAL_NAME	"serial0"	/* as libvirt and Linux call these two */
#define CONSOLE_NAME	"hvc0"

_Static_assert(CONFIG_SERIAL_PORTS <= HOST_MEDIA_MAX, "a medium each");

struct domain_channels {
	struct console console[CONFIG_SERIAL_PORTS];
};

struct console *domain_channel(struct domain *d, unsigned port)
{
	return &d->channels->console[port];
}

static int make(struct domain *d)
{
	struct domain_channels *c = heap_alloc(sizeof(*c));

	if (!c)
		return -ENOMEM;
	for (unsigned i = 0; i < CONFIG_SERIAL_PORTS; i++) {
		console_init(&c->console[i]);
		c->console[i].channel = 1 + i;
	}
	mutex_lock(&d->lock);
	d->channels = c;
	mutex_unlock(&d->lock);
	return 0;
}

int domain_channels_prepare(struct domain *d, struct mgmt_error *err)
{
	const struct config_device *c = d->live->channel;
	int e = c && !d->channels ? make(d) : 0;

	for (; !e && c; c = c->next)
		e = console_prepare(domain_channel(d, c->port));
	return !e ? 0 : error_set(err, e, "domain '%s': no memory for its channels: end another one",
				  d->name);
}

void domain_channels_bind(struct domain *d, struct vm *vm)
{
	for (unsigned i = 0; d->channels && i < CONFIG_SERIAL_PORTS; i++)
		console_bind(domain_channel(d, i), vm);
}

void domain_channels_shrink(struct domain *d)
{
	for (unsigned i = 0; d->channels && i < CONFIG_SERIAL_PORTS; i++)
		console_shrink(domain_channel(d, i));
}

void domain_channels_fini(struct domain *d)
{
	for (unsigned i = 0; d->channels && i < CONFIG_SERIAL_PORTS; i++)
		console_fini(domain_channel(d, i));
	heap_free(d->channels);
}

static const char *name_of(const struct config_device *c)
{
	return c->port ? c->channel : CONSOLE_NAME;
}

static int unknown(const struct domain *d, const struct config_vm *vm, const char *name,
		   struct mgmt_error *err)
{
	char known[256];
	size_t n = (size_t)format(known, sizeof(known), "%s", SERIAL_NAME);

	for (const struct config_device *c = vm->channel; c && n < sizeof(known); c = c->next)
		n += (size_t)format(known + n, sizeof(known) - n, ", %s", name_of(c));
	return error_set(err, -ENOENT, "domain '%s' has no console '%.64s': it has %s", d->name,
			 name, known);
}

int domain_console_find(struct domain *d, const char *name, struct console **out,
			struct mgmt_error *err)
{
	const struct config_device *c;
	const struct config_vm *vm;
	int e = 0;

	*out = &d->console;
	if (!name || !strcmp(name, SERIAL_NAME))
		return 0;
	mutex_lock(&d->lock);
	vm = d->live ?: d->config;
	c = vm->channel;
	while (c && strcmp(name_of(c), name))
		c = c->next;
	if (!c)
		e = unknown(d, vm, name, err);
	else if (!d->channels)
		e = error_set(err, -EPERM, "domain '%s' is shut off and its console is closed: "
			      "'start %s' starts it", d->name, d->name);
	else
		*out = domain_channel(d, c->port);
	mutex_unlock(&d->lock);
	return e;
}
