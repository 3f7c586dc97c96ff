/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A line being typed: one row of a bare terminal, scrolled sideways when the text is longer. Keys
 * change the text; drawing is a step of its own that sends the least that makes the row right, so a
 * pasted screenful costs one drawing. Knows VT100 as far as \r, ESC [ K and ESC [ n D. No locks; no
 * context but its owner's.
 */
#pragma once

#include "shell/history.h"

#define EDITOR_LINE_MAX	1023	/* characters; a longer line is refused */
#define EDITOR_COLUMNS	80
#define EDITOR_SEARCH_MAX 32	/* characters of what is looked for in the history */

enum editor_result {
	EDITOR_MORE,
	EDITOR_LINE,		/* `text` is a line; editor_begin() for the next */
	EDITOR_TOO_LONG,	/* a line that did not fit */
	EDITOR_CANCEL,		/* Ctrl-C */
	EDITOR_COMPLETE,	/* Tab: the owner may editor_insert() */
	EDITOR_DIAGNOSE,	/* Ctrl-T */
};

struct editor {
	char text[EDITOR_LINE_MAX + 1];	/* NUL-ended */
	size_t length, cursor;
	size_t start;			/* first character in the window */
	bool too_long;

	const char *prompt;
	void (*out)(const void *data, size_t n);
	struct history *history;
	unsigned history_back;		/* 0: the line being typed, kept in `kept` meanwhile */
	char kept[EDITOR_LINE_MAX + 1];
	char killed[EDITOR_LINE_MAX + 1];

	/* Ctrl-R: the prompt shows what is looked for, the text the newest line that has it. */
	bool searching;
	char wanted[EDITOR_SEARCH_MAX + 1];
	unsigned search_begin;		/* history_back before */
	const char *prompt_kept;
	char search_prompt[EDITOR_SEARCH_MAX + 16];

	/* What the terminal shows. */
	char shown[EDITOR_COLUMNS + 1];
	size_t shown_length, shown_cursor;	/* columns behind the prompt */
	bool shown_prompt;		/* false: the cursor stands in column 0 of an empty row */

	/* Escape sequence in progress, and what follows \r. */
	uint8_t escape;
	uint16_t parameter[2];
	uint8_t parameter_index;
	bool after_return;
};

void editor_init(struct editor *e, const char *prompt, struct history *h,
		 void (*out)(const void *data, size_t n));
/* An empty line, the cursor being in column 0 of an empty row. */
void editor_begin(struct editor *e);
enum editor_result editor_key(struct editor *e, uint8_t key);
void editor_insert(struct editor *e, const char *text, size_t n);
void editor_draw(struct editor *e);
/* Clears the row, for other output; the next drawing starts afresh. */
void editor_hide(struct editor *e);
/* Leaves the row as it is and goes to the next. */
void editor_leave(struct editor *e);
