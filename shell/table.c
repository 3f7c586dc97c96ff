/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables; see shell/table.h.
 */
#include "shell/table.h"

#include "include/bits.h"
#include "lib/format.h"
#include "lib/string.h"
#include "shell/tty.h"

void table_begin(struct table *t, unsigned columns, const char *const *titles)
{
	*t = (struct table){ .columns = columns, .titles = titles };
	table_row(t, titles);
}

void table_row(struct table *t, const char *const *cells)
{
	for (unsigned i = 0; i < t->columns; i++) {
		bool last = i == t->columns - 1;

		if (t->shown)
			tty_print(" %-*s%s", last ? 0 : (int)t->width[i], cells[i],
				  last ? "\n" : "  ");
		else
			t->width[i] = MAX(t->width[i], (unsigned)strlen(cells[i]));
	}
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

void table_show(struct table *t)
{
	t->shown = true;
	table_row(t, t->titles);
	print_rule(t);
}

void table_end(struct table *t)
{
	*t = (struct table){ 0 };
	tty_text("\n");
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
