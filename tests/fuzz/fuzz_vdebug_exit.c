/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vdebug_exit.c lib/record.c tests/host/vdev_host.c */
#include "vdev/vdebug_exit.h"

static const unsigned long fuzz_regions[] = { 4, 0 };

static int fuzz_create(struct vdev **out)
{
	return vdebug_exit_create(out);
}

#include "tests/fuzz/vdev_fuzz.h"
