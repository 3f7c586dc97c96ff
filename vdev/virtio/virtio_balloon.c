/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See virtio_balloon.h. Page numbers come in any order: a batch of them is sorted, so that what
 * lies side by side goes as one range, and the host waits for the vCPUs once. A long request is
 * done in batches, each by itself; what one does is the same when it is done twice. The buffer with
 * statistics is kept on its ring until new ones are wanted: giving it back asks for them.
 *
 * Locks: the device's own around the configuration, statistics and hints; batches are their
 * queue's owner's.
 */
#include "vdev/virtio/virtio_balloon.h"

#include "include/bits.h"
#include "lib/string.h"

#define BATCH		256u		/* page numbers */
#define BATCH_COST	64		/* of one: a wait for vCPUs, and pages to free */
#define FREE_MAX	GIB		/* of one request that tells of free pages */
#define STATS_MAX	32u		/* of one buffer */
#define POLL_TIMER	1u
#define SECOND		1000000000ul

#define HINT_STOP	0u		/* of config.hint; others are rounds */
#define HINT_DONE	1u
#define HINT_FIRST	2u

struct config {
	uint32_t target, actual;
	uint32_t hint, poison;
};

struct packed stat {
	uint16_t tag;
	uint64_t value;
};

_Static_assert(sizeof(struct config) == 16 && sizeof(struct stat) == 10, "the driver's layout");

struct batch {
	uint64_t done;			/* bytes of the first chain */
	uint32_t page[BATCH];
	struct host_segment range[BATCH];
};

struct balloon {
	struct virtio v;
	struct batch batch[2];		/* of the queues to inflate and to deflate */
	uint64_t loaded_done[2];
	bool hinting, loaded_hinting;	/* the driver has begun with the round */
	uint32_t round;			/* the last one */
	/* The host's; resets leave it. */
	uint32_t target;
	bool wants_stats;		/* (a) the buffer is to go back */
	struct virtio_balloon_info told;
};

static struct balloon *balloon_of(struct virtio *v)
{
	return container_of(v, struct balloon, v);
}

static struct config *config_of(struct virtio *v)
{
	return (struct config *)v->config;
}

/* ---- pages in and out ---- */

static void sort(uint32_t *page, unsigned n)
{
	for (unsigned gap = 64; gap; gap /= 4)
		for (unsigned i = gap; i < n; i++) {
			uint32_t p = page[i];
			unsigned k = i;

			for (; k >= gap && page[k - gap] > p; k -= gap)
				page[k] = page[k - gap];
			page[k] = p;
		}
}

/* Pages side by side are one range; their number. */
static unsigned join(struct batch *b, unsigned n)
{
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t at = (uint64_t)b->page[i] * PAGE_SIZE;
		struct host_segment *last = count ? &b->range[count - 1] : NULL;

		if (last && at - last->at < last->size)
			continue;
		if (last && at == last->at + last->size)
			last->size += PAGE_SIZE;
		else
			b->range[count++] = (struct host_segment){ at, PAGE_SIZE };
	}
	return count;
}

static int pages_serve(struct virtio *v, struct virtio_queue *q, enum host_unused what)
{
	struct batch *b = &balloon_of(v)->batch[q - v->queue];
	uint64_t left = q->chain.read_size - MIN(q->chain.read_size, b->done);
	unsigned n = (unsigned)MIN(left / sizeof(b->page[0]), (uint64_t)BATCH);
	int err = virtio_chain_read_at(v, &q->chain, b->done, b->page, n * sizeof(b->page[0]));

	if (err)
		return err == -EFAULT ? -EIO : err;
	if (n) {
		sort(b->page, n);
		host_mem_unused(&v->dev, what, b->range, join(b, n));
	}
	b->done += n * sizeof(b->page[0]);
	if (left - n * sizeof(b->page[0]) < sizeof(b->page[0])) {
		err = virtio_done(v, q, 0);
		b->done = err ? b->done : 0;
	}
	return err ?: BATCH_COST;
}

/* ---- free pages ---- */

/* They are the buffers. A driver that wants to find its pattern there again keeps its pages. */
static void free_pages(struct virtio *v, const struct virtio_chain *c)
{
	const struct host_segment *s = c->segment + c->readable;
	uint64_t size = 0;
	unsigned n = 0;

	if (virtio_has(v, BALLOON_POISON) && READ_ONCE(config_of(v)->poison))
		return;
	while (c->readable + n < c->count && s[n].size <= FREE_MAX - size)
		size += s[n++].size;
	if (n)
		host_mem_unused(&v->dev, HOST_UNUSED_DISCARD, s, n);
}

static int report_serve(struct virtio *v, struct virtio_queue *q)
{
	free_pages(v, &q->chain);
	return virtio_done(v, q, 0) ?: BATCH_COST;
}

/* The driver's word: a round that we have asked for begins; any other word ends it. */
static void hint_hear(struct virtio *v, uint32_t round)
{
	struct balloon *b = balloon_of(v);
	uint64_t flags = host_lock(&v->dev);
	bool begins = round >= HINT_FIRST && round == config_of(v)->hint;
	bool ends = b->hinting && !begins;

	b->hinting = begins;
	if (ends)
		WRITE_ONCE(config_of(v)->hint, HINT_DONE);
	host_unlock(&v->dev, flags);
	if (ends)
		v->transport->interrupt(v, NULL);
}

static int hint_serve(struct virtio *v, struct virtio_queue *q)
{
	uint32_t round;
	int err;

	if (q->chain.readable) {
		if (q->chain.read_size >= sizeof(round)) {
			err = virtio_chain_read(v, &q->chain, &round, sizeof(round));
			if (err)
				return err == -EFAULT ? -EIO : err;
			hint_hear(v, round);
		}
	} else if (READ_ONCE(balloon_of(v)->hinting)) {
		free_pages(v, &q->chain);
	}
	return virtio_done(v, q, 0) ?: BATCH_COST;
}

/* ---- statistics ---- */

/* What it does not tell this time is not known any more. */
static void stats_hear(struct virtio *v, const struct stat *s, unsigned n)
{
	struct virtio_balloon_info *told = &balloon_of(v)->told;
	uint64_t flags = host_lock(&v->dev);

	told->known = 0;
	for (unsigned i = 0; i < n; i++) {
		if (s[i].tag >= BALLOON_STAT_COUNT)
			continue;
		told->stat[s[i].tag] = s[i].value;
		told->known |= 1u << s[i].tag;
	}
	told->told_at = host_wall_clock(&v->dev);
	host_unlock(&v->dev, flags);
}

static int stats_serve(struct virtio *v, struct virtio_queue *q)
{
	struct balloon *b = balloon_of(v);
	struct stat s[STATS_MAX];
	unsigned n = (unsigned)MIN(q->chain.read_size / sizeof(s[0]), (uint64_t)STATS_MAX);
	int err;

	if (__atomic_exchange_n(&b->wants_stats, false, __ATOMIC_ACQ_REL))
		return virtio_done(v, q, 0) ?: 1;
	err = virtio_chain_read(v, &q->chain, s, n * sizeof(s[0]));
	if (err)
		return err == -EFAULT ? -EIO : err;
	stats_hear(v, s, n);
	return -EAGAIN;
}

static void stats_want(struct balloon *b)
{
	__atomic_store_n(&b->wants_stats, true, __ATOMIC_RELEASE);
	virtio_ask(&b->v, BALLOON_QUEUE_STATS);
}

/* Under the lock. */
static void poll_arm(struct balloon *b)
{
	host_timer_set(&b->v.dev, POLL_TIMER,
		       host_clock_ns(&b->v.dev) + b->told.period * SECOND);
}

static void balloon_timer(struct virtio *v, unsigned timer)
{
	struct balloon *b = balloon_of(v);
	uint64_t flags = host_lock(&v->dev);
	bool polls = b->told.period;

	(void)timer;
	if (polls)
		poll_arm(b);
	host_unlock(&v->dev, flags);
	if (polls)
		stats_want(b);
}

static int balloon_serve(struct virtio *v, struct virtio_queue *q)
{
	static const struct {
		uint8_t feature;	/* 0: each driver has it */
		int (*serve)(struct virtio *v, struct virtio_queue *q);
	} rows[] = {
		[BALLOON_QUEUE_STATS] = { BALLOON_STATS, stats_serve },
		[BALLOON_QUEUE_HINT] = { BALLOON_HINT, hint_serve },
		[BALLOON_QUEUE_REPORT] = { BALLOON_REPORTING, report_serve },
	};
	unsigned i = (unsigned)(q - v->queue);

	if (i <= BALLOON_QUEUE_DEFLATE)
		return pages_serve(v, q, i ? HOST_UNUSED_DEFLATE : HOST_UNUSED_INFLATE);
	return virtio_has(v, rows[i].feature) ? rows[i].serve(v, q) : -EIO;
}

/* ---- the host's side ---- */

static struct balloon *from_vdev(struct vdev *d)
{
	return container_of(d, struct balloon, v.dev);
}

/* Of what is in the configuration; under the lock. True: the driver is to look. */
static bool is_driven(const struct balloon *b)
{
	return b->v.status & VIRTIO_DRIVER_OK && !b->v.stopping;
}

void virtio_balloon_target(struct vdev *d, uint32_t pages)
{
	struct balloon *b = from_vdev(d);
	uint64_t flags = host_lock(d);
	bool tell = is_driven(b) && pages != config_of(&b->v)->target;

	b->target = pages;
	WRITE_ONCE(config_of(&b->v)->target, pages);
	host_unlock(d, flags);
	if (tell)
		b->v.transport->interrupt(&b->v, NULL);
}

void virtio_balloon_period(struct vdev *d, uint32_t seconds)
{
	struct balloon *b = from_vdev(d);
	uint64_t flags = host_lock(d);

	b->told.period = seconds;
	if (seconds)
		poll_arm(b);
	else
		host_timer_cancel(d, POLL_TIMER);
	host_unlock(d, flags);
	if (seconds)
		stats_want(b);
}

void virtio_balloon_hint(struct vdev *d)
{
	struct balloon *b = from_vdev(d);
	uint64_t flags = host_lock(d);
	bool begin = is_driven(b) && virtio_has(&b->v, BALLOON_HINT) &&
		     config_of(&b->v)->hint < HINT_FIRST;

	if (begin) {
		b->round = b->round < HINT_FIRST ? HINT_FIRST : MAX(b->round + 1, HINT_FIRST);
		WRITE_ONCE(config_of(&b->v)->hint, b->round);
	}
	host_unlock(d, flags);
	if (begin)
		b->v.transport->interrupt(&b->v, NULL);
}

void virtio_balloon_info(struct vdev *d, struct virtio_balloon_info *out)
{
	struct balloon *b = from_vdev(d);
	uint64_t flags = host_lock(d);

	*out = b->told;
	out->driven = is_driven(b);
	out->target = b->target;
	out->actual = config_of(&b->v)->actual;
	host_unlock(d, flags);
}

/* ---- life ---- */

static const struct virtio_feature features[] = {
	{ BALLOON_MUST_TELL_HOST, 0 }, { BALLOON_STATS, 0 }, { BALLOON_DEFLATE_ON_OOM, 0 },
	{ BALLOON_HINT, 0 }, { BALLOON_POISON, 0 }, { BALLOON_REPORTING, 0 },
};

static const uint8_t writable[VIRTIO_CONFIG_MAX] = {
	[offsetof(struct config, actual)] = 0xff, 0xff, 0xff, 0xff,
	[offsetof(struct config, poison)] = 0xff, 0xff, 0xff, 0xff,
};

static const uint8_t varies[VIRTIO_CONFIG_MAX] = {
	0xff, 0xff, 0xff, 0xff,
	[offsetof(struct config, hint)] = 0xff, 0xff, 0xff, 0xff,
};

/* What is out stays so until it is touched: the host sees to that. */
static void balloon_reset(struct virtio *v)
{
	struct balloon *b = balloon_of(v);
	struct config c = { .target = b->target };

	memcpy(v->config, &c, sizeof(c));
	v->config_size = sizeof(c);
	for (unsigned i = 0; i < ARRAY_COUNT(features); i++)
		v->offered |= BIT(features[i].bit);
	b->batch[0].done = b->batch[1].done = 0;
	b->hinting = false;
}

static void balloon_queue_reset(struct virtio *v, unsigned queue)
{
	if (queue <= BALLOON_QUEUE_DEFLATE)
		balloon_of(v)->batch[queue].done = 0;
}

static void balloon_save(struct virtio *v, struct record_writer *w)
{
	struct balloon *b = balloon_of(v);

	record_put_bool(w, b->hinting);
	for (unsigned i = 0; i < 2; i++)
		record_put_u64(w, b->batch[i].done);
}

static int balloon_load(struct virtio *v, struct record_reader *r)
{
	struct balloon *b = balloon_of(v);

	b->loaded_hinting = record_get_bool(r);
	for (unsigned i = 0; i < 2; i++) {
		b->loaded_done[i] = record_get_u64(r);
		if (b->loaded_done[i] % sizeof(b->batch[i].page[0]))
			return -EINVAL;
	}
	return 0;
}

static void balloon_commit(struct virtio *v)
{
	struct balloon *b = balloon_of(v);

	b->hinting = b->loaded_hinting;
	b->target = config_of(v)->target;
	b->round = MAX(b->round, config_of(v)->hint);
	for (unsigned i = 0; i < 2; i++)
		b->batch[i].done = b->loaded_done[i];
}

static const struct virtio_kind kind = {
	.name = "virtio-balloon", .id = 5, .pci_id = 0x1002,
	.feature = features, .feature_count = ARRAY_COUNT(features),
	.serve = balloon_serve, .reset = balloon_reset, .queue_reset = balloon_queue_reset,
	.config_writable = writable, .config_varies = varies, .timer = balloon_timer,
	.save = balloon_save, .load = balloon_load, .commit = balloon_commit,
};

int virtio_balloon_create(struct virtio **out)
{
	struct balloon *b = host_alloc(sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->v.kind = &kind;
	b->v.queue_count = BALLOON_QUEUES;
	if (virtio_init(&b->v)) {
		host_free(b);
		return -ENOMEM;
	}
	*out = &b->v;
	return 0;
}
