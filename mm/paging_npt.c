/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Format of SVM's nested page tables. They are the chip's ordinary tables, with one rule more: a
 * guest's accesses count as user accesses, so every entry has U set. The global bit means nothing
 * here. Bits only.
 * Source: AMD64 APM 2, "Nested Paging".
 */
#include "mm/paging_bits.h"

static uint64_t npt_leaf(hpa_t a, unsigned prot, enum paging_cache c, unsigned level)
{
	return pte_leaf(a, (prot | PROT_USER) & ~(unsigned)PROT_GLOBAL, c, level);
}

static uint64_t npt_table(hpa_t a)
{
	return a.v | PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED;
}

static uint64_t npt_with_prot(uint64_t e, unsigned prot)
{
	return pte_with_prot(e, (prot | PROT_USER) & ~(unsigned)PROT_GLOBAL);
}

const struct paging_format paging_npt = {
	.name = "npt",
	.levels = 4,
	.max_leaf_level = 3,
	.leaf = npt_leaf,
	.table = npt_table,
	.present = PTE_PRESENT,
	.large = PTE_LARGE,
	.accessed = PTE_ACCESSED,
	.address = pte_address,
	.prot = pte_get_prot,
	.with_prot = npt_with_prot,
	.child = pte_child,
};
