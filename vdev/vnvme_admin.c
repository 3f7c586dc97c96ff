/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vnvme_parts.h: commands of administration, by the owner of queue 0: other queues, events,
 * doorbells in memory. Those that tell what the controller is are in vnvme_info.c.
 */
#include "vdev/vnvme_parts.h"

#include "include/bits.h"
#include "lib/string.h"
#include "vdev/vpci_msi.h"

#define ADMIN_COST	4		/* as so many pages moved */
#define CONTIGUOUS	1u		/* of dword 11 */
#define INTERRUPTS	2u
#define ENTRY_SIZES	0x00460000u	/* of CC: 64 and 16 bytes */
#define ENTRY_SIZE_BITS	0x00ff0000u

enum {
	ADMIN_DELETE_SQ = 0x00, ADMIN_CREATE_SQ = 0x01, ADMIN_LOG = 0x02, ADMIN_DELETE_CQ = 0x04,
	ADMIN_CREATE_CQ = 0x05, ADMIN_IDENTIFY = 0x06, ADMIN_ABORT = 0x08, ADMIN_SET = 0x09,
	ADMIN_GET = 0x0a, ADMIN_EVENT = 0x0c, ADMIN_DOORBELLS = 0x7c,
};

/* ---- memory ---- */

int vnvme_admin_send(struct vnvme *n, struct nvme_cq *c, const struct nvme_command *cmd,
		     const void *buffer, size_t size)
{
	const uint8_t *from = buffer;
	int err = size ? vnvme_io_pages(n, c, cmd->prp1, cmd->prp2, size) : 0;

	for (unsigned i = 0; size && !err && i < c->count; i++) {
		err = vpci_function_dma_write(&n->function, GPA(c->segment[i].at), from,
					      c->segment[i].size);
		from += c->segment[i].size;
	}
	return err == -EFAULT ? NVME_TRANSFER_ERROR : err;
}

/* ---- errors and events ---- */

void vnvme_admin_error(struct vnvme *n, unsigned sq, const struct nvme_command *cmd,
		       unsigned status)
{
	uint64_t flags = host_lock(&n->dev);

	memmove(n->error + 1, n->error, sizeof(n->error) - sizeof(n->error[0]));
	n->error[0] = (struct nvme_error){
		.number = ++n->error_count, .sq = (uint16_t)sq, .id = cmd ? cmd->id : 0xffff,
		.status = (uint16_t)(status << 1), .nsid = cmd ? cmd->nsid : 0,
		.lba = cmd && sq ? cmd->word[0] | (uint64_t)cmd->word[1] << 32 : 0,
	};
	host_unlock(&n->dev, flags);
}

/* Type, what it is, and the log that has more. */
static const struct {
	uint8_t type, what, log;
} events[NVME_EVENTS] = {
	[EVENT_REGISTER] = { 0, 0, 1 }, [EVENT_VALUE] = { 0, 1, 1 },
	[EVENT_TEMPERATURE] = { 1, 1, 2 },
};

void vnvme_admin_event(struct vnvme *n, enum nvme_event e)
{
	uint64_t flags = host_lock(&n->dev);

	if (n->r.csts & CSTS_READY && vnvme_info_wants(n, e))
		n->s.event_due |= (uint8_t)(1u << e);
	host_unlock(&n->dev, flags);
	vnvme_queue_later(n, n->cq);
}

/* Under the lock: one that is due and not masked; NVME_EVENTS: none. */
static unsigned event_next(const struct vnvme *n)
{
	for (unsigned e = 0; e < NVME_EVENTS; e++)
		if (n->s.event_due >> e & 1 && !(n->s.event_masked >> events[e].type & 1))
			return e;
	return NVME_EVENTS;
}

/* Who waits longest is told; then no more of its type until its log has been read. */
static unsigned event_take(struct vnvme *n, uint16_t *id)
{
	uint64_t flags = host_lock(&n->dev);
	unsigned e = n->s.waiting_count ? event_next(n) : NVME_EVENTS;

	if (e < NVME_EVENTS) {
		*id = n->s.waiting[0];
		n->s.waiting_count--;
		memmove(n->s.waiting, n->s.waiting + 1,
			n->s.waiting_count * sizeof(n->s.waiting[0]));
		n->s.event_due &= (uint8_t)~(1u << e);
		n->s.event_masked |= (uint8_t)(1u << events[e].type);
	}
	host_unlock(&n->dev, flags);
	return e;
}

int vnvme_admin_events(struct vnvme *n, struct nvme_cq *c)
{
	int err = 0;

	while (!err && READ_ONCE(n->s.event_due) && vnvme_queue_room(n, c, &err)) {
		uint16_t id;
		unsigned e = event_take(n, &id);

		if (e == NVME_EVENTS)
			return 0;
		err = vnvme_queue_answer(n, c, 0, id, NVME_OK,
					 events[e].type | (uint32_t)events[e].what << 8 |
						 (uint32_t)events[e].log << 16);
	}
	return err;
}

/* Answered when there is an event. */
static int wait_event(struct vnvme *n, struct nvme_cq *c, const struct nvme_command *cmd,
		      uint32_t *result)
{
	uint64_t flags = host_lock(&n->dev);
	bool room = n->s.waiting_count < NVME_WAITING_MAX;

	(void)result;
	if (room)
		n->s.waiting[n->s.waiting_count++] = cmd->id;
	host_unlock(&n->dev, flags);
	if (!room)
		return NVME_EVENT_LIMIT;
	if (READ_ONCE(n->s.event_due))
		vnvme_queue_later(n, c);
	return NVME_LATER;
}

/* Nothing that is under way can be ended early: the driver is told so. */
static int abort_command(struct vnvme *n, struct nvme_cq *c, const struct nvme_command *cmd,
			 uint32_t *result)
{
	(void)n, (void)c, (void)cmd;
	*result = 1;
	return 0;
}

/* ---- queues ---- */

static bool is_held(struct vdev *d)
{
	struct vnvme *n = vnvme_of(d);

	return vnvme_queue_is_drained(n, &n->cq[n->held]);
}

/* Nobody is in it any more, and nobody comes. */
static void hold(struct vnvme *n, struct nvme_cq *c)
{
	__atomic_store_n(&c->live, false, __ATOMIC_SEQ_CST);
	n->held = (unsigned)(c - n->cq);
	host_wait_until(&n->dev, is_held);
}

/* Unless all are being stopped. */
static void let_go(struct vnvme *n, struct nvme_cq *c)
{
	uint64_t flags = host_lock(&n->dev);

	if (!n->stopping && !(n->r.csts & CSTS_FATAL))
		__atomic_store_n(&c->live, c->size > 0, __ATOMIC_SEQ_CST);
	host_unlock(&n->dev, flags);
	vnvme_queue_later(n, c);
}

static unsigned queue_of(const struct nvme_command *cmd)
{
	return cmd->word[0] & 0xffff;
}

/* What both kinds have; `there`: its size now. */
static int check_new(const struct vnvme *n, const struct nvme_command *cmd, unsigned there)
{
	unsigned size = (cmd->word[0] >> 16) + 1;

	if ((READ_ONCE(n->r.cc) & ENTRY_SIZE_BITS) != ENTRY_SIZES)
		return NVME_INVALID_FIELD;
	if (there)
		return NVME_QUEUE_ID;
	if (size < 2 || size > NVME_ENTRIES_MAX)
		return NVME_QUEUE_SIZE;
	if (!(cmd->word[1] & CONTIGUOUS))
		return NVME_INVALID_FIELD;
	return cmd->prp1 % NVME_PAGE ? NVME_PRP_OFFSET : 0;
}

static bool is_number(const struct vnvme *n, unsigned queue)
{
	return queue && queue < n->queues;
}

static int create_cq(struct vnvme *n, struct nvme_cq *unused, const struct nvme_command *cmd,
		     uint32_t *result)
{
	unsigned i = queue_of(cmd), vector = cmd->word[1] >> 16;
	struct nvme_cq *c;
	int err;

	(void)unused, (void)result;
	if (!is_number(n, i))
		return NVME_QUEUE_ID;
	c = &n->cq[i];
	err = check_new(n, cmd, c->size);
	if (err)
		return err;
	if (vector >= n->queues)
		return NVME_VECTOR;
	c->base = cmd->prp1;
	c->vector = (uint16_t)vector;
	c->interrupts = cmd->word[1] & INTERRUPTS;
	c->head = c->tail = 0;
	c->phase = true;
	c->posted = c->unheard = c->waits = c->stalled = false;
	__atomic_store_n(&c->size, (uint16_t)((cmd->word[0] >> 16) + 1), __ATOMIC_RELEASE);
	let_go(n, c);
	return 0;
}

static int create_sq(struct vnvme *n, struct nvme_cq *unused, const struct nvme_command *cmd,
		     uint32_t *result)
{
	unsigned i = queue_of(cmd), cq = cmd->word[1] >> 16;
	struct nvme_sq *s;
	int err;

	(void)unused, (void)result;
	if (!is_number(n, i))
		return NVME_QUEUE_ID;
	s = &n->sq[i];
	if (!is_number(n, cq) || !n->cq[cq].size)
		return NVME_CQ_INVALID;
	err = check_new(n, cmd, s->size);
	if (err)
		return err;
	s->base = cmd->prp1;
	s->cq = (uint16_t)cq;
	s->head = s->tail = 0;
	__atomic_store_n(&s->size, (uint16_t)((cmd->word[0] >> 16) + 1), __ATOMIC_RELEASE);
	__atomic_fetch_or(&n->cq[cq].queues, 1u << i, __ATOMIC_SEQ_CST);
	vnvme_queue_later(n, &n->cq[cq]);
	return 0;
}

/* What was begun of its commands ends first; what is only kept is forgotten. */
static int delete_sq(struct vnvme *n, struct nvme_cq *unused, const struct nvme_command *cmd,
		     uint32_t *result)
{
	unsigned i = queue_of(cmd);
	struct nvme_sq *s;
	struct nvme_cq *c;

	(void)unused, (void)result;
	if (!is_number(n, i) || !n->sq[i].size)
		return NVME_QUEUE_ID;
	s = &n->sq[i];
	c = &n->cq[s->cq];
	hold(n, c);
	c->queues &= ~(1u << i);
	c->waits &= c->last.queue != i;
	__atomic_store_n(&s->size, 0, __ATOMIC_RELEASE);
	s->head = s->tail = 0;
	vnvme_io_drop(n, i);
	let_go(n, c);
	return 0;
}

static int delete_cq(struct vnvme *n, struct nvme_cq *unused, const struct nvme_command *cmd,
		     uint32_t *result)
{
	unsigned i = queue_of(cmd);
	struct nvme_cq *c;

	(void)unused, (void)result;
	if (!is_number(n, i) || !n->cq[i].size)
		return NVME_QUEUE_ID;
	c = &n->cq[i];
	if (c->queues)
		return NVME_QUEUE_DELETION;
	hold(n, c);
	__atomic_store_n(&c->size, 0, __ATOMIC_RELEASE);
	c->head = c->tail = 0;
	c->posted = c->waits = c->stalled = false;
	if (!vpci_msi_enabled(&n->function))
		vnvme_pin(n);
	return 0;
}

/* ---- doorbells in memory ---- */

/* Whose queues tell by the pin must ring for each completion: then there are none. */
static int set_doorbells(struct vnvme *n, struct nvme_cq *c, const struct nvme_command *cmd,
			 uint32_t *result)
{
	(void)c, (void)result;
	if (!cmd->prp1 || !cmd->prp2 || cmd->prp1 % NVME_PAGE || cmd->prp2 % NVME_PAGE ||
	    !vpci_msi_enabled(&n->function))
		return NVME_INVALID_FIELD;
	__atomic_store_n(&n->s.events, cmd->prp2, __ATOMIC_RELEASE);
	__atomic_store_n(&n->s.shadow, cmd->prp1, __ATOMIC_RELEASE);
	vnvme_queue_all_later(n);
	return 0;
}

/* ---- commands ---- */

static const struct {
	uint8_t opcode;
	/* NVME_LATER: it is answered another time. */
	int (*serve)(struct vnvme *n, struct nvme_cq *c, const struct nvme_command *cmd,
		     uint32_t *result);
} commands[] = {
	{ ADMIN_DELETE_SQ, delete_sq }, { ADMIN_CREATE_SQ, create_sq },
	{ ADMIN_LOG, vnvme_info_log }, { ADMIN_DELETE_CQ, delete_cq },
	{ ADMIN_CREATE_CQ, create_cq }, { ADMIN_IDENTIFY, vnvme_info_identify },
	{ ADMIN_ABORT, abort_command }, { ADMIN_SET, vnvme_info_feature_set },
	{ ADMIN_GET, vnvme_info_feature_get }, { ADMIN_EVENT, wait_event },
	{ ADMIN_DOORBELLS, set_doorbells },
};

static int serve(struct vnvme *n, struct nvme_cq *c, const struct nvme_command *cmd,
		 uint32_t *result)
{
	if (cmd->flags)
		return NVME_INVALID_FIELD;
	for (unsigned i = 0; i < ARRAY_COUNT(commands); i++)
		if (commands[i].opcode == cmd->opcode)
			return commands[i].serve(n, c, cmd, result);
	return NVME_INVALID_OPCODE;
}

int vnvme_admin_serve(struct vnvme *n, struct nvme_cq *c, const struct nvme_command *cmd)
{
	uint32_t result = 0;
	int status = serve(n, c, cmd, &result);

	if (status < 0 || status == NVME_LATER)
		return status < 0 ? status : 1;
	if (status)
		vnvme_admin_error(n, 0, cmd, (unsigned)status);
	return vnvme_queue_answer(n, c, 0, cmd->id, (unsigned)status, result) ?: ADMIN_COST;
}
