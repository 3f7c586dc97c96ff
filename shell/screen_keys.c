/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See shell/screen_keys.h; drivers/keys.c is the other way round. Sources: VT510 manual, "Keyboard
 * Processing"; XTerm Control Sequences, "PC-Style Function Keys".
 */
#include "shell/screen_keys.h"

#include "include/bits.h"
#include "lib/keyboard.h"

#define ESC	0x1b
#define DEL	0x7f

/* As xterm counts them, from the second parameter less one. */
#define SHIFT	1u
#define ALT	2u
#define CTRL	4u

enum { TEXT, ESCAPE, SEQUENCE, LINUX };

enum { ENTER = 0x1c, SPACE = 0x39, TAB = 0x0f, ESCAPE_KEY = 0x01, BACKSPACE = 0x0e, F1 = 0x3b };

/* By the sequence's last byte, or by its number where that is '~'. */
static const struct { char final; uint8_t code; } finals[] = {
	{ 'A', 0xc8 }, { 'B', 0xd0 }, { 'C', 0xcd }, { 'D', 0xcb }, { 'E', 0x4c }, { 'F', 0xcf },
	{ 'H', 0xc7 }, { 'M', ENTER }, { 'P', F1 }, { 'Q', F1 + 1 }, { 'R', F1 + 2 }, { 'S', F1 + 3 },
	{ 'Z', TAB },
};
static const uint8_t numbers[] = {
	0, 0xc7, 0xd2, 0xd3, 0xcf, 0xc9, 0xd1, 0xc7, 0xcf, 0, 0, F1, F1 + 1, F1 + 2, F1 + 3, F1 + 4,
	0, F1 + 5, F1 + 6, F1 + 7, F1 + 8, F1 + 9, 0, 0x57, 0x58,
};

/* The modifiers go down first and come up last. */
static unsigned chord(uint8_t code, unsigned modifiers, struct screen_key *out)
{
	static const uint8_t codes[] = { 0x2a, 0x38, 0x1d };
	unsigned n = 0;

	if (!code)
		return 0;
	for (unsigned i = 0; i < ARRAY_COUNT(codes); i++)
		if (modifiers & 1u << i)
			out[n++] = (struct screen_key){ codes[i], true };
	out[n++] = (struct screen_key){ code, true };
	for (unsigned i = n; i--;)
		out[n++] = (struct screen_key){ out[i].code, false };
	return n;
}

static uint8_t find(const char *layout, uint8_t c)
{
	for (uint8_t code = 1; code < KEYBOARD_CODES; code++)
		if (layout[code] == (char)c)
			return code;
	return 0;
}

static unsigned character(uint8_t c, unsigned modifiers, struct screen_key *out)
{
	static const char high[] = "\\]6-";	/* with Ctrl: 1Ch to 1Fh */
	uint8_t code;

	if (c == '\b')
		c = DEL;
	else if (c == '\n')
		c = '\r';
	if (!c || (c < ' ' && c != '\t' && c != '\r' && c != ESC)) {
		modifiers |= CTRL;
		c = !c ? ' ' : c < ESC ? (uint8_t)(c + 'a' - 1) : (uint8_t)high[c - ESC - 1];
	}
	code = c > DEL ? 0 : find(keyboard_plain, c);
	if (code || c > DEL)
		return chord(code, modifiers, out);
	return chord(find(keyboard_shifted, c), modifiers | SHIFT, out);
}

static void restart(struct screen_keys *k, uint8_t state)
{
	k->state = state;
	k->parameter[0] = k->parameter[1] = 0;
	k->parameters = 0;
}

static unsigned final(const struct screen_keys *k, uint8_t c, struct screen_key *out)
{
	unsigned number = k->parameter[0], modifiers = k->parameter[1] ? k->parameter[1] - 1u : 0;
	uint8_t code = 0;

	if (c == '~')
		code = number < ARRAY_COUNT(numbers) ? numbers[number] : 0;
	for (unsigned i = 0; number <= 1 && i < ARRAY_COUNT(finals); i++)
		if (finals[i].final == (char)c)
			code = finals[i].code;
	return chord(code, (c == 'Z' ? SHIFT : 0) | (modifiers & (SHIFT | ALT | CTRL)), out);
}

static unsigned sequence(struct screen_keys *k, uint8_t c, struct screen_key *out)
{
	uint16_t *last = &k->parameter[MIN(k->parameters, 1u)];

	if (c >= '0' && c <= '9') {
		*last = (uint16_t)MIN(*last * 10u + c - '0', 999u);
	} else if (c == ';') {
		k->parameters++;
	} else if (c == '[' && k->introducer == '[' && !k->parameters && !k->parameter[0]) {
		k->state = LINUX;
	} else if (c >= '@' || c < ' ') {
		k->state = TEXT;
		if (c == 'R' && k->parameters == 1 && k->parameter[0] > 1) {
			k->rows = k->parameter[0];
			k->columns = k->parameter[1];
			return 0;
		}
		return k->parameters > 1 ? 0 : final(k, c, out);
	}
	return 0;
}

unsigned screen_keys_take(struct screen_keys *k, uint8_t byte,
			  struct screen_key out[SCREEN_KEYS_MAX])
{
	uint8_t state = k->state;

	if (byte == ESC && state != ESCAPE) {
		restart(k, ESCAPE);
		return 0;
	}
	switch (state) {
	case ESCAPE:
		restart(k, TEXT);
		k->introducer = byte;
		if (byte != '[' && byte != 'O')
			return character(byte, ALT, out);
		k->state = SEQUENCE;
		return 0;
	case SEQUENCE:
		return sequence(k, byte, out);
	case LINUX:			/* ESC [ [ A to E: F1 to F5 */
		k->state = TEXT;
		return chord(byte >= 'A' && byte <= 'E' ? (uint8_t)(F1 + byte - 'A') : 0, 0, out);
	}
	return character(byte, 0, out);
}

bool screen_keys_begun(const struct screen_keys *k)
{
	return k->state != TEXT;
}

/* ESC alone, or Alt with what begins a sequence. */
unsigned screen_keys_end(struct screen_keys *k, struct screen_key out[SCREEN_KEYS_MAX])
{
	struct screen_keys was = *k;

	restart(k, TEXT);
	if (was.state == ESCAPE)
		return character(ESC, 0, out);
	if (was.state != SEQUENCE || was.parameters || was.parameter[0])
		return 0;
	return character(was.introducer, ALT, out);
}
