/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's numbers, gathered from the layers below; see mgmt/node.h.
 */
#include "mgmt/node.h"

#include "boot/bootinfo.h"
#include "cpu/errata.h"
#include "cpu/features.h"
#include "cpu/irq.h"
#include "cpu/mitigation.h"
#include "cpu/percpu.h"
#include "cpu/place.h"
#include "cpu/tsc.h"
#include "kernel/sched.h"
#include "kernel/trace.h"
#include "lib/string.h"
#include "mgmt/mgmt.h"
#include "mgmt/version.h"
#include "mm/heap.h"
#include "mm/page.h"
#include "vmm/cpuid.h"
#include "vmm/ops.h"

#define VERSION "0.1"

static unsigned count_virtual(void)
{
	unsigned n = 0;

	for (unsigned cpu = 0; cpu < cpu_count; cpu++)
		n += mgmt_cpu_virtual(cpu);
	return n;
}

void node_info_get(struct node_info *out)
{
	struct page_stats pages = { 0 };
	struct place_counts places = place_count();

	(void)!page_stats_get(NODE_ANY, &pages);
	*out = (struct node_info){
		.family = features.family, .model_number = features.model,
		.stepping = features.stepping,
		.cpus = cpu_count, .cpus_virtual = count_virtual(), .nodes = page_node_count(),
		.sockets = places.packages, .cores = places.cores, .threads = places.threads,
		.memory = pages.total * PAGE_SIZE, .mhz = (tsc_hz + 500000) / 1000000,
		.tsc_invariant = tsc_invariant,
		.physical_bits = features.physical_bits, .linear_bits = features.linear_bits,
	};
	str_copy(out->model, features.brand[0] ? features.brand : features.vendor_name,
		 sizeof(out->model));
	str_copy(out->vendor, features.vendor_name, sizeof(out->vendor));
	str_copy(out->back_end, vmm_ops ? vmm_ops->name : "none", sizeof(out->back_end));
	if (vmm_ops)
		vmm_ops->describe(out->abilities, sizeof(out->abilities));
	mitigation_describe(out->mitigations, sizeof(out->mitigations));
}

const char *node_feature(unsigned i)
{
	for (enum feature f = 0; f < FEATURE_COUNT; f++)
		if (cpu_has(f) && i-- == 0)
			return features_name(f);
	return NULL;
}

const char *node_guest_feature(unsigned i)
{
	const struct cpu_feature *f;

	for (unsigned k = 0; (f = cpu_model_feature(k)); k++)
		if (cpuid_offers(k) && i-- == 0)
			return f->name;
	return NULL;
}

const char *node_erratum(unsigned i, const char **text)
{
	for (enum erratum e = 0; e < ERRATUM_COUNT; e++)
		if (errata_has(e) && i-- == 0) {
			*text = errata_text(e);
			return errata_name(e);
		}
	return NULL;
}

int node_cpu_get(unsigned cpu, struct node_cpu *out)
{
	struct sched_cpu_stats s;

	if (cpu >= cpu_count)
		return -ENOENT;
	sched_stats_get(cpu, &s);
	*out = (struct node_cpu){
		.virtual = mgmt_cpu_virtual(cpu), .tsc_skew = tsc_skew(cpu),
		.busy_ns = tsc_to_ns(s.busy_ticks), .idle_ns = tsc_to_ns(s.idle_ticks),
		.switches = s.switches, .steals = s.steals, .runnable = s.runnable,
	};
	return 0;
}

int node_memory_get(int node, struct node_memory *out)
{
	struct page_stats s;
	struct heap_stats h;
	int err = page_stats_get(node, &s);

	if (err)
		return err;
	heap_stats_get(&h);
	*out = (struct node_memory){
		.total = s.total * PAGE_SIZE, .free = s.free * PAGE_SIZE,
		.dirty = s.dirty * PAGE_SIZE, .keel = s.kernel * PAGE_SIZE, .heap = h.bytes,
	};
	return 0;
}

unsigned node_irq_next(unsigned from, struct irq_info *out)
{
	return irq_next(from, out);
}

static void add_trace(void *arg, unsigned cpu, const struct trace_record *r)
{
	struct node_trace *t = records_add(arg);

	if (t)
		*t = (struct node_trace){
			.time_ns = tsc_to_ns(r->tsc - tsc_base), .cpu = cpu,
			.kind = trace_kind_name(r->kind), .a = r->a, .b = r->b, .c = r->c,
		};
}

void node_trace(unsigned count, struct records *out)
{
	struct trace_cursor *cursor = heap_alloc(sizeof(*cursor));

	out->cut |= !cursor;
	if (cursor)
		trace_walk(cursor, count, add_trace, out);
	heap_free(cursor);
}

uint64_t node_uptime_ns(void)
{
	return clock_ns();
}

const char *node_version(void)
{
	return VERSION;
}

const char *node_commit(void)
{
	return version_commit;
}

const char *node_loader(void)
{
	return bootinfo.loader ?: "unknown";
}

const char *node_cmdline(void)
{
	return bootinfo.cmdline;
}

bool node_cmdline_error(unsigned i, char *text, size_t size)
{
	return mgmt_cmdline_error(i, text, size);
}

bool node_device(unsigned i, struct nodedev *out)
{
	return mgmt_device(i, out);
}

int node_device_find(const char *name, struct nodedev *out)
{
	for (unsigned i = 0; node_device(i, out); i++)
		if (!strcmp(out->name, name))
			return 0;
	return -ENOENT;
}

const char *node_console(void)
{
	return mgmt_console();
}
