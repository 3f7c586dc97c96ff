/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Formatted text: a small, safe vsnprintf (contract header). Understands %d %i %u %x %X %o %c %s %p
 * %% with flags `0 - +`, width, precision, `*`, and h, hh, l, ll, z. No floating point, no %n.
 * Source: ISO C11, "The fprintf function".
 */
#pragma once

#include <stdarg.h>

#include "include/compiler.h"

/*
 * Writes at most size bytes, always NUL-ended when size > 0; returns the length it would have had.
 */
int format_v(char *buf, size_t size, const char *fmt, va_list ap);
int format(char *buf, size_t size, const char *fmt, ...) printf_like(3, 4);

/* "ENOENT" for 2 or -2; "E?" for what is not in include/errno.h. */
const char *format_errno(int err);
