/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a guest's memory lies, and the one map of it that guests are told, whoever tells it: E820
 * (in boot_params, by INT 15h), multiboot's and PVH's maps, CMOS. Depends on nothing but the VM's
 * memory size. RAM begins at 0 and goes to at most 2.75 GiB, and on from 4 GiB; it lies behind the
 * window of the old screens and the BIOS too, where the map says "reserved".
 */
#pragma once

#include "include/addr.h"

#define MEMORY_MAP_MAX		6
#define MEMORY_BASE_END		0x9fc00ul	/* what DOS would have; then the EBDA, 1 KiB */
#define MEMORY_EBDA_SIZE	0x400ul
#define MEMORY_HIGH_START	0x100000ul
#define MEMORY_LOW_MAX		0xb0000000ul
#define MEMORY_HIGH		0x100000000ul
/*
 * PCI's configuration space, 1 MiB for each of 256 buses, lies behind the largest low RAM, where a
 * q35's firmware puts it, too.
 */
#define MEMORY_ECAM		MEMORY_LOW_MAX
#define MEMORY_ECAM_SIZE	0x10000000ul

/* E820's numbers. */
enum memory_type { MEMORY_RAM = 1, MEMORY_RESERVED = 2 };

struct memory_region {
	uint64_t base, size;
	enum memory_type type;
};

/* End of RAM below 4 GiB, and size of what lies above. */
static inline uint64_t memory_low_end(uint64_t memory)
{
	return memory < MEMORY_LOW_MAX ? memory : MEMORY_LOW_MAX;
}

static inline uint64_t memory_high_size(uint64_t memory)
{
	return memory - memory_low_end(memory);
}

/* Of a VM with `memory` bytes, 2 MiB at least; sorted. Gives the count. */
unsigned memory_map(uint64_t memory, struct memory_region map[MEMORY_MAP_MAX]);
