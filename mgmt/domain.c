/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of domains, and the state of one: names, legal transitions, the one setter. See
 * mgmt/domain.h. The list only grows, while one CPU runs mgmt_init; references keep a domain, so it
 * is walked without a lock.
 */
#include "mgmt/domain.h"

#include "include/bits.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/domain_struct.h"
#include "mm/heap.h"

#define NAME_BUCKETS	1024u

struct list domain_list = LIST_INIT(domain_list);
static struct list by_name[NAME_BUCKETS];	/* the same, by their name's hash */

static const char *const state_names[DOMAIN_STATE_COUNT] = {
	[DOMAIN_RUNNING] = "running",
	[DOMAIN_PAUSED] = "paused",
	[DOMAIN_SHUTDOWN] = "in shutdown",
	[DOMAIN_SHUTOFF] = "shut off",
	[DOMAIN_CRASHED] = "crashed",
};

static const char *const reason_names[REASON_COUNT] = {
	[REASON_UNKNOWN] = "unknown",
	[REASON_BOOTED] = "booted",
	[REASON_UNPAUSED] = "unpaused",
	[REASON_RESTARTED] = "restarted",
	[REASON_USER] = "user",
	[REASON_SHUTTING_DOWN] = "shutting down",
	[REASON_SHUTDOWN] = "shutdown",
	[REASON_DESTROYED] = "destroyed",
	[REASON_CRASHED] = "crashed",
	[REASON_FAILED] = "failed",
	[REASON_PANICKED] = "panicked",
};

/* To which states each may go: bits by enum domain_state. */
static const uint8_t legal[DOMAIN_STATE_COUNT] = {
	[DOMAIN_SHUTOFF] = BIT(DOMAIN_RUNNING),
	[DOMAIN_RUNNING] = BIT(DOMAIN_RUNNING) | BIT(DOMAIN_PAUSED) | BIT(DOMAIN_SHUTDOWN) |
			   BIT(DOMAIN_SHUTOFF) | BIT(DOMAIN_CRASHED),
	[DOMAIN_PAUSED] = BIT(DOMAIN_RUNNING) | BIT(DOMAIN_PAUSED) | BIT(DOMAIN_SHUTDOWN) |
			  BIT(DOMAIN_SHUTOFF) | BIT(DOMAIN_CRASHED),
	[DOMAIN_SHUTDOWN] = BIT(DOMAIN_RUNNING) | BIT(DOMAIN_PAUSED) | BIT(DOMAIN_SHUTDOWN) |
			    BIT(DOMAIN_SHUTOFF) | BIT(DOMAIN_CRASHED),
	[DOMAIN_CRASHED] = BIT(DOMAIN_RUNNING) | BIT(DOMAIN_SHUTDOWN) | BIT(DOMAIN_SHUTOFF),
};

/* What a verb that does not fit the state advises; %s is the name. */
static const char *const advice[DOMAIN_STATE_COUNT] = {
	[DOMAIN_RUNNING] = "'console' attaches to it, 'shutdown' or 'destroy' ends it",
	[DOMAIN_PAUSED] = "'resume' lets it go on, 'destroy' ends it",
	[DOMAIN_SHUTDOWN] = "wait until it is, or end it at once with 'destroy'",
	[DOMAIN_SHUTOFF] = "'start' starts it",
	[DOMAIN_CRASHED] = "'reset' starts it anew, 'destroy' ends it",
};

const char *domain_state_name(enum domain_state s)
{
	return s < DOMAIN_STATE_COUNT && state_names[s] ? state_names[s] : "no state";
}

const char *domain_reason_name(enum domain_reason r)
{
	return r < REASON_COUNT ? reason_names[r] : "unknown";
}

const struct config_vm *domain_config(const struct domain *d)
{
	return d->config;
}

const char *domain_name(const struct domain *d)
{
	return d->config->name;
}

enum domain_state domain_state(const struct domain *d)
{
	return READ_ONCE(d->state);
}

struct console *domain_console(struct domain *d)
{
	return &d->console;
}

void domain_uuid_format(const uint8_t uuid[16], char text[DOMAIN_UUID_TEXT])
{
	int n = 0;

	for (unsigned i = 0; i < 16; i++)
		n += format(text + n, (size_t)(DOMAIN_UUID_TEXT - n), "%s%02x",
			    i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
}

void domain_state_set(struct domain *d, enum domain_state state, enum domain_reason reason)
{
	ASSERT(mutex_held(&d->lock));
	ASSERT(legal[d->state] & BIT(state));
	d->state = state;
	d->reason = reason;
}

void domain_event(struct domain *d, enum event_kind kind, const char *detail)
{
	struct domain_event e = { .kind = kind, .id = d->id, .detail = detail };

	str_copy(e.name, d->config->name, sizeof(e.name));
	events_emit(&e);
}

int domain_need(struct domain *d, unsigned mask, struct mgmt_error *err)
{
	if (d->restart_at_ns)
		return error_set(err, -EBUSY, "domain '%s' has ended too often and waits for its "
				 "restart: 'destroy' ends it", d->config->name);
	if (d->ending)
		return error_set(err, -EBUSY, "domain '%s' is just being %s: try again in a moment",
				 d->config->name, d->restart ? "restarted" : "ended");
	if (!(mask & BIT(d->state)))
		return error_set(err, -EPERM, "domain '%s' is %s: %s", d->config->name,
				 domain_state_name(d->state), advice[d->state]);
	if (d->halted && d->state == DOMAIN_PAUSED && !(mask & BIT(DOMAIN_CRASHED)))
		return error_set(err, -EPERM, "domain '%s' has ended and is only preserved: "
				 "'reset' starts it anew, 'destroy' ends it", d->config->name);
	return 0;
}

/* Made when the first one comes into it. */
static struct list *bucket(const char *name)
{
	return &by_name[str_hash(STR_HASH_START, name) % NAME_BUCKETS];
}

static struct domain *find_name(const char *name)
{
	struct list *b = bucket(name);
	struct domain *d;

	if (!b->next)
		return NULL;
	list_for_each(d, b, same_name_hash)
		if (!strcmp(d->config->name, name))
			return d;
	return NULL;
}

int domain_define(struct config_vm *config, struct mgmt_error *err)
{
	struct list *same = bucket(config->name);
	struct domain *d;

	if (find_name(config->name))
		return error_set(err, -EEXIST,
				 "domain '%s' is defined already: choose another name",
				 config->name);
	d = heap_alloc(sizeof(*d));
	if (!d)
		return error_set(err, -ENOMEM, "domain '%s': no memory to define it", config->name);
	d->config = config;
	d->refs = 1;
	d->id = -1;
	d->state = DOMAIN_SHUTOFF;
	mutex_init(&d->lock, "domain");
	console_init(&d->console);
	list_init(&d->delayed);
	if (!same->next)
		list_init(same);
	list_push_back(same, &d->same_name_hash);
	list_push_back(&domain_list, &d->link);
	return 0;
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

static struct domain *find_uuid(const char *text)
{
	char uuid[DOMAIN_UUID_TEXT];
	struct domain *d;

	list_for_each(d, &domain_list, link) {
		domain_uuid_format(d->config->uuid, uuid);
		if (!strcmp(uuid, text))
			return d;
	}
	return NULL;
}

int domain_find(const char *which, struct domain **out, struct mgmt_error *err)
{
	struct domain *d = find_name(which);

	if (!d)
		d = find_id(which);
	if (!d)
		d = find_uuid(which);
	if (!d)
		return error_set(err, -ENOENT, "no domain has the name, id or UUID '%.64s': "
				 "'list --all' shows all there are", which);
	domain_get(d);
	*out = d;
	return 0;
}

struct domain *domain_next(struct domain *after)
{
	struct list *next = after ? after->link.next : domain_list.next;
	struct domain *d = next == &domain_list ? NULL : list_entry(next, struct domain, link);

	if (d)
		domain_get(d);
	if (after)
		domain_put(after);
	return d;
}

void domain_get(struct domain *d)
{
	__atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
}

/* The table's own reference stays: a domain is defined as long as Keel runs. */
void domain_put(struct domain *d)
{
	uint32_t before = __atomic_fetch_sub(&d->refs, 1, __ATOMIC_RELEASE);

	ASSERT(before > 1);
	(void)before;
}
