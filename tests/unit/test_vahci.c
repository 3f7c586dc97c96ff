/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vahci*.c vdev/vata*.c vdev/vpci*.c lib/record.c tests/host/vdev_host.c */
/*
 * vdev/vahci and its drives: registers, commands of disks and discs with all they refuse, PRD
 * tables of any shape, errors as a driver sees them, resets under way, interrupts, saved form.
 */
#include "tests/host/vdev_test.h"

#include "include/bits.h"
#include "vdev/vahci.h"
#include "vdev/vata.h"
#include "vdev/vpci.h"
#include "vdev/vpci_msi.h"

#define DEVFN		(31 << 3 | 2)
#define LIST		0x1000u
#define FIS		0x2000u
#define TABLE		0x3000u
#define DATA		0x8000u
#define PORT		0x100

enum { CLB = 0, FB = 8, IS = 0x10, IE = 0x14, CMD = 0x18, TFD = 0x20, SIG = 0x24, SSTS = 0x28,
	SCTL = 0x2c, SERR = 0x30, SACT = 0x34, CI = 0x38 };

static struct vdev *bus, *d;
static struct vdev_host *b, *h;
static bool optical;

static void make(struct vdev **root, struct vdev **ahci)
{
	assert_int_equal(vpci_create(NULL, root) | vahci_create(ahci), 0);
	vdev_host_attach(*root);
	vdev_host_attach(*ahci);
	vdev_host_of(*ahci)->disk_optical = optical;
	(*ahci)->ops->reset(*ahci);
	assert_int_equal(vpci_attach(*root, 0, 31, 2, vahci_function(*ahci)), 0);
}

static uint32_t get(unsigned reg)
{
	return (uint32_t)vdev_host_read(d, VAHCI_REGISTERS, reg, 4);
}

static void put(unsigned reg, uint32_t v)
{
	vdev_host_write(d, VAHCI_REGISTERS, reg, 4, v);
}

static void config(unsigned reg, unsigned size, uint64_t v)
{
	vdev_host_write(bus, VPCI_ECAM, DEVFN << 12 | reg, size, v);
}

static uint64_t config_get(unsigned reg, unsigned size)
{
	return vdev_host_read(bus, VPCI_ECAM, DEVFN << 12 | reg, size);
}

static void start(void)
{
	config(4, 2, 7);
	put(PORT + CLB, LIST);
	put(PORT + FB, FIS);
	put(PORT + CMD, 0x10);
	put(PORT + SERR, ~0u);
	put(PORT + IE, 0x7dc000ff);
	put(4, 2);
	put(PORT + CMD, 0x11);
}

static int setup_kind(bool disc)
{
	optical = disc;
	make(&bus, &d);
	b = bus->host;
	h = d->host;
	for (unsigned i = 0; i < VDEV_HOST_DISK; i++)
		h->disk[i] = (uint8_t)(i / 512 + i);
	start();
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

static void mem32(uint64_t at, uint32_t v)
{
	memcpy(h->memory + at, &v, 4);
}

static void entry(unsigned n, uint64_t at, uint32_t size)
{
	mem32(TABLE + 0x80 + 16 * n, (uint32_t)at);
	mem32(TABLE + 0x84 + 16 * n, (uint32_t)(at >> 32));
	mem32(TABLE + 0x8c + 16 * n, size - 1);
}

/* A command in `slot`, its data at DATA; registers as a FIS has them. */
static void prepare(unsigned slot, uint8_t command, uint64_t lba, uint16_t count, uint16_t features)
{
	uint8_t *f = h->memory + TABLE;

	memset(f, 0, 0x80);
	f[0] = 0x27;
	f[1] = 0x80;
	f[2] = command;
	f[7] = 0x40;
	for (unsigned i = 0; i < 3; i++) {
		f[4 + i] = (uint8_t)(lba >> 8 * i);
		f[8 + i] = (uint8_t)(lba >> (24 + 8 * i));
	}
	f[3] = (uint8_t)features;
	f[11] = (uint8_t)(features >> 8);
	f[12] = (uint8_t)count;
	f[13] = (uint8_t)(count >> 8);
	mem32(LIST + 32 * slot, 5 | 1 << 16);
	mem32(LIST + 32 * slot + 4, 0);
	mem32(LIST + 32 * slot + 8, TABLE);
	mem32(LIST + 32 * slot + 12, 0);
	entry(0, DATA, 0x4000);
}

static void issue(unsigned slot)
{
	put(PORT + CI, 1u << slot);
	vdev_host_work(h);
}

static void restart(void)
{
	put(PORT + CMD, 0x10);
	put(PORT + IS, ~0u);
	put(8, ~0u);
	put(PORT + CMD, 0x11);
}

static uint32_t run(uint8_t command, uint64_t lba, uint16_t count, uint16_t features)
{
	uint32_t is;

	prepare(0, command, lba, count, features);
	issue(0);
	is = get(PORT + IS);
	if (is & 0x40000000)
		assert_int_equal(get(PORT + CI), 1);
	else
		assert_int_equal(get(PORT + CI), 0);
	restart();
	return is;
}

static unsigned word(unsigned n)
{
	return h->memory[DATA + 2 * n] | h->memory[DATA + 2 * n + 1] << 8;
}

static uint32_t moved(void)
{
	uint32_t v;

	memcpy(&v, h->memory + LIST + 4, 4);
	return v;
}

static void test_registers(void **state)
{
	(void)state;
	assert_int_equal(config_get(0, 4), 0x29228086);
	assert_int_equal(config_get(8, 4), 0x01060102);
	assert_int_equal(config_get(0x34, 1), 0x80);
	assert_int_equal(config_get(0x80, 1), 5);
	assert_int_equal(config_get(0x81, 1), 0xa8);
	assert_int_equal(config_get(0xa8, 4), 0x00100012);
	assert_int_equal(config_get(0xac, 4), 0x48);
	assert_int_equal(config_get(0x90, 1), 0x40);
	assert_int_equal(config_get(0x82, 2) & 0x100, 0);	/* no masks */
	assert_int_equal(get(0) & 0xc0001fff, 0xc0001f05);
	assert_int_equal(get(0xc), 0x3f);
	assert_int_equal(get(4), 0x80000002);
	assert_int_equal(get(PORT + SSTS), 0x113);
	assert_int_equal(get(PORT + SIG), 0x101);
	assert_int_equal(get(PORT + TFD), 0x150);
	assert_int_equal(get(PORT + CMD) & 0xc011, 0xc011);
	assert_int_equal(get(PORT + 0x80 + SSTS), 0);
	assert_int_equal(get(PORT + 0x80 + TFD), 0x7f);
	put(PORT + CLB, 0x5555);				/* it runs */
	assert_int_equal(get(PORT + CLB), LIST);
	put(PORT + CMD, 0);
	put(PORT + CLB, 0x5555);
	assert_int_equal(get(PORT + CLB), 0x5400);
	put(PORT + CI, 1);
	assert_int_equal(get(PORT + CI), 0);			/* it does not */
	/* By index and data. */
	vdev_host_write(d, VAHCI_INDEX, 0x10, 4, 0xc);
	assert_int_equal(vdev_host_read(d, VAHCI_INDEX, 0x10, 4), 0xc);
	assert_int_equal(vdev_host_read(d, VAHCI_INDEX, 0x14, 4), 0x3f);
	vdev_host_write(d, VAHCI_INDEX, 0x10, 4, 4);
	vdev_host_write(d, VAHCI_INDEX, 0x14, 4, 0);
	assert_int_equal(get(4), 0x80000000);
	assert_int_equal(vdev_host_read(d, VAHCI_REGISTERS, 0x10, 2), 0x0301);
	assert_int_equal(vdev_host_read(d, VAHCI_REGISTERS, 0xc, 8) & 0xffffffff, 0x3f);
}

static void test_identify(void **state)
{
	uint8_t sum = 0;

	(void)state;
	assert_int_equal(run(0xec, 0, 0, 0), 0x2);
	assert_int_equal(moved(), 512);
	assert_int_equal(h->memory[FIS + 0x20], 0x5f);
	assert_int_equal(h->memory[FIS + 0x20 + 15], 0x50);
	assert_int_equal(word(60) | word(61) << 16, VDEV_HOST_DISK / 512);
	assert_int_equal(word(100), VDEV_HOST_DISK / 512);
	assert_int_equal(word(75), 31);
	assert_int_equal(word(169), 1);
	assert_memory_equal(h->memory + DATA + 20, "ettsi.gm", 8);
	for (unsigned i = 0; i < 512; i++)
		sum = (uint8_t)(sum + h->memory[DATA + i]);
	assert_int_equal(sum, 0);
	assert_int_equal(run(0xa1, 0, 0, 0), 0x40000001);
	assert_int_equal(h->memory[FIS + 0x40], 0x34);
	assert_int_equal(h->memory[FIS + 0x42], 0x51);
	assert_int_equal(h->memory[FIS + 0x43], 4);
}

static void test_transfers(void **state)
{
	static const uint8_t reads[] = { 0x20, 0x24, 0x25, 0x29, 0xc4, 0xc8 };
	static const uint8_t writes[] = { 0x30, 0x34, 0x35, 0x39, 0x3d, 0xc5, 0xca, 0xce };

	(void)state;
	for (unsigned i = 0; i < sizeof(reads); i++) {
		memset(h->memory + DATA, 0, 0x2000);
		assert_int_equal(run(reads[i], 3, 5, 0) & 0x40000000, 0);
		assert_memory_equal(h->memory + DATA, h->disk + 3 * 512, 5 * 512);
		assert_int_equal(h->memory[DATA + 5 * 512], 0);
		assert_int_equal(moved(), 5 * 512);
	}
	for (unsigned i = 0; i < sizeof(writes); i++) {
		memset(h->memory + DATA, writes[i], 1024);
		assert_int_equal(run(writes[i], 60, 2, 0), 1);
		assert_memory_equal(h->memory + DATA, h->disk + 60 * 512, 1024);
		assert_int_equal(h->disk[62 * 512], 62);
	}
	assert_int_equal(h->flushes, 2);			/* FUA */
	assert_int_equal(run(0xe7, 0, 0, 0), 1);
	assert_int_equal(run(0xea, 0, 0, 0), 1);
	assert_int_equal(h->flushes, 4);
	assert_int_equal(run(0x25, 63, 2, 0), 0x40000001);	/* beyond the end */
	assert_int_equal(h->memory[FIS + 0x43], 0x10);
	assert_int_equal(run(0x25, 0xffffffffffff, 1, 0), 0x40000001);
	assert_int_equal(run(0x25, 0, 0, 0), 0x40000001);	/* 65,536 */
	h->disk_error = -EIO;
	assert_int_equal(run(0x25, 0, 1, 0), 0x40000001);
	assert_int_equal(h->memory[FIS + 0x43], 0x40);
	h->disk_error = 0;
	h->disk_read_only = true;
	d->ops->reset(d);
	start();
	assert_int_equal(run(0x35, 0, 1, 0), 0x40000001);
	assert_int_equal(h->memory[FIS + 0x43], 4);
}

static void test_settings(void **state)
{
	static const uint8_t refused[] = { 0, 0xb0, 0x77, 0xf1, 0xa0 };

	(void)state;
	for (unsigned i = 0; i < sizeof(refused); i++)
		assert_int_equal(run(refused[i], 0, 0, 0), 0x40000001);
	assert_int_equal(run(0xc6, 0, 17, 0), 0x40000001);
	assert_int_equal(run(0xc6, 0, 0, 0), 1);
	assert_int_equal(run(0xc4, 0, 1, 0), 0x40000001);
	assert_int_equal(run(0xc6, 0, 8, 0), 1);
	assert_int_equal(run(0xef, 0, 0x45, 3), 1);
	assert_int_equal(run(0xef, 0, 0, 0x82), 1);
	assert_int_equal(run(0xef, 0, 0, 0x99), 0x40000001);
	assert_int_equal(run(0xec, 0, 0, 0), 2);
	assert_int_equal(word(59), 0x108);
	assert_int_equal(word(85) & 0x20, 0);
	assert_int_equal(run(0x27, 0, 0, 0), 1);
	assert_int_equal(h->memory[FIS + 0x44], VDEV_HOST_DISK / 512 - 1);
	assert_int_equal(run(0xe5, 0, 0, 0), 1);
	assert_int_equal(h->memory[FIS + 0x4c], 0xff);
	assert_int_equal(run(0xe0, 0, 0, 0), 1);
	assert_int_equal(run(0xe5, 0, 0, 0), 1);
	assert_int_equal(h->memory[FIS + 0x4c], 0);
}

/* Entries of any size, more than a window, beside RAM, too few. */
static void test_tables(void **state)
{
	(void)state;
	prepare(0, 0x25, 0, 2, 0);
	mem32(LIST, 5 | 512u << 16);
	for (unsigned i = 0; i < 512; i++)
		entry(i, DATA + 4 * i, 2);
	issue(0);
	assert_int_equal(get(PORT + IS), 1);
	for (unsigned i = 0; i < 512; i++)
		assert_memory_equal(h->memory + DATA + 4 * i, h->disk + 2 * i, 2);
	restart();
	prepare(0, 0x25, 0, 3, 0);
	mem32(LIST, 5 | 2u << 16);
	entry(0, DATA, 700);
	entry(1, DATA + 0x1000, 836);
	mem32(TABLE + 0x8c, 699 | 1u << 31);
	issue(0);
	assert_int_equal(get(PORT + IS), 0x21);
	assert_memory_equal(h->memory + DATA, h->disk, 700);
	assert_memory_equal(h->memory + DATA + 0x1000, h->disk + 700, 836);
	restart();
	prepare(0, 0x25, 0, 3, 0);
	entry(0, DATA, 1024);
	issue(0);
	assert_int_equal(get(PORT + IS), 0x41000001);
	restart();
	prepare(0, 0x25, 0, 3, 0);
	entry(0, VDEV_HOST_MEMORY - 512, 0x1000);
	issue(0);
	assert_int_equal(get(PORT + IS), 0x20000000);
	assert_int_equal(get(PORT + CI), 1);
	restart();
	prepare(0, 0xec, 0, 0, 0);
	entry(0, ~0ul - 1, 0x1000);
	issue(0);
	assert_int_equal(get(PORT + IS), 0x20000000);
	restart();
	prepare(0, 0xec, 0, 0, 0);
	mem32(LIST + 12, 0x100);				/* the table is nowhere */
	issue(0);
	assert_int_equal(get(PORT + IS), 0x20000000);
}

static void test_queued(void **state)
{
	(void)state;
	prepare(5, 0x60, 7, 5 << 3, 2);
	put(PORT + SACT, 1 << 5);
	issue(5);
	assert_int_equal(get(PORT + IS), 8);
	assert_int_equal(get(PORT + SACT) | get(PORT + CI), 0);
	assert_memory_equal(h->memory + DATA, h->disk + 7 * 512, 1024);
	assert_int_equal(h->memory[FIS + 0x58], 0xa1);
	assert_int_equal(h->memory[FIS + 0x5c], 1 << 5);
	put(PORT + IS, ~0u);
	prepare(6, 0x61, 64, 6 << 3, 1);			/* beyond the end */
	put(PORT + SACT, 1 << 6);
	issue(6);
	assert_int_equal(get(PORT + IS), 0x40000008);
	assert_int_equal(get(PORT + SACT), 1 << 6);
	assert_int_equal(h->memory[FIS + 0x5c], 0);
	restart();
	assert_int_equal(get(PORT + SACT), 0);
	assert_int_equal(run(0x2f, 0x10, 1, 0), 2);
	assert_int_equal(h->memory[DATA], 6);
	assert_int_equal(h->memory[DATA + 3], 0x10);
	assert_int_equal(h->memory[DATA + 4], 64);
	assert_int_equal(run(0x2f, 0x10, 1, 0), 2);
	assert_int_equal(h->memory[DATA], 0x80);
	assert_int_equal(run(0x2f, 0x30, 1, 0), 0x40000001);
	prepare(2, 0x60, 0, 3 << 3, 1);				/* another's tag */
	issue(2);
	assert_int_equal(get(PORT + IS), 0x40000008);
}

static void test_trim(void **state)
{
	(void)state;
	prepare(0, 0x06, 0, 1, 1);
	memset(h->memory + DATA, 0, 512);
	mem32(DATA + 8, 4);
	mem32(DATA + 12, 2 << 16);
	h->disk_late = true;
	put(PORT + CI, 1);
	vdev_host_work(h);
	assert_int_equal(h->later_count, 1);
	assert_int_equal(h->later[0].r.offset, 4 * 512);
	assert_int_equal(h->later[0].r.size, 1024);
	assert_int_equal(get(PORT + CI), 1);
	put(PORT + CMD, 0x10);					/* it runs on until that is done */
	assert_int_equal(get(PORT + CMD) & 0x8000, 0x8000);
	vdev_host_finish(h);
	vdev_host_work(h);
	assert_int_equal(get(PORT + CMD) & 0x8000, 0);
	assert_int_equal(get(PORT + IS), 0);
	put(PORT + CMD, 0x11);
	h->disk_late = false;
	issue(0);
	assert_int_equal(get(PORT + IS), 1);
	restart();
	mem32(DATA + 8, 63);					/* not wholly there */
	issue(0);
	assert_int_equal(get(PORT + IS), 0x40000001);
	restart();
	assert_int_equal(run(0x06, 0, 0, 1), 0x40000001);
	assert_int_equal(run(0x06, 0, 9, 1), 0x40000001);
	assert_int_equal(run(0x06, 0, 1, 0), 0x40000001);
}

static void test_waits(void **state)
{
	(void)state;
	prepare(0, 0x25, 1, 1, 0);
	config(4, 2, 3);					/* no bus master */
	issue(0);
	assert_int_equal(get(PORT + CI), 1);
	config(4, 2, 7);
	vdev_host_work(h);
	assert_int_equal(get(PORT + CI), 0);
	restart();
	h->mem_interrupt = 1;
	issue(0);
	assert_int_equal(get(PORT + CI), 1);
	assert_int_equal(get(PORT + IS), 0);
	vdev_host_advance(h, 20000000);
	vdev_host_work(h);
	assert_int_equal(get(PORT + IS), 1);
	restart();
	h->disk_error = -EAGAIN;
	issue(0);
	assert_int_equal(get(PORT + CI), 1);
	h->disk_error = 0;
	vdev_host_advance(h, 20000000);
	vdev_host_work(h);
	assert_int_equal(get(PORT + IS), 1);
}

static void test_interrupts(void **state)
{
	(void)state;
	prepare(0, 0xe7, 0, 0, 0);
	issue(0);
	assert_true(h->line[0]);
	assert_int_equal(get(8), 1);
	put(8, 1);						/* its reason is still there */
	assert_true(h->line[0]);
	put(PORT + IS, ~0u);
	put(8, 1);
	assert_false(h->line[0]);
	config(0x84, 8, 0xfee00000);
	config(0x8c, 2, 0x41);
	config(0x82, 2, 1);
	issue(0);
	assert_false(h->line[0]);
	assert_int_equal(h->message_count, 1);
	assert_int_equal(h->message[0].data, 0x41);
	issue(0);						/* told already */
	assert_int_equal(h->message_count, 1);
	put(8, 1);
	assert_int_equal(h->message_count, 2);
	put(PORT + IS, ~0u);
	put(8, 1);
	put(PORT + IE, 0);
	issue(0);
	assert_int_equal(h->message_count, 2);
}

static void test_resets(void **state)
{
	(void)state;
	put(PORT + CMD, 0x10);
	put(PORT + SCTL, 0x301);
	assert_int_equal(get(PORT + SSTS), 0);
	assert_int_equal(get(PORT + SIG), ~0u);
	put(PORT + SCTL, 0x300);
	assert_int_equal(get(PORT + SSTS), 0x113);
	assert_int_equal(get(PORT + SIG), 0x101);
	assert_int_equal(get(PORT + SERR), 0x04010000);
	assert_int_equal(get(PORT + IS) & 0x400040, 0x400040);
	put(PORT + SERR, ~0u);
	assert_int_equal(get(PORT + IS), 0);
	put(PORT + SCTL, 4);
	assert_int_equal(get(PORT + SSTS), 4);
	put(PORT + SCTL, 0);
	put(PORT + CMD, 0x11);
	/* By control FISes. */
	prepare(0, 0, 0, 0, 0);
	h->memory[TABLE + 1] = 0;
	h->memory[TABLE + 15] = 4;
	issue(0);
	h->memory[TABLE + 15] = 0;
	issue(0);
	assert_int_equal(h->memory[FIS + 0x44], 1);
	assert_int_equal(h->memory[FIS + 0x4c], 1);
	assert_int_equal(get(PORT + TFD), 0x150);
	/* The controller, a command being under way. */
	prepare(0, 0x06, 0, 1, 1);
	memset(h->memory + DATA, 0, 512);
	mem32(DATA + 4, 1 << 16);
	h->disk_late = true;
	issue(0);
	put(4, 1);
	assert_int_equal(get(4) & 1, 1);
	vdev_host_finish(h);
	vdev_host_work(h);
	assert_int_equal(get(4), 0x80000000);
	assert_int_equal(get(PORT + CLB), 0);
	start();
	issue(0);
	d->ops->reset(d);					/* waits for the medium */
	assert_int_equal(h->later_count, 0);
	vdev_host_work(h);
	assert_int_equal(get(PORT + IS) & 1, 0);
}

/* ---- a disc ---- */

static uint32_t packet(const uint8_t *p)
{
	uint32_t is;

	prepare(0, 0xa0, 0, 0, 1);
	memcpy(h->memory + TABLE + 0x40, p, 12);
	mem32(LIST, 5 | 0x20 | 1 << 16);
	memset(h->memory + DATA, 0xee, 4096);
	issue(0);
	is = get(PORT + IS);
	restart();
	return is;
}

#define PACKET(...) packet((const uint8_t[12]){ __VA_ARGS__ })
#define PACKET_FAILED	0x40000001

static unsigned sense(void)
{
	const uint8_t *s = h->memory + DATA;

	assert_int_equal(PACKET(3, 0, 0, 0, 18), 1);
	return (unsigned)(s[2] << 16 | s[12] << 8 | s[13]);
}

static void test_disc(void **state)
{
	const uint8_t *s = h->memory + DATA;

	(void)state;
	assert_int_equal(get(PORT + SIG), 0xeb140101);
	assert_int_equal(run(0xec, 0, 0, 0), PACKET_FAILED);
	assert_int_equal(h->memory[FIS + 0x45], 0x14);
	assert_int_equal(h->memory[FIS + 0x46], 0xeb);
	assert_int_equal(run(0xa1, 0, 0, 0), 2);
	assert_int_equal(word(0), 0x85c0);
	assert_int_equal(PACKET(0), PACKET_FAILED);
	assert_int_equal(sense(), 0x062900);
	assert_int_equal(PACKET(0), 1);
	assert_int_equal(sense(), 0);
	assert_int_equal(PACKET(0x12, 0, 0, 0, 36), 1);
	assert_int_equal(s[0], 5);
	assert_int_equal(moved(), 36);
	assert_int_equal(PACKET(0x25), 1);
	assert_int_equal(s[3], VDEV_HOST_DISK / 2048 - 1);
	assert_int_equal(s[6], 8);
	assert_int_equal(PACKET(0x28, 0, 0, 0, 0, 3, 0, 0, 2), 1);
	assert_memory_equal(s, h->disk + 3 * 2048, 4096);
	assert_int_equal(moved(), 4096);
	assert_int_equal(PACKET(0xa8, 0, 0, 0, 0, 15, 0, 0, 0, 1), 1);
	assert_memory_equal(s, h->disk + 15 * 2048, 2048);
	assert_int_equal(PACKET(0xa8, 0, 0, 0, 0, 15, 0, 0, 0, 2), PACKET_FAILED);
	assert_int_equal(sense(), 0x052100);
	assert_int_equal(PACKET(0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff), PACKET_FAILED);
	assert_int_equal(PACKET(0x43, 2, 0, 0, 0, 0, 0, 0, 20), 1);
	assert_int_equal(s[1], 18);
	assert_int_equal(s[9], 0);
	assert_int_equal(s[10], 2);				/* 00:02:00 */
	assert_int_equal(PACKET(0x43, 0, 2, 0, 0, 0, 0, 0, 20), PACKET_FAILED);
	assert_int_equal(PACKET(0x46, 2, 0, 0, 0, 0, 0, 0, 8), 1);
	assert_int_equal(moved(), 8);
	assert_int_equal(s[7], 8);
	assert_int_equal(PACKET(0x46, 3, 0, 0, 0, 0, 0, 0, 8), PACKET_FAILED);
	assert_int_equal(PACKET(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), 1);
	assert_int_equal(s[5], 2);
	assert_int_equal(PACKET(0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8), PACKET_FAILED);
	assert_int_equal(PACKET(0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 128), 1);
	assert_int_equal(moved(), 28);
	assert_int_equal(PACKET(0x5a, 0, 0x33, 0, 0, 0, 0, 0, 128), PACKET_FAILED);
	assert_int_equal(PACKET(0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8), 1);
	assert_int_equal(PACKET(0x2a), PACKET_FAILED);		/* no writes */
	assert_int_equal(sense(), 0x052000);
}

static void test_tray(void **state)
{
	(void)state;
	sense();
	assert_int_equal(PACKET(0x1e, 0, 0, 0, 1), 1);
	assert_int_equal(PACKET(0x1b, 0, 0, 0, 2), PACKET_FAILED);
	assert_int_equal(sense(), 0x055302);
	assert_int_equal(PACKET(0x1e), 1);
	assert_int_equal(PACKET(0x1b, 0, 0, 0, 2), 1);
	assert_int_equal(PACKET(0), PACKET_FAILED);
	assert_int_equal(sense(), 0x023a02);
	assert_int_equal(PACKET(0x1b, 0, 0, 0, 3), 1);
	assert_int_equal(PACKET(0x25), PACKET_FAILED);
	assert_int_equal(sense(), 0x062800);
	assert_int_equal(PACKET(0x25), 1);
	h->disk_error = -EIO;
	assert_int_equal(PACKET(0x28, 0, 0, 0, 0, 0, 0, 0, 1), PACKET_FAILED);
	assert_int_equal(sense(), 0x031100);
}

static int tray(enum host_tray what)
{
	return d->ops->media_tray(d, 0, what);
}

static unsigned event(void)
{
	assert_int_equal(PACKET(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), 1);
	return (unsigned)(h->memory[DATA + 4] << 8 | h->memory[DATA + 5]);
}

/* The guest's own hand on the tray is told, and the disc that lies there comes back with it. */
static void test_guest_ejects(void **state)
{
	(void)state;
	sense();
	assert_int_equal(PACKET(0x1b, 0, 0, 0, 2), 1);
	assert_true(h->disk_open);
	assert_int_equal(event(), 0x001);
	d->ops->reset(d);					/* a reset does not shut it */
	start();
	sense();
	assert_int_equal(PACKET(0), PACKET_FAILED);
	assert_int_equal(sense(), 0x023a02);
	assert_int_equal(PACKET(0x1b, 0, 0, 0, 3), 1);
	assert_false(h->disk_open);
	assert_int_equal(h->trays, 2);
	assert_int_equal(event(), 0x202);
	assert_int_equal(event(), 0x002);
	assert_int_equal(PACKET(0x1b, 0, 0, 0, 3), 1 << 30 | 1);	/* it has changed */
	assert_int_equal(PACKET(0x1b, 0, 0, 0, 3), 1);		/* and is shut already */
	assert_int_equal(h->trays, 2);
}

static void test_disc_changed(void **state)
{
	(void)state;
	sense();
	assert_int_equal(PACKET(0x1e, 0, 0, 0, 1), 1);
	assert_int_equal(tray(HOST_TRAY_EJECT), -EBUSY);
	assert_int_equal(event(), 0x102);			/* it is asked for */
	assert_int_equal(PACKET(0), 1);
	assert_int_equal(tray(HOST_TRAY_FORCE), 0);
	assert_int_equal(event(), 0x301);
	assert_int_equal(tray(HOST_TRAY_EJECT), 0);		/* it is open */
	h->disk_size = 8192;
	assert_int_equal(tray(HOST_TRAY_LOAD), 0);
	assert_int_equal(event(), 0x202);
	assert_int_equal(PACKET(0), PACKET_FAILED);
	assert_int_equal(sense(), 0x062800);
	assert_int_equal(PACKET(0x25), 1);
	assert_int_equal(h->memory[DATA + 3], 3);
	assert_int_equal(PACKET(0x1e), 1);
	assert_int_equal(tray(HOST_TRAY_EJECT), 0);
	h->disk_size = 0;
	h->disk_open = true;
	assert_int_equal(tray(HOST_TRAY_LOAD), 0);		/* nothing there */
	assert_int_equal(event(), 0x301);
	assert_int_equal(PACKET(0x1b, 0, 0, 0, 3), 1);		/* nor when the guest shuts it */
	assert_false(h->disk_open);
	assert_int_equal(PACKET(0x28, 0, 0, 0, 0, 0, 0, 0, 1), PACKET_FAILED);
	assert_int_equal(sense(), 0x023a01);
	assert_int_equal(PACKET(0x46, 2, 0, 0, 0, 0, 0, 0, 8), 1);
	assert_int_equal(h->memory[DATA + 7], 0);
	assert_int_equal(event(), 0x000);
	/* A reset on the way does not hide that the disc is another. */
	h->disk_size = 4096;
	assert_int_equal(tray(HOST_TRAY_LOAD), 0);
	put(PORT + CMD, 0);
	put(PORT + SCTL, 1);
	put(PORT + SCTL, 0);
	start();
	assert_int_equal(PACKET(0), PACKET_FAILED);
	assert_int_equal(sense(), 0x062800);
}

/* A read that has begun does not go on with another disc: nor does one that has still to begin. */
static void test_disc_gone(void **state)
{
	struct vata_drive drive = { .present = true, .packet = true, .sectors = 64 };
	static const uint8_t read[VATA_PACKET] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 2 };
	static struct vata_operation op;

	(void)state;
	vata_command(&drive, &(struct vata_registers){ .command = 0xa0 }, read, &op);
	assert_int_equal(op.what, VATA_READ);
	assert_false(vata_disc_gone(&drive, &op));
	assert_int_equal(vata_eject(&drive, false), 0);
	assert_true(vata_disc_gone(&drive, &op));
	assert_int_equal(op.error, 0x24);
	vata_insert(&drive, 32, false);
	assert_true(vata_disc_gone(&drive, &op));
	assert_int_equal(op.error, 0x64);
	assert_int_equal(drive.sense[1], 0x28);
	sense();
	prepare(0, 0xa0, 0, 0, 1);
	memcpy(h->memory + TABLE + 0x40, read, sizeof(read));
	mem32(LIST, 5 | 0x20 | 1 << 16);
	put(PORT + CI, 1);
	assert_int_equal(tray(HOST_TRAY_EJECT), 0);
	assert_int_equal(tray(HOST_TRAY_LOAD), 0);
	vdev_host_work(h);
	assert_int_equal(get(PORT + IS), PACKET_FAILED);
	restart();
	assert_int_equal(sense(), 0x062800);
}

/* ---- saved form ---- */

static void test_saved(void **state)
{
	static uint8_t one[8192], two[8192];
	struct vdev *bus2, *d2, *was = d;
	size_t n;

	(void)state;
	prepare(0, 0x06, 0, 1, 1);
	memset(h->memory + DATA, 0, 512);
	mem32(DATA + 4, 1 << 16);
	h->disk_late = true;
	issue(0);
	vdev_host_finish(h);					/* but the work has not gone on */
	n = vdev_host_save(d, one, sizeof(one));
	make(&bus2, &d2);
	memcpy(vdev_host_of(d2)->memory, h->memory, VDEV_HOST_MEMORY);
	assert_int_equal(vdev_host_load(d2, one, n, 3), -EINVAL);
	assert_int_equal(vdev_host_load(d2, one, n - 1, 2), -EINVAL);
	assert_int_equal(vdev_host_load(d2, one, n, 2), 0);
	assert_int_equal(vdev_host_save(d2, two, sizeof(two)), n);
	assert_memory_equal(one, two, n);
	vdev_host_work(d2->host);				/* is begun anew */
	d = d2;
	assert_int_equal(get(PORT + IS), 1);
	assert_int_equal(get(PORT + CI), 0);
	d = was;
	for (unsigned i = 0; i < n; i++) {			/* taken or refused, never half */
		one[i] ^= 0x81;
		vdev_host_save(d2, two, sizeof(two));
		if (vdev_host_load(d2, one, n, 2)) {
			static uint8_t three[8192];

			vdev_host_save(d2, three, sizeof(three));
			assert_memory_equal(two, three, n);
		}
		vdev_host_work(d2->host);
		one[i] ^= 0x81;
	}
	vdev_host_detach(d2->host);
	vdev_host_detach(bus2->host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define DISC(f) cmocka_unit_test_setup_teardown(f, setup_disc, teardown)
		TEST(test_registers), TEST(test_identify), TEST(test_transfers),
		TEST(test_settings), TEST(test_tables), TEST(test_queued), TEST(test_trim),
		TEST(test_waits), TEST(test_interrupts), TEST(test_resets), DISC(test_disc),
		DISC(test_tray), DISC(test_guest_ejects), DISC(test_disc_changed),
		DISC(test_disc_gone), TEST(test_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
