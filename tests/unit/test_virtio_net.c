/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/virtio/virtio.c vdev/virtio/virtio_ring.c vdev/virtio/virtio_split.c
 * vdev/virtio/virtio_packed.c vdev/virtio/virtio_net.c vdev/virtio/virtio_net_frame.c
 * vdev/virtio/virtio_net_filter.c vdev/vframe.c vdev/vinbox.c lib/record.c
 * tests/host/vdev_host.c */
/*
 * Two virtio network cards on one cable: frames in every framing and both formats, merged buffers,
 * open checksums and large frames between drivers that take different things, filters, queues that
 * are busy, rings and memory that are not right, the link, saved state.
 */
#include "vdev_test.h"
#include "virtio_driver.h"
#include "vdev/virtio/virtio_net.h"

#define VERSION		BIT(VIRTIO_VERSION_1)
#define BUFFER		0xc000u
#define COMMON		(VERSION | BIT(NET_STATUS) | BIT(NET_MAC))
#define CONTROL		(COMMON | BIT(NET_CTRL_VQ))

enum { RX, TX, CTRL };

struct card {
	struct virtio *v;
	struct vdev_host *h;
	struct driver queue[3];
};

static const uint8_t mac_a[6] = { 0x52, 0x54, 0, 0, 0, 1 }, mac_b[6] = { 0x52, 0x54, 0, 0, 0, 2 };
static struct card a, b;

static uint64_t format_of(unsigned format)
{
	return (format & 1 ? BIT(VIRTIO_PACKED) : 0) | (format & 2 ? BIT(VIRTIO_EVENT_IDX) : 0) |
	       (format & 4 ? BIT(VIRTIO_INDIRECT) : 0);
}

static void create(struct card *c, const uint8_t *mac, unsigned pairs)
{
	assert_int_equal(virtio_net_create(mac, pairs, &c->v), 0);
	c->h = driver_attach(c->v);
}

static void bring_up(struct card *c, uint64_t features, unsigned size)
{
	assert_true(driver_negotiate(c->v, features));
	for (unsigned i = 0; i < 2 + !!(features & BIT(NET_CTRL_VQ)); i++)
		assert_true(driver_queue(&c->queue[i], c->v, i, size));
	driver_start(c->v);
}

static void begin(uint64_t features_a, uint64_t features_b)
{
	create(&a, mac_a, 1);
	create(&b, mac_b, 1);
	a.h->peer = b.h;
	b.h->peer = a.h;
	bring_up(&a, features_a, 16);
	bring_up(&b, features_b, 16);
}

static void end(void)
{
	vdev_host_detach(a.h);
	vdev_host_detach(b.h);
}

/* ---- sending and receiving ---- */

static uint8_t frame[16384];
static unsigned header = 12;		/* bytes that a driver puts before it, and expects */

/* An Ethernet frame to b's card, of so many bytes. */
static void make_frame(unsigned n, unsigned type)
{
	for (unsigned i = 0; i < n; i++)
		frame[i] = (uint8_t)(i * 7 + i / 256);
	memcpy(frame, mac_b, 6);
	memcpy(frame + 6, mac_a, 6);
	frame[12] = (uint8_t)(type >> 8);
	frame[13] = (uint8_t)type;
}

/* IPv4 or 6 with TCP, or UDP, to that port; the header's length is 20. */
static void make_ip(unsigned n, unsigned version, unsigned protocol, unsigned port)
{
	unsigned l4 = version == 4 ? 34 : 54;

	make_frame(n, version == 4 ? 0x0800 : 0x86dd);
	frame[14] = version == 4 ? 0x45 : 0x60;
	frame[version == 4 ? 23 : 20] = (uint8_t)protocol;
	if (version == 4)
		frame[20] = frame[21] = 0;		/* no fragment */
	frame[l4] = (uint8_t)(port >> 8);
	frame[l4 + 1] = (uint8_t)port;
	frame[l4 + 12] = protocol == 6 ? 0x50 : 0;
	memset(frame + l4 + (protocol == 6 ? 16 : 6), 0, 2);	/* no pseudo-header's part */
}

static bool tx(const struct virtio_net_header *h, unsigned n, unsigned parts, bool indirect)
{
	struct driver *d = &a.queue[TX];
	struct driver_part p[8];
	unsigned all = header + n, at = 0;
	uint32_t written;
	uint16_t id, got;

	memcpy(d->memory + BUFFER, h, header);
	memcpy(d->memory + BUFFER + header, frame, MIN(n, (unsigned)sizeof(frame)));
	for (unsigned i = 0; i < parts; i++) {
		unsigned part = i + 1 == parts ? all - at : MIN(1 + i * 20, all - at);

		p[i] = (struct driver_part){ BUFFER + at, part, false };
		at += part;
	}
	id = driver_add(d, p, parts, indirect);
	virtio_kick(a.v, TX);
	if (!driver_take(d, &got, &written))
		return false;
	assert_int_equal(got, id);
	assert_int_equal(written, 0);
	return true;
}

/* A plain frame; what the other end said. */
static int send(unsigned n)
{
	static const struct virtio_net_header plain;
	unsigned before = a.h->frames;

	assert_true(tx(&plain, n, 1, false));
	assert_int_equal(a.h->frames, before + 1);
	return a.h->frame_result;
}

static void give(unsigned n, unsigned size)
{
	static unsigned at;

	for (unsigned i = 0; i < n; i++, at++) {
		struct driver_part p = { BUFFER + at % 16 * 0x400, size, true };

		driver_add(&b.queue[RX], &p, 1, false);
	}
}

static uint16_t buffer_of(unsigned i)
{
	return (uint16_t)(BUFFER + i % 16 * 0x400);
}

/* The next frame that b got, which is what `frame` holds; its header. */
static struct virtio_net_header expect(uint64_t at, unsigned n)
{
	struct virtio_net_header h = { .buffers = 1 };
	uint32_t written;
	uint16_t id;

	assert_true(driver_take(&b.queue[RX], &id, &written));
	assert_int_equal(written, header + n);
	memcpy(&h, b.h->memory + at, header);
	assert_int_equal(h.buffers, 1);
	assert_memory_equal(b.h->memory + at + header, frame, n);
	return h;
}

static bool got_any(void)
{
	uint32_t written;
	uint16_t id;

	return driver_take(&b.queue[RX], &id, &written);
}

static void one_buffer(uint64_t at, uint32_t size)
{
	struct driver_part p = { at, size, true };

	driver_add(&b.queue[RX], &p, 1, false);
}

static void plain(void **state)
{
	static const struct virtio_net_header none;

	(void)state;
	for (unsigned format = 0; format < 8; format++) {
		begin(COMMON | format_of(format), COMMON | format_of(format));
		for (unsigned i = 0; i < 40; i++) {
			unsigned n = 14 + i * 37;
			struct virtio_net_header h;

			make_frame(n, 0x88b5);
			one_buffer(BUFFER, 1600);
			virtio_kick(b.v, RX);
			virtio_test.interrupts = 0;
			driver_want(&b.queue[RX], 0);
			assert_true(tx(&none, n, 1 + i % 6, format & 4));
			assert_int_equal(a.h->frame_result, 0);
			assert_true(virtio_test.interrupts);
			h = expect(BUFFER, n);
			assert_int_equal(h.flags | h.gso_type, 0);
		}
		end();
	}
}

/* A driver of the older interface has a shorter header, unless it takes several buffers. */
static void older_header(void **state)
{
	static const struct virtio_net_header none;

	(void)state;
	for (unsigned several = 0; several < 2; several++) {
		begin(COMMON, COMMON | (several ? BIT(NET_MRG_RXBUF) : 0));
		a.v->legacy = b.v->legacy = true;
		for (unsigned i = 0; i < 20; i++) {
			make_frame(14 + i * 37, 0x88b5);
			one_buffer(BUFFER, 1600);
			virtio_kick(b.v, RX);
			header = 10;
			assert_true(tx(&none, 14 + i * 37, 1 + i % 6, false));
			header = several ? 12 : 10;
			expect(BUFFER, 14 + i * 37);
		}
		end();
	}
	header = 12;
	begin(COMMON, COMMON);
	assert_int_equal(a.v->kind->pci_id, 0x1000);
	end();
}

/* Nobody there, not ready, no buffers: the sender has his own back, and the frame is lost. */
static void lost(void **state)
{
	(void)state;
	begin(COMMON, COMMON);
	make_frame(100, 0x88b5);
	assert_int_equal(send(100), -ENOSPC);
	one_buffer(BUFFER, 80);				/* too small */
	assert_int_equal(send(100), -ENOSPC);
	assert_false(got_any());
	one_buffer(BUFFER, 2000);			/* behind the small one */
	assert_int_equal(send(100), -ENOSPC);
	assert_int_equal(send(60), 0);
	expect(BUFFER, 60);
	assert_int_equal(send(100), 0);
	expect(BUFFER, 100);
	virtio_status_write(b.v, 0);
	assert_int_equal(send(100), -EAGAIN);
	a.h->peer = NULL;
	assert_int_equal(send(100), -ENODEV);
	assert_int_equal(a.v->status & VIRTIO_NEEDS_RESET, 0);
	end();
}

/* Frames that are none, and headers that do not fit: nothing is sent. */
static void malformed(void **state)
{
	static const struct {
		struct virtio_net_header h;
		unsigned version, protocol, size;
	} rows[] = {
		{ { .flags = 1, .csum_start = 13, .csum_offset = 0 }, 4, 6, 2000 },
		{ { .flags = 1, .csum_start = 1990, .csum_offset = 9 }, 4, 6, 2000 },
		{ { .flags = 1, .csum_start = 0xffff, .csum_offset = 0xffff }, 4, 6, 2000 },
		{ { .gso_type = 1, .gso_size = 1000 }, 4, 6, 2000 },
		{ { 1, 1, 54, 0, 34, 16, 0 }, 4, 6, 2000 },
		{ { 1, 1, 54, 1000, 34, 16, 0 }, 4, 17, 2000 },
		{ { 1, 1, 54, 1000, 34, 16, 0 }, 6, 6, 2000 },
		{ { 1, 1, 54, 1000, 34, 6, 0 }, 4, 6, 2000 },
		{ { 1, 1, 54, 1000, 35, 16, 0 }, 4, 6, 2000 },
		{ { 1, 4, 54, 1000, 53, 16, 0 }, 6, 6, 2000 },
		{ { 1, 4, 54, 1000, 34, 16, 0 }, 4, 6, 2000 },
		{ { 1, 3, 54, 1000, 34, 16, 0 }, 4, 17, 2000 },		/* UFO */
		{ { 1, 1, 54, 1000, 34, 16, 0 }, 4, 6, 52 },
		{ { 0 }, 4, 6, 13 },
	};
	static const struct virtio_net_header none;
	struct driver_part p[2] = { { BUFFER, 12 + 60, false }, { BUFFER, 12, true } };
	uint32_t written;
	uint16_t id;

	(void)state;
	begin(COMMON | BIT(NET_CSUM) | BIT(NET_HOST_TSO4) | BIT(NET_HOST_TSO6), COMMON);
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		make_ip(2000, rows[i].version, rows[i].protocol, 1);
		assert_true(tx(&rows[i].h, rows[i].size, 1, false));
		assert_int_equal(a.h->frames, 0);
	}
	make_ip(2000, 4, 6, 1);				/* a TCP header of 16 bytes */
	frame[46] = 0x40;
	assert_true(tx(&rows[4].h, 2000, 1, false));
	assert_true(tx(&none, HOST_FRAME_MAX + 1, 1, false));
	assert_int_equal(a.h->frames, 0);
	driver_add(&a.queue[TX], p, 2, false);		/* something to write */
	virtio_kick(a.v, TX);
	assert_true(driver_take(&a.queue[TX], &id, &written));
	p[0].at = VDEV_HOST_MEMORY - 20;		/* ends beyond memory */
	driver_add(&a.queue[TX], p, 1, false);
	virtio_kick(a.v, TX);
	assert_true(driver_take(&a.queue[TX], &id, &written));
	assert_int_equal(a.h->frames, 0);
	/* Only the part behind the head is none: the receiver does not pay for it. */
	p[0] = (struct driver_part){ VDEV_HOST_MEMORY - 200, 400, false };
	one_buffer(BUFFER, 1000);
	driver_add(&a.queue[TX], p, 1, false);
	virtio_kick(a.v, TX);
	assert_true(driver_take(&a.queue[TX], &id, &written));
	assert_int_equal(a.h->frame_result, -ENOENT);
	assert_int_equal((a.v->status | b.v->status) & VIRTIO_NEEDS_RESET, 0);
	make_frame(100, 0x88b5);
	assert_int_equal(send(100), 0);
	expect(BUFFER, 100);
	end();
}

/* ---- merged buffers ---- */

static void merged(void **state)
{
	static const struct virtio_net_header none;

	(void)state;
	for (unsigned format = 0; format < 4; format++) {
		uint64_t f = COMMON | BIT(NET_MRG_RXBUF) | format_of(format);
		struct virtio_net_header h;

		begin(f, f);
		make_frame(1500, 0x88b5);
		for (unsigned round = 0; round < 30; round++) {
			unsigned got = 0, n, first = round * 4;
			uint32_t written;
			uint16_t id;

			for (unsigned i = 0; i < 3; i++)
				one_buffer(buffer_of(first + i), 400);
			assert_true(tx(&none, 1500, 2, false));
			assert_int_equal(a.h->frame_result, -ENOSPC);
			assert_false(got_any());
			one_buffer(buffer_of(first + 3), 400);
			assert_true(tx(&none, 1500, 2, false));
			assert_int_equal(a.h->frame_result, 0);
			memcpy(&h, b.h->memory + buffer_of(first), 12);
			assert_int_equal(h.buffers, 4);
			for (unsigned i = 0; i < 4; i++) {
				unsigned skip = i ? 0 : 12;

				assert_true(driver_take(&b.queue[RX], &id, &written));
				n = written - skip;
				assert_memory_equal(b.h->memory + buffer_of(first + i) + skip,
						    frame + got, n);
				got += n;
			}
			assert_int_equal(got, 1500);
			assert_false(got_any());
		}
		end();
	}
}

/* ---- offloads ---- */

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

static void sums(void **state)
{
	struct virtio_net_header h = { .flags = 1, .csum_start = 34, .csum_offset = 16 }, got;
	const uint64_t sender = COMMON | BIT(NET_CSUM);

	(void)state;
	begin(sender, COMMON | BIT(NET_GUEST_CSUM));
	make_ip(1001, 4, 6, 80);
	one_buffer(BUFFER, 1600);
	assert_true(tx(&h, 1001, 3, false));
	got = expect(BUFFER, 1001);			/* open, as it was sent */
	assert_int_equal(got.flags, 1);
	assert_int_equal(got.csum_start, 34);
	assert_int_equal(got.csum_offset, 16);
	h.csum_offset = 6;				/* DHCP's are finished for all */
	make_ip(300, 4, 17, 68);
	one_buffer(BUFFER, 1600);
	assert_true(tx(&h, 300, 1, false));
	assert_int_equal(b.h->memory[BUFFER], 0);
	assert_int_equal(reference_sum(b.h->memory + BUFFER + 12 + 34, 266), 0xffff);
	end();

	begin(sender, COMMON);
	for (unsigned n = 60; n < 1400; n += 61) {
		make_ip(n, 4, 17, 80);
		one_buffer(BUFFER, 1600);
		assert_true(tx(&h, n, 4, false));
		assert_true(got_any());
		assert_int_equal(b.h->memory[BUFFER], 0);
		assert_int_equal(reference_sum(b.h->memory + BUFFER + 12 + 34, n - 34), 0xffff);
	}
	/* A sum of 0 means none in UDP. */
	make_ip(60, 4, 17, 80);
	memset(frame + 34, 0, 26);
	frame[34] = frame[35] = 0xff;
	one_buffer(BUFFER, 1600);
	assert_true(tx(&h, 60, 1, false));
	assert_true(got_any());
	assert_int_equal(b.h->memory[BUFFER + 12 + 40], 0xff);
	assert_int_equal(b.h->memory[BUFFER + 12 + 41], 0xff);
	/* Where the sum's place is not in the head it cannot be finished. */
	h.csum_start = 126;
	assert_true(tx(&h, 300, 1, false));
	assert_int_equal(a.h->frame_result, -ENOSYS);
	end();

	/* A sender that has not asked for it sends what the header says nothing of. */
	begin(COMMON, COMMON | BIT(NET_GUEST_CSUM));
	one_buffer(BUFFER, 1600);
	assert_true(tx(&h, 300, 1, false));
	assert_int_equal(expect(BUFFER, 300).flags, 0);
	end();
}

/* Piece `i` of an IPv6 frame of 74 bytes of headers and 1000 bytes each. */
static void expect_piece(uint64_t at, unsigned i, unsigned n)
{
	unsigned from = 74 + i * 1000, size = MIN(n - from, 1000u) + 74;
	const uint8_t *got = b.h->memory + at + 12;
	uint32_t written;
	uint16_t id;

	assert_true(driver_take(&b.queue[RX], &id, &written));
	assert_int_equal(written, 12 + size);
	assert_int_equal(got[-12] | got[-11], 0);
	assert_memory_equal(got, frame, 18);
	assert_int_equal(got[18] << 8 | got[19], size - 54);
	assert_memory_equal(got + 74, frame + from, size - 74);
}

static void large(void **state)
{
	const uint64_t tso = BIT(NET_CSUM) | BIT(NET_HOST_TSO4) | BIT(NET_HOST_TSO6);
	const uint64_t guest = BIT(NET_GUEST_CSUM) | BIT(NET_GUEST_TSO4) | BIT(NET_GUEST_TSO6);
	struct virtio_net_header h4 = { 1, 1, 0, 1000, 34, 16, 0 }, got;
	struct virtio_net_header h6 = { 1, 0x84, 7777, 1000, 54, 16, 0 };

	(void)state;
	begin(COMMON | tso, COMMON | guest);
	make_ip(5000, 4, 6, 80);
	one_buffer(BUFFER, 5012);
	assert_true(tx(&h4, 5000, 5, false));
	got = expect(BUFFER, 5000);
	assert_int_equal(got.gso_type, 1);
	assert_int_equal(got.gso_size, 1000);
	assert_int_equal(got.hdr_len, 54);		/* what it is, not what was said */
	make_ip(5000, 6, 6, 80);
	one_buffer(BUFFER, 5012);
	assert_true(tx(&h6, 5000, 1, false));
	got = expect(BUFFER, 5000);
	assert_int_equal(got.gso_type, 4);
	assert_int_equal(got.hdr_len, 74);
	make_ip(1000, 4, 6, 80);			/* one segment is a plain frame */
	one_buffer(BUFFER, 5012);
	assert_true(tx(&h4, 1000, 1, false));
	got = expect(BUFFER, 1000);
	assert_int_equal(got.gso_type, 0);
	assert_int_equal(got.flags, 1);
	end();

	/* Who does not take them gets pieces, as far as he has buffers. */
	begin(COMMON | tso, COMMON | BIT(NET_GUEST_CSUM) | BIT(NET_GUEST_TSO4) | BIT(NET_MTU));
	make_ip(5000, 6, 6, 80);
	for (unsigned i = 0; i < 5; i++)
		one_buffer(BUFFER + i * 0x600, 1200);
	assert_true(tx(&h6, 5000, 4, false));
	assert_int_equal(a.h->frame_result, 0);
	for (unsigned i = 0; i < 5; i++)
		expect_piece(BUFFER + i * 0x600, i, 5000);
	assert_false(got_any());
	one_buffer(BUFFER, 1200);
	assert_true(tx(&h6, 5000, 1, false));
	assert_int_equal(a.h->frame_result, -ENOSPC);
	expect_piece(BUFFER, 0, 5000);
	h6.gso_size = 1;				/* too many */
	assert_true(tx(&h6, 5000, 1, false));
	assert_int_equal(a.h->frame_result, -ENOSYS);
	one_buffer(BUFFER, 5012);
	h4.gso_size = 1469;				/* beyond the MTU and two tags */
	make_ip(5000, 4, 6, 80);
	assert_true(tx(&h4, 5000, 1, false));
	assert_int_equal(a.h->frame_result, -ENOSYS);
	assert_int_equal(send(1523), -ENOSYS);
	assert_int_equal(send(1522), 0);
	end();
}

/* ---- commands ---- */

static uint8_t control(unsigned class, unsigned what, const void *data, unsigned n)
{
	struct driver *d = &b.queue[CTRL];
	struct driver_part p[3] = {
		{ 0xb800, 2, false }, { 0xb802, n, false }, { 0xbf00, 1, true },
	};
	uint32_t written;
	uint16_t id;

	d->memory[0xb800] = (uint8_t)class;
	d->memory[0xb801] = (uint8_t)what;
	memcpy(d->memory + 0xb802, data, n);
	d->memory[0xbf00] = 0xaa;
	driver_add(d, p, 3, false);
	virtio_kick(b.v, CTRL);
	assert_true(driver_take(d, &id, &written));
	assert_int_equal(written, 1);
	return d->memory[0xbf00];
}

/* Does b take a frame to that address, in that VLAN (~0: none)? */
static bool takes(const char *to, unsigned vlan)
{
	make_frame(64, vlan != ~0u ? 0x8100 : 0x88b5);
	memcpy(frame, to, 6);
	frame[14] = (uint8_t)(0xe0 | (vlan >> 8 & 0xf));
	frame[15] = (uint8_t)vlan;
	give(1, 600);
	assert_int_equal(send(64), 0);
	return got_any();
}

static void filters(void **state)
{
	static const char other[] = "\x52\x54\0\0\0\x09", multi[] = "\x01\0\x5e\0\0\x01";
	static const char all[] = "\xff\xff\xff\xff\xff\xff", own[] = "\x52\x54\0\0\0\x02";
	static const uint8_t table[] = {
		1, 0, 0, 0, 0x52, 0x54, 0, 0, 0, 9, 1, 0, 0, 0, 1, 0, 0x5e, 0, 0, 1,
	};
	static uint8_t many[4 + 65 * 6 + 4];

	(void)state;
	begin(COMMON, CONTROL | BIT(NET_CTRL_RX) | BIT(NET_CTRL_RX_EXTRA) | BIT(NET_CTRL_MAC_ADDR));
	assert_true(takes(other, ~0u) && takes(multi, ~0u) && takes(all, ~0u) && takes(own, ~0u));
	assert_int_equal(control(0, 0, "\0", 1), 0);
	assert_false(takes(other, ~0u) || takes(multi, ~0u));
	assert_true(takes(all, ~0u) && takes(own, ~0u) && takes(own, 5));
	assert_int_equal(control(0, 1, "\1", 1), 0);	/* all multicast */
	assert_true(takes(multi, ~0u) && !takes(other, ~0u));
	assert_int_equal(control(0, 1, "\0", 1), 0);
	assert_int_equal(control(1, 0, table, sizeof(table)), 0);
	assert_true(takes(multi, ~0u) && takes(other, ~0u));
	assert_int_equal(control(0, 3, "\1", 1), 0);	/* none, whatever the table says */
	assert_int_equal(control(0, 4, "\1", 1), 0);
	assert_int_equal(control(0, 5, "\1", 1), 0);
	assert_false(takes(multi, ~0u) || takes(other, ~0u) || takes(own, ~0u) || takes(all, ~0u));
	for (unsigned i = 3; i < 6; i++)
		assert_int_equal(control(0, i, "\0", 1), 0);
	many[0] = 65;					/* more than there is room for */
	assert_int_equal(control(1, 0, many, sizeof(many)), 0);
	assert_true(takes(other, ~0u) && !takes(multi, ~0u));
	assert_int_equal(control(1, 0, "\0\0\0\0\0\0\0\0", 8), 0);
	assert_false(takes(other, ~0u));
	assert_int_equal(control(1, 1, other, 6), 0);	/* another address */
	assert_true(takes(other, ~0u) && !takes(own, ~0u));
	assert_memory_equal(b.v->config, other, 6);
	end();

	begin(COMMON, CONTROL | BIT(NET_CTRL_VLAN));
	assert_true(takes(own, ~0u) && takes(own, 0) && !takes(own, 5) && !takes(own, 4095));
	assert_int_equal(control(2, 0, "\5\0", 2), 0);
	assert_int_equal(control(2, 0, "\xff\x0f", 2), 0);
	assert_true(takes(own, 5) && takes(own, 4095) && !takes(own, 6));
	assert_int_equal(control(2, 1, "\5\0", 2), 0);
	assert_false(takes(own, 5));
	assert_int_equal(control(2, 0, "\0\x10", 2), 1);
	end();
}

static void bad_commands(void **state)
{
	static const struct {
		uint8_t class, what, data[12], size;
	} rows[] = {
		{ 0, 0, { 0 }, 0 }, { 0, 0, { 0 }, 2 }, { 0, 6, { 0 }, 1 }, { 0, 255, { 0 }, 1 },
		{ 1, 0, { 0 }, 7 }, { 1, 0, { 1 }, 8 }, { 1, 0, { 0 }, 9 },
		{ 1, 0, { 0xff, 0xff, 0xff, 0xff }, 8 }, { 1, 1, { 1, 2, 3, 4, 5, 6 }, 6 },
		{ 1, 1, { 2 }, 5 }, { 1, 2, { 0 }, 6 }, { 2, 0, { 1 }, 1 }, { 2, 2, { 1 }, 2 },
		{ 3, 0, { 0 }, 1 }, { 3, 1, { 0 }, 0 }, { 4, 0, { 0 }, 2 }, { 4, 0, { 2 }, 2 },
		{ 5, 0, { 0 }, 8 }, { 255, 0, { 0 }, 1 },
	};
	struct driver_part p = { 0xb800, 3, false };
	uint64_t some = CONTROL | BIT(NET_CTRL_RX) | BIT(NET_CTRL_RX_EXTRA) | BIT(NET_CTRL_VLAN) |
			BIT(NET_GUEST_ANNOUNCE) | BIT(NET_CTRL_MAC_ADDR);

	(void)state;
	begin(COMMON, some);
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++)
		assert_int_equal(control(rows[i].class, rows[i].what, rows[i].data, rows[i].size),
				 1);
	assert_int_equal(control(0, 0, frame, 1023), 1);
	assert_true(takes("\x52\x54\0\0\0\x02", ~0u));
	end();
	begin(COMMON, CONTROL);				/* nothing of it was agreed on */
	for (unsigned class = 0; class < 6; class++)
		assert_int_equal(control(class, 0, "\1\0", class < 1 ? 1 : class == 3 ? 0 : 2), 1);
	driver_add(&b.queue[CTRL], &p, 1, false);	/* no place for an answer */
	virtio_kick(b.v, CTRL);
	assert_true(b.v->status & VIRTIO_NEEDS_RESET);
	end();
}

static void several_pairs(void **state)
{
	struct driver rx1;

	(void)state;
	create(&a, mac_a, 1);
	assert_int_equal(a.v->queue_count, 3);
	assert_int_equal(a.v->offered & BIT(NET_MQ), 0);
	create(&b, mac_b, 2);
	assert_int_equal(b.v->queue_count, 5);
	assert_int_equal(b.v->config[8], 2);
	a.h->peer = b.h;
	bring_up(&a, COMMON, 16);
	assert_true(driver_negotiate(b.v, CONTROL | BIT(NET_MQ)));
	assert_true(driver_queue(&b.queue[RX], b.v, 0, 16));
	assert_true(driver_queue(&rx1, b.v, 2, 16));
	driver_start(b.v);
	give(1, 600);
	make_frame(100, 0x88b5);
	assert_int_equal(send(100), 0);
	assert_true(got_any());
	end();
	create(&a, mac_a, 100);
	create(&b, mac_b, 0);
	assert_int_equal(a.v->queue_count, 2 * VIRTIO_NET_PAIRS_MAX + 1);
	assert_int_equal(b.v->queue_count, 3);
	end();
}

static void negotiation(void **state)
{
	static const struct { uint8_t bit, needs; } rows[] = {
		{ NET_HOST_TSO4, NET_CSUM }, { NET_HOST_TSO6, NET_CSUM },
		{ NET_GUEST_TSO4, NET_GUEST_CSUM }, { NET_GUEST_TSO6, NET_GUEST_CSUM },
		{ NET_CTRL_RX, NET_CTRL_VQ }, { NET_CTRL_VLAN, NET_CTRL_VQ },
		{ NET_CTRL_RX_EXTRA, NET_CTRL_VQ }, { NET_GUEST_ANNOUNCE, NET_CTRL_VQ },
		{ NET_CTRL_MAC_ADDR, NET_CTRL_VQ },
	};

	(void)state;
	begin(COMMON, COMMON);
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		assert_false(driver_negotiate(b.v, COMMON | BIT(rows[i].bit)));
		assert_true(driver_negotiate(b.v, COMMON | BIT(rows[i].bit) |
						  BIT(rows[i].needs)));
	}
	assert_false(driver_negotiate(b.v, COMMON | BIT(NET_MQ) | BIT(NET_CTRL_VQ)));
	assert_false(driver_negotiate(b.v, COMMON | BIT(10)));		/* UFO */
	end();
}

/* ---- busy queues, and those that are not right ---- */

static void inbox(void **state)
{
	static const struct virtio_net_header open = {
		.flags = 1, .csum_start = 34, .csum_offset = 6,
	};
	struct virtio_queue *q;

	(void)state;
	begin(COMMON, COMMON);
	q = &b.v->queue[RX];
	give(4, 600);
	q->turn = 1;					/* somebody serves it */
	for (unsigned i = 0; i < 3; i++) {
		make_frame(200 + i, 0x88b5);
		assert_int_equal(send(200 + i), 0);
	}
	assert_false(got_any());
	q->turn = 0;
	make_frame(203, 0x88b5);			/* behind those that wait */
	assert_int_equal(send(203), 0);
	for (unsigned i = 0; i < 4; i++) {
		uint32_t written;
		uint16_t id;

		assert_true(driver_take(&b.queue[RX], &id, &written));
		assert_int_equal(written, 212 + i);
	}
	/* What comes out of it is fit for the driver, too. */
	a.v->accepted |= BIT(NET_CSUM);
	q->turn = 1;
	make_ip(300, 4, 17, 80);
	assert_true(tx(&open, 300, 2, false));
	assert_int_equal(a.h->frame_result, 0);
	q->turn = 0;
	one_buffer(BUFFER, 600);
	virtio_kick(b.v, RX);
	assert_true(got_any());
	assert_int_equal(b.h->memory[BUFFER], 0);
	assert_int_equal(reference_sum(b.h->memory + BUFFER + 12 + 34, 266), 0xffff);
	/* It has an end, by number and by bytes; what is beyond is lost. */
	q->turn = 1;
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(send(203), 0);
	assert_int_equal(send(203), -ENOSPC);
	virtio_status_write(b.v, VIRTIO_ACKNOWLEDGE);
	q->turn = 0;
	virtio_status_write(b.v, 0);			/* and a reset forgets all */
	bring_up(&b, COMMON, 16);
	give(1, 600);
	virtio_kick(b.v, RX);
	assert_false(got_any());
	q->turn = 1;
	make_frame(16000, 0x88b5);
	for (unsigned i = 0; i < 256 * 1024 / 16000; i++)
		assert_int_equal(send(16000), 0);
	assert_int_equal(send(16000), -ENOSPC);
	q->turn = 0;
	end();
}

/* The receiver's own faults are his: the sender goes on. */
static void receiver_bent(void **state)
{
	struct driver_part read_only = { BUFFER, 600, false };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		begin(COMMON, COMMON);
		make_frame(100, 0x88b5);
		if (i == 0)
			one_buffer(VDEV_HOST_MEMORY - 50, 600);
		else if (i == 1)
			driver_add(&b.queue[RX], &read_only, 1, false);
		else if (i == 2)
			one_buffer(BUFFER, 11);		/* no room for the header */
		else
			put16(&b.queue[RX], driver_ring(&b.queue[RX]) + 2, 100);
		assert_int_equal(send(100), -EIO);
		assert_true(b.v->status & VIRTIO_NEEDS_RESET);
		assert_int_equal(a.v->status & VIRTIO_NEEDS_RESET, 0);
		assert_int_not_equal(send(100), 0);
		virtio_status_write(b.v, 0);
		bring_up(&b, COMMON, 16);
		one_buffer(BUFFER, 600);
		assert_int_equal(send(100), 0);
		expect(BUFFER, 100);
		end();
	}
	begin(COMMON, COMMON);				/* memory that is short only now */
	one_buffer(BUFFER, 600);
	for (unsigned i = 1; i < 4; i++) {
		b.h->mem_interrupt = i;
		send(100);
		assert_int_equal(b.v->status & VIRTIO_NEEDS_RESET, 0);
	}
	b.h->mem_interrupt = 0;
	while (got_any())
		;
	one_buffer(BUFFER, 600);
	assert_int_equal(send(100), 0);
	end();
}

/* ---- the link, saved state ---- */

static void link_changes(void **state)
{
	static uint8_t saved[8192];
	size_t n;

	(void)state;
	begin(COMMON, CONTROL | BIT(NET_GUEST_ANNOUNCE));
	virtio_status_write(b.v, 0);
	assert_int_equal(b.v->config[6], 1);
	bring_up(&b, CONTROL | BIT(NET_GUEST_ANNOUNCE), 16);
	virtio_test.config_interrupts = 0;
	b.h->peer = NULL;
	b.h->d->ops->media_link(b.h->d, 0);
	assert_int_equal(b.v->config[6], 0);
	b.h->d->ops->media_link(b.h->d, 0);
	assert_int_equal(virtio_test.config_interrupts, 1);
	n = vdev_host_save(b.h->d, saved, sizeof(saved));
	b.h->peer = a.h;
	assert_int_equal(vdev_host_load(b.h->d, saved, n, 1), 0);
	b.h->d->ops->media_link(b.h->d, 0);
	assert_int_equal(b.v->config[6], 3);		/* and is to be announced */
	assert_int_equal(virtio_test.config_interrupts, 2);
	assert_int_equal(control(3, 0, "", 0), 0);
	assert_int_equal(b.v->config[6], 1);
	end();
}

static void saved(void **state)
{
	uint64_t features = CONTROL | BIT(NET_CTRL_RX) | BIT(NET_CTRL_MAC_ADDR) |
			    BIT(NET_CTRL_VLAN);
	static const uint8_t table[] = {
		1, 0, 0, 0, 0x52, 0x54, 0, 0, 0, 9, 1, 0, 0, 0, 1, 0, 0x5e, 0, 0, 1,
	};
	struct card c;

	(void)state;
	begin(COMMON, features);
	control(0, 0, "\0", 1);
	control(1, 0, table, sizeof(table));
	control(1, 1, "\x52\x54\0\0\0\x07", 6);
	control(2, 0, "\5\0", 2);
	create(&c, mac_b, 1);
	c.h->peer = a.h;
	virtio_status_write(c.v, 0);
	check_save_load(&b.v->dev, &c.v->dev);
	memcpy(c.h->memory, b.h->memory, VDEV_HOST_MEMORY);
	vdev_host_work(c.h);
	vdev_host_detach(b.h);
	a.h->peer = c.h;
	b.v = c.v;
	b.h = c.h;
	for (unsigned i = 0; i < 3; i++) {
		b.queue[i].v = c.v;
		b.queue[i].memory = c.h->memory;
	}
	assert_true(takes("\x52\x54\0\0\0\x07", ~0u) && takes("\x52\x54\0\0\0\x09", 5));
	assert_false(takes("\x52\x54\0\0\0\x02", ~0u) || takes("\x52\x54\0\0\0\x07", 6));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain), cmocka_unit_test(older_header),
		cmocka_unit_test(lost),
		cmocka_unit_test(malformed),
		cmocka_unit_test(merged),
		cmocka_unit_test(sums),
		cmocka_unit_test(large),
		cmocka_unit_test(filters),
		cmocka_unit_test(bad_commands),
		cmocka_unit_test(several_pairs),
		cmocka_unit_test(negotiation),
		cmocka_unit_test(inbox),
		cmocka_unit_test(receiver_bent),
		cmocka_unit_test(link_changes),
		cmocka_unit_test(saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
