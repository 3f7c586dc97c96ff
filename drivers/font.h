/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The screen's font: printable ASCII, made at build time by tools/psf2c from a console font of the
 * build machine's. A byte is a row of dots, its highest bit the left-most.
 */
#pragma once

#include "include/compiler.h"

#define FONT_WIDTH	8
#define FONT_HEIGHT	16
#define FONT_FIRST	' '
#define FONT_COUNT	95

extern const uint8_t font_glyphs[FONT_COUNT][FONT_HEIGHT];
