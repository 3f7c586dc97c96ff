/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The terminal as the shell sees it: bytes in, text out, lines of the log in between. Only the
 * shell's thread calls it, but for tty_wake. While a command runs, Ctrl-C interrupts it; output is
 * paced to the line, so that nobody spins for it.
 */
#pragma once

#include "shell/shell.h"

#define TTY_COLUMNS	80
#define TTY_CTRL(c)	((c) & 0x1f)

void tty_init(const struct shell_port *port);
void tty_wake(void);			/* any context: what the shell may wait for has happened */

/* A byte that was typed, or -1. */
int tty_get(void);
bool tty_typed(void);			/* has tty_get something, as far as was looked? */
/* Waits for tty_wake, new input or the deadline. */
void tty_wait(uint64_t deadline_ns);
void tty_wait_some(void);		/* at most a tick, for loops that look at more */

/* While true, Ctrl-C in the input throws away what was typed before it and is remembered. */
void tty_interruptible(bool on);
void tty_interrupt_also(char key);	/* that key too, until the next tty_interruptible() */
bool tty_interrupted(void);

void tty_write(const void *data, size_t n);	/* raw */
void tty_text(const char *text);		/* \n becomes \r\n */
void tty_print(const char *fmt, ...) printf_like(1, 2);

/* Is there a line of the log to print? And prints all of them. */
bool tty_log_waiting(void);
void tty_log_print(void);
