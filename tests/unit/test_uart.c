/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The serial line against a simulated 16550, whose interrupt is an edge on the OR of its causes:
 * order and completeness of both directions, polled, by interrupt and by timer, with floods on both
 * sides, with the transmitter running empty between any two accesses, and with interrupts that
 * never come or stop.
 */
/* links: drivers/uart.c tests/host/spinlock.c tests/host/percpu.c tests/host/log.c
 * tests/host/tsc.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/cpu.h"
#include "cpu/tsc.h"
#include "drivers/uart.h"
#include "kernel/log.h"
#include "kernel/timer.h"

extern unsigned host_log_count[4];

/* ---- the chip ---- */

#define NEVER	(~0u)

static struct {
	uint8_t ier, lcr, fcr, mcr, scratch;
	uint16_t divisor;
	bool no_scratch;
	uint8_t rx[16];
	unsigned rx_count;
	/* What the sender still has; waits while the FIFO is full, as flow control does. */
	const char *typed;
	size_t typed_left;
	char sent[1 << 17];
	size_t sent_count;
	unsigned fifo;			/* bytes in the transmit FIFO */
	unsigned busy;			/* accesses until the FIFO is empty again */
	unsigned countdown;
	bool empty_told;		/* the cause "transmitter empty" is pending no more */
	bool line, edge;		/* INTR; an edge that the interrupt controller has kept */
	bool unwired;
} chip;

static bool sending_pending(void)
{
	return (chip.ier & 2) && !chip.fifo && !chip.empty_told;
}

static bool receiving_pending(void)
{
	return (chip.ier & 1) && chip.rx_count;
}

static void settle(void)
{
	bool line;

	while (chip.typed_left && chip.rx_count < 16) {
		chip.rx[chip.rx_count++] = (uint8_t)*chip.typed++;
		chip.typed_left--;
	}
	line = sending_pending() || receiving_pending();
	chip.edge |= line && !chip.line && !chip.unwired;
	chip.line = line;
}

/* Every access takes its time, in which the FIFO may run empty. */
static void time_passes(void)
{
	if (chip.fifo && chip.busy != NEVER && chip.countdown-- == 0) {
		chip.fifo = 0;
		chip.empty_told = false;
	}
	settle();
}

static uint32_t chip_in(uint16_t port, unsigned size)
{
	uint8_t v = 0;

	(void)size;
	time_passes();
	switch (port) {
	case 0x3f8:
		assert_true(chip.rx_count);
		v = chip.rx[0];
		memmove(chip.rx, chip.rx + 1, --chip.rx_count);
		break;
	case 0x3f9:
		v = chip.ier;
		break;
	case 0x3fa:
		v = 0xc1;
		if (receiving_pending()) {
			v = 0xc4;
		} else if (sending_pending()) {
			v = 0xc2;
			chip.empty_told = true;
		}
		break;
	case 0x3fd:
		v = (chip.rx_count ? 1 : 0) | (chip.fifo ? 0 : 0x60);
		break;
	case 0x3ff:
		return chip.scratch;
	}
	settle();
	return v;
}

static void chip_out(uint16_t port, unsigned size, uint32_t v)
{
	(void)size;
	time_passes();
	switch (port) {
	case 0x3f8:
		if (chip.lcr & 0x80) {
			chip.divisor = (chip.divisor & 0xff00) | (v & 0xff);
			break;
		}
		assert_true(chip.fifo < 16);
		if (!chip.fifo++)
			chip.countdown = chip.busy;
		chip.empty_told = true;
		assert_true(chip.sent_count < sizeof(chip.sent));
		chip.sent[chip.sent_count++] = (char)v;
		break;
	case 0x3f9:
		if (chip.lcr & 0x80) {
			chip.divisor = (uint16_t)((chip.divisor & 0xff) | v << 8);
			break;
		}
		if (!(chip.ier & 2) && (v & 2) && !chip.fifo)
			chip.empty_told = false;
		chip.ier = (uint8_t)v;
		break;
	case 0x3fb:
		chip.lcr = (uint8_t)v;
		break;
	case 0x3ff:
		chip.scratch = chip.no_scratch ? 0 : (uint8_t)v;
		break;
	}
	settle();
}

/* Edges that were kept become interrupts. */
static void deliver(void)
{
	for (unsigned i = 0; chip.edge; i++) {
		assert_true(i < 100000);
		chip.edge = false;
		uart_irq();
	}
}

/* Time passes, and nobody but the interrupt touches the chip. */
static void interrupts(void)
{
	do {
		if (chip.fifo)
			chip.empty_told = false;
		chip.fifo = 0;
		settle();
		deliver();
	} while (chip.fifo);
}

/* A CPU that waits is interrupted, and its clock goes on. */
static void pause_a_while(void)
{
	host_tsc += 1000;
	deliver();
}

/* ---- the driver's timer ---- */

static struct timer *armed;

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	t->fn = fn;
}

void timer_set(struct timer *t, uint64_t deadline_ns)
{
	assert_true(deadline_ns > host_tsc);
	armed = t;
}

/* A FIFO empties in more than a millisecond. */
static void timer_fires(void)
{
	struct timer *t = armed;

	armed = NULL;
	chip.fifo = 0;
	settle();
	t->fn(t);
}

static unsigned told;

static void tell(void)
{
	told++;
}

static const struct uart_port com1 = { .io = 0x3f8, .baud = 9600, .clock_hz = UART_CLOCK_HZ };

static int setup(void **state)
{
	(void)state;
	memset(&chip, 0, sizeof(chip));
	host_in = chip_in;
	host_out = chip_out;
	host_pause = NULL;
	chip.ier = 1;			/* as the driver left it */
	return 0;
}

/* ---- tests, in order: the driver's state is the machine's ---- */

static void test_no_chip(void **state)
{
	char buf[4];

	(void)state;
	host_in = NULL;
	assert_false(uart_open(&com1));
	assert_false(uart_present());
	uart_text("lost", strlen("lost"));
	assert_int_equal(uart_read(buf, sizeof(buf)), 0);
	uart_flush();
}

static void test_polled(void **state)
{
	char buf[16];

	(void)state;
	assert_true(uart_open(&com1));
	assert_true(uart_present());
	assert_int_equal(chip.divisor, 12);
	assert_int_equal(chip.lcr, 3);
	chip.busy = 5;
	uart_text("one line, longer than the FIFO\ntwo\n", strlen("one line, longer than the FIFO\ntwo\n"));
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
	host_pause = pause_a_while;
	assert_true(uart_irq_start());
	assert_int_equal(chip.ier, 1);
	chip.typed = "abc";
	chip.typed_left = 3;
	interrupts();
	assert_int_equal(told, 1);
	assert_int_equal(uart_read(buf, sizeof(buf)), 3);
	assert_int_equal(uart_space(), 16384);
	chip.busy = 100;
	uart_write("0123456789012345678901234567890123456789", 40);
	assert_int_equal(uart_space(), 16384 - 40 + 16);
	interrupts();
	assert_int_equal(uart_space(), 16384);
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
	chip.busy = 2;
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

/*
 * Typing during output: the transmitter runs empty after any number of accesses, and no edge may
 * be left that nobody waits for.
 */
static void test_edges(void **state)
{
	static char text[200], got[64];

	for (unsigned busy = 0; busy < 80; busy++)
		for (unsigned typed = 0; typed < 12; typed++) {
			setup(state);
			memset(text, 'x', sizeof(text));
			chip.busy = busy;
			uart_write(text, sizeof(text));
			chip.typed = "typed in the meantime";
			chip.typed_left = typed;
			settle();
			deliver();
			interrupts();
			assert_int_equal(chip.sent_count, sizeof(text));
			assert_int_equal(uart_read(got, sizeof(got)), typed);
			assert_int_equal(chip.ier, 1);
		}
}

/* One interrupt does not go on for ever, and what it leaves comes with the next. */
static void test_endless_cause(void **state)
{
	static char out[8000];

	(void)state;
	chip.busy = 2;
	uart_write(out, sizeof(out));
	chip.fifo = 0;
	chip.empty_told = false;
	settle();
	assert_true(chip.edge);
	chip.edge = false;
	uart_irq();
	assert_true(chip.sent_count < sizeof(out));
	interrupts();
	assert_int_equal(chip.sent_count, sizeof(out));
}

/* A line that stands still drops output in place of hanging the machine. */
static void test_stuck_line(void **state)
{
	static char out[40000];

	(void)state;
	chip.busy = NEVER;
	uart_write(out, sizeof(out));
	uart_flush();
	chip.busy = 0;
	chip.fifo = 0;
	uart_flush();
}

/* Interrupts stop: polls carry on, tell it once, and a timer takes over. */
static void test_interrupts_stop(void **state)
{
	static char out[16000];
	char c;

	(void)state;
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 3 + i / 256);
	chip.busy = 100;
	chip.unwired = true;
	host_log_count[LOG_WARN] = 0;
	uart_write(out, sizeof(out));
	for (unsigned i = 0; i < 4; i++) {
		host_tsc += 200000000;
		chip.fifo = 0;
		assert_int_equal(uart_read(&c, 1), 0);
		assert_int_equal(uart_read(&c, 1), 0);	/* at once: tells nothing */
	}
	assert_null(armed);
	chip.unwired = false;
	chip.fifo = 0;
	chip.empty_told = chip.line = false;
	settle();
	deliver();					/* one does come: the count starts again */
	chip.unwired = true;
	for (unsigned i = 0; i < 5; i++) {
		assert_null(armed);
		host_tsc += 200000000;
		chip.fifo = 0;
		assert_int_equal(uart_read(&c, 1), 0);
	}
	assert_non_null(armed);
	assert_int_equal(host_log_count[LOG_WARN], 1);
	assert_int_equal(chip.ier, 0);
	for (unsigned i = 0; uart_space() != 16384; i++) {
		assert_true(i < 2000);
		timer_fires();
	}
	assert_int_equal(chip.sent_count, sizeof(out));
	assert_memory_equal(chip.sent, out, sizeof(out));
	assert_int_equal(host_log_count[LOG_WARN], 1);
}

/* By the timer alone: both directions, and the reader is told. */
static void test_timer(void **state)
{
	static char out[20000], got[300];
	size_t n = 0;

	(void)state;
	chip.ier = 0;
	chip.busy = 100;
	told = 0;
	for (size_t at = 0; at < sizeof(out);) {
		size_t room = uart_space();
		size_t part = room < sizeof(out) - at ? room : sizeof(out) - at;

		uart_write(out + at, part);
		at += part;
		timer_fires();
	}
	while (chip.sent_count < sizeof(out))
		timer_fires();
	chip.typed = "typed, more than the FIFO holds";
	chip.typed_left = 31;
	settle();
	while (n < 31) {
		assert_non_null(armed);
		timer_fires();
		n += uart_read(got + n, sizeof(got) - n);
	}
	assert_int_equal(told, 1);
	assert_memory_equal(got, "typed, more than the FIFO holds", 31);
}

/* A wire that is not there is found out at the start. */
static void test_no_wire(void **state)
{
	(void)state;
	assert_true(uart_open(&com1));
	host_pause = pause_a_while;
	armed = NULL;
	chip.edge = false;		/* opening makes some, while the wire is masked */
	chip.unwired = true;
	assert_false(uart_irq_start());
	assert_non_null(armed);
	assert_int_equal(chip.ier, 0);
	chip.unwired = false;
	chip.line = false;
	assert_true(uart_irq_start());
	timer_fires();
	assert_null(armed);		/* interrupts do it again */
}

/* A baud rate of 0 keeps the divisor; a chip without a scratch register is one too. */
static void test_open_again(void **state)
{
	struct uart_port kept = { .io = 0x3f8 };

	(void)state;
	chip.no_scratch = true;
	chip.divisor = 77;
	assert_true(uart_open(&kept));
	assert_int_equal(chip.divisor, 77);
	uart_text("again\n", strlen("again\n"));
	assert_string_equal(chip.sent, "again\r\n");
	assert_false(uart_irq());
}

/* Registers in memory, at each distance; plain memory passes for a chip that is always idle. */
static void test_memory(void **state)
{
	static const uint8_t strides[] = { 1, 2, 4 };
	uint32_t space[8];
	uint8_t *bytes = (uint8_t *)space;

	(void)state;
	for (unsigned i = 0; i < sizeof(strides); i++) {
		struct uart_port p = {
			.memory = bytes, .stride = strides[i], .baud = 115200, .clock_hz = 48000000,
		};

		memset(space, 0, sizeof(space));
		bytes[5 * strides[i]] = 0x60;
		assert_true(uart_open(&p));
		assert_int_equal(bytes[0], 26);		/* the divisor, then what was sent */
		assert_int_equal(bytes[3 * strides[i]], 3);
		uart_text("z", strlen("z"));
		assert_int_equal(bytes[0], 'z');
	}
	assert_true(uart_open(&com1));
}

static void test_panic_print(void **state)
{
	(void)state;
	uart_write("queued ", 7);
	uart_panic_print("the ");
	uart_panic_print("end\n");
	assert_int_equal(chip.sent_count, 26);
	assert_memory_equal(chip.sent, "queued \x18\x1b\\\x1b[!p\x1b[mthe end\r\n", 26);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_no_chip), TEST(test_polled), TEST(test_interrupts),
		TEST(test_input_flood),
		TEST(test_both_floods), TEST(test_edges), TEST(test_endless_cause),
		TEST(test_stuck_line), TEST(test_interrupts_stop), TEST(test_timer),
		TEST(test_no_wire), TEST(test_open_again), TEST(test_memory),
		TEST(test_panic_print),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
