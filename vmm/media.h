/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Media: what stands behind the numbers of vdev/host.h's media. One struct media per device and
 * number, made with the machine; each kind is a row of functions. A transfer is done at once, in
 * the thread that asks for it, by gmem's copies, which pin what they touch and mark what they
 * write. What may take long without guest memory (giving a large range back) is done later, piece
 * by piece, by a thread of Keel's, and told by the device's media_done; whoever stops the VM waits
 * for that. Locks: `lock` (LOCK_LEAF), the queue of what is done later.
 */
#pragma once

#include "cpu/spinlock.h"
#include "kernel/mutex.h"
#include "kernel/work.h"
#include "vdev/host.h"

struct media;
struct vdev_host;
struct vm;

#define MEDIA_LATER_MAX	8		/* requests of one medium that are done later */
#define MEDIA_AT_ONCE	(4ul << 20)	/* bytes that are cleared in one piece */

struct media_ops {
	/* A console; NULL: not one. */
	size_t (*put)(struct media *m, const void *data, size_t n);
	size_t (*get)(struct media *m, void *data, size_t n);
	/*
	 * A disk; NULL: not one. Ranges lie within it and are multiples of HOST_MEDIA_BLOCK, but
	 * those of transfer and copy, a part's; errors as host_media_submit's.
	 */
	int (*transfer)(struct media *m, struct vm *vm, bool write, uint64_t offset,
			struct host_segment s);
	/* The same with Keel's memory. */
	int (*copy)(struct media *m, bool write, uint64_t offset, void *data, uint64_t n);
	int (*flush)(struct media *m);
	/* At most MEDIA_AT_ONCE bytes; they read as zeros then, if `zero`. */
	int (*clear)(struct media *m, uint64_t offset, uint64_t size, bool zero);
	/* A cable; NULL: not one. See vdev/host.h; the frame is well-formed. */
	int (*send)(struct media *m, const struct host_frame *f);
	bool (*link)(struct media *m);
	/* Of a drive: what its facts say now; the guest has moved its tray. */
	void (*facts)(struct media *m, struct host_media_facts *out);
	void (*tray)(struct media *m, bool open);
	/* Optional: the VM stands from now on, or runs. Thread context. */
	void (*stop)(struct media *m);
	void (*go)(struct media *m);
	void (*destroy)(struct media *m);
};

struct media_later {
	uint64_t offset, size;		/* what is left */
	uint32_t tag;
	bool zero;
};

struct media {
	const struct media_ops *ops;
	struct host_media_facts facts;	/* constant */
	struct vdev_host *host;		/* whose it is, by this number */
	unsigned number;
	struct spinlock lock;
	struct work work;
	struct waitq idle;
	bool runs;			/* the work is queued, or in one of them */
	unsigned first, count;		/* of `later`, a ring */
	struct media_later later[MEDIA_LATER_MAX];
};

/* Gives the device the medium, which is destroyed with it. */
void media_attach(struct media *m, struct vdev_host *h, unsigned number);
/* Nothing is under way any more; the device submits nothing meanwhile. Thread context. */
void media_quiesce(struct media *m);
void media_go(struct media *m);			/* after that, and first of all */
void media_destroy(struct media *m);		/* likewise */

/* The VM's serial console: its configuration's callbacks. */
int media_console_create(struct media **out) must_check;

/* A stream of bytes that is a device's beside that one; the callbacks are as vm_config's. */
#define MEDIA_CHANNEL_NAME_MAX	32
struct media_channel {
	char name[MEDIA_CHANNEL_NAME_MAX];
	void *arg;
	size_t (*put)(void *arg, const void *data, size_t n);	/* NULL: there is none */
	size_t (*get)(void *arg, void *data, size_t n);
};

int media_channel_create(const struct media_channel *c, struct media **out) must_check;

/*
 * One end of the cable of that name, which is there as long as an end is; or of one that leads back
 * to itself. -EBUSY: it has two.
 */
#define MEDIA_CABLE_LOOP	"loop"
#define MEDIA_CABLE_NAME_MAX	32
int media_cable_create(const char *name, struct media **out) must_check;

struct media_cable_stats {
	uint64_t tx_frames, tx_bytes, tx_drops;	/* drops: nobody was there */
	uint64_t rx_frames, rx_bytes, rx_drops;	/* its device did not take them */
};
struct media_cable_stats media_cable_stats(const struct media *m);

/* What a class with a cable wants to know. */
struct media_nic {
	char cable[MEDIA_CABLE_NAME_MAX];
	uint8_t mac[6];			/* all 0: one is made */
};

/* What was written over an image: memory that is promised as a guest's. Empty; -ENOMEM. */
struct media_overlay;
struct media_tray;
int media_overlay_create(uint64_t size, struct media_overlay **out) must_check;
/* The creator's reference; disks have their own. Thread context; NULL is fine. */
void media_overlay_put(struct media_overlay *o);

/* A disk of constant bytes, which the caller keeps. */
struct media_image {
	const char *name;
	const void *data;
	uint64_t size;			/* a multiple of HOST_MEDIA_BLOCK, not 0 */
	struct media_overlay *overlay;	/* for that size; NULL: read-only */
	struct media_tray *tray;	/* or it is a drive, and all of this is the tray's affair */
};

int media_disk_create(const struct media_image *i, struct media **out) must_check;

/*
 * A tray for discs, which is in one drive at a time or in none. Empty and shut; -ENOMEM. The
 * creator's reference; drives have their own. NULL is fine.
 */
int media_tray_create(struct media_tray **out) must_check;
void media_tray_get(struct media_tray *t);
void media_tray_put(struct media_tray *t);
#define MEDIA_TRAY_NAME	128
struct media_tray_state {
	char name[MEDIA_TRAY_NAME];	/* the disc's; "": none is there */
	uint64_t size;
	bool open;
};
void media_tray_look(struct media_tray *t, struct media_tray_state *out);
/*
 * That disc, for the one that lies there, in a shut tray; or none (NULL), in an open one. -EBUSY:
 * the guest holds it shut, and is told of the wish; not if `force`. -EINVAL: no disc has that size.
 * Thread context.
 */
int media_tray_change(struct media_tray *t, const struct media_image *i, bool force) must_check;
/* The drive that the tray is in from now on. */
int media_disc_create(struct media_tray *t, struct media **out) must_check;
