/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: all that a virtual device sees of its surroundings. vdev/ includes nothing else of Keel
 * (but include/ and the stateless lib/), so that each device compiles on the host for tests and
 * fuzzing, and can move to another address space later. Everything outside is named by small
 * numbers that the device gave itself: its regions, lines, timers and media. vmm/ implements these
 * calls; tests/host/vdev_host.c is the stand-in for tests.
 *
 * Contexts: read and write come from a vCPU thread; timer and line_eoi possibly from interrupt
 * context. A device takes its own lock (host_lock, irq-safe, a spinlock) in each; memory
 * (host_mem_*) may wait and must be called without it.
 */
#pragma once

#include "include/addr.h"
#include "include/errno.h"
#include "lib/record.h"

struct vdev;
struct host_frame;

enum host_tray { HOST_TRAY_EJECT, HOST_TRAY_FORCE, HOST_TRAY_LOAD };

enum host_space { HOST_PORT, HOST_MMIO };

enum host_request {
	HOST_REQUEST_POWER_OFF,
	HOST_REQUEST_RESET,
	HOST_REQUEST_DEBUG_EXIT,	/* with the code v<<1|1 */
	HOST_REQUEST_PANIC,		/* the guest says that it has crashed */
	HOST_REQUEST_CRASH_LOADED,	/* and that it helps itself: only told */
	HOST_REQUEST_COUNT
};

struct vdev_ops {
	const char *name;		/* also the record's name, at most 15 characters */
	uint32_t version;		/* of its saved form */
	/*
	 * `size` is 1, 2, 4 or 8; offset + size lies within the region. Bits above
	 * size are ignored.
	 */
	uint64_t (*read)(struct vdev *d, unsigned region, uint64_t offset, unsigned size);
	void (*write)(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
		      uint64_t value);
	/*
	 * Optional: the same port, read into or written from guest memory as often as `n` says, for
	 * REP INS and OUTS. How many were done, in order; what is left comes one by one.
	 */
	unsigned (*read_string)(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
				void *to, unsigned n);
	unsigned (*write_string)(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
				 const void *from, unsigned n);
	void (*reset)(struct vdev *d);
	void (*save)(struct vdev *d, struct record_writer *w);
	/*
	 * Reads and checks everything first, then commits; -EINVAL leaves the device as it was.
	 * Re-arms timers and lines.
	 */
	int (*load)(struct vdev *d, struct record_reader *r, uint32_t version);
	void (*destroy)(struct vdev *d);
	void (*timer)(struct vdev *d, unsigned timer);		/* optional */
	/* Optional: the guest acknowledged; raise again if still due. */
	void (*line_eoi)(struct vdev *d, unsigned line);
	/* Optional: host_media_get has something. */
	void (*media_input)(struct vdev *d, unsigned medium);
	/*
	 * Optional: thread context; the request of that tag, which was HOST_MEDIA_LATER, is done: 0
	 * or what host_media_submit would have returned.
	 */
	void (*media_done)(struct vdev *d, unsigned medium, uint32_t tag, int error);
	/*
	 * Optional, of a cable: a frame comes, in the thread of who sends it; 0: it is taken, else
	 * it is lost. And: host_media_link may say something else now; thread context, no lock
	 * held.
	 */
	int (*media_frame)(struct vdev *d, unsigned medium, const struct host_frame *f);
	void (*media_link)(struct vdev *d, unsigned medium);
	/*
	 * Optional, of a drive with a tray, for who administers the machine; thread context, no
	 * lock held. EJECT opens it: what lay in it is not read any more once this returns; -EBUSY:
	 * the guest holds it shut, and is told that somebody wants it. FORCE opens it all the same.
	 * LOAD: another disc lies there, and it shuts, or none, and it stays open
	 * (host_media_facts).
	 */
	int (*media_tray)(struct vdev *d, unsigned medium, enum host_tray what);
	/*
	 * Optional: thread context, after host_work_queue; one at a time, and none while the VM
	 * does not run.
	 */
	void (*work)(struct vdev *d);
};

/* The head of every device's own struct. */
struct vdev {
	const struct vdev_ops *ops;
	unsigned instance;
	unsigned order;			/* the machine's: who comes first where two want a place */
	void *host;			/* the host's own */
};

/* --- lifetime and locks */
void *host_alloc(size_t size);			/* zeroed, or NULL */
void host_free(void *p);
uint64_t host_lock(struct vdev *d);		/* one lock per device, irq-safe */
void host_unlock(struct vdev *d, uint64_t flags);

/*
 * --- guest memory: 0 or -EFAULT (not RAM), -EINTR (abandon: return at once), -ENOMEM (none is left
 *     for it now)
 */
int host_mem_read(struct vdev *d, gpa_t a, void *dst, size_t n) must_check;
int host_mem_write(struct vdev *d, gpa_t a, const void *src, size_t n) must_check;

/*
 * RAM below 1 MiB that a chipset's registers show or hide, in pieces. Of a piece whose RAM does not
 * answer reads the firmware's image does, where it reaches so far down; else, and for writes that
 * RAM does not take, a device: write says what is to be in RAM all the same. With no lock held, as
 * host_region_set(). -ENOMEM; -EINVAL: no such piece, or the machine has RAM alone there.
 */
#define HOST_SHADOW_FIRST	0xc0000ul
#define HOST_SHADOW_END		0x100000ul
enum host_shadow {
	HOST_SHADOW_16K,		/* the first of 12, of 16 KiB each, from C0000h on */
	HOST_SHADOW_BIOS = 12,		/* F0000h to FFFFFh */
	HOST_SHADOW_SCREEN,		/* A0000h to BFFFFh */
	HOST_SHADOW_COUNT
};
#define HOST_SHADOW_READ	1u
#define HOST_SHADOW_WRITE	2u
int host_shadow_set(struct vdev *d, unsigned piece, unsigned access) must_check;
int host_shadow_write(struct vdev *d, gpa_t a, const void *src, size_t n) must_check;

/*
 * The memory of the machine's flash chip, which the guest reads by itself while it is shown, and
 * which outlives the machine. show as host_shadow_set(); the others any time in thread context, no
 * lock held. -EINVAL: there is none, or not so much.
 */
int host_nvram_show(struct vdev *d, bool shown) must_check;
int host_nvram_read(struct vdev *d, uint64_t offset, void *dst, size_t n) must_check;
int host_nvram_write(struct vdev *d, uint64_t offset, const void *src, size_t n) must_check;

/*
 * Video memory: the device's own, kept over a reset, zeros where nobody has written. The machine
 * knows by which region it is to be found: while that is claimed (host_region_set) the guest reads
 * and writes the memory there by itself, as far as the host can have it so; else the device gets
 * the accesses. Thread context, no lock held. -EINVAL: there is not so much; -EINTR, -ENOMEM as
 * host_mem_read().
 */
int host_vram_read(struct vdev *d, uint64_t offset, void *dst, size_t n) must_check;
int host_vram_write(struct vdev *d, uint64_t offset, const void *src, size_t n) must_check;

/*
 * Memory that the guest does not use, as it says: whole pages of the VM's RAM in these ranges; all
 * else there stays. Thread context, no lock held. DISCARD: it goes back to the host, and is zeroed
 * RAM when the guest touches it again. INFLATE: so that others may have it for good, who may be
 * using it when the guest comes back for it: then it waits. DEFLATE: the guest is about to use it.
 * The number of pages for which that was so.
 */
enum host_unused { HOST_UNUSED_DISCARD, HOST_UNUSED_INFLATE, HOST_UNUSED_DEFLATE };
struct host_segment;
uint64_t host_mem_unused(struct vdev *d, enum host_unused what, const struct host_segment *s,
			 unsigned n);

/*
 * From a port's write: the instruction is not done. It runs again when what it stopped for has been
 * seen to: pause, another thread's turn, the guest's interrupts. For what takes long or got -EINTR;
 * the device keeps how far it has come, and saves it.
 */
void host_again(struct vdev *d);

/* --- time: the VM's clock, which stands still while the VM does not run */
uint64_t host_clock_ns(struct vdev *d);
/*
 * timer < HOST_TIMER_MAX. A callback that was under way when its timer was set or cancelled may
 * still come, and too early: a callback looks at the clock, and sets its timer anew while it waits.
 */
void host_timer_set(struct vdev *d, unsigned timer, uint64_t deadline_ns);
void host_timer_cancel(struct vdev *d, unsigned timer);
uint64_t host_wall_clock(struct vdev *d);	/* seconds since 1970, UTC */
#define HOST_TIMER_MAX	4

/* --- interrupts: this device's own lines, by its own numbering; wiring is the machine's affair */
void host_line_set(struct vdev *d, unsigned line, bool level);
/*
 * Could the guest take the line's last rising edge, as far as is known: is the line let through,
 * and has a vCPU run since this was asked last? For a device that makes edges by a timer, so that
 * it makes fewer while nobody listens.
 */
bool host_line_heard(struct vdev *d, unsigned line);
/*
 * Does an edge of this line wait or is it served, so that line_eoi will tell when the guest has
 * done with it? The 8259 tells, and the I/O APIC for the lines that the machine has it tell of.
 */
bool host_line_busy(struct vdev *d, unsigned line);
bool host_msi(struct vdev *d, uint64_t address, uint32_t data);	/* did an APIC take its vector? */
/* In `data`: the I/O APIC is to be told of the vector's end, as of a level interrupt's. */
#define HOST_MSI_TELL	0x10000u
/* Does the message's vector wait or is it served at an APIC that it is for? */
bool host_msi_busy(struct vdev *d, uint64_t address, uint32_t data);
#define HOST_LINE_MAX	4

/*
 * --- regions: a device that moves its own registers (a PCI BAR, PM base); `enabled` false
 *     withdraws the claim. -EEXIST: a device before this one has the place; the claim holds as
 *     soon as that one moves off.
 */
int host_region_set(struct vdev *d, unsigned region, enum host_space space, uint64_t base,
		    uint64_t size, bool enabled);
/* Several of one space at once, as one change; the worst of their errors. */
struct host_region {
	unsigned region;
	uint64_t base, size;
	bool enabled;
};
int host_regions_set(struct vdev *d, enum host_space space, const struct host_region *r,
		     unsigned n);
#define HOST_REGION_MAX	8

/*
 * --- media: what is behind a device, by its own numbering. A console takes and gives bytes; a disk
 *     takes requests, which name guest memory; a cable takes frames. A medium that fails fails its
 *     requests only.
 */
enum host_media_kind { HOST_MEDIA_NONE, HOST_MEDIA_CONSOLE, HOST_MEDIA_DISK, HOST_MEDIA_CABLE };

struct host_media_facts {
	enum host_media_kind kind;
	bool read_only;
	bool optical;			/* a drive: a disc is read in sectors of 2,048 bytes */
	bool open;			/* its tray, and nothing is read */
	uint64_t size;			/* bytes of a disk, a multiple of HOST_MEDIA_BLOCK; 0: a
					 * drive without a disc */
	char name[32];			/* what it was made from; "" or printable */
};

/*
 * `kind` HOST_MEDIA_NONE where there is none. While the VM runs only a drive's change, in which its
 * device has a part (media_tray).
 */
void host_media_facts(struct vdev *d, unsigned medium, struct host_media_facts *out);
/* The guest has opened or shut the drive's tray. Any lock of the device's may be held. */
void host_media_tray(struct vdev *d, unsigned medium, bool open);

/* How many were taken; the host never blocks. */
size_t host_media_put(struct vdev *d, unsigned medium, const void *data, size_t n);
size_t host_media_get(struct vdev *d, unsigned medium, void *data, size_t n);

enum host_media_op {
	HOST_MEDIA_READ, HOST_MEDIA_WRITE,
	HOST_MEDIA_COMPARE,		/* are the bytes those of guest memory? */
	HOST_MEDIA_FLUSH,		/* what was done before it stays, whatever happens */
	HOST_MEDIA_DISCARD,		/* the bytes need not be kept any more */
	HOST_MEDIA_ZERO,		/* and read as zeros */
};

/* Guest memory: it must be the VM's own RAM, no ROM and no device's. */
struct host_segment {
	uint64_t at, size;
};

struct host_media_request {
	enum host_media_op op;
	uint32_t tag;			/* the device's, for media_done */
	uint64_t offset, size;		/* of the medium, in bytes: multiples of HOST_MEDIA_BLOCK */
	/* Of a read, write or comparison: as many bytes in all. */
	const struct host_segment *segment;
	unsigned count;			/* at most HOST_SEGMENT_MAX; read before the return */
	void *data;			/* or they go to or from the device's own memory */
};

/*
 * 0: it is done. HOST_MEDIA_LATER: media_done will come, perhaps before the return.
 * HOST_MEDIA_DIFFERS: it was compared, and is not the same. -EINVAL: malformed, or beyond the
 * medium's end; -EFAULT: a segment that is not RAM; -EPERM: the medium is read-only; -ENOSYS: not a
 * disk; -EIO: it failed; -ENOMEM: no memory for it; -EAGAIN: too many are under way, none of which
 * may be this one. After an error what was read or written is undefined.
 * Thread context, no lock held.
 */
int host_media_submit(struct vdev *d, unsigned medium,
		      const struct host_media_request *r) must_check;
#define HOST_MEDIA_LATER	1
#define HOST_MEDIA_DIFFERS	2
#define HOST_MEDIA_MAX		6u
#define HOST_MEDIA_BLOCK	512u
#define HOST_SEGMENT_MAX	256u

/*
 * A frame on a cable: virtio's header, the first bytes in a copy of their own, and the rest in the
 * sender's memory, which may change at any time. What is checked is in the copy, and the copy is
 * what arrives. It is the sender's until host_frame_send returns.
 */
#define HOST_FRAME_HEAD	128u
#define HOST_FRAME_MAX	(65535u + 22)	/* bytes: an IP packet behind two tags */
struct host_frame {
	struct vdev *from;		/* the host's: who sends it; NULL: `body` */
	uint8_t flags, gso_type;	/* of virtio's header, as are these */
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
	uint32_t queue;			/* of the sender, for one of many at the other end */
	uint32_t size;			/* bytes in all, HOST_FRAME_MAX at most */
	uint32_t head_size;
	uint8_t head[HOST_FRAME_HEAD];
	const struct host_segment *segment;	/* the bytes behind the head */
	unsigned count;
	const uint8_t *body;		/* or they are here */
	uint32_t skip;			/* but for so many first ones: of a piece of a frame */
};

/*
 * 0: the other end has it. Else it is lost: -ENODEV: nobody is there; -EAGAIN: he does not listen;
 * -EFAULT: a segment that is not RAM; -ENOSPC and others: he had no room. Thread context, no lock
 * held.
 */
int host_frame_send(struct vdev *d, unsigned medium, struct host_frame *f) must_check;
/*
 * For who gets it, n bytes from `offset` on, which are there: into his own memory, or to be looked
 * at. -ENOENT: the sender's bytes cannot be had; -EFAULT: `to` is not RAM; -ENOMEM.
 */
int host_frame_copy(struct vdev *d, const struct host_frame *f, uint32_t offset, gpa_t to,
		    uint32_t n) must_check;
int host_frame_read(const struct host_frame *f, uint32_t offset, void *dst,
		    uint32_t n) must_check;
bool host_media_link(struct vdev *d, unsigned medium);	/* is there another end? */

/*
 * Waits until done(d), giving way to other threads: for what another vCPU's exit or a request under
 * way is about to end. Thread context, no lock held.
 */
void host_wait_until(struct vdev *d, bool (*done)(struct vdev *d));

void host_random(struct vdev *d, void *dst, size_t n);	/* nobody can guess them */

/* --- the machine; `value` is the debug-exit code */
void host_machine_request(struct vdev *d, enum host_request request, uint32_t value);

/* --- deferred work and the log (rate-limited per device) */
void host_work_queue(struct vdev *d);
void host_log(struct vdev *d, const char *fmt, ...) printf_like(2, 3);
