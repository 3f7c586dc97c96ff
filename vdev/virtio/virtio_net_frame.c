/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a frame's header promises against what is in the frame, and what a driver does not take as
 * it is. hdr_len is a hint, and made anew.
 */
#include "include/bits.h"
#include "vdev/virtio/virtio_net.h"

bool virtio_net_frame_check(struct host_frame *f, const struct virtio_net_header *h,
			    uint64_t accepted)
{
	unsigned gso = h->gso_type & ~(unsigned)VFRAME_GSO_ECN;
	bool may = (gso == VFRAME_GSO_TCP4 && accepted & BIT(NET_HOST_TSO4)) ||
		   (gso == VFRAME_GSO_TCP6 && accepted & BIT(NET_HOST_TSO6));

	f->flags = f->gso_type = 0;
	f->hdr_len = f->gso_size = f->csum_start = f->csum_offset = 0;
	if (h->flags & VFRAME_NEEDS_CSUM && accepted & BIT(NET_CSUM)) {
		if (h->csum_start < VFRAME_ETHERNET ||
		    (uint32_t)h->csum_start + h->csum_offset + 2 > f->size)
			return false;
		f->flags = VFRAME_NEEDS_CSUM;
		f->csum_start = h->csum_start;
		f->csum_offset = h->csum_offset;
	}
	if (gso == VFRAME_GSO_NONE)
		return true;
	return may && vframe_large(f, gso, h->gso_size);
}

/* Clients that look at raw frames do not know of open sums. */
static bool is_dhcp(const struct host_frame *f)
{
	struct vframe_layers l;
	unsigned port;

	vframe_layers(f, &l);
	port = vframe_big16(f, l.l4);
	return l.type == VFRAME_IP4 && l.l4 && l.protocol == VFRAME_UDP &&
	       (port == 67 || port == 68);
}

/* Larger than the driver was told that frames are? */
static bool is_too_long(const struct host_frame *f, uint64_t accepted)
{
	uint32_t n = f->gso_type ? (uint32_t)f->hdr_len + f->gso_size : f->size;

	return accepted & BIT(NET_MTU) && n > VIRTIO_NET_MTU + VFRAME_ETHERNET + 2 * VFRAME_TAG;
}

bool virtio_net_frame_is_large(const struct host_frame *f, uint64_t accepted)
{
	unsigned tso = f->gso_type == VFRAME_GSO_TCP6 ? NET_GUEST_TSO6 : NET_GUEST_TSO4;

	return f->gso_type && !(accepted & BIT(tso));
}

int virtio_net_frame_fit(struct host_frame *f, uint64_t accepted)
{
	if (virtio_net_frame_is_large(f, accepted) || is_too_long(f, accepted))
		return -ENOSYS;
	if (f->flags & VFRAME_NEEDS_CSUM && (!(accepted & BIT(NET_GUEST_CSUM)) || is_dhcp(f)))
		return vframe_finish(f);
	return 0;
}
