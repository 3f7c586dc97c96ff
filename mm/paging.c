/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page-table walker.
 *
 * Design. A chip may walk the tables at any moment, so each store leaves them valid: a new table is
 * filled before it is linked, a large leaf is split by one store of a complete table. What may fail
 * (allocating tables, splitting leaves) changes no translation and comes first; what changes
 * translations cannot fail and comes second. A table counts its present entries in its struct page;
 * one that becomes empty is unlinked and retired.
 *
 * Changes side by side (`parallel`). Who changes what lies within one 2 MiB has its leaves, and the
 * table of the small ones, for himself; of the tables above, which others walk and link to
 * meanwhile, he links new ones by compare-and-swap and leaves the empty ones. So a table of those
 * goes only when somebody has all of them for himself.
 */
#include "mm/paging.h"

#include "include/bits.h"
#include "include/errno.h"
#include "kernel/panic.h"
#include "mm/kmap.h"

#define ENTRIES		512u
#define TABLE_ADDRESS	BITS(51, 12)

static uint64_t level_size(unsigned level)
{
	return PAGE_SIZE << (9 * (level - 1));
}

static unsigned index_of(uint64_t va, unsigned level)
{
	return (unsigned)(va >> (12 + 9 * (level - 1))) % ENTRIES;
}

static uint64_t *entries_of(const struct page *table)
{
	return page_virt(table);
}

static struct page *table_at(uint64_t e)
{
	return page_at(HPA(e & TABLE_ADDRESS));
}

static bool is_present(const struct paging *p, uint64_t e)
{
	return e & p->format->present;
}

/* Of a present entry. */
static bool is_leaf(const struct paging *p, uint64_t e, unsigned level)
{
	return level == 1 || (e & p->format->large);
}

static bool is_table(const struct paging *p, uint64_t e, unsigned level)
{
	return is_present(p, e) && !is_leaf(p, e, level);
}

/* The first address behind the entry that maps va, or `end` if that comes first. */
static uint64_t next_boundary(uint64_t va, uint64_t end, unsigned level)
{
	uint64_t next = ALIGN_DOWN(va, level_size(level)) + level_size(level);

	/* `end` is the last address plus one, and may be 0. */
	return next - 1 < end - 1 ? next : end;
}

/* Clearing one here would be under a lock that others wait for. */
static struct page *table_ready(struct paging *p)
{
	return page_alloc(0, PAGE_ZEROED | PAGE_READY, NODE_ANY, p->charge) ?:
	       __atomic_exchange_n(&p->spare, NULL, __ATOMIC_ACQUIRE);
}

static struct page *table_new(struct paging *p)
{
	struct page *t = p->parallel ? table_ready(p) :
			 page_alloc(0, PAGE_ZEROED, NODE_ANY, p->charge);

	if (t) {
		t->used = 0;
		__atomic_add_fetch(&p->table_pages, 1, __ATOMIC_RELAXED);
	}
	return t;
}

/* Nobody has seen it. */
static void table_drop(struct paging *p, struct page *t)
{
	__atomic_sub_fetch(&p->table_pages, 1, __ATOMIC_RELAXED);
	page_put(t);
}

static void count(struct page *table, uint64_t more)
{
	ASSERT(table->used + more <= ENTRIES);
	if (more)
		__atomic_add_fetch(&table->used, more, __ATOMIC_RELAXED);
}

static void entry_set(struct paging *p, struct page *table, uint64_t *e, uint64_t value)
{
	count(table, (uint64_t)is_present(p, value) - (uint64_t)is_present(p, *e));
	WRITE_ONCE(*e, value);
}

/* The table under entry `e` of `level` and all below it. It is linked no more. */
static void retire(struct paging *p, struct page *table, unsigned level)
{
	uint64_t *e = entries_of(table);

	ASSERT(level && level < 6);
	for (unsigned i = 0; level > 1 && i < ENTRIES; i++)
		if (is_table(p, e[i], level))
			retire(p, table_at(e[i]), level - 1);
	table->link.next = __atomic_load_n(&p->retired, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&p->retired, &table->link.next, &table->link, true,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
	__atomic_sub_fetch(&p->table_pages, 1, __ATOMIC_RELAXED);
}

int paging_spare(struct paging *p)
{
	struct page *none = NULL, *t = page_alloc(0, PAGE_ZEROED, NODE_ANY, p->charge);

	if (!t)
		return -ENOMEM;
	/* Another has just brought one: it will do. */
	if (!__atomic_compare_exchange_n(&p->spare, &none, t, false, __ATOMIC_RELEASE,
					 __ATOMIC_RELAXED))
		page_put(t);
	return 0;
}

void paging_retired(struct paging *p, struct list *out)
{
	struct list *t = __atomic_exchange_n(&p->retired, NULL, __ATOMIC_ACQUIRE);

	list_init(out);
	for (struct list *next; t; t = next) {
		next = t->next;
		list_push_back(out, t);
	}
}

void paging_free_retired(struct list *tables)
{
	while (!list_empty(tables)) {
		struct page *t = list_first(tables, struct page, link);

		list_remove(&t->link);
		page_put(t);
	}
}

int paging_init(struct paging *p, const struct paging_format *f, unsigned max_leaf_level,
		struct charge *charge)
{
	ASSERT(max_leaf_level && f->levels <= 5);
	*p = (struct paging){
		.format = f,
		.max_leaf_level = MIN(max_leaf_level, f->max_leaf_level),
		.charge = charge,
	};
	p->root = table_new(p);
	return p->root ? 0 : -ENOMEM;
}

void paging_destroy(struct paging *p)
{
	struct list all;

	if (!p->root)
		return;
	retire(p, p->root, p->format->levels);
	p->root = NULL;
	paging_retired(p, &all);
	paging_free_retired(&all);
	if (p->spare)
		page_put(p->spare);
	p->spare = NULL;
}

/* ---- what may fail and changes no translation ------------------------------------------------ */

/*
 * There is a table in the place of entry `e`, which is absent or a large leaf: then it has equal
 * smaller ones. Others may be at the same, and the chip at the leaf's accessed bit.
 */
static noinline int make_table(struct paging *p, struct page *table, uint64_t *e, unsigned level)
{
	struct page *t = table_new(p);
	uint64_t old = READ_ONCE(*e), *child;

	ASSERT(level > 1);
	if (!t)
		return -ENOMEM;
	child = entries_of(t);
	do {
		if (is_table(p, old, level)) {
			table_drop(p, t);
			return 0;
		}
		for (unsigned i = 0; is_present(p, old) && i < ENTRIES; i++)
			child[i] = p->format->child(old, level, i);
		t->used = is_present(p, old) ? ENTRIES : 0;
	} while (!__atomic_compare_exchange_n(e, &old, p->format->table(page_hpa(t)), false,
					      __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	count(table, !is_present(p, old));
	return 0;
}

/*
 * Makes tables down to `level` for va and gives the table there; a large leaf on the way is split.
 */
static int descend(struct paging *p, uint64_t va, unsigned level, struct page **out)
{
	uint64_t present = p->format->present, large = p->format->large;
	struct page *table = p->root;

	ASSERT(level && level < p->format->levels);
	for (unsigned l = p->format->levels; l > level; l--) {
		uint64_t *e = &entries_of(table)[index_of(va, l)], value = READ_ONCE(*e);

		if (unlikely(!(value & present) || value & large)) {
			if (make_table(p, table, e, l))
				return -ENOMEM;
			value = READ_ONCE(*e);
		}
		table = table_at(value);
	}
	*out = table;
	return 0;
}

/* Splits leaves until none lies across `va`. */
static int split_at(struct paging *p, uint64_t va)
{
	struct page *table = p->root;

	for (unsigned l = p->format->levels; !IS_ALIGNED(va, level_size(l)); l--) {
		uint64_t *e = &entries_of(table)[index_of(va, l)], value = READ_ONCE(*e);

		if (!is_present(p, value))
			return 0;
		if (is_leaf(p, value, l) && make_table(p, table, e, l))
			return -ENOMEM;
		table = table_at(READ_ONCE(*e));
	}
	return 0;
}

/* ---- what cannot fail ------------------------------------------------------------------------ */

typedef uint64_t leaf_change(const struct paging *p, uint64_t e, unsigned prot);

static uint64_t leaf_remove(const struct paging *p, uint64_t e, unsigned prot)
{
	(void)p, (void)e, (void)prot;
	return 0;
}

static uint64_t leaf_protect(const struct paging *p, uint64_t e, unsigned prot)
{
	return p->format->with_prot(e, prot);
}

static uint64_t leaf_restrict(const struct paging *p, uint64_t e, unsigned prot)
{
	return p->format->with_prot(e, p->format->prot(e) & ~prot);
}

struct change {
	leaf_change *leaf;		/* NULL: empty tables go, that is all */
	unsigned prot;			/* its argument */
	unsigned keep;			/* tables of this level and above stay, though empty */
};

/* Of the leaves in [va, end), none of which lies across a border. True if an entry was changed. */
static bool change_range(struct paging *p, struct page *table, unsigned level, uint64_t va,
			 uint64_t end, const struct change *c)
{
	bool changed = false;

	ASSERT(va != end && level <= p->format->levels);
	for (uint64_t next; va != end; va = next) {
		uint64_t *e = &entries_of(table)[index_of(va, level)], old = READ_ONCE(*e);

		next = next_boundary(va, end, level);
		if (!is_present(p, old))
			continue;
		if (is_leaf(p, old, level)) {
			uint64_t value = c->leaf ? c->leaf(p, old, c->prot) : old;

			if (value == old)
				continue;
			changed = true;
			entry_set(p, table, e, value);
		} else {
			struct page *t = table_at(old);

			changed |= change_range(p, t, level - 1, va, next, c);
			if (level - 1 < c->keep && !t->used) {
				entry_set(p, table, e, 0);
				retire(p, t, level - 1);
			}
		}
	}
	return changed;
}

/* Others may be at the tables above those of one 2 MiB. */
static unsigned level_kept(const struct paging *p, uint64_t va, uint64_t size)
{
	return p->parallel && !((va ^ (va + (size - 1))) >> 21) ? 2 : p->format->levels;
}

static bool change_all(struct paging *p, uint64_t va, uint64_t size, leaf_change *leaf,
		       unsigned prot)
{
	struct change c = { .leaf = leaf, .prot = prot, .keep = level_kept(p, va, size) };

	return change_range(p, p->root, p->format->levels, va, va + size, &c);
}

/* Writes one leaf over whatever is there. True if something was. */
static bool leaf_write(struct paging *p, struct page *table, uint64_t va, unsigned level,
		       uint64_t value)
{
	uint64_t *e = &entries_of(table)[index_of(va, level)], old = *e;

	ASSERT(is_present(p, value));
	entry_set(p, table, e, value);
	if (!is_table(p, old, level))
		return is_present(p, old) && old != value;
	retire(p, table_at(old), level - 1);
	return true;
}

/* ---- the calls ------------------------------------------------------------------------------- */

static unsigned level_fitting(const struct paging *p, uint64_t va, uint64_t pa, uint64_t size)
{
	unsigned level = p->max_leaf_level;

	while (level > 1 && (!IS_ALIGNED(va | pa, level_size(level)) || size < level_size(level)))
		level--;
	return level;
}

static bool range_valid(const struct paging *p, uint64_t va, uint64_t size)
{
	uint64_t top = va >> (12 + 9 * p->format->levels),
		 canonical = ~0ul >> (12 + 9 * p->format->levels);

	/* Both halves of a signed address space; second-level tables use the lower. */
	return size && IS_ALIGNED(va | size, PAGE_SIZE) && va + (size - 1) >= va &&
	       (top == 0 || top == canonical) &&
	       (va + (size - 1)) >> (12 + 9 * p->format->levels) == top;
}

static int prepare(struct paging *p, uint64_t va, hpa_t pa, uint64_t size)
{
	uint64_t step;

	for (uint64_t done = 0; done < size; done += step) {
		unsigned level = level_fitting(p, va + done, pa.v + done, size - done);
		struct page *table;

		step = level_size(level);
		if (descend(p, va + done, level, &table)) {
			(void)change_all(p, va, size, NULL, 0);
			return -ENOMEM;
		}
	}
	return 0;
}

/* A range that is one leaf: one way down. */
static int map_one(struct paging *p, uint64_t va, hpa_t pa, unsigned level, unsigned prot,
		   enum paging_cache c)
{
	struct page *table;

	if (descend(p, va, level, &table)) {
		(void)change_all(p, va, level_size(level), NULL, 0);
		return -ENOMEM;
	}
	return leaf_write(p, table, va, level, p->format->leaf(pa, prot, c, level));
}

int paging_map(struct paging *p, uint64_t va, hpa_t pa, uint64_t size, unsigned prot,
	       enum paging_cache c)
{
	unsigned level = level_fitting(p, va, pa.v, size);
	bool changed = false;

	if (!range_valid(p, va, size) || !IS_ALIGNED(pa.v, PAGE_SIZE) || !(prot & PROT_READ))
		return -EINVAL;
	if (size == level_size(level))
		return map_one(p, va, pa, level, prot, c);
	if (prepare(p, va, pa, size))
		return -ENOMEM;
	for (uint64_t done = 0; done < size; done += level_size(level)) {
		int r;

		level = level_fitting(p, va + done, pa.v + done, size - done);
		r = map_one(p, va + done, HPA(pa.v + done), level, prot, c);
		ASSERT(r >= 0);
		changed |= r;
	}
	return changed;
}

static int change(struct paging *p, uint64_t va, uint64_t size, leaf_change *fn, unsigned prot)
{
	if (!range_valid(p, va, size))
		return -EINVAL;
	if (split_at(p, va) || split_at(p, va + size))
		return -ENOMEM;
	return change_all(p, va, size, fn, prot);
}

int paging_unmap(struct paging *p, uint64_t va, uint64_t size)
{
	return change(p, va, size, leaf_remove, 0);
}

int paging_protect(struct paging *p, uint64_t va, uint64_t size, unsigned prot)
{
	return prot & PROT_READ ? change(p, va, size, leaf_protect, prot) : -EINVAL;
}

int paging_restrict(struct paging *p, uint64_t va, uint64_t size, unsigned prot)
{
	return prot & PROT_READ ? -EINVAL : change(p, va, size, leaf_restrict, prot);
}

void paging_prune(struct paging *p, uint64_t va, uint64_t size)
{
	struct change c = { .keep = p->format->levels };

	if (range_valid(p, va, size))
		(void)change_range(p, p->root, p->format->levels, va, va + size, &c);
}

int paging_lookup(const struct paging *p, uint64_t va, struct paging_leaf *out)
{
	const struct page *table = p->root;

	for (unsigned l = p->format->levels;; l--) {
		uint64_t e = READ_ONCE(entries_of(table)[index_of(va, l)]);

		if (!is_present(p, e))
			return -ENOENT;
		if (is_leaf(p, e, l)) {
			out->size = level_size(l);
			out->address = HPA(p->format->address(e, l).v + va % out->size);
			out->prot = p->format->prot(e);
			return 0;
		}
		table = table_at(e);
	}
}

static void harvest(struct paging *p, struct page *table, unsigned level, uint64_t va, uint64_t end,
		    void (*used)(void *arg, uint64_t va, uint64_t size), void *arg)
{
	uint64_t bit = p->format->accessed;

	for (uint64_t next; va != end; va = next) {
		uint64_t *e = &entries_of(table)[index_of(va, level)], size = level_size(level),
			 old = READ_ONCE(*e);

		next = next_boundary(va, end, level);
		if (!is_present(p, old))
			continue;
		if (!is_leaf(p, old, level))
			harvest(p, table_at(old), level - 1, va, next, used, arg);
		else if (!bit || __atomic_fetch_and(e, ~bit, __ATOMIC_RELAXED) & bit)
			used(arg, ALIGN_DOWN(va, size), size);
	}
}

void paging_harvest(struct paging *p, uint64_t va, uint64_t size,
		    void (*used)(void *arg, uint64_t va, uint64_t size), void *arg)
{
	ASSERT(IS_ALIGNED(va | size, PAGE_SIZE));
	if (range_valid(p, va, size))
		harvest(p, p->root, p->format->levels, va, va + size, used, arg);
}
