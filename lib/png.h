/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A picture in, row by row, a PNG out, in bounded memory. Who draws it looks at each row first, so
 * that few colours become a palette of one, two, four or eight bits; then begins and gives each row
 * once more. Rows of many colours are told as differences from the pixel to the left. No locks; the
 * caller's memory. Source: W3C, "Portable Network Graphics (PNG) Specification (Second Edition)".
 */
#pragma once

#include "lib/deflate.h"

#define PNG_COLOURS	256u
#define PNG_SLOTS	512u

struct png {
	deflate_put_t *put;
	void *arg;
	unsigned width;
	unsigned depth;			/* of a palette's pixel in bits; 0: there is none */
	unsigned colours;		/* of the palette; above PNG_COLOURS: too many for one */
	uint32_t last;			/* the pixel before, and where its colour is */
	unsigned last_slot;
	uint16_t slot[PNG_SLOTS];	/* 1 + a colour's index, by a hash of it; 0: none */
	uint8_t palette[PNG_COLOURS][3];
	struct deflate z;
};

/* Rows are `width` pixels of red, green and blue. */
void png_look_begin(struct png *p);
void png_look(struct png *p, const uint8_t *rgb, unsigned width);
/* These return the first that `put` returned. */
int png_begin(struct png *p, unsigned width, unsigned height, deflate_put_t *put,
	      void *arg) must_check;
/* A colour that no row had when they were looked at becomes the first one. */
int png_row(struct png *p, const uint8_t *rgb) must_check;
int png_end(struct png *p) must_check;
