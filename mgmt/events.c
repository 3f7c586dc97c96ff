/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events; see mgmt/events.h. Numbers of events and details are libvirt's (libvirt-domain.h,
 * virDomainEventType and the types of details).
 *
 * Locking: `lock` (LOCK_MGMT, spinlock) around the ring and the list of watches, held while these
 * are called.
 */
#include "mgmt/events.h"

#include "cpu/spinlock.h"
#include "cpu/tsc.h"
#include "include/bits.h"
#include "lib/string.h"

static const struct {
	const char *class, *word;
	uint8_t number;
} kinds[EVENT_KIND_COUNT] = {
	[EVENT_DEFINED] = { "lifecycle", "Defined", 0 },
	[EVENT_UNDEFINED] = { "lifecycle", "Undefined", 1 },
	[EVENT_STARTED] = { "lifecycle", "Started", 2 },
	[EVENT_SUSPENDED] = { "lifecycle", "Suspended", 3 },
	[EVENT_RESUMED] = { "lifecycle", "Resumed", 4 },
	[EVENT_STOPPED] = { "lifecycle", "Stopped", 5 },
	[EVENT_SHUTDOWN] = { "lifecycle", "Shutdown", 6 },
	[EVENT_CRASHED] = { "lifecycle", "Crashed", 8 },
	[EVENT_REBOOTED] = { "reboot", "", 0 },
	[EVENT_BUTTON] = { "button", "Pressed", 0 },
	[EVENT_JOB_BEGUN] = { "job", "Begun", 0 },
	[EVENT_JOB_PROGRESS] = { "job", "Progress", 0 },
	[EVENT_JOB_DONE] = { "job", "Done", 0 },
	[EVENT_JOB_FAILED] = { "job", "Failed", 0 },
	[EVENT_JOB_ABORTED] = { "job", "Aborted", 0 },
	[EVENT_MEMORY_WAITING] = { "memory", "Waiting", 0 },
	[EVENT_MEMORY_CAME] = { "memory", "Came", 0 },
};

/* Those that are not 0. */
static const struct {
	enum event_kind kind;
	const char *detail;
	uint8_t number;
} details[] = {
	{ EVENT_DEFINED, "updated", 1 },
	{ EVENT_SHUTDOWN, "finished after guest request", 1 },
	{ EVENT_SHUTDOWN, "finished after host request", 2 },
	{ EVENT_STOPPED, "destroyed", 1 },
	{ EVENT_STOPPED, "crashed", 2 },
	{ EVENT_STOPPED, "failed", 5 },
};

static struct spinlock lock = SPINLOCK_INIT("events", LOCK_MGMT);
static struct domain_event ring[EVENTS_MAX];	/* by number */
static uint64_t next = 1;
static struct list watches = LIST_INIT(watches);

void events_watch(struct event_watch *w)
{
	spin_lock(&lock);
	list_push_back(&watches, &w->link);
	spin_unlock(&lock);
}

void events_unwatch(struct event_watch *w)
{
	spin_lock(&lock);
	list_remove(&w->link);
	spin_unlock(&lock);
}

static void complete(struct domain_event *e)
{
	e->time_ns = clock_ns();
	e->class = kinds[e->kind].class;
	e->word = kinds[e->kind].word;
	e->number = kinds[e->kind].number;
	e->detail_number = 0;
	for (unsigned i = 0; i < ARRAY_COUNT(details); i++)
		if (details[i].kind == e->kind && !strcmp(details[i].detail, e->detail))
			e->detail_number = details[i].number;
}

void events_emit(const struct domain_event *from)
{
	struct domain_event e = *from;
	struct event_watch *w;

	complete(&e);
	spin_lock(&lock);
	e.sequence = next++;
	ring[e.sequence % EVENTS_MAX] = e;
	list_for_each(w, &watches, link)
		w->fn(w);
	spin_unlock(&lock);
}

bool events_read(uint64_t from, struct domain_event *out)
{
	uint64_t oldest;
	bool any;

	spin_lock(&lock);
	oldest = next > EVENTS_MAX ? next - EVENTS_MAX : 1;
	from = MAX(from, oldest);
	any = from < next;
	if (any)
		*out = ring[from % EVENTS_MAX];
	spin_unlock(&lock);
	return any;
}

bool events_is_class(const char *class)
{
	for (unsigned i = 0; i < EVENT_KIND_COUNT; i++)
		if (!strcmp(kinds[i].class, class))
			return true;
	return false;
}

uint64_t events_next(void)
{
	uint64_t n;

	spin_lock(&lock);
	n = next;
	spin_unlock(&lock);
	return n;
}
