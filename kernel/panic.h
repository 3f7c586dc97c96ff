/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: the end. panic() only where going on would break isolation: stops the other CPUs,
 * prints registers, a symbolised backtrace, the last trace records and the locks held, and
 * halts, or reboots with `panic=reboot`. fatal_boot() is for what cannot run at all: one clear
 * line, no backtrace.
 */
#pragma once

#include "include/compiler.h"

noreturn void panic(const char *fmt, ...) printf_like(1, 2);
/*
 * "keel: cannot start: " and the text, which says what is missing and what to change in the
 * firmware's settings; halts.
 */
noreturn void fatal_boot(const char *fmt, ...) printf_like(1, 2);

struct trap_frame;

/* Likewise, with the registers of a trap. NULL: the caller's own. */
noreturn void panic_at(const struct trap_frame *f, const char *fmt, ...) printf_like(2, 3);
/* From the NMI handler: returns unless another CPU has panicked or stops the machine. */
void panic_nmi(const struct trap_frame *f);
/* Where the report goes, any context, no locks; NULL until then. First thing at boot. */
void panic_set_print(void (*print)(const char *text));
/* What `panic=reboot` does: called at the end of the report, returns if it cannot. NULL: halt. */
void panic_set_reboot(void (*reboot)(void));
/*
 * What every CPU does last, before it stops for good or resets the machine; any context, interrupts
 * off, perhaps twice. NULL: nothing.
 */
void panic_set_stop(void (*stop)(void));
/*
 * For a reset or power-off on purpose: the other CPUs stop, as in a panic, and all have run the
 * hook when this returns (or had 10 ms for it). A panic from then on is one within panic.
 */
void panic_stop_cpus(void);
bool panic_started(void);
/* For tests of all this: "panic", "ud", "null", "stack" (an overflow), "nmi". */
void panic_provoke(const char *what);

#ifdef KEEL_DEBUG
#define ASSERT(c) do {								\
	if (unlikely(!(c)))							\
		panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #c);	\
} while (0)
#else
#define ASSERT(c) do { (void)sizeof(c); } while (0)
#endif
