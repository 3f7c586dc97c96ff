/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vsmbus.c vdev/vpci*.c lib/record.c tests/host/vdev_host.c */
#include "vdev/vsmbus.h"

static const unsigned long fuzz_regions[] = { VSMBUS_SIZE, 0 };

static int fuzz_device_create(struct vdev **out)
{
	return vsmbus_create(out);
}

static struct vpci_function *fuzz_device_function(struct vdev *d)
{
	return vsmbus_function(d);
}

#include "tests/fuzz/vpci_fuzz.h"

#include "tests/fuzz/vdev_fuzz.h"
