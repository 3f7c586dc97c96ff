/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vuart.c lib/record.c tests/host/vdev_host.c */
#include "vdev/vuart.h"

static const unsigned long fuzz_regions[] = { 8, 0 };

static int fuzz_create(struct vdev **out)
{
	return vuart_create(out);
}

#include "tests/fuzz/vdev_fuzz.h"
