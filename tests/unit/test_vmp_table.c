/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vmp_table.c vdev/vacpi_tables.c build/gen/vdev/dsdt.aml.c */
/*
 * vdev/vmp_table: found as kernels look for it, sums and counts right, and the same routing as
 * ACPI's MADT and _PRT tell.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "include/bits.h"
#include "vdev/vacpi_tables.h"
#include "vdev/vmp_table.h"

#define BASE	0xf0000u

static uint8_t buf[VMP_TABLE_MAX], acpi[VACPI_TABLES_MAX];
static const uint8_t sizes[] = { 20, 8, 8, 8, 8 };

static uint64_t get(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	memcpy(&v, p, n);
	return v;
}

static uint8_t sum(const uint8_t *p, size_t n)
{
	uint8_t s = 0;

	while (n--)
		s += *p++;
	return s;
}

static uint32_t apic_id(const void *context, unsigned index)
{
	return *(const unsigned *)context + index;
}

static const unsigned none, seven = 7;

static const uint8_t *build(unsigned vcpus, const unsigned *first)
{
	struct vmp_table_config c = {
		.apic_id = apic_id, .context = first, .vcpus = vcpus, .signature = 0x60fb1,
		.features = 0x1783fbff, .ioapic_id = 0,
	};
	long n = vmp_table_build(&c, buf, sizeof(buf), GPA(BASE));

	assert_true(n > 60);
	assert_memory_equal(buf, "_MP_", 4);
	assert_int_equal(buf[8], 1);
	assert_int_equal(sum(buf, 16), 0);
	assert_int_equal(get(buf + 4, 4), BASE + 16);
	assert_memory_equal(buf + 16, "PCMP", 4);
	assert_int_equal(get(buf + 20, 2), n - 16);
	assert_int_equal(sum(buf + 16, (size_t)n - 16), 0);
	assert_int_equal(get(buf + 16 + 36, 4), 0xfee00000);
	return buf + 16;
}

/* Entry `i` of a type, or NULL. */
static const uint8_t *entry(const uint8_t *table, unsigned type, unsigned i)
{
	const uint8_t *p = table + 44;

	for (unsigned n = (unsigned)get(table + 34, 2); n; n--, p += sizes[p[0]]) {
		assert_true(p[0] < sizeof(sizes));
		if (p[0] == type && !i--)
			return p;
	}
	assert_ptr_equal(p, table + get(table + 4, 2));
	return NULL;
}

static void test_processors(void **state)
{
	(void)state;
	for (unsigned vcpus = 1; vcpus <= 300; vcpus += 23) {
		const uint8_t *t = build(vcpus, vcpus % 2 ? &none : &seven);

		for (unsigned i = 0; i < MIN(vcpus, 254u); i++) {
			const uint8_t *cpu = entry(t, 0, i);

			assert_int_equal(cpu[1], vcpus % 2 ? i : (i + 7) % 256);
			assert_int_equal(cpu[3], i ? 1 : 3);
			assert_int_equal(get(cpu + 4, 4), 0x60fb1);
		}
		assert_null(entry(t, 0, MIN(vcpus, 254u)));
		assert_int_equal(get(entry(t, 2, 0) + 4, 4), 0xfec00000);
		assert_null(entry(t, 2, 1));
		assert_int_equal(entry(t, 4, 0)[1], 3);		/* ExtINT at LINT0 */
		assert_int_equal(entry(t, 4, 1)[1], 1);		/* NMI at LINT1 of all */
		assert_int_equal(entry(t, 4, 1)[6], 0xff);
	}
}

/* The MADT's override for an ISA interrupt, or NULL. */
static const uint8_t *override(unsigned irq)
{
	const uint8_t *rsdt, *t = NULL, *p;

	rsdt = acpi + get(acpi + 16, 4) - 0xe0000;
	for (unsigned i = 36; i < get(rsdt + 4, 4); i += 4)
		if (!memcmp(acpi + get(rsdt + i, 4) - 0xe0000, "APIC", 4))
			t = acpi + get(rsdt + i, 4) - 0xe0000;
	assert_non_null(t);
	for (p = t + 44; p < t + get(t + 4, 4); p += p[1])
		if (p[0] == 2 && p[3] == irq)
			return p;
	return NULL;
}

static void test_routing(void **state)
{
	struct vacpi_tables_config c = { .vcpus = 1, .apic_id = apic_id, .context = &none,
					 .pci_window = 0xd0000000, .buses = 1 };
	const uint8_t *t = build(1, &none), *p, *o;
	unsigned isa = 0, pci = 0;

	(void)state;
	assert_true(vacpi_tables_build(&c, acpi, sizeof(acpi), GPA(0xe0000), NULL) > 0);
	assert_memory_equal(entry(t, 1, 0) + 2, "PCI   ", 6);
	assert_memory_equal(entry(t, 1, 1) + 2, "ISA   ", 6);
	for (unsigned i = 0; (p = entry(t, 3, i)); i++) {
		assert_int_equal(p[1], 0);
		if (p[4] == 1) {
			isa++;
			o = override(p[5]);
			assert_int_equal(p[7], o ? get(o + 4, 4) : p[5]);
			assert_int_equal(get(p + 2, 2), o ? get(o + 8, 2) : 0);
		} else {
			pci++;
			assert_int_equal(p[7], 16 + ((p[5] >> 2 < 25 ? p[5] >> 2 : 0) +
						     (p[5] & 3)) % 8);
		}
	}
	assert_int_equal(isa, 15);
	assert_int_equal(pci, 128);
}

static void test_refused(void **state)
{
	struct vmp_table_config c = { .vcpus = 2, .apic_id = apic_id, .context = &none };
	long n = vmp_table_build(&c, buf, sizeof(buf), GPA(BASE));

	(void)state;
	for (long size = 0; size < n; size++) {
		uint8_t *tight = malloc((size_t)size + !size);

		assert_int_equal(vmp_table_build(&c, tight, (size_t)size, GPA(BASE)), -ENOSPC);
		free(tight);
	}
	assert_int_equal(vmp_table_build(&c, buf, sizeof(buf), GPA(BASE + 4)), -EINVAL);
	assert_int_equal(vmp_table_build(&c, buf, sizeof(buf), GPA(MIB - 16)), -EINVAL);
	c.vcpus = 0;
	assert_int_equal(vmp_table_build(&c, buf, sizeof(buf), GPA(BASE)), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_processors), cmocka_unit_test(test_routing),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
