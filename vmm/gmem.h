/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory, the only way to it. A slot maps guest frames to {page, state}; the second-level
 * tables (EPT, NPT) are a cache of that truth, filled by faults, and may be dropped at any time.
 * Everything here may wait and may fail: thread context, no spinlock held; only gmem_peek does
 * neither. A mapping is valid on the thread that made it.
 *
 * Pointers and TLBs. Whoever takes a frame away (drop, copy-on-write, swap) removes it from the
 * tables, then calls the flush callback, which returns when every vCPU has left guest mode and will
 * flush its TLB and forget what it got from gmem_peek before it enters again; only then is the
 * frame released. So a vCPU thread may keep a gmem_peek pointer until it serves that request.
 * `generation` rises with each such event.
 */
#pragma once

#include "cpu/spinlock.h"
#include "include/addr.h"
#include "mm/paging.h"

#define GMEM_SLOT_MAX	16

enum gmem_access { GMEM_READ = 1, GMEM_WRITE = 2, GMEM_EXEC = 4 };

struct gmem_config {
	const struct paging_format *format;
	unsigned max_leaf_level;		/* 1 to 3 */
	bool exec_4k;				/* only 4K leaves are executable:
						 * ERRATUM_ITLB_MULTIHIT */
	unsigned gpa_bits;			/* addresses at or above 1 << gpa_bits are
						 * refused */
	int node;				/* preferred node */
	struct charge *charge;
	void (*flush)(void *arg);		/* see above; thread context; NULL while nobody uses
						 * the tables */
	void *arg;
};

/* Private to vmm/gmem.c and vmm/gmem_slots.c. */
struct gmem_slot {
	uint64_t base, size;
	uintptr_t entries;	/* that of address a's 2 MiB is at entries + (a >> 21) * 8 */
	uint64_t *chunk;	/* the array */
};

struct gmem {
	struct gmem_config config;
	struct spinlock lock;			/* slots' entries and tables: LOCK_GMEM */
	struct paging tables;
	struct gmem_slot slot[GMEM_SLOT_MAX];	/* sorted by base; fixed once vCPUs run */
	unsigned slot_count;
	const struct gmem_slot *main;		/* the largest: looked at first */
	uint64_t ram_pages;			/* configured, in 4K frames */
	uint64_t present_pages;			/* filled */
	uint64_t faults;
	unsigned trackers;			/* between gmem_track_begin() and _end() */
	uint64_t generation;			/* of what peeks and TLBs may hold */
};

int gmem_init(struct gmem *g, const struct gmem_config *c) must_check;
void gmem_destroy(struct gmem *g);		/* no vCPU runs, no mapping is held */
/*
 * RAM at [base, base+size), 4K-aligned; -EINVAL malformed, -EEXIST overlap, -ENOSPC too many slots,
 * -ENOMEM when what all guests were promised would exceed the machine's memory. Nothing is
 * allocated for its contents yet.
 */
int gmem_add_ram(struct gmem *g, gpa_t base, uint64_t size) must_check;

/*
 * Copies. Writing fills absent frames; reading one gives zeros and leaves it absent. 0, -EFAULT
 * (some byte is not RAM: bytes before it may have been copied), -ENOMEM, -EINTR. Long ones give way
 * to other threads at each 2 MiB.
 */
int gmem_read(struct gmem *g, gpa_t a, void *dst, size_t n) must_check;
int gmem_write(struct gmem *g, gpa_t a, const void *src, size_t n) must_check;
int gmem_fill(struct gmem *g, gpa_t a, uint8_t byte, size_t n) must_check;

struct gmem_mapping {
	void *ptr;		/* host address of the first byte */
	size_t len;		/* bytes usable: to the end of the page at most */
	struct page *page;	/* pinned */
	gpa_t gpa;
	unsigned access;
};

/* Pins the frame at `a`; out->len is min(len, rest of the 4K page). */
int gmem_map(struct gmem *g, gpa_t a, size_t len, unsigned access,
	     struct gmem_mapping *out) must_check;
/* One for writing counts as written until here. */
void gmem_unmap(struct gmem *g, struct gmem_mapping *m);

/*
 * A second-level fault: fills the frame and its table entry. 0 done, -ENOENT not RAM (a device, or
 * nothing), -ENOMEM, -EINTR.
 */
int gmem_fault(struct gmem *g, gpa_t a, unsigned access) must_check;
/*
 * Host address of byte `a` if its frame is present and allows the access, else NULL. Never waits.
 * vCPU threads only, see above.
 */
void *gmem_peek(struct gmem *g, gpa_t a, unsigned access);
bool gmem_is_ram(struct gmem *g, gpa_t a);
/* Forgets the second-level tables (they are rebuilt by faults), flushes. Contents stay. */
int gmem_drop_tables(struct gmem *g);

/*
 * Between these the gmem knows which frames are written, in 4K; they nest. It costs a fault for
 * each frame that is written after a fetch.
 */
void gmem_track_begin(struct gmem *g);
void gmem_track_end(struct gmem *g);
/*
 * While tracked: sets the bit of each frame in [a, a+size), both multiples of 2 MiB, that may have
 * been written since the last fetch, and takes its mark; frame a's is bit 0 of bitmap[0]. The first
 * fetch gives all that are there. What a frame holds after the return includes every write that its
 * bit stands for. 1 if any bit was set, 0 if none, -EINVAL.
 */
int gmem_dirty_fetch(struct gmem *g, gpa_t a, uint64_t size, uint64_t *bitmap) must_check;
hpa_t gmem_root(const struct gmem *g);		/* for EPTP / nCR3 */
/* Frames promised to all guests together, and those that can still be. */
uint64_t gmem_promised(void);
uint64_t gmem_available(void);
