/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vpit.c lib/record.c tests/host/vdev_host.c */
#include "vdev/vpit.h"

static const unsigned long fuzz_regions[] = { 4, 1, 0 };

static int fuzz_create(struct vdev **out)
{
	return vpit_create(out);
}

#include "tests/fuzz/vdev_fuzz.h"
