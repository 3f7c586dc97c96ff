/* SPDX-License-Identifier: BSD-2-Clause */
/* Saved state; see record.h. Stateless; the caller owns the buffers. */
#include "lib/record.h"

#include "include/bits.h"
#include "include/errno.h"
#include "lib/string.h"

#define HEAD_SIZE	(RECORD_NAME_MAX + 12)

void record_writer_init(struct record_writer *w, void *buf, size_t size)
{
	*w = (struct record_writer){ .buf = buf, .size = buf ? size : 0 };
}

void record_writer_stream(struct record_writer *w, void *buf, size_t size,
			  int (*put)(void *arg, const void *data, size_t n), void *arg)
{
	*w = (struct record_writer){ .buf = buf, .size = size, .put = put, .arg = arg };
}

void record_put(struct record_writer *w, const void *data, size_t n)
{
	if (w->used <= w->size && n <= w->size - w->used)
		memcpy(w->buf + w->used, data, n);
	w->used += n;
}

static void put_int(struct record_writer *w, uint64_t v, unsigned bytes)
{
	uint8_t le[8];

	for (unsigned i = 0; i < bytes; i++)
		le[i] = (uint8_t)(v >> (8 * i));
	record_put(w, le, bytes);
}

void record_put_u8(struct record_writer *w, uint8_t v)
{
	put_int(w, v, 1);
}

void record_put_u16(struct record_writer *w, uint16_t v)
{
	put_int(w, v, 2);
}

void record_put_u32(struct record_writer *w, uint32_t v)
{
	put_int(w, v, 4);
}

void record_put_u64(struct record_writer *w, uint64_t v)
{
	put_int(w, v, 8);
}

void record_put_bool(struct record_writer *w, bool v)
{
	put_int(w, v, 1);
}

void record_begin(struct record_writer *w, const char *name, uint32_t instance, uint32_t version)
{
	char padded[RECORD_NAME_MAX] = { 0 };

	str_copy(padded, name, sizeof(padded));
	w->record = w->used;
	record_put(w, padded, sizeof(padded));
	record_put_u32(w, instance);
	record_put_u32(w, version);
	record_put_u32(w, 0);	/* length: record_end knows it */
}

void record_end(struct record_writer *w)
{
	size_t end = w->used;

	w->largest = MAX(w->largest, end - w->record);
	if (end > w->size) {
		if (w->put && !w->error)
			w->error = -ENOSPC;
		w->used = w->put ? 0 : end;
		return;
	}
	w->used = w->record + HEAD_SIZE - 4;
	record_put_u32(w, (uint32_t)(end - w->record - HEAD_SIZE));
	w->used = end;
	if (!w->put)
		return;
	if (!w->error)
		w->error = w->put(w->arg, w->buf, end);
	w->used = 0;
}

void record_reader_init(struct record_reader *r, const void *buf, size_t size)
{
	*r = (struct record_reader){ .buf = buf, .size = size };
}

const void *record_take(struct record_reader *r, size_t n)
{
	if (r->error || n > r->size - r->at) {
		r->error = -EINVAL;
		return NULL;
	}
	r->at += n;
	return r->buf + r->at - n;
}

void record_get(struct record_reader *r, void *data, size_t n)
{
	const void *from = record_take(r, n);

	if (from)
		memcpy(data, from, n);
	else
		memset(data, 0, n);
}

static uint64_t get_int(struct record_reader *r, unsigned bytes)
{
	uint8_t le[8] = { 0 };
	uint64_t v = 0;

	record_get(r, le, bytes);
	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)le[i] << (8 * i);
	return v;
}

uint8_t record_get_u8(struct record_reader *r)
{
	return (uint8_t)get_int(r, 1);
}

uint16_t record_get_u16(struct record_reader *r)
{
	return (uint16_t)get_int(r, 2);
}

uint32_t record_get_u32(struct record_reader *r)
{
	return (uint32_t)get_int(r, 4);
}

uint64_t record_get_u64(struct record_reader *r)
{
	return get_int(r, 8);
}

uint64_t record_get_below(struct record_reader *r, unsigned bytes, uint64_t max)
{
	uint64_t v = get_int(r, bytes);

	if (v <= max)
		return v;
	r->error = -EINVAL;
	return 0;
}

bool record_get_bool(struct record_reader *r)
{
	return record_get_below(r, 1, 1) != 0;
}

int record_finish(const struct record_reader *r)
{
	return r->error || r->at != r->size ? -EINVAL : 0;
}

int record_next(struct record_reader *r, struct record_head *head, struct record_reader *body)
{
	if (!r->error && r->at == r->size)
		return -ENOENT;
	record_get(r, head->name, sizeof(head->name));
	head->instance = record_get_u32(r);
	head->version = record_get_u32(r);
	head->length = record_get_u32(r);
	if (r->error || !memchr(head->name, 0, sizeof(head->name)) ||
	    head->length > r->size - r->at) {
		r->error = -EINVAL;
		return -EINVAL;
	}
	record_reader_init(body, r->buf + r->at, head->length);
	r->at += head->length;
	return 0;
}
