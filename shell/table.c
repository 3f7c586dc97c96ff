/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables; see shell/table.h.
 */
#include "shell/table.h"

#include "include/bits.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "shell/tty.h"

#define TEXT_FIRST	1024u

void table_begin(struct table *t, unsigned columns, const char *const *titles)
{
	*t = (struct table){ .columns = columns };
	table_row(t, titles);
}

/* Twice the room, until `need` bytes more fit. */
static bool make_room(struct table *t, size_t need)
{
	size_t room = t->room ? t->room : TEXT_FIRST;
	char *text;

	while (room - t->used < need)
		room *= 2;
	if (room == t->room)
		return true;
	text = heap_alloc(room);
	if (!text)
		return false;
	if (t->used)
		memcpy(text, t->text, t->used);
	heap_free(t->text);
	t->text = text;
	t->room = room;
	return true;
}

void table_row(struct table *t, const char *const *cells)
{
	size_t need = 0;

	for (unsigned i = 0; i < t->columns; i++)
		need += strlen(cells[i]) + 1;
	if (!make_room(t, need)) {
		t->lost++;
		return;
	}
	for (unsigned i = 0; i < t->columns; i++) {
		size_t n = strlen(cells[i]);

		memcpy(t->text + t->used, cells[i], n + 1);
		t->used += n + 1;
		t->width[i] = MAX(t->width[i], (unsigned)n);
	}
	t->rows++;
}

static void print_rule(const struct table *t)
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->columns; i++)
		n += t->width[i] + 3;
	while (n--)
		tty_write("-", 1);
	tty_text("\n");
}

void table_print(struct table *t)
{
	const char *cell = t->text;

	for (unsigned row = 0; row < t->rows; row++) {
		for (unsigned i = 0; i < t->columns; i++) {
			bool last = i == t->columns - 1;

			tty_print(" %-*s%s", last ? 0 : (int)t->width[i], cell, last ? "\n" : "  ");
			cell += strlen(cell) + 1;
		}
		if (!row)
			print_rule(t);
	}
	if (t->lost)
		tty_print(" (no memory to show %u more rows)\n", t->lost);
	tty_text("\n");
	heap_free(t->text);
	*t = (struct table){ 0 };
}

void table_field(const char *name, const char *fmt, ...)
{
	char value[512];
	va_list ap;

	va_start(ap, fmt);
	format_v(value, sizeof(value), fmt, ap);
	va_end(ap);
	table_text(name, value);
}

void table_text(const char *name, const char *text)
{
	char label[64];

	format(label, sizeof(label), "%s:", name);
	tty_print("%-15s ", label);
	tty_text(*text ? text : "-");
	tty_text("\n");
}
