/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: the kernel's own map: image W^X, direct map of RAM (NX), device windows, stacks with guard pages. Addresses come
 * from mm/layout.h. Lower half empty. Shared by all CPUs; LOCK_KMAP; unmapping waits for every CPU's TLB (a shootdown by IPI,
 * thread context, interrupts on).
 */
#pragma once

#include "include/addr.h"
#include "mm/paging.h"

/* A device's registers, uncached (or as `c` says); NULL if it cannot be had. Page granularity is hidden. */
void *kmap_io(hpa_t a, uint64_t size, enum paging_cache c) must_check;
void kmap_io_unmap(void *va, uint64_t size);
/* A stack of `pages` pages with an unmapped guard page below; returns its top, 16-byte aligned. NULL when out of memory. */
void *kmap_stack_alloc(unsigned pages) must_check;
void kmap_stack_free(void *top);
/* Is it an address in a guard page? For the page-fault handler's message. */
bool kmap_is_guard(uint64_t va);

/* RAM through the direct map. */
void *kmap_direct(hpa_t a);
hpa_t kmap_direct_hpa(const void *p);	/* inverse; also understands image addresses */

extern uint64_t kmap_cr3;		/* what every CPU loads */

/* Builds the final map and switches the boot CPU to it; page_init has run. */
void kmap_init(void);
/* Switches an AP to it and sets this CPU's CR0.WP, EFER.NXE, CR4.{SMEP,SMAP,PGE,...}, PAT. */
void kmap_cpu_init(void);
