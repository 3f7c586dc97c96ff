/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/memory.h"

#include <stdio.h>
#include <stdlib.h>

#include "include/bits.h"
#include "mm/kmap.h"

/* Behind mm/paging.h, whose PROT_READ and PROT_WRITE it redefines to the same values. */
#include <sys/mman.h>

static void reserve(uint64_t at, uint64_t size)
{
	void *p = mmap((void *)at, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	if (p != (void *)at) {
		perror("mmap");
		abort();
	}
}

void memory_reserve(uint64_t top)
{
	reserve(LAYOUT_DIRECT, top);
	/* In granules, as mm/page_init.c backs it. */
	reserve(LAYOUT_PAGES, ALIGN_UP(top / PAGE_SIZE * sizeof(struct page), PAGE_2M));
}

void memory_init(uint64_t top)
{
	memory_reserve(top);
	page_add(HPA(MIB), HPA(top));
}

uint64_t memory_free(void)
{
	struct page_stats s;

	return page_stats_get(NODE_ANY, &s) ? 0 : s.free;
}

/* Weak: a test of mm/kmap.c has the real one. */
__attribute__((weak)) hpa_t kmap_direct_hpa(const void *p)
{
	return HPA((uintptr_t)p - LAYOUT_DIRECT);
}
