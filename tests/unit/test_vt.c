/* SPDX-License-Identifier: BSD-2-Clause */
/* links: drivers/vt.c lib/format.c */
/*
 * drivers/vt: what stands on the terminal after characters and sequences; what it answers; that
 * nothing a guest prints gets beyond it, or outlasts what shell/console_command.c sends when a
 * console is left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/vt.h"
#include "include/bits.h"
#include "shell/console_plain.h"

static struct vt v;
static char answers[200];

static void reply(const char *text, size_t n)
{
	strncat(answers, text, n);
}

static int setup(void **state)
{
	(void)state;
	memset(&v, 0x5a, sizeof(v));
	vt_init(&v, 10, 5);
	v.reply = reply;
	answers[0] = 0;
	return 0;
}

static void say(const char *text)
{
	vt_write(&v, text, strlen(text));
}

/* The rows with '/' between them, blanks at their ends left out. */
static const char *text(void)
{
	static char s[2 * VT_ROWS_MAX * VT_COLUMNS_MAX];
	size_t n = 0, end = 0;

	for (unsigned y = 0; y < v.rows; y++) {
		for (unsigned x = 0; x < v.columns; x++) {
			s[n++] = (char)vt_cell(&v, y, x);
			if (s[n - 1] != ' ')
				end = n;
		}
		n = end;
		s[n++] = '/';
		end = n;
	}
	s[n] = 0;
	return s;
}

static void shows(const char *expect)
{
	assert_string_equal(text(), expect);
}

static void at(unsigned row, unsigned column)
{
	assert_int_equal(v.at.row, row);
	assert_int_equal(v.at.column, column);
	for (unsigned y = 0; y < v.rows; y++)
		for (unsigned x = 0; x < v.columns; x++)
			assert_int_equal((vt_cell(&v, y, x) & VT_REVERSE) != 0,
					 y == row && x == column);
}

static void lines(void **state)
{
	(void)state;
	say("one\r\ntwo\nx\ry");
	shows("one/two/y  x///");
	at(2, 1);
	say("\b\b\tz\t\t");
	shows("one/two/y  x    z///");
	at(2, 9);
	say("\r\n\n\n\n");
	shows("y  x    z/////");
	at(4, 0);
}

/* The last column waits for the next character before it wraps. */
static void wrapping(void **state)
{
	(void)state;
	say("0123456789");
	at(0, 9);
	say("\r\nx");
	shows("0123456789/x////");
	say("\x1b[Habcdefghijk");
	shows("abcdefghij/k////");
	say("\x1b[?7l\x1b[HABCDEFGHIJKL");
	shows("ABCDEFGHIL/k////");
	say("\x1b[?7h\x1b[2;10Hy\x1b[1Dz!");
	shows("ABCDEFGHIL/k       z!////");
}

static void moving(void **state)
{
	(void)state;
	say("\x1b[3;4Ha\x1b[Ab\x1b[2Bc\x1b[9Dd\x1b[3Ce\x1b[Gf\x1b[8`g\x1b[5dh");
	shows("/    b/   a/f   ec g/        h/");
	say("\x1b[99;99H");
	at(4, 9);
	say("\x1b[0;0H");
	at(0, 0);
	say("\x1b[99A\x1b[99D");
	at(0, 0);
	say("\x1b[99B\x1b[99C");
	at(4, 9);
	say("\x1b[2F");
	at(2, 0);
	say("\x1b[E");
	at(3, 0);
	say("\x1b[2;3H\x1b" "7\x1b[H\x1b" "8");
	at(1, 2);
	say("\x1b[s\x1b[H\x1b[u");
	at(1, 2);
}

static void erasing(void **state)
{
	const char *full = "\x1b[H0123456789\r\n0123456789\r\n0123456789\x1b[2;4H";

	(void)state;
	say(full), say("\x1b[K");
	shows("0123456789/012/0123456789///");
	say(full), say("\x1b[1K");
	shows("0123456789/    456789/0123456789///");
	say(full), say("\x1b[2K");
	shows("0123456789//0123456789///");
	say(full), say("\x1b[J");
	shows("0123456789/012////");
	say(full), say("\x1b[1J");
	shows("/    456789/0123456789///");
	say(full), say("\x1b[3X");
	shows("0123456789/012   6789/0123456789///");
	say(full), say("\x1b[2P");
	shows("0123456789/01256789/0123456789///");
	say(full), say("\x1b[2@");
	shows("0123456789/012  34567/0123456789///");
	say(full), say("\x1b[4hab\x1b[4l");
	shows("0123456789/012ab34567/0123456789///");
	say(full), say("\x1b[2J");
	shows("/////");
	at(1, 3);
	say("a\x1b[3b\x1b[99P\x1b[99X\x1b[99@");
	shows("/   aaaa////");
}

static void scrolling(void **state)
{
	(void)state;
	say("a\r\nb\r\nc\r\nd\r\ne");
	say("\x1b[2;4r");
	at(0, 0);
	say("\x1b[4;1H\n");
	shows("a/c/d//e/");
	say("\x1b[2;1H\x1bM");
	shows("a//c/d/e/");
	say("\x1b[3;1H\x1b[L");
	shows("a///c/e/");
	say("\x1b[2;1H\x1b[2M");
	shows("a/c///e/");
	say("\x1b[1;1H\x1b[L\x1b[M");		/* outside the margins */
	shows("a/c///e/");
	say("\x1b[T\x1b[2S");
	shows("a////e/");
	say("\x1b[5;1H\n");
	at(4, 0);
	say("\x1b[?6h\x1b[1;1Hx\x1b[9;1Hy\x1b[?6l");
	shows("a/x//y/e/");
	say("\x1b[3;2r\x1b[5;5r\x1b[99;99r");	/* none of them are margins */
	assert_int_equal(v.top, 1);
	say("\x1b[r\x1b[99S");
	shows("/////");
}

static void attributes(void **state)
{
	(void)state;
	say("\x1b[1mb\x1b[7mr\x1b[22mo\x1b[27mp\x1b[1;7;31;42mq\x1b[mn"
	    "\x1b[38;5;1mc\x1b[38;2;7;7;7md\x1b[48;5;7;1me");
	assert_int_equal(vt_cell(&v, 0, 0), 'b' | VT_BOLD);
	assert_int_equal(vt_cell(&v, 0, 1), 'r' | VT_BOLD | VT_REVERSE);
	assert_int_equal(vt_cell(&v, 0, 2), 'o' | VT_REVERSE);
	assert_int_equal(vt_cell(&v, 0, 3), 'p');
	assert_int_equal(vt_cell(&v, 0, 4), 'q' | VT_BOLD | VT_REVERSE);
	assert_int_equal(vt_cell(&v, 0, 5), 'n');
	assert_int_equal(vt_cell(&v, 0, 6), 'c');
	assert_int_equal(vt_cell(&v, 0, 7), 'd');
	assert_int_equal(vt_cell(&v, 0, 8), 'e' | VT_BOLD);
	say("\x1b[?25l");
	assert_int_equal(vt_cell(&v, 0, 9), ' ');
	say("\x1b[?25h");
	assert_int_equal(vt_cell(&v, 0, 9), ' ' | VT_REVERSE);
}

static void characters(void **state)
{
	(void)state;
	say("\x1b(0lqk\x1b(Blqk\x1b)0\x0ex\x0fx");
	shows("+-+lqk|x/////");
	say("\x1b[2J\x1b[H\xe2\x94\x82\xc3\xa4\xf0\x9f\x98\x80\xe2\x80\x99.");
	shows("|\?\?'./////");
	say("\x1b[2J\x1b[H\xe2\x94" "a\x80\xffz\xc3\x1b[Cq\x7f");
	shows("?a\?\?z q/////");
}

static void answering(void **state)
{
	(void)state;
	say("\x1b[3;4H\x1b[6n\x1b[5n\x1b[c\x1b[0c\x1b[>c\x1b[?6n\x1b[7n");
	assert_string_equal(answers, "\x1b[3;4R\x1b[0n\x1b[?6c\x1b[?6c");
	v.reply = NULL;
	say("\x1b[6n");
}

static void unknown_sequences(void **state)
{
	(void)state;
	say("\x1b]0;title\x07" "a\x1bPq#0\x1b\\b\x1b^x\x1b\\c\x1b_x\x18" "d");
	shows("abcd/////");
	say("\x1b[?1049h\x1b[?2004h\x1b[>4;1m\x1b[1 q\x1b[4:3m\x1b=\x1b>\x1b#8\x1b%Ge");
	shows("abcde/////");
	say("\x1b[1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18mf\x1b[99999999999999999999C\x08g");
	shows("abcdef  g/////");
	/* A sequence in a sequence, a control in one, and what cannot be in one. */
	say("\x1b[3\x1b[2Dh\x1b[\r3Ci\x1b[5\x80j");
	shows("abcijf hg/////");
	assert_int_equal(v.state, 0);
}

static void looking_back(void **state)
{
	char line[20];

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(line, sizeof(line), "%u\r\n", i);
		say(line);
	}
	shows("996/997/998/999//");
	vt_look_back(&v, 3);
	shows("993/994/995/996/997/");
	say("1000\r\n");			/* stays in view while more comes */
	shows("993/994/995/996/997/");
	vt_look_back(&v, 10000);
	shows("485/486/487/488/489/");
	vt_look_back(&v, -4);
	shows("489/490/491/492/493/");
	vt_look_back(&v, -10000);
	shows("997/998/999/1000//");
	vt_look_back(&v, -1);
	shows("997/998/999/1000//");
}

/* Any bytes, then what leaving a console sends: the terminal is as it was, for whoever is next. */
static void left_behind(void **state)
{
	static const char *const parts[] = {
		"\x1b[", "\x1b]", "\x1bP", "\x1b(0", "\x1b)0", "\x0e", "\x1b[4h", "\x1b[20h", "\x1b[?7l",
		"\x1b[?6h", "\x1b[?25l", "\x1b[2;3r", "\x1b[1;7m", "\x1b[3;4H", "\x1b" "7", "\xe2\x94", "x",
		"5", ";", "?", "\n", "\r", "text", "\x1b[99C", "\x1b",
	};

	for (unsigned round = 0; round < 20000; round++) {
		unsigned row, column;

		srand(round);
		setup(state);
		for (unsigned i = (unsigned)rand() % 20; i; i--)
			say(parts[(unsigned)rand() % ARRAY_COUNT(parts)]);
		say("\x18");
		row = v.at.row;
		column = v.at.column;
		say(console_plain);
		assert_int_equal(v.at.row, row);
		assert_int_equal(v.at.column, column);
		assert_true(v.wrap && v.cursor && !v.insert && !v.newline && !v.at.origin);
		assert_true(v.top == 0 && v.bottom == v.rows - 1 && !v.state && !v.code_left);
		assert_true(!v.at.attribute && !v.at.charset && !v.at.graphics[0]);
		say("\x1b[2J\x1b[Hqx");
		shows("qx/////");
	}
}

static void any_bytes(void **state)
{
	static uint8_t bytes[4096];

	(void)state;
	srand(1);
	for (unsigned round = 0; round < 200; round++) {
		vt_init(&v, 2 + (unsigned)rand() % (VT_COLUMNS_MAX - 1),
			2 + (unsigned)rand() % (VT_ROWS_MAX - 1));
		for (unsigned i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)(rand() % 3 ? rand() : "\x1b[;0123456789?"[rand() % 14]);
		vt_write(&v, bytes, sizeof(bytes));
		for (unsigned y = 0; y < v.rows; y++)
			for (unsigned x = 0; x < v.columns; x++)
				assert_in_range(vt_cell(&v, y, x) & 0xff, ' ', '~');
		assert_true(v.at.row < v.rows && v.at.column < v.columns);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		TEST(lines), TEST(wrapping), TEST(moving), TEST(erasing), TEST(scrolling),
		TEST(attributes), TEST(characters), TEST(answering), TEST(unknown_sequences),
		TEST(looking_back), TEST(left_behind), TEST(any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
