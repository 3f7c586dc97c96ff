/* SPDX-License-Identifier: BSD-2-Clause */
/* links: lib/sort.c lib/crc.c */
/*
 * lib/ring.h, lib/sort, lib/crc: order, limits, wrap; every permutation and random arrays;
 * known check values.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/crc.h"
#include "lib/ring.h"
#include "lib/sort.h"

static void ring_limits(void **state)
{
	uint8_t data[8];
	struct ring r = RING_INIT(data);
	char out[16];

	(void)state;
	assert_int_equal(ring_get(&r), -1);
	assert_int_equal(ring_write(&r, "abcdefghij", 10), 8);
	assert_false(ring_put(&r, 'x'));
	assert_int_equal(ring_read(&r, out, 3), 3);
	assert_memory_equal(out, "abc", 3);
	assert_int_equal(ring_space(&r), 3);
	ring_put_over(&r, '1');
	ring_write(&r, "23", 2);
	ring_put_over(&r, '4');
	assert_int_equal(ring_read(&r, out, 16), 8);
	assert_memory_equal(out, "efgh1234", 8);
}

static void ring_wraps(void **state)
{
	uint8_t data[16];
	struct ring r;
	unsigned in = 0, out = 0;

	(void)state;
	ring_init(&r, data, sizeof(data));
	r.head = r.tail = ~0u - 20;
	for (unsigned i = 0; i < 10000; i++) {
		for (unsigned n = (unsigned)rand() % 20; n--;)
			in += ring_put(&r, (uint8_t)in);
		for (unsigned n = (unsigned)rand() % 20; n-- && ring_count(&r);)
			assert_int_equal(ring_get(&r), (uint8_t)out++);
		assert_int_equal(ring_count(&r), in - out);
	}
}

static int compare(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

static void sorts(void **state)
{
	int a[300], b[300];

	(void)state;
	for (unsigned round = 0; round < 500; round++) {
		unsigned n = (unsigned)rand() % 300;

		for (unsigned i = 0; i < n; i++)
			a[i] = b[i] = rand() % (round % 2 ? 10 : 1000000);
		sort_array(a, n, sizeof(int), compare);
		qsort(b, n, sizeof(int), compare);
		assert_memory_equal(a, b, n * sizeof(int));
	}
}

static void checks(void **state)
{
	(void)state;
	assert_int_equal(crc32(0, "123456789", 9), 0xcbf43926);
	assert_int_equal(crc32(crc32(0, "1234", 4), "56789", 5), 0xcbf43926);
	assert_int_equal(crc32(0, "", 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ring_limits),
		cmocka_unit_test(ring_wraps),
		cmocka_unit_test(sorts),
		cmocka_unit_test(checks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
