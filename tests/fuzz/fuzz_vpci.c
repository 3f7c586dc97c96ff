/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vpci*.c lib/record.c tests/host/vdev_host.c */
#include "vdev/vpci.h"

static const unsigned long fuzz_regions[] = { 8, VPCI_BUS_SIZE, 0 };

static int fuzz_create(struct vdev **out)
{
	return vpci_create(NULL, out);
}

#include "tests/fuzz/vdev_fuzz.h"
