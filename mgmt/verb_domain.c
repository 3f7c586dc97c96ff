/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Verbs that ask of domains; see mgmt/verb.h. Each copies what it is asked for, a domain's state
 * under its lock, and has let go of it when it returns.
 */
#include "include/bits.h"
#include "lib/string.h"
#include "mgmt/answers.h"
#include "mgmt/mgmt.h"
#include "mgmt/shape.h"
#include "mgmt/text.h"
#include "mgmt/verb_run.h"

/* Without a flag: those that are not shut off. */
int verb_run_list(struct verb_call *c)
{
	bool all = c->arg[0], inactive = c->arg[1];
	struct domain_row row, *r;

	for (struct domain *d = domain_next(NULL); d; d = domain_next(d)) {
		domain_row_get(d, &row);
		if (!all && (row.state == DOMAIN_SHUTOFF) != inactive)
			continue;
		r = records_add(&c->answer);
		if (r)
			*r = row;
	}
	return 0;
}

int verb_run_dominfo(struct verb_call *c)
{
	struct answer_dominfo *i = records_add(&c->answer);
	struct config_vm *vm;

	if (!i)
		return 0;
	vm = domain_config_get(c->domain, true);
	domain_info_get(c->domain, &i->info);
	str_copy(i->kernel, vm->kernel, sizeof(i->kernel));
	str_copy(i->initrd, vm->initrd, sizeof(i->initrd));
	str_copy(i->cmdline, vm->cmdline, sizeof(i->cmdline));
	config_vm_put(vm);
	return 0;
}

int verb_run_vcpuinfo(struct verb_call *c)
{
	struct domain_vcpu v, *to;
	unsigned id;
	int e;

	for (id = 0; !(e = domain_vcpu_get(c->domain, id, &v, &c->error)); id++) {
		to = records_add(&c->answer);
		if (!to)
			return 0;
		*to = v;
	}
	return id ? 0 : e;
}

/* Without a flag: all groups. */
int verb_run_domstats(struct verb_call *c)
{
	unsigned groups = 0;

	for (unsigned i = 0; 1u << i < STATS_ALL; i++)
		groups |= c->arg[i + 1] ? 1u << i : 0;
	domain_stats(c->domain, groups ?: STATS_ALL, &c->answer);
	return 0;
}

static void add_job(struct verb_call *c, struct domain *d, const struct domain_job *job)
{
	struct answer_job *j = records_add(&c->answer);

	if (!j)
		return;
	str_copy(j->name, domain_name(d), sizeof(j->name));
	j->job = *job;
}

int verb_run_domjobinfo(struct verb_call *c)
{
	struct domain_job j;

	domain_job_get(c->domain, c->arg[1], &j);
	add_job(c, c->domain, &j);
	return 0;
}

int verb_run_jobs(struct verb_call *c)
{
	struct domain_job j;

	for (struct domain *d = domain_next(NULL); d; d = domain_next(d)) {
		domain_job_get(d, false, &j);
		if (strcmp(j.name, "none"))
			add_job(c, d, &j);
	}
	return 0;
}

static bool concerns(const struct verb_call *c, const struct domain_event *e)
{
	return (!c->domain || !strcmp(domain_name(c->domain), e->name)) &&
	       (!c->arg[2] || !strcmp(c->arg[2], e->class));
}

/* Without a number: none, but from where on there will be some. */
int verb_run_event(struct verb_call *c)
{
	uint64_t at = c->arg[0] ? MAX(c->number[0], 1ul) : events_next();
	struct answer_event *a = records_add(&c->answer);
	struct domain_event e, *to;

	if (c->arg[2] && !events_is_class(c->arg[2]))
		return error_set(&c->error, -EINVAL, "there is no event '%.64s': lifecycle, reboot, "
				 "button, job and memory are known", c->arg[2]);
	if (!a)
		return 0;
	a->events.shape = &shape_event;
	for (unsigned i = 0; i < EVENTS_MAX && events_read(at, &e); i++) {
		a->lost += e.sequence - at;
		at = e.sequence + 1;
		if (!concerns(c, &e))
			continue;
		to = records_add(&a->events);
		if (!to)
			break;
		*to = e;
	}
	a->next = MIN(at, events_next());
	return 0;
}

/* --- texts */

static void add(void *arg, const char *part)
{
	text_add(arg, part);
}

static void dump(struct verb_call *c, struct domain *d)
{
	struct config_vm *vm = domain_config_get(d, !c->arg[1]);
	struct text t = { 0 };

	config_write_vm(vm, NULL, add, &t);
	config_vm_put(vm);
	(void)verb_run_text(c, &t);
}

/* One, or all that keel.conf would have, with the host: a text for each section. */
int verb_run_dumpconf(struct verb_call *c)
{
	struct text t = { 0 };

	if (c->domain) {
		dump(c, c->domain);
		return 0;
	}
	config_write_host(mgmt_host(), add, &t);
	(void)verb_run_text(c, &t);
	for (struct domain *d = domain_next(NULL); d; d = domain_next(d))
		dump(c, d);
	return 0;
}

int verb_run_dumpxml(struct verb_call *c)
{
	struct text t = { 0 };

	domain_xml(c->domain, !c->arg[1], &t);
	return verb_run_text(c, &t);
}
