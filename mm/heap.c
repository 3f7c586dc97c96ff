/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel objects.
 *
 * Design. A pool holds objects of one size in slabs: 4 or 16 KiB that begin with a struct slab. The
 * struct page of each of a slab's frames points to it (`owner`), which is how heap_free finds the
 * pool; requests above the largest size are pages of their own, with no owner. Slabs with a free
 * object are in the pool's list; of empty ones a pool keeps one.
 *
 * Locking. Each pool has its lock (LOCK_HEAP, irq-safe); pages are taken and given back under it.
 */
#include "mm/heap.h"

#include "cpu/spinlock.h"
#include "include/bits.h"
#include "kernel/panic.h"
#include "lib/string.h"
#include "mm/kmap.h"

#define JUNK	0x6b

struct slab {
	struct list link;		/* in the pool's list while something is free */
	struct pool *pool;
	void *free;			/* freed objects, linked through their first word */
	uint32_t used, fresh;		/* in use; ever handed out: those behind were never
					 * touched */
	struct page *page;
} aligned(16);

struct pool {
	uint16_t size;
	uint8_t order;			/* of a slab */
	uint16_t count;			/* objects in a slab */
	struct spinlock lock;
	struct list slabs;
	uint32_t empty;			/* slabs in the list with nothing in use */
	uint64_t objects, pages;
};

static struct pool pools[] = {
	{ .size = 32 }, { .size = 48 }, { .size = 64 }, { .size = 96 }, { .size = 128 },
	{ .size = 192 }, { .size = 256 }, { .size = 384 }, { .size = 512 },
	{ .size = 768, .order = 2 }, { .size = 1024, .order = 2 }, { .size = 1536, .order = 2 },
	{ .size = 2048, .order = 2 },
};

#define LARGEST	2048u

/* By size in units of 16 bytes. */
static uint8_t pool_of_size[LARGEST / 16 + 1];
/* Atomic. */
static uint64_t large_objects, large_pages;

static void *slab_object(const struct slab *s, uint32_t i)
{
	return (char *)(s + 1) + (size_t)i * s->pool->size;
}

static struct slab *slab_new(struct pool *pool)
{
	struct page *p = page_alloc(pool->order, 0, NODE_ANY, &page_charge_kernel);
	struct slab *s;

	if (!p)
		return NULL;
	s = page_virt(p);
	*s = (struct slab){ .pool = pool, .page = p };
	for (unsigned i = 0; i < 1u << pool->order; i++)
		p[i].owner = s;
	pool->pages += 1ul << pool->order;
	pool->empty++;
	list_push_front(&pool->slabs, &s->link);
	return s;
}

static void slab_release(struct slab *s)
{
	struct pool *pool = s->pool;

	list_remove(&s->link);
	pool->empty--;
	pool->pages -= 1ul << pool->order;
	page_put(s->page);
}

static bool slab_full(const struct slab *s)
{
	return s->used == s->pool->count;
}

static void *pool_take(struct pool *pool)
{
	struct slab *s = list_empty(&pool->slabs) ? slab_new(pool)
						  : list_first(&pool->slabs, struct slab, link);
	void *p;

	ASSERT(pool->size);
	if (!s)
		return NULL;
	pool->empty -= s->used == 0;
	if (s->free) {
		p = s->free;
		s->free = *(void **)p;
	} else {
		p = slab_object(s, s->fresh++);
	}
	s->used++;
	pool->objects++;
	if (slab_full(s))
		list_remove(&s->link);
	return p;
}

static void pool_give(struct slab *s, void *p)
{
	struct pool *pool = s->pool;
	bool was_full = slab_full(s);

	ASSERT(s->used && ((uintptr_t)p - (uintptr_t)(s + 1)) % pool->size == 0);
#ifdef KEEL_DEBUG
	memset(p, JUNK, pool->size);
#endif
	*(void **)p = s->free;
	s->free = p;
	s->used--;
	pool->objects--;
	if (was_full)
		list_push_front(&pool->slabs, &s->link);
	if (s->used)
		return;
	pool->empty++;
	if (pool->empty > 1)
		slab_release(s);
}

static void *large_alloc(size_t size)
{
	struct page *p;
	unsigned order;

	if (size > PAGE_SIZE << PAGE_ORDER_MAX)
		return NULL;
	order = page_order_for(size);
	p = page_alloc(order, PAGE_ZEROED, NODE_ANY, &page_charge_kernel);
	if (!p)
		return NULL;
	p->owner = NULL;
	__atomic_add_fetch(&large_objects, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&large_pages, 1ul << order, __ATOMIC_RELAXED);
	return page_virt(p);
}

static void large_free(struct page *p)
{
	__atomic_sub_fetch(&large_objects, 1, __ATOMIC_RELAXED);
	__atomic_sub_fetch(&large_pages, 1ul << p->order, __ATOMIC_RELAXED);
	page_put(p);
}

void *heap_alloc(size_t size)
{
	struct pool *pool;
	uint64_t irq;
	void *p;

	if (size > LARGEST)
		return large_alloc(size);
	pool = &pools[pool_of_size[DIV_UP(size, 16)]];
	irq = spin_lock_irq(&pool->lock);
	p = pool_take(pool);
	spin_unlock_irq(&pool->lock, irq);
	return p ? memset(p, 0, pool->size) : NULL;
}

void heap_free(void *p)
{
	struct page *page;
	struct pool *pool;
	struct slab *s;
	uint64_t irq;

	if (!p)
		return;
	page = page_at(kmap_direct_hpa(p));
	s = page->owner;
	if (!s) {
		large_free(page);
		return;
	}
	pool = s->pool;
	irq = spin_lock_irq(&pool->lock);
	pool_give(s, p);
	spin_unlock_irq(&pool->lock, irq);
}

char *heap_strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy = heap_alloc(n);

	return copy ? memcpy(copy, s, n) : NULL;
}

void heap_stats_get(struct heap_stats *out)
{
	*out = (struct heap_stats){
		.objects = READ_ONCE(large_objects),
		.pages = READ_ONCE(large_pages),
		.bytes = READ_ONCE(large_pages) * PAGE_SIZE,
	};
	for (unsigned i = 0; i < ARRAY_COUNT(pools); i++) {
		out->objects += READ_ONCE(pools[i].objects);
		out->pages += READ_ONCE(pools[i].pages);
		out->bytes += READ_ONCE(pools[i].objects) * pools[i].size;
	}
}

void heap_init(void)
{
	unsigned next = 0;

	for (unsigned i = 0; i < ARRAY_COUNT(pools); i++) {
		struct pool *pool = &pools[i];

		spin_init(&pool->lock, "heap", LOCK_HEAP);
		list_init(&pool->slabs);
		pool->count = (uint16_t)(((PAGE_SIZE << pool->order) - sizeof(struct slab)) /
					 pool->size);
		while (next * 16 <= pool->size)
			pool_of_size[next++] = (uint8_t)i;
	}
}
