/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keyboard, by the PC's controller at ports 60h and 64h. A USB keyboard is one only where the
 * firmware plays that controller for it. Keys wait as bytes of a terminal in a ring of 256; what
 * has no room there is dropped. Interrupt 1 is used when it arrives and not relied upon: who reads
 * looks at the controller, and a timer does if keys come without interrupts. Every wait is bounded.
 * Any context; LOCK_UART. Source: IBM Personal System/2 Hardware Interface Technical Reference,
 * "Keyboard and Auxiliary Device Controller".
 */
#pragma once

#include "include/compiler.h"

/*
 * Looks for the controller and switches the keyboard on; false if there is none. Interrupts on,
 * timers run; once.
 */
bool i8042_init(void);
/* Takes what was typed, up to n bytes; never waits. */
size_t i8042_read(void *buf, size_t n);
/*
 * From then on `keys` is called when something was typed, and `look_back` with 1 or -1 when
 * Shift and a Page key ask for older or newer rows; from an interrupt, lock not held.
 */
void i8042_set_receive(void (*keys)(void), void (*look_back)(int screens));
/* "IRQ 1" or "polled". */
const char *i8042_how(void);
