/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vioapic.c lib/record.c tests/host/vdev_host.c */
/*
 * vdev/vioapic: registers, messages, edges, levels with EOI and resampling, masking, the set of
 * vectors, saved form.
 */
#include "tests/host/vdev_test.h"

#include "vdev/vioapic.h"

#define LEVEL	(1u << 15)
#define MASKED	(1u << 16)
#define REMOTE	(1u << 14)

static struct vdev *d;
static struct vdev_host *h;
static unsigned ended[VIOAPIC_PINS];
static bool raise_again, drop;

static void acknowledged(void *context, unsigned pin)
{
	assert_ptr_equal(context, &d);
	assert_false(h->locked);
	ended[pin]++;
	if (raise_again || drop)
		vioapic_line(d, pin, raise_again);
}

static int setup(void **state)
{
	struct vioapic_config c = { .id = 3, .told = 1 << 2, .acknowledged = acknowledged,
		.context = &d };

	(void)state;
	assert_int_equal(vioapic_create(&c, &d), 0);
	h = vdev_host_attach(d);
	memset(ended, 0, sizeof(ended));
	raise_again = drop = false;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vdev_host_detach(h);
	return 0;
}

static void put(unsigned reg, uint32_t v)
{
	vdev_host_write(d, 0, 0, 4, reg);
	vdev_host_write(d, 0, 0x10, 4, v);
}

static uint32_t get(unsigned reg)
{
	vdev_host_write(d, 0, 0, 4, reg);
	return (uint32_t)vdev_host_read(d, 0, 0x10, 4);
}

static void entry(unsigned pin, uint8_t destination, uint32_t low)
{
	put(0x11 + 2 * pin, (uint32_t)destination << 24);
	put(0x10 + 2 * pin, low);
}

static void test_registers(void **state)
{
	(void)state;
	assert_int_equal(get(1), 0x00170020);
	assert_int_equal(get(0), 3u << 24);
	put(0, 0xff000000);
	assert_int_equal(get(0), 0x0f000000);
	assert_int_equal(get(0x10), MASKED);
	assert_int_equal(get(0x3f), 0);
	assert_int_equal(get(0x40), ~0u);
	put(0x40, 0);
	put(0x12, 0xfffff000 | MASKED);
	/* status bits are read-only */
	assert_int_equal(get(0x12), MASKED | LEVEL | 1u << 13);
	assert_int_equal(vdev_host_read(d, 0, 0, 4), 0x12);
	assert_int_equal(vdev_host_read(d, 0, 0x44, 4), 0);
}

static void test_edge(void **state)
{
	(void)state;
	entry(4, 0x12, 0x34);
	vioapic_line(d, 4, true);
	vioapic_line(d, 4, true);
	assert_int_equal(h->message_count, 1);
	assert_int_equal(h->message[0].address, 0xfee12000);
	assert_int_equal(h->message[0].data, 0x34);
	vioapic_line(d, 4, false);
	vioapic_line(d, 4, true);
	assert_int_equal(h->message_count, 2);
	vioapic_eoi(d, 0x34);
	assert_int_equal(ended[4], 0);
	entry(5, 0xff, 0x51 | 1 << 11 | 1 << 8);	/* logical, lowest priority */
	vioapic_line(d, 5, true);
	assert_int_equal(h->message[2].address, 0xfeeff00c);
	assert_int_equal(h->message[2].data, 0x151);
	entry(6, 0, 0x61 | MASKED);
	vioapic_line(d, 6, true);
	entry(6, 0, 0x61);
	assert_int_equal(h->message_count, 3);		/* a masked edge is lost */
	vioapic_line(d, VIOAPIC_PINS, true);
}

/* The end of an edge, of a pin that is told of. */
static void test_told(void **state)
{
	(void)state;
	entry(2, 0x12, 0x34);
	entry(4, 0x12, 0x34);
	vioapic_line(d, 2, true);
	assert_int_equal(h->message[0].data, HOST_MSI_TELL | 0x34);
	assert_false(vioapic_busy(d, 2));
	h->message_busy = true;
	assert_true(vioapic_busy(d, 2));
	assert_false(vioapic_busy(d, 4));
	vioapic_eoi(d, 0x35);
	assert_int_equal(ended[2], 0);
	drop = true;
	vioapic_eoi(d, 0x34);
	assert_int_equal(ended[2], 1);
	assert_int_equal(ended[4], 0);
	assert_int_equal(h->message_count, 1);
	/* As a level it is one. */
	drop = false;
	entry(2, 0x12, 0x34 | LEVEL);
	vioapic_line(d, 2, true);
	assert_int_equal(h->message[1].data, 0xc034);
	assert_false(vioapic_busy(d, 2));
	vioapic_eoi(d, 0x34);
	assert_int_equal(ended[2], 2);
	assert_int_equal(h->message_count, 3);
}

static void test_level(void **state)
{
	(void)state;
	entry(9, 1, 0x79 | LEVEL);
	vioapic_line(d, 9, true);
	assert_int_equal(h->message_count, 1);
	assert_int_equal(h->message[0].data, 0xc079);
	assert_int_equal(get(0x22), 0x79 | LEVEL | REMOTE);
	vioapic_line(d, 9, false);
	vioapic_line(d, 9, true);
	assert_int_equal(h->message_count, 1);
	vioapic_eoi(d, 0x79);				/* still high: again */
	assert_int_equal(h->message_count, 2);
	assert_int_equal(ended[9], 1);
	drop = true;
	vioapic_eoi(d, 0x79);
	assert_int_equal(h->message_count, 2);
	assert_int_equal(get(0x22), 0x79 | LEVEL);
	drop = false;
	vioapic_line(d, 9, true);
	raise_again = true;
	vdev_host_write(d, 0, 0x40, 4, 0x79);		/* the EOI register */
	assert_int_equal(h->message_count, 4);
	vioapic_eoi(d, 0x78);
	assert_int_equal(h->message_count, 4);
}

static void test_level_mask(void **state)
{
	(void)state;
	entry(20, 0, 0xa0 | LEVEL | MASKED);
	vioapic_line(d, 20, true);
	assert_int_equal(h->message_count, 0);
	put(0x10 + 40, 0xa0 | LEVEL);
	assert_int_equal(h->message_count, 1);
	/* masked while it waits: its EOI still matters */
	put(0x10 + 40, 0xa0 | LEVEL | MASKED);
	vioapic_eoi(d, 0xa0);
	assert_int_equal(h->message_count, 1);
	put(0x10 + 40, 0xa0 | LEVEL);
	assert_int_equal(h->message_count, 2);
	put(0x10 + 40, 0xa0 | MASKED);			/* edge mode and back: the old way to end */
	put(0x10 + 40, 0xa0 | LEVEL);
	assert_int_equal(h->message_count, 3);
}

static void test_saved(void **state)
{
	struct vioapic_config c = { .id = 1 };
	struct vdev *fresh;
	struct vdev_host *f;

	(void)state;
	assert_int_equal(vioapic_create(&c, &fresh), 0);
	f = vdev_host_attach(fresh);
	entry(9, 1, 0x79 | LEVEL);
	entry(4, 2, 0x44);
	vioapic_line(d, 9, true);
	vioapic_line(d, 4, true);
	check_save_load(d, fresh);
	assert_int_equal(f->message_count, 0);		/* sent before it was saved */
	vioapic_eoi(fresh, 0x79);
	assert_int_equal(f->message_count, 1);
	check_refused(d, 0, 16);
	check_refused(d, 5, 1);
	check_refused(d, 6 + 2, 3);
	check_refused(d, 6 + 8 * 4 + 1, 0x40);		/* an edge that waits for an EOI */
	vdev_host_detach(f);
}

/* Remote IRR is for what a local APIC has taken: else nobody would end it. */
static void test_deaf(void **state)
{
	(void)state;
	entry(9, 0, 0x51 | LEVEL);
	h->deaf = true;
	vioapic_line(d, 9, true);
	assert_int_equal(h->message_count, 1);
	assert_false(get(0x10 + 2 * 9) & REMOTE);
	h->deaf = false;
	vioapic_retry(d);
	assert_int_equal(h->message_count, 2);
	assert_true(get(0x10 + 2 * 9) & REMOTE);
	vioapic_retry(d);
	assert_int_equal(h->message_count, 2);
}

int main(void)
{
#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_registers), CASE(test_edge), CASE(test_told), CASE(test_level),
		CASE(test_level_mask),
		CASE(test_deaf),
		CASE(test_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
