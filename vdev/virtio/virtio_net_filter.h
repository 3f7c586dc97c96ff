/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which frames a network card takes: modes, addresses and VLANs as its driver asks for by the
 * control queue. Values only; the device's lock guards them.
 */
#pragma once

#include "include/compiler.h"
#include "lib/record.h"

#define NET_ADDRESSES	64u		/* of each kind; more of them, and all are taken */

enum net_mode {
	NET_PROMISC, NET_ALL_MULTI, NET_ALL_UNI, NET_NO_MULTI, NET_NO_UNI, NET_NO_BROADCAST,
	NET_MODES
};

struct net_filter {
	uint8_t modes;			/* a bit for each */
	bool all[2];			/* the list was too long */
	uint8_t count[2];		/* unicast, multicast */
	uint8_t address[2][NET_ADDRESSES][6];
	uint64_t vlan[4096 / 64];	/* what has no tag is taken too */
};

/* As after a reset: all frames. */
void virtio_net_filter_reset(struct net_filter *f);
/* Of a frame with so many bytes at `head`, 14 at least; are VLANs looked at? */
bool virtio_net_filter_takes(const struct net_filter *f, const uint8_t mac[6],
			     bool tags, const uint8_t *head, unsigned size);
/* `data` of a control command; false: it is not right, and nothing has changed. */
bool virtio_net_filter_mode(struct net_filter *f, unsigned mode, const uint8_t *data, unsigned n);
bool virtio_net_filter_table(struct net_filter *f, const uint8_t *data, unsigned n);
bool virtio_net_filter_vlan(struct net_filter *f, bool add, const uint8_t *data, unsigned n);
void virtio_net_filter_save(const struct net_filter *f, struct record_writer *w);
void virtio_net_filter_load(struct net_filter *f, struct record_reader *r);
