/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `screenshot`: the picture in base64 between two lines that say so, as certificates are sent, for
 * whoever records what the terminal shows (tools/screenshot takes it out). Printed as it is made;
 * Ctrl-C ends it, and then no last line comes. Source: RFC 4648, "Base 64 Encoding".
 */
#include "lib/string.h"
#include "shell/commands.h"
#include "shell/tty.h"

#define LINE	57u		/* bytes that make 76 characters */

struct paper {
	uint8_t byte[LINE];
	unsigned count;
	bool begun;
};

/* Three bytes, of which those behind `n` are 0. */
static void encode(const uint8_t *p, unsigned n, char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t all = (uint32_t)(p[0] << 16 | p[1] << 8 | p[2]);

	for (unsigned i = 0; i < 4; i++)
		out[i] = i <= n ? digits[all >> (18 - 6 * i) & 63] : '=';
}

static void print_line(struct paper *p)
{
	char text[LINE / 3 * 4 + 2];
	unsigned n = 0;

	memset(p->byte + p->count, 0, LINE - p->count);
	for (unsigned i = 0; i < p->count; i += 3, n += 4)
		encode(p->byte + i, p->count - i, text + n);
	text[n++] = '\r';
	text[n++] = '\n';
	tty_write(text, n);
	p->count = 0;
}

static int put(void *arg, const void *data, size_t n)
{
	const uint8_t *from = data;
	struct paper *p = arg;

	if (!p->begun)
		tty_text("-----BEGIN PNG-----\n");
	p->begun = true;
	while (n--) {
		p->byte[p->count++] = *from++;
		if (p->count < LINE)
			continue;
		print_line(p);
		if (tty_interrupted())
			return -EINTR;
	}
	return 0;
}

int screenshot_command(const struct command_args *a)
{
	struct paper paper = { .count = 0 };
	struct verb_call c = { .put = put, .put_arg = &paper };
	int e = commands_call(a, VERB_SCREENSHOT, &c);

	if (!e && paper.count)
		print_line(&paper);
	if (!e)
		tty_text("-----END PNG-----\n");
	verb_end(&c);
	return e;
}
