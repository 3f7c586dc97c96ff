/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A domain as libvirt describes one: its configuration, and the devices that its machine has, as an
 * XML document. What libvirt has no element for stands in <metadata>, under a name space of Keel's
 * own. Whatever the configuration's text is, the document is well-formed.
 * Source for names and values: libvirt, "Domain XML format".
 */
#include "cpu/percpu.h"
#include "include/addr.h"
#include "lib/string.h"
#include "mgmt/domain.h"
#include "mgmt/shape.h"
#include "mgmt/text.h"

#define NAMESPACE	"urn:keel:domain:1"

/* "    <name>value</name>\n", unless the value is empty. */
static void element(struct text *t, const char *indent, const char *name, const char *value)
{
	if (!*value)
		return;
	text_format(t, "%s<%s>", indent, name);
	text_add_xml(t, value);
	text_format(t, "</%s>\n", name);
}

static void module(struct text *t, const struct config_module *m)
{
	text_add(t, "      <keel:module name='");
	text_add_xml(t, m->name);
	text_add(t, "'>");
	text_add_xml(t, m->arguments);
	text_add(t, "</keel:module>\n");
}

static void metadata(struct text *t, const struct config_vm *c)
{
	if (!c->module && !c->debug_exit)
		return;
	text_add(t, "  <metadata>\n    <keel:domain xmlns:keel='" NAMESPACE "'>\n");
	if (c->debug_exit)
		text_add(t, "      <keel:debug_exit/>\n");
	for (const struct config_module *m = c->module; m; m = m->next)
		module(t, m);
	text_add(t, "    </keel:domain>\n  </metadata>\n");
}

static void resources(struct text *t, const struct config_vm *c, uint64_t now)
{
	char cpus[CPU_SET_TEXT];

	text_format(t, "  <memory unit='KiB'>%lu</memory>\n", c->memory / KIB);
	text_format(t, "  <currentMemory unit='KiB'>%lu</currentMemory>\n", now / KIB);
	text_add(t, "  <vcpu placement='static'");
	if (!cpu_set_is_full(&c->cpuset)) {
		cpu_set_format(&c->cpuset, CPU_MAX, cpus);
		text_add(t, " cpuset='");
		text_add(t, cpus);
		text_add(t, "'");
	}
	text_format(t, ">%u</vcpu>\n", c->vcpus);
}

static void number(struct text *t, const char *name, uint64_t n)
{
	if (n)
		text_format(t, "    <%s>%lu</%s>\n", name, n, name);
}

static void pins(struct text *t, const struct config_vm *c)
{
	char cpus[CPU_SET_TEXT];

	for (unsigned i = 0; i < c->vcpus; i++) {
		const struct cpu_set *s = config_affinity(c, i);

		if (cpu_set_equal(s, &c->cpuset))
			continue;
		cpu_set_format(s, CPU_MAX, cpus);
		text_format(t, "    <vcpupin vcpu='%u' cpuset='", i);
		text_add(t, cpus);
		text_add(t, "'/>\n");
	}
}

/* Not where nothing was said of it. */
static void cputune(struct text *t, const struct config_vm *c)
{
	static const struct config_cputune none;

	if (!memcmp(&c->cputune, &none, sizeof(none)) && !c->pin)
		return;
	text_add(t, "  <cputune>\n");
	number(t, "shares", c->cputune.shares);
	number(t, "period", c->cputune.vcpu_period);
	number(t, "quota", c->cputune.vcpu_quota);
	number(t, "global_period", c->cputune.global_period);
	number(t, "global_quota", c->cputune.global_quota);
	pins(t, c);
	text_add(t, "  </cputune>\n");
}

static void boot(struct text *t, const struct config_vm *c)
{
	static const char *const names[] = {
		[CONFIG_BOOT_DISK] = "hd", [CONFIG_BOOT_CDROM] = "cdrom",
		[CONFIG_BOOT_NETWORK] = "network",
	};

	for (unsigned i = 0; i < CONFIG_BOOT_KINDS && c->boot[i]; i++)
		text_format(t, "    <boot dev='%s'/>\n", names[c->boot[i]]);
	if (!c->boot_menu)
		return;
	text_add(t, "    <bootmenu enable='yes'");
	if (c->boot_menu_ms)
		text_format(t, " timeout='%u'", c->boot_menu_ms);
	text_add(t, "/>\n");
}

static void os(struct text *t, const struct config_vm *c)
{
	text_add(t, "  <os>\n    <type arch='x86_64' machine='pc-q35-keel'>hvm</type>\n");
	element(t, "    ", "kernel", c->kernel);
	element(t, "    ", "initrd", c->initrd);
	element(t, "    ", "cmdline", c->cmdline);
	boot(t, c);
	text_add(t, "  </os>\n  <features>\n    <acpi/>\n    <apic/>\n  </features>\n");
}

/* Those that are named: what goes with one that is taken away follows by itself. */
static void cpu(struct text *t, const struct config_vm *c)
{
	const struct cpu_feature *f;

	text_add(t, "  <cpu mode='host-passthrough' check='none'>\n");
	text_format(t, "    <topology sockets='%u' dies='1' cores='%u' threads='%u'/>\n",
		    c->topology.sockets, c->topology.cores, c->topology.threads);
	for (unsigned i = 0; (f = cpu_model_feature(i)); i++) {
		bool on = cpu_model_is_on(&c->cpu, i);

		if (on || (cpu_model_is_off(&c->cpu, i) && !cpu_model_follows(&c->cpu, i)))
			text_format(t, "    <feature policy='%s' name='%s'/>\n",
				    on ? "require" : "disable", f->name);
	}
	text_add(t, "  </cpu>\n  <clock offset='utc'>\n    <timer name='kvmclock' present='yes'/>\n"
		    "  </clock>\n");
}

static void policies(struct text *t, const struct config_vm *c)
{
	element(t, "  ", "on_poweroff", config_action_name(c->on_poweroff));
	element(t, "  ", "on_reboot", config_action_name(c->on_reboot));
	element(t, "  ", "on_crash", config_action_name(c->on_crash));
}

static void attribute(struct text *t, const char *name, const char *value)
{
	text_format(t, " %s='", name);
	text_add_xml(t, value);
	text_add(t, "'");
}

static void pci_address(struct text *t, unsigned bus, unsigned device, unsigned function)
{
	text_format(t, "      <address type='pci' domain='0x0000' bus='0x%02x' slot='0x%02x'"
		    " function='0x%x'/>\n", bus, device, function);
}

static void boot_order(struct text *t, unsigned n)
{
	if (n)
		text_format(t, "      <boot order='%u'/>\n", n);
}

/* What an overlay has is gone when the domain is shut off. */
static void disk(struct text *t, const struct domain_disk *d)
{
	bool is_ide = !strcmp(d->bus, "ide");

	text_format(t, "    <disk type='file' device='%s'>\n"
		    "      <driver name='keel' type='raw'/>\n", d->device);
	if (d->source[0]) {
		text_add(t, "      <source");
		attribute(t, "file", d->source);
		text_add(t, "/>\n");
	}
	text_format(t, "      <target dev='%s' bus='%s'%s/>\n%s", d->target, d->bus,
		    d->open ? " tray='open'" : "",
		    d->read_only ? "      <readonly/>\n" : "      <transient/>\n");
	boot_order(t, d->boot);
	if (d->has_slot)
		pci_address(t, d->slot.bus, d->slot.device, d->slot.function);
	else
		text_format(t, "      <address type='drive' controller='0' bus='%u' target='0'"
			    " unit='%u'/>\n", is_ide ? d->unit / 2u : 0, is_ide ? d->unit % 2u
									     : d->unit);
	text_add(t, "    </disk>\n");
}

static void disks(struct text *t, struct domain *d, bool live)
{
	struct records all = { .shape = &shape_disk };
	const struct domain_disk *one;

	domain_disks(d, live, &all);
	t->failed |= !records_whole(&all);
	records_for_each(one, &all)
		disk(t, one);
	records_fini(&all);
}

/* An address that is made when it starts is not told. */
static void interface(struct text *t, const struct config_device *n)
{
	static const uint8_t made[sizeof(n->mac)];
	const uint8_t *m = n->mac;

	text_add(t, "    <interface type='network'>\n");
	if (memcmp(m, made, sizeof(made)))
		text_format(t, "      <mac address='%02x:%02x:%02x:%02x:%02x:%02x'/>\n", m[0], m[1],
			    m[2], m[3], m[4], m[5]);
	text_add(t, "      <source");
	attribute(t, "network", n->cable);
	text_format(t, "/>\n      <model type='%s'/>\n", config_nic_model(n));
	boot_order(t, n->boot);
	pci_address(t, n->bus, n->device, n->function);
	text_add(t, "    </interface>\n");
}

static void slot_of(struct text *t, const struct config_device *d)
{
	pci_address(t, d->bus, d->device, d->function);
}

/* Port 0 is the console, the others are channels, all of one controller. */
static void channels(struct text *t, const struct config_vm *c)
{
	if (c->channel) {
		text_add(t, "    <controller type='virtio-serial' index='0'>\n");
		slot_of(t, c->channel);
		text_add(t, "    </controller>\n");
	}
	for (const struct config_device *d = c->channel; d; d = d->next) {
		const char *what = d->port ? "channel" : "console";

		text_format(t, "    <%s type='pty'>\n      <target type='virtio'", what);
		if (d->port)
			text_format(t, " name='%s'", d->channel);
		text_format(t, "/>\n      <address type='virtio-serial' controller='0' bus='0' "
			    "port='%u'/>\n    </%s>\n", d->port, what);
	}
}

static void video(struct text *t, const struct config_device *d)
{
	text_add(t, "    <video>\n");
	if (d) {
		text_format(t, "      <model type='vga' vram='%lu' heads='1' primary='yes'/>\n",
			    d->vram / KIB);
		slot_of(t, d);
	} else {
		text_add(t, "      <model type='none'/>\n");
	}
	text_add(t, "    </video>\n");
}

static void balloon(struct text *t, const struct config_vm *c, unsigned period)
{
	const struct config_device *d = c->device;

	while (d && strcmp(d->class, CONFIG_BALLOON))
		d = d->next;
	if (!d) {
		text_add(t, "    <memballoon model='none'/>\n");
		return;
	}
	text_add(t, "    <memballoon model='virtio' autodeflate='on' freePageReporting='on'>\n");
	if (period)
		text_format(t, "      <stats period='%u'/>\n", period);
	slot_of(t, d);
	text_add(t, "    </memballoon>\n");
}

/* Its disks and cards, and what every PC has, as far as libvirt has a name for it. */
static void devices(struct text *t, struct domain *d, const struct config_vm *c, bool live,
		    unsigned period)
{
	text_add(t, "  <devices>\n");
	disks(t, d, live);
	text_add(t, "    <controller type='pci' index='0' model='pcie-root'/>\n");
	for (const struct config_device *n = c->nic; n; n = n->next)
		interface(t, n);
	text_add(t,
		    "    <serial type='pty'>\n"
		    "      <target type='isa-serial' port='0'>\n"
		    "        <model name='isa-serial'/>\n"
		    "      </target>\n"
		    "    </serial>\n"
		    "    <console type='pty'>\n"
		    "      <target type='serial' port='0'/>\n"
		    "    </console>\n");
	channels(t, c);
	video(t, c->video);
	balloon(t, c, period);
	text_add(t, "    <panic model='isa'/>\n"
		    "  </devices>\n");
}

void domain_xml(struct domain *d, bool live, struct text *t)
{
	struct config_vm *c = domain_config_get(d, live);
	unsigned period = 0;
	uint64_t now = live ? domain_memory_now(d, &period) : 0;
	struct domain_row row;
	char uuid[DOMAIN_UUID_TEXT];

	domain_row_get(d, &row);
	domain_uuid_format(row.uuid, uuid);
	text_add(t, "<domain type='keel'");
	if (live && row.id >= 0)
		text_format(t, " id='%d'", row.id);
	text_add(t, ">\n");
	element(t, "  ", "name", row.name);
	element(t, "  ", "uuid", uuid);
	metadata(t, c);
	resources(t, c, now ?: c->memory);
	cputune(t, c);
	os(t, c);
	cpu(t, c);
	policies(t, c);
	devices(t, d, c, live, period);
	text_add(t, "</domain>\n");
	config_vm_put(c);
}
