/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The line editor against a virtual terminal of one row that wraps at 80 columns: whatever is
 * typed, the terminal shows what the editor means to show, and the cursor stands where it should.
 */
/* links: shell/editor.c shell/history.c lib/format.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "include/bits.h"
#include "shell/editor.h"

#define PROMPT	"keel> "
#define WIDTH	80

/* --- the terminal */

static struct {
	char row[WIDTH + 1];
	unsigned column, lines, bells;
	bool wrapped;		/* something was written in or behind the last column */
	char escape[16];
	unsigned escape_length;
	size_t bytes;
} term;

static void term_clear(void)
{
	memset(term.row, ' ', WIDTH);
	term.row[WIDTH] = 0;
	term.column = 0;
}

static void term_escape(char c)
{
	unsigned n;

	assert_true(term.escape_length < sizeof(term.escape) - 1);
	term.escape[term.escape_length++] = c;
	term.escape[term.escape_length] = 0;
	if (term.escape_length < 3 || (c >= '0' && c <= '9') || c == ';')
		return;
	if (!strcmp(term.escape, "\x1b[K")) {
		memset(term.row + term.column, ' ', WIDTH - term.column);
	} else if (!strcmp(term.escape, "\x1b[2J")) {
		term_clear();
	} else if (!strcmp(term.escape, "\x1b[H")) {
		term.column = 0;
	} else {
		assert_int_equal(sscanf(term.escape, "\x1b[%uD", &n), 1);
		assert_int_equal(c, 'D');
		assert_true(n <= term.column);
		term.column -= n;
	}
	term.escape_length = 0;
}

static void term_byte(char c)
{
	if (term.escape_length || c == 0x1b) {
		term_escape(c);
	} else if (c == '\r') {
		term.column = 0;
	} else if (c == '\n') {
		term.lines++;
		term_clear();
	} else {
		assert_in_range(c, 0x20, 0x7e);
		if (term.column >= WIDTH - 1)
			term.wrapped = true;
		else
			term.row[term.column++] = c;
	}
}

static void out(const void *data, size_t n)
{
	term.bytes += n;
	for (size_t i = 0; i < n; i++)
		term_byte(((const char *)data)[i]);
}

static struct editor e;
static struct history h;

static int setup(void **state)
{
	(void)state;
	memset(&term, 0, sizeof(term));
	memset(&h, 0, sizeof(h));
	term_clear();
	editor_init(&e, PROMPT, &h, out);
	editor_draw(&e);
	return 0;
}

/*
 * The row, without blanks at its end, is the prompt and this; the cursor is `column`
 * behind the prompt.
 */
static void shows(const char *text, unsigned column)
{
	char expect[WIDTH + 1];

	snprintf(expect, sizeof(expect), "%-80s", "");
	memcpy(expect, PROMPT, strlen(PROMPT));
	memcpy(expect + strlen(PROMPT), text, strlen(text));
	assert_string_equal(term.row, expect);
	assert_int_equal(term.column, strlen(PROMPT) + column);
	assert_false(term.wrapped);
}

/* Types, drawing after every key; returns the last result. */
static enum editor_result type(const char *keys)
{
	enum editor_result r = EDITOR_MORE;

	for (; *keys; keys++) {
		r = editor_key(&e, (uint8_t)*keys);
		if (r == EDITOR_LINE) {
			history_add(&h, e.text);
			editor_begin(&e);
		}
		editor_draw(&e);
	}
	return r;
}

static void typing_echoes_only_what_is_new(void **state)
{
	(void)state;
	shows("", 0);
	term.bytes = 0;
	type("list");
	shows("list", 4);
	assert_int_equal(term.bytes, 4);
}

static void moving_and_inserting(void **state)
{
	(void)state;
	type("start debian\x01");
	shows("start debian", 0);
	type("re\x05!");
	shows("restart debian!", 15);
	type("\x1b[D\x1b[D\x1b[Dx");
	shows("restart debixan!", 13);
	type("\x7f\x1b[3~");
	shows("restart debin!", 12);
	type("\x1b[H\x1b[3~\x1b[C_\x1b[F.");
	shows("e_start debin!.", 15);
	type("\x1bOH>\x1bOF<");
	shows(">e_start debin!.<", 17);
	type("\x1b[1~\x1b[4~\x1b[7~\x1b[8~");
	shows(">e_start debin!.<", 17);
	type("\x02\x02\x06|");
	shows(">e_start debin!.|<", 17);
}

static void killing(void **state)
{
	(void)state;
	type("one two three\x17");
	shows("one two ", 8);
	type("\x19");
	shows("one two three", 13);
	type("\x1b" "b\x0b");
	shows("one two ", 8);
	type("\x1b[1;5D\x15");
	shows("two ", 0);
	type("\x15\x0b\x15");
	shows("", 0);
	type("\x7f\x08\x17\x04");
	shows("", 0);
}

static void recalling(void **state)
{
	(void)state;
	type("first\rsecond\rsecond\r\r");
	type("thi\x1b[A");
	shows("second", 6);
	type("\x1b[A\x1b[A\x1b[A");
	shows("first", 5);
	type("\x1b[B");
	shows("second", 6);
	type("\x1b[B\x1b[B");
	shows("thi", 3);
	type("\x10\x10\x0e!\r");
	assert_string_equal(history_get(&h, 1), "second!");
}

/* The row as it is, and where the cursor stands. */
static void row_is(const char *text, unsigned column)
{
	char expect[WIDTH + 1];

	snprintf(expect, sizeof(expect), "%-80s", text);
	assert_string_equal(term.row, expect);
	assert_int_equal(term.column, column);
	assert_false(term.wrapped);
}

static void searching(void **state)
{
	(void)state;
	type("start debian\rlist --all\rdomstats debian\rlist\r");
	type("half\x12");
	row_is("search '': half", 15);
	type("deb");
	row_is("search 'deb': domstats debian", 23);
	type("\x12");
	row_is("search 'deb': start debian", 20);
	type("\x12");
	row_is("not found 'deb': start debian", 23);
	type("\x07");
	shows("half", 4);
	type("\x12--allx");
	row_is("not found '--allx': list --all", 25);
	type("\x7f\x05");			/* any other key takes the line and does its work */
	shows("list --all", 10);
	type(" --name\r");
	assert_string_equal(history_get(&h, 1), "list --all --name");
	type("\x12st\x03");
	shows("", 0);
	type("\x10\x10\x12zzz\x07");		/* back to the line it began from */
	shows("list", 4);
	type("\x12 deb\r");
	assert_string_equal(history_get(&h, 1), "domstats debian");
	type("\x12");
	for (unsigned i = 0; i < 100; i++)
		type("w");
	assert_int_equal(strlen(e.wanted), EDITOR_SEARCH_MAX);
	type("\x03");
	shows("", 0);
}

static void long_lines_scroll(void **state)
{
	char expect[WIDTH];

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		char key[2] = { (char)('a' + i % 26), 0 };

		type(key);
		assert_false(term.wrapped);
		if (i >= 40) {		/* the last 40 are always to be seen */
			assert_int_equal(term.row[term.column - 1], 'a' + i % 26);
			assert_int_equal(term.row[term.column - 40], 'a' + (i - 39) % 26);
		}
	}
	assert_int_equal(term.row[6], '<');
	type("\x01");
	for (unsigned i = 0; i < 73; i++)
		expect[i] = (char)('a' + i % 26);
	expect[72] = '>';
	expect[73] = 0;
	shows(expect, 0);
	for (unsigned i = 0; i < 200; i++) {
		type("\x1b[C");
		if (i + 1 < 200)
			assert_true(term.row[term.column] == 'a' + (int)((i + 1) % 26));
	}
	for (unsigned i = 200; i-- > 0;) {
		type("\x1b[D");
		assert_true(term.row[term.column] == 'a' + (int)(i % 26));
	}
	assert_int_equal(term.column, 6);
}

static void too_long_is_refused(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 65536; i++)
		assert_int_equal(editor_key(&e, 'x'), EDITOR_MORE);
	editor_draw(&e);
	assert_int_equal(e.length, EDITOR_LINE_MAX);
	assert_int_equal(editor_key(&e, '\r'), EDITOR_TOO_LONG);
	editor_begin(&e);
	editor_draw(&e);
	assert_int_equal(type("list\r"), EDITOR_LINE);
	/* Clearing it by hand is enough. */
	for (unsigned i = 0; i < 2000; i++)
		editor_key(&e, 'x');
	type("\x15ok");
	shows("ok", 2);
	assert_int_equal(editor_key(&e, '\r'), EDITOR_LINE);
	assert_string_equal(e.text, "ok");
}

static void output_above_the_line(void **state)
{
	(void)state;
	type("half a comm\x1b[D\x1b[D");
	editor_hide(&e);
	assert_int_equal(term.column, 0);
	assert_int_equal(strspn(term.row, " "), WIDTH);
	out("[ 1.0] log\r\n", 12);
	editor_draw(&e);
	shows("half a comm", 9);
}

static void pasting_is_drawn_once(void **state)
{
	(void)state;
	term.bytes = 0;
	for (unsigned i = 0; i < 1000; i++)
		editor_key(&e, 'y');
	editor_draw(&e);
	assert_true(term.bytes < 100);
}

static void strange_bytes(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 256; c++)
		if (c != '\r' && c != '\n' && c != 3 && c != '\t' && c != 0x14 &&
		    (c < 0x20 || c >= 0x7f))
			assert_int_equal(editor_key(&e, (uint8_t)c), EDITOR_MORE);
	editor_draw(&e);
	shows("", 0);
	type("\x1b[999;999Z\x1b[\x1b[9999999999999999999A\x1bOz\x1b\x1b[1;2;3;4;5;6~ok");
	shows("ok", 2);
}

static void returns(void **state)
{
	(void)state;
	type("a");
	assert_int_equal(editor_key(&e, '\r'), EDITOR_LINE);
	editor_begin(&e);
	assert_int_equal(editor_key(&e, '\n'), EDITOR_MORE);
	assert_int_equal(editor_key(&e, '\n'), EDITOR_LINE);
	editor_begin(&e);
	assert_int_equal(editor_key(&e, 3), EDITOR_CANCEL);
	assert_int_equal(editor_key(&e, '\t'), EDITOR_COMPLETE);
	assert_int_equal(editor_key(&e, 0x14), EDITOR_DIAGNOSE);
	assert_int_equal(term.lines, 2);
}

static void enter_in_the_middle_leaves_the_whole_line(void **state)
{
	(void)state;
	type("abcdef\x1b[D\x1b[D\x1b[D");
	editor_key(&e, '\r');
	assert_string_equal(e.text, "abcdef");
	assert_int_equal(term.lines, 1);
	assert_int_equal(term.column, 0);
}

static void escape_key_of_a_closed_console(void **state)
{
	(void)state;
	type("abc");
	term.bytes = 0;
	type("\x1d");
	assert_true(term.bytes > strlen(PROMPT));
	shows("abc", 3);
}

static void clear_screen(void **state)
{
	(void)state;
	type("abc\x1b[D\x0c");
	shows("abc", 2);
}

/* Random keys: the screen always equals a fresh drawing of the same state. */
static void random_keys(void **state)
{
	static const char *const keys[] = {
		"a", "b", " ", "\x7f", "\x01", "\x05", "\x0b", "\x15", "\x17", "\x19", "\x1b[D",
		"\x1b[C", "\x1b[A", "\x1b[B", "\x1b[3~", "\x1b" "b", "\x1b" "f", "\x1b" "d",
		"word word word word word ", "\r", "\x1d", "\x12", "\x12", "\x07",
		"0123456789012345678901234567890123456789",
	};
	char row[WIDTH + 1];

	(void)state;
	srand(1);
	for (unsigned i = 0; i < 100000; i++) {
		unsigned column;

		for (unsigned n = (unsigned)rand() % 3; n < 3; n++)
			for (const char *k = keys[(unsigned)rand() % ARRAY_COUNT(keys)]; *k; k++)
				if (editor_key(&e, (uint8_t)*k) >= EDITOR_LINE) {
					history_add(&h, e.text);
					editor_begin(&e);
				}
		editor_draw(&e);
		strcpy(row, term.row);
		column = term.column;
		editor_hide(&e);
		editor_draw(&e);
		assert_string_equal(term.row, row);
		assert_int_equal(term.column, column);
		assert_false(term.wrapped);
		assert_int_equal(strlen(e.text), e.length);
		assert_true(e.cursor <= e.length);
		if (e.cursor < e.length && !(e.cursor == e.start && e.start) &&
		    e.cursor - e.start < WIDTH - 2 - strlen(e.prompt))
			assert_int_equal(term.row[term.column], e.text[e.cursor]);
	}
}

static void history_forgets_the_oldest(void **state)
{
	char line[200];

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(line, sizeof(line), "%0*u", 1 + (int)(i % 180), i);
		history_add(&h, line);
		assert_string_equal(history_get(&h, 1), line);
		assert_true(h.used <= HISTORY_SIZE);
	}
	assert_non_null(history_get(&h, 40));
	assert_null(history_get(&h, 1000));
	assert_null(history_get(&h, 0));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		TEST(typing_echoes_only_what_is_new), TEST(moving_and_inserting), TEST(killing),
		TEST(recalling), TEST(searching), TEST(long_lines_scroll),
		TEST(too_long_is_refused),
		TEST(output_above_the_line), TEST(pasting_is_drawn_once), TEST(strange_bytes),
		TEST(returns), TEST(enter_in_the_middle_leaves_the_whole_line),
		TEST(escape_key_of_a_closed_console), TEST(clear_screen), TEST(random_keys),
		TEST(history_forgets_the_oldest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
