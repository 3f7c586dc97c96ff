/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linux's bzImage and what passes for one, by the best entry that it has:
 *
 *	64-bit	the kernel proper to its preferred address, the zero page (boot_params) with setup
 *		header, memory map, initrd and command line to low memory; the vCPU starts in long
 *		mode, identity-mapped, at +0x200 with RSI at the zero page
 *	32-bit	the same without paging, at +0
 *	real	for those that have nothing else (protocols before 2.10, iPXE): the set-up code at
 *		64 KiB, whose header tells the rest; it asks vmm/firmware/bios/ for the memory
 *
 * Several modules are one initrd in pieces, as GRUB's `initrd` takes them.
 * Source: Linux, "The Linux/x86 Boot Protocol"; "Zero Page".
 */
#include "vmm/load/load_plan.h"

#include "include/errno.h"
#include "lib/string.h"

/* Offsets in the file's first sector and in boot_params alike. */
#define HEADER		0x1f1
#define HEADER_MAGIC	0x53726448u	/* "HdrS" */
#define VERSION_LINE	0x0202		/* cmd_line_ptr */
#define VERSION_INITRD	0x0203		/* initrd_addr_max */
#define VERSION_MOVE	0x0205		/* relocatable */
#define VERSION_SIZE	0x0206		/* cmdline_size */
#define VERSION_32	0x020a		/* pref_address, init_size */
#define VERSION_64	0x020c		/* xloadflags */
#define INITRD_MAX_OLD	0x37ffffffu
#define CMDLINE_MAX_OLD	255
#define LOADED_HIGH	1
#define CAN_USE_HEAP	0x80
#define XLF_KERNEL_64	1
#define LOADER_UNKNOWN	0xff
#define ENTRY_64	0x200
#define HIGH_AT		0x100000ul	/* where code not moved by its header is linked */
#define REAL_AT		0x10000ul	/* set-up code, its heap and stack: 64 KiB */
#define REAL_SIZE	0x10000ul
#define REAL_STACK	0xe000u
#define REAL_ENTRY	0x20		/* paragraphs from the set-up code's start */
#define INITRD_ALIGN	4		/* of the archives that make up an initrd */

/* The block: page tables, then these. */
#define PARAMS		(6 * PAGE_SIZE)
#define GDT		(PARAMS + PAGE_SIZE)
#define CMDLINE		(GDT + 4 * sizeof(uint64_t))

struct setup_header {
	uint8_t setup_sects;
	uint16_t root_flags;
	uint32_t syssize;		/* in 16 bytes */
	uint16_t ram_size, vid_mode, root_dev, boot_flag;
	uint8_t jump[2];		/* its second byte tells the header's length */
	uint32_t magic;
	uint16_t version;
	uint32_t realmode_switch;
	uint16_t start_sys, kernel_version;
	uint8_t type_of_loader, loadflags;
	uint16_t setup_move_size;
	uint32_t code32_start, ramdisk_image, ramdisk_size, bootsect_kludge;
	uint16_t heap_end;
	uint8_t ext_loader[2];
	uint32_t cmd_line_ptr, initrd_addr_max, kernel_alignment;
	uint8_t relocatable, min_alignment;
	uint16_t xloadflags;
	uint32_t cmdline_size, hardware_subarch;
	uint64_t hardware_subarch_data;
	uint32_t payload_offset, payload_length;
	uint64_t setup_data, pref_address;
	uint32_t init_size, handover_offset, kernel_info_offset;
} packed;

_Static_assert(HEADER + offsetof(struct setup_header, magic) == 0x202,
	       "the boot protocol's offset");
_Static_assert(HEADER + offsetof(struct setup_header, init_size) == 0x260,
	       "the boot protocol's offset");

struct e820_entry {
	uint64_t base, size;
	uint32_t type;
} packed;

struct boot_params {
	uint8_t screen_info[0x70];
	uint64_t acpi_rsdp_addr;
	uint8_t gap1[0xc0 - 0x78];
	uint32_t ext_ramdisk_image, ext_ramdisk_size, ext_cmd_line_ptr;
	uint8_t gap2[0x1e8 - 0xcc];
	uint8_t e820_count;
	uint8_t gap3[HEADER - 0x1e9];
	struct setup_header header;
	uint8_t gap4[0x2d0 - HEADER - sizeof(struct setup_header)];
	struct e820_entry e820[128];
	uint8_t gap5[PAGE_SIZE - 0x2d0 - 128 * sizeof(struct e820_entry)];
} packed;

_Static_assert(sizeof(struct boot_params) == PAGE_SIZE, "the zero page");

static bool linux_is(const struct load_image *image)
{
	struct setup_header h;

	return load_bytes(image, HEADER, &h, sizeof(h)) && h.boot_flag == 0xaa55 &&
	       h.magic == HEADER_MAGIC;
}

static size_t setup_size(const struct setup_header *h)
{
	return ((h->setup_sects ?: 4) + 1) * 512u;
}

void load_linux_patch(uint8_t *setup, const struct load_linux_places *at)
{
	struct setup_header h;

	memcpy(&h, setup + HEADER, sizeof(h));
	if (h.version < VERSION_LINE)
		return;
	h.type_of_loader = LOADER_UNKNOWN;
	h.loadflags |= CAN_USE_HEAP;
	h.heap_end = (uint16_t)(at->cmdline - at->setup - 0x200);
	h.cmd_line_ptr = at->cmdline;
	h.ramdisk_image = at->initrd;
	h.ramdisk_size = at->initrd_size;
	memcpy(setup + HEADER, &h, sizeof(h));
}

size_t load_linux_setup(const struct load_image *image)
{
	struct setup_header h;

	if (!linux_is(image) || !load_bytes(image, HEADER, &h, sizeof(h)))
		return 0;
	return MIN(setup_size(&h), image->kernel_size);
}

enum way { WAY_64, WAY_32, WAY_REAL };

static enum way way_of(const struct setup_header *h)
{
	if (h->xloadflags & XLF_KERNEL_64)
		return WAY_64;
	return h->init_size ? WAY_32 : WAY_REAL;
}

/* The header; what its version does not have is as that version means it. */
static bool read_header(const struct load_image *image, struct setup_header *h)
{
	if (!load_bytes(image, HEADER, h, sizeof(*h)))
		return false;
	if (h->version < VERSION_INITRD)
		h->initrd_addr_max = INITRD_MAX_OLD;
	if (h->version < VERSION_MOVE)
		h->relocatable = 0;
	if (h->version < VERSION_SIZE)
		h->cmdline_size = CMDLINE_MAX_OLD;
	if (h->version < VERSION_32)
		h->pref_address = h->init_size = 0;
	if (h->version < VERSION_64)
		h->xloadflags = 0;
	return true;
}

static int check_header(struct load_plan *p, const struct setup_header *h)
{
	size_t length = strlen(p->image->cmdline);

	if (h->version < VERSION_LINE)
		return load_refuse(p, -EINVAL,
				   "the Linux kernel's boot protocol %u.%02u is too old: 2.02 is wanted",
				   h->version >> 8, h->version & 0xff);
	if (!(h->loadflags & LOADED_HIGH))
		return load_refuse(p, -EINVAL, "the Linux kernel is a zImage, not a bzImage");
	if (length > h->cmdline_size)
		return load_refuse(p, -E2BIG,
				   "the command line has %zu characters, this kernel takes %u",
				   length, h->cmdline_size);
	return 0;
}

/* Segments and entry, `setup` bytes of set-up code and `size` of the rest. */
static int plan_segments(struct load_plan *p, const struct setup_header *h, uint64_t setup,
			 uint64_t size)
{
	const uint8_t *code = p->image->kernel + setup;
	uint64_t at = way_of(h) == WAY_64 || h->relocatable ? h->pref_address : HIGH_AT;
	int err;

	if (way_of(h) != WAY_REAL) {
		p->entry = at + (way_of(h) == WAY_64 ? ENTRY_64 : 0);
		return load_add(p, at, code, size, MAX(size, (uint64_t)h->init_size));
	}
	if (setup > REAL_STACK)
		return load_refuse(p, -EINVAL, "the Linux kernel's set-up code has %lu bytes",
				   setup);
	err = load_add(p, REAL_AT, p->image->kernel, setup, REAL_SIZE);
	return err ?: load_add(p, HIGH_AT, code, size, size);
}

static int linux_plan(struct load_plan *p)
{
	struct setup_header h;
	uint64_t setup, size;
	int err;

	if (!read_header(p->image, &h))
		return load_refuse(p, -EINVAL, "the Linux kernel's header is cut");
	err = check_header(p, &h);
	if (err)
		return err;
	setup = setup_size(&h);
	size = h.syssize * 16ul;
	/* The last 16 bytes may be a part. */
	if (p->image->kernel_size <= setup || p->image->kernel_size - setup + 15 < size)
		return load_refuse(p, -EINVAL,
				   "the Linux kernel is truncated: %zu bytes of %lu are there",
				   p->image->kernel_size, setup + size);
	size = MIN(size, p->image->kernel_size - setup);
	if (size <= ENTRY_64)
		return load_refuse(p, -EINVAL, "the Linux kernel is empty");
	err = plan_segments(p, &h, setup, size);
	if (!err)
		err = load_place_modules(p, h.initrd_addr_max + 1ul, INITRD_ALIGN, true);
	return err ?: load_block_place(p, CMDLINE + strlen(p->image->cmdline) + 1);
}

/* What the loader says in the header. */
static void fill_header(const struct load_plan *p, struct setup_header *h)
{
	h->type_of_loader = LOADER_UNKNOWN;
	h->cmd_line_ptr = (uint32_t)(p->block + CMDLINE);
	h->ramdisk_image = (uint32_t)p->modules;
	h->ramdisk_size = (uint32_t)p->modules_size;
}

static void fill_params(const struct load_plan *p, struct boot_params *b)
{
	struct memory_region map[MEMORY_MAP_MAX];
	unsigned n = memory_map(p->machine->memory, map);
	size_t known = 0x202 - HEADER + p->image->kernel[0x201];

	/* Only what the header says is header; what a newer kernel adds behind is taken too, as far
	 * as it is known. */
	memcpy(&b->header, p->image->kernel + HEADER, MIN(known, sizeof(b->header)));
	fill_header(p, &b->header);
	b->header.code32_start = (uint32_t)p->segment[0].at;
	b->header.setup_data = 0;
	b->acpi_rsdp_addr = p->machine->rsdp.v;
	b->e820_count = (uint8_t)n;
	for (unsigned i = 0; i < n; i++)
		b->e820[i] = (struct e820_entry){ map[i].base, map[i].size, map[i].type };
}

/* 4G identity by 2M pages: PML4, PDPT, four directories. */
static void put_tables(struct load_block *b)
{
	uint64_t at = b->at, table[512] = { (at + PAGE_SIZE) | 3 };

	load_block_put(b, table, sizeof(table), 1);
	for (unsigned i = 0; i < 4; i++)
		table[i] = (at + (2 + i) * PAGE_SIZE) | 3;
	load_block_put(b, table, sizeof(table), 1);
	for (uint64_t d = 0; d < 4; d++) {
		for (uint64_t i = 0; i < 512; i++)
			table[i] = (d << 30) | (i << 21) | 0x83;
		load_block_put(b, table, sizeof(table), 1);
	}
}

static void put_params(const struct load_plan *p, struct load_block *b)
{
	struct boot_params params = { 0 };

	fill_params(p, &params);
	load_block_put(b, &params, sizeof(params), 1);
}

/* Over the set-up code's own header: only what the oldest version has. */
static int commit_real(const struct load_plan *p, struct load_entry *out)
{
	struct load_block b = { .gmem = p->machine->gmem, .at = p->block + CMDLINE };
	size_t known = offsetof(struct setup_header, initrd_addr_max);
	struct setup_header h;

	if (!read_header(p->image, &h))
		return -EINVAL;
	fill_header(p, &h);
	h.loadflags |= CAN_USE_HEAP;
	h.heap_end = REAL_STACK - 0x200;
	load_block_text(&b, "", p->image->cmdline);
	load_block_set(&b, REAL_AT + HEADER, &h, known);
	out->start = LOAD_START_REAL;
	out->segment = REAL_AT >> 4;
	out->code_segment = (REAL_AT >> 4) + REAL_ENTRY;
	out->rsp = REAL_STACK;
	return b.err;
}

static int linux_commit(const struct load_plan *p, struct load_entry *out)
{
	/* The protocol names the selectors: 0x10 code, 0x18 data. */
	static const uint64_t gdt64[] = { 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff };
	static const uint64_t gdt32[] = { 0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff };
	struct load_block b = { .gmem = p->machine->gmem, .at = p->block };
	struct setup_header h;

	if (!read_header(p->image, &h))
		return -EINVAL;
	if (way_of(&h) == WAY_REAL)
		return commit_real(p, out);
	put_tables(&b);
	put_params(p, &b);
	load_block_put(&b, way_of(&h) == WAY_64 ? gdt64 : gdt32, sizeof(gdt64), 1);
	load_block_text(&b, "", p->image->cmdline);
	out->start = way_of(&h) == WAY_64 ? LOAD_START_LINUX64 : LOAD_START_PROTECTED32;
	out->rsi = p->block + PARAMS;
	out->cr3 = GPA(p->block);
	out->gdt = GPA(p->block + GDT);
	out->gdt_size = sizeof(gdt64);
	return b.err;
}

const struct load_kind load_linux = { "Linux bzImage", linux_is, linux_plan, linux_commit };
