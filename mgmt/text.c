/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Growing text; see mgmt/text.h. Source for what XML may have: W3C, "Extensible Markup Language
 * (XML) 1.0", 2.2 Characters.
 */
#include "mgmt/text.h"

#include "include/bits.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mm/heap.h"

#define FIRST_ROOM	1024u

/* Room for `more` characters and the NUL. */
static bool grow(struct text *t, size_t more)
{
	size_t room = MAX(t->room, (size_t)FIRST_ROOM);
	char *at;

	if (t->failed || t->n + more < t->room)
		return !t->failed;
	while (room <= t->n + more)
		room *= 2;
	at = heap_alloc(room);
	if (!at) {
		t->failed = true;
		return false;
	}
	if (t->n)
		memcpy(at, t->at, t->n);
	heap_free(t->at);
	t->at = at;
	t->room = room;
	return true;
}

static void add(struct text *t, const char *s, size_t n)
{
	if (!grow(t, n))
		return;
	memcpy(t->at + t->n, s, n);
	t->n += n;
	t->at[t->n] = 0;
}

void text_add(struct text *t, const char *s)
{
	add(t, s, strlen(s));
}

void text_format(struct text *t, const char *fmt, ...)
{
	char piece[256];
	va_list ap;

	va_start(ap, fmt);
	format_v(piece, sizeof(piece), fmt, ap);
	va_end(ap);
	text_add(t, piece);
}

/* Length of the character that begins there, if it is one of UTF-8 that XML may have; else 0. */
static size_t utf8_length(const uint8_t *s)
{
	unsigned n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 :
		     s[0] < 0xf5 ? 4 : 0;
	uint32_t c = n > 1 ? s[0] & (0x7fu >> n) : s[0];

	for (unsigned i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if ((n == 3 && c < 0x800) || (n == 4 && c < 0x10000) || c > 0x10ffff)
		return 0;
	if ((c >= 0xd800 && c < 0xe000) || c == 0xfffe || c == 0xffff)
		return 0;
	return c >= ' ' || c == '\t' || c == '\n' || c == '\r' ? n : 0;
}

static const char *escape_of(char c)
{
	switch (c) {
	case '&': return "&amp;";
	case '<': return "&lt;";
	case '>': return "&gt;";
	case '\'': return "&apos;";
	case '"': return "&quot;";
	case '\t': return "&#9;";
	case '\n': return "&#10;";
	case '\r': return "&#13;";
	}
	return NULL;
}

void text_add_xml(struct text *t, const char *s)
{
	while (*s) {
		size_t n = utf8_length((const uint8_t *)s);
		const char *escape = n ? escape_of(*s) : "\xef\xbf\xbd";

		if (escape)
			text_add(t, escape);
		else
			add(t, s, n);
		s += n + !n;
	}
}

char *text_take(struct text *t)
{
	char *at = NULL;

	add(t, "", 0);
	if (t->failed)
		heap_free(t->at);
	else
		at = t->at;
	*t = (struct text){ 0 };
	return at;
}
