/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stand-in for mm/layout.h: the direct map and the page array at addresses that a host program can have. What lies behind
 * them is tests/host/memory.c.
 */
#pragma once

#include "include/addr.h"

#define LAYOUT_DIRECT		0x200000000000ul
#define LAYOUT_DIRECT_SIZE	(16ul << 40)
#define LAYOUT_BOOT_DIRECT_SIZE	(4ul << 30)
#define LAYOUT_PAGES		0x400000000000ul
#define LAYOUT_PAGES_SIZE	(LAYOUT_DIRECT_SIZE / PAGE_SIZE * 32)
