/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The layout; see drivers/keys.h. Codes are those of the key pressed; released it has bit 7.
 */
#include "drivers/keys.h"

#include "include/bits.h"
#include "lib/format.h"
#include "lib/keyboard.h"
#include "lib/string.h"

#define RELEASED	0x80
#define EXTENDED	0xe0
#define PAUSE		0xe1	/* E1 1D 45, E1 9D C5 */

enum code {
	KEY_CTRL = 0x1d, KEY_SHIFT_LEFT = 0x2a, KEY_SLASH = 0x35, KEY_SHIFT_RIGHT = 0x36,
	KEY_ALT = 0x38, KEY_CAPS = 0x3a, KEY_F1 = 0x3b, KEY_F10 = 0x44, KEY_NUM = 0x45,
	KEY_PAD = 0x47, KEY_PAGE_UP = 0x49, KEY_PAGE_DOWN = 0x51, KEY_PAD_LAST = 0x53,
	KEY_F11 = 0x57, KEY_F12 = 0x58, KEY_ENTER = 0x1c,
};

/* The keypad from 47h on, as numbers, and as what stands below them. */
static const char pad_numbers[] = "789-456+1230.";
static const struct {
	char final;		/* of ESC [ final, or '~' for ESC [ number ~ */
	uint8_t number;
} pad_keys[] = {
	{ 'H', 0 }, { 'A', 0 }, { '~', 5 }, { '-', 0 }, { 'D', 0 }, { 'E', 0 }, { 'C', 0 },
	{ '+', 0 }, { 'F', 0 }, { 'B', 0 }, { '~', 6 }, { '~', 2 }, { '~', 3 },
};

/* F1 to F12: the number of ESC [ number ~, where F1 to F4 send ESC O P to S. */
static const uint8_t function_number[] = { 0, 0, 0, 0, 15, 17, 18, 19, 20, 21, 23, 24 };

static bool modifier(struct keys *k, uint8_t code, bool pressed)
{
	uint8_t bit = k->extended ? 2 : 1, *held;

	switch (code) {
	case KEY_CTRL: held = &k->ctrl; break;
	case KEY_ALT: held = &k->alt; break;
	case KEY_SHIFT_LEFT: held = &k->shift; bit = 1; break;
	case KEY_SHIFT_RIGHT: held = &k->shift; bit = 2; break;
	default: return false;
	}
	/* Some keys send a Shift with E0h before them, which is none. */
	if (!(k->extended && held == &k->shift))
		*held = (uint8_t)(pressed ? *held | bit : *held & ~bit);
	return true;
}

/* xterm's number of the modifiers held, 1 for none. */
static unsigned held(const struct keys *k)
{
	return 1 + (k->shift ? 1 : 0) + (k->alt ? 2 : 0) + (k->ctrl ? 4 : 0);
}

static size_t sequence(const struct keys *k, char final, unsigned n, uint8_t *out)
{
	char buf[KEYS_MAX + 1];
	int length;

	if (held(k) > 1)
		length = format(buf, sizeof(buf), "\x1b[%u;%u%c", n ?: 1, held(k), final);
	else if (n)
		length = format(buf, sizeof(buf), "\x1b[%u%c", n, final);
	else
		length = format(buf, sizeof(buf), "\x1b[%c", final);
	memcpy(out, buf, (size_t)length);
	return (size_t)length;
}

static size_t function_key(const struct keys *k, unsigned i, uint8_t *out)
{
	if (function_number[i])
		return sequence(k, '~', function_number[i], out);
	if (held(k) > 1)
		return sequence(k, (char)('P' + i), 0, out);
	memcpy(out, (const uint8_t[]){ 0x1b, 'O', (uint8_t)('P' + i) }, 3);
	return 3;
}

static size_t character(const struct keys *k, uint8_t c, uint8_t *out)
{
	size_t n = 0;

	if (k->ctrl && c >= '@' && c <= '~')
		c &= 0x1f;
	else if (k->ctrl && (c == ' ' || c == '2'))
		c = 0;
	else if (k->ctrl && c >= '3' && c <= '7')
		c = (uint8_t)(c - '3' + 0x1b);
	else if (k->ctrl && (c == '-' || c == '/'))
		c = 0x1f;
	else if (k->ctrl && c == '8')
		c = 0x7f;
	if (k->alt)
		out[n++] = 0x1b;
	out[n++] = c;
	return n;
}

static size_t pad_key(struct keys *k, uint8_t code, uint8_t *out)
{
	unsigned i = code - KEY_PAD;
	bool number = !k->extended && !k->num_off && !k->shift;

	if (!k->extended && (number || pad_numbers[i] == '-' || pad_numbers[i] == '+'))
		return character(k, (uint8_t)pad_numbers[i], out);
	if (k->shift && (code == KEY_PAGE_UP || code == KEY_PAGE_DOWN)) {
		k->look_back = code == KEY_PAGE_UP ? 1 : -1;
		return 0;
	}
	if (pad_keys[i].final == '-' || pad_keys[i].final == '+')
		return 0;
	return sequence(k, pad_keys[i].final, pad_keys[i].number, out);
}

static size_t pressed(struct keys *k, uint8_t code, uint8_t *out)
{
	uint8_t c;

	if (code == KEY_CAPS)
		k->caps = !k->caps;
	else if (code == KEY_NUM)
		k->num_off = !k->num_off;
	else if (code >= KEY_F1 && code <= KEY_F10)
		return function_key(k, code - KEY_F1, out);
	else if (code == KEY_F11 || code == KEY_F12)
		return function_key(k, code - KEY_F11 + 10, out);
	else if (code >= KEY_PAD && code <= KEY_PAD_LAST)
		return pad_key(k, code, out);
	if (code >= KEYBOARD_CODES || (k->extended && code != KEY_ENTER && code != KEY_SLASH))
		return 0;
	c = (uint8_t)keyboard_plain[code];
	if (!k->extended && (k->shift != 0) != (k->caps && c >= 'a' && c <= 'z'))
		c = (uint8_t)keyboard_shifted[code];
	return c ? character(k, c, out) : 0;
}

size_t keys_take(struct keys *k, uint8_t code, uint8_t out[KEYS_MAX])
{
	size_t n = 0;

	k->look_back = 0;
	if (k->skip) {
		k->skip--;
		return 0;
	}
	if (code == PAUSE) {
		k->skip = 2;
		return 0;
	}
	if (code == EXTENDED) {
		k->extended = true;
		return 0;
	}
	if (!modifier(k, code & ~RELEASED, !(code & RELEASED)) && !(code & RELEASED))
		n = pressed(k, code, out);
	k->extended = false;
	return n;
}
