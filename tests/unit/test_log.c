/* SPDX-License-Identifier: BSD-2-Clause */
/* links: kernel/log.c lib/format.c tests/host/percpu.c tests/host/spinlock.c
 * tests/host/tsc.c */
/*
 * kernel/log: order, levels and sinks, both ways of falling out of the ring, a lock
 * that cannot be had.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/percpu.h"
#include "kernel/log.h"

static char printed[4096];
static unsigned sunk;

static void early(const char *text, size_t n)
{
	strncat(printed, text, n);
}

static void sink(const struct log_line *line)
{
	assert_true(line->level <= LOG_INFO);
	sunk++;
}

static uint64_t newest(void)
{
	struct log_line l;
	uint64_t n = 0;

	while (log_read(n, &l))
		n = l.sequence + 1;
	return n;
}

static void sinks(void **state)
{
	struct log_line l;

	(void)state;
	assert_false(log_read(0, &l));
	log_info("before: any sink");
	log_set_early(early);
	log_warn("test: %d", 42);
	log_debug("test: not printed");
	assert_string_equal(strchr(printed, ']'), "] warning: test: 42\n");
	log_set_sink(sink);
	log_info("test: to the sink");
	log_debug("test: not to the sink");
	assert_int_equal(sunk, 1);
	log_set_sink(NULL);
	assert_true(log_read(0, &l));
	assert_string_equal(l.text, "before: any sink");
	assert_true(log_read(2, &l));
	assert_int_equal(l.level, LOG_DEBUG);
	assert_string_equal(l.text, "test: not printed");
	log_set_early(NULL);
	printed[0] = 0;
	log_replay(early);
	assert_non_null(strstr(printed, "] before: any sink\n"));
	assert_non_null(strstr(printed, "] warning: test: 42\n"));
	assert_non_null(strstr(printed, "] test: to the sink\n"));
	assert_null(strstr(printed, "not printed"));
}

static void many_short(void **state)
{
	struct log_line l;
	uint64_t from = newest();

	(void)state;
	for (int i = 0; i < 3000; i++)
		log_info("%d", i);
	assert_true(log_read(0, &l));
	assert_int_equal(l.sequence, from + 3000 - 1024);
	for (uint64_t n = l.sequence; log_read(n, &l); n++) {
		char want[16];

		snprintf(want, sizeof(want), "%d", (int)(n - from));
		assert_string_equal(l.text, want);
	}
}

static void many_long(void **state)
{
	struct log_line l;
	char text[300];
	unsigned seen = 0;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[299] = 0;
	for (int i = 0; i < 1500; i++) {
		text[0] = (char)('a' + i % 26);
		log_info("%s", text);
	}
	for (uint64_t n = 0; log_read(n, &l); n = l.sequence + 1, seen++) {
		assert_int_equal(strlen(l.text), 255);
		assert_int_equal(l.text[254], 'x');
	}
	assert_int_equal(seen, (64 << 10) / 255);
	assert_int_equal(l.text[0], 'a' + 1499 % 26);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sinks),
		cmocka_unit_test(many_short),
		cmocka_unit_test(many_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
