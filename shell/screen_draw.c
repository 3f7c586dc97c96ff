/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See shell/screen_draw.h. Sources: IBM Personal System/2 Hardware Interface Technical Reference,
 * "Video Subsystem" (attributes); Unicode's mapping table of code page 437; XTerm Control
 * Sequences.
 */
#include "shell/screen_draw.h"

#include "include/bits.h"
#include "lib/format.h"
#include "lib/string.h"
#include "shell/tty.h"

#define GREY_ON_BLACK	0x07
#define BLANK		(GREY_ON_BLACK << 8 | ' ')
#define BLINK		0x80
#define BRIGHT		0x08

/* Of code page 437: 01h to 1Fh, and from 7Fh on. */
static const uint16_t low[] = {
	0x263a, 0x263b, 0x2665, 0x2666, 0x2663, 0x2660, 0x2022, 0x25d8, 0x25cb, 0x25d9,
	0x2642, 0x2640, 0x266a, 0x266b, 0x263c, 0x25ba, 0x25c4, 0x2195, 0x203c, 0x00b6,
	0x00a7, 0x25ac, 0x21a8, 0x2191, 0x2193, 0x2192, 0x2190, 0x221f, 0x2194, 0x25b2,
	0x25bc,
};
static const uint16_t high[] = {
	0x2302, 0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7, 0x00ea,
	0x00eb, 0x00e8, 0x00ef, 0x00ee, 0x00ec, 0x00c4, 0x00c5, 0x00c9, 0x00e6, 0x00c6,
	0x00f4, 0x00f6, 0x00f2, 0x00fb, 0x00f9, 0x00ff, 0x00d6, 0x00dc, 0x00a2, 0x00a3,
	0x00a5, 0x20a7, 0x0192, 0x00e1, 0x00ed, 0x00f3, 0x00fa, 0x00f1, 0x00d1, 0x00aa,
	0x00ba, 0x00bf, 0x2310, 0x00ac, 0x00bd, 0x00bc, 0x00a1, 0x00ab, 0x00bb, 0x2591,
	0x2592, 0x2593, 0x2502, 0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551,
	0x2557, 0x255d, 0x255c, 0x255b, 0x2510, 0x2514, 0x2534, 0x252c, 0x251c, 0x2500,
	0x253c, 0x255e, 0x255f, 0x255a, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550, 0x256c,
	0x2567, 0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553, 0x256b, 0x256a,
	0x2518, 0x250c, 0x2588, 0x2584, 0x258c, 0x2590, 0x2580, 0x03b1, 0x00df, 0x0393,
	0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4, 0x03a6, 0x0398, 0x03a9, 0x03b4, 0x221e,
	0x03c6, 0x03b5, 0x2229, 0x2261, 0x00b1, 0x2265, 0x2264, 0x2320, 0x2321, 0x00f7,
	0x2248, 0x00b0, 0x2219, 0x00b7, 0x221a, 0x207f, 0x00b2, 0x25a0,
};

static void flush(struct screen_draw *s)
{
	tty_write(s->out, s->count);
	s->count = 0;
}

static void put(struct screen_draw *s, const char *text, size_t n)
{
	if (n > sizeof(s->out) - s->count)
		flush(s);
	memcpy(s->out + s->count, text, n);
	s->count += n;
}

static void put_format(struct screen_draw *s, const char *fmt, ...) printf_like(2, 3);
static void put_format(struct screen_draw *s, const char *fmt, ...)
{
	char text[128];
	va_list ap;

	va_start(ap, fmt);
	format_v(text, sizeof(text), fmt, ap);
	va_end(ap);
	put(s, text, strlen(text));
}

static void put_character(struct screen_draw *s, uint8_t c)
{
	uint32_t code = c >= 0x7f ? high[c - 0x7f] : c < ' ' ? low[c - 1] : c;
	char text[3] = { (char)(0xe0 | code >> 12), (char)(0x80 | (code >> 6 & 63)),
			 (char)(0x80 | (code & 63)) };

	if (code < 0x80)
		put(s, &(char){ (char)code }, 1);
	else if (code < 0x800)
		put(s, (char[]){ (char)(0xc0 | code >> 6), text[2] }, 2);
	else
		put(s, text, 3);
}

/*
 * On a terminal without colours, dark on light is to be seen all the same: it is told as the
 * reverse of light on dark. Bright colours are bold, too, for those that have no others.
 */
static void set_attribute(struct screen_draw *s, int a)
{
	static const uint8_t ansi[] = { 0, 4, 2, 6, 1, 5, 3, 7 };
	unsigned ink = ansi[a & 7], paper = ansi[a >> 4 & 7];
	bool bright = a & BRIGHT, reverse = !bright && paper && (paper == 7 || !ink);

	if (a == s->attribute)
		return;
	s->attribute = a;
	put_format(s, "\x1b[0%s%s%s;%u%u;4%um", reverse ? ";7" : "", bright ? ";1" : "",
		   a & BLINK ? ";5" : "", bright ? 9 : 3, reverse ? paper : ink,
		   reverse ? ink : paper);
}

/* As it looks: what is blank on black has no ink. */
static uint16_t cell_of(uint16_t cell)
{
	uint8_t c = cell & 0xff;

	if (c && c != ' ' && c != 0xff)
		return cell;
	return cell & 0x7000 ? (cell & 0x7f00) | ' ' : BLANK;
}

void screen_draw_row(struct screen_draw *s, unsigned row, const uint16_t cells[VVGA_COLUMNS_MAX])
{
	uint16_t *shown = s->shown[row];
	unsigned first = 0, last = s->columns;

	if (row >= s->rows)
		return;
	while (first < last && cell_of(cells[first]) == shown[first])
		first++;
	while (last > first && cell_of(cells[last - 1]) == shown[last - 1])
		last--;
	if (first == last)
		return;
	put_format(s, "%s\x1b[%u;%uH", s->cursor ? "\x1b[?25l" : "", row + 1, first + 1);
	s->cursor = false;
	for (unsigned x = first; x < last; x++) {
		shown[x] = cell_of(cells[x]);
		if (shown[x] != BLANK || s->attribute < 0 || s->attribute & 0x70)
			set_attribute(s, shown[x] >> 8);
		put_character(s, (uint8_t)shown[x]);
	}
}

void screen_draw_begin(struct screen_draw *s, unsigned columns, unsigned rows, const char *text)
{
	s->columns = MIN(columns, VVGA_COLUMNS_MAX);
	s->rows = MIN(rows, VVGA_ROWS_MAX);
	for (unsigned y = 0; y < VVGA_ROWS_MAX; y++)
		for (unsigned x = 0; x < VVGA_COLUMNS_MAX; x++)
			s->shown[y][x] = BLANK;
	s->count = 0;
	s->attribute = -1;
	s->cursor = true;
	set_attribute(s, GREY_ON_BLACK);
	put_format(s, "\x1b[H\x1b[2J%.*s", (int)s->columns, text);
	screen_draw_end(s, false, 0, 0);
}

void screen_draw_end(struct screen_draw *s, bool cursor, unsigned row, unsigned column)
{
	cursor = cursor && row < s->rows && column < s->columns;
	if (!cursor && s->cursor)
		put_format(s, "\x1b[?25l");
	else if (cursor && (!s->cursor || row != s->cursor_row || column != s->cursor_column))
		put_format(s, "\x1b[%u;%uH\x1b[?25h", row + 1, column + 1);
	s->cursor = cursor;
	s->cursor_row = row;
	s->cursor_column = column;
	flush(s);
}
