/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `console --screen`: a guest's text screen on the terminal, and the terminal's keys on the guest's
 * keyboard. Ten times a second the screen is looked at, and what differs is drawn. A terminal that
 * has fewer rows shows those around the cursor. A key is down and up again before the next one
 * begins, some time later: a BIOS keeps 15 and drops the rest. What the guest has no room for
 * waits, and beyond some hundred bytes is lost with a bell.
 * Ctrl-] waits for what was typed before it, two seconds at most.
 */
#include "include/bits.h"
#include "lib/format.h"
#include "lib/ring.h"
#include "lib/string.h"
#include "mgmt/node.h"
#include "shell/commands.h"
#include "shell/screen_draw.h"
#include "shell/screen_keys.h"
#include "shell/tty.h"

#define LEAVE		TTY_CTRL(']')
#define MS		1000000ull
#define FRAME_NS	(100 * MS)
#define KEY_NS		(20 * MS)	/* from one key, or try of one, to the next */
#define KEY_TRIES	100		/* of what was typed when the console is left */
#define ESCAPE_NS	(100 * MS)	/* within which what follows ESC belongs to it */
#define SIZE_NS		(300 * MS)	/* for the terminal to tell its size */

enum end { GOES_ON, LEFT, SHUT_OFF, FAILED };

static struct {				/* the shell has one thread */
	struct domain *domain;
	struct mgmt_error error;
	struct screen_draw draw;
	struct vvga_mode mode;		/* that is drawn */
	bool drawn;
	unsigned top;			/* the screen's row that is the terminal's first */
	unsigned rows;			/* that the terminal has; 0: not known yet */
	uint64_t begin_ns, frame_ns, typed_ns, key_ns;
	struct screen_keys keys;
	struct screen_key key[SCREEN_KEYS_MAX];
	unsigned key_at, key_count;
} con;
static uint8_t typed_bytes[512];
static struct ring typed = RING_INIT(typed_bytes);

/* --- the screen */

static bool same_mode(const struct vvga_mode *a, const struct vvga_mode *b)
{
	return a->text == b->text && a->blank == b->blank && a->width == b->width &&
	       a->height == b->height && a->columns == b->columns && a->rows == b->rows;
}

/* What cannot be drawn is told. */
static void begin_mode(const struct vvga_mode *m)
{
	unsigned rows = con.keys.rows ?: VVGA_ROWS_MAX;
	unsigned columns = con.keys.columns ?: VVGA_COLUMNS_MAX;
	char text[100] = "";

	con.mode = *m;
	con.drawn = true;
	con.top = 0;
	con.rows = con.keys.rows;
	if (m->blank) {
		str_copy(text, "The guest's screen is dark", sizeof(text));
	} else if (m->text) {
		columns = MIN(columns, m->columns);
		rows = MIN(rows, m->rows);
	} else {
		format(text, sizeof(text), "Graphics, %u x %u: 'screenshot %s' shows it", m->width,
		       m->height, domain_name(con.domain));
	}
	screen_draw_begin(&con.draw, columns, rows, text);
}

/* The rows around the cursor, if not all of them fit. */
static void scroll(unsigned row)
{
	con.top = MIN(con.top, row);
	if (row - con.top >= con.draw.rows)
		con.top = row - con.draw.rows + 1;
}

static int draw_rows(const struct vvga_mode *m)
{
	uint16_t cells[VVGA_COLUMNS_MAX];
	int e;

	for (unsigned y = 0; y < con.draw.rows; y++) {
		e = domain_screen_row(con.domain, con.top + y, cells, &con.error);
		if (e)
			return e;
		screen_draw_row(&con.draw, y, cells);
	}
	screen_draw_end(&con.draw, m->cursor_shown && m->cursor_row >= con.top,
			m->cursor_row - con.top, m->cursor_column);
	return 0;
}

static int show(void)
{
	struct vvga_mode m;
	int e = domain_screen_mode(con.domain, &m, &con.error);

	if (e)
		return e;
	if (!con.drawn || con.rows != con.keys.rows || !same_mode(&m, &con.mode))
		begin_mode(&m);
	if (!m.text || m.blank)
		return 0;
	if (m.cursor_shown && m.cursor_row < m.rows)
		scroll(m.cursor_row);
	return draw_rows(&m);
}

/* While a domain is made or taken down, as in a reboot, the picture stands. */
static enum end frame(uint64_t now)
{
	if (now < con.frame_ns || (!con.keys.rows && now < con.begin_ns + SIZE_NS))
		return GOES_ON;
	con.frame_ns = now + FRAME_NS;
	if (show() == -ENODEV)
		return FAILED;
	return domain_state(con.domain) == DOMAIN_SHUTOFF ? SHUT_OFF : GOES_ON;
}

/* --- the keyboard */

static bool take_typed(uint64_t now)
{
	int c;

	while ((c = tty_get()) >= 0 && c != LEAVE) {
		con.typed_ns = now;
		if (!ring_put(&typed, (uint8_t)c))
			tty_write("\a", 1);
	}
	return c != LEAVE;
}

/* What the byte that was taken last came to; false: some of it waits for room. */
static bool press(void)
{
	for (; con.key_at < con.key_count; con.key_at++) {
		const struct screen_key *k = &con.key[con.key_at];

		if (domain_key(con.domain, k->code, k->pressed, NULL) == -EAGAIN)
			return false;
	}
	return true;
}

/* The next one, if it is time for it; false: there are more. */
static bool press_next(uint64_t now)
{
	int c;

	if (now < con.key_ns || !press())
		return false;
	con.key_at = con.key_count = 0;
	while (!con.key_count) {
		c = ring_get(&typed);
		if (c >= 0)
			con.key_count = screen_keys_take(&con.keys, (uint8_t)c, con.key);
		else if (screen_keys_begun(&con.keys) && now >= con.typed_ns + ESCAPE_NS)
			con.key_count = screen_keys_end(&con.keys, con.key);
		else
			return true;
	}
	con.key_ns = now + KEY_NS;
	(void)press();
	return false;
}

/* --- both */

static enum end run(void)
{
	enum end end = GOES_ON;
	bool stays, all;
	uint64_t now;

	while (end == GOES_ON) {
		now = node_uptime_ns();
		stays = take_typed(now);
		all = press_next(now);
		end = stays ? frame(now) : LEFT;
		if (end == GOES_ON)
			tty_wait(all ? con.frame_ns : now + KEY_NS);
	}
	return end;
}

static void begin(struct domain *d)
{
	memset(&con, 0, sizeof(con));
	con.domain = d;
	con.begin_ns = node_uptime_ns();
	typed.tail = typed.head;
	tty_interruptible(false);
	tty_print("Connected to the screen of domain '%s'\nEscape character is ^] (Ctrl + ])\n",
		  domain_name(d));
	/* A screen of its own where there are two, without wrapping; where its last cell is. */
	tty_text("\x1b[?1049h\x1b[?7l\x1b[999;999H\x1b[6n");
}

static void leave(void)
{
	for (unsigned i = 0; i < KEY_TRIES && !press_next(node_uptime_ns()); i++)
		tty_wait(node_uptime_ns() + KEY_NS);
	tty_text("\x1b[999;1H");
	console_restore();
	tty_interruptible(true);
}

int screen_console(struct domain *d)
{
	struct vvga_mode m;
	struct mgmt_error err;
	enum end end;

	if (domain_screen_mode(d, &m, &err))
		return command_fail(&err);
	begin(d);
	end = run();
	leave();
	tty_print(end == LEFT ? "\nLeft the screen of domain '%s'\n" :
		  end == SHUT_OFF ? "\nDomain '%s' is shut off\n" : "\n", domain_name(d));
	return end == FAILED ? command_fail(&con.error) : 0;
}
