/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log on the host: to stderr when KEEL_TEST_LOG is set, counted by level for tests
 * that expect a message.
 */
#include "kernel/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

unsigned host_log_count[4];
char host_log_last[256];

void log_write(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	host_log_count[level]++;
	va_start(ap, fmt);
	vsnprintf(host_log_last, sizeof(host_log_last), fmt, ap);
	va_end(ap);
	if (getenv("KEEL_TEST_LOG"))
		fprintf(stderr, "%s\n", host_log_last);
}
