/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is done with guest memory by address: peeking, pinning, copying; see vmm/gmem/gmem.h. A copy
 * pins its page, and holds no lock meanwhile. gmem_peek reads slots and entries without a lock:
 * they change in one store each, and what was taken is released when the vCPU threads, the only
 * ones that peek, were quiet.
 */
#include "vmm/gmem/gmem.h"

#include "cpu/cpu.h"
#include "include/errno.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "lib/string.h"
#include "vmm/gmem/gmem_slots.h"

void *gmem_peek(struct gmem *g, gpa_t a, unsigned access)
{
	const struct gmem_place *p = gmem_place_of(gmem_slots_now(g), a.v, access);

	return likely(p) ? gmem_place_peek(p, a.v, access) : NULL;
}

/* ---- pins ------------------------------------------------------------------------------------ */

/* The object that answers at `a`, with a reference, and the offset there; NULL: none. */
static struct gmem_object *object_at(struct gmem *g, uint64_t a, unsigned access, uint64_t *at)
{
	uint64_t irq = cpu_irq_save();
	const struct gmem_place *p = gmem_place_of(gmem_slots_now(g), a, access);
	struct gmem_object *o = NULL;

	if (likely(p)) {
		o = p->object;
		*at = a + p->delta;
		gmem_object_get(o);
	}
	cpu_irq_restore(irq);
	return o;
}

bool gmem_is_plain(struct gmem *g, gpa_t a, uint64_t size)
{
	uint64_t irq = cpu_irq_save(), n;
	const struct gmem_slots *l = gmem_slots_now(g);
	const struct gmem_place *p;

	for (; size; a.v += n, size -= n) {
		p = gmem_place_of(l, a.v, ENTRY_ACCESS);
		if (!p)
			break;
		n = MIN(size, p->base + p->size - a.v);
	}
	cpu_irq_restore(irq);
	return !size;
}

static size_t piece(uint64_t a, size_t n)
{
	return MIN(n, PAGE_SIZE - a % PAGE_SIZE);
}

/*
 * The page at `a` with a reference, likewise its object, if the access can be had at once; else
 * only the object. -EFAULT: none.
 */
static always_inline int pin(struct gmem *g, uint64_t a, unsigned access, struct gmem_mapping *out)
{
	uint64_t irq = cpu_irq_save();
	const struct gmem_place *p = gmem_place_of(gmem_slots_now(g), a, access);
	int r = -EFAULT;

	ASSERT(access & ENTRY_ACCESS);
	if (likely(p)) {
		struct gmem_object *o = p->object;
		uint64_t at = a + p->delta;

		r = !gmem_object_pin_quick(o, at, access, &out->ptr, &out->page);
		gmem_object_get(o);
		out->object = o;
		out->at = at;
	}
	cpu_irq_restore(irq);
	return r;
}

static noinline int provide(struct gmem *g, struct gmem_object *o, uint64_t at, unsigned access)
{
	int r = gmem_object_provide(o, at, access);

	ASSERT(thread_may_wait());
	if (r > 0)
		r = gmem_unshare(g, o, at);
	return r == -EINTR ? 0 : r;
}

int gmem_map(struct gmem *g, gpa_t a, size_t len, unsigned access, struct gmem_mapping *out)
{
	int r;

	ASSERT(thread_may_wait());
	out->len = piece(a.v, len);
	out->access = access;
	while (unlikely((r = pin(g, a.v, access | ENTRY_ALONE, out)) > 0)) {
		r = provide(g, out->object, out->at, access | ENTRY_ALONE);
		gmem_object_put(out->object);
		if (r)
			break;
	}
	return r;
}

/*
 * The mark may have been taken meanwhile, before the last byte was written. Where nobody asks for
 * marks all that is there has one; giving the page back, a locked operation, is behind the bytes
 * and before that question.
 */
void gmem_unmap(struct gmem_mapping *m)
{
	ASSERT(m->page && m->object);
	page_put(m->page);
	if (m->access & GMEM_WRITE && unlikely(READ_ONCE(m->object->trackers)))
		gmem_object_mark(m->object, m->at);
	gmem_object_put(m->object);
	m->ptr = NULL;
	m->page = NULL;
}

/* ---- copying --------------------------------------------------------------------------------- */

/* Most copies are a word or two: a ring's index, a descriptor, a page-table entry. */
static always_inline void copy(void *dst, const void *src, size_t n)
{
	if (n == 8)
		memcpy(dst, src, 8);
	else if (n == 4)
		memcpy(dst, src, 4);
	else
		memcpy(dst, src, n);
}

/* Of what could not be had at once: absent frames read as zeros. 1: once more. */
static noinline int read_absent(struct gmem *g, struct gmem_object *o, uint64_t at, void *dst,
				size_t n)
{
	if (!gmem_object_is_absent(o, at))
		return provide(g, o, at, GMEM_READ) ?: 1;	/* a copy is under way, or done */
	memset(dst, 0, n);
	return 0;
}

/* One page's part. 1: once more. */
static int read_piece(struct gmem *g, gpa_t a, void *dst, size_t n)
{
	struct gmem_mapping m;
	int r = pin(g, a.v, GMEM_READ, &m);

	if (unlikely(r < 0))
		return r;
	if (likely(!r)) {
		copy(dst, m.ptr, n);
		page_put(m.page);
	} else {
		r = read_absent(g, m.object, m.at, dst, n);
	}
	gmem_object_put(m.object);
	return r;
}

int gmem_read(struct gmem *g, gpa_t a, void *dst, size_t n)
{
	uint8_t *to = dst;

	ASSERT(thread_may_wait());
	while (n) {
		size_t len = piece(a.v, n);
		int r = read_piece(g, a, to, len);

		if (unlikely(r < 0))
			return r;
		if (unlikely(r))
			continue;
		n -= len;
		to += len;
		a.v += len;
	}
	return 0;
}

/*
 * A chunk that is absent and overwritten as a whole needs no clearing before. Loading images and
 * initrds does this.
 */
static bool write_whole(struct gmem *g, uint64_t a, const void *src)
{
	uint64_t at = 0;
	struct gmem_object *o = object_at(g, a, GMEM_WRITE, &at);
	bool done;

	if (!o)
		return false;
	done = gmem_object_write_whole(o, at, src);
	gmem_object_put(o);
	return done;
}

/* At each 2 MiB of a long copy, an image say, whoever else wants the CPU has it. */
static void give_way(uint64_t a)
{
	if (!(a % PAGE_2M))
		sched_point();
}

int gmem_write(struct gmem *g, gpa_t a, const void *src, size_t n)
{
	size_t len;

	ASSERT(thread_may_wait());
	for (const uint8_t *from = src; n; n -= len, from += len, a.v += len) {
		struct gmem_mapping m;
		int err;

		len = PAGE_2M;
		if (unlikely(n >= PAGE_2M)) {
			give_way(a.v);
			if (write_whole(g, a.v, from))
				continue;
		}
		len = piece(a.v, n);
		err = gmem_map(g, a, len, GMEM_WRITE, &m);
		if (err)
			return err;
		copy(m.ptr, from, len);
		gmem_unmap(&m);
	}
	return 0;
}

int gmem_object_read(struct gmem *g, struct gmem_object *o, uint64_t at, void *dst, size_t n)
{
	uint8_t *to = dst;

	while (n) {
		size_t len = piece(at, n);
		struct page *page;
		void *from;
		int r = 0;

		if (gmem_object_pin_now(o, at, GMEM_READ, &from, &page)) {
			copy(to, from, len);
			page_put(page);
		} else {
			r = read_absent(g, o, at, to, len);
		}
		if (r < 0)
			return r;
		if (r)
			continue;
		n -= len;
		to += len;
		at += len;
	}
	return 0;
}

int gmem_object_write(struct gmem *g, struct gmem_object *o, uint64_t at, const void *src, size_t n)
{
	const unsigned access = GMEM_WRITE | ENTRY_ALONE;
	size_t len;

	for (const uint8_t *from = src; n; n -= len, from += len, at += len) {
		struct gmem_mapping m = { .object = o, .at = at, .access = GMEM_WRITE };

		len = piece(at, n);
		while (!gmem_object_pin_now(o, at, access, &m.ptr, &m.page)) {
			int r = provide(g, o, at, access);

			if (r)
				return r;
		}
		gmem_object_get(o);
		copy(m.ptr, from, len);
		gmem_unmap(&m);
	}
	return 0;
}

/* Is it memory, and nothing there yet? */
static bool is_absent(struct gmem *g, uint64_t a)
{
	uint64_t at = 0;
	struct gmem_object *o = object_at(g, a, GMEM_WRITE, &at);
	bool absent = o && gmem_object_is_absent(o, at);

	if (o)
		gmem_object_put(o);
	return absent;
}

int gmem_fill(struct gmem *g, gpa_t a, uint8_t byte, size_t n)
{
	size_t len;

	ASSERT(thread_may_wait());
	for (; n; n -= len, a.v += len) {
		struct gmem_mapping m;
		int err;

		if (unlikely(n >= PAGE_2M))
			give_way(a.v);
		len = piece(a.v, n);
		if (!byte && is_absent(g, a.v))
			continue;
		err = gmem_map(g, a, len, GMEM_WRITE, &m);
		if (err)
			return err;
		memset(m.ptr, byte, len);
		gmem_unmap(&m);
	}
	return 0;
}
