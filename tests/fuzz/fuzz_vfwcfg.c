/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vfwcfg.c lib/record.c tests/host/vdev_host.c */
#include <stdlib.h>

#include "vdev/vfwcfg.h"

static const unsigned long fuzz_regions[] = { 2, 8, 0 };

static void make_bytes(const struct vfwcfg_item *item, uint32_t offset, void *dst, size_t n)
{
	if (offset + n > item->size)
		abort();
	for (size_t i = 0; i < n; i++)
		((uint8_t *)dst)[i] = (uint8_t)(offset + i);
}

static int fuzz_create(struct vdev **out)
{
	static const uint8_t blob[40000];
	static const struct vfwcfg_item items[] = {
		{ .key = VFWCFG_KERNEL_DATA, .size = sizeof(blob), .data = blob },
		{ .name = "etc/e820", .size = 20, .data = blob },
		{ .name = "etc/made", .size = 3000, .source = make_bytes },
	};
	int err = vfwcfg_create(out);

	for (unsigned i = 0; !err && i < sizeof(items) / sizeof(items[0]); i++)
		err = vfwcfg_add(*out, &items[i]);
	return err;
}

/* A descriptor in memory, or an interruption to come. */
#define FUZZ_CALL(d, in)								\
	do {										\
		vdev_host_of(d)->mem_interrupt = (unsigned)fuzz_take(in, 1) & 3;	\
		for (unsigned i_ = 0; i_ < 16; i_++)					\
			vdev_host_of(d)->memory[0x100 + i_] = (uint8_t)fuzz_take(in, 1);\
	} while (0)

#include "tests/fuzz/vdev_fuzz.h"
