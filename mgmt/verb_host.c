/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Verbs that ask of the host, or switch it off; see mgmt/verb.h.
 */
#include "include/addr.h"
#include "include/bits.h"
#include "kernel/log.h"
#include "lib/string.h"
#include "mgmt/answers.h"
#include "mgmt/mgmt.h"
#include "mgmt/shape.h"
#include "mgmt/text.h"
#include "mgmt/verb_run.h"
#include "mm/heap.h"

#define TRACE_MAX	100000ul

static void add_name(struct records *to, const char *name, const char *text)
{
	struct answer_name *n = records_add(to);

	if (!n)
		return;
	str_copy(n->name, name, sizeof(n->name));
	n->text = text;
}

static void add_features(struct records *to, const char *(*feature)(unsigned i))
{
	const char *name;

	to->shape = &shape_name;
	for (unsigned i = 0; (name = feature(i)); i++)
		add_name(to, name, NULL);
}

static void add_quirks(struct records *to)
{
	const char *name, *text;

	to->shape = &shape_name;
	for (unsigned i = 0; (name = node_erratum(i, &text)); i++)
		add_name(to, name, text);
}

/* Those from `first` on, one at least if there is any, all if `last` is. */
static void add_cpus(struct records *to, unsigned first, unsigned last)
{
	struct node_cpu cpu, *r;

	to->shape = &shape_cpu;
	for (unsigned i = first; i <= last && !node_cpu_get(i, &cpu); i++) {
		r = records_add(to);
		if (r)
			*r = cpu;
	}
}

int verb_run_nodeinfo(struct verb_call *c)
{
	struct answer_nodeinfo *n = records_add(&c->answer);

	if (!n)
		return 0;
	node_info_get(&n->info);
	str_copy(n->console, node_console(), sizeof(n->console));
	add_cpus(&n->cpus, 0, ~0u);
	add_features(&n->features, node_feature);
	add_features(&n->guest_features, node_guest_feature);
	add_quirks(&n->quirks);
	return 0;
}

/* One, or all. */
int verb_run_nodecpustats(struct verb_call *c)
{
	unsigned cpu = (unsigned)MIN(c->number[0], 0xfffffffful);

	add_cpus(&c->answer, cpu, c->arg[0] ? cpu : ~0u);
	if (c->answer.count || c->answer.cut)
		return 0;
	return error_set(&c->error, -ENOENT, "there is no CPU %u: 'nodeinfo' says how many there are",
			 cpu);
}

int verb_run_nodememstats(struct verb_call *c)
{
	int node = c->arg[0] ? (int)MIN(c->number[0], 0x7ffffffful) : NODE_ALL;
	struct node_memory m, *r;

	if (node_memory_get(node, &m))
		return error_set(&c->error, -ENOENT, "there is no memory node %d: 'nodeinfo' says how "
				 "many there are", node);
	r = records_add(&c->answer);
	if (r)
		*r = m;
	return 0;
}

int verb_run_nodedev_list(struct verb_call *c)
{
	struct nodedev d, *r;

	for (unsigned i = 0; node_device(i, &d); i++) {
		r = records_add(&c->answer);
		if (r)
			*r = d;
	}
	return 0;
}

static int find_device(struct verb_call *c, struct nodedev *out)
{
	if (!node_device_find(c->arg[0], out))
		return 0;
	return error_set(&c->error, -ENOENT, "there is no device '%.64s': 'nodedev-list' says which "
			 "there are", c->arg[0]);
}

int verb_run_nodedev_info(struct verb_call *c)
{
	struct nodedev d, *r;
	int e = find_device(c, &d);

	if (e)
		return e;
	r = records_add(&c->answer);
	if (r)
		*r = d;
	return 0;
}

/* Source: libvirt, "Node devices XML format". */
int verb_run_nodedev_dumpxml(struct verb_call *c)
{
	struct text t = { 0 };
	struct nodedev d;
	int e = find_device(c, &d);

	if (e)
		return e;
	text_format(&t, "<device>\n  <name>%s</name>\n  <parent>%s</parent>\n", d.name, d.parent);
	if (d.driver)
		text_format(&t, "  <driver>\n    <name>%s</name>\n  </driver>\n", d.driver);
	text_format(&t, "  <capability type='pci'>\n    <class>0x%06x</class>\n", d.class);
	text_format(&t, "    <domain>%u</domain>\n    <bus>%u</bus>\n", d.segment, d.bus);
	text_format(&t, "    <slot>%u</slot>\n    <function>%u</function>\n", d.device, d.function);
	text_format(&t, "    <product id='0x%04x'/>\n    <vendor id='0x%04x'/>\n", d.device_id,
		    d.vendor_id);
	text_add(&t, "  </capability>\n</device>\n");
	return verb_run_text(c, &t);
}

int verb_run_irqs(struct verb_call *c)
{
	struct irq_info i, *r;

	for (unsigned at = 0; (at = node_irq_next(at, &i));) {
		r = records_add(&c->answer);
		if (r)
			*r = i;
	}
	return 0;
}

int verb_run_trace(struct verb_call *c)
{
	node_trace(c->arg[0] ? (unsigned)MIN(c->number[0], TRACE_MAX) : 32, &c->answer);
	return 0;
}

/* --- log */

static const char *const levels[] = {
	[LOG_ERROR] = "error", [LOG_WARN] = "warning", [LOG_INFO] = "info", [LOG_DEBUG] = "debug",
};

static int level_of(const char *name, struct mgmt_error *err)
{
	for (unsigned i = 0; i < ARRAY_COUNT(levels); i++)
		if (!strcmp(levels[i], name))
			return (int)i;
	return error_set(err, -EINVAL, "there is no level '%.64s': error, warning, info and debug are "
			 "known", name);
}

/* What is as grave as the level or more, from a number on. */
int verb_run_log(struct verb_call *c)
{
	int level = c->arg[0] ? level_of(c->arg[0], &c->error) : LOG_DEBUG;
	struct log_line line, *r;

	if (level < 0)
		return level;
	for (uint64_t from = c->number[1]; log_read(from, &line); from = line.sequence + 1) {
		if ((int)line.level > level)
			continue;
		r = records_add(&c->answer);
		if (!r)
			break;
		*r = line;
	}
	return 0;
}

/* --- what it is, and its end */

int verb_run_hostname(struct verb_call *c)
{
	struct config_host *h = records_add(&c->answer);

	if (h)
		*h = *mgmt_host();
	return 0;
}

int verb_run_uptime(struct verb_call *c)
{
	struct answer_uptime *u = records_add(&c->answer);

	if (!u)
		return 0;
	u->ns = node_uptime_ns();
	for (struct domain *d = domain_next(NULL); d; d = domain_next(d)) {
		u->running += domain_state(d) == DOMAIN_RUNNING;
		u->defined++;
	}
	return 0;
}

int verb_run_version(struct verb_call *c)
{
	struct answer_version *v = records_add(&c->answer);
	char text[sizeof(((struct answer_name *)0)->name)];

	if (!v)
		return 0;
	v->version = node_version();
	v->commit = node_commit();
	v->loader = node_loader();
	v->cmdline = heap_strdup(node_cmdline());
	c->answer.cut |= !v->cmdline;
	v->mistakes.shape = &shape_name;
	for (unsigned i = 0; node_cmdline_error(i, text, sizeof(text)); i++)
		add_name(&v->mistakes, text, NULL);
	return 0;
}

int verb_run_poweroff(struct verb_call *c)
{
	return mgmt_power(c->arg[0] ? MGMT_POWER_REBOOT : MGMT_POWER_OFF,
			  c->arg[1] ? 0 : MGMT_GRACE_NS, &c->error);
}

int verb_run_capabilities(struct verb_call *c)
{
	struct text t = { 0 };
	struct node_info n;

	node_info_get(&n);
	text_add(&t, "<capabilities>\n  <host>\n    <cpu>\n      <arch>x86_64</arch>\n      <model>");
	text_add_xml(&t, n.model);
	text_add(&t, "</model>\n      <vendor>");
	text_add_xml(&t, n.vendor);
	text_format(&t, "</vendor>\n      <topology cpus='%u' cells='%u'/>\n    </cpu>\n", n.cpus,
		    n.nodes);
	text_format(&t, "    <memory unit='KiB'>%lu</memory>\n  </host>\n", n.memory / KIB);
	text_add(&t, "  <guest>\n    <os_type>hvm</os_type>\n    <arch name='x86_64'>\n");
	text_add(&t, "      <domain type='keel'/>\n    </arch>\n");
	text_add(&t, "    <features><acpi/><apic/></features>\n  </guest>\n</capabilities>\n");
	return verb_run_text(c, &t);
}
