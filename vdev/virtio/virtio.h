/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What all virtio devices have in common: features, status, queues, and who serves a queue when.
 * A kind (virtio_blk, virtio_rng) is a table of features and a function that does one request; a
 * transport (virtio_pci) shows the registers and carries interrupts. "Virtual I/O Device (VIRTIO)"
 * 1.2, Basic Facilities of a Virtio Device.
 *
 * Design. A request runs to completion in the exit that told of it. Each queue is served by one
 * thread at a time, who took its `turn`; whoever comes meanwhile leaves a note there and goes, and
 * the owner looks again. No lock is held, and none is shared by queues. What one exit may do is
 * bounded: the rest is the device's work's, in a thread. A ring that is bent is its own device's
 * end, until the driver resets it; a ring or buffer that cannot be reached for want of memory is
 * looked at again after a while.
 *
 * Locking. Registers are under the device's lock. What is the owner's (o) is read and written by
 * who has the turn, or when nobody can have it: not live, or the VM stands.
 */
#pragma once

#include "vdev/host.h"

#define VIRTIO_QUEUES_MAX	16u
#define VIRTIO_QUEUE_SIZE	256u		/* entries, at most */
#define VIRTIO_CONFIG_MAX	64u
#define VIRTIO_ALL_QUEUES	(~0u)
#define VIRTIO_NEEDS_BIT_0	64u	/* of virtio_feature.needs */

enum virtio_status {
	VIRTIO_ACKNOWLEDGE = 0x01, VIRTIO_DRIVER = 0x02, VIRTIO_DRIVER_OK = 0x04,
	VIRTIO_FEATURES_OK = 0x08, VIRTIO_NEEDS_RESET = 0x40, VIRTIO_FAILED = 0x80,
};

/* Bits of features that every kind has. */
enum {
	VIRTIO_ANY_LAYOUT = 27, VIRTIO_INDIRECT = 28, VIRTIO_EVENT_IDX = 29,
	VIRTIO_VERSION_1 = 32, VIRTIO_PACKED = 34, VIRTIO_NOTIFICATION_DATA = 38,
	VIRTIO_RING_RESET = 40,
};

struct virtio_feature {
	uint8_t bit, needs;		/* another bit; 0: none, VIRTIO_NEEDS_BIT_0: bit 0 */
};

/* A request: guest memory that the device reads, then guest memory that it writes. */
struct virtio_chain {
	uint16_t id;			/* what the driver knows it by */
	uint16_t slots;			/* descriptors that it takes of the ring */
	uint16_t descriptors;		/* all of them, counted against loops */
	uint16_t readable, count;	/* of `segment`; the others are to be written */
	uint64_t read_size, write_size;	/* bytes in all */
	struct host_segment segment[VIRTIO_QUEUE_SIZE];
};

/* Sixteen bytes of a table, in either format. */
struct virtio_descriptor {
	uint64_t at;
	uint32_t size;
	uint16_t word[2];		/* split: flags, next; packed: id, flags */
};

#define VIRTIO_WINDOW	8u		/* descriptors that are read at once */
#define VIRTIO_HEADS	8u		/* of a split ring's available entries, likewise */

struct virtio;
struct virtio_queue;
struct virtio_ring;			/* a format: vdev/virtio/virtio_ring.h */

/* What is saved of a queue. */
struct virtio_queue_state {
	/* Registers; they do not change while it is enabled. */
	bool enabled;
	bool broken;			/* until a reset */
	uint16_t size, vector;
	uint64_t desc, driver, device;	/* guest addresses of its three parts */
	/* (o) */
	uint16_t avail, used;		/* split: running indices; packed: places */
	bool avail_wrap, used_wrap;	/* packed */
	uint16_t pushed;		/* entries that the driver was not told of */
};

struct virtio_queue {
	struct virtio_queue_state s;
	bool live;			/* (atomic) may be served */
	bool resetting;			/* it alone is being reset */
	bool pending;			/* (atomic) the work is to look at it */
	uint8_t turn;			/* (atomic) who serves it: vdev/turn.h */

	/* (o) */
	const struct virtio_ring *ring;
	uint16_t seen;			/* split: the driver's index when it was read last */
	uint16_t head_first, head_count;
	uint16_t head[VIRTIO_HEADS];
	/* Entries that begin chains, in `ahead`; packed: so many behind them are available. */
	unsigned ahead_first, ahead_count, ahead_seen;
	struct virtio_descriptor ahead[VIRTIO_HEADS];
	uint64_t window_table;
	unsigned window_first, window_count;
	struct virtio_descriptor window[VIRTIO_WINDOW];
	struct virtio_chain chain;
};

struct virtio_kind {
	const char *name;
	uint16_t id;			/* virtio's number for it */
	uint16_t pci_id;		/* of PCI, as a device with the older interface too */
	const struct virtio_feature *feature;
	unsigned feature_count;
	/*
	 * Does what q->chain asks for, by the owner: pushes or keeps it (virtio_push, virtio_take)
	 * and returns what it cost of the exit's budget, 1 at least: some 4 KiB moved each.
	 * -EAGAIN: the chain waits, and the queue is kicked when it should be tried again; else
	 * errors of host_mem_*.
	 */
	int (*serve)(struct virtio *v, struct virtio_queue *q);
	/* Optional, likewise: pushes what was kept and is done. */
	int (*finish)(struct virtio *v, struct virtio_queue *q);
	/* Optional: is anything of the queue under way that was kept? Any thread. */
	bool (*busy)(struct virtio *v, const struct virtio_queue *q);
	/* Its own state and what it offers (v->offered, v->config); nothing is under way. */
	void (*reset)(struct virtio *v);
	void (*queue_reset)(struct virtio *v, unsigned queue);	/* optional */
	const uint8_t *config_writable;	/* optional: bits that a driver may change */
	const uint8_t *config_varies;	/* optional: further ones that the device does */
	/* Optional: the driver has written its configuration; thread context. */
	void (*config_written)(struct virtio *v, uint64_t offset, unsigned size, uint64_t value);
	/* Optional: see vdev/host.h; 0 is not the kind's. */
	void (*timer)(struct virtio *v, unsigned timer);
	void (*media_input)(struct vdev *d, unsigned medium);
	void (*media_done)(struct vdev *d, unsigned medium, uint32_t tag, int error);
	int (*media_frame)(struct vdev *d, unsigned medium, const struct host_frame *f);
	void (*media_link)(struct vdev *d, unsigned medium);
	/* Optional. */
	void (*save)(struct virtio *v, struct record_writer *w);
	/* Reads into a place of its own and checks; commit follows if all is right. */
	int (*load)(struct virtio *v, struct record_reader *r);
	void (*commit)(struct virtio *v);
	void (*destroy)(struct virtio *v);	/* optional: what it has allocated besides */
};

struct virtio_transport {
	/* The driver is to look at the queue, or at the device (queue NULL). Any thread. */
	void (*interrupt)(struct virtio *v, struct virtio_queue *q);
	bool (*may_dma)(const struct virtio *v);
};

struct virtio {
	struct vdev dev;
	const struct virtio_kind *kind;
	const struct virtio_transport *transport;
	void *bus;			/* the transport's own */
	unsigned queue_count;
	uint64_t offered;
	uint8_t config[VIRTIO_CONFIG_MAX];
	unsigned config_size;

	/* registers */
	uint8_t status;
	uint32_t device_select, driver_select;
	uint16_t queue_select, config_vector;
	uint64_t accepted;
	bool stopping;			/* a reset waits for the owners */
	bool legacy;			/* its driver uses the older interface, until a reset */

	struct virtio_queue *queue;
};

#define VIRTIO_NO_VECTOR	0xffffu

/* Allocates the queues; `v` is zeroed, its kind and queue_count are set. */
int virtio_init(struct virtio *v) must_check;
void virtio_destroy(struct virtio *v);		/* what the kind has allocated begins with it */

/* ---- for kinds ---- */

static inline bool virtio_has(const struct virtio *v, unsigned feature)
{
	return v->accepted >> feature & 1;
}

/* The chain is off the ring; the kind answers for its id and slots. */
void virtio_take(struct virtio_queue *q);
/* A chain comes back, `written` bytes of its memory having been written without a gap. */
int virtio_push(struct virtio *v, struct virtio_queue *q, uint16_t id, uint16_t slots,
		uint32_t written) must_check;
/* Of q->chain, which leaves the ring if this succeeds. */
int virtio_done(struct virtio *v, struct virtio_queue *q, uint32_t written) must_check;
/* Bytes from the start of what the device reads; they are there. */
int virtio_chain_read(struct virtio *v, const struct virtio_chain *c, void *dst,
		      size_t n) must_check;
int virtio_chain_read_at(struct virtio *v, const struct virtio_chain *c, uint64_t offset,
			 void *dst, size_t n) must_check;
/* Bytes to the start of what the device writes, for which there is room. */
int virtio_chain_write(struct virtio *v, const struct virtio_chain *c, const void *src,
		       size_t n) must_check;
/* The work is to look at the queue; any context. */
void virtio_ask(struct virtio *v, unsigned queue);

/*
 * For who brings something to a queue that he does not own, in any thread. enter: it is live, and
 * nobody else has it: it is ours until leave, which tells the driver what was pushed and takes an
 * error as serve's. Between them next says 1 if q->chain is the next chain, 0 if there is none, or
 * an error.
 */
bool virtio_enter(struct virtio *v, struct virtio_queue *q) must_check;
int virtio_next(struct virtio *v, struct virtio_queue *q) must_check;
void virtio_leave(struct virtio *v, struct virtio_queue *q, int error);

/* A chain that was taken. */
struct virtio_used {
	uint16_t id, slots;
	uint32_t written;
};

/* Several that belong together: the driver sees the first one last. -EIO: only a reset helps. */
int virtio_push_all(struct virtio *v, struct virtio_queue *q, const struct virtio_used *u,
		    unsigned n) must_check;
/* What was taken since `before` is on the ring again. */
void virtio_untake(struct virtio_queue *q, const struct virtio_queue_state *before);

/* ---- for transports; the device's lock is not held ---- */

/* There is something in the queue, or in any of them, says the driver. */
void virtio_kick(struct virtio *v, unsigned queue);
void virtio_status_write(struct virtio *v, uint8_t value);
uint32_t virtio_features_read(const struct virtio *v, bool driver);
void virtio_features_write(struct virtio *v, uint32_t value);
/* Those of the selected queue; NULL: there is none, and writes vanish. */
struct virtio_queue *virtio_selected(struct virtio *v);
void virtio_queue_enable(struct virtio *v);
void virtio_queue_reset(struct virtio *v);
/*
 * What drivers of the older interface (0.9) do; they know the low 32 features, and place a queue by
 * the number of its first page; 0 stops it.
 */
void virtio_legacy_features(struct virtio *v, uint32_t value);
void virtio_legacy_status(struct virtio *v, uint8_t value);
void virtio_legacy_queue(struct virtio *v, uint32_t page);
uint32_t virtio_legacy_page(struct virtio *v);
uint64_t virtio_config_read(const struct virtio *v, uint64_t offset, unsigned size);
void virtio_config_write(struct virtio *v, uint64_t offset, unsigned size, uint64_t value);

void virtio_reset(struct virtio *v);
void virtio_work(struct vdev *d);
void virtio_timer(struct vdev *d, unsigned timer);
void virtio_save(struct virtio *v, struct record_writer *w);

/* A state that was read and is right; commit makes it the device's. */
struct virtio_saved;
int virtio_load(struct virtio *v, struct record_reader *r, struct virtio_saved **out) must_check;
void virtio_commit(struct virtio *v, struct virtio_saved *s);	/* frees it */
