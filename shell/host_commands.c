/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands that show the host, and switch it off.
 */
#include "include/addr.h"
#include "kernel/log.h"
#include "lib/format.h"
#include "lib/string.h"
#include "shell/commands.h"
#include "shell/table.h"
#include "shell/tty.h"

#define VALUE_COLUMN 16

/* Words behind a label, in rows of their own under the first. */
struct paragraph {
	unsigned column;
};

static void begin_paragraph(struct paragraph *p, const char *label)
{
	tty_print("%-16s", label);
	p->column = VALUE_COLUMN;
}

static void add_word(struct paragraph *p, const char *word, size_t n)
{
	if (p->column > VALUE_COLUMN && p->column + n + 1 > TTY_COLUMNS) {
		tty_print("\n%-16s", "");
		p->column = VALUE_COLUMN;
	}
	tty_print("%s%.*s", p->column > VALUE_COLUMN ? " " : "", (int)n, word);
	p->column += (unsigned)n + (p->column > VALUE_COLUMN);
}

static void add_words(struct paragraph *p, const char *text)
{
	while (*text) {
		const char *end = strchr(text, ' ');
		size_t n = end ? (size_t)(end - text) : strlen(text);

		add_word(p, text, n);
		text += n + (end != NULL);
	}
}

static void print_features(const char *label, const struct records *features)
{
	const struct answer_name *f;
	struct paragraph p;

	begin_paragraph(&p, label);
	records_for_each(f, features)
		add_word(&p, f->name, strlen(f->name));
	tty_text("\n");
}

static void print_cpus(const struct records *cpus)
{
	const struct node_cpu *c;
	unsigned i = 0;

	records_for_each(c, cpus) {
		char name[16];

		format(name, sizeof(name), "CPU %u", i++);
		table_field(name, "%s, TSC skew %ld ticks",
			    c->virtual ? "virtualisation on" : "virtualisation OFF",
			    (long)c->tsc_skew);
	}
}

static void print_quirks(const struct records *quirks)
{
	const struct answer_name *q;
	struct paragraph p;

	records_for_each(q, quirks) {
		begin_paragraph(&p, q == records_at(quirks, 0) ? "Quirks:" : "");
		add_words(&p, q->name);
		add_words(&p, "-");
		add_words(&p, q->text);
		tty_text("\n");
	}
}

static void print_nodeinfo(const struct answer_nodeinfo *a)
{
	const struct node_info *n = &a->info;
	struct paragraph p;

	table_field("CPU model", "%s", n->model);
	table_field("CPU vendor", "%s, family %u, model %u, stepping %u", n->vendor, n->family,
		    n->model_number, n->stepping);
	table_field("CPU(s)", "%u", n->cpus);
	table_field("CPU frequency", "%lu MHz", n->mhz);
	table_field("CPU socket(s)", "%u", n->sockets);
	table_field("Core(s) per socket", "%u", n->cores);
	table_field("Thread(s) per core", "%u", n->threads);
	table_field("NUMA cell(s)", "%u", n->nodes);
	table_field("Memory size", "%lu KiB", n->memory / KIB);
	table_field("Address sizes", "%u bits physical, %u bits virtual", n->physical_bits,
		    n->linear_bits);
	table_field("Virtualisation", "%s on %u of %u CPUs", n->back_end, n->cpus_virtual, n->cpus);
	begin_paragraph(&p, "Abilities:");
	add_words(&p, n->abilities);
	tty_text("\n");
	begin_paragraph(&p, "Mitigations:");
	add_words(&p, n->mitigations);
	tty_text("\n");
	table_field("TSC", "%s",
		    n->tsc_invariant ? "invariant"
				     : "not invariant: it may stop or change its rate");
	table_field("Console", "%s", a->console);
	print_cpus(&a->cpus);
	print_features("Features:", &a->features);
	print_features("Guests have:", &a->guest_features);
	print_quirks(&a->quirks);
}

/* Asks what the command's name asks, and lets `print` show each record that comes. */
static int show(const struct command_args *a, void (*print)(const struct records *all))
{
	struct verb_call c = { .arg = { NULL } };
	int e = commands_call(a, (enum verb_id)(verb_find(a->command->name) - verb_table), &c);

	if (!e)
		print(&c.answer);
	verb_end(&c);
	return e;
}

static void show_nodeinfo(const struct records *all)
{
	print_nodeinfo(records_at(all, 0));
}

static int run_nodeinfo(const struct command_args *a)
{
	return show(a, show_nodeinfo);
}

static int run_nodememstats(const struct command_args *a)
{
	struct verb_call c = { .arg = { NULL } };
	int e = commands_call(a, VERB_NODEMEMSTATS, &c);

	if (!e) {
		const struct node_memory *m = records_at(&c.answer, 0);

		tty_print("total  : %20lu KiB\n", m->total / KIB);
		tty_print("free   : %20lu KiB\n", m->free / KIB);
		tty_print("dirty  : %20lu KiB\n", m->dirty / KIB);
		if (!command_text(a, "cell")) {
			tty_print("keel   : %20lu KiB\n", m->keel / KIB);
			tty_print("objects: %20lu KiB\n", m->heap / KIB);
		}
	}
	verb_end(&c);
	return e;
}

static void show_cpu_sum(const struct records *all)
{
	struct node_cpu sum = { 0 };
	const struct node_cpu *c;

	records_for_each(c, all) {
		sum.busy_ns += c->busy_ns;
		sum.idle_ns += c->idle_ns;
		sum.switches += c->switches;
		sum.steals += c->steals;
		sum.runnable += c->runnable;
	}
	tty_print("busy:     %20lu\n", sum.busy_ns);
	tty_print("idle:     %20lu\n", sum.idle_ns);
	tty_print("switches: %20lu\n", sum.switches);
	tty_print("steals:   %20lu\n", sum.steals);
	tty_print("runnable: %20u\n", sum.runnable);
}

static int run_nodecpustats(const struct command_args *a)
{
	return show(a, show_cpu_sum);
}

static void show_device_names(const struct records *all)
{
	const struct nodedev *d;

	records_for_each(d, all)
		if (!tty_interrupted())
			tty_print("%s\n", d->name);
}

static int run_nodedev_list(const struct command_args *a)
{
	return show(a, show_device_names);
}

static void print_bars(const struct nodedev *d)
{
	char label[16];

	for (unsigned i = 0; i < NODEDEV_BAR_MAX; i++) {
		if (!d->bar[i].address)
			continue;
		format(label, sizeof(label), "BAR %u", i);
		table_field(label, d->bar[i].io ? "I/O port %#lx" : "memory at %#lx%s",
			    d->bar[i].address, d->bar[i].wide ? ", 64 bits" : "");
	}
}

static void print_interrupts(const struct nodedev *d)
{
	char text[16] = "none";

	if (d->irq_pin)
		format(text, sizeof(text), "INT%c, line %u", '@' + d->irq_pin, d->irq_line);
	table_field("IRQ", "%s", text);
	if (d->msi)
		table_field("MSI", "%u", d->msi);
	if (d->msix)
		table_field("MSI-X", "%u", d->msix);
	if (d->interrupts)
		table_field("In use", "%s", d->interrupts);
}

static void show_device(const struct records *all)
{
	const struct nodedev *d = records_at(all, 0);

	table_field("Name", "%s", d->name);
	table_field("Parent", "%s", d->parent);
	table_field("Class", "0x%06x, %s", d->class, d->class_name);
	table_field("Vendor", "0x%04x", d->vendor_id);
	table_field("Product", "0x%04x, revision %u", d->device_id, d->revision);
	table_field("Driver", "%s", d->driver ?: "none");
	print_bars(d);
	print_interrupts(d);
	table_field("PCI Express", d->express ? "yes" : "no");
	table_field("Reset", d->resets ? "by function" : "no");
	table_field("IOMMU group", "not known");
}

static int run_nodedev_info(const struct command_args *a)
{
	return show(a, show_device);
}

static void show_hostname(const struct records *all)
{
	tty_print("%s\n", ((struct config_host *)records_at(all, 0))->hostname);
}

static int run_hostname(const struct command_args *a)
{
	return show(a, show_hostname);
}

static void show_uptime(const struct records *all)
{
	const struct answer_uptime *u = records_at(all, 0);
	uint64_t s = u->ns / 1000000000, days = s / 86400;

	tty_print("up %lu day%s, %02lu:%02lu:%02lu, %u of %u domains running\n", days,
		  days == 1 ? "" : "s", s / 3600 % 24, s / 60 % 60, s % 60, u->running, u->defined);
}

static int run_uptime(const struct command_args *a)
{
	return show(a, show_uptime);
}

static void show_version(const struct records *all)
{
	const struct answer_version *v = records_at(all, 0);
	const struct answer_name *m;

	tty_print("Keel %s (%s), loaded by %s\n", v->version, v->commit, v->loader);
	tty_text("Command line: ");
	tty_text(v->cmdline);
	tty_text("\n");
	records_for_each(m, &v->mistakes)
		tty_print("Mistake in it: %s\n", m->name);
}

static int run_version(const struct command_args *a)
{
	return show(a, show_version);
}

static void show_log(const struct records *all, uint64_t last)
{
	char text[sizeof(((struct log_line *)0)->text) + 40];
	const struct log_line *l;
	uint64_t left = all->count;

	records_for_each(l, all)
		if (left-- <= last && !tty_interrupted()) {
			log_format_line(l, text, sizeof(text));
			tty_text(text);
		}
}

static int run_dmesg(const struct command_args *a)
{
	struct verb_call c = { .arg = { NULL } };
	int e = commands_call(a, VERB_LOG, &c);

	if (!e)
		show_log(&c.answer, command_number(a, "last", ~0ull));
	verb_end(&c);
	return e;
}

static int run_poweroff(const struct command_args *a)
{
	bool again = command_flag(a, "reboot");
	struct verb_call c = { .arg = { NULL } };
	int e = commands_call(a, VERB_POWEROFF, &c);

	verb_end(&c);
	if (e)
		return e;
	tty_text(again ? "The host starts again when its guests are shut down\n" :
			 "The host is switched off when its guests are shut down\n");
	while (!tty_interrupted()) {
		if (tty_log_waiting())
			tty_log_print();
		tty_wait_some();
	}
	tty_text("It goes on: 'poweroff --force' does not wait for the guests\n");
	return 0;
}

static const struct option dmesg_options[] = {
	{ "level", "error, warning, info or debug: that and what is graver", OPTION_TEXT,
	  WHAT_NOTHING, false, true },
	{ "last", "only so many, the newest", OPTION_NUMBER, WHAT_NOTHING, false, false },
	{ "since", "begin with the line of this number", OPTION_NUMBER, WHAT_NOTHING, false, false },
	OPTION_LAST
};
static const struct option nodememstats_options[] = {
	OPTION_COUNT("cell", "a memory node; all if none is given"),
	OPTION_LAST
};
static const struct option nodedev_options[] = {
	{ "device", "the name of a device", OPTION_TEXT, WHAT_DEVICE, true, true },
	OPTION_LAST
};
static const struct option nodecpustats_options[] = {
	OPTION_COUNT("cpu", "a CPU; the sum of all if none is given"),
	OPTION_LAST
};
static const struct option poweroff_options[] = {
	OPTION_SWITCH("reboot", "start the host again instead"),
	OPTION_SWITCH("force", "destroy the guests at once"),
	OPTION_LAST
};

const struct command host_commands[] = {
	{ "capabilities", "what this host can do, in libvirt's XML", NULL, NULL, commands_text },
	{ "dmesg", "Keel's log", NULL, dmesg_options, run_dmesg },
	{ "hostname", "the host's name", NULL, NULL, run_hostname },
	{ "nodecpustats", "what the CPUs did, in nanoseconds",
	  NULL, nodecpustats_options, run_nodecpustats },
	{ "nodedev-dumpxml", "one device of the host in libvirt's XML", NULL, nodedev_options,
	  commands_text },
	{ "nodedev-info", "what is known of one device of the host",
	  "Nothing is written to it, so the sizes of its BARs are not told.",
	  nodedev_options, run_nodedev_info },
	{ "nodedev-list", "the host's PCI devices by their names", NULL, NULL, run_nodedev_list },
	{ "nodeinfo", "the host's CPUs, memory, virtualisation and quirks",
	  NULL, NULL, run_nodeinfo },
	{ "nodememstats", "the host's memory",
	  "dirty: free but not yet cleared; keel: what Keel itself uses; objects: of that.",
	  nodememstats_options, run_nodememstats },
	{ "poweroff", "shut the guests down and switch the host off, or reboot it",
	  "Guests that do not shut down within 30 s are destroyed.",
	  poweroff_options, run_poweroff },
	{ "uptime", "how long the host has been up", NULL, NULL, run_uptime },
	{ "version", "Keel's version, commit, boot loader and command line",
	  "The commit that it was built from, with '+' when files had been changed since.",
	  NULL, run_version },
	{ 0 }
};
