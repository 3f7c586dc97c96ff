/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Multiboot, version 1: a header in the first 8 KiB of an ELF file (of either class) or, with the
 * address fields, of any file. The kernel starts in 32-bit protected mode with EAX the magic and
 * EBX the information; `initrd` is its first module, right behind it.
 * Source: Multiboot
 * Specification 0.6.96.
 */
#include "vmm/load_plan.h"

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
#define INFO_MAP	0x40u
#define INFO_LOADER	0x200u

struct header {
	uint32_t magic, flags, checksum;
	uint32_t header_addr, load_addr, load_end, bss_end, entry;
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

struct block {
	struct info info;
	struct module module;
	struct map_entry map[LOAD_MAP_MAX];
	char loader[8], module_name[8];
};

/* Finds the header; its offset in the file, or a negative number. Fields behind the checksum are 0
 * if the file ends there. */
static int find_header(const struct load_image *image, struct header *h)
{
	for (unsigned at = 0; at + 12 <= MIN(image->kernel_size, (size_t)HEADER_SEARCH); at += 4) {
		*h = (struct header){ 0 };
		if (!load_bytes(image, at, h, sizeof(*h)) && !load_bytes(image, at, h, 12))
			break;
		if (h->magic == HEADER_MAGIC && h->magic + h->flags + h->checksum == 0)
			return (int)at;
	}
	return -ENOENT;
}

static bool multiboot_is(const struct load_image *image)
{
	struct header h;

	return find_header(image, &h) >= 0;
}

/* The header says where the file's bytes go. */
static int plan_addresses(struct load_plan *p, const struct header *h, unsigned at)
{
	uint64_t before = h->header_addr - h->load_addr, offset = at - before, size, bss;

	if (h->header_addr < h->load_addr || before > at)
		return load_refuse(p, -EINVAL,
				   "the multiboot header's load address 0x%x is not right",
				   h->load_addr);
	size = h->load_end ? h->load_end - (uint64_t)h->load_addr : p->image->kernel_size - offset;
	if ((h->load_end && h->load_end < h->load_addr) ||
	    !range_within(offset, size, 0, p->image->kernel_size))
		return load_refuse(p, -EINVAL,
				   "the multiboot kernel is truncated: it loads up to 0x%x",
				   h->load_end);
	bss = h->bss_end > h->load_addr ? h->bss_end - h->load_addr : 0;
	p->entry = h->entry;
	return load_add(p, h->load_addr, p->image->kernel + offset, size, MAX(size, bss));
}

static bool blocks_free(const struct load_plan *p, uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < p->segment_count; i++)
		if (p->segment[i].at < end && start < p->segment[i].at + p->segment[i].size)
			return false;
	return true;
}

/* The information blocks: in the first 64 KiB, or where the kernel leaves room below 640K. */
static int place_blocks(struct load_plan *p)
{
	for (p->blocks = 0; p->blocks + LOAD_TABLES < LOAD_LOW_END; p->blocks += 0x8000)
		if (blocks_free(p, p->blocks + LOAD_INFO,
				p->blocks + LOAD_CMDLINE + LOAD_CMDLINE_MAX))
			return 0;
	return load_refuse(p, -E2BIG, "the multiboot kernel fills all memory below 640 KiB");
}

static int multiboot_plan(struct load_plan *p)
{
	struct header h;
	int at = find_header(p->image, &h), err;

	if (at < 0)
		return load_refuse(p, -EINVAL, "no multiboot header");
	if (h.flags & 0xffff & ~(WANT_PAGE_ALIGN | WANT_MEMORY | WANT_VIDEO))
		return load_refuse(p, -EINVAL,
				   "the multiboot header asks for what is not known (flags 0x%x)",
				   h.flags);
	if (h.flags & HAS_ADDRESSES) {
		err = plan_addresses(p, &h, (unsigned)at);
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
		err = place_blocks(p);
	return err ?: load_place_initrd(p, 4 * GIB, false);
}

static int multiboot_commit(const struct load_plan *p, struct load_entry *out)
{
	uint32_t base = (uint32_t)(LOAD_INFO + p->blocks),
		 cmdline = (uint32_t)(LOAD_CMDLINE + p->blocks);
	struct load_region map[LOAD_MAP_MAX];
	unsigned n = load_map(p->machine, map);
	struct block b = { .loader = "Keel",
			   .module_name = "initrd",
			   .info = {
				   .flags = INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MAP |
					    INFO_LOADER,
				   .mem_lower = LOAD_LOW_END / KIB,
				   .mem_upper =
					   (uint32_t)((load_ram_end(p->machine) - LOAD_HIGH_START) /
						      KIB),
				   .cmdline = cmdline,
				   .mods_addr = base + offsetof(struct block, module),
				   .mmap_length = (uint32_t)(n * sizeof(struct map_entry)),
				   .mmap_addr = base + offsetof(struct block, map),
				   .loader_name = base + offsetof(struct block, loader),
			   } };
	int err;

	if (p->image->initrd) {
		b.info.mods_count = 1;
		b.module = (struct module){ (uint32_t)p->initrd,
					    (uint32_t)(p->initrd + p->image->initrd_size),
					    base + offsetof(struct block, module_name), 0 };
	}
	for (unsigned i = 0; i < n; i++)
		b.map[i] = (struct map_entry){ sizeof(struct map_entry) - 4, map[i].base,
					       map[i].size, map[i].type };
	out->start = LOAD_START_PROTECTED32;
	out->rax = LOADER_MAGIC;
	out->rbx = base;
	err = gmem_write(p->machine->gmem, GPA(base), &b, sizeof(b));
	return err ?: load_write_cmdline(p, cmdline);
}

const struct load_kind load_multiboot = { "multiboot ELF", multiboot_is, multiboot_plan,
					  multiboot_commit };
