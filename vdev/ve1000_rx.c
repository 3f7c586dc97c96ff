/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See ve1000_core.h: receiving. A frame is finished and filtered in the thread of who sends it;
 * then who has rx_turn puts it into the buffers of as many descriptors as it takes, and only when
 * all of it is there tells the driver of them. 8254x manual, Receive Functionality; 82574
 * datasheet, Receive Functionality, which has the extended descriptors and RSS.
 */
#include "vdev/ve1000_core.h"

#include "lib/string.h"

#define BUDGET		64		/* frames of the inbox in one look */
#define LOOKS		8u
#define FRAME_MIN	60u
#define FRAME_MAX	1518u
#define FRAME_LONG	16380u
#define CRC_SIZE	4u
#define PARTS_MAX	80u		/* descriptors of one frame */
#define BUFFERS		4u		/* of a descriptor that splits */

enum {
	DONE = 0x1, END = 0x2, IGNORE_SUMS = 0x4, TAGGED = 0x8, UDP_SUM = 0x10, L4_SUM = 0x20,
	IP_SUM = 0x40, INEXACT = 0x80,
};
enum { L4_WRONG = 0x20, IP_WRONG = 0x40 };	/* errors */
enum {
	CSUM_IP = 0x100, CSUM_L4 = 0x200, CSUM_NONE = 0x2000,	/* of RXCSUM */
	RFCTL_EXTENDED = 0x8000,
};
#define SPLIT_DONE	0x8000u

/* One frame on its way into buffers. */
struct rx {
	const struct host_frame *f;
	uint32_t bytes;			/* that come from the frame */
	uint32_t size;			/* with padding and what stands for the CRC */
	uint32_t wire;			/* on the cable, for the statistics */
	bool strips;			/* its tag */
	bool extended, splits;
	uint8_t status, errors;
	uint16_t tag, sum, id;
	uint32_t hash;
	uint8_t hash_type, queue;
	uint32_t header;		/* bytes that are split off; 0: none */
	uint32_t buffer[BUFFERS];	/* sizes */
	struct ve1000_place place;
	uint32_t parts;			/* descriptors */
	struct vframe_layers l;
};

/* ---- filters; lock held ---- */

static bool takes_tag(const struct ve1000 *e, const struct host_frame *f)
{
	unsigned tci = vframe_big16(f, 14), id = tci & 0xfff;

	if (!(e->reg[R_RCTL] & RCTL_TAG_FILTER) ||
	    vframe_big16(f, 12) != (e->reg[R_VET] & 0xffff))
		return true;
	if (e->reg[R_RCTL] & RCTL_CFI_FILTER && !(tci & 0x1000) != !(e->reg[R_RCTL] & RCTL_CFI))
		return false;
	return e->reg[R_VFTA + id / 32] >> id % 32 & 1;
}

static bool is_exact(const struct ve1000 *e, const uint8_t *to)
{
	uint32_t low, high;

	memcpy(&low, to, 4);
	high = 0x80000000u | to[4] | (uint32_t)to[5] << 8;
	for (unsigned i = 0; i < 16; i++)
		if (e->reg[R_RA + 2 * i] == low && (e->reg[R_RA + 2 * i + 1] & 0x8003ffff) == high)
			return true;
	return false;
}

static bool is_hashed(const struct ve1000 *e, const uint8_t *to)
{
	static const uint8_t shift[] = { 4, 3, 2, 0 };
	unsigned hash = (to[4] | (unsigned)to[5] << 8) >> shift[e->reg[R_RCTL] >> 12 & 3] & 0xfff;

	return e->reg[R_MTA + hash / 32] >> hash % 32 & 1;
}

/* Is it for us; *inexact: as far as a hash can tell. */
static bool takes(const struct ve1000 *e, const struct host_frame *f, bool *inexact)
{
	static const uint8_t broadcast[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	uint32_t rctl = e->reg[R_RCTL];

	*inexact = false;
	if (f->head_size < VFRAME_ETHERNET || !takes_tag(e, f))
		return false;
	if (is_exact(e, f->head))
		return true;
	if (!memcmp(f->head, broadcast, 6) && rctl & RCTL_BROADCAST)
		return true;
	if (!(f->head[0] & 1))
		return rctl & RCTL_ALL_UNI;
	*inexact = !(rctl & RCTL_ALL_MULTI);
	return !*inexact || is_hashed(e, f->head);
}

/* ---- RSS; lock held ---- */

enum { HASH_TCP4 = 0x10000, HASH_IP4 = 0x20000, HASH_TCP6 = 0x40000, HASH_IP6 = 0x100000 };

/* Toeplitz: for each bit that is set, the 32 bits of the key from there on. */
static uint32_t hash(const struct ve1000 *e, const uint8_t *p, unsigned n, uint32_t sum)
{
	uint8_t key[sizeof(uint32_t) * 10];
	uint64_t window = 0;

	memcpy(key, &e->reg[R_RSSRK], sizeof(key));
	for (unsigned i = 0; i < 4; i++)
		window = window << 8 | key[i];
	for (unsigned i = 0; i < n; i++) {
		window = window << 8 | key[i + 4];
		for (unsigned bit = 0; bit < 8; bit++)
			if (p[i] >> (7 - bit) & 1)
				sum ^= (uint32_t)(window >> (8 - bit));
	}
	return sum;
}

/* The queue; with the kind of hash that led there. */
static void choose_queue(const struct ve1000 *e, struct rx *r)
{
	bool four = r->l.type == VFRAME_IP4, tcp = r->l.l4 && r->l.protocol == VFRAME_TCP;
	uint32_t at = r->l.ip + (four ? 12 : 8), n = four ? 8 : 32, mrqc = e->reg[R_MRQC];
	uint8_t input[36];

	if ((mrqc & 3) != 1 || !(e->reg[R_RXCSUM] & CSUM_NONE) || !r->extended ||
	    !r->l.protocol || at + n > r->f->head_size)
		return;
	tcp = tcp && mrqc & (four ? HASH_TCP4 : HASH_TCP6) && r->l.l4 + 4 <= r->f->head_size;
	if (!tcp && !(mrqc & (four ? HASH_IP4 : HASH_IP6)))
		return;
	memcpy(input, r->f->head + at, n);
	if (tcp)
		memcpy(input + n, r->f->head + r->l.l4, 4);
	r->hash = hash(e, input, n + (tcp ? 4 : 0), 0);
	r->hash_type = four ? (tcp ? 1 : 2) : (tcp ? 3 : 5);
	r->queue = e->reg[R_RETA + r->hash % 128 / 4] >> r->hash % 4 * 8 >> 7 & 1;
}

/* ---- what the registers ask for; lock held ---- */

static uint32_t buffer_size(uint32_t rctl, bool express)
{
	uint32_t flexible = rctl >> 27 & 15, size = 2048u >> (rctl >> 16 & 3);

	if (express && flexible)
		return flexible * 1024;
	return rctl & RCTL_LARGE && rctl & 0x30000 ? size * 16 : size;
}

static void buffer_sizes(const struct ve1000 *e, struct rx *r)
{
	uint32_t rctl = e->reg[R_RCTL], split = e->reg[R_PSRCTL];

	r->extended = e->express && e->reg[R_RFCTL] & RFCTL_EXTENDED;
	r->splits = r->extended && rctl & RCTL_SPLITS;
	if (!r->splits) {
		r->buffer[0] = buffer_size(rctl, e->express);
		return;
	}
	r->buffer[0] = (split & 0x7f) * 128;
	r->buffer[1] = (split >> 8 & 0x3f) * 1024;
	r->buffer[2] = (split >> 16 & 0x3f) * 1024;
	r->buffer[3] = (split >> 24 & 0x3f) * 1024;
}

static uint32_t payload_room(const struct rx *r)
{
	return r->splits ? r->buffer[1] + r->buffer[2] + r->buffer[3] : 0;
}

/* Of its first descriptor: where a header is split off that is all of it. */
static uint32_t first_room(const struct rx *r)
{
	return payload_room(r) + (r->header ? r->header : r->buffer[0]);
}

static uint32_t next_room(const struct rx *r)
{
	return payload_room(r) + (r->header ? 0 : r->buffer[0]);
}

static uint32_t header_size(const struct rx *r)
{
	const struct vframe_layers *l = &r->l;
	uint32_t size = l->l4;

	if (!size)
		return 0;
	if (l->protocol == VFRAME_TCP)
		size += (vframe_byte(r->f, l->l4 + 12) >> 4) * 4;
	else if (l->protocol == VFRAME_UDP)
		size += 8;
	size -= r->strips ? VFRAME_TAG : 0;
	return size <= r->buffer[0] && size <= r->bytes && payload_room(r) ? size : 0;
}

/* Sizes, and how many descriptors it takes; 0: it is not for this ring. */
static uint32_t plan(const struct rx *r)
{
	uint32_t first = first_room(r), next = next_room(r), parts;

	if (!first || (r->size > first && !next))
		return 0;
	parts = r->size > first ? 1 + DIV_UP(r->size - first, next) : 1;
	return parts <= PARTS_MAX ? parts : 0;
}

/* False: it is not taken, and that is all right. */
static bool prepare(struct ve1000 *e, struct rx *r, const struct host_frame *f)
{
	bool inexact;

	*r = (struct rx){ .f = f };
	if (!takes(e, f, &inexact))
		return false;
	vframe_layers(f, &r->l);
	r->strips = e->reg[R_CTRL] & CTRL_TAGS && f->size >= VFRAME_ETHERNET + VFRAME_TAG &&
		    vframe_big16(f, 12) == (e->reg[R_VET] & 0xffff);
	r->tag = r->strips ? (uint16_t)vframe_big16(f, 14) : 0;
	r->bytes = f->size - (r->strips ? VFRAME_TAG : 0);
	r->size = MAX(r->bytes, FRAME_MIN);
	r->wire = MAX(f->size, FRAME_MIN) + CRC_SIZE;
	r->size += e->reg[R_RCTL] & RCTL_STRIPS_CRC ? 0 : CRC_SIZE;
	r->status = (r->strips ? TAGGED : 0) | (inexact ? INEXACT : 0);
	buffer_sizes(e, r);
	if (r->splits)
		r->header = header_size(r);
	r->parts = plan(r);
	choose_queue(e, r);
	return true;
}

/* ---- checksums ---- */

/* Ones' complement: what is left of `a` without `b`. */
static uint16_t without(uint16_t a, uint16_t b)
{
	return vframe_add(a, (uint16_t)~b);
}

static void judge_l4(struct rx *r, uint16_t rest, bool express)
{
	uint16_t sum;

	if (r->l.protocol == VFRAME_UDP && !vframe_big16(r->f, r->l.l4 + 6))
		return;
	sum = without(rest, vframe_head_sum(r->f, VFRAME_ETHERNET, r->l.l4));
	sum = vframe_add(sum, vframe_pseudo(r->f, &r->l, r->f->size - r->l.l4));
	r->status |= r->l.protocol == VFRAME_UDP && express ? UDP_SUM : L4_SUM;
	r->errors |= sum && sum != 0xffff ? L4_WRONG : 0;
}

/* Padding is no part of what is summed up: only a packet that ends with its frame is judged. */
static bool ends_with_frame(const struct rx *r)
{
	const struct vframe_layers *l = &r->l;
	unsigned length = vframe_big16(r->f, l->ip + (l->type == VFRAME_IP4 ? 2 : 4));

	return l->ip + length + (l->type == VFRAME_IP4 ? 0 : 40) == r->f->size;
}

/* Of the packet from byte `start` on, whatever is in it. */
static uint16_t packet_sum(const struct host_frame *f, uint16_t rest, uint32_t start)
{
	if (start > f->head_size)
		return 0;
	return start < VFRAME_ETHERNET
	     ? vframe_add(rest, vframe_head_sum(f, start, VFRAME_ETHERNET))
	     : without(rest, vframe_head_sum(f, VFRAME_ETHERNET, start));
}

/* By what the driver asks for, with one look at the bytes at most. */
static int check_sums(struct ve1000 *e, struct rx *r)
{
	uint32_t want = READ_ONCE(e->reg[R_RXCSUM]);
	bool l4 = want & CSUM_L4 && r->l.l4 && ends_with_frame(r) &&
		  (r->l.protocol == VFRAME_TCP || r->l.protocol == VFRAME_UDP);
	bool packet = !(want & CSUM_NONE) && !(want & 1);
	uint16_t rest;
	int err;

	if (!(want & (CSUM_IP | CSUM_L4)))
		r->status |= IGNORE_SUMS;
	if (want & CSUM_IP && r->l.type == VFRAME_IP4 && r->l.protocol) {
		r->status |= IP_SUM;
		r->errors |= vframe_ip_sum(r->f, &r->l) != 0xffff ? IP_WRONG : 0;
	}
	r->id = r->l.type == VFRAME_IP4 ? (uint16_t)vframe_big16(r->f, r->l.ip + 4) : 0;
	if (!l4 && !packet)
		return 0;
	err = vframe_sum(r->f, VFRAME_ETHERNET, r->f->size, &rest);
	if (err)
		return err;
	if (l4)
		judge_l4(r, rest, e->express);
	if (packet)
		r->sum = packet_sum(r->f, rest, want & 0xff);
	return 0;
}

/* ---- into the ring ---- */

/* Bytes of what arrives, from `at` on: the frame without its tag, then zeros. */
static int put(struct ve1000 *e, const struct rx *r, uint32_t at, uint64_t to, uint32_t n)
{
	static const uint8_t zeros[FRAME_MIN + CRC_SIZE];
	int err = 0;

	while (n && !err) {
		bool before = r->strips && at < 12;
		uint32_t end = before ? 12 : r->bytes, part;

		if (at < r->bytes) {
			part = MIN(n, end - at);
			err = host_frame_copy(&e->dev, r->f,
					      at + (r->strips && !before ? VFRAME_TAG : 0),
					      GPA(to), part);
		} else {
			part = MIN(n, (uint32_t)sizeof(zeros));
			err = vpci_function_dma_write(&e->function, GPA(to), zeros, part);
		}
		at += part;
		to += part;
		n -= part;
	}
	return err;
}

static uint64_t descriptor_at(const struct rx *r, uint32_t i)
{
	return r->place.base + (uint64_t)((r->place.head + i) % r->place.count) *
				       (r->splits ? 32 : 16);
}

/* What goes into each buffer of descriptor `i`; returns where that begins. */
static uint32_t part_sizes(const struct rx *r, uint32_t i, uint32_t n[BUFFERS])
{
	uint32_t at = i ? first_room(r) + (i - 1) * next_room(r) : 0, left = r->size - at;

	for (unsigned k = 0; k < BUFFERS; k++) {
		uint32_t room = r->buffer[k];

		if (!k && r->header)
			room = i ? 0 : r->header;
		n[k] = MIN(left, room);
		left -= n[k];
	}
	return at;
}

static int fill(struct ve1000 *e, const struct rx *r, uint32_t i)
{
	uint64_t buffer[BUFFERS] = { 0 };
	uint32_t n[BUFFERS], at = part_sizes(r, i, n);
	int err = vpci_function_dma_read(&e->function, GPA(descriptor_at(r, i)), buffer,
					 r->splits ? sizeof(buffer) : sizeof(buffer[0]));

	for (unsigned k = 0; k < BUFFERS && !err; k++) {
		err = put(e, r, at, buffer[k], n[k]);
		at += n[k];
	}
	return err;
}

/* The word that has the status is the last one to be written. */
static int tell(struct ve1000 *e, const struct rx *r, uint32_t i)
{
	bool last = i + 1 == r->parts;
	uint64_t at = descriptor_at(r, i), status = DONE | (last ? END | r->status : 0), word[4];
	uint64_t errors = last ? r->errors : 0, tag = last ? (uint64_t)r->tag << 48 : 0;
	uint32_t n[BUFFERS];
	int err = 0;

	part_sizes(r, i, n);
	if (!r->extended) {
		word[1] = n[0] | (uint64_t)r->sum << 16 | status << 32 | errors << 40 | tag;
		return vpci_function_dma_write(&e->function, GPA(at + 8), &word[1], 8);
	}
	word[0] = r->hash_type | (uint64_t)r->queue << 8 |
		  (r->hash_type ? (uint64_t)r->hash << 32
				: (uint64_t)r->id << 32 | (uint64_t)r->sum << 48);
	word[1] = status | errors << 24 | (uint64_t)n[0] << 32 | tag;
	if (r->splits) {
		word[2] = (r->header && !i ? SPLIT_DONE | r->header : 0) | (uint64_t)n[1] << 16 |
			  (uint64_t)n[2] << 32 | (uint64_t)n[3] << 48;
		word[3] = 0;
		err = vpci_function_dma_write(&e->function, GPA(at + 16), &word[2], 16);
	}
	err = err ?: vpci_function_dma_write(&e->function, GPA(at), &word[0], 8);
	return err ?: vpci_function_dma_write(&e->function, GPA(at + 8), &word[1], 8);
}

/* ---- one frame ---- */

/* Lock held. */
static void count_frame(struct ve1000 *e, const struct rx *r)
{
	const uint8_t *to = r->f->head;
	bool broadcast = (to[0] & to[1] & to[2] & to[3] & to[4] & to[5]) == 0xff;

	ve1000_count(e, STAT_RX, 1);
	ve1000_count(e, STAT_RX_GOOD, 1);
	ve1000_count(e, STAT_RX_BYTES, r->wire);
	ve1000_count(e, STAT_RX_GOOD_BYTES, r->wire);
	ve1000_count_size(e, STAT_RX_64, r->wire);
	if (to[0] & 1)
		ve1000_count(e, broadcast ? STAT_RX_BROADCAST : STAT_RX_MULTICAST, 1);
}

/* The driver has it. Lock held. */
static void advance(struct ve1000 *e, const struct rx *r)
{
	uint32_t *ring = ve1000_ring(e, R_RX, r->queue), left;
	uint32_t low = r->place.count >> (1 + (e->reg[R_RCTL] >> 8 & 3));
	bool small = r->size <= e->reg[R_RSRPD];

	count_frame(e, r);
	if (e->round != r->place.round)
		return;
	ring[RING_HEAD] = (r->place.head + r->parts) % r->place.count;
	left = (ring[RING_TAIL] + r->place.count - ring[RING_HEAD]) % r->place.count;
	if (small)
		ve1000_irq_raise(e, CAUSE_RX_SMALL);
	ve1000_irq_received(e, r->queue, left <= low);
}

static bool may_receive(const struct ve1000 *e)
{
	return READ_ONCE(e->reg[R_RCTL]) & RCTL_ON && !READ_ONCE(e->stopping) &&
	       vpci_function_is_master(&e->function);
}

/* By the owner. -ENOSPC: there are not enough descriptors. Others: it is lost. */
static int deliver(struct ve1000 *e, const struct host_frame *f)
{
	struct rx r;
	uint64_t flags = host_lock(&e->dev);
	bool mine = may_receive(e) && prepare(e, &r, f), ring;
	int err = 0;

	ring = mine && ve1000_place(e, R_RX, r.queue, r.splits ? 32 : 16, &r.place);
	host_unlock(&e->dev, flags);
	if (!mine)
		return 0;
	if (!r.parts || (ring && r.parts >= r.place.count))
		return -ENOSYS;
	if (!ring || ve1000_place_filled(&r.place) < r.parts)
		return -ENOSPC;
	err = check_sums(e, &r);
	for (uint32_t i = 0; i < r.parts && !err; i++)
		err = fill(e, &r, i);
	for (uint32_t i = 0; i < r.parts && !err; i++)
		err = tell(e, &r, i);
	if (err)
		return err;
	flags = host_lock(&e->dev);
	advance(e, &r);
	host_unlock(&e->dev, flags);
	return 0;
}

/* ---- the inbox ---- */

static struct vinbox_parcel *first_parcel(struct ve1000 *e)
{
	uint64_t flags = host_lock(&e->dev);
	struct vinbox_parcel *p = vinbox_first(&e->inbox, 0);

	host_unlock(&e->dev, flags);
	return p;
}

/* By the owner: a frame that finds no descriptor stays. */
static void serve(struct ve1000 *e)
{
	struct vinbox_parcel *p;

	for (unsigned i = 0; may_receive(e) && (p = first_parcel(e)); i++) {
		uint64_t flags;

		if (i == BUDGET) {
			host_work_queue(&e->dev);
			return;
		}
		if (deliver(e, &p->frame) == -ENOSPC)
			return;
		flags = host_lock(&e->dev);
		vinbox_remove(&e->inbox, p);
		host_unlock(&e->dev, flags);
		host_free(p);
	}
}

static void leave(struct ve1000 *e)
{
	unsigned looks = 0;

	while (!turn_give(&e->rx_turn))
		if (looks++ < LOOKS)
			serve(e);
		else
			host_work_queue(&e->dev);
}

void ve1000_rx_kick(struct ve1000 *e)
{
	if (!may_receive(e) || !turn_take(&e->rx_turn))
		return;
	serve(e);
	leave(e);
}

static int inbox_put(struct ve1000 *e, const struct host_frame *f, bool full)
{
	struct vinbox_parcel *p = vinbox_wrap(0, f);
	uint64_t flags;
	bool room;

	if (!p)
		return -ENOMEM;
	flags = host_lock(&e->dev);
	if (full)
		ve1000_count(e, STAT_NO_BUFFER, 1);
	room = !e->stopping && vinbox_put(&e->inbox, p);
	if (!room) {
		ve1000_count(e, STAT_LOST, 1);
		ve1000_irq_raise(e, CAUSE_RX_LOST);
	}
	host_unlock(&e->dev, flags);
	if (!room)
		host_free(p);
	return room ? 0 : -ENOSPC;
}

/* ---- arriving ---- */

/* Does anybody want it; *waits: behind others. */
static bool is_wanted(struct ve1000 *e, const struct host_frame *f, bool *waits)
{
	uint64_t flags = host_lock(&e->dev);
	bool large = e->reg[R_RCTL] & RCTL_LONG, wanted, inexact;

	wanted = takes(e, f, &inexact);
	if (wanted && f->size > (large ? FRAME_LONG : FRAME_MAX)) {
		ve1000_count(e, STAT_OVERSIZE, 1);
		wanted = false;
	}
	*waits = e->inbox.frames;
	host_unlock(&e->dev, flags);
	return wanted;
}

/* One that is finished. */
static int arrive(struct ve1000 *e, const struct host_frame *f, bool waits)
{
	int err;

	if (waits || !turn_try(&e->rx_turn)) {
		err = inbox_put(e, f, false);
		ve1000_rx_kick(e);
		return err;
	}
	err = deliver(e, f);
	if (err == -ENOSPC)
		err = inbox_put(e, f, true);
	leave(e);
	return err;
}

static int receive(void *to, const struct host_frame *f)
{
	struct ve1000 *e = to;
	struct host_frame own;
	bool waits;
	int err;

	if (!is_wanted(e, f, &waits))
		return 0;
	if (!(f->flags & VFRAME_NEEDS_CSUM))
		return arrive(e, f, waits);
	own = *f;
	err = vframe_finish(&own);
	return err ?: arrive(e, &own, waits);
}

int ve1000_rx_frame(struct vdev *d, unsigned medium, const struct host_frame *f)
{
	struct ve1000 *e = ve1000_of(d);

	(void)medium;
	if (!may_receive(e))
		return -EAGAIN;
	return f->gso_type ? vframe_cut(f, receive, e) : receive(e, f);
}
