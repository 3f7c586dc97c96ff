/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The line editor; see shell/editor.h. The window shows WINDOW characters from `start`; when the
 * cursor would leave it, it jumps by a third, with '<' and '>' where text is hidden.
 */
#include "shell/editor.h"

#include "include/bits.h"
#include "lib/format.h"
#include "lib/string.h"

#define CTRL(c)	((c) & 0x1f)
#define ESC	0x1b
#define DEL	0x7f

enum escape_state { ESCAPE_NONE, ESCAPE_START, ESCAPE_CSI, ESCAPE_SS3 };

void editor_init(struct editor *e, const char *prompt, struct history *h,
		 void (*out)(const void *data, size_t n))
{
	*e = (struct editor){ .prompt = prompt, .history = h, .out = out };
	editor_begin(e);
}

static void search_end(struct editor *e)
{
	if (e->searching)
		e->prompt = e->prompt_kept;
	e->searching = false;
}

void editor_begin(struct editor *e)
{
	e->text[0] = 0;
	e->length = e->cursor = e->start = 0;
	e->too_long = false;
	e->history_back = 0;
	search_end(e);
	e->shown_prompt = false;
	e->shown_length = e->shown_cursor = 0;
	e->escape = ESCAPE_NONE;
}

/* --- drawing */

static size_t window(const struct editor *e)
{
	return EDITOR_COLUMNS - 1 - strlen(e->prompt);
}

static void scroll(struct editor *e)
{
	size_t w = window(e), keep = w * 2 / 3;

	if (e->cursor < e->start + (e->start > 0))
		e->start = e->cursor > w - keep ? e->cursor - (w - keep) : 0;
	if (e->cursor > e->start + w - 1 - (e->length > e->start + w))
		e->start = e->cursor - keep;
}

/* What the row should show behind the prompt. */
static size_t view(const struct editor *e, char *row)
{
	size_t w = window(e), n = MIN(e->length - e->start, w);

	memcpy(row, e->text + e->start, n);
	if (e->start && n)
		row[0] = '<';
	if (e->start + n < e->length)
		row[n - 1] = '>';
	return n;
}

static void out_text(struct editor *e, const char *text)
{
	e->out(text, strlen(text));
}

static void move_left(struct editor *e, size_t columns)
{
	char buf[16];

	if (columns)
		e->out(buf, (size_t)format(buf, sizeof(buf), "\x1b[%zuD", columns));
}

static void draw_whole(struct editor *e, const char *row, size_t n)
{
	if (e->shown_prompt)
		out_text(e, "\r");
	out_text(e, e->prompt);
	if (e->shown_prompt)
		out_text(e, "\x1b[K");
	e->out(row, n);
	e->shown_prompt = true;
}

void editor_draw(struct editor *e)
{
	char row[EDITOR_COLUMNS] = { 0 };
	size_t n, column, common = 0;

	scroll(e);
	n = view(e, row);
	column = e->cursor - e->start;
	while (common < n && common < e->shown_length && row[common] == e->shown[common])
		common++;
	if (!e->shown_prompt || common < e->shown_length ||
	    (n > common && e->shown_cursor != common))
		draw_whole(e, row, n);
	else if (n > common)
		e->out(row + common, n - common);
	else if (column <= e->shown_cursor)
		n = e->shown_cursor;	/* no text to send: the cursor moves, from where it is */
	else
		e->out(row + e->shown_cursor, column - e->shown_cursor), n = column;
	move_left(e, n - column);
	memcpy(e->shown, row, sizeof(row));
	e->shown_length = MIN(e->length - e->start, window(e));
	e->shown_cursor = column;
}

void editor_hide(struct editor *e)
{
	if (e->shown_prompt)
		out_text(e, "\r\x1b[K");
	e->shown_prompt = false;
	e->shown_length = e->shown_cursor = 0;
}

void editor_leave(struct editor *e)
{
	e->cursor = e->length;
	editor_draw(e);
	out_text(e, "\r\n");
	e->shown_prompt = false;
	e->shown_length = e->shown_cursor = 0;
}

/* --- changing the text */

void editor_insert(struct editor *e, const char *text, size_t n)
{
	size_t fit = MIN(n, EDITOR_LINE_MAX - e->length);

	e->too_long |= fit < n;
	memmove(e->text + e->cursor + fit, e->text + e->cursor, e->length - e->cursor + 1);
	memcpy(e->text + e->cursor, text, fit);
	e->length += fit;
	e->cursor += fit;
}

static void erase(struct editor *e, size_t from, size_t to, bool keep)
{
	if (keep && to > from) {
		memcpy(e->killed, e->text + from, to - from);
		e->killed[to - from] = 0;
	}
	memmove(e->text + from, e->text + to, e->length - to + 1);
	e->length -= to - from;
	e->cursor = from;
	if (!e->length)
		e->too_long = false;
}

static void replace(struct editor *e, const char *text)
{
	e->length = e->cursor = 0;
	e->text[0] = 0;
	e->too_long = false;
	editor_insert(e, text, strlen(text));
}

static size_t word_left(const struct editor *e)
{
	size_t at = e->cursor;

	while (at && e->text[at - 1] == ' ')
		at--;
	while (at && e->text[at - 1] != ' ')
		at--;
	return at;
}

static size_t word_right(const struct editor *e)
{
	size_t at = e->cursor;

	while (at < e->length && e->text[at] == ' ')
		at++;
	while (at < e->length && e->text[at] != ' ')
		at++;
	return at;
}

static void recall(struct editor *e, unsigned back)
{
	const char *line = back ? history_get(e->history, back) : e->kept;

	if (!line)
		return;
	if (!e->history_back)
		str_copy(e->kept, e->text, sizeof(e->kept));
	e->history_back = back;
	replace(e, line);
}

static void older(struct editor *e)
{
	recall(e, e->history_back + 1);
}

static void newer(struct editor *e)
{
	if (e->history_back)
		recall(e, e->history_back - 1);
}

/* --- searching the history */

/* Where `part` begins in `text`, -1 if nowhere. */
static int find(const char *text, const char *part)
{
	size_t n = strlen(part);

	for (size_t at = 0; text[at]; at++)
		if (!strncmp(text + at, part, n))
			return (int)at;
	return -1;
}

/* The newest line from `back` on that has what is wanted; false: it stays where it is. */
static bool search(struct editor *e, unsigned back)
{
	const char *line;
	int at;

	if (!e->wanted[0])
		return true;
	for (; (line = history_get(e->history, back)); back++) {
		at = find(line, e->wanted);
		if (at < 0)
			continue;
		recall(e, back);
		e->cursor = (size_t)at;
		return true;
	}
	return false;
}

static void search_show(struct editor *e, bool found)
{
	editor_hide(e);
	format(e->search_prompt, sizeof(e->search_prompt), "%s '%s': ",
	       found ? "search" : "not found", e->wanted);
	e->start = 0;
}

static void search_begin(struct editor *e)
{
	if (!e->history_back)
		str_copy(e->kept, e->text, sizeof(e->kept));
	e->search_begin = e->history_back;
	e->wanted[0] = 0;
	e->prompt_kept = e->prompt;
	e->prompt = e->search_prompt;
	e->searching = true;
	search_show(e, true);
}

/* Back to the line before the search. */
static void search_cancel(struct editor *e)
{
	e->history_back = e->search_begin;
	replace(e, e->search_begin ? history_get(e->history, e->search_begin) : e->kept);
}

/* False: the key ends the search, at the line that it found, and does what it always does. */
static bool search_key(struct editor *e, uint8_t key)
{
	size_t n = strlen(e->wanted);
	unsigned back = MAX(e->history_back, 1u);

	if (key == CTRL('R')) {
		search_show(e, search(e, e->history_back + 1));
	} else if (key >= 0x20 && key < 0x7f) {
		if (n < EDITOR_SEARCH_MAX)
			memcpy(e->wanted + n, (const char[]){ (char)key, 0 }, 2);
		search_show(e, search(e, back));
	} else if ((key == CTRL('H') || key == DEL) && n) {
		e->wanted[n - 1] = 0;
		search_show(e, search(e, 1));
	} else {
		editor_hide(e);
		search_end(e);
		e->start = 0;
		if (key != CTRL('G') && key != CTRL('C'))
			return false;
		search_cancel(e);
	}
	return true;
}

static void delete_right(struct editor *e)
{
	if (e->cursor < e->length)
		erase(e, e->cursor, e->cursor + 1, false);
}

static void delete_left(struct editor *e)
{
	if (e->cursor)
		erase(e, e->cursor - 1, e->cursor, false);
}

static void left(struct editor *e)
{
	e->cursor -= e->cursor > 0;
}

static void right(struct editor *e)
{
	e->cursor += e->cursor < e->length;
}

/* --- keys */

static void escape_final(struct editor *e, uint8_t key)
{
	bool by_word = e->parameter[1] == 5 || e->parameter[1] == 3;	/* Ctrl, Alt */

	switch (key == '~' ? (e->parameter[0] | 0x80) : key) {
	case 'A': older(e); break;
	case 'B': newer(e); break;
	case 'C': by_word ? (void)(e->cursor = word_right(e)) : right(e); break;
	case 'D': by_word ? (void)(e->cursor = word_left(e)) : left(e); break;
	case 'H': case 0x81: case 0x87: e->cursor = 0; break;
	case 'F': case 0x84: case 0x88: e->cursor = e->length; break;
	case 0x83: delete_right(e); break;
	}
}

static void meta(struct editor *e, uint8_t key)
{
	switch (key) {
	case 'b': e->cursor = word_left(e); break;
	case 'f': e->cursor = word_right(e); break;
	case 'd': erase(e, e->cursor, word_right(e), true); break;
	}
}

/* Takes the bytes of ESC [ n ; n X and ESC O X; unknown sequences are swallowed whole. */
static void escape_key(struct editor *e, uint8_t key)
{
	if (e->escape == ESCAPE_START && (key == '[' || key == 'O')) {
		e->escape = key == '[' ? ESCAPE_CSI : ESCAPE_SS3;
		e->parameter[0] = e->parameter[1] = e->parameter_index = 0;
		return;
	}
	if (e->escape == ESCAPE_CSI && key >= 0x20 && key < 0x40) {
		uint16_t *p = &e->parameter[e->parameter_index];

		if (key == ';')
			e->parameter_index = 1;
		else if (key >= '0' && key <= '9' && *p < 100)
			*p = (uint16_t)(*p * 10 + key - '0');
		return;
	}
	if (e->escape == ESCAPE_START)
		meta(e, key);
	else
		escape_final(e, key);
	e->escape = ESCAPE_NONE;
}

static void control_key(struct editor *e, uint8_t key)
{
	switch (key) {
	case CTRL('A'): e->cursor = 0; break;
	case CTRL('B'): left(e); break;
	case CTRL('D'): delete_right(e); break;
	case CTRL('E'): e->cursor = e->length; break;
	case CTRL('F'): right(e); break;
	case CTRL('H'): case DEL: delete_left(e); break;
	case CTRL('K'): erase(e, e->cursor, e->length, true); break;
	case CTRL('L'):
		out_text(e, "\x1b[H\x1b[2J");
		e->shown_prompt = false;
		e->shown_length = e->shown_cursor = 0;
		break;
	case CTRL('N'): newer(e); break;
	case CTRL('P'): older(e); break;
	case CTRL('R'): search_begin(e); break;
	case CTRL('U'): erase(e, 0, e->cursor, true); break;
	case CTRL('W'): erase(e, word_left(e), e->cursor, true); break;
	case CTRL('Y'): editor_insert(e, e->killed, strlen(e->killed)); break;
	case CTRL(']'): editor_hide(e); break;	/* out of a closed console: the prompt again */
	}
}

static enum editor_result enter(struct editor *e, uint8_t key)
{
	bool second = key == '\n' && e->after_return;

	e->after_return = key == '\r';
	if (second)
		return EDITOR_MORE;
	editor_leave(e);
	return e->too_long ? EDITOR_TOO_LONG : EDITOR_LINE;
}

enum editor_result editor_key(struct editor *e, uint8_t key)
{
	if (e->searching && search_key(e, key))
		return EDITOR_MORE;
	if (key == '\r' || key == '\n') {
		e->escape = ESCAPE_NONE;
		return enter(e, key);
	}
	e->after_return = false;
	if (key == ESC)
		e->escape = ESCAPE_START;
	else if (e->escape && key >= 0x20 && key < 0x7f)
		escape_key(e, key);
	else if (key >= 0x20 && key < 0x7f)
		editor_insert(e, (const char *)&key, 1);
	else if (key == CTRL('C'))
		return EDITOR_CANCEL;
	else if (key == '\t')
		return EDITOR_COMPLETE;
	else if (key == CTRL('T'))
		return EDITOR_DIAGNOSE;
	else {
		e->escape = ESCAPE_NONE;
		control_key(e, key);
	}
	return EDITOR_MORE;
}
