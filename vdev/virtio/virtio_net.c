/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See virtio_net.h. A frame that is sent goes to the other end's receive queue in the same exit, by
 * one copy out of the sender's memory. Is that queue in somebody's hands just then, the frame goes
 * to the receiver's inbox, which is bounded, and the queue's owner takes it from there: no VM waits
 * for another. Where there is no room a frame is lost.
 *
 * Locks: the device's own around filter, pairs and inbox.
 */
#include "vdev/virtio/virtio_net.h"

#include "include/bits.h"
#include "lib/string.h"
#include "vdev/vinbox.h"
#include "vdev/virtio/virtio_net_filter.h"

#define COST_UNIT	4096u
#define HEADER		((uint32_t)sizeof(struct virtio_net_header))
#define FRAME_MIN	14u
#define BUFFERS_MAX	64u		/* of one frame */
#define CONTROL_MAX	1024u		/* bytes of a command */

enum { STATUS_LINK = 1, STATUS_ANNOUNCE = 2 };	/* of the configuration */
enum { CLASS_RX, CLASS_MAC, CLASS_VLAN, CLASS_ANNOUNCE, CLASS_MQ };
enum { CONTROL_OK, CONTROL_ERROR };

struct config {
	uint8_t mac[6];
	uint16_t status, pairs_max, mtu;
};

_Static_assert(sizeof(struct config) == 12 && sizeof(struct virtio_net_header) == 12,
	       "the driver's layout");

struct net {
	struct virtio v;
	uint8_t mac[6];			/* after a reset */
	uint16_t pairs_max, pairs;
	bool moved;			/* a state was loaded: others are to hear where it is */
	struct net_filter filter, loaded;
	uint16_t loaded_pairs;
	struct vinbox inbox;
};

static struct net *net_of(struct virtio *v)
{
	return container_of(v, struct net, v);
}

static struct config *config_of(struct virtio *v)
{
	return (struct config *)v->config;
}

static int cost(uint32_t bytes)
{
	return 1 + (int)(bytes / COST_UNIT);
}

/* ---- the inbox ---- */

static int inbox_put(struct net *n, unsigned queue, const struct host_frame *f)
{
	struct vinbox_parcel *p = vinbox_wrap(queue, f);
	uint64_t flags;
	bool room;

	if (!p)
		return -ENOMEM;
	flags = host_lock(&n->v.dev);
	room = __atomic_load_n(&n->v.queue[queue].live, __ATOMIC_RELAXED) &&
	       vinbox_put(&n->inbox, p);
	host_unlock(&n->v.dev, flags);
	if (room)
		virtio_kick(&n->v, queue);
	else
		host_free(p);
	return room ? 0 : -ENOSPC;
}

/* The older interface's header ends earlier where the driver does not take several buffers. */
static uint32_t header_size(const struct virtio *v)
{
	return v->legacy && !virtio_has(v, NET_MRG_RXBUF)
		       ? offsetof(struct virtio_net_header, buffers) : HEADER;
}

/* ---- receiving ---- */

/* One frame's way into buffers. */
struct fill {
	uint32_t at;			/* of the frame */
	uint32_t header, wanted;	/* bytes of the header that have a place, and all */
	unsigned parts;
	struct host_segment part[HEADER];	/* where that is */
	unsigned count;
	struct virtio_used used[BUFFERS_MAX];
};

/* The header's places come first. */
static int fill_segment(struct virtio *v, struct fill *to, const struct host_frame *f,
			struct host_segment s, uint32_t *written)
{
	uint32_t n = (uint32_t)MIN(s.size, (uint64_t)(to->wanted - to->header));
	int err = 0;

	if (n) {
		to->part[to->parts++] = (struct host_segment){ s.at, n };
		to->header += n;
	}
	*written += n;
	s.at += n;
	n = (uint32_t)MIN(s.size - n, (uint64_t)(f->size - to->at));
	if (n)
		err = host_frame_copy(&v->dev, f, to->at, GPA(s.at), n);
	to->at += n;
	*written += n;
	return err == -EFAULT ? -EIO : err;
}

/* What the next chain has room for. */
static int fill_chain(struct virtio *v, struct virtio_queue *q, struct fill *to,
		      const struct host_frame *f)
{
	struct virtio_chain *c = &q->chain;
	uint32_t written = 0;
	int r = virtio_next(v, q);

	if (r <= 0)
		return r ?: -ENOSPC;
	if (c->readable || !c->write_size)
		return -EIO;
	for (unsigned i = 0; i < c->count && to->at < f->size; i++) {
		r = fill_segment(v, to, f, c->segment[i], &written);
		if (r < 0)
			return r;
	}
	if (to->header < to->wanted)
		return -EIO;
	to->used[to->count++] = (struct virtio_used){ c->id, c->slots, written };
	virtio_take(q);
	return 0;
}

static int write_header(struct virtio *v, const struct fill *to, const struct host_frame *f)
{
	struct virtio_net_header h = {
		.flags = f->flags, .gso_type = f->gso_type, .hdr_len = f->hdr_len,
		.gso_size = f->gso_size, .csum_start = f->csum_start,
		.csum_offset = f->csum_offset, .buffers = (uint16_t)to->count,
	};
	const uint8_t *from = (const uint8_t *)&h;
	int err = 0;

	for (unsigned i = 0; i < to->parts && !err; i++) {
		err = host_mem_write(&v->dev, GPA(to->part[i].at), from, to->part[i].size);
		from += to->part[i].size;
	}
	return err == -EFAULT ? -EIO : err;
}

/*
 * By the owner, for whom features do not change. 0, or an error, and then nothing was taken; of it,
 * -EIO breaks the queue.
 */
static int rx_put(struct virtio *v, struct virtio_queue *q, struct host_frame *f)
{
	unsigned max = virtio_has(v, NET_MRG_RXBUF) ? BUFFERS_MAX : 1;
	struct virtio_queue_state before = q->s;
	struct fill to;
	int err = virtio_net_frame_fit(f, v->accepted);

	to.at = to.header = 0;
	to.wanted = header_size(v);
	to.parts = to.count = 0;
	while (to.at < f->size && !err)
		err = to.count < max ? fill_chain(v, q, &to, f) : -ENOSPC;
	err = err ?: write_header(v, &to, f);
	err = err ?: virtio_push_all(v, q, to.used, to.count);
	if (err)
		virtio_untake(q, &before);
	return err;
}

/* By the owner, with a buffer: what waited. */
static int rx_serve(struct virtio *v, struct virtio_queue *q)
{
	struct net *n = net_of(v);
	uint64_t flags = host_lock(&v->dev);
	struct vinbox_parcel *p = vinbox_first(&n->inbox, (unsigned)(q - v->queue));
	uint32_t size;
	int err;

	if (p)
		vinbox_remove(&n->inbox, p);
	host_unlock(&v->dev, flags);
	if (!p)
		return -EAGAIN;
	err = rx_put(v, q, &p->frame);
	size = p->frame.size;
	host_free(p);
	return err == -EIO ? err : cost(size);
}

/* The queue for a frame of another card's `from`; NULL: it is not for us. */
static struct virtio_queue *rx_queue(struct net *n, const struct host_frame *f, bool *waits)
{
	uint64_t flags = host_lock(&n->v.dev);
	const uint8_t *mac = config_of(&n->v)->mac;
	unsigned queue = 2 * (f->queue % n->pairs);
	bool takes = virtio_net_filter_takes(&n->filter, mac, virtio_has(&n->v, NET_CTRL_VLAN),
					     f->head, f->head_size);

	*waits = vinbox_first(&n->inbox, queue);
	host_unlock(&n->v.dev, flags);
	return takes ? &n->v.queue[queue] : NULL;
}

/* One that the driver takes as it is, or when its sum is finished. */
static int rx_frame(void *to, const struct host_frame *f)
{
	struct net *n = to;
	struct host_frame own;
	struct virtio_queue *q;
	bool waits;
	int err;

	q = rx_queue(n, f, &waits);
	if (!q)
		return 0;
	if (waits || !virtio_enter(&n->v, q))
		return inbox_put(n, (unsigned)(q - n->v.queue), f);
	own = *f;
	err = rx_put(&n->v, q, &own);
	virtio_leave(&n->v, q, err == -EIO ? err : 0);
	return err;
}

static int net_media_frame(struct vdev *d, unsigned medium, const struct host_frame *f)
{
	struct net *n = container_of(d, struct net, v.dev);

	(void)medium;
	if (!(READ_ONCE(n->v.status) & VIRTIO_DRIVER_OK))
		return -EAGAIN;
	if (unlikely(virtio_net_frame_is_large(f, READ_ONCE(n->v.accepted))))
		return vframe_cut(f, rx_frame, n);
	return rx_frame(n, f);
}

/* ---- sending ---- */

/* What is behind `n` bytes. */
static unsigned skip(struct virtio_chain *c, uint64_t n)
{
	unsigned i = 0;

	while (i < c->readable && n >= c->segment[i].size)
		n -= c->segment[i++].size;
	if (i < c->readable) {
		c->segment[i].at += n;
		c->segment[i].size -= n;
	}
	return i;
}

/* A frame that is not right, or that nobody takes, is lost; the driver has its buffer back. */
static int tx_serve(struct virtio *v, struct virtio_queue *q)
{
	uint8_t first[HEADER + HOST_FRAME_HEAD];
	struct virtio_net_header h = { 0 };
	struct virtio_chain *c = &q->chain;
	struct host_frame f = { .queue = (uint32_t)(q - v->queue) / 2 };
	uint32_t header = header_size(v);
	uint64_t size = c->read_size - header;
	unsigned i;
	int err;

	if (c->count > c->readable || c->read_size < header + FRAME_MIN || size > HOST_FRAME_MAX)
		return virtio_done(v, q, 0) ?: 1;
	f.size = (uint32_t)size;
	f.head_size = MIN(f.size, HOST_FRAME_HEAD);
	err = virtio_chain_read(v, c, first, header + f.head_size);
	if (err && err != -EFAULT)
		return err;
	memcpy(&h, first, header);
	memcpy(f.head, first + header, f.head_size);
	if (!err && virtio_net_frame_check(&f, &h, v->accepted)) {
		i = skip(c, header + f.head_size);
		f.segment = c->segment + i;
		f.count = c->readable - i;
		err = host_frame_send(&v->dev, 0, &f);
	}
	return virtio_done(v, q, 0) ?: cost(f.size);
}

/* ---- commands ---- */

static bool set_mac(struct virtio *v, const uint8_t *data, unsigned n)
{
	if (n != 6 || data[0] & 1)
		return false;
	memcpy(config_of(v)->mac, data, 6);
	return true;
}

static bool set_pairs(struct net *n, const uint8_t *data, unsigned size)
{
	unsigned pairs = size == 2 ? data[0] | (unsigned)data[1] << 8 : 0;

	if (!pairs || pairs > n->pairs_max)
		return false;
	n->pairs = (uint16_t)pairs;
	return true;
}

static bool acknowledge(struct virtio *v, unsigned n)
{
	config_of(v)->status &= (uint16_t)~STATUS_ANNOUNCE;
	return !n;
}

/* Under the lock: `data` are `n` bytes behind class and command. */
static bool command(struct net *n, unsigned class, unsigned what, const uint8_t *data,
		    unsigned size)
{
	struct virtio *v = &n->v;

	if (class == CLASS_RX)
		return virtio_has(v, what <= NET_ALL_MULTI ? NET_CTRL_RX : NET_CTRL_RX_EXTRA) &&
		       virtio_net_filter_mode(&n->filter, what, data, size);
	if (class == CLASS_MAC && what == 0)
		return virtio_has(v, NET_CTRL_RX) &&
		       virtio_net_filter_table(&n->filter, data, size);
	if (class == CLASS_MAC && what == 1)
		return virtio_has(v, NET_CTRL_MAC_ADDR) && set_mac(v, data, size);
	if (class == CLASS_VLAN && what <= 1)
		return virtio_has(v, NET_CTRL_VLAN) &&
		       virtio_net_filter_vlan(&n->filter, !what, data, size);
	if (class == CLASS_ANNOUNCE && what == 0)
		return virtio_has(v, NET_GUEST_ANNOUNCE) && acknowledge(v, size);
	return class == CLASS_MQ && what == 0 && virtio_has(v, NET_MQ) && set_pairs(n, data, size);
}

/* Without a byte for the answer the driver cannot be told: its ring is as good as bent. */
static int control_serve(struct virtio *v, struct virtio_queue *q)
{
	struct virtio_chain *c = &q->chain;
	uint8_t bytes[CONTROL_MAX], answer = CONTROL_ERROR;
	uint64_t flags;
	int err;

	if (!c->write_size)
		return -EIO;
	if (c->read_size >= 2 && c->read_size <= CONTROL_MAX) {
		err = virtio_chain_read(v, c, bytes, c->read_size);
		if (err)
			return err == -EFAULT ? -EIO : err;
		flags = host_lock(&v->dev);
		if (command(net_of(v), bytes[0], bytes[1], bytes + 2, (unsigned)c->read_size - 2))
			answer = CONTROL_OK;
		host_unlock(&v->dev, flags);
	}
	err = host_mem_write(&v->dev, GPA(c->segment[c->readable].at), &answer, 1);
	if (err)
		return err == -EFAULT ? -EIO : err;
	return virtio_done(v, q, 1) ?: 1;
}

static int net_serve(struct virtio *v, struct virtio_queue *q)
{
	unsigned i = (unsigned)(q - v->queue), pairs = net_of(v)->pairs_max;

	if (!virtio_has(v, NET_MQ))
		pairs = 1;
	if (i < 2 * pairs)
		return i & 1 ? tx_serve(v, q) : rx_serve(v, q);
	return i == 2 * pairs && virtio_has(v, NET_CTRL_VQ) ? control_serve(v, q) : -EIO;
}

/* ---- the link ---- */

static void net_media_link(struct vdev *d, unsigned medium)
{
	struct net *n = container_of(d, struct net, v.dev);
	bool up = host_media_link(d, medium), tell;
	uint64_t flags = host_lock(d);
	uint16_t *status = &config_of(&n->v)->status;
	uint16_t now = (uint16_t)((*status & ~STATUS_LINK) | (up ? STATUS_LINK : 0));

	if (up && n->moved && virtio_has(&n->v, NET_GUEST_ANNOUNCE))
		now |= STATUS_ANNOUNCE;
	n->moved = n->moved && !up;
	tell = now != *status && n->v.status & VIRTIO_DRIVER_OK;
	WRITE_ONCE(*status, now);
	host_unlock(d, flags);
	if (tell)
		n->v.transport->interrupt(&n->v, NULL);
}

/* ---- life ---- */

static const struct virtio_feature features[] = {
	{ NET_CSUM, 0 }, { NET_GUEST_CSUM, 0 }, { NET_MTU, 0 }, { NET_MAC, 0 },
	{ NET_GUEST_TSO4, NET_GUEST_CSUM }, { NET_GUEST_TSO6, NET_GUEST_CSUM },
	{ NET_HOST_TSO4, VIRTIO_NEEDS_BIT_0 }, { NET_HOST_TSO6, VIRTIO_NEEDS_BIT_0 },
	{ NET_MRG_RXBUF, 0 }, { NET_STATUS, 0 }, { NET_CTRL_VQ, 0 },
	{ NET_CTRL_RX, NET_CTRL_VQ }, { NET_CTRL_VLAN, NET_CTRL_VQ },
	{ NET_CTRL_RX_EXTRA, NET_CTRL_VQ }, { NET_GUEST_ANNOUNCE, NET_CTRL_VQ },
	{ NET_MQ, NET_CTRL_VQ }, { NET_CTRL_MAC_ADDR, NET_CTRL_VQ },
};

static const uint8_t varies[VIRTIO_CONFIG_MAX] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	[offsetof(struct config, status)] = STATUS_LINK | STATUS_ANNOUNCE,
};

static void net_reset(struct virtio *v)
{
	struct net *n = net_of(v);
	struct config c = {
		.status = host_media_link(&v->dev, 0) ? STATUS_LINK : 0,
		.pairs_max = n->pairs_max, .mtu = VIRTIO_NET_MTU,
	};

	memcpy(c.mac, n->mac, sizeof(c.mac));
	memcpy(v->config, &c, sizeof(c));
	v->config_size = sizeof(c);
	for (unsigned i = 0; i < ARRAY_COUNT(features); i++)
		if (features[i].bit != NET_MQ || n->pairs_max > 1)
			v->offered |= BIT(features[i].bit);
	virtio_net_filter_reset(&n->filter);
	n->pairs = 1;
	n->moved = false;
	for (unsigned i = 0; i < v->queue_count; i++)
		vinbox_empty(&n->inbox, i);
}

static void net_queue_reset(struct virtio *v, unsigned queue)
{
	vinbox_empty(&net_of(v)->inbox, queue);
}

/* What waits in the inbox is lost, as on a cable. */
static void net_save(struct virtio *v, struct record_writer *w)
{
	struct net *n = net_of(v);

	record_put_u16(w, n->pairs);
	virtio_net_filter_save(&n->filter, w);
}

static int net_load(struct virtio *v, struct record_reader *r)
{
	struct net *n = net_of(v);

	n->loaded_pairs = (uint16_t)record_get_below(r, 2, n->pairs_max);
	virtio_net_filter_load(&n->loaded, r);
	return n->loaded_pairs ? 0 : -EINVAL;
}

/* The cable is as it is now, whatever it was. */
static void net_commit(struct virtio *v)
{
	struct net *n = net_of(v);
	struct config *c = config_of(v);

	n->filter = n->loaded;
	n->pairs = n->loaded_pairs;
	n->moved = true;
	for (unsigned i = 0; i < v->queue_count; i++)
		vinbox_empty(&n->inbox, i);
	c->mac[0] &= (uint8_t)~1u;
}

static void net_destroy(struct virtio *v)
{
	for (unsigned i = 0; i < v->queue_count; i++)
		vinbox_empty(&net_of(v)->inbox, i);
}

static const struct virtio_kind kind = {
	.name = "virtio-net", .id = 1, .pci_id = 0x1000,
	.feature = features, .feature_count = ARRAY_COUNT(features),
	.serve = net_serve, .reset = net_reset, .queue_reset = net_queue_reset,
	.config_varies = varies, .save = net_save, .load = net_load, .commit = net_commit,
	.destroy = net_destroy, .media_frame = net_media_frame, .media_link = net_media_link,
};

int virtio_net_create(const uint8_t mac[6], unsigned pairs, struct virtio **out)
{
	struct net *n = host_alloc(sizeof(*n));

	if (!n)
		return -ENOMEM;
	vinbox_init(&n->inbox);
	memcpy(n->mac, mac, sizeof(n->mac));
	n->pairs_max = (uint16_t)MIN(MAX(pairs, 1u), VIRTIO_NET_PAIRS_MAX);
	n->pairs = 1;
	n->v.kind = &kind;
	n->v.queue_count = 2u * n->pairs_max + 1;
	if (virtio_init(&n->v)) {
		host_free(n);
		return -ENOMEM;
	}
	*out = &n->v;
	return 0;
}
