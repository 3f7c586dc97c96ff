/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vacpi_tables.c build/gen/vdev/dsdt.aml.c */
/*
 * vdev/vacpi_tables: signatures, checksums and links from the RSDP on; numbers in the DSDT; MADT
 * entries by vCPU count; a full buffer; and iasl takes every table apart without complaint.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "include/bits.h"
#include "vdev/vacpi_tables.h"

#define BASE	0xe0000u

static uint8_t buf[VACPI_TABLES_MAX];
static const unsigned dense = 1, sparse = 3;

/* As many apart as `context` says. */
static uint32_t apic_id(const void *context, unsigned index)
{
	return *(const unsigned *)context * index;
}

static const struct vacpi_tables_config one = {
	.vcpus = 1, .apic_id = apic_id, .context = &dense, .pci_window = 0xd0000000, .buses = 1,
};

static uint64_t get(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	memcpy(&v, p, n);
	return v;
}

static const uint8_t *at(uint64_t gpa)
{
	assert_true(gpa >= BASE && gpa < BASE + sizeof(buf));
	return buf + gpa - BASE;
}

static uint8_t sum(const uint8_t *p, size_t n)
{
	uint8_t s = 0;

	while (n--)
		s += *p++;
	return s;
}

static const uint8_t *table(const char *signature)
{
	const uint8_t *xsdt = at(get(buf + 24, 8)), *rsdt = at(get(buf + 16, 4));
	unsigned n = (unsigned)(get(xsdt + 4, 4) - 36) / 8;

	for (unsigned i = 0; i < n; i++) {
		const uint8_t *t = at(get(xsdt + 36 + 8 * i, 8));

		assert_ptr_equal(t, at(get(rsdt + 36 + 4 * i, 4)));
		assert_int_equal(sum(t, get(t + 4, 4)), 0);
		if (!memcmp(t, signature, 4))
			return t;
	}
	return NULL;
}

static void test_roots(void **state)
{
	long n = vacpi_tables_build(&one, buf, sizeof(buf), GPA(BASE), NULL);
	const uint8_t *fadt, *dsdt, *facs;

	(void)state;
	assert_true(n > 1000 && n < 4096);
	assert_memory_equal(buf, "RSD PTR ", 8);
	assert_int_equal(sum(buf, 20), 0);
	assert_int_equal(sum(buf, 36), 0);
	assert_memory_equal(at(get(buf + 24, 8)), "XSDT", 4);
	assert_memory_equal(at(get(buf + 16, 4)), "RSDT", 4);
	assert_non_null(fadt = table("FACP"));
	assert_int_equal(get(fadt + 4, 4), 276);
	assert_memory_equal(dsdt = at(get(fadt + 140, 8)), "DSDT", 4);
	assert_int_equal(get(fadt + 40, 4), get(fadt + 140, 8));
	assert_int_equal(sum(dsdt, get(dsdt + 4, 4)), 0);
	assert_memory_equal(facs = at(get(fadt + 36, 4)), "FACS", 4);
	assert_int_equal((facs - buf) % 64, 0);
	assert_int_equal(get(fadt + 112, 4) >> 20 & 1, 0);	/* not HW_REDUCED */
	assert_null(table("MCFG"));
	assert_null(table("HPET"));
}

static unsigned entries(const uint8_t *madt, unsigned type)
{
	const uint8_t *p = madt + 44, *end = madt + get(madt + 4, 4);
	unsigned n = 0;

	for (; p < end; p += p[1]) {
		assert_true(p[1] >= 2 && p + p[1] <= end);
		n += p[0] == type;
	}
	return n;
}

static void test_madt(void **state)
{
	struct vacpi_tables_config c = one;

	(void)state;
	for (c.vcpus = 1; c.vcpus <= 4096; c.vcpus *= 2) {
		assert_true(vacpi_tables_build(&c, buf, sizeof(buf), GPA(BASE), NULL) > 0);
		assert_int_equal(entries(table("APIC"), 0), MIN(c.vcpus, 255u));
		assert_int_equal(entries(table("APIC"), 9), c.vcpus > 255 ? c.vcpus - 255 : 0);
		assert_int_equal(entries(table("APIC"), 1), 1);
		assert_int_equal(entries(table("APIC"), 2), 2);
		assert_int_equal(entries(table("APIC"), 10), c.vcpus > 255);
	}
	c.vcpus = 100;
	c.context = &sparse;
	assert_true(vacpi_tables_build(&c, buf, sizeof(buf), GPA(BASE), NULL) > 0);
	assert_int_equal(entries(table("APIC"), 0), 85);
	assert_int_equal(entries(table("APIC"), 9), 15);
	assert_int_equal(entries(table("APIC"), 10), 1);
	assert_memory_equal(table("APIC") + 44 + 8 * 84, "\0\x08\x54\xfc\x01", 5);
	assert_memory_equal(table("APIC") + 44 + 8 * 85, "\x09\x10\0\0\xff\0\0\0\x01\0\0\0\x55", 13);
}

static void test_numbers(void **state)
{
	struct vacpi_tables_config c = { .vcpus = 2, .apic_id = apic_id, .context = &dense,
		.pci_window = 0xd0000000, .ecam = 0xc0000000, .buses = 5, .hpet = true,
		.pci_window64 = 0x800000000,
		.pci_window64_size = 0x123000000 };
	static const uint8_t pwin[] = "\x08PWIN\x0c\0\0\0\xd0",
		ecam[] = "\x08" "ECAM\x0c\0\0\0\xc0", last[] = "\x08LBUS\x0c\x04\0\0\0",
		hpta[] = "\x08HPTA\x0c\x01\0\0\0";
	const uint8_t *fadt, *dsdt, *mcfg, *hpet;
	size_t n;

	(void)state;
	assert_true(vacpi_tables_build(&c, buf, sizeof(buf), GPA(BASE), NULL) > 0);
	assert_non_null(mcfg = table("MCFG"));
	assert_int_equal(get(mcfg + 44, 8), 0xc0000000);
	assert_int_equal(get(mcfg + 54, 2), 0x0400);		/* buses 0 to 4 */
	assert_non_null(hpet = table("HPET"));
	assert_int_equal(get(hpet + 4, 4), 56);
	assert_int_equal(get(hpet + 36, 4), 0x80862201);
	assert_int_equal(get(hpet + 44, 8), 0xfed00000);
	fadt = table("FACP");
	dsdt = at(get(fadt + 40, 4));
	n = get(dsdt + 4, 4);
	assert_non_null(memmem(dsdt, n, pwin, sizeof(pwin) - 1));
	assert_non_null(memmem(dsdt, n, ecam, sizeof(ecam) - 1));
	assert_non_null(memmem(dsdt, n, last, sizeof(last) - 1));
	assert_non_null(memmem(dsdt, n, hpta, sizeof(hpta) - 1));
	assert_non_null(memmem(dsdt, n, "\x08QLEN\x0e\0\0\0\x23\x01\0\0\0", 14));
}

static const uint8_t *dsdt_of(const struct vacpi_tables_config *c)
{
	assert_true(vacpi_tables_build(c, buf, sizeof(buf), GPA(BASE), NULL) > 0);
	return at(get(table("FACP") + 40, 4));
}

/* The mouse is the table's last object, whole, or the table ends before it. */
static void test_mouse(void **state)
{
	static const uint8_t id[] = { 0x41, 0xd0, 0x0f, 0x13 };
	struct vacpi_tables_config c = one;
	const uint8_t *dsdt, *mouse;
	size_t n, start;

	(void)state;
	c.mouse = true;
	dsdt = dsdt_of(&c);
	n = get(dsdt + 4, 4);
	mouse = memmem(dsdt, n, "._SB_MOU_", 9);
	assert_non_null(mouse);
	assert_non_null(memmem(mouse, n - (size_t)(mouse - dsdt), id, sizeof(id)));
	start = (size_t)(mouse - dsdt) - 3;
	assert_memory_equal(dsdt + start, "\x5b\x82", 2);
	assert_int_equal(start + 2 + dsdt[start + 2], n);
	c.mouse = false;
	dsdt = dsdt_of(&c);
	assert_int_equal(get(dsdt + 4, 4), start);
	assert_null(memmem(dsdt, start, id, sizeof(id)));
}

static void test_refused(void **state)
{
	struct vacpi_tables_config c = one;
	long n = vacpi_tables_build(&one, buf, sizeof(buf), GPA(BASE), NULL);

	(void)state;
	for (long size = 0; size < n; size++) {
		uint8_t *tight = malloc((size_t)size + !size);

		assert_int_equal(vacpi_tables_build(&one, tight, (size_t)size, GPA(BASE), NULL),
				 -ENOSPC);
		free(tight);
	}
	assert_int_equal(vacpi_tables_build(&one, buf, sizeof(buf), GPA(BASE + 4), NULL), -EINVAL);
	assert_int_equal(vacpi_tables_build(&one, buf, sizeof(buf), GPA(4 * GIB - 64), NULL),
			 -EINVAL);
	c.vcpus = 0;
	assert_int_equal(vacpi_tables_build(&c, buf, sizeof(buf), GPA(BASE), NULL), -EINVAL);
	c.vcpus = 4097;
	assert_int_equal(vacpi_tables_build(&c, buf, sizeof(buf), GPA(BASE), NULL), -EINVAL);
	c = one;
	c.buses = 0;
	assert_int_equal(vacpi_tables_build(&c, buf, sizeof(buf), GPA(BASE), NULL),
			 -EINVAL);
	c.buses = 257;
	assert_int_equal(vacpi_tables_build(&c, buf, sizeof(buf), GPA(BASE), NULL),
			 -EINVAL);
	c = one;
	c.pci_window = 0xfed00000;
	assert_int_equal(vacpi_tables_build(&c, buf, sizeof(buf), GPA(BASE), NULL), -EINVAL);
}

/* Each table alone, as `iasl -d` wants it; its complaints would be lines with Error or Warning. */
static void disassemble(const uint8_t *t)
{
	char dir[] = "/tmp/keel-acpi-XXXXXX", path[64], command[512];
	FILE *f;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/t.aml", dir);
	assert_non_null(f = fopen(path, "wb"));
	assert_int_equal(fwrite(t, 1, get(t + 4, 4), f), get(t + 4, 4));
	fclose(f);
	snprintf(command, sizeof(command),
		"cd %s && iasl -d t.aml >out 2>&1 && ! grep -iE 'error|warning|invalid' out t.dsl",
		dir);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

static void test_iasl(void **state)
{
	struct vacpi_tables_config c = { .vcpus = 300, .apic_id = apic_id, .context = &dense,
		.pci_window = 0xd0000000,
		.ecam = 0xc0000000, .buses = 256, .hpet = true };

	(void)state;
	if (system("iasl -v >/dev/null 2>&1"))
		skip();
	assert_true(vacpi_tables_build(&c, buf, sizeof(buf), GPA(BASE), NULL) > 0);
	disassemble(table("FACP"));
	disassemble(table("APIC"));
	disassemble(table("MCFG"));
	disassemble(table("HPET"));
	disassemble(at(get(table("FACP") + 40, 4)));
	disassemble(at(get(table("FACP") + 36, 4)));
	disassemble(at(get(buf + 24, 8)));
	disassemble(at(get(buf + 16, 4)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_roots), cmocka_unit_test(test_madt),
		cmocka_unit_test(test_numbers), cmocka_unit_test(test_mouse),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_iasl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
