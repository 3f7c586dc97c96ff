/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's own map: image W^X, direct map of RAM (NX), device windows, stacks with guard pages,
 * at the addresses of mm/layout.h. The lower half is empty. All CPUs share it; LOCK_KMAP. Unmapping
 * waits for every CPU's TLB (a shootdown by IPI): thread context, interrupts on.
 * The direct map covers what bootinfo lists below the end of low RAM rounded up to 64 MiB
 * (firmware keeps tables in reserved regions there) and RAM above 4 GiB. What lies elsewhere is
 * reached with kmap_io().
 */
#pragma once

#include "include/addr.h"
#include "mm/layout.h"
#include "mm/paging.h"

/*
 * Physical memory as the CPU sees it, `size` bytes at `a`, cached as `c` says; NULL if it cannot be
 * had. Any alignment.
 */
void *kmap_io(hpa_t a, uint64_t size, enum paging_cache c) must_check;
void kmap_io_unmap(void *va, uint64_t size);

#define KMAP_STACK_PAGES_MAX	15
/*
 * A stack of `pages` pages with an unmapped guard page below; returns its top, 16-byte aligned.
 * NULL when out of memory.
 */
void *kmap_stack_alloc(unsigned pages) must_check;
void kmap_stack_free(void *top);
/* Is it an address in a guard page? For the page-fault handler's message. */
bool kmap_is_guard(uint64_t va);

/* RAM through the direct map. */
static inline void *kmap_direct(hpa_t a)
{
	return (void *)(LAYOUT_DIRECT + a.v);
}

/*
 * Where a kernel pointer points: into the direct map or the image. Not for stacks and
 * device windows.
 */
hpa_t kmap_direct_hpa(const void *p);

extern uint64_t kmap_cr3;		/* what every CPU loads */

/* For mm/page_init.c: 2 MiB of the page array, in the boot code's map or the final one. */
void kmap_array_map(uint64_t va, hpa_t a);

/*
 * Builds the final map and switches the boot CPU to it, then takes RAM above 4 GiB in;
 * page_init has run.
 */
void kmap_init(void);
/* Switches an AP to it and sets this CPU's CR0.WP, EFER.NXE, CR4.{SMEP,SMAP,PGE,...}, PAT. */
void kmap_cpu_init(void);
