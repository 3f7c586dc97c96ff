/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a terminal sends, into the keys of a PC's keyboard that a person would have pressed for it:
 * characters of a US layout, Ctrl with letters, ESC before a character as Alt, the sequences of a
 * VT220, xterm and Linux's console for keys that have no character, with the modifiers they tell.
 * What has no key is left out; that the cursor is beyond the first row is taken as the terminal's
 * answer, and else as what F3 sends with modifiers. No locks; its owner's alone.
 */
#pragma once

#include "include/compiler.h"

#define SCREEN_KEYS_MAX	8	/* three modifiers and a key, down and up */

struct screen_key {
	uint8_t code;			/* of set 1; 80h more: behind E0h */
	bool pressed;
};

/* All zeros: nothing has begun. */
struct screen_keys {
	uint8_t state;
	uint8_t introducer;		/* of the sequence that has begun */
	uint16_t parameter[2];
	unsigned parameters;
	unsigned rows, columns;		/* where the terminal has said that its cursor is */
};

/* What the byte comes to, and how many keys that are. */
unsigned screen_keys_take(struct screen_keys *k, uint8_t byte,
			  struct screen_key out[SCREEN_KEYS_MAX]);
/* Has a sequence begun that may be a key by itself? */
bool screen_keys_begun(const struct screen_keys *k);
/* It is one: nothing followed for a while. */
unsigned screen_keys_end(struct screen_keys *k, struct screen_key out[SCREEN_KEYS_MAX]);
