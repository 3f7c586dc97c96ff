/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a multiboot1 loader brought: says the command line as it is, and each module's string, size
 * and content's sum; tests/system knows what it gave.
 */
#include "tests/guest/lib/guest.h"

#define INFO_MODULES	8u

struct info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
};

struct module {
	uint32_t start, end, string, reserved;
};

static uint32_t sum(const uint8_t *at, const uint8_t *end)
{
	uint32_t sum = 0;

	while (at < end)
		sum += *at++;
	return sum;
}

void test_main(void)
{
	const struct info *info = (const void *)(uint64_t)boot_info;
	const struct module *m = (const void *)(uint64_t)info->mods_addr;
	uint64_t last = (uint64_t)image_end;

	print("cmdline '%s'\n", (const char *)(uint64_t)info->cmdline);
	check(info->flags & INFO_MODULES, "modules_flag", "%x", info->flags);
	for (unsigned i = 0; i < info->mods_count; i++, m++) {
		print("module '%s' size %u sum %u\n", (const char *)(uint64_t)m->string,
		      m->end - m->start, sum((const void *)(uint64_t)m->start,
					     (const void *)(uint64_t)m->end));
		check(!(m->start & 0xfff), "module_on_a_page", "%x", m->start);
		check(m->start >= last && m->end <= ram_end(), "module_place", "%x to %x", m->start,
		      m->end);
		last = m->end;
	}
}
