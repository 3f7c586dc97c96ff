/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shell/screen_keys: each character and sequence comes to the keys that make it, which
 * drivers/keys.c, the way back, takes for the same; whatever bytes come, each key that goes down
 * comes up.
 */
/* links: shell/screen_keys.c drivers/keys.c lib/keyboard.c lib/format.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/keys.h"
#include "shell/screen_keys.h"

static struct screen_keys k;
static struct screen_key out[SCREEN_KEYS_MAX];

static int setup(void **state)
{
	(void)state;
	k = (struct screen_keys){ 0 };
	return 0;
}

/* The codes that some bytes come to, released ones with a dash: "2a 1e -1e -2a". */
static const char *text_of(unsigned n, char *at)
{
	for (unsigned i = 0; i < n; i++)
		at += sprintf(at, "%s%s%02x", i ? " " : "", out[i].pressed ? "" : "-", out[i].code);
	return at;
}

static char text[4096];

static const char *type(const char *bytes, size_t n)
{
	char *at = text;

	*at = 0;
	for (size_t i = 0; i < n; i++) {
		unsigned count = screen_keys_take(&k, (uint8_t)bytes[i], out);

		if (count && at != text)
			*at++ = ' ';
		at = (char *)text_of(count, at);
	}
	return text;
}

static const char *end(void)
{
	text[0] = 0;
	assert_true(screen_keys_begun(&k));
	text_of(screen_keys_end(&k, out), text);
	assert_false(screen_keys_begun(&k));
	return text;
}

static void gives(const char *bytes, const char *codes)
{
	assert_string_equal(type(bytes, strlen(bytes)), codes);
	assert_false(screen_keys_begun(&k));
}

static void characters(void **state)
{
	(void)state;
	gives("a", "1e -1e");
	gives("A", "2a 1e -1e -2a");
	gives("aB", "1e -1e 2a 30 -30 -2a");
	gives("1!", "02 -02 2a 02 -02 -2a");
	gives(" ", "39 -39");
	gives("\r", "1c -1c");
	gives("\n", "1c -1c");
	gives("\t", "0f -0f");
	gives("\x7f", "0e -0e");
	gives("\b", "0e -0e");
	gives("|", "2a 2b -2b -2a");
	gives("\x03", "1d 2e -2e -1d");
	gives("\x1a", "1d 2c -2c -1d");
	gives("\x1c", "1d 2b -2b -1d");
	gives("\x1e", "1d 07 -07 -1d");
	gives("\x1f", "1d 0c -0c -1d");
	assert_string_equal(type("\0", 1), "1d 39 -39 -1d");
	gives("\xc3\xa9", "");
	gives("\xff", "");
}

static void sequences(void **state)
{
	(void)state;
	gives("\x1b[A\x1b[B\x1b[C\x1b[D", "c8 -c8 d0 -d0 cd -cd cb -cb");
	gives("\x1bOA\x1bOH\x1bOF", "c8 -c8 c7 -c7 cf -cf");
	gives("\x1b[H\x1b[F\x1b[1~\x1b[4~\x1b[7~\x1b[8~", "c7 -c7 cf -cf c7 -c7 cf -cf c7 -c7 cf -cf");
	gives("\x1b[2~\x1b[3~\x1b[5~\x1b[6~", "d2 -d2 d3 -d3 c9 -c9 d1 -d1");
	gives("\x1bOP\x1bOQ\x1bOR\x1bOS", "3b -3b 3c -3c 3d -3d 3e -3e");
	gives("\x1b[11~\x1b[14~\x1b[15~\x1b[17~", "3b -3b 3e -3e 3f -3f 40 -40");
	gives("\x1b[21~\x1b[23~\x1b[24~", "44 -44 57 -57 58 -58");
	gives("\x1b[[A\x1b[[E", "3b -3b 3f -3f");
	gives("\x1b[1;5C", "1d cd -cd -1d");
	gives("\x1b[1;8A", "2a 38 1d c8 -c8 -1d -38 -2a");
	gives("\x1b[3;3~", "38 d3 -d3 -38");
	gives("\x1b[1;2P", "2a 3b -3b -2a");
	gives("\x1b[Z", "2a 0f -0f -2a");
	gives("\x1bOM", "1c -1c");
	gives("\x1bx", "38 2d -2d -38");
	gives("\x1bX", "2a 38 2d -2d -38 -2a");
	gives("\x1b\x03", "38 1d 2e -2e -1d -38");
	gives("\x1b\x1b", "38 01 -01 -38");
}

/* A key by itself, or the beginning of what never came. */
static void what_was_begun(void **state)
{
	(void)state;
	type("\x1b", 1);
	assert_string_equal(end(), "01 -01");
	type("\x1b[", 2);
	assert_string_equal(end(), "38 1a -1a -38");
	type("\x1bO", 2);
	assert_string_equal(end(), "2a 38 18 -18 -38 -2a");
	type("\x1b[1", 3);
	assert_string_equal(end(), "");
	type("\x1b[;", 3);
	assert_string_equal(end(), "");
	type("\x1b[[", 3);
	assert_string_equal(end(), "");
	gives("\x1b[1\x1b[A", "c8 -c8");
	gives("\x1b[\x1bOP", "3b -3b");
}

/* What the terminal answers, what there is no key for, numbers without an end. */
static void no_keys(void **state)
{
	(void)state;
	gives("\x1b[24;80R", "");
	assert_true(k.rows == 24 && k.columns == 80);
	gives("\x1b[1;2R", "2a 3d -3d -2a");
	gives("\x1b[?1;2c", "");
	gives("\x1b[99~\x1b[0~\x1b[16~\x1b[;;~", "");
	gives("\x1b[99999999999999999999~", "");
	gives("\x1b[1;99999999999999A", "38 1d c8 -c8 -1d -38");
	gives("\x1b[1;2;3A", "");
	gives("\x1b[<0;1;1M", "");
	gives("\x1b[[Q", "");
	assert_true(k.rows == 24 && k.columns == 80);
}

/* Each that a keyboard's layout has comes back as the same bytes. */
static void there_and_back(void **state)
{
	(void)state;
	for (unsigned c = 1; c < 0x80; c++) {
		uint8_t bytes[KEYS_MAX * 8];
		struct keys keys = { .extended = false };
		unsigned n = c == 0x1b ? 0 : screen_keys_take(&k, (uint8_t)c, out);
		size_t count = 0;

		if (c == 0x1b || c == '\b' || c == '\n')
			continue;
		assert_true(n);
		for (unsigned i = 0; i < n; i++)
			count += keys_take(&keys, out[i].code | (out[i].pressed ? 0 : 0x80),
					   bytes + count);
		assert_int_equal(count, 1);
		assert_int_equal(bytes[0], c);
	}
}

static void noise(void **state)
{
	uint8_t down[256] = { 0 };

	(void)state;
	srandom(1);
	for (unsigned i = 0; i < 1000000; i++) {
		static const char often[] = "\x1b\x1b[O;0123456789~ABCR";
		uint8_t c = (uint8_t)random();
		unsigned n;

		if (random() % 4)
			c = (uint8_t)often[(unsigned)random() % (sizeof(often) - 1)];
		n = random() % 50 || !screen_keys_begun(&k) ? screen_keys_take(&k, c, out)
							    : screen_keys_end(&k, out);
		assert_in_range(n, 0, SCREEN_KEYS_MAX);
		assert_int_equal(n % 2, 0);
		for (unsigned j = 0; j < n; j++) {
			assert_true(out[j].code && out[j].pressed == !down[out[j].code]);
			down[out[j].code] = out[j].pressed;
		}
		for (unsigned j = 0; j < sizeof(down); j++)
			assert_false(n && down[j]);
	}
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(characters), TEST(sequences), TEST(what_was_begun), TEST(no_keys),
		TEST(there_and_back), TEST(noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
