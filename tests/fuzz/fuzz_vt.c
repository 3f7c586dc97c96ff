/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whatever a guest prints on the screen, of any size: every cell stays a character, the cursor on
 * the screen, answers short and of signs that type nothing into a shell.
 */
/* links: drivers/vt.c lib/format.c */
#include <stdlib.h>
#include <string.h>

#include "drivers/vt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct vt v;

static void reply(const char *text, size_t n)
{
	if (n > 20 || text[0] != 0x1b || strspn(text + 1, "[?;0123456789Rcn") != n - 1)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned columns, rows;

	if (size < 2)
		return 0;
	columns = 2 + data[0] % (VT_COLUMNS_MAX - 1);
	rows = 2 + data[1] % (VT_ROWS_MAX - 1);
	vt_init(&v, columns, rows);
	v.reply = reply;
	vt_write(&v, data + 2, size - 2);
	vt_look_back(&v, data[0] - 128);
	for (unsigned y = 0; y < rows; y++)
		for (unsigned x = 0; x < columns; x++) {
			uint8_t c = (uint8_t)vt_cell(&v, y, x);

			if (c < ' ' || c > '~')
				abort();
		}
	if (v.at.row >= rows || v.at.column >= columns || v.top >= v.bottom || v.bottom >= rows)
		abort();
	return 0;
}
