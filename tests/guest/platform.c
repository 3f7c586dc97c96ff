/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What describes the machine: PCI configuration space with its host bridge, ACPI's tables from the
 * RSDP on, the PM timer.
 */
#include "tests/guest/lib/guest.h"

#define ADDRESS	0xcf8
#define DATA	0xcfc

static uint32_t config(unsigned device, unsigned offset)
{
	outl(ADDRESS, 0x80000000 | device << 11 | (offset & 0xfc));
	return inl(DATA);
}

static void pci(void)
{
	uint32_t id = config(0, 0), class = config(0, 8) >> 16;

	outl(ADDRESS, 0x80000000);
	check_equal(inl(ADDRESS), 0x80000000, "pci_address_keeps");
	check(id != 0xffffffff && id != 0, "pci_host_bridge", "%x", id);
	check_equal(class, 0x0600, "pci_host_bridge_class");
	check_equal(inw(DATA), config(0, 8) & 0xffff, "pci_narrow_word");
	outl(ADDRESS, 0x80000000);
	check_equal(inb(DATA + 1), id >> 8 & 0xff, "pci_narrow_byte");
	check_equal(inw(DATA + 2), id >> 16, "pci_narrow_upper");
	check_equal(config(29, 0), 0xffffffff, "pci_no_device");
	outl(ADDRESS, 0);
	check_equal(inl(DATA), 0xffffffff, "pci_not_enabled");
	outl(ADDRESS, 0x80000000);
	outl(DATA, 0x12345678);
	check_equal(config(0, 0), id, "pci_id_read_only");
}

struct table {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[6], oem_table[8];
	uint32_t oem_revision, creator, creator_revision;
} packed;

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt, length;
	uint64_t xsdt;
	uint8_t checksum2, zero[3];
} packed;

static uint8_t sum(const void *at, uint32_t count)
{
	const uint8_t *bytes = at;
	uint8_t total = 0;

	while (count--)
		total = (uint8_t)(total + *bytes++);
	return total;
}

static const struct rsdp *rsdp_find(void)
{
	const char *ebda = (const char *)(uint64_t)((uint32_t)*(volatile uint16_t *)0x40e << 4);

	for (const char *at = ebda; at && at < ebda + 1024; at += 16)
		if (compare(at, "RSD PTR ", 8) == 0 && sum(at, 20) == 0)
			return (const void *)at;
	for (const char *at = (const char *)0xe0000; at < (const char *)0x100000; at += 16)
		if (compare(at, "RSD PTR ", 8) == 0 && sum(at, 20) == 0)
			return (const void *)at;
	return NULL;
}

static const struct table *table_find(const struct rsdp *rsdp, const char *signature)
{
	const struct table *root;
	unsigned width;

	if (rsdp->revision >= 2 && rsdp->xsdt)
		root = (const void *)rsdp->xsdt, width = 8;
	else
		root = (const void *)(uint64_t)rsdp->rsdt, width = 4;
	for (unsigned at = sizeof(*root); at + width <= root->length; at += width) {
		uint64_t address = 0;

		copy(&address, (const char *)root + at, width);
		if (compare((const void *)address, signature, 4) == 0)
			return (const void *)address;
	}
	return NULL;
}

static void madt(const struct table *table)
{
	const uint8_t *at = (const uint8_t *)table + 44;
	const uint8_t *end = (const uint8_t *)table + table->length;
	unsigned cpus = 0, ioapics = 0;

	for (; at + 2 <= end && at[1] >= 2; at += at[1]) {
		cpus += (at[0] == 0 && at[4] & 1) || (at[0] == 9 && at[8] & 1);
		ioapics += at[0] == 1;
	}
	check(at == end, "madt_entries", "end %p, want %p", at, end);
	check(cpus >= 1, "madt_cpus", "%u", cpus);
	check_equal(ioapics, 1, "madt_ioapic");
}

static void pm_timer(const struct table *fadt)
{
	uint32_t port, first, second;

	copy(&port, (const char *)fadt + 76, 4);
	check(port && port < 0x10000, "fadt_pm_timer_port", "%x", port);
	first = inl((uint16_t)port);
	wait_ticks(10000000);
	second = inl((uint16_t)port);
	check(first != second, "pm_timer_counts", "%x %x", first, second);
	check(((second - first) & 0xffffff) < 0x100000, "pm_timer_forward", "%x %x", first, second);
}

static void acpi(void)
{
	static const char wanted[][5] = { "FACP", "APIC" };
	const struct rsdp *rsdp = rsdp_find();
	const struct table *table, *fadt;
	uint32_t dsdt;

	check(rsdp != NULL, "rsdp", "not found");
	if (!rsdp)
		return;
	if (rsdp->revision >= 2)
		check_equal(sum(rsdp, rsdp->length), 0, "rsdp_extended_checksum");
	for (unsigned i = 0; i < ARRAY_COUNT(wanted); i++) {
		table = table_find(rsdp, wanted[i]);
		check(table && !sum(table, table->length), wanted[i], "%p", table);
	}
	fadt = table_find(rsdp, "FACP");
	if (!fadt)
		return;
	copy(&dsdt, (const char *)fadt + 40, 4);
	table = (const void *)(uint64_t)dsdt;
	check(dsdt && compare(table, "DSDT", 4) == 0 && !sum(table, table->length), "DSDT", "at %x",
	      dsdt);
	pm_timer(fadt);
	if (table_find(rsdp, "APIC"))
		madt(table_find(rsdp, "APIC"));
}

void test_main(void)
{
	pci();
	acpi();
}
