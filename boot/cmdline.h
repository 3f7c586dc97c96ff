/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keel's own command line, checked: the one list of the options that boot_option() is asked for.
 * A word that is none of them, and a value that its option does not take, are named and left aside.
 * After the boot information is there, any context, no state.
 */
#pragma once

#include "include/compiler.h"

#define CMDLINE_ERROR_MAX 256

/* The error `i`, from 0, as one line; false behind the last. */
bool cmdline_error(unsigned i, char *text, size_t size);
/* All of them into the log. */
void cmdline_check(void);
