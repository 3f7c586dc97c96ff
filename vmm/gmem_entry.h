/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The entries of a slot's tables, which vmm/gmem.c fills and follows and vmm/gmem_slots.c makes and
 * takes down. For these two alone; the tables' design and locking are at the head of vmm/gmem.c.
 */
#pragma once

#include "include/bits.h"
#include "vmm/gmem.h"

#define ENTRIES		512u
#define CHUNK_SHIFT	21

/*
 * An entry is 0 (absent), or the host address of the page in the direct map with what may be done
 * to it in the low bits: all three when present, no write when shared until written. One that is
 * swapped out will have none of the three. A chunk's entry that has ENTRY_TABLE points to its leaf
 * table instead.
 */
#define ENTRY_ACCESS	(GMEM_READ | GMEM_WRITE | GMEM_EXEC)
#define ENTRY_TABLE	BIT(3)
#define ENTRY_DIRTY	BIT(4)		/* written by Keel, or a write faulted */

static inline struct page *gmem_entry_page(uint64_t e)
{
	return page_at(HPA((e & PAGE_MASK) - LAYOUT_DIRECT));
}
