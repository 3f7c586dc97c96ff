/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A page pool and a four-level walk, no more than the tests need.
 */
#include "tests/guest/lib/pages.h"

#define POOL_PAGES	64

static uint8_t pool[POOL_PAGES][4096] aligned(4096);
static unsigned used;

void *page_get(void)
{
	if (used == POOL_PAGES)
		astray("page pool is empty");
	return pool[used++];
}

static uint64_t *table_at(uint64_t *entry)
{
	if (!(*entry & PTE_P))
		*entry = (uint64_t)page_get() | PTE_P | PTE_W | PTE_U;
	return (uint64_t *)(*entry & 0xffffffffff000);
}

uint64_t *page_entry(uint64_t virt)
{
	uint64_t *pdpt = table_at(&boot_pml4[virt >> 39 & 511]);
	uint64_t *pd = table_at(&pdpt[virt >> 30 & 511]);
	uint64_t *pt = table_at(&pd[virt >> 21 & 511]);

	return &pt[virt >> 12 & 511];
}

void page_map(uint64_t virt, uint64_t phys, uint64_t flags)
{
	*page_entry(virt) = flags ? phys | flags : 0;
	invlpg(virt);
}
