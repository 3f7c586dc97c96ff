/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PC's keyboard as it is printed in the US: the character of each code of set 1, as it is and
 * with Shift; NUL: none. For who makes characters of keys, and who makes keys of characters.
 */
#pragma once

#include "include/compiler.h"

#define KEYBOARD_CODES	0x3a

extern const char keyboard_plain[KEYBOARD_CODES], keyboard_shifted[KEYBOARD_CODES];
