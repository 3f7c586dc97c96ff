/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The terminal's state machine; see drivers/vt.h. Rows are moved by moving their numbers in
 * `order`, so that scrolling costs one row cleared.
 */
#include "drivers/vt.h"

#include "include/bits.h"
#include "lib/format.h"
#include "lib/string.h"

#define ESC	0x1b
#define CAN	0x18
#define SUB	0x1a
#define DEL	0x7f
#define NUMBER_MAX 9999

enum state {
	STATE_TEXT,
	STATE_ESCAPE,
	STATE_ESCAPE_MORE,	/* behind ESC and an intermediate */
	STATE_CSI,
	STATE_CSI_IGNORE,	/* to its end */
	STATE_STRING,		/* OSC, DCS, PM, APC, SOS: to its end */
};

/* ---- rows ---- */

static void blank(uint16_t *cell, unsigned n)
{
	while (n--)
		*cell++ = ' ';
}

static uint16_t *row_of(struct vt *v, unsigned y)
{
	return v->cell[v->order[y]];
}

static void keep_past(struct vt *v)
{
	memcpy(v->past[v->past_count++ % VT_PAST_MAX], row_of(v, 0), sizeof(v->past[0]));
	if (v->back && v->back < MIN(v->past_count, VT_PAST_MAX))
		v->back++;
}

/* Rows `from` to the bottom margin move up by n; blank ones come in below. */
static void move_up(struct vt *v, unsigned from, unsigned n)
{
	n = MIN(n, v->bottom - from + 1);
	while (n--) {
		uint8_t first = v->order[from];

		if (!from)
			keep_past(v);
		memmove(&v->order[from], &v->order[from + 1], v->bottom - from);
		v->order[v->bottom] = first;
		blank(row_of(v, v->bottom), v->columns);
	}
}

static void move_down(struct vt *v, unsigned from, unsigned n)
{
	n = MIN(n, v->bottom - from + 1);
	while (n--) {
		uint8_t last = v->order[v->bottom];

		memmove(&v->order[from + 1], &v->order[from], v->bottom - from);
		v->order[from] = last;
		blank(row_of(v, from), v->columns);
	}
}

static void line_feed(struct vt *v)
{
	v->lines++;
	v->at.wrap_next = false;
	if (v->at.row == v->bottom)
		move_up(v, v->top, 1);
	else if (v->at.row + 1 < v->rows)
		v->at.row++;
}

static void reverse_line_feed(struct vt *v)
{
	v->at.wrap_next = false;
	if (v->at.row == v->top)
		move_down(v, v->top, 1);
	else if (v->at.row)
		v->at.row--;
}

/* ---- the cursor ---- */

/* Counted from 0; from the top margin and no further than the bottom one in origin mode. */
static void go(struct vt *v, unsigned row, unsigned column)
{
	unsigned first = v->at.origin ? v->top : 0;
	unsigned last = v->at.origin ? v->bottom : v->rows - 1;

	v->at.row = MIN(first + row, last);
	v->at.column = MIN(column, v->columns - 1);
	v->at.wrap_next = false;
}

/* Up and down stop at a margin, unless the cursor is beyond it already. */
static void go_up(struct vt *v, unsigned n)
{
	unsigned stop = v->at.row >= v->top ? v->top : 0;

	v->at.row -= MIN(n, v->at.row - stop);
	v->at.wrap_next = false;
}

static void go_down(struct vt *v, unsigned n)
{
	unsigned stop = v->at.row <= v->bottom ? v->bottom : v->rows - 1;

	v->at.row += MIN(n, stop - v->at.row);
	v->at.wrap_next = false;
}

static void go_to_column(struct vt *v, unsigned column)
{
	v->at.column = MIN(column, v->columns - 1);
	v->at.wrap_next = false;
}

static void carriage_return(struct vt *v)
{
	go_to_column(v, 0);
}

/* ---- characters ---- */

static void insert_blanks(struct vt *v, unsigned n)
{
	uint16_t *cell = row_of(v, v->at.row) + v->at.column;
	unsigned rest = v->columns - v->at.column;

	n = MIN(n, rest);
	memmove(cell + n, cell, (rest - n) * sizeof(*cell));
	blank(cell, n);
}

static void delete_characters(struct vt *v, unsigned n)
{
	uint16_t *cell = row_of(v, v->at.row) + v->at.column;
	unsigned rest = v->columns - v->at.column;

	n = MIN(n, rest);
	memmove(cell, cell + n, (rest - n) * sizeof(*cell));
	blank(cell + rest - n, n);
}

static void put(struct vt *v, uint8_t c)
{
	if (v->at.wrap_next) {
		carriage_return(v);
		line_feed(v);
	}
	if (v->insert)
		insert_blanks(v, 1);
	row_of(v, v->at.row)[v->at.column] = c | v->at.attribute;
	v->last = c;
	if (v->at.column + 1 < v->columns)
		v->at.column++;
	else
		v->at.wrap_next = v->wrap;
}

/* Line drawing, from 0x60 on. */
static uint8_t graphic(uint8_t c)
{
	static const char likeness[] = "*#????o+??+++++----_++++|<>*!#.";

	return c >= '`' ? (uint8_t)likeness[c - '`'] : c;
}

static uint8_t likeness(uint32_t code)
{
	static const struct { uint16_t first, last; char c; } rows[] = {
		{ 0x00a0, 0x00a0, ' ' }, { 0x2010, 0x2015, '-' }, { 0x2018, 0x201b, '\'' },
		{ 0x201c, 0x201f, '"' }, { 0x2022, 0x2022, '*' }, { 0x2026, 0x2026, '.' },
		{ 0x2190, 0x2190, '<' }, { 0x2192, 0x2192, '>' }, { 0x2500, 0x2501, '-' },
		{ 0x2502, 0x2503, '|' }, { 0x2504, 0x2505, '-' }, { 0x2506, 0x2507, '|' },
		{ 0x250c, 0x254b, '+' }, { 0x2550, 0x2550, '=' }, { 0x2551, 0x2551, '|' },
		{ 0x2552, 0x257f, '+' }, { 0x2580, 0x259f, '#' },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++)
		if (code >= rows[i].first && code <= rows[i].last)
			return (uint8_t)rows[i].c;
	return '?';
}

static void text(struct vt *v, uint8_t c)
{
	if (v->code_left && (c & 0xc0) == 0x80) {
		v->code = v->code << 6 | (c & 0x3f);
		if (!--v->code_left)
			put(v, likeness(v->code));
		return;
	}
	if (v->code_left)
		put(v, '?');		/* it has ended too early */
	v->code_left = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc2 ? 1 : 0;
	v->code = c & (0x3f >> v->code_left);
	if (c < 0x80)
		put(v, v->at.graphics[v->at.charset] ? graphic(c) : c);
	else if (!v->code_left)
		put(v, '?');
}

static void control(struct vt *v, uint8_t c)
{
	switch (c) {
	case '\b': go_to_column(v, v->at.column ? v->at.column - 1 : 0); break;
	case '\t': go_to_column(v, (v->at.column | 7) + 1); break;
	case '\n': case '\v': case '\f':
		line_feed(v);
		if (v->newline)
			v->at.column = 0;
		break;
	case '\r': carriage_return(v); break;
	case 0x0e: v->at.charset = 1; break;
	case 0x0f: v->at.charset = 0; break;
	}
}

/* ---- sequences ---- */

/* Parameter i, where 0 and nothing mean `none`. */
static unsigned number(const struct vt *v, unsigned i, unsigned none)
{
	return i < v->parameter_count && v->parameter[i] ? v->parameter[i] : none;
}

static void erase_in_row(struct vt *v, unsigned y, unsigned from, unsigned to)
{
	blank(row_of(v, y) + from, to - from);
}

static void erase_display(struct vt *v)
{
	unsigned how = number(v, 0, 0);
	unsigned from = how ? 0 : v->at.row + 1, to = how == 1 ? v->at.row : v->rows;

	for (unsigned y = from; y < to; y++)
		erase_in_row(v, y, 0, v->columns);
	if (how == 0)
		erase_in_row(v, v->at.row, v->at.column, v->columns);
	else if (how == 1)
		erase_in_row(v, v->at.row, 0, v->at.column + 1);
	v->at.wrap_next = false;
}

static void erase_line(struct vt *v)
{
	unsigned how = number(v, 0, 0);

	erase_in_row(v, v->at.row, how ? 0 : v->at.column,
		     how == 1 ? v->at.column + 1 : v->columns);
	v->at.wrap_next = false;
}

static void erase_characters(struct vt *v)
{
	erase_in_row(v, v->at.row, v->at.column,
		     MIN(v->at.column + number(v, 0, 1), v->columns));
}

static bool within_margins(const struct vt *v)
{
	return v->at.row >= v->top && v->at.row <= v->bottom;
}

static void set_margins(struct vt *v)
{
	unsigned top = number(v, 0, 1), bottom = MIN(number(v, 1, v->rows), v->rows);

	if (top >= bottom)
		return;
	v->top = top - 1;
	v->bottom = bottom - 1;
	go(v, 0, 0);
}

static void rendition(struct vt *v)
{
	for (unsigned i = 0; i < MAX(v->parameter_count, 1u); i++) {
		switch (number(v, i, 0)) {
		case 0: v->at.attribute = 0; break;
		case 1: v->at.attribute |= VT_BOLD; break;
		case 7: v->at.attribute |= VT_REVERSE; break;
		case 22: v->at.attribute &= (uint16_t)~VT_BOLD; break;
		case 27: v->at.attribute &= (uint16_t)~VT_REVERSE; break;
		case 38: case 48: i += number(v, i + 1, 0) == 2 ? 4 : 2; break;	/* a colour */
		}
	}
}

static void set_mode(struct vt *v, bool private, unsigned mode, bool on)
{
	switch (mode | (unsigned)private << 16) {
	case 4: v->insert = on; break;
	case 20: v->newline = on; break;
	case 6 | 1 << 16:
		v->at.origin = on;
		go(v, 0, 0);
		break;
	case 7 | 1 << 16:
		v->wrap = on;
		v->at.wrap_next = false;
		break;
	case 25 | 1 << 16: v->cursor = on; break;
	}
}

static void set_modes(struct vt *v, bool private, bool on)
{
	for (unsigned i = 0; i < v->parameter_count; i++)
		set_mode(v, private, v->parameter[i], on);
}

static void restore(struct vt *v)
{
	v->at = v->saved;
	v->at.row = MIN(v->at.row, v->rows - 1);
	v->at.column = MIN(v->at.column, v->columns - 1);
}

static void report(struct vt *v, const char *what, unsigned row, unsigned column)
{
	char buf[32];

	if (v->reply)
		v->reply(buf, (size_t)format(buf, sizeof(buf), what, row, column));
}

static void status(struct vt *v)
{
	unsigned row = v->at.row - (v->at.origin ? v->top : 0);

	if (number(v, 0, 0) == 5)
		report(v, "\x1b[0n", 0, 0);
	else if (number(v, 0, 0) == 6)
		report(v, "\x1b[%u;%uR", row + 1, v->at.column + 1);
}

static void repeat(struct vt *v)
{
	for (unsigned n = MIN(number(v, 0, 1), v->columns); n--;)
		put(v, v->last);
}

/* Those without a prefix; n is the first parameter, 1 if there is none. */
static void csi_plain(struct vt *v, uint8_t final, unsigned n)
{
	switch (final) {
	case '@': insert_blanks(v, n); break;
	case 'A': go_up(v, n); break;
	case 'B': case 'e': go_down(v, n); break;
	case 'C': case 'a': go_to_column(v, v->at.column + n); break;
	case 'D': go_to_column(v, v->at.column - MIN(n, v->at.column)); break;
	case 'E': go_down(v, n); carriage_return(v); break;
	case 'F': go_up(v, n); carriage_return(v); break;
	case 'G': case '`': go_to_column(v, n - 1); break;
	case 'H': case 'f': go(v, n - 1, number(v, 1, 1) - 1); break;
	case 'J': erase_display(v); break;
	case 'K': erase_line(v); break;
	case 'L': if (within_margins(v)) move_down(v, v->at.row, n); break;
	case 'M': if (within_margins(v)) move_up(v, v->at.row, n); break;
	case 'P': delete_characters(v, n); break;
	case 'S': move_up(v, v->top, n); break;
	case 'T': move_down(v, v->top, n); break;
	case 'X': erase_characters(v); break;
	case 'b': repeat(v); break;
	case 'c': report(v, "\x1b[?6c", 0, 0); break;
	case 'd': go(v, n - 1, v->at.column); break;
	case 'h': set_modes(v, false, true); break;
	case 'l': set_modes(v, false, false); break;
	case 'm': rendition(v); break;
	case 'n': status(v); break;
	case 'r': set_margins(v); break;
	case 's': v->saved = v->at; break;
	case 'u': restore(v); break;
	}
}

static void csi_final(struct vt *v, uint8_t final)
{
	if (!v->intermediate)
		csi_plain(v, final, number(v, 0, 1));
	else if (v->intermediate == '?' && (final == 'h' || final == 'l'))
		set_modes(v, true, final == 'h');
	else if (v->intermediate == '!' && final == 'p')
		vt_reset(v);
}

static void csi(struct vt *v, uint8_t c)
{
	uint16_t *last = &v->parameter[v->parameter_count - 1];

	if (c >= '@') {
		v->state = STATE_TEXT;
		csi_final(v, c);
	} else if (c >= '0' && c <= '9') {
		*last = (uint16_t)MIN(*last * 10u + c - '0', (unsigned)NUMBER_MAX);
	} else if (c == ';' && v->parameter_count < VT_PARAMETERS) {
		v->parameter[v->parameter_count++] = 0;
	} else if (c == ';' || c == ':' || v->intermediate) {
		v->state = STATE_CSI_IGNORE;
	} else {
		v->intermediate = c;
	}
}

static void escape(struct vt *v, uint8_t c)
{
	v->state = STATE_TEXT;
	v->intermediate = c;
	if (c >= 0x20 && c < 0x30)
		v->state = STATE_ESCAPE_MORE;
	switch (c) {
	case '[':
		v->state = STATE_CSI;
		v->intermediate = 0;
		v->parameter[0] = 0;
		v->parameter_count = 1;
		break;
	case ']': case 'P': case 'X': case '^': case '_': v->state = STATE_STRING; break;
	case '7': v->saved = v->at; break;
	case '8': restore(v); break;
	case 'D': line_feed(v); break;
	case 'E': line_feed(v); carriage_return(v); break;
	case 'M': reverse_line_feed(v); break;
	case 'c':
		vt_reset(v);
		for (unsigned y = 0; y < v->rows; y++)
			erase_in_row(v, y, 0, v->columns);
		go(v, 0, 0);
		break;
	}
}

/* The choice of a character set; all else that begins so is of no use here. */
static void escape_more(struct vt *v, uint8_t c)
{
	if (c >= 0x20 && c < 0x30)
		return;
	v->state = STATE_TEXT;
	if (v->intermediate == '(' || v->intermediate == ')')
		v->at.graphics[v->intermediate == ')'] = c == '0';
}

static void take(struct vt *v, uint8_t c)
{
	if (c == CAN || c == SUB || c == ESC) {
		v->state = c == ESC ? STATE_ESCAPE : STATE_TEXT;
		v->code_left = 0;
	} else if (v->state == STATE_STRING) {
		if (c == '\a')
			v->state = STATE_TEXT;
	} else if (c < 0x20) {
		control(v, c);
	} else if (v->state == STATE_TEXT) {
		if (c != DEL)
			text(v, c);
	} else if (c >= DEL) {
		v->state = STATE_TEXT;		/* not in a sequence */
	} else if (v->state == STATE_ESCAPE) {
		escape(v, c);
	} else if (v->state == STATE_ESCAPE_MORE) {
		escape_more(v, c);
	} else if (v->state == STATE_CSI) {
		csi(v, c);
	} else if (c >= '@') {
		v->state = STATE_TEXT;
	}
}

void vt_write(struct vt *v, const void *data, size_t n)
{
	const uint8_t *p = data;

	while (n--)
		take(v, *p++);
}

void vt_reset(struct vt *v)
{
	unsigned row = v->at.row, column = v->at.column;

	v->at = (struct vt_place){ .row = row, .column = column };
	v->saved = (struct vt_place){ .row = 0 };
	v->top = 0;
	v->bottom = v->rows - 1;
	v->wrap = v->cursor = true;
	v->insert = v->newline = false;
	v->state = STATE_TEXT;
	v->code_left = 0;
}

void vt_init(struct vt *v, unsigned columns, unsigned rows)
{
	v->columns = columns;
	v->rows = rows;
	for (unsigned y = 0; y < rows; y++) {
		v->order[y] = (uint8_t)y;
		blank(v->cell[y], columns);
	}
	v->past_count = v->back = v->lines = 0;
	v->last = ' ';
	v->reply = NULL;
	vt_reset(v);
	v->at.row = v->at.column = 0;
}

/* ---- looking ---- */

uint16_t vt_cell(const struct vt *v, unsigned row, unsigned column)
{
	unsigned back = READ_ONCE(v->back);

	if (row < back)
		return v->past[(v->past_count - back + row) % VT_PAST_MAX][column];
	row -= back;
	if (row == v->at.row && column == v->at.column && v->cursor)
		return v->cell[v->order[row]][column] ^ VT_REVERSE;
	return v->cell[v->order[row]][column];
}

void vt_look_back(struct vt *v, int rows)
{
	int most = (int)MIN(v->past_count, VT_PAST_MAX), to = (int)v->back + rows;

	WRITE_ONCE(v->back, (unsigned)(to < 0 ? 0 : MIN(to, most)));
}
