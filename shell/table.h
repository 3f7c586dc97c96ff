/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text in rows: "Name:   value" and virsh's tables, whose columns are as wide as their widest cell.
 */
#pragma once

#include "include/compiler.h"

#define TABLE_COLUMNS	8

struct table {
	unsigned columns, rows;
	unsigned width[TABLE_COLUMNS];
	size_t used, room;
	unsigned lost;			/* rows that there was no memory for */
	char *text;			/* cells with their NULs, row by row; grows, and is freed
					 * when printed */
};

/* The titles are the first row. */
void table_begin(struct table *t, unsigned columns, const char *const *titles);
void table_row(struct table *t, const char *const *cells);
void table_print(struct table *t);

/* "Name:           value\n": the value begins in column 16. */
void table_field(const char *name, const char *fmt, ...) printf_like(2, 3);
/* Likewise, of any length; "-" if it is empty. */
void table_text(const char *name, const char *text);
