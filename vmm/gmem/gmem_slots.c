/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Slots: which object is shown at which guest addresses.
 *
 * Design. The array is replaced as a whole, as the bus does it with its claims: a changed copy is
 * published, the views drop the addresses concerned, and the old array goes when nobody reads it
 * any more. vCPUs read it without a lock and are waited for by the flush callback. Other threads
 * read it with interrupts off, until they have a reference to the object: when each CPU has
 * answered an interrupt, none is left. Changes are serialised by whoever makes them.
 */
#include "vmm/gmem/gmem_slots.h"

#include "cpu/cpu.h"
#include "cpu/ipi.h"
#include "include/errno.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "lib/string.h"
#include "mm/heap.h"

/* ---- looking up ------------------------------------------------------------------------------ */

const struct gmem_place *gmem_place_search(const struct gmem_slots *l, uint64_t a)
{
	const struct gmem_place *p = l->place;
	unsigned after = l->count;

	/* If any slot has it, then one of the `after` slots from `p` on. */
	while (after > 1) {
		unsigned half = after / 2;

		if (p[half].base <= a)
			p += half;
		after -= half;
	}
	return after && a - p->base < p->size ? p : NULL;
}

bool gmem_is_ram(struct gmem *g, gpa_t a, unsigned access)
{
	return gmem_place_of(gmem_slots_now(g), a.v, access);
}

bool gmem_slot_get(struct gmem *g, unsigned i, struct gmem_slot *out)
{
	const struct gmem_slots *l = gmem_slots_now(g);
	const struct gmem_place *p = &l->place[i];

	if (i >= l->count)
		return false;
	*out = (struct gmem_slot){
		.base = p->base, .size = p->size, .object = p->object,
		.offset = p->base + p->delta, .denied = p->denied,
	};
	return true;
}

/* ---- replacing ------------------------------------------------------------------------------- */

/* Of every gmem at first; never freed, so that nobody need be waited for. */
static struct gmem_slots none;

static void nothing(void *arg)
{
	(void)arg;
}

/* `l` is complete; [a, a+size) and [b, b+size) are what has changed in it. */
static void publish(struct gmem *g, struct gmem_slots *l, uint64_t a, uint64_t b, uint64_t size)
{
	struct gmem_slots *old = g->slots;

	ASSERT(thread_may_wait());
	l->main = (struct gmem_place){ 0 };
	for (unsigned i = 0; i < l->count; i++)
		if (!l->place[i].denied && l->place[i].size > l->main.size)
			l->main = l->place[i];
	__atomic_store_n(&g->slots, l, __ATOMIC_RELEASE);
	gmem_views_drop(g, a, b, size);
	if (old == &none)
		return;
	ipi_call_others(nothing, NULL);
	heap_free(old);
}

/* A copy with room for one more. */
static struct gmem_slots *copy_of(const struct gmem *g)
{
	const struct gmem_slots *old = g->slots;
	struct gmem_slots *l = heap_alloc(sizeof(*l) + (old->count + 1) * sizeof(l->place[0]));

	if (l)
		memcpy(l, old, sizeof(*l) + old->count * sizeof(l->place[0]));
	return l;
}

static void take_out(struct gmem_slots *l, unsigned i)
{
	memmove(&l->place[i], &l->place[i + 1], (--l->count - i) * sizeof(l->place[0]));
}

static int put_in(const struct gmem *g, struct gmem_slots *l, const struct gmem_place *p)
{
	unsigned i = 0;

	if (!p->size || !IS_ALIGNED(p->base | p->size | p->delta, PAGE_SIZE) ||
	    !range_within(p->base, p->size, 0, 1ul << g->config.gpa_bits))
		return -EINVAL;
	while (i < l->count && l->place[i].base < p->base)
		i++;
	if ((i && p->base - l->place[i - 1].base < l->place[i - 1].size) ||
	    (i < l->count && l->place[i].base - p->base < p->size))
		return -EEXIST;
	if (l->count == GMEM_SLOT_MAX)
		return -ENOSPC;
	memmove(&l->place[i + 1], &l->place[i], (l->count++ - i) * sizeof(l->place[0]));
	l->place[i] = *p;
	return 0;
}

/* A copy, and in it the slot that begins at `base`. */
static int copy_with(const struct gmem *g, uint64_t base, struct gmem_slots **out, unsigned *at)
{
	const struct gmem_slots *old = g->slots;
	unsigned i = 0;

	while (i < old->count && old->place[i].base != base)
		i++;
	if (i == old->count)
		return -ENOENT;
	*at = i;
	*out = copy_of(g);
	return *out ? 0 : -ENOMEM;
}

/* A copy without that slot, which goes to `p`. */
static int copy_without(const struct gmem *g, uint64_t base, struct gmem_slots **out,
			struct gmem_place *p)
{
	unsigned i;
	int err = copy_with(g, base, out, &i);

	if (err)
		return err;
	*p = (*out)->place[i];
	take_out(*out, i);
	return 0;
}

static struct gmem_place place_of(const struct gmem_slot *s)
{
	return (struct gmem_place){ .base = s->base, .size = s->size, .object = s->object,
				    .delta = s->offset - s->base, .denied = s->denied };
}

static bool is_in_object(const struct gmem_slot *s)
{
	const struct gmem_object *o = s->object;

	return range_within(s->offset, s->size, o->start, o->size - o->start);
}

int gmem_slot_add(struct gmem *g, const struct gmem_slot *s)
{
	struct gmem_place p = place_of(s);
	struct gmem_slots *l;
	int err;

	ASSERT(s->object->refs);
	if (!is_in_object(s))
		return -EINVAL;
	l = copy_of(g);
	if (!l)
		return -ENOMEM;
	err = put_in(g, l, &p);
	if (err) {
		heap_free(l);
		return err;
	}
	gmem_object_get(s->object);
	gmem_object_track(s->object, (int)g->trackers);
	publish(g, l, s->base, s->base, s->size);
	return 0;
}

int gmem_slot_replace(struct gmem *g, const struct gmem_slot *s)
{
	struct gmem_object *old;
	struct gmem_slots *l;
	unsigned i;
	int err = copy_with(g, s->base, &l, &i);

	if (err)
		return err;
	if (l->place[i].size != s->size || !is_in_object(s) || !IS_ALIGNED(s->offset, PAGE_SIZE)) {
		heap_free(l);
		return -EINVAL;
	}
	old = l->place[i].object;
	l->place[i] = place_of(s);
	gmem_object_get(s->object);
	gmem_object_track(s->object, (int)g->trackers);
	publish(g, l, s->base, s->base, s->size);
	gmem_object_track(old, -(int)g->trackers);
	gmem_object_put(old);
	return 0;
}

int gmem_slot_remove(struct gmem *g, gpa_t base)
{
	struct gmem_slots *l;
	struct gmem_place p;
	int err = copy_without(g, base.v, &l, &p);

	if (err)
		return err;
	publish(g, l, p.base, p.base, p.size);
	gmem_object_track(p.object, -(int)g->trackers);
	gmem_object_put(p.object);
	return 0;
}

int gmem_slot_move(struct gmem *g, gpa_t base, gpa_t to)
{
	struct gmem_slots *l;
	struct gmem_place p;
	int err = copy_without(g, base.v, &l, &p);

	if (err)
		return err;
	p.delta += p.base - to.v;
	p.base = to.v;
	err = put_in(g, l, &p);
	if (err)
		heap_free(l);
	else
		publish(g, l, base.v, to.v, p.size);
	return err;
}

int gmem_slot_deny(struct gmem *g, gpa_t base, unsigned access)
{
	struct gmem_slots *l;
	unsigned i;
	int err = copy_with(g, base.v, &l, &i);

	if (err)
		return err;
	l->place[i].denied = (uint8_t)access;
	publish(g, l, base.v, base.v, l->place[i].size);
	return 0;
}

int gmem_add_ram(struct gmem *g, gpa_t base, uint64_t size)
{
	struct gmem_slot s = { .base = base.v, .size = size, .offset = base.v % PAGE_1G };
	int err;

	if (!size || !IS_ALIGNED(base.v | size, PAGE_SIZE) || size >> g->config.gpa_bits)
		return -EINVAL;
	err = gmem_object_create(s.offset, s.offset + size, g->config.max_leaf_level,
				 g->config.node, g->config.charge, &s.object);
	if (err)
		return err;
	err = gmem_slot_add(g, &s);
	gmem_object_put(s.object);
	return err;
}

/* ---- birth and end --------------------------------------------------------------------------- */

int gmem_init(struct gmem *g, const struct gmem_config *c)
{
	if (c->gpa_bits < 32 || c->gpa_bits > 12 + 9 * c->format->levels)
		return -EINVAL;
	*g = (struct gmem){ .config = *c };
	/* Code in a GiB would split it, and each fault elsewhere undo that. */
	if (c->exec_4k)
		g->config.max_leaf_level = MIN(c->max_leaf_level, 2u);
	g->slots = &none;
	return gmem_view_init(&g->view, &(struct gmem_view_config){
		.format = c->format, .max_leaf_level = g->config.max_leaf_level,
		.exec_4k = c->exec_4k }, c->charge);
}

void gmem_destroy(struct gmem *g)
{
	struct gmem_slots *l = g->slots;

	ASSERT(!g->trackers && !g->view.next);
	paging_destroy(&g->view.tables);
	for (unsigned i = 0; i < l->count; i++)
		gmem_object_put(l->place[i].object);
	if (l != &none)
		heap_free(l);
	*g = (struct gmem){ .config = g->config };
}

/* An object that is shown twice is there once. */
static bool seen_before(const struct gmem_slots *l, unsigned i)
{
	for (unsigned k = 0; k < i; k++)
		if (l->place[k].object == l->place[i].object)
			return true;
	return false;
}

struct gmem_stats gmem_stats(const struct gmem *g)
{
	uint64_t irq = cpu_irq_save();
	const struct gmem_slots *l = gmem_slots_now(g);
	struct gmem_stats s = {
		.table_pages = g->view.tables.table_pages, .faults = gmem_view_faults(&g->view),
	};

	for (unsigned i = 0; i < l->count; i++) {
		const struct gmem_object *o;

		if (seen_before(l, i))
			continue;
		o = l->place[i].object;
		s.ram_pages += (o->size - o->start) / PAGE_SIZE;
		s.present_pages += READ_ONCE(o->present_pages);
		s.out_pages += READ_ONCE(o->out_pages);
	}
	cpu_irq_restore(irq);
	return s;
}
