/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel tests itself on the machine it runs on: threads, timers, locks, work and memory under
 * load on all CPUs, and what the basic operations cost. The option `selftest` on the command line
 * (or selftest=TEST) runs it instead of the guests; the system tests do.
 */
#pragma once

#include "include/compiler.h"

/*
 * All tests, or the one named `only` if that is not "". `devices` is one more, of what lies above
 * the kernel. Thread context, everything up. Logs a line per test, then "selftest: passed" or
 * "selftest: N failed"; returns how many.
 */
unsigned selftest_run(const char *only, bool (*devices)(void));
