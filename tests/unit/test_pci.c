/* SPDX-License-Identifier: BSD-2-Clause */
/* links: drivers/pci.c tests/host/log.c tests/host/percpu.c tests/host/spinlock.c
 * tests/host/heap.c */
/*
 * drivers/pci.c over ports and over ECAM: every bus is looked at, those behind bridges, those that
 * nothing leads to (further root buses) and those of other segments, once each; there are as many
 * functions as there are; functions of a device that has only one are not asked for; accesses of
 * each size reach the right bytes; what is not there reads all ones.
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

#define BUSES	256
#define HIGH	0x200000000	/* another segment's ECAM, whose bus 5 alone is populated */

static uint8_t config[BUSES][32 * 8][256];
static uint8_t *ecam[2 * BUSES];
static uint8_t high_bus[1 << 20];
static bool no_ports;
static int mapped;
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
	if (p && selected >> 31 && !no_ports)
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
	bool high = a.v >= HIGH;
	unsigned bus = (unsigned)((a.v - (high ? HIGH : 0xb0000000)) >> 20);
	uint8_t *p;

	assert_int_equal(size, 1 << 20);
	assert_int_equal(c, CACHE_UC);
	assert_true(bus < BUSES);
	if (closed)
		return NULL;
	mapped++;
	p = ecam[bus + (high ? BUSES : 0)] = malloc(1 << 20);
	memset(p, 0xff, 1 << 20);
	for (unsigned devfn = 0; !high && devfn < 256; devfn++)
		memcpy(p + (devfn << 12), config[bus][devfn], 256);
	if (high && bus == 5)
		memcpy(p, high_bus, 1 << 20);
	return p;
}

void kmap_io_unmap(void *va, uint64_t size)
{
	assert_int_equal(size, 1 << 20);
	for (unsigned i = 0; i < 2 * BUSES; i++)
		if (ecam[i] == va)
			ecam[i] = NULL;
	free(va);
	mapped--;
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
	add(0x85, 0, 0, 0x00070007, 0, 0);		/* on a root bus that nothing leads to */
	for (unsigned i = 0; i < 256; i++)		/* more than a small table holds */
		add(0xc0 + i / 32, i % 32, 0, 0x00080008 + (i << 16), 0, 0);
}

static const struct pci_device *find(uint32_t id)
{
	for (unsigned i = 0; pci_get(i); i++)
		if (pci_get(i)->vendor_id == (id & 0xffff) && pci_get(i)->device_id == id >> 16)
			return pci_get(i);
	return NULL;
}

static unsigned count(void)
{
	unsigned n = 0;

	while (pci_get(n))
		n++;
	return n;
}

static void check(void)
{
	const struct pci_device *d = find(0x00020002);

	assert_int_equal(count(), 7 + 256);
	assert_null(find(0x00050005));
	assert_int_equal(find(0x00070007)->bus, 0x85);
	assert_int_equal(find(0x01070008)->bus, 0xc7);
	assert_non_null(find(0x00030002));
	assert_int_equal(find(0x00060006)->bus, 2);
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
	assert_int_equal(mapped, 3 + 8);		/* nothing where nobody answers */
}

/* Without ports, and with a second segment whose buses begin elsewhere. */
static void other_segments(void **state)
{
	uint32_t id = 0x00090009;

	(void)state;
	no_ports = true;
	memset(high_bus, 0xff, sizeof(high_bus));
	memset(high_bus, 0, 256);
	memcpy(high_bus, &id, 4);
	/* The second entry goes over the first's buses. */
	for (unsigned i = 1; i <= 2; i++)
		acpi_info.ecam[i] = (struct acpi_ecam){ .base = HPA(HIGH), .segment = 7,
							.first_bus = 4, .last_bus = 9 };
	acpi_info.ecam_count = 3;
	pci_init();
	assert_int_equal(count(), 7 + 256 + 1);
	assert_int_equal(find(id)->segment, 7);
	assert_int_equal(find(id)->bus, 5);
	assert_int_equal(mapped, 3 + 8 + 1);
	for (unsigned i = 0; i < 2 * BUSES; i++)
		free(ecam[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_ports),
		cmocka_unit_test(by_ecam),
		cmocka_unit_test(other_segments),
	};

	host_in = port_in;
	host_out = port_out;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
