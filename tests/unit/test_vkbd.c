/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vkbd.c vdev/vpost.c vdev/vdebug_exit.c lib/record.c tests/host/vdev_host.c */
/*
 * vdev/vkbd: the probe of a driver, the absent keyboard, both resets, saved form; vdev/vpost
 * and vdev/vdebug_exit.
 */
#include "tests/host/vdev_test.h"

#include "vdev/vdebug_exit.h"
#include "vdev/vkbd.h"
#include "vdev/vpost.h"

static struct vdev *d;
static struct vdev_host *h;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(vkbd_create(&d), 0);
	h = vdev_host_attach(d);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vdev_host_detach(h);
	return 0;
}

static void command(uint8_t c)
{
	assert_int_equal(in8(d, VKBD_COMMAND, 0) & 2, 0);
	out8(d, VKBD_COMMAND, 0, c);
}

static void check_answer(uint8_t v)
{
	assert_int_equal(in8(d, VKBD_COMMAND, 0) & 1, 1);
	assert_int_equal(in8(d, VKBD_DATA, 0), v);
	assert_int_equal(in8(d, VKBD_COMMAND, 0) & 1, 0);
}

static void test_probe(void **state)
{
	(void)state;
	assert_int_equal(in8(d, VKBD_COMMAND, 0), 0x14);
	command(0xaa);
	check_answer(0x55);
	command(0xab);
	check_answer(0);
	command(0x20);
	check_answer(0x34);
	command(0x60);
	out8(d, VKBD_DATA, 0, 0x47);
	command(0x20);
	check_answer(0x47);
	assert_int_equal(h->edges[VKBD_IRQ], 1);	/* only since interrupts are on */
	command(0xad);
	command(0xa7);
	command(0x20);
	check_answer(0x77);
	command(0xae);
	command(0xa8);
	command(0x20);
	check_answer(0x47);
	command(0xd0);
	check_answer(0x03);
	command(0xc0);
	check_answer(0x80);
	command(0x65);
	out8(d, VKBD_DATA, 0, 0x99);
	command(0x25);
	check_answer(0x99);
}

static void test_nobody_there(void **state)
{
	(void)state;
	command(0x60);
	out8(d, VKBD_DATA, 0, 0x03);
	out8(d, VKBD_DATA, 0, 0xf2);
	assert_int_equal(in8(d, VKBD_COMMAND, 0) & 0x61, 0x41);
	assert_true(h->line[VKBD_IRQ]);
	check_answer(0xfe);
	assert_false(h->line[VKBD_IRQ]);
	command(0xd4);
	out8(d, VKBD_DATA, 0, 0xf2);
	assert_int_equal(in8(d, VKBD_COMMAND, 0) & 0x61, 0x61);
	assert_true(h->line[VKBD_AUX_IRQ]);
	check_answer(0xfe);
	command(0xd3);
	out8(d, VKBD_DATA, 0, 0x5a);
	assert_int_equal(in8(d, VKBD_COMMAND, 0) & 0x61, 0x21);
	check_answer(0x5a);
	command(0xd2);
	out8(d, VKBD_DATA, 0, 0xa5);
	assert_true(h->line[VKBD_IRQ]);
	check_answer(0xa5);
}

static void test_reset(void **state)
{
	(void)state;
	command(0xf1);
	assert_int_equal(h->requests[HOST_REQUEST_RESET], 0);
	command(0xfe);
	assert_int_equal(h->requests[HOST_REQUEST_RESET], 1);
	command(0xd1);
	out8(d, VKBD_DATA, 0, 0xdf);
	assert_int_equal(h->requests[HOST_REQUEST_RESET], 1);
	command(0xd1);
	out8(d, VKBD_DATA, 0, 0xde);
	assert_int_equal(h->requests[HOST_REQUEST_RESET], 2);
	assert_int_equal(in8(d, VKBD_PORT92, 0), 2);
	out8(d, VKBD_PORT92, 0, 0xfc);
	assert_int_equal(in8(d, VKBD_PORT92, 0), 0);
	out8(d, VKBD_PORT92, 0, 0x02);
	assert_int_equal(in8(d, VKBD_PORT92, 0), 2);
	out8(d, VKBD_PORT92, 0, 3);
	assert_int_equal(h->requests[HOST_REQUEST_RESET], 3);
	out8(d, VKBD_PORT92, 0, 1);
	assert_int_equal(h->requests[HOST_REQUEST_RESET], 3);
}

static void test_saved(void **state)
{
	struct vdev *fresh;
	struct vdev_host *f;

	(void)state;
	assert_int_equal(vkbd_create(&fresh), 0);
	f = vdev_host_attach(fresh);
	command(0x60);
	out8(d, VKBD_DATA, 0, 0x41);
	command(0xaa);
	out8(d, VKBD_COMMAND, 0, 0xd4);
	check_save_load(d, fresh);
	assert_true(f->line[VKBD_IRQ]);
	check_refused(d, 32, 0x80);
	check_refused(d, 35, 4);
	vdev_host_detach(f);
}

static void test_post(void **state)
{
	struct vdev *p, *fresh;
	struct vdev_host *a, *f;

	(void)state;
	assert_int_equal(vpost_create(&p) | vpost_create(&fresh), 0);
	a = vdev_host_attach(p);
	f = vdev_host_attach(fresh);
	out8(p, VPOST_PAGES, 0, 0x42);
	vdev_host_write(p, VPOST_PAGES, 14, 2, 0x1234);
	assert_int_equal(in8(p, VPOST_PAGES, 0), 0x42);
	assert_int_equal(in8(p, VPOST_PAGES, 15), 0x12);
	assert_int_equal(vdev_host_read(p, VPOST_PAGES, 12, 4), 0x12340000);
	out8(p, VPOST_DELAY, 0, 1);
	assert_int_equal(in8(p, VPOST_DELAY, 0), 0xff);
	check_save_load(p, fresh);
	vdev_host_detach(a);
	vdev_host_detach(f);
}

static void test_debug_exit(void **state)
{
	struct vdev *p, *fresh;
	struct vdev_host *a, *f;

	(void)state;
	assert_int_equal(vdebug_exit_create(&p) | vdebug_exit_create(&fresh), 0);
	a = vdev_host_attach(p);
	f = vdev_host_attach(fresh);
	vdev_host_write(p, 0, 0, 1, 0xfff10);
	assert_int_equal(a->request_value, 0x21);
	vdev_host_write(p, 0, 0, 4, 0x12345678);
	assert_int_equal(a->request_value, 0x2468acf1);
	assert_int_equal(a->requests[HOST_REQUEST_DEBUG_EXIT], 2);
	assert_int_equal(vdev_host_read(p, 0, 0, 4), 0);
	check_save_load(p, fresh);
	vdev_host_detach(a);
	vdev_host_detach(f);
}

int main(void)
{
#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_probe), CASE(test_nobody_there), CASE(test_reset), CASE(test_saved),
		cmocka_unit_test(test_post), cmocka_unit_test(test_debug_exit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
