/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a terminal shows: bytes in, cells of characters out, as a VT102 with what later ones added
 * and programs use (insert and delete, soft reset, UTF-8). Colours are left out, bold and reverse
 * are kept; what is not ASCII becomes its nearest likeness or a question mark. Rows that scroll off
 * the top can be looked back at.
 *
 * The bytes are a guest's: whatever they are, no cell is written but the vt's own, and a byte costs
 * at most one look at every cell. No locks: one writer at a time; who reads cells meanwhile sees
 * some of the old ones. Sources: VT102 User Guide, "Transmitted and Received Character Sets"; VT510
 * manual, "ANSI Control Functions"; XTerm Control Sequences.
 */
#pragma once

#include "include/compiler.h"

#define VT_COLUMNS_MAX	240u
#define VT_ROWS_MAX	100u
#define VT_PAST_MAX	512u	/* rows that have scrolled off */
#define VT_PARAMETERS	16u

#define VT_BOLD		0x100	/* in a cell, beside its character */
#define VT_REVERSE	0x200

struct vt_place {
	unsigned row, column;
	bool wrap_next;		/* the last column is written: the next character wraps first */
	bool origin;		/* rows count from the top margin */
	uint16_t attribute;
	bool graphics[2];	/* G0, G1: line drawing */
	uint8_t charset;	/* which of them */
};

struct vt {
	unsigned columns, rows;
	uint16_t cell[VT_ROWS_MAX][VT_COLUMNS_MAX];
	uint8_t order[VT_ROWS_MAX];	/* which of them is each row of the screen */
	uint16_t past[VT_PAST_MAX][VT_COLUMNS_MAX];
	uint32_t past_count;		/* ever; the newest VT_PAST_MAX are kept */
	unsigned back;			/* rows looked back; atomic */
	uint32_t lines;			/* line feeds ever */

	struct vt_place at, saved;
	unsigned top, bottom;		/* margins, inclusive */
	bool wrap, insert, newline, cursor;

	uint8_t state;
	uint8_t intermediate;		/* of a sequence in progress: the last, or its prefix */
	uint16_t parameter[VT_PARAMETERS];
	unsigned parameter_count;
	uint32_t code;			/* UTF-8 in progress */
	unsigned code_left;
	uint8_t last;			/* character, for REP */

	/* What programs ask the terminal for; NULL: they get no answer. */
	void (*reply)(const char *text, size_t n);
};

void vt_init(struct vt *v, unsigned columns, unsigned rows);
/* Modes as at the beginning; what is shown stays, and so does the cursor's place. */
void vt_reset(struct vt *v);
void vt_write(struct vt *v, const void *data, size_t n);
/* What is to be seen there, the cursor in reverse. */
uint16_t vt_cell(const struct vt *v, unsigned row, unsigned column);
/* Looks back (or forth, if negative) by so many rows; any context. */
void vt_look_back(struct vt *v, int rows);
