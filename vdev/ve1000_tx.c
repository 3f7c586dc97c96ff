/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See ve1000_core.h: sending, by who has tx_turn. A frame's descriptors are gathered first, and
 * leave the ring when its end is there: so nothing of a frame is kept, but that it is being
 * dropped. What is asked of a frame (sums, cutting) goes with it over the cable, as far as virtio's
 * header can say it; the card at the other end sees to it, or has it done. 8254x manual, Transmit
 * Descriptors, TCP Segmentation.
 */
#include "vdev/ve1000_core.h"

#include "lib/string.h"

#define BUDGET		256		/* of one look: some 4 KiB sent each */
#define COST_UNIT	4096u
#define COST_PARTS	16u		/* descriptors that cost one more */
#define LOOKS		8u
#define CRC_SIZE	4u
#define IP6_HEADER	40u

/* Of a descriptor's word `low`; those of a context have the kind 0, those of data 1. */
enum {
	LOW_END = 0x1000000, LOW_LEGACY_SUM = 0x4000000, LOW_LARGE = 0x4000000,
	LOW_TELL = 0x8000000, LOW_EXTENDED = 0x20000000, LOW_TAG = 0x40000000,
};
#define LOW_DELAY	0x80000000u
#define LOW_SIZE(low)	((low) & 0xfffff)
#define LEGACY_SIZE	0xffffu
#define KIND(low)	((low) >> 20 & 15)
enum { CONTEXT_TCP = 0x1000000, CONTEXT_IP4 = 0x2000000, CONTEXT_LARGE = 0x4000000 };
enum { OPTION_IP_SUM = 0x100, OPTION_L4_SUM = 0x200 };	/* of `high` */
#define DONE		1u

/* A frame's descriptors, the first `count` of the ring. */
struct packet {
	uint32_t count;
	uint32_t size;
	unsigned segments;
	uint32_t low, high;		/* of its first descriptor with data */
	uint32_t sum_low;		/* of the last one: the older kind's sums */
	uint16_t tag;
	bool any, tagged, legacy, lost;
	bool tells, now;		/* some descriptor is told of; without a delay */
};

/* ---- descriptors ---- */

/* By windows that end with what is filled, or the ring. */
static int fetch(struct ve1000 *e, const struct ve1000_place *p, uint32_t i,
		 struct ve1000_descriptor *out)
{
	struct ve1000_run *run = &e->run;
	uint32_t at = (p->head + i) % p->count;
	int err = 0;

	if (at - run->window_first >= run->window_count) {
		uint32_t n = MIN(ve1000_place_filled(p) - i, p->count - at);

		run->window_first = at;
		run->window_count = MIN(n, VE1000_WINDOW);
		err = vpci_function_dma_read(&e->function, GPA(p->base + at * 16ul), run->window,
					     run->window_count * sizeof(run->window[0]));
		if (err)
			run->window_count = 0;
	}
	if (!err)
		*out = run->window[at - run->window_first];
	return err;
}

static bool is_context(const struct ve1000_descriptor *d)
{
	return d->low & LOW_EXTENDED && !KIND(d->low);
}

static void take_context(struct ve1000_context *c, const struct ve1000_descriptor *d)
{
	*c = (struct ve1000_context){
		.ip = (uint32_t)d->at, .tcp = (uint32_t)(d->at >> 32), .command = d->low,
		.mss = d->high,
	};
}

static void add_data(struct ve1000 *e, struct packet *k, const struct ve1000_descriptor *d)
{
	bool legacy = !(d->low & LOW_EXTENDED);
	uint32_t n = legacy ? d->low & LEGACY_SIZE : LOW_SIZE(d->low);

	if (!k->any) {
		k->low = d->low;
		k->high = d->high;
		k->legacy = legacy;
	}
	k->any = true;
	k->sum_low = d->low;
	if (d->low & LOW_TAG) {
		k->tagged = true;
		k->tag = (uint16_t)(d->high >> 16);
	}
	k->lost |= k->size + n > HOST_FRAME_MAX || (n && k->segments == HOST_SEGMENT_MAX);
	if (k->lost || !n)
		return;
	e->run.segment[k->segments++] = (struct host_segment){ d->at, n };
	k->size += n;
}

/*
 * The next frame, or what is before it. 1: it is whole, or is to be dropped as far as it goes; 0:
 * its end is still to come.
 */
static int gather(struct ve1000 *e, const struct ve1000_place *p, struct ve1000_tx *q,
		  struct packet *k)
{
	uint32_t filled = ve1000_place_filled(p);

	*k = (struct packet){ .lost = q->dropping };
	for (uint32_t i = 0; i < filled; i++) {
		struct ve1000_descriptor d;
		int err = fetch(e, p, i, &d);

		if (err)
			return err;
		k->count++;
		k->tells |= d.low & LOW_TELL;
		k->now |= d.low & LOW_TELL && !(d.low & LOW_DELAY);
		if (is_context(&d)) {
			take_context(&q->context, &d);
			if (!k->any)
				return 1;
			continue;
		}
		add_data(e, k, &d);
		if (d.low & LOW_END) {
			q->dropping = false;
			return 1;
		}
	}
	if (!k->lost && k->count < p->count - 1)
		return 0;
	k->lost = q->dropping = true;
	return 1;
}

/* Those that want it say that they are done. */
static int tell(struct ve1000 *e, const struct ve1000_place *p, const struct packet *k)
{
	int err = 0;

	for (uint32_t i = 0; k->tells && i < k->count && !err; i++) {
		struct ve1000_descriptor d;
		uint8_t status;

		err = fetch(e, p, i, &d);
		if (err || !(d.low & LOW_TELL))
			continue;
		status = (uint8_t)d.high | DONE;
		err = vpci_function_dma_write(&e->function,
			GPA(p->base + (p->head + i) % p->count * 16ul + 12), &status, 1);
	}
	return err;
}

/* ---- one frame ---- */

/* The first bytes, with a tag between the addresses and the type; the rest stays where it is. */
static int make_head(struct ve1000 *e, const struct packet *k, struct host_frame *f, bool tag)
{
	uint32_t extra = tag ? VFRAME_TAG : 0, n = MIN(k->size, HOST_FRAME_HEAD - extra), at = 0;
	struct host_segment *s = e->run.segment;
	uint16_t type = (uint16_t)READ_ONCE(e->reg[R_VET]);
	int err = 0;

	f->size = k->size + extra;
	f->head_size = n + extra;
	f->count = k->segments;
	while (at < n && !err) {
		uint32_t part = (uint32_t)MIN(s->size, (uint64_t)(n - at));

		err = vpci_function_dma_read(&e->function, GPA(s->at), f->head + at, part);
		at += part;
		s->at += part;
		s->size -= part;
		if (s->size)
			break;
		s++;
		f->count--;
	}
	f->segment = s;
	if (tag) {
		memmove(f->head + 12 + VFRAME_TAG, f->head + 12, n - 12);
		f->head[12] = (uint8_t)(type >> 8);
		f->head[13] = (uint8_t)type;
		f->head[14] = (uint8_t)(k->tag >> 8);
		f->head[15] = (uint8_t)k->tag;
	}
	return err;
}

/* Where sums are made: from, up to (0: the end), and their place. */
struct range {
	uint32_t start, end, place;
};

static struct range range_of(uint32_t word, uint32_t shift)
{
	struct range r = { word & 0xff, word >> 16, word >> 8 & 0xff };

	r.start += shift;
	r.place += shift;
	r.end += r.end ? shift + 1 : 0;
	return r;
}

/* A sum over what the driver names, made here; what is not there is not summed up. */
static int close_sum(struct host_frame *f, struct range r, bool udp)
{
	uint16_t sum;
	int err;

	r.end = !r.end || r.end > f->size ? f->size : r.end;
	if (r.place + 2 > f->head_size || r.start >= r.end)
		return 0;
	err = vframe_sum(f, r.start, r.end, &sum);
	sum = (uint16_t)~sum;
	if (!sum && udp)
		sum = 0xffff;
	if (!err)
		memcpy(f->head + r.place, &sum, 2);
	return err;
}

/* One to the frame's end may stay open. */
static int open_sum(struct host_frame *f, struct range r, bool udp)
{
	if ((r.end && r.end < f->size) || r.start < VFRAME_ETHERNET || r.place < r.start ||
	    r.place + 2 > f->size)
		return close_sum(f, r, udp);
	f->flags = VFRAME_NEEDS_CSUM;
	f->csum_start = (uint16_t)r.start;
	f->csum_offset = (uint16_t)(r.place - r.start);
	return 0;
}

static void put_big16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

/*
 * A large frame as it would be if it could be sent: with its lengths, which the driver leaves out
 * of the headers and of the pseudo-header's sum. False: it cannot be cut.
 */
static bool make_large(struct host_frame *f, const struct ve1000_context *c, uint32_t shift)
{
	struct range ip = range_of(c->ip, shift), tcp = range_of(c->tcp, shift);
	bool four = c->command & CONTEXT_IP4;
	uint32_t length = f->size - ip.start - (four ? 0 : IP6_HEADER);
	uint16_t sum, add;

	if (!(c->command & CONTEXT_TCP) || ip.start + IP6_HEADER > f->head_size ||
	    f->size < ip.start + IP6_HEADER || length > 0xffff || tcp.start >= f->size ||
	    tcp.place < tcp.start || tcp.place + 2 > f->head_size)
		return false;
	put_big16(f->head + ip.start + (four ? 2 : 4), length);
	put_big16((uint8_t *)&add, f->size - tcp.start);
	memcpy(&sum, f->head + tcp.place, 2);
	sum = vframe_add(sum, add);
	memcpy(f->head + tcp.place, &sum, 2);
	if (four && close_sum(f, ip, false))
		return false;
	f->flags = VFRAME_NEEDS_CSUM;
	f->csum_start = (uint16_t)tcp.start;
	f->csum_offset = (uint16_t)(tcp.place - tcp.start);
	return vframe_large(f, four ? VFRAME_GSO_TCP4 : VFRAME_GSO_TCP6, (uint16_t)(c->mss >> 16));
}

/* What the driver asks for; -ENOSYS: it is lost. */
static int finish(struct host_frame *f, const struct packet *k, const struct ve1000_context *c,
		  uint32_t shift)
{
	struct range sum = { (k->high >> 8 & 0xff) + shift, 0, (k->sum_low >> 16 & 0xff) + shift };
	int err = 0;

	if (k->legacy)
		return k->sum_low & LOW_LEGACY_SUM ? open_sum(f, sum, false) : 0;
	if (k->low & LOW_LARGE && c->command & CONTEXT_LARGE)
		return make_large(f, c, shift) ? 0 : -ENOSYS;
	if (k->high & OPTION_IP_SUM)
		err = close_sum(f, range_of(c->ip, shift), false);
	if (!err && k->high & OPTION_L4_SUM)
		err = open_sum(f, range_of(c->tcp, shift), !(c->command & CONTEXT_TCP));
	return err;
}

/* Back to our own ring; the memory is copied, as it is not the cable's to look at. */
static int loop(struct ve1000 *e, struct host_frame *f)
{
	uint8_t *body = host_alloc(f->size), *at = body;
	int err = body ? 0 : -ENOMEM;

	for (unsigned i = 0; i < f->count && !err; i++) {
		err = vpci_function_dma_read(&e->function, GPA(f->segment[i].at), at,
					     f->segment[i].size);
		at += f->segment[i].size;
	}
	f->from = NULL;
	f->segment = NULL;
	f->count = 0;
	f->body = body;
	if (!err)
		err = ve1000_rx_frame(&e->dev, 0, f);
	host_free(body);
	return err;
}

/* A frame that is not right, or that nobody takes, is lost. -EINTR, -ENOMEM: not now. */
static int send(struct ve1000 *e, const struct packet *k, const struct ve1000_context *c,
		unsigned queue)
{
	bool tag = k->tagged && READ_ONCE(e->reg[R_CTRL]) & CTRL_TAGS;
	struct host_frame f = { .from = &e->dev, .queue = queue };
	int err;

	if (k->size < VFRAME_ETHERNET)
		return -ENOSYS;
	err = make_head(e, k, &f, tag);
	if (err)
		return err;
	if (f.size > HOST_FRAME_MAX || finish(&f, k, c, tag ? VFRAME_TAG : 0))
		return -ENOSYS;
	err = ve1000_loops(e) ? loop(e, &f) : host_frame_send(&e->dev, 0, &f);
	return err ? -ENOSYS : 0;
}

/* ---- the rings ---- */

static bool may_send(const struct ve1000 *e)
{
	return READ_ONCE(e->reg[R_TCTL]) & TCTL_ON && !READ_ONCE(e->stopping) &&
	       vpci_function_is_master(&e->function);
}

/* Lock held. */
static void count_packet(struct ve1000 *e, const struct packet *k)
{
	uint32_t n = MAX(k->size, 60u) + CRC_SIZE;

	ve1000_count(e, STAT_TX, 1);
	ve1000_count(e, STAT_TX_GOOD, 1);
	ve1000_count(e, STAT_TX_BYTES, n);
	ve1000_count(e, STAT_TX_GOOD_BYTES, n);
	ve1000_count_size(e, STAT_TX_64, n);
	if (!k->legacy && k->low & LOW_LARGE)
		ve1000_count(e, STAT_LARGE, 1);
}

/* What was gathered has left the ring. False: the ring is another one now. */
static bool advance(struct ve1000 *e, struct ve1000_place *p, const struct packet *k,
		    unsigned queue, const struct ve1000_tx *q)
{
	uint64_t flags = host_lock(&e->dev);
	uint32_t *ring = ve1000_ring(e, R_TX, queue);
	bool same = e->round == p->round && may_send(e);

	if (same) {
		p->head = ring[RING_HEAD] = (p->head + k->count) % p->count;
		e->tx[queue] = *q;
		if (k->any && !k->lost)
			count_packet(e, k);
	}
	host_unlock(&e->dev, flags);
	return same;
}

/* What the driver hears when we rest: of what was sent, and whether that was all. */
static void tell_driver(struct ve1000 *e, unsigned queue, bool tells, bool now, bool all)
{
	uint64_t flags = host_lock(&e->dev);

	if (tells && !e->stopping)
		ve1000_irq_sent(e, queue, !now);
	if (all && !e->stopping)
		ve1000_irq_raise(e, CAUSE_ALL_SENT);
	host_unlock(&e->dev, flags);
}

/* One frame. 1: there may be more; 0: not now; else errors of memory. */
static int step(struct ve1000 *e, unsigned queue, struct ve1000_place *p, struct packet *k)
{
	struct ve1000_tx q = e->tx[queue];
	int r = gather(e, p, &q, k), err = 0;

	if (r <= 0)
		return r;
	if (k->any && !k->lost)
		err = send(e, k, &q.context, queue);
	if (err == -EINTR || err == -ENOMEM)
		return err;
	if (err)
		k->lost = true;
	err = tell(e, p, k);
	return err ?: advance(e, p, k, queue, &q);
}

/* True: the budget is spent. */
static bool serve_queue(struct ve1000 *e, unsigned queue, int *budget)
{
	struct ve1000_place p;
	struct packet k;
	uint64_t flags = host_lock(&e->dev);
	bool tells = false, now = false, any = false;
	bool right = may_send(e) && ve1000_place(e, R_TX, queue, 16, &p);
	int r = 1;

	host_unlock(&e->dev, flags);
	e->run.window_count = 0;
	while (right && r > 0 && *budget > 0 && p.head != p.tail) {
		r = step(e, queue, &p, &k);
		if (r > 0) {
			any = true;
			tells |= k.tells;
			now |= k.now;
			*budget -= 1 + (int)(k.size / COST_UNIT + k.count / COST_PARTS);
		}
	}
	if (any)
		tell_driver(e, queue, tells, now, p.head == p.tail);
	if (r == -EINTR || r == -ENOMEM) {
		flags = host_lock(&e->dev);
		ve1000_retry(e);
		host_unlock(&e->dev, flags);
	}
	return *budget <= 0;
}

static void serve(struct ve1000 *e)
{
	int budget = BUDGET;
	bool spent = serve_queue(e, 0, &budget);

	if (!spent && e->express)
		spent = serve_queue(e, 1, &budget);
	if (spent)
		host_work_queue(&e->dev);
}

void ve1000_tx_kick(struct ve1000 *e)
{
	unsigned looks = 0;

	if (!may_send(e) || !turn_take(&e->tx_turn))
		return;
	serve(e);
	while (!turn_give(&e->tx_turn))
		if (looks++ < LOOKS)
			serve(e);
		else
			host_work_queue(&e->dev);
}
