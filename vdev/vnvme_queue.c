/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vnvme_parts.h: queues, doorbells in registers and in memory, completions and interrupts.
 *
 * Shadow doorbells: a driver that has given memory for them writes there first, and to the register
 * only if it goes past what we wrote beside it. Of a submission queue that is how far we have
 * looked; so we say that, and look again. Of a completion queue it is nothing while there is room:
 * a place that the driver never goes past but when it begins anew.
 */
#include "vdev/vnvme_parts.h"

#include "include/bits.h"
#include "lib/string.h"
#include "vdev/turn.h"
#include "vdev/vpci_msi.h"

#define BUDGET		256		/* of one look: see vnvme_io_serve */
#define BURST		32u		/* commands of one queue before the next one's */
#define LOOKS		8u		/* of one exit, when others ask meanwhile */
#define RETRY_NS	10000000u	/* until memory may be there */

static void kick(struct vnvme *n, struct nvme_cq *c);

static unsigned number_of(const struct vnvme *n, const struct nvme_cq *c)
{
	return (unsigned)(c - n->cq);
}

/* Guest memory of a queue: where that is no memory, the controller is at its end. */
static int must_check queue_read(struct vnvme *n, uint64_t at, void *dst, size_t size)
{
	int err = vpci_function_dma_read(&n->function, GPA(at), dst, size);

	return likely(!err) ? 0 : err == -EFAULT ? -EIO : err;
}

static int must_check queue_write(struct vnvme *n, uint64_t at, const void *src, size_t size)
{
	int err = vpci_function_dma_write(&n->function, GPA(at), src, size);

	return likely(!err) ? 0 : err == -EFAULT ? -EIO : err;
}

/* Store, then load: others see the store before we load. */
static void fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* ---- doorbells ---- */

static void bell_is_wrong(struct vnvme *n, unsigned bell, enum nvme_event e)
{
	vnvme_admin_error(n, bell / 2, NULL, NVME_INVALID_FIELD);
	vnvme_admin_event(n, e);
}

/* A value that a queue of that size may have; else the driver is told. */
static bool bell_is_right(struct vnvme *n, unsigned bell, unsigned size, uint32_t value)
{
	if (likely(value < size))
		return true;
	if (READ_ONCE(n->r.csts) & CSTS_READY)
		bell_is_wrong(n, bell, size ? EVENT_VALUE : EVENT_REGISTER);
	return false;
}

/* Who waits for room sees the head; or we see that he waits. */
static void head_set(struct vnvme *n, struct nvme_cq *c, uint16_t head)
{
	__atomic_store_n(&c->head, head, __ATOMIC_SEQ_CST);
	if (unlikely(!vpci_msi_enabled(&n->function)))
		vnvme_pin(n);
	if (unlikely(__atomic_load_n(&c->stalled, __ATOMIC_SEQ_CST)))
		kick(n, c);
}

void vnvme_queue_bell(struct vnvme *n, unsigned bell, uint32_t value)
{
	unsigned i = bell / 2;
	struct nvme_sq *s;
	uint16_t size;

	if (unlikely(i >= n->queues)) {
		bell_is_right(n, bell, 0, value);
		return;
	}
	s = &n->sq[i];
	if (bell & 1) {
		size = __atomic_load_n(&n->cq[i].size, __ATOMIC_ACQUIRE);
		if (bell_is_right(n, bell, size, value))
			head_set(n, &n->cq[i], (uint16_t)value);
		return;
	}
	size = __atomic_load_n(&s->size, __ATOMIC_ACQUIRE);
	if (!bell_is_right(n, bell, size, value))
		return;
	__atomic_store_n(&s->tail, (uint16_t)value, __ATOMIC_SEQ_CST);
	kick(n, &n->cq[s->cq]);
}

/* ---- doorbells in memory ---- */

/* Those of administration are always rung. */
static uint64_t shadow_of(const struct vnvme *n, unsigned queue)
{
	return queue ? __atomic_load_n(&n->s.shadow, __ATOMIC_ACQUIRE) : 0;
}

static int event_write(struct vnvme *n, unsigned bell, uint32_t value)
{
	return queue_write(n, n->s.events + 4ul * bell, &value, sizeof(value));
}

/* What is not right there is as if it had not been written. */
static int shadow_read(struct vnvme *n, uint64_t shadow, unsigned bell, unsigned size,
		       uint16_t *value)
{
	uint32_t v;
	int err = queue_read(n, shadow + 4ul * bell, &v, sizeof(v));

	if (!err && v != *value && bell_is_right(n, bell, size, v))
		*value = (uint16_t)v;
	return err;
}

/* The submission queue is empty: is it, by the doorbell in memory? */
static int look_again(struct vnvme *n, struct nvme_cq *c, struct nvme_sq *s, uint64_t shadow)
{
	unsigned bell = 2 * (unsigned)(s - n->sq);
	uint16_t tail = s->head;
	int err = event_write(n, bell, tail);

	if (!err && unlikely(!c->unheard)) {
		err = event_write(n, 2 * number_of(n, c) + 1, c->size);
		c->unheard = !err;
	}
	fence();
	err = err ?: shadow_read(n, shadow, bell, s->size, &tail);
	if (!err && tail != s->head)
		__atomic_store_n(&s->tail, tail, __ATOMIC_SEQ_CST);
	return err;
}

/* ---- room ---- */

static uint16_t behind(uint16_t place, uint16_t size)
{
	return (uint16_t)(place + 1) < size ? (uint16_t)(place + 1) : 0;
}

static bool has_room(const struct nvme_cq *c)
{
	return behind(c->tail, c->size) != __atomic_load_n(&c->head, __ATOMIC_SEQ_CST);
}

static int head_look(struct vnvme *n, struct nvme_cq *c, uint64_t shadow)
{
	uint16_t head = c->head;
	int err = shadow_read(n, shadow, 2 * number_of(n, c) + 1, c->size, &head);

	if (!err)
		__atomic_store_n(&c->head, head, __ATOMIC_SEQ_CST);
	return err;
}

/* The next step of its head is to be told of. */
static int stall(struct vnvme *n, struct nvme_cq *c, uint64_t shadow)
{
	int err = 0;

	__atomic_store_n(&c->stalled, true, __ATOMIC_SEQ_CST);
	if (shadow) {
		err = event_write(n, 2 * number_of(n, c) + 1, c->head);
		c->unheard = false;
	}
	fence();
	return err ?: shadow ? head_look(n, c, shadow) : 0;
}

bool vnvme_queue_room(struct vnvme *n, struct nvme_cq *c, int *err)
{
	uint64_t shadow;

	*err = 0;
	if (unlikely(!has_room(c))) {
		shadow = shadow_of(n, number_of(n, c));
		if (shadow)
			*err = head_look(n, c, shadow);
		if (!*err && !has_room(c))
			*err = stall(n, c, shadow);
		if (*err || !has_room(c))
			return false;
	}
	if (unlikely(c->stalled))
		__atomic_store_n(&c->stalled, false, __ATOMIC_SEQ_CST);
	return true;
}

/* ---- completions ---- */

/* What a driver looks at is in the second half, and there last. */
static int post(struct vnvme *n, struct nvme_cq *c)
{
	uint64_t at = c->base + (uint64_t)c->tail * sizeof(c->last);
	int err = 0;

	c->last.status = (uint16_t)((c->last.status & ~1u) | c->phase);
	if (unlikely(c->last.result)) {
		err = queue_write(n, at, &c->last, 8);
		__atomic_thread_fence(__ATOMIC_RELEASE);
		err = err ?: queue_write(n, at + 8, &c->last.head, 8);
	} else {
		err = queue_write(n, at, &c->last, sizeof(c->last));
	}
	if (unlikely(err))
		return err;
	c->waits = false;
	c->posted = true;
	WRITE_ONCE(c->tail, behind(c->tail, c->size));
	c->phase ^= !c->tail;
	return 0;
}

int vnvme_queue_answer(struct vnvme *n, struct nvme_cq *c, unsigned sq, uint16_t id,
		       unsigned status, uint32_t result)
{
	c->last = (struct nvme_completion){
		.result = result, .head = n->sq[sq].head, .queue = (uint16_t)sq, .id = id,
		.status = (uint16_t)(status << 1),
	};
	c->waits = true;
	return post(n, c);
}

static void tell(struct vnvme *n, struct nvme_cq *c)
{
	if (!c->posted)
		return;
	c->posted = false;
	if (!c->interrupts)
		return;
	if (unlikely(!vpci_msi_enabled(&n->function)))
		vnvme_pin(n);
	else
		vpci_msi_send(&n->function, c->vector);
}

/* ---- serving ---- */

/* A few commands are read at once, as far as the queue's end. Each is looked at once. */
static const struct nvme_command *next_command(struct vnvme *n, struct nvme_cq *c,
					       const struct nvme_sq *s, uint16_t tail, int *err)
{
	uint16_t sq = (uint16_t)(s - n->sq), at = s->head;
	unsigned ready = tail > at ? tail - at : s->size - at;

	if (c->window_sq != sq || (unsigned)at - c->window_first >= c->window_count) {
		c->window_count = 0;
		ready = MIN(ready, NVME_WINDOW);
		*err = queue_read(n, s->base + (uint64_t)at * sizeof(c->window[0]), c->window,
				  ready * sizeof(c->window[0]));
		if (unlikely(*err))
			return NULL;
		c->window_sq = sq;
		c->window_first = at;
		c->window_count = (uint16_t)ready;
	}
	return &c->window[at - c->window_first];
}

/* Its answer says that it is off the queue; one that is to be tried again stays. */
static int serve_command(struct vnvme *n, struct nvme_cq *c, struct nvme_sq *s,
			 const struct nvme_command *cmd)
{
	uint16_t was = s->head;
	int r;

	s->head = behind(was, s->size);
	r = s == n->sq ? vnvme_admin_serve(n, c, cmd)
		       : vnvme_io_serve(n, c, (unsigned)(s - n->sq), cmd);
	if (unlikely(r < 0 && !c->waits))
		s->head = was;
	return r;
}

/* 1: there may be more. */
static int serve_some(struct vnvme *n, struct nvme_cq *c, struct nvme_sq *s, int *budget)
{
	for (unsigned i = 0; i < BURST && *budget > 0; i++) {
		uint16_t tail = __atomic_load_n(&s->tail, __ATOMIC_SEQ_CST);
		uint64_t shadow = shadow_of(n, (unsigned)(s - n->sq));
		const struct nvme_command *cmd;
		int r = 0;

		if (!vnvme_queue_served(n, c))
			return 0;
		if (s->head == tail && shadow) {
			r = look_again(n, c, s, shadow);
			tail = s->tail;
		}
		/* A doorbell may have been rung for an older and larger queue. */
		if (r || s->head == tail || tail >= s->size || !vnvme_queue_room(n, c, &r))
			return r;
		cmd = next_command(n, c, s, tail, &r);
		r = r ?: serve_command(n, c, s, cmd);
		if (r < 0)
			return r;
		*budget -= r;
	}
	return 1;
}

/* 0: nothing is left, or its life has ended. 1: the budget is spent. */
static int serve_all(struct vnvme *n, struct nvme_cq *c)
{
	int budget = BUDGET, more = 1, r = 0;

	if (!vnvme_queue_served(n, c))
		return 0;
	c->window_count = 0;
	if (unlikely(c->waits))
		r = post(n, c);
	if (!r && unlikely(__atomic_load_n(&n->kept_count, __ATOMIC_ACQUIRE)))
		r = vnvme_io_kept(n, c, &budget);
	if (!r && c == n->cq)
		r = vnvme_admin_events(n, c);
	while (!r && more) {
		uint32_t left = __atomic_load_n(&c->queues, __ATOMIC_ACQUIRE);

		for (more = 0; left && r >= 0; left &= left - 1) {
			r = serve_some(n, c, &n->sq[bit_lowest(left)], &budget);
			more |= r > 0;
		}
		r = r < 0 ? r : more && budget <= 0;
	}
	return r;
}

void vnvme_queue_later(struct vnvme *n, struct nvme_cq *c)
{
	__atomic_store_n(&c->pending, true, __ATOMIC_RELEASE);
	host_work_queue(&n->dev);
}

void vnvme_queue_all_later(struct vnvme *n)
{
	for (unsigned i = 0; i < n->queues; i++)
		__atomic_store_n(&n->cq[i].pending, true, __ATOMIC_RELEASE);
	host_work_queue(&n->dev);
}

/* By the owner, who has come so far; `r` as serve_all's. */
static void settle(struct vnvme *n, struct nvme_cq *c, int r)
{
	if (!vnvme_queue_served(n, c))
		return;
	tell(n, c);
	if (r > 0) {
		vnvme_queue_later(n, c);
	} else if (r == -EINTR || r == -ENOMEM) {
		__atomic_store_n(&c->pending, true, __ATOMIC_RELEASE);
		host_timer_set(&n->dev, NVME_RETRY_TIMER, host_clock_ns(&n->dev) + RETRY_NS);
	} else if (r < 0 && r != -EAGAIN && r != -EPERM) {
		vnvme_fatal(n, "a queue is not in memory");
	}
}

static void kick(struct vnvme *n, struct nvme_cq *c)
{
	unsigned looks = 0;

	if (!vnvme_queue_served(n, c) || !turn_take(&c->turn))
		return;
	settle(n, c, serve_all(n, c));
	while (!turn_give(&c->turn))
		if (looks++ < LOOKS)
			settle(n, c, serve_all(n, c));
		else
			vnvme_queue_later(n, c);
}

void vnvme_queue_kick_all(struct vnvme *n)
{
	for (unsigned i = 0; i < n->queues; i++)
		kick(n, &n->cq[i]);
}

void vnvme_queue_work(struct vdev *d)
{
	struct vnvme *n = vnvme_of(d);

	for (unsigned i = 0; i < n->queues; i++)
		if (__atomic_exchange_n(&n->cq[i].pending, false, __ATOMIC_ACQ_REL))
			kick(n, &n->cq[i]);
}

bool vnvme_queue_is_drained(const struct vnvme *n, const struct nvme_cq *c)
{
	if (!turn_is_free(&c->turn))
		return false;
	for (unsigned i = 0; i < NVME_KEPT_MAX; i++)
		if (__atomic_load_n(&n->kept[i].state, __ATOMIC_ACQUIRE) == KEPT_UNDER_WAY &&
		    n->kept[i].cq == number_of(n, c))
			return false;
	return true;
}
