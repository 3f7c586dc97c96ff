/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vkbd.c vdev/vmouse.c vdev/vps2.c lib/record.c tests/host/vdev_host.c */
#include "vdev/vkbd.h"

static const unsigned long fuzz_regions[] = { 1, 1, 1, 0 };

static int fuzz_create(struct vdev **out)
{
	return vkbd_create(true, out);
}

struct fuzz_input;
static void call(struct vdev *d, struct fuzz_input *in);

#define FUZZ_CALL(d, in) call(d, in)
#include "tests/fuzz/vdev_fuzz.h"

/* A key, or the mouse. */
static void call(struct vdev *d, struct fuzz_input *in)
{
	uint8_t what = (uint8_t)fuzz_take(in, 1);

	if (what & 1) {
		(void)!vkbd_key(d, (uint8_t)fuzz_take(in, 1), what & 2);
		return;
	}
	(void)!vkbd_mouse(d, (int16_t)fuzz_take(in, 2) * (what & 2 ? 0x10000 : 1),
			  (int16_t)fuzz_take(in, 2), (int8_t)fuzz_take(in, 1), what >> 2);
}
