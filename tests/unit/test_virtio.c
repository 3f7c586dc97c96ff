/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/virtio/virtio.c vdev/virtio/virtio_ring.c vdev/virtio/virtio_split.c
 * vdev/virtio/virtio_packed.c vdev/virtio/virtio_blk.c vdev/virtio/virtio_rng.c lib/record.c
 * tests/host/vdev_host.c */
/*
 * Virtio's core in both formats, with and without indirect tables and the event index, by the block
 * device: requests in every framing, when the driver is told, rings that are bent, what a driver
 * may negotiate, resets, saved state.
 */
#include "vdev_test.h"
#include "virtio_driver.h"
#include "vdev/virtio/virtio_blk.h"
#include "vdev/virtio/virtio_rng.h"

#define VERSION		BIT(VIRTIO_VERSION_1)
#define BUFFER		0xc000u
#define SECTORS		(VDEV_HOST_DISK / 512)

enum { IN, OUT, FLUSH = 4, GET_ID = 8, DISCARD = 11, ZEROES = 13 };

static struct virtio *v;
static struct vdev_host *h;
static struct driver d;

/* What is negotiated: each bit of `format` is one. */
static bool is_packed(unsigned format)
{
	return format & 1;
}

static uint64_t features_of(unsigned format)
{
	return VERSION | BIT(9) | BIT(13) | BIT(14) | BIT(VIRTIO_RING_RESET) |
	       (is_packed(format) ? BIT(VIRTIO_PACKED) : 0) |
	       (format & 2 ? BIT(VIRTIO_EVENT_IDX) : 0) | (format & 4 ? BIT(VIRTIO_INDIRECT) : 0);
}

static struct virtio *create(void)
{
	struct virtio *made;

	assert_int_equal(virtio_blk_create(2, &made), 0);
	return made;
}

static void begin(unsigned format, unsigned size)
{
	v = create();
	h = driver_attach(v);
	for (unsigned i = 0; i < VDEV_HOST_DISK; i++)
		h->disk[i] = (uint8_t)(i * 5 + i / 512);
	assert_true(driver_negotiate(v, features_of(format)));
	assert_true(driver_queue(&d, v, 0, size));
	driver_start(v);
}

static void end(void)
{
	vdev_host_detach(h);
}

static uint32_t seed = 1;

static uint32_t any(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

/* Cuts [at, at+size) into parts; their number. Some are empty. */
static unsigned split(struct driver_part *p, uint64_t at, uint32_t size, unsigned most, bool write)
{
	unsigned n = 0;

	while (size || !n) {
		uint32_t part = n + 1 >= most || !any(3) ? size : any(size + 1);

		p[n++] = (struct driver_part){ at, part, write };
		at += part;
		size -= part;
	}
	return n;
}

static void header(uint64_t at, uint32_t type, uint64_t sector)
{
	put32(&d, at, type);
	put32(&d, at + 4, 0);
	put64(&d, at + 8, sector);
}

/* A read or write of `n` bytes; header, data and status lie one behind the other at `at`. */
static uint16_t submit(uint64_t at, uint32_t type, uint64_t sector, uint32_t n, bool indirect)
{
	struct driver_part p[12];
	unsigned count;

	header(at, type, sector);
	h->memory[at + 16 + n] = 0xee;
	if (type == IN || type == GET_ID) {
		count = split(p, at, 16, 3, false);
		count += split(p + count, at + 16, n + 1, 5, true);
	} else {
		count = split(p, at, 16 + n, 5, false);
		count += split(p + count, at + 16 + n, 1, 2, true);
	}
	return driver_add(&d, p, count, indirect);
}

/* One request to its end; its status. */
static int request(uint32_t type, uint64_t sector, uint32_t n, uint32_t *written)
{
	uint16_t id = submit(BUFFER, type, sector, n, virtio_has(v, VIRTIO_INDIRECT) && any(2));
	uint16_t got;

	virtio_kick(v, 0);
	assert_true(driver_take(&d, &got, written));
	assert_int_equal(got, id);
	return h->memory[BUFFER + 16 + n];
}

/* Reads and writes of all framings against a model, several at once. */
static void traffic(unsigned format)
{
	static uint8_t model[VDEV_HOST_DISK];
	uint32_t written;
	uint16_t id;

	begin(format, 64);
	memcpy(model, h->disk, sizeof(model));
	for (unsigned round = 0; round < 1500; round++) {
		unsigned n = 1 + any(3), type[3], sector[3], size[3];

		for (unsigned i = 0; i < n; i++) {
			uint64_t at = BUFFER + i * 0x1400;

			type[i] = any(2);
			size[i] = 512 * any(5);
			sector[i] = any(SECTORS - 4);
			for (unsigned j = 0; j < size[i]; j++)
				h->memory[at + 16 + j] = (uint8_t)any(256);
			submit(at, type[i], sector[i], size[i], format & 4 && any(2));
		}
		if (any(4))
			virtio_kick(v, 0);
		else
			virtio_kick(v, VIRTIO_ALL_QUEUES);
		for (unsigned i = 0; i < n; i++) {
			uint64_t at = BUFFER + i * 0x1400;

			assert_true(driver_take(&d, &id, &written));
			assert_int_equal(h->memory[at + 16 + size[i]], 0);
			assert_int_equal(written, type[i] == IN ? size[i] + 1 : 1);
			if (type[i] == OUT)
				memcpy(model + sector[i] * 512, h->memory + at + 16, size[i]);
			else
				assert_memory_equal(model + sector[i] * 512, h->memory + at + 16,
						    size[i]);
		}
		assert_false(driver_take(&d, &id, &written));
	}
	assert_memory_equal(model, h->disk, sizeof(model));
	end();
}

/* The driver hears of what it waits for alone; it is asked for the kicks that it must make. */
static void told(unsigned format)
{
	uint32_t written;
	uint16_t id;

	begin(format, 8);
	if (!(format & 2)) {
		request(FLUSH, 0, 0, &written);
		assert_int_equal(virtio_test.interrupts, 1);
		put16(&d, driver_ring(&d) + (is_packed(format) ? 2 : 0), 1);
		request(FLUSH, 0, 0, &written);
		assert_int_equal(virtio_test.interrupts, 1);
		end();
		return;
	}
	for (unsigned round = 0; round < 300; round++) {
		unsigned n = 1 + any(4), want = any(4), before = virtio_test.interrupts;

		driver_want(&d, want);
		for (unsigned i = 0; i < n; i++)
			submit(BUFFER + i * 64, FLUSH, 0, 0, true);
		assert_true(driver_must_kick(&d, (uint16_t)n));
		virtio_kick(v, 0);
		assert_int_equal(virtio_test.interrupts - before, want < n);
		for (unsigned i = 0; i < n; i++)
			assert_true(driver_take(&d, &id, &written));
	}
	end();
}

static void each_format(void (*test)(unsigned format))
{
	for (unsigned format = 0; format < 8; format++)
		test(format);
}

static void traffics(void **state)
{
	(void)state;
	each_format(traffic);
}

static void told_of_all(void **state)
{
	(void)state;
	for (unsigned format = 4; format < 8; format++)
		told(format);		/* each request takes one slot of the ring */
}

/*
 * Entries of a packed ring whose flags say that they are available, and whose other words come
 * later, as by a driver that fills them while the device reads: the first chain's data are them.
 */
static void half_written(void **state)
{
	struct driver_part p[3] = {
		{ BUFFER, 16, false }, { 0, 512, true }, { BUFFER + 16, 1, true },
	};
	uint32_t written;
	uint16_t id;

	(void)state;
	for (unsigned format = 5; format < 8; format += 2) {
		begin(format, 16);
		header(BUFFER, IN, 5);
		p[1].at = driver_desc(&d) + 16;
		driver_add(&d, p, 3, true);
		for (unsigned i = 1; i < 4; i++)
			submit(BUFFER + 0x400 * i, IN, 0, 512, true);
		memcpy(h->disk + 5 * 512, h->memory + p[1].at, 512);
		for (unsigned i = 1; i < 4; i++)
			put64(&d, driver_desc(&d) + 16 * i, VDEV_HOST_MEMORY);
		virtio_kick(v, 0);
		for (unsigned i = 0; i < 4; i++)
			assert_true(driver_take(&d, &id, &written));
		assert_false(v->status & VIRTIO_NEEDS_RESET);
		end();
	}
}

/* ---- what the block device answers ---- */

static void answers(unsigned format)
{
	uint32_t written;
	struct driver_part p[3];
	uint16_t id;

	begin(format, 16);
	assert_int_equal(request(FLUSH, 0, 0, &written), 0);
	assert_int_equal(h->flushes, 1);
	assert_int_equal(request(IN, SECTORS - 1, 1024, &written), 1);
	assert_int_equal(written, 0);			/* nobody knows what was written */
	assert_int_equal(request(OUT, SECTORS, 512, &written), 1);
	assert_int_equal(request(IN, ~0ul, 512, &written), 1);
	assert_int_equal(request(IN, ~0ul / 512, 512, &written), 1);
	assert_int_equal(request(IN, 0, 511, &written), 1);
	assert_int_equal(request(99, 0, 512, &written), 2);
	assert_int_equal(request(GET_ID, 0, 20, &written), 0);
	assert_int_equal(written, 21);
	assert_memory_equal(h->memory + BUFFER + 16, "test.img\0\0\0\0\0\0\0\0\0\0\0\0", 20);
	assert_int_equal(request(GET_ID, 0, 4, &written), 0);
	assert_int_equal(written, 5);
	assert_int_equal(request(GET_ID, 0, 100, &written), 0);
	assert_int_equal(written, 20);			/* the status is behind a gap */
	h->disk_error = -EIO;
	assert_int_equal(request(IN, 0, 512, &written), 1);
	h->disk_error = -ENOMEM;
	assert_int_equal(request(OUT, 0, 512, &written), 1);
	h->disk_error = 0;
	/* Memory that is not there: the request fails, the ring is all right. */
	header(BUFFER, IN, 0);
	p[0] = (struct driver_part){ BUFFER, 16, false };
	p[1] = (struct driver_part){ VDEV_HOST_MEMORY - 256, 512, true };
	p[2] = (struct driver_part){ BUFFER + 16, 1, true };
	driver_add(&d, p, 3, false);
	virtio_kick(v, 0);
	assert_true(driver_take(&d, &id, &written));
	assert_int_equal(h->memory[BUFFER + 16], 1);
	assert_int_equal(request(IN, 0, 512, &written), 0);
	end();
}

static void range_at(uint64_t at, uint64_t sector, uint32_t sectors, uint32_t flags)
{
	put64(&d, at, sector);
	put32(&d, at + 8, sectors);
	put32(&d, at + 12, flags);
}

static void ranges(unsigned format)
{
	static const struct {
		uint32_t type;
		uint64_t sector;
		uint32_t n, flags;
		int want;
	} row[] = {
		{ DISCARD, 0, 8, 0, 0 }, { DISCARD, 0, 8, 1, 2 }, { DISCARD, 0, 8, 2, 2 },
		{ ZEROES, 0, 8, 0, 0 }, { ZEROES, 3, 1, 1, 0 }, { ZEROES, 0, 8, 2, 2 },
		{ ZEROES, SECTORS, 0, 0, 0 }, { ZEROES, SECTORS - 1, 2, 0, 1 },
		{ DISCARD, ~0ul, 2, 0, 1 }, { DISCARD, 0, 0xffffffff, 0, 1 },
	};
	uint32_t written;

	begin(format, 16);
	for (unsigned i = 0; i < ARRAY_COUNT(row); i++) {
		range_at(BUFFER + 16, row[i].sector, row[i].n, row[i].flags);
		assert_int_equal(request(row[i].type, 0, 16, &written), row[i].want);
		assert_int_equal(written, 1);
	}
	for (unsigned i = 0; i < 8 * 512; i++)
		assert_int_equal(h->disk[i], 0);
	assert_int_equal(request(DISCARD, 0, 32, &written), 1);	/* two segments: one is allowed */
	assert_int_equal(request(DISCARD, 0, 15, &written), 1);
	end();
	v = create();
	h = driver_attach(v);
	h->disk_read_only = true;
	virtio_reset(v);
	assert_true(v->offered & BIT(5));
	assert_false(driver_negotiate(v, VERSION | BIT(13)));
	assert_true(driver_negotiate(v, VERSION | BIT(5)));
	assert_true(driver_queue(&d, v, 0, 16));
	driver_start(v);
	range_at(BUFFER + 16, 0, 1, 0);
	assert_int_equal(request(DISCARD, 0, 16, &written), 1);
	assert_int_equal(request(OUT, 0, 512, &written), 1);
	assert_int_equal(request(IN, 0, 512, &written), 0);
	end();
}

static void block(void **state)
{
	(void)state;
	each_format(answers);
	each_format(ranges);
}

/* ---- later ---- */

/* More than the medium takes at a time; other requests overtake them. */
static void later(unsigned format)
{
	uint32_t written;
	uint16_t id;

	begin(format, 64);
	h->disk_late = true;
	for (unsigned i = 0; i < 6; i++) {
		range_at(BUFFER + 0x100 * i + 16, i, 1, 0);
		submit(BUFFER + 0x100 * i, ZEROES, 0, 16, false);
	}
	virtio_kick(v, 0);
	assert_int_equal(h->later_count, VDEV_HOST_LATER);
	assert_false(driver_take(&d, &id, &written));
	for (unsigned i = 0; i < 6; i++) {
		if (!driver_take(&d, &id, &written)) {
			vdev_host_finish(h);
			assert_true(driver_take(&d, &id, &written));
		}
		assert_int_equal(written, 1);
	}
	assert_false(driver_take(&d, &id, &written));
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(h->memory[BUFFER + 0x100 * i + 32], 0);
	for (unsigned i = 0; i < 6 * 512; i++)
		assert_int_equal(h->disk[i], 0);
	/* A reset waits for them, and nothing is written to the driver's memory then. */
	range_at(BUFFER + 16, 0, 1, 0);
	submit(BUFFER, DISCARD, 0, 16, false);
	virtio_kick(v, 0);
	assert_int_equal(h->later_count, 1);
	virtio_status_write(v, 0);
	assert_int_equal(h->later_count, 0);
	assert_int_equal(h->memory[BUFFER + 32], 0xee);
	assert_int_equal(v->status, 0);
	end();
}

static void laters(void **state)
{
	(void)state;
	each_format(later);
}

/* ---- bent rings ---- */

struct bend {
	const char *what;
	void (*bend)(void);		/* behind a request that was added and not told of */
	unsigned formats;		/* a bit for each that has it: split 1, packed 2 */
};

static uint64_t first_desc(void)
{
	return driver_desc(&d);
}

static void avail_jump(void) { put16(&d, driver_ring(&d) + 2, (uint16_t)(d.avail + d.size)); }
static void avail_back(void) { put16(&d, driver_ring(&d) + 2, (uint16_t)(d.avail - 2)); }
static void head_wild(void) { put16(&d, driver_ring(&d) + 4, (uint16_t)d.size); }
static void next_wild(void) { put16(&d, first_desc() + 14, 0xffff); }
static void desc_loop(void) { put16(&d, first_desc() + 14, 0); }
static void read_behind_write(void)
{
	uint64_t flags = first_desc() + (d.is_packed ? 14 : 12);

	put16(&d, flags, (uint16_t)(get16(&d, flags) | 2));
}

static void to_table(uint32_t size, uint16_t more)
{
	put32(&d, first_desc() + 8, size);
	if (d.is_packed)
		put16(&d, first_desc() + 14, (uint16_t)(0x84 | more));
	else
		put16(&d, first_desc() + 12, (uint16_t)(4 | more));
}

static void table_empty(void) { to_table(0, 0); }
static void table_odd(void) { to_table(24, 0); }
static void table_and_next(void) { to_table(16, 1); }
static void table_gone(void)
{
	put64(&d, first_desc(), VDEV_HOST_MEMORY - 8);
	to_table(32, 0);
}

static void table_nested(void)
{
	struct driver_part p = { BUFFER, 16, false };

	driver_entry(&d, BUFFER, &p, d.is_packed ? 0 : 4, 4);
	if (d.is_packed)		/* INDIRECT means nothing there: too long instead */
		to_table(16 * 257, 0);
	else
		to_table(16, 0);
}

static void table_loop(void)
{
	struct driver_part p = { BUFFER, 16, false };

	driver_entry(&d, BUFFER, &p, 1, 0);
	to_table(16, 0);
}

static void endless(void)
{
	for (unsigned i = 0; i < d.size; i++) {
		struct driver_part p = { BUFFER, 0, false };

		driver_entry(&d, first_desc() + 16 * i, &p, 0, (uint16_t)(0x81));
	}
}

static void no_status(void)
{
	if (d.is_packed)
		put16(&d, first_desc() + 14, 0x80);
	else
		put16(&d, first_desc() + 12, 0);
}

static void status_gone(void)
{
	put64(&d, first_desc() + 16, VDEV_HOST_MEMORY);
}

static void header_gone(void)
{
	put64(&d, first_desc(), ~0ul);
}

static const struct bend bends[] = {
	{ "the index jumps", avail_jump, 1 }, { "the index goes back", avail_back, 1 },
	{ "a head beyond the table", head_wild, 1 }, { "next beyond the table", next_wild, 1 },
	{ "a loop", desc_loop, 1 }, { "readable behind writable", read_behind_write, 3 },
	{ "an empty table", table_empty, 3 }, { "a table of 24 bytes", table_odd, 3 },
	{ "a table with NEXT", table_and_next, 3 }, { "a table that is nowhere", table_gone, 3 },
	{ "a table in a table", table_nested, 3 }, { "a loop in a table", table_loop, 1 },
	{ "a chain without end", endless, 2 }, { "no room for the status", no_status, 3 },
	{ "the status nowhere", status_gone, 3 }, { "the header nowhere", header_gone, 3 },
};

/* Broken until a reset, told once; the reset heals all. */
static void bent(unsigned format)
{
	uint32_t written;

	for (unsigned i = 0; i < ARRAY_COUNT(bends); i++) {
		struct driver_part p[2] = { { BUFFER, 16, false }, { BUFFER + 16, 1, true } };
		struct driver two;
		uint16_t id;

		if (!(bends[i].formats & (is_packed(format) ? 2 : 1)))
			continue;
		begin(format, 16);
		v->queue_select = 1;
		assert_true(driver_queue(&two, v, 1, 16));
		header(BUFFER, FLUSH, 0);
		driver_add(&d, p, 2, false);
		bends[i].bend();
		virtio_kick(v, 0);
		if (v->status != (VIRTIO_NEEDS_RESET | 15))
			print_error("%s: not seen\n", bends[i].what);
		assert_int_equal(v->status, VIRTIO_NEEDS_RESET | 15);
		assert_int_equal(virtio_test.config_interrupts, 1);
		assert_int_equal(h->logged, 1);
		assert_true(v->queue[0].s.broken);
		assert_false(driver_take(&d, &id, &written));
		virtio_kick(v, 0);
		virtio_kick(v, VIRTIO_ALL_QUEUES);
		assert_int_equal(virtio_test.config_interrupts, 1);
		assert_false(driver_take(&d, &id, &written));
		assert_true(driver_negotiate(v, features_of(format)));
		assert_true(driver_queue(&d, v, 0, 16));
		driver_start(v);
		assert_int_equal(request(IN, 0, 512, &written), 0);
		end();
	}
}

static void bent_rings(void **state)
{
	(void)state;
	for (unsigned format = 4; format < 8; format++)
		bent(format);
}

/* A queue whose parts are not memory is bent when it is looked at, not when it is set up. */
static void nowhere(unsigned format)
{
	begin(format, 16);
	virtio_status_write(v, 0);
	assert_true(driver_negotiate(v, features_of(format)));
	v->queue[0].s.size = 16;
	v->queue[0].s.desc = v->queue[0].s.driver = v->queue[0].s.device = 1ul << 40;
	v->queue_select = 0;
	virtio_queue_enable(v);
	assert_true(v->queue[0].s.enabled);
	driver_start(v);
	assert_int_equal(v->status, VIRTIO_NEEDS_RESET | 15);
	end();
}

/* Abandoned accesses and short memory: nothing is lost, and it is tried again after a while. */
static void interrupted(unsigned format)
{
	uint32_t written;

	begin(format, 16);
	for (unsigned n = 1; n < 24; n++) {
		uint16_t id, got;

		id = submit(BUFFER, IN, n, 512, false);
		h->mem_interrupt = n;
		virtio_kick(v, 0);
		for (unsigned i = 0; i < 64 && h->mem_interrupt; i++) {
			vdev_host_advance(h, 10000000);
			vdev_host_work(h);
		}
		vdev_host_advance(h, 10000000);
		vdev_host_work(h);
		assert_true(driver_take(&d, &got, &written));
		assert_int_equal(got, id);
		assert_int_equal(written, 513);
		assert_memory_equal(h->memory + BUFFER + 16, h->disk + n * 512, 512);
		assert_false(driver_take(&d, &got, &written));
	}
	assert_int_equal(v->status, 15);
	end();
}

static void memory(void **state)
{
	(void)state;
	each_format(nowhere);
	each_format(interrupted);
}

/* More than an exit may do is the work's. */
static void budget(unsigned format)
{
	unsigned taken = 0;
	uint32_t written;
	uint16_t id;

	begin(format, 256);
	for (unsigned i = 0; i < 60; i++) {
		struct driver_part p[4] = {
			{ BUFFER, 16, false }, { 0x4000, 16384, true }, { 0x4000, 16384, true },
			{ BUFFER + 16, 1, true },
		};

		header(BUFFER, IN, 0);
		driver_add(&d, p, 4, false);
	}
	virtio_kick(v, 0);
	while (driver_take(&d, &id, &written))
		taken++;
	assert_in_range(taken, 20, 40);
	assert_int_equal(h->work_queued, 1);
	vdev_host_work(h);
	while (driver_take(&d, &id, &written))
		taken++;
	assert_int_equal(taken, 60);
	end();
}

static void budgets(void **state)
{
	(void)state;
	each_format(budget);
}

/* ---- negotiation and registers ---- */

static void negotiation(void **state)
{
	(void)state;
	v = create();
	h = driver_attach(v);
	assert_false(driver_negotiate(v, 0));			/* modern alone */
	assert_false(driver_negotiate(v, VERSION | BIT(50)));
	assert_false(driver_negotiate(v, VERSION | BIT(11)));	/* CONFIG_WCE wants FLUSH */
	assert_true(driver_negotiate(v, VERSION | BIT(11) | BIT(9)));
	virtio_features_write(v, 0);				/* frozen */
	assert_true(virtio_has(v, VIRTIO_VERSION_1));
	v->driver_select = v->device_select = 2;
	virtio_features_write(v, ~0u);
	assert_int_equal(virtio_features_read(v, false), 0);
	assert_int_equal(virtio_features_read(v, true), 0);
	v->device_select = 1;
	assert_true(virtio_features_read(v, false) & 1);
	/* Bits only come, but by 0; DRIVER_OK wants FEATURES_OK; NEEDS_RESET is the device's. */
	virtio_status_write(v, VIRTIO_ACKNOWLEDGE);
	assert_int_equal(v->status, 11);
	virtio_status_write(v, 0xff);
	assert_int_equal(v->status, 15 | VIRTIO_FAILED);
	virtio_status_write(v, 0);
	virtio_status_write(v, VIRTIO_DRIVER_OK);
	assert_int_equal(v->status, 0);
	end();
}

static void enabling(void **state)
{
	struct virtio_queue *q;

	(void)state;
	v = create();
	h = driver_attach(v);
	q = &v->queue[0];
	virtio_queue_enable(v);
	assert_false(q->s.enabled);				/* before FEATURES_OK */
	assert_true(driver_negotiate(v, VERSION | BIT(VIRTIO_RING_RESET)));
	q->s.desc = 0x1000;
	q->s.driver = 0x2000;
	q->s.device = 0x3000;
	for (unsigned size = 0; size < 600; size++) {
		q->s.size = (uint16_t)size;
		q->s.enabled = false;
		virtio_queue_enable(v);
		assert_int_equal(q->s.enabled, size && size <= 256 && !(size & (size - 1)));
	}
	q->s.enabled = false;
	q->s.size = 16;
	q->s.desc = 0x1008;
	virtio_queue_enable(v);
	assert_false(q->s.enabled);
	q->s.desc = 0x1000;
	q->s.driver = 0x2001;
	virtio_queue_enable(v);
	assert_false(q->s.enabled);
	q->s.driver = 0x2000;
	virtio_queue_enable(v);
	assert_true(q->s.enabled);
	v->queue_select = 0xffff;
	assert_null(virtio_selected(v));
	virtio_queue_enable(v);
	virtio_queue_reset(v);
	virtio_kick(v, 77);
	v->queue_select = 0;
	virtio_queue_reset(v);
	assert_false(q->s.enabled);
	assert_int_equal(q->s.size, VIRTIO_QUEUE_SIZE);
	end();
}

/* One queue alone is reset and used again, by a driver that is up. */
static void queue_reset(unsigned format)
{
	uint32_t written;
	uint16_t id;

	begin(format, 16);
	assert_int_equal(request(IN, 0, 512, &written), 0);
	h->disk_late = true;
	range_at(BUFFER + 16, 0, 1, 0);
	submit(BUFFER, DISCARD, 0, 16, false);
	virtio_kick(v, 0);
	v->queue_select = 0;
	virtio_queue_reset(v);
	assert_int_equal(h->later_count, 0);
	assert_false(v->queue[0].s.enabled);
	assert_false(driver_take(&d, &id, &written));
	assert_true(driver_queue(&d, v, 0, 32));
	assert_int_equal(request(IN, 0, 512, &written), 0);
	end();
}

static void queue_resets(void **state)
{
	(void)state;
	each_format(queue_reset);
}

/* What waits for DRIVER_OK is looked at then. */
static void early(unsigned format)
{
	uint32_t written;
	uint16_t id;

	begin(format, 16);
	assert_true(driver_negotiate(v, features_of(format)));
	assert_true(driver_queue(&d, v, 0, 16));
	submit(BUFFER, FLUSH, 0, 0, false);
	virtio_kick(v, 0);
	assert_false(driver_take(&d, &id, &written));
	driver_start(v);
	assert_true(driver_take(&d, &id, &written));
	submit(BUFFER, FLUSH, 0, 0, false);
	virtio_test.no_dma = true;
	virtio_kick(v, 0);
	assert_false(driver_take(&d, &id, &written));
	virtio_test.no_dma = false;
	virtio_kick(v, VIRTIO_ALL_QUEUES);
	assert_true(driver_take(&d, &id, &written));
	end();
}

static void early_kicks(void **state)
{
	(void)state;
	each_format(early);
}

static void config(void **state)
{
	(void)state;
	begin(0, 16);
	assert_int_equal(virtio_config_read(v, 0, 8), SECTORS);
	assert_int_equal(virtio_config_read(v, 20, 4), 512);
	assert_int_equal(virtio_config_read(v, 34, 2), 2);
	assert_int_equal(virtio_config_read(v, 59, 8), 0);
	assert_int_equal(virtio_config_read(v, ~0ul - 3, 8), 0);
	virtio_config_write(v, 0, 8, 77);
	assert_int_equal(virtio_config_read(v, 0, 8), SECTORS);
	virtio_config_write(v, 32, 1, 0xfe);
	assert_int_equal(virtio_config_read(v, 32, 1), 0);
	virtio_config_write(v, 63, 8, ~0ul);
	virtio_reset(v);
	assert_int_equal(virtio_config_read(v, 32, 1), 1);
	end();
}

/* ---- saved state ---- */

static void saved(unsigned format)
{
	static uint8_t memory[VDEV_HOST_MEMORY], disk[VDEV_HOST_DISK];
	static uint8_t bytes[4096];
	struct vdev_host *old;
	uint32_t written;
	struct virtio *fresh;
	uint16_t id;
	size_t n;

	begin(format, 16);
	for (unsigned i = 0; i < 21; i++)
		assert_int_equal(request(IN, i, 512, &written), 0);
	fresh = create();
	driver_attach(fresh);
	check_save_load(&v->dev, &fresh->dev);
	vdev_host_detach(fresh->dev.host);
	/* A request that was not told of when it was saved is found by the loaded one. */
	submit(BUFFER, OUT, 9, 512, false);
	memset(h->memory + BUFFER + 16, 0x77, 512);
	n = vdev_host_save(&v->dev, bytes, sizeof(bytes));
	memcpy(memory, h->memory, sizeof(memory));
	memcpy(disk, h->disk, sizeof(disk));
	old = h;
	v = create();
	h = driver_attach(v);
	memcpy(h->memory, memory, sizeof(memory));
	memcpy(h->disk, disk, sizeof(disk));
	assert_int_equal(vdev_host_load(&v->dev, bytes, n, 1), 0);
	vdev_host_work(h);
	d.v = v;
	d.memory = h->memory;
	assert_true(driver_take(&d, &id, &written));
	assert_int_equal(h->disk[9 * 512 + 100], 0x77);
	assert_int_equal(request(IN, 9, 512, &written), 0);
	vdev_host_detach(old);
	end();
}

static void states(void **state)
{
	(void)state;
	each_format(saved);
	/* Bytes that no device has; see virtio_save(). */
	begin(0, 16);
	check_refused(&v->dev, 0, 0x1f);
	check_refused(&v->dev, 0, 0x04);
	check_refused(&v->dev, 1, 1);				/* of the older interface, too */
	check_refused(&v->dev, 14, 0xff);			/* features that are not offered */
	check_refused(&v->dev, 22, 0xff);			/* capacity */
	check_refused(&v->dev, 82, 2);
	check_refused(&v->dev, 83, 1);				/* broken without NEEDS_RESET */
	check_refused(&v->dev, 84, 1);				/* wraps of a split queue */
	check_refused(&v->dev, 86, 17);
	check_refused(&v->dev, 87, 2);
	check_refused(&v->dev, 94, 17);				/* pushed */
	check_refused(&v->dev, 96, 1);				/* desc */
	end();
}

/* ---- entropy ---- */

static void entropy(unsigned format)
{
	struct driver_part p[3] = {
		{ BUFFER, 8, false }, { BUFFER + 64, 300, true }, { BUFFER + 1024, 700, true },
	};
	uint32_t written;
	uint16_t id;

	assert_int_equal(virtio_rng_create(&v), 0);
	h = driver_attach(v);
	assert_true(driver_negotiate(v, features_of(format) & v->offered));
	assert_true(driver_queue(&d, v, 0, 8));
	driver_start(v);
	driver_add(&d, p, 3, format & 4);
	virtio_kick(v, 0);
	assert_true(driver_take(&d, &id, &written));
	assert_int_equal(written, 1000);
	assert_int_equal(h->memory[BUFFER + 64], 1);
	assert_int_equal(h->memory[BUFFER + 64 + 299], (uint8_t)300);
	assert_int_equal(h->memory[BUFFER + 64 + 300], 0);
	assert_int_equal(h->memory[BUFFER + 1024 + 699], (uint8_t)1000);
	assert_int_equal(h->memory[BUFFER + 1024 + 700], 0);
	driver_add(&d, p, 1, false);				/* nothing to fill */
	virtio_kick(v, 0);
	assert_true(driver_take(&d, &id, &written));
	assert_int_equal(written, 0);
	p[1] = (struct driver_part){ 0x4000, 0xb000, true };
	driver_add(&d, p + 1, 1, false);
	virtio_kick(v, 0);
	assert_true(driver_take(&d, &id, &written));
	assert_int_equal(written, 4096);
	p[1].at = VDEV_HOST_MEMORY - 10;
	driver_add(&d, p + 1, 1, false);
	virtio_kick(v, 0);
	assert_false(driver_take(&d, &id, &written));
	assert_true(v->status & VIRTIO_NEEDS_RESET);
	end();
}

static void random_bytes(void **state)
{
	(void)state;
	each_format(entropy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(traffics), cmocka_unit_test(told_of_all),
		cmocka_unit_test(half_written), cmocka_unit_test(block),
		cmocka_unit_test(laters), cmocka_unit_test(bent_rings), cmocka_unit_test(memory),
		cmocka_unit_test(budgets), cmocka_unit_test(negotiation),
		cmocka_unit_test(enabling), cmocka_unit_test(queue_resets),
		cmocka_unit_test(early_kicks), cmocka_unit_test(config), cmocka_unit_test(states),
		cmocka_unit_test(random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
