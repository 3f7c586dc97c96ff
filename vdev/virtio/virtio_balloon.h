/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio balloon: pages that the driver gives back, those that it says are free, and what it
 * tells of its memory. "VIRTIO" 1.2, Traditional Memory Balloon Device. Queues have the numbers
 * that they have where all of them are offered, which Linux goes by.
 */
#pragma once

#include "vdev/virtio/virtio.h"

enum {
	BALLOON_MUST_TELL_HOST = 0, BALLOON_STATS = 1, BALLOON_DEFLATE_ON_OOM = 2,
	BALLOON_HINT = 3, BALLOON_POISON = 4, BALLOON_REPORTING = 5,
};

enum { BALLOON_QUEUE_INFLATE, BALLOON_QUEUE_DEFLATE, BALLOON_QUEUE_STATS, BALLOON_QUEUE_HINT,
	BALLOON_QUEUE_REPORT, BALLOON_QUEUES };

/* By the driver's numbers. Of memory, bytes. */
enum balloon_stat {
	BALLOON_SWAP_IN, BALLOON_SWAP_OUT, BALLOON_MAJOR_FAULTS, BALLOON_MINOR_FAULTS,
	BALLOON_FREE, BALLOON_TOTAL, BALLOON_AVAILABLE, BALLOON_CACHES, BALLOON_HUGE_ALLOCATED,
	BALLOON_HUGE_FAILED, BALLOON_STAT_COUNT
};

struct virtio_balloon_info {
	bool driven;			/* a driver is there */
	uint64_t target, actual;	/* pages of 4 KiB in it: as asked for, as the driver says */
	uint32_t period;		/* seconds; 0: statistics are not asked for */
	uint32_t known;			/* bits by enum balloon_stat */
	uint64_t stat[BALLOON_STAT_COUNT];
	uint64_t told_at;		/* seconds since 1970 */
};

int virtio_balloon_create(struct virtio **out) must_check;

/* --- for the host, of such a device; any thread, no lock held */
void virtio_balloon_target(struct vdev *d, uint32_t pages);
void virtio_balloon_period(struct vdev *d, uint32_t seconds);	/* and asks for them at once */
/* The driver is to say what is free, once, if it can; what it names goes back. */
void virtio_balloon_hint(struct vdev *d);
void virtio_balloon_info(struct vdev *d, struct virtio_balloon_info *out);
