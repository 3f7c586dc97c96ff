/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vedu.c vdev/vpci*.c lib/record.c tests/host/vdev_host.c */
#include "vdev/vedu.h"

static const unsigned long fuzz_regions[] = { 0x100, VEDU_SIZE, 0 };

static int fuzz_device_create(struct vdev **out)
{
	return vedu_create(out);
}

static struct vpci_function *fuzz_device_function(struct vdev *d)
{
	return vedu_function(d);
}

#include "tests/fuzz/vpci_fuzz.h"

#include "tests/fuzz/vdev_fuzz.h"
