/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PVH: an ELF kernel whose note names a 32-bit entry point; EBX tells it hvm_start_info, version 1,
 * with memory map, RSDP and modules; a module's command line are its arguments alone.
 * Source: Xen, "x86/HVM direct boot ABI".
 */
#include "vmm/load/load_plan.h"

#include "include/errno.h"

#define NOTE_PHYS32_ENTRY	18
#define START_MAGIC		0x336ec578u

struct start_module {
	uint64_t start, size, cmdline, reserved;
};

struct start_region {
	uint64_t base, size;
	uint32_t type, reserved;
};

struct start_info {
	uint32_t magic, version, flags, module_count;
	uint64_t modules, cmdline, rsdp, map;
	uint32_t map_count, reserved;
};

/* A file with too much to look through is taken for one, so that the plan tells why not. */
static bool pvh_is(const struct load_image *image)
{
	uint64_t entry;

	return elf_xen_note(image, NOTE_PHYS32_ENTRY, &entry) != -ENOENT;
}

static void put_modules(const struct load_plan *p, struct load_block *b, struct start_info *info)
{
	unsigned count = p->image->module_count;
	uint64_t at = p->modules;
	uint64_t entry = load_block_room(b, count * sizeof(struct start_module), 8);

	info->module_count = count;
	info->modules = count ? entry : 0;
	for (unsigned i = 0; i < count; i++, entry += sizeof(struct start_module)) {
		const struct load_module *m = &p->image->module[i];
		struct start_module told = { .start = at, .size = m->size };

		if (m->arguments[0])
			told.cmdline = load_block_text(b, "", m->arguments);
		load_block_set(b, entry, &told, sizeof(told));
		at = load_next_module(p, m, at);
	}
}

static void put_info(const struct load_plan *p, struct load_block *b)
{
	struct memory_region map[MEMORY_MAP_MAX];
	uint64_t at = load_block_room(b, sizeof(struct start_info), 8);
	struct start_info info = {
		.magic = START_MAGIC, .version = 1, .rsdp = p->machine->rsdp.v,
		.map_count = memory_map(p->machine->memory, map),
	};

	put_modules(p, b, &info);
	info.map = load_block_room(b, info.map_count * sizeof(struct start_region), 8);
	for (unsigned i = 0; i < info.map_count; i++) {
		struct start_region r = { map[i].base, map[i].size, map[i].type, 0 };

		load_block_set(b, info.map + i * sizeof(r), &r, sizeof(r));
	}
	info.cmdline = load_block_text(b, "", p->image->cmdline);
	load_block_set(b, at, &info, sizeof(info));
}

static int pvh_plan(struct load_plan *p)
{
	struct load_block size = { 0 };
	int err = elf_plan(p);

	if (err)
		return err;
	err = elf_xen_note(p->image, NOTE_PHYS32_ENTRY, &p->entry);
	if (err == -E2BIG)
		return load_refuse(p, -EINVAL, "the kernel's ELF file has too many notes");
	if (err || !load_is_ram(p->machine, p->entry, 1))
		return load_refuse(p, -EINVAL,
				   "the PVH kernel's entry point 0x%lx is not in memory", p->entry);
	put_info(p, &size);
	err = load_place_modules(p, 4 * GIB, PAGE_SIZE, true);
	return err ?: load_block_place(p, size.at);
}

static int pvh_commit(const struct load_plan *p, struct load_entry *out)
{
	struct load_block b = { .gmem = p->machine->gmem, .at = p->block };

	put_info(p, &b);
	out->start = LOAD_START_PROTECTED32;
	out->rbx = p->block;
	return b.err;
}

const struct load_kind load_pvh = { "PVH ELF", pvh_is, pvh_plan, pvh_commit };
