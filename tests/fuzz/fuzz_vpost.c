/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vpost.c lib/record.c tests/host/vdev_host.c */
#include "vdev/vpost.h"

static const unsigned long fuzz_regions[] = { 16, 1, 0 };

static int fuzz_create(struct vdev **out)
{
	return vpost_create(out);
}

#include "tests/fuzz/vdev_fuzz.h"
