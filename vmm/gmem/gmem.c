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
#include "kernel/sched.h"
#include "lib/string.h"
#include "vmm/gmem/gmem_slots.h"

void *gmem_peek(struct gmem *g, gpa_t a, unsigned access)
{
	const struct gmem_place *p = gmem_place_of(gmem_slots_now(g), a.v, access);
	uint64_t at, e;

	if (unlikely(!p))
		return NULL;
	at = a.v + p->delta;
	e = READ_ONCE(*gmem_chunk_of(p->object, at));
	if (e & ENTRY_TABLE) {
		e = READ_ONCE(*gmem_leaf_of(e, at));
		return likely(gmem_entry_allows(e, access)) ? gmem_entry_pointer(e, at, PAGE_SIZE)
							    : NULL;
	}
	return likely(gmem_entry_allows(e, access)) ? gmem_entry_pointer(e, at, PAGE_2M) : NULL;
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

static size_t piece(uint64_t a, size_t n)
{
	return MIN(n, PAGE_SIZE - a % PAGE_SIZE);
}

int gmem_map(struct gmem *g, gpa_t a, size_t len, unsigned access, struct gmem_mapping *out)
{
	uint64_t at = 0;
	struct gmem_object *o = object_at(g, a.v, access, &at);
	int err;

	if (unlikely(!o))
		return -EFAULT;
	*out = (struct gmem_mapping){
		.len = piece(a.v, len), .object = o, .at = at, .access = access,
	};
	err = gmem_object_pin(o, at, access, &out->ptr, &out->page);
	if (err)
		gmem_object_put(o);
	return err;
}

void gmem_unmap(struct gmem_mapping *m)
{
	/* The mark may have been taken meanwhile, before the last byte was written. */
	if (m->access & GMEM_WRITE)
		gmem_object_mark(m->object, m->at);
	page_put(m->page);
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

/* One page's part; absent frames read as zeros. */
static int read_piece(struct gmem *g, gpa_t a, void *dst, size_t n)
{
	uint64_t at = 0;
	struct gmem_object *o = object_at(g, a.v, GMEM_READ, &at);
	struct page *page;
	void *src;

	if (unlikely(!o))
		return -EFAULT;
	if (likely(gmem_object_pin_now(o, at, GMEM_READ, &src, &page))) {
		copy(dst, src, n);
		page_put(page);
	} else {
		memset(dst, 0, n);
	}
	gmem_object_put(o);
	return 0;
}

int gmem_read(struct gmem *g, gpa_t a, void *dst, size_t n)
{
	uint8_t *to = dst;

	while (n) {
		size_t len = piece(a.v, n);
		int err = read_piece(g, a, to, len);

		if (err)
			return err;
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
