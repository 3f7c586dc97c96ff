/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Multiboot, version 1: a header in the first 8 KiB of an ELF file (of either class) or, with the
 * address fields, of any file. The kernel starts in 32-bit protected mode with EAX the magic and
 * EBX the information; its modules lie right behind it. As with QEMU and the first GRUB, command
 * lines begin with the name of what they are for.
 * Source: Multiboot Specification 0.6.96.
 */
#include "vmm/load/load_plan.h"

#include "include/errno.h"
#include "lib/string.h"

#define HEADER_MAGIC	0x1badb002u
#define HEADER_SEARCH	8192
#define LOADER_MAGIC	0x2badb002u

/* Flags of the header: below 16, what is not understood must be refused. */
#define WANT_PAGE_ALIGN	1u
#define WANT_MEMORY	2u
#define WANT_VIDEO	4u	/* text mode is what there is */
#define HAS_ADDRESSES	0x10000u

#define INFO_MEMORY	1u
#define INFO_CMDLINE	4u
#define INFO_MODULES	8u
#define INFO_SECTIONS	0x20u
#define INFO_MAP	0x40u
#define INFO_LOADER	0x200u

struct header {
	uint32_t magic, flags, checksum;
	struct load_addresses addresses;
	uint32_t entry;
};

struct info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4],
		mmap_length, mmap_addr;
	uint32_t drives_length, drives_addr, config_table, loader_name, apm_table, vbe[4],
		framebuffer[6];
};

struct module {
	uint32_t start, end, string, reserved;
};

struct map_entry {
	uint32_t size;		/* of the rest */
	uint64_t base, length;
	uint32_t type;
} packed;

/* Finds the header; its offset in the file, or a negative number. Fields behind the checksum are 0
 * if the file ends there. */
static int find_header(const struct load_image *image, struct header *h)
{
	size_t size = MIN(image->kernel_size, (size_t)HEADER_SEARCH);

	for (size_t at = 0; at + 12 <= size; at += 4) {
		uint32_t magic;

		__builtin_memcpy(&magic, image->kernel + at, sizeof(magic));
		if (likely(magic != HEADER_MAGIC))
			continue;
		*h = (struct header){ 0 };
		if (!load_bytes(image, at, h, sizeof(*h)) && !load_bytes(image, at, h, 12))
			break;
		if (h->magic + h->flags + h->checksum == 0)
			return (int)at;
	}
	return -ENOENT;
}

static bool multiboot_is(const struct load_image *image)
{
	struct header h;

	return find_header(image, &h) >= 0;
}

static void put_modules(const struct load_plan *p, struct load_block *b, struct info *info)
{
	unsigned count = p->image->module_count;
	uint64_t at = p->modules, entry = load_block_room(b, count * sizeof(struct module), 4);

	info->mods_count = count;
	info->mods_addr = (uint32_t)entry;
	for (unsigned i = 0; i < count; i++, entry += sizeof(struct module)) {
		const struct load_module *m = &p->image->module[i];
		struct module told = {
			.start = (uint32_t)at, .end = (uint32_t)(at + m->size),
			.string = (uint32_t)load_block_text(b, m->name, m->arguments),
		};

		load_block_set(b, entry, &told, sizeof(told));
		at = load_next_module(p, m, at);
	}
}

static void put_sections(const struct load_plan *p, struct load_block *b, struct info *info)
{
	struct elf_sections s;
	uint64_t headers;

	if (!elf_sections(p->image, &s))
		return;
	headers = load_block_room(b, s.count * s.size, 8);
	elf_put_sections(p->image, &s, b, headers, b);
	info->flags |= INFO_SECTIONS;
	info->syms[0] = s.count;
	info->syms[1] = s.size;
	info->syms[2] = (uint32_t)headers;
	info->syms[3] = s.names;
}

static void put_map(const struct load_plan *p, struct load_block *b, struct info *info)
{
	struct memory_region map[MEMORY_MAP_MAX];
	unsigned n = memory_map(p->machine->memory, map);

	info->mmap_length = (uint32_t)(n * sizeof(struct map_entry));
	info->mmap_addr = (uint32_t)load_block_room(b, info->mmap_length, 4);
	for (unsigned i = 0; i < n; i++) {
		struct map_entry e = { sizeof(e) - 4, map[i].base, map[i].size, map[i].type };

		load_block_set(b, info->mmap_addr + i * sizeof(e), &e, sizeof(e));
	}
}

static void put_info(const struct load_plan *p, struct load_block *b)
{
	uint64_t at = load_block_room(b, sizeof(struct info), 4);
	struct info info = {
		.flags = INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MAP | INFO_LOADER,
		.mem_lower = MEMORY_BASE_END / KIB,
		.mem_upper = (uint32_t)((memory_low_end(p->machine->memory) - MIB) / KIB),
	};

	put_modules(p, b, &info);
	put_sections(p, b, &info);
	put_map(p, b, &info);
	info.loader_name = (uint32_t)load_block_text(b, "Keel", "");
	info.cmdline = (uint32_t)load_block_text(b, p->image->name, p->image->cmdline);
	load_block_set(b, at, &info, sizeof(info));
}

static int multiboot_plan(struct load_plan *p)
{
	struct header h;
	struct load_block size = { 0 };
	int at = find_header(p->image, &h), err;

	if (at < 0)
		return load_refuse(p, -EINVAL, "no multiboot header");
	if (h.flags & 0xffff & ~(WANT_PAGE_ALIGN | WANT_MEMORY | WANT_VIDEO))
		return load_refuse(p, -EINVAL,
				   "the multiboot header asks for what is not known (flags 0x%x)",
				   h.flags);
	if (h.flags & HAS_ADDRESSES) {
		err = load_add_addresses(p, &h.addresses, (unsigned)at);
		p->entry = h.entry;
	} else {
		if (!elf_is(p->image))
			return load_refuse(
				p, -EINVAL,
				"the multiboot kernel is no x86 ELF file and gives no addresses");
		err = elf_plan(p);
		if (!err)
			err = elf_entry(p, &p->entry);
	}
	if (!err && !load_is_ram(p->machine, p->entry, 1))
		err = load_refuse(p, -EINVAL,
				  "the multiboot kernel's entry point 0x%lx is not in memory",
				  p->entry);
	if (!err)
		err = load_place_modules(p, 4 * GIB, PAGE_SIZE, false);
	put_info(p, &size);
	return err ?: load_block_place(p, size.at);
}

static int multiboot_commit(const struct load_plan *p, struct load_entry *out)
{
	struct load_block b = { .gmem = p->machine->gmem, .at = p->block };

	put_info(p, &b);
	out->start = LOAD_START_PROTECTED32;
	out->rax = LOADER_MAGIC;
	out->rbx = p->block;
	return b.err;
}

const struct load_kind load_multiboot = { "multiboot ELF", multiboot_is, multiboot_plan,
					  multiboot_commit };
