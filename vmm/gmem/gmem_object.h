/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What backs guest memory: the truth about frames, whoever shows them at which address. An object
 * has one entry per 2 MiB, which is absent, a whole 2 MiB page, or a leaf table of 512 entries, one
 * per 4K frame. Reference-counted: a slot holds one, and so may a device whose memory is shown at
 * times only. Offsets are in bytes from the object's start.
 *
 * Entries. 0 (absent), or the host address of the page in the direct map with what may be done to
 * it in the low bits: all three when present, no write until the frame counts as written
 * (vmm/gmem/gmem_dirty.c), nor while the page is another object's, too (vmm/gmem/gmem_share.c), in
 * whose stead a copy comes; meanwhile it has none of the three, as one swapped out will. A chunk's
 * entry that has ENTRY_TABLE points to its leaf table instead. Where the entries of that are parts
 * of one 2 MiB page, the table's struct page has it as its owner; else NULL. A page's own struct
 * page names the object as its owner (NULL: several have it), and the first frame as its index.
 *
 * Out. A frame that its guest has in a balloon is absent, and not promised any more; a bit says so,
 * under its chunk's lock. While a chunk has such frames it is filled by 4K. See
 * vmm/gmem/gmem_balloon.c.
 *
 * Locking. A chunk's lock (LOCK_GMEM; chunks share a few, interrupts off) guards its entries. It is
 * not held while pages are allocated, cleared or copied: a fill looks again before it commits.
 */
#pragma once

#include "cpu/spinlock.h"
#include "include/addr.h"
#include "include/bits.h"
#include "include/errno.h"
#include "mm/page.h"

enum gmem_access { GMEM_READ = 1, GMEM_WRITE = 2, GMEM_EXEC = 4 };

#define ENTRIES		512u
#define CHUNK_SHIFT	21
#define ENTRY_ACCESS	(GMEM_READ | GMEM_WRITE | GMEM_EXEC)
#define ENTRY_TABLE	BIT(3)
#define ENTRY_DIRTY	BIT(4)		/* written since it was filled */
#define ENTRY_ALONE	BIT(5)		/* no other object has the page */
#define ENTRY_UNSEEN	BIT(6)		/* written, which the log was not told, and shared since */
#define ENTRY_WRITTEN	(GMEM_WRITE | ENTRY_DIRTY)

#define GMEM_LOCKS	16u

struct gmem_object {
	uint64_t *chunk;		/* entries */
	uint64_t start, size;		/* frames lie at offsets from start to size */
	uint32_t refs;			/* (a) */
	unsigned trackers;		/* (a) between gmem_object_track_begin() and _end() */
	uint64_t present_pages;		/* (a) 4K frames that are filled */
	uint64_t *out;			/* (a) of each frame, is it out; NULL: none ever was */
	uint64_t out_pages;		/* (a) frames that are */
	unsigned page_level;		/* largest pages it is filled with: 1 to 3 */
	int node;			/* preferred */
	struct charge *charge;
	struct spinlock lock[GMEM_LOCKS];
};

/*
 * Frames at offsets from `start` to `size`, multiples of 4K; all absent, one reference. A start
 * that is not 0 lets large pages lie as they will at guest addresses. The frames are promised:
 * -ENOMEM when all objects together would then exceed the machine's memory. `charge` outlives the
 * frames.
 */
int gmem_object_create(uint64_t start, uint64_t size, unsigned page_level, int node,
		       struct charge *charge, struct gmem_object **out) must_check;
static inline void gmem_object_get(struct gmem_object *o)
{
	__atomic_add_fetch(&o->refs, 1, __ATOMIC_RELAXED);
}

void gmem_object_put(struct gmem_object *o);
/* Frames promised to all guests together, and those that can still be. */
uint64_t gmem_promised(void);
uint64_t gmem_available(void);
/* So many more, of memory that is a guest's and in no object; -ENOMEM: see above. */
int gmem_promise(uint64_t frames) must_check;
void gmem_promise_take_back(uint64_t frames);

/*
 * What can be done now for the frame at `at` to be there and to allow the access: it is filled, or
 * marked. Whoever wants it looks again. 1: another has it, too, see gmem_unshare().
 */
int gmem_object_provide(struct gmem_object *o, uint64_t at, unsigned access) must_check;
/*
 * A reference to its page, and the host address of the byte, if it is there and may be accessed so
 * (`access` may have ENTRY_ALONE). Any thread.
 */
bool gmem_object_pin_now(struct gmem_object *o, uint64_t at, unsigned access, void **ptr,
			 struct page **page) must_check;
/* 2^order frames for the absent entry of that size at `at`; false: it is not, and they go. */
bool gmem_object_commit(struct gmem_object *o, uint64_t at, struct page *p, uint64_t written);
/* The chunk at `at` has a leaf table, unless it is filled. */
int gmem_object_table(struct gmem_object *o, uint64_t at) must_check;
bool gmem_object_is_absent(struct gmem_object *o, uint64_t at);
/* The 2 MiB at `at` become those at `src`, if that is a chunk which is absent so far. */
bool gmem_object_write_whole(struct gmem_object *o, uint64_t at, const void *src);
/* vmm/gmem/gmem_dirty.c: the frame at `at`, if it is there, counts as written, and may be. */
void gmem_object_mark(struct gmem_object *o, uint64_t at);

/* ---- frames that are out --------------------------------------------------------------------- */

/* The words of the chunk at `at`; `o` has some. */
static inline uint64_t *gmem_out_of(const struct gmem_object *o, uint64_t at)
{
	return READ_ONCE(o->out) + (at >> CHUNK_SHIFT) * (ENTRIES / 64);
}

static inline bool gmem_is_out(const struct gmem_object *o, uint64_t at)
{
	return unlikely(READ_ONCE(o->out)) &&
	       gmem_out_of(o, at)[(at >> PAGE_SHIFT) % ENTRIES / 64] >> (at >> PAGE_SHIFT) % 64 & 1;
}

/* Any frame of the chunk at `at`. */
static inline bool gmem_any_out(const struct gmem_object *o, uint64_t at)
{
	uint64_t any = 0;

	if (likely(!READ_ONCE(o->out)))
		return false;
	for (unsigned i = 0; i < ENTRIES / 64; i++)
		any |= gmem_out_of(o, at)[i];
	return any;
}

/* vmm/gmem/gmem_balloon.c: the frame at `at` is to be filled: it is promised again; -ENOMEM. */
int gmem_object_recall(struct gmem_object *o, uint64_t at) must_check;

/* ---- following entries ----------------------------------------------------------------------- */

static inline struct spinlock *gmem_lock_of(struct gmem_object *o, uint64_t at)
{
	return &o->lock[(at >> CHUNK_SHIFT) % GMEM_LOCKS];
}

static inline struct page *gmem_entry_page(uint64_t e)
{
	return page_at(HPA((e & PAGE_MASK) - LAYOUT_DIRECT));
}

/* `written`: ENTRY_WRITTEN or 0. */
static inline uint64_t gmem_entry_present(const struct page *p, uint64_t written)
{
	return (uint64_t)page_virt(p) | GMEM_READ | GMEM_EXEC | ENTRY_ALONE | written;
}

static inline uint64_t gmem_entry_shared(const struct page *p)
{
	return (uint64_t)page_virt(p) | GMEM_READ | GMEM_EXEC | ENTRY_DIRTY | ENTRY_UNSEEN;
}

static inline bool gmem_entry_is_shared(uint64_t e)
{
	return e && !(e & (ENTRY_TABLE | ENTRY_ALONE));
}

/* One that is there counts as written. */
static inline uint64_t gmem_entry_marked(uint64_t e)
{
	return e | (gmem_entry_is_shared(e) ? ENTRY_DIRTY | ENTRY_UNSEEN : ENTRY_WRITTEN);
}

static always_inline uint64_t *gmem_chunk_of(const struct gmem_object *o, uint64_t at)
{
	return &o->chunk[at >> CHUNK_SHIFT];
}

static always_inline uint64_t *gmem_leaf_of(uint64_t chunk, uint64_t at)
{
	return (uint64_t *)(chunk & PAGE_MASK) + (at >> PAGE_SHIFT) % ENTRIES;
}

/* The entry that decides about `at`, a chunk's or a leaf's, and the size of its page. */
static always_inline uint64_t *gmem_entry_of(const struct gmem_object *o, uint64_t at,
					     uint64_t *size)
{
	uint64_t *c = gmem_chunk_of(o, at), e = READ_ONCE(*c);

	*size = e & ENTRY_TABLE ? PAGE_SIZE : PAGE_2M;
	return e & ENTRY_TABLE ? gmem_leaf_of(e, at) : c;
}

static always_inline bool gmem_entry_allows(uint64_t e, unsigned access)
{
	return !(access & ~e);
}

static always_inline void *gmem_entry_pointer(uint64_t e, uint64_t at, uint64_t size)
{
	return (void *)((e & PAGE_MASK) + (at & (size - 1)));
}

/* Under the chunk's lock: the byte at `at` if it is there and may be accessed so. */
static always_inline void *gmem_resident(const struct gmem_object *o, uint64_t at, unsigned access)
{
	uint64_t size, e = *gmem_entry_of(o, at, &size);

	return likely(gmem_entry_allows(e, access)) ? gmem_entry_pointer(e, at, size) : NULL;
}

/* Under the chunk's lock: the page whose reference counts for the present frame at `at`. */
static inline struct page *gmem_page_of(const struct gmem_object *o, uint64_t at)
{
	uint64_t c = *gmem_chunk_of(o, at);
	struct page *p = gmem_entry_page(c);

	if (!(c & ENTRY_TABLE))
		return p;
	return p->owner ?: gmem_entry_page(*gmem_leaf_of(c, at));
}

/* gmem_object_pin_now() with interrupts off. */
static always_inline bool gmem_object_pin_quick(struct gmem_object *o, uint64_t at, unsigned access,
						void **ptr, struct page **page)
{
	struct spinlock *l = gmem_lock_of(o, at);
	void *there;

	spin_lock(l);
	there = gmem_resident(o, at, access);
	if (likely(there)) {
		*ptr = there;
		*page = gmem_page_of(o, at);
		page_get(*page);
	}
	spin_unlock(l);
	return there;
}
