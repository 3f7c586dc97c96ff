/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vdma.c lib/record.c tests/host/vdev_host.c */
#include "vdev/vdma.h"

static const unsigned long fuzz_regions[] = { 16, 32, 0 };

static int fuzz_create(struct vdev **out)
{
	return vdma_create(out);
}

#include "tests/fuzz/vdev_fuzz.h"
