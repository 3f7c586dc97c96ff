/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vioapic.c lib/record.c tests/host/vdev_host.c */
#include "vdev/vioapic.h"

static const unsigned long fuzz_regions[] = { VIOAPIC_SIZE, 0 };

static int fuzz_create(struct vdev **out)
{
	return vioapic_create(&(struct vioapic_config){ .id = 2 }, out);
}

/* A line changes, or a vector ends. */
#define FUZZ_CALL(d, in) do {					\
	unsigned b_ = (unsigned)fuzz_take(in, 1);		\
								\
	if (b_ & 0x40)						\
		vioapic_eoi(d, (uint8_t)fuzz_take(in, 1));	\
	else							\
		vioapic_line(d, b_ & 31, b_ & 0x20);		\
} while (0)
#include "tests/fuzz/vdev_fuzz.h"
