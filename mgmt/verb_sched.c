/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Verbs about how a domain is scheduled: where its vCPUs may run; see mgmt/verb.h. What they tell
 * is configuration, a copy of it.
 */
#include "cpu/percpu.h"
#include "include/bits.h"
#include "mgmt/answers.h"
#include "mgmt/verb_run.h"

/* From the flags "live", "config" and "current", whose places follow each other. */
static int affects(struct verb_call *c, unsigned at, unsigned *how)
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
	int e = affects(c, 3, &how);

	if (e)
		return e;
	if (!c->arg[2])
		return add_pins(c, how, vcpu, c->arg[1]);
	if (!c->arg[1])
		return error_set(&c->error, -EINVAL, "'vcpupin' wants a vcpu with a cpulist");
	return domain_vcpu_pin(c->domain, how, vcpu, c->arg[2], &c->error);
}
