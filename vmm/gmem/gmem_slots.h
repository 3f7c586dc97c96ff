/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which object answers at a guest address: an immutable sorted array. For vmm/gmem/gmem*.c alone.
 * It is read by vCPU threads until they are quiet, and by others with interrupts off; see the head
 * of vmm/gmem/gmem_slots.c.
 */
#pragma once

#include "vmm/gmem/gmem.h"

/* As struct gmem_slot, in the form in which it is looked up. */
struct gmem_place {
	uint64_t base, size;
	uint64_t delta;			/* offset in the object = address + delta */
	struct gmem_object *object;
	uint8_t denied;
};

struct gmem_slots {
	struct gmem_place main;		/* a copy of the largest that denies nothing: looked at
					 * first; size 0 if there is none */
	unsigned count;
	struct gmem_place place[];
};

static inline const struct gmem_slots *gmem_slots_now(const struct gmem *g)
{
	return __atomic_load_n(&g->slots, __ATOMIC_ACQUIRE);
}

/* NULL: none. */
const struct gmem_place *gmem_place_search(const struct gmem_slots *l, uint64_t a);

/* What answers to that access; NULL: nothing here. */
static always_inline const struct gmem_place *gmem_place_of(const struct gmem_slots *l, uint64_t a,
							    unsigned access)
{
	const struct gmem_place *p = &l->main;

	if (likely(a - p->base < p->size))
		return p;
	p = gmem_place_search(l, a);
	return p && !(p->denied & access) ? p : NULL;
}

/* The host address of byte `a` if its frame is there and allows the access. As gmem_peek. */
static always_inline void *gmem_place_peek(const struct gmem_place *p, uint64_t a, unsigned access)
{
	uint64_t at = a + p->delta, e = READ_ONCE(*gmem_chunk_of(p->object, at)), size = PAGE_2M;

	if (e & ENTRY_TABLE) {
		e = READ_ONCE(*gmem_leaf_of(e, at));
		size = PAGE_SIZE;
	}
	return likely(gmem_entry_allows(e, access)) ? gmem_entry_pointer(e, at, size) : NULL;
}

/*
 * vmm/gmem/gmem_dirty.c: the chunk at `at` is not one whole page; false: no memory for its table.
 * And one tracker more, or less.
 */
bool gmem_object_split(struct gmem_object *o, uint64_t at);
void gmem_object_track(struct gmem_object *o, int by);
/* vmm/gmem/gmem_take.c: frames leave; the views and who follows entries are to forget them next. */
struct gmem_taking {
	struct gmem_object *object;
	uint64_t from, to;		/* offsets in it */
	bool clean;			/* only what was never written */
	struct list pages;		/* without an entry, with a reference */
	uint64_t frames;		/* so many */
};

void gmem_take_range(struct gmem_taking *t);
/*
 * vmm/gmem/gmem_take.c, under the lock: the page that the table's entries are the parts of, and
 * that nobody has pinned, becomes 512.
 */
void gmem_fall_apart(struct gmem_object *o, struct page *table);
/*
 * vmm/gmem/gmem_share.c: the frame at `at` is no longer shared. 0: it was not, or nobody else has
 * it; -EINTR: a copy has come, this thread was quiet and looks everything up again; -ENOMEM.
 */
int gmem_unshare(struct gmem *g, struct gmem_object *o, uint64_t at) must_check;
/*
 * vmm/gmem/gmem_view.c: the truth has changed, or its marks were taken: leaves of [a, a+size) and
 * [b, b+size), or wherever those bytes of an object are shown, lose what is said, and no TLB, no
 * cached walk and no peek is left of before. Waits once.
 */
enum gmem_loss { GMEM_LOSE_WRITE, GMEM_LOSE_ALL };

int gmem_view_init(struct gmem_view *v, const struct gmem_view_config *c,
		   struct charge *charge) must_check;
uint64_t gmem_view_faults(const struct gmem_view *v);
void gmem_views_drop(struct gmem *g, uint64_t a, uint64_t b, uint64_t size);
void gmem_views_of(struct gmem *g, const struct gmem_object *o, uint64_t at, uint64_t size,
		   enum gmem_loss loss);
/* The same in two steps: any number of the first, then one wait. */
void gmem_views_lose(struct gmem *g, const struct gmem_object *o, uint64_t at, uint64_t size,
		     enum gmem_loss loss);
void gmem_views_wait(struct gmem *g);
