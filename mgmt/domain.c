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

static void emit(struct domain *d, struct domain_event *e)
{
	e->id = READ_ONCE(d->id);
	str_copy(e->name, d->name, sizeof(e->name));
	memcpy(e->uuid, d->uuid, sizeof(e->uuid));
	events_emit(e);
}

void domain_event(struct domain *d, enum event_kind kind, const char *detail)
{
	emit(d, &(struct domain_event){ .kind = kind, .detail = detail });
}

void domain_job_event(struct domain *d, enum event_kind kind, enum job_kind job, uint64_t done,
		      uint64_t total)
{
	emit(d, &(struct domain_event){ .kind = kind, .detail = job_about[job].name,
					.done = done, .total = total });
}

int domain_need(struct domain *d, unsigned mask, struct mgmt_error *err)
{
	if (!d->defined)
		return error_set(err, -ENOENT, "domain '%s' is not defined any more", d->name);
	if (d->job)
		return error_set(err, -EBUSY, "domain '%s' has a job (%s) under way: 'domjobinfo' "
				 "tells how far it is, 'domjobabort' ends it", d->name,
				 job_about[d->job->kind].name);
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

void domain_job_queue(struct job *j)
{
	domain_job_event(j->domain, EVENT_JOB_BEGUN, j->kind, 0, j->total);
	job_queue(j);
}

/* An event for each eighth of it. */
void domain_job_progress(struct job *j, uint64_t more)
{
	uint64_t was = j->done, now = was + more, total = READ_ONCE(j->total);

	WRITE_ONCE(j->done, now);
	if (now < total && now * 8 / total != was * 8 / total)
		domain_job_event(j->domain, EVENT_JOB_PROGRESS, j->kind, now, total);
}

static void describe(const struct job *j, struct domain_job *out)
{
	const struct job_about *a = &job_about[j->kind];

	*out = (struct domain_job){
		.name = a->name, .unit = a->unit, .outcome = "",
		.aborted = READ_ONCE(j->aborted), .abortable = !a->refusal,
		.elapsed_ns = clock_ns() - j->began_ns,
		.done = READ_ONCE(j->done), .total = READ_ONCE(j->total),
	};
}

void domain_job_end(struct domain *d, int result)
{
	static const char *const outcomes[] = { "done", "failed", "aborted" };
	enum event_kind kind = !result ? EVENT_JOB_DONE :
			       READ_ONCE(d->job->aborted) ? EVENT_JOB_ABORTED : EVENT_JOB_FAILED;
	struct domain_job *last = &d->last_job;
	struct job *j = d->job;

	ASSERT(mutex_held(&d->lock));
	describe(j, last);
	last->outcome = outcomes[kind - EVENT_JOB_DONE];
	last->abortable = false;
	memcpy(last->found_name, job_about[j->kind].found, sizeof(last->found_name));
	memcpy(last->found, j->found, sizeof(last->found));
	domain_job_event(d, kind, j->kind, last->done, last->total);
	job_put(j);
	d->job = NULL;
	mgmt_note(d, 0);	/* notes have waited, or the host to be switched off */
}

/* The end of its vm, as if it were a job; the vm's memory comes back piece by piece. */
static void describe_end(struct domain *d, struct domain_job *out)
{
	uint64_t left = d->vm ? READ_ONCE(d->vm->charge.pages) : 0;

	*out = (struct domain_job){
		.name = job_about[JOB_END].name, .unit = job_about[JOB_END].unit, .outcome = "",
		.elapsed_ns = clock_ns() - d->ending_ns, .total = d->ending_pages * PAGE_SIZE,
		.done = (d->ending_pages - MIN(left, d->ending_pages)) * PAGE_SIZE,
	};
}

void domain_job_get(struct domain *d, bool completed, struct domain_job *out)
{
	*out = (struct domain_job){
		.name = job_about[JOB_NONE].name, .unit = job_about[JOB_NONE].unit, .outcome = "",
	};
	mutex_lock(&d->lock);
	if (completed && d->last_job.name)
		*out = d->last_job;
	else if (!completed && d->job)
		describe(d->job, out);
	else if (!completed && d->phase == PHASE_ENDING)
		describe_end(d, out);
	mutex_unlock(&d->lock);
}

int domain_job_abort(struct domain *d, struct mgmt_error *err)
{
	enum job_kind kind;
	int e = 0;

	mutex_lock(&d->lock);
	kind = d->job ? d->job->kind : d->phase == PHASE_ENDING ? JOB_END : JOB_NONE;
	if (kind == JOB_NONE)
		e = error_set(err, -EPERM, "domain '%s' has no job: 'jobs' lists all there are",
			      d->name);
	else if (job_about[kind].refusal)
		e = error_set(err, -EPERM, "the job of domain '%s' (%s) cannot be given up: %s",
			      d->name, job_about[kind].name, job_about[kind].refusal);
	else
		WRITE_ONCE(d->job->aborted, true);
	mutex_unlock(&d->lock);
	return e;
}
