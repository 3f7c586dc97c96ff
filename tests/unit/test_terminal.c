/* SPDX-License-Identifier: BSD-2-Clause */
/* links: drivers/terminal.c boot/bootinfo.c lib/format.c tests/host/log.c tests/host/tsc.c */
/*
 * drivers/terminal: where the console is for each option and each machine, that both ways in and
 * out work, and that a serial line which does not move holds nobody up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "boot/bootinfo.h"
#include "cpu/tsc.h"
#include "drivers/acpi.h"
#include "drivers/i8042.h"
#include "drivers/screen.h"
#include "drivers/serial.h"
#include "drivers/terminal.h"
#include "drivers/uart.h"
#include "include/bits.h"
#include "kernel/log.h"

extern unsigned host_log_count[];

struct acpi_info acpi_info;

static struct {
	bool uart, screen, keyboard;
	size_t space;
	char sent[200], drawn[200];
	const char *line, *keys;
	void (*reply)(const char *text, size_t n);
	bool looked_for, attached;
	unsigned looks_now;
	void (*uart_hook)(void), (*key_hook)(void);
} fake;

bool uart_present(void) { return fake.uart; }
size_t uart_space(void) { return fake.space; }
void uart_set_receive(void (*fn)(void)) { fake.uart_hook = fn; }
const char *serial_name(void) { return fake.uart ? "COM1 (0x3f8)" : "no serial port"; }
const char *serial_port_name(void) { return "COM1"; }
bool screen_can_attach(void) { return fake.screen; }
void screen_look_back(int screens) { (void)screens; }
void screen_look_now(void) { fake.looks_now++; }
const char *i8042_how(void) { return "IRQ 1"; }

void uart_write(const void *data, size_t n)
{
	assert_true(n <= fake.space);
	strncat(fake.sent, data, n);
}

static size_t take(const char **from, void *buf, size_t n)
{
	n = MIN(n, strlen(*from));
	memcpy(buf, *from, n);
	*from += n;
	return n;
}

size_t uart_read(void *buf, size_t n) { return take(&fake.line, buf, n); }
size_t i8042_read(void *buf, size_t n) { return take(&fake.keys, buf, n); }

bool i8042_init(void)
{
	fake.looked_for = true;
	return fake.keyboard;
}

void i8042_set_receive(void (*fn)(void), void (*look_back)(int screens))
{
	assert_ptr_equal(look_back, screen_look_back);
	fake.key_hook = fn;
}

void screen_attach(void (*reply)(const char *text, size_t n))
{
	fake.attached = true;
	fake.reply = reply;
}

void screen_write(const void *data, size_t n)
{
	assert_true(fake.attached);
	strncat(fake.drawn, data, n);
}

static void hook(void) {}

/* s: serial port, v: screen, k: keyboard, n: no keyboard according to the tables. */
static void start(const char *machine, const char *cmdline)
{
	memset(&fake, 0, sizeof(fake));
	fake.line = fake.keys = "";
	fake.space = 100;
	fake.uart = strchr(machine, 's');
	fake.screen = strchr(machine, 'v');
	fake.keyboard = strchr(machine, 'k');
	acpi_info.no_keyboard = strchr(machine, 'n');
	host_log_count[LOG_WARN] = 0;
	strcpy(bootinfo.cmdline, cmdline);
	terminal_init();
	terminal_set_receive(hook);
}

static void places(void **state)
{
	static const struct { const char *machine, *cmdline, *where; unsigned warnings; } rows[] = {
		{ "svk", "", "on COM1 and the screen", 0 },
		{ "sv", "", "on COM1", 0 },
		{ "sk", "", "on COM1", 0 },
		{ "vk", "", "on the screen", 0 },
		{ "v", "", "nowhere: ", 0 },
		{ "svkn", "", "on COM1", 0 },
		{ "svkn", "console=serial,screen", "on COM1 and the screen", 0 },
		{ "svk", "console=serial", "on COM1", 0 },
		{ "svk", "console=screen", "on the screen", 0 },
		{ "svk", "console=screen,serial", "on COM1 and the screen", 0 },
		{ "svk", "console=screens", "on COM1 and the screen", 0 },
		{ "vk", "console=serial", "on the screen", 1 },
		{ "s", "console=screen", "on COM1", 1 },
		{ "s", "console=serial,screen", "on COM1", 1 },
		{ "", "console=serial,screen", "nowhere: ", 2 },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		start(rows[i].machine, rows[i].cmdline);
		if (strncmp(terminal_where(), rows[i].where, strlen(rows[i].where)))
			fail_msg("row %u: %s", i, terminal_where());
		assert_int_equal(host_log_count[LOG_WARN], rows[i].warnings);
		assert_int_equal(fake.attached, strstr(rows[i].where, "screen") &&
						rows[i].where[0] == 'o');
		assert_int_equal(fake.uart_hook == hook, !!strstr(rows[i].where, "COM1"));
	}
	start("svk", "console=serial");
	assert_false(fake.looked_for);		/* ports that nobody asked for are left alone */
	assert_string_equal(terminal_name(), "COM1 (0x3f8)");
	start("svk", "");
	assert_string_equal(terminal_name(), "COM1 (0x3f8); screen, keyboard by IRQ 1");
	start("vk", "");
	assert_string_equal(terminal_name(), "screen, keyboard by IRQ 1");
}

static void both_ways(void **state)
{
	char buf[20] = "";

	(void)state;
	start("svk", "");
	assert_int_equal(terminal_space(), 100);
	terminal_write("out", 3);
	assert_string_equal(fake.sent, "out");
	assert_string_equal(fake.drawn, "out");
	fake.line = "line";
	fake.keys = "keys";
	assert_int_equal(terminal_read(buf, 6), 6);
	assert_memory_equal(buf, "lineke", 6);
	assert_int_equal(fake.looks_now, 1);
	assert_int_equal(terminal_read(buf, 6), 2);
	assert_int_equal(terminal_read(buf, 6), 0);
	assert_int_equal(fake.looks_now, 2);
	assert_null(fake.reply);
	start("svk", "console=screen");
	terminal_write("out", 3);
	assert_string_equal(fake.sent, "");
	assert_string_equal(fake.drawn, "out");
	fake.line = "x";
	fake.reply("answer", 6);
	assert_int_equal(terminal_read(buf, sizeof(buf)), 6);
	assert_memory_equal(buf, "answer", 6);
	/* Programs that ask and never read lose whole answers. */
	for (unsigned i = 0; i < 100; i++)
		fake.reply("answer", 6);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(terminal_read(buf, 6), 6);
		assert_memory_equal(buf, "answer", 6);
	}
	assert_int_equal(terminal_read(buf, 6), 0);
}

static void stuck_line(void **state)
{
	(void)state;
	start("svk", "");
	fake.space = 0;
	assert_int_equal(terminal_space(), 0);
	host_tsc += 900000000;
	assert_int_equal(terminal_space(), 0);
	host_tsc += 200000000;
	assert_true(terminal_space() > 0);
	terminal_write("seen", 4);
	assert_string_equal(fake.drawn, "seen");
	assert_string_equal(fake.sent, "");
	fake.space = 50;
	assert_int_equal(terminal_space(), 50);
	terminal_write("both", 4);
	assert_string_equal(fake.sent, "both");
	fake.space = 0;
	assert_int_equal(terminal_space(), 0);
	/* Without a screen there is nobody to be spared. */
	start("s", "");
	fake.space = 0;
	assert_int_equal(terminal_space(), 0);
	host_tsc += 2000000000;
	assert_int_equal(terminal_space(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places), cmocka_unit_test(both_ways), cmocka_unit_test(stuck_line),
	};

	host_tsc = 1000;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
