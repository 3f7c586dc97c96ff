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

struct charge;
struct gmem;
struct media;
struct vdev_host;

#define MEDIA_LATER_MAX	8		/* requests of one medium that are done later */
#define MEDIA_AT_ONCE	(4ul << 20)	/* bytes that are cleared in one piece */

struct media_ops {
	/* A console; NULL: not one. */
	size_t (*put)(struct media *m, const void *data, size_t n);
	size_t (*get)(struct media *m, void *data, size_t n);
	/*
	 * A disk; NULL: not one. Ranges lie within it and are multiples of HOST_MEDIA_BLOCK, but
	 * those of transfer, one segment's; errors as host_media_submit's.
	 */
	int (*transfer)(struct media *m, struct gmem *g, bool write, uint64_t offset,
			struct host_segment s);
	int (*flush)(struct media *m);
	/* At most MEDIA_AT_ONCE bytes; they read as zeros then, if `zero`. */
	int (*clear)(struct media *m, uint64_t offset, uint64_t size, bool zero);
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
void media_destroy(struct media *m);		/* likewise */

/* The VM's serial console: its configuration's callbacks. */
int media_console_create(struct media **out) must_check;

/* A disk of constant bytes, which the caller keeps. */
struct media_image {
	const char *name;
	const void *data;
	uint64_t size;			/* a multiple of HOST_MEDIA_BLOCK, not 0 */
	bool overlay;			/* what is written is kept in memory; else read-only */
	bool optical;			/* a disc; read-only */
};

int media_disk_create(const struct media_image *i, struct charge *charge,
		      struct media **out) must_check;
