/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory and strings for the kernel. Copies go by overlapping words up to a cache line and by REP
 * MOVSQ/STOSQ above: the last word is loaded before the first store, so that a forward copy is also
 * right for a move to lower addresses. Compiled without the compiler's loop-to-memcpy idiom, which
 * would make these call themselves.
 */
#include "lib/string.h"

typedef uint64_t __attribute__((may_alias, __aligned__(1))) word64;
typedef uint32_t __attribute__((may_alias, __aligned__(1))) word32;
typedef uint16_t __attribute__((may_alias, __aligned__(1))) word16;

#define REP_MIN	64	/* bytes from which REP pays */

/* Under 8 bytes: every load before any store. */
static always_inline void copy_small(uint8_t *d, const uint8_t *s, size_t n)
{
	if (n >= 4) {
		uint32_t head = *(const word32 *)s, tail = *(const word32 *)(s + n - 4);

		*(word32 *)d = head;
		*(word32 *)(d + n - 4) = tail;
	} else if (n >= 2) {
		uint16_t head = *(const word16 *)s, tail = *(const word16 *)(s + n - 2);

		*(word16 *)d = head;
		*(word16 *)(d + n - 2) = tail;
	} else if (n) {
		*d = *s;
	}
}

static always_inline void copy_up(uint8_t *d, const uint8_t *s, size_t n)
{
	uint64_t tail;
	uint8_t *last;
	size_t words;

	if (n < 8) {
		copy_small(d, s, n);
		return;
	}
	tail = *(const word64 *)(s + n - 8);
	last = d + n - 8;
	words = (n - 1) / 8;
	if (n >= REP_MIN) {
		__asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(words) : : "memory");
	} else {
		for (; words; words--, d += 8, s += 8)
			*(word64 *)d = *(const word64 *)s;
	}
	*(word64 *)last = tail;
}

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	copy_up(dst, src, n);
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	uint8_t *d = dst;
	const uint8_t *s = src;
	uint64_t head;

	if ((uintptr_t)d - (uintptr_t)s >= n || n < 8) {
		copy_up(d, s, n);
		return dst;
	}
	head = *(const word64 *)s;
	for (; n >= 8; n -= 8)
		*(word64 *)(d + n - 8) = *(const word64 *)(s + n - 8);
	*(word64 *)d = head;
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	uint64_t word = (uint8_t)c * 0x0101010101010101ul;
	uint8_t *d = dst;
	size_t words = n / 8;

	if (n < 8) {
		while (n)
			d[--n] = (uint8_t)c;
		return dst;
	}
	*(word64 *)(d + n - 8) = word;
	if (n >= REP_MIN) {
		__asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(word) : "memory");
	} else {
		for (; words; words--, d += 8)
			*(word64 *)d = word;
	}
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (; n >= 8 && *(const word64 *)x == *(const word64 *)y; n -= 8) {
		x += 8;
		y += 8;
	}
	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++) {
		if (*a != *b)
			return (uint8_t)*a - (uint8_t)*b;
		if (!*a)
			break;
	}
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

char *strchr(const char *s, int c)
{
	for (; *s != (char)c; s++)
		if (!*s)
			return NULL;
	return (char *)s;
}

void *memchr(const void *p, int c, size_t n)
{
	const unsigned char *at = p;

	for (size_t i = 0; i < n; i++)
		if (at[i] == (unsigned char)c)
			return (void *)(uintptr_t)(at + i);
	return NULL;
}
