/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Splitting; see shell/words.h.
 */
#include "shell/words.h"

#include "lib/string.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Copies one word, without its quotes, to *to. */
static const char *copy_word(const char **from, char **to)
{
	const char *p = *from;
	char *d = *to, quote = 0;
	const char *wrong = NULL;

	for (; *p && (quote || (!is_blank(*p) && *p != ';')); p++) {
		if (quote == 0 && (*p == '\'' || *p == '"')) {
			quote = *p;
		} else if (quote && *p == quote) {
			quote = 0;
		} else if (*p == '\\' && quote != '\'') {
			if (!p[1]) {
				wrong = "a \\ ends the line: write it twice, or put something behind it";
				continue;
			}
			*d++ = *++p;
		} else {
			*d++ = *p;
		}
	}
	if (quote)
		wrong = "a quote is open: close it with the same sign";
	*d++ = 0;
	*from = p;
	*to = d;
	return wrong;
}

const char *words_split(const char **line, struct words *out)
{
	const char *p = *line, *wrong = NULL;
	char *to = out->text;

	out->count = 0;
	for (;;) {
		while (is_blank(*p))
			p++;
		if (*p == '#')
			p += strlen(p);
		if (!*p || *p == ';')
			break;
		if (out->count == WORDS_MAX) {
			p += strlen(p);
			wrong = "the command has too many words";
			break;
		}
		out->quoted[out->count] = *p == '\'' || *p == '"' || *p == '\\';
		out->word[out->count++] = to;
		wrong = copy_word(&p, &to);
		if (wrong)
			break;
	}
	*line = *p == ';' ? p + 1 : p;
	return wrong;
}
