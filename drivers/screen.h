/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The screen: the EGA text mode or the linear framebuffer that the boot loader left on; nothing on
 * a machine with neither, or with screen=no on the command line. It shows the log's lines (info and
 * above) until it becomes a console with screen_attach(), then what is written to it, as a terminal
 * does (drivers/vt.h); and the last words of a panic. Nobody waits for it: a thread of its own
 * draws. Before there are threads screen_update() draws at once.
 */
#pragma once

#include "include/compiler.h"

/* When boot information is there: what the boot map reaches can be drawn on. */
void screen_early(void);
/* After kmap_init: maps it for good. */
void screen_init(void);
/* When threads run: draws from then on. */
void screen_start(void);
/*
 * Draws the lines that the log has got since. While another CPU draws, and from screen_start on, it
 * leaves them to the one that does. Any context.
 */
void screen_update(void);

/* Is there one, and large enough for a console? After screen_start(). */
bool screen_can_attach(void);
/*
 * From now on it shows what one thread writes, log lines too. `reply` is called, in screen_write(),
 * with what a program asks a terminal for; NULL: it gets no answer.
 */
void screen_attach(void (*reply)(const char *text, size_t n));
void screen_write(const void *data, size_t n);
/* Half screens back, or forth (negative), to rows that have scrolled off; any context. */
void screen_look_back(int screens);
void screen_look_now(void);		/* to the newest; any context */

/* For panic: no lock, and at most one screen, so that the beginning stays to be read. */
void screen_panic_print(const char *text);
