/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text that grows on the heap, for answers and definitions whose length nobody knows before. Memory
 * that cannot be had is remembered, not told at each piece: text_take() tells it. Any context that
 * may allocate; no locks.
 */
#pragma once

#include "include/compiler.h"

/* All zeros: empty. */
struct text {
	char *at;
	size_t n, room;
	bool failed;
};

void text_add(struct text *t, const char *s);
void text_format(struct text *t, const char *fmt, ...) printf_like(2, 3);	/* short pieces */
/* As XML's text or attribute: escaped, and what no document can have, replaced. */
void text_add_xml(struct text *t, const char *s);
/* What has come together, NUL-ended, the caller's to heap_free(); NULL: there was no memory. */
char *text_take(struct text *t) must_check;
