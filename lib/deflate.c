/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See lib/deflate.h. `in` is twice the window: when it is full and all but the longest match at its
 * end is told, its second half becomes the first. A place is looked for by a hash of its first
 * three bytes, of which the last alone is known: nearer ones have shorter codes, and a run of one
 * byte finds itself. Symbols and extra bits are computed, not looked up.
 */
#include "lib/deflate.h"

#include "include/bits.h"
#include "lib/string.h"

#define MATCH_MIN	3u
#define MATCH_MAX	257u		/* one more would be a symbol of its own */
#define ADLER_BASE	65521u
#define BLOCK_END_BITS	7u		/* all of them 0 */

static void flush(struct deflate *d)
{
	if (d->out_count && !d->error)
		d->error = d->put(d->arg, d->out, d->out_count);
	d->out_count = 0;
}

static void put_byte(struct deflate *d, uint32_t byte)
{
	d->out[d->out_count++] = (uint8_t)byte;
	if (d->out_count == DEFLATE_OUT)
		flush(d);
}

/* The lowest bit first. */
static void put_bits(struct deflate *d, uint32_t value, unsigned n)
{
	d->bits |= value << d->bit_count;
	for (d->bit_count += n; d->bit_count >= 8; d->bit_count -= 8) {
		put_byte(d, d->bits);
		d->bits >>= 8;
	}
}

/* Codes go out with their highest bit first. */
static void put_code(struct deflate *d, uint32_t code, unsigned n)
{
	while (n--)
		put_bits(d, code >> n & 1, 1);
}

/* A literal or a length. */
static void put_symbol(struct deflate *d, unsigned s)
{
	if (s < 144)
		put_code(d, 0x30 + s, 8);
	else if (s < 256)
		put_code(d, 0x190 + s - 144, 9);
	else if (s < 280)
		put_code(d, s - 256, 7);
	else
		put_code(d, 0xc0 + s - 280, 8);
}

static unsigned log2_of(uint32_t n)
{
	return 31 - (unsigned)__builtin_clz(n);
}

static void put_match(struct deflate *d, unsigned length, unsigned distance)
{
	unsigned n = length - MATCH_MIN, far = distance - 1, extra = n < 8 ? 0 : log2_of(n) - 2;

	put_symbol(d, n < 4 ? 257 + n : 261 + 4 * extra + (n >> extra & 3));
	put_bits(d, n & ((1u << extra) - 1), extra);
	extra = far < 4 ? 0 : log2_of(far) - 1;
	put_code(d, far < 4 ? far : 2 * extra + 2 + (far >> extra & 1), 5);
	put_bits(d, far & ((1u << extra) - 1), extra);
}

/* Of the three bytes there; its place, which the next one with that hash will find. */
static noinline uint16_t *place_of(struct deflate *d, unsigned at)
{
	const uint8_t *p = d->in + at;
	uint32_t h = (uint32_t)(p[0] << 16 | p[1] << 8 | p[2]) * 0x9e3779b1u;

	return &d->last[h >> 21];
}

/* How long the match with what stands at `from` is. */
static unsigned match(const struct deflate *d, unsigned from)
{
	unsigned most = MIN(d->count - d->at, MATCH_MAX), n = 0;

	while (n < most && d->in[from + n] == d->in[d->at + n])
		n++;
	return n;
}

/* One literal or one match. */
static void step(struct deflate *d)
{
	unsigned known = d->count - d->at, length = 0, from = 0;

	if (known >= MATCH_MIN)
		from = *place_of(d, d->at);
	if (from && d->at - (from - 1) <= DEFLATE_WINDOW)
		length = match(d, from - 1);
	if (length >= MATCH_MIN) {
		put_match(d, length, d->at - (from - 1));
	} else {
		length = 1;
		put_symbol(d, d->in[d->at]);
	}
	for (; length--; d->at++, known--)
		if (known >= MATCH_MIN)
			*place_of(d, d->at) = (uint16_t)(d->at + 1);
}

static void slide(struct deflate *d)
{
	d->count -= DEFLATE_WINDOW;
	d->at -= DEFLATE_WINDOW;
	memmove(d->in, d->in + DEFLATE_WINDOW, d->count);
	for (unsigned i = 0; i < DEFLATE_HASHES; i++)
		d->last[i] = d->last[i] > DEFLATE_WINDOW ?
			     (uint16_t)(d->last[i] - DEFLATE_WINDOW) : 0;
}

void deflate_begin(struct deflate *d, deflate_put_t *put, void *arg)
{
	memset(d, 0, offsetof(struct deflate, in));
	d->put = put;
	d->arg = arg;
	d->adler[0] = 1;
	/* A window of 8 KiB; one block, and the last, in the fixed code. */
	put_bits(d, 0x0958 | 3 << 16, 19);
}

void deflate_write(struct deflate *d, const void *data, size_t n)
{
	const uint8_t *p = data;

	for (; n--; p++) {
		d->adler[0] += *p;
		d->adler[0] -= d->adler[0] >= ADLER_BASE ? ADLER_BASE : 0;
		d->adler[1] += d->adler[0];
		d->adler[1] -= d->adler[1] >= ADLER_BASE ? ADLER_BASE : 0;
		d->in[d->count++] = *p;
		if (d->count < sizeof(d->in))
			continue;
		while (d->at + MATCH_MAX <= d->count)
			step(d);
		slide(d);
	}
}

int deflate_end(struct deflate *d)
{
	while (d->at < d->count)
		step(d);
	put_bits(d, 0, BLOCK_END_BITS);
	put_bits(d, 0, -d->bit_count & 7);
	for (unsigned i = 4; i--;)
		put_byte(d, d->adler[i / 2] >> 8 * (i & 1));
	flush(d);
	return d->error;
}
