/* SPDX-License-Identifier: BSD-2-Clause */
/* links: mgmt/config*.c vmm/cpu_model.c vmm/cpu_topology.c kernel/cpu_set.c lib/format.c
 * tests/host/heap.c */
/* keel.conf as it should be, and in every way it should not: each error names its line, and only
 * its VM is lost. */
#include "mgmt/config.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "config_round.h"
#include "include/addr.h"
#include "include/errno.h"
#include "mgmt/config_parser.h"
#include "vmm/cpu_model.h"

extern unsigned host_heap_left;

static struct config *c;

static bool module(void *arg, const char *name)
{
	(void)arg;
	return strcmp(name, "missing");
}

static int check(void *arg, const struct config_vm *vm, char *why, size_t size)
{
	(void)arg;
	if (strcmp(vm->kernel, "broken") && strcmp(vm->firmware, "broken"))
		return 0;
	snprintf(why, size, "is broken");
	return -EINVAL;
}

/* A host without anything that may be asked for. */
static int cpu(void *arg, const struct cpu_model *m, char *why, size_t size)
{
	(void)arg;
	if (!(m->on[0] | m->on[1] | m->on[2]))
		return 0;
	snprintf(why, size, "is not there");
	return -EINVAL;
}

/* A slot that another has is refused; where none is named it is one. */
static int device(void *arg, struct config_vm *vm, char *why, size_t size)
{
	struct config_device *list[64];
	unsigned n = 0, given = 0;

	(void)arg;
	for (struct config_device *d = vm->device; d; d = d->next)
		list[n++] = d;
	for (struct config_device *d = vm->nic; d; d = d->next)
		list[n++] = d;
	for (struct config_device *d = vm->disk; d; d = d->next)
		list[n++] = d;
	for (struct config_device *d = vm->video; d; d = d->next)
		list[n++] = d;
	for (unsigned i = 0; i < n; i++)
		given += list[i]->placed && list[i]->device >= 29;
	for (unsigned i = 0; i < n; i++) {
		if (list[i]->placed)
			continue;
		list[i]->device = (uint8_t)(29 + given);
		list[i]->placed = true;
	}
	for (unsigned i = 0; i < n * n; i++) {
		const struct config_device *d = list[i / n], *e = list[i % n];

		if (d != e && d->bus == e->bus && d->device == e->device &&
		    d->function == e->function &&
		    (!config_ports(d) || strcmp(d->class, e->class))) {
			snprintf(why, size, "%s is there", d->class);
			return -EINVAL;
		}
	}
	return 0;
}

static struct config_limits limits = {
	.vcpus_max = 64, .memory_max = 4 * GIB, .module = module, .check = check, .cpu = cpu,
	.device = device,
};

static int setup(void **state)
{
	(void)state;
	c = calloc(1, sizeof(*c));
	host_heap_left = ~0u;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	config_fini(c);
	free(c);
	return 0;
}

static void parse_n(const char *text, size_t n)
{
	char *copy = malloc(n + !n);

	memcpy(copy, text, n);
	config_fini(c);
	assert_int_equal(config_parse(c, copy, n, &limits), 0);
	free(copy);
}

static void parse(const char *text)
{
	parse_n(text, strlen(text));
}

/* One error, on that line, with that word; and how many VMs are left. */
static void one_error(const char *text, unsigned line, const char *word, unsigned vms)
{
	parse(text);
	if (c->error_count != 1 || c->error[0].line != line || !strstr(c->error[0].text, word))
		fail_msg("%s\n-> %u errors, first %u: %s", text, c->error_count, c->error[0].line,
			 c->error[0].text);
	assert_int_equal(c->vm_count, vms);
}

#define GOOD "[vm good]\nkernel = k\nmemory = 64M\n"
#define GOOD2 "[vm other]\nkernel = k\nmemory = 64M\n"

/* What comes first: by kinds of devices or by their own numbers, with firmware to follow it. */
static void boot_order(void **state)
{
	static const char *const wrong[] = {
		"boot = floppy", "boot = disk, disk", "boot = disk,, cdrom", "boot =", "boot = disk cdrom",
		"boot = disk, cdrom, network, disk", "boot_menu = 0", "boot_menu = 65536",
		"boot_menu = soon", "boot_menu = -1", "disk = a, boot=0", "disk = a, boot=1000",
		"cdrom = a, boot=", "nic = cable=a, boot=x", "disk = a, boot=1, boot=2",
	};
	const struct config_vm *v;
	char text[512];

	(void)state;
	parse(GOOD "firmware = f\nboot = network ,disk\nboot_menu = 3000\n" GOOD2
	      "firmware = f\nboot_menu = yes\ndisk = a, boot=7\ncdrom = b, boot=2\n"
	      "nic = cable=c, boot=999\ndisk = d\n");
	assert_int_equal(c->error_count, 0);
	v = c->vm[0];
	assert_memory_equal(v->boot, ((uint8_t[]){ CONFIG_BOOT_NETWORK, CONFIG_BOOT_DISK, 0 }), 3);
	assert_true(v->boot_menu);
	assert_int_equal(v->boot_menu_ms, 3000);
	assert_null(config_boot_next(v, 0));
	v = c->vm[1];
	assert_true(v->boot_menu && !v->boot_menu_ms);
	assert_ptr_equal(config_boot_next(v, 0), v->cdrom);
	assert_ptr_equal(config_boot_next(v, 2), v->disk);
	assert_ptr_equal(config_boot_next(v, 7), v->nic);
	assert_null(config_boot_next(v, 999));
	assert_true(config_round(c, &limits));
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text), GOOD "%s\nfirmware = f\n" GOOD2, wrong[i]);
		one_error(text, 4, "is not right", 1);
	}
	one_error(GOOD "boot = disk\n" GOOD2, 1, "no firmware to follow it", 1);
	one_error(GOOD "disk = a, boot=1\n" GOOD2, 1, "no firmware to follow it", 1);
	one_error(GOOD "boot_menu = yes\n" GOOD2, 1, "a boot_menu and no firmware", 1);
	one_error(GOOD "firmware = f\nboot = disk\ncdrom = a, boot=1\n" GOOD2, 1, "one of them", 1);
	one_error(GOOD "firmware = f\ndisk = a, boot=3\nnic = cable=a, boot=3\n" GOOD2, 1,
		  "two devices with boot=3", 1);
	parse(GOOD "firmware = f\nboot_menu = no\n");
	assert_int_equal(c->error_count, 0);
	assert_false(c->vm[0]->boot_menu);
}

static void all_keys(void **state)
{
	static const uint8_t uuid[16] = { 0x6b, 0x1c, 0x1f, 0x2e, 0x0d, 0x6a, 0x4c, 0x1e,
					  0x9f, 0x57, 0x0a, 0x52, 0xd6, 0xc3, 0xe8, 0x11 };
	struct config_vm *v;

	(void)state;
	parse("; a comment\r\n# another\r\n\r\n[host]\r\nhostname = keel0\r\n"
	      "[vm debian]   ; NAME\r\n"
	      "uuid = 6b1c1f2e-0d6a-4c1e-9f57-0a52d6c3e811 ; optional\r\nvcpus = 2\r\n"
	      "memory=192M\r\n\tkernel\t=\tvmlinuz\t# a module\r\ninitrd = initrd.img\r\n"
	      "cmdline = console=ttyS0 a=b;c#d  quiet\r\n"
	      "autostart = yes\r\non_poweroff = restart\r\non_reboot = preserve\r\n"
	      "on_crash = preserve\r\ndebug_exit = yes\r\n"
	      "[ vm  two ]\nkernel=k\nmemory = 8388608 K");
	assert_int_equal(c->error_count, 1);		/* 8 GiB */
	assert_int_equal(c->error[0].line, 20);
	assert_string_equal(c->host.hostname, "keel0");
	assert_int_equal(c->vm_count, 1);
	v = c->vm[0];
	assert_string_equal(v->name, "debian");
	assert_memory_equal(v->uuid, uuid, 16);
	assert_int_equal(v->vcpus, 2);
	assert_int_equal(v->memory, 192 * MIB);
	assert_string_equal(v->kernel, "vmlinuz");
	assert_string_equal(v->initrd, "initrd.img");
	assert_string_equal(v->cmdline, "console=ttyS0 a=b;c#d  quiet");
	assert_true(v->autostart && v->debug_exit);
	assert_int_equal(v->on_poweroff, CONFIG_RESTART);
	assert_int_equal(v->on_reboot, CONFIG_PRESERVE);
	assert_int_equal(v->on_crash, CONFIG_PRESERVE);
	assert_int_equal(v->line, 6);
	assert_int_equal(v->kernel_line, 10);
}

static void cpu_models(void **state)
{
	(void)state;
	parse(GOOD "cpu = host, -x2apic, -pcid ; no more\n[vm whole]\nkernel=k\nmemory=4M\ncpu=host");
	assert_int_equal(c->error_count, 0);
	assert_int_equal(c->vm_count, 2);
	assert_true(c->vm[0]->cpu.off[0] | c->vm[0]->cpu.off[1] | c->vm[0]->cpu.off[2]);
	assert_false(c->vm[1]->cpu.off[0] | c->vm[1]->cpu.off[1] | c->vm[1]->cpu.off[2]);
	one_error(GOOD "cpu = host, -nonsense\n", 4, "cpu: there is no CPU feature 'nonsense'", 0);
	one_error(GOOD "cpu = host, +aes\n", 4, "cpu: is not there", 0);
	one_error(GOOD "cpu =\n", 4, "cpu: '' is no CPU model", 0);
	one_error(GOOD "cpu = host\ncpu = host\n", 5, "cpu stands twice", 0);
}

static void topologies(void **state)
{
	const struct cpu_topology *t;
	char text[CPU_TOPOLOGY_TEXT];

	(void)state;
	parse(GOOD "topology = 2 sockets, 3 cores, 2 threads ; 12\n[vm two]\nkernel=k\nmemory=4M\n"
	      "vcpus = 2\n[vm three]\nkernel=k\nmemory=4M\ntopology=1 thread ,3 core\nvcpus=3");
	assert_int_equal(c->error_count, 0);
	t = &c->vm[0]->topology;
	assert_int_equal(c->vm[0]->vcpus, 12);
	assert_int_equal(t->sockets, 2);
	assert_int_equal(t->cores, 3);
	assert_int_equal(t->threads, 2);
	cpu_topology_format(t, text);
	assert_string_equal(text, "2 sockets, 3 cores, 2 threads");
	assert_int_equal(c->vm[1]->topology.sockets, 1);
	assert_int_equal(c->vm[1]->topology.cores, 2);
	assert_int_equal(c->vm[2]->topology.cores, 3);
	one_error(GOOD "topology = 2 cores\nvcpus = 3", 1, "3 vcpus, but its topology (1 socket, "
		  "2 cores, 1 thread) has 2", 0);
	one_error(GOOD "topology = 65 cores", 1, "has more than 64 vcpus", 0);
	one_error(GOOD "topology = 4096 cores, 4096 threads, 4096 sockets", 1, "more than 64", 0);
	one_error(GOOD "topology =", 4, "it looks like 2 sockets", 0);
	one_error(GOOD "topology = cores", 4, "it looks like", 0);
	one_error(GOOD "topology = 0 cores", 4, "it looks like", 0);
	one_error(GOOD "topology = 4097 cores", 4, "it looks like", 0);
	one_error(GOOD "topology = 99999999999999999999 cores", 4, "it looks like", 0);
	one_error(GOOD "topology = 2 coress", 4, "it looks like", 0);
	one_error(GOOD "topology = 2 cored", 4, "it looks like", 0);
	one_error(GOOD "topology = 2 cores, 2 cores", 4, "it looks like", 0);
	one_error(GOOD "topology = 2 cores,", 4, "it looks like", 0);
	one_error(GOOD "topology = 2 cores 2 threads", 4, "it looks like", 0);
	one_error(GOOD "topology = 2 dies", 4, "it looks like", 0);
}

static void defaults(void **state)
{
	uint8_t uuid[16];

	(void)state;
	parse(GOOD "[vm other]\nkernel = k\nmemory = 1g\n");
	assert_int_equal(c->error_count, 0);
	assert_int_equal(c->vm_count, 2);
	assert_string_equal(c->host.hostname, "keel");
	assert_int_equal(c->vm[0]->vcpus, 1);
	assert_int_equal(c->vm[0]->on_poweroff, CONFIG_DESTROY);
	assert_int_equal(c->vm[0]->on_reboot, CONFIG_RESTART);
	assert_int_equal(c->vm[0]->on_crash, CONFIG_DESTROY);
	assert_int_equal(c->vm[1]->memory, GIB);
	assert_string_equal(config_action_name(CONFIG_PRESERVE), "preserve");
	/* The made uuid depends on both names and on nothing else. */
	memcpy(uuid, c->vm[0]->uuid, 16);
	assert_memory_not_equal(uuid, c->vm[1]->uuid, 16);
	assert_int_equal(uuid[6] >> 4, 8);
	parse("# moved\n" GOOD);
	assert_memory_equal(uuid, c->vm[0]->uuid, 16);
	parse(GOOD "[host]\nhostname = else");
	assert_memory_not_equal(uuid, c->vm[0]->uuid, 16);
	parse("");
	assert_int_equal(c->error_count + c->vm_count, 0);
}

static void bad_values(void **state)
{
	(void)state;
	one_error(GOOD "vcpus = 0\n" "[vm b]\nkernel=k\nmemory=64M", 4, "1 to 64", 1);
	one_error(GOOD "vcpus = 10000", 4, "1 to 64", 0);
	one_error(GOOD "vcpus = -1", 4, "1 to 64", 0);
	one_error(GOOD "vcpus = 99999999999999999999999", 4, "1 to 64", 0);
	one_error(GOOD "vcpus =", 4, "1 to 64", 0);
	one_error(GOOD "colour = red", 4, "unknown key 'colour': autostart, boot, boot_menu", 0);
	one_error(GOOD "autostart = maybe", 4, "yes or no", 0);
	one_error(GOOD "on_crash = explode", 4, "destroy, restart or preserve", 0);
	one_error(GOOD "uuid = 123", 4, "32 hexadecimal digits", 0);
	one_error(GOOD "uuid = 6b1c1f2e-0d6a-4c1e-9f57-0a52d6c3e81g", 4, "32 hexadecimal digits",
		  0);
	one_error(GOOD "kernel = other", 4, "twice", 0);
	one_error(GOOD "initrd = missing", 4, "there is no module 'missing'", 0);
	one_error("[vm a]\nkernel = broken\nmemory = 4M", 2, "kernel 'broken': is broken", 0);
	one_error("[vm a]\nkernel = k", 1, "no memory", 0);
	one_error("[vm a]\nmemory = 4M\n" GOOD, 1, "no kernel, nor firmware", 1);
	one_error("[vm a]\nkernel =\nmemory = 4M\n", 2, "no module", 0);
	one_error("[vm a]\nkernel = k\nmemory = 64 G", 3, "not possible", 0);
	one_error("[vm a]\nkernel = k\nmemory = 99999999999G", 3, "number with", 0);
	one_error("[vm a]\nkernel = k\nmemory = 64T", 3, "number with", 0);
	one_error("[vm a]\nkernel = k\nmemory = M", 3, "number with", 0);
	one_error("[vm a]\nkernel = k\nmemory = 0", 3, "not possible", 0);
	one_error("[vm a]\nkernel = k\nmemory = 4194305", 3, "4K", 0);
	one_error("[host]\nhostname = a b\n" GOOD, 2, "hostname 'a b'", 1);
	one_error("[host]\nname = a\n" GOOD, 2, "hostname is known", 1);
}

static void bad_sections(void **state)
{
	(void)state;
	one_error("memory = 3\n" GOOD, 1, "before the first section", 1);
	one_error("[disk x]\nsize = 3\n" GOOD, 1, "unknown section [disk x]", 1);
	one_error("[vm]\nkernel = k\n" GOOD, 1, "name", 1);
	one_error("[vm a b]\n" GOOD, 1, "name 'a b'", 1);
	one_error("[vm a/b]\n" GOOD, 1, "name 'a/b'", 1);
	one_error("[vm 12]\n" GOOD, 1, "'12' looks like an id or a UUID", 1);
	one_error("[vm 6b1c1f2e-0d6a-4c1e-9f57-0a52d6c3e811]\n" GOOD, 1, "an id or a UUID", 1);
	parse("[vm 7a]\nkernel = k\nmemory = 4M\n[host]\nhostname = 12\n");
	assert_int_equal(c->error_count, 0);
	one_error("[vm a\nkernel = k\n" GOOD, 1, "not closed", 1);
	one_error("nonsense\n" GOOD, 1, "neither", 1);
	one_error(GOOD "nonsense\n", 4, "neither", 0);
	one_error(GOOD GOOD, 4, "a VM 'good' already", 1);
	one_error("[host]\n[host]\n" GOOD, 2, "already", 1);
	/* A wrong VM has its name all the same. */
	parse("[vm a]\nvcpus = 0\nkernel = k\nmemory = 4M\n[vm a]\nkernel = k\nmemory = 4M");
	assert_int_equal(c->error_count, 2);
	assert_int_equal(c->vm_count, 0);
	one_error("[vm a]\nkernel=k\nmemory=4M\nuuid=00000000000000000000000000000001\n"
		  "[vm b]\nkernel=k\nmemory=4M\nuuid=00000000-0000-0000-0000-000000000001\n",
		  8, "another VM", 1);
}

/* `module` may stand as often as one likes. */
static void modules(void **state)
{
	static char text[200000];
	size_t n;
	unsigned count = 0;

	(void)state;
	one_error(GOOD "initrd =;rd", 4, "initrd names no module", 0);
	parse(GOOD "module = dom0   root=/dev/ram a;b  ; comment\ninitrd = rd\nmodule = x\n" GOOD2);
	assert_int_equal(c->error_count, 0);
	assert_string_equal(c->vm[0]->module->name, "dom0");
	assert_string_equal(c->vm[0]->module->arguments, "root=/dev/ram a;b");
	assert_string_equal(c->vm[0]->module->next->name, "x");
	assert_string_equal(c->vm[0]->module->next->arguments, "");
	assert_null(c->vm[0]->module->next->next);
	assert_null(c->vm[1]->module);
	n = (size_t)sprintf(text, GOOD);
	for (unsigned i = 0; i < 1000; i++)
		n += (size_t)sprintf(text + n, "module = m%u %u\n", i, i);
	parse(text);
	for (const struct config_module *m = c->vm[0]->module; m; m = m->next, count++)
		assert_int_equal(atoi(m->arguments), count);
	assert_int_equal(count, 1000);
	one_error(GOOD "module = x\nmodule =\n" GOOD2, 5, "names no module", 1);
	one_error(GOOD "module = x\nmodule = missing a\n" GOOD2, 5, "no module 'missing'", 1);
	one_error(GOOD "module = x a\033b\n" GOOD2, 4, "control character", 1);
	n = (size_t)sprintf(text, GOOD "module = m ");
	memset(text + n, 'x', CONFIG_CMDLINE_MAX);
	strcpy(text + n + CONFIG_CMDLINE_MAX, "\n" GOOD2);
	one_error(text, 4, "2048 characters", 1);
}

/* `device`, too, each at its slot. */
static void devices(void **state)
{
	static const char *const wrong[] = {
		"edu, slot", "edu, slot=", "edu, slot=1", "edu, slot=0:1", "edu, slot=0:.1",
		"edu, slot=0:1.", "edu, slot=0:1.0 x", "edu, slot=g:1.0", "edu, slot=000:1.0",
		"edu, place=0:1.0", ", slot=0:1.0", "e du, slot=0:1.0", "edu slot=0:1.0",
		"a-class-of-thirty-two-characters, slot=0:1.0", "", "edu, slot=0:1.0, slot=0:2.0",
	};
	char text[256];

	(void)state;
	parse(GOOD "device = pcie-root-port, slot=0:1c.0\ndevice=edu , slot = 1:0.7\n" GOOD2);
	assert_int_equal(c->error_count, 0);
	assert_string_equal(c->vm[0]->device->class, "pcie-root-port");
	assert_int_equal(c->vm[0]->device->device, 0x1c);
	assert_string_equal(c->vm[0]->device->next->class, "edu");
	assert_int_equal(c->vm[0]->device->next->bus, 1);
	assert_int_equal(c->vm[0]->device->next->function, 7);
	assert_null(c->vm[0]->device->next->next);
	assert_null(c->vm[1]->device);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text), GOOD "device = %s\n" GOOD2, wrong[i]);
		one_error(text, 4, "it looks like edu, slot=0:4.0", 1);
	}
	parse(GOOD "device = edu\n" GOOD2);
	assert_int_equal(c->error_count, 0);
	assert_int_equal(c->vm[0]->device->device, 29);
	one_error(GOOD "device = a, slot=0:1.0\ndevice = b, slot=0:1.0\n" GOOD2, 5, "a is there",
		  1);
}

/* `disk`: what is not said is chosen, and keeps its place. */
static void disks(void **state)
{
	static const char *const wrong[] = {
		"a.img, bus", "a.img, bus=scsi", "a.img, mode=rw", "a.img, mode=", "a.img, slot=",
		"a.img, slot=1", "a.img, mode=ro, mode=ro", "a.img, ro",
		"a.img, bus=virtio x", "a.img,, mode=ro",
	};
	const struct config_device *d;
	char text[2048] = GOOD;

	(void)state;
	parse(GOOD "device = edu, slot=0:11.0\ndisk = a.img\ndisk=b.img , mode = ro,bus = virtio\n"
	      "disk = c.img, slot=1:0.7, mode=overlay\n" GOOD2);
	assert_int_equal(c->error_count, 0);
	d = c->vm[0]->disk;
	assert_string_equal(d->class, "virtio-blk-pci");
	assert_string_equal(d->module, "a.img");
	assert_true(d->overlay);
	assert_int_equal(d->device, 29);
	d = d->next;
	assert_string_equal(d->module, "b.img");
	assert_false(d->overlay);
	assert_int_equal(d->device, 30);
	d = d->next;
	assert_int_equal(d->bus, 1);
	assert_int_equal(d->function, 7);
	assert_null(d->next);
	assert_null(c->vm[1]->disk);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text), GOOD "disk = %s\n" GOOD2, wrong[i]);
		parse(text);
		assert_int_equal(c->error_count, 1);
		assert_int_equal(c->error[0].line, 4);
	}
	one_error(GOOD "disk =\n" GOOD2, 4, "disk names no module", 1);
	one_error(GOOD "disk = a.img, slot=0:1.0\ndevice = b, slot=0:1.0\n" GOOD2, 5, "is there", 1);
}

/* `nic`: likewise; an address is one card's. */
static void nics(void **state)
{
	static const char *const wrong[] = {
		"cable", "model=virtio", "cable=", "cable=a, model=e100", "cable=a,,", "cable=a b",
		"cable=a, cable=b", "cable=a, mac=52:54:00:12:34", "cable=a, mac=52:54:00:12:34:5g",
		"cable=a, mac=53:54:00:12:34:56", "cable=a, mac=00:00:00:00:00:00",
		"cable=a, mac=52:54:00:12:34:56:78", "cable=a, mac=52:54:00:12:34:056",
		"cable=a, slot=3", "cable=0123456789012345678901234567890123456789", "a",
	};
	const struct config_device *d;
	char text[2048] = GOOD;

	(void)state;
	parse(GOOD "nic = cable=a\nnic=mac=52:54:00:aB:34:56 , cable = b,model = e1000\n"
	      "nic = model=e1000e, cable=a, slot=1:0.7\ndisk = a.img\n" GOOD2);
	assert_int_equal(c->error_count, 0);
	d = c->vm[0]->nic;
	assert_string_equal(d->class, "virtio-net-pci");
	assert_string_equal(d->cable, "a");
	assert_int_equal(d->device, 29);
	assert_memory_equal(d->mac, "\0\0\0\0\0\0", 6);
	assert_string_equal(config_nic_model(d), "virtio");
	d = d->next;
	assert_string_equal(d->class, "e1000");
	assert_string_equal(config_nic_model(d), "e1000");
	assert_string_equal(d->cable, "b");
	assert_memory_equal(d->mac, "\x52\x54\0\xab\x34\x56", 6);
	assert_int_equal(d->device, 30);
	d = d->next;
	assert_string_equal(d->class, "e1000e");
	assert_int_equal(d->bus, 1);
	assert_int_equal(d->function, 7);
	assert_null(d->next);
	assert_int_equal(c->vm[0]->disk->device, 31);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text), GOOD "nic = %s\n" GOOD2, wrong[i]);
		one_error(text, 4, "it looks like cable=NAME, model=virtio", 1);
	}
	one_error(GOOD "nic = cable=a, slot=0:1.0\ndevice = b, slot=0:1.0\n" GOOD2, 5, "is there",
		  1);
	one_error(GOOD "nic = cable=a, mac=52:54:00:12:34:56\n"
		  "nic = cable=b, mac=52:54:00:12:34:56\n" GOOD2, 5,
		  "has the address 52:54:00:12:34:56 already", 1);
	one_error(GOOD "nic = cable=a, mac=52:54:00:12:34:56\n" GOOD2
		  "nic = cable=a, mac=52:54:00:12:34:56\n", 8, "has the address", 1);
}

/* `disk` and `cdrom` at SATA ports: the first free ones, or those that are named. */
static void sata(void **state)
{
	static const char *const wrong[] = {
		"disk = a, bus=sata, slot=0:4.0", "disk = a, port=1", "disk = a, bus=sata, port=6",
		"disk = a, bus=sata, port=", "disk = a, bus=sata, port=10", "cdrom = a, bus=virtio",
		"cdrom = a, bus=ide, port=4", "disk = a, bus=ide, slot=0:4.0",
		"cdrom = a, mode=ro", "cdrom = a, slot=0:4.0", "cdrom = a, port=x", "cdrom =",
		"cdrom = missing", "cdrom = a, port=1, port=2", "disk = a, bus=nvme, port=1",
		"cdrom = a, bus=nvme",
	};
	const struct config_device *d;
	char text[2048];

	(void)state;
	parse(GOOD "disk = a, bus=sata, port=1\ncdrom = b\ndisk = c, mode=ro, bus=ahci\n"
	      "cdrom = d, port=5\ndisk = e\ndisk = f, bus=nvme, slot=0:7.0\n" GOOD2);
	assert_int_equal(c->error_count, 0);
	d = c->vm[0]->disk;
	assert_string_equal(d->class, "ich9-ahci");
	assert_int_equal(d->device << 8 | d->function << 4 | d->port, 0x1f21);
	assert_int_equal(d->next->port, 2);
	assert_false(d->next->overlay);
	assert_string_equal(d->next->next->class, "virtio-blk-pci");
	assert_string_equal(d->next->next->next->class, "nvme");
	assert_int_equal(d->next->next->next->device, 7);
	d = c->vm[0]->cdrom;
	assert_int_equal(d->port, 0);
	assert_int_equal(d->next->port, 5);
	assert_true(config_round(c, &limits));
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text), GOOD "%s\n" GOOD2, wrong[i]);
		parse(text);
		assert_int_equal(c->error_count, 1);
		assert_int_equal(c->error[0].line, 4);
	}
	parse(GOOD "disk = b, bus=ide\ncdrom = c, bus=ide\ncdrom = d\ndisk = e, bus=ide, port=3");
	assert_int_equal(c->error_count, 0);
	d = c->vm[0]->cdrom;
	assert_true(!strcmp(d->class, CONFIG_IDE) && d->port == 1 && d->function == 1);
	assert_true(!strcmp(d->next->class, CONFIG_SATA) && d->next->port == 0);
	one_error(GOOD "disk = b, bus=ide, port=2\ncdrom = c, bus=ide, port=2\n" GOOD2, 5,
		  "is at port 2", 1);
	parse(GOOD "cdrom = none\ncdrom = none, port=3\n");
	assert_int_equal(c->vm_count, 1);
	d = c->vm[0]->cdrom;
	assert_string_equal(d->module, "");
	assert_int_equal(d->port, 0);
	assert_int_equal(d->next->port, 3);
	one_error(GOOD "cdrom = a\ndisk = a, bus=sata, port=0\n" GOOD2, 5, "is at port 0", 1);
	strcpy(text, GOOD);
	for (unsigned i = 0; i < 7; i++)
		strcat(text, "cdrom = a.img\n");
	strcat(text, GOOD2);
	one_error(text, 10, "none of the SATA controller's 6 ports is free", 1);
}

/* `channel` and `console`: one device's ports. */
static void channels(void **state)
{
	static const char *const wrong[] = {
		"channel =", "channel = a b", "channel = -a", "channel = a, port=0", "channel = a, port=6",
		"channel = a, port=x", "channel = a, port=1, port=1", "channel = a, name=b",
		"channel = a, slot=0:4", "channel = 01234567890123456789012345678901",
		"console =", "console = serial", "console = virtio, port=0", "console = virtio, slot=x",
	};
	const struct config_device *d;
	char text[2048];

	(void)state;
	parse(GOOD "channel = b, port=2\nchannel = a.0\nconsole = virtio, slot=0:5.0\n"
	      "channel = c-1\n" GOOD2);
	assert_int_equal(c->error_count, 0);		/* a slot for all of them */
	assert_int_equal(c->vm[0]->channel->next->next->next->device, 5);
	parse(GOOD "channel = b, port=2, slot=0:5.0\nchannel = a.0\nconsole = virtio\n"
	      "channel = c-1, slot=0:5.0\n" GOOD2);
	assert_int_equal(c->error_count, 0);
	d = c->vm[0]->channel;
	assert_string_equal(d->class, "virtio-serial-pci");
	assert_int_equal(d->port, 0);
	assert_int_equal(d->device, 5);
	d = d->next;
	assert_string_equal(d->channel, "b");
	assert_int_equal(d->port, 2);
	assert_string_equal(d->next->channel, "a.0");
	assert_int_equal(d->next->port, 1);
	assert_int_equal(d->next->device, 5);
	assert_int_equal(d->next->next->port, 3);
	assert_true(config_round(c, &limits));
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text), GOOD "%s\n" GOOD2, wrong[i]);
		parse(text);
		assert_int_equal(c->error_count, 1);
		assert_int_equal(c->error[0].line, 4);
	}
	one_error(GOOD "channel = a\nchannel = a\n" GOOD2, 5, "there is a channel 'a' already", 1);
	one_error(GOOD "channel = a\nchannel = b, port=1\n" GOOD2, 5, "is at port 1 already", 1);
	one_error(GOOD "console = virtio\nconsole = virtio\n" GOOD2, 5, "stands twice", 1);
	one_error(GOOD "channel = a, slot=0:4.0\nchannel = b, slot=0:4.1\n" GOOD2, 5,
		  "have one slot, which is 0:4.0 already", 1);
	strcpy(text, GOOD);
	for (unsigned i = 0; i < 6; i++)
		sprintf(text + strlen(text), "channel = a%u\n", i);
	strcat(text, GOOD2);
	one_error(text, 9, "at most 5 channels are possible", 1);
}

static void firmware(void **state)
{
	(void)state;
	parse("[vm a]\nmemory = 64M\nfirmware = bios\nnvram = vars\noption_rom = one.rom\noption_rom=two\n"
	      "manufacturer = A maker\nproduct = Some thing\nserial = 12-34\n" GOOD2);
	assert_int_equal(c->error_count, 0);
	assert_string_equal(c->vm[0]->firmware, "bios");
	assert_string_equal(c->vm[0]->kernel, "");
	assert_string_equal(c->vm[0]->nvram, "vars");
	assert_string_equal(c->vm[0]->option_rom->name, "one.rom");
	assert_string_equal(c->vm[0]->option_rom->next->name, "two");
	assert_null(c->vm[0]->option_rom->next->next);
	assert_string_equal(c->vm[0]->manufacturer, "A maker");
	assert_string_equal(c->vm[0]->product, "Some thing");
	assert_string_equal(c->vm[0]->serial, "12-34");
	one_error(GOOD "option_rom = x\n" GOOD2, 1, "an option_rom and no firmware", 1);
	one_error(GOOD "nvram = vars\n" GOOD2, 1, "nvram and no firmware to use it", 1);
	one_error(GOOD "firmware = missing\n" GOOD2, 4, "no module 'missing'", 1);
	one_error(GOOD "firmware = bios\noption_rom = missing\n" GOOD2, 5, "no module 'missing'",
		  1);
	one_error(GOOD "firmware = bios\noption_rom = a b\n" GOOD2, 5, "it names one module", 1);
	one_error(GOOD "firmware = bios\nfirmware = efi\n" GOOD2, 5, "stands twice", 1);
	one_error(GOOD "firmware = broken\n" GOOD2, 4, "firmware 'broken': is broken", 1);
	one_error(GOOD "serial = a\001\n" GOOD2, 4, "control character", 1);
}

/* A screen: with firmware unless it is said, else if it is said. */
static void video(void **state)
{
	static const char *const wrong[] = {
		"vga, vram=3M", "vga, vram=512K", "vga, vram=128M", "vga, vram=16M, vram=16M",
		"vga, rom=", "vga, slot=0:1", "qxl", "", "vga, none", "vga vram=16M",
		"vga, vram=9999999999999999M",
	};
	struct round_text t = { 0 };
	char text[512];

	(void)state;
	parse(GOOD GOOD2 "firmware = f\n[vm third]\nmemory = 4M\nfirmware = f\nvideo = none\n"
	      "[vm fourth]\nmemory = 4M\nkernel = k\nvideo = vga, vram=1M, rom=r, slot=0:7.0\n");
	assert_int_equal(c->error_count, 0);
	assert_null(c->vm[0]->video);
	assert_string_equal(c->vm[1]->video->class, "VGA");
	assert_int_equal(c->vm[1]->video->vram, 16 * MIB);
	assert_true(c->vm[1]->video->placed);
	assert_null(c->vm[2]->video);
	assert_int_equal(c->vm[3]->video->vram, MIB);
	assert_int_equal(c->vm[3]->video->device, 7);
	assert_string_equal(c->vm[3]->video->module, "r");
	assert_true(config_round(c, &limits));
	config_write_vm(c->vm[3], NULL, round_emit, &t);
	assert_non_null(strstr(t.at, "\nvideo = vga, vram=1M, rom=r, slot=0:7.0\n"));
	free(t.at);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text), GOOD "firmware = f\nvideo = %s\n" GOOD2, wrong[i]);
		one_error(text, 5, "is not right: it looks like vga", 1);
	}
	one_error(GOOD "video = vga, rom=missing\n" GOOD2, 4, "no module 'missing'", 1);
	one_error(GOOD "device = VGA\n" GOOD2, 4, "a screen is written video = vga", 1);
	one_error(GOOD "device = edu, slot=0:1.0\nvideo = vga, slot=0:1.0\n" GOOD2, 5, "is there",
		  1);
}

static void strange_bytes(void **state)
{
	static char text[70000];
	char name[CONFIG_NAME_MAX + 20];

	(void)state;
	one_error(GOOD "cmdline = a\033[2Jb", 4, "control character 0x1b", 0);
	one_error(GOOD "\001\002 = 3", 4, "'\?\?'", 0);
	parse_n("[vm a]\nker\0nel = k\nmemory = 4M", 30);
	assert_int_equal(c->vm_count, 0);
	parse_n("\0\0\0\n" GOOD, 4 + strlen(GOOD));
	assert_int_equal(c->vm_count, 1);
	assert_int_equal(c->error_count, 1);
	/* a line of 64 KiB, as key, as value, as section */
	for (unsigned i = 0; i < 3; i++) {
		memset(text, 'x', sizeof(text));
		strcpy(text, i == 0 ? GOOD : i == 1 ? GOOD "cmdline = " : "[vm ");
		text[strlen(text)] = 'x';
		if (i == 2)
			text[65536] = ']';
		memcpy(text + 65537, "\n[vm z]\nkernel = k\nmemory = 4M\n", 32);
		parse_n(text, 65537 + 31);
		assert_int_equal(c->error_count, 1);
		assert_int_equal(c->error[0].line, i == 2 ? 1 : 4);
		assert_int_equal(c->vm_count, 1);
		assert_string_equal(c->vm[0]->name, "z");
	}
	memset(name, 'n', sizeof(name));
	snprintf(text, sizeof(text), "[vm %.63s]\nkernel = k\nmemory = 4M\n[vm %.64s]\n", name,
		 name);
	one_error(text, 4, "name", 1);
}

static void many(void **state)
{
	static char text[50 * CONFIG_VM_MAX];
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < CONFIG_VM_MAX + 2; i++)
		n += (size_t)sprintf(text + n, "[vm v%u]\nkernel = k\nmemory = 4M\n", i);
	parse(text);
	assert_int_equal(c->vm_count, CONFIG_VM_MAX);
	assert_int_equal(c->error_count, 2);
	n = 0;
	for (unsigned i = 0; i < 1000; i++)
		n += (size_t)sprintf(text + n, "x = %u\n", i);
	parse(text);
	assert_int_equal(c->error_count, 1000);
	assert_int_equal(c->error[CONFIG_ERROR_MAX - 1].line, CONFIG_ERROR_MAX);
}

static void no_memory(void **state)
{
	(void)state;
	for (unsigned left = 0; left < 3; left++) {
		host_heap_left = left;
		assert_int_equal(config_parse(c, GOOD "[vm b]\nkernel=k\nmemory=4M",
					      strlen(GOOD) + 24, &limits),
				 -ENOMEM);
		config_fini(c);
	}
}

static char text[200000];

static void read_file(const char *path)
{
	FILE *f = fopen(path, "r");

	if (!f)
		fail_msg("%s cannot be opened", path);
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
}

/* From `text` on: a file of its own, or a piece of documentation. */
static void right(const char *path, const char *from, size_t n)
{
	parse_n(from, n);
	if (c->error_count)
		fail_msg("%s, sample's line %u: %s", path, c->error[0].line, c->error[0].text);
	assert_true(c->vm_count > 0);
}

static void affinity(void **state)
{
	struct cpu_set s;

	(void)state;
	parse(GOOD "vcpus = 3\ncpuset = 0-3,^2 ; three\nvcpupin = 1:2\nvcpupin = 2 : 3-5\n"
	      "vcpupin = 1 : 0, 4");
	assert_int_equal(c->error_count, 0);
	assert_int_equal(cpu_set_parse(&s, "0,1,3", 5), 0);
	assert_true(cpu_set_equal(config_affinity(c->vm[0], 0), &s));
	assert_int_equal(cpu_set_parse(&s, "0,4", 3), 0);
	assert_true(cpu_set_equal(config_affinity(c->vm[0], 1), &s));
	assert_int_equal(config_affinity(c->vm[0], 2)->bits[0], 0x38);
	parse(GOOD);
	assert_true(cpu_set_is_full(config_affinity(c->vm[0], 0)));
	one_error(GOOD "cpuset =", 4, "a list of CPUs is wanted", 0);
	one_error(GOOD "cpuset = 1-", 4, "'1-' is not right", 0);
	one_error(GOOD "cpuset = 0-256", 4, "a list of CPUs is wanted", 0);
	one_error(GOOD "cpuset = 0\ncpuset = 1", 5, "stands twice", 0);
	one_error(GOOD "vcpupin = 0", 4, "a vCPU and its CPUs are wanted", 0);
	one_error(GOOD "vcpupin = :1", 4, "a vCPU and its CPUs", 0);
	one_error(GOOD "vcpupin = 64:1", 4, "a vCPU and its CPUs", 0);
	one_error(GOOD "vcpupin = 0:", 4, "a list of CPUs", 0);
	one_error(GOOD "vcpupin = 0:x", 4, "a list of CPUs", 0);
	one_error(GOOD "vcpus = 2\nvcpupin = 2:0", 5, "has no vCPU 2, but 2 vcpus", 0);
	/* On a host that is known: all of its CPUs are any. */
	limits.cpus = 4;
	one_error(GOOD "cpuset = 2-4", 4, "not all CPUs of '2-4' exist: the host has 0 to 3", 0);
	one_error(GOOD "vcpupin = 0:300", 4, "the host has 0 to 3", 0);
	parse(GOOD "cpuset = 0-3\nvcpupin = 0:1");
	assert_true(cpu_set_is_full(&c->vm[0]->cpuset));
	assert_int_equal(config_affinity(c->vm[0], 0)->bits[0], 2);
	limits.cpus = 0;
}

static void cputune(void **state)
{
	const struct config_cputune *t;

	(void)state;
	parse(GOOD "cpu_shares = 2048\nglobal_period = 50000\nglobal_quota = 75000\n"
	      "vcpu_period = 1000000\nvcpu_quota = -1");
	assert_int_equal(c->error_count, 0);
	t = &c->vm[0]->cputune;
	assert_int_equal(t->shares, 2048);
	assert_int_equal(t->global_period, 50000);
	assert_int_equal(t->global_quota, 75000);
	assert_int_equal(t->vcpu_period, 1000000);
	assert_int_equal(t->vcpu_quota, 0);
	one_error(GOOD "cpu_shares = 1", 4, "2 to 262144 are allowed", 0);
	one_error(GOOD "cpu_shares = 262145", 4, "2 to 262144", 0);
	one_error(GOOD "cpu_shares = -1", 4, "2 to 262144 are", 0);
	one_error(GOOD "vcpu_period = 999", 4, "1000 to 1000000 are", 0);
	one_error(GOOD "vcpu_quota = 999", 4, "and -1 for no limit, are allowed", 0);
	one_error(GOOD "global_quota = -2", 4, "1000 to 1000000000, and -1", 0);
	one_error(GOOD "global_quota = 99999999999999999999", 4, "1000 to", 0);
}

/* The files that come with Keel have no error. */
static void samples(void **state)
{
	glob_t g;

	(void)state;
	assert_int_equal(glob("configs/*.conf", 0, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		read_file(g.gl_pathv[i]);
		right(g.gl_pathv[i], text, strlen(text));
	}
	globfree(&g);
}

/* Nor has a sample in the documentation: every block with a section of a VM. */
static void printed_samples(void **state)
{
	unsigned found = 0;
	glob_t g;

	(void)state;
	assert_int_equal(glob("README.md", 0, NULL, &g), 0);
	assert_int_equal(glob("docs/*.md", GLOB_APPEND, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		char *block, *end;

		read_file(g.gl_pathv[i]);
		for (block = strstr(text, "\n```"); block; block = strstr(end + 4, "\n```")) {
			block = strchr(block + 1, '\n') + 1;
			end = strstr(block - 1, "\n```");
			assert_non_null(end);
			*end = 0;
			if (strstr(block - 1, "\n[vm ")) {
				right(g.gl_pathv[i], block, strlen(block));
				found++;
			}
		}
	}
	globfree(&g);
	assert_true(found);
}

/* --- writing */

static unsigned below(unsigned n)
{
	return (unsigned)rand() % n;
}

/* Whatever may stand in a value: no blanks around it, no comment in it. */
static void random_text(char *out, size_t max)
{
	size_t n = below((unsigned)max + 1);

	for (size_t i = 0; i < n; i++) {
		out[i] = (char)(below(8) ? '!' + below(94) : 0x80 + below(128));
		if (i && i + 1 < n && !below(6))
			out[i] = ' ';
		if ((!i || out[i - 1] == ' ') && (out[i] == ';' || out[i] == '#'))
			out[i] = 'x';
	}
	out[n] = 0;
}

static void random_cpu(char *out)
{
	const struct cpu_feature *f;
	unsigned count = 0;

	strcpy(out, "host");
	while (cpu_model_feature(count))
		count++;
	for (unsigned i = below(6); i; i--) {
		f = cpu_model_feature(below(count));
		if (f->policy != CPU_FIXED && f->policy != CPU_TOLD)
			sprintf(out + strlen(out), ", -%s", f->name);
	}
}

/* A value of that key; a key that is not known here has no test. */
static void random_value(const char *key, char *out)
{
	static const char *const actions[] = { "destroy", "restart", "preserve" };

	if (!strcmp(key, "autostart") || !strcmp(key, "debug_exit")) {
		strcpy(out, below(2) ? "yes" : "no");
	} else if (!strcmp(key, "cmdline")) {
		random_text(out, CONFIG_CMDLINE_MAX - 1);
	} else if (!strcmp(key, "cpu")) {
		random_cpu(out);
	} else if (!strcmp(key, "manufacturer") || !strcmp(key, "product") ||
		   !strcmp(key, "serial")) {
		random_text(out, CONFIG_NAME_MAX - 1);
	} else if (!strcmp(key, "firmware") || !strcmp(key, "nvram") ||
		   !strcmp(key, "option_rom")) {
		sprintf(out, "m%u", below(1000));
	} else if (!strcmp(key, "initrd") || !strcmp(key, "kernel") || !strcmp(key, "module")) {
		sprintf(out, "m%u ", below(1000));
		if (*key == 'm')
			random_text(out + strlen(out), below(2) ? CONFIG_CMDLINE_MAX - 1 : 20);
	} else if (!strcmp(key, "memory")) {
		sprintf(out, below(2) ? "%uK" : "%uM", 4 * (512 + below(512)));
	} else if (!strncmp(key, "on_", 3)) {
		strcpy(out, actions[below(3)]);
	} else if (!strcmp(key, "topology")) {
		sprintf(out, "2 sockets, %u cores, %u threads", 1 + below(4), 1 + below(2));
	} else if (!strcmp(key, "uuid")) {
		for (unsigned i = 0; i < 16; i++)
			sprintf(out + 2 * i, "%02x", below(256));
	} else if (!strcmp(key, "vcpus")) {
		sprintf(out, "%u", 1 + below(64));
	} else if (!strcmp(key, "device")) {
		sprintf(out, "class-%u, slot=%x:%x.%u", below(100), below(256), below(29),
			below(8));
	} else if (!strcmp(key, "boot")) {
		sprintf(out, "%s", below(2) ? "network, disk" : "cdrom");
	} else if (!strcmp(key, "boot_menu")) {
		sprintf(out, "%u", 1 + below(65535));
	} else if (!strcmp(key, "channel")) {
		static unsigned channels;

		sprintf(out, "org.keel.%u%s", channels++, below(2) ? ", slot=1:2.3" : "");
	} else if (!strcmp(key, "console")) {
		strcpy(out, "virtio");
	} else if (!strcmp(key, "video")) {
		sprintf(out, "%s", below(2) ? "none" : "vga");
		if (*out == 'v' && below(2))
			sprintf(out + 3, ", vram=%uM, rom=m%u", 1u << below(7), below(1000));
	} else if (!strcmp(key, "cdrom")) {
		sprintf(out, "m%u", below(1000));
	} else if (!strcmp(key, "disk")) {
		sprintf(out, "m%u%s%s", below(1000), below(2) ? ", bus=virtio" : "",
			below(2) ? ", mode=ro" : "");
		if (below(2))
			sprintf(out + strlen(out), ", slot=%x:%x.%u", below(256), below(29),
				below(8));
	} else if (!strcmp(key, "nic")) {
		static unsigned cards;

		sprintf(out, "cable=c%u", below(1000));
		if (below(2))
			sprintf(out + strlen(out), ", mac=52:54:00:%02x:%02x:%02x",
				cards >> 16 & 255, cards >> 8 & 255, cards & 255);
		cards++;
		if (below(2))
			sprintf(out + strlen(out), ", slot=%x:%x.%u", below(256), below(29),
				below(8));
	} else if (!strcmp(key, "cpu_shares") || strstr(key, "_period") || strstr(key, "_quota")) {
		sprintf(out, "%u", below(10) ? 1000 + below(200000) : 100000);
	} else if (!strcmp(key, "cpuset")) {
		sprintf(out, "0-%u,%u,^%u", below(3), 3 + below(60), 80 + below(100));
	} else if (!strcmp(key, "vcpupin")) {
		sprintf(out, "0: %u-%u,63", below(10), 10 + below(200));
	} else if (!strcmp(key, "hostname")) {
		sprintf(out, "keel-%u", below(1000));
	} else {
		fail_msg("no random values for the key %s", key);
	}
}

static bool always(const char *key)
{
	return !strcmp(key, "kernel") || !strcmp(key, "memory");
}

static void random_section(char *out, const struct key *keys, uint64_t *used)
{
	bool topology = below(2), firmware = below(2);
	unsigned row = 0;

	for (const struct key *k = keys; k->name; k++, row++) {
		unsigned lines = always(k->name) ? 1 : k->repeats ? below(4) : below(2);

		/* These want firmware. */
		if (!strcmp(k->name, "firmware"))
			lines = firmware;
		else if ((!strcmp(k->name, "option_rom") || !strcmp(k->name, "nvram") ||
			  !strncmp(k->name, "boot", 4)) && !firmware)
			continue;
		/* These two would contradict each other. */
		if (!strcmp(k->name, topology ? "vcpus" : "topology"))
			lines = 0;
		for (; lines; lines--) {
			out += sprintf(out, "%s = ", k->name);
			random_value(k->name, out);
			out += strlen(out);
			out += sprintf(out, "\n");
			*used |= 1ul << row;
		}
	}
}

/* What was read is read as the same when it was written: every row, with any value. */
static void written_and_read(void **state)
{
	static char text[65536];
	uint64_t used = 0, host_used = 0;
	unsigned rows = 0;

	(void)state;
	srand(7);
	while (config_vm_keys[rows].name)
		rows++;
	for (unsigned i = 0; i < 600; i++) {
		strcpy(text, "[host]\n");
		random_section(text + strlen(text), config_host_keys, &host_used);
		for (unsigned vm = 0; vm < 2; vm++) {
			sprintf(text + strlen(text), "[vm a%u]\n", vm);
			random_section(text + strlen(text), config_vm_keys, &used);
		}
		parse(text);
		if (c->error_count)
			fail_msg("line %u: %s in\n%s", c->error[0].line, c->error[0].text, text);
		assert_int_equal(c->vm_count, 2);
		if (!config_round(c, &limits))
			fail_msg("not the same again:\n%s", text);
	}
	assert_int_equal(used, (1ul << rows) - 1);
	assert_int_equal(host_used, 1);
}

static void written_form(void **state)
{
	struct round_text t = { 0 };

	(void)state;
	parse(GOOD "vcpus = 4\nmodule = a b c\nmodule = d\ncpu = host, -avx\non_reboot = destroy\n"
	      "uuid = 6b1c1f2e-0d6a-4c1e-9f57-0a52d6c3e811\n");
	assert_int_equal(c->error_count, 0);
	config_write_vm(c->vm[0], NULL, round_emit, &t);
	assert_string_equal(t.at, "[vm good]\ncpu = host, -avx\nkernel = k\nmemory = 64M\n"
			    "module = a b c\nmodule = d\non_reboot = destroy\n"
			    "uuid = 6b1c1f2e0d6a4c1e9f570a52d6c3e811\nvcpus = 4\n");
	t.n = 0;
	config_write_vm(c->vm[0], "module", round_emit, &t);
	assert_null(strstr(t.at, "module"));
	free(t.at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_keys), cmocka_unit_test(cpu_models),
		cmocka_unit_test(topologies), cmocka_unit_test(defaults),
		cmocka_unit_test(bad_values),	 cmocka_unit_test(bad_sections),
		cmocka_unit_test(strange_bytes), cmocka_unit_test(many),
		cmocka_unit_test(modules), cmocka_unit_test(devices),
		cmocka_unit_test(disks), cmocka_unit_test(boot_order),
		cmocka_unit_test(nics),
		cmocka_unit_test(affinity),
		cmocka_unit_test(cputune),
		cmocka_unit_test(sata),
		cmocka_unit_test(firmware),	 cmocka_unit_test(video),
			 cmocka_unit_test(channels),
		cmocka_unit_test(no_memory),	 cmocka_unit_test(samples),
		cmocka_unit_test(printed_samples), cmocka_unit_test(written_and_read),
		cmocka_unit_test(written_form),
	};
	const struct CMUnitTest *t = tests;
	struct CMUnitTest with[ARRAY_COUNT(tests)];

	for (unsigned i = 0; i < ARRAY_COUNT(tests); i++, t++) {
		with[i] = *t;
		with[i].setup_func = setup;
		with[i].teardown_func = teardown;
	}
	return cmocka_run_group_tests(with, NULL, NULL);
}
