/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What can be asked of a domain: its description, its vCPUs, its statistics. See mgmt/domain.h.
 */
#include "cpu/tsc.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/domain_struct.h"
#include "vmm/cpuid.h"
#include "vmm/machine.h"
#include "vmm/media.h"

static void fill_usage(struct domain *d, struct domain_info *out)
{
	struct vm_stats s;

	if (!domain_has_vm(d)) {
		out->cpu_time_ns = tsc_to_ns(d->last_run_ticks);
		return;
	}
	vm_stats_get(d->vm, &s);
	out->cpu_time_ns = tsc_to_ns(s.run_ticks);
	out->memory_used = s.present_pages * PAGE_SIZE;
	out->starved = s.wants_memory;
	if (s.charged_pages > s.present_pages)
		out->overhead = (s.charged_pages - s.present_pages) * PAGE_SIZE;
}

void domain_info_get(struct domain *d, struct domain_info *out)
{
	struct config_vm *c = domain_config_get(d, true);

	*out = (struct domain_info){
		.vcpus = c->vcpus, .memory = c->memory,
		.on_poweroff = c->on_poweroff, .on_reboot = c->on_reboot, .on_crash = c->on_crash,
	};
	str_copy(out->name, d->name, sizeof(out->name));
	cpu_topology_format(&c->topology, out->topology);
	cpuid_model_format(&c->cpu, out->cpu, sizeof(out->cpu));
	memcpy(out->uuid, d->uuid, sizeof(out->uuid));
	config_vm_put(c);
	mutex_lock(&d->lock);
	out->id = d->id;
	out->state = d->state;
	out->reason = d->reason;
	out->reason_number = domain_reason_number(d->reason);
	out->autostart = d->config->autostart;
	out->persistent = d->persistent;
	out->busy = d->job || d->phase == PHASE_ENDING || d->phase == PHASE_WAITING ||
		    (READ_ONCE(d->pending) & NOTE_DESTROY);
	out->ended = !out->busy && (d->state == DOMAIN_SHUTOFF || domain_is_preserved(d));
	out->end = d->end;
	out->has_exit_code = d->has_exit_code;
	out->exit_code = d->exit_code;
	str_copy(out->crash, d->crash, sizeof(out->crash));
	fill_usage(d, out);
	mutex_unlock(&d->lock);
}

void domain_row_get(struct domain *d, struct domain_row *out)
{
	mutex_lock(&d->lock);
	*out = (struct domain_row){
		.id = d->id, .state = d->state, .reason = domain_reason_number(d->reason),
		.autostart = d->config->autostart, .persistent = d->persistent,
	};
	mutex_unlock(&d->lock);
	str_copy(out->name, d->name, sizeof(out->name));
	memcpy(out->uuid, d->uuid, sizeof(out->uuid));
}

static enum domain_activity activity(const struct vcpu_info *i)
{
	if (i->wants_memory)
		return ACTIVITY_STARVED;
	switch (i->activity) {
	case VCPU_RUNNABLE:
		return ACTIVITY_RUNNING;
	case VCPU_HALTED:
		return ACTIVITY_HALTED;
	case VCPU_WAIT_SIPI:
		return ACTIVITY_WAITING;
	case VCPU_SHUTDOWN:
		break;
	}
	return ACTIVITY_OFFLINE;
}

int domain_vcpu_get(struct domain *d, unsigned id, struct domain_vcpu *out, struct mgmt_error *err)
{
	struct vcpu_info i;
	int e = 0;

	mutex_lock(&d->lock);
	if (!domain_has_vm(d))
		e = error_set(err, -EPERM,
			      "domain '%s' is shut off and has no vCPUs now: 'start' starts it",
			      d->name);
	else if (vm_vcpu_info(d->vm, id, &i))
		e = error_set(err, -ENOENT, "domain '%s' has no vCPU %u", d->name, id);
	if (!e)
		*out = (struct domain_vcpu){
			.activity = activity(&i), .cpu = i.cpu,
			.cpu_time_ns = tsc_to_ns(i.run_ticks), .rip = i.rip,
			.allowed = i.allowed,
		};
	mutex_unlock(&d->lock);
	return e;
}

/* --- statistics */

struct emitter {
	struct records *to;
	char prefix[24];
};

static void number(struct emitter *to, const char *name, uint64_t value)
{
	struct domain_stat *s = records_add(to->to);

	if (!s)
		return;
	format(s->key, sizeof(s->key), "%s%s", to->prefix, name);
	s->value = value;
}

static void emit_state(struct domain *d, struct emitter *to)
{
	number(to, "state.state", d->state);
	number(to, "state.reason", domain_reason_number(d->reason));
}

static void emit_cpu(struct emitter *to, const struct vm_stats *s)
{
	number(to, "cpu.time", tsc_to_ns(s->run_ticks));
	number(to, "cpu.wait", tsc_to_ns(s->wait_ticks));
	number(to, "cpu.keel", tsc_to_ns(s->keel_ticks));
}

static void emit_balloon(struct domain *d, struct emitter *to, const struct vm_stats *s)
{
	number(to, "balloon.maximum", d->live->memory / KIB);
	domain_memory_stats_locked(d, "balloon.", "current", to->to);
	number(to, "balloon.out", s->out_pages * (PAGE_SIZE / KIB));
	number(to, "balloon.present", s->present_pages * (PAGE_SIZE / KIB));
	number(to, "balloon.tables", s->table_pages * (PAGE_SIZE / KIB));
}

/* libvirt's: offline, running, blocked. */
static unsigned vcpu_state_number(enum domain_activity a)
{
	return a == ACTIVITY_OFFLINE ? 0 : a == ACTIVITY_RUNNING ? 1 : 2;
}

static void emit_exit(struct emitter *to, const char *name, const struct exit_count *c)
{
	char key[64];

	if (!c->count)
		return;
	format(key, sizeof(key), "exits.%s.count", name);
	number(to, key, c->count);
	format(key, sizeof(key), "exits.%s.mean", name);
	number(to, key, c->ticks / c->count);
}

static void emit_vcpu(struct domain *d, struct emitter *to, unsigned id, bool exits)
{
	struct vcpu_info i;
	struct exit_count c;
	const char *name;

	format(to->prefix, sizeof(to->prefix), "vcpu.%u.", id);
	if (!vm_vcpu_info(d->vm, id, &i)) {
		number(to, "state", vcpu_state_number(activity(&i)));
		number(to, "time", tsc_to_ns(i.run_ticks));
	}
	for (unsigned row = 0; exits && (name = vm_vcpu_exit_stats(d->vm, id, row, &c)); row++)
		emit_exit(to, name, &c);
	to->prefix[0] = 0;
}

/* Likewise, its cards in the order of the configuration. */
static void emit_interfaces(struct domain *d, struct emitter *to)
{
	struct media_cable_stats s;
	unsigned i;

	for (i = 0; machine_cable_stats(d->vm, i, &s); i++) {
		format(to->prefix, sizeof(to->prefix), "net.%u.", i);
		number(to, "rx.bytes", s.rx_bytes);
		number(to, "rx.pkts", s.rx_frames);
		number(to, "rx.drop", s.rx_drops);
		number(to, "tx.bytes", s.tx_bytes);
		number(to, "tx.pkts", s.tx_frames);
		number(to, "tx.drop", s.tx_drops);
		to->prefix[0] = 0;
	}
	number(to, "net.count", i);
}

/* Over all vCPUs, also those of the vm's whole life. */
static void emit_exits(struct domain *d, struct emitter *to, const struct vm_stats *s)
{
	struct exit_count c;
	const char *name;

	number(to, "exits.total.count", s->exits);
	number(to, "exits.total.ticks", s->keel_ticks);
	for (unsigned row = 0; (name = vm_exit_stats(d->vm, row, &c)); row++)
		emit_exit(to, name, &c);
	number(to, "exits.unclaimed.ports", s->unclaimed_ports);
	number(to, "exits.unclaimed.mmio", s->unclaimed_mmio);
	number(to, "exits.unclaimed.msrs", s->unknown_msrs);
}

static void emit_active(struct domain *d, unsigned groups, struct emitter *to)
{
	struct vm_stats s;

	vm_stats_get(d->vm, &s);
	if (groups & STATS_CPU)
		emit_cpu(to, &s);
	if (groups & STATS_BALLOON)
		emit_balloon(d, to, &s);
	if (groups & STATS_EXITS)
		emit_exits(d, to, &s);
	if (groups & STATS_INTERFACE)
		emit_interfaces(d, to);
	if (groups & STATS_VCPU) {
		number(to, "vcpu.current", d->vm->vcpu_count);
		number(to, "vcpu.maximum", d->live->vcpus);
		for (unsigned id = 0; id < d->vm->vcpu_count; id++)
			emit_vcpu(d, to, id, groups & STATS_EXITS);
	}
}

void domain_stats(struct domain *d, unsigned groups, struct records *out)
{
	struct emitter to = { .to = out };

	mutex_lock(&d->lock);
	if (groups & STATS_STATE)
		emit_state(d, &to);
	if (domain_has_vm(d)) {
		emit_active(d, groups, &to);
	} else {
		if (groups & STATS_BALLOON)
			number(&to, "balloon.maximum", d->config->memory / KIB);
		if (groups & STATS_VCPU)
			number(&to, "vcpu.maximum", d->config->vcpus);
	}
	mutex_unlock(&d->lock);
}
