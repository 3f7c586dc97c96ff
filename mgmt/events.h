/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happens to domains, told to whoever subscribed: the shell's waits now, a network API later.
 * Verbs that take long return at once; their end is an event. Callbacks run in thread context under
 * the list's spinlock (LOCK_MGMT): they copy and wake, and call no verb.
 */
#pragma once

#include "include/list.h"

struct domain;

enum event_kind {
	EVENT_DEFINED,
	EVENT_UNDEFINED,
	EVENT_STARTED,		/* also after a restart by policy */
	EVENT_SUSPENDED,
	EVENT_RESUMED,
	EVENT_SHUTDOWN,		/* the guest was asked to */
	EVENT_REBOOTED,		/* a reset; the domain stays active */
	EVENT_CRASHED,
	EVENT_STOPPED,		/* it is no longer active, and all it used is released */
	EVENT_KIND_COUNT
};

struct domain_event {
	enum event_kind kind;
	char name[64];
	int id;				/* at that time, -1 if none */
	const char *detail;		/* "booted", "destroyed", ...; a constant */
};

struct event_subscriber {
	void (*fn)(struct event_subscriber *s, const struct domain_event *e);
	struct list link;		/* private */
};

void events_subscribe(struct event_subscriber *s);
void events_unsubscribe(struct event_subscriber *s);
void events_emit(const struct domain_event *e);
const char *events_name(enum event_kind kind);		/* "Started" ..., as virsh prints it */
