/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vdev/host.h for tests and fuzzing: one `struct vdev_host` per device with a clock that only tests
 * advance, timers, lines, messages, guest memory, a console and a disk, all of which a test may
 * look at. It asserts what the contract asks of a device: the lock is not taken twice, not left
 * taken, and not held when memory is touched or regions move.
 */
#pragma once

#include "vdev/host.h"

#define VDEV_HOST_MEMORY	(64 * 1024)
#define VDEV_HOST_NVRAM		(32 * 1024)
#define VDEV_HOST_VRAM		(1024 * 1024)
#define VDEV_HOST_MESSAGES	64
#define VDEV_HOST_DISK		(32 * 1024)
#define VDEV_HOST_LATER		4

struct vdev_host {
	struct vdev *d;
	bool locked;
	uint64_t now, wall;
	uint64_t deadline[HOST_TIMER_MAX];	/* ~0: not set */
	uint64_t timer_count;			/* callbacks so far */
	bool line[HOST_LINE_MAX];
	unsigned edges[HOST_LINE_MAX];		/* rises so far */
	bool unheard;				/* what host_line_heard does not return */
	bool waits;				/* an edge keeps the line busy until line_eoi */
	bool busy[HOST_LINE_MAX];
	struct { uint64_t address; uint32_t data; } message[VDEV_HOST_MESSAGES];
	/* those beyond VDEV_HOST_MESSAGES are only counted */
	unsigned message_count;
	bool deaf;				/* no local APIC takes them */
	bool message_busy;			/* what host_msi_busy returns */
	struct {
		enum host_space space;
		uint64_t base, size;
		bool enabled;
	} region[HOST_REGION_MAX];
	unsigned region_calls;
	int region_error;			/* what host_region_set returns */
	void (*region_hook)(void);		/* called in it: another vCPU at that moment */
	uint8_t memory[VDEV_HOST_MEMORY];	/* guest RAM from 0 */
	unsigned shadow[HOST_SHADOW_COUNT];	/* what is shown; as calls said */
	unsigned shadow_calls;
	int shadow_error;			/* what host_shadow_set returns */
	uint8_t nvram[VDEV_HOST_NVRAM];
	bool nvram_hidden;
	unsigned nvram_calls;			/* of host_nvram_show */
	int nvram_error;			/* what that and host_nvram_write return */
	uint8_t *vram;				/* VDEV_HOST_VRAM; NULL until it is touched */
	int vram_error;				/* what host_vram_write returns */
	uint8_t shadow_memory[HOST_SHADOW_END - HOST_SHADOW_FIRST];
	char sent[4096], input[4096];
	/* `accept`: how many bytes the host takes, ~0 all */
	size_t sent_count, input_count, input_taken, accept;
	unsigned sent_medium, input_medium;	/* where bytes went last; where they come from */
	unsigned consoles;			/* bits: media that are; then there is no disk */
	uint8_t disk[VDEV_HOST_DISK];		/* medium 0, unless disk_absent */
	bool disk_absent, disk_read_only, disk_optical;
	bool disk_open;				/* the tray; as the device says, too */
	uint64_t disk_size;			/* VDEV_HOST_DISK, unless it is changed */
	unsigned trays;				/* calls of host_media_tray */
	int disk_error;				/* what requests get, if it is not 0 */
	bool disk_late;				/* discards and the like are done later */
	struct { uint32_t tag; struct host_media_request r; } later[VDEV_HOST_LATER];
	unsigned later_count, flushes;
	struct vdev_host *peer;			/* the cable's other end */
	unsigned frames;			/* sent so far; the last one, and its end: */
	struct host_frame frame;
	uint8_t frame_bytes[HOST_FRAME_MAX];
	int frame_result;
	unsigned requests[HOST_REQUEST_COUNT];
	uint32_t request_value;
	unsigned work_queued, logged;
	unsigned again;				/* calls of host_again */
	uint8_t random;				/* the last byte of host_random */
	uint8_t unused[VDEV_HOST_MEMORY / PAGE_SIZE];	/* host_mem_unused: see vdev_host.c */
	unsigned unused_calls, unused_ranges;
	unsigned mem_interrupt;			/* so many accesses to memory get -EINTR */
};

/* Gives the device a host and resets it. */
struct vdev_host *vdev_host_attach(struct vdev *d);
/* Destroys the device too. */
void vdev_host_detach(struct vdev_host *h);
static inline struct vdev_host *vdev_host_of(struct vdev *d) { return d->host; }

/* Lets time pass, with timers at their deadlines; at most 100000 callbacks, then it fails. */
void vdev_host_advance(struct vdev_host *h, uint64_t ns);
void vdev_host_type(struct vdev_host *h, const char *text);
/* Ends the requests that are under way; and runs the device's work until there is none. */
void vdev_host_finish(struct vdev_host *h);
void vdev_host_work(struct vdev_host *h);

/* Accesses as the bus makes them: masked to size, the lock checked. */
uint64_t vdev_host_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size);
void vdev_host_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value);

size_t vdev_host_save(struct vdev *d, void *buf, size_t size);
int vdev_host_load(struct vdev *d, const void *buf, size_t size, uint32_t version);
