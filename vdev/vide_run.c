/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vide_channel.h: the work, a piece of a channel's command each turn. What it needs is copied
 * under the lock; what came of it is told under the lock, unless the command is not wanted any
 * more. A PRD table is read a window at a time; one that is too short leaves its command waiting,
 * without an interrupt, as the chip does.
 */
#include "vdev/vide_channel.h"

#include "include/bits.h"
#include "lib/string.h"
#include "vdev/vprd.h"

#define STEPS		16		/* pieces of one call of the work */
#define RETRY_NS	10000000ul
#define ENTRY_BYTES	0xfffeu
#define ENTRY_LAST	0x80000000u

static struct ide_channel *channel_of(struct vide *v)
{
	return &v->channel[v->run.channel];
}

/* ---- guest memory by the PRD table ---- */

static uint64_t entry_size(const struct ide_entry *e)
{
	return (e->size & ENTRY_BYTES) ?: 0x10000;
}

/* The guest may have made the first one smaller than what it had of it. */
static uint64_t left_of(const struct ide_run *r, unsigned i)
{
	uint64_t size = entry_size(&r->window[i]), skip = i ? 0 : r->skip;

	return size > skip ? size - skip : 0;
}

/* So many bytes of the window are dealt with. */
static void advance(struct ide_run *r, uint64_t n)
{
	r->moved += n;
	if (!n)
		return;
	for (unsigned i = 0; n; i++) {
		uint64_t left = left_of(r, i);

		if (n < left) {
			r->skip = (i ? 0 : r->skip) + (uint32_t)n;
			return;
		}
		n -= left;
		r->entry++;
		r->ended = r->window[i].size & ENTRY_LAST;
	}
	r->skip = 0;
}

/* Up to `want` bytes, whole granules; *got 0: the table has no more. */
static int gather(struct vide *v, uint64_t want, unsigned granule, uint64_t *got)
{
	struct ide_run *r = &v->run;
	unsigned n = MIN(IDE_TABLE - MIN(r->entry, IDE_TABLE), IDE_WINDOW);
	uint64_t sum = 0;
	int err = 0;

	if (n)
		err = vpci_function_dma_read(&v->function,
			GPA(r->table + (uint64_t)r->entry * sizeof(r->window[0])), r->window,
			n * sizeof(r->window[0]));
	r->segments = 0;
	for (unsigned i = 0; !err && i < n && sum < want; i++) {
		uint64_t skip = i ? 0 : r->skip, size = MIN(left_of(r, i), want - sum);

		r->segment[r->segments++] = (struct host_segment){
			(r->window[i].at & ~1u) + skip, size,
		};
		sum += size;
		if (r->window[i].size & ENTRY_LAST)
			break;
	}
	*got = vprd_round_down(r->segment, &r->segments, sum, granule);
	return err;
}

/* ---- a piece; no lock ---- */

static int submit(struct vide *v, struct host_media_request *m)
{
	const struct ide_channel *c = channel_of(v);

	return host_media_submit(&v->dev, v->run.channel * VIDE_UNITS + c->second, m);
}

static int fetch_or_store(struct vide *v)
{
	struct ide_run *r = &v->run;
	int err = submit(v, &(struct host_media_request){
		.op = r->phase == IDE_STORE ? HOST_MEDIA_WRITE : HOST_MEDIA_READ,
		.offset = r->offset, .size = r->want, .data = channel_of(v)->data,
	});

	if (!err)
		r->moved = r->want;
	return err;
}

static int flush(struct vide *v)
{
	return submit(v, &(struct host_media_request){ .op = HOST_MEDIA_FLUSH });
}

/* From the channel's buffer to the guest. */
static int answer(struct vide *v)
{
	struct ide_run *r = &v->run;
	const uint8_t *from = channel_of(v)->data + r->offset;
	uint64_t got;
	int err = gather(v, r->want, 1, &got);

	for (unsigned i = 0; !err && got && i < r->segments; from += r->segment[i++].size)
		err = vpci_function_dma_write(&v->function, GPA(r->segment[i].at), from,
					      r->segment[i].size);
	if (!err)
		advance(r, got);
	return err;
}

static int transfer(struct vide *v)
{
	struct ide_run *r = &v->run;
	struct host_media_request m = {
		.op = r->what == VATA_WRITE ? HOST_MEDIA_WRITE : HOST_MEDIA_READ,
		.offset = r->offset, .segment = r->segment,
	};
	int err = gather(v, r->want, HOST_MEDIA_BLOCK, &m.size);

	if (err || !m.size)
		return err;
	m.count = r->segments;
	if (!vpci_function_is_master(&v->function))
		return -EPERM;
	err = submit(v, &m);
	if (!err)
		advance(r, m.size);
	return err;
}

static int step(struct vide *v)
{
	switch (v->run.phase) {
	case IDE_FETCH:
	case IDE_STORE:
		return fetch_or_store(v);
	case IDE_FLUSH:
		return flush(v);
	default:
		return v->run.what == VATA_ANSWER ? answer(v) : transfer(v);
	}
}

/* ---- whose turn it is; lock held ---- */

static bool wants(struct vide *v, const struct ide_channel *c)
{
	if (c->phase != IDE_DMA)
		return c->phase > IDE_DMA;
	return c->master_status & MASTER_ACTIVE && vpci_function_is_master(&v->function);
}

static void copy(struct vide *v, struct ide_channel *c)
{
	struct ide_run *r = &v->run;
	const struct vata_operation *op = &c->op;
	uint64_t left = op->size - c->moved;

	r->channel = (uint8_t)(c - v->channel);
	r->phase = c->phase;
	r->what = (uint8_t)op->what;
	r->round = c->round;
	r->table = c->table;
	r->entry = c->entry;
	r->skip = c->skip;
	r->moved = 0;
	r->ended = false;
	r->offset = op->what == VATA_ANSWER ? c->at : op->offset + c->moved;
	r->want = op->what == VATA_ANSWER ? c->end - c->at
		: c->phase == IDE_STORE	  ? c->block
		: MIN(left, c->phase == IDE_FETCH ? IDE_BUFFER : IDE_PIECE);
}

/* False: there is nothing to do now. */
static bool take_turn(struct vide *v)
{
	for (unsigned i = 1; i <= VIDE_CHANNELS; i++) {
		struct ide_channel *c = &v->channel[(v->run.channel + i) % VIDE_CHANNELS];

		if (!wants(v, c))
			continue;
		if (c->op.what == VATA_READ &&
		    vata_disc_gone(&vide_unit(c)->drive, &c->op)) {
			vide_complete(v, c);
			continue;
		}
		copy(v, c);
		v->stepping = true;
		v->steps++;
		return true;
	}
	return false;
}

/* The whole command has been done; but a write may want more. */
static void finish(struct vide *v, struct ide_channel *c)
{
	if (c->op.flush && c->phase != IDE_FLUSH) {
		c->phase = IDE_FLUSH;
		vide_unit(c)->status = VATA_STATUS_BUSY;
	} else {
		vide_complete(v, c);
	}
}

static void settle_dma(struct vide *v, struct ide_channel *c)
{
	const struct ide_run *r = &v->run;
	bool is_answer = c->op.what == VATA_ANSWER;

	c->entry = r->entry;
	c->skip = r->skip;
	if (is_answer)
		c->at += (uint32_t)r->moved;
	else
		c->moved += r->moved;
	if (r->ended || !r->moved)
		c->master_status &= (uint8_t)~MASTER_ACTIVE;
	if (is_answer ? c->at == c->end : c->moved == c->op.size)
		finish(v, c);
}

static void settle_piece(struct vide *v, struct ide_channel *c)
{
	const struct ide_run *r = &v->run;

	if (r->phase == IDE_DMA) {
		settle_dma(v, c);
		return;
	}
	c->moved += r->moved;
	if (r->phase == IDE_FETCH) {
		c->at = 0;
		c->end = (uint32_t)r->moved;
		vide_give_block(v, c);
	} else if (r->phase == IDE_STORE && c->moved < c->op.size) {
		vide_take_block(c);
		vide_raise(v, c);
	} else {
		finish(v, c);
	}
}

static void fail(struct vide *v, struct ide_channel *c, int err)
{
	if (err == -EFAULT) {
		c->master_status |= MASTER_ERROR;
		c->master_status &= (uint8_t)~MASTER_ACTIVE;
	}
	vata_failed(&vide_unit(c)->drive, &c->op,
		    c->op.what == VATA_READ ? VATA_ERROR_MEDIUM : VATA_ERROR_ABORT);
	vide_complete(v, c);
}

/* What came of it; false: the work is to rest. */
static bool settle(struct vide *v, int err)
{
	struct ide_channel *c = channel_of(v);

	v->stepping = false;
	if (c->note) {
		vide_noted(c);
		return true;
	}
	if (c->round != v->run.round)
		return true;
	if (!err) {
		settle_piece(v, c);
		return true;
	}
	if (err == -EPERM && c->phase == IDE_DMA && !vpci_function_is_master(&v->function))
		return true;			/* it waits, and the other channel may not */
	if (err == -EINTR || err == -EAGAIN) {
		host_timer_set(&v->dev, IDE_RETRY_TIMER, host_clock_ns(&v->dev) + RETRY_NS);
		return false;
	}
	fail(v, c, err);
	return true;
}

void vide_run_work(struct vdev *d)
{
	struct vide *v = vide_of(d);
	bool more = true;

	for (unsigned i = 0; more && i < STEPS; i++) {
		uint64_t flags = host_lock(d);
		int err;

		more = take_turn(v);
		host_unlock(d, flags);
		if (!more)
			return;
		err = step(v);
		flags = host_lock(d);
		more = settle(v, err);
		host_unlock(d, flags);
	}
	if (more)
		host_work_queue(d);
}
