/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shell/screen_draw: what it writes shows the cells on a terminal (drivers/vt.c), whatever they
 * were before, and no more than what differs; nothing but printable characters and its own
 * sequences goes out; colours and characters are the right ones.
 */
/* links: shell/screen_draw.c drivers/vt.c lib/format.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/vt.h"
#include "shell/screen_draw.h"
#include "shell/tty.h"

static struct screen_draw draw;
static struct vt vt;
static char said[1 << 20];
static size_t said_count;
static uint16_t cell[VVGA_ROWS_MAX][VVGA_COLUMNS_MAX];

void tty_write(const void *data, size_t n)
{
	assert_true(said_count + n < sizeof(said));
	memcpy(said + said_count, data, n);
	said_count += n;
	said[said_count] = 0;
	vt_write(&vt, data, n);
}

static void begin(unsigned columns, unsigned rows)
{
	vt_init(&vt, columns, rows);
	said_count = 0;
	memset(&draw, 0xa5, sizeof(draw));
	memset(cell, 0, sizeof(cell));
	screen_draw_begin(&draw, columns, rows, "");
}

/* What this drawing has said. */
static const char *draw_all(bool cursor, unsigned row, unsigned column)
{
	said_count = 0;
	said[0] = 0;
	for (unsigned y = 0; y < draw.rows; y++)
		screen_draw_row(&draw, y, cell[y]);
	screen_draw_end(&draw, cursor, row, column);
	return said;
}

static void write_text(unsigned row, unsigned column, unsigned attribute, const char *text)
{
	while (*text)
		cell[row][column++] = (uint16_t)(attribute << 8 | (uint8_t)*text++);
}

static void only_what_differs(void **state)
{
	(void)state;
	begin(80, 25);
	assert_string_equal(said, "\x1b[0;37;40m\x1b[H\x1b[2J\x1b[?25l");
	assert_string_equal(draw_all(false, 0, 0), "");
	write_text(0, 0, 7, "hello");
	write_text(24, 78, 7, "ab");
	assert_string_equal(draw_all(false, 0, 0), "\x1b[1;1Hhello\x1b[25;79Hab");
	assert_string_equal(draw_all(false, 0, 0), "");
	write_text(0, 1, 7, "a");
	assert_string_equal(draw_all(true, 3, 4), "\x1b[1;2Ha\x1b[4;5H\x1b[?25h");
	assert_string_equal(draw_all(true, 3, 4), "");
	assert_string_equal(draw_all(true, 3, 5), "\x1b[4;6H\x1b[?25h");
	write_text(0, 1, 7, "e");
	assert_string_equal(draw_all(true, 3, 5), "\x1b[?25l\x1b[1;2He\x1b[4;6H\x1b[?25h");
	assert_string_equal(draw_all(false, 3, 5), "\x1b[?25l");
	assert_string_equal(draw_all(true, 25, 0), "");
	assert_string_equal(draw_all(true, 0, 80), "");
}

/* Blanks of any ink are alike. */
static void colours(void **state)
{
	(void)state;
	begin(80, 25);
	write_text(0, 0, 0x0f, "  ");
	write_text(0, 2, 0x1e, "yellow on blue");
	assert_string_equal(draw_all(false, 0, 0), "\x1b[1;3H\x1b[0;1;93;44myellow on blue");
	write_text(1, 0, 0x04, "red");
	write_text(1, 3, 0x70, "black on grey");
	write_text(1, 16, 0x82, "green, blinks");
	write_text(1, 29, 0x07, "!");
	assert_string_equal(draw_all(false, 0, 0), "\x1b[2;1H\x1b[0;31;40mred\x1b[0;7;37;40mblack on grey"
			    "\x1b[0;5;32;40mgreen, blinks\x1b[0;37;40m!");
	assert_true(vt_cell(&vt, 0, 2) == ('y' | VT_BOLD));
	assert_true(vt_cell(&vt, 1, 3) == ('b' | VT_REVERSE));
	cell[2][0] = 0x1700;
	cell[2][1] = 0x97ff;
	write_text(2, 2, 0x02, "a b");
	assert_string_equal(draw_all(false, 0, 0), "\x1b[3;1H\x1b[0;37;44m  \x1b[0;32;40ma b");
}

static void characters(void **state)
{
	(void)state;
	begin(80, 25);
	for (unsigned i = 0; i < 256; i++)
		cell[i / 64][i % 64] = (uint16_t)(0x0700 | i);
	draw_all(false, 0, 0);
	assert_non_null(strstr(said, "\x1b[1;2H\xe2\x98\xba\xe2\x98\xbb\xe2\x99\xa5"));	/* faces, a heart */
	assert_non_null(strstr(said, "\xe2\x96\xbc !\"#"));		/* 1Fh, then ASCII */
	assert_non_null(strstr(said, "z{|}~\xe2\x8c\x82"));		/* a house */
	assert_non_null(strstr(said, "\x1b[3;1H\xc3\x87\xc3\xbc\xc3\xa9"));	/* C with a cedilla */
	assert_non_null(strstr(said, "\xe2\x95\xac"));			/* a cross of double lines */
	assert_non_null(strstr(said, "\xc2\xb2\xe2\x96\xa0"));		/* FDh, FEh */
	for (size_t i = 0; i < said_count; i++)
		assert_true((uint8_t)said[i] >= ' ' || said[i] == 0x1b);
}

static void messages(void **state)
{
	char text[101];

	(void)state;
	begin(40, 10);
	write_text(0, 0, 7, "x");
	draw_all(false, 0, 0);
	screen_draw_begin(&draw, 40, 10, "Nothing to see");
	for (unsigned i = 0; i < 14; i++)
		assert_int_equal(vt_cell(&vt, 0, i), "Nothing to see"[i]);
	memset(text, 'y', sizeof(text));
	text[100] = 0;
	screen_draw_begin(&draw, 40, 10, text);
	assert_int_equal(vt_cell(&vt, 0, 39), 'y');
	assert_int_equal(vt_cell(&vt, 1, 0), ' ');
	/* More than there can be, and none. */
	screen_draw_begin(&draw, 10000, 10000, text);
	assert_int_equal(draw.columns, VVGA_COLUMNS_MAX);
	assert_int_equal(draw.rows, VVGA_ROWS_MAX);
	screen_draw_row(&draw, VVGA_ROWS_MAX, cell[0]);
	screen_draw_begin(&draw, 0, 0, text);
	draw_all(true, 0, 0);
}

/* Whatever changes: the terminal shows the cells, and none of its modes is touched. */
static void random_changes(void **state)
{
	static const uint8_t attributes[] = { 0x07, 0x0f, 0x70 };
	static const uint16_t looks[] = { 0, VT_BOLD, VT_REVERSE };

	(void)state;
	srandom(1);
	for (unsigned round = 0; round < 50; round++) {
		unsigned columns = 1 + (unsigned)random() % 160;
		unsigned rows = 1 + (unsigned)random() % 100;

		begin(columns, rows);
		for (unsigned step = 0; step < 20; step++) {
			unsigned y, x;

			for (unsigned i = (unsigned)random() % 200; i--;) {
				y = (unsigned)random() % rows;
				x = (unsigned)random() % columns;
				cell[y][x] = (uint16_t)(attributes[random() % 3] << 8 |
							(0x20 + random() % 0x5f));
			}
			y = (unsigned)random() % rows;
			x = (unsigned)random() % columns;
			draw_all(random() % 2, y, x);
			vt.cursor = false;
			for (unsigned i = 0; i < rows * columns; i++) {
				uint16_t c = cell[i / columns][i % columns], want = ' ';
				uint16_t is = vt_cell(&vt, i / columns, i % columns);

				for (unsigned k = 0; k < 3; k++)
					if ((c >> 8) == attributes[k] &&
					    ((c & 0xff) != ' ' || k == 2))
						want = (c & 0xff) | looks[k];
				assert_int_equal(want == ' ' ? is & ~VT_BOLD : is, want);
			}
			assert_true(vt.wrap && !vt.insert && vt.top == 0 && vt.bottom == rows - 1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_differs), cmocka_unit_test(colours),
		cmocka_unit_test(characters), cmocka_unit_test(messages),
		cmocka_unit_test(random_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
