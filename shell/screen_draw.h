/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VGA's text on a terminal: cells in, and of those that differ from what is there already, UTF-8
 * and the sequences of a VT100 with colours. The cells are a guest's: whatever is in them, a
 * printable character goes out, and nothing beyond the terminal's edges. Only the shell's thread.
 */
#pragma once

#include "mgmt/domain_screen.h"

struct screen_draw {
	unsigned columns, rows;		/* of the terminal; never beyond a VGA's */
	int attribute;			/* that it writes in; -1: unknown */
	bool cursor;
	unsigned cursor_column, cursor_row;
	uint16_t shown[VVGA_ROWS_MAX][VVGA_COLUMNS_MAX];
	char out[256];
	size_t count;
};

/* A terminal of that size, empty but for a line of text, of 100 bytes at most. */
void screen_draw_begin(struct screen_draw *s, unsigned columns, unsigned rows, const char *text);
void screen_draw_row(struct screen_draw *s, unsigned row, const uint16_t cells[VVGA_COLUMNS_MAX]);
/* The cursor is there, if it is shown; all that was drawn has gone out. */
void screen_draw_end(struct screen_draw *s, bool cursor, unsigned row, unsigned column);
