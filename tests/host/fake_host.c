/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A host for the shell's tests: mgmt/mgmt.h and mgmt/node.h with made-up numbers. Notes are worked
 * off by fake_host_settle().
 */
#include <stdio.h>
#include <string.h>

#include "cpu/tsc.h"
#include "fake_vm.h"
#include "mgmt/domain_struct.h"
#include "mgmt/mgmt.h"
#include "mgmt/node.h"

unsigned fake_host_power;	/* calls of mgmt_power */

bool mgmt_closing(void)
{
	return false;
}

static const struct config_host host = { "keel0" };

const struct config_host *mgmt_host(void)
{
	return &host;
}

const struct config_limits *mgmt_limits(void)
{
	static const struct config_limits limits = {
		.vcpus_max = 64, .memory_max = GIB, .host = &host,
	};

	return &limits;
}

bool mgmt_module(const char *name, const void **data, size_t *size)
{
	static const char sector[512];
	bool disc = !strncmp(name, "disc", 4);

	*data = disc ? sector : "kernel";
	*size = disc ? sizeof(sector) : 6;
	return true;
}

void mgmt_note(struct domain *d, enum domain_note note)
{
	d->pending |= note;
}

/* What the management thread and dying vms would do meanwhile; false when there is nothing. */
bool fake_host_settle(void)
{
	unsigned before = fake.released;
	struct domain *d;
	bool any = false;

	fake_vm_release();
	while (job_round())
		any = true;
	for (d = domain_next(NULL); d; d = domain_next(d))
		if (d->pending) {
			domain_work(d);
			any = true;
		}
	return any || fake.released != before;
}

int mgmt_power(enum mgmt_power what, uint64_t grace_ns, struct mgmt_error *err)
{
	(void)what;
	(void)grace_ns;
	if (!fake_host_power++)
		return 0;
	return error_set(err, -EBUSY, "the host is going down already: wait, or force it");
}

const char *node_console(void)
{
	return "COM1 (0x3f8), IRQ 4, 115200 baud, by default";
}

void node_info_get(struct node_info *out)
{
	*out = (struct node_info){
		.model = "Cardboard CPU", .vendor = "Cardboard", .back_end = "SVM",
		.abilities = "NPT", .cpus = 2, .cpus_virtual = 2, .nodes = 1,
		.sockets = 1, .cores = 1, .threads = 2, .memory = 2 * GIB,
		.mhz = 1000,
	};
}

const char *node_guest_feature(unsigned i)
{
	return i < 3 ? "guest-feature" : NULL;
}

const char *node_feature(unsigned i)
{
	return i < 100 ? "feature" : NULL;
}

const char *node_erratum(unsigned i, const char **text)
{
	*text = "it is made of cardboard";
	return i < 2 ? "cardboard" : NULL;
}

int node_cpu_get(unsigned cpu, struct node_cpu *out)
{
	*out = (struct node_cpu){ .virtual = true, .busy_ns = 1, .idle_ns = 2 };
	return cpu < 2 ? 0 : -ENOENT;
}

int node_memory_get(int node, struct node_memory *out)
{
	*out = (struct node_memory){ .total = 2 * GIB, .free = GIB };
	return node < 1 ? 0 : -ENOENT;
}

bool node_device(unsigned i, struct nodedev *out)
{
	*out = (struct nodedev){
		.name = "pci_0000_00_1f_2", .parent = "computer", .class = 0x010601,
		.class_name = "SATA controller", .vendor_id = 0x8086, .device_id = 0x2922,
		.bar = { [4] = { 0xc040, true, false }, [5] = { 0xfebd1000, false, true } },
		.irq_pin = 1, .irq_line = 10, .msi = 4, .interrupts = "MSI",
	};
	if (i)
		*out = (struct nodedev){ .name = "pci_0000_00_00_0", .class_name = "device" };
	return i < 2;
}

int node_device_find(const char *name, struct nodedev *out)
{
	return node_device(strcmp(name, "pci_0000_00_1f_2") != 0, out) &&
	       !strcmp(name, out->name) ? 0 : -ENOENT;
}

unsigned node_irq_next(unsigned from, struct irq_info *out)
{
	if (from)
		*out = (struct irq_info){ "timer", 0xe0, -1, 12345 };
	else
		*out = (struct irq_info){ "uart", 0x31, 3, 77 };
	return from < 2 ? from + 1 : 0;
}

void node_trace(unsigned count, struct records *out)
{
	struct node_trace *t;

	while (count-- && (t = records_add(out)))
		*t = (struct node_trace){
			.time_ns = 1000000005, .cpu = 1, .kind = "irq", .a = 0x20,
		};
}

uint64_t node_uptime_ns(void)
{
	return clock_ns();
}

const char *node_version(void)
{
	return "0";
}

const char *node_commit(void)
{
	return "0123456789ab";
}

const char *node_loader(void)
{
	return "host";
}

const char *node_cmdline(void)
{
	return "colour=red";
}

bool node_cmdline_error(unsigned i, char *text, size_t size)
{
	if (!i)
		snprintf(text, size, "there is no option 'colour=red'");
	return !i;
}
