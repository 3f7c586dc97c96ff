/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PC keyboard's scan codes (set 1, as the controller translates them) into what a terminal
 * sends: US layout, sequences of a VT220 and xterm for the keys that have no character. No locks;
 * no context but its owner's. Source: IBM Personal System/2 Hardware Interface Technical
 * Reference, "Keyboard (101- and 102-Key)".
 */
#pragma once

#include "include/compiler.h"

#define KEYS_MAX 8	/* bytes that one key sends */

struct keys {
	bool extended;		/* the code before was E0h */
	unsigned skip;		/* codes of the Pause key that are left */
	/* Held down, a bit for the left and one for the right. */
	uint8_t shift, ctrl, alt;
	bool caps, num_off;
	int look_back;		/* what the last code asks for: screens back, or forth (negative) */
};

/* The bytes that the code sends, and how many there are. */
size_t keys_take(struct keys *k, uint8_t code, uint8_t out[KEYS_MAX]);
