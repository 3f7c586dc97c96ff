/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events; see mgmt/events.h. Lock: `lock` (LOCK_MGMT, spinlock) around the list of subscribers,
 * held while they are called.
 */
#include "mgmt/events.h"

#include "cpu/spinlock.h"

static struct spinlock lock = SPINLOCK_INIT("events", LOCK_MGMT);
static struct list subscribers = LIST_INIT(subscribers);

void events_subscribe(struct event_subscriber *s)
{
	spin_lock(&lock);
	list_push_back(&subscribers, &s->link);
	spin_unlock(&lock);
}

void events_unsubscribe(struct event_subscriber *s)
{
	spin_lock(&lock);
	list_remove(&s->link);
	spin_unlock(&lock);
}

void events_emit(const struct domain_event *e)
{
	struct event_subscriber *s;

	spin_lock(&lock);
	list_for_each(s, &subscribers, link)
		s->fn(s, e);
	spin_unlock(&lock);
}

const char *events_name(enum event_kind kind)
{
	static const char *const names[EVENT_KIND_COUNT] = {
		"Defined", "Undefined", "Started", "Suspended", "Resumed", "Shutdown", "Rebooted",
		"Crashed", "Stopped",
	};

	return kind < EVENT_KIND_COUNT ? names[kind] : "Unknown";
}
