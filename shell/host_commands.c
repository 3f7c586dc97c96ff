/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands that show the host, and switch it off.
 */
#include "include/addr.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/mgmt.h"
#include "mgmt/node.h"
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

static void print_features(const char *label, const char *(*feature)(unsigned i))
{
	struct paragraph p;
	const char *name;

	begin_paragraph(&p, label);
	for (unsigned i = 0; (name = feature(i)); i++)
		add_word(&p, name, strlen(name));
	tty_text("\n");
}

static void print_cpus(void)
{
	struct node_cpu c;

	for (unsigned i = 0; !node_cpu_get(i, &c); i++) {
		char name[16];

		format(name, sizeof(name), "CPU %u", i);
		table_field(name, "%s, TSC skew %ld ticks",
			    c.virtual ? "virtualisation on" : "virtualisation OFF",
			    (long)c.tsc_skew);
	}
}

static void print_errata(void)
{
	struct paragraph p;
	const char *name, *text;

	for (unsigned i = 0; (name = node_erratum(i, &text)); i++) {
		begin_paragraph(&p, i ? "" : "Quirks:");
		add_words(&p, name);
		add_words(&p, "-");
		add_words(&p, text);
		tty_text("\n");
	}
}

static int run_nodeinfo(const struct command_args *a)
{
	struct paragraph p;
	struct node_info n;

	(void)a;
	node_info_get(&n);
	table_field("CPU model", "%s", n.model);
	table_field("CPU vendor", "%s, family %u, model %u, stepping %u", n.vendor, n.family,
		    n.model_number, n.stepping);
	table_field("CPU(s)", "%u", n.cpus);
	table_field("CPU frequency", "%lu MHz", n.mhz);
	table_field("NUMA cell(s)", "%u", n.nodes);
	table_field("Memory size", "%lu KiB", n.memory / KIB);
	table_field("Address sizes", "%u bits physical, %u bits virtual", n.physical_bits,
		    n.linear_bits);
	table_field("Virtualisation", "%s on %u of %u CPUs", n.back_end, n.cpus_virtual, n.cpus);
	begin_paragraph(&p, "Abilities:");
	add_words(&p, n.abilities);
	tty_text("\n");
	begin_paragraph(&p, "Mitigations:");
	add_words(&p, n.mitigations);
	tty_text("\n");
	table_field("TSC", "%s",
		    n.tsc_invariant ? "invariant"
				    : "not invariant: it may stop or change its rate");
	table_field("Console", "%s", node_console());
	print_cpus();
	print_features("Features:", node_feature);
	print_features("Guests have:", node_guest_feature);
	print_errata();
	return 0;
}

static int run_nodememstats(const struct command_args *a)
{
	struct node_memory m;
	int node = command_text(a, "cell") ? (int)(command_number(a, "cell", 0) & 0xffff)
					   : NODE_ALL;

	if (node_memory_get(node, &m))
		return command_error(
			-ENOENT, "there is no memory node %d: 'nodeinfo' says how many there are",
			node);
	tty_print("total  : %20lu KiB\n", m.total / KIB);
	tty_print("free   : %20lu KiB\n", m.free / KIB);
	tty_print("dirty  : %20lu KiB\n", m.dirty / KIB);
	if (node == NODE_ALL) {
		tty_print("keel   : %20lu KiB\n", m.keel / KIB);
		tty_print("objects: %20lu KiB\n", m.heap / KIB);
	}
	return 0;
}

static int run_nodecpustats(const struct command_args *a)
{
	bool one = command_text(a, "cpu") != NULL;
	unsigned first = (unsigned)(command_number(a, "cpu", 0) & 0xffffff);
	struct node_cpu c, sum = { 0 };
	unsigned i;

	for (i = first; !node_cpu_get(i, &c); i++) {
		sum.busy_ns += c.busy_ns;
		sum.idle_ns += c.idle_ns;
		sum.switches += c.switches;
		sum.steals += c.steals;
		sum.runnable += c.runnable;
		if (one)
			break;
	}
	if (one && node_cpu_get(first, &c))
		return command_error(
			-ENOENT, "there is no CPU %u: 'nodeinfo' says how many there are", first);
	tty_print("busy:     %20lu\n", sum.busy_ns);
	tty_print("idle:     %20lu\n", sum.idle_ns);
	tty_print("switches: %20lu\n", sum.switches);
	tty_print("steals:   %20lu\n", sum.steals);
	tty_print("runnable: %20u\n", sum.runnable);
	return 0;
}

static int run_nodedev_list(const struct command_args *a)
{
	struct nodedev d;

	(void)a;
	for (unsigned i = 0; node_device(i, &d) && !tty_interrupted(); i++)
		tty_print("%s\n", d.name);
	return 0;
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

static int run_nodedev_info(const struct command_args *a)
{
	const char *name = command_text(a, "device");
	struct nodedev d;

	if (node_device_find(name, &d))
		return command_error(
			-ENOENT, "there is no device '%s': 'nodedev-list' says which there are",
			name);
	table_field("Name", "%s", d.name);
	table_field("Parent", "%s", d.parent);
	table_field("Class", "0x%06x, %s", d.class, d.class_name);
	table_field("Vendor", "0x%04x", d.vendor_id);
	table_field("Product", "0x%04x, revision %u", d.device_id, d.revision);
	table_field("Driver", "%s", d.driver ?: "none");
	print_bars(&d);
	print_interrupts(&d);
	table_field("PCI Express", d.express ? "yes" : "no");
	table_field("Reset", d.resets ? "by function" : "no");
	table_field("IOMMU group", "not known");
	return 0;
}

static int run_hostname(const struct command_args *a)
{
	(void)a;
	tty_print("%s\n", mgmt_hostname());
	return 0;
}

static int run_uptime(const struct command_args *a)
{
	uint64_t s = node_uptime_ns() / 1000000000, days = s / 86400;
	unsigned running = 0, defined = 0;

	(void)a;
	for (struct domain *d = domain_next(NULL); d; d = domain_next(d)) {
		running += domain_state(d) == DOMAIN_RUNNING;
		defined++;
	}
	tty_print("up %lu day%s, %02lu:%02lu:%02lu, %u of %u domains running\n", days,
		  days == 1 ? "" : "s", s / 3600 % 24, s / 60 % 60, s % 60, running, defined);
	return 0;
}

static int run_version(const struct command_args *a)
{
	char text[256];

	(void)a;
	tty_print("Keel %s (%s), loaded by %s\n", node_version(), node_commit(), node_loader());
	tty_text("Command line: ");
	tty_text(node_cmdline());
	tty_text("\n");
	for (unsigned i = 0; node_cmdline_error(i, text, sizeof(text)); i++)
		tty_print("Mistake in it: %s\n", text);
	return 0;
}

static int run_capabilities(const struct command_args *a)
{
	struct node_info n;

	(void)a;
	node_info_get(&n);
	tty_text("<capabilities>\n  <host>\n    <cpu>\n      <arch>x86_64</arch>\n");
	tty_print("      <model>%s</model>\n      <vendor>%s</vendor>\n", n.model, n.vendor);
	tty_print("      <topology cpus='%u' cells='%u'/>\n    </cpu>\n", n.cpus, n.nodes);
	tty_print("    <memory unit='KiB'>%lu</memory>\n  </host>\n", n.memory / KIB);
	tty_text("  <guest>\n    <os_type>hvm</os_type>\n    <arch name='x86_64'>\n");
	tty_print("      <domain type='keel-%s'/>\n    </arch>\n",
		  n.back_end[0] == 'S' ? "svm" : "vmx");
	tty_text("    <features><acpi/><apic/></features>\n  </guest>\n</capabilities>\n");
	return 0;
}

static int run_poweroff(const struct command_args *a)
{
	bool again = command_flag(a, "reboot");
	struct mgmt_error err;
	int e = mgmt_power(again ? MGMT_POWER_REBOOT : MGMT_POWER_OFF,
			   command_flag(a, "force") ? 0 : MGMT_GRACE_NS, &err);

	if (e)
		return command_fail(&err);
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
	{ "capabilities", "what this host can do, in libvirt's XML", NULL, NULL, run_capabilities },
	{ "dmesg", "Keel's log", NULL, NULL, commands_verb },
	{ "hostname", "the host's name", NULL, NULL, run_hostname },
	{ "nodecpustats", "what the CPUs did, in nanoseconds",
	  NULL, nodecpustats_options, run_nodecpustats },
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
