/* SPDX-License-Identifier: BSD-2-Clause */
/* links: lib/format.c */
/*
 * lib/format against the C library's snprintf: every conversion with every combination of flags,
 * widths and precisions; buffers too small; names of errors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "include/errno.h"
#include "lib/format.h"

#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
#pragma GCC diagnostic ignored "-Wformat-overflow"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"

static char ours[256], theirs[256];

#define SAME(fmt, ...) do {								\
	int n_ = format(ours, sizeof(ours), (fmt), __VA_ARGS__);			\
	int m_ = snprintf(theirs, sizeof(theirs), (fmt), __VA_ARGS__);			\
	if (n_ != m_ || strcmp(ours, theirs))						\
		fail_msg("\"%s\": \"%s\" (%d), not \"%s\" (%d)", fmt, ours, n_, theirs, m_);	\
} while (0)

static const char *const flags[] = {
	"", "-", "0", "+", " ", "#", "-0", "+0", "#0", "-+", "- ", " 0", "-#",
};
static const char *const widths[] = {
	"", "1", "5", "12", ".0", ".1", ".4", "8.3", "3.8", "10.0", ".",
};

static void numbers(void **state)
{
	static const int64_t values[] = {
		0, 1, -1, 7, 255, 65536, -128, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN,
	};
	static const char *const sizes[] = { "hh", "h", "", "l", "ll", "z" };
	static const char kinds[] = "diuxXo";
	char fmt[32];

	(void)state;
	for (unsigned f = 0; f < sizeof(flags) / sizeof(*flags); f++)
		for (unsigned w = 0; w < sizeof(widths) / sizeof(*widths); w++)
			for (unsigned k = 0; k < 6 * 6; k++) {
				snprintf(fmt, sizeof(fmt), "<%%%s%s%s%c>", flags[f], widths[w],
					 sizes[k / 6], kinds[k % 6]);
				for (unsigned v = 0; v < sizeof(values) / sizeof(*values); v++)
					SAME(fmt, values[v]);
			}
}

static void strings(void **state)
{
	static const char *const values[] = { "", "a", "keel", "a longer string" };
	char fmt[32];

	(void)state;
	for (unsigned w = 0; w < sizeof(widths) / sizeof(*widths); w++)
		for (unsigned v = 0; v < 4; v++) {
			snprintf(fmt, sizeof(fmt), "<%%%ss|%%-%ss>", widths[w], widths[w]);
			SAME(fmt, values[v], values[v]);
		}
	SAME("%.*s|%*s|%-*s|", 2, "abc", 6, "x", 6, "y");
	SAME("%*d|%.*d", -6, 42, -1, 7);
	SAME("%c%5c%-3c|%%", 'a', 'b', 'c');
	SAME("%p", (void *)0x1234);
	SAME("%s", "plain");
	format(ours, sizeof(ours), "%s", NULL);
	assert_string_equal(ours, "(null)");
}

static void odd(void **state)
{
	(void)state;
	assert_int_equal(format(ours, sizeof(ours), "%y %"), 4);
	assert_string_equal(ours, "%y %");
	assert_int_equal(format(ours, sizeof(ours), "%.3s", "ab\0cd"), 2);
}

static void small_buffers(void **state)
{
	char buf[8] = "zzzzzzz";

	(void)state;
	assert_int_equal(format(buf, 4, "%d", 123456), 6);
	assert_string_equal(buf, "123");
	assert_int_equal(buf[4], 'z');
	assert_int_equal(format(buf, 1, "%d", 12), 2);
	assert_string_equal(buf, "");
	assert_int_equal(format(NULL, 0, "%300s", ""), 300);
}

static void errors(void **state)
{
	(void)state;
	assert_string_equal(format_errno(-ENOENT), "ENOENT");
	assert_string_equal(format_errno(ETIMEDOUT), "ETIMEDOUT");
	assert_string_equal(format_errno(-9999), "E?");
	assert_string_equal(format_errno(0), "OK");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(strings),
		cmocka_unit_test(odd),
		cmocka_unit_test(small_buffers),
		cmocka_unit_test(errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
