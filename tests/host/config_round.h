/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A configuration is written and read again: both must be the same, byte for byte, but for where
 * the lines stood.
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "mgmt/config.h"

struct round_text {
	char *at;
	size_t n;
};

static inline void round_emit(void *arg, const char *text)
{
	struct round_text *t = arg;
	size_t n = strlen(text);

	t->at = realloc(t->at, t->n + n + 1);
	memcpy(t->at + t->n, text, n + 1);
	t->n += n;
}

static inline bool round_same_devices(const struct config_device *d, const struct config_device *e)
{
	for (; d && e; d = d->next, e = e->next)
		if (strcmp(d->class, e->class) || d->bus != e->bus || d->device != e->device ||
		    d->function != e->function || strcmp(d->module, e->module) ||
		    d->overlay != e->overlay || d->boot != e->boot || d->port != e->port ||
		    d->vram != e->vram ||
		    strcmp(d->cable, e->cable) ||
		    memcmp(d->mac, e->mac, sizeof(d->mac)) || strcmp(d->channel, e->channel))
			return false;
	return d == e;
}

static inline bool round_same_modules(const struct config_module *m, const struct config_module *n)
{
	for (; m && n; m = m->next, n = n->next)
		if (strcmp(m->name, n->name) || strcmp(m->arguments, n->arguments))
			return false;
	return m == n;
}

static inline bool round_same(const struct config_vm *a, const struct config_vm *b)
{
	struct config_vm x = *a, y = *b;

	for (unsigned i = 0; i < a->vcpus; i++)
		if (!cpu_set_equal(config_affinity(a, i), config_affinity(b, i)))
			return false;
	if (!round_same_devices(a->device, b->device) || !round_same_devices(a->disk, b->disk) ||
	    !round_same_devices(a->nic, b->nic) ||
	    !round_same_devices(a->cdrom, b->cdrom) ||
	    !round_same_devices(a->channel, b->channel) ||
	    !round_same_devices(a->video, b->video) ||
	    !round_same_modules(a->module, b->module) ||
	    !round_same_modules(a->option_rom, b->option_rom))
		return false;
	x.refs = y.refs = 0;
	x.line = y.line = x.kernel_line = y.kernel_line = x.initrd_line = y.initrd_line = 0;
	x.firmware_line = y.firmware_line = 0;
	x.module = y.module = x.option_rom = y.option_rom = NULL;
	x.device = y.device = x.disk = y.disk = x.cdrom = y.cdrom = NULL;
	x.nic = y.nic = x.channel = y.channel = x.video = y.video = NULL;
	x.pin = y.pin = NULL;
	return !memcmp(&x, &y, sizeof(x));
}

/* The host and all VMs of `c`, by way of their text. */
static inline bool config_round(const struct config *c, const struct config_limits *limits)
{
	struct config *again = calloc(1, sizeof(*again));
	struct round_text t = { 0 };
	bool same;

	config_write_host(&c->host, round_emit, &t);
	for (unsigned i = 0; i < c->vm_count; i++)
		config_write_vm(c->vm[i], NULL, round_emit, &t);
	same = !config_parse(again, t.at, t.n, limits) && !again->error_count &&
	       again->vm_count == c->vm_count && !strcmp(again->host.hostname, c->host.hostname);
	for (unsigned i = 0; same && i < c->vm_count; i++)
		same = round_same(c->vm[i], again->vm[i]);
	config_fini(again);
	free(again);
	free(t.at);
	return same;
}
