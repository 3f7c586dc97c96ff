/* SPDX-License-Identifier: BSD-2-Clause */
/* See virtio_net_filter.h. */
#include "vdev/virtio/virtio_net_filter.h"

#include "include/bits.h"
#include "lib/string.h"

static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static bool has(const struct net_filter *f, enum net_mode m)
{
	return f->modes >> m & 1;
}

void virtio_net_filter_reset(struct net_filter *f)
{
	memset(f, 0, sizeof(*f));
	f->modes = 1u << NET_PROMISC;
}

static bool takes_tag(const struct net_filter *f, const uint8_t *head, unsigned size)
{
	unsigned id;

	if (size < 16 || head[12] != 0x81 || head[13])
		return true;
	id = (head[14] & 0x0fu) << 8 | head[15];
	return !id || f->vlan[id / 64] >> id % 64 & 1;
}

static bool in_table(const struct net_filter *f, bool multi, const uint8_t *to)
{
	for (unsigned i = 0; i < f->count[multi]; i++)
		if (!memcmp(f->address[multi][i], to, 6))
			return true;
	return f->all[multi];
}

bool virtio_net_filter_takes(const struct net_filter *f, const uint8_t mac[6],
			     bool tags, const uint8_t *head, unsigned size)
{
	bool multi = head[0] & 1;

	if (tags && !takes_tag(f, head, size))
		return false;
	if (has(f, NET_PROMISC))
		return true;
	if (!memcmp(head, broadcast, 6))
		return !has(f, NET_NO_BROADCAST);
	if (has(f, multi ? NET_NO_MULTI : NET_NO_UNI))
		return false;
	return has(f, multi ? NET_ALL_MULTI : NET_ALL_UNI) || (!multi && !memcmp(head, mac, 6)) ||
	       in_table(f, multi, head);
}

bool virtio_net_filter_mode(struct net_filter *f, unsigned mode, const uint8_t *data, unsigned n)
{
	if (n != 1 || mode >= NET_MODES)
		return false;
	f->modes = (uint8_t)((f->modes & ~(1u << mode)) | (data[0] ? 1u << mode : 0));
	return true;
}

/* Two lists, each a number and so many addresses; they end where the data do. */
bool virtio_net_filter_table(struct net_filter *f, const uint8_t *data, unsigned n)
{
	const uint8_t *list[2];
	uint32_t count[2];

	for (unsigned i = 0; i < 2; i++) {
		if (n < 4)
			return false;
		memcpy(&count[i], data, 4);
		list[i] = data + 4;
		n -= 4;
		if (count[i] > n / 6)
			return false;
		n -= count[i] * 6;
		data = list[i] + count[i] * 6;
	}
	if (n)
		return false;
	for (unsigned i = 0; i < 2; i++) {
		f->all[i] = count[i] > NET_ADDRESSES;
		f->count[i] = f->all[i] ? 0 : (uint8_t)count[i];
		memcpy(f->address[i], list[i], f->count[i] * 6ul);
	}
	return true;
}

bool virtio_net_filter_vlan(struct net_filter *f, bool add, const uint8_t *data, unsigned n)
{
	unsigned id;

	if (n != 2)
		return false;
	id = data[0] | (unsigned)data[1] << 8;
	if (id >= 4096)
		return false;
	if (add)
		f->vlan[id / 64] |= BIT(id % 64);
	else
		f->vlan[id / 64] &= ~BIT(id % 64);
	return true;
}

void virtio_net_filter_save(const struct net_filter *f, struct record_writer *w)
{
	record_put_u8(w, f->modes);
	for (unsigned i = 0; i < 2; i++) {
		record_put_bool(w, f->all[i]);
		record_put_u8(w, f->count[i]);
		record_put(w, f->address[i], f->count[i] * 6ul);
	}
	record_put(w, f->vlan, sizeof(f->vlan));
}

/* What is wrong the reader notes. */
void virtio_net_filter_load(struct net_filter *f, struct record_reader *r)
{
	memset(f, 0, sizeof(*f));
	f->modes = (uint8_t)record_get_below(r, 1, (1u << NET_MODES) - 1);
	for (unsigned i = 0; i < 2; i++) {
		f->all[i] = record_get_bool(r);
		f->count[i] = (uint8_t)record_get_below(r, 1, NET_ADDRESSES);
		record_get(r, f->address[i], f->count[i] * 6ul);
	}
	record_get(r, f->vlan, sizeof(f->vlan));
}
