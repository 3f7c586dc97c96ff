/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vflash.c lib/record.c tests/host/vdev_host.c */
#include "tests/host/vdev_host.h"
#include "vdev/vflash.h"

static const unsigned long fuzz_regions[] = { VDEV_HOST_NVRAM, 0 };

static int fuzz_create(struct vdev **out)
{
	static const struct vflash_config c = { .base = 0xffc00000, .size = VDEV_HOST_NVRAM };

	return vflash_create(&c, out);
}

#include "tests/fuzz/vdev_fuzz.h"
