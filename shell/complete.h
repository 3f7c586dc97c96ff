/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Tab offers: commands at the begin of a command, then its options and the names that the next
 * option takes.
 */
#pragma once

#include "shell/editor.h"

#define COMPLETE_MAX	160

struct completion {
	unsigned count;
	char name[COMPLETE_MAX][72];
	size_t typed;			/* how much of each is there already */
	size_t common;			/* how much all agree on, at least `typed` */
};

/* For the text before the cursor, `n` characters of it. */
void complete_find(const char *text, size_t n, struct completion *out);
