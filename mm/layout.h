/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's address space, one table. 4-level paging always (LA57 is never switched on), so the
 * upper half is 128 TiB and a top-level entry (a "slot") covers 512 GiB. The lower half stays
 * empty: it is kept for programs in ring 3. Windows have an empty slot between them, so that
 * running off the end of one faults. Plain numbers: NASM and the linker script repeat LAYOUT_DIRECT
 * and LAYOUT_IMAGE.
 *
 *   start             end (inclusive)   size     slots    what
 *   0000000000000000  00007fffffffffff  128 TiB    0-255  empty
 *   ffff800000000000  ffffbfffffffffff   64 TiB  256-383  direct map: all RAM, NX
 *   ffffc00000000000  ffffc07fffffffff  512 GiB      384  struct page of every frame, NX
 *   ffffc10000000000  ffffc17fffffffff  512 GiB      386  device windows, NX
 *   ffffc20000000000  ffffc27fffffffff  512 GiB      388  stacks, each with a guard page below, NX
 *   ffffffff80000000  ffffffffffffffff    2 GiB      511  the image: text R-X, rodata R--,
 *                                                                 data and bss RW-
 */
#pragma once

#include "include/addr.h"

#define LAYOUT_SLOT		(1ul << 39)

#define LAYOUT_DIRECT		0xffff800000000000ul
#define LAYOUT_DIRECT_SIZE	(64ul << 40)
#define LAYOUT_PAGES		0xffffc00000000000ul
#define LAYOUT_PAGES_SIZE	(512ul << 30)
#define LAYOUT_IO		0xffffc10000000000ul
#define LAYOUT_IO_SIZE		(512ul << 30)
#define LAYOUT_STACKS		0xffffc20000000000ul
#define LAYOUT_STACKS_SIZE	(512ul << 30)
#define LAYOUT_IMAGE		0xffffffff80000000ul
#define LAYOUT_IMAGE_SIZE	(2ul << 30)

/* The boot code's first map: this much of the direct map, and the image. */
#define LAYOUT_BOOT_DIRECT_SIZE	(4ul << 30)

_Static_assert(LAYOUT_DIRECT + LAYOUT_DIRECT_SIZE <= LAYOUT_PAGES, "direct map");
_Static_assert(LAYOUT_PAGES + LAYOUT_PAGES_SIZE + LAYOUT_SLOT <= LAYOUT_IO, "page array");
_Static_assert(LAYOUT_IO + LAYOUT_IO_SIZE + LAYOUT_SLOT <= LAYOUT_STACKS, "device windows");
_Static_assert(LAYOUT_STACKS + LAYOUT_STACKS_SIZE + LAYOUT_SLOT <= LAYOUT_IMAGE, "stacks");
_Static_assert(LAYOUT_IMAGE + LAYOUT_IMAGE_SIZE == 0, "the image is in the top 2 GiB");
