/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vpvpanic.c lib/record.c tests/host/vdev_host.c */
#include "vdev/vpvpanic.h"

static const unsigned long fuzz_regions[] = { 1, 0 };

static int fuzz_create(struct vdev **out)
{
	return vpvpanic_create(out);
}

#include "tests/fuzz/vdev_fuzz.h"
