/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A domain's disks and drives as libvirt lists them, and what lies in a drive: a tray for each
 * `cdrom` goes from one vm of the domain to the next, as an overlay does, so that what was changed
 * while it ran stays changed until it is shut off. A change of what runs is made at the tray,
 * without the domain's lock, since the device may be reading; one of what is next, as any other of
 * the configuration. See mgmt/domain.h.
 */
#include "include/bits.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/domain_struct.h"
#include "mgmt/text.h"
#include "mm/heap.h"
#include "vmm/media.h"

/* ---- trays; d->lock held, or the domain has a job of the caller's ---- */

static unsigned count_of(const struct config_device *d)
{
	unsigned n = 0;

	for (; d; d = d->next)
		n++;
	return n;
}

int domain_tray_get(struct domain *d, unsigned i, const struct media_image *first,
		    struct media_tray **out)
{
	int e = 0;

	if (!d->tray)
		d->tray = heap_alloc(count_of(d->live->cdrom) * sizeof(d->tray[0]));
	if (!d->tray)
		return -ENOMEM;
	if (!d->tray[i]) {
		e = media_tray_create(&d->tray[i]);
		if (!e && first->name)
			e = media_tray_change(d->tray[i], first, true);
	}
	*out = d->tray[i];
	return e;
}

void domain_trays_drop(struct domain *d, const struct config_vm *c)
{
	for (unsigned i = 0; d->tray && i < count_of(c->cdrom); i++)
		media_tray_put(d->tray[i]);
	heap_free(d->tray);
	d->tray = NULL;
}

/* ---- the list ---- */

/* By class: what libvirt's targets begin and end with; those at ports have their letters. */
static const struct {
	const char *class, *prefix, *suffix;
} buses[] = {
	{ CONFIG_SATA, "sd", NULL }, { CONFIG_IDE, "hd", NULL }, { CONFIG_NVME, "nvme", "n1" },
	{ "", "vd", NULL },
};

static unsigned bus_of(const struct config_device *c)
{
	unsigned i = 0;

	while (buses[i].class[0] && strcmp(buses[i].class, c->class))
		i++;
	return i;
}

/* "vda", "vdb", ..., "vdz", "vdaa"; "nvme0n1", the namespace of the first controller. */
static void name_target(char *out, size_t size, unsigned bus, unsigned n)
{
	const char *prefix = buses[bus].prefix;

	if (buses[bus].suffix)
		format(out, size, "%s%u%s", prefix, n, buses[bus].suffix);
	else if (n < 26)
		format(out, size, "%s%c", prefix, 'a' + n);
	else
		format(out, size, "%s%c%c", prefix, 'a' + n / 26 - 1, 'a' + n % 26);
}

/* One of `list`. */
static void describe(const struct config_device *c, bool disc, const struct config_device *list,
		     struct domain_disk *to)
{
	unsigned bus = bus_of(c), nth = 0;
	const void *data;
	size_t size = 0;

	for (; list != c; list = list->next)
		nth += bus_of(list) == bus;
	*to = (struct domain_disk){
		.bus = config_disk_bus(c), .device = disc ? "cdrom" : "disk", .read_only = !c->overlay,
		.has_slot = !config_ports(c), .slot = { c->bus, c->device, c->function },
		.unit = c->port, .boot = c->boot,
	};
	name_target(to->target, sizeof(to->target), bus, to->has_slot ? nth : c->port);
	str_copy(to->source, c->module, sizeof(to->source));
	if (c->module[0] && mgmt_module(c->module, &data, &size))
		to->size = size;
}

/* What lies in the tray now, and not what lay there at the start. */
static void look(const struct domain *d, unsigned i, struct domain_disk *to)
{
	struct media_tray_state s;

	if (!d->tray || !d->tray[i])
		return;
	media_tray_look(d->tray[i], &s);
	str_copy(to->source, s.name, sizeof(to->source));
	to->size = s.size;
	to->open = s.open;
}

/* d->lock held: the i-th of all, of what runs (if it does) or will; false behind the last. */
static bool disk_at(const struct domain *d, bool live, unsigned i, struct domain_disk *to)
{
	const struct config_vm *c = live && d->live ? d->live : d->config;

	for (const struct config_device *x = c->disk; x; x = x->next)
		if (!i--) {
			describe(x, false, c->disk, to);
			return true;
		}
	for (const struct config_device *x = c->cdrom; x; x = x->next)
		if (!i--) {
			describe(x, true, c->cdrom, to);
			if (live && d->live)
				look(d, count_of(c->cdrom) - count_of(x), to);
			return true;
		}
	return false;
}

void domain_disks(struct domain *d, bool live, struct records *out)
{
	struct domain_disk one, *to;

	mutex_lock(&d->lock);
	for (unsigned i = 0; disk_at(d, live, i, &one); i++) {
		to = records_add(out);
		if (!to)
			break;
		*to = one;
	}
	mutex_unlock(&d->lock);
}

/* By its target, or by what lies in it. */
static int find(const struct domain *d, bool live, const char *name, struct domain_disk *to,
		unsigned *at, struct mgmt_error *err)
{
	for (*at = 0; disk_at(d, live, *at, to); ++*at)
		if (!strcmp(to->target, name) || (to->source[0] && !strcmp(to->source, name)))
			return 0;
	return error_set(err, -ENOENT, "domain '%s' has no disk '%.64s': 'domblklist' lists them",
			 d->name, name);
}

int domain_disk_find(struct domain *d, bool live, const char *name, struct domain_disk *out,
		     struct mgmt_error *err)
{
	unsigned at;
	int e;

	mutex_lock(&d->lock);
	e = find(d, live, name, out, &at, err);
	mutex_unlock(&d->lock);
	return e;
}

/* ---- changes ---- */

/* Is that to be done with what the drive has? */
static int check(const struct domain *d, const struct domain_disk *disk,
		 const struct domain_media *m, struct mgmt_error *err)
{
	if (strcmp(disk->device, "cdrom"))
		return error_set(err, -EINVAL, "'%s' of domain '%s' is a disk: only a drive's disc is "
				 "changed", disk->target, d->name);
	if (m->what == DOMAIN_MEDIA_EJECT && !disk->source[0])
		return error_set(err, -EPERM, "there is no disc in '%s' of domain '%s'",
				 disk->target, d->name);
	if (m->what == DOMAIN_MEDIA_INSERT && disk->source[0] && !disk->open)
		return error_set(err, -EPERM, "there is a disc in '%s' of domain '%s' already: "
				 "'--update' changes it", disk->target, d->name);
	return 0;
}

static int find_image(const struct domain *d, const char *name, struct media_image *out,
		      struct mgmt_error *err)
{
	size_t size;

	if (!mgmt_module(name, &out->data, &size))
		return error_set(err, -ENOENT, "there is no module '%.64s': add it to the image",
				 name);
	*out = (struct media_image){ .name = name, .data = out->data, .size = size };
	if (!size || size % HOST_MEDIA_BLOCK)
		return error_set(err, -EINVAL, "module '%.64s' has %zu bytes, a disc for domain '%s' "
				 "has a multiple of %u", name, size, d->name, HOST_MEDIA_BLOCK);
	return 0;
}

/* The drive's tray, a reference. */
static int live_tray(struct domain *d, const struct domain_media *m, struct media_tray **out,
		     struct mgmt_error *err)
{
	struct domain_disk disk;
	unsigned at;
	int e;

	mutex_lock(&d->lock);
	e = domain_need(d, DOMAIN_ACTIVE, err);
	if (!e)
		e = find(d, true, m->target, &disk, &at, err) ?: check(d, &disk, m, err);
	if (!e) {
		*out = d->tray[at - count_of(d->live->disk)];
		media_tray_get(*out);
	}
	mutex_unlock(&d->lock);
	return e;
}

static int change_live(struct domain *d, const struct domain_media *m, struct mgmt_error *err)
{
	bool eject = m->what == DOMAIN_MEDIA_EJECT;
	struct media_image image;
	struct media_tray *t;
	int e = eject ? 0 : find_image(d, m->source, &image, err);

	if (!e)
		e = live_tray(d, m, &t, err);
	if (e)
		return e;
	e = media_tray_change(t, eject ? NULL : &image, m->force);
	media_tray_put(t);
	if (e == -EBUSY)
		return error_set(err, e, "the guest of domain '%s' holds the tray of '%s' shut, and "
				 "was told that it is wanted: try again, or '--force' opens it",
				 d->name, m->target);
	return !e ? 0 : error_set(err, e, "'%s' of domain '%s' was not changed (%s)", m->target,
				  d->name, format_errno(e));
}

/* Each `cdrom` as it is, but for the one. */
static void add_lines(const struct config_vm *c, struct text *t, const void *arg)
{
	const struct domain_media *m = arg;
	struct domain_disk one;
	char line[CONFIG_MODULE_MAX + 64];

	for (const struct config_device *x = c->cdrom; x; x = x->next) {
		const char *now = m->what == DOMAIN_MEDIA_EJECT ? "" : m->source;

		describe(x, true, x, &one);
		config_cdrom_text(x, strcmp(one.target, m->target) ? x->module : now, line,
				  sizeof(line));
		text_add(t, "cdrom = ");
		text_add(t, line);
		text_add(t, "\n");
	}
}

static int change_config(struct domain *d, const struct domain_media *m, struct mgmt_error *err)
{
	struct domain_media named = *m;
	struct domain_disk disk;
	struct media_image image;
	unsigned at;
	int e = m->what == DOMAIN_MEDIA_EJECT ? 0 : find_image(d, m->source, &image, err);

	if (e)
		return e;
	mutex_lock(&d->lock);
	e = find(d, false, m->target, &disk, &at, err) ?: check(d, &disk, m, err);
	mutex_unlock(&d->lock);
	named.target = disk.target;
	return e ?: domain_configure_lines(d, "cdrom", add_lines, &named, err);
}

int domain_media_change(struct domain *d, unsigned how, const struct domain_media *m,
			struct mgmt_error *err)
{
	int e = 0;

	if (m->what != DOMAIN_MEDIA_EJECT && !m->source)
		return error_set(err, -EINVAL, "a source is wanted: the module that is to be the disc");
	if (m->what == DOMAIN_MEDIA_EJECT && m->source)
		return error_set(err, -EINVAL, "'--eject' takes no source");
	if (how == DOMAIN_AFFECT_CURRENT)
		how = domain_is_active(d) ? DOMAIN_AFFECT_LIVE : DOMAIN_AFFECT_CONFIG;
	if (how & DOMAIN_AFFECT_LIVE)
		e = change_live(d, m, err);
	if (!e && how & DOMAIN_AFFECT_CONFIG)
		e = change_config(d, m, err);
	return e;
}
