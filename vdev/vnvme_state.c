/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vnvme_parts.h: the controller's saved form. Nothing is under way when it is saved: commands
 * that are kept stand between two of their ranges, an answer may wait to be written. What a driver
 * has told of before is looked at again after a load, whatever was noted.
 */
#include "vdev/vnvme_parts.h"

#include "include/bits.h"
#include "lib/string.h"
#include "vdev/vpci_regs.h"

struct saved_cq {
	uint64_t base;
	uint16_t size, head, tail, vector;
	bool interrupts, phase, posted, waits;
	struct nvme_completion last;
};

struct saved {
	struct nvme_registers r;
	struct nvme_state s;
	uint64_t error_count, stat[NVME_STATS];
	struct nvme_error error[NVME_ERRORS];
	struct nvme_kept kept[NVME_KEPT_MAX];
	struct nvme_sq sq[NVME_QUEUES];
	struct saved_cq cq[NVME_QUEUES];
	struct vpci_saved function;
};

/* ---- saving ---- */

static void save_state(const struct vnvme *n, struct record_writer *w)
{
	const struct nvme_state *s = &n->s;

	record_put_u32(w, n->r.cc);
	record_put_u32(w, n->r.csts);
	record_put_u32(w, n->r.aqa);
	record_put_u32(w, n->r.masked);
	record_put_u64(w, n->r.asq);
	record_put_u64(w, n->r.acq);
	for (unsigned i = 0; i < NVME_SETTINGS; i++)
		record_put_u32(w, s->setting[i]);
	record_put_u64(w, s->shadow);
	record_put_u64(w, s->events);
	record_put_u16(w, s->waiting_count);
	for (unsigned i = 0; i < NVME_WAITING_MAX; i++)
		record_put_u16(w, i < s->waiting_count ? s->waiting[i] : 0);
	record_put_u8(w, s->event_due);
	record_put_u8(w, s->event_masked);
}

static void save_errors(const struct vnvme *n, struct record_writer *w)
{
	record_put_u64(w, n->error_count);
	for (unsigned i = 0; i < NVME_ERRORS; i++) {
		const struct nvme_error *e = &n->error[i];

		record_put_u64(w, e->number);
		record_put_u64(w, e->lba);
		record_put_u32(w, e->nsid);
		record_put_u16(w, e->sq);
		record_put_u16(w, e->id);
		record_put_u16(w, e->status);
	}
}

static void save_kept(const struct nvme_kept *k, struct record_writer *w)
{
	record_put_bool(w, k->state != KEPT_FREE);
	if (k->state == KEPT_FREE)
		return;
	record_put_bool(w, k->zero);
	record_put_u16(w, k->sq);
	record_put_u16(w, k->id);
	record_put_u16(w, k->status);
	record_put_u16(w, k->index);
	record_put_u16(w, k->count);
	record_put_u32(w, k->blocks);
	record_put_u64(w, k->first);
	record_put_u64(w, k->prp1);
	record_put_u64(w, k->prp2);
}

/* A doorbell that was rung for an older and larger queue is none. */
static void save_sq(const struct nvme_sq *s, struct record_writer *w)
{
	record_put_u64(w, s->base);
	record_put_u16(w, s->size);
	record_put_u16(w, s->size ? s->head : 0);
	record_put_u16(w, s->tail < s->size ? s->tail : 0);
	record_put_u16(w, s->cq);
}

static void save_cq(const struct nvme_cq *c, struct record_writer *w)
{
	record_put_u64(w, c->base);
	record_put_u16(w, c->size);
	record_put_u16(w, c->head < c->size ? c->head : 0);
	record_put_u16(w, c->tail);
	record_put_u16(w, c->vector);
	record_put_bool(w, c->interrupts);
	record_put_bool(w, c->phase);
	record_put_bool(w, c->posted);
	record_put_bool(w, c->waits);
	if (!c->waits)
		return;
	record_put_u32(w, c->last.result);
	record_put_u16(w, c->last.head);
	record_put_u16(w, c->last.queue);
	record_put_u16(w, c->last.id);
	record_put_u16(w, c->last.status);
}

void vnvme_state_save(struct vdev *d, struct record_writer *w)
{
	struct vnvme *n = vnvme_of(d);

	save_state(n, w);
	save_errors(n, w);
	for (unsigned i = 0; i < NVME_STATS; i++) {
		uint64_t sum = 0;

		for (unsigned q = 0; q < n->queues; q++)
			sum += n->cq[q].stat[i];
		record_put_u64(w, sum);
	}
	for (unsigned i = 0; i < NVME_KEPT_MAX; i++)
		save_kept(&n->kept[i], w);
	for (unsigned i = 0; i < n->queues; i++) {
		save_sq(&n->sq[i], w);
		save_cq(&n->cq[i], w);
	}
	vpci_function_save(&n->function, w);
}

/* ---- reading ---- */

static void read_state(struct record_reader *r, struct saved *to)
{
	struct nvme_state *s = &to->s;

	to->r.cc = record_get_u32(r);
	to->r.csts = record_get_u32(r);
	to->r.aqa = record_get_u32(r);
	to->r.masked = record_get_u32(r);
	to->r.asq = record_get_u64(r);
	to->r.acq = record_get_u64(r);
	for (unsigned i = 0; i < NVME_SETTINGS; i++)
		s->setting[i] = record_get_u32(r);
	s->shadow = record_get_u64(r);
	s->events = record_get_u64(r);
	s->waiting_count = (uint16_t)record_get_below(r, 2, NVME_WAITING_MAX);
	for (unsigned i = 0; i < NVME_WAITING_MAX; i++)
		s->waiting[i] = (uint16_t)record_get_below(r, 2, i < s->waiting_count ? 0xffff : 0);
	s->event_due = (uint8_t)record_get_below(r, 1, (1u << NVME_EVENTS) - 1);
	s->event_masked = (uint8_t)record_get_below(r, 1, 3);
}

static void read_errors(struct record_reader *r, struct saved *s)
{
	s->error_count = record_get_u64(r);
	for (unsigned i = 0; i < NVME_ERRORS; i++) {
		struct nvme_error *e = &s->error[i];

		e->number = record_get_u64(r);
		e->lba = record_get_u64(r);
		e->nsid = record_get_u32(r);
		e->sq = record_get_u16(r);
		e->id = record_get_u16(r);
		e->status = record_get_u16(r);
	}
}

static void read_kept(struct record_reader *r, struct nvme_kept *k)
{
	*k = (struct nvme_kept){ .state = record_get_bool(r) ? KEPT_READY : KEPT_FREE };
	if (k->state == KEPT_FREE)
		return;
	k->zero = record_get_bool(r);
	k->sq = (uint16_t)record_get_below(r, 2, VNVME_QUEUES_MAX);
	k->id = record_get_u16(r);
	k->status = (uint16_t)record_get_below(r, 2, 0x7fff);
	k->index = record_get_u16(r);
	k->count = (uint16_t)record_get_below(r, 2, k->zero ? 1 : 256);
	k->blocks = record_get_u32(r);
	k->first = record_get_u64(r);
	k->prp1 = record_get_u64(r);
	k->prp2 = record_get_u64(r);
}

static void read_sq(struct record_reader *r, struct nvme_sq *s)
{
	s->base = record_get_u64(r);
	s->size = record_get_u16(r);
	s->head = record_get_u16(r);
	s->tail = record_get_u16(r);
	s->cq = record_get_u16(r);
}

static void read_cq(struct record_reader *r, struct saved_cq *c)
{
	c->base = record_get_u64(r);
	c->size = record_get_u16(r);
	c->head = record_get_u16(r);
	c->tail = record_get_u16(r);
	c->vector = record_get_u16(r);
	c->interrupts = record_get_bool(r);
	c->phase = record_get_bool(r);
	c->posted = record_get_bool(r);
	c->waits = record_get_bool(r);
	c->last = (struct nvme_completion){ 0 };
	if (!c->waits)
		return;
	c->last.result = record_get_u32(r);
	c->last.head = record_get_u16(r);
	c->last.queue = record_get_u16(r);
	c->last.id = record_get_u16(r);
	c->last.status = record_get_u16(r);
}

/* ---- is it a state that a controller can be in? ---- */

static bool registers_valid(const struct nvme_registers *r)
{
	bool enabled = r->cc & CC_ENABLE;

	return !(r->cc & ~CC_WRITABLE) && !(r->aqa & ~0x0fff0fffu) && !(r->asq % NVME_PAGE) &&
	       !(r->acq % NVME_PAGE) &&
	       !(r->csts & ~(CSTS_READY | CSTS_FATAL | CSTS_SHUT_DOWN)) &&
	       (enabled ? r->csts & (CSTS_READY | CSTS_FATAL) : !(r->csts & CSTS_READY));
}

static bool state_valid(const struct saved *s)
{
	const struct nvme_state *t = &s->s;

	return vnvme_info_settings_valid(t->setting) && !(t->shadow % NVME_PAGE) &&
	       !(t->events % NVME_PAGE) && !t->shadow == !t->events &&
	       (s->r.csts & CSTS_READY ||
		!(t->shadow || t->waiting_count || t->event_due || t->event_masked));
}

static bool size_valid(unsigned queue, unsigned size)
{
	return size >= 2 && size <= (queue ? NVME_ENTRIES_MAX : NVME_ADMIN_ENTRIES_MAX);
}

static bool sq_valid(const struct vnvme *n, const struct saved *s, unsigned i)
{
	const struct nvme_sq *q = &s->sq[i];

	if (!q->size)
		return !q->head && !q->tail && q->cq < n->queues;
	return size_valid(i, q->size) && !(q->base % NVME_PAGE) && q->head < q->size &&
	       q->tail < q->size && q->cq < n->queues && !q->cq == !i && s->cq[q->cq].size;
}

static bool cq_valid(const struct vnvme *n, const struct saved *s, unsigned i)
{
	const struct saved_cq *c = &s->cq[i];

	if (!c->size)
		return !c->head && !c->tail && !c->posted && !c->waits &&
		       c->vector < n->queues;
	return size_valid(i, c->size) && !(c->base % NVME_PAGE) && c->head < c->size &&
	       c->tail < c->size && c->vector < n->queues && c->last.queue < n->queues;
}

/* Of queue 0 both are there when the controller is ready, and without it there are none. */
static bool queues_valid(const struct vnvme *n, const struct saved *s)
{
	bool ready = s->r.csts & CSTS_READY;

	if (ready != !!s->sq[0].size || ready != !!s->cq[0].size)
		return false;
	for (unsigned i = 0; i < n->queues; i++)
		if (!sq_valid(n, s, i) || !cq_valid(n, s, i) ||
		    (!ready && (s->sq[i].size || s->cq[i].size)))
			return false;
	return true;
}

static bool kept_valid(const struct vnvme *n, const struct nvme_kept *k, const struct saved *s)
{
	return k->state == KEPT_FREE ||
	       (k->sq && k->sq < n->queues && s->sq[k->sq].size && k->count &&
		k->index <= k->count && !(k->prp1 % 4));
}

static bool is_right(const struct vnvme *n, const struct saved *s)
{
	if (!registers_valid(&s->r) || !state_valid(s) || !queues_valid(n, s))
		return false;
	for (unsigned i = 0; i < NVME_KEPT_MAX; i++)
		if (!kept_valid(n, &s->kept[i], s))
			return false;
	return true;
}

/* ---- loading ---- */

static void read_all(struct vnvme *n, struct record_reader *r, struct saved *s)
{
	read_state(r, s);
	read_errors(r, s);
	for (unsigned i = 0; i < NVME_STATS; i++)
		s->stat[i] = record_get_u64(r);
	for (unsigned i = 0; i < NVME_KEPT_MAX; i++)
		read_kept(r, &s->kept[i]);
	for (unsigned i = 0; i < n->queues; i++) {
		read_sq(r, &s->sq[i]);
		read_cq(r, &s->cq[i]);
	}
	vpci_function_read(&n->function, r, &s->function);
}

static void commit_cq(struct nvme_cq *c, const struct saved_cq *s, bool live)
{
	c->base = s->base;
	c->size = s->size;
	c->head = s->head;
	c->tail = s->tail;
	c->vector = s->vector;
	c->interrupts = s->interrupts;
	c->phase = s->phase;
	c->posted = s->posted;
	c->waits = s->waits;
	c->last = s->last;
	c->stalled = c->unheard = false;
	c->queues = 0;
	memset(c->stat, 0, sizeof(c->stat));
	c->live = live && s->size;
}

/* Lock held. */
static void commit(struct vnvme *n, const struct saved *s)
{
	bool live = !(s->r.csts & CSTS_FATAL);

	n->r = s->r;
	n->s = s->s;
	n->error_count = s->error_count;
	memcpy(n->error, s->error, sizeof(n->error));
	memcpy(n->sq, s->sq, sizeof(n->sq));
	for (unsigned i = 0; i < n->queues; i++)
		commit_cq(&n->cq[i], &s->cq[i], live);
	for (unsigned i = 0; i < n->queues; i++)
		if (s->sq[i].size)
			n->cq[s->sq[i].cq].queues |= 1u << i;
	memcpy(n->cq[0].stat, s->stat, sizeof(s->stat));
	memcpy(n->kept, s->kept, sizeof(n->kept));
	n->kept_count = 0;
	n->kept_wanted = false;
	for (unsigned i = 0; i < NVME_KEPT_MAX; i++) {
		n->kept[i].cq = n->sq[n->kept[i].sq].cq;
		n->kept_count += n->kept[i].state != KEPT_FREE;
	}
}

int vnvme_state_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vnvme *n = vnvme_of(d);
	struct saved *s = host_alloc(sizeof(*s));
	uint64_t flags;

	if (!s)
		return -ENOMEM;
	read_all(n, r, s);
	if (version != d->ops->version || record_finish(r) || !is_right(n, s)) {
		host_free(s);
		return -EINVAL;
	}
	flags = host_lock(d);
	commit(n, s);
	host_timer_cancel(d, NVME_RETRY_TIMER);
	host_unlock(d, flags);
	vpci_function_commit(&n->function, &s->function);
	host_free(s);
	vnvme_queue_all_later(n);
	return 0;
}
