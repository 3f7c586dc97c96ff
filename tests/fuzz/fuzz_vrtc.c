/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vrtc.c lib/record.c tests/host/vdev_host.c */
#include "vdev/vrtc.h"

static const unsigned long fuzz_regions[] = { 2, 0 };

static int fuzz_create(struct vdev **out)
{
	static struct vrtc_battery battery;

	battery = (struct vrtc_battery){ 0 };
	return vrtc_create(&(struct vrtc_config){ .ram_below_4g = 3ul << 30,
		.ram_above_4g = 1ul << 40, .battery = &battery }, out);
}

#include "tests/fuzz/vdev_fuzz.h"
