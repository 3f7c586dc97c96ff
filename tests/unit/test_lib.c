/* SPDX-License-Identifier: BSD-2-Clause */
/* links: lib/crc.c */
/* lib/ring.h, lib/crc: order, limits, wrap; known check values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/crc.h"
#include "lib/ring.h"

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
		cmocka_unit_test(checks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
