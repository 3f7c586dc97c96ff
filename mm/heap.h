/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: kernel objects. Pools of equal objects carved from slabs of pages, and a general
 * heap_alloc on top of pools of rising size (larger requests take pages). Memory is cleared on
 * allocation and filled with junk on free (debug builds). Any context; never sleeps; LOCK_HEAP.
 */
#pragma once

#include "include/compiler.h"
#include "mm/page.h"

/* Zeroed, 16-byte aligned (page-aligned from 4 KiB on); NULL when out. */
void *heap_alloc(size_t size) must_check;
void heap_free(void *p);			/* NULL is fine */
char *heap_strdup(const char *s) must_check;

struct heap_stats {
	uint64_t bytes, objects, pages;
};
void heap_stats_get(struct heap_stats *out);
void heap_init(void);
