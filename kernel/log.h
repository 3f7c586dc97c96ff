/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: the log. Lines of at most 255 characters, time-stamped, kept in a ring for `dmesg` and
 * given to sinks (the serial console). Any context, also NMI and panic (then without the lock).
 * Text begins with its area: "acpi: no MADT".
 */
#pragma once

#include "include/compiler.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_write(enum log_level level, const char *fmt, ...) printf_like(2, 3);

#define log_error(...)	log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)	log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...)	log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)	log_write(LOG_DEBUG, __VA_ARGS__)	/* kept in the ring, not printed */

struct log_line {
	uint64_t sequence;	/* rises by one for each line ever logged */
	uint64_t time_ns;
	enum log_level level;
	char text[256];
};

/*
 * The first line with sequence >= from; false at the end. Lines that the ring has
 * dropped are skipped.
 */
bool log_read(uint64_t from, struct log_line *out);

/*
 * Called with each line of LOG_INFO or above, any context, the log's lock not held. One sink;
 * NULL = early uart.
 */
void log_set_sink(void (*sink)(const struct log_line *line));
/*
 * The early uart: gets whole lines with time and newline while there is no sink. Set first
 * of all at boot.
 */
void log_set_early(void (*write)(const char *text, size_t length));
/* Gives what the early uart would have been given so far to `write`. */
void log_replay(void (*write)(const char *text, size_t length));

/* "[    0.123456] warning: area: text\n"; returns its length. */
int log_format_line(const struct log_line *line, char *buf, size_t size);
