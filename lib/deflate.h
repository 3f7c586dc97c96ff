/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes in, a zlib stream out, in little and bounded memory: what occurs again within the window is
 * told as a distance and a length, in the one fixed code. What it makes is larger than zlib's by a
 * third or so, and a tenth of what goes in where that is a screen. No locks; the caller's memory.
 * Sources: RFC 1950, "ZLIB Compressed Data Format"; RFC 1951, "DEFLATE Compressed Data Format".
 */
#pragma once

#include "include/compiler.h"

#define DEFLATE_WINDOW	8192u		/* how far back it looks */
#define DEFLATE_HASHES	2048u
#define DEFLATE_OUT	2048u

/* Takes what has been made; not 0: no more of it is wanted. */
typedef int deflate_put_t(void *arg, const void *data, size_t n);

struct deflate {
	deflate_put_t *put;
	void *arg;
	int error;			/* the first that `put` returned */
	uint32_t bits;			/* not yet in `out`, the lowest first */
	unsigned bit_count;
	uint32_t adler[2];
	unsigned count, at;		/* bytes of `in`, and how many of them are told */
	unsigned out_count;
	uint16_t last[DEFLATE_HASHES];	/* 1 + where three such bytes stood last; 0: nowhere */
	uint8_t in[2 * DEFLATE_WINDOW];
	uint8_t out[DEFLATE_OUT];
};

void deflate_begin(struct deflate *d, deflate_put_t *put, void *arg);
void deflate_write(struct deflate *d, const void *data, size_t n);
/* The rest, and what checks it; `put` has had all. The first error. */
int deflate_end(struct deflate *d) must_check;
