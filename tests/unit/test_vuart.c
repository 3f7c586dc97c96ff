/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vuart.c lib/record.c tests/host/vdev_host.c */
/*
 * vdev/vuart: identification as drivers do it, sending, receiving with FIFO and trigger levels,
 * causes, loopback, saved form.
 */
#include "tests/host/vdev_test.h"

#include "vdev/vuart.h"

enum { DATA, IER, FCR, LCR, MCR, LSR, MSR, SCRATCH };
#define IIR FCR

static struct vdev *d;
static struct vdev_host *h;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(vuart_create(&d), 0);
	h = vdev_host_attach(d);
	out8(d, 0, MCR, 0x0b);
	in8(d, 0, MSR);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vdev_host_detach(h);
	return 0;
}

/* How Linux finds out that it is a 16550A and nothing newer. */
static void test_identify(void **state)
{
	(void)state;
	out8(d, 0, IER, 0x0f);
	assert_int_equal(in8(d, 0, IER), 0x0f);
	out8(d, 0, IER, 0xf0);
	assert_int_equal(in8(d, 0, IER), 0);
	out8(d, 0, MCR, 0x1a);
	assert_int_equal(in8(d, 0, MSR) & 0xf0, 0x90);
	out8(d, 0, MCR, 0x08);
	out8(d, 0, LCR, 0);
	out8(d, 0, FCR, 1);
	assert_int_equal(in8(d, 0, IIR) >> 6, 3);
	out8(d, 0, LCR, 0x80);
	out8(d, 0, FCR, 0x21);			/* no 64-byte FIFO */
	assert_int_equal(in8(d, 0, IIR) >> 5, 6);
	out8(d, 0, DATA, 0x01);
	out8(d, 0, IER, 0x02);
	assert_int_equal(vdev_host_read(d, 0, DATA, 2), 0x201);
	out8(d, 0, LCR, 0x03);
	out8(d, 0, FCR, 0);
	assert_int_equal(in8(d, 0, IIR), 1);
	out8(d, 0, SCRATCH, 0xa5);
	assert_int_equal(in8(d, 0, SCRATCH), 0xa5);
	assert_int_equal(in8(d, 0, LCR), 0x03);
	assert_int_equal(in8(d, 0, MCR), 0x08);
}

static void test_send(void **state)
{
	(void)state;
	out8(d, 0, IER, 2);
	assert_true(h->line[VUART_IRQ]);	/* empty already */
	assert_int_equal(in8(d, 0, IIR), 2);
	assert_false(h->line[VUART_IRQ]);
	assert_int_equal(in8(d, 0, IIR), 1);
	out8(d, 0, DATA, 'K');
	assert_true(h->line[VUART_IRQ]);
	assert_int_equal(in8(d, 0, LSR), 0x60);
	out8(d, 0, IER, 0);
	assert_false(h->line[VUART_IRQ]);
	out8(d, 0, IER, 2);
	assert_true(h->line[VUART_IRQ]);
	out8(d, 0, MCR, 0x03);			/* OUT2 low: no interrupt gets out */
	assert_false(h->line[VUART_IRQ]);
	h->accept = 1;
	out8(d, 0, DATA, 'e');
	out8(d, 0, DATA, 'x');			/* the host is full: the guest does not wait */
	assert_int_equal(in8(d, 0, LSR), 0x60);
	assert_int_equal(h->sent_count, 2);
	assert_memory_equal(h->sent, "Ke", 2);
}

static void test_receive(void **state)
{
	(void)state;
	out8(d, 0, FCR, 0x81);			/* trigger at 8 */
	out8(d, 0, IER, 1);
	vdev_host_type(h, "abc");
	assert_true(h->line[VUART_IRQ]);
	assert_int_equal(in8(d, 0, IIR), 0xcc);	/* time-out */
	vdev_host_type(h, "defgh");
	assert_int_equal(in8(d, 0, IIR), 0xc4);
	assert_int_equal(in8(d, 0, LSR), 0x61);
	for (const char *p = "abcdefgh"; *p; p++)
		assert_int_equal(in8(d, 0, DATA), *p);
	assert_false(h->line[VUART_IRQ]);
	assert_int_equal(in8(d, 0, LSR), 0x60);
	assert_int_equal(in8(d, 0, DATA), 0);
}

/* More than the FIFO holds waits with the host and follows; nothing is lost. */
static void test_long_input(void **state)
{
	char text[1000];

	(void)state;
	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 23);
	text[sizeof(text) - 1] = 0;
	out8(d, 0, FCR, 0xc1);
	out8(d, 0, IER, 1);
	vdev_host_type(h, text);
	for (const char *p = text; *p; p++) {
		assert_true(in8(d, 0, LSR) & 1);
		assert_true(h->line[VUART_IRQ]);
		assert_int_equal(in8(d, 0, DATA), *p);
	}
	assert_false(h->line[VUART_IRQ]);
	assert_int_equal(in8(d, 0, LSR) & 0x02, 0);
	out8(d, 0, FCR, 0);			/* without FIFO one at a time */
	vdev_host_type(h, "xy");
	assert_int_equal(h->input_count - h->input_taken, 1);
	assert_int_equal(in8(d, 0, DATA), 'x');
	assert_int_equal(in8(d, 0, DATA), 'y');
	vdev_host_type(h, "z");
	out8(d, 0, FCR, 0x03);
	assert_int_equal(in8(d, 0, LSR) & 1, 0);
}

static void test_loopback(void **state)
{
	(void)state;
	out8(d, 0, IER, 0x0d);
	out8(d, 0, MCR, 0x1f);
	in8(d, 0, MSR);
	out8(d, 0, DATA, 'L');
	assert_int_equal(h->sent_count, 0);
	assert_false(h->line[VUART_IRQ]);	/* the pin is held */
	out8(d, 0, DATA, 'M');
	assert_int_equal(in8(d, 0, IIR), 6);
	assert_int_equal(in8(d, 0, LSR), 0x63);	/* overrun */
	assert_int_equal(in8(d, 0, LSR), 0x61);
	assert_int_equal(in8(d, 0, DATA), 'L');
	vdev_host_type(h, "w");			/* waits outside */
	assert_int_equal(in8(d, 0, LSR), 0x60);
	out8(d, 0, MCR, 0x1b);			/* OUT1 falls: RI's trailing edge */
	assert_int_equal(in8(d, 0, IIR), 0);
	assert_int_equal(in8(d, 0, MSR), 0xb4);
	assert_int_equal(in8(d, 0, MSR), 0xb0);
	out8(d, 0, MCR, 0x0b);
	assert_int_equal(in8(d, 0, DATA), 'w');
	out8(d, 0, MCR, 0x10);
	assert_int_equal(in8(d, 0, MSR), 0x0b);
}

static void test_saved(void **state)
{
	struct vdev *fresh;
	struct vdev_host *f;

	(void)state;
	assert_int_equal(vuart_create(&fresh), 0);
	f = vdev_host_attach(fresh);
	out8(d, 0, FCR, 0x81);
	out8(d, 0, IER, 3);
	vdev_host_type(h, "hello");
	in8(d, 0, DATA);
	out8(d, 0, DATA, 'x');
	check_save_load(d, fresh);
	assert_int_equal(in8(fresh, 0, DATA), 'e');
	check_refused(d, 0, 0x10);
	check_refused(d, 1, 0x80);
	check_refused(d, 1, 0x00);
	check_refused(d, 3, 0x20);
	check_refused(d, 5, 0x01);
	check_refused(d, 7, 17);
	check_refused(d, 14, 2);
	vdev_host_detach(f);
}

int main(void)
{
#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_identify), CASE(test_send), CASE(test_receive), CASE(test_long_input),
		CASE(test_loopback),
		CASE(test_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
