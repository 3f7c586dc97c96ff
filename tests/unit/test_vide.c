/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vide*.c vdev/vata*.c vdev/vpci*.c lib/record.c tests/host/vdev_host.c */
/*
 * vdev/vide as a driver sees it: its ports, transfers by PIO of all kinds and by the bus master
 * with tables of any shape, packets by both, resets under way, what it refuses, its saved form in
 * the middle of all that.
 */
#include "tests/host/vdev_test.h"

#include "include/bits.h"
#include "vdev/vide.h"
#include "vdev/vpci.h"

#define DEVFN		(31 << 3 | 1)
#define TABLE		0x1000u
#define DATA		0x4000u
#define SAVED		32768u

enum { FEATURES = 1, COUNT, LBA, DEVICE = 6, COMMAND };
enum { READY = 0x50, DRQ = 0x58, FAILED = 0x51, BUSY = 0x80 };

static struct vdev *bus, *d;
static struct vdev_host *b, *h;
static bool optical;

static void make(struct vdev **root, struct vdev **ide)
{
	assert_int_equal(vpci_create(NULL, root) | vide_create(ide), 0);
	vdev_host_attach(*root);
	vdev_host_attach(*ide);
	vdev_host_of(*ide)->disk_optical = optical;
	(*ide)->ops->reset(*ide);
	assert_int_equal(vpci_attach(*root, 0, 31, 1, vide_function(*ide)), 0);
}

static void config(unsigned reg, unsigned size, uint64_t v)
{
	vdev_host_write(bus, VPCI_ECAM, DEVFN << 12 | reg, size, v);
}

static int setup_kind(bool disc)
{
	optical = disc;
	make(&bus, &d);
	b = bus->host;
	h = d->host;
	for (unsigned i = 0; i < VDEV_HOST_DISK; i++)
		h->disk[i] = (uint8_t)(i / 512 + i);
	config(4, 2, 5);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_kind(false);
}

static int setup_disc(void **state)
{
	(void)state;
	return setup_kind(true);
}

static int teardown(void **state)
{
	(void)state;
	vdev_host_detach(h);
	vdev_host_detach(b);
	return 0;
}

/* ---- a driver ---- */

static uint8_t get(unsigned reg)
{
	return in8(d, VIDE_COMMAND, reg);
}

static void put(unsigned reg, uint8_t v)
{
	out8(d, VIDE_COMMAND, reg, v);
}

static uint8_t status(void)
{
	return in8(d, VIDE_CONTROL, 0);
}

/* With 28 bits; what came of it, the work done. */
static uint8_t issue(uint8_t command, uint32_t lba, uint8_t count)
{
	put(DEVICE, (uint8_t)(0xe0 | lba >> 24));
	put(COUNT, count);
	for (unsigned i = 0; i < 3; i++)
		put(LBA + i, (uint8_t)(lba >> 8 * i));
	put(COMMAND, command);
	vdev_host_work(h);
	return status();
}

/* And with 48. */
static uint8_t issue_wide(uint8_t command, uint64_t lba, uint16_t count)
{
	put(COUNT, (uint8_t)(count >> 8));
	for (unsigned i = 0; i < 3; i++)
		put(LBA + i, (uint8_t)(lba >> (24 + 8 * i)));
	return issue(command, (uint32_t)lba & 0xffffff, (uint8_t)count);
}

/* Each block has its interrupt, but for the first one that is written. */
static void read_data(uint8_t *to, unsigned bytes, unsigned block)
{
	for (unsigned i = 0; i < bytes; i += 2) {
		uint16_t v;

		if (!(i % block)) {
			vdev_host_work(h);
			assert_int_equal(status(), DRQ);
			assert_true(h->line[0]);
			assert_int_equal(get(COMMAND), DRQ);
			assert_false(h->line[0]);
		}
		v = (uint16_t)vdev_host_read(d, VIDE_COMMAND, 0, 2);
		memcpy(to + i, &v, 2);
	}
}

static void write_data(const uint8_t *from, unsigned bytes, unsigned block)
{
	for (unsigned i = 0; i < bytes; i += 4) {
		uint32_t v;

		if (!(i % block)) {
			vdev_host_work(h);
			assert_int_equal(h->line[0], i != 0);
			assert_int_equal(get(COMMAND), DRQ);
		}
		memcpy(&v, from + i, 4);
		vdev_host_write(d, VIDE_COMMAND, 0, 4, v);
	}
	vdev_host_work(h);
	assert_true(h->line[0]);
}

static void entry(unsigned n, uint32_t at, uint32_t size, bool last)
{
	uint32_t e[2] = { at, (size & 0xffff) | (last ? 1u << 31 : 0) };

	memcpy(h->memory + TABLE + 8 * n, e, 8);
}

static uint8_t master(void)
{
	return in8(d, VIDE_MASTER, 2);
}

/* Prepared as drivers do, and started when the command is on its way. */
static uint8_t dma(uint8_t command, uint32_t lba, uint8_t count)
{
	out8(d, VIDE_MASTER, 0, 0);
	vdev_host_write(d, VIDE_MASTER, 4, 4, TABLE);
	out8(d, VIDE_MASTER, 2, 0x66);
	out8(d, VIDE_MASTER, 0, 8);
	if (command < 0xc0)
		issue_wide(command, lba, count);
	else
		issue(command, lba, count);
	out8(d, VIDE_MASTER, 0, 9);
	vdev_host_work(h);
	return master();
}

static unsigned word(const uint8_t *data, unsigned n)
{
	return data[2 * n] | (unsigned)data[2 * n + 1] << 8;
}

/* ---- tests ---- */

static void test_registers(void **state)
{
	(void)state;
	assert_int_equal(vdev_host_read(bus, VPCI_ECAM, DEVFN << 12, 4), 0x70108086);
	assert_int_equal(vdev_host_read(bus, VPCI_ECAM, DEVFN << 12 | 8, 4), 0x01018000);
	assert_int_equal(vdev_host_read(bus, VPCI_ECAM, DEVFN << 12 | 0x40, 4), 0x80008000);
	assert_int_equal(status(), READY);
	assert_int_equal(get(FEATURES), 1);
	assert_int_equal(get(COUNT), 1);
	assert_int_equal(get(LBA), 1);
	assert_int_equal(get(LBA + 1) | get(LBA + 2), 0);
	put(DEVICE, 0x10);				/* nobody is there */
	assert_int_equal(status(), 0);
	put(COMMAND, 0xec);
	assert_int_equal(status(), 0);
	assert_false(h->line[0]);
	assert_int_equal(in8(d, VIDE_COMMAND1, COMMAND), 0);
	put(DEVICE, 0);
	put(LBA, 0x12);
	put(LBA, 0x34);
	assert_int_equal(get(LBA), 0x34);
	out8(d, VIDE_CONTROL, 0, 0x80);			/* what was there before */
	assert_int_equal(get(LBA), 0x12);
	put(LBA, 0x56);
	assert_int_equal(get(LBA), 0x56);
	assert_int_equal(issue(0x90, 0, 0), READY);
	assert_int_equal(get(FEATURES), 1);
	out8(d, VIDE_CONTROL, 0, 2);			/* no interrupts */
	get(COMMAND);
	issue(0xe7, 0, 0);
	assert_false(h->line[0]);
	out8(d, VIDE_CONTROL, 0, 0);
	assert_true(h->line[0]);
}

static void test_identify(void **state)
{
	uint8_t data[512], sum = 0;

	(void)state;
	issue(0xec, 0, 0);
	read_data(data, 512, 512);
	assert_int_equal(status(), READY);
	assert_false(h->line[0]);
	for (unsigned i = 0; i < 512; i++)
		sum = (uint8_t)(sum + data[i]);
	assert_int_equal(sum, 0);
	assert_int_equal(word(data, 60), VDEV_HOST_DISK / 512);
	assert_int_equal(word(data, 76) | word(data, 169) | word(data, 222), 0);
	assert_int_equal(word(data, 93) >> 14, 1);
	assert_int_equal(word(data, 55), 16);
	assert_int_equal(issue(0x91, 3u << 24, 8), READY);	/* 4 heads, 8 sectors */
	issue(0xec, 0, 0);
	read_data(data, 512, 512);
	assert_int_equal(word(data, 54), 2);
	assert_int_equal(word(data, 55), 4);
	assert_int_equal(word(data, 56), 8);
	assert_int_equal(issue(0x91, 0, 0), FAILED);
}

static void test_pio(void **state)
{
	static const struct {
		uint8_t read, write, block;
		bool wide;
	} rows[] = {
		{ 0x20, 0x30, 1, false }, { 0x21, 0x31, 1, false }, { 0xc4, 0xc5, 4, false },
		{ 0x24, 0x34, 1, true }, { 0x29, 0x39, 4, true },
	};
	static uint8_t data[40 * 512];

	(void)state;
	assert_int_equal(issue(0xc6, 0, 4), READY);
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		(rows[i].wide ? issue_wide(rows[i].read, 3, 37) : issue(rows[i].read, 3, 37));
		read_data(data, 37 * 512, rows[i].block * 512);
		assert_memory_equal(data, h->disk + 3 * 512, 37 * 512);
		assert_int_equal(status(), READY);
		memset(data, (int)(i + 1), sizeof(data));
		get(COMMAND);
		(rows[i].wide ? issue_wide(rows[i].write, 7, 21) : issue(rows[i].write, 7, 21));
		write_data(data, 21 * 512, rows[i].block * 512);
		assert_int_equal(get(COMMAND), READY);
		assert_memory_equal(data, h->disk + 7 * 512, 21 * 512);
		assert_int_not_equal(h->disk[28 * 512 + 1], i + 1);
	}
	/* By cylinder, head and sector: (1 * 16 + 0) * 63 is beyond this disk, (0, 0, 5) is not. */
	put(DEVICE, 0xa0);
	put(COUNT, 1);
	put(LBA, 5);
	put(LBA + 1, 0);
	put(LBA + 2, 0);
	put(COMMAND, 0x20);
	read_data(data, 512, 512);
	assert_memory_equal(data, h->disk + 4 * 512, 512);
	put(LBA, 0);
	put(COMMAND, 0x20);
	vdev_host_work(h);
	assert_int_equal(get(COMMAND), FAILED);
	assert_int_equal(get(FEATURES), 0x10);
	assert_int_equal(issue(0x20, 64, 1), FAILED);
	assert_int_equal(issue(0x20, 63, 2), FAILED);
	assert_int_equal(issue_wide(0x24, 0xffffffffffff, 1), FAILED);
	h->disk_error = -EIO;
	assert_int_equal(issue(0x20, 0, 1), FAILED);
	assert_int_equal(get(FEATURES), 0x40);
	h->disk_error = -EAGAIN;				/* is tried again */
	assert_int_equal(issue(0x20, 9, 1), BUSY);
	h->disk_error = 0;
	vdev_host_advance(h, 20000000);
	read_data(data, 512, 512);
	assert_memory_equal(data, h->disk + 9 * 512, 512);
	assert_int_equal(issue(0x60, 0, 1), FAILED);		/* SATA's alone */
	assert_int_equal(issue_wide(0x06, 0, 1), FAILED);
	assert_int_equal(vdev_host_read(d, VIDE_COMMAND, 0, 2), 0);
	vdev_host_write(d, VIDE_COMMAND, 0, 2, 0xffff);
	assert_int_equal(status(), FAILED);
}

/* As REP INS and OUTS have it: no further than a block, of whole elements. */
static void test_strings(void **state)
{
	static uint8_t data[4096], block[4096];

	(void)state;
	assert_int_equal(d->ops->read_string(d, VIDE_COMMAND, 0, 2, data, 16), 0);
	issue(0x20, 4, 2);
	assert_int_equal(d->ops->read_string(d, VIDE_CONTROL, 0, 1, data, 16), 0);
	assert_int_equal(d->ops->read_string(d, VIDE_COMMAND, 2, 2, data, 16), 0);
	assert_int_equal(d->ops->read_string(d, VIDE_COMMAND1, 0, 2, data, 16), 0);
	assert_int_equal(d->ops->read_string(d, VIDE_COMMAND, 0, 2, data, 16), 16);
	assert_int_equal(d->ops->read_string(d, VIDE_COMMAND, 0, 4, data + 32, 1000), 120);
	assert_memory_equal(data, h->disk + 4 * 512, 512);
	assert_int_equal(status(), DRQ);		/* the next one, with its interrupt */
	read_data(data, 512, 512);
	assert_memory_equal(data, h->disk + 5 * 512, 512);
	get(COMMAND);
	for (unsigned i = 0; i < sizeof(block); i++)
		block[i] = (uint8_t)(7 * i);
	issue(0x30, 1, 2);
	assert_int_equal(d->ops->write_string(d, VIDE_COMMAND, 0, 2, block, 2000), 256);
	assert_int_equal(status(), BUSY);
	assert_int_equal(d->ops->write_string(d, VIDE_COMMAND, 0, 2, block, 2000), 0);
	vdev_host_work(h);
	assert_int_equal(d->ops->write_string(d, VIDE_COMMAND, 0, 4, block + 512, 900), 128);
	vdev_host_work(h);
	assert_int_equal(get(COMMAND), READY);
	assert_memory_equal(h->disk + 512, block, 1024);
}

static void test_dma(void **state)
{
	(void)state;
	entry(0, DATA, 700, false);
	entry(1, DATA + 0x2000, 1348, true);
	assert_int_equal(dma(0xc8, 5, 4), 0x64);		/* as long as the data */
	assert_true(h->line[0]);
	assert_int_equal(get(COMMAND), READY);
	assert_memory_equal(h->memory + DATA, h->disk + 5 * 512, 700);
	assert_memory_equal(h->memory + DATA + 0x2000, h->disk + 5 * 512 + 700, 1348);
	entry(0, DATA, 0, true);				/* 64 KiB, and longer */
	assert_int_equal(dma(0x25, 0, 60), 0x65);
	assert_int_equal(get(COMMAND), READY);
	assert_memory_equal(h->memory + DATA, h->disk, 60 * 512);
	out8(d, VIDE_MASTER, 0, 0);
	assert_int_equal(master(), 0x64);
	memset(h->memory + DATA, 0x77, 1024);
	entry(0, DATA, 1024, true);
	assert_int_equal(dma(0xca, 8, 2), 0x64);
	assert_memory_equal(h->memory + DATA, h->disk + 8 * 512, 1024);
	assert_int_equal(dma(0x3d, 8, 2), 0x64);
	assert_int_equal(h->flushes, 1);
	get(COMMAND);
	assert_int_equal(dma(0xc8, 5, 4), 0x60);		/* shorter: no interrupt */
	assert_false(h->line[0]);
	assert_int_equal(status(), DRQ);
	out8(d, VIDE_CONTROL, 0, 4);
	out8(d, VIDE_CONTROL, 0, 0);
	assert_int_equal(status(), READY);
	entry(0, VDEV_HOST_MEMORY - 512, 1024, true);		/* beside RAM */
	assert_int_equal(dma(0xc8, 5, 2) & 7, 6);
	assert_int_equal(get(COMMAND), FAILED);
	/* Entries of two bytes, more than a window. */
	for (unsigned i = 0; i < 512; i++)
		entry(i, DATA + 4 * i, 2, i == 511);
	assert_int_equal(dma(0xc8, 1, 2), 0x64);
	for (unsigned i = 0; i < 512; i++)
		assert_memory_equal(h->memory + DATA + 4 * i, h->disk + 512 + 2 * i, 2);
	/* No bus master: it waits. */
	config(4, 2, 1);
	entry(0, DATA, 512, true);
	get(COMMAND);
	assert_int_equal(dma(0xc8, 0, 1), 0x61);
	config(4, 2, 5);
	vdev_host_work(h);
	assert_int_equal(master(), 0x64);
	assert_memory_equal(h->memory + DATA, h->disk, 512);
	/* Stopped before it began, and started anew. */
	issue(0xc8, 2, 1);
	out8(d, VIDE_MASTER, 0, 0);
	out8(d, VIDE_MASTER, 2, 6);
	out8(d, VIDE_MASTER, 0, 9);
	out8(d, VIDE_MASTER, 0, 0);
	vdev_host_work(h);
	assert_int_equal(status(), DRQ);
	out8(d, VIDE_MASTER, 0, 9);
	vdev_host_work(h);
	assert_memory_equal(h->memory + DATA, h->disk + 1024, 512);
	assert_int_equal(in8(d, VIDE_MASTER, 5), TABLE >> 8);
}

/* ---- a disc ---- */

/* How many bytes came, `limit` at once; by DMA if that is 0. */
static unsigned packet(const uint8_t *p, uint16_t limit, uint8_t *to)
{
	unsigned got = 0;

	put(DEVICE, 0xa0);
	put(FEATURES, !limit);
	put(LBA + 1, (uint8_t)limit);
	put(LBA + 2, (uint8_t)(limit >> 8));
	put(COMMAND, 0xa0);
	assert_int_equal(status(), DRQ);
	assert_int_equal(get(COUNT) & 3, 1);
	for (unsigned i = 0; i < 12; i += 2)
		vdev_host_write(d, VIDE_COMMAND, 0, 2, p[i] | p[i + 1] << 8);
	vdev_host_work(h);
	while (status() & 8 && limit) {
		unsigned n = get(LBA + 1) | (unsigned)get(LBA + 2) << 8;

		assert_int_equal(get(COUNT) & 3, 2);
		assert_in_range(n, 1, limit);
		get(COMMAND);
		for (unsigned i = 0; i < n; i += 2, got += 2) {
			uint16_t v = (uint16_t)vdev_host_read(d, VIDE_COMMAND, 0, 2);

			memcpy(to + got, &v, 2);
		}
		vdev_host_work(h);
	}
	if (limit)
		assert_true(h->line[0]);
	return got;
}

static void test_packets(void **state)
{
	static const uint8_t inquiry[12] = { 0x12, 0, 0, 0, 36 }, sense[12] = { 3, 0, 0, 0, 18 };
	static const uint8_t read[12] = { 0x28, 0, 0, 0, 0, 3, 0, 0, 5 }, ready[12] = { 0 };
	static uint8_t data[16384];

	(void)state;
	assert_int_equal(get(LBA + 1), 0x14);
	assert_int_equal(get(LBA + 2), 0xeb);
	assert_int_equal(issue(0xec, 0, 0), FAILED);
	assert_int_equal(get(LBA + 2), 0xeb);
	put(DEVICE, 0xa0);
	put(COMMAND, 0xa1);
	read_data(data, 512, 512);
	assert_int_equal(word(data, 0), 0x85c0);
	assert_int_equal(packet(inquiry, 10, data), 36);
	assert_memory_equal(data + 8, "KEEL", 4);
	assert_int_equal(get(COUNT) & 3, 3);
	assert_int_equal(packet(ready, 512, data), 0);
	assert_int_equal(get(COMMAND), FAILED);
	assert_int_equal(get(FEATURES) >> 4, 6);
	assert_int_equal(packet(sense, 64, data), 18);
	assert_int_equal(data[12], 0x29);
	assert_int_equal(packet(read, 2048, data), 5 * 2048);
	assert_memory_equal(data, h->disk + 3 * 2048, 5 * 2048);
	assert_int_equal(packet(read, 0xffff, data), 5 * 2048);
	assert_memory_equal(data, h->disk + 3 * 2048, 5 * 2048);
	entry(0, DATA, 5 * 2048, true);
	vdev_host_write(d, VIDE_MASTER, 4, 4, TABLE);
	out8(d, VIDE_MASTER, 2, 6);
	out8(d, VIDE_MASTER, 0, 9);				/* before the command */
	get(COMMAND);
	packet(read, 0, NULL);
	assert_int_equal(master() & 7, 4);
	assert_memory_equal(h->memory + DATA, h->disk + 3 * 2048, 5 * 2048);
	assert_int_equal(get(COMMAND), READY);
	assert_int_equal(get(COUNT) & 3, 3);
	out8(d, VIDE_MASTER, 0, 0);
	entry(0, DATA, 36, true);
	out8(d, VIDE_MASTER, 2, 6);
	packet(inquiry, 0, NULL);
	out8(d, VIDE_MASTER, 0, 9);
	vdev_host_work(h);
	assert_memory_equal(h->memory + DATA + 8, "KEEL", 4);
	assert_int_equal(master() & 7, 4);
	/* DEVICE RESET in the middle of a packet. */
	put(COMMAND, 0xa0);
	vdev_host_write(d, VIDE_COMMAND, 0, 2, 0x28);
	put(COMMAND, 8);
	assert_int_equal(status(), 0);
	assert_int_equal(get(LBA + 2), 0xeb);
}

static void test_trays(void **state)
{
	static const uint8_t read[12] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 8 };
	static const uint8_t sense[12] = { 3, 0, 0, 0, 18 };
	static uint8_t data[16384];

	(void)state;
	packet(sense, 64, data);
	put(COMMAND, 0xa0);
	for (unsigned i = 0; i < 12; i += 2)
		vdev_host_write(d, VIDE_COMMAND, 0, 2, read[i] | read[i + 1] << 8);
	vdev_host_work(h);
	/* 8 KiB of the 16 are in the buffer: the rest is not read of another disc. */
	assert_int_equal(d->ops->media_tray(d, 0, HOST_TRAY_EJECT), 0);
	assert_int_equal(d->ops->media_tray(d, 0, HOST_TRAY_LOAD), 0);
	for (unsigned i = 0; i < 8192; i += 2)
		vdev_host_read(d, VIDE_COMMAND, 0, 2);
	vdev_host_work(h);
	assert_int_equal(get(COMMAND), FAILED);
	packet(sense, 64, data);
	assert_int_equal(data[2] << 8 | data[12], 0x628);
}

/* ---- saved form ---- */

/* Goes on from where it was in another machine of the kind, byte for byte the same. */
static void moved(void)
{
	static uint8_t one[SAVED], two[SAVED];
	size_t n = vdev_host_save(d, one, sizeof(one));
	struct vdev *bus2, *d2;

	make(&bus2, &d2);
	memcpy(vdev_host_of(d2)->memory, h->memory, VDEV_HOST_MEMORY);
	memcpy(vdev_host_of(d2)->disk, h->disk, VDEV_HOST_DISK);
	for (size_t cut = 0; cut < n; cut += cut < 200 || cut + 200 > n ? 1 : 37)
		assert_int_equal(vdev_host_load(d2, one, cut, 1), -EINVAL);
	assert_int_equal(vdev_host_load(d2, one, n, 2), -EINVAL);
	assert_int_equal(vdev_host_load(d2, one, n, 1), 0);
	assert_int_equal(vdev_host_save(d2, two, sizeof(two)), n);
	assert_memory_equal(one, two, n);
	assert_memory_equal(h->line, vdev_host_of(d2)->line, sizeof(h->line));
	for (size_t i = 0; i < MIN(n, 600ul); i++) {		/* taken or refused, never half */
		one[i] ^= 0x81;
		vdev_host_save(d2, two, sizeof(two));
		if (vdev_host_load(d2, one, n, 1)) {
			static uint8_t three[SAVED];
			size_t now = vdev_host_save(d2, three, sizeof(three));

			assert_memory_equal(two, three, now);
		}
		vdev_host_work(d2->host);
		one[i] ^= 0x81;
	}
	assert_int_equal(vdev_host_load(d2, one, n, 1), 0);
	memcpy(vdev_host_of(d2)->disk, h->disk, VDEV_HOST_DISK);
	memcpy(vdev_host_of(d2)->memory, h->memory, VDEV_HOST_MEMORY);
	teardown(NULL);
	bus = bus2;
	d = d2;
	b = bus->host;
	h = d->host;
}

static void test_saved(void **state)
{
	static uint8_t data[16 * 512];

	(void)state;
	moved();
	issue(0x20, 4, 3);
	for (unsigned i = 0; i < 100; i++)
		vdev_host_read(d, VIDE_COMMAND, 0, 2);
	moved();
	for (unsigned i = 100; i < 256; i++) {
		uint16_t v = (uint16_t)vdev_host_read(d, VIDE_COMMAND, 0, 2);

		assert_memory_equal(&v, h->disk + 4 * 512 + 2 * i, 2);
	}
	moved();
	read_data(data, 1024, 512);
	assert_memory_equal(data, h->disk + 5 * 512, 1024);
	get(COMMAND);
	issue(0x30, 2, 2);
	for (unsigned i = 0; i < 128; i++)
		vdev_host_write(d, VIDE_COMMAND, 0, 4, i);
	moved();						/* its block is to be written */
	vdev_host_work(h);
	assert_int_equal(h->disk[2 * 512 + 4 * 17], 17);
	assert_int_equal(get(COMMAND), DRQ);
	moved();
	write_data(h->disk, 512, 1024);
	config(4, 2, 5);
	entry(0, DATA, 1024, true);
	issue(0xc8, 1, 2);
	vdev_host_write(d, VIDE_MASTER, 4, 4, TABLE);
	moved();
	out8(d, VIDE_MASTER, 0, 9);
	vdev_host_work(h);
	assert_memory_equal(h->memory + DATA, h->disk + 512, 1024);
}

static void test_saved_packet(void **state)
{
	(void)state;
	put(COMMAND, 0xa0);
	vdev_host_write(d, VIDE_COMMAND, 0, 2, 0x12);
	vdev_host_write(d, VIDE_COMMAND, 0, 2, 0);
	moved();
	vdev_host_write(d, VIDE_COMMAND, 0, 4, 36);
	vdev_host_write(d, VIDE_COMMAND, 0, 4, 0);
	assert_int_equal(get(COUNT) & 3, 2);
	moved();
	assert_int_equal(vdev_host_read(d, VIDE_COMMAND, 0, 2), 0x8005);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define DISC(f) cmocka_unit_test_setup_teardown(f, setup_disc, teardown)
		TEST(test_registers), TEST(test_identify), TEST(test_pio), TEST(test_strings),
		TEST(test_dma),
		DISC(test_packets), DISC(test_trays), TEST(test_saved), DISC(test_saved_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
