/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the console is: on the serial line, and on the screen with its keyboard, both showing and
 * taking the same. `console=serial`, `console=screen` or `console=serial,screen` says which; by
 * default it is where there is something: the screen takes part if there is a keyboard, too. Where
 * the console is not, log and panic are shown all the same: on the serial line up to the prompt, on
 * the screen always. A console that is asked for and not there is warned of; the other takes over.
 *
 * Thread context, one thread; terminal_set_receive's callback comes from interrupts.
 */
#pragma once

#include "include/compiler.h"

/* After serial_irq_init() and screen_start(). */
void terminal_init(void);
size_t terminal_read(void *buf, size_t n);
void terminal_write(const void *data, size_t n);
/* Bytes that terminal_write() takes without waiting. */
size_t terminal_space(void);
/* The console begins: until then the screen follows the log by itself. */
void terminal_set_receive(void (*fn)(void));
const char *terminal_where(void);	/* "on COM1 and the screen" */
const char *terminal_name(void);	/* "COM1 (0x3f8), IRQ 4 ...; screen, keyboard by IRQ 1" */
