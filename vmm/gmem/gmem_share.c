/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames that objects share until one of them is written: snapshots, forked guests.
 *
 * Design. An entry of a frame that is shared lacks ENTRY_ALONE and so the right to be written, and
 * each object's entry has a reference to the page. Large pages fall apart first: sharing is by 4K.
 * The right to write goes before anything is shared, from entries and then from views, so that
 * nobody writes to what two have. What is pinned, or written again meanwhile, is copied instead. A
 * pin wants a frame alone, for reading too: a device would else go on reading what the guest has
 * left behind.
 *
 * Breaking. First the entry loses every right, then the views forget the frame and the vCPUs what
 * they peeked; then nobody has the old page from here, and the entry becomes a copy of it. Whoever
 * comes meanwhile does the same, and the first copy counts. The last who has the page keeps it.
 */
#include "include/errno.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "lib/string.h"
#include "vmm/gmem/gmem_slots.h"

static bool is_last(const struct page *p)
{
	return __atomic_load_n(&p->refs, __ATOMIC_ACQUIRE) == 1;
}

/* ---- sharing --------------------------------------------------------------------------------- */

/* Frames of the chunk at `at` become pages by themselves; a mark that one had stays to be asked. */
static bool prepare(struct gmem_object *o, uint64_t at, uint64_t from, uint64_t to)
{
	struct spinlock *l = gmem_lock_of(o, at);
	uint64_t *c = gmem_chunk_of(o, at), irq;

	if (!gmem_object_split(o, at))
		return false;
	irq = spin_lock_irq(l);
	if (*c & ENTRY_TABLE) {
		struct page *t = gmem_entry_page(*c);

		if (t->owner && is_last(t->owner))
			gmem_fall_apart(o, t);
		for (uint64_t a = MAX(at, from); a < MIN(at + PAGE_2M, to); a += PAGE_SIZE) {
			uint64_t *e = gmem_leaf_of(*c, a);

			if (*e & GMEM_WRITE)
				WRITE_ONCE(*e, (*e & ~(uint64_t)GMEM_WRITE) | ENTRY_UNSEEN);
		}
	}
	spin_unlock_irq(l, irq);
	return true;
}

/* `to` has this page, too, where it has nothing yet; the reference passes. */
static void give(struct gmem_object *to, uint64_t at, struct page *p)
{
	struct spinlock *l = gmem_lock_of(to, at);
	uint64_t irq = spin_lock_irq(l), size, *e = gmem_entry_of(to, at, &size);
	bool won = !*e && size == PAGE_SIZE;

	if (won)
		WRITE_ONCE(*e, gmem_entry_shared(p));
	spin_unlock_irq(l, irq);
	if (won)
		__atomic_add_fetch(&to->present_pages, 1, __ATOMIC_RELAXED);
	else
		page_put(p);
}

/*
 * The page of the frame at `at` with a reference; NULL: none. `*copy`: where its bytes are, if they
 * are not for both.
 */
static struct page *take_part(struct gmem_object *o, uint64_t at, void **copy)
{
	struct spinlock *l = gmem_lock_of(o, at);
	uint64_t irq = spin_lock_irq(l), size, *e = gmem_entry_of(o, at, &size);
	struct page *p = *e ? gmem_page_of(o, at) : NULL;

	*copy = NULL;
	if (p && !gmem_entry_is_shared(*e)) {
		bool part = size != PAGE_SIZE || p != gmem_entry_page(*e);

		if (part || *e & GMEM_WRITE || !is_last(p)) {
			*copy = gmem_entry_pointer(*e, at, size);
		} else {
			p->owner = NULL;		/* several have it */
			WRITE_ONCE(*e, *e & ~(uint64_t)ENTRY_ALONE);
		}
	}
	if (p)
		page_get(p);
	spin_unlock_irq(l, irq);
	return p;
}

static int share_frame(struct gmem_object *o, uint64_t at, struct gmem_object *to)
{
	void *bytes;
	struct page *p = take_part(o, at, &bytes), *copy;

	if (!p || !bytes) {
		if (p)
			give(to, at, p);
		return 0;
	}
	copy = page_alloc(0, PAGE_GUEST, to->node, to->charge);
	if (copy) {
		memcpy(page_virt(copy), bytes, PAGE_SIZE);
		(void)gmem_object_commit(to, at, copy, ENTRY_WRITTEN);
	}
	page_put(p);
	return copy ? 0 : -ENOMEM;
}

int gmem_share(struct gmem *g, struct gmem_object *o, uint64_t at, uint64_t size,
	       struct gmem_object *to)
{
	uint64_t first = ALIGN_DOWN(at, PAGE_2M), end = at + size;
	int err = 0;

	ASSERT(thread_may_wait());
	if (!IS_ALIGNED(at | size, PAGE_SIZE) || o == to ||
	    !range_within(at, size, o->start, o->size - o->start) ||
	    !range_within(at, size, to->start, to->size - to->start))
		return -EINVAL;
	for (uint64_t a = first; a < end; a += PAGE_2M) {
		if (!prepare(o, a, at, end) || gmem_object_table(to, a))
			return -ENOMEM;
		sched_point();
	}
	gmem_views_of(g, o, at, size, GMEM_LOSE_WRITE);
	for (uint64_t a = at; !err && a < end; a += PAGE_SIZE) {
		err = share_frame(o, a, to);
		if (!(a % PAGE_2M))
			sched_point();
	}
	return err;
}

/* ---- breaking -------------------------------------------------------------------------------- */

/*
 * `*out`: the frame's page, with a reference, and nobody may reach it by this object any more;
 * NULL: it is not shared, or is no longer, for nobody else has it. -ENOMEM: that needs a copy.
 */
static int withdraw(struct gmem_object *o, uint64_t at, bool have_copy, struct page **out)
{
	struct spinlock *l = gmem_lock_of(o, at);
	uint64_t irq = spin_lock_irq(l), size, *e = gmem_entry_of(o, at, &size);
	struct page *p = gmem_entry_is_shared(*e) ? gmem_entry_page(*e) : NULL;
	int err = 0;

	*out = NULL;
	if (p && is_last(p)) {
		p->owner = o;
		p->index = at >> PAGE_SHIFT;
		WRITE_ONCE(*e, gmem_entry_present(p, ENTRY_WRITTEN));
	} else if (p && !have_copy) {
		err = -ENOMEM;
	} else if (p) {
		page_get(p);
		WRITE_ONCE(*e, *e & ~(uint64_t)ENTRY_ACCESS);
		*out = p;
	}
	spin_unlock_irq(l, irq);
	return err;
}

/* `copy` in the place of `p`; false: somebody was faster. */
static bool replace(struct gmem_object *o, uint64_t at, const struct page *p, struct page *copy)
{
	struct spinlock *l = gmem_lock_of(o, at);
	uint64_t irq = spin_lock_irq(l), size, *e = gmem_entry_of(o, at, &size);
	bool mine = gmem_entry_is_shared(*e) && gmem_entry_page(*e) == p;

	copy->owner = o;
	copy->index = at >> PAGE_SHIFT;
	if (mine)
		WRITE_ONCE(*e, gmem_entry_present(copy, ENTRY_WRITTEN));
	spin_unlock_irq(l, irq);
	return mine;
}

int gmem_unshare(struct gmem *g, struct gmem_object *o, uint64_t at)
{
	struct page *copy = page_alloc(0, PAGE_GUEST, o->node, o->charge), *p;
	int err = withdraw(o, at, copy, &p);

	ASSERT(thread_may_wait());
	if (!p) {
		if (copy)
			page_put(copy);
		return err;
	}
	at = ALIGN_DOWN(at, PAGE_SIZE);
	gmem_views_of(g, o, at, PAGE_SIZE, GMEM_LOSE_ALL);
	memcpy(page_virt(copy), page_virt(p), PAGE_SIZE);
	/* Either the entry's reference goes, or the copy. */
	page_put(replace(o, at, p, copy) ? p : copy);
	page_put(p);
	return -EINTR;
}
