/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fake physical memory for unit tests of the real mm/ files: the direct map and the page array are
 * backed on demand by the host.
 */
#pragma once

#include "mm/page.h"

/*
 * Reserves [0, top) of physical addresses and the page array for them; nothing is given to the
 * allocator.
 */
void memory_reserve(uint64_t top);
/* The same, and [1 MiB, top) goes to the allocator. Once per program. */
void memory_init(uint64_t top);
/* Frames free in the whole machine. */
uint64_t memory_free(void);
