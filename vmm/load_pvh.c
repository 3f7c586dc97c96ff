/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PVH: an ELF kernel whose note names a 32-bit entry point; EBX tells it hvm_start_info, version 1,
 * with memory map and RSDP.
 * Source: Xen, "x86/HVM direct boot ABI".
 */
#include "vmm/load_plan.h"

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

struct block {
	struct start_info info;
	struct start_module module;
	struct start_region map[LOAD_MAP_MAX];
};

/* A file with too much to look through is taken for one, so that the plan tells why not. */
static bool pvh_is(const struct load_image *image)
{
	uint64_t entry;

	return elf_xen_note(image, NOTE_PHYS32_ENTRY, &entry) != -ENOENT;
}

static int pvh_plan(struct load_plan *p)
{
	int err = elf_plan(p);

	if (err)
		return err;
	err = elf_xen_note(p->image, NOTE_PHYS32_ENTRY, &p->entry);
	if (err == -E2BIG)
		return load_refuse(p, -EINVAL, "the kernel's ELF file has too many notes");
	for (unsigned i = 0; i < p->segment_count; i++)
		if (p->segment[i].at < LOAD_BLOCKS_END)
			return load_refuse(p, -EINVAL, "the PVH kernel wants memory below 0x%lx",
					   LOAD_BLOCKS_END);
	if (err || !load_is_ram(p->machine, p->entry, 1))
		return load_refuse(p, -EINVAL,
				   "the PVH kernel's entry point 0x%lx is not in memory", p->entry);
	return load_place_initrd(p, 4 * GIB, true);
}

static int pvh_commit(const struct load_plan *p, struct load_entry *out)
{
	struct load_region map[LOAD_MAP_MAX];
	struct block b = { .info = {
				   .magic = START_MAGIC,
				   .version = 1,
				   .cmdline = LOAD_CMDLINE,
				   .rsdp = p->machine->rsdp.v,
				   .map = LOAD_INFO + offsetof(struct block, map),
				   .map_count = load_map(p->machine, map),
			   } };
	int err;

	if (p->image->initrd) {
		b.info.module_count = 1;
		b.info.modules = LOAD_INFO + offsetof(struct block, module);
		b.module =
			(struct start_module){ .start = p->initrd, .size = p->image->initrd_size };
	}
	for (unsigned i = 0; i < b.info.map_count; i++)
		b.map[i] = (struct start_region){ map[i].base, map[i].size, map[i].type, 0 };
	out->start = LOAD_START_PROTECTED32;
	out->rbx = LOAD_INFO;
	err = gmem_write(p->machine->gmem, GPA(LOAD_INFO), &b, sizeof(b));
	return err ?: load_write_cmdline(p, LOAD_CMDLINE);
}

const struct load_kind load_pvh = { "PVH ELF", pvh_is, pvh_plan, pvh_commit };
