/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a frame's header promises against what is in the frame, and open checksums. All is read from
 * the frame's copied head, which is what arrives; hdr_len is a hint, and made anew. A frame that
 * another driver cannot take as it is, too large and without leave to be cut, is lost: drivers of
 * one cable say what they take when they come, and a TCP that loses all large ones sends small
 * ones.
 */
#include "include/bits.h"
#include "lib/string.h"
#include "vdev/virtio/virtio_net.h"

#define ETHERNET	14u
#define TAG		4u
#define TYPE_IP4	0x0800u
#define TYPE_IP6	0x86ddu
#define PROTOCOL_TCP	6u
#define PROTOCOL_UDP	17u
#define IP6_HEADER	40u
#define TCP_HEADER	20u
#define CSUM_TCP	16u		/* offsets in their headers */
#define CSUM_UDP	6u

static unsigned big16(const struct host_frame *f, uint32_t at)
{
	return at + 2 <= f->head_size ? (unsigned)(f->head[at] << 8 | f->head[at + 1]) : 0;
}

static unsigned byte(const struct host_frame *f, uint32_t at)
{
	return at < f->head_size ? f->head[at] : 0;
}

/* The type behind at most two tags; *at: where what has that type begins. */
static unsigned ethertype(const struct host_frame *f, uint32_t *at)
{
	unsigned type = big16(f, ETHERNET - 2);

	*at = ETHERNET;
	for (unsigned i = 0; i < 2 && (type == 0x8100 || type == 0x88a8); i++) {
		*at += TAG;
		type = big16(f, *at - 2);
	}
	return type;
}

/* Is there TCP at csum_start, in IP of that kind? */
static bool is_tcp(const struct host_frame *f, unsigned gso)
{
	uint32_t ip;
	unsigned type = ethertype(f, &ip);

	if (f->csum_offset != CSUM_TCP)
		return false;
	if (gso == NET_GSO_TCP6)
		return type == TYPE_IP6 && f->csum_start >= ip + IP6_HEADER;
	return gso == NET_GSO_TCP4 && type == TYPE_IP4 && byte(f, ip + 9) == PROTOCOL_TCP &&
	       f->csum_start == ip + (byte(f, ip) & 15) * 4;
}

/* The header's length as it is; one that fits a segment needs no cutting. */
static bool check_gso(struct host_frame *f, unsigned gso, uint16_t gso_size)
{
	unsigned words = byte(f, f->csum_start + 12u) >> 4;
	uint32_t size = f->csum_start + words * 4;

	if (!(f->flags & NET_NEEDS_CSUM) || !gso_size || !is_tcp(f, gso) ||
	    words * 4 < TCP_HEADER || size > f->size)
		return false;
	f->hdr_len = (uint16_t)size;
	if (f->size - size > gso_size) {
		f->gso_type = (uint8_t)gso;
		f->gso_size = gso_size;
	}
	return true;
}

bool virtio_net_frame_check(struct host_frame *f, const struct virtio_net_header *h,
			    uint64_t accepted)
{
	unsigned gso = h->gso_type & ~(unsigned)NET_GSO_ECN;
	bool may = (gso == NET_GSO_TCP4 && accepted & BIT(NET_HOST_TSO4)) ||
		   (gso == NET_GSO_TCP6 && accepted & BIT(NET_HOST_TSO6));

	f->flags = f->gso_type = 0;
	f->hdr_len = f->gso_size = f->csum_start = f->csum_offset = 0;
	if (h->flags & NET_NEEDS_CSUM && accepted & BIT(NET_CSUM)) {
		if (h->csum_start < ETHERNET ||
		    (uint32_t)h->csum_start + h->csum_offset + 2 > f->size)
			return false;
		f->flags = NET_NEEDS_CSUM;
		f->csum_start = h->csum_start;
		f->csum_offset = h->csum_offset;
	}
	if (gso == NET_GSO_NONE)
		return true;
	return may && check_gso(f, gso, h->gso_size);
}

/* ---- checksums ---- */

/* Of the bytes behind `at`, as the processor reads them: the sum's own order does not matter. */
static int sum_up(const struct host_frame *f, uint32_t at, uint16_t *out)
{
	uint8_t bytes[512];
	uint64_t sum = 0;

	while (at < f->size) {
		uint32_t n = MIN(f->size - at, (uint32_t)sizeof(bytes));
		int err = host_frame_read(f, at, bytes, n);

		if (err)
			return err;
		if (n & 1)
			bytes[n] = 0;
		for (uint32_t i = 0; i < n; i += 2) {
			uint16_t word;

			memcpy(&word, bytes + i, 2);
			sum += word;
		}
		at += n;
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	*out = (uint16_t)sum;
	return 0;
}

/* Its place must be in the head: who sends has no other copy. */
static int finish_sum(struct host_frame *f)
{
	uint32_t at = (uint32_t)f->csum_start + f->csum_offset;
	uint16_t sum;
	int err;

	if (at + 2 > f->head_size)
		return -ENOSYS;
	err = sum_up(f, f->csum_start, &sum);
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

/* Clients that look at raw frames do not know of open sums. */
static bool is_dhcp(const struct host_frame *f)
{
	uint32_t ip;

	if (ethertype(f, &ip) != TYPE_IP4 || byte(f, ip + 9) != PROTOCOL_UDP)
		return false;
	ip += (byte(f, ip) & 15) * 4;
	return big16(f, ip) == 67 || big16(f, ip) == 68;
}

/* Larger than the driver was told that frames are? */
static bool is_too_long(const struct host_frame *f, uint64_t accepted)
{
	uint32_t n = f->gso_type ? (uint32_t)f->hdr_len + f->gso_size : f->size;

	return accepted & BIT(NET_MTU) && n > VIRTIO_NET_MTU + ETHERNET + 2 * TAG;
}

int virtio_net_frame_fit(struct host_frame *f, uint64_t accepted)
{
	unsigned tso = f->gso_type == NET_GSO_TCP6 ? NET_GUEST_TSO6 : NET_GUEST_TSO4;

	if ((f->gso_type && !(accepted & BIT(tso))) || is_too_long(f, accepted))
		return -ENOSYS;
	if (f->flags & NET_NEEDS_CSUM && (!(accepted & BIT(NET_GUEST_CSUM)) || is_dhcp(f)))
		return finish_sum(f);
	return 0;
}
