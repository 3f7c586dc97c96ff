/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A loader's block: the one piece of guest memory, besides the kernel and its modules, that a
 * loader writes: information, command lines, memory map. How large it is depends on the image, so
 * that nothing in a configuration is limited by a table here. See load_plan.h.
 */
#include "vmm/load/load_plan.h"

#include "include/errno.h"
#include "lib/string.h"

uint64_t load_block_room(struct load_block *b, size_t n, unsigned align)
{
	uint64_t at = ALIGN_UP(b->at, (uint64_t)align);

	b->at = at + n;
	return at;
}

void load_block_set(struct load_block *b, uint64_t at, const void *data, size_t n)
{
	if (b->gmem && !b->err)
		b->err = gmem_write(b->gmem, GPA(at), data, n);
}

uint64_t load_block_put(struct load_block *b, const void *data, size_t n, unsigned align)
{
	uint64_t at = load_block_room(b, n, align);

	load_block_set(b, at, data, n);
	return at;
}

uint64_t load_block_text(struct load_block *b, const char *name, const char *arguments)
{
	uint64_t at = load_block_put(b, name, strlen(name), 1);

	if (name[0] && arguments[0])
		load_block_put(b, " ", 1, 1);
	load_block_put(b, arguments, strlen(arguments) + 1, 1);
	return at;
}

static bool is_free(const struct load_plan *p, uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < p->segment_count; i++)
		if (p->segment[i].at < end && start < p->segment[i].at + p->segment[i].size)
			return false;
	return !p->modules_size || end <= p->modules || start >= p->modules + p->modules_size;
}

int load_block_place(struct load_plan *p, uint64_t size)
{
	uint64_t end = ALIGN_UP(MAX(p->end, MEMORY_HIGH_START), PAGE_SIZE);

	for (uint64_t at = LOAD_BLOCKS; at + size <= MEMORY_BASE_END; at += PAGE_SIZE) {
		if (is_free(p, at, at + size)) {
			p->block = at;
			return 0;
		}
	}
	if (p->modules == end)
		end = ALIGN_UP(p->modules + p->modules_size, PAGE_SIZE);
	if (!load_is_ram(p->machine, end, size) || !is_free(p, end, end + size))
		return load_refuse(p, -E2BIG,
				   "there is no room for the %lu bytes that the kernel is to be told",
				   size);
	p->block = end;
	return 0;
}
