/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linux's bzImage by the 64-bit boot protocol: the kernel proper goes to its preferred address, the
 * zero page (boot_params) with the setup header, memory map, initrd and command line to low memory;
 * the vCPU starts in long mode, identity-mapped, at +0x200 with RSI at the zero page. Several
 * modules are one initrd in pieces, as GRUB's `initrd` takes them.
 * Source: Linux, "The Linux/x86 Boot Protocol"; "Zero Page".
 */
#include "vmm/load_plan.h"

#include "include/errno.h"
#include "lib/string.h"

/* Offsets in the file's first sector and in boot_params alike. */
#define HEADER		0x1f1
#define HEADER_MAGIC	0x53726448u	/* "HdrS" */
#define VERSION_64	0x020c		/* xloadflags */
#define LOADED_HIGH	1
#define XLF_KERNEL_64	1
#define LOADER_UNKNOWN	0xff
#define ENTRY_64	0x200
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

size_t load_linux_setup(const struct load_image *image)
{
	struct setup_header h;

	if (!linux_is(image) || !load_bytes(image, HEADER, &h, sizeof(h)))
		return 0;
	return MIN(setup_size(&h), image->kernel_size);
}

static int check_header(struct load_plan *p, const struct setup_header *h)
{
	size_t length = strlen(p->image->cmdline);

	if (h->version < VERSION_64 || !(h->xloadflags & XLF_KERNEL_64))
		return load_refuse(p, -EINVAL,
				   "the Linux kernel is not a 64-bit one (boot protocol %u.%02u)",
				   h->version >> 8, h->version & 0xff);
	if (!(h->loadflags & LOADED_HIGH))
		return load_refuse(p, -EINVAL, "the Linux kernel is a zImage, not a bzImage");
	if (length > h->cmdline_size)
		return load_refuse(p, -E2BIG,
				   "the command line has %zu characters, this kernel takes %u",
				   length, h->cmdline_size);
	return 0;
}

static int linux_plan(struct load_plan *p)
{
	struct setup_header h;
	uint64_t setup, size;
	int err;

	if (!load_bytes(p->image, HEADER, &h, sizeof(h)))
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
	err = load_add(p, h.pref_address, p->image->kernel + setup, size,
		       MAX(size, (uint64_t)h.init_size));
	if (err)
		return err;
	p->entry = h.pref_address + ENTRY_64;
	err = load_place_modules(p, h.initrd_addr_max + 1ul, INITRD_ALIGN, true);
	return err ?: load_block_place(p, CMDLINE + strlen(p->image->cmdline) + 1);
}

static void fill_params(const struct load_plan *p, struct boot_params *b)
{
	struct load_region map[LOAD_MAP_MAX];
	unsigned n = load_map(p->machine, map);
	size_t known = 0x202 - HEADER + p->image->kernel[0x201];

	/* Only what the header says is header; what a newer kernel adds behind is taken too, as far
	 * as it is known. */
	memcpy(&b->header, p->image->kernel + HEADER, MIN(known, sizeof(b->header)));
	b->header.type_of_loader = LOADER_UNKNOWN;
	b->header.cmd_line_ptr = (uint32_t)(p->block + CMDLINE);
	b->header.ramdisk_image = (uint32_t)p->modules;
	b->header.ramdisk_size = (uint32_t)p->modules_size;
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

static int linux_commit(const struct load_plan *p, struct load_entry *out)
{
	/* The protocol names the selectors: 0x10 code, 0x18 data. */
	static const uint64_t gdt[] = { 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff };
	struct load_block b = { .gmem = p->machine->gmem, .at = p->block };

	put_tables(&b);
	put_params(p, &b);
	load_block_put(&b, gdt, sizeof(gdt), 1);
	load_block_text(&b, "", p->image->cmdline);
	out->start = LOAD_START_LINUX64;
	out->rsi = p->block + PARAMS;
	out->cr3 = GPA(p->block);
	out->gdt = GPA(p->block + GDT);
	out->gdt_size = sizeof(gdt);
	return b.err;
}

const struct load_kind load_linux = { "Linux bzImage", linux_is, linux_plan, linux_commit };
