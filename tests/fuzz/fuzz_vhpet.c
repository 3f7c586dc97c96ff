/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vhpet.c lib/record.c tests/host/vdev_host.c */
#include "vdev/vhpet.h"

static const unsigned long fuzz_regions[] = { VHPET_SIZE, 0 };

static int fuzz_create(struct vdev **out)
{
	return vhpet_create(out);
}

#include "tests/fuzz/vdev_fuzz.h"
