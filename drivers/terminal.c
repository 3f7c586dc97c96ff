/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Both terminals as one; see drivers/terminal.h. The slower one sets the pace, which is the serial
 * line: the screen takes everything at once. A line that does not move at all must not hold up who
 * sits at the screen: after a second it loses what it does not take.
 */
#include "drivers/terminal.h"

#include "boot/bootinfo.h"
#include "cpu/tsc.h"
#include "drivers/acpi.h"
#include "drivers/i8042.h"
#include "drivers/screen.h"
#include "drivers/serial.h"
#include "drivers/uart.h"
#include "include/bits.h"
#include "kernel/log.h"
#include "lib/format.h"
#include "lib/ring.h"
#include "lib/string.h"

#define SPACE		4096		/* at once, of what takes everything */
#define STUCK_NS	1000000000ull

static bool on_serial, on_screen;
static uint64_t full_since;		/* when the serial line was first seen full; 0: it is not */
static uint8_t reply_buffer[64];
static struct ring replies = RING_INIT(reply_buffer);

static bool names(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (; *list; list += *list == ',') {
		const char *end = strchr(list, ',') ?: list + strlen(list);

		if ((size_t)(end - list) == n && !memcmp(list, word, n))
			return true;
		list = end;
	}
	return false;
}

/* A keyboard that firmware denies is looked for only when the screen is asked for. */
static bool screen_there(bool asked)
{
	if (!screen_can_attach() || (acpi_info.no_keyboard && !asked))
		return false;
	return i8042_init();
}

void terminal_init(void)
{
	char list[32] = "serial,screen";
	bool asked = boot_option("console", list, sizeof(list));
	bool want_serial = names(list, "serial"), want_screen = names(list, "screen");

	/* A word that is wrong is named elsewhere, and then as if it were absent. */
	if (!want_serial && !want_screen) {
		asked = false;
		want_serial = want_screen = true;
	}
	on_serial = want_serial && uart_present();
	on_screen = (want_screen || !on_serial) && screen_there(asked);
	if (asked && want_screen && !on_screen)
		log_warn("terminal: there is no screen with a keyboard to be a console");
	if (asked && want_serial && !on_serial)
		log_warn("terminal: there is no serial port to be a console");
	if (!on_screen && !on_serial)
		on_serial = uart_present();
}

/* ---- input ---- */

static void reply(const char *text, size_t n)
{
	if (ring_space(&replies) >= n)
		ring_write(&replies, text, (uint32_t)n);
}

size_t terminal_read(void *buf, size_t n)
{
	uint8_t *p = buf;
	size_t keys, done = 0;

	if (on_serial)
		done = uart_read(p, n);
	if (!on_screen)
		return done;
	keys = i8042_read(p + done, n - done);
	if (keys)
		screen_look_now();
	done += keys;
	return done + ring_read(&replies, p + done, (uint32_t)(n - done));
}

/* The serial line's terminal answers for itself; two answers would be one too many. */
void terminal_set_receive(void (*fn)(void))
{
	if (on_screen) {
		screen_attach(on_serial ? NULL : reply);
		i8042_set_receive(fn, screen_look_back);
	}
	if (on_serial)
		uart_set_receive(fn);
}

/* ---- output ---- */

size_t terminal_space(void)
{
	size_t room = on_serial ? uart_space() : SPACE;

	if (room || !on_screen) {
		full_since = 0;
		return room;
	}
	if (!full_since)
		full_since = clock_ns();
	return clock_ns() - full_since > STUCK_NS ? SPACE : 0;
}

void terminal_write(const void *data, size_t n)
{
	if (on_serial && (!on_screen || uart_space() >= n))
		uart_write(data, n);
	if (on_screen)
		screen_write(data, n);
}

/* ---- for people ---- */

const char *terminal_where(void)
{
	static char where[64];

	if (!on_serial && !on_screen)
		return "nowhere: there is neither a serial port nor a screen with a keyboard";
	format(where, sizeof(where), "on %s%s%s", on_serial ? serial_port_name() : "",
	       on_serial && on_screen ? " and " : "", on_screen ? "the screen" : "");
	return where;
}

const char *terminal_name(void)
{
	static char name[160];

	if (on_screen)
		format(name, sizeof(name), "%s%sscreen, keyboard by %s",
		       on_serial ? serial_name() : "", on_serial ? "; " : "",
		       i8042_how());
	else
		format(name, sizeof(name), "%s", serial_name());
	return name;
}
