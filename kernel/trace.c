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

const char *trace_kind_name(uint32_t kind)
{
	return kind < TRACE_KIND_COUNT ? kind_names[kind] : "?";
}

static const struct trace_record *record(unsigned cpu, uint64_t n)
{
	return &per_cpu(trace_ring, cpu).record[n % TRACE_RECORDS];
}

static uint64_t oldest(const struct trace_ring *r)
{
	return r->next > TRACE_RECORDS ? r->next - TRACE_RECORDS : 0;
}

/* The CPU whose record before its cursor is the newest; -1 when all are used up. */
static int newest_before(const uint64_t *at)
{
	int found = -1;

	for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
		if (at[cpu] <= oldest(&per_cpu(trace_ring, cpu)))
			continue;
		if (found < 0 || record(cpu, at[cpu] - 1)->tsc >
				 record((unsigned)found, at[found] - 1)->tsc)
			found = (int)cpu;
	}
	return found;
}

static int oldest_after(const uint64_t *at, const uint64_t *end)
{
	int found = -1;

	for (unsigned cpu = 0; cpu < cpu_count; cpu++)
		if (at[cpu] < end[cpu] && (found < 0 || record(cpu, at[cpu])->tsc <
					   record((unsigned)found, at[found])->tsc))
			found = (int)cpu;
	return found;
}

void trace_walk(struct trace_cursor *c, unsigned count,
		void (*fn)(void *arg, unsigned cpu, const struct trace_record *r), void *arg)
{
	int cpu;

	for (unsigned i = 0; i < cpu_count; i++)
		c->at[i] = c->end[i] = per_cpu(trace_ring, i).next;
	for (; count && (cpu = newest_before(c->at)) >= 0; count--)
		c->at[cpu]--;
	while ((cpu = oldest_after(c->at, c->end)) >= 0) {
		fn(arg, (unsigned)cpu, record((unsigned)cpu, c->at[cpu]));
		c->at[cpu]++;
	}
}

static void print_record(void *arg, unsigned cpu, const struct trace_record *r)
{
	void (*print)(const char *line) = arg;
	char line[128];
	uint64_t ns = tsc_to_ns(r->tsc - tsc_base);

	format(line, sizeof(line), "%6lu.%09lu cpu %u %-6s %x %lx %lx", ns / 1000000000,
	       ns % 1000000000, cpu, trace_kind_name(r->kind), r->a, r->b, r->c);
	print(line);
}

void trace_dump(unsigned count, void (*print)(const char *line))
{
	static struct trace_cursor cursor;	/* panic may have little stack */

	trace_walk(&cursor, count, print_record, print);
}
