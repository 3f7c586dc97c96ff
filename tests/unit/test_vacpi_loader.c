/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vacpi_loader.c vdev/vacpi_tables.c build/gen/vdev/dsdt.aml.c */
/*
 * vdev/vacpi_loader: its script is carried out as firmware would, which puts the files anywhere and
 * looks at its own bounds; what comes of it must be the tables as they are built for that place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "include/bits.h"
#include "vdev/vacpi_loader.h"

#define HIGH	0x7ffd0000u
#define FSEG	0xf5230u

static uint8_t buf[VACPI_LOADER_MAX], moved[VACPI_LOADER_MAX];

static uint32_t apic_id(const void *context, unsigned index)
{
	(void)context;
	return index * 2;
}

struct placed {
	const char *name;
	uint8_t *at;
	uint32_t size, base;
};

static struct placed files[2];		/* RSDP, tables */

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

static struct placed *file(const uint8_t *name)
{
	for (unsigned i = 0; i < 2; i++)
		if (!strcmp((const char *)name, files[i].name))
			return &files[i];
	fail_msg("no file %.56s", name);
	return NULL;
}

static void allocate(const uint8_t *c)
{
	struct placed *f = file(c + 4);
	bool rsdp = f == &files[0];

	assert_int_equal(f->base, 0);
	assert_int_equal(get32(c + 60), rsdp ? 16 : 64);
	assert_int_equal(c[64], rsdp ? 2 : 1);
	f->base = rsdp ? FSEG : HIGH;
}

static void add_pointer(const uint8_t *c)
{
	struct placed *to = file(c + 4), *from = file(c + 60);
	uint32_t offset = get32(c + 116), size = c[120];
	uint64_t value = 0;

	assert_true(to->base && from->base && (size == 4 || size == 8));
	assert_true(offset + size <= to->size);
	memcpy(&value, to->at + offset, size);
	assert_true(value < from->size);
	value += from->base;
	memcpy(to->at + offset, &value, size);
}

static void add_sum(const uint8_t *c)
{
	struct placed *f = file(c + 4);
	uint32_t at = get32(c + 60), start = get32(c + 64), length = get32(c + 68);
	uint8_t sum = 0;

	assert_true(at < f->size && start + length <= f->size);
	assert_int_equal(f->at[at], 0);
	for (uint32_t i = start; i < start + length; i++)
		sum += f->at[i];
	f->at[at] = (uint8_t)-sum;
}

static void carry_out(const uint8_t *script, uint32_t size)
{
	static void (*const command[])(const uint8_t *c) = { NULL, allocate, add_pointer, add_sum };

	assert_int_equal(size % VACPI_LOADER_COMMAND, 0);
	for (; size; size -= VACPI_LOADER_COMMAND, script += VACPI_LOADER_COMMAND) {
		assert_in_range(get32(script), 1, 3);
		command[get32(script)](script);
	}
}

static void check(const struct vacpi_tables_config *c)
{
	struct vacpi_files f;
	const uint8_t *tables;
	long n;

	assert_int_equal(vacpi_loader_build(c, buf, sizeof(buf), &f), 0);
	assert_int_equal(f.file[VACPI_FILE_RSDP].size, 36);
	files[0] = (struct placed){ VACPI_LOADER_RSDP, buf + f.file[VACPI_FILE_RSDP].at, 36, 0 };
	files[1] = (struct placed){
		VACPI_LOADER_TABLES, buf + f.file[VACPI_FILE_TABLES].at,
		f.file[VACPI_FILE_TABLES].size, 0,
	};
	carry_out(buf + f.file[VACPI_FILE_SCRIPT].at, f.file[VACPI_FILE_SCRIPT].size);
	/* The RSDP is 64 bytes long there, so that what follows begins at HIGH. */
	n = vacpi_tables_build(c, moved, sizeof(moved), GPA(HIGH - 64), NULL);
	tables = moved + 64;
	assert_int_equal(n - 64, files[1].size);
	assert_memory_equal(files[1].at, tables, files[1].size);
	assert_memory_equal(files[0].at, moved, 36);
}

static void test_script(void **state)
{
	struct vacpi_tables_config c = {
		.vcpus = 1, .apic_id = apic_id, .pci_window = 0xc0000000, .ecam = 0xb0000000,
		.buses = 2,
	};

	(void)state;
	check(&c);
	c.vcpus = 300;
	check(&c);
	c.ecam = 0;
	check(&c);
}

static void test_refused(void **state)
{
	struct vacpi_tables_config c = {
		.vcpus = 1, .apic_id = apic_id, .pci_window = 0xc0000000, .buses = 1,
	};
	struct vacpi_files f;

	(void)state;
	assert_int_equal(vacpi_loader_build(&c, buf, 64, &f), -ENOSPC);
	assert_int_equal(vacpi_loader_build(&c, buf, VACPI_LOADER_SCRIPT_MAX + 256, &f), -ENOSPC);
	c.vcpus = 0;
	assert_int_equal(vacpi_loader_build(&c, buf, sizeof(buf), &f), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_script), cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
