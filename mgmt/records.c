/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records; see mgmt/records.h.
 */
#include "mgmt/records.h"

#include "lib/string.h"
#include "mm/heap.h"

static bool grow(struct records *r)
{
	unsigned room = r->room ? 2 * r->room : 1;
	char *at = heap_alloc(room * r->shape->size);

	if (!at)
		return false;
	if (r->count)
		memcpy(at, r->at, r->count * r->shape->size);
	heap_free(r->at);
	r->at = at;
	r->room = room;
	return true;
}

void *records_add(struct records *r)
{
	if (r->count == r->room && !grow(r)) {
		r->cut = true;
		return NULL;
	}
	return r->at + r->count++ * r->shape->size;
}

bool records_whole(const struct records *r)
{
	bool whole = !r->cut;

	for (unsigned i = 0; i < r->count && whole; i++)
		for (const struct field *f = r->shape->field; f->name; f++)
			if (f->kind == FIELD_LIST)
				whole &= records_whole((void *)(r->at + i * r->shape->size +
								f->offset));
	return whole;
}

void records_fini(struct records *r)
{
	for (unsigned i = 0; i < r->count; i++) {
		char *record = r->at + i * r->shape->size;

		for (const struct field *f = r->shape->field; f->name; f++) {
			if (f->kind == FIELD_LIST)
				records_fini((void *)(record + f->offset));
			if (f->kind == FIELD_LONG)
				heap_free(*(char **)(record + f->offset));
		}
	}
	heap_free(r->at);
	r->at = NULL;
	r->count = r->room = 0;
}
