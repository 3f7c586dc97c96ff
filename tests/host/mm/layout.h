/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stand-in for mm/layout.h: the direct map and the page array at addresses that a host program can
 * have; what lies behind them is tests/host/memory.c. Windows and stacks are only ever page-table
 * entries. A test's own data passes for the image.
 */
#pragma once

#include "include/addr.h"

#define LAYOUT_DIRECT		0x200000000000ul
#define LAYOUT_DIRECT_SIZE	(16ul << 40)
#define LAYOUT_BOOT_DIRECT_SIZE	(4ul << 30)
#define LAYOUT_PAGES		0x400000000000ul
#define LAYOUT_PAGES_SIZE	(LAYOUT_DIRECT_SIZE / PAGE_SIZE * 32)
#define LAYOUT_IO		0x500000000000ul
#define LAYOUT_IO_SIZE		(512ul << 30)
#define LAYOUT_STACKS		0x510000000000ul
#define LAYOUT_STACKS_SIZE	(512ul << 30)
#define LAYOUT_IMAGE		0x540000000000ul
