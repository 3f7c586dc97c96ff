/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a verb answers: records, any number of them, each a C struct with a shape that says of every
 * field what it is and where. Who asks reads the structs; who sends them on goes by the shapes and
 * knows no struct (mgmt/shape.c). On the heap, the asker's own: a copy of what was, so that it can
 * be printed as slowly as the terminal wants. Any context that may allocate; no locks.
 */
#pragma once

#include "include/compiler.h"

struct shape;

enum field_kind {
	FIELD_TEXT = 1,		/* char[], NUL-ended within it */
	FIELD_WORD,		/* const char *, a constant; NULL: there is none */
	FIELD_LONG,		/* char *, on the heap, the record's own; NULL: there is none */
	FIELD_NUMBER,		/* unsigned, of 1, 2, 4 or 8 bytes */
	FIELD_SIGNED,
	FIELD_YES,		/* bool */
	FIELD_UUID,		/* uint8_t[16] */
	FIELD_LIST,		/* struct records, the record's own, of shape_lists[of] */
};

struct field {
	const char *name;
	uint16_t offset, size;
	uint8_t kind;			/* enum field_kind */
	uint8_t of;
};

struct shape {
	const struct field *field;	/* ends without a name */
	size_t size;			/* of the struct */
};

/* All zeros but the shape: none. */
struct records {
	const struct shape *shape;
	struct records_chunk *first, *last;
	unsigned count;
	bool cut;			/* there was no memory for all of them */
	/* Where records_at() was last: that chunk, and the number of its first record. */
	struct records_chunk *here;
	unsigned here_from;
};

/*
 * One more, all zeros; NULL: there is no memory, and `cut` is set. Those before it stay where they
 * are, and no piece of memory is larger than a page or a record.
 */
void *records_add(struct records *r) must_check;
/* By number from 0 on; quick for one after the other. NULL behind the last. */
void *records_at(const struct records *r, unsigned i);
/* Are they all there, and what belongs to them? */
bool records_whole(const struct records *r);
void records_fini(struct records *r);

/* `p` goes over them. */
#define records_for_each(p, r)	\
	for (unsigned at_##p = 0; (p = records_at(r, at_##p)); at_##p++)
