/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bits, rounding, ranges and extremes. Everything here is a pure expression.
 */
#pragma once

#include "include/compiler.h"

#define BIT(n)		(1ul << (n))
/* Bits hi down to lo, both included. */
#define BITS(hi, lo)	((~0ul >> (63 - (hi))) & (~0ul << (lo)))
#define FIELD(v, hi, lo) (((v) & BITS(hi, lo)) >> (lo))

#define MIN(a, b) ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ < b_ ? a_ : b_; })
#define MAX(a, b) ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ > b_ ? a_ : b_; })

/* `a` is a power of two. */
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a) - 1))
#define ALIGN_UP(x, a)	ALIGN_DOWN((x) + (__typeof__(x))(a) - 1, a)
#define IS_ALIGNED(x, a) (((x) & ((__typeof__(x))(a) - 1)) == 0)
#define DIV_UP(x, n)	(((x) + (n) - 1) / (n))

/* Index of the lowest and the highest set bit; `x` is not 0. */
static inline unsigned bit_lowest(uint64_t x)
{
	return (unsigned)__builtin_ctzl(x);
}

static inline unsigned bit_highest(uint64_t x)
{
	return 63 - (unsigned)__builtin_clzl(x);
}

/*
 * Number of set bits: sums of 2, 4 and 8 bits side by side, then of all bytes. The compiler's
 * builtin calls its library where the chip's POPCNT is not taken for granted; Keel has none.
 */
static inline unsigned bit_count(uint64_t x)
{
	x -= (x >> 1) & 0x5555555555555555;
	x = (x & 0x3333333333333333) + ((x >> 2) & 0x3333333333333333);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
	return (unsigned)((x * 0x0101010101010101) >> 56);
}

/* Mask of the low `bytes` bytes, 1 to 8. */
static inline uint64_t bytes_mask(unsigned bytes)
{
	return ~0ul >> (64 - 8 * bytes);
}

/* The low `bytes` bytes as a number with a sign. */
static inline int64_t bytes_signed(uint64_t v, unsigned bytes)
{
	unsigned unused = 64 - 8 * bytes;

	return (int64_t)(v << unused) >> unused;
}

/* Does [start, start+len) lie within [base, base+size)? Safe against wrap. */
static inline bool range_within(uint64_t start, uint64_t len, uint64_t base, uint64_t size)
{
	return start >= base && start - base <= size && len <= size - (start - base);
}
