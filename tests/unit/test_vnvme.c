/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vnvme*.c vdev/vpci*.c lib/record.c lib/format.c tests/host/vdev_host.c */
/*
 * vdev/vnvme by a driver of its own: registers and states, queues that are made, used, full and
 * ended, commands of both kinds with all they refuse, pages and lists of any shape, events,
 * doorbells in memory, interrupts, what the medium does later, resets under way, saved form.
 */
#include "tests/host/nvme_driver.h"
#include "tests/host/vdev_test.h"

static int setup_disk(bool read_only)
{
	nvme_driver_make(4);
	for (unsigned i = 0; i < VDEV_HOST_DISK; i++)
		nvme_host->disk[i] = (uint8_t)(i / 512 + i);
	nvme_host->disk_read_only = read_only;
	nvme_dev->ops->reset(nvme_dev);
	nvme_driver_start();
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_disk(false);
}

static int setup_read_only(void **state)
{
	(void)state;
	return setup_disk(true);
}

static int teardown(void **state)
{
	(void)state;
	nvme_driver_end();
	return 0;
}

static void test_registers(void **state)
{
	(void)state;
	assert_int_equal(nvme_config_get(0, 4), 0x00101b36);
	assert_int_equal(nvme_config_get(8, 4), 0x01080202);
	assert_int_equal(vdev_host_read(nvme_dev, 0, 0, 8), 0x200f0103fful);
	assert_int_equal(vdev_host_read(nvme_dev, 0, 0xa, 2), 1);
	assert_int_equal(nvme_get(8), 0x10400);
	assert_int_equal(nvme_get(NVME_CSTS), 1);
	nvme_put(0x24, 0);			/* it is enabled */
	assert_int_equal(nvme_get(0x24), 0x000f000f);
	nvme_put(NVME_CC, 0);
	assert_int_equal(nvme_get(NVME_CSTS), 0);
	vdev_host_write(nvme_dev, 0, 0x28, 8, 0x123456789abcdef);
	assert_int_equal(vdev_host_read(nvme_dev, 0, 0x28, 8), 0x123456789abc000);
	nvme_put(0x2c, 0);
	assert_int_equal(vdev_host_read(nvme_dev, 0, 0x28, 8), 0x89abc000);
	nvme_put(0x24, ~0u);
	assert_int_equal(nvme_get(0x24), 0x0fff0fff);
	vdev_host_write(nvme_dev, 0, 0x24, 2, 0);
	assert_int_equal(nvme_get(0x24), 0x0fff0fff);
	nvme_put(0xc, 5);
	assert_int_equal(nvme_get(0x10), 5);
	nvme_put(0x10, 4);
	assert_int_equal(nvme_get(0xc), 1);
	assert_int_equal(nvme_get(0x38), 0);
}

/* What it cannot be set up as, and queues of one entry, end it until it is disabled. */
static void test_states(void **state)
{
	static const uint32_t wrong[] = { 0x460011, 0x460081, 0x460801 };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		nvme_put(NVME_CC, 0);
		nvme_put(NVME_CC, wrong[i]);
		assert_int_equal(nvme_get(NVME_CSTS), 2);
	}
	nvme_put(NVME_CC, 0);
	assert_int_equal(nvme_get(NVME_CSTS), 0);
	nvme_put(0x24, 0x000f0000);
	nvme_put(NVME_CC, 0x460001);
	assert_int_equal(nvme_get(NVME_CSTS), 2);
	nvme_put(NVME_CC, 0);
	nvme_driver_start();
	nvme_put(NVME_CC, 0x464001);		/* shutdown */
	assert_int_equal(nvme_get(NVME_CSTS), 9);
	assert_int_equal(nvme_host->flushes, 1);
	nvme_put(NVME_CC, 0x460001);
	assert_int_equal(nvme_get(NVME_CSTS), 1);
	nvme_put(NVME_CC, 0x468001);		/* abrupt */
	assert_int_equal(nvme_get(NVME_CSTS), 9);
	nvme_put(NVME_CC, 0x460000);
	assert_int_equal(nvme_get(NVME_CSTS), 0);
	/* A queue that is no memory. */
	nvme_put(0x28, 0xfffff000);
	nvme_put(NVME_CC, 0x460001);
	nvme_bell(0, 1);
	assert_int_equal(nvme_get(NVME_CSTS), 3);
	nvme_bell(0, 2);
	nvme_put(NVME_CC, 0);
	assert_int_equal(nvme_get(NVME_CSTS), 0);
}

static void test_identify(void **state)
{
	const uint8_t *p = nvme_host->memory + NVME_DATA;

	(void)state;
	assert_int_equal(nvme_identify(1, 0), 0);
	assert_memory_equal(p, "\x36\x1b\xf4\x1atest.img            Keel NVMe Ctrl   ", 40);
	assert_int_equal(p[77], 7);
	assert_int_equal(p[512], 0x66);
	assert_int_equal(p[513], 0x44);
	assert_int_equal(p[516], 1);
	assert_int_equal(p[520], 0xd);
	assert_int_equal(p[525], 7);
	assert_string_equal((const char *)p + 768,
		"nqn.2014-08.org.nvmexpress:uuid:01020304-0506-0708-090a-0b0c0d0e0f10");
	assert_int_equal(nvme_identify(0, 1), 0);
	assert_int_equal(p[0] | p[1] << 8, VDEV_HOST_DISK / 512);
	assert_int_equal(p[130], 9);
	assert_int_equal(p[99], 0);
	assert_memory_equal(p + 120, "\x0a\x0a\x0b\x0c\x0d\x0e\x0f\x10", 8);
	assert_int_equal(nvme_identify(2, 0), 0);
	assert_memory_equal(p, "\x01\0\0\0\0\0\0", 8);
	assert_int_equal(nvme_identify(2, 1), 0);
	assert_int_equal(p[0], 0);
	assert_int_equal(nvme_identify(2, ~0u), 0x400b);
	assert_int_equal(nvme_identify(3, 1), 0);
	assert_memory_equal(p, "\x01\x08\0\0\x0a\x0a\x0b\x0c\x0d\x0e\x0f\x10\x03\x10\0\0\x01\x02", 18);
	assert_int_equal(nvme_identify(0, 2), 0x400b);
	assert_int_equal(nvme_identify(0, ~0u), 0x400b);
	assert_int_equal(nvme_identify(3, 0), 0x400b);
	assert_int_equal(nvme_identify(0x13, 1), 0x4002);
	/* In two pages, and beside memory. */
	nvme_command.prp1 = NVME_DATA + 0x800;
	nvme_command.prp2 = NVME_DATA + 0x2000;
	assert_int_equal(nvme_identify(1, 0), 0);
	assert_int_equal(p[0x800], 0x36);
	assert_int_equal(p[0x2000 + 130 - 128], 0);
	nvme_command.prp1 = VDEV_HOST_MEMORY;
	assert_int_equal(nvme_identify(1, 0), 0x4004);
	nvme_command.prp1 = NVME_DATA + 2;
	assert_int_equal(nvme_identify(1, 0), 0x4013);
}

static void test_read_only(void **state)
{
	(void)state;
	assert_int_equal(nvme_identify(0, 1), 0);
	assert_int_equal(nvme_host->memory[NVME_DATA + 99], 1);
	nvme_driver_queue(1, 8, 8);
	assert_int_equal(nvme_io(2, 0, 1), 0);
	assert_int_equal(nvme_io(1, 0, 1), 0x4020);
	assert_int_equal(nvme_io(8, 0, 1), 0x4020);
	assert_int_equal(nvme_io(5, 0, 1), 0);
	nvme_command.word[1] = 4;
	assert_int_equal(nvme_io_words(9), 0x4020);
	assert_int_equal(nvme_io(0, 0, 1), 0);
}

static void test_queues(void **state)
{
	(void)state;
	assert_int_equal(nvme_create_sq(1, 8, 1), 0x4100);	/* no completion queue */
	assert_int_equal(nvme_create_cq(0, 8, 0), 0x4101);
	assert_int_equal(nvme_create_cq(5, 8, 0), 0x4101);
	assert_int_equal(nvme_create_cq(1, 1, 0), 0x4102);
	assert_int_equal(nvme_create_cq(1, 1025, 0), 0x4102);
	assert_int_equal(nvme_create_cq(1, 8, 5), 0x4108);
	nvme_command.prp1 = 0x3800;
	assert_int_equal(nvme_create_cq(1, 8, 1), 0x4013);
	assert_int_equal(nvme_create_cq(1, 8, 1), 0);
	assert_int_equal(nvme_create_cq(1, 8, 1), 0x4101);
	assert_int_equal(nvme_create_sq(1, 8, 2), 0x4100);
	assert_int_equal(nvme_create_sq(1, 8, 0), 0x4100);
	assert_int_equal(nvme_create_sq(0, 8, 1), 0x4101);
	assert_int_equal(nvme_create_sq(1, 8, 1), 0);
	assert_int_equal(nvme_create_sq(1, 8, 1), 0x4101);
	assert_int_equal(nvme_feature(9, 7, 0x30003), 0x400c);	/* too late */
	assert_int_equal(nvme_delete(4, 1), 0x410c);
	assert_int_equal(nvme_delete(0, 2), 0x4101);
	assert_int_equal(nvme_delete(0, 0), 0x4101);
	assert_int_equal(nvme_delete(4, 0), 0x4101);
	assert_int_equal(nvme_create_cq(253, 8, 0), 0x4101);	/* beyond any table */
	assert_int_equal(nvme_create_sq(253, 8, 1), 0x4101);
	assert_int_equal(nvme_delete(0, 253), 0x4101);
	assert_int_equal(nvme_delete(4, 0xffff), 0x4101);
	assert_int_equal(nvme_delete(0, 1), 0);
	assert_int_equal(nvme_delete(4, 1), 0);
	assert_int_equal(nvme_delete(4, 1), 0x4101);
	/* Made again, and one completion queue for two. */
	nvme_driver_queue(2, 8, 8);
	assert_int_equal(nvme_create_sq(3, 4, 2), 0);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(nvme_io(2, i, 1), 0);
	nvme_sq[3].size = 4;
	nvme_command = (struct nvme_entry){ .opcode = 2, .nsid = 1, .prp1 = NVME_DATA };
	nvme_submit(3);
	assert_int_equal(nvme_reap(2), 0);
	assert_int_equal(nvme_last.queue, 3);
	/* Without the sizes of entries there are none. */
	nvme_put(NVME_CC, 1);
	assert_int_equal(nvme_create_cq(4, 8, 0), 0x4002);
}

/* However few vCPUs there are. */
static void test_two_queues_at_least(void **state)
{
	(void)state;
	nvme_driver_end();
	nvme_driver_make(1);
	nvme_dev->ops->reset(nvme_dev);
	nvme_driver_start();
	assert_int_equal(nvme_feature(10, 7, 0), 0);
	assert_int_equal(nvme_last.result, 0x10001);
}

static void test_features(void **state)
{
	(void)state;
	assert_int_equal(nvme_feature(10, 7, 0), 0);
	assert_int_equal(nvme_last.result, 0x30003);
	assert_int_equal(nvme_feature(9, 7, 0x70007), 0);
	assert_int_equal(nvme_last.result, 0x30003);
	assert_int_equal(nvme_feature(9, 7, 0xffff), 0x4002);
	assert_int_equal(nvme_feature(9, 6, 0), 0);
	assert_int_equal(nvme_feature(10, 6, 0), 0);
	assert_int_equal(nvme_last.result, 0);
	assert_int_equal(nvme_feature(10, 0x106, 0), 0);	/* at first */
	assert_int_equal(nvme_last.result, 1);
	assert_int_equal(nvme_feature(10, 0x206, 0), 0x4002);
	assert_int_equal(nvme_feature(9, 0x80000006, 0), 0x410d);
	assert_int_equal(nvme_feature(9, 2, 1), 0x4002);	/* no such power state */
	assert_int_equal(nvme_feature(9, 9, 0x10004), 0);
	assert_int_equal(nvme_feature(10, 9, 4), 0);
	assert_int_equal(nvme_last.result, 0x10004);
	assert_int_equal(nvme_feature(10, 9, 3), 0);
	assert_int_equal(nvme_last.result, 3);
	assert_int_equal(nvme_feature(10, 9, 5), 0x4002);
	assert_int_equal(nvme_feature(9, 9, 0xffff), 0x4002);
	assert_int_equal(nvme_feature(9, 5, 0x10000), 0x4002);	/* DULBE */
	assert_int_equal(nvme_feature(9, 0x77, 0), 0x4002);
	assert_int_equal(nvme_feature(9, 4, 0x100000 | 200), 0);	/* the lower one */
	assert_int_equal(nvme_feature(10, 4, 0x100000), 0);
	assert_int_equal(nvme_last.result, 200);
	assert_int_equal(nvme_feature(9, 4, 0x200000), 0x4002);
	assert_int_equal(nvme_feature(9, 4, 0x010000), 0x4002);	/* a sensor that is not there */
	assert_int_equal(nvme_feature(9, 11, 0xffffffff), 0);
	assert_int_equal(nvme_feature(10, 11, 0), 0);
	assert_int_equal(nvme_last.result, 0xff);
}

static void test_transfers(void **state)
{
	uint8_t *data = nvme_host->memory + NVME_DATA;

	(void)state;
	nvme_driver_queue(1, 8, 8);
	assert_int_equal(nvme_io(2, 3, 5), 0);
	assert_memory_equal(data, nvme_host->disk + 3 * 512, 5 * 512);
	memset(data, 0xa5, 1024);
	assert_int_equal(nvme_io(5, 60, 2), 0x4285);
	assert_int_equal(nvme_io(1, 60, 2), 0);
	assert_memory_equal(data, nvme_host->disk + 60 * 512, 1024);
	assert_int_equal(nvme_host->disk[62 * 512], 62);
	assert_int_equal(nvme_io(5, 60, 2), 0);
	assert_int_equal(nvme_host->flushes, 0);
	nvme_command.word[2] = 0x40000000;
	assert_int_equal(nvme_io(1, 60, 1), 0);			/* FUA */
	assert_int_equal(nvme_host->flushes, 1);
	assert_int_equal(nvme_io(0, 0, 1), 0);
	assert_int_equal(nvme_host->flushes, 2);
	assert_int_equal(nvme_feature(9, 6, 0), 0);		/* without a cache */
	assert_int_equal(nvme_io(1, 60, 1), 0);
	assert_int_equal(nvme_host->flushes, 3);
	assert_int_equal(nvme_io(8, 1, 2), 0);
	assert_int_equal(nvme_host->disk[512] | nvme_host->disk[3 * 512 - 1], 0);
	assert_int_equal(nvme_host->disk[3 * 512], 3);
	assert_int_equal(nvme_io(2, 63, 2), 0x4080);		/* beyond the end */
	assert_int_equal(nvme_io(8, 63, 2), 0x4080);
	nvme_command.word[1] = ~0u;
	assert_int_equal(nvme_io(2, ~0u, 1), 0x4080);
	assert_int_equal(nvme_io(2, 0, 1025), 0x4002);		/* more than 512 KiB */
	assert_int_equal(nvme_io(0x0c, 0, 1), 0x4001);
	nvme_command.nsid = 2;
	assert_int_equal(nvme_io(2, 0, 1), 0x400b);
	nvme_command.nsid = ~0u;
	assert_int_equal(nvme_io(2, 0, 1), 0x400b);
	nvme_command.nsid = ~0u;
	assert_int_equal(nvme_io(0, 0, 1), 0);
	nvme_command.flags = 0x40;
	assert_int_equal(nvme_io(2, 0, 1), 0x4002);
	nvme_host->disk_error = -EIO;
	assert_int_equal(nvme_io(2, 0, 1), 0x281);
	assert_int_equal(nvme_io(1, 0, 1), 0x280);
	assert_int_equal(nvme_io(0, 0, 1), 0x280);
	nvme_host->disk_error = -ENOMEM;
	assert_int_equal(nvme_io(1, 0, 1), 0x81);
}

static void put64(uint64_t at, uint64_t v)
{
	memcpy(nvme_host->memory + at, &v, 8);
}

/* Pages in any order, lists that begin within a page, lists that lead to others. */
static void test_pages(void **state)
{
	(void)state;
	nvme_driver_queue(1, 8, 8);
	nvme_command.prp1 = NVME_DATA + 0x204;
	nvme_command.prp2 = NVME_DATA + 0x2000;
	assert_int_equal(nvme_io(2, 0, 8), 0);
	assert_memory_equal(nvme_host->memory + NVME_DATA + 0x204, nvme_host->disk, 0x1000 - 0x204);
	assert_memory_equal(nvme_host->memory + NVME_DATA + 0x2000,
			    nvme_host->disk + 0x1000 - 0x204, 0x204);
	nvme_command.prp2 = NVME_DATA + 0x2004;
	nvme_command.prp1 = NVME_DATA + 0x200;
	assert_int_equal(nvme_io(2, 0, 8), 0x4013);
	nvme_command.prp1 = NVME_DATA + 1;
	assert_int_equal(nvme_io(2, 0, 8), 0x4013);
	/* The list's only place in its page leads to another list. */
	put64(NVME_LIST + 0xff8, NVME_LIST + 0x1000);
	put64(NVME_LIST + 0x1000, NVME_DATA + 0x3000);
	put64(NVME_LIST + 0x1008, NVME_DATA + 0x1000);
	nvme_command.prp2 = NVME_LIST + 0xff8;
	assert_int_equal(nvme_io(2, 8, 24), 0);
	assert_memory_equal(nvme_host->memory + NVME_DATA, nvme_host->disk + 0x1000, 0x1000);
	assert_memory_equal(nvme_host->memory + NVME_DATA + 0x3000, nvme_host->disk + 0x2000,
			    0x1000);
	assert_memory_equal(nvme_host->memory + NVME_DATA + 0x1000, nvme_host->disk + 0x3000,
			    0x1000);
	/* The page at it is the last one: then it is a page. */
	put64(NVME_LIST + 0xff0, NVME_DATA + 0x1000);
	put64(NVME_LIST + 0xff8, NVME_DATA + 0x2000);
	nvme_command.prp2 = NVME_LIST + 0xff0;
	assert_int_equal(nvme_io(2, 0, 24), 0);
	assert_memory_equal(nvme_host->memory + NVME_DATA, nvme_host->disk, 0x3000);
	put64(NVME_LIST + 0xff8, NVME_DATA + 0x2008);
	nvme_command.prp2 = NVME_LIST + 0xff0;
	assert_int_equal(nvme_io(2, 0, 24), 0x4013);
	nvme_command.prp2 = NVME_LIST + 4;
	assert_int_equal(nvme_io(2, 0, 24), 0x4013);
	nvme_command.prp2 = 0xfffff000;
	assert_int_equal(nvme_io(2, 0, 24), 0x4004);
	/* A list that leads to itself has a page in each round. */
	for (unsigned i = 0; i < 511; i++)
		put64(NVME_LIST + 8 * i, NVME_DATA);
	put64(NVME_LIST + 0xff8, NVME_LIST);
	nvme_command.prp2 = NVME_LIST + 0xff8;
	assert_int_equal(nvme_io(2, 0, 64), 0);
	assert_int_equal(nvme_get(NVME_CSTS), 1);
}

static void range(unsigned i, uint32_t first, uint32_t blocks)
{
	uint32_t r[4] = { 0, blocks, first, 0 };

	memcpy(nvme_host->memory + NVME_DATA + 0xf80 + 16 * i, r, 16);
}

static unsigned manage(unsigned count)
{
	nvme_command.prp1 = NVME_DATA + 0xf80;
	nvme_command.prp2 = NVME_DATA + 0x1000;
	nvme_command.word[0] = count - 1;
	nvme_command.word[1] = 4;
	return nvme_io_words(9);
}

static void test_ranges(void **state)
{
	(void)state;
	nvme_driver_queue(1, 8, 8);
	for (unsigned i = 0; i < 64; i++)
		range(i, i, 1);
	assert_int_equal(manage(64), 0);
	range(63, 64, 1);
	assert_int_equal(manage(64), 0x4080);
	range(63, 1, ~0u);
	assert_int_equal(manage(64), 0x4080);
	range(63, 0, 0);
	assert_int_equal(manage(64), 0);
	nvme_command.word[0] = 0;				/* a hint only */
	assert_int_equal(nvme_io_words(9), 0);
	nvme_command.prp1 = NVME_DATA + 0xff2;
	assert_int_equal(nvme_io_words(9), 0x4013);
	nvme_command.prp1 = NVME_DATA + 0xf00;
	nvme_command.prp2 = 8;
	nvme_command.word[0] = 255;
	assert_int_equal(nvme_io_words(9), 0x4013);
	/* Many, which are the work's in the end. */
	for (unsigned i = 0; i < 256; i++)
		range(i, 1, 2);
	assert_int_equal(manage(256), 0);
}

/* Later, more than there is room for, one that fails, a queue that ends before. */
static void test_later(void **state)
{
	(void)state;
	nvme_driver_queue(1, 16, 16);
	nvme_driver_queue(2, 16, 16);
	nvme_host->disk_late = true;
	for (unsigned i = 0; i < 12; i++) {
		nvme_command = (struct nvme_entry){ .opcode = 8, .nsid = 1, .id = (uint16_t)i,
			.word = { i, 0, 0 } };
		nvme_submit(1 + i % 2);
	}
	assert_int_equal(nvme_host->later_count, 4);
	assert_int_equal(nvme_reap(1), -1);
	for (unsigned i = 0; i < 12; i++)
		vdev_host_finish(nvme_host), vdev_host_work(nvme_host);
	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(nvme_reap(1 + i % 2), 0);
	assert_int_equal(nvme_reap(1), -1);
	/* The queue's end waits, and then there is no answer. */
	nvme_command = (struct nvme_entry){ .opcode = 8, .nsid = 1 };
	nvme_submit(1);
	assert_int_equal(nvme_host->later_count, 1);
	assert_int_equal(nvme_delete(0, 1), 0);
	assert_int_equal(nvme_host->later_count, 0);
	assert_int_equal(nvme_delete(4, 1), 0);
	/* And the controller's likewise. */
	nvme_command = (struct nvme_entry){ .opcode = 8, .nsid = 1 };
	nvme_submit(2);
	assert_int_equal(nvme_host->later_count, 1);
	nvme_put(NVME_CC, 0x460000);
	assert_int_equal(nvme_host->later_count, 0);
	assert_int_equal(nvme_get(NVME_CSTS), 0);
}

/* A completion queue that is full: the rest waits for room. */
static void test_full(void **state)
{
	(void)state;
	nvme_driver_queue(1, 16, 4);
	for (unsigned i = 0; i < 10; i++) {
		nvme_command = (struct nvme_entry){ .opcode = 2, .nsid = 1, .id = (uint16_t)i,
			.prp1 = NVME_DATA };
		nvme_submit(1);
	}
	assert_int_equal(nvme_cq_tail(1), 3);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(nvme_reap(1), 0);
		assert_int_equal(nvme_last.id, i);
	}
	assert_int_equal(nvme_last.head, 10);
	assert_int_equal(nvme_reap(1), -1);
}

static void test_interrupts(void **state)
{
	unsigned was;

	(void)state;
	/* By the pin: until the driver has seen all, and not while it is masked. */
	assert_true(nvme_host->line[0] == false);
	nvme_command = (struct nvme_entry){ .opcode = 10, .word = { 7 } };
	nvme_submit(0);
	assert_true(nvme_host->line[0]);
	nvme_put(0xc, 1);
	assert_false(nvme_host->line[0]);
	nvme_put(0x10, 1);
	assert_true(nvme_host->line[0]);
	assert_int_equal(nvme_reap(0), 0);
	assert_false(nvme_host->line[0]);
	nvme_command = (struct nvme_entry){ .opcode = 10, .word = { 7 } };
	nvme_submit(0);
	nvme_put(NVME_CC, 0x460000);
	assert_false(nvme_host->line[0]);
	nvme_driver_start();
	/* By messages, one for each look. */
	nvme_msix(true);
	was = nvme_host->message_count;
	nvme_driver_queue(2, 8, 8);
	assert_int_equal(nvme_host->message_count, was + 2);
	for (unsigned i = 0; i < 4; i++) {
		nvme_command = (struct nvme_entry){ .opcode = 2, .nsid = 1, .prp1 = NVME_DATA };
		nvme_enter(2);
	}
	nvme_ring(2);
	assert_int_equal(nvme_host->message_count, was + 3);
	assert_int_equal(nvme_host->message[was + 2].data, 0x42);
	assert_false(nvme_host->line[0]);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(nvme_reap(2), 0);
}

static void wait_event(uint16_t id)
{
	nvme_command = (struct nvme_entry){ .opcode = 12, .id = id };
	nvme_submit(0);
}

static void test_events(void **state)
{
	const uint8_t *log = nvme_host->memory + NVME_DATA;

	(void)state;
	for (uint16_t i = 0; i < 4; i++)
		wait_event((uint16_t)(0x100 + i));
	assert_int_equal(nvme_reap(0), -1);
	wait_event(0x200);
	assert_int_equal(nvme_reap(0), 0x4105);
	nvme_bell(2 * 3, 1);					/* no such queue */
	vdev_host_work(nvme_host);
	assert_int_equal(nvme_reap(0), 0);
	assert_int_equal(nvme_last.id, 0x100);
	assert_int_equal(nvme_last.result, 0x010000);
	nvme_bell(1, 999);					/* no such place */
	vdev_host_work(nvme_host);
	assert_int_equal(nvme_reap(0), -1);			/* its log was not read */
	assert_int_equal(nvme_log(1, 256, 0), 0);
	assert_int_equal(log[0], 3);
	assert_int_equal(log[8], 0);
	assert_int_equal(log[64 + 8], 3);
	assert_int_equal(log[128], 1);
	vdev_host_work(nvme_host);
	assert_int_equal(nvme_reap(0), 0);
	assert_int_equal(nvme_last.id, 0x101);
	assert_int_equal(nvme_last.result, 0x010100);
	/* Too warm, once that is asked for. */
	assert_int_equal(nvme_feature(9, 4, 300), 0);
	vdev_host_work(nvme_host);
	assert_int_equal(nvme_reap(0), -1);
	assert_int_equal(nvme_feature(9, 11, 2), 0);
	assert_int_equal(nvme_feature(9, 4, 301), 0);
	vdev_host_work(nvme_host);
	assert_int_equal(nvme_reap(0), 0);
	assert_int_equal(nvme_last.result, 0x020101);
	assert_int_equal(nvme_log(2, 512, 0), 0);
	assert_int_equal(log[0], 2);
	nvme_bell(2 * 900, 1);
	assert_int_equal(nvme_get(NVME_CSTS), 1);
}

static void test_logs(void **state)
{
	const uint8_t *log = nvme_host->memory + NVME_DATA;

	(void)state;
	nvme_driver_queue(1, 8, 8);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(nvme_io(2, 0, 64), 0);
	assert_int_equal(nvme_io(1, 0, 8), 0);
	assert_int_equal(nvme_io(1, 64, 1), 0x4080);
	assert_int_equal(nvme_log(2, 512, 0), 0);
	assert_int_equal(log[1] | log[2] << 8, 303);
	assert_int_equal(log[32], 1);
	assert_int_equal(log[48], 1);
	assert_int_equal(log[64], 3);
	assert_int_equal(log[80], 1);
	assert_int_equal(log[176], 1);
	assert_int_equal(nvme_log(1, 64, 0), 0);
	assert_int_equal(log[8], 1);
	assert_int_equal(log[12] | log[13] << 8, 0x8100);
	assert_int_equal(log[16], 64);
	assert_int_equal(nvme_log(3, 512, 0), 0);
	assert_memory_equal(log + 8, "1.0     ", 8);
	assert_int_equal(nvme_log(2, 4, 176), 0);
	assert_int_equal(log[0], 1);
	assert_int_equal(nvme_log(2, 4096, 512), 0);		/* nothing is left */
	assert_int_equal(nvme_log(2, 4, 513), 0x4002);
	assert_int_equal(nvme_log(2, 4, 516), 0x4002);
	assert_int_equal(nvme_log(6, 4, 0), 0x4109);
	assert_int_equal(nvme_log(0, 4, 0), 0x4109);
	nvme_command = (struct nvme_entry){ .opcode = 0x10 };	/* firmware, formatting */
	assert_int_equal(nvme_admin(), 0x4001);
	nvme_command = (struct nvme_entry){ .opcode = 0x80, .nsid = 1 };
	assert_int_equal(nvme_admin(), 0x4001);
	nvme_command = (struct nvme_entry){ .opcode = 8, .word = { 1 } };
	assert_int_equal(nvme_admin(), 0);
	assert_int_equal(nvme_last.result, 1);
}

/* The driver writes to memory, and to registers only where it goes past what is told. */
static void test_shadow(void **state)
{
	unsigned rung = 0;

	(void)state;
	nvme_command = (struct nvme_entry){ .opcode = 0x7c, .prp1 = NVME_SHADOW,
		.prp2 = NVME_SHADOW + 0x1000 };
	assert_int_equal(nvme_admin(), 0x4002);			/* with the pin: no */
	nvme_msix(true);
	nvme_command = (struct nvme_entry){ .opcode = 0x7c, .prp1 = NVME_SHADOW + 4,
		.prp2 = NVME_SHADOW + 0x1000 };
	assert_int_equal(nvme_admin(), 0x4002);
	nvme_command = (struct nvme_entry){ .opcode = 0x7c, .prp1 = NVME_SHADOW,
		.prp2 = NVME_SHADOW + 0x1000 };
	assert_int_equal(nvme_admin(), 0);
	nvme_driver_queue(1, 16, 4);
	nvme_shadow = true;
	vdev_host_work(nvme_host);
	for (unsigned i = 0; i < 100; i++) {
		unsigned before = nvme_bells;

		nvme_command = (struct nvme_entry){ .opcode = 2, .nsid = 1, .id = (uint16_t)i,
			.prp1 = NVME_DATA };
		nvme_submit(1);
		assert_int_equal(nvme_bells, before + 1);	/* it is told of each */
		before = nvme_bells;
		assert_int_equal(nvme_reap(1), 0);
		assert_int_equal(nvme_last.id, i);
		rung += nvme_bells - before;
	}
	assert_in_range(rung, 0, 26);				/* of completions once a round */
	/* More than there is room for: then it is told. */
	for (unsigned i = 0; i < 10; i++) {
		nvme_command = (struct nvme_entry){ .opcode = 2, .nsid = 1, .id = (uint16_t)i,
			.prp1 = NVME_DATA };
		nvme_submit(1);
	}
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(nvme_reap(1), 0);
		assert_int_equal(nvme_last.id, i);
	}
	assert_int_equal(nvme_reap(1), -1);
	/* What is no place there is not looked at. */
	nvme_put32(NVME_SHADOW + 8, 4000);
	nvme_driver_ring_register(1);
	assert_int_equal(nvme_reap(1), -1);
	assert_int_equal(nvme_get(NVME_CSTS), 1);
	/* Memory that is none ends the controller. */
	nvme_command = (struct nvme_entry){ .opcode = 0x7c, .prp1 = 0xffff0000,
		.prp2 = 0xffff1000 };
	nvme_shadow = false;
	assert_int_equal(nvme_admin(), 0);
	vdev_host_work(nvme_host);
	assert_int_equal(nvme_get(NVME_CSTS), 3);
}

/* Not a master, interrupted, out of reach: nothing is lost. */
static void test_waits(void **state)
{
	(void)state;
	nvme_driver_queue(1, 8, 8);
	nvme_config_put(4, 2, 3);
	nvme_command = (struct nvme_entry){ .opcode = 2, .nsid = 1, .prp1 = NVME_DATA };
	nvme_submit(1);
	assert_int_equal(nvme_reap(1), -1);
	nvme_config_put(4, 2, 7);
	assert_int_equal(nvme_reap(1), 0);
	for (unsigned n = 1; n < 8; n++) {
		static const uint8_t opcodes[] = { 2, 9, 8 };

		for (unsigned i = 0; i < 3; i++) {
			range(0, 0, 1);
			nvme_command = (struct nvme_entry){ .opcode = opcodes[i], .nsid = 1,
				.prp1 = NVME_DATA + 0xf80, .prp2 = NVME_DATA + 0x1000,
				.id = (uint16_t)n, .word = { 0, i == 1 ? 4 : 0 } };
			nvme_host->mem_interrupt = n;
			nvme_submit(1);
			for (unsigned k = 0; k < 10; k++)
				vdev_host_advance(nvme_host, 10000000), vdev_host_work(nvme_host);
			nvme_host->mem_interrupt = 0;
			assert_int_equal(nvme_reap(1), 0);
			assert_int_equal(nvme_last.id, n);
			assert_int_equal(nvme_reap(1), -1);
		}
	}
	/* A command that must not be done twice. */
	for (unsigned n = 1; n < 4; n++) {
		nvme_host->mem_interrupt = n;
		nvme_command = (struct nvme_entry){ .opcode = 5, .prp1 = 0x4000,
			.word = { 2 | 7 << 16, 1 } };
		nvme_submit(0);
		for (unsigned k = 0; k < 6; k++)
			vdev_host_advance(nvme_host, 10000000), vdev_host_work(nvme_host);
		assert_int_equal(nvme_reap(0), 0);
		assert_int_equal(nvme_delete(4, 2), 0);
	}
}

/* An answer that could not be written is written after a load; so is all that is kept. */
static void test_save(void **state)
{
	struct vdev *root, *fresh;

	(void)state;
	assert_int_equal(vpci_create(NULL, &root) | nvme_driver_create(4, &fresh), 0);
	vdev_host_attach(root);
	vdev_host_attach(fresh);
	assert_int_equal(vpci_attach(root, 0, 4, 0, vnvme_function(fresh)), 0);
	check_save_load(nvme_dev, fresh);
	nvme_driver_queue(1, 8, 8);
	nvme_driver_queue(3, 8, 4);
	wait_event(7);
	assert_int_equal(nvme_feature(9, 4, 0x100000 | 200), 0);
	for (unsigned i = 0; i < 6; i++) {
		nvme_command = (struct nvme_entry){ .opcode = 2, .nsid = 1, .prp1 = NVME_DATA };
		nvme_submit(3);
	}
	nvme_host->disk_error = -EAGAIN;
	nvme_command = (struct nvme_entry){ .opcode = 8, .nsid = 1, .id = 9 };
	nvme_submit(1);
	nvme_host->disk_error = 0;
	nvme_host->mem_interrupt = 2;
	nvme_command = (struct nvme_entry){ .opcode = 10, .word = { 7 } };
	nvme_submit(0);
	nvme_host->mem_interrupt = 0;
	nvme_host->deadline[0] = ~0ul;
	check_save_load(nvme_dev, fresh);
	/* The other one goes on where this one stood. */
	memcpy(vdev_host_of(fresh)->memory, nvme_host->memory, VDEV_HOST_MEMORY);
	memcpy(vdev_host_of(fresh)->disk, nvme_host->disk, VDEV_HOST_DISK);
	nvme_driver_switch(fresh, root);
	vdev_host_work(nvme_host);
	assert_int_equal(nvme_reap(1), 0);
	assert_int_equal(nvme_last.id, 9);
	assert_int_equal(nvme_reap(0), 0);
	assert_int_equal(nvme_last.result, 0x30003);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(nvme_reap(3), 0);
	assert_int_equal(nvme_reap(3), -1);
	/* CC, CSTS, AQA, a setting, events, a count. */
	check_refused(nvme_dev, 3, 0xff);
	check_refused(nvme_dev, 4, 0);
	check_refused(nvme_dev, 11, 0xff);
	check_refused(nvme_dev, 36, 1);
	check_refused(nvme_dev, 88, 5);
	check_refused(nvme_dev, 98, 0xff);
	nvme_driver_switch_back();
}

int main(void)
{
#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_registers), TEST(test_states), TEST(test_identify),
		cmocka_unit_test_setup_teardown(test_read_only, setup_read_only, teardown),
		TEST(test_queues), TEST(test_two_queues_at_least),
		TEST(test_features), TEST(test_transfers), TEST(test_pages),
		TEST(test_ranges), TEST(test_later), TEST(test_full), TEST(test_interrupts),
		TEST(test_events), TEST(test_logs), TEST(test_shadow), TEST(test_waits),
		TEST(test_save),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
