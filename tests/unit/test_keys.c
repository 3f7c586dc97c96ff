/* SPDX-License-Identifier: BSD-2-Clause */
/* links: drivers/keys.c lib/keyboard.c lib/format.c */
/*
 * drivers/keys: what each key sends, with and without modifiers; that no code sends more than
 * there is room for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/keys.h"
#include "include/bits.h"

static struct keys k;

static int setup(void **state)
{
	(void)state;
	memset(&k, 0, sizeof(k));
	return 0;
}

/* What these codes send, all together. */
static const char *press(const char *codes, size_t n)
{
	static char sent[1000];
	uint8_t out[KEYS_MAX];
	size_t length = 0;

	for (size_t i = 0; i < n; i++) {
		size_t m = keys_take(&k, (uint8_t)codes[i], out);

		memcpy(sent + length, out, m);
		length += m;
	}
	sent[length] = 0;
	return sent;
}

#define PRESS(codes) press(codes, sizeof(codes) - 1)

static void letters(void **state)
{
	(void)state;
	assert_string_equal(PRESS("\x23\xa3\x12\x92\x26\xa6\x26\xa6\x18\x98"), "hello");
	assert_string_equal(PRESS("\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d"),
			    "1234567890-=");
	assert_string_equal(PRESS("\x1a\x1b\x27\x28\x29\x2b\x33\x34\x35\x39"), "[];'`\\,./ ");
	assert_string_equal(PRESS("\x1c\x01\x0e\x0f"), "\r\x1b\x7f\t");
	assert_string_equal(PRESS("\x10\x11\x13\x14\x15\x16\x17\x19\x1e\x1f\x20\x21\x22\x24\x25"),
			    "qwrtyuipasdfgjk");
	assert_string_equal(PRESS("\x2c\x2d\x2e\x2f\x30\x31\x32"), "zxcvbnm");
}

static void shift_and_caps(void **state)
{
	(void)state;
	assert_string_equal(PRESS("\x2a\x1e\x9e\x03\xaa\x1e\x9e"), "A@a");
	assert_string_equal(PRESS("\x36\x29\x2b\x35\xb6\x29"), "~|?`");
	/* Two Shifts: it ends with the second. */
	assert_string_equal(PRESS("\x2a\x36\xaa\x1e\xb6\x1e"), "Aa");
	assert_string_equal(PRESS("\x3a\xba\x1e\x02\x2a\x1e\x02\xaa"), "A1a!");
	assert_string_equal(PRESS("\x3a\xba\x1e"), "a");
}

static void ctrl_and_alt(void **state)
{
	(void)state;
	assert_string_equal(PRESS("\x1d\x2e\x14\x1b\x1e\x2b\x9d\x2e"), "\x03\x14\x1d\x01\x1c" "c");
	assert_string_equal(PRESS("\xe0\x1d\x2e\xe0\x9d\x2e"), "\x03" "c");
	assert_int_equal(strlen(PRESS("\x1d\x39\x9d")), 0);	/* a NUL */
	assert_string_equal(PRESS("\x1d\x0c\x35\x9d"), "\x1f\x1f");
	assert_string_equal(PRESS("\x38\x30\xb8\x30"), "\x1b" "bb");
	assert_string_equal(PRESS("\xe0\x38\x21\xe0\xb8\x21"), "\x1b" "ff");
	/* Caps Lock has no say in it. */
	assert_string_equal(PRESS("\x3a\xba\x1d\x2e\x9d"), "\x03");
}

static void without_characters(void **state)
{
	(void)state;
	assert_string_equal(PRESS("\xe0\x48\xe0\xc8\xe0\x50\xe0\x4d\xe0\x4b"),
			    "\x1b[A\x1b[B\x1b[C\x1b[D");
	assert_string_equal(PRESS("\xe0\x47\xe0\x4f\xe0\x52\xe0\x53\xe0\x49\xe0\x51"),
			    "\x1b[H\x1b[F\x1b[2~\x1b[3~\x1b[5~\x1b[6~");
	assert_string_equal(PRESS("\x1d\xe0\x4d\x9d\x38\xe0\x53\xb8"), "\x1b[1;5C\x1b[3;3~");
	assert_string_equal(PRESS("\x3b\x3e\x3f\x44\x57\x58"),
			    "\x1bOP\x1bOS\x1b[15~\x1b[21~\x1b[23~\x1b[24~");
	assert_string_equal(PRESS("\x1d\x3b\x3f\x9d"), "\x1b[1;5P\x1b[15;5~");
	/* Pause, Print Screen, Scroll Lock, the Windows keys. */
	assert_string_equal(PRESS("\xe1\x1d\x45\xe1\x9d\xc5\xe0\x2a\xe0\x37\xe0\xb7\xe0\xaa\x46"
				  "\xe0\x5b\xe0\x5c\xe0\x5d"), "");
	assert_string_equal(PRESS("\x1e"), "a");
}

/* The arrows beside the keypad may come with Shifts that nobody holds. */
static void false_shifts(void **state)
{
	(void)state;
	assert_string_equal(PRESS("\xe0\x2a\xe0\x48\xe0\xc8\xe0\xaa\x1e"), "\x1b[Aa");
	assert_string_equal(PRESS("\x2a\xe0\xaa\x1e\xe0\x2a\xaa\x1e"), "Aa");
}

static void keypad(void **state)
{
	(void)state;
	assert_string_equal(PRESS("\x47\x48\x4f\x53\x4a\x4e\x37\xe0\x35\xe0\x1c"), "781.-+*/\r");
	assert_string_equal(PRESS("\x45\xc5\x48\x4f\x53\x4a\x4e\x45\xc5\x48"),
			    "\x1b[A\x1b[F\x1b[3~-+8");
}

static void looking_back(void **state)
{
	(void)state;
	assert_string_equal(PRESS("\x2a\xe0\x49"), "");
	assert_int_equal(k.look_back, 1);
	assert_string_equal(PRESS("\xe0\xc9"), "");
	assert_int_equal(k.look_back, 0);
	assert_string_equal(PRESS("\xe0\x51"), "");
	assert_int_equal(k.look_back, -1);
}

static void any_codes(void **state)
{
	uint8_t out[KEYS_MAX + 1];

	(void)state;
	srand(3);
	for (unsigned i = 0; i < 1000000; i++) {
		out[KEYS_MAX] = 0x5a;
		assert_true(keys_take(&k, (uint8_t)rand(), out) <= KEYS_MAX);
		assert_int_equal(out[KEYS_MAX], 0x5a);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		TEST(letters), TEST(shift_and_caps), TEST(ctrl_and_alt), TEST(without_characters),
		TEST(false_shifts), TEST(keypad), TEST(looking_back), TEST(any_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
