/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Format of VMX's extended page tables: read, write, execute are bits of their own, and the leaf
 * names the memory type itself, whatever the guest's PAT says: RAM is write-back for Keel too, and
 * one line under two types is a hang or a machine check on chips whose self-snooping has errata.
 * Write without read is a misconfiguration, and execute without read is one on chips without it:
 * read always goes with them. Bits only.
 * Source: Intel SDM 3, "The Extended Page Table Mechanism (EPT)".
 */
#include "include/bits.h"
#include "mm/paging.h"

#define EPT_READ	BIT(0)
#define EPT_WRITE	BIT(1)
#define EPT_EXEC	BIT(2)
#define EPT_RWX		BITS(2, 0)
#define EPT_TYPE(t)	((uint64_t)(t) << 3)	/* leaves: bits 5:3 */
#define EPT_IGNORE_PAT	BIT(6)			/* leaves */
#define EPT_LARGE	BIT(7)			/* levels 2 and 3 */
#define EPT_ACCESSED	BIT(8)
#define EPT_DIRTY	BIT(9)
#define EPT_ADDRESS	BITS(51, 12)

enum { EPT_UC = 0, EPT_WC = 1, EPT_WT = 4, EPT_WP = 5, EPT_WB = 6 };

static const uint8_t ept_type[] = {
	[CACHE_WB] = EPT_WB,
	[CACHE_WT] = EPT_WT,
	[CACHE_UC_MINUS] = EPT_UC,
	[CACHE_UC] = EPT_UC,
	[CACHE_WC] = EPT_WC,
	[CACHE_WP] = EPT_WP,
};

static uint64_t ept_prot(unsigned prot)
{
	return EPT_READ | (prot & PROT_WRITE ? EPT_WRITE : 0) | (prot & PROT_EXEC ? EPT_EXEC : 0);
}

static uint64_t ept_leaf(hpa_t a, unsigned prot, enum paging_cache c, unsigned level)
{
	return a.v | ept_prot(prot) | EPT_TYPE(ept_type[c]) | EPT_IGNORE_PAT | EPT_ACCESSED |
	       EPT_DIRTY | (level == 1 ? 0 : EPT_LARGE);
}

static uint64_t ept_table(hpa_t a)
{
	return a.v | EPT_RWX | EPT_ACCESSED;
}

static hpa_t ept_address(uint64_t e, unsigned level)
{
	(void)level;
	return HPA(e & EPT_ADDRESS);
}

static unsigned ept_get_prot(uint64_t e)
{
	return PROT_READ | (e & EPT_WRITE ? PROT_WRITE : 0) | (e & EPT_EXEC ? PROT_EXEC : 0);
}

static uint64_t ept_with_prot(uint64_t e, unsigned prot)
{
	return (e & ~EPT_RWX) | ept_prot(prot);
}

static uint64_t ept_child(uint64_t e, unsigned level, unsigned i)
{
	return (level == 2 ? e & ~EPT_LARGE : e) + i * (PAGE_SIZE << (9 * (level - 2)));
}

const struct paging_format paging_ept = {
	.name = "ept",
	.levels = 4,
	.max_leaf_level = 3,
	.leaf = ept_leaf,
	.table = ept_table,
	.present = EPT_RWX,
	.large = EPT_LARGE,
	.address = ept_address,
	.prot = ept_get_prot,
	.with_prot = ept_with_prot,
	.child = ept_child,
};

_Static_assert((EPT_READ | EPT_WRITE | EPT_EXEC) == EPT_RWX && EPT_RWX == 7, "bits 2:0");
_Static_assert(EPT_TYPE(7) == BITS(5, 3), "memory type");
_Static_assert(EPT_IGNORE_PAT == 0x40 && EPT_LARGE == 0x80 && EPT_ACCESSED == 0x100 &&
	       EPT_DIRTY == 0x200, "SDM's table of leaf bits");
