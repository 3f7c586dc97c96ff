/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prints the trace rings. The CPUs' rings are merged by walking each from its newest record
 * backwards to find the window, then forwards in order of time. Read while others write (the
 * one-key diagnostic): a torn record shows as nonsense, not as a fault.
 */
#include "kernel/trace.h"

#include "cpu/tsc.h"
#include "include/bits.h"
#include "lib/format.h"

PERCPU struct trace_ring trace_ring;

static const char *const kind_names[TRACE_KIND_COUNT] = {
	"none", "switch", "wake", "irq", "ipi", "timer", "entry", "exit", "inject", "fault",
	"crash",
};

/* For each CPU the next record to look at; static, since panic may have little stack. */
static uint64_t cursor[CPU_MAX];

static const struct trace_record *record(unsigned cpu, uint64_t n)
{
	return &per_cpu(trace_ring, cpu).record[n % TRACE_RECORDS];
}

static uint64_t oldest(const struct trace_ring *r)
{
	return r->next > TRACE_RECORDS ? r->next - TRACE_RECORDS : 0;
}

/* The CPU whose record before its cursor is the newest; -1 when all are used up. */
static int newest_before(void)
{
	int found = -1;

	for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
		if (cursor[cpu] <= oldest(&per_cpu(trace_ring, cpu)))
			continue;
		if (found < 0 || record(cpu, cursor[cpu] - 1)->tsc >
				 record((unsigned)found, cursor[found] - 1)->tsc)
			found = (int)cpu;
	}
	return found;
}

static int oldest_after(const uint64_t *end)
{
	int found = -1;

	for (unsigned cpu = 0; cpu < cpu_count; cpu++)
		if (cursor[cpu] < end[cpu] && (found < 0 || record(cpu, cursor[cpu])->tsc <
					       record((unsigned)found, cursor[found])->tsc))
			found = (int)cpu;
	return found;
}

static void print_record(unsigned cpu, const struct trace_record *r,
			 void (*print)(const char *line))
{
	char line[128];
	uint64_t ns = tsc_to_ns(r->tsc - tsc_base);

	format(line, sizeof(line), "%6lu.%09lu cpu %u %-6s %x %lx %lx", ns / 1000000000,
	       ns % 1000000000, cpu, r->kind < TRACE_KIND_COUNT ? kind_names[r->kind] : "?", r->a,
	       r->b, r->c);
	print(line);
}

void trace_dump(unsigned count, void (*print)(const char *line))
{
	static uint64_t end[CPU_MAX];
	int cpu;

	for (unsigned i = 0; i < cpu_count; i++)
		cursor[i] = end[i] = per_cpu(trace_ring, i).next;
	for (; count && (cpu = newest_before()) >= 0; count--)
		cursor[cpu]--;
	while ((cpu = oldest_after(end)) >= 0) {
		print_record((unsigned)cpu, record((unsigned)cpu, cursor[cpu]), print);
		cursor[cpu]++;
	}
}
