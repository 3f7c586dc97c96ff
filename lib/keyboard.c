/* SPDX-License-Identifier: BSD-2-Clause */
/* See lib/keyboard.h. */
#include "lib/keyboard.h"

const char keyboard_plain[KEYBOARD_CODES] =
	"\0\x1b" "1234567890-=\x7f\tqwertyuiop[]\r\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
const char keyboard_shifted[KEYBOARD_CODES] =
	"\0\x1b" "!@#$%^&*()_+\x7f\tQWERTYUIOP{}\r\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";
