/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands that show domains, in virsh's forms.
 */
#include "include/addr.h"
#include "include/bits.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/events.h"
#include "mgmt/node.h"
#include "shell/commands.h"
#include "shell/table.h"
#include "shell/tty.h"

/* --- list */

static void list_plain(const struct command_args *a, const struct domain_row *d)
{
	char uuid[DOMAIN_UUID_TEXT];

	domain_uuid_format(d->uuid, uuid);
	tty_print("%s\n", command_flag(a, "name") ? d->name : uuid);
}

static void list_rows(struct table *t, const struct records *all)
{
	const struct domain_row *d;

	records_for_each(d, all) {
		char id[16] = "-";

		if (d->id >= 0)
			format(id, sizeof(id), "%d", d->id);
		table_row(t, (const char *const[]){ id, d->name, domain_state_name(d->state) });
	}
}

static void list_table(const struct records *all)
{
	static const char *const titles[] = { "Id", "Name", "State" };
	struct table t;

	table_begin(&t, ARRAY_COUNT(titles), titles);
	list_rows(&t, all);
	table_show(&t);
	list_rows(&t, all);
	table_end(&t);
}

static int run_list(const struct command_args *a)
{
	struct verb_call c = { .arg = { NULL } };
	const struct domain_row *d;
	int e = commands_call(a, VERB_LIST, &c);

	if (!e && (command_flag(a, "name") || command_flag(a, "uuid")))
		records_for_each(d, &c.answer)
			list_plain(a, d);
	else if (!e)
		list_table(&c.answer);
	verb_end(&c);
	return e;
}

/* --- one domain */

static void print_id(const struct domain_info *i, const char *label)
{
	if (i->id >= 0)
		tty_print("%s%d\n", label, i->id);
	else
		tty_print("%s-\n", label);
}

/* Seconds with one digit, as virsh prints CPU time. */
static void format_seconds(uint64_t ns, char *buf, size_t size)
{
	format(buf, size, "%lu.%lus", ns / 1000000000, ns / 100000000 % 10);
}

static void print_info(const struct answer_dominfo *a)
{
	const struct domain_info *i = &a->info;
	char text[DOMAIN_UUID_TEXT];

	print_id(i, "Id:             ");
	table_field("Name", "%s", i->name);
	domain_uuid_format(i->uuid, text);
	table_field("UUID", "%s", text);
	table_field("OS Type", "hvm");
	table_field("State", "%s%s", domain_state_name(i->state),
		    i->starved ? " (waiting for memory)" : "");
	table_field("CPU(s)", "%u", i->vcpus);
	table_field("Topology", "%s", i->topology);
	table_field("CPU model", "%s", i->cpu);
	format_seconds(i->cpu_time_ns, text, sizeof(text));
	table_field("CPU time", "%s", text);
	table_field("Max memory", "%lu KiB", i->memory / KIB);
	table_field("Used memory", "%lu KiB", i->memory_used / KIB);
	table_field("Overhead", "%lu KiB", i->overhead / KIB);
	table_field("Persistent", "%s", i->persistent ? "yes" : "no");
	table_field("Autostart", "%s", i->autostart ? "enable" : "disable");
	table_field("On poweroff", "%s", config_action_name(i->on_poweroff));
	table_field("On reboot", "%s", config_action_name(i->on_reboot));
	table_field("On crash", "%s", config_action_name(i->on_crash));
	table_text("Kernel", a->kernel);
	table_text("Initrd", a->initrd);
	table_text("Command line", a->cmdline);
	if (i->has_exit_code)
		table_field("Exit code", "%u", i->exit_code);
	if (i->crash[0])
		table_field("Crash reason", "%s", i->crash);
}

/* Asks what a domain is, and lets `print` show it. */
static int with_info(const struct command_args *a,
		     void (*print)(const struct command_args *a, const struct answer_dominfo *i))
{
	struct verb_call c = { .arg = { NULL } };
	int e = commands_call(a, VERB_DOMINFO, &c);

	if (!e)
		print(a, records_at(&c.answer, 0));
	verb_end(&c);
	return e;
}

static void print_dominfo(const struct command_args *a, const struct answer_dominfo *i)
{
	(void)a;
	print_info(i);
}

static int run_dominfo(const struct command_args *a)
{
	return with_info(a, print_dominfo);
}

static void print_state(const struct command_args *a, const struct answer_dominfo *i)
{
	if (command_flag(a, "reason"))
		tty_print("%s (%s)\n", domain_state_name(i->info.state),
			  domain_reason_name(i->info.reason));
	else
		tty_print("%s\n", domain_state_name(i->info.state));
}

static int run_domstate(const struct command_args *a)
{
	return with_info(a, print_state);
}

static void print_domid(const struct command_args *a, const struct answer_dominfo *i)
{
	(void)a;
	print_id(&i->info, "");
}

static int run_domid(const struct command_args *a)
{
	return with_info(a, print_domid);
}

static void print_uuid(const struct command_args *a, const struct answer_dominfo *i)
{
	char uuid[DOMAIN_UUID_TEXT];

	(void)a;
	domain_uuid_format(i->info.uuid, uuid);
	tty_print("%s\n", uuid);
}

static int run_domuuid(const struct command_args *a)
{
	return with_info(a, print_uuid);
}

static void print_name(const struct command_args *a, const struct answer_dominfo *i)
{
	(void)a;
	tty_print("%s\n", i->info.name);
}

static int run_domname(const struct command_args *a)
{
	return with_info(a, print_name);
}

/* --- jobs */

/* "1024 of 4096 KiB", "3 of 5 rounds". */
static void format_job(uint64_t done, uint64_t total, const char *unit, char *out, size_t size)
{
	bool bytes = !strcmp(unit, "bytes");

	if (total)
		format(out, size, "%lu of %lu %s", bytes ? done / KIB : done,
		       bytes ? total / KIB : total, bytes ? "KiB" : unit);
	else
		str_copy(out, "-", size);
}

static void print_progress(const struct domain_job *j)
{
	char text[64];

	if (j->total && !strcmp(j->unit, "bytes")) {
		table_field("Data processed", "%lu KiB", j->done / KIB);
		table_field("Data remaining", "%lu KiB", (j->total - MIN(j->done, j->total)) / KIB);
		table_field("Data total", "%lu KiB", j->total / KIB);
		return;
	}
	format_job(j->done, j->total, j->unit, text, sizeof(text));
	table_field("Processed", "%s", text);
}

/* In virsh's words, as far as it has some. */
static void print_job(const struct domain_job *j)
{
	bool none = !strcmp(j->name, "none");

	table_field("Job type", "%s", none ? "None" : j->outcome[0] ? "Completed" :
				      j->total ? "Bounded" : "Unbounded");
	if (none)
		return;
	table_field("Operation", "%s%s", j->name,
		    j->outcome[0] ? "" : j->aborted ? " (giving up)" : "");
	if (j->outcome[0])
		table_field("Outcome", "%s", j->outcome);
	else
		table_field("Abort", "%s", j->abortable ? "possible" : "not possible");
	table_field("Time elapsed", "%lu ms", j->elapsed_ns / 1000000);
	print_progress(j);
	for (unsigned i = 0; i < JOB_FOUND && j->found_name[i]; i++)
		table_field(j->found_name[i], "%lu", j->found[i]);
}

static int run_domjobinfo(const struct command_args *a)
{
	struct verb_call c = { .arg = { NULL } };
	int e = commands_call(a, VERB_DOMJOBINFO, &c);

	if (!e)
		print_job(&((struct answer_job *)records_at(&c.answer, 0))->job);
	verb_end(&c);
	return e;
}

static void job_rows(struct table *t, const struct records *jobs)
{
	const struct answer_job *j;
	char done[64], ms[24];

	records_for_each(j, jobs) {
		format_job(j->job.done, j->job.total, j->job.unit, done, sizeof(done));
		format(ms, sizeof(ms), "%lu ms", j->job.elapsed_ns / 1000000);
		table_row(t, (const char *const[]){ j->name, j->job.name, ms, done });
	}
}

static int run_jobs(const struct command_args *a)
{
	static const char *const titles[] = { "Name", "Job", "Elapsed", "Processed" };
	struct verb_call c = { .arg = { NULL } };
	int e = commands_call(a, VERB_JOBS, &c);
	struct table t;

	if (!e) {
		table_begin(&t, ARRAY_COUNT(titles), titles);
		job_rows(&t, &c.answer);
		table_show(&t);
		job_rows(&t, &c.answer);
		table_end(&t);
	}
	verb_end(&c);
	return e;
}

/* --- vcpuinfo */

static void print_vcpu(unsigned id, const struct domain_vcpu *v)
{
	static const char *const names[] = {
		"offline", "running", "blocked", "waiting for SIPI", "waiting for memory",
	};
	char seconds[32], affinity[CPU_MAX + 1] = "";
	struct node_cpu cpu;

	format_seconds(v->cpu_time_ns, seconds, sizeof(seconds));
	table_field("VCPU", "%u", id);
	table_field("CPU", "%d", v->cpu);
	table_field("State", "%s", names[v->activity]);
	table_field("CPU time", "%s", seconds);
	for (unsigned i = 0; node_cpu_get(i, &cpu) == 0 && i < sizeof(affinity) - 1; i++) {
		affinity[i] = cpu_set_has(&v->allowed, i) ? 'y' : '-';
		affinity[i + 1] = 0;
	}
	table_field("CPU Affinity", "%s", affinity);
	table_field("RIP", "%#lx", v->rip);
	tty_text("\n");
}

static int run_vcpuinfo(const struct command_args *a)
{
	struct verb_call c = { .arg = { NULL } };
	const struct domain_vcpu *v;
	unsigned id = 0;
	int e = commands_call(a, VERB_VCPUINFO, &c);

	if (!e)
		records_for_each(v, &c.answer)
			print_vcpu(id++, v);
	verb_end(&c);
	return e;
}

/* --- domstats */

static int print_stats(const struct command_args *a, const char *domain)
{
	struct verb_call c = { .arg = { domain } };
	const struct domain_stat *s;
	int e = commands_call(a, VERB_DOMSTATS, &c);

	if (!e) {
		tty_print("Domain: '%s'\n", domain_name(c.domain));
		records_for_each(s, &c.answer)
			tty_print("  %s=%lu\n", s->key, s->value);
		tty_text("\n");
	}
	verb_end(&c);
	return e;
}

static int run_domstats(const struct command_args *a)
{
	struct verb_call c;
	const struct domain_row *d;
	int e;

	if (command_text(a, "domain"))
		return print_stats(a, command_text(a, "domain"));
	e = commands_ask(VERB_LIST, "", &c);
	if (e)
		(void)command_fail(&c.error);
	records_for_each(d, &c.answer)
		if (!tty_interrupted())
			(void)print_stats(a, d->name);
	verb_end(&c);
	return e;
}

static int run_dommemstat(const struct command_args *a)
{
	struct verb_call c = { .arg = { NULL } };
	const struct domain_stat *s;
	int e = commands_call(a, VERB_DOMMEMSTAT, &c);

	if (!e)
		records_for_each(s, &c.answer)
			tty_print("%s %lu\n", s->key, s->value);
	verb_end(&c);
	return e;
}

/* --- event */

static void on_event(struct event_watch *w)
{
	(void)w;
	tty_wake();
}

static void print_event(const struct domain_event *e)
{
	char done[64] = "";

	if (e->total)
		format(done, sizeof(done), " %lu of %lu", e->done, e->total);
	tty_print("event '%s' for domain '%s'", e->class, e->name);
	if (e->word[0])
		tty_print(": %s %s%s", e->word, e->detail, done);
	tty_text("\n");
}

/* Prints those that have come; *since moves behind them. How many, or -Exxx. */
static int print_events(const struct command_args *a, uint64_t *since, unsigned most)
{
	char from[24];
	struct verb_call c = { .arg = { from } };
	const struct answer_event *answer;
	const struct domain_event *e;
	int r;

	format(from, sizeof(from), "%lu", *since);
	r = commands_call(a, VERB_EVENT, &c);
	answer = records_at(&c.answer, 0);
	if (!r) {
		if (answer->lost)
			tty_print("events lost: %lu\n", answer->lost);
		*since = answer->next;
		records_for_each(e, &answer->events)
			if ((unsigned)r < most && !tty_interrupted()) {
				print_event(e);
				*since = e->sequence + 1;
				r++;
			}
	}
	verb_end(&c);
	return r;
}

/* Until there is one, the time is over, or Ctrl-C; `loop`: until one of the last two. */
static int wait_events(const struct command_args *a, uint64_t since, bool loop)
{
	uint64_t seconds = command_number(a, "timeout", ~0ull), begin = node_uptime_ns();
	unsigned count = 0;
	int n = 0;

	while (!tty_interrupted() && (!count || loop)) {
		n = print_events(a, &since, loop ? ~0u : 1);
		if (n < 0)
			return n;
		count += (unsigned)n;
		if ((node_uptime_ns() - begin) / 1000000000 >= seconds)
			break;
		if (!n)
			tty_wait_some();
	}
	tty_print("events received: %u\n", count);
	return 0;
}

static int run_event(const struct command_args *a)
{
	struct event_watch watch = { .fn = on_event };
	struct verb_call c;
	uint64_t since = 0;
	int e = commands_ask(VERB_EVENT, NULL, &c);

	if (e)
		(void)command_fail(&c.error);
	else
		since = ((struct answer_event *)records_at(&c.answer, 0))->next;
	verb_end(&c);
	if (e)
		return e;
	tty_interrupt_also(TTY_CTRL(']'));
	events_watch(&watch);
	e = wait_events(a, command_number(a, "since", since), command_flag(a, "loop"));
	events_unwatch(&watch);
	return e;
}

static const struct option list_options[] = {
	OPTION_SWITCH("all", "also those that are shut off"),
	OPTION_SWITCH("inactive", "only those that are shut off"),
	OPTION_SWITCH("name", "names only"),
	OPTION_SWITCH("uuid", "UUIDs only"),
	OPTION_LAST
};
static const struct option domain_only[] = { OPTION_DOMAIN(WHAT_DOMAIN), OPTION_LAST };
static const struct option vcpuinfo_options[] = { OPTION_DOMAIN(WHAT_ACTIVE), OPTION_LAST };
static const struct option domstate_options[] = {
	OPTION_DOMAIN(WHAT_DOMAIN),
	OPTION_SWITCH("reason", "also say why"),
	OPTION_LAST
};
static const struct option dommemstat_options[] = {
	OPTION_DOMAIN(WHAT_ACTIVE),
	{ "period", "seconds from one time to the next that it is asked; 0: not any more",
	  OPTION_NUMBER, WHAT_NOTHING, false, false },
	OPTION_LAST
};
static const struct option domstats_options[] = {
	{ "domain", "name, id or UUID; all domains if none is given", OPTION_TEXT, WHAT_DOMAIN,
	  false, true },
	OPTION_SWITCH("state", "its state"),
	OPTION_SWITCH("cpu-total", "CPU time"),
	OPTION_SWITCH("balloon", "memory"),
	OPTION_SWITCH("vcpu", "each vCPU"),
	OPTION_SWITCH("exits", "exits by reason: how many, and their mean cost in TSC ticks"),
	OPTION_SWITCH("interface", "frames of each network card; lost ones are drops"),
	OPTION_LAST
};
static const struct option domjobinfo_options[] = {
	OPTION_DOMAIN(WHAT_DOMAIN),
	OPTION_SWITCH("completed", "the one that has ended last"),
	OPTION_LAST
};
static const struct option event_options[] = {
	{ "domain", "only its; all domains' if none is given", OPTION_TEXT, WHAT_DOMAIN, false,
	  true },
	{ "event", "lifecycle, reboot, button, job or memory alone; all if not given", OPTION_TEXT,
	  WHAT_NOTHING, false, false },
	OPTION_SWITCH("all", "of all kinds, which is meant without --event too"),
	OPTION_SWITCH("loop", "go on until Ctrl-C, not only to the first"),
	{ "since", "begin with this number, 1 for all that are kept", OPTION_NUMBER, WHAT_NOTHING,
	  false, false },
	{ "timeout", "seconds to wait at most", OPTION_NUMBER, WHAT_NOTHING, false, false },
	OPTION_LAST
};

const struct command monitor_commands[] = {
	{ "domid", "a domain's id", NULL, domain_only, run_domid },
	{ "dominfo", "what a domain is and how it is", NULL, domain_only, run_dominfo },
	{ "domjobinfo", "how far a domain's job is", NULL, domjobinfo_options, run_domjobinfo },
	{ "domname", "a domain's name", NULL, domain_only, run_domname },
	{ "domstate", "a domain's state", NULL, domstate_options, run_domstate },
	{ "dommemstat", "what a domain tells of its memory, in KiB",
	  "Its balloon's driver tells it when it starts, and each PERIOD seconds. 'actual' is what\n"
	  "    the guest has, 'unused' and 'usable' what it does not need of that, 'rss' what it takes\n"
	  "    of the host.", dommemstat_options, run_dommemstat },
	{ "domstats", "statistics of one domain or all", "Without an option, all groups are shown.",
	  domstats_options, run_domstats },
	{ "domuuid", "a domain's UUID", NULL, domain_only, run_domuuid },
	{ "event", "wait for a domain to start, stop, crash ...",
	  "Changes of state, other configurations, jobs, waiting for memory. Ctrl-C or Ctrl-] ends it.",
	  event_options, run_event },
	{ "jobs", "what is under way: starts, checks, ends", NULL, NULL, run_jobs },
	{ "list", "list domains", "Without an option: those that are not shut off.",
	  list_options, run_list },
	{ "vcpuinfo", "the virtual CPUs of a domain", NULL, vcpuinfo_options, run_vcpuinfo },
	{ 0 }
};
