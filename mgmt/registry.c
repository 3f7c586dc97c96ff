/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All domains there are, in the order of their definition, found by name, UUID and id. See
 * mgmt/domain.h. Being defined is one reference; who uses a domain holds another, so that it stays
 * as long as a verb, a job, a console or a note needs it, though nobody finds it any more.
 *
 * Locking: `lock`, a mutex, around the list and its hashes; taken under a domain's own. A domain's
 * place in the order is its serial number, so that a walk goes on behind one that has left.
 */
#include "include/bits.h"
#include "kernel/sched_group.h"
#include "lib/string.h"
#include "mgmt/domain_struct.h"
#include "mm/heap.h"

#define BUCKETS	1024u

struct list domain_list = LIST_INIT(domain_list);
static struct list by_name[BUCKETS], by_uuid[BUCKETS];	/* the same, by hash */
static struct mutex lock;
static unsigned count;
static uint64_t serials;

static void enter(void)
{
	if (!by_name[0].next) {		/* the boot CPU, alone */
		mutex_init(&lock, "registry");
		for (unsigned i = 0; i < BUCKETS; i++) {
			list_init(&by_name[i]);
			list_init(&by_uuid[i]);
		}
	}
	mutex_lock(&lock);
}

static struct list *name_bucket(const char *name)
{
	return &by_name[str_hash(STR_HASH_START, name) % BUCKETS];
}

static struct list *uuid_bucket(const uint8_t uuid[16])
{
	return &by_uuid[(uuid[0] << 8 | uuid[1]) % BUCKETS];
}

static struct domain *find_name(const char *name)
{
	struct domain *d;

	list_for_each(d, name_bucket(name), same_name_hash)
		if (!strcmp(d->name, name))
			return d;
	return NULL;
}

static struct domain *find_uuid(const uint8_t uuid[16])
{
	struct domain *d;

	list_for_each(d, uuid_bucket(uuid), same_uuid_hash)
		if (!memcmp(d->uuid, uuid, sizeof(d->uuid)))
			return d;
	return NULL;
}

static struct domain *find_id(const char *text)
{
	struct domain *d;
	int id = 0;

	for (const char *p = text; *p; p++) {
		if (*p < '0' || *p > '9' || id > 100000000)
			return NULL;
		id = id * 10 + *p - '0';
	}
	list_for_each(d, &domain_list, link)
		if (*text && READ_ONCE(d->id) == id)
			return d;
	return NULL;
}

int domain_find(const char *which, struct domain **out, struct mgmt_error *err)
{
	uint8_t uuid[16];
	struct domain *d;

	enter();
	d = find_name(which);
	if (!d)
		d = find_id(which);
	if (!d && config_uuid_parse(which, uuid))
		d = find_uuid(uuid);
	if (d)
		domain_get(d);
	mutex_unlock(&lock);
	if (!d)
		return error_set(err, -ENOENT, "no domain has the name, id or UUID '%.64s': "
				 "'list --all' shows all there are", which);
	*out = d;
	return 0;
}

/* Behind one that has left the list: the first that was defined later. */
static struct domain *later(const struct domain *than)
{
	struct domain *d;

	list_for_each(d, &domain_list, link)
		if (d->serial > than->serial)
			return d;
	return NULL;
}

struct domain *domain_next(struct domain *after)
{
	struct domain *d;

	enter();
	if (after && list_empty(&after->link)) {
		d = later(after);
	} else {
		struct list *next = after ? after->link.next : domain_list.next;

		d = next == &domain_list ? NULL : list_entry(next, struct domain, link);
	}
	if (d)
		domain_get(d);
	mutex_unlock(&lock);
	if (after)
		domain_put(after);
	return d;
}

void domain_get(struct domain *d)
{
	__atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
}

void domain_put(struct domain *d)
{
	if (__atomic_sub_fetch(&d->refs, 1, __ATOMIC_ACQ_REL))
		return;
	console_fini(&d->console);
	domain_channels_fini(d);
	sched_group_put(d->group);
	config_vm_put(d->config);
	heap_free(d->nvram);
	heap_free(d);
}

/* --- coming and going */

static int add(struct config_vm *config, bool persistent, struct domain **out,
	       struct mgmt_error *err)
{
	struct domain *d;

	if (count == DOMAIN_MAX)
		return error_set(err, -ENOSPC, "there are %u domains, and no more can be: undefine "
				 "one", DOMAIN_MAX);
	d = heap_alloc(sizeof(*d));
	if (d)
		d->group = sched_group_create(0);
	if (!d || !d->group) {
		heap_free(d);
		return error_set(err, -ENOMEM, "domain '%s': no memory to define it", config->name);
	}
	str_copy(d->name, config->name, sizeof(d->name));
	memcpy(d->uuid, config->uuid, sizeof(d->uuid));
	d->config = config;
	d->persistent = persistent;
	d->defined = true;
	d->refs = 1;
	d->serial = ++serials;
	d->id = -1;
	d->state = DOMAIN_SHUTOFF;
	d->reason = REASON_UNKNOWN;
	mutex_init(&d->lock, "domain");
	console_init(&d->console);
	list_init(&d->delayed);
	list_push_back(name_bucket(d->name), &d->same_name_hash);
	list_push_back(uuid_bucket(d->uuid), &d->same_uuid_hash);
	list_push_back(&domain_list, &d->link);
	count++;
	*out = d;
	return 0;
}

/* *old, a reference: it is defined already, under that name and UUID. */
static int find_or_add(struct config_vm *config, bool persistent, struct domain **d, bool *old,
		       struct mgmt_error *err)
{
	struct domain *same;
	int e = 0;

	enter();
	same = find_uuid(config->uuid);
	*d = find_name(config->name);
	*old = *d;
	if (*d && *d != same)
		e = error_set(err, -EEXIST, "domain '%s' is defined already, with another UUID: "
			      "choose another name, or undefine it", config->name);
	else if (same != *d)
		e = error_set(err, -EEXIST, "domain '%s' has that UUID: give another one, or none",
			      same->name);
	else if (!*d)
		e = add(config, persistent, d, err);
	if (!e)
		domain_get(*d);
	mutex_unlock(&lock);
	return e;
}

/* False: it has gone meanwhile. */
static bool replace(struct domain *d, struct config_vm *config, bool persistent)
{
	bool defined;

	mutex_lock(&d->lock);
	defined = d->defined;
	if (defined) {
		config_vm_put(d->config);
		d->config = config;
		d->persistent |= persistent;
	}
	mutex_unlock(&d->lock);
	return defined;
}

int domain_define(struct config_vm *config, bool persistent, struct domain **out,
		  struct mgmt_error *err)
{
	struct domain *d = NULL;
	bool old = false;
	int e;

	for (;;) {
		e = find_or_add(config, persistent, &d, &old, err);
		if (e)
			return e;
		if (!old || replace(d, config, persistent))
			break;
		domain_put(d);
	}
	domain_event(d, EVENT_DEFINED, old ? "updated" : "added");
	if (out)
		*out = d;
	else
		domain_put(d);
	return 0;
}

void domain_remove(struct domain *d)
{
	domain_event(d, EVENT_UNDEFINED, "removed");
	enter();
	d->defined = false;
	list_remove(&d->same_name_hash);
	list_remove(&d->same_uuid_hash);
	list_remove(&d->link);
	count--;
	mutex_unlock(&lock);
	domain_put(d);
}

int domain_undefine(struct domain *d, struct mgmt_error *err)
{
	int e = 0;

	mutex_lock(&d->lock);
	if (!d->defined)
		e = error_set(err, -ENOENT, "domain '%s' is not defined any more", d->name);
	d->persistent = false;
	if (!e && d->phase == PHASE_OFF)
		domain_remove(d);
	mutex_unlock(&d->lock);
	return e;
}
