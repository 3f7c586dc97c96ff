/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A line as words: blanks separate, '...' and "..." and \ quote, ; ends a command, # begins a
 * remark. No state.
 */
#pragma once

#include "shell/editor.h"

#define WORDS_MAX 128

struct words {
	unsigned count;
	char *word[WORDS_MAX];
	bool quoted[WORDS_MAX];			/* at its begin: never an option */
	char text[EDITOR_LINE_MAX + WORDS_MAX + 1];	/* what `word` points into */
};

/*
 * The next command of *line, which moves behind it (to the NUL at the end). NULL, or what is wrong;
 * then *line has moved too.
 */
const char *words_split(const char **line, struct words *out);
