/* SPDX-License-Identifier: BSD-2-Clause */
/* links: */
/*
 * lib/string.c against the C library's: every length to 200 at several alignments, moves that
 * overlap both ways. The file is included under other names, since the test program itself needs
 * the standard ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define memcpy		keel_memcpy
#define memmove		keel_memmove
#define memset		keel_memset
#define memcmp		keel_memcmp
#define strlen		keel_strlen
#define strnlen		keel_strnlen
#define strcmp		keel_strcmp
#define strncmp		keel_strncmp
#define strchr		keel_strchr
#define str_copy	keel_str_copy
#pragma GCC diagnostic ignored "-Wunused-function"
#include "lib/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr

#define SPAN	512

static uint8_t a[SPAN], b[SPAN];

static void fill(void)
{
	for (unsigned i = 0; i < SPAN; i++)
		a[i] = b[i] = (uint8_t)rand();
}

static void moves(void **state)
{
	(void)state;
	for (size_t n = 0; n < 200; n++) {
		for (size_t from = 64; from < 64 + 20; from++) {
			for (size_t to = 30; to < 130; to += 7) {
				fill();
				assert_ptr_equal(keel_memmove(a + to, a + from, n), a + to);
				memmove(b + to, b + from, n);
				assert_memory_equal(a, b, SPAN);
			}
		}
	}
}

static void copies(void **state)
{
	(void)state;
	for (size_t n = 0; n < 250; n++) {
		fill();
		keel_memcpy(a + 1 + n % 9, a + 256, n);
		memcpy(b + 1 + n % 9, b + 256, n);
		assert_memory_equal(a, b, SPAN);
		keel_memset(a + n % 11, (int)n * 7, n);
		memset(b + n % 11, (int)n * 7, n);
		assert_memory_equal(a, b, SPAN);
	}
}

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

static void comparisons(void **state)
{
	(void)state;
	fill();
	for (size_t n = 0; n < 100; n++) {
		assert_int_equal(keel_memcmp(a, b, n), 0);
		for (size_t i = 0; i < n; i++) {
			b[i] ^= 0x81;
			assert_int_equal(sign(keel_memcmp(a, b, n)), sign(memcmp(a, b, n)));
			b[i] ^= 0x81;
		}
	}
	assert_int_equal(keel_strcmp("abc", "abc"), 0);
	assert_true(keel_strcmp("abc", "abd") < 0);
	assert_true(keel_strcmp("abc", "ab") > 0);
	assert_true(keel_strcmp("\xff", "a") > 0);
	assert_int_equal(keel_strncmp("abcd", "abce", 3), 0);
	assert_int_equal(keel_strlen(""), 0);
	assert_int_equal(keel_strlen("four"), 4);
	assert_int_equal(keel_strnlen("four", 2), 2);
}

static void searches(void **state)
{
	const char *s = "key=value=x";

	(void)state;
	assert_ptr_equal(keel_strchr(s, '='), s + 3);
	assert_ptr_equal(keel_strchr(s, 0), s + 11);
	assert_null(keel_strchr(s, '?'));
}

static void bounded_copy(void **state)
{
	char buf[4] = "zzz";

	(void)state;
	assert_int_equal(keel_str_copy(buf, "ab", sizeof(buf)), 2);
	assert_string_equal(buf, "ab");
	assert_int_equal(keel_str_copy(buf, "abcdef", sizeof(buf)), 6);
	assert_string_equal(buf, "abc");
	assert_int_equal(keel_str_copy(buf, "x", 0), 1);
	assert_string_equal(buf, "abc");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves),
		cmocka_unit_test(copies),
		cmocka_unit_test(comparisons),
		cmocka_unit_test(searches),
		cmocka_unit_test(bounded_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
