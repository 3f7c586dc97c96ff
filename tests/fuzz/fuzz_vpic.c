/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vpic.c lib/record.c tests/host/vdev_host.c */
#include "vdev/vpic.h"

static const unsigned long fuzz_regions[] = { 2, 2, 2, 0 };

static int fuzz_create(struct vdev **out)
{
	return vpic_create(NULL, NULL, out);
}

/* A line changes, or the processor acknowledges. */
#define FUZZ_CALL(d, in) do {					\
	unsigned b_ = (unsigned)fuzz_take(in, 1);		\
								\
	if (b_ & 0x20)						\
		vpic_acknowledge(d);				\
	else							\
		vpic_line(d, b_ & 15, b_ & 0x10);		\
} while (0)
#include "tests/fuzz/vdev_fuzz.h"
