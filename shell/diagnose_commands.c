/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking inside: traces, interrupts, CPUs. Ctrl-T at the prompt gives the overview with one key.
 */
#include "include/addr.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/domain.h"
#include "mgmt/node.h"
#include "shell/commands.h"
#include "shell/table.h"
#include "shell/tty.h"

static void print_line(const char *line)
{
	if (!tty_interrupted())
		tty_print("%s\n", line);
}

static int run_trace(const struct command_args *a)
{
	uint64_t count = command_number(a, "count", 32);

	node_trace(count > 1000000 ? 1000000 : (unsigned)count, print_line);
	return 0;
}

static int run_irqs(const struct command_args *a)
{
	struct irq_info i;
	char cpu[12];

	(void)a;
	tty_print(" %6s %3s %12s  %s\n", "Vector", "CPU", "Count", "Name");
	for (unsigned at = 0; (at = node_irq_next(at, &i));) {
		if (i.cpu < 0)
			str_copy(cpu, "all", sizeof(cpu));
		else
			format(cpu, sizeof(cpu), "%d", i.cpu);
		tty_print(" %#6x %3s %12lu  %s\n", i.vector, cpu, i.count, i.name);
	}
	return 0;
}

static void print_cpus(void)
{
	struct node_cpu c;

	tty_print(" %3s %14s %14s %12s %10s %8s\n", "CPU", "busy ms", "idle ms", "switches",
		  "steals", "runnable");
	for (unsigned i = 0; !node_cpu_get(i, &c); i++)
		tty_print(" %3u %14lu %14lu %12lu %10lu %8u\n", i, c.busy_ns / 1000000,
			  c.idle_ns / 1000000, c.switches, c.steals, c.runnable);
}

static int run_cpus(const struct command_args *a)
{
	(void)a;
	print_cpus();
	return 0;
}

static void print_domains(void)
{
	struct domain_info i;
	struct domain_vcpu v;

	for (struct domain *d = domain_next(NULL); d; d = domain_next(d)) {
		domain_info_get(d, &i);
		for (unsigned id = 0;
		     i.state != DOMAIN_SHUTOFF && !domain_vcpu_get(d, id, &v, NULL); id++)
			tty_print(" %s vcpu %u: %s, on CPU %d, %lu ms, rip %#lx\n", i.name, id,
				  v.activity == ACTIVITY_RUNNING ? "runs" : "waits", v.cpu,
				  v.cpu_time_ns / 1000000, v.rip);
	}
}

void diagnose_overview(void)
{
	struct node_memory m;
	uint64_t up = node_uptime_ns() / 1000000;

	tty_print("up %lu.%03lu s", up / 1000, up % 1000);
	if (!node_memory_get(NODE_ALL, &m))
		tty_print(", %lu of %lu MiB free", m.free / MIB, m.total / MIB);
	tty_text("\n");
	print_cpus();
	print_domains();
}

static int run_overview(const struct command_args *a)
{
	(void)a;
	diagnose_overview();
	return 0;
}

static int run_domstatecheck(const struct command_args *a)
{
	uint64_t rounds = command_number(a, "rounds", 1), done = 0;
	struct domain *d = commands_domain(a);
	struct mgmt_error err;
	size_t size = 0;
	int e = 0;

	if (!d)
		return -ENOENT;
	for (; !e && done < rounds && !tty_interrupted(); done++)
		e = domain_check_state(d, &size, &err);
	if (e)
		(void)command_fail(&err);
	else
		tty_print("Domain '%s' came back the same %lu times, %lu bytes of state\n", domain_name(d), done,
			  size);
	domain_put(d);
	return e;
}

static int run_dommemcheck(const struct command_args *a)
{
	uint64_t rounds = command_number(a, "rounds", 1), done = 0;
	struct domain_memory_check sum = { 0 };
	struct domain *d = commands_domain(a);
	struct domain_memory_check c;
	struct mgmt_error err;
	int e = 0;

	if (!d)
		return -ENOENT;
	for (; !e && done < rounds && !tty_interrupted(); done++) {
		e = domain_check_memory(d, &c, &err);
		sum.changed += c.changed;
		sum.marked += c.marked;
		sum.taken += c.taken;
		sum.used += c.used;
	}
	if (e)
		(void)command_fail(&err);
	else
		tty_print("Domain '%s' changed %lu frames in %lu rounds, each was marked, as were %lu in all; "
			  "%lu that held nothing were taken; %lu times one was found used\n",
			  domain_name(d), sum.changed, done, sum.marked, sum.taken, sum.used);
	domain_put(d);
	return e;
}

static const struct option check_options[] = {
	OPTION_DOMAIN(WHAT_ACTIVE),
	OPTION_COUNT("rounds", "how many times, 1 if not given"),
	OPTION_LAST
};
static const struct option trace_options[] = {
	OPTION_COUNT("count", "how many records, 32 if not given"),
	OPTION_LAST
};

const struct command diagnose_commands[] = {
	{ "cpus", "what each CPU of the host has done", NULL, NULL, run_cpus },
	{ "dommemcheck", "compare a running domain's memory with its dirty log",
	  "Tells whether each frame of memory that the guest writes is known to be written. It is\n"
	  "paused for a look at all of its memory, twice a round, and goes on after it.",
	  check_options, run_dommemcheck },
	{ "domstatecheck", "save a running domain's state, reset it, load it, compare",
	  "Tells whether what Keel would save of the guest, its memory apart, is whole. It goes on after it.",
	  check_options, run_domstatecheck },
	{ "irqs", "interrupts of the host by vector", NULL, NULL, run_irqs },
	{ "overview", "time, memory, CPUs and vCPUs at a glance",
	  "Ctrl-T at the prompt does the same.", NULL, run_overview },
	{ "trace", "the newest records of the trace of all CPUs", NULL, trace_options, run_trace },
	{ 0 }
};
