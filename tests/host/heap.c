/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The heap on the host: the C library's, so that the sanitizers see every object. host_heap_left is
 * how many more allocations succeed.
 */
#include "mm/heap.h"

#include <stdlib.h>
#include <string.h>

unsigned host_heap_left = ~0u;

void *heap_alloc(size_t size)
{
	if (!host_heap_left || size > GIB)
		return NULL;
	if (host_heap_left != ~0u)
		host_heap_left--;
	return calloc(1, size ? size : 1);
}

void heap_free(void *p)
{
	free(p);
}

char *heap_strdup(const char *s)
{
	char *copy = heap_alloc(strlen(s) + 1);

	return copy ? strcpy(copy, s) : NULL;
}

void heap_stats_get(struct heap_stats *out)
{
	*out = (struct heap_stats){ 0 };
}

void heap_init(void)
{
}
