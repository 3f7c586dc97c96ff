/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The packed format: one ring of descriptors that driver and device write in turn; whose one is
 * tell two bits, by the round that each is in. "VIRTIO" 1.2, Packed Virtqueues.
 */
#include "include/bits.h"
#include "vdev/virtio/virtio_ring.h"

#define FLAG_AVAIL	0x0080u
#define FLAG_USED	0x8000u
#define FLAGS_AT	14u		/* in a descriptor */
#define USED_AT		8u

#define EVENT_DISABLE	1u
#define EVENT_DESC	2u
#define EVENT_WRAP	0x8000u

/* What either side wants to be told of; in the memory of the driver's and the device's part. */
struct event {
	uint16_t place, flags;
};

/* The upper half of a descriptor that was used: written in one store. */
struct used {
	uint32_t size;
	uint16_t id, flags;
};

static uint64_t slot(const struct virtio_queue *q, unsigned i)
{
	return q->s.desc + i * sizeof(struct virtio_descriptor);
}

static bool is_available(const struct virtio_queue *q, unsigned flags)
{
	return !(flags & FLAG_AVAIL) != q->s.avail_wrap && !(flags & FLAG_USED) == q->s.avail_wrap;
}

/* Has the driver made the next slot available? Its other words are read after that. */
static int look(struct virtio *v, struct virtio_queue *q)
{
	uint16_t flags;
	int err = virtio_ring_read(v, slot(q, q->s.avail) + FLAGS_AT, &flags, sizeof(flags));

	if (err)
		return err;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return is_available(q, flags);
}

/* The whole table is the chain; its entries follow each other. */
static int add_table(struct virtio *v, struct virtio_queue *q, const struct virtio_descriptor *by)
{
	unsigned n = virtio_ring_indirect(v, by);
	uint64_t table = by->at;
	int err = n ? 0 : -EIO;

	for (unsigned i = 0; i < n && !err; i++) {
		const struct virtio_descriptor *d = virtio_ring_entry(v, q, table, n, i, &err);

		if (d)
			err = virtio_ring_add(q, d, d->word[1] & DESCRIPTOR_WRITE);
	}
	return err;
}

/*
 * Entries from the next one on, as far as the ring's end. Those that are seen to be available in
 * them may have been half written; read once more they are whole, and need no look.
 */
static int read_ahead(struct virtio *v, struct virtio_queue *q)
{
	unsigned room = (unsigned)(q->s.size - q->s.avail), i = 1;
	unsigned n = q->ahead_seen ?: MIN(VIRTIO_HEADS, room);
	bool again = q->ahead_seen;
	int err;

	q->ahead_count = q->ahead_seen = 0;
	err = virtio_ring_read(v, slot(q, q->s.avail), q->ahead, n * sizeof(q->ahead[0]));
	if (unlikely(err))
		return err;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	q->ahead_first = q->s.avail;
	q->ahead_count = again ? n : 1;
	while (!again && i < n && is_available(q, q->ahead[i].word[1]))
		i++;
	q->ahead_seen = again ? 0 : i - 1;
	return 0;
}

/* The next one, which is available. NULL with the error in *err. */
static const struct virtio_descriptor *first_entry(struct virtio *v, struct virtio_queue *q,
						   int *err)
{
	if (!virtio_has(v, VIRTIO_INDIRECT))
		return virtio_ring_entry(v, q, q->s.desc, q->s.size, q->s.avail, err);
	if ((unsigned)q->s.avail - q->ahead_first >= q->ahead_count) {
		*err = read_ahead(v, q);
		if (unlikely(*err))
			return NULL;
	}
	return &q->ahead[q->s.avail - q->ahead_first];
}

static int walk(struct virtio *v, struct virtio_queue *q)
{
	struct virtio_chain *c = &q->chain;
	unsigned i = q->s.avail, flags;
	int err = 0;
	const struct virtio_descriptor *d = first_entry(v, q, &err);

	for (;; d = virtio_ring_entry(v, q, q->s.desc, q->s.size, i, &err)) {
		if (unlikely(!d))
			return err;
		if (c->slots++ == q->s.size)
			return -EIO;
		flags = d->word[1];
		c->id = d->word[0];
		if (!(flags & DESCRIPTOR_INDIRECT))
			err = virtio_ring_add(q, d, flags & DESCRIPTOR_WRITE);
		else
			err = flags & DESCRIPTOR_NEXT ? -EIO : add_table(v, q, d);
		i = i + 1 == q->s.size ? 0 : i + 1;
		if (err || !(flags & DESCRIPTOR_NEXT))
			return err;
	}
}

static int packed_next(struct virtio *v, struct virtio_queue *q)
{
	bool known = (unsigned)q->s.avail - q->ahead_first < q->ahead_count || q->ahead_seen;
	int r = known ? 1 : look(v, q);

	if (r <= 0)
		return r;
	virtio_ring_begin(q);
	return walk(v, q) ?: 1;
}

static void advance(uint16_t size, uint16_t *place, bool *wrap, uint16_t by)
{
	unsigned to = *place + by;

	if (to >= size) {
		to -= size;
		*wrap = !*wrap;
	}
	*place = (uint16_t)to;
}

static void packed_take(struct virtio_queue *q)
{
	unsigned slots = q->chain.slots, left = q->ahead_first + q->ahead_count - q->s.avail;

	/* What was read of places that are behind us is nothing when we come there again. */
	if (slots >= left)
		q->ahead_count = 0;
	q->ahead_seen -= MIN(q->ahead_seen, slots > left ? slots - left : 0);
	advance(q->s.size, &q->s.avail, &q->s.avail_wrap, q->chain.slots);
}

static void packed_skip(struct virtio_queue *q, uint16_t slots)
{
	advance(q->s.size, &q->s.used, &q->s.used_wrap, slots);
	q->s.pushed = (uint16_t)(q->s.pushed + slots);
}

static int packed_push(struct virtio *v, struct virtio_queue *q, uint16_t id, uint16_t slots,
		       uint32_t written)
{
	struct used u = { .size = written, .id = id };
	int err;

	u.flags = (uint16_t)((q->s.used_wrap ? FLAG_AVAIL | FLAG_USED : 0) |
			     (written ? DESCRIPTOR_WRITE : 0));
	__atomic_thread_fence(__ATOMIC_RELEASE);
	err = virtio_ring_write(v, slot(q, q->s.used) + USED_AT, &u, sizeof(u));
	if (!err)
		packed_skip(q, slots);
	return err;
}

/* A place of the other round is one before this. */
static bool wants(const struct virtio *v, const struct virtio_queue *q, struct event e,
		  uint16_t pushed)
{
	unsigned place = e.place & ~EVENT_WRAP;

	if (e.flags != EVENT_DESC || !virtio_has(v, VIRTIO_EVENT_IDX))
		return e.flags != EVENT_DISABLE;
	if (!(e.place & EVENT_WRAP) == q->s.used_wrap)
		place -= q->s.size;
	return virtio_ring_passed((uint16_t)place, q->s.used, pushed);
}

static int packed_publish(struct virtio *v, struct virtio_queue *q)
{
	uint16_t pushed = q->s.pushed;
	struct event e;
	int err;

	if (!pushed)
		return 0;
	virtio_ring_fence();
	err = virtio_ring_read(v, q->s.driver, &e, sizeof(e));
	if (err)
		return err;
	q->s.pushed = 0;
	return wants(v, q, e, pushed);
}

static int packed_arm(struct virtio *v, struct virtio_queue *q)
{
	if (virtio_has(v, VIRTIO_EVENT_IDX)) {
		struct event e = {
			.place = (uint16_t)(q->s.avail | (q->s.avail_wrap ? EVENT_WRAP : 0)),
			.flags = EVENT_DESC,
		};
		int err = virtio_ring_write(v, q->s.device, &e, sizeof(e));

		if (err)
			return err;
	}
	virtio_ring_fence();
	return look(v, q);
}

static void packed_start(struct virtio_queue_state *s)
{
	s->avail = s->used = s->pushed = 0;
	s->avail_wrap = s->used_wrap = true;
}

static bool packed_is_sane(const struct virtio_queue_state *s)
{
	return s->size && s->size <= VIRTIO_QUEUE_SIZE && s->avail < s->size &&
	       s->used < s->size && s->pushed <= s->size;
}

const struct virtio_ring virtio_packed_ring = {
	.align_desc = 16, .align_driver = 4, .align_device = 4,
	.next = packed_next, .take = packed_take, .push = packed_push, .skip = packed_skip,
	.publish = packed_publish, .arm = packed_arm, .start = packed_start,
	.is_sane = packed_is_sane,
};
