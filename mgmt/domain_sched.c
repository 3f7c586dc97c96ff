/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a domain is scheduled: the CPUs that its vCPUs are held to. What is configured holds from a
 * start on and may be changed while it runs: see domain_adjust() in mgmt/domain.h.
 */
#include "cpu/percpu.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/domain_struct.h"

void domain_sched_follow(struct domain *d, struct vm *vm, const struct config_vm *before)
{
	const struct config_vm *c = d->live;

	for (unsigned i = 0; vm && i < c->vcpus; i++) {
		const struct cpu_set *allowed = config_affinity(c, i);

		if (before ? !cpu_set_equal(allowed, config_affinity(before, i))
			   : !cpu_set_is_full(allowed))
			(void)vm_vcpu_pin(vm, i, allowed);
	}
}

bool domain_is_active(struct domain *d)
{
	bool active;

	mutex_lock(&d->lock);
	active = d->live;
	mutex_unlock(&d->lock);
	return active;
}

static int no_vcpu(struct domain *d, unsigned vcpu, struct mgmt_error *err)
{
	return error_set(err, -ENOENT, "domain '%s' has no vCPU %u", d->name, vcpu);
}

/* What cpuset says, in a form that it may be given in. */
static void common_cpus(struct domain *d, bool live, char text[CPU_SET_TEXT])
{
	struct config_vm *c = domain_config_get(d, live);

	cpu_set_format(&c->cpuset, cpu_set_is_full(&c->cpuset) ? cpu_count : CPU_MAX, text);
	config_vm_put(c);
}

int domain_vcpu_pin(struct domain *d, unsigned how, unsigned vcpu, const char *cpus,
		    struct mgmt_error *err)
{
	char common[CPU_SET_TEXT], value[CPU_SET_TEXT + 16];
	struct cpu_set now;
	int e = domain_vcpu_affinity(d, how, vcpu, &now, err);

	if (e)
		return e;
	if (strlen(cpus) >= CPU_SET_TEXT)
		return error_set(err, -EINVAL, "the list of CPUs is too long");
	if (!strcmp(cpus, "r")) {
		common_cpus(d, how != DOMAIN_AFFECT_CONFIG, common);
		cpus = common;
	}
	format(value, sizeof(value), "%u:%s", vcpu, cpus);
	return domain_adjust(d, how, "vcpupin", value, err);
}

int domain_vcpu_affinity(struct domain *d, unsigned how, unsigned vcpu, struct cpu_set *out,
			 struct mgmt_error *err)
{
	struct config_vm *c;
	int e = 0;

	if (how & DOMAIN_AFFECT_LIVE && !domain_is_active(d))
		return error_set(err, -EPERM, "domain '%s' is shut off: '--config' changes what it "
				 "has from its next start", d->name);
	c = domain_config_get(d, how != DOMAIN_AFFECT_CONFIG);
	if (vcpu < c->vcpus)
		*out = *config_affinity(c, vcpu);
	else
		e = no_vcpu(d, vcpu, err);
	config_vm_put(c);
	return e;
}
