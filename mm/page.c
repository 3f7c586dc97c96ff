/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The buddy allocator.
 *
 * Design. A block of 2^order frames is described by the struct page of its first frame; the others'
 * are not looked at, so that setting up a GiB costs a few stores. Free blocks lie in lists by node,
 * by zone (below and above 4 GiB), by contents (dirty or zeroed) and by order; a mask tells which
 * lists are not empty. Buddies merge only when both are dirty or both zeroed; scrubbing turns dirty
 * blocks into zeroed ones, which then merge. Single pages go through a small cache per CPU, touched
 * with interrupts off only.
 *
 * Locking. node->lock guards a node's lists and counters (LOCK_PAGE, irq-safe, a leaf but for the
 * log's). refs and charge->pages are atomic. A CPU's cache belongs to that CPU with interrupts off.
 */
#include "mm/page.h"

#include "cpu/cpu.h"
#include "cpu/percpu.h"
#include "include/bits.h"
#include "include/errno.h"
#include "kernel/panic.h"
#include "mm/page_node.h"

#define SCRUB_ORDER	4u
#define SCRUBBERS	4	/* of one node at a time: more would wait for its lock only */
#define CACHE_SIZE	32
#define CACHE_BATCH	16
/*
 * The struct pages of this many frames fill 2 MiB, the granule in which the page array is backed.
 */
#define ARRAY_ORDER	16

struct page_cache {
	unsigned count[CONTENTS];
	struct page *page[CONTENTS][CACHE_SIZE];
};

struct charge page_charge_kernel = { .name = "keel" };
uint64_t page_reserve;
uint64_t page_early_count;

struct page_node page_nodes[PAGE_NODE_MAX];
unsigned page_node_used;
struct page_range page_ranges[PAGE_RANGE_MAX];
unsigned page_range_count;
static PERCPU struct page_cache page_cache;
PERCPU int page_home = 0;

bool page_frame_is_ram(uint64_t frame)
{
	for (unsigned i = 0; i < page_range_count; i++)
		if (frame >= page_ranges[i].start && frame < page_ranges[i].end)
			return true;
	return false;
}

struct page *page_of(hpa_t a)
{
	return page_frame_is_ram(a.v / PAGE_SIZE) ? page_at(a) : NULL;
}

/* ---- blocks in lists; the node's lock is held ------------------------------------------------ */

static struct page_store *store_of(struct page_node *n, const struct page *p, enum page_contents c)
{
	return &n->store[page_frame(p) < LOW_FRAMES ? ZONE_LOW : ZONE_HIGH][c];
}

void page_block_insert(struct page_node *n, struct page *p, unsigned order, enum page_contents c)
{
	struct page_store *s = store_of(n, p, c);

	ASSERT(order <= PAGE_ORDER_MAX && spin_held(&n->lock));
	ASSERT(IS_ALIGNED(page_frame(p), 1ul << order));
	p->state = c == ZEROED ? PAGE_FREE_ZEROED : PAGE_FREE_DIRTY;
	p->order = (uint8_t)order;
	p->node = (uint16_t)(n - page_nodes);
	list_push_front(&s->list[order], &p->link);
	s->blocks[order]++;
	s->orders |= 1u << order;
	n->frames[c] += 1ul << order;
}

void page_block_remove(struct page_node *n, struct page *p, enum page_contents c)
{
	unsigned order = p->order;
	struct page_store *s = store_of(n, p, c);

	ASSERT(spin_held(&n->lock) && p->order <= PAGE_ORDER_MAX);
	list_remove(&p->link);
	s->blocks[order]--;
	if (list_empty(&s->list[order]))
		s->orders &= ~(1u << order);
	n->frames[c] -= 1ul << order;
	p->state = PAGE_NONE;
}

/* The free block that merges with [frame, +2^order) of these contents, or NULL. */
static struct page *buddy_of(const struct page_node *n, uint64_t frame, unsigned order,
			     enum page_contents c)
{
	uint64_t other = frame ^ (1ul << order);
	struct page *b = page_at_frame(other);

	/* Beyond one granule the buddy's struct page may not exist. */
	if (order >= ARRAY_ORDER && !page_frame_is_ram(other))
		return NULL;
	if (b->state != (c == ZEROED ? PAGE_FREE_ZEROED : PAGE_FREE_DIRTY))
		return NULL;
	return b->order == order && &page_nodes[b->node] == n ? b : NULL;
}

void page_block_free(struct page_node *n, struct page *p, unsigned order, enum page_contents c)
{
	uint64_t frame = page_frame(p);
	struct page *b;

	ASSERT(spin_held(&n->lock));
	while (order < PAGE_ORDER_MAX && (b = buddy_of(n, frame, order, c))) {
		page_block_remove(n, b, c);
		p->state = PAGE_NONE;
		frame &= ~(1ul << order);
		p = page_at_frame(frame);
		order++;
	}
	page_block_insert(n, p, order, c);
}

/* Takes 2^order frames out of one store; what is too much goes back in halves. */
static struct page *store_take(struct page_node *n, struct page_store *s, unsigned order,
			       enum page_contents c)
{
	uint32_t fit = s->orders >> order << order;
	unsigned have;
	struct page *p;

	ASSERT(spin_held(&n->lock));
	if (!fit)
		return NULL;
	have = bit_lowest(fit);
	p = list_first(&s->list[have], struct page, link);
	page_block_remove(n, p, c);
	while (have > order) {
		have--;
		page_block_insert(n, p + (1ul << have), have, c);
	}
	return p;
}

/* High memory before low, the wanted contents before the others. *c becomes what was found. */
static struct page *node_take(struct page_node *n, unsigned order, unsigned flags,
			      enum page_contents *c)
{
	unsigned tries = flags & PAGE_READY ? 1 : CONTENTS;
	enum page_contents wanted = *c;
	struct page *p;

	for (unsigned other = 0; other < tries; other++) {
		*c = other ? !wanted : wanted;
		p = flags & PAGE_LOW ? NULL : store_take(n, &n->store[ZONE_HIGH][*c], order, *c);
		if (!p)
			p = store_take(n, &n->store[ZONE_LOW][*c], order, *c);
		if (p)
			return p;
	}
	return NULL;
}

/* ---- per-CPU caches of single pages; interrupts are off -------------------------------------- */

static void cache_drain(struct page_cache *cache, enum page_contents c, unsigned keep)
{
	while (cache->count[c] > keep) {
		struct page *p = cache->page[c][--cache->count[c]];
		struct page_node *n = &page_nodes[p->node];

		spin_lock(&n->lock);
		page_block_free(n, p, 0, c);
		spin_unlock(&n->lock);
	}
}

static void cache_push(struct page *p, enum page_contents c)
{
	struct page_cache *cache = &this_cpu(page_cache);

	ASSERT(!cpu_irq_enabled());
	if (cache->count[c] == CACHE_SIZE)
		cache_drain(cache, c, CACHE_SIZE - CACHE_BATCH);
	p->state = PAGE_CACHED;
	cache->page[c][cache->count[c]++] = p;
}

/*
 * Only of the wanted contents. A caller that cares about the node or the zone gets a page only if
 * the last one suits.
 */
static struct page *cache_pop(enum page_contents c, int node, bool low)
{
	struct page_cache *cache = &this_cpu(page_cache);
	struct page *p;

	ASSERT(!cpu_irq_enabled());
	if (!cache->count[c])
		return NULL;
	p = cache->page[c][cache->count[c] - 1];
	if ((node != NODE_ANY && p->node != node) || (low && page_frame(p) >= LOW_FRAMES))
		return NULL;
	cache->count[c]--;
	return p;
}

/* A batch for the cache after it was found empty, so that the next pages cost no lock. */
static void cache_refill(struct page_node *n, enum page_contents c)
{
	struct page_cache *cache = &this_cpu(page_cache);

	while (cache->count[c] < CACHE_BATCH) {
		struct page *p = store_take(n, &n->store[ZONE_HIGH][c], 0, c);

		if (!p)
			p = store_take(n, &n->store[ZONE_LOW][c], 0, c);
		if (!p)
			return;
		p->state = PAGE_CACHED;
		cache->page[c][cache->count[c]++] = p;
	}
}

/* ---- charges --------------------------------------------------------------------------------- */

static bool charge_add(struct charge *c, uint64_t frames)
{
	uint64_t now = __atomic_add_fetch(&c->pages, frames, __ATOMIC_RELAXED);

	if (!c->limit || now <= c->limit)
		return true;
	__atomic_sub_fetch(&c->pages, frames, __ATOMIC_RELAXED);
	return false;
}

static void charge_sub(struct charge *c, uint64_t frames)
{
	ASSERT(c->pages >= frames);
	__atomic_sub_fetch(&c->pages, frames, __ATOMIC_RELAXED);
}

/* ---- allocation ------------------------------------------------------------------------------ */

static uint64_t free_frames(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < page_node_used; i++)
		sum += READ_ONCE(page_nodes[i].frames[DIRTY]) +
		       READ_ONCE(page_nodes[i].frames[ZEROED]);
	return sum;
}

static struct page *take_from(struct page_node *n, unsigned order, unsigned flags,
			      enum page_contents *c)
{
	struct page *p;

	spin_lock(&n->lock);
	p = node_take(n, order, flags, c);
	if (p && !order)
		cache_refill(n, *c);
	spin_unlock(&n->lock);
	return p;
}

/* The preferred node first, then the others. */
static struct page *take_any(unsigned order, unsigned flags, int node, enum page_contents *c)
{
	unsigned wish = (unsigned)(node == NODE_ANY ? this_cpu(page_home) : node),
		 first = wish < page_node_used ? wish : 0;
	enum page_contents wanted = *c;

	for (unsigned i = 0; i < page_node_used; i++) {
		struct page *p;

		*c = wanted;
		p = take_from(&page_nodes[(first + i) % page_node_used], order, flags, c);
		if (p)
			return p;
	}
	return NULL;
}

static struct page *take(unsigned order, unsigned flags, int node, enum page_contents *c)
{
	uint64_t irq = cpu_irq_save();
	struct page *p = NULL;

	if (!order)
		p = cache_pop(*c, node, flags & PAGE_LOW);
	if (!p)
		p = take_any(order, flags, node, c);
	if (!p && !(flags & PAGE_READY)) {
		/*
		 * What this CPU's cache holds of the other contents, or what its pages
		 * would merge to.
		 */
		cache_drain(&this_cpu(page_cache), DIRTY, 0);
		cache_drain(&this_cpu(page_cache), ZEROED, 0);
		p = take_any(order, flags, node, c);
	}
	cpu_irq_restore(irq);
	return p;
}

struct page *page_alloc(unsigned order, unsigned flags, int node, struct charge *charge)
{
	enum page_contents wanted = flags & PAGE_ZEROED ? ZEROED : DIRTY, found = wanted;
	struct page *p;

	if (order > PAGE_ORDER_MAX)
		return NULL;
	if ((flags & PAGE_GUEST) && free_frames() < page_reserve + (1ul << order))
		return NULL;
	if (!charge_add(charge, 1ul << order))
		return NULL;
	p = take(order, flags, node, &found);
	if (!p) {
		charge_sub(charge, 1ul << order);
		return NULL;
	}
	list_init(&p->link);
	p->order = (uint8_t)order;
	p->state = PAGE_USED;
	p->charge = charge;
	__atomic_store_n(&p->refs, 1, __ATOMIC_RELAXED);
	if (wanted == ZEROED && found == DIRTY)
		page_clear(page_virt(p), PAGE_SIZE << order);
	return p;
}

void page_get(struct page *p)
{
	uint32_t before = __atomic_fetch_add(&p->refs, 1, __ATOMIC_RELAXED);

	ASSERT(before > 0 && p->state == PAGE_USED);
	/* A wrapped count would hand a page in use to somebody else. */
	if (unlikely(before == UINT32_MAX))
		panic("page: reference count overflow at %lx", page_hpa(p).v);
}

static noinline void release(struct page *p)
{
	uint64_t irq = cpu_irq_save();
	struct page_node *n = &page_nodes[p->node];

	charge_sub(p->charge, 1ul << p->order);
	p->charge = NULL;
	if (!p->order) {
		cache_push(p, DIRTY);
	} else {
		spin_lock(&n->lock);
		page_block_free(n, p, p->order, DIRTY);
		spin_unlock(&n->lock);
	}
	cpu_irq_restore(irq);
}

void page_put(struct page *p)
{
	uint32_t before = __atomic_fetch_sub(&p->refs, 1, __ATOMIC_ACQ_REL);

	/* Twice freed is twice handed out. */
	if (unlikely(before == 0 || p->state != PAGE_USED))
		panic("page: %lx freed twice", page_hpa(p).v);
	if (before == 1)
		release(p);
}

void page_split_to(struct page *p, unsigned order)
{
	uint64_t frames = 1ul << p->order, step = 1ul << order;

	ASSERT(p->state == PAGE_USED && p->refs == 1 && order <= p->order);
	p->order = (uint8_t)order;
	for (uint64_t i = step; i < frames; i += step) {
		p[i] = *p;
		list_init(&p[i].link);
	}
}

/* ---- scrubbing ------------------------------------------------------------------------------- */

/* A dirty block of at most 64 KiB, from the smallest there are: they merge once they are clean. */
static struct page *scrub_take(struct page_node *n, unsigned *order)
{
	for (unsigned zone = 0; zone < ZONES; zone++) {
		struct page_store *s = &n->store[zone][DIRTY];

		if (!s->orders)
			continue;
		*order = MIN(bit_lowest(s->orders), SCRUB_ORDER);
		return store_take(n, s, *order, DIRTY);
	}
	return NULL;
}

/* Who allocates goes first: NULL also when somebody has the lock. */
static struct page *scrub_begin(struct page_node *n, unsigned *order)
{
	uint64_t irq = cpu_irq_save();
	struct page *p = NULL;

	if (spin_try(&n->lock)) {
		p = scrub_take(n, order);
		spin_unlock(&n->lock);
	}
	cpu_irq_restore(irq);
	return p;
}

static bool scrub_node(struct page_node *n)
{
	unsigned order = 0;
	struct page *p = NULL;
	uint64_t irq;

	if (!READ_ONCE(n->frames[DIRTY]))
		return false;
	if (__atomic_fetch_add(&n->scrubbers, 1, __ATOMIC_RELAXED) < SCRUBBERS)
		p = scrub_begin(n, &order);
	if (p) {
		page_clear(page_virt(p), PAGE_SIZE << order);
		irq = spin_lock_irq(&n->lock);
		page_block_free(n, p, order, ZEROED);
		spin_unlock_irq(&n->lock, irq);
	}
	__atomic_fetch_sub(&n->scrubbers, 1, __ATOMIC_RELAXED);
	return p;
}

bool page_scrub_some(void)
{
	unsigned home = (unsigned)this_cpu(page_home);

	/* Nobody waits for this: a sibling thread, or an emulator's next CPU, goes first. */
	cpu_pause();
	for (unsigned i = 0; i < page_node_used; i++)
		if (scrub_node(&page_nodes[(home + i) % page_node_used]))
			return true;
	if (READ_ONCE(this_cpu(page_cache).count[DIRTY])) {
		uint64_t irq = cpu_irq_save();

		cache_drain(&this_cpu(page_cache), DIRTY, 0);
		cpu_irq_restore(irq);
		return true;
	}
	return false;
}

/* ---- figures --------------------------------------------------------------------------------- */

unsigned page_node_count(void)
{
	return page_node_used;
}

static void stats_add_node(const struct page_node *n, struct page_stats *out)
{
	out->total += n->total;
	out->dirty += READ_ONCE(n->frames[DIRTY]);
	out->zeroed += READ_ONCE(n->frames[ZEROED]);
	for (unsigned zone = 0; zone < ZONES; zone++)
		for (unsigned c = 0; c < CONTENTS; c++)
			for (unsigned o = 0; o < ORDERS; o++)
				out->free_by_order[o] += READ_ONCE(n->store[zone][c].blocks[o]);
}

/* Other CPUs' caches are read without a lock: exact only while they are quiet. */
static void stats_add_caches(int node, struct page_stats *out)
{
	for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
		const struct page_cache *cache = &per_cpu(page_cache, cpu);

		for (unsigned c = 0; c < CONTENTS; c++) {
			unsigned count = MIN(READ_ONCE(cache->count[c]), (unsigned)CACHE_SIZE);

			for (unsigned i = 0; i < count; i++)
				if (node == NODE_ANY || READ_ONCE(cache->page[c][i])->node == node)
					*(c == ZEROED ? &out->zeroed : &out->dirty) += 1;
		}
	}
}

uint64_t page_kernel_count(void)
{
	return READ_ONCE(page_charge_kernel.pages) + page_early_count;
}

uint64_t page_total_count(void)
{
	uint64_t total = page_early_count;

	for (unsigned i = 0; i < page_node_used; i++)
		total += page_nodes[i].total;
	return total;
}

int page_stats_get(int node, struct page_stats *out)
{
	if (node != NODE_ANY && (node < 0 || (unsigned)node >= page_node_used))
		return -ENOENT;
	*out = (struct page_stats){
		.kernel = page_kernel_count(),
		.total = node <= 0 ? page_early_count : 0,
	};
	for (unsigned i = 0; i < page_node_used; i++)
		if (node == NODE_ANY || (unsigned)node == i)
			stats_add_node(&page_nodes[i], out);
	stats_add_caches(node, out);
	out->free = out->dirty + out->zeroed;
	return 0;
}
