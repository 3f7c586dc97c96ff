/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio network card: pairs of queues, offloads, filters and a control queue, on the cable
 * that is medium 0. "VIRTIO" 1.2, Network Device. What is in a frame is checked by
 * virtio_net_frame.c.
 */
#pragma once

#include "vdev/vframe.h"
#include "vdev/virtio/virtio.h"

#define VIRTIO_NET_PAIRS_MAX	7u	/* with the control queue, VIRTIO_QUEUES_MAX */
#define VIRTIO_NET_MTU		1500u

enum {
	NET_CSUM = 0, NET_GUEST_CSUM = 1, NET_MTU = 3, NET_MAC = 5, NET_GUEST_TSO4 = 7,
	NET_GUEST_TSO6 = 8, NET_HOST_TSO4 = 11, NET_HOST_TSO6 = 12, NET_MRG_RXBUF = 15,
	NET_STATUS = 16, NET_CTRL_VQ = 17, NET_CTRL_RX = 18, NET_CTRL_VLAN = 19,
	NET_CTRL_RX_EXTRA = 20, NET_GUEST_ANNOUNCE = 21, NET_MQ = 22, NET_CTRL_MAC_ADDR = 23,
};

int virtio_net_create(const uint8_t mac[6], unsigned pairs, struct virtio **out) must_check;

/* --- virtio_net_frame.c */
struct virtio_net_header {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset, buffers;
};

/*
 * Of a frame with its first bytes: takes from the header what the sender may ask for, by the
 * features that he has accepted. False: it is not right.
 */
bool virtio_net_frame_check(struct host_frame *f, const struct virtio_net_header *h,
			    uint64_t accepted) must_check;
/* Is it one that a driver with these features wants cut? */
bool virtio_net_frame_is_large(const struct host_frame *f, uint64_t accepted);
/*
 * Makes it one that a driver with these features can take: finishes its checksum. -ENOSYS: that
 * cannot be; or host_frame_read's errors.
 */
int virtio_net_frame_fit(struct host_frame *f, uint64_t accepted) must_check;
