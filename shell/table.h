/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text in rows: "Name:   value" and virsh's tables, whose columns are as wide as their widest cell.
 * A table is gone through twice, first to be measured and then to be shown, so it may be of any
 * length.
 */
#pragma once

#include "include/compiler.h"

#define TABLE_COLUMNS	8

struct table {
	unsigned columns;
	unsigned width[TABLE_COLUMNS];
	const char *const *titles;
	bool shown;			/* the second time */
};

/* Then the rows, table_show(), the rows again, table_end(). */
void table_begin(struct table *t, unsigned columns, const char *const *titles);
void table_row(struct table *t, const char *const *cells);
void table_show(struct table *t);
void table_end(struct table *t);

/* "Name:           value\n": the value begins in column 16. */
void table_field(const char *name, const char *fmt, ...) printf_like(2, 3);
/* Likewise, of any length; "-" if it is empty. */
void table_text(const char *name, const char *text);
