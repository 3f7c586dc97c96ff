/* SPDX-License-Identifier: BSD-2-Clause */
/* links: mgmt/config*.c vmm/cpu_model.c vmm/cpu_topology.c kernel/cpu_set.c mgmt/domain_boot.c
 * mgmt/error.c mgmt/text.c lib/format.c tests/host/heap.c */
/*
 * mgmt/domain_boot: the path of each kind of device, on bus 0 and behind root ports, in the order
 * that a configuration tells; nothing where it tells none; no memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "include/addr.h"
#include "include/errno.h"
#include "mgmt/domain_struct.h"
#include "mm/heap.h"

#define HEAD	"[vm x]\nmemory = 64M\nfirmware = f\n"
#define DEVICES \
	"device = pcie-root-port, slot=0:1c.0\ndevice = edu, slot=0:8.0\n" \
	"device = pcie-root-port, slot=0:1c.3\n"

extern unsigned host_heap_left;

static const struct config_limits limits = { .vcpus_max = 4, .memory_max = GIB };
static struct config *c;

static const struct config_vm *parse(const char *text)
{
	config_fini(c);
	assert_int_equal(config_parse(c, text, strlen(text), &limits), 0);
	assert_int_equal(c->error_count, 0);
	return c->vm[0];
}

static void check(const char *text, const char *wanted)
{
	struct mgmt_error err;
	char *order;

	assert_int_equal(domain_boot_order(parse(text), &order, &err), 0);
	if (wanted)
		assert_string_equal(order, wanted);
	else
		assert_null(order);
	heap_free(order);
}

static void test_paths(void **state)
{
	(void)state;
	check(HEAD DEVICES "disk = a, slot=0:3.0\ncdrom = b\n", NULL);
	check(HEAD DEVICES "disk = a, slot=0:1a.2, boot=5\ndisk = b, bus=sata, port=3, boot=4\n"
	      "disk = c, slot=1:0.0, boot=3\nnic = cable=n, slot=0:5.0, boot=2\ncdrom = d, port=1\n"
	      "nic = cable=n, slot=2:0.0, boot=1\n",
	      "/pci@i0cf8/pci-bridge@1c,3/ethernet@0/ethernet-phy@0\n"
	      "/pci@i0cf8/ethernet@5/ethernet-phy@0\n"
	      "/pci@i0cf8/pci-bridge@1c/scsi@0/disk@0,0\n"
	      "/pci@i0cf8/pci8086,2922@1f,2/drive@3/disk@0\n"
	      "/pci@i0cf8/scsi@1a,2/disk@0,0\nHALT");
}

static void test_kinds(void **state)
{
	static const char two[] = "disk = a, slot=0:4.0\ndisk = b, slot=0:3.0\ncdrom = c\n"
				  "nic = cable=n, slot=0:5.0\n";
	static const char others[] = "disk = a, bus=nvme, slot=0:6.0\ndisk = b, bus=ide, port=3\n";
	char text[512] = HEAD;

	(void)state;
	check(strcat(strcat(text, "boot = cdrom, disk\n"), two),
	      "/pci@i0cf8/pci8086,2922@1f,2/drive@0/disk@0\n/pci@i0cf8/scsi@4/disk@0,0\n"
	      "/pci@i0cf8/scsi@3/disk@0,0\nHALT");
	strcpy(text, HEAD);
	check(strcat(strcat(text, "boot = network\n"), two),
	      "/pci@i0cf8/ethernet@5/ethernet-phy@0\nHALT");
	strcpy(text, HEAD);
	check(strcat(strcat(text, "boot = disk\n"), others),
	      "/pci@i0cf8/pci8086,5845@6/namespace@1,0\n/pci@i0cf8/ide@1f,1/drive@1/disk@1\nHALT");
	check(HEAD "boot = disk\n", "HALT");
}

static void test_no_memory(void **state)
{
	const struct config_vm *vm = parse(HEAD "boot = disk\n");
	struct mgmt_error err;
	char *order;

	(void)state;
	host_heap_left = 0;
	assert_int_equal(domain_boot_order(vm, &order, &err), -ENOMEM);
	assert_null(order);
	host_heap_left = ~0u;
}

static int setup(void **state)
{
	(void)state;
	host_heap_left = ~0u;
	c = calloc(1, sizeof(*c));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	config_fini(c);
	free(c);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths), cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
