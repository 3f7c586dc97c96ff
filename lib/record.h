/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Saved state: a sequence of records {name, instance, version, length, payload},
 * little-endian, without padding. Writing appends to a caller's buffer, reading treats its
 * input as hostile: every get is bounds-checked and an error sticks, so that a loader reads
 * all fields and looks at the reader's error once, before it commits anything. A buffer of
 * NULL only counts, which sizes a save. A writer with a callback hands out each record when it is
 * complete, and needs a buffer for the largest alone.
 */
#pragma once

#include "include/compiler.h"

#define RECORD_NAME_MAX	16	/* with its NUL padding, as stored */

struct record_writer {
	uint8_t *buf;
	size_t size, used;	/* used may exceed size: then the buffer was too small */
	size_t record;		/* where the open record's header starts */
	size_t largest;		/* record so far, with its header */
	/* Takes a whole record; -Exxx ends the save. NULL: all stays in the buffer. */
	int (*put)(void *arg, const void *data, size_t n);
	void *arg;
	int error;		/* of put, or -ENOSPC: a record is larger than the buffer; sticky */
};

struct record_reader {
	const uint8_t *buf;
	size_t size, at;
	int error;		/* 0 or -EINVAL; sticky */
};

struct record_head {
	char name[RECORD_NAME_MAX];
	uint32_t instance, version, length;
};

void record_writer_init(struct record_writer *w, void *buf, size_t size);
void record_writer_stream(struct record_writer *w, void *buf, size_t size,
			  int (*put)(void *arg, const void *data, size_t n), void *arg);
void record_begin(struct record_writer *w, const char *name, uint32_t instance, uint32_t version);
void record_end(struct record_writer *w);
void record_put(struct record_writer *w, const void *data, size_t n);
void record_put_u8(struct record_writer *w, uint8_t v);
void record_put_u16(struct record_writer *w, uint16_t v);
void record_put_u32(struct record_writer *w, uint32_t v);
void record_put_u64(struct record_writer *w, uint64_t v);
void record_put_bool(struct record_writer *w, bool v);

void record_reader_init(struct record_reader *r, const void *buf, size_t size);
/*
 * The next record's head, and `body` bounded to its payload. -ENOENT at the clean end, -EINVAL
 * when malformed.
 */
int record_next(struct record_reader *r, struct record_head *head,
		struct record_reader *body) must_check;
void record_get(struct record_reader *r, void *data, size_t n);	/* zeros after an error */
/* The next bytes where they lie in the reader's buffer; NULL after an error. */
const void *record_take(struct record_reader *r, size_t n);
uint8_t record_get_u8(struct record_reader *r);
uint16_t record_get_u16(struct record_reader *r);
uint32_t record_get_u32(struct record_reader *r);
uint64_t record_get_u64(struct record_reader *r);
bool record_get_bool(struct record_reader *r);		/* a byte other than 0 or 1 is an error */
/* A value that must not exceed `max`. */
uint64_t record_get_below(struct record_reader *r, unsigned bytes, uint64_t max);
/* 0 if every get succeeded and the payload is used up, else -EINVAL. */
int record_finish(const struct record_reader *r) must_check;
