/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vframe.c lib/record.c tests/host/vdev_host.c */
/*
 * Frames in software: where headers are found and where not, sums against a reference, large
 * frames cut into pieces that have the right headers, sums and bytes, wherever the head ends.
 */
#include "vdev_test.h"
#include "include/bits.h"
#include "vdev/vframe.h"

#define TAG	4u

static uint8_t bytes[20000];
static struct host_frame frame;

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

static uint16_t swap(uint16_t v)
{
	return (uint16_t)(v << 8 | v >> 8);
}

/* `bytes` as a frame whose copied head has so many. */
static void wrap(unsigned n, unsigned head)
{
	memset(&frame, 0, sizeof(frame));
	frame.size = n;
	frame.head_size = MIN(n, head);
	memcpy(frame.head, bytes, frame.head_size);
	frame.body = bytes + frame.head_size;
}

/* Tags, IP of that version with that protocol; where l4 begins. */
static unsigned make(unsigned n, unsigned tags, unsigned version, unsigned protocol)
{
	unsigned ip = 14 + tags * TAG;

	for (unsigned i = 0; i < n; i++)
		bytes[i] = (uint8_t)(i * 13 + i / 200);
	for (unsigned i = 0; i < tags; i++)
		memcpy(bytes + 12 + i * TAG, "\x81", 2);
	memcpy(bytes + ip - 2, version == 4 ? "\x08" : "\x86\xdd", 2);
	bytes[ip] = version == 4 ? 0x46 : 0x60;
	bytes[ip + (version == 4 ? 9 : 6)] = (uint8_t)protocol;
	if (version == 4)
		bytes[ip + 6] = bytes[ip + 7] = 0;
	return ip + (version == 4 ? 24 : 40);
}

static void layers(void **state)
{
	struct vframe_layers l;
	unsigned l4;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		unsigned version = i & 1 ? 6 : 4, tags = i / 2;

		l4 = make(200, tags, version, VFRAME_TCP);
		wrap(200, 128);
		vframe_layers(&frame, &l);
		assert_int_equal(l.type, version == 4 ? VFRAME_IP4 : VFRAME_IP6);
		assert_int_equal(l.ip, 14 + tags * TAG);
		assert_int_equal(l.l4, l4);
		assert_int_equal(l.protocol, VFRAME_TCP);
		assert_false(l.fragment);
		wrap(200, l4 - 1);			/* the head ends before */
		vframe_layers(&frame, &l);
		assert_int_equal(l.l4, 0);
	}
	make(200, 0, 4, VFRAME_UDP);
	bytes[20] = 0x20;				/* more fragments */
	wrap(200, 128);
	vframe_layers(&frame, &l);
	assert_true(l.fragment && !l.l4);
	bytes[20] = 0;
	bytes[14] = 0x44;				/* a header of 16 bytes */
	wrap(200, 128);
	vframe_layers(&frame, &l);
	assert_int_equal(l.l4, 0);
	l4 = make(200, 0, 6, 0);			/* hop-by-hop, 16 bytes, then routing, 8 */
	bytes[l4] = 43;
	bytes[l4 + 1] = 1;
	bytes[l4 + 16] = VFRAME_UDP;
	bytes[l4 + 17] = 0;
	wrap(200, 128);
	vframe_layers(&frame, &l);
	assert_int_equal(l.l4, l4 + 24);
	assert_int_equal(l.protocol, VFRAME_UDP);
	bytes[l4 + 17] = 255;				/* leads far away */
	wrap(200, 128);
	vframe_layers(&frame, &l);
	assert_int_equal(l.l4, 0);
	make(200, 0, 6, 44);				/* a fragment */
	wrap(200, 128);
	vframe_layers(&frame, &l);
	assert_true(l.fragment && !l.l4);
	make(200, 3, 4, VFRAME_TCP);			/* a third tag is somebody else's */
	wrap(200, 128);
	vframe_layers(&frame, &l);
	assert_int_equal(l.type, 0x8100);
	assert_int_equal(l.protocol, 0);
	wrap(13, 128);
	vframe_layers(&frame, &l);
	assert_int_equal(l.type, 0);
}

static void sums(void **state)
{
	uint16_t sum;

	(void)state;
	for (unsigned n = 1; n < 3000; n += 7) {
		make(n + 14, 0, 4, 0);
		wrap(n + 14, 128);
		assert_int_equal(vframe_sum(&frame, 14, n + 14, &sum), 0);
		assert_int_equal(swap(sum), reference_sum(bytes + 14, n));
		assert_int_equal(vframe_sum(&frame, n / 2, n / 2 + 14, &sum), 0);
		assert_int_equal(swap(sum), reference_sum(bytes + n / 2, 14));
	}
	assert_int_equal(vframe_add(0xffff, 1), 1);
	assert_int_equal(vframe_add(0x8000, 0x7fff), 0xffff);
}

/* ---- large frames ---- */

static unsigned pieces, stop_at, payload, header, step;
static uint32_t first_number;

/* Each piece is what a TCP would have sent. */
static int take_piece(void *to, const struct host_frame *f)
{
	static uint8_t got[20000];
	struct vframe_layers l;
	unsigned n = MIN(step, payload - pieces * step), l4;
	bool last = pieces * step + n == payload;

	assert_ptr_equal(to, &pieces);
	assert_int_equal(f->size, header + n);
	assert_int_equal(host_frame_read(f, 0, got, f->size), 0);
	assert_int_equal(f->flags | f->gso_type | f->gso_size, 0);
	vframe_layers(f, &l);
	l4 = l.l4;
	assert_int_equal(l.protocol, VFRAME_TCP);
	assert_memory_equal(got, bytes, l.ip);
	assert_memory_equal(got + header, bytes + header + pieces * step, n);
	assert_int_equal(vframe_add(vframe_pseudo(f, &l, f->size - l4),
				    swap(reference_sum(got + l4, f->size - l4))), 0xffff);
	assert_int_equal(vframe_big16(f, l4 + 4) << 16 | vframe_big16(f, l4 + 6),
			 first_number + pieces * step);
	assert_int_equal(got[l4 + 13], (pieces ? 0x10 : 0x90) | (last ? 0x09 : 0));
	if (l.type == VFRAME_IP4) {
		assert_int_equal(vframe_ip_sum(f, &l), 0xffff);
		assert_int_equal(vframe_big16(f, l.ip + 2), f->size - l.ip);
		assert_int_equal(vframe_big16(f, l.ip + 4), (0xfffe + pieces) & 0xffff);
	} else {
		assert_int_equal(vframe_big16(f, l.ip + 4), f->size - l4);
	}
	return ++pieces == stop_at ? -ENOSPC : 0;
}

static void make_large(unsigned n, unsigned tags, unsigned version, unsigned head)
{
	unsigned l4 = make(n, tags, version, VFRAME_TCP);

	bytes[l4 + 12] = 0x80;				/* 32 bytes */
	bytes[l4 + 13] = 0x99;				/* CWR, ACK, PSH, FIN */
	if (version == 4)
		bytes[l4 - 20] = 0xff, bytes[l4 - 19] = 0xfe;
	wrap(n, head);
	frame.flags = VFRAME_NEEDS_CSUM;
	frame.csum_start = (uint16_t)l4;
	frame.csum_offset = 16;
	header = l4 + 32;
	payload = n - header;
	first_number = (uint32_t)vframe_big16(&frame, l4 + 4) << 16 |
		       vframe_big16(&frame, l4 + 6);
	pieces = stop_at = 0;
}

static void cuts(void **state)
{
	static const unsigned steps[] = { 1, 7, 20, 100, 536, 1448, 9000 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(steps); i++)
		for (unsigned n = 160; n < 16000; n += 997) {
			bool six = n & 1;

			step = steps[i];
			make_large(n, n % 3, six ? 6 : 4, n % 5 ? 128 : 120);
			if (payload <= step || payload / step > 500)
				continue;
			assert_true(vframe_large(&frame, six ? VFRAME_GSO_TCP6 : VFRAME_GSO_TCP4,
						 (uint16_t)step));
			assert_int_equal(frame.hdr_len, header);
			assert_int_equal(vframe_cut(&frame, take_piece, &pieces), 0);
			assert_int_equal(pieces, DIV_UP(payload, step));
		}
	step = 100;
	make_large(1000, 0, 4, 128);
	assert_true(vframe_large(&frame, VFRAME_GSO_TCP4, 100));
	stop_at = 3;
	assert_int_equal(vframe_cut(&frame, take_piece, &pieces), -ENOSPC);
	assert_int_equal(pieces, 3);
}

static void refused(void **state)
{
	(void)state;
	make_large(15000, 0, 4, 128);
	assert_false(vframe_large(&frame, VFRAME_GSO_TCP6, 1000));
	assert_false(vframe_large(&frame, VFRAME_GSO_TCP4, 0));
	assert_true(vframe_large(&frame, VFRAME_GSO_TCP4, 20));	/* too many */
	assert_int_equal(vframe_cut(&frame, take_piece, &pieces), -ENOSYS);
	frame.flags = 0;
	assert_false(vframe_large(&frame, VFRAME_GSO_TCP4, 1000));
	make_large(2000, 0, 4, 60);			/* TCP's header is behind the head */
	assert_true(vframe_large(&frame, VFRAME_GSO_TCP4, 1000));
	assert_int_equal(vframe_cut(&frame, take_piece, &pieces), -ENOSYS);
	make_large(2000, 0, 4, 48);
	assert_false(vframe_large(&frame, VFRAME_GSO_TCP4, 1000));
	assert_int_equal(pieces, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layers),
		cmocka_unit_test(sums),
		cmocka_unit_test(cuts),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
