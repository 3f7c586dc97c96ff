/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands that show domains, in virsh's forms.
 */
#include "include/addr.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/events.h"
#include "mgmt/node.h"
#include "shell/commands.h"
#include "shell/table.h"
#include "shell/tty.h"

/* --- list */

static bool wanted(const struct command_args *a, const struct domain_info *i)
{
	bool is_active = i->state != DOMAIN_SHUTOFF;

	if (command_flag(a, "all"))
		return true;
	return command_flag(a, "inactive") ? !is_active : is_active;
}

static void list_plain(const struct command_args *a, const struct domain_info *i)
{
	char uuid[DOMAIN_UUID_TEXT];

	domain_uuid_format(i->uuid, uuid);
	tty_print("%s\n", command_flag(a, "name") ? i->name : uuid);
}

static void list_row(struct table *t, const struct domain_info *i)
{
	char id[16] = "-";

	if (i->id >= 0)
		format(id, sizeof(id), "%d", i->id);
	table_row(t, (const char *const[]){ id, i->name, domain_state_name(i->state) });
}

/* `t` NULL: only names or UUIDs. */
static void list_all(const struct command_args *a, struct table *t)
{
	struct domain_info i;

	for (struct domain *d = domain_next(NULL); d; d = domain_next(d)) {
		domain_info_get(d, &i);
		if (!wanted(a, &i))
			continue;
		if (t)
			list_row(t, &i);
		else
			list_plain(a, &i);
	}
}

static int run_list(const struct command_args *a)
{
	static const char *const titles[] = { "Id", "Name", "State" };
	struct table t;

	if (command_flag(a, "name") || command_flag(a, "uuid")) {
		list_all(a, NULL);
		return 0;
	}
	table_begin(&t, ARRAY_COUNT(titles), titles);
	list_all(a, &t);
	table_show(&t);
	list_all(a, &t);
	table_end(&t);
	return 0;
}

/* --- one domain */

static bool info_of(const struct command_args *a, struct domain_info *i)
{
	struct domain *d = commands_domain(a);

	if (!d)
		return false;
	domain_info_get(d, i);
	domain_put(d);
	return true;
}

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

static void print_image(const struct config_vm *c)
{
	table_text("Kernel", c->kernel);
	table_text("Initrd", c->initrd);
	table_text("Command line", c->cmdline);
}

static int run_dominfo(const struct command_args *a)
{
	struct domain *d = commands_domain(a);
	struct domain_info i;
	struct config_vm *c;
	char text[DOMAIN_UUID_TEXT];

	if (!d)
		return -ENOENT;
	c = domain_config_get(d, true);
	domain_info_get(d, &i);
	print_id(&i, "Id:             ");
	table_field("Name", "%s", i.name);
	domain_uuid_format(i.uuid, text);
	table_field("UUID", "%s", text);
	table_field("OS Type", "hvm");
	table_field("State", "%s%s", domain_state_name(i.state),
		    i.starved ? " (waiting for memory)" : "");
	table_field("CPU(s)", "%u", i.vcpus);
	table_field("Topology", "%s", i.topology);
	table_field("CPU model", "%s", i.cpu);
	format_seconds(i.cpu_time_ns, text, sizeof(text));
	table_field("CPU time", "%s", text);
	table_field("Max memory", "%lu KiB", i.memory / KIB);
	table_field("Used memory", "%lu KiB", i.memory_used / KIB);
	table_field("Overhead", "%lu KiB", i.overhead / KIB);
	table_field("Persistent", "%s", i.persistent ? "yes" : "no");
	table_field("Autostart", "%s", i.autostart ? "enable" : "disable");
	table_field("On poweroff", "%s", config_action_name(i.on_poweroff));
	table_field("On reboot", "%s", config_action_name(i.on_reboot));
	table_field("On crash", "%s", config_action_name(i.on_crash));
	print_image(c);
	if (i.has_exit_code)
		table_field("Exit code", "%u", i.exit_code);
	if (i.crash[0])
		table_field("Crash reason", "%s", i.crash);
	config_vm_put(c);
	domain_put(d);
	return 0;
}

static int run_domstate(const struct command_args *a)
{
	struct domain_info i;

	if (!info_of(a, &i))
		return -ENOENT;
	if (command_flag(a, "reason"))
		tty_print("%s (%s)\n", domain_state_name(i.state), domain_reason_name(i.reason));
	else
		tty_print("%s\n", domain_state_name(i.state));
	return 0;
}

static int run_domid(const struct command_args *a)
{
	struct domain_info i;

	if (!info_of(a, &i))
		return -ENOENT;
	print_id(&i, "");
	return 0;
}

static int run_domuuid(const struct command_args *a)
{
	struct domain_info i;
	char uuid[DOMAIN_UUID_TEXT];

	if (!info_of(a, &i))
		return -ENOENT;
	domain_uuid_format(i.uuid, uuid);
	tty_print("%s\n", uuid);
	return 0;
}

static int run_domname(const struct command_args *a)
{
	struct domain_info i;

	if (!info_of(a, &i))
		return -ENOENT;
	tty_print("%s\n", i.name);
	return 0;
}

/* --- jobs */

static void format_job(const struct domain_job *j, char *out, size_t size)
{
	if (j->total)
		format(out, size, "%lu of %lu KiB", j->done / KIB, j->total / KIB);
	else
		str_copy(out, "-", size);
}

static int run_domjobinfo(const struct command_args *a)
{
	struct verb_call c = { .to = NULL };
	int e = commands_call(a, &verb_table[VERB_DOMJOBINFO], &c);
	char text[64];

	if (!e) {
		table_field("Job", "%s%s", c.job_info.name,
			    c.job_info.aborted ? " (giving up)" : "");
		table_field("Time elapsed", "%lu ms", c.job_info.elapsed_ns / 1000000);
		format_job(&c.job_info, text, sizeof(text));
		table_field("Data processed", "%s", text);
	}
	verb_end(&c);
	return e;
}

static void job_rows(struct table *t)
{
	char done[64], ms[24];
	struct domain_job j;

	for (struct domain *d = domain_next(NULL); d; d = domain_next(d)) {
		domain_job_get(d, &j);
		if (!strcmp(j.name, "none"))
			continue;
		format_job(&j, done, sizeof(done));
		format(ms, sizeof(ms), "%lu ms", j.elapsed_ns / 1000000);
		table_row(t, (const char *const[]){ domain_name(d), j.name, ms, done });
	}
}

static int run_jobs(const struct command_args *a)
{
	static const char *const titles[] = { "Name", "Job", "Elapsed", "Processed" };
	struct table t;

	(void)a;
	table_begin(&t, ARRAY_COUNT(titles), titles);
	job_rows(&t);
	table_show(&t);
	job_rows(&t);
	table_end(&t);
	return 0;
}

/* --- vcpuinfo */

static void print_vcpu(unsigned id, const struct domain_vcpu *v)
{
	static const char *const names[] = {
		"offline", "running", "blocked", "waiting for SIPI", "waiting for memory",
	};
	char seconds[32];

	format_seconds(v->cpu_time_ns, seconds, sizeof(seconds));
	table_field("VCPU", "%u", id);
	table_field("CPU", "%d", v->cpu);
	table_field("State", "%s", names[v->activity]);
	table_field("CPU time", "%s", seconds);
	table_field("RIP", "%#lx", v->rip);
	tty_text("\n");
}

static int run_vcpuinfo(const struct command_args *a)
{
	struct domain *d = commands_domain(a);
	struct mgmt_error err;
	struct domain_vcpu v;
	unsigned id;
	int e;

	if (!d)
		return -ENOENT;
	for (id = 0; !(e = domain_vcpu_get(d, id, &v, &err)); id++)
		print_vcpu(id, &v);
	domain_put(d);
	if (id)
		return 0;
	return command_error(e, "%s", err.message);
}

/* --- domstats */

static const struct { const char *option; enum domain_stat_group group; } groups[] = {
	{ "state", STATS_STATE }, { "cpu-total", STATS_CPU }, { "balloon", STATS_BALLOON },
	{ "vcpu", STATS_VCPU }, { "exits", STATS_EXITS },
};

static void print_stat(void *arg, const struct domain_stat *s)
{
	(void)arg;
	if (s->text)
		tty_print("  %s=%s\n", s->key, s->text);
	else
		tty_print("  %s=%lu\n", s->key, s->value);
}

static void print_stats(struct domain *d, unsigned chosen)
{
	tty_print("Domain: '%s'\n", domain_name(d));
	domain_stats(d, chosen, print_stat, NULL);
	tty_text("\n");
}

static int run_domstats(const struct command_args *a)
{
	unsigned chosen = 0;
	struct domain *d;

	for (unsigned i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (command_flag(a, groups[i].option))
			chosen |= groups[i].group;
	if (!chosen)
		chosen = STATS_ALL;
	if (command_text(a, "domain")) {
		d = commands_domain(a);
		if (!d)
			return -ENOENT;
		print_stats(d, chosen);
		domain_put(d);
		return 0;
	}
	for (d = domain_next(NULL); d; d = domain_next(d))
		if (!tty_interrupted())
			print_stats(d, chosen);
	return 0;
}

/* --- event */

#define EVENTS_MAX 32	/* kept between two looks */

static struct {
	struct event_subscriber subscriber;
	struct domain_event event[EVENTS_MAX];
	unsigned head, tail;	/* atomic */
} seen;

static void on_event(struct event_subscriber *s, const struct domain_event *e)
{
	unsigned head = seen.head;

	(void)s;
	if (head - __atomic_load_n(&seen.tail, __ATOMIC_ACQUIRE) < EVENTS_MAX) {
		seen.event[head % EVENTS_MAX] = *e;
		__atomic_store_n(&seen.head, head + 1, __ATOMIC_RELEASE);
	}
	tty_wake();
}

static bool print_event(void)
{
	const struct domain_event *e = &seen.event[seen.tail % EVENTS_MAX];

	if (__atomic_load_n(&seen.head, __ATOMIC_ACQUIRE) == seen.tail)
		return false;
	tty_print("event 'lifecycle' for domain '%s': %s %s\n", e->name, events_name(e->kind),
		  e->detail);
	__atomic_store_n(&seen.tail, seen.tail + 1, __ATOMIC_RELEASE);
	return true;
}

static int run_event(const struct command_args *a)
{
	uint64_t seconds = command_number(a, "timeout", ~0ull), begin = node_uptime_ns();
	unsigned count = 0;

	seen.head = seen.tail = 0;
	seen.subscriber.fn = on_event;
	events_subscribe(&seen.subscriber);
	while (!tty_interrupted() && (!count || command_flag(a, "loop"))) {
		if (print_event())
			count++;
		else if ((node_uptime_ns() - begin) / 1000000000 >= seconds)
			break;
		else
			tty_wait_some();
	}
	events_unsubscribe(&seen.subscriber);
	tty_print("events received: %u\n", count);
	return 0;
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
static const struct option domstats_options[] = {
	{ "domain", "name, id or UUID; all domains if none is given", OPTION_TEXT, WHAT_DOMAIN,
	  false, true },
	OPTION_SWITCH("state", "its state"),
	OPTION_SWITCH("cpu-total", "CPU time"),
	OPTION_SWITCH("balloon", "memory"),
	OPTION_SWITCH("vcpu", "each vCPU"),
	OPTION_SWITCH("exits", "exits by reason: how many, and their mean cost in TSC ticks"),
	OPTION_LAST
};
static const struct option event_options[] = {
	OPTION_SWITCH("loop", "go on until Ctrl-C, not only to the first"),
	{ "timeout", "seconds to wait at most", OPTION_NUMBER, WHAT_NOTHING, false, false },
	OPTION_LAST
};

const struct command monitor_commands[] = {
	{ "domid", "a domain's id", NULL, domain_only, run_domid },
	{ "dominfo", "what a domain is and how it is", NULL, domain_only, run_dominfo },
	{ "domjobinfo", "how far a domain's job is", NULL, domain_only, run_domjobinfo },
	{ "domname", "a domain's name", NULL, domain_only, run_domname },
	{ "domstate", "a domain's state", NULL, domstate_options, run_domstate },
	{ "domstats", "statistics of one domain or all", "Without an option, all groups are shown.",
	  domstats_options, run_domstats },
	{ "domuuid", "a domain's UUID", NULL, domain_only, run_domuuid },
	{ "event", "wait for a domain to start, stop, crash ...", "Ctrl-C ends the waiting.",
	  event_options, run_event },
	{ "jobs", "what is under way: starts, checks", NULL, NULL, run_jobs },
	{ "list", "list domains", "Without an option: those that are not shut off.",
	  list_options, run_list },
	{ "vcpuinfo", "the virtual CPUs of a domain", NULL, vcpuinfo_options, run_vcpuinfo },
	{ 0 }
};
