/* SPDX-License-Identifier: BSD-2-Clause */
/* links: drivers/pci.c tests/host/log.c tests/host/percpu.c tests/host/spinlock.c */
/*
 * drivers/pci.c over ports and over ECAM: bridges are followed, once each, even when their numbers
 * make a loop; functions of a device that has only one are not asked for; accesses of each size
 * reach the right bytes; what is not there reads all ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/cpu.h"
#include "drivers/acpi.h"
#include "drivers/pci.h"
#include "mm/kmap.h"

struct acpi_info acpi_info;

#define BUSES	4

static uint8_t config[BUSES][32 * 8][256];
static uint8_t *ecam[BUSES];
static uint32_t selected;
static bool closed;			/* ECAM cannot be mapped */

static uint8_t *space(uint32_t address)
{
	unsigned bus = address >> 16 & 0xff, devfn = address >> 8 & 0xff;

	return bus < BUSES ? &config[bus][devfn][address & 0xfc] : NULL;
}

static uint32_t port_in(uint16_t port, unsigned size)
{
	uint8_t *p = space(selected);
	uint32_t v = ~0u;

	assert_in_range(port, 0xcfc, 0xcff);
	if (p && selected >> 31)
		memcpy(&v, p + (port & 3), size);
	return v;
}

static void port_out(uint16_t port, unsigned size, uint32_t v)
{
	uint8_t *p;

	if (port == 0xcf8) {
		assert_int_equal(size, 4);
		selected = v;
		return;
	}
	p = space(selected);
	if (p)
		memcpy(p + (port & 3), &v, size);
}

void *kmap_io(hpa_t a, uint64_t size, enum paging_cache c)
{
	unsigned bus = (unsigned)((a.v - 0xb0000000) >> 20);

	assert_int_equal(size, 1 << 20);
	assert_int_equal(c, CACHE_UC);
	if (closed || bus >= BUSES)
		return NULL;
	if (!ecam[bus])
		ecam[bus] = malloc(1 << 20);
	memset(ecam[bus], 0xff, 1 << 20);
	for (unsigned devfn = 0; devfn < 256; devfn++)
		memcpy(ecam[bus] + (devfn << 12), config[bus][devfn], 256);
	return ecam[bus];
}

static void add(unsigned bus, unsigned device, unsigned function, uint32_t id, uint32_t class,
		uint8_t header)
{
	uint8_t *p = config[bus][device * 8 + function];

	memset(p, 0, 256);
	memcpy(p, &id, 4);
	class <<= 8;
	memcpy(p + 8, &class, 4);
	p[0x0e] = header;
	p[0x3d] = 1;
}

static void machine(void)
{
	memset(config, 0xff, sizeof(config));
	add(0, 0, 0, 0x29c08086, 0x060000, 0);
	add(0, 1, 0, 0x00010001, 0x060400, 1);
	config[0][8][0x19] = 2;
	add(0, 2, 0, 0x00020002, 0x020000, 0x80);
	add(0, 2, 5, 0x00030002, 0x010802, 0x80);
	add(0, 3, 0, 0x00040004, 0x030000, 0);
	add(0, 3, 1, 0x00050005, 0x030000, 0);		/* an echo of function 0: not asked for */
	add(2, 31, 0, 0x00060006, 0x060400, 1);		/* leads back to bus 0 */
	config[2][31 * 8][0x19] = 0;
	add(3, 0, 0, 0x00070007, 0, 0);			/* on a bus that nothing leads to */
}

static const struct pci_device *find(uint32_t id)
{
	for (unsigned i = 0; pci_get(i); i++)
		if (pci_get(i)->vendor_id == (id & 0xffff) && pci_get(i)->device_id == id >> 16)
			return pci_get(i);
	return NULL;
}

static void check(void)
{
	const struct pci_device *d = find(0x00020002);

	assert_int_equal(pci_count(), 6);
	assert_null(find(0x00050005));
	assert_null(find(0x00070007));
	assert_non_null(find(0x00030002));
	assert_int_equal(find(0x00060006)->bus, 2);
	assert_string_equal(pci_class_name(d->class), "Ethernet controller");
	assert_string_equal(pci_class_name(0xff0000), "device");
	assert_int_equal(d->irq_pin, 1);
	pci_write(d, 0x40, 4, 0x11223344);
	pci_write(d, 0x42, 2, 0xaabb);
	pci_write(d, 0x41, 1, 0xcc);
	assert_int_equal(pci_read(d, 0x40, 4), 0xaabbcc44);
	assert_int_equal(pci_read(d, 0x42, 2), 0xaabb);
	assert_int_equal(pci_read(d, 0x43, 1), 0xaa);
	assert_int_equal(pci_read(d, 0x1000, 4), 0xffffffff);
	assert_int_equal(pci_read(d, 0xfff, 2), 0xffff);
}

static void by_ports(void **state)
{
	(void)state;
	machine();
	pci_init();
	check();
	assert_int_equal(pci_read(find(0x00020002), 0x100, 2), 0xffff);
}

static void by_ecam(void **state)
{
	(void)state;
	machine();
	acpi_info.ecam_count = 1;
	acpi_info.ecam[0] = (struct acpi_ecam){ .base = HPA(0xb0000000), .last_bus = 255 };
	closed = false;
	pci_init();
	check();
	assert_int_equal(ecam[0][(2 << 15) + 0x43], 0xaa);
	for (unsigned i = 0; i < BUSES; i++)
		free(ecam[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_ports),
		cmocka_unit_test(by_ecam),
	};

	host_in = port_in;
	host_out = port_out;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
