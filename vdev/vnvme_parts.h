/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What vdev/vnvme*.c share; for them alone. vnvme.c has registers and life, vnvme_queue.c serves
 * queues, vnvme_io.c does their commands, vnvme_admin.c those of administration, vnvme_info.c
 * knows what the controller tells of itself.
 *
 * Design. A command runs to completion in the exit that rang its doorbell. What is served is a
 * completion queue with the submission queues that belong to it: by one thread at a time, who took
 * its `turn` (vdev/turn.h). No lock is held meanwhile, and nothing is shared by two completion
 * queues but the table of commands that the medium does later. What one exit does is bounded: the
 * rest is the device's work's. A queue that cannot be reached for want of memory is looked at again
 * after a while, one that is not in memory ends the controller (CSTS.CFS) until its reset.
 *
 * Locking. Registers and events are under the device's lock. What is the owner's (o) is read and
 * written by who has the turn, or when nobody can have it: not live, or the VM stands. Only the
 * owner of queue 0 makes and ends other queues; to do so he stops their completion queue and waits
 * until nobody has it.
 */
#pragma once

#include "vdev/vnvme.h"

#define NVME_QUEUES		(VNVME_QUEUES_MAX + 1)
#define NVME_PAGE		4096u	/* the one size of pages */
#define NVME_ENTRIES_MAX	1024u	/* of a queue for I/O */
#define NVME_ADMIN_ENTRIES_MAX	4096u
#define NVME_TRANSFER_LOG	7u	/* of pages: 512 KiB */
#define NVME_TRANSFER_MAX	(NVME_PAGE << NVME_TRANSFER_LOG)
#define NVME_SEGMENTS		(NVME_TRANSFER_MAX / NVME_PAGE + 1)
#define NVME_BLOCK		512u
#define NVME_WINDOW		8u	/* commands that are read at once */
#define NVME_WAITING_MAX	4u	/* requests for events */
#define NVME_ERRORS		4u	/* of the log */
#define NVME_KEPT_MAX		8u
#define NVME_RETRY_TIMER	0

/* Registers' bits. */
#define CC_ENABLE		0x1u
#define CC_WRITABLE		0x00fffff1u
#define CSTS_READY		0x1u
#define CSTS_FATAL		0x2u
#define CSTS_SHUT_DOWN		0x8u
#define CSTS_SHUTDOWN_BITS	0xcu

/* Of completions: the code, its type in bits 8 to 10; DNR: it fails the next time, too. */
#define NVME_DNR		0x4000u
enum nvme_status {
	NVME_OK = 0,
	NVME_INVALID_OPCODE = 0x01 | NVME_DNR, NVME_INVALID_FIELD = 0x02 | NVME_DNR,
	NVME_TRANSFER_ERROR = 0x04 | NVME_DNR,
	NVME_INVALID_NAMESPACE = 0x0b | NVME_DNR, NVME_SEQUENCE = 0x0c | NVME_DNR,
	NVME_PRP_OFFSET = 0x13 | NVME_DNR, NVME_WRITE_PROTECTED = 0x20 | NVME_DNR,
	NVME_LBA_RANGE = 0x80 | NVME_DNR, NVME_CAPACITY = 0x81,
	NVME_CQ_INVALID = 0x100 | NVME_DNR, NVME_QUEUE_ID = 0x101 | NVME_DNR,
	NVME_QUEUE_SIZE = 0x102 | NVME_DNR, NVME_EVENT_LIMIT = 0x105 | NVME_DNR,
	NVME_VECTOR = 0x108 | NVME_DNR, NVME_LOG_PAGE = 0x109 | NVME_DNR,
	NVME_QUEUE_DELETION = 0x10c | NVME_DNR, NVME_NOT_SAVEABLE = 0x10d | NVME_DNR,

	NVME_WRITE_FAULT = 0x280, NVME_READ_ERROR = 0x281,
	NVME_COMPARE_FAILED = 0x285 | NVME_DNR,
	NVME_LATER = 0x10000,		/* no status: the command is not done yet */
};

struct nvme_command {
	uint8_t opcode, flags;
	uint16_t id;
	uint32_t nsid;
	uint64_t unused, metadata;
	uint64_t prp1, prp2;
	uint32_t word[6];		/* dwords 10 to 15 */
};

struct nvme_completion {
	uint32_t result, unused;
	uint16_t head, queue, id;
	uint16_t status;		/* with the phase, bit 0 */
};

_Static_assert(sizeof(struct nvme_command) == 64 && sizeof(struct nvme_completion) == 16,
	       "the driver's layout");

struct nvme_sq {
	uint64_t base;
	uint16_t size;			/* (atomic) 0: there is none */
	uint16_t tail;			/* (atomic) */
	uint16_t head;			/* (o) of its completion queue */
	uint16_t cq;
};

enum nvme_stat { NVME_READS, NVME_READ_BLOCKS, NVME_WRITES, NVME_WRITE_BLOCKS, NVME_STATS };

struct nvme_cq {
	uint64_t base;
	uint16_t size;			/* (atomic) 0: there is none */
	uint16_t head;			/* (atomic) */
	uint16_t vector;
	bool interrupts;
	bool live;			/* (atomic) may be served */
	bool pending;			/* (atomic) the work is to look at it */
	bool stalled;			/* (atomic) its owner waits for room */
	uint8_t turn;			/* (atomic) vdev/turn.h */
	uint32_t queues;		/* (atomic) a bit for each of its submission queues */

	/* (o) */
	uint16_t tail;
	bool phase;
	bool posted;			/* the driver was not told of all */
	bool unheard;			/* shadow doorbells: it knows that it need not tell */
	bool waits;			/* `last` could not be written */
	struct nvme_completion last;
	uint16_t window_sq, window_first, window_count;
	unsigned count;			/* of `segment` */
	uint64_t stat[NVME_STATS];
	struct nvme_command window[NVME_WINDOW];
	struct host_segment segment[NVME_SEGMENTS];
};

/*
 * A command of ranges that are given back or zeroed one by one. The owner of its completion queue
 * has it, but for what the medium does later: then the medium's thread makes it ready again.
 */
enum nvme_kept_state { KEPT_FREE, KEPT_TAKEN, KEPT_READY, KEPT_UNDER_WAY };

struct nvme_kept {
	uint8_t state;			/* (atomic) enum nvme_kept_state */
	bool zero;			/* one range, `first` and `blocks`; else a list of them */
	uint16_t sq, cq, id, status;
	uint16_t index, count;		/* of ranges: how far it has come */
	uint32_t blocks;
	uint64_t first, prp1, prp2;
};

/* Events that a driver may wait for. */
enum nvme_event { EVENT_REGISTER, EVENT_VALUE, EVENT_TEMPERATURE, NVME_EVENTS };

struct nvme_error {
	uint64_t number, lba;
	uint32_t nsid;
	uint16_t sq, id, status;
};

/* What a driver sets by features, one word each. */
enum nvme_setting {
	SETTING_ARBITRATION, SETTING_POWER, SETTING_OVER, SETTING_UNDER, SETTING_RECOVERY,
	SETTING_CACHE, SETTING_COALESCING, SETTING_VECTORS, SETTING_ATOMICITY, SETTING_EVENTS,
	NVME_SETTINGS
};

struct nvme_registers {
	uint32_t cc, csts, aqa, masked;
	uint64_t asq, acq;
};

/* What lasts until a reset of the controller, besides the queues. */
struct nvme_state {
	uint32_t setting[NVME_SETTINGS];
	uint64_t shadow, events;	/* of doorbells; 0: there are none */
	uint16_t waiting[NVME_WAITING_MAX], waiting_count;
	uint8_t event_due, event_masked;	/* bits of events, of their types */
};

struct vnvme {
	struct vdev dev;
	struct vpci_function function;
	unsigned queues;		/* with the first one, of administration */
	uint8_t uuid[16];
	uint64_t blocks;
	bool read_only;
	char name[32];

	struct nvme_registers r;
	struct nvme_state s;
	unsigned stopping;		/* so many wait until nobody serves a queue */
	bool to_power_up;		/* and one of them wants more than the queues ended */
	unsigned held;			/* (o of 0) the queue that is waited for */
	uint64_t error_count;
	struct nvme_error error[NVME_ERRORS];	/* the last ones, newest first */

	unsigned kept_count;		/* (atomic) of those that are not free */
	bool kept_wanted;		/* (atomic) somebody waits for a free one */
	struct nvme_kept kept[NVME_KEPT_MAX];

	uint8_t page[NVME_PAGE];	/* (o of 0) what is sent */
	struct nvme_sq sq[NVME_QUEUES];
	struct nvme_cq *cq;		/* [queues] */
};

static inline struct vnvme *vnvme_of(struct vdev *d)
{
	return container_of(d, struct vnvme, dev);
}

static inline bool vnvme_is_live(const struct nvme_cq *c)
{
	return __atomic_load_n(&c->live, __ATOMIC_SEQ_CST);
}

/* ---- vnvme.c ---- */
void vnvme_pin(struct vnvme *n);	/* as the queues want it; takes the lock */
void vnvme_fatal(struct vnvme *n, const char *why);

/* ---- vnvme_state.c ---- */
void vnvme_state_save(struct vdev *d, struct record_writer *w);
int vnvme_state_load(struct vdev *d, struct record_reader *r, uint32_t version) must_check;

/* ---- vnvme_queue.c; the lock is not held ---- */
void vnvme_queue_bell(struct vnvme *n, unsigned bell, uint32_t value);
void vnvme_queue_kick_all(struct vnvme *n);
/* Somebody is to look at it: for who has a turn himself. */
void vnvme_queue_later(struct vnvme *n, struct nvme_cq *c);
void vnvme_queue_all_later(struct vnvme *n);
void vnvme_queue_work(struct vdev *d);
/* By the owner. The answer to a command, which has left its queue; room is there. */
int vnvme_queue_answer(struct vnvme *n, struct nvme_cq *c, unsigned sq, uint16_t id,
		       unsigned status, uint32_t result) must_check;
bool vnvme_queue_room(struct vnvme *n, struct nvme_cq *c, int *err);
/* Is nobody in it who has come before it was stopped, and nothing of it under way? */
bool vnvme_queue_is_drained(const struct vnvme *n, const struct nvme_cq *c);
static inline bool vnvme_queue_served(const struct vnvme *n, const struct nvme_cq *c)
{
	return likely(vnvme_is_live(c)) && vpci_function_is_master(&n->function);
}

/* ---- vnvme_io.c; by the owner ---- */
/* The command's cost, 1 at least, of some 4 KiB moved each; or an error, and it is tried again. */
int vnvme_io_serve(struct vnvme *n, struct nvme_cq *c, unsigned sq,
		   const struct nvme_command *cmd) must_check;
/* Goes on with commands that are kept; takes what it costs of the budget. */
int vnvme_io_kept(struct vnvme *n, struct nvme_cq *c, int *budget) must_check;
void vnvme_io_drop(struct vnvme *n, unsigned sq);	/* what is kept of that queue */
void vnvme_io_done(struct vdev *d, unsigned medium, uint32_t tag, int error);
/* The segments that a command's pages are, into `c`: 0, a status, or an error. */
int vnvme_io_pages(struct vnvme *n, struct nvme_cq *c, uint64_t prp1, uint64_t prp2,
		   uint64_t size) must_check;

/* ---- vnvme_admin.c; by the owner of queue 0 ---- */
int vnvme_admin_serve(struct vnvme *n, struct nvme_cq *c, const struct nvme_command *cmd)
	must_check;
int vnvme_admin_events(struct vnvme *n, struct nvme_cq *c) must_check;	/* answers those due */
/* Any thread, no lock held: it is told when somebody waits. */
void vnvme_admin_event(struct vnvme *n, enum nvme_event e);
/* For the log of errors, likewise; `cmd` NULL: of no command. */
void vnvme_admin_error(struct vnvme *n, unsigned sq, const struct nvme_command *cmd,
		       unsigned status);
/* `buffer` to where the command's pages are: 0, a status, or an error. */
int vnvme_admin_send(struct vnvme *n, struct nvme_cq *c, const struct nvme_command *cmd,
		     const void *buffer, size_t size) must_check;

/* ---- vnvme_info.c; likewise: a status or an error ---- */
int vnvme_info_identify(struct vnvme *n, struct nvme_cq *c, const struct nvme_command *cmd,
			uint32_t *result) must_check;
int vnvme_info_log(struct vnvme *n, struct nvme_cq *c, const struct nvme_command *cmd,
		   uint32_t *result) must_check;
int vnvme_info_feature_get(struct vnvme *n, struct nvme_cq *c, const struct nvme_command *cmd,
			   uint32_t *result) must_check;
int vnvme_info_feature_set(struct vnvme *n, struct nvme_cq *c, const struct nvme_command *cmd,
			   uint32_t *result) must_check;
bool vnvme_info_wants(const struct vnvme *n, enum nvme_event e);
void vnvme_info_reset(struct vnvme *n);		/* settings to what they are at first; lock held */
bool vnvme_info_settings_valid(const uint32_t *setting);
