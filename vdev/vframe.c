/* SPDX-License-Identifier: BSD-2-Clause */
/* See vframe.h. */
#include "vdev/vframe.h"

#include "include/bits.h"
#include "lib/string.h"

#define IP4_HEADER	20u
#define IP4_FRAGMENT	0x3fffu		/* offset, or more to come */
#define IP6_HEADER	40u
#define TCP_HEADER	20u
#define UDP_HEADER	8u
#define CSUM_TCP	16u		/* offsets in their headers */
#define CSUM_UDP	6u
#define TCP_FLAGS	13u
#define TCP_FIN_PSH	0x09u		/* of the last piece alone */
#define TCP_CWR		0x80u		/* of the first */
#define EXTENSIONS	8u		/* of IPv6 that are looked through */
#define PIECES_MAX	512u		/* of one frame */

/* ---- headers ---- */

/* The type behind at most two tags; *at: where what has that type begins. */
static unsigned ethertype(const struct host_frame *f, uint32_t *at)
{
	unsigned type = vframe_big16(f, VFRAME_ETHERNET - 2);

	*at = VFRAME_ETHERNET;
	for (unsigned i = 0; i < 2 && (type == 0x8100 || type == 0x88a8); i++) {
		*at += VFRAME_TAG;
		type = vframe_big16(f, *at - 2);
	}
	return type;
}

static void ip4_layer(const struct host_frame *f, struct vframe_layers *l)
{
	uint32_t size = (vframe_byte(f, l->ip) & 15) * 4;

	if (vframe_byte(f, l->ip) >> 4 != 4 || size < IP4_HEADER || l->ip + size > f->head_size)
		return;
	l->protocol = vframe_byte(f, l->ip + 9);
	l->fragment = vframe_big16(f, l->ip + 6) & IP4_FRAGMENT;
	l->l4 = l->fragment ? 0 : l->ip + size;
}

static bool is_extension(unsigned next)
{
	return !next || next == 43 || next == 44 || next == 60;
}

static void ip6_layer(const struct host_frame *f, struct vframe_layers *l)
{
	unsigned next = vframe_byte(f, l->ip + 6);
	uint32_t at = l->ip + IP6_HEADER;

	if (vframe_byte(f, l->ip) >> 4 != 6)
		return;
	for (unsigned i = 0; i < EXTENSIONS && is_extension(next) && at < f->head_size; i++) {
		l->fragment |= next == 44;
		next = vframe_byte(f, at);
		at += 8 + (l->fragment ? 0 : vframe_byte(f, at + 1) * 8);
	}
	if (is_extension(next) || at > f->head_size)
		return;
	l->protocol = next;
	l->l4 = l->fragment ? 0 : at;
}

void vframe_layers(const struct host_frame *f, struct vframe_layers *out)
{
	*out = (struct vframe_layers){ 0 };
	out->type = ethertype(f, &out->ip);
	if (out->type == VFRAME_IP4)
		ip4_layer(f, out);
	else if (out->type == VFRAME_IP6)
		ip6_layer(f, out);
}

/* ---- sums ---- */

static uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint64_t sum_bytes(const uint8_t *p, uint32_t n)
{
	uint64_t sum = 0;
	uint32_t word;

	for (; n >= 4; n -= 4, p += 4) {
		memcpy(&word, p, 4);
		sum += word;
	}
	if (n) {
		word = 0;
		memcpy(&word, p, n);
		sum += word;
	}
	return sum;
}

int vframe_sum(const struct host_frame *f, uint32_t at, uint32_t end, uint16_t *out)
{
	uint8_t bytes[512];
	uint64_t sum = 0;

	while (at < end) {
		uint32_t n = MIN(end - at, (uint32_t)sizeof(bytes));
		int err = host_frame_read(f, at, bytes, n);

		if (err)
			return err;
		sum += sum_bytes(bytes, n);
		at += n;
	}
	*out = fold(sum);
	return 0;
}

uint16_t vframe_head_sum(const struct host_frame *f, uint32_t at, uint32_t end)
{
	return fold(sum_bytes(f->head + at, end - at));
}

uint16_t vframe_pseudo(const struct host_frame *f, const struct vframe_layers *l, uint32_t length)
{
	bool four = l->type == VFRAME_IP4;
	uint32_t addresses = l->ip + (four ? 12 : 8), n = four ? 8 : 32;
	uint8_t rest[8] = { (uint8_t)(length >> 24), (uint8_t)(length >> 16),
			    (uint8_t)(length >> 8), (uint8_t)length, 0, 0, 0,
			    (uint8_t)l->protocol };

	if (addresses + n > f->head_size)
		return 0;
	return fold(sum_bytes(f->head + addresses, n) + sum_bytes(rest, sizeof(rest)));
}

uint16_t vframe_ip_sum(const struct host_frame *f, const struct vframe_layers *l)
{
	uint32_t end = l->ip + (vframe_byte(f, l->ip) & 15) * 4;

	return end <= f->head_size ? vframe_head_sum(f, l->ip, end) : 0;
}

int vframe_finish(struct host_frame *f)
{
	uint32_t at = (uint32_t)f->csum_start + f->csum_offset;
	uint16_t sum;
	int err;

	if (at + 2 > f->head_size)
		return -ENOSYS;
	err = vframe_sum(f, f->csum_start, f->size, &sum);
	if (err)
		return err;
	sum = (uint16_t)~sum;
	if (!sum && f->csum_offset == CSUM_UDP)
		sum = 0xffff;
	memcpy(f->head + at, &sum, 2);
	f->flags = 0;
	f->csum_start = f->csum_offset = 0;
	return 0;
}

/* ---- large frames ---- */

/* Is there TCP at csum_start, in IP of that kind? */
static bool is_tcp(const struct host_frame *f, unsigned gso)
{
	uint32_t ip;
	unsigned type = ethertype(f, &ip);

	if (f->csum_offset != CSUM_TCP)
		return false;
	if (gso == VFRAME_GSO_TCP6)
		return type == VFRAME_IP6 && f->csum_start >= ip + IP6_HEADER;
	return gso == VFRAME_GSO_TCP4 && type == VFRAME_IP4 &&
	       vframe_byte(f, ip + 9) == VFRAME_TCP &&
	       f->csum_start == ip + (vframe_byte(f, ip) & 15) * 4;
}

bool vframe_large(struct host_frame *f, unsigned gso, uint16_t gso_size)
{
	unsigned words = vframe_byte(f, f->csum_start + 12u) >> 4;
	uint32_t size = f->csum_start + words * 4;

	if (!(f->flags & VFRAME_NEEDS_CSUM) || !gso_size || !is_tcp(f, gso) ||
	    words * 4 < TCP_HEADER || size > f->size)
		return false;
	f->hdr_len = (uint16_t)size;
	if (f->size - size > gso_size) {
		f->gso_type = (uint8_t)gso;
		f->gso_size = gso_size;
	}
	return true;
}

static void put_big16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static uint32_t get_big32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/*
 * The bytes of piece `i`, from `at` of the frame on: what of them is in the frame's head goes with
 * the piece's own, the rest stays where it is.
 */
static void piece_bytes(const struct host_frame *f, uint32_t at, uint32_t n,
			struct host_frame *out)
{
	uint32_t own = at < f->head_size ? MIN(f->head_size - at, n) : 0;

	if (own)
		memcpy(out->head + f->hdr_len, f->head + at, own);
	out->head_size = f->hdr_len + own;
	out->size = f->hdr_len + n;
	out->skip = f->skip + (at + own > f->head_size ? at + own - f->head_size : 0);
}

/* Lengths, numbers and flags of piece `i`, and its IP header's checksum. */
static void piece_headers(struct host_frame *out, uint32_t ip, unsigned i, uint32_t done,
			  bool last)
{
	uint8_t *h = out->head, *tcp = h + out->csum_start;
	uint32_t sequence = get_big32(tcp + 4) + done;
	uint16_t sum;

	put_big16(tcp + 4, sequence >> 16);
	put_big16(tcp + 6, sequence);
	if (!last)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_FIN_PSH;
	if (i)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
	if (out->gso_type == VFRAME_GSO_TCP6) {
		put_big16(h + ip + 4, out->size - ip - IP6_HEADER);
		return;
	}
	put_big16(h + ip + 2, out->size - ip);
	put_big16(h + ip + 4, vframe_big16(out, ip + 4) + i);
	put_big16(h + ip + 10, 0);
	sum = (uint16_t)~vframe_head_sum(out, ip, out->csum_start);
	memcpy(h + ip + 10, &sum, 2);
}

/* The pseudo-header's sum in the piece is of the piece's length. */
static int piece_sum(struct host_frame *out, const struct vframe_layers *l)
{
	uint16_t sum = vframe_pseudo(out, l, out->size - out->csum_start);

	memcpy(out->head + out->csum_start + CSUM_TCP, &sum, 2);
	out->gso_type = VFRAME_GSO_NONE;
	out->gso_size = out->hdr_len = 0;
	return vframe_finish(out);
}

int vframe_cut(const struct host_frame *f, vframe_taker *one, void *to)
{
	struct vframe_layers l = { .protocol = VFRAME_TCP };
	struct host_frame piece;
	unsigned i = 0;
	int err = 0;

	if (f->hdr_len > f->head_size || (f->size - f->hdr_len) / f->gso_size >= PIECES_MAX)
		return -ENOSYS;
	l.type = ethertype(f, &l.ip);
	for (uint32_t at = f->hdr_len; at < f->size && !err; at += f->gso_size, i++) {
		uint32_t n = MIN(f->size - at, (uint32_t)f->gso_size);

		piece = *f;
		piece_bytes(f, at, n, &piece);
		piece_headers(&piece, l.ip, i, at - f->hdr_len, at + n == f->size);
		err = piece_sum(&piece, &l) ?: one(to, &piece);
	}
	return err;
}
