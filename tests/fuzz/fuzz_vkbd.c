/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vkbd.c vdev/vps2.c lib/record.c tests/host/vdev_host.c */
#include "vdev/vkbd.h"

static const unsigned long fuzz_regions[] = { 1, 1, 1, 0 };

static int fuzz_create(struct vdev **out)
{
	return vkbd_create(out);
}

#define FUZZ_CALL(d, in) (void)!vkbd_key(d, (uint8_t)fuzz_take(in, 1), fuzz_take(in, 1) & 1)
#include "tests/fuzz/vdev_fuzz.h"
