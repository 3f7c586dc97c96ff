/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The serial line against a simulated 16550: order and completeness of both directions, polled and
 * by interrupt, with floods on both sides.
 */
/* links: drivers/uart.c tests/host/spinlock.c tests/host/percpu.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/cpu.h"
#include "drivers/uart.h"

/* ---- the chip ---- */

static struct {
	uint8_t ier, lcr, fcr, mcr, scratch;
	uint8_t rx[16];
	unsigned rx_count;
	/* What the sender still has; waits while the FIFO is full, as flow control does. */
	const char *typed;
	size_t typed_left;
	char sent[1 << 17];
	size_t sent_count;
	unsigned fifo;			/* bytes in the transmit FIFO */
	unsigned busy_polls;		/* polls until the FIFO is empty again */
	unsigned polls;
} chip;

static void refill(void)
{
	while (chip.typed_left && chip.rx_count < 16) {
		chip.rx[chip.rx_count++] = (uint8_t)*chip.typed++;
		chip.typed_left--;
	}
}

static uint32_t chip_in(uint16_t port, unsigned size)
{
	uint8_t v = 0;

	(void)size;
	switch (port) {
	case 0x3f8:
		assert_true(chip.rx_count);
		v = chip.rx[0];
		memmove(chip.rx, chip.rx + 1, --chip.rx_count);
		return v;
	case 0x3fa:
		return 0xc1;
	case 0x3fd:
		refill();
		if (chip.fifo && ++chip.polls > chip.busy_polls)
			chip.fifo = chip.polls = 0;
		return (chip.rx_count ? 1 : 0) | (chip.fifo ? 0 : 0x60);
	case 0x3ff:
		return chip.scratch;
	}
	return 0;
}

static void chip_out(uint16_t port, unsigned size, uint32_t v)
{
	(void)size;
	switch (port) {
	case 0x3f8:
		if (chip.lcr & 0x80)
			break;
		assert_true(chip.fifo < 16);
		chip.fifo++;
		assert_true(chip.sent_count < sizeof(chip.sent));
		chip.sent[chip.sent_count++] = (char)v;
		break;
	case 0x3f9:
		if (!(chip.lcr & 0x80))
			chip.ier = (uint8_t)v;
		break;
	case 0x3fb:
		chip.lcr = (uint8_t)v;
		break;
	case 0x3ff:
		chip.scratch = (uint8_t)v;
		break;
	}
}

/* Time passes: the FIFO empties, and the interrupt comes as long as it is asserted. */
static void interrupts(void)
{
	for (unsigned i = 0; i < 100000; i++) {
		refill();
		chip.fifo = chip.polls = 0;
		if (!((chip.ier & 1) && chip.rx_count) && !(chip.ier & 2))
			return;
		uart_irq(NULL);
	}
	fail_msg("the interrupt never ends");
}

static unsigned told;

static void tell(void)
{
	told++;
}

static int setup(void **state)
{
	(void)state;
	memset(&chip, 0, sizeof(chip));
	host_in = chip_in;
	host_out = chip_out;
	return 0;
}

/* ---- tests, in order: the driver's state is the machine's ---- */

static void test_no_chip(void **state)
{
	char buf[4];

	(void)state;
	host_in = NULL;
	uart_init();
	assert_false(uart_present());
	uart_print("lost");
	assert_int_equal(uart_read(buf, sizeof(buf)), 0);
	uart_flush();
}

static void test_polled(void **state)
{
	char buf[16];

	(void)state;
	uart_init();
	assert_true(uart_present());
	chip.busy_polls = 5;
	uart_print("one line, longer than the FIFO\ntwo\n");
	assert_string_equal(chip.sent, "one line, longer than the FIFO\r\ntwo\r\n");
	chip.typed = "hello";
	chip.typed_left = 5;
	assert_int_equal(uart_read(buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "hello", 5);
}

static void test_interrupts(void **state)
{
	char buf[16];

	(void)state;
	told = 0;
	uart_set_receive(tell);
	uart_irq_start();
	assert_int_equal(chip.ier & 1, 1);
	chip.typed = "abc";
	chip.typed_left = 3;
	interrupts();
	assert_int_equal(told, 1);
	assert_int_equal(uart_read(buf, sizeof(buf)), 3);
	assert_int_equal(uart_space(), 16384);
	uart_write("0123456789012345678901234567890123456789", 40);
	assert_int_equal(uart_space(), 16384 - 40 + 16);
	interrupts();
	assert_int_equal(chip.sent_count, 40);
	assert_int_equal(chip.ier & 2, 0);
}

/*
 * 10,000 bytes are typed and nobody reads: the ring fills, the rest waits with the sender,
 * and nothing is lost.
 */
static void test_input_flood(void **state)
{
	static char text[10000], got[10000];
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 7 + i / 256);
	chip.ier = 1;
	chip.typed = text;
	chip.typed_left = sizeof(text);
	interrupts();
	assert_int_equal(chip.ier & 1, 0);
	assert_true(chip.typed_left);
	while (n < sizeof(got)) {
		size_t fresh = uart_read(got + n, 100);

		assert_true(fresh);
		n += fresh;
		interrupts();
	}
	assert_memory_equal(text, got, sizeof(text));
	assert_int_equal(uart_read(got, 1), 0);
}

/* More output than the ring holds, while input arrives: both complete, and the reader is told. */
static void test_both_floods(void **state)
{
	static char out[60000], in[300], got[300];

	(void)state;
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 5 + i / 256);
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (char)i;
	chip.ier = 1;
	chip.busy_polls = 2;
	chip.typed = in;
	chip.typed_left = sizeof(in);
	told = 0;
	uart_write(out, sizeof(out));
	interrupts();
	assert_int_equal(chip.sent_count, sizeof(out));
	assert_memory_equal(chip.sent, out, sizeof(out));
	assert_true(told);
	assert_int_equal(uart_read(got, sizeof(got)), sizeof(got));
	assert_memory_equal(got, in, sizeof(in));
}

/* A line that stands still drops output in place of hanging the machine. */
static void test_stuck_line(void **state)
{
	static char out[40000];

	(void)state;
	chip.ier = 1;
	chip.busy_polls = ~0u;
	uart_write(out, sizeof(out));
	uart_flush();
	chip.busy_polls = 0;
	chip.fifo = 0;
	uart_flush();
}

static void test_panic_print(void **state)
{
	(void)state;
	uart_write("queued ", 7);
	uart_panic_print("end\n");
	assert_int_equal(chip.sent_count, 12);
	assert_memory_equal(chip.sent, "queued end\r\n", 12);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_no_chip), TEST(test_polled), TEST(test_interrupts),
		TEST(test_input_flood), TEST(test_both_floods), TEST(test_stuck_line),
		TEST(test_panic_print),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
