/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proof that a pin holds what it needs: while a thread, as a device would, pins random frames of
 * two objects and writes through the pins, their slots are moved, hidden, put in each other's place
 * and removed. Each word must be in the object that answered when it was pinned, and nowhere else,
 * and what was pinned must be free when the last pin goes, be that after its slot and every other
 * reference. The slots lie where no guest has anything; the guest is at work meanwhile.
 *
 * Design. Thread and caller take turns: the thread holds a batch of pins while the caller makes one
 * change, and pins and lets go others all the time. Only the thread writes, each frame at a place
 * of its own, so it knows what each must hold. Called by vmm/vm_check_memory.c.
 */
#include "cpu/tsc.h"
#include "include/errno.h"
#include "kernel/log.h"
#include "kernel/mutex.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "mm/heap.h"
#include "vmm/vm_check.h"

#define SIZE	(PAGE_2M + 3 * PAGE_SIZE)
#define FRAMES	(SIZE / PAGE_SIZE)
#define BATCH	6
#define ROUNDS	3
#define REST_NS	20000

enum { HERE, THERE, PLACES };

static const uint64_t place[PLACES] = { (1ul << 45) + 64 * MIB, (1ul << 45) + 80 * MIB };

struct pinner {
	struct gmem *gmem;
	struct charge charge;			/* theirs alone */
	struct gmem_object *object[2];
	uint64_t *word[2];			/* by frame: what it holds */
	uint64_t seed, pins;
	struct thread *thread;
	struct waitq turn;
	unsigned held, changed;			/* (a) batches, changes */
	int err;				/* the thread's */
};

/* ---- the thread ------------------------------------------------------------------------------ */

static uint64_t random_below(struct pinner *p, uint64_t limit)
{
	p->seed = p->seed * 6364136223846793005ul + 1442695040888963407ul;
	return (p->seed >> 33) % limit;
}

static uint64_t word_place(uint64_t frame)
{
	return frame * 8 % PAGE_SIZE;
}

/* Nothing, where nothing answers now. */
static void pin(struct pinner *p, struct gmem_mapping *m)
{
	uint64_t a = place[random_below(p, PLACES)] + random_below(p, FRAMES) * PAGE_SIZE;
	int err = gmem_map(p->gmem, GPA(a), PAGE_SIZE, GMEM_WRITE, m);

	if (err)
		m->page = NULL;
	else
		p->pins++;
	if (err && err != -EFAULT)
		p->err = err;
}

/* The pin says whose frame it is. */
static void write_and_unpin(struct pinner *p, struct gmem_mapping *m)
{
	uint64_t frame = m->at / PAGE_SIZE;

	if (!m->page)
		return;
	p->word[m->object == p->object[1]][frame] = p->seed;
	*(uint64_t *)((uint8_t *)m->ptr + word_place(frame)) = p->seed;
	gmem_unmap(m);
}

/* Until the change that it waits for has been made. */
static void others(struct pinner *p)
{
	while (!p->err && __atomic_load_n(&p->changed, __ATOMIC_ACQUIRE) < p->held) {
		struct gmem_mapping m;

		pin(p, &m);
		thread_sleep_ns(random_below(p, REST_NS));
		write_and_unpin(p, &m);
	}
}

static void pin_and_write(void *arg)
{
	struct pinner *p = arg;
	struct gmem_mapping m[BATCH];

	do {
		for (unsigned i = 0; i < BATCH; i++)
			pin(p, &m[i]);
		__atomic_add_fetch(&p->held, 1, __ATOMIC_RELEASE);
		waitq_wake_all(&p->turn);
		others(p);
		for (unsigned i = 0; i < BATCH; i++)
			write_and_unpin(p, &m[i]);
	} while (!p->err && __atomic_load_n(&p->changed, __ATOMIC_ACQUIRE) == p->held);
	__atomic_store_n(&p->held, ~0u, __ATOMIC_RELEASE);
	waitq_wake_all(&p->turn);
}

/* ---- the changes ----------------------------------------------------------------------------- */

static int add(struct pinner *p, unsigned object, unsigned at)
{
	struct gmem_slot s = { .base = place[at], .size = SIZE, .object = p->object[object] };

	return gmem_slot_add(p->gmem, &s);
}

static int move_away(struct pinner *p)
{
	return gmem_slot_move(p->gmem, GPA(place[HERE]), GPA(place[THERE]));
}

static int other_comes(struct pinner *p)
{
	return add(p, 1, HERE);
}

static int hide(struct pinner *p)
{
	return gmem_slot_deny(p->gmem, GPA(place[THERE]), GMEM_READ | GMEM_WRITE | GMEM_EXEC);
}

static int show(struct pinner *p)
{
	return gmem_slot_deny(p->gmem, GPA(place[THERE]), 0);
}

/* Frames that hold nothing go, but for those that are pinned. */
static int take_clean(struct pinner *p)
{
	for (unsigned i = 0; i < 2; i++)
		(void)gmem_take(p->gmem, p->object[i], 0, SIZE, true);
	return 0;
}

static int remove_other(struct pinner *p)
{
	return gmem_slot_remove(p->gmem, GPA(place[HERE]));
}

static int remove_first(struct pinner *p)
{
	return gmem_slot_remove(p->gmem, GPA(place[THERE]));
}

static int first_comes(struct pinner *p)
{
	return add(p, 0, HERE);
}

static int (*const changes[])(struct pinner *p) = {
	first_comes, move_away, other_comes, hide, take_clean, show, remove_other, remove_first,
};

/* All of them, each while a batch is pinned; the thread ends with the last one. */
static int change_all(struct pinner *p)
{
	const unsigned all = ROUNDS * ARRAY_COUNT(changes);
	int err = 0;

	for (unsigned i = 0; !err && i < all; i++) {
		(void)WAITQ_WAIT(&p->turn, __atomic_load_n(&p->held, __ATOMIC_ACQUIRE) > i,
				 THREAD_FOREVER);
		err = changes[i % ARRAY_COUNT(changes)](p);
		__atomic_store_n(&p->changed, err || i + 1 == all ? ~0u : i + 1, __ATOMIC_RELEASE);
	}
	return err;
}

/* ---- what must be ---------------------------------------------------------------------------- */

static bool holds_only(const uint64_t *words, uint64_t at, uint64_t word)
{
	for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
		if (words[i] != (i == at / 8 ? word : 0))
			return false;
	return true;
}

static int compare(struct pinner *p, unsigned object)
{
	struct gmem_object *o = p->object[object];

	for (uint64_t frame = 0; frame < FRAMES; frame++) {
		uint64_t word = p->word[object][frame];
		struct page *page;
		void *words;
		bool same = !word;

		if (gmem_object_pin_now(o, frame * PAGE_SIZE, GMEM_READ, &words, &page)) {
			same = holds_only(words, word_place(frame), word);
			page_put(page);
		}
		if (!same) {
			log_error("pins: frame %#lx of object %u is not what was written", frame,
				  object);
			return -EIO;
		}
		sched_point();
	}
	return READ_ONCE(o->refs) == 1 ? 0 : -EIO;
}

/* Its slot goes, then its last reference but the pin's. */
static int last_pin(struct pinner *p)
{
	struct gmem_mapping m;
	uint64_t *word;
	int err = add(p, 0, HERE), r;

	if (err)
		return err;
	err = gmem_map(p->gmem, GPA(place[HERE]), PAGE_SIZE, GMEM_WRITE, &m);
	r = gmem_slot_remove(p->gmem, GPA(place[HERE]));
	if (err)
		return err;
	gmem_object_put(p->object[0]);
	p->object[0] = NULL;
	word = (uint64_t *)((uint8_t *)m.ptr + word_place(0));
	err = *word == p->word[0][0] ? r : -EIO;
	*word = ~0ul;
	gmem_unmap(&m);
	return err;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int begin(struct pinner *p)
{
	struct thread_attr attr = { .name = "pins", .entry = pin_and_write, .arg = p, .cpu = -1 };
	int err = 0;

	for (unsigned i = 0; !err && i < 2; i++) {
		p->word[i] = heap_alloc(FRAMES * sizeof(*p->word[i]));
		err = p->word[i] ? gmem_object_create(0, SIZE, 2 - i, NODE_ANY, &p->charge,
						      &p->object[i]) : -ENOMEM;
	}
	if (!err)
		p->thread = thread_create(&attr);
	return err ?: p->thread ? 0 : -ENOMEM;
}

/* Slots that an error has left; the objects, of which nothing must stay. */
static int end(struct pinner *p)
{
	for (unsigned i = 0; i < PLACES; i++)
		(void)!gmem_slot_remove(p->gmem, GPA(place[i]));
	for (unsigned i = 0; i < 2; i++) {
		if (p->object[i])
			gmem_object_put(p->object[i]);
		heap_free(p->word[i]);
	}
	if (!p->charge.pages)
		return 0;
	log_error("pins: %lu pages of what was pinned are left", p->charge.pages);
	return -EIO;
}

int vm_check_pins(struct gmem *g, uint64_t *pins)
{
	struct pinner p = { .gmem = g, .charge = { .name = "pins" }, .seed = clock_ns() };
	int err, r;

	waitq_init(&p.turn);
	err = begin(&p);
	if (!err) {
		thread_start(p.thread);
		err = change_all(&p);
		thread_join(p.thread);
		err = err ?: p.err ?: compare(&p, 0) ?: compare(&p, 1) ?: last_pin(&p);
	}
	r = end(&p);
	*pins = p.pins;
	return err ?: r;
}
