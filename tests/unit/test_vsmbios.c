/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vsmbios.c lib/format.c */
/*
 * vdev/vsmbios: tables are walked as systems do, each string and number where the specification has
 * it; sums, sizes that do not fit their narrow field, a full buffer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "include/bits.h"
#include "vdev/vsmbios.h"

static uint8_t buf[VSMBIOS_TABLES_MAX];

static const struct vsmbios_config small = {
	.manufacturer = "Maker", .product = "Thing", .serial = "",
	.uuid = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
	.sockets = 1, .cores = 1, .threads = 1, .signature = 0x663, .ram_below_4g = 192 * MIB,
};

static uint64_t get(const uint8_t *t, unsigned at, unsigned n)
{
	uint64_t v = 0;

	assert_true(at + n <= t[1]);
	memcpy(&v, t + at, n);
	return v;
}

/* Behind the strings. */
static const uint8_t *next(const uint8_t *t)
{
	for (t += t[1]; t[0] || t[1]; t++)
		assert_true(t + 2 < buf + sizeof(buf));
	return t + 2;
}

static const uint8_t *find(long size, uint8_t type, unsigned number)
{
	const uint8_t *t = buf;

	for (; t < buf + size; t = next(t))
		if (t[0] == type && !number--)
			return t;
	return NULL;
}

static const char *string(const uint8_t *t, unsigned at)
{
	const char *s = (const char *)t + t[1];
	unsigned n = (unsigned)get(t, at, 1);

	if (!n)
		return NULL;
	while (--n) {
		assert_true(*s);
		s += strlen(s) + 1;
	}
	return s;
}

static void test_small(void **state)
{
	static const uint8_t uuid[] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
	static const uint8_t types[] = { 1, 3, 4, 16, 17, 19, 32, 127 };
	long size = vsmbios_build(&small, buf, sizeof(buf));
	const uint8_t *t = buf;

	(void)state;
	assert_true(size > 0);
	for (unsigned i = 0; i < ARRAY_COUNT(types); i++, t = next(t)) {
		assert_int_equal(t[0], types[i]);
		assert_int_equal(get(t, 2, 2), types[i] << 8);
	}
	assert_ptr_equal(t, buf + size);
	t = find(size, 1, 0);
	assert_string_equal(string(t, 4), "Maker");
	assert_string_equal(string(t, 5), "Thing");
	assert_null(string(t, 7));
	assert_memory_equal(t + 8, uuid, 16);
	t = find(size, 4, 0);
	assert_string_equal(string(t, 4), "CPU 0");
	assert_int_equal(get(t, 8, 4), 0x663);
	assert_int_equal(get(t, 0x23, 1), 1);
	assert_int_equal(get(find(size, 16, 0), 7, 4), 192 * 1024);
	t = find(size, 17, 0);
	assert_int_equal(get(t, 0xc, 2), 192);
	assert_string_equal(string(t, 0x10), "DIMM 0");
	t = find(size, 19, 0);
	assert_int_equal(get(t, 4, 4), 0);
	assert_int_equal(get(t, 8, 4), 192 * 1024 - 1);
}

static void test_large(void **state)
{
	struct vsmbios_config c = small;
	const uint8_t *t;
	long size;

	(void)state;
	c.serial = "S-1";
	c.sockets = 64;
	c.cores = 300;
	c.threads = 2;
	c.ram_below_4g = 2 * GIB;
	c.ram_above_4g = 6 * 1024 * GIB;
	size = vsmbios_build(&c, buf, sizeof(buf));
	assert_true(size > 0);
	assert_string_equal(string(find(size, 1, 0), 7), "S-1");
	t = find(size, 4, 63);
	assert_string_equal(string(t, 4), "CPU 63");
	assert_int_equal(get(t, 2, 2), 0x43f);
	assert_int_equal(get(t, 0x23, 1), 0xff);
	assert_int_equal(get(t, 0x2a, 2), 300);
	assert_int_equal(get(t, 0x2e, 2), 600);
	assert_null(find(size, 4, 64));
	assert_int_equal(get(find(size, 16, 0), 7, 4), 0x80000000);
	assert_int_equal(get(find(size, 16, 0), 0xf, 8), 6146 * GIB);
	assert_int_equal(get(find(size, 17, 0), 0xc, 2), 0x7fff);
	assert_int_equal(get(find(size, 17, 0), 0x1c, 4), 6146 * 1024);
	t = find(size, 19, 1);
	assert_int_equal(get(t, 4, 4), ~0u);
	assert_int_equal(get(t, 0xf, 8), 4 * GIB);
	assert_int_equal(get(t, 0x17, 8), 6148 * GIB - 1);
}

static void test_full(void **state)
{
	long size = vsmbios_build(&small, buf, sizeof(buf));

	(void)state;
	for (long n = 0; n < size; n++) {
		uint8_t *tight = malloc((size_t)n + 1);

		assert_int_equal(vsmbios_build(&small, tight, (size_t)n), -ENOSPC);
		free(tight);
	}
	assert_int_equal(vsmbios_build(&small, buf, (size_t)size), size);
}

static void test_anchor(void **state)
{
	uint8_t a[VSMBIOS_ANCHOR_SIZE], sum = 0;
	uint32_t size;

	(void)state;
	vsmbios_anchor(a, 0x1234);
	for (unsigned i = 0; i < sizeof(a); i++)
		sum += a[i];
	assert_int_equal(sum, 0);
	assert_memory_equal(a, "_SM3_", 5);
	assert_int_equal(a[6], sizeof(a));
	assert_int_equal(a[7], 3);
	memcpy(&size, a + 12, 4);
	assert_int_equal(size, 0x1234);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small), cmocka_unit_test(test_large),
		cmocka_unit_test(test_full), cmocka_unit_test(test_anchor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
