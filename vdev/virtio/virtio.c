/* SPDX-License-Identifier: BSD-2-Clause */
/* See virtio.h. */
#include "vdev/virtio/virtio.h"

#include "include/bits.h"
#include "lib/string.h"
#include "vdev/turn.h"
#include "vdev/virtio/virtio_ring.h"

#define BUDGET		256		/* of one look at a queue: see virtio_kind.serve */
#define LONG_CHAIN	16u		/* so many descriptors cost one more */
#define LOOKS		8u		/* of one exit, when others ask meanwhile */
#define RETRY_NS	10000000u	/* until memory may be there */

#define COMMON_FEATURES	(BIT(VIRTIO_INDIRECT) | BIT(VIRTIO_EVENT_IDX) | BIT(VIRTIO_VERSION_1) | \
			 BIT(VIRTIO_PACKED) | BIT(VIRTIO_NOTIFICATION_DATA) | \
			 BIT(VIRTIO_ANY_LAYOUT) | \
			 BIT(VIRTIO_RING_RESET))
#define STATUS_DRIVER	(VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_DRIVER_OK | \
			 VIRTIO_FEATURES_OK | VIRTIO_FAILED)

static struct virtio *virtio_of(struct vdev *d)
{
	return container_of(d, struct virtio, dev);
}

/* ---- serving ---- */

void virtio_take(struct virtio_queue *q)
{
	q->ring->take(q);
}

int virtio_push(struct virtio *v, struct virtio_queue *q, uint16_t id, uint16_t slots,
		uint32_t written)
{
	return q->ring->push(v, q, id, slots, written);
}

int virtio_done(struct virtio *v, struct virtio_queue *q, uint32_t written)
{
	int err = q->ring->push(v, q, q->chain.id, q->chain.slots, written);

	if (!err)
		q->ring->take(q);
	return err;
}

int virtio_push_all(struct virtio *v, struct virtio_queue *q, const struct virtio_used *u,
		    unsigned n)
{
	struct virtio_queue_state end, first = q->s;
	int err = 0;

	q->ring->skip(q, u[0].slots);
	for (unsigned i = 1; i < n && !err; i++)
		err = q->ring->push(v, q, u[i].id, u[i].slots, u[i].written);
	end = q->s;
	q->s = first;
	err = err ?: q->ring->push(v, q, u[0].id, u[0].slots, u[0].written);
	if (!err)
		q->s = end;
	return err ? -EIO : 0;
}

void virtio_untake(struct virtio_queue *q, const struct virtio_queue_state *before)
{
	q->s.avail = before->avail;
	q->s.avail_wrap = before->avail_wrap;
	q->ahead_count = q->ahead_seen = 0;
}

static bool is_live(const struct virtio_queue *q)
{
	return __atomic_load_n(&q->live, __ATOMIC_SEQ_CST);
}

static bool may_serve(const struct virtio *v, const struct virtio_queue *q)
{
	return likely(is_live(q)) && v->transport->may_dma(v);
}

static int tell(struct virtio *v, struct virtio_queue *q)
{
	int r = q->ring->publish(v, q);

	if (r > 0)
		v->transport->interrupt(v, q);
	return MIN(r, 0);
}

/* 0: nothing is left, or the queue's life has ended. 1: the budget is spent. */
static int serve_all(struct virtio *v, struct virtio_queue *q)
{
	int budget = BUDGET, r = 0;

	if (v->kind->finish && may_serve(v, q))
		r = v->kind->finish(v, q);

	while (!r) {
		while ((r = may_serve(v, q) ? q->ring->next(v, q) : 0) > 0) {
			r = v->kind->serve(v, q);
			if (r < 0)
				break;
			budget -= r + (int)(q->chain.descriptors / LONG_CHAIN);
			if (budget <= 0)
				return 1;
		}
		if (r || !may_serve(v, q))
			break;
		r = tell(v, q) ?: q->ring->arm(v, q);
		if (r <= 0)
			break;
		r = 0;
	}
	return r;
}

/* Only a reset heals it. */
static void break_queue(struct virtio *v, struct virtio_queue *q)
{
	uint64_t flags = host_lock(&v->dev);
	bool first = !(v->status & VIRTIO_NEEDS_RESET), tell_it;

	q->s.broken = true;
	__atomic_store_n(&q->live, false, __ATOMIC_SEQ_CST);
	v->status |= VIRTIO_NEEDS_RESET;
	tell_it = first && v->status & VIRTIO_DRIVER_OK && !v->stopping;
	host_unlock(&v->dev, flags);
	if (first)
		host_log(&v->dev, "queue %u: its ring is not right; the driver has to reset it",
			 (unsigned)(q - v->queue));
	if (tell_it)
		v->transport->interrupt(v, NULL);
}

static void leave_to_work(struct virtio *v, struct virtio_queue *q, bool soon)
{
	__atomic_store_n(&q->pending, true, __ATOMIC_RELEASE);
	if (soon)
		host_work_queue(&v->dev);
	else
		host_timer_set(&v->dev, 0, host_clock_ns(&v->dev) + RETRY_NS);
}

/* By the owner, who has come so far; `r` as serve_all's. */
static void settle(struct virtio *v, struct virtio_queue *q, int r)
{
	int told;

	if (!may_serve(v, q))
		return;
	told = tell(v, q);
	if (r == -EAGAIN)
		r = 0;
	if (told < 0 && r >= 0)
		r = told;
	if (r > 0)
		leave_to_work(v, q, true);
	else if (r == -EINTR || r == -ENOMEM)
		leave_to_work(v, q, false);
	else if (r < 0)
		break_queue(v, q);
}

static void serve(struct virtio *v, struct virtio_queue *q)
{
	settle(v, q, serve_all(v, q));
}

static void look(struct virtio *v, struct virtio_queue *q)
{
	unsigned looks = 0;

	while (!turn_give(&q->turn))
		if (looks++ < LOOKS)
			serve(v, q);
		else
			leave_to_work(v, q, true);
}

static void kick(struct virtio *v, struct virtio_queue *q)
{
	if (!may_serve(v, q) || !turn_take(&q->turn))
		return;
	serve(v, q);
	look(v, q);
}

/* Who waits for queues to be let go may have seen this one free before: look again. */
bool virtio_enter(struct virtio *v, struct virtio_queue *q)
{
	if (!may_serve(v, q) || !turn_try(&q->turn))
		return false;
	if (may_serve(v, q))
		return true;
	look(v, q);
	return false;
}

int virtio_next(struct virtio *v, struct virtio_queue *q)
{
	return may_serve(v, q) ? q->ring->next(v, q) : 0;
}

void virtio_leave(struct virtio *v, struct virtio_queue *q, int error)
{
	settle(v, q, error);
	look(v, q);
}

void virtio_kick(struct virtio *v, unsigned queue)
{
	if (queue < v->queue_count)
		kick(v, &v->queue[queue]);
	for (unsigned i = 0; queue == VIRTIO_ALL_QUEUES && i < v->queue_count; i++)
		kick(v, &v->queue[i]);
}

void virtio_work(struct vdev *d)
{
	struct virtio *v = virtio_of(d);

	for (unsigned i = 0; i < v->queue_count; i++)
		if (__atomic_exchange_n(&v->queue[i].pending, false, __ATOMIC_ACQ_REL))
			kick(v, &v->queue[i]);
}

void virtio_ask(struct virtio *v, unsigned queue)
{
	leave_to_work(v, &v->queue[queue], true);
}

void virtio_timer(struct vdev *d, unsigned timer)
{
	if (timer)
		virtio_of(d)->kind->timer(virtio_of(d), timer);
	else
		host_work_queue(d);
}

/* ---- features and status ---- */

/* What the driver has accepted is offered, and has what it needs. */
static bool features_fit(const struct virtio *v, uint64_t accepted)
{
	if (accepted & ~v->offered || !(accepted & BIT(VIRTIO_VERSION_1)))
		return false;
	for (unsigned i = 0; i < v->kind->feature_count; i++) {
		const struct virtio_feature *f = &v->kind->feature[i];

		if (f->needs && accepted & BIT(f->bit) &&
		    !(accepted & BIT(f->needs % VIRTIO_NEEDS_BIT_0)))
			return false;
	}
	return true;
}

uint32_t virtio_features_read(const struct virtio *v, bool driver)
{
	uint32_t select = driver ? v->driver_select : v->device_select;

	return select > 1 ? 0 : (uint32_t)((driver ? v->accepted : v->offered) >> 32 * select);
}

void virtio_features_write(struct virtio *v, uint32_t value)
{
	uint64_t flags = host_lock(&v->dev);
	unsigned shift = 32 * (v->driver_select & 1);

	if (v->driver_select <= 1 && !(v->status & VIRTIO_FEATURES_OK))
		v->accepted = (v->accepted & ~(0xfffffffful << shift)) |
			      (uint64_t)value << shift;
	host_unlock(&v->dev, flags);
}

/* Under the lock. */
static void go_live(struct virtio *v)
{
	for (unsigned i = 0; i < v->queue_count; i++) {
		struct virtio_queue *q = &v->queue[i];

		if (q->s.enabled && !q->s.broken && !q->resetting)
			__atomic_store_n(&q->live, true, __ATOMIC_SEQ_CST);
	}
}

/* Bits are only added; who clears one by another value than 0 is not heard. */
void virtio_status_write(struct virtio *v, uint8_t value)
{
	uint64_t flags;
	uint8_t add;
	bool alive;

	if (!value) {
		virtio_reset(v);
		return;
	}
	flags = host_lock(&v->dev);
	add = (uint8_t)(value & STATUS_DRIVER & ~v->status);
	if (add & VIRTIO_FEATURES_OK && !features_fit(v, v->accepted))
		add &= (uint8_t)~VIRTIO_FEATURES_OK;
	if (!((v->status | add) & VIRTIO_FEATURES_OK) && !v->legacy)
		add &= (uint8_t)~VIRTIO_DRIVER_OK;
	if (v->stopping)
		add = 0;
	v->status |= add;
	alive = add & VIRTIO_DRIVER_OK;
	if (alive)
		go_live(v);
	host_unlock(&v->dev, flags);
	if (alive)
		virtio_kick(v, VIRTIO_ALL_QUEUES);
}

/* ---- queues ---- */

struct virtio_queue *virtio_selected(struct virtio *v)
{
	return v->queue_select < v->queue_count ? &v->queue[v->queue_select] : NULL;
}

static const struct virtio_ring *ring_of(const struct virtio *v)
{
	return virtio_has(v, VIRTIO_PACKED) ? &virtio_packed_ring : &virtio_split_ring;
}

static bool is_sane(const struct virtio_queue_state *s, const struct virtio_ring *r)
{
	return r->is_sane(s) && IS_ALIGNED(s->desc, r->align_desc) &&
	       IS_ALIGNED(s->driver, r->align_driver) && IS_ALIGNED(s->device, r->align_device);
}

/* As after its enabling: nothing was read ahead. */
static void places_forget(struct virtio_queue *q)
{
	q->seen = q->s.avail;
	q->head_count = 0;
	q->ahead_count = q->ahead_seen = 0;
	q->window_count = 0;
}

/* Drivers of the older interface use queues before they say DRIVER_OK. */
static bool is_driven(const struct virtio *v)
{
	return v->legacy || v->status & VIRTIO_DRIVER_OK;
}

/* Under the lock: is it alive then? */
static bool enable(struct virtio *v, struct virtio_queue *q)
{
	bool alive;

	q->ring = ring_of(v);
	q->ring->start(&q->s);
	places_forget(q);
	q->s.enabled = is_sane(&q->s, q->ring);
	alive = q->s.enabled && is_driven(v) && !q->s.broken;
	__atomic_store_n(&q->live, alive, __ATOMIC_SEQ_CST);
	return alive;
}

/* What does not fit leaves it as it is: the driver reads that it is not enabled. */
void virtio_queue_enable(struct virtio *v)
{
	struct virtio_queue *q = virtio_selected(v);
	uint64_t flags = host_lock(&v->dev);
	bool alive = false;

	if (q && !q->s.enabled && !q->resetting && !v->stopping &&
	    v->status & VIRTIO_FEATURES_OK)
		alive = enable(v, q);
	host_unlock(&v->dev, flags);
	if (alive)
		kick(v, q);
}

static void queue_clear(struct virtio *v, struct virtio_queue *q)
{
	q->s.enabled = q->s.broken = false;
	q->s.size = VIRTIO_QUEUE_SIZE;
	q->s.vector = VIRTIO_NO_VECTOR;
	q->s.desc = q->s.driver = q->s.device = 0;
	q->ring = ring_of(v);
	q->ring->start(&q->s);
	places_forget(q);
	q->pending = false;
}

/* Nobody serves what is not live any more, and nothing that was kept is under way. */
static bool is_drained(struct vdev *d)
{
	struct virtio *v = virtio_of(d);

	for (unsigned i = 0; i < v->queue_count; i++) {
		const struct virtio_queue *q = &v->queue[i];

		if (!is_live(q) && (!turn_is_free(&q->turn) ||
				    (v->kind->busy && v->kind->busy(v, q))))
			return false;
	}
	return true;
}

/* Stops it, waits until nobody is in it, and makes it as after power-on. */
static void queue_stop(struct virtio *v, struct virtio_queue *q, bool allowed)
{
	uint64_t flags = host_lock(&v->dev);
	bool mine = q && q->s.enabled && !q->resetting && !v->stopping && allowed;

	if (mine) {
		q->resetting = true;
		__atomic_store_n(&q->live, false, __ATOMIC_SEQ_CST);
	}
	host_unlock(&v->dev, flags);
	if (!mine)
		return;
	host_wait_until(&v->dev, is_drained);
	flags = host_lock(&v->dev);
	if (v->kind->queue_reset)
		v->kind->queue_reset(v, (unsigned)(q - v->queue));
	queue_clear(v, q);
	q->resetting = false;
	host_unlock(&v->dev, flags);
}

void virtio_queue_reset(struct virtio *v)
{
	queue_stop(v, virtio_selected(v), virtio_has(v, VIRTIO_RING_RESET));
}

/* ---- the older interface ---- */

/* Its driver is known by what it writes first; a modern one that is up is not disturbed. */
static bool becomes_legacy(struct virtio *v)
{
	v->legacy |= !(v->status & VIRTIO_FEATURES_OK) && !v->stopping;
	return v->legacy;
}

void virtio_legacy_features(struct virtio *v, uint32_t value)
{
	uint64_t flags = host_lock(&v->dev);

	if (becomes_legacy(v) && !(v->status & VIRTIO_DRIVER_OK))
		v->accepted = value & v->offered;
	host_unlock(&v->dev, flags);
}

void virtio_legacy_status(struct virtio *v, uint8_t value)
{
	uint64_t flags = host_lock(&v->dev);

	if (value)
		becomes_legacy(v);
	host_unlock(&v->dev, flags);
	virtio_status_write(v, value & (uint8_t)~VIRTIO_FEATURES_OK);
}

/* The three parts lie one behind the other, the device's on the next page. */
void virtio_legacy_queue(struct virtio *v, uint32_t page)
{
	struct virtio_queue *q = virtio_selected(v);
	uint64_t flags;
	bool alive = false;

	if (!page) {
		queue_stop(v, q, v->legacy);
		return;
	}
	flags = host_lock(&v->dev);
	if (q && !q->s.enabled && !q->resetting && becomes_legacy(v)) {
		q->s.size = VIRTIO_QUEUE_SIZE;
		q->s.desc = (uint64_t)page * PAGE_SIZE;
		q->s.driver = q->s.desc + sizeof(struct virtio_descriptor) * q->s.size;
		q->s.device = ALIGN_UP(q->s.driver + 6 + 2ul * q->s.size, PAGE_SIZE);
		alive = enable(v, q);
	}
	host_unlock(&v->dev, flags);
	if (alive)
		kick(v, q);
}

uint32_t virtio_legacy_page(struct virtio *v)
{
	const struct virtio_queue *q = virtio_selected(v);

	return q && v->legacy && q->s.enabled ? (uint32_t)(q->s.desc / PAGE_SIZE) : 0;
}

/* ---- the device's own configuration ---- */

uint64_t virtio_config_read(const struct virtio *v, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size && offset + i < v->config_size; i++)
		value |= (uint64_t)READ_ONCE(v->config[offset + i]) << 8 * i;
	return value;
}

void virtio_config_write(struct virtio *v, uint64_t offset, unsigned size, uint64_t value)
{
	const uint8_t *mask = v->kind->config_writable;

	for (unsigned i = 0; mask && i < size && offset + i < v->config_size; i++)
		WRITE_ONCE(v->config[offset + i],
			   (uint8_t)((v->config[offset + i] & ~mask[offset + i]) |
				     (value >> 8 * i & mask[offset + i])));
	if (v->kind->config_written)
		v->kind->config_written(v, offset, size, value);
}

/* ---- life ---- */

int virtio_init(struct virtio *v)
{
	v->queue = host_alloc(v->queue_count * sizeof(*v->queue));
	return v->queue ? 0 : -ENOMEM;
}

void virtio_destroy(struct virtio *v)
{
	if (v->kind->destroy)
		v->kind->destroy(v);
	host_free(v->queue);
	host_free(v);
}

/* Another one that comes meanwhile waits as well: then nothing is left to wait for. */
void virtio_reset(struct virtio *v)
{
	uint64_t flags = host_lock(&v->dev);

	v->stopping = true;
	for (unsigned i = 0; i < v->queue_count; i++)
		__atomic_store_n(&v->queue[i].live, false, __ATOMIC_SEQ_CST);
	host_unlock(&v->dev, flags);
	host_wait_until(&v->dev, is_drained);
	host_timer_cancel(&v->dev, 0);
	flags = host_lock(&v->dev);
	v->status = 0;
	v->device_select = v->driver_select = v->queue_select = 0;
	v->config_vector = VIRTIO_NO_VECTOR;
	v->accepted = 0;
	v->legacy = false;
	v->offered = COMMON_FEATURES;
	v->kind->reset(v);
	for (unsigned i = 0; i < v->queue_count; i++)
		queue_clear(v, &v->queue[i]);
	v->stopping = false;
	host_unlock(&v->dev, flags);
}

/* ---- saved state ---- */

struct virtio_saved {
	uint8_t status, config[VIRTIO_CONFIG_MAX];
	bool legacy;
	uint32_t device_select, driver_select;
	uint16_t queue_select, config_vector;
	uint64_t accepted;
	struct virtio_queue_state queue[];
};

void virtio_save(struct virtio *v, struct record_writer *w)
{
	record_put_u8(w, v->status);
	record_put_bool(w, v->legacy);
	record_put_u32(w, v->device_select);
	record_put_u32(w, v->driver_select);
	record_put_u16(w, v->queue_select);
	record_put_u16(w, v->config_vector);
	record_put_u64(w, v->accepted);
	record_put(w, v->config, v->config_size);
	for (unsigned i = 0; i < v->queue_count; i++) {
		const struct virtio_queue_state *q = &v->queue[i].s;

		record_put_bool(w, q->enabled);
		record_put_bool(w, q->broken);
		record_put_bool(w, q->avail_wrap);
		record_put_bool(w, q->used_wrap);
		record_put_u16(w, q->size);
		record_put_u16(w, q->vector);
		record_put_u16(w, q->avail);
		record_put_u16(w, q->used);
		record_put_u16(w, q->pushed);
		record_put_u64(w, q->desc);
		record_put_u64(w, q->driver);
		record_put_u64(w, q->device);
	}
	if (v->kind->save)
		v->kind->save(v, w);
}

static void read_queue(struct record_reader *r, struct virtio_queue_state *q)
{
	q->enabled = record_get_bool(r);
	q->broken = record_get_bool(r);
	q->avail_wrap = record_get_bool(r);
	q->used_wrap = record_get_bool(r);
	q->size = record_get_u16(r);
	q->vector = record_get_u16(r);
	q->avail = record_get_u16(r);
	q->used = record_get_u16(r);
	q->pushed = record_get_u16(r);
	q->desc = record_get_u64(r);
	q->driver = record_get_u64(r);
	q->device = record_get_u64(r);
}

static bool is_fresh(const struct virtio_queue_state *s, const struct virtio_ring *ring)
{
	struct virtio_queue_state f = *s;

	ring->start(&f);
	return s->avail == f.avail && s->used == f.used && s->pushed == f.pushed &&
	       s->avail_wrap == f.avail_wrap && s->used_wrap == f.used_wrap;
}

static bool queue_is_right(const struct virtio_saved *s, const struct virtio_queue_state *q)
{
	const struct virtio_ring *ring = s->accepted & BIT(VIRTIO_PACKED) ? &virtio_packed_ring
									  : &virtio_split_ring;

	if (q->broken && !(q->enabled && s->status & VIRTIO_NEEDS_RESET))
		return false;
	if (!q->enabled)
		return is_fresh(q, &virtio_packed_ring) || is_fresh(q, &virtio_split_ring);
	return (s->legacy || s->status & VIRTIO_FEATURES_OK) && is_sane(q, ring);
}

/* Bits of that byte of the configuration that may be others than they are now. */
static uint8_t may_differ(const struct virtio_kind *k, unsigned i)
{
	return (uint8_t)((k->config_writable ? k->config_writable[i] : 0) |
			 (k->config_varies ? k->config_varies[i] : 0));
}

static bool is_right(const struct virtio *v, const struct virtio_saved *s)
{
	bool fit = !(s->status & VIRTIO_FEATURES_OK) || features_fit(v, s->accepted);

	if (s->status & ~(STATUS_DRIVER | VIRTIO_NEEDS_RESET) || !fit ||
	    (s->legacy ? s->status & VIRTIO_FEATURES_OK || s->accepted & ~(v->offered & 0xffffffff)
		       : (s->status & (VIRTIO_DRIVER_OK | VIRTIO_FEATURES_OK)) == VIRTIO_DRIVER_OK))
		return false;
	for (unsigned i = 0; i < v->config_size; i++)
		if ((s->config[i] ^ v->config[i]) & ~may_differ(v->kind, i))
			return false;
	for (unsigned i = 0; i < v->queue_count; i++)
		if (!queue_is_right(s, &s->queue[i]))
			return false;
	return true;
}

int virtio_load(struct virtio *v, struct record_reader *r, struct virtio_saved **out)
{
	struct virtio_saved *s = host_alloc(sizeof(*s) +
					    v->queue_count * sizeof(s->queue[0]));

	if (!s)
		return -ENOMEM;
	s->status = record_get_u8(r);
	s->legacy = record_get_bool(r);
	s->device_select = record_get_u32(r);
	s->driver_select = record_get_u32(r);
	s->queue_select = record_get_u16(r);
	s->config_vector = record_get_u16(r);
	s->accepted = record_get_u64(r);
	record_get(r, s->config, v->config_size);
	for (unsigned i = 0; i < v->queue_count; i++)
		read_queue(r, &s->queue[i]);
	if ((v->kind->load && v->kind->load(v, r)) || record_finish(r) || !is_right(v, s)) {
		host_free(s);
		return -EINVAL;
	}
	*out = s;
	return 0;
}

/* All queues are looked at again: what the driver told of before is not saved. */
void virtio_commit(struct virtio *v, struct virtio_saved *s)
{
	uint64_t flags = host_lock(&v->dev);

	v->status = s->status;
	v->legacy = s->legacy;
	v->device_select = s->device_select;
	v->driver_select = s->driver_select;
	v->queue_select = s->queue_select;
	v->config_vector = s->config_vector;
	v->accepted = s->accepted;
	memcpy(v->config, s->config, v->config_size);
	for (unsigned i = 0; i < v->queue_count; i++) {
		struct virtio_queue *q = &v->queue[i];

		q->s = s->queue[i];
		q->ring = ring_of(v);
		places_forget(q);
		q->live = false;
		q->pending = true;
	}
	if (v->kind->commit)
		v->kind->commit(v);
	if (is_driven(v))
		go_live(v);
	host_unlock(&v->dev, flags);
	host_work_queue(&v->dev);
	host_free(s);
}
