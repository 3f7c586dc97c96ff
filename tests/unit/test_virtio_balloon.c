/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/virtio/virtio.c vdev/virtio/virtio_ring.c vdev/virtio/virtio_split.c
 * vdev/virtio/virtio_packed.c vdev/virtio/virtio_balloon.c lib/record.c tests/host/vdev_host.c */
/*
 * The virtio balloon: pages in and out in any order and number, free pages as they are reported and
 * hinted, patterns that a driver wants to keep, statistics and their period, what the host asks
 * for, buffers that are not right, resets in mid-flight, saved state.
 */
#include "vdev_test.h"
#include "virtio_driver.h"
#include "vdev/virtio/virtio_balloon.h"

#define VERSION		BIT(VIRTIO_VERSION_1)
#define ALL		(VERSION | BIT(BALLOON_MUST_TELL_HOST) | BIT(BALLOON_STATS) | \
			 BIT(BALLOON_DEFLATE_ON_OOM) | BIT(BALLOON_HINT) | BIT(BALLOON_REPORTING))
#define BUFFER		0xd000u

/* What the stand-in notes of a page. */
enum { NOTHING, DISCARDED = 1 + HOST_UNUSED_DISCARD, INFLATED = 1 + HOST_UNUSED_INFLATE,
	DEFLATED = 1 + HOST_UNUSED_DEFLATE };

static struct virtio *v;
static struct vdev_host *h;
static struct driver queue[4];		/* of the first four; the last may be that of reports */

static void begin(uint64_t features)
{
	assert_int_equal(virtio_balloon_create(&v), 0);
	h = driver_attach(v);
	assert_true(driver_negotiate(v, VERSION | features));
	for (unsigned i = 0; i < 4; i++)
		assert_true(driver_queue(&queue[i], v, i, 16));
}

static void begin_running(uint64_t features)
{
	begin(features);
	driver_start(v);
}

/* The driver's place 3 is that of queue 4. */
static void use_reports(void)
{
	struct virtio_queue *from = &v->queue[3], *to = &v->queue[4];

	v->queue_select = 4;
	to->s.size = from->s.size;
	to->s.desc = from->s.desc;
	to->s.driver = from->s.driver;
	to->s.device = from->s.device;
	from->s.enabled = false;
	virtio_queue_enable(v);
	assert_true(to->s.enabled);
}

static uint64_t format_of(unsigned format)
{
	return (format & 1 ? BIT(VIRTIO_PACKED) : 0) | (format & 2 ? BIT(VIRTIO_EVENT_IDX) : 0);
}

static bool taken(unsigned place)
{
	uint32_t written;
	uint16_t id;

	return driver_take(&queue[place], &id, &written);
}

static void put_pages(const uint32_t *page, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		put32(&queue[0], BUFFER + 4 * i, page[i]);
}

static void send(unsigned place, unsigned number, uint32_t size, bool write)
{
	struct driver_part p = { BUFFER, size, write };

	driver_add(&queue[place], &p, 1, false);
	virtio_kick(v, number);
}

static unsigned count_of(unsigned what)
{
	unsigned n = 0;

	for (unsigned i = 0; i < sizeof(h->unused); i++)
		n += h->unused[i] == what;
	return n;
}

/* ---- pages in and out ---- */

static void in_and_out(void **state)
{
	static const uint32_t page[] = { 9, 3, 2, 4, 15, 3, 0xffffffff, 8, 0x100000 };

	(void)state;
	for (unsigned format = 0; format < 4; format++) {
		begin_running(format_of(format));
		put_pages(page, ARRAY_COUNT(page));
		driver_want(&queue[0], 0);
		send(0, BALLOON_QUEUE_INFLATE, sizeof(page), false);
		assert_true(taken(0));
		assert_true(virtio_test.interrupts);
		assert_int_equal(h->unused_calls, 1);		/* one wait for the vCPUs */
		assert_int_equal(h->unused_ranges, 5);		/* 2-4, 8-9, 15, two beyond */
		assert_int_equal(count_of(INFLATED), 6);
		assert_int_equal(h->unused[3], INFLATED);
		put_pages(page, 3);
		send(1, BALLOON_QUEUE_DEFLATE, 12, false);
		assert_true(taken(1));
		assert_int_equal(count_of(DEFLATED), 3);
		vdev_host_detach(h);
	}
}

/* Any number, in any order, in any pieces, with interruptions. */
static void many(void **state)
{
	struct driver_part p[6];
	unsigned at = 0, n = 700;

	(void)state;
	begin_running(0);
	for (unsigned i = 0; i < n; i++)
		put32(&queue[0], BUFFER + 4 * i, i * 7919 % n % 13);
	for (unsigned i = 0; i < 6; i++, at += 467)
		p[i] = (struct driver_part){ BUFFER + at, i < 5 ? 467 : 4 * n + 3 - at, false };
	driver_add(&queue[0], p, 6, false);
	h->mem_interrupt = 3;
	virtio_kick(v, BALLOON_QUEUE_INFLATE);
	for (unsigned i = 0; i < 6; i++) {
		vdev_host_advance(h, 20000000);
		vdev_host_work(h);
	}
	assert_true(taken(0));
	assert_int_equal(h->unused_calls, 3);
	assert_int_equal(h->unused_ranges, 3);
	assert_int_equal(count_of(INFLATED), 13);
	assert_int_equal(v->status & VIRTIO_NEEDS_RESET, 0);
	vdev_host_detach(h);
}

static void sorted(void **state)
{
	(void)state;
	srand(3);
	begin_running(0);
	for (unsigned round = 0; round < 200; round++) {
		unsigned n = 1 + (unsigned)rand() % 256, distinct = 0;
		bool want[16] = { false };

		memset(h->unused, 0, sizeof(h->unused));
		h->unused_ranges = 0;
		for (unsigned i = 0; i < n; i++) {
			unsigned page = (unsigned)rand() % 16;

			put32(&queue[0], BUFFER + 4 * i, page);
			want[page] = true;
		}
		send(0, BALLOON_QUEUE_INFLATE, 4 * n, false);
		assert_true(taken(0));
		for (unsigned i = 0; i < 16; i++) {
			assert_int_equal(h->unused[i], want[i] ? INFLATED : NOTHING);
			distinct += want[i] && (!i || !want[i - 1]);
		}
		assert_int_equal(h->unused_ranges, distinct);
	}
	vdev_host_detach(h);
}

static void bad_requests(void **state)
{
	struct driver_part p = { VDEV_HOST_MEMORY - 2, 16, false };

	(void)state;
	begin_running(ALL);
	send(0, BALLOON_QUEUE_INFLATE, 3, false);	/* not one number */
	assert_true(taken(0));
	send(0, BALLOON_QUEUE_INFLATE, 16, true);	/* nothing to read */
	assert_true(taken(0));
	send(1, BALLOON_QUEUE_DEFLATE, 0, false);
	assert_true(taken(1));
	assert_int_equal(h->unused_calls, 0);
	assert_int_equal(v->status & VIRTIO_NEEDS_RESET, 0);
	driver_add(&queue[0], &p, 1, false);
	virtio_kick(v, BALLOON_QUEUE_INFLATE);
	assert_true(v->queue[0].s.broken);
	driver_add(&queue[2], &p, 1, false);
	virtio_kick(v, BALLOON_QUEUE_STATS);
	assert_true(v->queue[2].s.broken);
	driver_add(&queue[3], &p, 1, false);
	virtio_kick(v, BALLOON_QUEUE_HINT);
	assert_true(v->queue[3].s.broken);
	vdev_host_detach(h);

	begin_running(0);				/* queues that were not agreed upon */
	for (unsigned i = 2; i < 4; i++) {
		send(i, i, 16, false);
		assert_true(v->queue[i].s.broken);
	}
	vdev_host_detach(h);
}

/* ---- free pages ---- */

static void report(uint64_t at, uint32_t size)
{
	struct driver_part p[2] = { { at, size, true }, { 0xf000, 0x1000, true } };

	driver_add(&queue[3], p, 2, false);
	virtio_kick(v, BALLOON_QUEUE_REPORT);
}

static void reports(void **state)
{
	(void)state;
	begin(ALL | BIT(BALLOON_POISON));
	use_reports();
	driver_start(v);
	report(0x1800, 0x2800);
	assert_true(taken(3));
	assert_int_equal(h->unused_calls, 1);
	assert_int_equal(count_of(DISCARDED), 3);	/* whole pages: 2, 3 and 15 */
	assert_int_equal(h->unused[2] | h->unused[3] << 4, DISCARDED | DISCARDED << 4);
	memset(h->unused, 0, sizeof(h->unused));
	report(0, 0xffffffff);				/* too much at once: nothing of it */
	assert_true(taken(3));
	assert_int_equal(count_of(DISCARDED), 0);
	/* A driver that fills free pages with a pattern keeps them. */
	virtio_config_write(v, 12, 4, 0xaaaaaaaa);
	report(0, 0x1000);
	assert_true(taken(3));
	assert_int_equal(count_of(DISCARDED), 0);
	assert_int_equal(virtio_config_read(v, 12, 4), 0xaaaaaaaa);
	virtio_config_write(v, 12, 4, 0);
	report(0, 0x1000);
	assert_true(taken(3));
	assert_int_equal(count_of(DISCARDED), 2);
	vdev_host_detach(h);

	begin(BIT(BALLOON_STATS));			/* not agreed upon */
	use_reports();
	driver_start(v);
	report(0, 0x1000);
	assert_true(v->queue[4].s.broken);
	assert_int_equal(h->unused_calls, 0);
	vdev_host_detach(h);
}

static void say_round(uint32_t round)
{
	put32(&queue[0], BUFFER, round);
	send(3, BALLOON_QUEUE_HINT, 4, false);
	assert_true(taken(3));
}

static void hint_pages(uint64_t at)
{
	struct driver_part p = { at, 0x1000, true };

	driver_add(&queue[3], &p, 1, false);
	virtio_kick(v, BALLOON_QUEUE_HINT);
	assert_true(taken(3));
}

static void hints(void **state)
{
	uint32_t round;

	(void)state;
	begin(ALL);
	virtio_balloon_hint(&v->dev);			/* nobody is there */
	assert_int_equal(virtio_config_read(v, 8, 4), 0);
	driver_start(v);
	hint_pages(0x1000);				/* nobody has asked */
	assert_int_equal(count_of(DISCARDED), 0);
	virtio_balloon_hint(&v->dev);
	round = (uint32_t)virtio_config_read(v, 8, 4);
	assert_true(round >= 2);
	assert_int_equal(virtio_test.config_interrupts, 1);
	virtio_balloon_hint(&v->dev);			/* it is under way */
	assert_int_equal(virtio_test.config_interrupts, 1);
	say_round(round + 1);				/* another round's: not begun */
	hint_pages(0x1000);
	assert_int_equal(count_of(DISCARDED), 0);
	say_round(round);
	hint_pages(0x2000);
	hint_pages(0x3000);
	assert_int_equal(count_of(DISCARDED), 2);
	say_round(0);
	assert_int_equal(virtio_config_read(v, 8, 4), 1);	/* the driver may have them back */
	assert_int_equal(virtio_test.config_interrupts, 2);
	hint_pages(0x4000);
	assert_int_equal(count_of(DISCARDED), 2);
	virtio_balloon_hint(&v->dev);
	assert_int_equal(virtio_config_read(v, 8, 4), round + 1);
	say_round(round);				/* the old one's */
	hint_pages(0x4000);
	assert_int_equal(count_of(DISCARDED), 2);
	virtio_status_write(v, 0);
	assert_int_equal(virtio_config_read(v, 8, 4), 0);
	vdev_host_detach(h);

	begin_running(VERSION);
	virtio_balloon_hint(&v->dev);
	assert_int_equal(virtio_config_read(v, 8, 4), 0);
	vdev_host_detach(h);
}

/* ---- statistics ---- */

static void put_stat(unsigned i, uint16_t tag, uint64_t value)
{
	put16(&queue[0], BUFFER + 10 * i, tag);
	put64(&queue[0], BUFFER + 10 * i + 2, value);
}

static void statistics(void **state)
{
	struct virtio_balloon_info info;

	(void)state;
	begin_running(ALL);
	virtio_balloon_info(&v->dev, &info);
	assert_true(info.driven && !info.known);
	put_stat(0, BALLOON_FREE, 1000);
	put_stat(1, 999, 5);
	put_stat(2, BALLOON_MAJOR_FAULTS, ~0ul);
	send(2, BALLOON_QUEUE_STATS, 39, false);	/* three, and a piece of another */
	assert_false(taken(2));				/* it is kept */
	virtio_balloon_info(&v->dev, &info);
	assert_int_equal(info.known, BIT(BALLOON_FREE) | BIT(BALLOON_MAJOR_FAULTS));
	assert_int_equal(info.stat[BALLOON_FREE], 1000);
	assert_true(info.stat[BALLOON_MAJOR_FAULTS] == ~0ul);
	assert_int_equal(info.told_at, h->wall);
	vdev_host_advance(h, 10000000000);
	vdev_host_work(h);
	assert_false(taken(2));
	virtio_balloon_period(&v->dev, 2);		/* at once, then each two seconds */
	vdev_host_work(h);
	assert_true(taken(2));
	put_stat(0, BALLOON_TOTAL, 7);
	send(2, BALLOON_QUEUE_STATS, 10, false);
	virtio_balloon_info(&v->dev, &info);
	assert_int_equal(info.known, BIT(BALLOON_TOTAL));
	assert_int_equal(info.period, 2);
	for (unsigned i = 0; i < 3; i++) {
		vdev_host_advance(h, 1900000000);
		vdev_host_work(h);
		assert_false(taken(2));
		vdev_host_advance(h, 100000000);
		vdev_host_work(h);
		assert_true(taken(2));
		send(2, BALLOON_QUEUE_STATS, 10, false);
	}
	vdev_host_advance(h, 7000000000);		/* late: it is asked once */
	vdev_host_work(h);
	assert_true(taken(2));
	assert_false(taken(2));
	virtio_balloon_period(&v->dev, 0);
	send(2, BALLOON_QUEUE_STATS, 10, false);
	vdev_host_advance(h, 7000000000);
	vdev_host_work(h);
	assert_false(taken(2));
	vdev_host_detach(h);
}

/* ---- the configuration ---- */

static void targets(void **state)
{
	struct virtio_balloon_info info;

	(void)state;
	begin(ALL);
	virtio_balloon_target(&v->dev, 5);
	assert_int_equal(virtio_test.config_interrupts, 0);
	driver_start(v);
	assert_int_equal(virtio_config_read(v, 0, 4), 5);
	virtio_balloon_target(&v->dev, 6);
	virtio_balloon_target(&v->dev, 6);
	assert_int_equal(virtio_test.config_interrupts, 1);
	virtio_config_write(v, 0, 4, 77);
	virtio_config_write(v, 8, 4, 77);
	virtio_config_write(v, 4, 4, 3);
	assert_int_equal(virtio_config_read(v, 0, 8), 3ul << 32 | 6);
	virtio_balloon_info(&v->dev, &info);
	assert_int_equal(info.target, 6);
	assert_int_equal(info.actual, 3);
	virtio_status_write(v, 0);			/* it is empty, and is to be filled again */
	assert_int_equal(virtio_config_read(v, 0, 8), 6);
	virtio_balloon_info(&v->dev, &info);
	assert_false(info.driven);
	vdev_host_detach(h);
}

static void reset_in_flight(void **state)
{
	struct driver_part p[15];
	unsigned i;

	(void)state;
	begin_running(VERSION | BIT(VIRTIO_RING_RESET));
	for (i = 0; i < 15; i++)
		p[i] = (struct driver_part){ BUFFER, 0x2000, false };
	driver_add(&queue[0], p, 15, false);
	virtio_kick(v, BALLOON_QUEUE_INFLATE);
	assert_false(taken(0));
	v->queue_select = 0;
	virtio_queue_reset(v);
	assert_true(driver_queue(&queue[0], v, 0, 16));
	put_pages((const uint32_t[]){ 5 }, 1);
	send(0, BALLOON_QUEUE_INFLATE, 4, false);
	assert_true(taken(0));
	assert_int_equal(h->unused[5], INFLATED);
	vdev_host_detach(h);
}

static void saved(void **state)
{
	struct driver_part p[15];
	struct vdev_host *first;
	struct virtio *old;

	(void)state;
	begin_running(ALL);
	virtio_balloon_target(&v->dev, 9);
	virtio_config_write(v, 4, 4, 3);
	virtio_balloon_hint(&v->dev);
	say_round((uint32_t)virtio_config_read(v, 8, 4));
	for (unsigned i = 0; i < 15; i++)
		p[i] = (struct driver_part){ BUFFER, 0x2000, false };
	driver_add(&queue[0], p, 15, false);
	virtio_kick(v, BALLOON_QUEUE_INFLATE);		/* half of it is done */
	assert_false(taken(0));
	old = v;
	first = h;
	assert_int_equal(virtio_balloon_create(&v), 0);
	h = driver_attach(v);
	check_save_load(&old->dev, &v->dev);
	memcpy(h->memory, first->memory, sizeof(h->memory));
	queue[0].memory = queue[3].memory = h->memory;
	h->unused_calls = 0;
	vdev_host_work(h);
	assert_true(taken(0));
	assert_in_range(h->unused_calls, 1, 15 * 8 - 1);
	assert_int_equal(virtio_config_read(v, 0, 8), 3ul << 32 | 9);
	hint_pages(0x2000);
	assert_int_equal(h->unused[2], DISCARDED);
	vdev_host_detach(first);
	vdev_host_detach(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_and_out), cmocka_unit_test(many), cmocka_unit_test(sorted),
		cmocka_unit_test(bad_requests), cmocka_unit_test(reports), cmocka_unit_test(hints),
		cmocka_unit_test(statistics), cmocka_unit_test(targets),
		cmocka_unit_test(reset_in_flight), cmocka_unit_test(saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
