/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lines that were typed, newest first, in one buffer of fixed size: the oldest make room.
 */
#pragma once

#include "include/compiler.h"

#define HISTORY_SIZE 8192

struct history {
	char text[HISTORY_SIZE];	/* lines with their NULs, oldest first */
	size_t used;
};

/* Empty lines and repetitions of the newest are left out. */
void history_add(struct history *h, const char *line);
/* The line `back` lines ago, 1 being the newest; NULL if there is none. */
const char *history_get(const struct history *h, unsigned back);
