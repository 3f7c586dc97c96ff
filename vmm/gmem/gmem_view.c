/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Views: the second-level tables (EPT, NPT), a cache of what slots and entries say, filled by
 * faults.
 *
 * Locking. The tables of one 2 MiB are under the lock of its part (LOCK_VIEW_PART; every sixteenth
 * 2 MiB is of one part), so that faults of different ones do not wait for each other; the walker
 * makes the tables above without a lock. What concerns more, a GiB's leaf, a slot, closes the view
 * under its own lock (LOCK_VIEW) and waits until nobody is in a part. A leaf is made from an entry
 * that is read under its part's lock, of the slots that are the last ones under it; whoever takes
 * something away does so there first and changes the view under the lock after that. So either the
 * leaf is made of what is left, or it is there to be found. All with interrupts off. No page is
 * cleared meanwhile: who finds none for a table brings one, without a lock, and begins again.
 */
#include "cpu/cpu.h"
#include "cpu/ipi.h"
#include "include/errno.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "vmm/gmem/gmem_slots.h"

int gmem_view_init(struct gmem_view *v, const struct gmem_view_config *c, struct charge *charge)
{
	*v = (struct gmem_view){ .config = *c };
	spin_init(&v->whole, "view", LOCK_VIEW);
	for (unsigned i = 0; i < GMEM_LOCKS; i++)
		spin_init(&v->part[i].lock, "view part", LOCK_VIEW_PART);
	if (paging_init(&v->tables, c->format, c->max_leaf_level, charge))
		return -ENOMEM;
	v->tables.parallel = true;
	return 0;
}

/* `p` goes over the gmem's views; interrupts are off, or nobody removes one. */
#define for_each_view(p, g) \
	for (struct gmem_view *p = &(g)->view; p; p = READ_ONCE(p->next))

uint64_t gmem_view_faults(const struct gmem_view *v)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < GMEM_LOCKS; i++)
		sum += READ_ONCE(v->part[i].faults);
	return sum;
}

/* ---- who has what ---------------------------------------------------------------------------- */

/* Who finds the view closed is the next who has it, and enters from there. */
static noinline void enter_closed(struct gmem_view *v, struct gmem_view_part *part)
{
	spin_unlock(&part->lock);
	spin_lock(&v->whole);
	spin_lock(&part->lock);
	spin_unlock(&v->whole);
}

/* The 2 MiB at `a` are this CPU's until leave(). Interrupts are off. */
static struct gmem_view_part *enter(struct gmem_view *v, uint64_t a)
{
	struct gmem_view_part *part = &v->part[(a >> CHUNK_SHIFT) % GMEM_LOCKS];

	ASSERT(!cpu_irq_enabled());
	spin_lock(&part->lock);
	if (unlikely(READ_ONCE(v->closed)))
		enter_closed(v, part);
	return part;
}

static void leave(struct gmem_view_part *part)
{
	spin_unlock(&part->lock);
}

/* Everything is this CPU's: who was in a part has left it, who comes finds that it is closed. */
static uint64_t enter_all(struct gmem_view *v)
{
	uint64_t irq = spin_lock_irq(&v->whole);

	ASSERT(!v->closed || !spin_held(&v->whole));
	WRITE_ONCE(v->closed, true);
	for (unsigned i = 0; i < GMEM_LOCKS; i++) {
		spin_lock(&v->part[i].lock);
		spin_unlock(&v->part[i].lock);
	}
	return irq;
}

static void leave_all(struct gmem_view *v, uint64_t irq)
{
	ASSERT(v->closed && spin_held(&v->whole));
	WRITE_ONCE(v->closed, false);
	spin_unlock_irq(&v->whole, irq);
}

/* ---- faults ---------------------------------------------------------------------------------- */

/* May the aligned `size` around `a` be one leaf, as far as its slot goes? */
static bool fits(const struct gmem_view *v, const struct gmem_place *p, uint64_t a, uint64_t size)
{
	return v->config.max_leaf_level >= (size == PAGE_1G ? 3u : 2u) &&
	       IS_ALIGNED(p->delta, size) &&
	       range_within(ALIGN_DOWN(a, size), size, p->base, p->size);
}

/* Are the 512 chunks around `a` one GiB of adjacent host memory, with equal rights? */
static bool is_1g(const struct gmem_view *v, const struct gmem_place *p, uint64_t a)
{
	const uint64_t *c;
	uint64_t first;

	if (!fits(v, p, a, PAGE_1G))
		return false;
	c = gmem_chunk_of(p->object, ALIGN_DOWN(a + p->delta, PAGE_1G));
	first = (c[0] & PAGE_MASK) - LAYOUT_DIRECT;
	/* A guest that fills its memory upwards has all but the last long before. */
	if (first % PAGE_1G || !READ_ONCE(c[ENTRIES - 1]))
		return false;
	for (unsigned i = 0; i < ENTRIES; i++)
		if ((c[i] & ENTRY_TABLE) || (c[i] ^ c[0]) & ENTRY_ACCESS ||
		    (c[i] & PAGE_MASK) != LAYOUT_DIRECT + first + i * PAGE_2M)
			return false;
	return true;
}

/*
 * Where large leaves may not be executable: one that is not, and in its place a small one for each
 * page that is executed. It stays split: a TLB that has the large one takes the fault of a fetch
 * for its end, and by then has had no executable entry of two sizes.
 */
static int map_split(struct paging *t, uint64_t a, uint64_t host, uint64_t size, unsigned prot,
		     unsigned access)
{
	unsigned data = prot & ~(unsigned)PROT_EXEC;
	struct paging_leaf old;
	int r = 0;

	if (paging_lookup(t, a, &old))
		old = (struct paging_leaf){ .size = size };
	if (old.size != PAGE_SIZE)
		r = paging_map(t, ALIGN_DOWN(a, size), HPA(host), size, data, CACHE_WB);
	if (r < 0 || !(access & GMEM_EXEC || old.size == PAGE_SIZE))
		return r;
	return paging_map(t, ALIGN_DOWN(a, PAGE_SIZE),
			  HPA(host + ALIGN_DOWN(a % size, PAGE_SIZE)), PAGE_SIZE,
			  access & GMEM_EXEC ? prot : data | (old.prot & PROT_EXEC), CACHE_WB);
}

enum { FILLED, AGAIN, AS_A_GIB };

/*
 * The leaf for `a`, as large as the truth allows, by who has entered there. AGAIN: it does not
 * allow any; AS_A_GIB: only who has `all` can.
 */
static int map_leaf(struct gmem_view *v, const struct gmem_place *p, uint64_t a, unsigned access,
		    bool all)
{
	struct paging *t = &v->tables;
	uint64_t at = a + p->delta, size, e = READ_ONCE(*gmem_entry_of(p->object, at, &size));
	uint64_t rights = e & ~(uint64_t)p->denied, host;
	unsigned prot = PROT_READ | PROT_EXEC | PROT_USER | (rights & GMEM_WRITE ? PROT_WRITE : 0);
	int r;

	if (!gmem_entry_allows(rights, access))
		return AGAIN;
	host = (e & PAGE_MASK) - LAYOUT_DIRECT;
	if (size == PAGE_2M && !fits(v, p, a, PAGE_2M)) {
		host += ALIGN_DOWN(at % PAGE_2M, PAGE_SIZE);
		size = PAGE_SIZE;
	} else if (size == PAGE_2M && is_1g(v, p, a)) {
		if (!all)
			return AS_A_GIB;
		size = PAGE_1G;
		host = ALIGN_DOWN(host, PAGE_1G);
	}
	/* What it may replace is the same frames in smaller leaves: no TLB needs to know. */
	if (unlikely(v->config.exec_4k && size != PAGE_SIZE))
		r = map_split(t, a, host, size, prot, access);
	else
		r = paging_map(t, ALIGN_DOWN(a, size), HPA(host), size, prot, CACHE_WB);
	return MIN(r, FILLED);
}

static int map_in_part(struct gmem *g, struct gmem_view *v, const struct gmem_slots *l,
		       const struct gmem_place *p, uint64_t a, unsigned access)
{
	uint64_t irq = cpu_irq_save();
	struct gmem_view_part *part = enter(v, a);
	int r = gmem_slots_now(g) == l ? map_leaf(v, p, a, access, false) : AGAIN;

	part->faults++;
	leave(part);
	cpu_irq_restore(irq);
	return r;
}

static noinline int map_in_all(struct gmem *g, struct gmem_view *v, const struct gmem_slots *l,
			       const struct gmem_place *p, uint64_t a, unsigned access)
{
	uint64_t irq = enter_all(v);
	int r = gmem_slots_now(g) == l ? map_leaf(v, p, a, access, true) : AGAIN;

	ASSERT(fits(v, p, a, PAGE_2M));
	leave_all(v, irq);
	return r;
}

/*
 * vCPU thread, or nobody changes slots: what is looked up stays there, though it may be of before.
 * The truth may change between the two steps; then again. Slots as well: the new ones are seen
 * under the lock, or whoever published them has not dropped the leaves of before yet.
 */
int gmem_view_fault(struct gmem *g, struct gmem_view *v, gpa_t a, unsigned access)
{
	int r;

	ASSERT(thread_may_wait());
	do {
		const struct gmem_slots *l = gmem_slots_now(g);
		const struct gmem_place *p = gmem_place_of(l, a.v, access);

		if (!p)
			return -ENOENT;
		if (!gmem_place_peek(p, a.v, access)) {
			r = gmem_object_provide(p->object, a.v + p->delta, access);
			if (unlikely(r > 0))
				r = gmem_unshare(g, p->object, a.v + p->delta);
			if (r)
				return r;
		}
		r = map_in_part(g, v, l, p, a.v, access);
		if (likely(r == FILLED))
			return 0;
		if (r == AS_A_GIB)
			r = map_in_all(g, v, l, p, a.v, access);
		if (r == -ENOMEM && !paging_spare(&v->tables))
			r = AGAIN;
	} while (r > 0);
	return r;
}

int gmem_fault(struct gmem *g, gpa_t a, unsigned access)
{
	return gmem_view_fault(g, &g->view, a, access);
}

/* ---- what goes ------------------------------------------------------------------------------- */

static uint64_t everything(const struct gmem *g)
{
	return 1ul << g->config.gpa_bits;
}

static int change(struct gmem_view *v, uint64_t a, uint64_t size, enum gmem_loss loss)
{
	return loss == GMEM_LOSE_ALL ? paging_unmap(&v->tables, a, size) :
	       paging_restrict(&v->tables, a, size, PROT_WRITE);
}

static bool in_one_part(uint64_t a, uint64_t size)
{
	return !((a ^ (a + size - 1)) >> CHUNK_SHIFT);
}

static int lose_in_part(struct gmem_view *v, uint64_t a, uint64_t size, enum gmem_loss loss)
{
	struct gmem_view_part *part = enter(v, a);
	int r = change(v, a, size, loss);

	leave(part);
	return r;
}

static int lose_in_all(struct gmem_view *v, uint64_t a, uint64_t size, enum gmem_loss loss)
{
	uint64_t irq = enter_all(v);
	int r = change(v, a, size, loss);

	leave_all(v, irq);
	return r;
}

static void lose_in(struct gmem *g, struct gmem_view *v, uint64_t a, uint64_t size,
		    enum gmem_loss loss)
{
	bool part = in_one_part(a, size);
	int r;

	do {
		r = part ? lose_in_part(v, a, size, loss) : lose_in_all(v, a, size, loss);
	} while (unlikely(r == -ENOMEM) && !paging_spare(&v->tables));
	if (r < 0)
		(void)!lose_in_all(v, 0, everything(g), GMEM_LOSE_ALL);
}

/*
 * Leaves of [a, a+size) lose what is said, in all views; interrupts are off. Without memory to
 * split one at the range's borders all leaves go, which needs none.
 */
static void lose(struct gmem *g, uint64_t a, uint64_t size, enum gmem_loss loss)
{
	ASSERT(size && !cpu_irq_enabled());
	for_each_view(v, g)
		lose_in(g, v, a, size, loss);
}

static void prune(struct gmem *g, uint64_t a, uint64_t size)
{
	for_each_view(v, g) {
		uint64_t irq = enter_all(v);

		paging_prune(&v->tables, a, size);
		leave_all(v, irq);
	}
}

static void flush(struct gmem_view *v, void (*fn)(void *arg), void *arg)
{
	struct list tables;

	paging_retired(&v->tables, &tables);
	if (fn)
		fn(arg);
	paging_free_retired(&tables);
}

/* Who removes a view waits for who came before it was gone, and for nobody who comes after. */
static noinline void flush_others(struct gmem *g)
{
	unsigned phase = __atomic_load_n(&g->phase, __ATOMIC_SEQ_CST) % 2;

	__atomic_add_fetch(&g->walkers[phase], 1, __ATOMIC_SEQ_CST);
	for (struct gmem_view *v = READ_ONCE(g->view.next); v; v = READ_ONCE(v->next))
		flush(v, v->config.flush, v->config.arg);
	__atomic_sub_fetch(&g->walkers[phase], 1, __ATOMIC_SEQ_CST);
}

/* Behind a change of the tables: one wait for all of it. */
void gmem_views_wait(struct gmem *g)
{
	ASSERT(thread_may_wait());
	__atomic_add_fetch(&g->generation, 1, __ATOMIC_SEQ_CST);
	flush(&g->view, g->config.flush, g->config.arg);
	if (unlikely(READ_ONCE(g->view.next)))
		flush_others(g);
}

void gmem_views_drop(struct gmem *g, uint64_t a, uint64_t b, uint64_t size)
{
	uint64_t irq = cpu_irq_save();

	lose(g, a, size, GMEM_LOSE_ALL);
	prune(g, a, size);
	if (b != a) {
		lose(g, b, size, GMEM_LOSE_ALL);
		prune(g, b, size);
	}
	cpu_irq_restore(irq);
	gmem_views_wait(g);
}

/*
 * Of slots that come meanwhile the leaves are made of what is there now. Those of before stay as
 * long as interrupts are off.
 */
void gmem_views_lose(struct gmem *g, const struct gmem_object *o, uint64_t at, uint64_t size,
		     enum gmem_loss loss)
{
	uint64_t irq = cpu_irq_save();
	const struct gmem_slots *l = gmem_slots_now(g);

	ASSERT(size && IS_ALIGNED(at | size, PAGE_SIZE));
	for (unsigned i = 0; i < l->count; i++) {
		const struct gmem_place *p = &l->place[i];
		uint64_t from = MAX(at, p->base + p->delta),
			 to = MIN(at + size, p->base + p->delta + p->size);

		if (p->object == o && from < to)
			lose(g, from - p->delta, to - from, loss);
	}
	cpu_irq_restore(irq);
}

void gmem_views_of(struct gmem *g, const struct gmem_object *o, uint64_t at, uint64_t size,
		   enum gmem_loss loss)
{
	gmem_views_lose(g, o, at, size, loss);
	gmem_views_wait(g);
}

/* ---- what was used --------------------------------------------------------------------------- */

struct harvest {
	uint64_t *bitmap;
	uint64_t at, delta;		/* in the object: bit 0; and of guest addresses */
	uint64_t from, to;		/* guest addresses that are asked for */
	bool any;
};

static void used(void *arg, uint64_t a, uint64_t size)
{
	struct harvest *h = arg;
	uint64_t end = MIN(a + size, h->to);

	for (a = MAX(a, h->from); a < end; a += PAGE_SIZE) {
		uint64_t frame = (a + h->delta - h->at) >> PAGE_SHIFT;

		h->bitmap[frame / 64] |= BIT(frame % 64);
		h->any = true;
	}
}

static int harvest_part(struct gmem_view *v, uint64_t a, uint64_t size, struct harvest *h)
{
	struct gmem_view_part *part = enter(v, a);
	int r = 0;

	paging_harvest(&v->tables, a, size, used, h);
	if (!v->config.format->accessed)
		r = change(v, a, size, GMEM_LOSE_ALL);
	leave(part);
	return r;
}

/* Within one 2 MiB, in all views. Where the chip notes nothing the leaf itself goes. */
static void harvest_some(struct gmem *g, uint64_t a, uint64_t size, struct harvest *h)
{
	uint64_t irq = cpu_irq_save();

	for_each_view(v, g) {
		int r;

		do {
			r = harvest_part(v, a, size, h);
		} while (unlikely(r == -ENOMEM) && !paging_spare(&v->tables));
		if (r < 0)
			(void)!lose_in_all(v, 0, everything(g), GMEM_LOSE_ALL);
	}
	cpu_irq_restore(irq);
}

static void harvest(struct gmem *g, struct harvest *h)
{
	for (uint64_t a = h->from, next; a < h->to; a = next) {
		next = MIN(ALIGN_DOWN(a, PAGE_2M) + PAGE_2M, h->to);
		harvest_some(g, a, next - a, h);
		if (!(a % PAGE_1G))
			sched_point();
	}
}

int gmem_harvest(struct gmem *g, const struct gmem_object *o, uint64_t at, uint64_t size,
		 uint64_t *bitmap)
{
	struct gmem_slot s;
	bool any = false;

	if (!IS_ALIGNED(at | size, PAGE_SIZE) || !range_within(at, size, 0, o->size))
		return -EINVAL;
	for (unsigned i = 0; gmem_slot_get(g, i, &s); i++) {
		uint64_t from = MAX(at, s.offset), to = MIN(at + size, s.offset + s.size);
		struct harvest h = { .bitmap = bitmap, .at = at, .delta = s.offset - s.base };

		if (s.object != o || from >= to)
			continue;
		h.from = from - h.delta;
		h.to = to - h.delta;
		harvest(g, &h);
		any |= h.any;
	}
	if (any)
		gmem_views_wait(g);
	return any;
}

void gmem_drop_tables(struct gmem *g)
{
	gmem_views_drop(g, 0, 0, everything(g));
}

hpa_t gmem_root(const struct gmem *g)
{
	return page_hpa(g->view.tables.root);
}

/* ---- further ones ---------------------------------------------------------------------------- */

static void nothing(void *arg)
{
	(void)arg;
}

int gmem_view_add(struct gmem *g, struct gmem_view *v, const struct gmem_view_config *c)
{
	int err = gmem_view_init(v, c, g->config.charge);

	if (err)
		return err;
	v->next = g->view.next;
	/* Whoever does not find it has changed the truth before its first leaf is made. */
	__atomic_store_n(&g->view.next, v, __ATOMIC_SEQ_CST);
	return 0;
}

void gmem_view_remove(struct gmem *g, struct gmem_view *v)
{
	struct gmem_view *before = &g->view;

	while (before->next != v)
		before = before->next;
	__atomic_store_n(&before->next, v->next, __ATOMIC_SEQ_CST);
	ipi_call_others(nothing, NULL);
	/* Both: who has looked at the phase and not counted himself yet may be one behind. */
	for (unsigned i = 0; i < 2; i++) {
		unsigned phase = __atomic_fetch_add(&g->phase, 1, __ATOMIC_SEQ_CST) % 2;

		while (__atomic_load_n(&g->walkers[phase], __ATOMIC_SEQ_CST))
			sched_point();
	}
	paging_destroy(&v->tables);
}
