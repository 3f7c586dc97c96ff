/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vpci*.c lib/record.c tests/host/vdev_host.c */
#include "vdev/vpci_testdev.h"

static const unsigned long fuzz_regions[] = {
	VPCI_TESTDEV_MEMORY_SIZE, VPCI_TESTDEV_PORTS_SIZE, 0
};

static int fuzz_device_create(struct vdev **out)
{
	return vpci_testdev_create(out);
}

static struct vpci_function *fuzz_device_function(struct vdev *d)
{
	return vpci_testdev_function(d);
}

#include "tests/fuzz/vpci_fuzz.h"

#include "tests/fuzz/vdev_fuzz.h"
