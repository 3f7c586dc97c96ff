/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/ve1000*.c vdev/vframe.c vdev/vinbox.c vdev/vpci*.c lib/record.c
 * tests/host/vdev_host.c */
/*
 * Intel's network cards, both chips, on one cable: registers, NVM and PHY, frames by every kind of
 * descriptor, filters, tags, sums, cutting, two queues, interrupts and their delays, rings and
 * memory that are not right, the link, resets, saved state.
 */
#include "vdev_test.h"
#include "ve1000_driver.h"
#include "vdev/vframe.h"

#define SECRC		0x4000000u
#define BAM		0x8000u
#define LEGACY		0x0b000000u	/* EOP, IFCS, RS */
#define DATA		0x2b100000u	/* the same, extended */
#define CONTEXT		0x20000000u
#define DD_EOP		3u

static struct nic a, b;
static uint8_t frame[16384];

static void begin(enum ve1000_model model_a, enum ve1000_model model_b)
{
	nic_create(&a, model_a, driver_mac[0]);
	nic_create(&b, model_b, driver_mac[1]);
	a.h->peer = b.h;
	b.h->peer = a.h;
	a.d->ops->media_link(a.d, 0);
	b.d->ops->media_link(b.d, 0);
	nic_tx_up(&a);
}

static void end(void)
{
	nic_destroy(&a);
	nic_destroy(&b);
}

/* ---- frames ---- */

static void make_frame(unsigned n, unsigned type)
{
	for (unsigned i = 0; i < n; i++)
		frame[i] = (uint8_t)(i * 7 + i / 256);
	memcpy(frame, driver_mac[1], 6);
	memcpy(frame + 6, driver_mac[0], 6);
	frame[12] = (uint8_t)(type >> 8);
	frame[13] = (uint8_t)type;
}

static void make_ip(unsigned n, unsigned version, unsigned protocol)
{
	unsigned l4 = version == 4 ? 34 : 54, length = n - (version == 4 ? 14 : 54);

	make_frame(n, version == 4 ? 0x0800 : 0x86dd);
	frame[14] = version == 4 ? 0x45 : 0x60;
	frame[version == 4 ? 16 : 18] = (uint8_t)(length >> 8);
	frame[version == 4 ? 17 : 19] = (uint8_t)length;
	frame[version == 4 ? 23 : 20] = (uint8_t)protocol;
	if (version == 4)
		memset(frame + 20, 0, 2), memset(frame + 24, 0, 2);
	frame[l4 + 12] = 0x50;
	memset(frame + l4 + (protocol == 6 ? 16 : 6), 0, 2);
}

/* In parts, the first of which are short; `low` of the last one. */
static void send_parts(unsigned n, unsigned parts, uint32_t low, uint32_t high)
{
	unsigned at = 0;

	memcpy(a.memory + DRIVER_FRAME, frame, n);
	for (unsigned i = 0; i < parts; i++) {
		unsigned part = i + 1 == parts ? n - at : 1 + i * 20;

		nic_tx_add(&a, DRIVER_FRAME + at,
			   part | (i + 1 == parts ? low : low & ~0x09000000u), high);
		at += part;
	}
	nic_tx_ring(&a);
}

static void send(unsigned n)
{
	send_parts(n, 1, LEGACY, 0);
}

/* What b has: descriptors of the older kind. Returns the status and errors. */
static unsigned expect(unsigned n)
{
	uint64_t v = nic_get64(&b, DRIVER_RX + 16 * b.rx + 8);

	assert_int_equal(v >> 32 & DD_EOP, DD_EOP);
	assert_int_equal(v & 0xffff, n);
	assert_memory_equal(b.memory + DRIVER_BUFFERS + 2048 * b.rx, frame, n);
	nic_set64(&b, DRIVER_RX + 16 * b.rx + 8, 0);
	nic_put(&b, REG_RX + RING_LAST, b.rx);
	b.rx = (b.rx + 1) % DRIVER_SLOTS;
	return v >> 32 & 0xffff;
}

static bool got_any(void)
{
	return nic_get64(&b, DRIVER_RX + 16 * b.rx + 8) >> 32 & 1;
}

/* ---- registers ---- */

static uint16_t mdio(struct nic *n, unsigned reg)
{
	nic_put(n, REG_MDIC, 0x08200000 | reg << 16);
	assert_int_equal(nic_get(n, REG_MDIC) >> 28, 1);
	return (uint16_t)nic_get(n, REG_MDIC);
}

static uint16_t eeprom(struct nic *n, bool express, unsigned i)
{
	nic_put(n, REG_EERD, 1 | i << (express ? 2 : 8));
	assert_true(nic_get(n, REG_EERD) & (express ? 2 : 0x10));
	return (uint16_t)(nic_get(n, REG_EERD) >> 16);
}

/* By its wires. */
static void clock_bit(unsigned eecd)
{
	nic_put(&a, REG_EECD, eecd);
	nic_put(&a, REG_EECD, eecd | 1);
	nic_put(&a, REG_EECD, eecd);
}

static uint16_t microwire(unsigned i)
{
	unsigned command = 0x180 | i, v = 0;

	nic_put(&a, REG_EECD, 0x42);
	assert_true(nic_get(&a, REG_EECD) & 0x80);
	for (int bit = 8; bit >= 0; bit--)
		clock_bit(0x42 | (command >> bit & 1) << 2);
	for (unsigned bit = 0; bit < 16; bit++) {
		nic_put(&a, REG_EECD, 0x43);
		v = v << 1 | (nic_get(&a, REG_EECD) >> 3 & 1);
		nic_put(&a, REG_EECD, 0x42);
	}
	nic_put(&a, REG_EECD, 0);
	return (uint16_t)v;
}

static void registers(void **state)
{
	(void)state;
	begin(VE1000_82540, VE1000_82574);
	assert_int_equal(vdev_host_read(a.bus, VPCI_ECAM, 4 << 15, 4), 0x100e8086);
	assert_int_equal(vdev_host_read(b.bus, VPCI_ECAM, 4 << 15, 4), 0x10d38086);
	assert_int_equal(nic_get(&a, REG_RA), 0x00005452);
	assert_int_equal(nic_get(&a, REG_RA + 4), 0x80000100);
	assert_int_equal(nic_get(&b, REG_STATUS) & 0x800c3, 0x80083);
	nic_put(&b, REG_CTRL, 4);
	assert_int_equal(nic_get(&b, REG_STATUS) & 0x80000, 0);
	nic_put(&a, REG_RX + RING_LOW, ~0u);
	nic_put(&a, REG_RX + RING_SIZE, ~0u);
	nic_put(&a, REG_RX + RING_LAST, ~0u);
	assert_int_equal(nic_get(&a, REG_RX + RING_LOW), 0xfffffff0);
	assert_int_equal(nic_get(&a, REG_RX + RING_SIZE), 0x000fff80);
	assert_int_equal(nic_get(&a, REG_RX + RING_LAST), 0xffff);
	nic_put(&a, REG_IVAR, ~0u);			/* the other chip's */
	nic_put(&b, REG_IVAR, ~0u);
	assert_int_equal(nic_get(&a, REG_IVAR), 0);
	assert_int_equal(nic_get(&b, REG_IVAR), 0x800fffff);
	nic_put(&a, 0x1fffc, 1);
	assert_int_equal(nic_get(&a, 0x1fffc) | nic_get(&a, 0x5ffc) | nic_get(&a, 0x3c), 0);
	nic_put(&a, REG_MTA + 127 * 4, 0x1234);
	assert_int_equal(vdev_host_read(a.d, 0, REG_MTA + 127 * 4, 2), 0x1234);
	assert_int_equal(vdev_host_read(a.d, 0, REG_MTA + 127 * 4 + 1, 1), 0x12);
	vdev_host_write(a.d, 0, REG_MTA + 127 * 4, 2, 0);
	assert_int_equal(nic_get(&a, REG_MTA + 127 * 4), 0x1234);
	vdev_host_write(a.d, 0, REG_VFTA, 8, 0x1122334455667788);
	assert_int_equal(vdev_host_read(a.d, 0, REG_VFTA, 8), 0x1122334455667788);
	vdev_host_write(a.d, VE1000_PORTS, 0, 4, REG_VFTA + 4);
	assert_int_equal(vdev_host_read(a.d, VE1000_PORTS, 0, 4), REG_VFTA + 4);
	assert_int_equal(vdev_host_read(a.d, VE1000_PORTS, 4, 4), 0x11223344);
	vdev_host_write(a.d, VE1000_PORTS, 4, 4, 5);
	assert_int_equal(nic_get(&a, REG_VFTA + 4), 5);
	assert_int_equal(vdev_host_read(a.d, VE1000_PORTS, 8, 4), 0);
	assert_int_equal(nic_get(&b, REG_SWSM) & 1, 0);
	assert_int_equal(nic_get(&b, REG_SWSM) & 1, 1);
	end();
}

static void nvm_and_phy(void **state)
{
	uint16_t sum[3] = { 0 };

	(void)state;
	begin(VE1000_82540, VE1000_82574);
	for (unsigned i = 0; i < 64; i++) {
		sum[0] = (uint16_t)(sum[0] + eeprom(&a, false, i));
		sum[1] = (uint16_t)(sum[1] + eeprom(&b, true, i));
		sum[2] = (uint16_t)(sum[2] + microwire(i));
		assert_int_equal(microwire(i), eeprom(&a, false, i));
	}
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(sum[i], 0xbaba);
	assert_int_equal(eeprom(&b, true, 2), 0x0200);
	assert_int_equal(eeprom(&b, true, 64), 0xffff);
	assert_int_equal(mdio(&a, 2), 0x0141);
	assert_int_equal(mdio(&a, 3), 0x0c20);
	assert_int_equal(mdio(&b, 3), 0x0cb1);
	mdio(&a, 1);
	assert_int_equal(mdio(&a, 1) & 0x24, 0x24);
	nic_put(&a, REG_MDIC, 0x08400000);		/* another address */
	assert_int_equal(nic_get(&a, REG_MDIC) >> 28, 5);
	nic_get(&a, REG_ICR);
	nic_put(&a, REG_MDIC, 0x24200000 | 0x1340);	/* a write, told of: restart */
	assert_int_equal(nic_get(&a, REG_ICR), 0x204);
	assert_int_equal(mdio(&a, 0), 0x1140);
	nic_put(&a, REG_MDIC, 0x04200000 | 0x1940);	/* powered down */
	assert_int_equal(nic_get(&a, REG_STATUS) & 2, 0);
	assert_int_equal(mdio(&a, 1) & 0x24, 0);
	nic_put(&a, REG_MDIC, 0x04200000 | 0x9140);
	assert_int_equal(nic_get(&a, REG_STATUS) & 2, 2);
	assert_int_equal(mdio(&a, 1) & 0x24, 0x20);	/* it was down: that is shown once */
	assert_int_equal(mdio(&a, 1) & 0x24, 0x24);
	nic_put(&b, REG_MDIC, 0x04360000 | 2);		/* another page */
	assert_int_equal(mdio(&b, 2), 0);
	nic_put(&b, REG_MDIC, 0x04360000);
	assert_int_equal(mdio(&b, 2), 0x0141);
	end();
}

/* ---- frames ---- */

static void plain(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		begin(i & 1 ? VE1000_82574 : VE1000_82540, i & 2 ? VE1000_82574 : VE1000_82540);
		nic_rx_up(&b, SECRC, 16);
		for (unsigned n = 60; n <= 1518; n += 54) {
			make_frame(n, 0x88b5);
			send_parts(n, 1 + n % 4, n % 8 < 4 ? LEGACY : DATA, 0);
			assert_int_equal(a.h->frame_result, 0);
			expect(n);
			assert_int_equal(nic_get(&a, REG_TX + RING_FIRST), a.tx);
			assert_true(nic_get64(&a, DRIVER_TX +
					      16 * ((a.tx + 15) % 16) + 8) >> 32 & 1);
		}
		make_frame(20, 0x88b5);			/* padded */
		send(20);
		memset(frame + 20, 0, 40);
		expect(60);
		make_frame(1519, 0x88b5);
		send(1519);				/* too long */
		assert_false(got_any());
		assert_int_equal(nic_get(&b, REG_STATS + 4 * 43), 1);
		nic_put(&b, REG_RCTL, SECRC | 0x22);
		send(1519);
		expect(1519);
		nic_put(&b, REG_RCTL, 2);		/* with what stands for the CRC */
		make_frame(100, 0x88b5);
		send(100);
		memset(frame + 100, 0, 4);
		expect(104);
		assert_int_equal(nic_get(&a, REG_STATS + 4 * 53), 32);
		assert_int_equal(nic_get(&b, REG_STATS + 4 * 52), 31);
		assert_int_equal(nic_get(&b, REG_STATS + 4 * 52), 0);
		end();
	}
}

/* Frames over several buffers, of each kind of descriptor. */
static void several_buffers(void **state)
{
	(void)state;
	begin(VE1000_82574, VE1000_82574);
	for (unsigned extended = 0; extended < 2; extended++) {
		nic_put(&b, REG_RFCTL, extended << 15);
		nic_rx_up(&b, SECRC | 0x30000, 16);	/* 256 bytes */
		make_frame(1000, 0x88b5);
		send(1000);
		for (unsigned i = 0; i < 4; i++) {
			uint64_t v = nic_get64(&b, DRIVER_RX + 16 * i + 8);
			unsigned n = i < 3 ? 256 : 1000 - 768;

			assert_int_equal(v >> (extended ? 0 : 32) & DD_EOP, i < 3 ? 1 : 3);
			assert_int_equal(v >> (extended ? 32 : 0) & 0xffff, n);
			assert_memory_equal(b.memory + DRIVER_BUFFERS + 2048 * i,
					    frame + 256 * i, n);
		}
		assert_int_equal(nic_get(&b, REG_RX + RING_FIRST), 4);
		nic_put(&b, REG_RX + RING_LAST, 7);	/* 3 are left: it waits for a fourth */
		send(1000);
		assert_int_equal(nic_get(&b, REG_RX + RING_FIRST), 4);
		nic_put(&b, REG_RX + RING_LAST, 8);
		assert_int_equal(nic_get(&b, REG_RX + RING_FIRST), 8);
	}
	nic_put(&b, REG_RCTL, SECRC | 2 | 1u << 27 | 0x20);	/* 1 KiB, and jumbo frames */
	make_frame(5000, 0x88b5);
	nic_put(&b, REG_RX + RING_LAST, 13);
	send(5000);
	assert_int_equal(nic_get(&b, REG_RX + RING_FIRST), 13);
	end();
}

static void split_headers(void **state)
{
	(void)state;
	begin(VE1000_82540, VE1000_82574);
	nic_put(&b, REG_RFCTL, 0x8000);
	nic_put(&b, REG_PSRCTL, 2 | 1 << 8 | 1 << 16);	/* 256, then 1 KiB twice */
	nic_rx_up(&b, SECRC | 0x400 | 0x20, 32);
	for (unsigned i = 0; i < 16; i++) {
		nic_set64(&b, DRIVER_RX + 32 * i + 8, 0xc000);
		nic_set64(&b, DRIVER_RX + 32 * i + 16, 0xd000);
	}
	make_ip(1500, 4, 6);
	send(1500);
	assert_int_equal(nic_get64(&b, DRIVER_RX + 8) & DD_EOP, DD_EOP);
	assert_int_equal(nic_get64(&b, DRIVER_RX + 8) >> 32 & 0xffff, 54);
	assert_int_equal(nic_get64(&b, DRIVER_RX + 16),
			 0x8000 | 54 | 1024ul << 16 | (1500 - 54 - 1024ul) << 32);
	assert_memory_equal(b.memory + DRIVER_BUFFERS, frame, 54);
	assert_memory_equal(b.memory + 0xc000, frame + 54, 1024);
	assert_memory_equal(b.memory + 0xd000, frame + 1078, 1500 - 1078);
	make_ip(4000, 4, 6);				/* two descriptors, one header */
	send(4000);
	assert_int_equal(nic_get64(&b, DRIVER_RX + 32 + 8) & DD_EOP, 1);
	assert_int_equal(nic_get64(&b, DRIVER_RX + 32 + 16),
			 0x8000 | 54 | 1024ul << 16 | 1024ul << 32);
	assert_int_equal(nic_get64(&b, DRIVER_RX + 64 + 8) >> 32 & 0xffff, 0);
	assert_int_equal(nic_get64(&b, DRIVER_RX + 64 + 16),
			 1024ul << 16 | (4000 - 54 - 3072ul) << 32);
	make_frame(300, 0x88b5);			/* no header: one buffer after the other */
	send(300);
	assert_int_equal(nic_get64(&b, DRIVER_RX + 96 + 8) >> 32 & 0xffff, 256);
	assert_int_equal(nic_get64(&b, DRIVER_RX + 96 + 16), 44ul << 16);
	end();
}

/* ---- filters and tags ---- */

static bool takes(const char *to, unsigned vlan)
{
	bool got;

	make_frame(64, vlan != ~0u ? 0x8100 : 0x88b5);
	memcpy(frame, to, 6);
	frame[14] = (uint8_t)(vlan >> 8 & 0x1f);
	frame[15] = (uint8_t)vlan;
	send(64);
	got = got_any();
	if (got)
		expect(64);
	return got;
}

static void filters(void **state)
{
	(void)state;
	begin(VE1000_82540, VE1000_82540);
	nic_rx_up(&b, SECRC, 16);
	assert_true(takes("\x52\x54\0\0\0\2", ~0u));
	assert_false(takes("\x52\x54\0\0\0\3", ~0u));
	assert_false(takes("\xff\xff\xff\xff\xff\xff", ~0u));
	assert_false(takes("\1\0\x5e\0\0\1", ~0u));
	nic_put(&b, REG_RCTL, SECRC | BAM | 2);
	assert_true(takes("\xff\xff\xff\xff\xff\xff", ~0u));
	assert_false(takes("\1\0\x5e\0\0\1", ~0u));
	nic_put(&b, REG_RCTL, SECRC | 0x8 | 2);
	assert_true(takes("\x52\x54\0\0\0\3", ~0u));
	assert_false(takes("\1\0\x5e\0\0\1", ~0u));
	nic_put(&b, REG_RCTL, SECRC | 0x10 | 2);
	assert_true(takes("\1\0\x5e\0\0\1", ~0u));
	for (unsigned i = 0; i < 4; i++) {		/* bits 47:36, 46:35, 45:34, 43:32 */
		static const unsigned hash[] = { 0x563, 0xac6, 0x58d, 0x634 };

		nic_put(&b, REG_RCTL, SECRC | 2 | i << 12);
		assert_false(takes("\1\0\x5e\0\x34\x56", ~0u));
		nic_put(&b, REG_MTA + hash[i] / 32 * 4, 1u << hash[i] % 32);
		assert_true(takes("\1\0\x5e\0\x34\x56", ~0u));
		nic_put(&b, REG_MTA + hash[i] / 32 * 4, 0);
	}
	nic_put(&b, REG_RA + 15 * 8, 0x5e0001);
	nic_put(&b, REG_RA + 15 * 8 + 4, 0x0100);
	assert_false(takes("\1\0\x5e\0\0\1", ~0u));
	nic_put(&b, REG_RA + 15 * 8 + 4, 0x80000100);
	assert_true(takes("\1\0\x5e\0\0\1", ~0u));
	nic_put(&b, REG_RCTL, SECRC | 0x40000 | 2);
	assert_true(takes("\x52\x54\0\0\0\2", ~0u));
	assert_false(takes("\x52\x54\0\0\0\2", 0x123));
	nic_put(&b, REG_VFTA + 0x123 / 32 * 4, 1u << 0x123 % 32);
	assert_true(takes("\x52\x54\0\0\0\2", 0x123));
	nic_put(&b, REG_RCTL, SECRC | 0xc0000 | 2);	/* and by the CFI bit */
	assert_true(takes("\x52\x54\0\0\0\2", 0x123));
	assert_false(takes("\x52\x54\0\0\0\2", 0x1123));
	end();
}

static void tags(void **state)
{
	uint64_t v;

	(void)state;
	begin(VE1000_82540, VE1000_82574);
	nic_rx_up(&b, SECRC, 16);
	make_frame(200, 0x88b5);
	nic_put(&a, REG_CTRL, 0x40000000);
	send_parts(200, 2, LEGACY | 0x40000000, 0x2123u << 16);
	assert_int_equal(a.h->frame.size, 204);
	assert_memory_equal(a.h->frame_bytes, frame, 12);
	assert_memory_equal(a.h->frame_bytes + 12, "\x81\0\x21\x23\x88\xb5", 6);
	assert_memory_equal(a.h->frame_bytes + 18, frame + 14, 186);
	memcpy(frame, a.h->frame_bytes, 204);
	assert_int_equal(expect(204) & 8, 0);		/* not stripped */
	nic_put(&b, REG_CTRL, 0x40000000);
	make_frame(200, 0x88b5);
	send_parts(200, 1, LEGACY | 0x40000000, 0x2123u << 16);
	v = nic_get64(&b, DRIVER_RX + 16 * b.rx + 8);
	assert_int_equal(v >> 48, 0x2123);
	assert_int_equal(expect(200) & 8, 8);
	nic_put(&a, REG_CTRL, 0);			/* not without leave */
	send_parts(200, 1, LEGACY | 0x40000000, 0x2123u << 16);
	assert_int_equal(expect(200) & 8, 0);
	end();
}

/* ---- sums ---- */

/* As RFC 1071 has it, over big-endian words. */
static uint16_t reference_sum(const uint8_t *p, unsigned n)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* The pseudo-header's sum where a driver puts it. */
static void seed(unsigned n, unsigned version, unsigned protocol, bool length)
{
	unsigned l4 = version == 4 ? 34 : 54, at = l4 + (protocol == 6 ? 16 : 6);
	uint8_t p[40] = { 0 };
	uint16_t sum;

	memcpy(p, frame + (version == 4 ? 26 : 22), version == 4 ? 8 : 32);
	p[33] = (uint8_t)protocol;
	if (length) {
		p[34] = (uint8_t)((n - l4) >> 8);
		p[35] = (uint8_t)(n - l4);
	}
	sum = reference_sum(p, 36);
	frame[at] = (uint8_t)(sum >> 8);
	frame[at + 1] = (uint8_t)sum;
}

static void context(unsigned l4, unsigned place, uint32_t end, uint32_t low, uint32_t high)
{
	nic_tx_add(&a, 14 | 24 << 8 | 33u << 16 | (l4 | place << 8 | (uint64_t)end << 16) << 32,
		   CONTEXT | low, high);
}

static void sums(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		bool tcp = i & 1, four = i & 2, express = i & 4;
		unsigned l4 = four ? 34 : 54, status;

		begin(VE1000_82540, express ? VE1000_82574 : VE1000_82540);
		nic_rx_up(&b, SECRC, 16);
		nic_put(&b, REG_RXCSUM, 0x300);
		make_ip(501, four ? 4 : 6, tcp ? 6 : 17);
		seed(501, four ? 4 : 6, tcp ? 6 : 17, true);
		context(l4, l4 + (tcp ? 16 : 6), 0,
			(four ? 0x2000000 : 0) | (tcp ? 0x1000000 : 0), 0);
		send_parts(501, 3, DATA, four ? 0x300 : 0x200);
		assert_int_equal(a.h->frame.flags, VFRAME_NEEDS_CSUM);
		assert_int_equal(a.h->frame.csum_start, l4);
		memcpy(frame, b.memory + DRIVER_BUFFERS, 501);
		if (four)
			assert_int_equal(reference_sum(frame + 14, 20), 0xffff);
		status = expect(501);
		assert_int_equal(status & 0xff70,
				 (four ? 0x40 : 0) | (tcp || !express ? 0x20 : 0x10));
		send(501);				/* now as it is */
		assert_int_equal(expect(501) & 0xff70, status & 0xff70);
		frame[100]++;
		send(501);
		assert_int_equal(expect(501) & 0xff00, 0x2000);
		if (four) {
			frame[100]--;
			frame[22]++;			/* a hop more */
			send(501);
			assert_int_equal(expect(501) & 0xff00, 0x4000);
		}
		nic_put(&b, REG_RXCSUM, 0);
		send(501);
		assert_int_equal(nic_get64(&b, DRIVER_RX + 16 * b.rx + 8) >> 16 & 0xffff,
				 (uint16_t)(reference_sum(frame, 501) << 8 |
					    reference_sum(frame, 501) >> 8));
		assert_int_equal(expect(501) & 0xff74, 4);
		end();
	}
}

/* Sums that a driver asks for elsewhere than headers are. */
static void odd_sums(void **state)
{
	(void)state;
	begin(VE1000_82540, VE1000_82540);
	nic_rx_up(&b, SECRC, 16);
	make_frame(300, 0x88b5);
	frame[50] = frame[51] = 0;
	memcpy(a.memory + DRIVER_FRAME, frame, 300);	/* the older kind: CSS 40, CSO 50 */
	nic_tx_add(&a, DRIVER_FRAME, LEGACY | 0x4000000 | 50 << 16 | 300, 40 << 8);
	nic_tx_ring(&a);
	memcpy(frame, b.memory + DRIVER_BUFFERS, 300);
	assert_int_equal(reference_sum(frame + 40, 260), 0xffff);
	expect(300);
	make_frame(300, 0x88b5);
	frame[20] = frame[21] = 0;			/* before its range, which ends inside */
	context(40, 20, 199, 0x1000000, 0);
	send_parts(300, 1, DATA, 0x200);
	assert_int_equal(a.h->frame.flags, 0);
	frame[20] = b.memory[DRIVER_BUFFERS + 2048 + 20];
	frame[21] = b.memory[DRIVER_BUFFERS + 2048 + 21];
	assert_int_equal(vframe_add((uint16_t)(frame[20] << 8 | frame[21]),
				    reference_sum(frame + 40, 160)), 0xffff);
	expect(300);
	make_frame(300, 0x88b5);
	context(250, 255, 0, 0, 0);			/* behind the head: nobody can */
	send_parts(300, 1, DATA, 0x200);
	assert_false(got_any());
	context(~0u, ~0u, 0xffff, ~0u & 0xf000000, ~0u);	/* all ones */
	send_parts(300, 1, DATA, 0x300);
	context(0, 0, 0, 0, 0);
	send_parts(300, 1, DATA, 0x300);
	assert_int_equal(nic_get(&a, REG_TX + RING_FIRST), a.tx);
	end();
}

/* ---- large frames ---- */

static void large(void **state)
{
	unsigned size = 0;

	(void)state;
	for (unsigned four = 0; four < 2; four++) {
		unsigned l4 = four ? 34 : 54, header = l4 + 20;

		begin(VE1000_82574, VE1000_82540);
		nic_rx_up(&b, SECRC, 16);
		nic_put(&b, REG_RXCSUM, 0x300);
		make_ip(8000, four ? 4 : 6, 6);
		memset(frame + (four ? 16 : 18), 0, 2);	/* lengths are the card's */
		seed(8000, four ? 4 : 6, 6, false);
		context(l4, l4 + 16, 0, 0xd000000 | (four ? 0x2000000 : 0) | (8000 - header),
			1000u << 16 | header << 8);
		send_parts(8000, 2, DATA | 0x4000000, four ? 0x300 : 0x200);
		assert_int_equal(a.h->frame_result, 0);
		assert_int_equal(a.h->frame.gso_size, 1000);
		assert_int_equal(a.h->frame.hdr_len, header);
		assert_int_equal(a.h->frame_bytes[four ? 16 : 18] << 8 |
				 a.h->frame_bytes[four ? 17 : 19], 8000 - (four ? 14 : 54));
		size = header;
		for (unsigned i = 0; i < 8; i++) {
			uint8_t *got = b.memory + DRIVER_BUFFERS + 2048 * i;
			unsigned n = MIN(1000u, 8000 - size);
			uint64_t v = nic_get64(&b, DRIVER_RX + 16 * i + 8);

			assert_int_equal(v & 0xffff, header + n);
			assert_memory_equal(got + header, frame + size, n);
			assert_int_equal(v >> 32 & 0xff60, four ? 0x60 : 0x20);
			size += n;
		}
		assert_int_equal(size, 8000);
		assert_int_equal(nic_get(&a, REG_STATS + 4 * 62), 1);
		/* What cannot be cut goes nowhere. */
		context(l4, l4 + 16, 0, 0xd000000 | (four ? 0x2000000 : 0), 0);
		send_parts(8000, 2, DATA | 0x4000000, 0x300);
		context(l4, l4 + 16, 0, 0xc000000 | (four ? 0x2000000 : 0), 1000u << 16);
		send_parts(8000, 2, DATA | 0x4000000, 0x300);
		context(~0u, ~0u, 0xffff, 0xf000000, ~0u);
		send_parts(8000, 2, DATA | 0x4000000, 0x300);
		assert_int_equal(a.h->frames, 1);
		assert_int_equal(nic_get(&a, REG_TX + RING_FIRST), a.tx);
		end();
	}
}

/* ---- two queues ---- */

/* Known answers of the hash, with the key that Microsoft gives for tests. */
static void two_queues(void **state)
{
	static const uint8_t key[40] = {
		0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
		0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
		0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
	};
	uint32_t word;

	(void)state;
	begin(VE1000_82540, VE1000_82574);
	nic_put(&b, REG_RFCTL, 0x8000);
	nic_put(&b, REG_RXCSUM, 0x2000);
	nic_put(&b, REG_MRQC, 0x30001);			/* TCP and IP of version 4 */
	for (unsigned i = 0; i < 10; i++) {
		memcpy(&word, key + 4 * i, 4);
		nic_put(&b, REG_RSSRK + 4 * i, word);
	}
	nic_rx_up(&b, SECRC, 16);
	nic_ring(&b, REG_RX + 0x100, DRIVER_RX + 0x400, 16 * DRIVER_SLOTS);
	for (unsigned i = 0; i < DRIVER_SLOTS; i++)
		nic_set64(&b, DRIVER_RX + 0x400 + 16 * i, DRIVER_BUFFERS + 2048 * i);
	nic_put(&b, REG_RX + 0x100 + RING_LAST, 15);
	make_ip(100, 4, 6);
	memcpy(frame + 26, "\x42\x09\x95\xbb\xa1\x8e\x64\x50\x0a\xea\x06\xe6", 12);
	send(100);
	assert_int_equal(nic_get64(&b, DRIVER_RX), 1 | 0x51ccc178ul << 32);
	nic_put(&b, REG_RETA + 0x78 / 4 * 4, 0x80);
	send(100);
	assert_int_equal(nic_get(&b, REG_RX + RING_FIRST), 1);
	assert_int_equal(nic_get(&b, REG_RX + 0x100 + RING_FIRST), 1);
	assert_int_equal(nic_get64(&b, DRIVER_RX + 0x400), 1 | 1 << 8 | 0x51ccc178ul << 32);
	frame[23] = 17;					/* by addresses alone */
	send(100);
	assert_int_equal(nic_get64(&b, DRIVER_RX + 16), 2 | 0x323e8fc2ul << 32);
	nic_put(&b, REG_MRQC, 0x140001);		/* version 6: not asked for */
	send(100);
	assert_int_equal(nic_get64(&b, DRIVER_RX + 32) & 0xff, 0);
	make_ip(100, 6, 6);
	memcpy(frame + 22, "\x3f\xfe\x25\x01\x02\0\x1f\xff\0\0\0\0\0\0\0\7", 16);
	memcpy(frame + 38, "\x3f\xfe\x25\x01\x02\0\0\3\0\0\0\0\0\0\0\1", 16);
	memcpy(frame + 54, "\x0a\xea\x06\xe6", 4);
	send(100);
	assert_int_equal(nic_get64(&b, DRIVER_RX + 48) & 0xffffffff000000ff,
			 3 | 0x40207d3dul << 32);
	/* Both transmit queues. */
	nic_destroy(&a);
	nic_create(&a, VE1000_82574, driver_mac[0]);
	a.h->peer = b.h;
	b.h->peer = a.h;
	nic_ring(&a, REG_TX + 0x100, DRIVER_TX + 0x400, 16 * DRIVER_SLOTS);
	nic_put(&a, REG_TCTL, 2);
	nic_set64(&a, DRIVER_TX + 0x400, DRIVER_FRAME);
	nic_set64(&a, DRIVER_TX + 0x408, LEGACY | 100);
	nic_put(&a, REG_TX + 0x100 + RING_LAST, 1);
	assert_int_equal(a.h->frame.queue, 1);
	assert_int_equal(nic_get(&a, REG_TX + 0x100 + RING_FIRST), 1);
	end();
}

/* ---- interrupts ---- */

static void pin(void **state)
{
	(void)state;
	begin(VE1000_82540, VE1000_82540);
	nic_rx_up(&b, SECRC, 16);
	make_frame(100, 0x88b5);
	nic_get(&b, REG_ICR);
	send(100);
	assert_false(b.h->line[0]);
	nic_put(&b, REG_IMS, 0x80);
	assert_true(b.h->line[0]);
	assert_int_equal(nic_get(&b, REG_ICR), 0x80);
	assert_false(b.h->line[0]);
	send(100);
	send(100);
	assert_int_equal(b.h->edges[0], 2);
	nic_put(&b, REG_IMC, 0x80);
	assert_false(b.h->line[0]);
	nic_put(&b, REG_IMS, 0x80);
	assert_true(b.h->line[0]);
	nic_put(&b, REG_ICR, 0x80);			/* written 1: cleared */
	assert_false(b.h->line[0]);
	nic_put(&b, REG_ICS, 0x90);
	assert_true(b.h->line[0]);
	assert_int_equal(nic_get(&b, REG_ICR), 0x90);
	nic_get(&a, REG_ICR);
	send(100);
	assert_int_equal(nic_get(&a, REG_ICR), 0x3);	/* sent, and all of it */
	/* Few descriptors left. */
	nic_get(&b, REG_ICR);
	while (nic_get(&b, REG_RX + RING_FIRST) < 6)
		send(100);
	assert_int_equal(nic_get(&b, REG_ICR), 0x80);
	send(100);
	assert_int_equal(nic_get(&b, REG_ICR), 0x90);
	end();
}

static void delays(void **state)
{
	unsigned before;

	(void)state;
	begin(VE1000_82540, VE1000_82540);
	nic_rx_up(&b, SECRC, 16);
	make_frame(100, 0x88b5);
	nic_put(&b, REG_IMS, 0x80);
	nic_put(&b, REG_ITR, 1000);			/* 256 microseconds */
	send(100);
	assert_true(b.h->line[0]);
	nic_get(&b, REG_ICR);
	send(100);
	assert_false(b.h->line[0]);
	vdev_host_advance(b.h, 255999);
	assert_false(b.h->line[0]);
	vdev_host_advance(b.h, 1);
	assert_true(b.h->line[0]);
	nic_get(&b, REG_ICR);
	nic_put(&b, REG_ITR, 0);
	vdev_host_advance(b.h, 1000000);
	nic_put(&b, REG_RDTR, 100);			/* 102.4 microseconds of quiet */
	nic_put(&b, REG_RADV, 150);
	before = b.h->edges[0];
	send(100);
	vdev_host_advance(b.h, 80000);
	send(100);
	vdev_host_advance(b.h, 73599);
	assert_int_equal(b.h->edges[0], before);
	vdev_host_advance(b.h, 1);			/* 153.6 since the first */
	assert_int_equal(b.h->edges[0], before + 1);
	nic_get(&b, REG_ICR);
	send(100);
	nic_put(&b, REG_RDTR, 0x80000000);		/* now */
	assert_int_equal(b.h->edges[0], before + 2);
	nic_get(&b, REG_ICR);
	vdev_host_advance(b.h, 1000000);
	assert_int_equal(b.h->edges[0], before + 2);
	/* Sending; each descriptor says whether it wants that. */
	nic_get(&a, REG_ICR);
	nic_put(&a, REG_IMS, 1);
	nic_put(&a, REG_TIDV, 100);
	send_parts(100, 1, LEGACY | 0x80000000, 0);
	assert_false(a.h->line[0]);
	vdev_host_advance(a.h, 102400);
	assert_true(a.h->line[0]);
	nic_get(&a, REG_ICR);
	send(100);
	assert_true(a.h->line[0]);
	end();
}

static void vectors_up(struct nic *n)
{
	for (unsigned i = 0; i < 5; i++) {
		vdev_host_write(n->d, VE1000_MESSAGES, 16 * i, 4, 0xfee00000);
		vdev_host_write(n->d, VE1000_MESSAGES, 16 * i + 8, 4, 0x40 + i);
		vdev_host_write(n->d, VE1000_MESSAGES, 16 * i + 12, 4, 0);
	}
	for (unsigned at = 0x40; at < 0x100; at += 4)
		if ((vdev_host_read(n->bus, VPCI_ECAM, 4 << 15 | at, 4) & 0xff) == 0x11 &&
		    vdev_host_read(n->bus, VPCI_ECAM, 4 << 15 | (at + 4), 4) == 3)
			nic_config(n, at + 2, 2, 0x8000);
}

static void messages(void **state)
{
	(void)state;
	begin(VE1000_82540, VE1000_82574);
	vectors_up(&b);
	nic_get(&b, REG_ICR);
	nic_rx_up(&b, SECRC, 16);
	nic_put(&b, REG_IVAR, 0x80000000 | 8 | 9 << 8 | 10 << 16);
	nic_put(&b, REG_EIAC, 0x1f00000);
	nic_put(&b, REG_IMS, 0x1f00004);
	b.h->message_count = 0;
	make_frame(100, 0x88b5);
	send(100);
	assert_int_equal(b.h->message_count, 1);
	assert_int_equal(b.h->message[0].data, 0x40);
	assert_int_equal(nic_get(&b, REG_ICR) & 0x1ffffff, 0);	/* cleared by itself */
	nic_put(&b, REG_EITR, 1000);
	send(100);
	send(100);
	assert_int_equal(b.h->message_count, 2);
	vdev_host_advance(b.h, 256000);
	assert_int_equal(b.h->message_count, 3);
	vdev_host_advance(b.h, 256000);
	assert_int_equal(b.h->message_count, 3);
	nic_put(&b, REG_EITR, 0);
	vdev_host_advance(b.h, 256000);
	/* By itself masked. */
	nic_put(&b, REG_CTRL_EXT, 0x1000000);
	send(100);
	send(100);
	assert_int_equal(b.h->message_count, 4);
	nic_put(&b, REG_IMS, 0x100000);
	assert_int_equal(b.h->message_count, 5);
	/* Others have one vector together; it is not cleared, and comes once. */
	nic_put(&b, REG_CTRL_EXT, 0);
	nic_put(&b, REG_EIAC, 0x0f00000);
	nic_put(&b, REG_ICS, 4);
	nic_put(&b, REG_ICS, 4);
	assert_int_equal(b.h->message_count, 6);
	assert_int_equal(b.h->message[5].data, 0x42);
	assert_int_equal(nic_get(&b, REG_ICR), 0x81000004);
	nic_put(&b, REG_ICS, 4);
	assert_int_equal(b.h->message_count, 7);
	/* A vector that is not there, and one that is not valid. */
	nic_put(&b, REG_IVAR, 15 | 1 << 8);
	nic_put(&b, REG_ICS, 0x500000);
	assert_int_equal(b.h->message_count, 7);
	assert_false(b.h->line[0]);
	/* It is told of when it has one. */
	nic_put(&b, REG_IMS, 0x100000);
	assert_int_equal(b.h->message_count, 7);
	nic_put(&b, REG_IVAR, 9);
	assert_int_equal(b.h->message_count, 8);
	assert_int_equal(b.h->message[7].data, 0x41);
	end();
}

/* ---- what is not right ---- */

/* Frames that find no descriptor wait, some of them; then they are lost. */
static void no_descriptors(void **state)
{
	(void)state;
	begin(VE1000_82540, VE1000_82540);
	assert_int_equal(b.d->ops->media_frame(b.d, 0, &(struct host_frame){ 0 }), -EAGAIN);
	nic_rx_up(&b, SECRC, 16);
	nic_put(&b, REG_RX + RING_LAST, 0);
	for (unsigned i = 0; i < 70; i++) {
		make_frame(100, 0x88b5);
		frame[50] = (uint8_t)i;
		send(100);
		assert_int_equal(a.h->frame_result, i < 64 ? 0 : -ENOSPC);
	}
	assert_int_equal(nic_get(&b, REG_STATS + 4 * 4), 6);
	assert_int_equal(nic_get(&b, REG_ICR) & 0x40, 0x40);
	nic_put(&b, REG_RX + RING_LAST, 15);
	for (unsigned i = 0; i < 64; i++) {
		frame[50] = (uint8_t)i;
		expect(100);
	}
	assert_false(got_any());
	send(100);
	expect(100);
	end();
}

static void bent_rings(void **state)
{
	static const uint32_t bases[] = { VDEV_HOST_MEMORY, VDEV_HOST_MEMORY - 64, 0xfee00000 };

	(void)state;
	begin(VE1000_82574, VE1000_82574);
	nic_rx_up(&b, SECRC, 16);
	make_frame(100, 0x88b5);
	for (unsigned i = 0; i < 3; i++) {
		nic_put(&a, REG_TX + RING_LOW, bases[i]);
		nic_put(&a, REG_TX + RING_LAST, 8);
		nic_put(&a, REG_TX + RING_FIRST, 6);
	}
	nic_tx_up(&a);
	for (unsigned i = 0; i < 3; i++) {
		nic_put(&b, REG_RX + RING_LOW, bases[i]);
		nic_put(&b, REG_RX + RING_HIGH, i == 2);
		send(100);
	}
	nic_rx_up(&b, SECRC, 16);
	send(100);
	expect(100);
	/* Heads and tails beyond the ring, and no ring at all. */
	nic_put(&b, REG_RX + RING_FIRST, 0xffff);
	nic_put(&a, REG_TX + RING_LAST, 0xffff);
	assert_int_equal(a.h->frames, 4);
	nic_put(&a, REG_TX + RING_SIZE, 0);
	nic_put(&a, REG_TX + RING_LAST, 1);
	nic_put(&b, REG_RX + RING_SIZE, 0);
	nic_tx_up(&a);
	send(100);
	assert_int_equal(a.h->frames, 5);
	/* A buffer that is none: the frame is lost, its descriptor comes back. */
	nic_tx_add(&a, VDEV_HOST_MEMORY - 10, LEGACY | 100, 0);
	nic_tx_ring(&a);
	nic_tx_add(&a, 1ul << 60, LEGACY | 100, 0);
	nic_tx_ring(&a);
	assert_int_equal(a.h->frames, 5);
	assert_int_equal(nic_get(&a, REG_TX + RING_FIRST), a.tx);
	/* The ring as its own buffer. */
	nic_tx_add(&a, DRIVER_TX, LEGACY | 256, 0);
	nic_tx_ring(&a);
	nic_rx_up(&b, SECRC, 16);
	for (unsigned i = 0; i < DRIVER_SLOTS; i++)
		nic_set64(&b, DRIVER_RX + 16 * i, DRIVER_RX);
	for (unsigned i = 0; i < 20; i++)
		send(100);
	/* Not a bus master. */
	nic_rx_up(&b, SECRC, 16);
	nic_config(&b, 4, 2, 2);
	send(100);
	assert_int_equal(a.h->frame_result, -EAGAIN);
	nic_config(&a, 4, 2, 2);
	send(100);
	assert_int_not_equal(nic_get(&a, REG_TX + RING_FIRST), a.tx);
	nic_config(&a, 4, 2, 6);			/* it goes on by itself */
	assert_int_equal(nic_get(&a, REG_TX + RING_FIRST), a.tx);
	end();
}

/* A frame's descriptors come late, never, or too many. */
static void unfinished(void **state)
{
	(void)state;
	begin(VE1000_82540, VE1000_82540);
	nic_rx_up(&b, SECRC, 16);
	make_frame(100, 0x88b5);
	memcpy(a.memory + DRIVER_FRAME, frame, 100);
	nic_tx_add(&a, DRIVER_FRAME, 0x08000000 | 60, 0);
	nic_tx_ring(&a);
	assert_int_equal(nic_get(&a, REG_TX + RING_FIRST), 0);
	nic_tx_add(&a, DRIVER_FRAME + 60, LEGACY | 40, 0);
	nic_tx_ring(&a);
	assert_int_equal(nic_get(&a, REG_TX + RING_FIRST), 2);
	expect(100);
	for (unsigned i = 0; i < 15; i++)		/* all that the ring can hold */
		nic_tx_add(&a, DRIVER_FRAME, 10, 0);
	nic_tx_ring(&a);
	assert_int_equal(nic_get(&a, REG_TX + RING_FIRST), a.tx);
	nic_tx_add(&a, DRIVER_FRAME, LEGACY | 100, 0);	/* still of that frame */
	nic_tx_ring(&a);
	assert_int_equal(a.h->frames, 1);
	send(100);
	assert_int_equal(a.h->frames, 2);
	for (unsigned i = 0; i < 6; i++)		/* 68 KiB */
		nic_tx_add(&a, DRIVER_FRAME, i < 5 ? 14000 : LEGACY | 1000, 0);
	nic_tx_ring(&a);
	assert_int_equal(a.h->frames, 2);
	assert_int_equal(nic_get(&a, REG_TX + RING_FIRST), a.tx);
	send(100);
	assert_int_equal(a.h->frames, 3);
	a.h->mem_interrupt = 1;				/* there is no memory just now */
	send(100);
	assert_int_equal(a.h->frames, 3);
	vdev_host_advance(a.h, 10000000);
	vdev_host_work(a.h);
	assert_int_equal(a.h->frames, 4);
	end();
}

/* One doorbell does not do without an end: the rest is the work's. */
static void budget(void **state)
{
	unsigned ring = 0x8000;

	(void)state;
	begin(VE1000_82540, VE1000_82540);
	nic_ring(&a, REG_TX, ring, 16 * 1024);
	for (unsigned i = 0; i < 1024; i++) {
		nic_set64(&a, ring + 16 * i, DRIVER_FRAME);
		nic_set64(&a, ring + 16 * i + 8, LEGACY | 60);
	}
	nic_put(&a, REG_TX + RING_LAST, 1023);
	assert_int_equal(nic_get(&a, REG_TX + RING_FIRST), 256);
	assert_true(a.h->work_queued);
	vdev_host_work(a.h);
	assert_int_equal(nic_get(&a, REG_TX + RING_FIRST), 1023);
	assert_int_equal(a.h->frames, 1023);
	end();
}

/* ---- link, loops, life ---- */

static void link_and_loops(void **state)
{
	(void)state;
	begin(VE1000_82574, VE1000_82540);
	nic_get(&a, REG_ICR);
	a.h->peer = NULL;
	a.d->ops->media_link(a.d, 0);
	assert_int_equal(nic_get(&a, REG_STATUS) & 2, 0);
	assert_int_equal(nic_get(&a, REG_ICR) & 4, 4);
	make_frame(100, 0x88b5);
	memcpy(frame, driver_mac[0], 6);
	nic_rx_up(&a, SECRC | 0x40, 16);		/* the MAC's own loop */
	send_parts(100, 3, LEGACY, 0);
	assert_int_equal(a.h->frames, 0);
	assert_memory_equal(a.memory + DRIVER_BUFFERS, frame, 100);
	nic_rx_up(&a, SECRC, 16);
	memset(a.memory + DRIVER_BUFFERS, 0, 100);
	nic_put(&a, REG_MDIC, 0x04200000 | 0x4140);	/* and the PHY's */
	assert_int_equal(nic_get(&a, REG_STATUS) & 2, 2);
	send(100);
	assert_memory_equal(a.memory + DRIVER_BUFFERS, frame, 100);
	nic_put(&a, REG_MDIC, 0x04200000 | 0x1140);
	send(100);
	assert_int_equal(a.h->frame_result, -ENODEV);
	assert_int_equal(nic_get(&a, REG_TX + RING_FIRST), a.tx);
	end();
}

static void resets(void **state)
{
	(void)state;
	begin(VE1000_82540, VE1000_82574);
	nic_rx_up(&b, SECRC, 16);
	nic_put(&b, REG_IMS, 0x80);
	nic_put(&b, REG_RX + RING_LAST, 0);
	make_frame(100, 0x88b5);
	send(100);					/* waits in the inbox */
	nic_put(&b, REG_CTRL, 0x4000000);
	assert_int_equal(nic_get(&b, REG_CTRL), 0x00140241);
	assert_int_equal(nic_get(&b, REG_RCTL) | nic_get(&b, REG_IMS) | nic_get(&b, REG_RX), 0);
	assert_int_equal(nic_get(&b, REG_RA), 0x00005452);
	assert_int_equal(nic_get(&b, REG_STATUS) & 2, 2);
	assert_false(b.h->line[0]);
	send(100);
	assert_int_equal(a.h->frame_result, -EAGAIN);
	nic_rx_up(&b, SECRC, 16);
	assert_false(got_any());
	send(100);
	expect(100);
	nic_put(&b, REG_IMS, 0x80);
	nic_put(&b, REG_ICS, 0x80);
	assert_true(b.h->line[0]);
	b.d->ops->reset(b.d);
	assert_false(b.h->line[0]);
	end();
}

static void saved(void **state)
{
	struct nic c;

	(void)state;
	for (unsigned model = 0; model < 2; model++) {
		begin(VE1000_82540, model ? VE1000_82574 : VE1000_82540);
		nic_create(&c, model ? VE1000_82574 : VE1000_82540, driver_mac[1]);
		check_save_load(b.d, c.d);
		nic_rx_up(&b, SECRC, 16);
		nic_put(&b, REG_IMS, 0x80);
		nic_put(&b, REG_ITR, 1000);
		nic_put(&b, REG_RDTR, 100);
		make_frame(100, 0x88b5);
		send(100);
		nic_put(&b, REG_EECD, 0x42);
		nic_put(&b, REG_EECD, 0x47);
		check_save_load(b.d, c.d);
		vdev_host_advance(b.h, 102400);
		assert_true(b.h->line[0]);
		send(100);
		check_save_load(b.d, c.d);
		/* Goes on there: what was got is told of, what comes is taken. */
		memcpy(c.memory, b.memory, VDEV_HOST_MEMORY);
		a.h->peer = c.h;
		c.rx = 2;
		b.rx = 2;
		send(100);
		assert_int_equal(nic_get(&c, REG_RX + RING_FIRST), 3);
		assert_int_equal(nic_get64(&c, DRIVER_RX + 16 * 2 + 8) >> 32 & DD_EOP, DD_EOP);
		nic_get(&c, REG_ICR);
		assert_false(c.h->line[0]);
		check_refused(b.d, 3, 1);			/* an index beyond */
		check_refused(b.d, 4 + 1, 0x80);		/* a place that is no register */
		check_refused(b.d, 4 + 4 + 3, 0x84);		/* a reset under way */
		nic_destroy(&c);
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers),
		cmocka_unit_test(nvm_and_phy),
		cmocka_unit_test(plain),
		cmocka_unit_test(several_buffers),
		cmocka_unit_test(split_headers),
		cmocka_unit_test(filters),
		cmocka_unit_test(tags),
		cmocka_unit_test(sums),
		cmocka_unit_test(odd_sums),
		cmocka_unit_test(large),
		cmocka_unit_test(two_queues),
		cmocka_unit_test(pin),
		cmocka_unit_test(delays),
		cmocka_unit_test(messages),
		cmocka_unit_test(no_descriptors),
		cmocka_unit_test(bent_rings),
		cmocka_unit_test(unfinished),
		cmocka_unit_test(budget),
		cmocka_unit_test(link_and_loops),
		cmocka_unit_test(resets),
		cmocka_unit_test(saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
