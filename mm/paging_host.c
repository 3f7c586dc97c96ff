/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Format of the kernel's own page tables: 4 levels, leaves of 4K, 2M and 1G. Tables allow
 * everything, leaves decide; a table is not for ring 3, so the kernel half never is. Bits only.
 */
#include "mm/paging_bits.h"

static uint64_t host_table(hpa_t a)
{
	return a.v | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED;
}

const struct paging_format paging_host = {
	.name = "host",
	.levels = 4,
	.max_leaf_level = 3,
	.leaf = pte_leaf,
	.table = host_table,
	.present = PTE_PRESENT,
	.large = PTE_LARGE,
	.address = pte_address,
	.prot = pte_get_prot,
	.with_prot = pte_with_prot,
	.child = pte_child,
};
