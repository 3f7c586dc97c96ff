/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happens to domains, in the order in which it happened: every change of state, every other
 * configuration, every job. The newest EVENTS_MAX are kept, numbered without a gap, so that whoever
 * reads on from a number is told what came since, and how much of it is lost. Nobody who reads
 * holds up who emits. Thread context.
 */
#pragma once

#include "include/list.h"

#define EVENTS_MAX	512u

enum event_kind {
	EVENT_DEFINED,
	EVENT_UNDEFINED,
	EVENT_STARTED,		/* also after a restart by policy */
	EVENT_SUSPENDED,
	EVENT_RESUMED,
	EVENT_SHUTDOWN,		/* the guest has powered itself off */
	EVENT_REBOOTED,		/* a reset; the domain stays active */
	EVENT_CRASHED,
	EVENT_STOPPED,		/* it is no longer active, and all it used is released */
	EVENT_BUTTON,		/* the guest is asked to shut down, or to reboot */
	EVENT_JOB_BEGUN,	/* `detail` is the job's name, as in the next two */
	EVENT_JOB_PROGRESS,	/* `done` of `total` */
	EVENT_JOB_DONE,
	EVENT_JOB_FAILED,
	EVENT_JOB_ABORTED,
	EVENT_MEMORY_WAITING,	/* some vCPU finds no memory, and waits for it */
	EVENT_MEMORY_CAME,
	EVENT_KIND_COUNT
};

struct domain_event {
	uint64_t sequence;		/* from 1 on */
	uint64_t time_ns;		/* since the host's start */
	enum event_kind kind;
	char name[64];
	uint8_t uuid[16];
	int id;				/* at that time, -1 if none */
	const char *class;		/* "lifecycle", "reboot", "button", "job", "memory" */
	const char *word;		/* "Started" ..., as virsh prints it; "" if there is none */
	const char *detail;		/* "booted", "destroyed", ...; a constant, or "" */
	unsigned number, detail_number;	/* of a lifecycle event libvirt's, else 0 */
	uint64_t done, total;		/* of a job */
};

/* Kind, domain, detail and what was done are the caller's; the rest follows. */
void events_emit(const struct domain_event *e);
/* The first that is left with a number of `from` or more; false: there is none yet. */
bool events_read(uint64_t from, struct domain_event *out);
uint64_t events_next(void);		/* the number that the next one gets */
bool events_is_class(const char *class);

/* Called after each event, under a spinlock (LOCK_MGMT): it only wakes. */
struct event_watch {
	void (*fn)(struct event_watch *w);
	struct list link;		/* private */
};

void events_watch(struct event_watch *w);
void events_unwatch(struct event_watch *w);
