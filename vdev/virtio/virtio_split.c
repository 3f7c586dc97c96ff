/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The split format: a table of descriptors, a ring of heads that the driver makes available, a ring
 * of heads that the device has used. Indices run on for ever, modulo 65,536. "VIRTIO" 1.2, Split
 * Virtqueues.
 */
#include "include/bits.h"
#include "vdev/virtio/virtio_ring.h"

/* Of the driver's part: flags, idx, ring[size], used_event. The device's has the same shape. */
#define RING_FLAGS	0u
#define RING_INDEX	2u
#define RING_ENTRIES	4u
#define NO_INTERRUPT	1u

struct used {
	uint32_t id, size;
};

static uint64_t used_event(const struct virtio_queue *q)
{
	return q->s.driver + RING_ENTRIES + 2ul * q->s.size;
}

static uint64_t avail_event(const struct virtio_queue *q)
{
	return q->s.device + RING_ENTRIES + sizeof(struct used) * q->s.size;
}

/* How far is the driver? Entries below its index are the device's, and do not change. */
static int look(struct virtio *v, struct virtio_queue *q)
{
	uint16_t index;
	int err = virtio_ring_read(v, q->s.driver + RING_INDEX, &index, sizeof(index));

	if (err)
		return err;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if ((uint16_t)(index - q->s.avail) > q->s.size)
		return -EIO;
	q->seen = index;
	return index != q->s.avail;
}

static int read_heads(struct virtio *v, struct virtio_queue *q)
{
	unsigned place = q->s.avail & (q->s.size - 1u), n = (uint16_t)(q->seen - q->s.avail);
	int err;

	n = MIN(MIN(n, VIRTIO_HEADS), q->s.size - place);
	q->head_count = q->ahead_count = 0;
	err = virtio_ring_read(v, q->s.driver + RING_ENTRIES + 2 * place, q->head,
			       n * sizeof(q->head[0]));
	if (err)
		return err;
	q->head_first = q->s.avail;
	q->head_count = (uint16_t)n;
	return 0;
}

/*
 * How many of the heads that were read follow one another in the table, from `head` on, which is
 * the next one. Where chains are one entry that leads to a table, these are all chains.
 */
static unsigned run_length(const struct virtio_queue *q, unsigned head)
{
	unsigned place = (uint16_t)(q->s.avail - q->head_first), n = 1;

	while (place + n < q->head_count && q->head[place + n] == head + n)
		n++;
	return MIN(n, q->s.size - head);
}

/* A chain's first entry; those of others may be read along. NULL with the error in *err. */
static const struct virtio_descriptor *first_entry(struct virtio *v, struct virtio_queue *q,
						   unsigned head, int *err)
{
	unsigned n;

	if (!virtio_has(v, VIRTIO_INDIRECT))
		return virtio_ring_entry(v, q, q->s.desc, q->s.size, head, err);
	if (head - q->ahead_first >= q->ahead_count) {
		n = run_length(q, head);
		q->ahead_count = 0;
		*err = virtio_ring_read(v, q->s.desc + head * sizeof(q->ahead[0]), q->ahead,
					n * sizeof(q->ahead[0]));
		if (unlikely(*err))
			return NULL;
		q->ahead_first = head;
		q->ahead_count = n;
	}
	return &q->ahead[head - q->ahead_first];
}

/* An indirect table takes the place of what would follow, and is the chain's end. */
static int walk(struct virtio *v, struct virtio_queue *q, unsigned i)
{
	uint64_t table = q->s.desc;
	unsigned count = q->s.size;
	bool indirect = false;
	int err = -EIO;
	const struct virtio_descriptor *d = i < count ? first_entry(v, q, i, &err) : NULL;

	for (;; d = i < count ? virtio_ring_entry(v, q, table, count, i, &err) : NULL) {
		unsigned flags, n;

		if (unlikely(!d))
			return err;
		err = -EIO;
		flags = d->word[0];
		if (flags & DESCRIPTOR_INDIRECT) {
			n = indirect ? 0 : virtio_ring_indirect(v, d);
			if (!n || flags & DESCRIPTOR_NEXT)
				return -EIO;
			table = d->at;
			count = n;
			i = 0;
			indirect = true;
			continue;
		}
		err = virtio_ring_add(q, d, flags & DESCRIPTOR_WRITE);
		if (err)
			return err;
		if (!(flags & DESCRIPTOR_NEXT))
			return 0;
		i = d->word[1];
	}
}

static int split_next(struct virtio *v, struct virtio_queue *q)
{
	int r = q->seen != q->s.avail ? 1 : look(v, q);

	if (r <= 0)
		return r;
	if ((uint16_t)(q->s.avail - q->head_first) >= q->head_count) {
		r = read_heads(v, q);
		if (r)
			return r;
	}
	virtio_ring_begin(q);
	q->chain.id = q->head[(uint16_t)(q->s.avail - q->head_first)];
	r = walk(v, q, q->chain.id);
	q->chain.slots = 1;
	return r ?: 1;
}

static void split_take(struct virtio_queue *q)
{
	q->s.avail++;
}

static void split_skip(struct virtio_queue *q, uint16_t slots)
{
	q->s.used = (uint16_t)(q->s.used + slots);
	q->s.pushed = (uint16_t)(q->s.pushed + slots);
}

static int split_push(struct virtio *v, struct virtio_queue *q, uint16_t id, uint16_t slots,
		      uint32_t written)
{
	struct used u = { .id = id, .size = written };
	int err = virtio_ring_write(v, q->s.device + RING_ENTRIES +
				       sizeof(u) * (q->s.used & (q->s.size - 1u)), &u, sizeof(u));

	if (!err)
		split_skip(q, slots);
	return err;
}

static int split_publish(struct virtio *v, struct virtio_queue *q)
{
	bool event = virtio_has(v, VIRTIO_EVENT_IDX);
	uint16_t word, pushed = q->s.pushed;
	int err;

	if (!pushed)
		return 0;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	err = virtio_ring_write(v, q->s.device + RING_INDEX, &q->s.used, sizeof(q->s.used));
	if (err)
		return err;
	virtio_ring_fence();
	err = virtio_ring_read(v, event ? used_event(q) : q->s.driver + RING_FLAGS, &word,
			       sizeof(word));
	if (err)
		return err;
	q->s.pushed = 0;
	return event ? virtio_ring_passed(word, q->s.used, pushed) : !(word & NO_INTERRUPT);
}

static int split_arm(struct virtio *v, struct virtio_queue *q)
{
	if (virtio_has(v, VIRTIO_EVENT_IDX)) {
		int err = virtio_ring_write(v, avail_event(q), &q->s.avail, sizeof(q->s.avail));

		if (err)
			return err;
	}
	virtio_ring_fence();
	return look(v, q);
}

static void split_start(struct virtio_queue_state *s)
{
	s->avail = s->used = s->pushed = 0;
	s->avail_wrap = s->used_wrap = false;
}

/* Any index is possible. */
static bool split_is_sane(const struct virtio_queue_state *s)
{
	return s->size && !(s->size & (s->size - 1)) && s->size <= VIRTIO_QUEUE_SIZE &&
	       s->pushed <= s->size && !s->avail_wrap && !s->used_wrap;
}

const struct virtio_ring virtio_split_ring = {
	.align_desc = 16, .align_driver = 2, .align_device = 4,
	.next = split_next, .take = split_take, .push = split_push, .skip = split_skip,
	.publish = split_publish, .arm = split_arm, .start = split_start, .is_sane = split_is_sane,
};
