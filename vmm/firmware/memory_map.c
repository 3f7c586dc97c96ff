/* SPDX-License-Identifier: BSD-2-Clause */
/* See memory_map.h. */
#include "vmm/firmware/memory_map.h"

unsigned memory_map(uint64_t memory, struct memory_region map[MEMORY_MAP_MAX])
{
	unsigned n = 0;

	map[n++] = (struct memory_region){ 0, MEMORY_BASE_END, MEMORY_RAM };
	map[n++] = (struct memory_region){
		MEMORY_BASE_END, MEMORY_HIGH_START - MEMORY_BASE_END, MEMORY_RESERVED,
	};
	map[n++] = (struct memory_region){
		MEMORY_HIGH_START, memory_low_end(memory) - MEMORY_HIGH_START, MEMORY_RAM,
	};
	map[n++] = (struct memory_region){ MEMORY_ECAM, MEMORY_ECAM_SIZE, MEMORY_RESERVED };
	if (memory_high_size(memory))
		map[n++] = (struct memory_region){
			MEMORY_HIGH, memory_high_size(memory), MEMORY_RAM,
		};
	return n;
}
