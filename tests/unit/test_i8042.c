/* SPDX-License-Identifier: BSD-2-Clause */
/* links: drivers/i8042.c drivers/keys.c lib/keyboard.c lib/format.c tests/host/log.c
 * tests/host/panic.c tests/host/percpu.c tests/host/spinlock.c tests/host/tsc.c */
/*
 * drivers/i8042 against controllers that work, that work half, that are not there or never end;
 * keys by interrupts, without them, and between a mouse's bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/cpu.h"
#include "cpu/percpu.h"
#include "cpu/tsc.h"
#include "drivers/i8042.h"
#include "drivers/wire.h"
#include "include/bits.h"
#include "kernel/log.h"
#include "kernel/timer.h"

extern unsigned host_log_count[];

static struct {
	bool absent, deaf, endless, no_translation, no_keyboard, no_wire;
	uint8_t config, command;
	uint8_t out[64];		/* what waits to be read, oldest first */
	bool mouse[64];
	unsigned count, set, scanning;
	bool off;
	bool (*handler)(void *arg);
	bool open;
	struct timer *timer;
	unsigned hooks, reads;
	int look_back;
} chip;

static void give(uint8_t v, bool mouse)
{
	chip.out[chip.count] = v;
	chip.mouse[chip.count++] = mouse;
}

static uint32_t in(uint16_t port, unsigned size)
{
	uint8_t v;

	(void)size;
	host_tsc += 1000;
	chip.reads++;
	if (chip.absent)
		return 0xff;
	if (port == 0x64)
		return (chip.count || chip.endless) | (chip.deaf ? 2 : 0) |
		       (chip.count && chip.mouse[0] ? 0x20 : 0) | 0x14;
	assert_int_equal(port, 0x60);
	if (!chip.count)
		return 0x5a;
	v = chip.out[0];
	chip.count--;
	memmove(chip.out, chip.out + 1, chip.count);
	memmove(chip.mouse, chip.mouse + 1, chip.count);
	return v;
}

static void keyboard(uint8_t v)
{
	if (chip.no_keyboard)
		return;
	if (chip.set == 0xf0)
		chip.set = v;
	else if (v == 0xf0)
		chip.set = v;
	else if (v == 0xf4)
		chip.scanning = 1;
	give(0xfa, false);
}

static void out(uint16_t port, unsigned size, uint32_t v)
{
	(void)size;
	assert_false(chip.deaf);
	if (port == 0x64) {
		chip.command = (uint8_t)v;
		if (v == 0x20)
			give(chip.config, false);
		if (v == 0xad || v == 0xae)
			chip.off = v == 0xad;
		return;
	}
	assert_int_equal(port, 0x60);
	if (chip.command == 0x60)
		chip.config = (uint8_t)(chip.no_translation ? v & ~0x40u : v);
	else
		keyboard((uint8_t)v);
	chip.command = 0;
}

int wire_open_isa(struct wire_user *u, unsigned irq)
{
	assert_int_equal(irq, 1);
	chip.handler = u->fn;
	chip.open = !chip.no_wire;
	return chip.no_wire ? -ENODEV : 0;
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	t->fn = fn;
}

void timer_set(struct timer *t, uint64_t deadline_ns)
{
	(void)deadline_ns;
	chip.timer = t;
}

static void hook(void) { chip.hooks++; }
static void look_back(int screens) { chip.look_back += screens; }

static const char *typed(void)
{
	static char buf[300];

	buf[i8042_read(buf, sizeof(buf) - 1)] = 0;
	return buf;
}

/* State that outlives a test is the driver's own: each begins with a controller that works. */
static int setup(void **state)
{
	(void)state;
	host_percpu_init(1);
	memset(&chip, 0, sizeof(chip));
	chip.config = 0x36;		/* mouse's interrupt, keyboard off, not translated */
	host_in = in;
	host_out = out;
	host_log_count[LOG_WARN] = 0;
	return 0;
}

static void not_there(void **state)
{
	(void)state;
	chip.absent = true;
	assert_false(i8042_init());
	assert_int_equal(typed()[0], 0);
	setup(state);
	chip.deaf = true;
	assert_false(i8042_init());
	setup(state);
	chip.endless = true;
	assert_false(i8042_init());
	assert_in_range(chip.reads, 1, 1000000);
}

static void by_interrupt(void **state)
{
	(void)state;
	give(0x1e, false);		/* what was typed at the loader */
	assert_true(i8042_init());
	assert_int_equal(chip.config, 0x65);
	assert_true(chip.open && chip.scanning && !chip.off);
	assert_null(chip.timer);
	assert_string_equal(i8042_how(), "IRQ 1");
	i8042_set_receive(hook, look_back);
	assert_string_equal(typed(), "");
	give(0x26, false);
	give(0x08, true);
	give(0x17, false);
	chip.handler(NULL);
	assert_int_equal(chip.hooks, 1);
	assert_string_equal(typed(), "li");
	give(0x2a, false);
	give(0xe0, false);
	give(0x49, false);
	give(0xaa, false);
	chip.handler(NULL);
	assert_int_equal(chip.look_back, 1);
	assert_string_equal(typed(), "");
	/* More than the ring holds: the rest is dropped, and it goes on. */
	for (unsigned i = 0; i < 300; i++) {
		give(0x1f, false);
		chip.handler(NULL);
	}
	assert_int_equal(strlen(typed()), 256);
	give(0x20, false);
	chip.handler(NULL);
	assert_string_equal(typed(), "d");
}

static void half(void **state)
{
	(void)state;
	chip.no_translation = true;
	assert_true(i8042_init());
	assert_int_equal(chip.set, 1);
	setup(state);
	chip.no_keyboard = true;
	assert_true(i8042_init());
	assert_string_equal(typed(), "");
}

/* A key is found when somebody looks; after some, a timer does. */
static void interrupts_get_lost(void **state)
{
	(void)state;
	assert_true(i8042_init());
	i8042_set_receive(hook, look_back);
	give(0x1e, false);
	assert_string_equal(typed(), "a");
	give(0x9e, false);
	assert_string_equal(typed(), "");
	chip.handler(NULL);			/* late, not gone */
	for (unsigned i = 0; i < 3; i++) {
		assert_null(chip.timer);
		give(0x1e, false);
		assert_string_equal(typed(), "a");
	}
	assert_non_null(chip.timer);
	assert_int_equal(host_log_count[LOG_WARN], 1);
	assert_string_equal(i8042_how(), "polled");
	give(0x30, false);
	chip.timer->fn(chip.timer);
	assert_int_equal(chip.hooks, 1);
	assert_string_equal(typed(), "b");
}

static void no_wire(void **state)
{
	(void)state;
	chip.no_wire = true;
	assert_true(i8042_init());
	assert_non_null(chip.timer);
	assert_false(chip.open);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		TEST(not_there), TEST(by_interrupt), TEST(half), TEST(interrupts_get_lost),
		TEST(no_wire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
