/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A ring of bytes. `head` and `tail` only ever rise (modulo 2^32) and are reduced to an index on
 * use, so full and empty differ without a spare byte. One writer and one reader need no lock
 * between them; more of either side lock among themselves. The size is a power of two.
 */
#pragma once

#include "include/bits.h"

struct ring {
	uint8_t *data;
	uint32_t size;
	uint32_t head;		/* written by the writer: bytes ever put */
	uint32_t tail;		/* written by the reader: bytes ever taken */
};

#define RING_INIT(array) { .data = (array), .size = sizeof(array) }

static inline void ring_init(struct ring *r, void *data, uint32_t size)
{
	*r = (struct ring){ .data = data, .size = size };
}

static inline uint32_t ring_count(const struct ring *r)
{
	return __atomic_load_n(&r->head, __ATOMIC_ACQUIRE) -
	       __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
}

static inline uint32_t ring_space(const struct ring *r)
{
	return r->size - ring_count(r);
}

static inline bool ring_put(struct ring *r, uint8_t byte)
{
	uint32_t head = r->head;

	if (!ring_space(r))
		return false;
	r->data[head & (r->size - 1)] = byte;
	__atomic_store_n(&r->head, head + 1, __ATOMIC_RELEASE);
	return true;
}

/* The next byte, or -1 when empty. */
static inline int ring_get(struct ring *r)
{
	uint32_t tail = r->tail;
	uint8_t byte;

	if (!ring_count(r))
		return -1;
	byte = r->data[tail & (r->size - 1)];
	__atomic_store_n(&r->tail, tail + 1, __ATOMIC_RELEASE);
	return byte;
}

/* As many as fit; returns how many. */
static inline uint32_t ring_write(struct ring *r, const void *src, uint32_t n)
{
	uint32_t done = 0;

	while (done < n && ring_put(r, ((const uint8_t *)src)[done]))
		done++;
	return done;
}

/* As many as there are, up to n; returns how many. */
static inline uint32_t ring_read(struct ring *r, void *dst, uint32_t n)
{
	uint32_t done = 0;
	int byte;

	while (done < n && (byte = ring_get(r)) >= 0)
		((uint8_t *)dst)[done++] = (uint8_t)byte;
	return done;
}

/*
 * The writer's way to keep the newest: drops the oldest when full. Only where one lock
 * covers both sides.
 */
static inline void ring_put_over(struct ring *r, uint8_t byte)
{
	if (!ring_space(r))
		r->tail++;
	ring_put(r, byte);
}
