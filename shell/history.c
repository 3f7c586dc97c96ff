/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * History; see shell/history.h. Lines are found by walking back over NULs.
 */
#include "shell/history.h"

#include "lib/string.h"

const char *history_get(const struct history *h, unsigned back)
{
	size_t at = h->used;

	while (back--) {
		if (!at)
			return NULL;
		for (at--; at && h->text[at - 1]; at--)
			;
	}
	return at < h->used ? h->text + at : NULL;
}

void history_add(struct history *h, const char *line)
{
	size_t n = strlen(line) + 1;
	const char *newest = history_get(h, 1);

	if (n == 1 || n > HISTORY_SIZE || (newest && !strcmp(newest, line)))
		return;
	while (h->used + n > HISTORY_SIZE) {
		size_t first = strlen(h->text) + 1;

		memmove(h->text, h->text + first, h->used - first);
		h->used -= first;
	}
	memcpy(h->text + h->used, line, n);
	h->used += n;
}
