/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proof, on a guest that is at work, that its memory is what it should be: while it runs, marks
 * are fetched, clean frames taken, its second-level tables dropped and a slot that it does not
 * know moved and hidden, at odd moments; then it is paused for a look at all of its memory, whose
 * sums say which frames have changed since the last look. Each of those must have been marked.
 * Between two looks a second object shares all of it, which must then be what it was, whatever the
 * guest has written. Frames that hold nothing but zeros at a look are taken too: the guest goes on
 * with new ones. A second view, as an IOMMU will have one, has some of it meanwhile, and must have
 * no page that is gone. vmm/vm_check_pins.c does the same for pins. Called by mgmt, in thread
 * context; the vm runs and goes on.
 */
#include "include/bits.h"
#include "include/errno.h"
#include "kernel/log.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "mm/kmap.h"
#include "vmm/vm_check.h"

#define FETCHES		8		/* between two looks */
#define GAP_NS		7000000
#define SPARE		(1ul << 45)	/* where no guest has anything */
#define SPARE_TO	(SPARE + 3 * MIB)
#define SPARE_SIZE	(4 * MIB + 3 * PAGE_SIZE)

#define LOOKS		64		/* leaves of the second view that are looked at */
#define SETTLE_TRIES	1000
#define SETTLE_NS	1000000

/* Tables of the same memory as an IOMMU would have them, and frames that they had last. */
struct second {
	struct gmem_view view;
	struct { uint64_t a, at; } look[LOOKS];
	unsigned count;
	uint64_t seen;
};

/* One object: by number of frame in it. */
struct check {
	struct vm *vm;
	struct gmem_object *object, *copy;
	struct second *second;
	uint64_t *marks, *used;
	uint64_t *sums;			/* 0: nothing but zeros */
	const bool *stop;		/* (a) whoever wants it over */
};

/* Between two frames, of which there may be many. */
static int go_on(const struct check *c)
{
	sched_point();
	return READ_ONCE(*c->stop) ? -EINTR : 0;
}

static uint64_t sum_of(const uint64_t *words)
{
	uint64_t h = 0, any = 0;

	for (unsigned i = 0; i < PAGE_SIZE / 8; i++) {
		any |= words[i];
		h = ((h << 5 | h >> 59) ^ words[i]) * 0x9e3779b97f4a7c15ul;
	}
	return any ? h | 1 : 0;
}

static int fetch(struct check *c)
{
	int r = gmem_dirty_fetch(&c->vm->gmem, c->object, 0, c->object->size, c->marks);

	return MIN(r, 0);
}

static int write_word(struct gmem *g, uint64_t a, uint64_t word)
{
	return gmem_write(g, GPA(a), &word, sizeof(word));
}

static bool holds_word(struct gmem *g, uint64_t a, uint64_t word)
{
	uint64_t now = 0;

	return !gmem_read(g, GPA(a), &now, sizeof(now)) && now == word;
}

/* The slot is there, at `SPARE`. */
static int move_and_hide(struct gmem *g, uint64_t word)
{
	const unsigned all = GMEM_READ | GMEM_WRITE | GMEM_EXEC;
	int err = write_word(g, SPARE, word) ?: gmem_slot_move(g, GPA(SPARE), GPA(SPARE_TO));

	if (!err && (!holds_word(g, SPARE_TO, word) || holds_word(g, SPARE, word)))
		err = -EIO;
	err = err ?: gmem_slot_deny(g, GPA(SPARE_TO), all);
	if (!err && holds_word(g, SPARE_TO, word))
		err = -EIO;
	err = err ?: gmem_slot_deny(g, GPA(SPARE_TO), 0);
	if (!err && !holds_word(g, SPARE_TO, word))
		err = -EIO;
	return err ?: gmem_slot_remove(g, GPA(SPARE_TO));
}

static int spare_slot(struct vm *vm)
{
	struct gmem *g = &vm->gmem;
	struct gmem_slot s = { .base = SPARE, .size = SPARE_SIZE };
	int err = gmem_object_create(0, SPARE_SIZE, g->config.max_leaf_level, NODE_ANY, &vm->charge,
				     &s.object);

	if (err)
		return err;
	err = gmem_slot_add(g, &s) ?: move_and_hide(g, g->generation);
	if (err) {			/* wherever it got stuck */
		(void)!gmem_slot_remove(g, GPA(SPARE));
		(void)!gmem_slot_remove(g, GPA(SPARE_TO));
	}
	gmem_object_put(s.object);
	return err;
}

/* Frames that the guest has used since the last time. */
static int harvest(struct check *c, uint64_t *count)
{
	struct gmem_object *o = c->object;
	uint64_t words = DIV_UP(o->size / PAGE_SIZE, 64);
	int r;

	memset(c->used, 0, words * 8);
	r = gmem_harvest(&c->vm->gmem, o, 0, o->size, c->used);
	for (uint64_t i = 0; i < words; i++)
		*count += bit_count(c->used[i]);
	return MIN(r, 0);
}

/* The vm is paused, so nobody uses anything. */
static int harvest_none(struct check *c)
{
	uint64_t before = 0, after = 0;
	int err = harvest(c, &before) ?: harvest(c, &after);

	if (err || !after)
		return err;
	log_error("%s: %lu frames were used while it was paused", c->vm->config.name, after);
	return -EIO;
}

/* Is the leaf, if there still is one, that of the object's page? */
static bool is_true(const struct second *s, struct gmem_object *o, uint64_t a, uint64_t at)
{
	struct paging_leaf leaf;
	struct page *page;
	void *there;
	bool same;

	if (paging_lookup(&s->view.tables, a, &leaf))
		return true;
	if (!gmem_object_pin_now(o, at, GMEM_READ, &there, &page))
		return false;
	same = there == kmap_direct(leaf.address);
	page_put(page);
	return same;
}

/* What the guest changes at this moment is changed in the view a moment later. */
static int look_at_second(struct check *c)
{
	struct second *s = c->second;

	for (unsigned i = 0; i < s->count; i++) {
		unsigned tries = 0;

		while (!is_true(s, c->object, s->look[i].a, s->look[i].at)) {
			if (tries++ == SETTLE_TRIES) {
				log_error("%s: a second view has a page at %#lx that is gone",
					  c->vm->config.name, s->look[i].a);
				return -EIO;
			}
			thread_sleep_ns(SETTLE_NS);
		}
	}
	s->seen += s->count;
	return 0;
}

/* Some frames that are there, from one on that is another each time. */
static void fill_second(struct check *c, const struct gmem_slot *slot)
{
	struct second *s = c->second;
	uint64_t frames = slot->size / PAGE_SIZE, i = s->seen * 7919 % frames;

	for (uint64_t n = 0; n < frames && s->count < LOOKS; n += frames / LOOKS + 1) {
		uint64_t at = slot->offset + (i + n) % frames * PAGE_SIZE;
		gpa_t a = GPA(slot->base + (i + n) % frames * PAGE_SIZE);

		if (gmem_object_is_absent(c->object, at) ||
		    gmem_view_fault(&c->vm->gmem, &s->view, a, GMEM_READ))
			continue;
		s->look[s->count].a = a.v;
		s->look[s->count++].at = at;
	}
}

/* No slot changes, and nothing is taken but by who checks. */
static int second_eye(struct check *c)
{
	struct gmem_slot slot;
	int err = look_at_second(c);

	c->second->count = 0;
	for (unsigned i = 0; gmem_slot_get(&c->vm->gmem, i, &slot); i++)
		if (slot.object == c->object && !slot.denied)
			fill_second(c, &slot);
	return err;
}

/*
 * The guest works meanwhile, and finds its tables and what it never wrote gone now and then. What
 * it has used is asked first: what is taken leaves its tables.
 */
static int fetch_while_it_runs(struct check *c, struct vm_memory_check *out)
{
	int err = 0;

	for (unsigned i = 0; !err && i < FETCHES; i++) {
		thread_sleep_ns(GAP_NS);
		err = go_on(c);
		if (err)
			break;
		mutex_lock(&c->vm->slots_lock);
		err = harvest(c, &out->used);
		out->taken += gmem_take(&c->vm->gmem, c->object, 0, c->object->size, true);
		err = err ?: fetch(c);
		if (i % 3 == 1)
			err = err ?: spare_slot(c->vm);
		if (i % 3 == 2)
			gmem_drop_tables(&c->vm->gmem);
		err = err ?: second_eye(c);
		mutex_unlock(&c->vm->slots_lock);
	}
	return err;
}

static bool take_mark(struct check *c, uint64_t frame)
{
	uint64_t *word = &c->marks[frame / 64], bit = BIT(frame % 64);
	bool marked = *word & bit;

	*word &= ~bit;
	return marked;
}

static uint64_t sum_at(struct gmem_object *o, uint64_t at)
{
	struct page *page;
	void *words;
	uint64_t sum;

	if (!gmem_object_pin_now(o, at, GMEM_READ, &words, &page))
		return 0;
	sum = sum_of(words);
	page_put(page);
	return sum;
}

/* The vm is paused, and the sums are those of now. */
static uint64_t take_zeros(struct check *c)
{
	uint64_t taken = 0, end = c->object->size / PAGE_SIZE, n;

	for (uint64_t i = c->object->start / PAGE_SIZE; i < end; i += n) {
		n = 1;
		if (c->sums[i])
			continue;
		while (i + n < end && !c->sums[i + n])
			n++;
		taken += gmem_take(&c->vm->gmem, c->object, i * PAGE_SIZE, n * PAGE_SIZE, false);
		sched_point();
	}
	return taken;
}

/* The vm is paused. */
static int look(struct check *c, struct vm_memory_check *out)
{
	uint64_t i = c->object->start / PAGE_SIZE, end = c->object->size / PAGE_SIZE;
	int err = fetch(c);

	for (; !err && i < end; i++) {
		uint64_t sum = sum_at(c->object, i * PAGE_SIZE);
		bool marked = take_mark(c, i);

		out->marked += marked;
		out->changed += sum != c->sums[i];
		if (sum != c->sums[i] && !marked) {
			log_error("%s: frame %#lx of its memory was written and not marked",
				  c->vm->config.name, i);
			err = -EIO;
		}
		c->sums[i] = sum;
		err = err ?: go_on(c);
	}
	if (!err)
		out->taken += take_zeros(c);
	return err;
}

/* The vm is paused, and the sums are those of now. */
static int copy_begin(struct check *c)
{
	struct gmem_object *o = c->object;
	int err = gmem_object_create(o->start, o->size, 1, NODE_ANY, &c->vm->charge, &c->copy);

	return err ?: gmem_share(&c->vm->gmem, o, o->start, o->size - o->start, c->copy);
}

/* The sums are still those of then. */
static int copy_end(struct check *c)
{
	int err = 0;

	for (uint64_t i = c->copy->start / PAGE_SIZE; !err && i < c->copy->size / PAGE_SIZE; i++) {
		if (sum_at(c->copy, i * PAGE_SIZE) != c->sums[i]) {
			log_error("%s: frame %#lx of its memory was written, and so was its copy",
				  c->vm->config.name, i);
			err = -EIO;
		}
		err = err ?: go_on(c);
	}
	return err;
}

static int look_paused(struct check *c, struct vm_memory_check *out)
{
	int err = vm_pause(c->vm);

	if (err)
		return err;
	if (c->copy)
		err = copy_end(c);
	err = err ?: harvest_none(c) ?: look(c, out);
	if (!err && !c->copy)
		err = copy_begin(c);
	(void)!vm_resume(c->vm);
	return err;
}

/* The first look has nothing to compare with but zeros, as all memory begins. */
static int check(struct check *c, struct vm_memory_check *out)
{
	struct vm_memory_check first = { 0 };
	int err = look_paused(c, &first);

	out->taken += first.taken;
	return err ?: fetch_while_it_runs(c, out) ?: look_paused(c, out);
}

static int check_object(struct vm *vm, struct gmem_object *o, struct second *second,
			const bool *stop, struct vm_memory_check *out)
{
	uint64_t frames = o->size / PAGE_SIZE;
	struct check c = {
		.vm = vm, .object = o, .second = second, .stop = stop,
		.marks = heap_alloc(DIV_UP(frames, 64) * 8),
		.used = heap_alloc(DIV_UP(frames, 64) * 8),
		.sums = heap_alloc(frames * sizeof(*c.sums)),
	};
	int err = c.marks && c.used && c.sums ? check(&c, out) : -ENOMEM;

	second->count = 0;
	if (c.copy)
		gmem_object_put(c.copy);
	heap_free(c.marks);
	heap_free(c.used);
	heap_free(c.sums);
	return err;
}

static int check_pins(struct vm *vm)
{
	uint64_t pins = 0;
	int err = vm_check_pins(&vm->gmem, &pins);

	log_info("%s: %lu times memory was pinned while its slot moved or went", vm->config.name, pins);
	return err;
}

/* All that are shown, each once and with a reference: a guest may hide them meanwhile. */
static unsigned objects_of(struct vm *vm, struct gmem_object *object[GMEM_SLOT_MAX])
{
	struct gmem_slot s;
	unsigned n = 0, k;

	for (unsigned i = 0; gmem_slot_get(&vm->gmem, i, &s); i++) {
		for (k = 0; k < n && object[k] != s.object; k++)
			;
		if (k < n)
			continue;
		gmem_object_get(s.object);
		object[n++] = s.object;
	}
	return n;
}

static int begin_second(struct vm *vm, struct second **out)
{
	struct gmem_view_config c = { .format = vmm_ops->second_level, .max_leaf_level = 2 };
	struct second *s = *out = heap_alloc(sizeof(*s));
	int err = s ? gmem_view_add(&vm->gmem, &s->view, &c) : -ENOMEM;

	if (err) {
		heap_free(s);
		*out = NULL;
	}
	return err;
}

static void end_second(struct vm *vm, struct second *s)
{
	gmem_view_remove(&vm->gmem, &s->view);
	log_info("%s: %lu times a second view of its memory was as true as the first",
		 vm->config.name, s->seen);
	heap_free(s);
}

/* With all that is shown. */
static int check_all(struct vm *vm, const bool *stop, struct vm_memory_check *out)
{
	struct gmem_object *object[GMEM_SLOT_MAX];
	struct second *second;
	unsigned n;
	int err;

	mutex_lock(&vm->slots_lock);
	err = begin_second(vm, &second);
	if (!err) {
		err = check_pins(vm);
		n = objects_of(vm, object);
	}
	mutex_unlock(&vm->slots_lock);
	if (!second)
		return err;
	for (unsigned i = 0; i < n; i++) {
		err = err ?: check_object(vm, object[i], second, stop, out);
		gmem_object_put(object[i]);
	}
	mutex_lock(&vm->slots_lock);
	end_second(vm, second);
	mutex_unlock(&vm->slots_lock);
	return err;
}

int vm_check_memory(struct vm *vm, const bool *stop, struct vm_memory_check *out)
{
	int err;

	*out = (struct vm_memory_check){ 0 };
	mutex_lock(&vm->slots_lock);
	gmem_track_begin(&vm->gmem);
	mutex_unlock(&vm->slots_lock);
	err = check_all(vm, stop, out);
	mutex_lock(&vm->slots_lock);
	gmem_track_end(&vm->gmem);
	mutex_unlock(&vm->slots_lock);
	return err;
}
