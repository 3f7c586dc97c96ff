/* SPDX-License-Identifier: BSD-2-Clause */
/* links: kernel/symbols.c */
/* Names of code addresses out of a packed table as tools/symtab writes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "include/bits.h"
#include "kernel/symbols.h"

/* 128 stands for "ab", 129 for "abab", 130 for "ababc". */
const uint8_t symbol_pairs[][2] = { { 'a', 'b' }, { 128, 128 }, { 129, 'c' } };

/* Three of these, then others that fill the first block, and one behind it. */
#define BLOCK	32
#define OTHERS	(BLOCK - 3)
#define NAMES	"first\0\x82_\x80\0z\x82\0"
const uint8_t symbol_names[] = NAMES "o\0o\0o\0o\0o\0o\0o\0o\0o\0o\0o\0o\0o\0o\0o\0o\0o\0o\0o\0"
	"o\0o\0o\0o\0o\0o\0o\0o\0o\0p\0last\0";
const uint32_t symbol_count = BLOCK + 1;
const struct { uint32_t offset, name; } symbol_blocks[] = {
	{ 0x10, 0 }, { 0xf0, sizeof(NAMES) - 1 + 2 * OTHERS },
};
const uint16_t symbol_distances[BLOCK + 1] = {
	0, 0x30, 0x31, 0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c,
	0x6d, 0x6e, 0x6f, 0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x7b,
	0x7c, 0,
};

/* Code lies behind the first 8 bytes of an image of 256. */
asm(".section .bss.image\n"
    ".global image_start, text_start, text_end\n"
    "image_start: .skip 8\n"
    "text_start: .skip 248\n"
    "text_end:\n"
    ".text\n");
extern const char image_start[];

static void look(uint64_t at, const char *wanted, uint64_t offset)
{
	char name[16];
	uint64_t into;

	assert_true(symbols_find((uint64_t)image_start + at, name, sizeof(name), &into));
	assert_string_equal(name, wanted);
	assert_int_equal(into, offset);
}

static void test_find(void **state)
{
	char name[16];
	uint64_t into;

	(void)state;
	look(0x10, "first", 0);
	look(0x3F, "first", 0x2F);
	look(0x40, "ababc_ab", 0);
	look(0x41, "zababc", 0);
	look(0x6F, "zababc", 0x2E);
	look(0x70, "o", 0);
	/* The last of a block holds all up to the next one. */
	look(0xEF, "p", 0x63);
	look(0xF0, "last", 0);
	look(0xFF, "last", 0xF);
	/* Before the first, outside the code. */
	assert_false(symbols_find((uint64_t)image_start + 0xF, name, sizeof(name), &into));
	assert_false(symbols_find((uint64_t)image_start + 4, name, sizeof(name), &into));
	assert_false(symbols_find((uint64_t)image_start + 0x100, name, sizeof(name), &into));
	assert_false(symbols_find(0, name, sizeof(name), &into));
}

static void test_cut(void **state)
{
	char name[8] = "#######";
	uint64_t into;

	(void)state;
	assert_true(symbols_find((uint64_t)image_start + 0x40, name, 4, &into));
	assert_string_equal(name, "aba");
	assert_int_equal(name[4], '#');
	assert_true(symbols_find((uint64_t)image_start + 0x40, name, 1, &into));
	assert_string_equal(name, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
