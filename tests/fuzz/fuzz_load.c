/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/load/load*.c vmm/firmware/memory_map.c lib/format.c */
/*
 * Any bytes as a kernel: nothing is written outside the RAM there is, and every refusal has a
 * reason.
 */
#include "vmm/load/load.h"

#include <stdlib.h>
#include <string.h>

#include "include/bits.h"
#include "include/errno.h"

#define RAM	(32 * MIB)

int gmem_write(struct gmem *g, gpa_t a, const void *src, size_t n)
{
	static volatile uint8_t sum;

	(void)g;
	if (!range_within(a.v, n, 0, RAM) || (n && a.v + n > 0x9fc00 && a.v < MIB))
		abort();
	for (size_t i = 0; i < n; i++)
		sum = sum + ((const uint8_t *)src)[i];
	return 0;
}

int gmem_read(struct gmem *g, gpa_t a, void *dst, size_t n)
{
	(void)g;
	if (!range_within(a.v, n, 0, RAM))
		abort();
	memset(dst, 0, n);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct load_module module[] = { { data, size, "rd", "" }, { data, size / 2, "m", "c" } };
	struct load_image image = { .kernel = data, .kernel_size = size, .name = "k",
				    .cmdline = "a b", .module = module,
				    .module_count = size % 3 };
	static struct gmem gmem;
	struct load_machine m = {
		.gmem = &gmem, .memory = RAM,
	};
	struct load_entry e;
	char why[128] = "";

	if (load_image(&image, &m, &e, why, sizeof(why)) && !why[0])
		abort();
	return 0;
}
