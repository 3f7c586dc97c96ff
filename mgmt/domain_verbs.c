/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verbs on domains: each locks, asks whether the state allows it, acts, tells. What waits is
 * done by a job, without the lock. See mgmt/domain.h.
 */
#include "include/bits.h"
#include "kernel/log.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/domain_struct.h"
#include "vmm/vm_check.h"

/* Waits for it, and drops the reference. */
static int finish(struct job *j, struct mgmt_error *err)
{
	int e = job_finish(j, err);

	job_put(j);
	return e;
}

int domain_start_begin(struct domain *d, struct job **job, struct mgmt_error *err)
{
	int e;

	mutex_lock(&d->lock);
	e = domain_need(d, BIT(DOMAIN_SHUTOFF), err);
	if (!e)
		e = domain_start_locked(d, REASON_BOOTED, job, err);
	mutex_unlock(&d->lock);
	return e;
}

int domain_start(struct domain *d, struct mgmt_error *err)
{
	struct job *j;
	int e = domain_start_begin(d, &j, err);

	return e ? e : finish(j, err);
}

static int press_button(struct domain *d, bool reboot, struct mgmt_error *err)
{
	int e;

	mutex_lock(&d->lock);
	/* Once more for a guest that did not listen the first time. */
	e = domain_need(d, BIT(DOMAIN_RUNNING) | BIT(DOMAIN_SHUTDOWN), err);
	if (!e) {
		d->reboot_asked = reboot;
		if (d->state == DOMAIN_RUNNING)
			domain_state_set(d, REASON_ENDING);
		domain_event(d, EVENT_BUTTON, reboot ? "reboot" : "shutdown");
		vm_power_button(d->vm);
	}
	mutex_unlock(&d->lock);
	return e;
}

int domain_shutdown(struct domain *d, struct mgmt_error *err)
{
	return press_button(d, false, err);
}

int domain_reboot(struct domain *d, struct mgmt_error *err)
{
	return press_button(d, true, err);
}

int domain_reset(struct domain *d, struct mgmt_error *err)
{
	int e;

	mutex_lock(&d->lock);
	e = domain_need(d, DOMAIN_ACTIVE, err);
	if (!e)
		domain_end_locked(d, true, REASON_DESTROYED);
	mutex_unlock(&d->lock);
	return e;
}

int domain_destroy(struct domain *d, struct mgmt_error *err)
{
	int e = 0;

	mutex_lock(&d->lock);
	if (d->job) {
		WRITE_ONCE(d->job->aborted, true);
		mgmt_note(d, NOTE_DESTROY);
		mutex_unlock(&d->lock);
		return 0;
	}
	/* Also in the middle of a restart, or of another destroy. */
	if (d->phase != PHASE_ENDING && d->phase != PHASE_WAITING)
		e = domain_need(d, DOMAIN_ACTIVE, err);
	if (!e)
		domain_end_locked(d, false, REASON_DESTROYED);
	mutex_unlock(&d->lock);
	return e;
}

/* --- jobs of a running domain: its vm stays as long as they do */

static int begin_on_running(struct domain *d, enum job_kind kind, int (*run)(struct job *j),
			    uint64_t total, struct job **out, struct mgmt_error *err)
{
	int e;

	*out = NULL;
	mutex_lock(&d->lock);
	e = domain_need(d, BIT(DOMAIN_RUNNING), err);
	if (!e) {
		*out = domain_job_begin(d, kind, run, err);
		e = *out ? 0 : -ENOMEM;
	}
	if (!e)
		(*out)->total = total;
	mutex_unlock(&d->lock);
	if (!e)
		domain_job_queue(*out);
	return e;
}

static int suspend_run(struct job *j)
{
	struct domain *d = j->domain;
	int e = vm_pause(d->vm);

	if (e)
		error_set(&j->error, e, "domain '%s' cannot be paused (%s): it is just ending",
			  d->name, format_errno(e));
	mutex_lock(&d->lock);
	if (!e) {
		domain_state_set(d, REASON_SUSPENDED);
		domain_event(d, EVENT_SUSPENDED, "paused");
	}
	domain_job_end(d, e);
	mutex_unlock(&d->lock);
	return e;
}

int domain_suspend(struct domain *d, struct mgmt_error *err)
{
	struct job *j;
	int e = begin_on_running(d, JOB_SUSPEND, suspend_run, 0, &j, err);

	return e ? e : finish(j, err);
}

static int check_state_round(struct job *j)
{
	struct vm *vm = j->domain->vm;
	size_t size = 0;
	int e = vm_pause(vm);

	if (e)
		return e;
	e = vm_check_state(vm, &size);
	(void)!vm_resume(vm);
	j->found[0] = size;
	return e;
}

static int check_memory_round(struct job *j)
{
	struct vm_memory_check c;
	int e = vm_check_memory(j->domain->vm, &j->aborted, &c);

	j->found[0] += c.changed;
	j->found[1] += c.marked;
	j->found[2] += c.taken;
	j->found[3] += c.used;
	return e;
}

static int check_run(struct job *j)
{
	bool state = j->kind == JOB_CHECK_STATE;
	struct domain *d = j->domain;
	int e = 0;

	while (!e && j->done < j->total) {
		e = READ_ONCE(j->aborted) ? -EINTR :
		    state ? check_state_round(j) : check_memory_round(j);
		if (!e)
			domain_job_progress(j, 1);
	}
	if (e && READ_ONCE(j->aborted))
		error_set(&j->error, e, "the check of domain '%s' was aborted after %lu of %lu rounds",
			  d->name, j->done, j->total);
	else if (e && READ_ONCE(d->pending) & NOTE_STOPPED)
		error_set(&j->error, e, "domain '%s' has ended itself after %lu of %lu rounds",
			  d->name, j->done, j->total);
	else if (e)
		error_set(&j->error, e,
			  "the %s of domain '%s' cannot be vouched for (%s): see 'dmesg'",
			  state ? "state" : "memory", d->name, format_errno(e));
	mutex_lock(&d->lock);
	domain_job_end(d, e);
	mutex_unlock(&d->lock);
	return e;
}

int domain_check_begin(struct domain *d, enum job_kind kind, uint64_t rounds, struct job **job,
		       struct mgmt_error *err)
{
	return begin_on_running(d, kind, check_run, rounds, job, err);
}

int domain_resume(struct domain *d, struct mgmt_error *err)
{
	int e;

	mutex_lock(&d->lock);
	e = domain_need(d, BIT(DOMAIN_PAUSED), err);
	if (!e) {
		e = vm_resume(d->vm);
		if (e)
			error_set(err, e, "domain '%s' cannot be resumed (%s): it is just ending",
				  d->name, format_errno(e));
	}
	if (!e) {
		domain_state_set(d, REASON_UNPAUSED);
		domain_event(d, EVENT_RESUMED, "unpaused");
	}
	mutex_unlock(&d->lock);
	return e;
}

int domain_inject_nmi(struct domain *d, struct mgmt_error *err)
{
	int e;

	mutex_lock(&d->lock);
	e = domain_need(d, BIT(DOMAIN_RUNNING) | BIT(DOMAIN_SHUTDOWN), err);
	if (!e)
		vm_nmi(d->vm);
	mutex_unlock(&d->lock);
	return e;
}
