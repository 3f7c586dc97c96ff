/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages of 4 KiB mapped where a test wants them, in a window of their own far above
 * what start.asm maps.
 */
#pragma once

#include "tests/guest/lib/guest.h"

#define WINDOW		0x8000000000ul		/* 512 GiB and up */
#define UNCLAIMED	0xfd000000ul		/* a physical address where nothing answers */

/* `flags` are PTE bits; 0 takes the page away. */
void page_map(uint64_t virt, uint64_t phys, uint64_t flags);
uint64_t *page_entry(uint64_t virt);		/* the 4 KiB entry, tables made on the way */
void *page_get(void);				/* a zeroed page of RAM from a small pool */
