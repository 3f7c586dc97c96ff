/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See virtio_blk.h. No framing is assumed: the header is the first 16 bytes that the device reads,
 * the status the last byte that it writes, wherever descriptors end. A request for more than a
 * piece is done piece by piece, its chain staying on the ring; it is read and checked again for
 * each. What the medium does later is kept in a table and pushed when its queue is served next.
 */
#include "vdev/virtio/virtio_blk.h"

#include "include/bits.h"
#include "lib/string.h"

#define SECTOR		512u
#define PIECE		(1ul << 20)	/* bytes in one go */
#define COST_UNIT	4096u
#define KEPT_MAX	8u
#define ID_SIZE		20u
#define SEGMENTS	(VIRTIO_QUEUE_SIZE - 2)	/* of data: header and status need two */
#define BLOCK_SECTORS	8u		/* the medium's own unit is 4 KiB */
#define RANGE_MAX	(1u << 22)	/* sectors of a discard: 2 GiB */

enum {
	BLK_SEG_MAX = 2, BLK_RO = 5, BLK_SIZE = 6, BLK_FLUSH = 9, BLK_TOPOLOGY = 10,
	BLK_CONFIG_WCE = 11, BLK_MQ = 12, BLK_DISCARD = 13, BLK_WRITE_ZEROES = 14,
};

enum {
	TYPE_IN = 0, TYPE_OUT = 1, TYPE_FLUSH = 4, TYPE_GET_ID = 8, TYPE_DISCARD = 11,
	TYPE_WRITE_ZEROES = 13,
};

enum { STATUS_OK, STATUS_ERROR, STATUS_UNSUPPORTED };

#define ZEROES_UNMAP	1u		/* flag of a write-zeroes */

struct config {
	uint64_t capacity;
	uint32_t size_max, seg_max;
	uint16_t cylinders;
	uint8_t heads, sectors;
	uint32_t block_size;
	uint8_t physical_exponent, alignment;
	uint16_t minimum_io;
	uint32_t optimum_io;
	uint8_t writeback, unused;
	uint16_t queues;
	uint32_t discard_sectors, discard_segments, discard_alignment;
	uint32_t zeroes_sectors, zeroes_segments;
	uint8_t zeroes_unmap, unused2[3];
} packed;

struct header {
	uint32_t type, priority;
	uint64_t sector;
};

struct range {
	uint64_t sector;
	uint32_t sectors, flags;
};

_Static_assert(sizeof(struct config) == 60 && sizeof(struct config) <= VIRTIO_CONFIG_MAX &&
	       sizeof(struct header) == 16 && sizeof(struct range) == 16, "the driver's layout");

/* A request that the medium does later: what is left to do then. */
enum kept_state { KEPT_FREE, KEPT_UNDER_WAY, KEPT_DONE };

struct kept {
	uint8_t state;			/* (atomic) enum kept_state */
	uint8_t status;
	uint16_t queue, id, slots;
	uint64_t status_at;
};

struct blk {
	struct virtio v;
	uint64_t sectors;
	bool read_only;
	char name[ID_SIZE];
	uint64_t progress[VIRTIO_QUEUES_MAX];	/* the owner's: bytes of its first chain */
	unsigned kept_count;			/* (atomic) of those that are not free */
	struct kept kept[KEPT_MAX];
	struct kept loaded[KEPT_MAX];
};

static struct blk *blk_of(struct virtio *v)
{
	return container_of(v, struct blk, v);
}

/* ---- a chain's parts ---- */

/* The first `n` bytes of segments from..count leave. */
static unsigned skip(struct virtio_chain *c, unsigned from, unsigned end, uint64_t n)
{
	while (from < end && n >= c->segment[from].size)
		n -= c->segment[from++].size;
	if (from < end) {
		c->segment[from].at += n;
		c->segment[from].size -= n;
	}
	return from;
}

/* Only the first `n` bytes stay; where the last segment that has some ends. */
static unsigned cut(struct virtio_chain *c, unsigned from, unsigned end, uint64_t n)
{
	unsigned i = from;

	for (; i < end && n; i++) {
		c->segment[i].size = MIN(c->segment[i].size, n);
		n -= c->segment[i].size;
	}
	return i;
}

/* Of the last byte that the device writes, which is there. */
static uint64_t status_place(const struct virtio_chain *c)
{
	const struct host_segment *s = &c->segment[c->count - 1];

	return s->at + s->size - 1;
}

/* ---- ends ---- */

static int status_write(struct virtio *v, uint64_t at, uint8_t status)
{
	return host_mem_write(&v->dev, GPA(at), &status, 1);
}

static uint8_t status_of(int err)
{
	return !err ? STATUS_OK : err == -ENOSYS ? STATUS_UNSUPPORTED : STATUS_ERROR;
}

/* What is written of a request that failed, nobody vouches for. */
static int end(struct virtio *v, struct virtio_queue *q, uint8_t status, uint32_t data)
{
	struct virtio_chain *c = &q->chain;
	int err = status_write(v, status_place(c), status);
	bool gap = c->write_size - 1 != data;

	blk_of(v)->progress[q - v->queue] = 0;
	return err ?: virtio_done(v, q, gap ? data : data + 1) ?: 1;
}

/* ---- reading and writing ---- */

static int transfer(struct virtio *v, struct virtio_queue *q, const struct header *h, bool write)
{
	struct virtio_chain *c = &q->chain;
	struct blk *b = blk_of(v);
	uint64_t *progress = &b->progress[q - v->queue], status_at = status_place(c);
	uint64_t size = write ? c->read_size - sizeof(*h) : c->write_size - 1;
	unsigned first = write ? 0 : c->readable, last = write ? c->readable : c->count;
	uint64_t done = MIN(*progress, size), n = MIN(size - done, PIECE);
	struct host_media_request r = {
		.op = write ? HOST_MEDIA_WRITE : HOST_MEDIA_READ, .size = n,
	};
	int err;

	if (size % SECTOR || h->sector > b->sectors || size / SECTOR > b->sectors - h->sector)
		return end(v, q, STATUS_ERROR, 0);
	first = skip(c, first, last, done + (write ? sizeof(*h) : 0));
	r.segment = c->segment + first;
	r.count = cut(c, first, last, n) - first;
	r.offset = h->sector * SECTOR + done;
	err = host_media_submit(&v->dev, 0, &r);
	if (err == -EINTR)
		return err;
	if (!err && done + n < size) {
		*progress = done + n;
		return (int)(n / COST_UNIT) + 1;
	}
	*progress = 0;
	err = status_write(v, status_at, status_of(err)) ?:
	      virtio_done(v, q, err ? 0 : write ? 1 : (uint32_t)size + 1);
	return err ?: (int)(n / COST_UNIT) + 1;
}

static int get_id(struct virtio *v, struct virtio_queue *q)
{
	struct virtio_chain *c = &q->chain;
	const char *name = blk_of(v)->name;
	uint64_t room = MIN(c->write_size - 1, (uint64_t)ID_SIZE), done = 0;
	int err = 0;

	for (unsigned i = c->readable; done < room && !err; i++) {
		uint64_t n = MIN(c->segment[i].size, room - done);

		err = host_mem_write(&v->dev, GPA(c->segment[i].at), name + done, n);
		done += n;
	}
	if (err && err != -EFAULT)
		return err;
	return end(v, q, status_of(err), err ? 0 : (uint32_t)room);
}

static int flush(struct virtio *v, struct virtio_queue *q)
{
	struct host_media_request r = { .op = HOST_MEDIA_FLUSH };

	return end(v, q, status_of(host_media_submit(&v->dev, 0, &r)), 0);
}

/* ---- discards and zeroes, which may be done later ---- */

static struct kept *kept_free(struct blk *b)
{
	for (unsigned i = 0; i < KEPT_MAX; i++) {
		uint8_t was = KEPT_FREE;

		if (__atomic_compare_exchange_n(&b->kept[i].state, &was, KEPT_UNDER_WAY, false,
						__ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
			__atomic_add_fetch(&b->kept_count, 1, __ATOMIC_RELAXED);
			return &b->kept[i];
		}
	}
	return NULL;
}

static void kept_release(struct blk *b, struct kept *k)
{
	__atomic_store_n(&k->state, KEPT_FREE, __ATOMIC_RELEASE);
	__atomic_sub_fetch(&b->kept_count, 1, __ATOMIC_RELAXED);
}

static int range_do(struct virtio *v, struct virtio_queue *q, const struct range *g, bool zero)
{
	struct blk *b = blk_of(v);
	struct kept *k = kept_free(b);
	struct host_media_request r = {
		.op = zero ? HOST_MEDIA_ZERO : HOST_MEDIA_DISCARD,
		.offset = g->sector * SECTOR, .size = (uint64_t)g->sectors * SECTOR,
	};
	int err;

	if (!k)
		return -EAGAIN;
	k->queue = (uint16_t)(q - v->queue);
	k->id = q->chain.id;
	k->slots = q->chain.slots;
	k->status_at = status_place(&q->chain);
	r.tag = (uint32_t)(k - b->kept);
	err = host_media_submit(&v->dev, 0, &r);
	if (err == HOST_MEDIA_LATER) {
		virtio_take(q);
		return 1;
	}
	kept_release(b, k);
	if (err == -EAGAIN || err == -EINTR)
		return err;
	return end(v, q, status_of(err), 0);
}

static int range_serve(struct virtio *v, struct virtio_queue *q, bool zero)
{
	struct virtio_chain *c = &q->chain;
	struct blk *b = blk_of(v);
	struct { struct header h; struct range r; } both;
	const struct range *g = &both.r;
	int err;

	if (b->read_only || c->read_size != sizeof(both))
		return end(v, q, STATUS_ERROR, 0);
	err = virtio_chain_read(v, c, &both, sizeof(both));
	if (err)
		return err;
	if (g->flags & (zero ? ~ZEROES_UNMAP : ~0u))
		return end(v, q, STATUS_UNSUPPORTED, 0);
	if (g->sectors > RANGE_MAX || g->sector > b->sectors ||
	    g->sectors > b->sectors - g->sector)
		return end(v, q, STATUS_ERROR, 0);
	return range_do(v, q, g, zero);
}

/* Any thread. The queue is told, or another one that waits for a place in the table. */
static void blk_media_done(struct vdev *d, unsigned medium, uint32_t tag, int error)
{
	struct blk *b = container_of(d, struct blk, v.dev);
	struct kept *k = &b->kept[tag];

	(void)medium;
	k->status = status_of(error);
	__atomic_store_n(&k->state, KEPT_DONE, __ATOMIC_RELEASE);
	virtio_kick(&b->v, VIRTIO_ALL_QUEUES);
}

static int blk_finish(struct virtio *v, struct virtio_queue *q)
{
	struct blk *b = blk_of(v);
	int err;

	if (likely(!READ_ONCE(b->kept_count)))
		return 0;
	for (unsigned i = 0; i < KEPT_MAX; i++) {
		struct kept *k = &b->kept[i];

		if (__atomic_load_n(&k->state, __ATOMIC_ACQUIRE) != KEPT_DONE ||
		    k->queue != q - v->queue)
			continue;
		err = status_write(v, k->status_at, k->status) ?:
		      virtio_push(v, q, k->id, k->slots, 1);
		if (err)
			return err;
		kept_release(b, k);
	}
	return 0;
}

static bool blk_busy(struct virtio *v, const struct virtio_queue *q)
{
	for (unsigned i = 0; i < KEPT_MAX; i++) {
		const struct kept *k = &blk_of(v)->kept[i];

		if (__atomic_load_n(&k->state, __ATOMIC_ACQUIRE) == KEPT_UNDER_WAY &&
		    k->queue == q - v->queue)
			return true;
	}
	return false;
}

/* ---- requests ---- */

/* Without a byte for the status the driver cannot be told: its ring is as good as bent. */
static int blk_serve(struct virtio *v, struct virtio_queue *q)
{
	struct virtio_chain *c = &q->chain;
	struct header h;
	int err;

	if (!c->write_size || c->read_size < sizeof(h))
		return -EIO;
	if (likely(c->segment[0].size >= sizeof(h)))
		err = host_mem_read(&v->dev, GPA(c->segment[0].at), &h, sizeof(h));
	else
		err = virtio_chain_read(v, c, &h, sizeof(h));
	if (unlikely(err))
		return err;
	switch (h.type) {
	case TYPE_IN:
	case TYPE_OUT:
		return transfer(v, q, &h, h.type == TYPE_OUT);
	case TYPE_FLUSH:
		return flush(v, q);
	case TYPE_GET_ID:
		return get_id(v, q);
	case TYPE_DISCARD:
	case TYPE_WRITE_ZEROES:
		return range_serve(v, q, h.type == TYPE_WRITE_ZEROES);
	default:
		return end(v, q, STATUS_UNSUPPORTED, 0);
	}
}

/* ---- life ---- */

static const struct virtio_feature features[] = {
	{ BLK_SEG_MAX, 0 }, { BLK_RO, 0 }, { BLK_SIZE, 0 }, { BLK_FLUSH, 0 }, { BLK_TOPOLOGY, 0 },
	{ BLK_CONFIG_WCE, BLK_FLUSH }, { BLK_MQ, 0 }, { BLK_DISCARD, 0 }, { BLK_WRITE_ZEROES, 0 },
};

/* The driver chooses between write-back and write-through; here both are the same. */
static const uint8_t writable[VIRTIO_CONFIG_MAX] = {
	[offsetof(struct config, writeback)] = 1,
};

static void blk_reset(struct virtio *v)
{
	struct blk *b = blk_of(v);
	struct host_media_facts f;
	struct config c = {
		.seg_max = SEGMENTS, .block_size = SECTOR,
		.physical_exponent = 3, .minimum_io = BLOCK_SECTORS, .writeback = 1,
		.queues = (uint16_t)v->queue_count, .discard_segments = 1,
		.discard_alignment = BLOCK_SECTORS, .zeroes_segments = 1, .zeroes_unmap = 1,
	};

	host_media_facts(&v->dev, 0, &f);
	b->sectors = f.size / SECTOR;
	b->read_only = f.read_only;
	memcpy(b->name, f.name, ID_SIZE);
	c.capacity = b->sectors;
	c.discard_sectors = c.zeroes_sectors = (uint32_t)MIN(MAX(b->sectors, 1ul),
							     (uint64_t)RANGE_MAX);
	memcpy(v->config, &c, sizeof(c));
	v->config_size = sizeof(c);
	v->offered |= BIT(BLK_SEG_MAX) | BIT(BLK_SIZE) | BIT(BLK_FLUSH) | BIT(BLK_TOPOLOGY) |
		      BIT(BLK_CONFIG_WCE) | BIT(BLK_MQ);
	v->offered |= b->read_only ? BIT(BLK_RO) : BIT(BLK_DISCARD) | BIT(BLK_WRITE_ZEROES);
	memset(b->progress, 0, sizeof(b->progress));
	memset(b->kept, 0, sizeof(b->kept));
	b->kept_count = 0;
}

/* What was kept of it is nobody's any more. */
static void blk_queue_reset(struct virtio *v, unsigned queue)
{
	struct blk *b = blk_of(v);

	b->progress[queue] = 0;
	for (unsigned i = 0; i < KEPT_MAX; i++)
		if (b->kept[i].state != KEPT_FREE && b->kept[i].queue == queue)
			kept_release(b, &b->kept[i]);
}

/* Nothing is under way: what is there is done, and could not be pushed yet. */
static void blk_save(struct virtio *v, struct record_writer *w)
{
	for (unsigned i = 0; i < KEPT_MAX; i++) {
		const struct kept *k = &blk_of(v)->kept[i];

		record_put_bool(w, k->state == KEPT_DONE);
		if (k->state != KEPT_DONE)
			continue;
		record_put_u8(w, k->status);
		record_put_u16(w, k->queue);
		record_put_u16(w, k->id);
		record_put_u16(w, k->slots);
		record_put_u64(w, k->status_at);
	}
}

static int blk_load(struct virtio *v, struct record_reader *r)
{
	for (unsigned i = 0; i < KEPT_MAX; i++) {
		struct kept *k = &blk_of(v)->loaded[i];

		*k = (struct kept){ .state = record_get_bool(r) ? KEPT_DONE : KEPT_FREE };
		if (k->state == KEPT_FREE)
			continue;
		k->status = (uint8_t)record_get_below(r, 1, STATUS_UNSUPPORTED);
		k->queue = (uint16_t)record_get_below(r, 2, v->queue_count - 1);
		k->id = record_get_u16(r);
		k->slots = (uint16_t)record_get_below(r, 2, VIRTIO_QUEUE_SIZE);
		k->status_at = record_get_u64(r);
		if (!k->slots)
			return -EINVAL;
	}
	return 0;
}

static void blk_commit(struct virtio *v)
{
	struct blk *b = blk_of(v);

	memcpy(b->kept, b->loaded, sizeof(b->kept));
	b->kept_count = 0;
	for (unsigned i = 0; i < KEPT_MAX; i++)
		b->kept_count += b->kept[i].state != KEPT_FREE;
	memset(b->progress, 0, sizeof(b->progress));
}

static const struct virtio_kind kind = {
	.name = "virtio-blk", .id = 2, .pci_id = 0x1001,
	.feature = features, .feature_count = ARRAY_COUNT(features),
	.serve = blk_serve, .finish = blk_finish, .busy = blk_busy, .reset = blk_reset,
	.queue_reset = blk_queue_reset, .config_writable = writable, .save = blk_save,
	.load = blk_load, .commit = blk_commit, .media_done = blk_media_done,
};

int virtio_blk_create(unsigned queues, struct virtio **out)
{
	struct blk *b = host_alloc(sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->v.kind = &kind;
	b->v.queue_count = MIN(MAX(queues, 1u), VIRTIO_QUEUES_MAX);
	if (virtio_init(&b->v)) {
		host_free(b);
		return -ENOMEM;
	}
	*out = &b->v;
	return 0;
}
