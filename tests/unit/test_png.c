/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lib/deflate and lib/png: what is read back by an inflate and a PNG reader of the test's own is
 * what went in, for flat, random and periodic bytes of all lengths around the limits, and for
 * pictures of each depth; sums and order are right, memory is bounded, and who wants no more is
 * heard.
 */
/* links: lib/png.c lib/deflate.c lib/crc.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/crc.h"
#include "lib/png.h"

#define MOST	(1u << 20)

static uint8_t made[4 * MOST], plain[4 * MOST], back[4 * MOST];
static size_t made_count, piece_most;
static unsigned puts_left;

static int put(void *arg, const void *data, size_t n)
{
	assert_ptr_equal(arg, &made_count);
	assert_true(made_count + n <= sizeof(made));
	if (!puts_left)
		return -5;
	puts_left--;
	memcpy(made + made_count, data, n);
	made_count += n;
	piece_most = n > piece_most ? n : piece_most;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	made_count = piece_most = 0;
	puts_left = ~0u;
	srandom(1);
	return 0;
}

/* --- an inflate of one block in the fixed code, by RFC 1951's tables */

struct reader {
	const uint8_t *p;
	size_t n, at;
	unsigned bit;
};

static unsigned bits(struct reader *r, unsigned n)
{
	unsigned v = 0;

	for (unsigned i = 0; i < n; i++) {
		assert_true(r->at < r->n);
		v |= (r->p[r->at] >> r->bit & 1u) << i;
		r->bit = (r->bit + 1) % 8;
		r->at += !r->bit;
	}
	return v;
}

static unsigned code(struct reader *r, unsigned n, unsigned v)
{
	while (n--)
		v = v << 1 | bits(r, 1);
	return v;
}

static unsigned symbol(struct reader *r)
{
	unsigned v = code(r, 7, 0);

	if (v <= 23)
		return 256 + v;
	v = code(r, 1, v);
	if (v >= 0x30 && v <= 0xbf)
		return v - 0x30;
	if (v >= 0xc0 && v <= 0xc7)
		return 280 + v - 0xc0;
	return 144 + code(r, 1, v) - 0x190;
}

static size_t inflate(const uint8_t *p, size_t n, uint8_t *out, size_t room)
{
	static const uint16_t length[] = {
		3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99,
		115, 131, 163, 195, 227, 258,
	};
	static const uint8_t length_extra[] = {
		0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4,
		5, 5, 5, 5, 0,
	};
	static const uint16_t far[] = {
		1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025,
		1537, 2049, 3073, 4097, 6145,
	};
	struct reader r = { p, n, 2, 0 };
	size_t done = 0;
	unsigned s, a = 1, b = 0;

	assert_int_equal(p[0], 0x58);
	assert_int_equal((p[0] << 8 | p[1]) % 31, 0);
	assert_int_equal(p[1] & 0x20, 0);
	assert_int_equal(bits(&r, 1), 1);
	assert_int_equal(bits(&r, 2), 1);
	while ((s = symbol(&r)) != 256) {
		unsigned count, k, d;

		if (s < 256) {
			assert_true(done < room);
			out[done++] = (uint8_t)s;
			continue;
		}
		assert_in_range(s, 257, 285);
		count = length[s - 257] + bits(&r, length_extra[s - 257]);
		k = code(&r, 5, 0);
		assert_true(k < 26);		/* the window */
		d = far[k] + bits(&r, k < 4 ? 0 : k / 2 - 1);
		assert_true(d <= done && d <= DEFLATE_WINDOW && done + count <= room);
		for (; count--; done++)
			out[done] = out[done - d];
	}
	r.at += r.bit != 0;
	for (size_t i = 0; i < done; i++) {
		a = (a + out[i]) % 65521;
		b = (b + a) % 65521;
	}
	assert_int_equal(r.at + 4, n);
	assert_int_equal((unsigned)p[n - 4] << 24 | p[n - 3] << 16 | p[n - 2] << 8 | p[n - 1],
			 b << 16 | a);
	return done;
}

/* In pieces of any length. */
static size_t there_and_back(size_t n)
{
	static struct deflate d;

	made_count = piece_most = 0;
	memset(&d, 0xa5, sizeof(d));
	deflate_begin(&d, put, &made_count);
	for (size_t at = 0, part; at < n; at += part) {
		part = 1 + (size_t)random() % 5000;
		part = part < n - at ? part : n - at;
		deflate_write(&d, plain + at, part);
	}
	assert_int_equal(deflate_end(&d), 0);
	assert_true(piece_most <= DEFLATE_OUT);
	assert_int_equal(inflate(made, made_count, back, sizeof(back)), n);
	assert_memory_equal(plain, back, n);
	return made_count;
}

static void small(void **state)
{
	(void)state;
	for (size_t n = 0; n < 600; n++) {
		memset(plain, 'x', n);
		there_and_back(n);
		for (size_t i = 0; i < n; i++)
			plain[i] = (uint8_t)(random() % 3);
		there_and_back(n);
	}
}

/* Around what fills the buffer, and what slides out of the window. */
static void limits(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)random();
	for (size_t n = 2 * DEFLATE_WINDOW - 260; n < 2 * DEFLATE_WINDOW + 3; n++)
		there_and_back(n);
	for (size_t period = DEFLATE_WINDOW - 2; period < DEFLATE_WINDOW + 3; period++) {
		size_t size;

		for (size_t i = period; i < 200000; i++)
			plain[i] = plain[i - period];
		size = there_and_back(200000);
		if (period <= DEFLATE_WINDOW)
			assert_in_range(size, 8000, 60000);
		else
			assert_in_range(size, 190000, 225000);
	}
}

/* What is flat comes out a hundred times smaller and more, what is random hardly larger. */
static void sizes(void **state)
{
	(void)state;
	memset(plain, 0, MOST);
	assert_true(there_and_back(MOST) < MOST / 100);
	for (size_t i = 0; i < MOST; i++)
		plain[i] = (uint8_t)random();
	assert_true(there_and_back(MOST) < MOST + MOST / 12);
}

/* --- a PNG's reader */

static const uint8_t *next_chunk(const uint8_t *p, const char *type, size_t *n)
{
	*n = (size_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
	assert_true(p + 12 + *n <= made + made_count);
	if (memcmp(p + 4, type, 4))
		return NULL;
	p += 4;
	assert_int_equal(crc32(0, p, *n + 4),
			 (unsigned)p[*n + 4] << 24 | p[*n + 5] << 16 | p[*n + 6] << 8 | p[*n + 7]);
	return p + 4;
}

static uint8_t data[4 * MOST];

/* Into `back`; the depth, or 24. */
static unsigned read_png(unsigned width, unsigned height)
{
	const uint8_t *p = made, *head, *palette, *part;
	size_t n, colours, count = 0, line, at = 0;
	unsigned depth;

	assert_memory_equal(p, "\x89PNG\r\n\x1a\n", 8);
	head = next_chunk(p + 8, "IHDR", &n);
	assert_int_equal(n, 13);
	assert_int_equal(head[2] << 8 | head[3], width);
	assert_int_equal(head[6] << 8 | head[7], height);
	assert_int_equal(head[10] | head[11] | head[12], 0);
	p = head + 17;
	palette = next_chunk(p, "PLTE", &colours);
	assert_int_equal(head[9], palette ? 3 : 2);
	if (palette)
		p = palette + colours + 4;
	depth = palette ? head[8] : 24;
	colours /= 3;
	while ((part = next_chunk(p, "IDAT", &n))) {
		memcpy(data + count, part, n);
		count += n;
		p = part + n + 4;
	}
	assert_non_null(next_chunk(p, "IEND", &n));
	assert_int_equal(n, 0);
	assert_ptr_equal(p + 12, made + made_count);
	line = 1 + ((size_t)width * depth + 7) / 8;
	assert_int_equal(inflate(data, count, plain, sizeof(plain)), line * height);
	for (unsigned y = 0; y < height; y++) {
		uint8_t *row = plain + y * line;

		assert_int_equal(*row++, palette ? 0 : 1);
		for (unsigned i = 3; !palette && i < 3 * width; i++)
			row[i] += row[i - 3];
		for (unsigned x = 0; x < width; x++, at += 3) {
			unsigned i = depth > 8 ? 0 : row[x * depth / 8] >>
				     (8 - depth - x * depth % 8) & ((1u << depth) - 1);

			assert_true(!palette || i < colours);
			memcpy(back + at, palette ? palette + 3 * i : row + 3 * x, 3);
		}
	}
	return depth;
}

static struct png png;
static uint8_t picture[4 * MOST];

static int draw(unsigned width, unsigned height)
{
	int e;

	made_count = piece_most = 0;
	png_look_begin(&png);
	for (unsigned y = 0; y < height; y++)
		png_look(&png, picture + (size_t)y * width * 3, width);
	e = png_begin(&png, width, height, put, &made_count);
	for (unsigned y = 0; !e && y < height; y++)
		e = png_row(&png, picture + (size_t)y * width * 3);
	return e ?: png_end(&png);
}

static unsigned draw_and_read(unsigned width, unsigned height)
{
	unsigned depth;

	memset(&png, 0xa5, sizeof(png));
	assert_int_equal(draw(width, height), 0);
	depth = read_png(width, height);
	assert_memory_equal(back, picture, (size_t)width * height * 3);
	return depth;
}

static void random_picture(unsigned width, unsigned height, unsigned colours)
{
	uint8_t colour[1024][3];

	for (unsigned i = 0; i < colours; i++) {
		colour[i][0] = (uint8_t)i;
		colour[i][1] = (uint8_t)(i >> 8);
		colour[i][2] = (uint8_t)random();
	}
	for (unsigned i = 0; i < width * height; i++)
		memcpy(picture + 3 * i, colour[i < colours ? i : (unsigned)random() % colours], 3);
}

static void depths(void **state)
{
	static const struct { unsigned colours, depth; } rows[] = {
		{ 1, 1 }, { 2, 1 }, { 3, 2 }, { 4, 2 }, { 5, 4 }, { 16, 4 }, { 17, 8 }, { 255, 8 },
		{ 256, 8 }, { 257, 24 }, { 1000, 24 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (unsigned width = 93; width < 102; width++) {
			random_picture(width, 40, rows[i].colours);
			assert_int_equal(draw_and_read(width, 40), rows[i].depth);
		}
	random_picture(1, 1, 1);
	assert_int_equal(draw_and_read(1, 1), 1);
	random_picture(2560, 20, 1000);
	assert_int_equal(draw_and_read(2560, 20), 24);
}

/* 80 by 25 characters of 9 by 16 dots: what a page of text costs at 115200 baud. */
static void text_page(void **state)
{
	static uint8_t glyph[64][16];

	(void)state;
	for (unsigned i = 0; i < 64 * 16; i++)
		glyph[i / 16][i % 16] = i % 16 < 3 || i % 16 > 12 || i < 16 ? 0 :
					(uint8_t)(random() & random());
	for (unsigned cell = 0; cell < 80 * 25; cell++) {
		unsigned c = cell % 80 < 40 ? (unsigned)random() % 64 : 0;

		for (unsigned y = 0; y < 16; y++)
			for (unsigned x = 0; x < 9; x++) {
				size_t at = (cell / 80 * 16 + y) * 720 + cell % 80 * 9 + x;
				bool ink = x < 8 && glyph[c][y] & 0x80 >> x;

				memset(picture + 3 * at, ink ? 0xaa : 0, 3);
			}
	}
	assert_int_equal(draw_and_read(720, 400), 1);
	assert_in_range(made_count, 1000, 16 * 1024);
}

/* The guest draws on: the picture is torn, and is still one. */
static void colours_that_come_late(void **state)
{
	(void)state;
	random_picture(64, 2, 16);
	png_look_begin(&png);
	png_look(&png, picture, 64);
	assert_int_equal(png_begin(&png, 64, 2, put, &made_count), 0);
	assert_int_equal(png_row(&png, picture), 0);
	memset(picture + 64 * 3, 0xee, 32 * 3);
	assert_int_equal(png_row(&png, picture + 64 * 3), 0);
	assert_int_equal(png_end(&png), 0);
	assert_int_equal(read_png(64, 2), 4);
	for (unsigned x = 64; x < 96; x++)
		memcpy(picture + 3 * x, png.palette[0], 3);
	assert_memory_equal(back, picture, 2 * 64 * 3);
}

/* Whenever it is said, nothing more comes. */
static void no_more_is_wanted(void **state)
{
	unsigned all, before;

	(void)state;
	random_picture(200, 100, 1000);
	assert_int_equal(draw(200, 100), 0);
	all = ~0u - puts_left;
	assert_true(all > 20);
	for (unsigned n = 0; n < all; n++) {
		puts_left = n;
		assert_int_equal(draw(200, 100), -5);
		assert_int_equal(puts_left, 0);
	}
	before = puts_left = all;
	assert_int_equal(draw(200, 100), 0);
	assert_int_equal(before - puts_left, all);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(small), TEST(limits), TEST(sizes), TEST(depths), TEST(text_page),
		TEST(colours_that_come_late), TEST(no_more_is_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
