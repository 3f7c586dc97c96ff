/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bits that AMD64's own page tables and nested page tables have in common; only
 * mm/paging_host.c and mm/paging_npt.c include this. The cache type is an index into the PAT that
 * mm/kmap.c loads, whose order is enum paging_cache's. Accessed and dirty are set from the start:
 * the chip need not write them, until somebody clears one to learn of the next use.
 * Source: AMD64 APM 2, "Page-Translation Tables", "Page-Attribute Table Mechanism".
 */
#pragma once

#include "include/bits.h"
#include "mm/paging.h"

#define PTE_PRESENT	BIT(0)
#define PTE_WRITE	BIT(1)
#define PTE_USER	BIT(2)
#define PTE_PWT		BIT(3)
#define PTE_PCD		BIT(4)
#define PTE_ACCESSED	BIT(5)
#define PTE_DIRTY	BIT(6)
#define PTE_LARGE	BIT(7)		/* levels 2 and 3 */
#define PTE_PAT_4K	BIT(7)		/* level 1 */
#define PTE_GLOBAL	BIT(8)
#define PTE_PAT_LARGE	BIT(12)		/* levels 2 and 3 */
#define PTE_ADDRESS	BITS(51, 12)
#define PTE_NX		BIT(63)

static inline uint64_t pte_prot(unsigned prot)
{
	return PTE_PRESENT | (prot & PROT_WRITE ? PTE_WRITE : 0) |
	       (prot & PROT_USER ? PTE_USER : 0) | (prot & PROT_GLOBAL ? PTE_GLOBAL : 0) |
	       (prot & PROT_EXEC ? 0 : PTE_NX);
}

static inline uint64_t pte_leaf(hpa_t a, unsigned prot, enum paging_cache c, unsigned level)
{
	uint64_t pat = level == 1 ? PTE_PAT_4K : PTE_PAT_LARGE;

	return a.v | pte_prot(prot) | PTE_ACCESSED | PTE_DIRTY | (level == 1 ? 0 : PTE_LARGE) |
	       (c & 1 ? PTE_PWT : 0) | (c & 2 ? PTE_PCD : 0) | (c & 4 ? pat : 0);
}

static inline hpa_t pte_address(uint64_t e, unsigned level)
{
	/* In a large leaf the PAT bit lies where a small one's address has its lowest bit. */
	return HPA(e & PTE_ADDRESS & (level > 1 ? ~PTE_PAT_LARGE : ~0ul));
}

static inline unsigned pte_get_prot(uint64_t e)
{
	return PROT_READ | (e & PTE_WRITE ? PROT_WRITE : 0) | (e & PTE_USER ? PROT_USER : 0) |
	       (e & PTE_GLOBAL ? PROT_GLOBAL : 0) | (e & PTE_NX ? 0 : PROT_EXEC);
}

static inline uint64_t pte_with_prot(uint64_t e, unsigned prot)
{
	return (e & ~(PTE_WRITE | PTE_USER | PTE_GLOBAL | PTE_NX)) | pte_prot(prot);
}

static inline uint64_t pte_child(uint64_t e, unsigned level, unsigned i)
{
	uint64_t size = PAGE_SIZE << (9 * (level - 2));

	if (level == 2)
		e = (e & ~(PTE_LARGE | PTE_PAT_LARGE)) | (e & PTE_PAT_LARGE ? PTE_PAT_4K : 0);
	return e + i * size;
}

_Static_assert(CACHE_WT == 1 && CACHE_UC_MINUS == 2 && CACHE_UC == 3 && CACHE_WC == 4 &&
	       CACHE_WP == 5, "the PAT's order");
_Static_assert((PTE_ADDRESS & PTE_NX) == 0 && PTE_ADDRESS == 0x000ffffffffff000ul,
	       "52 physical bits");
