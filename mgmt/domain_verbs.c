/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verbs on domains: each locks, asks whether the state allows it, acts, tells. See
 * mgmt/domain.h.
 */
#include "include/bits.h"
#include "kernel/log.h"
#include "lib/format.h"
#include "mgmt/domain_struct.h"
#include "vmm/vm_check.h"

#define ACTIVE	(BIT(DOMAIN_RUNNING) | BIT(DOMAIN_PAUSED) | BIT(DOMAIN_SHUTDOWN) | \
		 BIT(DOMAIN_CRASHED))

int domain_start(struct domain *d, struct mgmt_error *err)
{
	int e;

	mutex_lock(&d->lock);
	e = domain_need(d, BIT(DOMAIN_SHUTOFF), err);
	if (!e)
		e = domain_start_locked(d, REASON_BOOTED, err);
	mutex_unlock(&d->lock);
	return e;
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
			domain_state_set(d, DOMAIN_SHUTDOWN, REASON_USER);
		domain_event(d, EVENT_SHUTDOWN, reboot ? "reboot" : "shutdown");
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
	e = domain_need(d, ACTIVE, err);
	if (!e)
		domain_end_locked(d, true, REASON_DESTROYED);
	mutex_unlock(&d->lock);
	return e;
}

int domain_destroy(struct domain *d, struct mgmt_error *err)
{
	int e = 0;

	mutex_lock(&d->lock);
	/* Also in the middle of a restart, or of another destroy. */
	if (!d->ending)
		e = domain_need(d, ACTIVE, err);
	if (!e)
		domain_end_locked(d, false, REASON_DESTROYED);
	mutex_unlock(&d->lock);
	return e;
}

int domain_suspend(struct domain *d, struct mgmt_error *err)
{
	int e;

	mutex_lock(&d->lock);
	e = domain_need(d, BIT(DOMAIN_RUNNING), err);
	if (!e) {
		e = vm_pause(d->vm);
		if (e)
			error_set(err, e, "domain '%s' cannot be paused (%s): it is just ending",
				  d->config->name, format_errno(e));
	}
	if (!e) {
		domain_state_set(d, DOMAIN_PAUSED, REASON_USER);
		domain_event(d, EVENT_SUSPENDED, "paused");
	}
	mutex_unlock(&d->lock);
	return e;
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
				  d->config->name, format_errno(e));
	}
	if (!e) {
		domain_state_set(d, DOMAIN_RUNNING, REASON_UNPAUSED);
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

int domain_check_state(struct domain *d, size_t *size, struct mgmt_error *err)
{
	int e;

	*size = 0;
	mutex_lock(&d->lock);
	e = domain_need(d, BIT(DOMAIN_RUNNING), err);
	if (!e) {
		e = vm_pause(d->vm);
		if (!e) {
			e = vm_check_state(d->vm, size);
			(void)!vm_resume(d->vm);
		}
		if (e)
			error_set(err, e, "the state of domain '%s' cannot be vouched for (%s): see 'dmesg'",
				  d->config->name, format_errno(e));
	}
	mutex_unlock(&d->lock);
	return e;
}

int domain_check_memory(struct domain *d, struct domain_memory_check *out, struct mgmt_error *err)
{
	struct vm_memory_check c = { 0 };
	int e;

	mutex_lock(&d->lock);
	e = domain_need(d, BIT(DOMAIN_RUNNING), err);
	if (!e) {
		e = vm_check_memory(d->vm, &c);
		if (e)
			error_set(err, e, "the memory of domain '%s' cannot be vouched for (%s): see 'dmesg'",
				  d->config->name, format_errno(e));
	}
	mutex_unlock(&d->lock);
	*out = (struct domain_memory_check){
		.changed = c.changed, .marked = c.marked, .taken = c.taken,
	};
	return e;
}
