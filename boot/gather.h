/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the readers of boot information (multiboot2, PVH) fill struct bootinfo. They see physical
 * memory only through a gather_map function, so that tests give them any bytes. Boot CPU, before
 * everything else; no locks.
 */
#pragma once

#include "boot/bootinfo.h"

/*
 * The bytes at [a, a + size), or NULL if they cannot be reached; on the chip the boot
 * map's first 4 GiB.
 */
typedef const void *gather_map_fn(hpa_t a, uint64_t size);

void gather_reset(void);
void gather_region(uint64_t start, uint64_t size, enum boot_mem type);
/* `string`: "path/name args", at most `length` bytes, copied. */
void gather_module(uint64_t start, uint64_t size, const char *string, size_t length);
void gather_cmdline(const char *s, size_t length);
void gather_loader(const char *s, size_t length);
void gather_rsdp(const void *p, size_t length);
/* Image and modules are known: makes the sorted region list. */
void gather_finish(void);

/* Each returns 0, or -EINVAL and has gathered what could be understood. */
int multiboot2_gather(hpa_t info, gather_map_fn *map) must_check;
int pvh_gather(hpa_t info, gather_map_fn *map) must_check;
/* Adds each file of a newc archive as a module; false if it is none. */
bool cpio_gather(hpa_t start, uint64_t size, gather_map_fn *map);

#define MULTIBOOT2_LOADED 0x36d76289	/* EAX at entry */
#define PVH_LOADED	0x336ec578
