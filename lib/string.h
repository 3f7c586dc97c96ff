/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The standard memory and string functions, and a bounded copy. The kernel has lib/string.c; host
 * tests use the same names from their C library.
 */
#pragma once

#include "include/compiler.h"

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
void *memchr(const void *p, int c, size_t n);

#define STR_HASH_START	0xcbf29ce484222325ul

/* FNV-1a of the text and its NUL, going on from `h`. */
static inline uint64_t str_hash(uint64_t h, const char *s)
{
	do
		h = (h ^ (uint8_t)*s) * 0x100000001b3ul;
	while (*s++);
	return h;
}

/*
 * Copies at most size - 1 characters and always ends `dst` with NUL; returns strlen(src),
 * so >= size is "cut".
 */
static inline size_t str_copy(char *dst, const char *src, size_t size)
{
	size_t n = strlen(src);
	size_t fit = n < size ? n : size - 1;

	if (size) {
		memcpy(dst, src, fit);
		dst[fit] = 0;
	}
	return n;
}
