/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Boot information as multiboot2 gives it: a block of tagged records. Unknown tags are skipped; a
 * tag that runs over the block's end ends the reading.
 * Source: Multiboot2 Specification 2.0, "Boot information format".
 */
#include "boot/gather.h"

#include "include/bits.h"
#include "include/errno.h"
#include "lib/string.h"

enum tag_type {
	TAG_END, TAG_CMDLINE, TAG_LOADER, TAG_MODULE, TAG_BASIC_MEMORY, TAG_BOOT_DEVICE,
	TAG_MEMORY_MAP, TAG_VBE, TAG_FRAMEBUFFER, TAG_ELF_SECTIONS, TAG_APM, TAG_EFI32, TAG_EFI64,
	TAG_SMBIOS, TAG_ACPI_OLD, TAG_ACPI_NEW, TAG_NETWORK, TAG_EFI_MEMORY_MAP,
	TAG_EFI_BOOT_SERVICES, TAG_EFI32_IMAGE, TAG_EFI64_IMAGE, TAG_LOAD_BASE,
	TAG_COUNT
};

struct tag {
	uint32_t type, size;
};

struct tag_module {
	struct tag tag;
	uint32_t start, end;
	char string[];
};

struct memory_entry {
	uint64_t start, size;
	uint32_t type, reserved;
};

struct tag_memory_map {
	struct tag tag;
	uint32_t entry_size, entry_version;
	uint8_t entries[];
};

struct tag_framebuffer {
	struct tag tag;
	uint64_t address;
	uint32_t pitch, width, height;
	uint8_t bpp, type;
} packed;

enum { FRAMEBUFFER_INDEXED, FRAMEBUFFER_RGB, FRAMEBUFFER_TEXT };

static enum boot_mem memory_type(uint32_t type)
{
	switch (type) {
	case 1:
		return BOOT_MEM_USABLE;
	case 3:
		return BOOT_MEM_ACPI;
	case 4:
		return BOOT_MEM_NVS;
	case 5:
		return BOOT_MEM_BAD;
	default:
		return BOOT_MEM_RESERVED;
	}
}

static void read_memory_map(const struct tag *t)
{
	const struct tag_memory_map *m = (const void *)t;
	size_t room;

	if (t->size < sizeof(*m) || m->entry_size < sizeof(struct memory_entry))
		return;
	room = t->size - sizeof(*m);
	for (size_t at = 0; room - at >= m->entry_size; at += m->entry_size) {
		struct memory_entry e;

		memcpy(&e, m->entries + at, sizeof(e));
		gather_region(e.start, e.size, memory_type(e.type));
	}
}

static void read_module(const struct tag *t)
{
	const struct tag_module *m = (const void *)t;

	if (t->size < sizeof(*m) || m->end < m->start)
		return;
	gather_module(m->start, m->end - m->start, m->string, t->size - sizeof(*m));
}

static void read_cmdline(const struct tag *t)
{
	gather_cmdline((const char *)(t + 1), t->size - sizeof(*t));
}

static void read_loader(const struct tag *t)
{
	gather_loader((const char *)(t + 1), t->size - sizeof(*t));
}

static void read_framebuffer(const struct tag *t)
{
	struct tag_framebuffer f;

	if (t->size < sizeof(f))
		return;
	memcpy(&f, t, sizeof(f));
	if (f.type != FRAMEBUFFER_RGB && f.type != FRAMEBUFFER_TEXT)
		return;
	bootinfo.framebuffer.text = f.type == FRAMEBUFFER_TEXT;
	bootinfo.framebuffer.base = HPA(f.address);
	bootinfo.framebuffer.pitch = f.pitch;
	bootinfo.framebuffer.width = f.width;
	bootinfo.framebuffer.height = f.height;
	bootinfo.framebuffer.bpp = f.bpp;
}

/* The new one, if there are both, comes second or wins. */
static void read_acpi_old(const struct tag *t)
{
	if (!bootinfo.rsdp_valid)
		gather_rsdp(t + 1, MIN(t->size - sizeof(*t), (size_t)20));
}

static void read_acpi_new(const struct tag *t)
{
	gather_rsdp(t + 1, t->size - sizeof(*t));
}

static void read_efi(const struct tag *t)
{
	(void)t;
	bootinfo.uefi = true;
}

static void (*const readers[TAG_COUNT])(const struct tag *t) = {
	[TAG_CMDLINE] = read_cmdline, [TAG_LOADER] = read_loader, [TAG_MODULE] = read_module,
	[TAG_MEMORY_MAP] = read_memory_map, [TAG_FRAMEBUFFER] = read_framebuffer,
	[TAG_ACPI_OLD] = read_acpi_old, [TAG_ACPI_NEW] = read_acpi_new, [TAG_EFI32] = read_efi,
	[TAG_EFI64] = read_efi, [TAG_EFI_MEMORY_MAP] = read_efi,
};

int multiboot2_gather(hpa_t info, gather_map_fn *map)
{
	const uint32_t *head = map(info, 8);
	const uint8_t *block;
	uint32_t size, at = 8;

	if (!head || (info.v & 7))
		return -EINVAL;
	size = head[0];
	block = size >= 16 ? map(info, size) : NULL;
	if (!block)
		return -EINVAL;
	gather_region(info.v, size, BOOT_MEM_MODULES);
	while (at <= size - sizeof(struct tag)) {
		const struct tag *t = (const void *)(block + at);

		if (t->type == TAG_END)
			return 0;
		if (t->size < sizeof(*t) || t->size > size - at)
			return -EINVAL;
		if (t->type < TAG_COUNT && readers[t->type])
			readers[t->type](t);
		if (size - at < ALIGN_UP(t->size, 8u))
			return -EINVAL;
		at += ALIGN_UP(t->size, 8u);
	}
	return -EINVAL;
}
