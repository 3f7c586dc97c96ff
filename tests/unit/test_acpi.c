/* SPDX-License-Identifier: BSD-2-Clause */
/* links: drivers/acpi.c cpu/features.c tests/host/log.c */
/*
 * drivers/acpi.c: tables built here, good ones and each kind of damage. The names of tests
 * say what is expected.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/features.h"
#include "drivers/acpi.h"
#include "include/errno.h"
#include "kernel/log.h"
#include "mm/kmap.h"
#include "tests/host/acpi_build.h"

extern unsigned host_log_count[4];

static struct acpi_info info;
static unsigned windows;		/* that are open */

#define HIGH	(1ul << 33)		/* where memory[] lies for kmap_io */

void *kmap_io(hpa_t a, uint64_t size, enum paging_cache c)
{
	assert_int_equal(c, CACHE_WB);
	assert_int_equal(a.v % PAGE_SIZE + size % PAGE_SIZE, 0);
	if (a.v < HIGH || a.v - HIGH > MEMORY_SIZE || size > MEMORY_SIZE - (a.v - HIGH))
		return NULL;
	windows++;
	return memory + (a.v - HIGH);
}

void kmap_io_unmap(void *va, uint64_t size)
{
	(void)va;
	assert_int_equal(size % PAGE_SIZE, 0);
	assert_true(windows--);
}

static bool reader(hpa_t a, void *buf, size_t n)
{
	if (a.v > MEMORY_SIZE || n > MEMORY_SIZE - a.v)
		return false;
	memcpy(buf, memory + a.v, n);
	return true;
}

static int parse(void)
{
	return acpi_parse(&info, memory, 36, reader);
}

static const uint8_t madt[] = {
	0x00, 0x00, 0xe0, 0xfe, 1, 0, 0, 0,
	0, 8, 0, 0, 1, 0, 0, 0,				/* CPU 0 */
	0, 8, 1, 2, 1, 0, 0, 0,				/* CPU 1, APIC id 2 */
	0, 8, 2, 4, 0, 0, 0, 0,				/* an empty socket */
	0, 8, 3, 6, 2, 0, 0, 0,				/* may be plugged in */
	0, 8, 4, 8, 2, 0, 0, 0,				/* so may this one, or its id is ... */
	0, 8, 5, 8, 1, 0, 0, 0,				/* ... that of one which is there */
	9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0,	/* x2APIC id 256 */
	9, 16, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0,	/* APIC id 2 again */
	1, 12, 5, 0, 0x00, 0x00, 0xc0, 0xfe, 0, 0, 0, 0,	/* I/O APIC */
	2, 10, 0, 0, 2, 0, 0, 0, 0, 0,			/* IRQ 0 is wire 2 */
	2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0,		/* IRQ 9: level, high */
	2, 10, 0, 11, 20, 0, 0, 0, 0x0f, 0,		/* IRQ 11: level, low, wire 20 */
	4, 6, 0xff, 5, 0, 1,				/* NMI on LINT1 of all */
	77, 3, 0,					/* unknown: skipped */
	5, 12, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,		/* LAPIC at 4 GiB */
};

static void check_madt(void)
{
	assert_int_equal(info.cpu_count, 4);
	assert_int_equal(info.cpu[1].apic_id, 2);
	assert_int_equal(info.cpu[2].apic_id, 8);
	assert_int_equal(info.cpu[2].uid, 5);
	assert_int_equal(info.cpu[3].apic_id, 256);
	assert_int_equal(info.cpu[3].uid, 9);
	assert_int_equal(info.ioapic_count, 1);
	assert_int_equal(info.ioapic[0].base.v, 0xfec00000);
	assert_int_equal(info.override_count, 3);
	assert_int_equal(info.override[0].gsi, 2);
	assert_false(info.override[0].level);
	assert_true(info.override[1].level && !info.override[1].low);
	assert_true(info.override[2].level && info.override[2].low);
	assert_int_equal(info.nmi_count, 1);
	assert_int_equal(info.nmi[0].uid, ACPI_UID_ALL);
	assert_int_equal(info.nmi[0].lint, 1);
	assert_true(info.pic);
	assert_int_equal(info.lapic.v, 0x100000000);
}

static void madt_by_xsdt_and_rsdt(void **state)
{
	(void)state;
	for (unsigned revision = 0; revision <= 2; revision += 2) {
		build_begin(revision);
		build_table("APIC", madt, sizeof(madt));
		assert_int_equal(parse(), 0);
		assert_int_equal(info.revision, revision);
		assert_string_equal(info.oem, "KEEL  ");
		check_madt();
	}
}

static uint16_t boot_architecture;

static void build_fadt(unsigned revision, uint32_t dsdt)
{
	uint8_t b[244 - 36] = { 0 };
	uint32_t at, n = revision == 1 ? 116 - 36 : sizeof(b);

#define AT(offset, v) b[(offset) - 36] = (uint8_t)(v), b[(offset) - 35] = (uint8_t)((v) >> 8)
	memcpy(b + 4, &dsdt, 4);
	AT(46, 9);
	AT(48, 0xb2);
	AT(52, 0xf1);
	AT(64, 0x604);
	AT(76, 0x608);
	AT(109, boot_architecture);
	AT(112, 0x0500);	/* 32-bit timer, reset register */
	AT(116, 0x0801);
	AT(120, 0xcf9);
	AT(128, 0x0f);
#undef AT
	if (revision == 1)
		b[113 - 36] = 0;
	at = build_table("FACP", b, n);
	memory[at + 8] = (uint8_t)revision;
	checksum(at, 36 + n, at + 9);
}

/* ACPI 1.0 does not tell. */
static void fadt_without_keyboard(void **state)
{
	static const struct { unsigned revision, flags; bool none; } cases[] = {
		{ 3, 1, true }, { 3, 2, false }, { 6, 0, true }, { 1, 0, false },
	};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		boot_architecture = (uint16_t)cases[i].flags;
		build_begin(2);
		build_fadt(cases[i].revision, 0);
		assert_int_equal(parse(), 0);
		assert_int_equal(info.no_keyboard, cases[i].none);
	}
	boot_architecture = 0;
}

static void fadt_with_soft_off(void **state)
{
	static const uint8_t dsdt[] = {
		0x5b, 0x80, '_', 'S', '5',
		0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 0x05, 0x01, 0, 0,
	};

	(void)state;
	build_begin(2);
	build_fadt(3, build_loose("DSDT", dsdt, sizeof(dsdt)));
	assert_int_equal(parse(), 0);
	assert_true(info.s5);
	assert_int_equal(info.s5_a, 5);
	assert_int_equal(info.s5_b, 1);
	assert_int_equal(info.pm1a_control, 0x604);
	assert_int_equal(info.pm_timer_port, 0x608);
	assert_int_equal(info.pm_timer_bits, 32);
	assert_int_equal(info.reset.address, 0xcf9);
	assert_int_equal(info.reset.space, ACPI_SPACE_IO);
	assert_int_equal(info.reset_value, 0x0f);
	assert_int_equal(info.sci, 9);
}

/* Bit 20 of the flags: the sleep control register counts. */
static void fadt_of_reduced_hardware(void **state)
{
	uint8_t b[268 - 36] = { 0 };

	(void)state;
	for (unsigned reduced = 0; reduced < 2; reduced++) {
		b[114 - 36] = reduced ? 0x10 : 0;
		b[244 - 36] = ACPI_SPACE_IO;
		b[245 - 36] = 8;
		b[248 - 36] = 0x34;
		b[249 - 36] = 0x12;
		build_begin(2);
		build_table("FACP", b, sizeof(b));
		assert_int_equal(parse(), 0);
		assert_int_equal(info.sleep.address, reduced ? 0x1234 : 0);
	}
}

static void fadt_of_revision_1(void **state)
{
	uint8_t dsdt[600] = { 0 };
	static const uint8_t s5[] = {
		0x08, '\\', '_', 'S', '5', '_', 0x12, 0x07, 0x02, 0x00, 0x00,
	};

	(void)state;
	/* The name crosses every seam of the search. */
	for (unsigned at = 200; at < 500; at++) {
		memset(dsdt, 0, sizeof(dsdt));
		memcpy(dsdt + at, s5, sizeof(s5));
		build_begin(0);
		build_fadt(1, build_loose("DSDT", dsdt, sizeof(dsdt)));
		assert_int_equal(parse(), 0);
		assert_true(info.s5);
		assert_int_equal(info.s5_a, 0);
		assert_int_equal(info.reset.address, 0);
		assert_int_equal(info.pm_timer_bits, 24);
	}
}

static void no_soft_off_without_its_package(void **state)
{
	static const uint8_t cut[] = { 0x08, '_', 'S', '5', '_' };
	static const uint8_t call[] = {
		0x70, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 0x05, 0x01, 0, 0,
	};

	(void)state;
	build_begin(2);
	build_fadt(3, build_loose("DSDT", cut, sizeof(cut)));
	assert_int_equal(parse(), 0);
	assert_false(info.s5);
	build_begin(2);
	build_fadt(3, build_loose("DSDT", call, sizeof(call)));
	assert_int_equal(parse(), 0);
	assert_false(info.s5);
	build_begin(2);
	build_fadt(3, 0xfffffff0);
	assert_int_equal(parse(), 0);
	assert_false(info.s5);
	assert_int_equal(info.pm1a_control, 0x604);
}

static void mcfg_hpet_srat(void **state)
{
	static const uint8_t mcfg[] = {
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0,
		/* last before first: left out */
		0, 0, 0, 0xc0, 0, 0, 0, 0, 1, 0, 9, 3, 0, 0, 0, 0,
	};
	static const uint8_t hpet[20] = { 1, 2, 3, 4, 0, 64, 0, 0, 0, 0, 0xd0, 0xfe };
	uint8_t srat[12 + 16 + 40 + 24 + 40] = { 0 };
	uint8_t *p = srat + 12;

	(void)state;
	memcpy(p, (uint8_t[]){ 0, 16, 7, 0, 1 }, 5);		/* APIC 0 in domain 7 */
	p += 16;
	memcpy(p, (uint8_t[]){ 1, 40, 7 }, 3);			/* 1 MiB from 0 in domain 7 */
	p[18] = 0x10;
	p[28] = 1;
	p += 40;
	/* APIC 2 in domain 9 */
	memcpy(p, (uint8_t[]){ 2, 24, 0, 0, 9, 0, 0, 0, 2, 0, 0, 0, 1 }, 13);
	p += 24;
	memcpy(p, (uint8_t[]){ 1, 40, 9 }, 3);			/* wraps: left out */
	memset(p + 8, 0xff, 16);
	p[28] = 1;
	build_begin(2);
	build_table("SRAT", srat, sizeof(srat));		/* before the MADT on purpose */
	build_table("MCFG", mcfg, sizeof(mcfg));
	build_table("HPET", hpet, sizeof(hpet));
	build_table("APIC", madt, sizeof(madt));
	assert_int_equal(parse(), 0);
	assert_int_equal(info.ecam_count, 1);
	assert_int_equal(info.ecam[0].base.v, 0xb0000000);
	assert_int_equal(info.ecam[0].last_bus, 255);
	assert_int_equal(info.hpet.v, 0xfed00000);
	assert_int_equal(info.node_count, 2);
	assert_int_equal(info.cpu[0].node, 0);
	assert_int_equal(info.cpu[1].node, 1);
	assert_int_equal(info.memory_count, 1);
	assert_int_equal(info.memory[0].size, 1u << 20);
}

static void build_spcr(const void *start, unsigned n, uint8_t revision)
{
	uint8_t b[88 - 36] = { 0 };
	uint32_t at;

	memcpy(b, start, n);
	build_begin(2);
	at = build_table("SPCR", b, sizeof(b));
	memory[at + 8] = revision;
	put(at + 76, 48000000, 4);
	put(at + 80, 230400, 4);
	seal_table(at, "SPCR", 88);
	assert_int_equal(parse(), 0);
}

static void console_of_the_firmware(void **state)
{
	static const uint8_t com2[] = {
		0, 0, 0, 0, 1, 8, 0, 0, 0xf8, 2, 0, 0, 0, 0, 0, 0, 1, 3, 0, 0, 0, 0, 6,
	};
	static const uint8_t memory_mapped[] = {
		0x12, 0, 0, 0, 0, 32, 0, 3, 0, 0, 0xc9, 0xfe, 1, 0, 0, 0, 2, 99, 20, 1, 0, 0, 0,
	};
	static const uint8_t other[] = { 3, 0, 0, 0, 0, 32, 0, 3, 0, 0, 0xc9, 0xfe };
	static const uint8_t odd[] = {
		1, 0, 0, 0, 1, 16, 0, 9, 0xf8, 3, 0, 0, 0, 0, 0, 0, 1, 16, 0, 0, 0, 0, 5,
	};
	const struct acpi_serial *s = &info.serial;

	(void)state;
	build_spcr(com2, sizeof(com2), 2);
	assert_int_equal(s->port.space, ACPI_SPACE_IO);
	assert_int_equal(s->port.address, 0x2f8);
	assert_int_equal(s->port.width, 8);
	assert_true(s->irq_known && !s->gsi_known);
	assert_int_equal(s->irq, 3);
	assert_int_equal(s->baud, 57600);
	assert_int_equal(s->clock_hz, 0);
	build_spcr(memory_mapped, sizeof(memory_mapped), 3);
	assert_int_equal(s->port.space, ACPI_SPACE_MEMORY);
	assert_int_equal(s->port.address, 0x1fec90000);
	assert_int_equal(s->port.width, 32);
	assert_true(!s->irq_known && s->gsi_known);
	assert_int_equal(s->gsi, 0x114);
	assert_int_equal(s->baud, 0);
	assert_int_equal(s->clock_hz, 48000000);
	build_spcr(com2, sizeof(com2), 4);
	assert_int_equal(s->baud, 230400);
	build_spcr(other, sizeof(other), 2);		/* not a 16550 */
	assert_int_equal(s->port.address, 0);
	build_spcr(odd, sizeof(odd), 2);	/* widths, lines, rates that are none */
	assert_int_equal(s->port.width, 16);
	assert_false(s->irq_known);
	assert_int_equal(s->baud, 0);
}

static void damaged_root(void **state)
{
	(void)state;
	build_begin(2);
	build_table("APIC", madt, sizeof(madt));
	memory[8]++;
	assert_int_equal(parse(), -ENOENT);
	memory[8]--;
	assert_int_equal(acpi_parse(&info, memory, 19, reader), -ENOENT);
	memory[ROOT_AT] = 'Y';
	assert_int_equal(parse(), -ENOENT);
	assert_int_equal(info.node_count, 1);
	build_begin(2);
	put(24, 0xffffffffffffffff, 8);
	checksum(0, 36, 32);
	assert_int_equal(parse(), -ENOENT);
}

static void damaged_tables(void **state)
{
	unsigned warnings = host_log_count[LOG_WARN];
	uint32_t at;

	(void)state;
	/* A wrong checksum, of the table and of the root, is worth a warning and no more. */
	build_begin(2);
	at = build_table("APIC", madt, sizeof(madt));
	memory[at + 9]++;
	memory[ROOT_AT + 9]++;
	assert_int_equal(parse(), 0);
	check_madt();
	assert_int_equal(host_log_count[LOG_WARN], warnings + 2);
	/* A record that runs over the end, one of no length: those before count. */
	for (unsigned length = 0; length < 256; length += length ? 100 : 1) {
		build_begin(2);
		at = build_table("APIC", madt, 8 + 8 + 8);
		memory[at + 36 + 16 + 1] = (uint8_t)length;
		seal_table(at, "APIC", 36 + 24);
		assert_int_equal(parse(), 0);
		assert_int_equal(info.cpu_count, 1);
	}
	/* A length beyond memory. */
	build_begin(2);
	at = build_table("APIC", madt, sizeof(madt));
	put(at + 4, 0xffffffff, 4);
	assert_int_equal(parse(), 0);
	assert_int_equal(info.cpu_count, 0);
}

static void more_than_fits(void **state)
{
	uint8_t big[8 + 300 * 16] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		uint8_t *p = big + 8 + i * 16;

		p[0] = 9;
		p[1] = 16;
		p[4] = (uint8_t)i;
		p[5] = (uint8_t)(i >> 8);
		p[8] = 1;
	}
	build_begin(2);
	build_table("APIC", big, sizeof(big));
	assert_int_equal(parse(), 0);
	assert_int_equal(info.cpu_count, CPU_MAX);
}

static void move(uint32_t at)
{
	uint64_t v;

	memcpy(&v, memory + at, 8);
	put(at, v + HIGH, 8);
}

/* The root and all it names beyond 4 GiB, and one entry that no processor could reach. */
static void tables_above_4_gib(void **state)
{
	uint32_t a;

	(void)state;
	features.physical_bits = 40;
	build_begin(2);
	memory_end = 0x1fe0;				/* over a page's end */
	build_table("APIC", madt, sizeof(madt));
	build_table("NONE", madt, 8);
	memcpy(&a, memory + ROOT_AT + 4, 4);
	move(ROOT_AT + 36);
	put(ROOT_AT + 44, ~0xffful, 8);
	seal_table(ROOT_AT, "XSDT", a);
	move(24);
	checksum(0, 36, 32);
	assert_int_equal(acpi_init(memory, 36), -EAGAIN);
	assert_false(acpi_info.found);
	assert_int_equal(acpi_init_late(memory, 36), 0);
	info = acpi_info;
	check_madt();
	assert_int_equal(windows, 0);
}

static void isa_wires(void **state)
{
	(void)state;
	build_begin(2);
	build_table("APIC", madt, sizeof(madt));
	assert_int_equal(acpi_parse(&acpi_info, memory, 36, reader), 0);
	assert_int_equal(acpi_isa_irq(0).gsi, 2);
	assert_int_equal(acpi_isa_irq(4).gsi, 4);
	assert_false(acpi_isa_irq(4).level);
	assert_true(acpi_isa_irq(11).low);
}

static void dmar_says_no_x2apic(void **state)
{
	static const uint8_t flags[] = { 0, 1, 3, 2 };
	uint8_t dmar[12] = { 38 };

	(void)state;
	for (unsigned i = 0; i < sizeof(flags); i++) {
		dmar[1] = flags[i];
		build_begin(2);
		build_table("DMAR", dmar, sizeof(dmar));
		assert_int_equal(parse(), 0);
		assert_int_equal(info.x2apic_opt_out, flags[i] >> 1);
	}
	build_begin(2);
	build_table("DMAR", dmar, 1);		/* cut short */
	assert_int_equal(parse(), 0);
	assert_false(info.x2apic_opt_out);
}

/* Firmware's wish yields to an id that xAPIC cannot name. */
static void x2apic_for_large_ids(void **state)
{
	(void)state;
	acpi_info = (struct acpi_info){ .cpu_count = 2, .cpu = { { 0 }, { .apic_id = 254 } } };
	assert_true(acpi_wants_x2apic());
	acpi_info.x2apic_opt_out = true;
	assert_false(acpi_wants_x2apic());
	acpi_info.cpu[1].apic_id = 255;
	assert_true(acpi_wants_x2apic());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(madt_by_xsdt_and_rsdt),
		cmocka_unit_test(fadt_with_soft_off),
		cmocka_unit_test(fadt_without_keyboard),
		cmocka_unit_test(fadt_of_reduced_hardware),
		cmocka_unit_test(fadt_of_revision_1),
		cmocka_unit_test(no_soft_off_without_its_package),
		cmocka_unit_test(mcfg_hpet_srat),
		cmocka_unit_test(console_of_the_firmware),
		cmocka_unit_test(damaged_root),
		cmocka_unit_test(damaged_tables),
		cmocka_unit_test(more_than_fits),
		cmocka_unit_test(isa_wires),
		cmocka_unit_test(dmar_says_no_x2apic),
		cmocka_unit_test(x2apic_for_large_ids),
		cmocka_unit_test(tables_above_4_gib),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
