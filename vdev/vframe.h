/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What network cards do to frames (vdev/host.h) in software: where the headers are, checksums that
 * are still open, large TCP frames that are to be cut. All is read from the frame's copied head,
 * which is what arrives; only sums read the sender's memory. What a frame may still want is said as
 * virtio's header says it, whichever card it comes from; a card that does not take such a frame has
 * it finished here. Values only: any thread.
 */
#pragma once

#include "vdev/host.h"

#define VFRAME_ETHERNET	14u		/* bytes of its header */
#define VFRAME_TAG	4u

enum { VFRAME_NEEDS_CSUM = 1 };		/* of a frame's flags */
enum { VFRAME_GSO_NONE = 0, VFRAME_GSO_TCP4 = 1, VFRAME_GSO_TCP6 = 4, VFRAME_GSO_ECN = 0x80 };
enum { VFRAME_IP4 = 0x0800, VFRAME_IP6 = 0x86dd };
enum { VFRAME_TCP = 6, VFRAME_UDP = 17 };

static inline unsigned vframe_byte(const struct host_frame *f, uint32_t at)
{
	return at < f->head_size ? f->head[at] : 0;
}

/* As the network orders them; 0 beyond the head. */
static inline unsigned vframe_big16(const struct host_frame *f, uint32_t at)
{
	return at + 2 <= f->head_size ? (unsigned)(f->head[at] << 8 | f->head[at + 1]) : 0;
}

/* The headers that the head shows, one behind the other. */
struct vframe_layers {
	unsigned type;			/* Ethernet's, behind at most two tags */
	unsigned protocol;		/* IP's; 0: not IP, or hidden */
	uint32_t ip, l4;		/* where they begin; l4: 0 where there is none */
	bool fragment;			/* of an IP packet; then there is no l4 */
};
void vframe_layers(const struct host_frame *f, struct vframe_layers *out);

/*
 * The ones' complement sum of the bytes from `at` on to `end`, in the processor's order, as
 * checksums want it: see RFC 1071. host_frame_read's errors.
 */
int vframe_sum(const struct host_frame *f, uint32_t at, uint32_t end, uint16_t *out) must_check;
/* Of bytes of the head, which are there. */
uint16_t vframe_head_sum(const struct host_frame *f, uint32_t at, uint32_t end);
static inline uint16_t vframe_add(uint16_t a, uint16_t b)
{
	uint32_t sum = (uint32_t)a + b;

	return (uint16_t)(sum + (sum >> 16));
}
/* The pseudo-header's, for what is behind `l4`, with that length. */
uint16_t vframe_pseudo(const struct host_frame *f, const struct vframe_layers *l, uint32_t length);
/* The checksum of the IPv4 header, as its bytes are; 0xffff if it is right. */
uint16_t vframe_ip_sum(const struct host_frame *f, const struct vframe_layers *l);

/*
 * Puts the checksum that is open where it belongs. -ENOSYS: its place is not in the head: who sends
 * has no other copy; or host_frame_read's errors.
 */
int vframe_finish(struct host_frame *f) must_check;

/*
 * Of a frame whose checksum is open: it is TCP of that kind, to be cut into pieces of gso_size
 * bytes. Sets the header's length as it is; one that fits a piece needs no cutting. False: it is
 * not right.
 */
bool vframe_large(struct host_frame *f, unsigned gso, uint16_t gso_size) must_check;

/*
 * Cuts a large frame: calls `one` with each piece, finished; stops at its first error. -ENOSYS: its
 * header is larger than its head, or the pieces would be too small and too many.
 */
typedef int vframe_taker(void *to, const struct host_frame *f);
int vframe_cut(const struct host_frame *f, vframe_taker *one, void *to) must_check;
