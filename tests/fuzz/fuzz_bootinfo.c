/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Boot information from any bytes: the first byte chooses multiboot2, PVH or a cpio archive.
 * Afterwards the memory map must be sorted and disjoint and every module's strings must end.
 */
/* links: boot/bootinfo.c boot/multiboot2.c boot/pvh.c boot/cpio.c */
#include <stdlib.h>
#include <string.h>

#include "boot/gather.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *memory;
static size_t memory_size;

static const void *map(hpa_t a, uint64_t size)
{
	return a.v < memory_size && size <= memory_size - a.v ? memory + a.v : NULL;
}

static void check(void)
{
	for (unsigned i = 0; i + 1 < bootinfo.region_count; i++)
		if (bootinfo.region[i].start.v + bootinfo.region[i].size >
		    bootinfo.region[i + 1].start.v)
			abort();
	for (unsigned i = 0; i < bootinfo.module_count; i++)
		if (strlen(bootinfo.module[i].name) + strlen(bootinfo.module[i].args) > 8192)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;
	int err = 0;

	if (size < 1)
		return 0;
	memory_size = size - 1;
	copy = aligned_alloc(16, (memory_size + 16) & ~15ul);
	memcpy(copy, data + 1, memory_size);
	memory = copy;
	gather_reset();
	bootinfo.image_start = HPA(0x200000);
	bootinfo.image_size = 0x50000;
	if (data[0] % 3 == 0)
		err = multiboot2_gather(HPA(0), map);
	else if (data[0] % 3 == 1)
		err = pvh_gather(HPA(0), map);
	else
		cpio_gather(HPA(0), memory_size, map);
	(void)err;
	gather_finish();
	check();
	free(copy);
	return 0;
}
