/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory, the only way to it. Objects are the truth about frames (vmm/gmem/gmem_object.h),
 * slots show them at guest addresses (vmm/gmem/gmem_slots.c), views are caches of both for a chip:
 * the second-level tables, filled by faults and dropped at any time (vmm/gmem/gmem_view.c).
 * Everything here may wait and may fail: thread context, no spinlock held; only gmem_peek does
 * neither.
 *
 * Pointers and TLBs. Whoever takes a frame, a right or a slot away does it in the truth first and
 * in the views second, then calls the flush callback, which returns when every vCPU has left guest
 * mode and will flush its TLB and forget what it got from gmem_peek before it enters again; only
 * then is released what was taken. So a vCPU thread may keep a gmem_peek pointer until it serves
 * that request; any other thread pins. `generation` rises with each such event.
 */
#pragma once

#include "mm/paging.h"
#include "vmm/gmem/gmem_object.h"

#define GMEM_SLOT_MAX	64

struct gmem_config {
	const struct paging_format *format;
	unsigned max_leaf_level;		/* 1 to 3 */
	bool exec_4k;				/* only 4K leaves are executable, and none is larger
						 * than 2 MiB: ERRATUM_ITLB_MULTIHIT */
	unsigned gpa_bits;			/* addresses at or above 1 << gpa_bits are
						 * refused */
	int node;				/* preferred node */
	struct charge *charge;
	void (*flush)(void *arg);		/* see above; thread context; NULL while nobody uses
						 * the tables */
	void *arg;
};

/* What a view is for. */
struct gmem_view_config {
	const struct paging_format *format;
	unsigned max_leaf_level;	/* 1 to 3 */
	bool exec_4k;			/* as in gmem_config */
	/*
	 * Leaves of its tables have gone: returns when nobody uses what they said, and waits for no
	 * vCPU. Thread context; NULL while nobody uses the tables.
	 */
	void (*flush)(void *arg);
	void *arg;
};

/* A cache of slots and objects for a chip. */
struct gmem_view {
	struct gmem_view_config config;
	struct gmem_view *next;			/* of the same gmem */
	struct paging tables;
	struct spinlock whole;			/* LOCK_VIEW: all parts */
	bool closed;				/* under `whole`: nobody enters a part */
	struct gmem_view_part {			/* every sixteenth 2 MiB, by guest address */
		struct spinlock lock;		/* LOCK_VIEW_PART */
		uint64_t faults;		/* under it */
	} aligned(16) part[GMEM_LOCKS];
};

struct gmem_slots;

struct gmem {
	struct gmem_config config;
	struct gmem_slots *slots;		/* published as a whole: vmm/gmem/gmem_slots.c */
	struct gmem_view view;			/* the vCPUs'; others may follow it */
	unsigned phase;				/* (a) those who wait for others' flushes: their */
	uint32_t walkers[2];			/* (a) number, by what `phase` was for them */
	unsigned trackers;			/* between gmem_track_begin() and _end() */
	uint64_t generation;			/* (a) of what peeks and TLBs may hold */
};

int gmem_init(struct gmem *g, const struct gmem_config *c) must_check;
void gmem_destroy(struct gmem *g);		/* no vCPU runs, no mapping is held */

/* ---- slots ----------------------------------------------------------------------------------- */

struct gmem_slot {
	uint64_t base, size;
	struct gmem_object *object;
	uint64_t offset;			/* where in the object it begins */
	uint8_t denied;				/* accesses that are a device's: GMEM_WRITE makes it
						 * ROM, all of them hide it */
};

/*
 * All of these: one at a time, thread context; while vCPUs run they wait for them (the flush
 * callback), so from a vCPU's exit it is as with bus_claim(). -EINVAL malformed, -EEXIST overlap,
 * -ENOSPC too many slots, -ENOENT no slot begins at `base`, -ENOMEM; then nothing has changed.
 *
 * add takes a reference to the object. move and deny keep the slot's contents. replace is add in
 * the stead of the slot that begins there, which has the same size; at no moment is there none.
 */
int gmem_slot_add(struct gmem *g, const struct gmem_slot *s) must_check;
int gmem_slot_replace(struct gmem *g, const struct gmem_slot *s) must_check;
int gmem_slot_remove(struct gmem *g, gpa_t base) must_check;
int gmem_slot_move(struct gmem *g, gpa_t base, gpa_t to) must_check;
int gmem_slot_deny(struct gmem *g, gpa_t base, unsigned access) must_check;
/* RAM at [base, base+size), an object of its own: nothing is allocated for its contents yet. */
int gmem_add_ram(struct gmem *g, gpa_t base, uint64_t size) must_check;
/* Does memory answer to that access, or a device? Like peek without a lock: vCPU threads. */
bool gmem_is_ram(struct gmem *g, gpa_t a, unsigned access);
/* Is all of [a, a+size) memory of which no access is a device's? Any thread. */
bool gmem_is_plain(struct gmem *g, gpa_t a, uint64_t size);
/* The i-th by address; false: there are not so many. Nobody changes them meanwhile. */
bool gmem_slot_get(struct gmem *g, unsigned i, struct gmem_slot *out);

struct gmem_stats {
	uint64_t ram_pages, present_pages, table_pages, faults;
	uint64_t out_pages;		/* of ram_pages, see gmem_inflate() */
};
struct gmem_stats gmem_stats(const struct gmem *g);

/* ---- contents -------------------------------------------------------------------------------- */

/*
 * Copies. Writing fills absent frames; reading one gives zeros and leaves it absent. 0, -EFAULT
 * (some byte is not memory, or must not be written: bytes before it may have been copied), -ENOMEM,
 * -EINTR. Long ones give way to other threads at each 2 MiB.
 */
int gmem_read(struct gmem *g, gpa_t a, void *dst, size_t n) must_check;
int gmem_write(struct gmem *g, gpa_t a, const void *src, size_t n) must_check;
int gmem_fill(struct gmem *g, gpa_t a, uint8_t byte, size_t n) must_check;
/*
 * By offset in an object that this gmem shows, or is to: ROM, and what is hidden. -ENOMEM.
 */
int gmem_object_read(struct gmem *g, struct gmem_object *o, uint64_t at, void *dst,
		     size_t n) must_check;
int gmem_object_write(struct gmem *g, struct gmem_object *o, uint64_t at, const void *src,
		      size_t n) must_check;

struct gmem_mapping {
	void *ptr;			/* host address of the first byte */
	size_t len;			/* bytes usable: to the end of the page at most */
	struct page *page;		/* pinned */
	struct gmem_object *object;	/* a reference */
	uint64_t at;			/* in the object */
	unsigned access;
};

/* Pins the frame at `a`; out->len is min(len, rest of the 4K page). Any thread. */
int gmem_map(struct gmem *g, gpa_t a, size_t len, unsigned access,
	     struct gmem_mapping *out) must_check;
/* One for writing counts as written until here. */
void gmem_unmap(struct gmem_mapping *m);
/*
 * Host address of byte `a` if its frame is present and allows the access, else NULL. Never waits.
 * vCPU threads only, see above.
 */
void *gmem_peek(struct gmem *g, gpa_t a, unsigned access);

/* ---- views ----------------------------------------------------------------------------------- */

/*
 * A second-level fault: fills the frame and its table entry. 0 done, -ENOENT a device's (or
 * nothing's), -ENOMEM; -EINTR: once more, and what was peeked before holds no longer.
 */
int gmem_fault(struct gmem *g, gpa_t a, unsigned access) must_check;
/*
 * Another view of the same memory, in the caller's `v`, for who looks at it by tables of his own
 * (an IOMMU): empty at first, filled by gmem_view_fault(), and told of all that goes. Adding and
 * removing as with slots: one at a time, thread context. -ENOMEM. Removed when nobody uses or fills
 * it any more.
 */
int gmem_view_add(struct gmem *g, struct gmem_view *v,
		  const struct gmem_view_config *c) must_check;
void gmem_view_remove(struct gmem *g, struct gmem_view *v);
/* As gmem_fault(), of that view, while no slot changes. */
int gmem_view_fault(struct gmem *g, struct gmem_view *v, gpa_t a, unsigned access) must_check;
/* Forgets the second-level tables (they are rebuilt by faults), flushes. Contents stay. */
void gmem_drop_tables(struct gmem *g);
hpa_t gmem_root(const struct gmem *g);		/* for EPTP / nCR3 */

/* ---- giving back ----------------------------------------------------------------------------- */

/*
 * Frames in [at, at+size) of the object leave it and read as zeros then: all that nobody has
 * pinned, or only those that were never written (while tracked; else all count as written), of
 * which nobody misses a byte. Their number. It leaves no marks in the dirty log. No slot of the
 * object changes meanwhile.
 */
uint64_t gmem_take(struct gmem *g, struct gmem_object *o, uint64_t at, uint64_t size, bool clean);

struct gmem_range {
	uint64_t at, size;		/* guest addresses; the whole pages in it count */
};

/*
 * Likewise by guest addresses, of RAM of which no access is a device's; what else lies there stays.
 * In one wait for the vCPUs. discard: the frames come back when they are touched, as for take.
 * inflate: they are not promised any more, each once, and come back when they are touched if they
 * can be promised then; gmem_fault() and the like say -ENOMEM until that is so. deflate: they are
 * promised again, as far as that can be now. The number of frames that were taken, went out, came
 * back.
 */
uint64_t gmem_discard(struct gmem *g, const struct gmem_range *r, unsigned n);
uint64_t gmem_inflate(struct gmem *g, const struct gmem_range *r, unsigned n);
uint64_t gmem_deflate(struct gmem *g, const struct gmem_range *r, unsigned n);

/* ---- sharing --------------------------------------------------------------------------------- */

/*
 * What is there of [at, at+size) of `o`, in 4K, is also `to`'s, at the same offsets, where that has
 * nothing yet: both have the page until either writes to it, or pins it. What is pinned or being
 * written is copied. Of a vm that does not run, `to` has it as it is now; else each frame as it was
 * at some moment of the call. -EINVAL, -ENOMEM: a part is there then. An object is shown by one
 * gmem, and `to` by none yet. `o`'s charge outlives `to`. Not while marks are fetched, nor while
 * slots change.
 */
int gmem_share(struct gmem *g, struct gmem_object *o, uint64_t at, uint64_t size,
	       struct gmem_object *to) must_check;

/* ---- what was used --------------------------------------------------------------------------- */

/*
 * Sets the bit of each frame in [at, at+size) of the object (in 4K; frame at's is bit 0 of
 * bitmap[0]) that the guest may have used by its tables since the last harvest; all of a leaf, as
 * large as it is. What Keel does in its place does not count. TLBs are flushed, once for all: what
 * is used after the return is found by the next one. Where the chip keeps no accessed bits that
 * Keel could use (EPT: with them, walks of the guest's tables would count as writes) the leaves go,
 * and each use costs a fault. 1 if any bit was set, 0 if none, -EINVAL. No slot changes meanwhile.
 */
int gmem_harvest(struct gmem *g, const struct gmem_object *o, uint64_t at, uint64_t size,
		 uint64_t *bitmap) must_check;

/* ---- the dirty log --------------------------------------------------------------------------- */

/*
 * Between these the gmem knows which frames are written, in 4K; they nest. It costs a fault for
 * each frame that is written after a fetch. One at a time, and none while slots change.
 */
void gmem_track_begin(struct gmem *g);
void gmem_track_end(struct gmem *g);
/*
 * While tracked: sets the bit of each frame in [at, at+size) of the object that may have been
 * written since the last fetch, and takes its mark; frame at's is bit 0 of bitmap[0]. Both are
 * multiples of 2 MiB, but for an end that is the object's. The first fetch gives all that are
 * there. What a frame holds after the return includes every write that its bit stands for. 1 if any
 * bit was set, 0 if none, -EINVAL.
 */
int gmem_dirty_fetch(struct gmem *g, struct gmem_object *o, uint64_t at, uint64_t size,
		     uint64_t *bitmap) must_check;
