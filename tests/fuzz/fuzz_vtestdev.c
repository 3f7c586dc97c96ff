/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vtestdev.c lib/record.c tests/host/vdev_host.c */
#include <stdlib.h>

#include "vdev/vtestdev.h"

static const unsigned long fuzz_regions[] = {
	4, 4, VTESTDEV_BYTES_SIZE, VTESTDEV_LINE_COUNT, VTESTDEV_MEMORY_SIZE, 0,
};

static void on_line(void *context, unsigned line, bool level)
{
	(void)context, (void)level;
	if (line >= VTESTDEV_LINE_COUNT)
		abort();
}

static void on_flush(void *context, gpa_t a)
{
	(void)context;
	if (a.v & 0xfff)
		abort();
}

static int fuzz_create(struct vdev **out)
{
	return vtestdev_create(&(struct vtestdev_config){ .line = on_line, .flush = on_flush },
			       out);
}

#define SAVED_MAX	70000
#include "tests/fuzz/vdev_fuzz.h"
