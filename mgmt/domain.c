/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state of a domain: names, legal transitions, the one setter; what a verb needs of it; its
 * job. See mgmt/domain.h. All of it under the domain's mutex.
 */
#include "mgmt/domain.h"

#include "cpu/tsc.h"
#include "include/bits.h"
#include "kernel/panic.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/domain_struct.h"

static const char *const state_names[DOMAIN_STATE_COUNT] = {
	[DOMAIN_RUNNING] = "running",
	[DOMAIN_PAUSED] = "paused",
	[DOMAIN_SHUTDOWN] = "in shutdown",
	[DOMAIN_SHUTOFF] = "shut off",
	[DOMAIN_CRASHED] = "crashed",
};

static const struct { enum domain_reason reason; const char *name; } reason_names[] = {
	{ REASON_BOOTED, "booted" }, { REASON_RESTARTED, "restarted" },
	{ REASON_UNPAUSED, "unpaused" }, { REASON_SUSPENDED, "user" },
	{ REASON_SHUTTING_DOWN, "shutting down" }, { REASON_STARTING_UP, "starting up" },
	{ REASON_ENDING, "user" }, { REASON_SHUTDOWN, "shutdown" },
	{ REASON_DESTROYED, "destroyed" }, { REASON_CRASHED, "crashed" },
	{ REASON_FAILED, "failed" }, { REASON_PANICKED, "panicked" },
};

/* To which states each may go: bits by enum domain_state. */
static const uint8_t legal[DOMAIN_STATE_COUNT] = {
	[DOMAIN_SHUTOFF] = BIT(DOMAIN_PAUSED),
	[DOMAIN_RUNNING] = BIT(DOMAIN_RUNNING) | BIT(DOMAIN_PAUSED) | BIT(DOMAIN_SHUTDOWN) |
			   BIT(DOMAIN_SHUTOFF) | BIT(DOMAIN_CRASHED),
	[DOMAIN_PAUSED] = BIT(DOMAIN_RUNNING) | BIT(DOMAIN_PAUSED) | BIT(DOMAIN_SHUTDOWN) |
			  BIT(DOMAIN_SHUTOFF) | BIT(DOMAIN_CRASHED),
	[DOMAIN_SHUTDOWN] = BIT(DOMAIN_RUNNING) | BIT(DOMAIN_PAUSED) | BIT(DOMAIN_SHUTDOWN) |
			    BIT(DOMAIN_SHUTOFF) | BIT(DOMAIN_CRASHED),
	[DOMAIN_CRASHED] = BIT(DOMAIN_RUNNING) | BIT(DOMAIN_SHUTDOWN) | BIT(DOMAIN_SHUTOFF),
};

static const uint8_t legal_phase[PHASE_COUNT] = {
	[PHASE_OFF] = BIT(PHASE_STARTING),
	[PHASE_STARTING] = BIT(PHASE_ON) | BIT(PHASE_ENDING) | BIT(PHASE_OFF),
	[PHASE_ON] = BIT(PHASE_ENDING),
	[PHASE_ENDING] = BIT(PHASE_OFF) | BIT(PHASE_WAITING) | BIT(PHASE_STARTING),
	[PHASE_WAITING] = BIT(PHASE_OFF) | BIT(PHASE_STARTING),
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
	for (unsigned i = 0; i < ARRAY_COUNT(reason_names); i++)
		if (reason_names[i].reason == r)
			return reason_names[i].name;
	return "unknown";
}

struct config_vm *domain_config_get(struct domain *d, bool live)
{
	struct config_vm *c;

	mutex_lock(&d->lock);
	c = live && d->live ? d->live : d->config;
	config_vm_get(c);
	mutex_unlock(&d->lock);
	return c;
}

const char *domain_name(const struct domain *d)
{
	return d->name;
}

struct sched_group *domain_group(const struct domain *d)
{
	return d->group;
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

void domain_state_set(struct domain *d, enum domain_reason reason)
{
	enum domain_state state = domain_reason_state(reason);

	ASSERT(mutex_held(&d->lock));
	ASSERT(legal[d->state] & BIT(state));
	d->state = state;
	d->reason = reason;
}

void domain_phase_set(struct domain *d, enum domain_phase phase)
{
	ASSERT(mutex_held(&d->lock));
	ASSERT(legal_phase[d->phase] & BIT(phase));
	d->phase = phase;
}

void domain_event(struct domain *d, enum event_kind kind, const char *detail)
{
	struct domain_event e = { .kind = kind, .id = d->id, .detail = detail };

	str_copy(e.name, d->name, sizeof(e.name));
	events_emit(&e);
}

int domain_need(struct domain *d, unsigned mask, struct mgmt_error *err)
{
	if (!d->defined)
		return error_set(err, -ENOENT, "domain '%s' is not defined any more", d->name);
	if (d->job)
		return error_set(err, -EBUSY, "domain '%s' has a job (%s) under way: 'domjobinfo' "
				 "tells how far it is, 'domjobabort' ends it", d->name,
				 job_name(d->job->kind));
	if (d->phase == PHASE_WAITING)
		return error_set(err, -EBUSY, "domain '%s' has ended too often and waits for its "
				 "restart: 'destroy' ends it", d->name);
	if (d->phase == PHASE_ENDING)
		return error_set(err, -EBUSY, "domain '%s' is just being %s: try again in a moment",
				 d->name, d->restart ? "restarted" : "ended");
	if (!(mask & BIT(d->state)))
		return error_set(err, -EPERM, "domain '%s' is %s: %s", d->name,
				 domain_state_name(d->state), advice[d->state]);
	if (d->reason == REASON_SHUTTING_DOWN && !(mask & BIT(DOMAIN_CRASHED)))
		return error_set(err, -EPERM, "domain '%s' has ended and is only preserved: "
				 "'reset' starts it anew, 'destroy' ends it", d->name);
	return 0;
}

/* --- its job */

struct job *domain_job_begin(struct domain *d, enum job_kind kind, int (*run)(struct job *j),
			     struct mgmt_error *err)
{
	struct job *j = job_new(kind, d, run);

	ASSERT(mutex_held(&d->lock) && !d->job);
	if (!j) {
		error_set(err, -ENOMEM, "domain '%s': no memory for the job: end another one",
			  d->name);
		return NULL;
	}
	job_get(j);
	d->job = j;
	return j;
}

void domain_job_end(struct domain *d)
{
	ASSERT(mutex_held(&d->lock));
	job_put(d->job);
	d->job = NULL;
	mgmt_note(d, 0);	/* notes have waited, or the host to be switched off */
}

void domain_job_get(struct domain *d, struct domain_job *out)
{
	*out = (struct domain_job){ .name = job_name(JOB_NONE) };
	mutex_lock(&d->lock);
	if (d->job) {
		out->name = job_name(d->job->kind);
		out->aborted = READ_ONCE(d->job->aborted);
		out->elapsed_ns = clock_ns() - d->job->began_ns;
		out->done = READ_ONCE(d->job->done);
		out->total = READ_ONCE(d->job->total);
	}
	mutex_unlock(&d->lock);
}

int domain_job_abort(struct domain *d, struct mgmt_error *err)
{
	int e = 0;

	mutex_lock(&d->lock);
	if (d->job)
		WRITE_ONCE(d->job->aborted, true);
	else
		e = error_set(err, -EPERM, "domain '%s' has no job: 'jobs' lists all there are",
			      d->name);
	mutex_unlock(&d->lock);
	return e;
}
