/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other side of vdev/host.h: what a device's handles stand for. One struct vdev_host per
 * device, made by vmm/machine.c.
 */
#pragma once

#include "cpu/spinlock.h"
#include "kernel/timer.h"
#include "kernel/work.h"
#include "vdev/host.h"

struct media;
struct vm;

struct vdev_timer {
	struct timer timer;
	struct vdev_host *host;
	uint64_t deadline_ns;		/* on the VM's clock */
	bool armed;
};

/* Where a line goes: a bit of a GSI's sources, or the 8259's INTR. */
struct vdev_line {
	uint8_t gsi;
	uint8_t source;
	bool wired, is_intr;
	uint64_t asked_tsc;		/* when machine_line_heard() was called last */
};

struct vdev_host {
	struct vm *vm;
	struct vdev *dev;
	struct spinlock lock;
	struct vdev_timer timer[HOST_TIMER_MAX];
	struct vdev_line line[HOST_LINE_MAX];
	struct work work;
	struct media *media[HOST_MEDIA_MAX];	/* its own: vmm/media.h */
	bool frozen;			/* the VM stands: its work waits */
	bool work_due, working;		/* (a) */
	uint64_t log_window;		/* second in which log_count lines were written */
	unsigned log_count;
};

/* Takes the device over: its lock has the given level. -ENOMEM destroys it. */
int vdev_host_attach(struct vm *vm, struct vdev *d, enum lock_level level,
		     struct vdev_host **out) must_check;
void vdev_host_detach(struct vdev_host *h);	/* destroys the device too */
/*
 * The VM's clock stops; thread context. Nothing of the device is under way then: no timer, no work,
 * no request to a medium.
 */
void vdev_host_freeze(struct vdev_host *h);
void vdev_host_thaw(struct vdev_host *h);
