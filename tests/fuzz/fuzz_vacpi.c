/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vacpi.c vdev/vtco.c lib/record.c tests/host/vdev_host.c */
#include "vdev/vacpi.h"
#include "vdev/vtco.h"

static const unsigned long fuzz_regions[] = { 4, 2, 4, 4, 8, VTCO_SIZE, 2, 0 };

static int fuzz_create(struct vdev **out)
{
	return vacpi_create(out);
}

#define FUZZ_CALL(d, in) vacpi_power_button(d)
#include "tests/fuzz/vdev_fuzz.h"
