/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking inside: traces, interrupts, CPUs. Ctrl-T at the prompt gives the overview with one key.
 */
#include "include/addr.h"
#include "include/bits.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/node.h"
#include "shell/commands.h"
#include "shell/table.h"
#include "shell/tty.h"

/* Asks what the command's verb asks, and lets `print` show all that comes. */
static int show(const struct command_args *a, enum verb_id id,
		void (*print)(const struct records *all))
{
	struct verb_call c = { .arg = { NULL } };
	int e = commands_call(a, id, &c);

	if (!e)
		print(&c.answer);
	verb_end(&c);
	return e;
}

static void print_trace(const struct records *all)
{
	const struct node_trace *t;

	records_for_each(t, all)
		if (!tty_interrupted())
			tty_print("%6lu.%09lu cpu %u %-6s %x %lx %lx\n", t->time_ns / 1000000000,
				  t->time_ns % 1000000000, t->cpu, t->kind, t->a, t->b, t->c);
}

static int run_trace(const struct command_args *a)
{
	return show(a, VERB_TRACE, print_trace);
}

static void print_irqs(const struct records *all)
{
	const struct irq_info *i;
	char cpu[12];

	tty_print(" %6s %3s %12s  %s\n", "Vector", "CPU", "Count", "Name");
	records_for_each(i, all) {
		if (i->cpu < 0)
			str_copy(cpu, "all", sizeof(cpu));
		else
			format(cpu, sizeof(cpu), "%d", i->cpu);
		tty_print(" %#6x %3s %12lu  %s\n", i->vector, cpu, i->count, i->name);
	}
}

static int run_irqs(const struct command_args *a)
{
	return show(a, VERB_IRQS, print_irqs);
}

static void print_cpus(const struct records *all)
{
	const struct node_cpu *c;
	unsigned i = 0;

	tty_print(" %3s %14s %14s %12s %10s %8s\n", "CPU", "busy ms", "idle ms", "switches",
		  "steals", "runnable");
	records_for_each(c, all)
		tty_print(" %3u %14lu %14lu %12lu %10lu %8u\n", i++, c->busy_ns / 1000000,
			  c->idle_ns / 1000000, c->switches, c->steals, c->runnable);
}

static int run_cpus(const struct command_args *a)
{
	return show(a, VERB_NODECPUSTATS, print_cpus);
}

/* --- at a glance: what cannot be had is left out */

static void print_vcpus(const char *domain)
{
	const struct domain_vcpu *v;
	struct verb_call c;
	unsigned id = 0;

	if (!commands_ask(VERB_VCPUINFO, domain, &c))
		records_for_each(v, &c.answer)
			tty_print(" %s vcpu %u: %s, on CPU %d, %lu ms, rip %#lx\n", domain, id++,
				  v->activity == ACTIVITY_RUNNING ? "runs" : "waits", v->cpu,
				  v->cpu_time_ns / 1000000, v->rip);
	verb_end(&c);
}

static void print_domains(const struct records *all)
{
	const struct domain_row *d;

	records_for_each(d, all)
		print_vcpus(d->name);
}

static void print_up(const struct records *all)
{
	uint64_t up = ((struct answer_uptime *)records_at(all, 0))->ns / 1000000;

	tty_print("up %lu.%03lu s", up / 1000, up % 1000);
}

static void print_memory(const struct records *all)
{
	const struct node_memory *m = records_at(all, 0);

	tty_print(", %lu of %lu MiB free\n", m->free / MIB, m->total / MIB);
}

void diagnose_overview(void)
{
	static const struct {
		enum verb_id id;
		void (*print)(const struct records *all);
	} parts[] = {
		{ VERB_UPTIME, print_up }, { VERB_NODEMEMSTATS, print_memory },
		{ VERB_NODECPUSTATS, print_cpus }, { VERB_LIST, print_domains },
	};
	struct verb_call c;

	for (unsigned i = 0; i < ARRAY_COUNT(parts); i++) {
		if (!commands_ask(parts[i].id, NULL, &c))
			parts[i].print(&c.answer);
		verb_end(&c);
	}
}

static int run_overview(const struct command_args *a)
{
	(void)a;
	diagnose_overview();
	return 0;
}

/* --- checks */

static void say_state(const struct job *j)
{
	tty_print("Domain '%s' came back the same %lu times, %lu bytes of state\n",
		  domain_name(j->domain), j->done, j->found[0]);
}

static void say_memory(const struct job *j)
{
	tty_print("Domain '%s' changed %lu frames in %lu rounds, each was marked, as were %lu in all; "
		  "%lu that held nothing were taken; %lu times one was found used\n",
		  domain_name(j->domain), j->found[0], j->done, j->found[1], j->found[2],
		  j->found[3]);
}

static int check(const struct command_args *a, enum verb_id id, void (*say)(const struct job *j))
{
	struct verb_call c = { .arg = { NULL } };
	int e = commands_call(a, id, &c);

	if (!e)
		e = commands_wait_job(&c);
	if (!e)
		say(c.job);
	verb_end(&c);
	return e;
}

static int run_domstatecheck(const struct command_args *a)
{
	return check(a, VERB_DOMSTATECHECK, say_state);
}

static int run_dommemcheck(const struct command_args *a)
{
	return check(a, VERB_DOMMEMCHECK, say_memory);
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
