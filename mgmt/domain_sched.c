/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a domain is scheduled: the CPUs that its vCPUs are held to, its weight and its caps. What is
 * configured holds from a start on and may be changed while it runs: see domain_adjust() in
 * mgmt/domain.h.
 */
#include "cpu/percpu.h"
#include "include/bits.h"
#include "kernel/sched_group.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/domain_struct.h"

#define PERIOD_US	100000u		/* if not given */

static const struct {
	const char *key;
	uint16_t field;
	bool quota;
	uint32_t usual;
} values[] = {
	{ "cpu_shares", offsetof(struct config_vm, cputune.shares), false, 1024 },
	{ "vcpu_period", offsetof(struct config_vm, cputune.vcpu_period), false, PERIOD_US },
	{ "vcpu_quota", offsetof(struct config_vm, cputune.vcpu_quota), true, 0 },
	{ "global_period", offsetof(struct config_vm, cputune.global_period), false, PERIOD_US },
	{ "global_quota", offsetof(struct config_vm, cputune.global_quota), true, 0 },
};

const char *domain_sched_value(const struct config_vm *c, unsigned i, int64_t *value)
{
	uint64_t n;

	if (i >= ARRAY_COUNT(values))
		return NULL;
	n = *(const uint64_t *)((const char *)c + values[i].field);
	*value = n ? (int64_t)n : values[i].quota ? -1 : (int64_t)values[i].usual;
	return values[i].key;
}

int domain_sched_set(struct domain *d, unsigned how, const char *key, const char *value,
		     struct mgmt_error *err)
{
	for (unsigned i = 0; i < ARRAY_COUNT(values); i++)
		if (!strcmp(values[i].key, key))
			return domain_adjust(d, how, key, value, err);
	return error_set(err, -EINVAL, "'%.32s' is none of its parameters: 'schedinfo' shows them",
			 key);
}

static void limit_group(struct domain *d, const struct config_cputune *t)
{
	sched_group_set(d->group, &(struct sched_limits){
		.weight = (unsigned)t->shares,
		.all_period_ns = (t->global_period ? t->global_period : PERIOD_US) * 1000,
		.all_quota_ns = t->global_quota * 1000,
		.each_period_ns = (t->vcpu_period ? t->vcpu_period : PERIOD_US) * 1000,
		.each_quota_ns = t->vcpu_quota * 1000,
	});
}

void domain_sched_follow(struct domain *d, struct vm *vm, const struct config_vm *before)
{
	const struct config_vm *c = d->live;

	if (!before || memcmp(&c->cputune, &before->cputune, sizeof(c->cputune))) {
		limit_group(d, &c->cputune);
		if (vm)
			vm_sched_follow(vm);
	}
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

int domain_sched_config(struct domain *d, unsigned how, struct config_vm **out,
			struct mgmt_error *err)
{
	if (how & DOMAIN_AFFECT_LIVE && !domain_is_active(d))
		return error_set(err, -EPERM, "domain '%s' is shut off: '--config' is of its next "
				 "start", d->name);
	*out = domain_config_get(d, how != DOMAIN_AFFECT_CONFIG);
	return 0;
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
	int e = domain_sched_config(d, how, &c, err);

	if (e)
		return e;
	if (vcpu < c->vcpus)
		*out = *config_affinity(c, vcpu);
	else
		e = no_vcpu(d, vcpu, err);
	config_vm_put(c);
	return e;
}
