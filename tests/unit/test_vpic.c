/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vpic.c lib/record.c tests/host/vdev_host.c */
/*
 * vdev/vpic: initialization, priorities, cascade, both trigger modes, every kind of EOI and
 * rotation, poll, saved form.
 */
#include "tests/host/vdev_test.h"

#include "vdev/vpic.h"

static struct vdev *d;
static struct vdev_host *h;
static unsigned ended[16];

static void acknowledged(void *context, unsigned irq)
{
	assert_ptr_equal(context, &d);
	assert_false(h->locked);
	ended[irq]++;
}

static void init(unsigned chip, uint8_t base, uint8_t icw4)
{
	out8(d, chip, 0, 0x11);
	out8(d, chip, 1, base);
	out8(d, chip, 1, chip ? 2 : 4);
	out8(d, chip, 1, icw4);
	out8(d, chip, 1, 0);
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(vpic_create(acknowledged, &d, &d), 0);
	h = vdev_host_attach(d);
	memset(ended, 0, sizeof(ended));
	init(VPIC_MASTER, 0x20, 1);
	init(VPIC_SLAVE, 0x28, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vdev_host_detach(h);
	return 0;
}

static void pulse(unsigned irq)
{
	vpic_line(d, irq, true);
	vpic_line(d, irq, false);
}

static void test_edge(void **state)
{
	(void)state;
	assert_false(h->line[VPIC_INTR]);
	pulse(3);
	assert_true(h->line[VPIC_INTR]);
	assert_true(vpic_pending(d));
	assert_int_equal(in8(d, 0, 0), 1 << 3);
	assert_int_equal(vpic_acknowledge(d), 0x23);
	assert_false(h->line[VPIC_INTR]);
	out8(d, 0, 0, 0x0b);
	assert_int_equal(in8(d, 0, 0), 1 << 3);
	pulse(3);			/* in service: it waits */
	assert_false(h->line[VPIC_INTR]);
	pulse(1);			/* higher: it interrupts */
	assert_int_equal(vpic_acknowledge(d), 0x21);
	out8(d, 0, 0, 0x20);
	out8(d, 0, 0, 0x63);
	assert_int_equal(ended[1] + ended[3], 2);
	assert_int_equal(vpic_acknowledge(d), 0x23);
	vpic_line(d, 5, true);
	vpic_line(d, 5, true);		/* high already: no second edge */
	out8(d, 0, 0, 0x20);
	assert_int_equal(vpic_acknowledge(d), 0x25);
	out8(d, 0, 0, 0x20);
	assert_false(h->line[VPIC_INTR]);
}

static void test_mask_and_spurious(void **state)
{
	(void)state;
	out8(d, 0, 1, 0xff);
	pulse(4);
	assert_false(h->line[VPIC_INTR]);
	assert_int_equal(in8(d, 0, 1), 0xff);
	out8(d, 0, 1, 0xef);
	assert_true(h->line[VPIC_INTR]);
	out8(d, 0, 1, 0xff);
	assert_int_equal(vpic_acknowledge(d), 0x27);
	out8(d, 0, 0, 0x0b);
	assert_int_equal(in8(d, 0, 0), 0);
}

static void test_cascade(void **state)
{
	(void)state;
	pulse(12);
	pulse(8);
	assert_int_equal(vpic_acknowledge(d), 0x28);
	assert_false(h->line[VPIC_INTR]);
	out8(d, 1, 0, 0x20);
	assert_false(h->line[VPIC_INTR]);	/* the master still serves its input 2 */
	out8(d, 0, 0, 0x20);
	assert_int_equal(ended[8] + ended[2], 2);
	assert_int_equal(vpic_acknowledge(d), 0x2c);
	out8(d, 1, 0, 0x20);
	out8(d, 0, 0, 0x20);
	assert_false(h->line[VPIC_INTR]);
}

/* With special fully nested mode a higher slave input interrupts a lower one. */
static void test_nested(void **state)
{
	(void)state;
	init(VPIC_MASTER, 0x20, 0x11);
	pulse(12);
	assert_int_equal(vpic_acknowledge(d), 0x2c);
	pulse(8);
	assert_int_equal(vpic_acknowledge(d), 0x28);
}

static void test_level(void **state)
{
	(void)state;
	vdev_host_write(d, VPIC_ELCR, 0, 2, 0xffff);
	assert_int_equal(vdev_host_read(d, VPIC_ELCR, 0, 2), 0xdef8);
	assert_int_equal(in8(d, VPIC_ELCR, 1), 0xde);
	vpic_line(d, 9, true);
	assert_int_equal(vpic_acknowledge(d), 0x29);
	out8(d, 1, 0, 0x20);
	out8(d, 0, 0, 0x20);
	assert_int_equal(ended[9], 1);
	assert_int_equal(vpic_acknowledge(d), 0x29);	/* still high */
	vpic_line(d, 9, false);
	out8(d, 1, 0, 0x20);
	out8(d, 0, 0, 0x20);
	assert_false(h->line[VPIC_INTR]);
}

static void test_rotate(void **state)
{
	(void)state;
	pulse(0);
	pulse(1);
	assert_int_equal(vpic_acknowledge(d), 0x20);
	out8(d, 0, 0, 0xa0);		/* rotate on EOI: 0 is the lowest now */
	pulse(0);
	assert_int_equal(vpic_acknowledge(d), 0x21);
	out8(d, 0, 0, 0xe1);
	assert_int_equal(vpic_acknowledge(d), 0x20);
	out8(d, 0, 0, 0x20);
	out8(d, 0, 0, 0xc3);		/* 4 is the highest */
	pulse(3);
	pulse(4);
	assert_int_equal(vpic_acknowledge(d), 0x24);
}

static void test_auto_eoi(void **state)
{
	(void)state;
	init(VPIC_MASTER, 0x40, 3);
	out8(d, 0, 0, 0x80);
	pulse(2 + 3);
	assert_int_equal(vpic_acknowledge(d), 0x45);
	pulse(5);
	pulse(6);
	assert_int_equal(vpic_acknowledge(d), 0x46);
	assert_int_equal(vpic_acknowledge(d), 0x45);
	out8(d, 0, 0, 0x0b);
	assert_int_equal(in8(d, 0, 0), 0);
}

static void test_special_mask(void **state)
{
	(void)state;
	pulse(1);
	assert_int_equal(vpic_acknowledge(d), 0x21);
	out8(d, 0, 0, 0x68);
	out8(d, 0, 1, 0x02);
	pulse(6);
	assert_int_equal(vpic_acknowledge(d), 0x26);
	out8(d, 0, 0, 0x20);		/* ends 6: 1 is masked */
	out8(d, 0, 0, 0x0b);
	assert_int_equal(in8(d, 0, 0), 0x02);
}

static void test_poll(void **state)
{
	(void)state;
	pulse(7);
	out8(d, 0, 0, 0x0c);
	assert_int_equal(in8(d, 0, 0), 0x87);
	assert_false(h->line[VPIC_INTR]);
	out8(d, 0, 0, 0x0c);
	assert_int_equal(in8(d, 0, 0), 0);
}

static void test_saved(void **state)
{
	struct vdev *fresh;
	struct vdev_host *f;

	(void)state;
	assert_int_equal(vpic_create(NULL, NULL, &fresh), 0);
	f = vdev_host_attach(fresh);
	vdev_host_write(d, VPIC_ELCR, 0, 2, 0x0e20);
	pulse(1);
	vpic_line(d, 10, true);
	assert_int_equal(vpic_acknowledge(d), 0x21);
	vpic_line(d, 5, true);
	out8(d, 1, 0, 0x11);
	pulse(0);
	check_save_load(d, fresh);
	assert_int_equal(vpic_acknowledge(fresh), 0x20);
	check_refused(d, 2, 0x01);
	check_refused(d, 5, 0x21);
	check_refused(d, 6, 8);
	check_refused(d, 7, 4);
	check_refused(d, 9, 2);
	vdev_host_detach(f);
}

int main(void)
{
#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_edge), CASE(test_mask_and_spurious), CASE(test_cascade),
		CASE(test_nested), CASE(test_level),
		CASE(test_rotate), CASE(test_auto_eoi), CASE(test_special_mask), CASE(test_poll),
		CASE(test_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
