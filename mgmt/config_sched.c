/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keys of keel.conf that say how a VM is scheduled: where its vCPUs may run, and how much.
 * See mgmt/config_parser.h.
 */
#include "cpu/percpu.h"
#include "include/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/config_parser.h"
#include "mm/heap.h"

/*
 * CPUs that the host has; all of them are any CPU. A VM that is held to others would never run.
 */
static bool read_cpus(struct parser *p, const struct key *k, struct piece v, struct cpu_set *out)
{
	unsigned cpus = p->limits->cpus;
	int err = cpu_set_parse(out, v.s, v.n);

	if (!err && cpus && cpu_set_next(out, cpus) >= 0)
		err = -ERANGE;
	if (err == -ERANGE && cpus)
		config_fail(p, p->line, "%s: not all CPUs of '%s' exist: the host has 0 to %u",
			    k->name, config_quote(v).s, cpus - 1);
	else if (err)
		config_fail(p, p->line, "%s: '%s' is not right: a list of CPUs is wanted, as in "
			    "0-3,^2", k->name, config_quote(v).s);
	else if (cpus && cpu_set_count(out) == cpus)
		cpu_set_fill(out);
	return !err;
}

bool config_read_cpuset(struct parser *p, const struct key *k, struct piece v)
{
	return read_cpus(p, k, v, &p->vm->cpuset);
}

void config_write_cpuset(const struct writer *w, const struct key *k, const void *from)
{
	const struct cpu_set *s = &((const struct config_vm *)from)->cpuset;
	char text[CPU_SET_TEXT];

	if (cpu_set_is_full(s))
		return;
	cpu_set_format(s, CPU_MAX, text);
	config_put_line(w, k, text, "");
}

/* "VCPU:CPUS". */
bool config_read_vcpupin(struct parser *p, const struct key *k, struct piece v)
{
	const char *colon = memchr(v.s, ':', v.n);
	size_t n = colon ? (size_t)(colon - v.s) : 0;
	struct config_pin **end = &p->vm->pin, *pin;
	struct piece cpus;
	uint64_t vcpu;

	if (!config_read_number(config_trim((struct piece){ v.s, n }), &vcpu) ||
	    vcpu >= p->limits->vcpus_max) {
		config_fail(p, p->line, "%s: '%s' is not right: a vCPU and its CPUs are wanted, as "
			    "in 0:1-2", k->name, config_quote(v).s);
		return false;
	}
	pin = heap_alloc(sizeof(*pin));
	if (!pin) {
		config_fail(p, p->line, "%s: no memory for it", k->name);
		return false;
	}
	pin->vcpu = (unsigned)vcpu;
	pin->line = p->line;
	cpus = config_trim((struct piece){ colon + 1, v.n - n - 1 });
	if (!read_cpus(p, k, cpus, &pin->allowed)) {
		heap_free(pin);
		return false;
	}
	while (*end)
		end = &(*end)->next;
	*end = pin;
	return true;
}

const struct cpu_set *config_affinity(const struct config_vm *vm, unsigned vcpu)
{
	const struct cpu_set *s = &vm->cpuset;

	for (const struct config_pin *pin = vm->pin; pin; pin = pin->next)
		if (pin->vcpu == vcpu)
			s = &pin->allowed;
	return s;
}

void config_write_vcpupin(const struct writer *w, const struct key *k, const void *from)
{
	const struct config_vm *vm = from;
	char text[CPU_SET_TEXT + 8], cpus[CPU_SET_TEXT];

	for (unsigned i = 0; i < vm->vcpus; i++) {
		const struct cpu_set *s = config_affinity(vm, i);

		if (cpu_set_equal(s, &vm->cpuset))
			continue;
		cpu_set_format(s, CPU_MAX, cpus);
		format(text, sizeof(text), "%u:%s", i, cpus);
		config_put_line(w, k, text, "");
	}
}

/* What a number of the CPU's limits may be; -1 or 0 as a quota is none. */
static const struct tune {
	uint16_t field;
	bool quota;
	uint64_t usual, least, most;
} tunes[] = {
	{ offsetof(struct config_vm, cputune.shares), false, 1024, 2, 262144 },
	{ offsetof(struct config_vm, cputune.global_period), false, 100000, 1000, 1000000 },
	{ offsetof(struct config_vm, cputune.vcpu_period), false, 100000, 1000, 1000000 },
	{ offsetof(struct config_vm, cputune.global_quota), true, 0, 1000, 1000000000 },
	{ offsetof(struct config_vm, cputune.vcpu_quota), true, 0, 1000, 1000000000 },
};

static const struct tune *tune_of(const struct key *k)
{
	const struct tune *t = tunes;

	while (t->field != k->field)
		t++;
	return t;
}

bool config_read_tune(struct parser *p, const struct key *k, struct piece v)
{
	const struct tune *t = tune_of(k);
	uint64_t n = 0;
	bool none = t->quota && (config_equals(v, "-1") || config_equals(v, "0"));

	if (!none && (!config_read_number(v, &n) || n < t->least || n > t->most)) {
		config_fail(p, p->line, "%s = %s is not right: %lu to %lu%s are allowed", k->name,
			    config_quote(v).s, t->least, t->most,
			    t->quota ? ", and -1 for no limit," : "");
		return false;
	}
	*(uint64_t *)((char *)p->vm + k->field) = n == t->usual ? 0 : n;
	return true;
}

void config_write_tune(const struct writer *w, const struct key *k, const void *from)
{
	uint64_t n = *(const uint64_t *)((const char *)from + k->field);
	char text[24];

	if (!n)
		return;
	format(text, sizeof(text), "%lu", n);
	config_put_line(w, k, text, "");
}
