/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Verbs about how a domain is scheduled: where its vCPUs may run, and how much; see mgmt/verb.h.
 * What they tell is configuration, a copy of it.
 */
#include "cpu/percpu.h"
#include "include/bits.h"
#include "lib/string.h"
#include "mgmt/answers.h"
#include "mgmt/verb_run.h"

int verb_affects(struct verb_call *c, unsigned at, unsigned *how)
{
	if (c->arg[at + 2] && (c->arg[at] || c->arg[at + 1]))
		return error_set(&c->error, -EINVAL, "'--current' goes with neither '--live' nor "
				 "'--config'");
	*how = (c->arg[at] ? DOMAIN_AFFECT_LIVE : 0u) |
	       (c->arg[at + 1] ? DOMAIN_AFFECT_CONFIG : 0u);
	return 0;
}

/* Of one vCPU, or of it and all behind. */
static int add_pins(struct verb_call *c, unsigned how, unsigned vcpu, bool one)
{
	struct answer_pin *pin;
	struct cpu_set s;
	unsigned id = vcpu;
	int e;

	for (; !(e = domain_vcpu_affinity(c->domain, how, id, &s, &c->error)); id++) {
		pin = records_add(&c->answer);
		if (!pin)
			return 0;
		pin->vcpu = id;
		cpu_set_format(&s, cpu_count, pin->cpus);
		if (one)
			return 0;
	}
	return id != vcpu && e == -ENOENT ? 0 : e;
}

/* With a list of CPUs it changes what holds; without, that is told. */
int verb_run_vcpupin(struct verb_call *c)
{
	unsigned how = 0, vcpu = (unsigned)MIN(c->number[1], 0xfffffffful);
	int e = verb_affects(c, 3, &how);

	if (e)
		return e;
	if (!c->arg[2])
		return add_pins(c, how, vcpu, c->arg[1]);
	if (!c->arg[1])
		return error_set(&c->error, -EINVAL, "'vcpupin' wants a vcpu with a cpulist");
	return domain_vcpu_pin(c->domain, how, vcpu, c->arg[2], &c->error);
}

/* "KEY=VALUE". */
static int set_sched(struct verb_call *c, unsigned how, const char *text)
{
	const char *equal = strchr(text, '=');
	char key[32];

	if (!equal || (size_t)(equal - text) >= sizeof(key))
		return error_set(&c->error, -EINVAL, "'%.32s' is not right: a parameter and its "
				 "value are wanted, as in cpu_shares=2048", text);
	str_copy(key, text, (size_t)(equal - text) + 1);
	return domain_sched_set(c->domain, how, key, equal + 1, &c->error);
}

/* Changed first, if that is asked for, then told. */
int verb_run_schedinfo(struct verb_call *c)
{
	struct answer_parameter *p;
	struct config_vm *vm;
	unsigned how = 0;
	const char *key;
	int64_t value;
	int e = verb_affects(c, 2, &how);

	if (!e && c->arg[1])
		e = set_sched(c, how, c->arg[1]);
	if (!e)
		e = domain_sched_config(c->domain, how, &vm, &c->error);
	if (e)
		return e;
	for (unsigned i = 0; (key = domain_sched_value(vm, i, &value)); i++) {
		p = records_add(&c->answer);
		if (p)
			*p = (struct answer_parameter){ key, value };
	}
	config_vm_put(vm);
	return 0;
}
