/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The entries of a slot's tables and the ways to them. For vmm/gmem*.c alone; the tables' design
 * and locking are at the head of vmm/gmem.c.
 */
#pragma once

#include "include/bits.h"
#include "include/errno.h"
#include "vmm/gmem.h"

#define ENTRIES		512u
#define CHUNK_SHIFT	21

/*
 * An entry is 0 (absent), or the host address of the page in the direct map with what may be done
 * to it in the low bits: all three when present, no write until the frame counts as written
 * (vmm/gmem_dirty.c). One that is swapped out will have none of the three. A chunk's entry that has
 * ENTRY_TABLE points to its leaf table instead. Where the entries of that are parts of one 2 MiB
 * page, the table's struct page has it as its owner; else NULL.
 */
#define ENTRY_ACCESS	(GMEM_READ | GMEM_WRITE | GMEM_EXEC)
#define ENTRY_TABLE	BIT(3)
#define ENTRY_DIRTY	BIT(4)		/* written since it was filled */
#define ENTRY_WRITTEN	(GMEM_WRITE | ENTRY_DIRTY)

static inline struct page *gmem_entry_page(uint64_t e)
{
	return page_at(HPA((e & PAGE_MASK) - LAYOUT_DIRECT));
}

/* `written`: ENTRY_WRITTEN or 0. */
static inline uint64_t gmem_entry_present(const struct page *p, uint64_t written)
{
	return (uint64_t)page_virt(p) | GMEM_READ | GMEM_EXEC | written;
}

/* NULL: not RAM. */
const struct gmem_slot *gmem_slot_search(const struct gmem *g, uint64_t a);

static always_inline const struct gmem_slot *gmem_slot_of(const struct gmem *g, uint64_t a)
{
	const struct gmem_slot *s = g->main;

	return likely(a - s->base < s->size) ? s : gmem_slot_search(g, a);
}

static always_inline uint64_t *gmem_chunk_of(const struct gmem_slot *s, uint64_t a)
{
	return (uint64_t *)(s->entries + (a >> CHUNK_SHIFT) * sizeof(uint64_t));
}

static always_inline uint64_t *gmem_leaf_of(uint64_t chunk, uint64_t a)
{
	return (uint64_t *)(chunk & PAGE_MASK) + (a >> PAGE_SHIFT) % ENTRIES;
}

/* The entry that decides about `a`, a chunk's or a leaf's, and the size of its page. */
static always_inline uint64_t *gmem_entry_of(const struct gmem_slot *s, uint64_t a, uint64_t *size)
{
	uint64_t *c = gmem_chunk_of(s, a), e = READ_ONCE(*c);

	*size = e & ENTRY_TABLE ? PAGE_SIZE : PAGE_2M;
	return e & ENTRY_TABLE ? gmem_leaf_of(e, a) : c;
}

static always_inline bool gmem_is_absent(const struct gmem_slot *s, uint64_t a)
{
	uint64_t size;

	return !READ_ONCE(*gmem_entry_of(s, a, &size));
}

static always_inline bool gmem_allows(uint64_t e, unsigned access)
{
	return !(access & ~e);
}

static always_inline void *gmem_pointer_of(uint64_t e, uint64_t a, uint64_t size)
{
	return (void *)((e & PAGE_MASK) + a % size);
}

/* Does the slot cover the aligned `size` around `a`, and may leaves be that large? */
static inline bool gmem_covers(const struct gmem *g, const struct gmem_slot *s, uint64_t a,
			       uint64_t size)
{
	return g->config.max_leaf_level >= (size == PAGE_1G ? 3u : 2u) &&
	       range_within(ALIGN_DOWN(a, size), size, s->base, s->size);
}

/* Under the lock: the byte at `a` if it is there and may be accessed so. */
static always_inline void *gmem_resident(const struct gmem_slot *s, uint64_t a, unsigned access)
{
	uint64_t size, e = *gmem_entry_of(s, a, &size);

	return likely(gmem_allows(e, access)) ? gmem_pointer_of(e, a, size) : NULL;
}

/* Under the lock: the page whose reference counts for the present frame at `a`. */
static inline struct page *gmem_page_of(const struct gmem_slot *s, uint64_t a)
{
	uint64_t c = *gmem_chunk_of(s, a);
	struct page *p = gmem_entry_page(c);

	if (!(c & ENTRY_TABLE))
		return p;
	return p->owner ?: gmem_entry_page(*gmem_leaf_of(c, a));
}

/*
 * Under the lock on success: the byte at `a`, `irq` for the unlock. NULL without the lock:
 * `err` says why.
 */
struct gmem_held {
	void *p;
	uint64_t irq;
	int err;
};

/* What fills when gmem_resident() finds nothing; the lock is not held on entry. */
struct gmem_held gmem_acquire_slow(struct gmem *g, const struct gmem_slot *s, uint64_t a,
				   unsigned access);

static always_inline struct gmem_held gmem_acquire(struct gmem *g, const struct gmem_slot *s,
						   uint64_t a, unsigned access)
{
	struct gmem_held h = { .err = -EFAULT };

	if (unlikely(!s))
		return h;
	h.irq = spin_lock_irq(&g->lock);
	h.p = gmem_resident(s, a, access);
	if (likely(h.p))
		return h;
	spin_unlock_irq(&g->lock, h.irq);
	return gmem_acquire_slow(g, s, a, access);
}

/* vmm/gmem_dirty.c: the present frame at `a` counts as written, and may be. */
void gmem_mark(struct gmem *g, const struct gmem_slot *s, uint64_t a);
/*
 * vmm/gmem_tables.c: takes the right to write from the leaves of a range, so that they are asked
 * for again, and waits until no TLB and no peek has it.
 */
void gmem_tables_protect(struct gmem *g, uint64_t a, uint64_t size);
