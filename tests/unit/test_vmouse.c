/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vmouse.c lib/record.c */
/*
 * vdev/vmouse: its commands, the knock of wheels, packets in each form, movement that adds up,
 * buttons that wait their turn, saved form.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "include/errno.h"
#include "vdev/vmouse.h"

static struct vmouse m;

static int setup(void **state)
{
	(void)state;
	vmouse_reset(&m);
	return 0;
}

static void check_said(const char *bytes, size_t n)
{
	uint8_t v;

	for (size_t i = 0; i < n; i++) {
		assert_true(vmouse_take(&m, &v));
		if (v != (uint8_t)bytes[i])
			fail_msg("byte %zu is %#x, not %#x", i, v, (uint8_t)bytes[i]);
	}
	assert_false(vmouse_take(&m, &v));
}

#define SAID(s) check_said(s, sizeof(s) - 1)

static void tell(const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		vmouse_write(&m, (uint8_t)bytes[i]);
		SAID("\xfa");
	}
}

#define TELL(s) tell(s, sizeof(s) - 1)

static void test_commands(void **state)
{
	(void)state;
	SAID("");
	vmouse_write(&m, 0xff);
	SAID("\xfa\xaa\x00");
	vmouse_write(&m, 0xf2);
	SAID("\xfa\x00");
	vmouse_write(&m, 0xe9);
	SAID("\xfa\x00\x02\x64");
	TELL("\xe8\x03\xf3\x28\xe7\xf4\xf0");
	vmouse_write(&m, 0xe9);
	SAID("\xfa\x70\x03\x28");
	TELL("\xea\xe6\xf5");
	vmouse_write(&m, 0xe9);
	SAID("\xfa\x00\x03\x28");
	TELL("\xf6");
	vmouse_write(&m, 0xe9);
	SAID("\xfa\x00\x02\x64");
	for (unsigned i = 0; i < 3; i++) {
		vmouse_write(&m, (uint8_t)"\x00\xe1\xf7"[i]);
		SAID("\xfe");
	}
}

/* What does not belong to a command; a command instead of it is one. */
static void test_bad_data(void **state)
{
	(void)state;
	TELL("\xe8");
	vmouse_write(&m, 4);
	SAID("\xfe");
	TELL("\xf3");
	vmouse_write(&m, 81);
	SAID("\xfe");
	vmouse_write(&m, 80);
	SAID("\xfe");
	TELL("\xf3\xf4");
	vmouse_write(&m, 0xe9);
	SAID("\xfa\x20\x02\x64");
}

static void test_wrap(void **state)
{
	(void)state;
	TELL("\xf0\xee");
	for (unsigned v = 0; v < 0x100; v++) {
		if (v == 0xec || v == 0xff)
			continue;
		vmouse_write(&m, (uint8_t)v);
		check_said((char[]){ (char)v }, 1);
	}
	assert_int_equal(vmouse_move(&m, 1, 0, 0, 0), -EPERM);
	TELL("\xec");
	vmouse_write(&m, 0xe9);
	SAID("\xfa\x40\x02\x64");
	TELL("\xee");
	vmouse_write(&m, 0xff);
	SAID("\xfa\xaa\x00");
	vmouse_write(&m, 0xf2);
	SAID("\xfa\x00");
}

static void knock(uint8_t a, uint8_t b, uint8_t c)
{
	const char rates[] = { '\xf3', (char)a, '\xf3', (char)b, '\xf3', (char)c };

	tell(rates, sizeof(rates));
	vmouse_write(&m, 0xf2);
}

static void test_knock(void **state)
{
	(void)state;
	knock(200, 100, 60);
	SAID("\xfa\x00");
	knock(100, 200, 80);
	SAID("\xfa\x00");
	knock(200, 100, 80);
	SAID("\xfa\x03");
	knock(200, 200, 80);
	SAID("\xfa\x04");
	TELL("\xf6");
	vmouse_write(&m, 0xf2);
	SAID("\xfa\x04");
	vmouse_write(&m, 0xff);
	SAID("\xfa\xaa\x00");
	vmouse_write(&m, 0xf2);
	SAID("\xfa\x00");
}

static void test_packets(void **state)
{
	(void)state;
	assert_int_equal(vmouse_move(&m, 1, 1, 0, 0), -EPERM);
	TELL("\xf4");
	SAID("");
	assert_int_equal(vmouse_move(&m, 5, 3, 1, 0), 0);
	SAID("\x28\x05\xfd");
	assert_int_equal(vmouse_move(&m, -1, -2, 0, 5), 0);
	SAID("\x1d\xff\x02");
	assert_int_equal(vmouse_move(&m, 0, 0, 1, 5), 0);
	SAID("");				/* it has no wheel yet */
	assert_int_equal(vmouse_move(&m, 0, 0, 0, 0x1d), 0);
	SAID("");				/* nor such buttons */
	assert_int_equal(vmouse_move(&m, 0, 0, 0, 0), 0);
	SAID("\x08\0\0");
	assert_int_equal(vmouse_move(&m, 0, 0, 0, 0x20), -EINVAL);
	knock(200, 100, 80);
	SAID("\xfa\x03");
	assert_int_equal(vmouse_move(&m, 0, 0, -1, 2), 0);
	SAID("\x0a\0\0\xff");
	assert_int_equal(vmouse_move(&m, 0, 0, 9, 0), 0);
	SAID("\x08\0\0\x07\x08\0\0\x02");
	knock(200, 200, 80);
	SAID("\xfa\x04");
	assert_int_equal(vmouse_move(&m, 0, 0, -1, 0x18), 0);
	SAID("\x08\0\0\x3f");
	assert_int_equal(vmouse_move(&m, 0, 0, 0, 0x08), 0);
	SAID("\x08\0\0\x10");
}

/* Movement adds up while nobody reads, however much it is, and whole packets come of it. */
static void test_sums(void **state)
{
	uint8_t p[3];
	long x = 0, y = 0;
	unsigned packets = 0;

	(void)state;
	TELL("\xf4");
	for (unsigned i = 0; i < 300; i++)
		assert_int_equal(vmouse_move(&m, 3, -2, 0, 0), 0);
	for (; vmouse_take(&m, &p[0]); packets++) {
		assert_true(vmouse_take(&m, &p[1]) && vmouse_take(&m, &p[2]));
		x += p[1] - (p[0] & 0x10 ? 256 : 0);
		y += p[2] - (p[0] & 0x20 ? 256 : 0);
	}
	assert_int_equal(x, 900);
	assert_int_equal(y, 600);
	assert_int_equal(packets, 4);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(vmouse_move(&m, 0x7fffffff, -0x7fffffff - 1, 0, 0), 0);
	assert_true(vmouse_take(&m, &p[0]) && vmouse_take(&m, &p[1]) && vmouse_take(&m, &p[2]));
	assert_memory_equal(p, "\x08\xff\xff", 3);
	TELL("\xf4");				/* and is forgotten at a command */
	TELL("\xe7");
	for (int i = 0; i < 7; i++)
		assert_int_equal(vmouse_move(&m, i, -i, 0, i & 1), 0);
	SAID("\x09\x01\x01" "\x08\x01\x01" "\x09\x03\x03" "\x08\x06\x06" "\x09\x09\x09"
	     "\x08\x0c\x0c");
	assert_int_equal(vmouse_move(&m, -130, 0, 0, 0), 0);
	SAID("\x18\x02\x00" "\x18\xfd\x00");
}

/* Each change of buttons comes where it was made, and there is room for so many. */
static void test_buttons(void **state)
{
	uint8_t v;

	(void)state;
	TELL("\xf4");
	assert_int_equal(vmouse_move(&m, 300, 0, 0, 0), 0);
	for (unsigned i = 0; i < VMOUSE_STEPS - 1; i++)
		assert_int_equal(vmouse_move(&m, 0, 0, 0, ~i & 1), 0);
	assert_int_equal(vmouse_move(&m, 7, 0, 0, 0), -EAGAIN);
	assert_int_equal(vmouse_move(&m, 2, 0, 0, 1), 0);
	SAID("\x08\xff\x00" "\x08\x2d\x00" "\x09\0\0" "\x08\0\0" "\x09\0\0" "\x08\0\0"
	     "\x09\0\0" "\x08\0\0" "\x09\x02\0");
	/* A press whose packet a command cut is told again. */
	assert_int_equal(vmouse_move(&m, 1, 0, 0, 3), 0);
	assert_true(vmouse_take(&m, &v));
	vmouse_write(&m, 0xe6);
	SAID("\xfa\x0b\0\0");
	/* A release that nobody listened to is told when somebody does. */
	TELL("\xf5");
	assert_int_equal(vmouse_move(&m, 1, 0, 0, 0), -EPERM);
	vmouse_write(&m, 0xf4);
	SAID("\xfa\x08\0\0");
}

static void test_remote(void **state)
{
	(void)state;
	TELL("\xf0\xe7");
	assert_int_equal(vmouse_move(&m, 300, -6, 0, 1), 0);
	SAID("");
	vmouse_write(&m, 0xeb);
	SAID("\xfa\x09\xff\x06");
	vmouse_write(&m, 0xeb);
	SAID("\xfa\x09\x2d\x00");
	vmouse_write(&m, 0xeb);
	SAID("\xfa\x09\x00\x00");
	vmouse_write(&m, 0xe9);
	SAID("\xfa\x54\x02\x64");
	assert_int_equal(vmouse_move(&m, 1, 0, 0, 0), 0);
	vmouse_write(&m, 0xea);
	SAID("\xfa");
	knock(200, 200, 80);
	SAID("\xfa\x04");
	assert_int_equal(vmouse_move(&m, 1, 0, 0, 0), -EPERM);
	vmouse_write(&m, 0xeb);
	SAID("\xfa\x08\0\0\0");
}

/* The whole packet, or the whole answer. */
static void test_resend(void **state)
{
	uint8_t v;

	(void)state;
	vmouse_write(&m, 0xe9);
	SAID("\xfa\x00\x02\x64");
	vmouse_write(&m, 0xfe);
	SAID("\xfa\x00\x02\x64");
	TELL("\xf4");
	assert_int_equal(vmouse_move(&m, 1, 0, 0, 1), 0);
	assert_true(vmouse_take(&m, &v));
	assert_int_equal(vmouse_move(&m, 3, 0, 0, 1), 0);
	vmouse_write(&m, 0xfe);
	SAID("\x09\x01\x00" "\x09\x03\x00");
	vmouse_write(&m, 0xfe);
	SAID("\x09\x03\x00");
}

static size_t save(uint8_t *buf)
{
	struct record_writer w;

	record_writer_init(&w, buf, 128);
	vmouse_save(&m, &w);
	assert_true(w.used <= 128);
	return w.used;
}

static int load(struct vmouse *to, const uint8_t *buf, size_t n)
{
	struct record_reader r;

	record_reader_init(&r, buf, n);
	vmouse_load(to, &r);
	return record_finish(&r);
}

/* Where each is in the saved form, and the least that cannot be. */
static const struct { uint8_t at, value; } hostile[] = {
	{ 9, 6 }, { 10, 5 }, { 11, 1 }, { 11, 2 }, { 11, 5 }, { 12, 5 }, { 15, 4 }, { 18, 0x20 },
	{ 19, 0x20 }, { 20, 2 }, { 21, 2 }, { 22, 2 }, { 23, 2 }, { 24, 2 }, { 25, 9 }, { 32, 0x20 },
};

static void test_saved(void **state)
{
	uint8_t one[128], two[128], v;
	struct vmouse fresh;
	size_t n;

	(void)state;
	knock(200, 200, 80);
	SAID("\xfa\x04");
	TELL("\xf4\xe8\x01\xe7");
	assert_int_equal(vmouse_move(&m, 4, 0, -2, 0x10), 0);
	assert_int_equal(vmouse_move(&m, -400, 0, 0, 0x01), 0);
	assert_true(vmouse_take(&m, &v));
	n = save(one);
	vmouse_reset(&fresh);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(load(&fresh, one, cut), -EINVAL);
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		memcpy(two, one, n);
		two[hostile[i].at] = hostile[i].value;
		if (!load(&fresh, two, n))
			fail_msg("%#x at %u is taken", hostile[i].value, hostile[i].at);
	}
	vmouse_reset(&fresh);
	assert_int_equal(load(&fresh, one, n), 0);
	m = fresh;
	assert_int_equal(save(two), n);
	assert_memory_equal(one, two, n);
	SAID("\x06\0\x2e" "\x19\x02\0\0" "\x19\x02\0\0" "\x19\x02\0\0" "\x19\xda\0\0");
}

int main(void)
{
#define CASE(t) cmocka_unit_test_setup(t, setup)
	const struct CMUnitTest tests[] = {
		CASE(test_commands), CASE(test_bad_data), CASE(test_wrap), CASE(test_knock),
		CASE(test_packets), CASE(test_sums), CASE(test_buttons), CASE(test_remote),
		CASE(test_resend), CASE(test_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
