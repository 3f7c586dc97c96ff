/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of code addresses, from the table that tools/symtab links into the image, and the backtrace
 * over frame pointers. Any context.
 */
#pragma once

#include "include/compiler.h"

/*
 * The function that holds `address`, its name cut to `size` bytes with the NUL, and how far into
 * it; false outside the image's code.
 */
bool symbols_find(uint64_t address, char *name, size_t size, uint64_t *offset);
/* Up to `max` return addresses, newest first, from the frame that `rbp` names; the count. */
unsigned symbols_backtrace(uint64_t rbp, uint64_t *address, unsigned max);
