/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vkbd.c vdev/vmouse.c vdev/vps2.c vdev/vpost.c vdev/vdebug_exit.c lib/record.c
 * tests/host/vdev_host.c */
/*
 * vdev/vkbd: the probe of a driver, the keyboard, the mouse and that there is none, both resets,
 * saved form; vdev/vpost and vdev/vdebug_exit.
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
	assert_int_equal(vkbd_create(false, &d), 0);
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
	check_answer(0xaa);			/* the keyboard's self test */
	command(0x20);
	check_answer(0x47);
	assert_int_equal(h->edges[VKBD_IRQ], 2);	/* only since interrupts are on */
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

/* The first byte is what its self test said. */
static void setup_keyboard(uint8_t mode)
{
	command(0xae);
	check_answer(0xaa);
	command(0x60);
	out8(d, VKBD_DATA, 0, mode);
}

static void check_next(const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		assert_true(h->line[VKBD_IRQ]);
		assert_int_equal(in8(d, VKBD_DATA, 0), (uint8_t)bytes[i]);
	}
	assert_false(h->line[VKBD_IRQ]);
	assert_int_equal(in8(d, VKBD_COMMAND, 0) & 1, 0);
}

#define NEXT(s) check_next(s, sizeof(s) - 1)

static void to_keyboard(uint8_t v)
{
	out8(d, VKBD_DATA, 0, v);
}

static void press(uint8_t key)
{
	assert_int_equal(vkbd_key(d, key, true), 0);
	assert_int_equal(vkbd_key(d, key, false), 0);
}

static void test_commands(void **state)
{
	(void)state;
	setup_keyboard(0x01);
	to_keyboard(0xf2);
	NEXT("\xfa\xab\x83");
	to_keyboard(0xee);
	NEXT("\xee");
	to_keyboard(0xfe);
	NEXT("\xee");
	to_keyboard(0xed);
	NEXT("\xfa");
	to_keyboard(0x07);
	NEXT("\xfa");
	to_keyboard(0xf3);
	NEXT("\xfa");
	to_keyboard(0x20);
	NEXT("\xfa");
	to_keyboard(0xf0);
	NEXT("\xfa");
	to_keyboard(0x00);
	NEXT("\xfa\x02");
	to_keyboard(0xf0);
	NEXT("\xfa");
	to_keyboard(0x04);
	NEXT("\xfe");
	to_keyboard(0x12);
	NEXT("\xfe");
	to_keyboard(0xf5);
	NEXT("\xfa");
	assert_int_equal(vkbd_key(d, 0x1e, true), -EPERM);
	to_keyboard(0xf4);
	NEXT("\xfa");
	assert_int_equal(vkbd_key(d, 0x80, true), -EINVAL);
	to_keyboard(0xff);
	NEXT("\xfa\xaa");
}

static void test_sets(void **state)
{
	(void)state;
	setup_keyboard(0x01);
	press(0x1e);
	NEXT("\x1c\xf0\x1c");
	press(0xc8);
	NEXT("\xe0\x75\xe0\xf0\x75");
	press(0x41);
	NEXT("\x83\xf0\x83");
	press(0xc6);
	NEXT("\xe1\x14\x77\xe1\xf0\x14\xf0\x77");
	press(0xb7);
	NEXT("\xe0\x12\xe0\x7c\xe0\xf0\x7c\xe0\xf0\x12");
	assert_int_equal(vkbd_key(d, 0x38, true), 0);
	press(0x54);
	NEXT("\x11\x84\xf0\x84");
	command(0x60);
	out8(d, VKBD_DATA, 0, 0x41);		/* translated */
	press(0x41);
	press(0xc6);
	NEXT("\x41\xc1\xe1\x1d\x45\xe1\x9d\xc5");
	to_keyboard(0xf2);
	NEXT("\xfa\xab\x41");
	command(0x60);
	out8(d, VKBD_DATA, 0, 0x01);
	to_keyboard(0xf0);
	NEXT("\xfa");
	to_keyboard(0x03);
	NEXT("\xfa");
	press(0x1e);
	press(0xc8);
	press(0x1d);
	NEXT("\x1c\x63\x11\xf0\x11");
	to_keyboard(0xfc);
	NEXT("\xfa");
	to_keyboard(0x1c);
	NEXT("\xfa");
	to_keyboard(0xf4);
	NEXT("\xfa");
	press(0x1e);
	NEXT("\x1c\xf0\x1c");
}

/* A key goes in whole or not at all; while the interface is off nothing is lost. */
static void test_queue(void **state)
{
	unsigned n = 0;

	(void)state;
	setup_keyboard(0x11);
	while (!vkbd_key(d, 0xc8, false))
		n++;
	assert_int_equal(n, 5);
	assert_int_equal(vkbd_key(d, 0xc8, false), -EAGAIN);
	assert_false(h->line[VKBD_IRQ]);
	command(0xae);
	for (; n; n--)
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(in8(d, VKBD_DATA, 0), (uint8_t)"\xe0\xf0\x75"[i]);
	assert_int_equal(vkbd_key(d, 0xc8, true), 0);
}

static void test_nobody_there(void **state)
{
	(void)state;
	setup_keyboard(0x13);
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
	assert_int_equal(vkbd_create(false, &fresh), 0);
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

/* A machine with a mouse and one without do not take each other's state. */
static void check_another(struct vdev *from, struct vdev *to)
{
	uint8_t saved[256];
	size_t n = vdev_host_save(from, saved, sizeof(saved));

	assert_int_equal(vdev_host_load(to, saved, n, to->ops->version), -EINVAL);
}

/* A machine with a mouse: it is told by status bit 5 and IRQ 12 alone. */
static void setup_mouse(uint8_t mode)
{
	vdev_host_detach(h);
	assert_int_equal(vkbd_create(true, &d), 0);
	h = vdev_host_attach(d);
	setup_keyboard(mode);
}

static void check_mouse(const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		assert_true(h->line[VKBD_AUX_IRQ] && !h->line[VKBD_IRQ]);
		assert_int_equal(in8(d, VKBD_COMMAND, 0) & 0x61, 0x21);
		assert_int_equal(in8(d, VKBD_DATA, 0), (uint8_t)bytes[i]);
	}
	assert_false(h->line[VKBD_AUX_IRQ]);
}

#define MOUSE(s) check_mouse(s, sizeof(s) - 1)

static void to_mouse(uint8_t v)
{
	command(0xd4);
	out8(d, VKBD_DATA, 0, v);
}

static void test_mouse(void **state)
{
	(void)state;
	assert_int_equal(vkbd_mouse(d, 1, 1, 0, 0), -ENOSYS);
	setup_mouse(0x03);
	command(0xa9);
	check_answer(0);
	command(0xd3);
	out8(d, VKBD_DATA, 0, 0xa5);
	MOUSE("\xa5");
	to_mouse(0xff);
	MOUSE("\xfa\xaa\x00");
	assert_int_equal(vkbd_mouse(d, 1, 1, 0, 0), -EPERM);
	to_mouse(0xf4);
	MOUSE("\xfa");
	assert_int_equal(vkbd_mouse(d, 1, 1, 0, 1), 0);
	MOUSE("\x29\x01\xff");
	assert_int_equal(vkbd_mouse(d, 0, 0, 0, 0), 0);
	command(0xd0);
	assert_int_equal(in8(d, VKBD_DATA, 0), 0x08);
	assert_int_equal(in8(d, VKBD_DATA, 0), 0x23);	/* as when it was asked for */
	MOUSE("\x00\x00");
	command(0x60);
	out8(d, VKBD_DATA, 0, 0x01);		/* polled: no interrupt */
	assert_int_equal(vkbd_mouse(d, 2, 0, 0, 0), 0);
	assert_int_equal(in8(d, VKBD_COMMAND, 0) & 0x21, 0x21);
	assert_false(h->line[VKBD_AUX_IRQ]);
}

/* While its interface is off it keeps what it has to say; a command switches it on. */
static void test_mouse_off(void **state)
{
	(void)state;
	setup_mouse(0x03);
	to_mouse(0xf4);
	MOUSE("\xfa");
	command(0xa7);
	assert_int_equal(vkbd_mouse(d, 1, 0, 0, 0), 0);
	assert_int_equal(vkbd_mouse(d, 2, 0, 0, 0), 0);
	assert_int_equal(in8(d, VKBD_COMMAND, 0) & 1, 0);
	command(0xa8);
	MOUSE("\x08\x03\x00");
	command(0xa7);
	to_mouse(0xe6);
	MOUSE("\xfa");
	command(0x20);
	check_answer(0x03);
	d->ops->reset(d);
	assert_int_equal(vkbd_mouse(d, 1, 0, 0, 0), -EPERM);
	command(0xa8);
	assert_int_equal(in8(d, VKBD_COMMAND, 0) & 1, 0);
}

/* Neither keeps the other from the guest. */
static void test_turns(void **state)
{
	unsigned keys = 0, moves = 0;

	(void)state;
	setup_mouse(0x03);
	to_mouse(0xf4);
	MOUSE("\xfa");
	assert_int_equal(vkbd_mouse(d, 2000, 0, 0, 0), 0);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(vkbd_key(d, 0xc8, false), 0);
	while (keys < 15) {
		bool aux = in8(d, VKBD_COMMAND, 0) & 0x20;

		in8(d, VKBD_DATA, 0);
		keys += !aux;
		moves += aux;
		assert_in_range(moves, keys, keys + 1);
	}
}

static void test_mouse_saved(void **state)
{
	struct vdev *fresh, *none;
	struct vdev_host *f, *n;

	(void)state;
	setup_mouse(0x03);
	assert_int_equal(vkbd_create(true, &fresh) | vkbd_create(false, &none), 0);
	f = vdev_host_attach(fresh);
	n = vdev_host_attach(none);
	to_mouse(0xf4);
	MOUSE("\xfa");
	assert_int_equal(vkbd_mouse(d, 400, 0, 0, 1), 0);
	assert_int_equal(in8(d, VKBD_DATA, 0), 0x09);
	check_save_load(d, fresh);
	assert_true(f->line[VKBD_AUX_IRQ]);
	assert_int_equal(in8(fresh, VKBD_DATA, 0), 0xff);
	check_refused(d, 40, 2);
	check_another(d, none);
	check_another(none, d);
	vdev_host_detach(f);
	vdev_host_detach(n);
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
		CASE(test_probe), CASE(test_commands), CASE(test_sets), CASE(test_queue),
		CASE(test_nobody_there), CASE(test_reset), CASE(test_saved), CASE(test_mouse),
		CASE(test_mouse_off), CASE(test_turns), CASE(test_mouse_saved),
		cmocka_unit_test(test_post), cmocka_unit_test(test_debug_exit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
