/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The screen, output only: the log's lines (info and above) and the last words of a panic, on the
 * EGA text mode or the linear framebuffer that the boot loader left on; nothing on a machine with
 * neither, or with screen=no on the command line. What is drawn comes from the log, so whoever logs
 * does not wait for it: a thread of its own looks for new lines five times a second. Before there
 * are threads screen_update() draws at once.
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

/* For panic: no lock, and at most one screen, so that the beginning stays to be read. */
void screen_panic_print(const char *text);
