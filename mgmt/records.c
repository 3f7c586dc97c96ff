/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records, in chunks: see mgmt/records.h. The first chunk has room for one, which most answers are;
 * each further one for as many as go into a page, so that a long answer does not need what only a
 * host with much free memory has.
 */
#include "mgmt/records.h"

#include "include/addr.h"
#include "include/bits.h"
#include "mm/heap.h"

struct records_chunk {
	struct records_chunk *next;
	unsigned count, room;
	uint64_t record[];
};

static bool grow(struct records *r)
{
	size_t size = r->shape->size;
	unsigned room = r->count ? MAX((PAGE_SIZE - sizeof(struct records_chunk)) / size, 1ul) : 1;
	struct records_chunk *c = heap_alloc(sizeof(*c) + room * size);

	if (!c)
		return false;
	c->room = room;
	if (r->last)
		r->last->next = c;
	else
		r->first = c;
	r->last = c;
	return true;
}

static void *record(const struct records *r, struct records_chunk *c, unsigned i)
{
	return (char *)c->record + i * r->shape->size;
}

void *records_add(struct records *r)
{
	if ((!r->last || r->last->count == r->last->room) && !grow(r)) {
		r->cut = true;
		return NULL;
	}
	r->count++;
	return record(r, r->last, r->last->count++);
}

void *records_at(const struct records *from, unsigned i)
{
	struct records *r = (struct records *)from;	/* where it was is no part of its value */

	if (i >= r->count)
		return NULL;
	if (!r->here || i < r->here_from) {
		r->here = r->first;
		r->here_from = 0;
	}
	while (i - r->here_from >= r->here->count) {
		r->here_from += r->here->count;
		r->here = r->here->next;
	}
	return record(r, r->here, i - r->here_from);
}

bool records_whole(const struct records *r)
{
	bool whole = !r->cut;
	const char *p;

	records_for_each(p, r)
		for (const struct field *f = r->shape->field; f->name; f++)
			if (f->kind == FIELD_LIST)
				whole &= records_whole((const struct records *)(p + f->offset));
	return whole;
}

static void release(const struct shape *shape, char *record)
{
	for (const struct field *f = shape->field; f->name; f++) {
		if (f->kind == FIELD_LIST)
			records_fini((struct records *)(record + f->offset));
		if (f->kind == FIELD_LONG)
			heap_free(*(char **)(record + f->offset));
	}
}

void records_fini(struct records *r)
{
	struct records_chunk *next;

	for (struct records_chunk *c = r->first; c; c = next) {
		next = c->next;
		for (unsigned i = 0; i < c->count; i++)
			release(r->shape, record(r, c, i));
		heap_free(c);
	}
	*r = (struct records){ .shape = r->shape };
}
