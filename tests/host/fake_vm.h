/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vm that does nothing but remember what was asked of it, so that mgmt/ is tested without a
 * hypervisor. The test plays the guest: fake_vm_stop() ends it, fake_vm_release() lets a
 * destroy come to its end.
 */
#pragma once

#include "vmm/media.h"
#include "vmm/vm_balloon.h"
#include "vmm/vm_screen.h"

struct fake_screen {
	struct vvga_mode mode;
	uint16_t cell[VVGA_ROWS_MAX][VVGA_COLUMNS_MAX];
	uint32_t (*pixel)(unsigned x, unsigned y);	/* red above green above blue */
};

struct fake_vm {
	/* alive: not yet freed by the last vm_put */
	unsigned created, alive, destroyed, released;
	unsigned buttons, nmis, inputs, pauses, resumes;
	uint8_t keys[32];		/* pairs: a code of set 1, and whether it was pressed */
	int dx, dy, wheel;		/* of the mouse, summed up */
	unsigned moves, pressed, held;	/* buttons: at any time, and now */
	unsigned key_count, keys_full;	/* keys_full: so many more find no room */
	int key_error;
	struct virtio_balloon_info *balloon;
	struct fake_screen *screen;
	uint64_t out_pages;
	unsigned hints;
	struct media_channel channel[HOST_MEDIA_MAX];	/* of the last vm that has some */
	unsigned channel_inputs[HOST_MEDIA_MAX];	/* by port */
	struct vm *last;				/* created last */
	unsigned devices;				/* rows that it was given */
	unsigned overlays;				/* there are, and were made: */
	unsigned overlays_made;
	unsigned trays;					/* there are */
	bool tray_held;					/* by the guest */
	uint64_t available;				/* pages for gmem_available */
	/* The next calls fail with these, and 0 again afterwards. */
	int fail_create, fail_load, fail_start, fail_pause, fail_resume, fail_check;
	bool module;					/* load_check accepts */
	unsigned follows;				/* calls of vm_sched_follow() */
	unsigned pins;					/* calls of vm_vcpu_pin() */
	struct cpu_set affinity[4];			/* what they said last */
	/* Called inside what takes long: being made, loaded, paused, checked. */
	void (*meanwhile)(void);
};

extern struct fake_vm fake;

void fake_vm_reset(void);
void fake_vm_stop(enum vm_stop why, uint32_t code, const char *reason);
/* Calls `done` of every vm_destroy that still waits. */
void fake_vm_release(void);
