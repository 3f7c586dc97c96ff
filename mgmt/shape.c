/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shapes of what verbs answer, struct by struct. A field's name is what a remote caller sees;
 * times are in nanoseconds and sizes in bytes where a name does not say otherwise.
 */
#include "mgmt/shape.h"

#include "kernel/log.h"
#include "mgmt/answers.h"

#define HAS(n, kind, s, f)	{ n, offsetof(struct s, f), sizeof(((struct s *)0)->f), \
				  FIELD_##kind, 0 }
#define LIST_OF(n, s, f, of)	{ n, offsetof(struct s, f), sizeof(struct records), FIELD_LIST, \
				  SHAPE_LIST_##of }
#define SHAPE(name, s, ...)							\
	static const struct field name##_fields[] = { __VA_ARGS__, { 0 } };	\
	const struct shape shape_##name = { name##_fields, sizeof(struct s) }

/* --- of domains */

SHAPE(row, domain_row,
	HAS("name", TEXT, domain_row, name),
	HAS("uuid", UUID, domain_row, uuid),
	HAS("id", SIGNED, domain_row, id),
	HAS("state", NUMBER, domain_row, state),
	HAS("reason", NUMBER, domain_row, reason),
	HAS("autostart", YES, domain_row, autostart),
	HAS("persistent", YES, domain_row, persistent));

SHAPE(disk, domain_disk,
	HAS("target", TEXT, domain_disk, target),
	HAS("bus", WORD, domain_disk, bus),
	HAS("device", WORD, domain_disk, device),
	HAS("source", TEXT, domain_disk, source),
	HAS("read_only", YES, domain_disk, read_only),
	HAS("open", YES, domain_disk, open),
	HAS("size", NUMBER, domain_disk, size));

SHAPE(dominfo, answer_dominfo,
	HAS("name", TEXT, answer_dominfo, info.name),
	HAS("uuid", UUID, answer_dominfo, info.uuid),
	HAS("id", SIGNED, answer_dominfo, info.id),
	HAS("state", NUMBER, answer_dominfo, info.state),
	HAS("reason", NUMBER, answer_dominfo, info.reason_number),
	HAS("busy", YES, answer_dominfo, info.busy),
	HAS("persistent", YES, answer_dominfo, info.persistent),
	HAS("vcpus", NUMBER, answer_dominfo, info.vcpus),
	HAS("topology", TEXT, answer_dominfo, info.topology),
	HAS("cpu", TEXT, answer_dominfo, info.cpu),
	HAS("cpu_time", NUMBER, answer_dominfo, info.cpu_time_ns),
	HAS("memory", NUMBER, answer_dominfo, info.memory),
	HAS("memory_used", NUMBER, answer_dominfo, info.memory_used),
	HAS("starved", YES, answer_dominfo, info.starved),
	HAS("overhead", NUMBER, answer_dominfo, info.overhead),
	HAS("autostart", YES, answer_dominfo, info.autostart),
	HAS("on_poweroff", NUMBER, answer_dominfo, info.on_poweroff),
	HAS("on_reboot", NUMBER, answer_dominfo, info.on_reboot),
	HAS("on_crash", NUMBER, answer_dominfo, info.on_crash),
	HAS("ended", YES, answer_dominfo, info.ended),
	HAS("end", NUMBER, answer_dominfo, info.end),
	HAS("has_exit_code", YES, answer_dominfo, info.has_exit_code),
	HAS("exit_code", NUMBER, answer_dominfo, info.exit_code),
	HAS("crash", TEXT, answer_dominfo, info.crash),
	HAS("kernel", TEXT, answer_dominfo, kernel),
	HAS("initrd", TEXT, answer_dominfo, initrd),
	HAS("cmdline", TEXT, answer_dominfo, cmdline));

SHAPE(vcpu, domain_vcpu,
	HAS("activity", NUMBER, domain_vcpu, activity),
	HAS("cpu", SIGNED, domain_vcpu, cpu),
	HAS("cpu_time", NUMBER, domain_vcpu, cpu_time_ns),
	HAS("rip", NUMBER, domain_vcpu, rip));

SHAPE(parameter, answer_parameter,
	HAS("name", WORD, answer_parameter, name),
	HAS("value", SIGNED, answer_parameter, value));

SHAPE(pin, answer_pin,
	HAS("vcpu", NUMBER, answer_pin, vcpu),
	HAS("cpus", TEXT, answer_pin, cpus));

SHAPE(stat, domain_stat,
	HAS("key", TEXT, domain_stat, key),
	HAS("value", NUMBER, domain_stat, value));

#define FOUND(i)	HAS("found" #i "_name", WORD, answer_job, job.found_name[i]),	\
			HAS("found" #i, NUMBER, answer_job, job.found[i])

SHAPE(job, answer_job,
	HAS("domain", TEXT, answer_job, name),
	HAS("job", WORD, answer_job, job.name),
	HAS("unit", WORD, answer_job, job.unit),
	HAS("outcome", WORD, answer_job, job.outcome),
	HAS("aborted", YES, answer_job, job.aborted),
	HAS("abortable", YES, answer_job, job.abortable),
	HAS("elapsed", NUMBER, answer_job, job.elapsed_ns),
	HAS("done", NUMBER, answer_job, job.done),
	HAS("total", NUMBER, answer_job, job.total),
	FOUND(0), FOUND(1), FOUND(2), FOUND(3));

SHAPE(event, domain_event,
	HAS("sequence", NUMBER, domain_event, sequence),
	HAS("time", NUMBER, domain_event, time_ns),
	HAS("domain", TEXT, domain_event, name),
	HAS("uuid", UUID, domain_event, uuid),
	HAS("id", SIGNED, domain_event, id),
	HAS("class", WORD, domain_event, class),
	HAS("event", WORD, domain_event, word),
	HAS("detail", WORD, domain_event, detail),
	HAS("event_number", NUMBER, domain_event, number),
	HAS("detail_number", NUMBER, domain_event, detail_number),
	HAS("done", NUMBER, domain_event, done),
	HAS("total", NUMBER, domain_event, total));

SHAPE(events, answer_event,
	HAS("next", NUMBER, answer_event, next),
	HAS("lost", NUMBER, answer_event, lost),
	LIST_OF("events", answer_event, events, EVENTS));

/* --- of the host */

SHAPE(name, answer_name,
	HAS("name", TEXT, answer_name, name),
	HAS("text", WORD, answer_name, text));

SHAPE(text, answer_text,
	HAS("text", LONG, answer_text, text));

SHAPE(hostname, config_host,
	HAS("hostname", TEXT, config_host, hostname));

SHAPE(cpu, node_cpu,
	HAS("virtual", YES, node_cpu, virtual),
	HAS("tsc_skew_ticks", SIGNED, node_cpu, tsc_skew),
	HAS("busy", NUMBER, node_cpu, busy_ns),
	HAS("idle", NUMBER, node_cpu, idle_ns),
	HAS("switches", NUMBER, node_cpu, switches),
	HAS("steals", NUMBER, node_cpu, steals),
	HAS("runnable", NUMBER, node_cpu, runnable));

SHAPE(memory, node_memory,
	HAS("total", NUMBER, node_memory, total),
	HAS("free", NUMBER, node_memory, free),
	HAS("dirty", NUMBER, node_memory, dirty),
	HAS("keel", NUMBER, node_memory, keel),
	HAS("objects", NUMBER, node_memory, heap));

SHAPE(nodeinfo, answer_nodeinfo,
	HAS("model", TEXT, answer_nodeinfo, info.model),
	HAS("vendor", TEXT, answer_nodeinfo, info.vendor),
	HAS("back_end", TEXT, answer_nodeinfo, info.back_end),
	HAS("abilities", TEXT, answer_nodeinfo, info.abilities),
	HAS("mitigations", TEXT, answer_nodeinfo, info.mitigations),
	HAS("family", NUMBER, answer_nodeinfo, info.family),
	HAS("model_number", NUMBER, answer_nodeinfo, info.model_number),
	HAS("stepping", NUMBER, answer_nodeinfo, info.stepping),
	HAS("cpu_count", NUMBER, answer_nodeinfo, info.cpus),
	HAS("cpus_virtual", NUMBER, answer_nodeinfo, info.cpus_virtual),
	HAS("nodes", NUMBER, answer_nodeinfo, info.nodes),
	HAS("sockets", NUMBER, answer_nodeinfo, info.sockets),
	HAS("cores_per_socket", NUMBER, answer_nodeinfo, info.cores),
	HAS("threads_per_core", NUMBER, answer_nodeinfo, info.threads),
	HAS("memory", NUMBER, answer_nodeinfo, info.memory),
	HAS("mhz", NUMBER, answer_nodeinfo, info.mhz),
	HAS("tsc_invariant", YES, answer_nodeinfo, info.tsc_invariant),
	HAS("physical_bits", NUMBER, answer_nodeinfo, info.physical_bits),
	HAS("linear_bits", NUMBER, answer_nodeinfo, info.linear_bits),
	HAS("console", TEXT, answer_nodeinfo, console),
	LIST_OF("cpus", answer_nodeinfo, cpus, CPUS),
	LIST_OF("features", answer_nodeinfo, features, NAMES),
	LIST_OF("guest_features", answer_nodeinfo, guest_features, NAMES),
	LIST_OF("quirks", answer_nodeinfo, quirks, NAMES));

SHAPE(device_name, nodedev,
	HAS("name", TEXT, nodedev, name));

#define BAR(i)	HAS("bar" #i, NUMBER, nodedev, bar[i].address),	\
		HAS("bar" #i "_io", YES, nodedev, bar[i].io),		\
		HAS("bar" #i "_wide", YES, nodedev, bar[i].wide)

SHAPE(device, nodedev,
	HAS("name", TEXT, nodedev, name),
	HAS("parent", TEXT, nodedev, parent),
	HAS("segment", NUMBER, nodedev, segment),
	HAS("bus", NUMBER, nodedev, bus),
	HAS("device", NUMBER, nodedev, device),
	HAS("function", NUMBER, nodedev, function),
	HAS("class", NUMBER, nodedev, class),
	HAS("class_name", WORD, nodedev, class_name),
	HAS("vendor_id", NUMBER, nodedev, vendor_id),
	HAS("device_id", NUMBER, nodedev, device_id),
	HAS("revision", NUMBER, nodedev, revision),
	HAS("driver", WORD, nodedev, driver),
	BAR(0), BAR(1), BAR(2), BAR(3), BAR(4), BAR(5),
	HAS("irq_pin", NUMBER, nodedev, irq_pin),
	HAS("irq_line", NUMBER, nodedev, irq_line),
	HAS("msi", NUMBER, nodedev, msi),
	HAS("msix", NUMBER, nodedev, msix),
	HAS("interrupts", WORD, nodedev, interrupts),
	HAS("express", YES, nodedev, express),
	HAS("resets", YES, nodedev, resets));

SHAPE(irq, irq_info,
	HAS("name", TEXT, irq_info, name),
	HAS("vector", NUMBER, irq_info, vector),
	HAS("cpu", SIGNED, irq_info, cpu),
	HAS("count", NUMBER, irq_info, count));

SHAPE(log, log_line,
	HAS("sequence", NUMBER, log_line, sequence),
	HAS("time", NUMBER, log_line, time_ns),
	HAS("level", NUMBER, log_line, level),
	HAS("text", TEXT, log_line, text));

SHAPE(trace, node_trace,
	HAS("time", NUMBER, node_trace, time_ns),
	HAS("cpu", NUMBER, node_trace, cpu),
	HAS("kind", WORD, node_trace, kind),
	HAS("a", NUMBER, node_trace, a),
	HAS("b", NUMBER, node_trace, b),
	HAS("c", NUMBER, node_trace, c));

SHAPE(uptime, answer_uptime,
	HAS("uptime", NUMBER, answer_uptime, ns),
	HAS("running", NUMBER, answer_uptime, running),
	HAS("defined", NUMBER, answer_uptime, defined));

SHAPE(version, answer_version,
	HAS("version", WORD, answer_version, version),
	HAS("commit", WORD, answer_version, commit),
	HAS("loader", WORD, answer_version, loader),
	HAS("cmdline", LONG, answer_version, cmdline),
	LIST_OF("mistakes", answer_version, mistakes, NAMES));

const struct shape *const shape_lists[SHAPE_LIST_COUNT] = {
	[SHAPE_LIST_CPUS] = &shape_cpu, [SHAPE_LIST_EVENTS] = &shape_event,
	[SHAPE_LIST_NAMES] = &shape_name,
};
