/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: the end. panic() only where going on would break isolation: stops the other CPUs, prints registers, a symbolised
 * backtrace, the last trace records and the locks held, and halts, or reboots with `panic=reboot`.
 * fatal_boot() is for what cannot run at all: one clear line, no backtrace.
 */
#pragma once

#include "include/compiler.h"

noreturn void panic(const char *fmt, ...) printf_like(1, 2);
/* "keel: cannot start: " and the text, which says what is missing and what to change in the firmware's settings; halts. */
noreturn void fatal_boot(const char *fmt, ...) printf_like(1, 2);

#ifdef KEEL_DEBUG
#define ASSERT(c) do { if (unlikely(!(c))) panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #c); } while (0)
#else
#define ASSERT(c) do { (void)sizeof(c); } while (0)
#endif
